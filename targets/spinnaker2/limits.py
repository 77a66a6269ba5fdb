"""What of a placement does not fit: one small function a rule, each giving violations in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from snn2hw.passes.check import Violation

if TYPE_CHECKING:
    from snn2hw.targets.spinnaker2.placement import Core, Placement

SMALLER: Mapping[str, str] = {
    "weights": "give its neurons fewer inputs",
    "delay buffers": "shorten its delays",
    "packet FIFO": "let it hear fewer sources",
}
"""Purpose that takes most -> what to do about it; other purposes grow with the layer."""


def violations(placed: Placement, fewest: int | None) -> tuple[Violation, ...]:
    """All that does not fit. fewest: the number of PEs that would do, None where none does."""
    rules: tuple[Callable[[Placement, int | None], list[Violation]], ...] = (
        _too_large_neurons,
        _too_full,
        _too_many_pes,
        _too_many_entries,
    )
    return tuple(violation for rule in rules for violation in rule(placed, fewest))


def _largest(purposes: Mapping[str, int]) -> str:
    """The purposes that take most, in words."""
    rows = sorted(purposes.items(), key=lambda row: -row[1])
    return ", ".join(f"{purpose} {count:,}" for purpose, count in rows[:3] if count)


def _too_large_neurons(placed: Placement, _: int | None) -> list[Violation]:
    """A layer of which a PE cannot hold a single neuron."""
    room = placed.limit - placed.spec.integer("pe_stack_heap_bytes")
    found = []
    for demand in placed.demands:
        needs = demand.bytes(0, 1)
        if needs > room:
            purposes = demand.purposes(0, 1)
            most = max(purposes, key=lambda purpose: purposes[purpose])
            used = f"one neuron of {demand.layer!r} needs {needs:,} bytes, {needs - room:,} over"
            limit = f"{room:,} bytes of a PE besides stack and heap"
            hint = SMALLER.get(most, "make it smaller")
            used += f" ({_largest(purposes)})"
            found.append(Violation("neuron memory", demand.layer, used, limit, hint))
    return found


def _too_full(placed: Placement, fewest: int | None) -> list[Violation]:
    """PEs above the limit: for each layer that takes most of one, the fullest."""
    demands = {demand.layer: demand for demand in placed.demands}
    full: dict[str, list[Core]] = {}
    for core in placed.cores:
        if core.bytes > placed.limit:
            heaviest = max(core.parts, key=lambda p: demands[p.layer].bytes(p.first, p.last))
            full.setdefault(heaviest.layer, []).append(core)
    found = []
    for layer, cores in full.items():
        worst = max(cores, key=lambda core: core.bytes)
        more = fewest is not None and fewest > placed.pes
        hint = f"give at least {fewest} PEs" if more else f"make {layer!r} smaller"
        used = (
            f"PE {worst.pe} holds {worst.bytes:,} bytes, {worst.bytes - placed.limit:,} over, most "
            f"of them for {layer!r} ({_largest(worst.purposes)})"
        )
        if len(cores) > 1:
            others = len(cores) - 1
            used += f", and {others} more PE{'s are' if others > 1 else ' is'} too full"
        limit = f"{placed.limit:,} bytes of data memory"
        found.append(Violation("PE memory", layer, used, limit, hint))
    return found


def _too_many_pes(placed: Placement, fewest: int | None) -> list[Violation]:
    """More PEs than applications may use."""
    used, usable = len(placed.cores), placed.spec.integer("pes_usable")
    if used <= usable:
        return []
    sizes = {d.layer: d.bytes(0, d.neurons) for d in placed.demands}
    layer = max(sizes, key=lambda name: sizes[name])
    over = sum(core.bytes for core in placed.cores[usable:])
    what = (
        f"{used:,} PEs, {used - usable:,} over, which hold {over:,} bytes; the largest layer "
        f"{layer!r} takes {sizes[layer]:,} bytes"
    )
    hint = f"make {layer!r} smaller, or use more chips"
    if fewest is not None and fewest <= usable:
        hint = f"give {fewest} to {usable} PEs"
    return [Violation("PEs", layer, what, f"{usable} PEs for applications", hint)]


def _too_many_entries(placed: Placement, _: int | None) -> list[Violation]:
    """More parts that send than the multicast router has entries."""
    used, limit = placed.utilization["router entries"]
    if used <= limit:
        return []
    layer = Counter(part.layer for part in placed.parts).most_common(1)[0][0]
    what = f"{used:,} inputs and parts that send, {used - limit:,} over"
    hint = f"give fewer PEs, or make {layer!r} smaller, which is in most parts"
    return [Violation("router entries", layer, what, f"{limit:,} multicast entries", hint)]
