"""Placement of demands: every neuron once, nothing above a limit in silence, the best there is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn2hw.errors import TargetError
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.placement import Demand, Placement, place_demands
from snn2hw.targets.spinnaker2.spec import spinnaker2

DATA, STACK = 98_304, 4_096
ROOM = DATA - STACK


def demand(layer: str = "a", neurons: int = 10, **changes: object) -> Demand:
    """Ten neurons of 1,000 bytes, 500 bytes a part."""
    made = Demand(layer, neurons, {"weights": 1000}, {"packet FIFO": 500}, 7.0, 11.0, 1.0, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def chip(**figures: float) -> TargetSpec:
    """SpiNNaker2 with other figures."""
    spec = spinnaker2()
    changed = {name: replace(spec[name], value=value) for name, value in figures.items()}
    return replace(spec, figures={**spec.figures, **changed})


@st.composite
def demands(draw: st.DrawFn, most: int = 60, spread: bool | None = None) -> list[Demand]:
    sizes = st.integers(0, 30_000)
    return [
        Demand(
            layer=f"layer{k}",
            neurons=draw(st.integers(1, most)),
            per_neuron={"weights": draw(sizes), "states": draw(st.integers(0, 12))},
            per_part={"tables": draw(sizes)},
            cycles_per_neuron=draw(st.integers(0, 100)),
            cycles_per_part=draw(st.integers(0, 100)),
            packets_per_neuron=draw(st.sampled_from((0, 1, 2))),
            spread=draw(st.booleans()) if spread is None else spread,
            block=draw(st.integers(1, 7)),
            per_block={"weights": draw(st.integers(0, 5_000))},
        )
        for k in range(draw(st.integers(1, 4)))
    ]


def bytes_by_neuron(placed: Placement) -> dict[int, int]:
    """Bytes of each PE, counted neuron by neuron."""
    held: dict[int, int] = {}
    for layer in placed.demands:
        seen: set[tuple[int, int]] = set()
        for part in placed.parts:
            if part.layer != layer.layer:
                continue
            size = held.get(part.pe, STACK) + sum(layer.per_part.values())
            for neuron in range(part.first, part.last):
                size += sum(layer.per_neuron.values())
                if (part.pe, neuron // layer.block) not in seen:
                    seen.add((part.pe, neuron // layer.block))
                    size += sum(layer.per_block.values())
            held[part.pe] = size
    return held


def fullest(placed: Placement) -> int:
    return max(core.bytes for core in placed.cores)


@settings(max_examples=150, deadline=None)
@given(demands(), st.none() | st.integers(1, 160), st.booleans())
def test_every_neuron_once_and_every_byte_counted(
    wanted: list[Demand], pes: int | None, balance: bool
) -> None:
    placed = place_demands(wanted, spinnaker2(), pes, balance=balance)
    for layer in wanted:
        parts = [part for part in placed.parts if part.layer == layer.layer]
        assert parts[0].first == 0
        assert parts[-1].last == layer.neurons
        assert all(a.last == b.first for a, b in pairwise(parts))
        assert all(part.first < part.last for part in parts)
        assert len({part.pe for part in parts}) == len(parts)
    assert [p.layer for p in placed.parts] == sorted(p.layer for p in placed.parts)
    assert all(0 <= part.pe < placed.pes for part in placed.parts)
    counted = bytes_by_neuron(placed)
    assert {core.pe: core.bytes for core in placed.cores} == counted
    assert placed.total_bytes == sum(counted.values()) == sum(placed.totals.values())
    for core in placed.cores:
        assert placed.bytes_of(core.pe) == dict(core.purposes)
    if max(counted.values()) > DATA or len(counted) > 148:
        assert not placed.ok
    else:
        assert placed.ok
    if pes is not None:
        assert placed.pes == pes


@settings(max_examples=100, deadline=None)
@given(demands(), st.booleans(), st.integers(1, 12), st.integers(1, 12))
def test_more_pes_never_fill_the_fullest_more(
    wanted: list[Demand], balance: bool, pes: int, more: int
) -> None:
    """With what is spread, in equal blocks of one neuron, and what is balanced."""
    wanted = [replace(d, spread=d.spread or not balance, block=1) for d in wanted]
    few = place_demands(wanted, spinnaker2(), pes, balance=balance)
    many = place_demands(wanted, spinnaker2(), pes + more, balance=balance)
    assert fullest(many) <= fullest(few)


@settings(max_examples=60, deadline=None)
@given(demands(most=7, spread=False), st.integers(1, 5))
def test_balanced_layers_are_cut_as_well_as_can_be(wanted: list[Demand], pes: int) -> None:
    """Against all ways to cut the line of neurons, tried one by one."""
    line = [(k, i) for k, layer in enumerate(wanted) for i in range(layer.neurons)]

    @cache
    def cost(first: int, last: int) -> int:
        total = 0
        for k, layer in enumerate(wanted):
            held = [i for which, i in line[first:last] if which == k]
            total += len(held) * sum(layer.per_neuron.values())
            total += len({i // layer.block for i in held}) * sum(layer.per_block.values())
            total += bool(held) * sum(layer.per_part.values())
        return total

    @cache
    def best(first: int, left: int) -> float:
        if first == len(line):
            return 0
        if left == 0:
            return inf
        cuts = range(first + 1, len(line) + 1)
        return min(max(cost(first, cut), best(cut, left - 1)) for cut in cuts)

    placed = place_demands(wanted, spinnaker2(), pes, balance=True)
    assert fullest(placed) - STACK == best(0, pes)


@settings(max_examples=60, deadline=None)
@given(demands(), st.booleans())
def test_without_a_number_the_fewest_that_fit(wanted: list[Demand], balance: bool) -> None:
    wanted = [replace(layer, block=1) for layer in wanted]
    placed = place_demands(wanted, spinnaker2(), balance=balance)
    if placed.ok and placed.pes > 1:
        assert not place_demands(wanted, spinnaker2(), placed.pes - 1, balance=balance).ok
    if placed.ok:
        assert place_demands(wanted, spinnaker2(), placed.pes, balance=balance).ok


def test_spread_layers_go_over_all_and_the_others_to_the_emptiest() -> None:
    wanted = [demand("hidden", 120, spread=True), demand("out", 12)]
    placed = place_demands(wanted, spinnaker2(), 13)
    hidden = [part.neurons for part in placed.parts if part.layer == "hidden"]
    assert hidden == [10] * 3 + [9] * 10
    out = [(p.pe, p.first, p.last) for p in placed.parts if p.layer == "out"]
    assert out == [(3, 0, 12)]
    assert placed.ok
    many = place_demands(wanted, spinnaker2(), 152)
    assert [p.neurons for p in many.parts if p.layer == "hidden"] == [1] * 120
    assert [p.pe for p in many.parts if p.layer == "out"] == [120]
    assert many.ok


def test_pes_that_nothing_is_left_for_cost_nothing() -> None:
    placed = place_demands([demand(neurons=5), demand("b", 4, spread=True)], spinnaker2(), 10**9)
    assert placed.pes == 10**9
    assert [(p.layer, p.pe, p.neurons) for p in placed.parts] == [
        ("a", 4, 5), ("b", 0, 1), ("b", 1, 1), ("b", 2, 1), ("b", 3, 1),
    ]  # fmt: skip


def test_others_go_on_as_few_as_they_fit() -> None:
    # 94,208 bytes: 93 neurons of 1,000 and 500 for the part.
    placed = place_demands([demand(neurons=100)], spinnaker2(), 50)
    assert [(p.pe, p.first, p.last) for p in placed.parts] == [(0, 0, 93), (1, 93, 100)]
    balanced = place_demands([demand(neurons=100)], spinnaker2(), 50, balance=True)
    assert [p.neurons for p in balanced.parts] == [2] * 50


@pytest.mark.parametrize(("part", "pes"), [(0, 1), (1, 2)])
def test_the_last_byte_counts(part: int, pes: int) -> None:
    halves = demand(neurons=2, per_neuron={"weights": ROOM // 2}, per_part={"tables": part})
    placed = place_demands([halves], spinnaker2())
    assert placed.ok
    assert placed.pes == pes


def test_bytes_packets_cycles_and_time_by_hand() -> None:
    wanted = [demand("a", 4, packets_per_neuron=2.0), demand("b", 3, per_neuron={"states": 8})]
    placed = place_demands(wanted, spinnaker2(), 1, dt_s=1e-5, entering={"in": 9})
    assert placed.bytes_of(0) == {
        "stack and heap": 4096, "weights": 4000, "states": 24, "packet FIFO": 1000,
    }  # fmt: skip
    assert placed.bytes_of(1) == {}
    assert placed.packets == 2 * 4 + 3
    # Waking up 1,000; 7 a neuron; 11 a part.
    assert placed.cores[0].cycles == {"worst case": 1000 + 7 * 7 + 2 * 11}
    assert placed.step_s(150e6) == pytest.approx(1071 / 150e6)
    assert [(t.clock_hz, t.holds) for t in placed.timing] == [(150e6, True), (300e6, True)]
    assert placed.router_entries == 3
    assert placed.utilization == {
        "PEs": (1, 148),
        "data bytes of the fullest PE": (9120, 98304),
        "router entries": (3, 16384),
    }
    slow = place_demands(wanted, spinnaker2(), 1, dt_s=5e-6)
    assert [slow.holds(150e6), slow.holds(300e6)] == [False, True]
    assert slow.ok


def test_a_neuron_that_no_pe_holds() -> None:
    placed = place_demands([demand(neurons=2, per_neuron={"weights": 100_000})], spinnaker2())
    assert placed.pes == 2
    first, second = placed.violations
    assert (first.rule, first.node) == ("neuron memory", "a")
    assert first.used == (
        "one neuron of 'a' needs 100,500 bytes, 6,292 over (weights 100,000, packet FIFO 500)"
    )
    assert first.limit == "94,208 bytes of a PE besides stack and heap"
    assert first.hint == "give its neurons fewer inputs"
    assert second.rule == "PE memory"


def test_a_neuron_of_a_spread_layer_that_no_pe_holds() -> None:
    huge = demand(neurons=200, per_neuron={"weights": 100_000}, spread=True)
    placed = place_demands([huge], spinnaker2())
    assert placed.pes == 148
    assert [v.rule for v in placed.violations] == ["neuron memory", "PE memory"]


def test_too_few_pes_says_how_many_bytes_over_and_how_many_would_do() -> None:
    placed = place_demands([demand(neurons=200)], spinnaker2(), 2, balance=True)
    (violation,) = placed.violations
    assert (violation.rule, violation.node) == ("PE memory", "a")
    assert violation.used == (
        "PE 0 holds 104,596 bytes, 6,292 over, most of them for 'a' (weights 100,000, stack and "
        "heap 4,096, packet FIFO 500), and 1 more PE is too full"
    )
    assert violation.limit == "98,304 bytes of data memory"
    assert violation.hint == "give at least 3 PEs"
    assert place_demands([demand(neurons=200)], spinnaker2(), 3, balance=True).ok


def test_more_than_the_chip() -> None:
    placed = place_demands([demand(neurons=300, per_neuron={"weights": 60_000})], spinnaker2())
    assert placed.pes == 300
    (violation,) = placed.violations
    assert (violation.rule, violation.node) == ("PEs", "a")
    assert violation.used == (
        f"300 PEs, 152 over, which hold {152 * 64_596:,} bytes; the largest layer 'a' takes "
        "18,000,500 bytes"
    )
    assert violation.hint == "make 'a' smaller, or use more chips"


def test_more_pes_asked_for_than_there_are() -> None:
    placed = place_demands([demand(neurons=200, spread=True)], spinnaker2(), 152)
    (violation,) = placed.violations
    assert violation.rule == "PEs"
    assert violation.hint == "give 3 to 148 PEs"


def test_router_entries() -> None:
    spec = chip(router_entries=9)
    wanted = [demand(neurons=9), demand("silent", packets_per_neuron=0.0)]
    assert place_demands(wanted, spec, 19, balance=True).ok
    placed = place_demands(wanted, spec, 19, balance=True, entering={"in": 3})
    (violation,) = placed.violations
    assert (violation.rule, violation.limit) == ("router entries", "9 multicast entries")
    assert violation.used == "10 inputs and parts that send, 1 over"


@pytest.mark.parametrize(
    ("wanted", "pes", "message"),
    [
        ([], None, "there is nothing to place"),
        ([demand(), demand()], None, "layer 'a' is there twice"),
        ([demand(neurons=0)], None, "layer 'a' has no neurons; leave it out"),
        ([demand(per_neuron={"weights": -1})], None, "layer 'a' demands -1; give 0 or more"),
        ([demand(cycles_per_part=-2.0)], None, r"layer 'a' demands -2\.0; give 0 or more"),
        ([demand(block=0)], None, "layer 'a' has blocks of 0; give 1 or more"),
        ([demand()], 0, "0 PEs hold nothing; give a whole number from 1"),
        ([demand()], 2.5, "2.5 PEs hold nothing"),
        ([demand()], True, "True PEs hold nothing"),
    ],
)
def test_demands_that_make_no_sense(wanted: list[Demand], pes: int | None, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        place_demands(wanted, spinnaker2(), pes)
