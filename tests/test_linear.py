"""Linear maps against PyTorch and against their own matrices; what the engine counts of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_strategies import convolutions, linear_maps
from torch.nn import functional

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne, largest_sums, with_weight
from snn2hw.neurons import MODELS


def by_torch(link: Convolution, x: np.ndarray) -> np.ndarray:
    (above, below), (left, right) = link.padding
    seen = torch.from_numpy(x.reshape(len(x), *link.input_shape))
    wide = functional.pad(seen, (left, right, above, below))
    weight = torch.from_numpy(link.weight)
    y = functional.conv2d(wide, weight, None, link.stride, 0, link.dilation, link.groups)
    assert tuple(y.shape[1:]) == link.output_shape
    return y.reshape(len(x), -1).numpy()


@given(convolutions(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_a_convolution_is_torchs(link: Convolution, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2, link.n_in))
    expected = by_torch(link, x)
    np.testing.assert_allclose(link.apply(x), expected, rtol=0, atol=1e-12 * link.weight.size)
    # The matrix, column by column, is what the map makes of each unit vector.
    columns = by_torch(link, np.eye(link.n_in)).T
    np.testing.assert_array_equal(link.dense(), columns)


@given(linear_maps())
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_the_matrix(link: LinearMap) -> None:
    matrix = link.dense()
    assert matrix.shape == (link.n_out, link.n_in)
    # Weights of one everywhere: what is not zero then is a synapse.
    full = with_weight(link, np.ones_like(link.weight)).dense()
    np.testing.assert_array_equal(link.fan_out(), np.count_nonzero(full, axis=0))
    np.testing.assert_array_equal(link.fan_out_nonzero(), np.count_nonzero(matrix, axis=0))
    bound = np.abs(matrix).sum(axis=1) * 3.0
    np.testing.assert_allclose(largest_sums(link, 3.0), bound, rtol=1e-12)


@given(linear_maps(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_apply_is_the_matrix(link: LinearMap, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(3, link.n_in))
    np.testing.assert_allclose(link.apply(x), x @ link.dense().T, rtol=0, atol=1e-11)


def counting_net(
    rng: np.random.Generator, link: LinearMap, bits: int, second: LinearMap | None
) -> FixedPointNetwork:
    """An input, a map, neurons, and a second map to others: sources of either order in memory."""
    threshold = MODELS["threshold"]

    def layer(name: str, n: int) -> Layer:
        values = rng.integers(-20, 20, n).astype(np.int32)
        return Layer(name, threshold, (n,), {"threshold": values}, {"s": 1.0})

    layers = [layer("a", link.n_out)]
    synapses = [Synapse("in->a", "in", "", "a", ("a",), link, 0, 0, 1)]
    if second is not None:
        layers.append(layer("b", second.n_out))
        synapses.append(Synapse("a->b", "a", "s", "b", ("a",), second, 0, 1, 1))
    return FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=(InputFormat("in", (link.n_in,), bits, False, 1.0),),
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=(OutputNode("out", layers[-1].name, "s"),),
    )


@given(linear_maps(integer=True), st.sampled_from([1, 8]), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_engine_counts_what_the_spikes_met(link: LinearMap, bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    back = link
    if isinstance(link, Convolution):
        channels, rows, columns = link.output_shape
        taps = rng.integers(-3, 4, (2, channels, min(2, rows), 1)).astype(np.int8)
        back = Convolution(taps, (channels, rows, columns), (1, 2), ((1, 0), (0, 1)))
    elif isinstance(link, Dense):
        back = OneToOne(rng.integers(-2, 3, link.n_out).astype(np.int8))
    net = counting_net(rng, link, bits, back if back.n_in == link.n_out else None)
    x = rng.integers(0, 1 << bits, (2, 6, link.n_in)) * (rng.random((2, 6, link.n_in)) < 0.4)
    run = net.run(x, threads=1)
    sent = {"in": x, **{name: run.spikes[name] for name in run.spikes}}
    for synapse, counted in zip(net.synapses, run.activity.synapses, strict=True):
        assert counted.name == synapse.name
        arrived = sent[synapse.source][:, : 6 - synapse.delay] != 0
        matrix = synapse.map.dense()
        full = with_weight(synapse.map, np.ones_like(synapse.map.weight)).dense()
        met = arrived @ np.count_nonzero(full, axis=0)
        nonzero = arrived @ np.count_nonzero(matrix, axis=0)
        np.testing.assert_array_equal(counted.messages_in, arrived.sum(axis=(1, 2)))
        np.testing.assert_array_equal(counted.synops, met.sum(axis=1))
        np.testing.assert_array_equal(counted.synops_nonzero, nonzero.sum(axis=1))
        assert counted.weights_nonzero == np.count_nonzero(synapse.map.weight)


def test_same_weights_elsewhere_is_another_map_of_the_same_geometry() -> None:
    rng = np.random.default_rng(0)
    link = Convolution(
        rng.normal(size=(4, 2, 3, 2)), (4, 6, 5), (2, 1), ((1, 0), (0, 2)), (1, 2), 2
    )
    other = with_weight(link, link.weight * 2)
    assert replace(other, weight=link.weight).output_shape == link.output_shape
    np.testing.assert_array_equal(other.dense(), 2 * link.dense())


@pytest.mark.parametrize("axis", [0, 1])
def test_hits_is_where_a_tap_lets_an_input_arrive(axis: int) -> None:
    link = Convolution(np.ones((1, 1, 2, 3)), (1, 5, 7), (2, 3), ((1, 0), (2, 1)), (2, 1))
    expected = np.full((link.input_shape[1 + axis], link.weight.shape[2 + axis]), -1)
    for output in range(link.output_shape[1 + axis]):
        for tap in range(expected.shape[1]):
            start = output * link.stride[axis] - link.padding[axis][0]
            at = start + tap * link.dilation[axis]
            if 0 <= at < len(expected):
                expected[at, tap] = output
    np.testing.assert_array_equal(link.hits(axis), expected)
