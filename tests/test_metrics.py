"""NeuroBench's metrics against counts made from the arrays and the spikes themselves.

Against the package itself: tests/tools/test_neurobench.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

import snn2hw
from snn2hw.energy.metrics import metrics
from snn2hw.errors import DataError

STEPS = 15


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["lif", "mixed"]), st.integers(0, 10_000))
def test_metrics_by_brute_force(kind: str, seed: int) -> None:
    net, x = random_network(np.random.default_rng(seed), kind, steps=STEPS, batch=2)
    run = net.run(x, record=("v",))
    found = metrics(net, run).to_dict()
    dense = [s.map.dense() for s in net.synapses]
    assert found["ConnectionSparsity"] == pytest.approx(
        sum((w == 0).sum() for w in dense) / sum(w.size for w in dense)
    )
    fired = [run.spikes[layer.name] for layer in net.layers if layer.model.name != "readout"]
    assert found["ActivationSparsity"] == pytest.approx(
        sum((s == 0).sum() for s in fired) / sum(s.size for s in fired)
    )
    assert found["SynapticOperations"]["Dense"] == STEPS * sum(w.size for w in dense)
    updates = 0
    for layer in net.layers:
        if layer.model.name != "readout":  # which has no state
            v = run.state[layer.name]["v"].reshape(2, STEPS, layer.n)
            for sample in range(2):
                updates += layer.n
                for t in range(1, STEPS):
                    updates += int((v[sample, t] != v[sample, t - 1]).sum())
    assert found["MembraneUpdates"] == updates / 2


def test_effective_operations_by_hand() -> None:
    rng = np.random.default_rng(1)
    net, x = random_network(rng, "lif", steps=STEPS, batch=2)
    run = net.run(x)
    source = net.input
    macs = acs = 0
    for s in net.synapses:
        sent = x if s.source == source.name else run.spikes[s.source].reshape(2, STEPS, -1)
        # what is sent so late that it would arrive after the run meets no weight
        sent = sent[:, : STEPS - s.delay]
        met = int(np.count_nonzero(sent, axis=(0, 1)) @ np.count_nonzero(s.map.dense(), axis=0))
        if s.source == source.name and source.bits > 1:
            macs += met
        else:
            acs += met
    found = metrics(net, run)
    assert (found.effective_macs, found.effective_acs) == (macs / 2, acs / 2)
    assert macs + acs > 0


def test_a_footprint_is_the_bytes_of_its_arrays() -> None:
    net, x = random_network(np.random.default_rng(2), "gpn", steps=STEPS)
    found = metrics(net, net.run(x))
    assert found.footprint_bytes["weights"] == sum(s.map.weight.nbytes for s in net.synapses)
    assert found.footprint_bytes["parameters"] == sum(
        values.astype(np.int32).nbytes for layer in net.layers for values in layer.params.values()
    )
    assert found.footprint_bytes["states"] == 4 * sum(layer.n for layer in net.layers)  # v alone
    assert found.footprint_bytes["tables"] > 0
    assert found.to_dict()["Footprint"] == sum(found.footprint_bytes.values())


def test_membrane_updates_need_the_record_of_v() -> None:
    net, x = random_network(np.random.default_rng(2), "lif", steps=STEPS)
    assert snn2hw.metrics(net, net.run(x)).membrane_updates is None


def test_a_run_of_another_network_is_refused() -> None:
    net, x = random_network(np.random.default_rng(2), "lif", steps=STEPS)
    other, _ = random_network(np.random.default_rng(7), "mixed", steps=STEPS)
    with pytest.raises(DataError, match="the run is of another network; pass the network that ran"):
        metrics(other, net.run(x))
