"""Words of synapses: as Intel's compiler printed them, and by hand."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_strategies import convolutions

from snn2hw.linear import OneToOne
from snn2hw.targets.loihi.memory import Encoding, is_shared, runs, weight_bits
from snn2hw.targets.loihi.spec import loihi

TWO, ONE = Encoding.of(loihi("loihi2")), Encoding.of(loihi("loihi1"))

CONVOLUTIONS = [
    # network and layer, weights' range (halved, as kept), output channels, input channels, words
    ("pilotnet_snn conv-0", (-10, 9), 24, 3, 81),
    ("pilotnet_snn conv-1", (-6, 5), 36, 24, 864),
    ("pilotnet_snn conv-2", (-5, 4), 48, 36, 1620),
    ("pilotnet_snn conv-3", (-4, 4), 64, 48, 2160),
    ("pilotnet_snn conv-4", (-4, 4), 64, 64, 2880),
    ("pilotnet_sdnn conv-0", (-15, 17), 24, 3, 81),
    ("pilotnet_sdnn conv-1", (-11, 10), 36, 24, 864),
    ("pilotnet_sdnn conv-2", (-8, 7), 48, 36, 1620),
    ("pilotnet_sdnn conv-3", (-7, 8), 64, 48, 2592),
    ("pilotnet_sdnn conv-4", (-7, 5), 64, 64, 2880),
]
"""Kernels of 3 x 3; words as printed in lava-dl's notebooks for each core of the layer."""

MATRICES = [
    ("pilotnet_snn fc-0", (-3, 3), 100, 2560, 61440),
    ("pilotnet_snn fc-0, in 6", (-3, 3), 17, 2560, 12800),
    ("pilotnet_snn fc-1", (-7, 5), 50, 100, 1300),
    ("pilotnet_snn fc-2", (-12, 10), 10, 50, 150),
    ("pilotnet_snn fc-3", (-12, 21), 1, 10, 10),
    ("pilotnet_sdnn fc-0", (-5, 6), 100, 2560, 66560),
    ("pilotnet_sdnn fc-1", (-18, 7), 50, 100, 1500),
    ("pilotnet_sdnn fc-2", (-6, 8), 10, 50, 150),
    ("pilotnet_sdnn fc-3", (-6, 5), 1, 10, 10),
    ("oxford 1", (-89, 96), 256, 200, 16200),
]


def bits(low: int, high: int) -> int:
    return weight_bits(np.array([low, high, 1], dtype=np.int8))


@pytest.mark.parametrize(("layer", "span", "outputs", "inputs", "words"), CONVOLUTIONS)
def test_convolutions_of_the_compiler(
    layer: str, span: tuple[int, int], outputs: int, inputs: int, words: int
) -> None:
    assert TWO.runs(outputs, bits(*span)) * inputs * 9 == words


@pytest.mark.parametrize(("layer", "span", "outputs", "inputs", "words"), MATRICES)
def test_matrices_of_the_compiler(
    layer: str, span: tuple[int, int], outputs: int, inputs: int, words: int
) -> None:
    held = np.zeros((outputs, inputs), dtype=np.int8)
    assert TWO.dense(held, bits(*span)) == words


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0, 0], 0), ([1], 2), ([-1], 1), ([0, -1, 1], 2), ([127], 8), ([-128], 1),
        ([-128, 1], 8), ([2, 4, 6], 3), ([-8, 8], 2), ([-8, 4], 2), ([-20, 18], 5), ([64, 96], 3),
    ],
)  # fmt: skip
def test_bits_of_weights(values: list[int], wanted: int) -> None:
    assert weight_bits(np.array(values, dtype=np.int8)) == wanted


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=5))
def test_bits_hold_every_weight_and_one_fewer_do_not(values: list[int]) -> None:
    found = weight_bits(np.array(values, dtype=np.int8))
    common = np.gcd.reduce(values)
    if not any(values):
        assert found == 0
        return
    while common % 2 == 0:
        values, common = [value // 2 for value in values], common // 2
    holds = [all(-(2**n) / 2 <= v < 2**n / 2 for v in values) for n in (found - 1, found)]
    assert holds[1]
    assert found == 1 or not holds[0]


@given(st.integers(0, 1000), st.sampled_from([1, 16, 64]))
def test_runs_are_falling_powers_of_two(channels: int, most: int) -> None:
    found = list(runs(channels, most))
    assert sum(found) == channels
    assert found == sorted(found, reverse=True)
    assert all(run & (run - 1) == 0 and run <= most for run in found)


def test_zeros_are_left_out_where_that_is_smaller() -> None:
    held = np.zeros((100, 4), dtype=np.int8)
    held[:, 0] = 5
    held[:3, 1] = 5
    held[7, 2] = 5
    # Full: 100 weights of 8 bits and 2 headers; 3 and 1 with indices of 10 bits; none.
    assert ONE.dense(held, 8) == ceil((800 + 20) / 64) + ceil((3 * 18 + 10) / 64) + 1 + 0
    assert TWO.dense(held, 8) == 4 * ceil((100 * 20 + 20) / 64)


@settings(max_examples=60, deadline=None)
@given(convolutions(integer=True), st.data())
def test_kernels_channel_by_channel(link, draw: st.DataObject) -> None:
    """Any stretch of output channels: each group's own part, each input channel and tap a list."""
    outputs = link.weight.shape[0]
    first = draw.draw(st.integers(0, outputs - 1))
    last = draw.draw(st.integers(first + 1, outputs))
    each = outputs // link.groups
    words = 0
    for group in range(link.groups):
        held = [c for c in range(first, last) if c // each == group]
        lists = link.weight.shape[1] * link.weight.shape[2] * link.weight.shape[3]
        left = len(held)
        while left:
            run = 1
            while 2 * run <= min(left, 64):
                run *= 2
            words += lists * ceil((run * 5 + 10) / 64)
            left -= run
    assert TWO.convolution(link, first, last, 5) == words


def test_equal_one_to_one_weights_are_shared() -> None:
    assert is_shared(OneToOne(np.full(4, 3, dtype=np.int8)))
    assert not is_shared(OneToOne(np.array([3, 3, 4], dtype=np.int8)))
