"""How layers are cut into parts: over all PEs evenly, or one after the other, as full as allowed.

Layers that follow each other form a line of neurons; a PE takes from it as long as its bytes stay
under a cap. A longer stretch of the line never costs less, so that a higher cap or more PEs never
get less far: the fewest PEs and the lowest cap are found by bisection, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

Stretch: TypeAlias = tuple[int, int, int, int]
"""(number of the demand, PE, first neuron, last neuron + 1)."""


class Demanding(Protocol):
    """What of a ``placement.Demand`` the cutting needs."""

    @property
    def neurons(self) -> int:
        """How many neurons the layer has."""

    @property
    def spread(self) -> bool:
        """Whether the layer is divided over all PEs."""

    def bytes(self, first: int, last: int) -> int:
        """Bytes of a part of these neurons."""


def fewest(demands: Sequence[Demanding], room: int) -> int | None:
    """The fewest PEs of ``room`` bytes that hold the demands; None where no number does.

    A neuron of a layer that is not spread and that is too large for an empty PE counts as filling
    one.
    """
    if not any(demand.spread for demand in demands):
        return 1 + max(pe for _, pe, _, _ in _line(demands, [], None, room))
    most = max(demand.neurons for demand in demands if demand.spread)
    most += sum(demand.neurons for demand in demands if not demand.spread)

    def fits(pes: int) -> bool:
        return _fits(demands, pes, room)

    return first_true(fits, 1, most) if fits(most) else None


def split(demands: Sequence[Demanding], pes: int, room: int, balance: bool) -> list[Stretch]:
    """Parts in order of demands and neurons; see ``placement.place_demands``."""
    cap = room
    if balance or not _fits(demands, pes, room):
        total = sum(demand.bytes(0, demand.neurons) for demand in demands)
        cap = first_true(lambda cap: _fits(demands, pes, cap), 0, total)
    spread = list(_spread(demands, pes))
    return sorted([*spread, *_line(demands, _loads(demands, pes), pes, cap)], key=_in_order)


def first_true(is_true: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number from ``low`` on for which ``is_true`` holds, as it does for ``high``."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_true(middle) else (middle + 1, high)
    return low


def _in_order(stretch: Stretch) -> tuple[int, int]:
    return stretch[0], stretch[2]


def _spread(demands: Sequence[Demanding], pes: int) -> Iterator[Stretch]:
    for k, demand in enumerate(demands):
        if demand.spread:
            each, left = divmod(demand.neurons, pes)
            first = 0
            for pe in range(min(pes, demand.neurons)):
                last = first + each + (pe < left)
                yield k, pe, first, last
                first = last


def _loads(demands: Sequence[Demanding], pes: int) -> list[int]:
    """Bytes that the spread layers take of each PE."""
    loads = [0] * pes
    for k, pe, first, last in _spread(demands, pes):
        loads[pe] += demands[k].bytes(first, last)
    return loads


def _fits(demands: Sequence[Demanding], pes: int, cap: int) -> bool:
    loads = _loads(demands, pes)
    placed = sum(last - first for _, _, first, last in _line(demands, loads, pes, cap))
    wanted = sum(demand.neurons for demand in demands if not demand.spread)
    return placed == wanted and max(loads) <= cap


def _line(
    demands: Sequence[Demanding], loads: Sequence[int], pes: int | None, cap: int
) -> Iterator[Stretch]:
    """The layers that are not spread, one after the other; ends where ``pes`` PEs are full.

    loads: bytes that PEs hold already; pes None: as many PEs as it takes.
    """
    order = sorted(range(len(loads)), key=lambda pe: (loads[pe], pe))
    at, used = 0, loads[order[0]] if order else 0
    for k, demand in enumerate(demands):
        first = demand.neurons if demand.spread else 0
        while first < demand.neurons:
            if pes is not None and at >= pes:
                return
            last = _reach(demand, first, cap - used)
            if last == first and used == 0:
                # Too large for any PE: it has one to itself, and is reported.
                last = first + 1
            if last > first:
                yield k, order[at] if order else at, first, last
                used += demand.bytes(first, last)
                first = last
            if first < demand.neurons:
                at += 1
                used = loads[order[at]] if at < len(order) else 0


def _reach(demand: Demanding, first: int, left: int) -> int:
    """The last neuron + 1 of the longest part from ``first`` on that takes up to ``left`` bytes."""

    def too_far(last: int) -> bool:
        return last > demand.neurons or demand.bytes(first, last) > left

    return first_true(too_far, first + 1, demand.neurons + 1) - 1
