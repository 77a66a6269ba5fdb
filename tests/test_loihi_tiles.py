"""Layers cut into parts: every neuron once, no core too full, as few as the rules allow."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_strategies import linear_maps
from loihi_chips import chip, lif, net, tiny, weights

import snn2hw
from snn2hw.linear import Convolution, Dense, OneToOne
from snn2hw.targets.loihi.placement import LoihiPlacement
from snn2hw.targets.loihi.tiles import Part, boxes, cut_image, cut_row

small = st.integers(1, 9)


def numbers(part: Part) -> list[int]:
    """One by one."""
    (c, cc), (r, rr), (w, ww) = part.channels, part.rows, part.columns
    _, rows, columns = part.grid
    return [
        (i * rows + j) * columns + k
        for i in range(c, cc)
        for j in range(r, rr)
        for k in range(w, ww)
    ]


@given(st.tuples(small, small, small), st.tuples(small, small, small))
def test_boxes_hold_every_neuron_once(
    grid: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    parts = boxes("a", grid, size)
    held = [number for part in parts for number in numbers(part)]
    assert sorted(held) == list(range(grid[0] * grid[1] * grid[2]))
    for k, part in enumerate(parts):
        assert part.core == k
        assert part.numbers().tolist() == numbers(part)
        assert part.neurons == len(numbers(part))
        assert all(a <= b for a, b in zip(part.shape, size, strict=True))


def limit(neurons: int) -> Callable[[tuple[int, int, int]], float]:
    return lambda size: size[0] * size[1] * size[2] / neurons


@settings(max_examples=60, deadline=None)
@given(st.tuples(small, small, st.integers(1, 20)), st.integers(1, 200), st.booleans())
def test_no_allowed_box_needs_fewer_cores(
    grid: tuple[int, int, int], neurons: int, power: bool
) -> None:
    size = cut_image(grid, power, limit(neurons))
    assert limit(neurons)(size) <= 1

    def halves(whole: int) -> list[int]:
        found = [whole]
        while found[-1] > 1:
            found.append(-(-found[-1] // 2))
        return found

    columns = [1, 2, 4, 8, 16, 32] if power else list(range(1, grid[2] + 1))
    assert size[2] in columns
    fits = [
        (ceil(grid[0] / c), ceil(grid[1] / r) * ceil(grid[2] / w))
        for c in halves(grid[0])
        for r in halves(grid[1])
        for w in columns
        if c * r * w <= neurons
    ]
    needed = ceil(grid[0] / size[0]), ceil(grid[1] / size[1]) * ceil(grid[2] / size[2])
    assert needed == min(fits)


IMAGES = [
    # channels, rows, columns -> cores
    ((3, 66, 200), 13), ((24, 32, 99), 25), ((36, 15, 49), 13), ((48, 7, 24), 3),
    ((64, 4, 22), 3), ((64, 2, 20), 2),
    # yolo_kp's, where kernels leave room for all channels
    ((16, 224, 224), 224), ((32, 112, 112), 112), ((64, 56, 56), 56), ((128, 28, 28), 28),
    ((48, 14, 14), 4),
]  # fmt: skip


@pytest.mark.parametrize(("grid", "cores"), IMAGES)
def test_images_as_intels_compiler_cuts_them(grid: tuple[int, int, int], cores: int) -> None:
    """Parts of up to 4,095 neurons; as many cores as printed in lava-dl's notebooks."""
    assert len(boxes("a", grid, cut_image(grid, True, limit(4095)))) == cores


def words(n: int) -> float:
    """PilotNet's fc-0: 2,560 axons, weights of 3 bits, 12,000 words."""
    return 2560 * ceil((15 * n + 10 * ceil(n / 64)) / 64) / 12000


def test_a_matrix_as_intels_compiler_cuts_it() -> None:
    """61,440 words: 6 parts; 12,800 words: twice as many."""
    assert cut_row(100, words) == 9
    assert [part.neurons for part in boxes("fc-0", (1, 1, 100), (1, 1, 9))] == [9] * 11 + [1]


@given(st.integers(1, 500), st.integers(1, 100))
def test_rows_end_where_they_fit_or_cannot(n: int, most: int) -> None:
    assert cut_row(n, lambda size: size / most) <= most
    # What every part needs, whatever its size, is not divided away.
    assert cut_row(n, lambda _: 2.0) >= n // 2


