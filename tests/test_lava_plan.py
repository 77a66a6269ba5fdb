"""Joining networks into blocks for Lava, and what is refused before Lava starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from snn2hw.errors import BackendError, DataError, GraphError
from snn2hw.linear import with_weight
from snn2hw.neurons import MODELS
from snn2hw.targets.lava.plan import Item, blocks_of, build_block, prepare


def family(kind: str, count: int) -> list[Item]:
    """Networks of one structure, and their data."""
    rng = np.random.default_rng(11)
    return [
        prepare(*random_network(rng, kind, steps=6, batch=2, structure=np.random.default_rng(2)))
        for _ in range(count)
    ]


def test_networks_of_one_structure_cost_as_many_processes_as_one() -> None:
    items = family("mixed", 5)
    one, five = build_block("b", items[:1]), build_block("b", items)
    assert len(five.job["layers"]) == len(one.job["layers"])
    assert len(five.job["synapses"]) == len(one.job["synapses"])
    assert five.arrays["b/input0"].shape[0] == sum(net.input.n for net, _ in items)


def test_every_weight_is_in_the_block_once_and_nothing_else() -> None:
    items = family("lif", 4)
    block = build_block("b", items)
    joined = [v for k, v in block.arrays.items() if "weights" in k]
    own = [s.mantissa for net, _ in items for s in net.synapses]
    assert np.array_equal(
        np.sort(np.concatenate([w[w != 0] for w in joined])),
        np.sort(np.concatenate([w[w != 0] for w in own])),
    )


def test_two_groups_into_the_same_neurons_stay_apart() -> None:
    """floor(a / 2) + floor(b / 2) is not floor((a + b) / 2)."""
    net, x = family("lif", 1)[0]
    first = replace(net.synapses[0], exponent=-1)
    twice = replace(net, synapses=(first, replace(first, name="again"), *net.synapses[1:]))
    before = len(build_block("b", [(net, x)]).job["synapses"])
    assert len(build_block("b", [(twice, x)]).job["synapses"]) == before + 1


def test_samples_have_windows_as_long_as_the_longest_delay() -> None:
    net, (x,) = item = family("lif", 1)[0]
    block = build_block("b", [item])
    window = 6 + max(s.delay for s in net.synapses)
    data = block.arrays["b/input0"]
    assert block.job["window"] == window
    assert block.job["runs"] == [2 * window + max(layer.offset for layer in net.layers)]
    assert np.array_equal(data[:, :6], x[0].T)
    assert np.array_equal(data[:, window : window + 6], x[1].T)
    assert not data[:, 6:window].any()
    assert not data[:, window + 6 :].any()


def test_blocks_hold_equal_shapes_and_limited_width() -> None:
    items = family("gpn", 6)
    items[2] = (items[2][0], (items[2][1][0][:, :5],))
    parts = list(blocks_of(items, neurons=40))
    assert sorted(k for part in parts for k in part) == list(range(6))
    assert [2] in parts
    assert len(parts) > 2
    assert list(blocks_of(items, neurons=1)) == [[0], [1], [3], [4], [5], [2]]


def test_what_lava_cannot_run_is_refused() -> None:
    net, x = family("lif", 1)[0]
    loose = replace(net.synapses[0], chip_delay=0)
    with pytest.raises(GraphError, match=r"chip delay 0 does not fit .*snn2hw.passes.balance"):
        build_block("b", [(replace(net, synapses=(loose, *net.synapses[1:])), x)])
    with pytest.raises(DataError, match="no samples or no steps"):
        prepare(net, x[0][:0])
    heavy = replace(
        net.synapses[0],
        map=with_weight(net.synapses[0].map, np.full_like(net.synapses[0].mantissa, 127)),
        exponent=28,
    )
    with pytest.raises(BackendError, match="Lava adds up in 32 bits"):
        build_block("b", [(replace(net, synapses=(heavy, *net.synapses[1:])), x)])
    strange = replace(net.layers[0], model=replace(MODELS["lif"], name="strange"))
    with pytest.raises(BackendError, match=r"'strange' is not registered in snn2hw\.neurons"):
        build_block("b", [(replace(net, layers=(strange, *net.layers[1:])), x)])
