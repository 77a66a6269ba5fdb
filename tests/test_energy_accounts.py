"""The accounts of each profile against sums made by hand; placements, latency and ranges."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from random_networks import random_network
from test_energy_bill import PJ, activity, amounts, counts, layer, synapse

from snn2hw.energy import (
    Bill,
    analytical,
    estimate,
    float_operations,
    load_profile,
    profile_names,
)
from snn2hw.energy.bill import price_charges
from snn2hw.energy.stages import encoding
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.neurons import MODELS
from snn2hw.simulator.activity import Activity
from snn2hw.targets.place import place
from snn2hw.targets.spinnaker2.spec import spinnaker2

MW, NS = 1e-3, 1e-9
SPIKINGJELLY_PJ = 187359.16979166667


def way(copies: float, east_west: float, north_south: float) -> SimpleNamespace:
    return SimpleNamespace(copies=copies, east_west=east_west, north_south=north_south)


def on_cores(*cores: tuple[tuple[str, int], ...], **hops: SimpleNamespace) -> SimpleNamespace:
    """A placement; a core is (layer, neurons) pairs; hops by ``source_target``."""
    held = [
        SimpleNamespace(parts=[SimpleNamespace(layer=name, neurons=n) for name, n in core])
        for core in cores
    ]
    ways = {(key.split("_")[0], key.split("_")[1]): value for key, value in hops.items()}
    return SimpleNamespace(cores=held, hops=ways)


def chain() -> Activity:
    """Ten neurons that hear the input and themselves; 40 spikes of each a sample."""
    loop = synapse(name="loop", source="hid", source_port="s", messages_in=counts(30, 50))
    hidden = layer(sent={"s": counts(30, 50)}, port_bits={"s": 1})
    return activity(hidden, synapses=(synapse(), synapse(name="again"), loop))


def test_a_placement_adds_hops_and_copies() -> None:
    """Two groups from the input to one layer are one message; the loop is another."""
    placed = on_cores((("hid", 10),), in_hid=way(2, 3, 0.5), hid_hid=way(1, 0, 1))
    bill = estimate(chain(), placement=placed)
    found = amounts(bill)
    assert found["in", "messages sent"] == 40 * 2
    assert found["in", "hops east and west"] == 40 * 3
    assert found["in", "hops north and south"] == 20
    assert found["hid", "messages sent"] == 40
    assert found["hid", "hops north and south"] == 40
    assert ("hid", "hops east and west") not in found
    assert bill.placed
    alone = estimate(chain())
    assert not alone.placed
    assert bill.total_j is not None
    assert alone.total_j is not None
    more = 40 * 1.7 + 120 * 3.0 + (20 + 40) * 4.0
    assert bill.total_j - alone.total_j == pytest.approx(more * PJ)


def test_a_message_that_leaves_the_network_is_charged_once() -> None:
    hidden = layer(sent={"s": counts(30, 50)}, port_bits={"s": 1})
    placed = on_cores((("hid", 10),), in_hid=way(1, 0, 0))
    bill = estimate(activity(hidden, synapses=(synapse(),)), placement=placed)
    assert amounts(bill)["hid", "messages sent"] == 40


def test_a_placement_of_another_network() -> None:
    with pytest.raises(DataError, match=r"no way from 'hid' to 'hid'; place the network that ran"):
        estimate(chain(), placement=on_cores((("hid", 10),), in_hid=way(1, 0, 0)))
    placed = on_cores((("other", 10),), in_hid=way(1, 0, 0), hid_hid=way(1, 0, 0))
    with pytest.raises(DataError, match=r"of another network: layer 'other' is absent"):
        estimate(chain(), placement=placed)


def test_latency_is_the_busiest_core_and_the_barrier() -> None:
    """In the busier sample 3 * 320 operations and 900 active, 100 idle updates in 100 steps; a core
    holds 7 of 10 neurons; five cores are two tiles."""
    ways = {"in_hid": way(1, 0, 0), "hid_hid": way(1, 0, 0)}
    placed = on_cores((("hid", 7),), (("hid", 1),), (("hid", 1),), (("hid", 1),), (), **ways)
    latency = estimate(chain(), placement=placed).latency
    assert latency is not None
    busy = 0.7 * (3 * 320 * 3.5 + 900 * 8.4 + 100 * 5.3) / 100
    barrier = 113 + (465 - 113) / 31
    assert latency.step_s == pytest.approx((busy + barrier) * NS)
    assert latency.inference_s == pytest.approx(100 * (busy + barrier) * NS)
    assert {time.term for time in latency.times} >= {"barrier", "synaptic_operation"}
    gated = replace(chain(), layers=(replace(chain().layers[0], model="gpn"),))
    assert estimate(gated, placement=placed).latency is None
    assert estimate(chain()).latency is None


def test_sanafe_by_hand() -> None:
    """Twenty of 30 weights are not zero: dense. A list of one to one, a kernel."""
    groups = (
        synapse(),
        synapse(name="sparse", weights_nonzero=14),
        synapse(name="pairs", kind="one-to-one"),
        synapse(name="kernel", kind="convolution", weights_nonzero=1),
    )
    assert [encoding(group) for group in groups] == ["dense", "sparse", "sparse", "convolution"]
    bill = estimate(activity(layer(), synapses=groups), "loihi1-sanafe2025")
    synapses = 400 * 35.5 + 260 * 33.6 + 260 * 33.6 + 400 * 24.0
    neurons = 1000 * 51.2 + 900 * 21.6 + 40 * 69.3
    messages = (40 + 40) * 111.0
    assert bill.total_j == pytest.approx((synapses + neurons + messages) * PJ)
    # The published error of the calibration, 12 %.
    assert bill.low_j == pytest.approx(0.88 * (synapses + neurons + messages) * PJ)
    assert bill.high_j == pytest.approx(1.12 * (synapses + neurons + messages) * PJ)
    placed = on_cores((("hid", 10),), in_hid=way(3, 2, 1), hid_hid=way(1, 0, 0))
    found = amounts(estimate(chain(), "loihi1-sanafe2025", placement=placed))
    assert found["in", "messages to a core"] == 120
    assert found["in", "hops east and west"] == 80
    assert found["hid", "messages to a core"] == 40
    gated = activity(layer(model="gpn"), synapses=())
    assert estimate(gated, "loihi1-sanafe2025").total_j is None


def test_float_steps_by_hand() -> None:
    """LIF: u * k + a, v * k + u + b, v > threshold, reset. GPN: four gates of three additions and a
    function, of which three scale its argument and its value (sigma); current, h and bypass."""
    lif, params = float_operations(MODELS["lif"])
    assert lif == {
        "adds": 1 + 2, "multiplies": 2, "compares": 1, "selects": 1, "logic": 0, "functions": 0,
    }  # fmt: skip
    assert params == 4
    gpn, params = float_operations(MODELS["gpn"])
    assert gpn == {
        "adds": 3 * 3 + 2 + 3, "multiplies": 3 * 2 + 2, "compares": 1, "selects": 1, "logic": 0,
        "functions": 4,
    }  # fmt: skip
    assert params == 5
    alif, _ = float_operations(MODELS["alif"])
    # alpha v and rho b; which of them fired, which reset, which threshold, wait: selections.
    assert alif["multiplies"] == 2
    assert alif["functions"] == 0


def test_floats_by_hand() -> None:
    """Columns of 10 weights of 32 bits are 5 accesses, not 2; parameters are 4, not 5."""
    bill = estimate(activity(layer(), synapses=(synapse(),)), "cmos45-horowitz2014-fp32")
    assert amounts(bill) == {
        ("hid", "accumulates of spikes"): 400,
        ("hid", "weight reads"): 40 * 5,
        ("hid", "accumulator reads and writes"): 40 * 2 * 5 + 100 * 2 * 5,
        ("hid", "message queue reads and writes"): 40 + 40,
        ("hid", "neuron steps: adds"): 3000,
        ("hid", "neuron steps: multiplies"): 2000,
        ("hid", "neuron steps: compares"): 1000,
        ("hid", "neuron steps: selects"): 1000,
        ("hid", "state reads and writes"): 100 * 2 * 10,
        ("hid", "parameter reads"): 100 * 20,
    }
    logic = 0.9 * (400 + 3000 + 1000 + 1000) + 3.7 * 2000
    memory = 10 * (200 + 1400 + 80 + 2000 + 2000)
    assert bill.total_j == pytest.approx((logic + memory) * PJ)
    graded = activity(layer(model="gpn"), synapses=(synapse(graded=True, message_bits=12),))
    found = estimate(graded, "cmos45-horowitz2014-fp32")
    assert found.by_term()["products with graded messages"] == pytest.approx(400 * 3.7 * PJ)
    assert amounts(found)["hid", "table look-ups"] == 4000
    assert amounts(found)["hid", "neuron steps: multiplies"] == (8 + 4) * 1000


def test_lemaire_equals_spikingjelly() -> None:
    """SpikingJelly 2.0's LemaireEnergyProfiler gave 187359.17 pJ for: 7 steps of 664 spikes in
    (2, 10, 16); a convolution to 6 channels in 2 groups (3 x 5, strides 2 and 3) with bias, to 150
    LIF neurons of 163 spikes; 150 to 40 without bias, to IF neurons of 21 spikes."""
    lif = layer("a", neurons=150, updates=counts(1050), spikes=counts(163), messages=counts(0))
    fire = layer("b", neurons=40, updates=counts(280), spikes=counts(21), messages=counts(0))
    conv = synapse(
        "a", weights=90, kind="convolution", fan_out=3 * 2 * 2, kernel=3 * 15,
        messages_in=counts(664),
    )  # fmt: skip
    dense = synapse("b", weights=6000, fan_out=40, kernel=40, messages_in=counts(163))
    ran = Activity(1, 7, {"in": counts(664)}, (lif, fire), (conv, dense))
    steps = {
        "a": analytical.Step(macs=1, adds=1, biased=True, states=1, biases=6),
        "b": analytical.Step(macs=0, adds=0, biased=False, states=1),
    }
    charges = analytical.layer_charges(ran, steps)
    items = price_charges(charges, load_profile("lemaire2022"))
    total = sum(item.energy_j or 0.0 for item in items)
    assert total == pytest.approx(SPIKINGJELLY_PJ * PJ, rel=1e-9)


def lif_network(**params: int) -> tuple[FixedPointNetwork, np.ndarray]:
    net, x = random_network(np.random.default_rng(11), "lif", steps=6, batch=2)
    first = net.layers[0]
    changed = {name: np.full(first.n, value, np.int32) for name, value in params.items()}
    first = replace(first, params=dict(first.params) | changed)
    return replace(net, layers=(first, *net.layers[1:])), x


def test_what_an_lif_layer_lacks_is_not_charged() -> None:
    """Without a current of its own, a leak and a bias an LIF is Lemaire's IF."""
    plain, x = lif_network(decay_u=4096, decay_v=0, bias_mantissa=0)
    full, _ = lif_network(decay_u=1000, decay_v=100, bias_mantissa=3)
    name = plain.layers[0].name
    n = plain.layers[0].n
    for net, macs, adds, moved in ((plain, 0, 0, 1), (full, 2, 2, 2)):
        run = net.run(x, threads=1)
        bill = estimate(run, "lemaire2022", net)
        updates, spikes = 6 * n, run.activity.layer(name).spikes.mean()
        found = amounts(bill)
        assert found.get((name, "neuron steps: multiplies"), 0) == macs * updates
        assert found.get((name, "neuron steps: adds"), 0) == (macs + adds) * updates + spikes
        arrived = sum(s.messages_in.mean() * s.kernel for s in run.activity.into(name))
        words = found[name, "potential reads and writes"]
        assert words == pytest.approx(2 * arrived + 2 * moved * updates)
        assert ((name, "bias reads") in found) == (adds == 2)
    # Without the network all that an LIF may have is charged.
    run = plain.run(x, threads=1)
    assert estimate(run, "lemaire2022").priced_j > estimate(run, "lemaire2022", plain).priced_j