@settings(max_examples=80, deadline=None)
@given(linear_maps(integer=True), st.integers(1, 30), st.sampled_from(["loihi1", "loihi2"]))
def test_every_neuron_is_on_one_core_that_it_fits(link, neurons: int, name: str) -> None:
    layer = lif("a", (link.n_out,))
    made = net((link.n_in,), [layer], [("in", "a", link)])
    placed = snn2hw.place(made, name, spec=tiny(name, neurons))
    assert sorted(n for part in placed.parts for n in numbers(part)) == list(range(link.n_out))
    assert all(core.used["neurons"] <= neurons for core in placed.cores)
    assert placed.ok == (len(placed.cores) <= placed.utilization["cores"][1])
    assert [core.core for core in placed.cores] == list(range(len(placed.cores)))
    assert placed.totals["neurons"] == link.n_out


def by_hand(name: str) -> LoihiPlacement:
    """3 x 5 x 6 inputs, an image of 4 channels, 40 neurons that hear it, and a copy of it."""
    layers = [lif("a", (40,)), lif("b", (4, 5, 6)), lif("c", (4, 5, 6))]
    kernels = Convolution(weights(4, 3, 1, 1), (3, 5, 6))
    maps = [
        ("in", "b", kernels),
        ("b", "a", Dense(weights(40, 120))),
        ("b", "c", OneToOne(np.full(120, 2, dtype=np.int8))),
    ]
    return snn2hw.place(net((90,), layers, maps), name)


def test_words_axons_and_memory_by_hand() -> None:
    placed = by_hand("loihi2")
    assert placed.ok
    a, b, c = placed.cores
    # 120 axons of 40 weights with indices, 8 and 12 bits, and a header: 810 bits are 13 words.
    assert a.used["synapse words"] == 120 * 13
    assert a.used["axons in"] == 120
    # Nobody hears a; it is no output either.
    assert a.used["axons out"] == 0
    assert a.used["core words"] == 120 * 13 + ceil((40 * 48 + 120 * 48) / 64)
    # Three input channels, a list of 4 weights each.
    assert b.used["synapse words"] == 3
    assert b.used["axons in"] == 1
    # Two layers hear b, one of them neuron by neuron.
    assert b.used["axons out"] == 120
    assert b.used["core words"] == 3 + ceil((120 * 48 + 121 * 48) / 64)
    assert (c.used["synapse words"], c.used["axons in"], c.used["axons out"]) == (1, 1, 120)


def test_loihi1_counts_an_axon_for_each_neuron_and_core() -> None:
    a, b, c = by_hand("loihi1").cores
    assert a.used["synapse words"] == 120 * ceil((40 * 8 + 10) / 64)
    assert b.used["axons out"] == 240
    assert c.used["axons out"] == 0
    assert b.used["core words"] == b.used["synapse words"]


def test_axons_that_leave_cut_their_layer_again() -> None:
    """20 neurons that 5 cores hear: 100 axons, 4 neurons a core for 20 of them."""
    layers = [lif("a", (20,)), lif("b", (25,))]
    maps = [("in", "a", Dense(weights(20, 3))), ("a", "b", Dense(weights(25, 20)))]
    free = snn2hw.place(net((3,), layers, maps), "loihi1", spec=tiny(neurons=5))
    assert [len(free.of(name)) for name in "ab"] == [4, 5]
    tight = snn2hw.place(net((3,), layers, maps), "loihi1", spec=tiny(neurons=5, axons_out=20))
    assert [len(tight.of(name)) for name in "ab"] == [5, 5]
    assert tight.ok


def test_kernels_that_do_not_fit_cut_the_channels() -> None:
    link = Convolution(weights(64, 8, 3, 3), (8, 6, 6))
    made = net((8, 6, 6), [lif("a", (64, 4, 4))], [("in", "a", link)])
    whole = snn2hw.place(made, "loihi2")
    assert [core.part.shape for core in whole.cores] == [(64, 4, 4)]
    # 72 lists of 64 weights of 8 bits: 9 words; of 32: 5; of 16: 3.
    assert whole.cores[0].used["synapse words"] == 72 * 9
    cut = snn2hw.place(made, "loihi2", spec=chip(synapse_words=72 * 5 - 1))
    assert [core.part.shape for core in cut.cores] == [(16, 4, 4)] * 4
    assert cut.cores[0].used["synapse words"] == 72 * 3
    assert cut.ok
