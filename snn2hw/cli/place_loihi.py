"""``snn2hw place`` for Loihi: cores by layer, what is scarce, messages over the mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from snn2hw.cli.common import table

if TYPE_CHECKING:
    from snn2hw.targets.loihi.placement import LoihiPlacement


def answer(placed: LoihiPlacement) -> dict[str, Any]:
    """A placement as a program reads it."""
    return {
        "ok": placed.ok,
        "target": placed.spec.name,
        "utilization": {
            what: {"used": used, "limit": limit}
            for what, (used, limit) in placed.utilization.items()
        },
        "layers": {layer: len(placed.of(layer)) for layer in placed.layers},
        "messages": dict(placed.sent),
        "hops": [
            {"source": source, "target": target, "case": case} | asdict(hops)
            for case, by_pair in placed.hops_by_case.items()
            for (source, target), hops in by_pair.items()
        ],
        "links": [asdict(link) for link in placed.links],
        "cores": [
            {
                "core": core.core,
                "router": core.router,
                "layer": core.part.layer,
                "channels": core.part.channels,
                "rows": core.part.rows,
                "columns": core.part.columns,
                "neurons": core.part.neurons,
                "used": dict(core.used),
            }
            for core in placed.cores
        ],
        "violations": [asdict(violation) for violation in placed.violations],
        "notes": list(placed.notes),
    }


def lines(placed: LoihiPlacement, name: str) -> Iterator[str]:
    """A placement as a person reads it."""
    limits = placed.limits
    rows = []
    for layer in placed.layers:
        cores = placed.of(layer)
        row = [layer, f"{len(cores):,}", _span(cores[0].core, cores[-1].core)]
        row += [f"{max(core.used[what] for core in cores):,}" for what in limits]
        rows.append([*row, f"{max(map(placed.fill, cores)):.1%}"])
    rows.append(["limit", f"{placed.utilization['cores'][1]:,}", ""])
    rows[-1] += [*(f"{limit:,}" for limit in limits.values()), ""]
    yield table(("layer", "cores", "numbers", *limits, "fullest"), rows)
    yield ""
    cases = placed.cases
    head = ["from", "to", *(f"{what}, {case}" for case in cases for what in _HOPS)]
    rows = []
    for pair in placed.hops:
        row = list(pair)
        for case in cases:
            hops = placed.hops_by_case[case][pair]
            row += [f"{x:.3g}" for x in (hops.copies, hops.east_west, hops.north_south)]
        rows.append(row)
    yield table(head, rows, left=2)
    yield "copies of one message, and hops of all its copies east or west, north or south"
    yield ""
    for case in cases:
        busiest = placed.busiest(case)
        words = f"messages a step between cores, {case}: {placed.sent[case]:,.6g}"
        if busiest is not None:
            words += (
                f"; busiest link {busiest.start} to {busiest.end}: {busiest.messages(case):,.6g}"
            )
        yield words
    for note in placed.notes:
        yield f"note: {note}"
    for v in placed.violations:
        yield f"{v.rule}: {v.used} (limit: {v.limit}); {v.hint}"
    used, limit = placed.utilization["cores"]
    verdict = "fits" if placed.ok else "does not fit"
    yield f"{name}: {verdict} on {placed.spec.name}, {used} of {limit} cores"


_HOPS = ("copies", "hops E-W", "hops N-S")


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"