def test_lemaire_extended_to_gates_and_messages() -> None:
    """GPN's float step has 14 additions, 8 multiplications and 4 functions."""
    gated = synapse(graded=True, message_bits=12, fan_out=10, kernel=10)
    bill = estimate(activity(layer(model="gpn"), synapses=(gated,)), "lemaire2022")
    found = amounts(bill)
    assert found["hid", "products with graded messages"] == 400
    assert found["hid", "accumulates of graded messages"] == 400
    assert found["hid", "neuron steps: multiplies"] == (8 + 4) * 1000
    # 12 MACs, 14 - 8 additions besides, one more for each function; 40 spikes.
    assert found["hid", "neuron steps: adds"] == (12 + 6 + 4) * 1000 + 40
    assert found["hid", "table look-ups"] == 4000
    # 9 sums are read and cleared, the state is read and written.
    assert found["hid", "potential reads and writes"] == 2 * 400 + 2 * 9 * 1000 + 2 * 1000
    assert bill.total_j is not None
    assert bill.low_j < bill.total_j == pytest.approx(bill.high_j)


def test_spinnaker2_without_a_placement_says_what_it_needs() -> None:
    bill = estimate(chain(), "spinnaker2")
    assert bill.total_j is None
    assert bill.latency is None
    (line,) = bill.unpriced
    assert "pass placement=snn2hw.place(net, 'spinnaker2', run=run)" in line.why_unpriced


