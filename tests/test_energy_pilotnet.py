"""PilotNet-LIF on Intel's recorded input: our counts, and the bill beside what the chip measured.

facts: Loihi 2, 16 steps an inference, 2.536 M neuron updates, 41.0 to 42.0 M synaptic operations on
weights that are not zero, 1.0935 mJ dynamic (lava-dl's benchmark).
"""

from __future__ import annotations

import netx_data
import numpy as np
import pytest

from snn2hw.energy import estimate
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Run
from snn2hw.targets.loihi.placement import MEASURED
from snn2hw.targets.place import place

INFERENCE = 16
MEASURED_J = 1.0935e-3


@pytest.fixture(scope="module")
def recorded() -> netx_data.PilotNet:
    try:
        return netx_data.pilotnet()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def ran(recorded: netx_data.PilotNet) -> tuple[FixedPointNetwork, Run]:
    return netx_data.run_from_image(recorded)


def test_neuron_updates_of_an_inference(ran: tuple[FixedPointNetwork, Run]) -> None:
    steps = ran[1].activity.by_step
    assert steps is not None
    updates = sum(layer.updates[0, :INFERENCE].sum() for layer in steps.layers)
    # 158 508 neurons and the integrator that averages over time.
    assert updates == INFERENCE * (39_600 + 118_909) == 2_536_144


def test_synaptic_operations_of_an_inference(ran: tuple[FixedPointNetwork, Run]) -> None:
    """On the chip the image is a bias and no message, so its synapses are left out."""
    steps = ran[1].activity.by_step
    assert steps is not None
    each = sum(s.synops_nonzero[0] for s in steps.synapses if s.source != "input")
    assert 41.0e6 <= INFERENCE * np.mean(each) <= 42.0e6
    for first in range(len(each) - INFERENCE + 1):
        assert 40.8e6 <= np.sum(each[first : first + INFERENCE]) <= 42.0e6


def test_prices_of_davies_beside_the_measurement(ran: tuple[FixedPointNetwork, Run]) -> None:
    net, run = ran
    bill = estimate(run, "loihi1-davies2018", net)
    assert bill.total_j is not None
    assert bill.total_j * INFERENCE / bill.steps == pytest.approx(MEASURED_J, rel=0.15)


def test_hops_and_copies_on_the_chip(ran: tuple[FixedPointNetwork, Run]) -> None:
    """What the bill charges is what the links carry; the sum stays near the measurement."""
    net, run = ran
    plan = place(net, "loihi2", run=run)
    bill = estimate(run, "loihi1-davies2018", net, plan)
    carried = {"hops east and west": 0.0, "hops north and south": 0.0}
    for link in plan.links:
        along = "hops east and west" if link.start[1] == link.end[1] else "hops north and south"
        carried[along] += link.messages(MEASURED) * bill.steps
    for what, messages in carried.items():
        charged = sum(item.count for item in bill.items if item.what == what)
        assert charged == pytest.approx(messages), what
        assert messages > 0
    sent = sum(item.count for item in bill.items if item.what == "messages sent")
    # The last layer's message, one a step, leaves the chip and is no message between cores.
    assert sent == pytest.approx(plan.sent[MEASURED] * bill.steps, rel=1e-3)
    assert bill.total_j is not None
    assert bill.total_j * INFERENCE / bill.steps == pytest.approx(MEASURED_J, rel=0.15)
    assert bill.latency is not None
    # 408.9 inferences a second were measured, on a faster chip.
    assert 1 / 408.9 / 2 < bill.latency.inference_s * INFERENCE / bill.steps < 3 / 408.9
