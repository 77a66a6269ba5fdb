"""Which process of Lava holds a map or a layer, and how it is written for it; Lava itself rests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_topologies import TOPOLOGIES, random_convolution, random_topology

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne
from snn2hw.neurons import MODELS
from snn2hw.passes.balance import balance
from snn2hw.targets.lava.geometry import LavaConvolution, entries, lava_convolution
from snn2hw.targets.lava.plan import blocks_of, build_block, prepare, process_of
from snn2hw.targets.lava.synapses import kind_of


def network(
    link: LinearMap, *, bits: int = 1, exponent: int = 0, model: str = "readout", **params: int
) -> FixedPointNetwork:
    """An input, one map, one layer; parameters are zero unless given."""
    source = InputFormat("in", (link.n_in,), bits, False, 1.0)
    zeros = {p.name: np.full(link.n_out, params.get(p.name, 0)) for p in MODELS[model].params}
    layer = Layer("layer", MODELS[model], (link.n_out,), zeros, {})
    synapse = Synapse("s", "in", "", "layer", ("a",), link, exponent, 0)
    output = OutputNode("out", "layer", MODELS[model].main_output.name)
    return balance(
        FixedPointNetwork("loihi2", 1e-3, "euler", (source,), (layer,), (synapse,), (output,))
    )


def as_lava_computes(link: LavaConvolution, x: np.ndarray) -> np.ndarray:
    """Lava's documentation word for word: true convolution of (x, y, channel), even padding."""
    (pad_x, pad_y), (kernel_x, kernel_y) = link.padding, link.weight.shape[1:3]
    wide = np.pad(x, ((pad_x, pad_x), (pad_y, pad_y), (0, 0)))
    reach = [link.dilation[k] * (link.weight.shape[1 + k] - 1) for k in (0, 1)]
    outputs = [(wide.shape[k] - reach[k] - 1) // link.stride[k] + 1 for k in (0, 1)]
    result = np.zeros((*outputs, len(link.weight)), dtype=np.int64)
    channels = link.weight.shape[3]
    for out in range(len(link.weight)):
        first = out * link.groups // len(link.weight) * channels
        for ox, oy, kx, ky in np.ndindex(*outputs, kernel_x, kernel_y):
            at_x = ox * link.stride[0] + reach[0] - kx * link.dilation[0]
            at_y = oy * link.stride[1] + reach[1] - ky * link.dilation[1]
            taps = link.weight[out, kx, ky].astype(np.int64)
            result[ox, oy, out] += taps @ wide[at_x, at_y, first : first + channels]
    return result


def test_a_convolution_in_lavas_words_is_the_same() -> None:
    rng = np.random.default_rng(0)
    uneven = 0
    for _ in range(60):
        link = random_convolution(rng, tuple(int(k) for k in rng.integers(1, 6, 3)))
        uneven += any(before != behind for before, behind in link.padding)
        x = rng.integers(-9, 10, link.n_in)
        expected = (link.dense().astype(np.int64) @ x).reshape(link.output_shape)
        got = as_lava_computes(lava_convolution(link), x.reshape(link.input_shape).T)
        assert np.array_equal(got.T, expected), link
    assert uneven >= 15


def test_maps_written_out_are_their_matrices() -> None:
    rng = np.random.default_rng(1)
    links: list[LinearMap] = [random_convolution(rng, (3, 4, 5)) for _ in range(20)]
    few = rng.integers(-2, 3, (7, 5)).astype(np.int8)
    links += [Dense(few), OneToOne(few[0]), Dense(0 * few), with_zeros(links[0])]
    for link in links:
        rows, columns, values = entries(link)
        matrix = np.zeros((link.n_out, link.n_in), dtype=np.int64)
        np.add.at(matrix, (rows, columns), values)
        assert np.array_equal(matrix, link.dense())
        assert np.all(values != 0)


def with_zeros(link: LinearMap) -> LinearMap:
    return replace(link, weight=0 * link.weight)


@pytest.mark.parametrize(
    ("link", "bits", "exponent", "kind"),
    [
        (Dense(np.ones((4, 3), dtype=np.int8)), 1, 0, "dense"),
        (Dense(np.eye(127, dtype=np.int8)), 1, 0, "dense"),
        (Dense(np.eye(128, dtype=np.int8)), 1, 0, "sparse"),
        (OneToOne(np.ones(4, dtype=np.int8)), 1, 0, "sparse"),
        # 127 * 2 * 255 * 2^7 is 8,290,560, below 2^23, and twice that is not.
        (Convolution(np.full((1, 2, 1, 1), 127, dtype=np.int8), (2, 1, 1)), 8, 7, "conv"),
        (Convolution(np.full((1, 2, 1, 1), 127, dtype=np.int8), (2, 1, 1)), 8, 8, "sparse"),
    ],
)
def test_lavas_process_for_a_map(link: LinearMap, bits: int, exponent: int, kind: str) -> None:
    net = network(link, bits=bits, exponent=exponent)
    assert kind_of(net, net.synapses[0]) == kind
    (described,) = build_block("b", [prepare(net, np.zeros((1, 1, link.n_in)))]).job["synapses"]
    assert described["kind"] == kind


@pytest.mark.parametrize(
    ("model", "weight", "params", "process"),
    [
        ("lif", 1, {"decay_u": 4096}, "lif"),
        ("lif_reset", 1, {"decay_u": 4096}, "neuron"),
        ("readout", 127, {}, "graded"),
        ("readout", 127, {"bias": 1}, "neuron"),
        ("relay", 127, {"message_shift": 1}, "neuron"),
        # 16 * 127 is below the 2047 that a relay's 12 bits hold, and 16 * 128 is not.
        ("relay", 127, {}, "graded"),
        ("relay", -128, {}, "neuron"),
    ],
)
def test_lavas_process_for_a_layer(
    model: str, weight: int, params: dict[str, int], process: str
) -> None:
    net = network(Dense(np.full((2, 16), weight, dtype=np.int8)), model=model, **params)
    assert process_of(net, net.layers[0]) == process


def test_networks_with_convolutions_run_alone_and_layer_by_layer() -> None:
    items = [
        prepare(*random_topology(np.random.default_rng(k), TOPOLOGIES[k % 2], steps=4))
        for k in range(8)
    ]
    parts = list(blocks_of(items, neurons=1000))
    assert [part for part in parts if len(part) > 1] == [[1, 3, 5, 7]]
    for part in parts:
        block = build_block("b", [items[k] for k in part])
        if len(part) == 1:
            net = items[part[0]][0]
            assert len(block.job["layers"]) == len(net.layers)
            assert len(block.job["synapses"]) == len(net.synapses)


def test_inputs_of_one_number_stand_side_by_side() -> None:
    items = [prepare(*random_topology(np.random.default_rng(k), "models", steps=3)) for k in (2, 3)]
    block = build_block("b", items)
    most = max(len(net.inputs) for net, _ in items)
    assert block.job["inputs"] == most > 1
    for k in range(most):
        expected = np.concatenate([x[k][0].T for _, x in items if k < len(x)])
        assert np.array_equal(block.arrays[f"b/input{k}"][:, :3], expected)


def test_what_no_input_reaches_is_connected_by_no_weights() -> None:
    """Lava runs only what hangs together: here a second part, and a layer with nothing at all."""
    net = network(Dense(np.ones((2, 3), dtype=np.int8)))
    (layer,), (source,), (synapse,) = net.layers, net.inputs, net.synapses
    second = network(Dense(np.ones((2, 3), dtype=np.int8)), model="threshold").layers[0]
    apart = replace(
        net,
        inputs=(source, replace(source, name="other")),
        layers=(layer, replace(second, name="apart"), replace(layer, name="alone")),
        synapses=(synapse, replace(synapse, name="t", source="other", target="apart")),
    )
    x = {name: np.zeros((1, 4, 3), dtype=np.int32) for name in ("in", "other")}
    block = build_block("b", [prepare(balance(apart), x)])
    first, other, alone = (block.places[0][name][0] for name in ("layer", "apart", "alone"))
    ends = [(s["source"], s["target"]) for s in block.job["synapses"]]
    assert ends == [(-1, first), (-2, other), (-1, other), (-1, alone)]
    sizes = [np.count_nonzero(block.arrays[f"b/weights{k}"]) for k in range(4)]
    assert sizes == [6, 6, 0, 0]
    assert block.job["layers"][alone]["groups"] == [["a"]]