@pytest.mark.parametrize("dt_s", [1e-3, 20e-6])
def test_spinnaker2_by_hand(dt_s: float) -> None:
    """Cycles of each PE from the placement's loads; a step of 20 us needs the high voltage."""
    net, x = random_network(np.random.default_rng(2), "mixed", steps=10, batch=3)
    net = replace(net, dt_s=dt_s)
    run = net.run(x, threads=1)
    plan = place(net, "spinnaker2", pes=2, run=run)
    bill = estimate(run, "spinnaker2", net, plan)
    chip = spinnaker2()
    total, longest = np.zeros(3), np.full(3, dt_s)
    sleeping: list[float] = []
    for core in plan.cores:
        cycles = np.full(3, 1000.0)
        for part in core.parts:
            load = plan.loads[part.layer]
            cycles = cycles + load.cycles_per_part + load.cycles_per_neuron * part.neurons
        high = cycles > dt_s * 150e6
        assert np.all(high == (dt_s < 1e-4))
        longest = np.maximum(longest, cycles / (300e6 if dt_s < 1e-4 else 150e6))
        total += cycles * (15.0 if dt_s < 1e-4 else 8.3) * PJ * 10
        sleeping.append((3.22 if dt_s < 1e-4 else 1.054) * MW)
    seconds = longest.mean() * 10
    expected = total.mean() + seconds * (sum(sleeping) + 75.2 * MW)
    assert bill.total_j == pytest.approx(expected)
    assert bill.total_j == pytest.approx(sum(bill.by_layer().values()))
    assert bill.latency is not None
    assert bill.latency.inference_s == pytest.approx(longest.max() * 10)
    worst = plan.step_s(chip.number(f"clock_{'high' if dt_s < 1e-4 else 'low'}_hz"), "measured")
    assert bill.latency.step_s == pytest.approx(worst)
    assert bill.placed


