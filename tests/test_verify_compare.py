"""Comparing records, without a backend."""

from __future__ import annotations

import numpy as np
import pytest
from random_networks import random_network
from random_topologies import random_topology

from snn2hw.errors import BackendError, DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator import Run, simulate
from snn2hw.targets.lava.plan import Records
from snn2hw.targets.verify import Mismatch, compare, recorded_names, verify

Example = tuple[FixedPointNetwork, Run, Records]


@pytest.fixture
def example() -> Example:
    """A network, its run, and the same numbers as a backend would return them."""
    net, x = random_network(np.random.default_rng(1), "mixed", steps=10, batch=3)
    run = simulate(net, x, record=recorded_names(net))
    records: Records = {}
    for layer in net.layers:
        records[layer.name] = {}
        for quantity in [s.name for s in layer.model.states]:
            records[layer.name][quantity] = run.state[layer.name][quantity].copy()
        for out in layer.model.outputs:
            values = run.spikes[layer.name] if out.is_spike else run.state[layer.name][out.name]
            records[layer.name][out.name] = values.astype(np.int32)
    return net, run, records


def test_equal_records_pass_and_everything_counts(example: Example) -> None:
    net, run, records = example
    check = compare(net, run, records, backend="b", seconds=2.0)
    assert check.ok
    assert check.compared == sum(v.size for q in records.values() for v in q.values())
    assert [p.layer for p in check.per_layer] == [layer.name for layer in net.layers]
    assert check.per_layer[-1].quantities == ("y",)
    assert (check.backend, check.seconds, check.first_mismatch) == ("b", 2.0, None)


def test_the_earliest_mismatch_is_named(example: Example) -> None:
    net, run, records = example
    last = net.layers[-1].name
    first = next(layer for layer in net.layers if layer.model.states)
    state = first.model.states[-1].name
    records[last]["y"][0, 7, 0] += 5
    records[first.name][state][2, 4, 0] -= 1
    records[first.name][state][1, 6, 0] -= 1
    check = compare(net, run, records)
    assert (check.ok, check.mismatches) == (False, 3)
    expected = int(run.state[first.name][state][2, 4, 0])
    assert check.first_mismatch == Mismatch(2, first.name, state, 4, 0, expected, expected - 1)
    assert f"sample 2, step 4, layer '{first.name}', {state} of neuron 0" in str(
        check.first_mismatch
    )
    assert {p.layer: p.mismatches for p in check.per_layer if p.mismatches} == {
        last: 1,
        first.name: 2,
    }


def test_records_that_lack_something_are_an_error(example: Example) -> None:
    net, run, records = example
    last = net.layers[-1].name
    records[last]["y"] = records[last]["y"][:, :-1]
    with pytest.raises(BackendError, match=f"record of y of layer '{last}' is shape"):
        compare(net, run, records)
    del records[last]["y"]
    with pytest.raises(BackendError, match=f"record of y of layer '{last}' is nothing"):
        compare(net, run, records)


def test_nothing_compared_is_not_a_pass(example: Example) -> None:
    net, run, _ = example
    empty = FixedPointNetwork("loihi2", 1e-3, "euler", net.inputs, (), (), ())
    assert not compare(empty, run, {}).ok


def test_wrong_data_and_unknown_backends_are_refused_before_anything_starts(
    example: Example,
) -> None:
    net, _, _ = example
    with pytest.raises(DataError, match="data have shape"):
        verify(net, np.zeros((1, 5, net.input.n + 1), dtype=np.int32))
    with pytest.raises(BackendError, match="no backend named 'loihi9'; there is lava"):
        verify(net, np.zeros((1, 5, net.input.n), dtype=np.int32), backend="loihi9")


def test_data_of_several_inputs_are_checked_before_anything_starts() -> None:
    rng = np.random.default_rng(2)
    net, x = random_topology(rng, "models", steps=5)
    while len(net.inputs) != 2:
        net, x = random_topology(rng, "models", steps=5)
    with pytest.raises(DataError, match="the network has 2 inputs; give an array for each"):
        verify(net, x["in0"])
    with pytest.raises(DataError, match="data are named in0, and the inputs in0, in1"):
        verify(net, {"in0": x["in0"]})
    with pytest.raises(DataError, match="data differ in samples or steps"):
        verify(net, {"in0": x["in0"], "in1": x["in1"][:, :4]})