def test_spinnaker2_with_a_placement_of_another_run() -> None:
    net, x = random_network(np.random.default_rng(2), "mixed", steps=10, batch=3)
    plan = place(net, "spinnaker2", run=net.run(x[:2], threads=1))
    with pytest.raises(DataError, match=r"of another run: .*place with run= of this run"):
        estimate(net.run(x, threads=1), "spinnaker2", net, plan)


def test_prices_of_spinnaker2_are_the_chips_figures() -> None:
    prices, chip = load_profile("spinnaker2").prices, spinnaker2()
    for term, figure in (
        ("chip_base", "power_pes_off_w"),
        ("pe_sleep_low", "pe_sleep_low_w"),
        ("pe_sleep_high", "pe_sleep_high_w"),
        ("pe_cycle_low", "energy_per_cycle_low_j"),
        ("pe_cycle_high", "energy_per_cycle_high_j"),
    ):
        assert prices[term].joules() == pytest.approx(chip.number(figure))


def test_every_profile_prices_every_random_network_or_names_what_it_cannot() -> None:
    rng = np.random.default_rng(9)
    for kind in ("lif", "gpn", "mixed"):
        net, x = random_network(rng, kind, steps=8, batch=2)
        run = net.run(x, threads=1)
        plan = place(net, "spinnaker2", run=run)
        for name in profile_names():
            bill: Bill = estimate(run, name, net, plan if name == "spinnaker2" else None)
            assert bill.priced_j == pytest.approx(sum(bill.by_layer().values()))
            assert bill.priced_j == pytest.approx(sum(bill.by_group().values()))
            assert bill.low_j <= bill.priced_j <= bill.high_j
            assert (bill.total_j is None) == (
                name.startswith("loihi1") and any(x.model.name == "gpn" for x in net.layers)
            )
            assert bill.to_dict()["low_j"] == bill.low_j
