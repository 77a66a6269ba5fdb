"""A picture of a placement: the QuadPEs of the chip, each PE coloured by how full it is (SVG).

PEs stand in the order of their numbers; where each lies on the die is not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from textwrap import wrap

from snn2hw.files import atomic
from snn2hw.targets.spinnaker2.placement import Core, Placement
from snn2hw.targets.svg import EMPTY, OVER, document, layer_colours, safe, shade, short_labels, text

COLUMNS = 10
"""QuadPEs side by side."""

CELL_W, CELL_H, GAP, MARGIN, TOP = 50, 38, 12, 28, 92
STRIP, LINE = 5, 150
QUAD = 2
"""PEs along a side of a QuadPE."""

BEYOND_MOST = 160
"""PEs beyond the chip that are drawn; the others are only counted."""


def write_picture(path: str | Path, placed: Placement, name: str = "") -> None:
    """Write the picture of a placement as SVG. Raises DataError where that cannot be."""
    text = picture(placed, name)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def picture(placed: Placement, name: str = "") -> str:
    """The picture as SVG text. name: of the network, for the title."""
    on_chip = placed.spec.integer("pes")
    last = max(core.pe for core in placed.cores) + 1
    beyond = min(max(last - on_chip, 0), BEYOND_MOST)
    width = 2 * MARGIN + COLUMNS * (QUAD * CELL_W + GAP) - GAP
    body, bottom = _header(placed, name)
    for first, count in ((0, on_chip), (on_chip, beyond)):
        if count:
            if first:
                bottom += 22
                more = last - on_chip - beyond
                words = "Beyond the chip: these PEs are not there"
                words += f" (and {more:,} more, not drawn)" if more else ""
                body.append(text(MARGIN, bottom - 8, words, "bad"))
            body += _grid(placed, first, count, bottom)
            rows = ceil(ceil(count / QUAD**2) / COLUMNS)
            bottom += rows * (QUAD * CELL_H + GAP)
    legend, height = _legend(placed, bottom + 14, width)
    return document(_title(placed, name), width, height, [*body, *legend])


def _title(placed: Placement, name: str) -> str:
    used, usable = placed.utilization["PEs"]
    return f"{name or 'Network'} on {placed.spec.title}: {used} of {usable} PEs"


def _header(placed: Placement, name: str) -> tuple[list[str], int]:
    """Title, totals and verdict; and where they end."""
    fullest, limit = placed.utilization["data bytes of the fullest PE"]
    totals = (
        f"{placed.total_bytes:,} bytes in all; the fullest PE holds {fullest:,} of {limit:,} bytes "
        "of data memory. Each square of four is a QuadPE, in order of numbers, not of the die."
    )
    if placed.ok:
        at = f"{placed.spec.number('clock_high_hz') / 1e6:g} MHz"
        steps = (f"{t.case} {t.step_s * 1e3:.3g} ms" for t in placed.timing[1::2])
        words = f"Fits. Estimated step at {at}: {', '.join(steps)} (of {placed.dt_s * 1e3:g} ms)."
    else:
        v = placed.violations[0]
        # Without what is in parentheses, which is for the command line.
        words = f"Does not fit: {v.used.split(' (')[0]}; {v.hint}"
    verdict = wrap(words, LINE)
    kind = "soft" if placed.ok else "bad"
    found = [text(MARGIN, 34, _title(placed, name), "title"), text(MARGIN, 56, totals, "soft")]
    found += [text(MARGIN, 76 + 17 * k, line, kind) for k, line in enumerate(verdict)]
    return found, TOP + 17 * (len(verdict) - 1)


def _grid(placed: Placement, first: int, count: int, top: int) -> Iterator[str]:
    cores = {core.pe: core for core in placed.cores}
    colours, labels = layer_colours(_names(placed)), short_labels(_names(placed))
    for quad in range(ceil(count / QUAD**2)):
        x = MARGIN + quad % COLUMNS * (QUAD * CELL_W + GAP)
        y = top + quad // COLUMNS * (QUAD * CELL_H + GAP)
        for k in range(min(QUAD**2, count - quad * QUAD**2)):
            pe = first + quad * QUAD**2 + k
            at = x + k % QUAD * CELL_W, y + k // QUAD * CELL_H
            yield from _cell(placed, pe, cores.get(pe), at, colours, labels)
        yield (
            f'<rect class="quad" x="{x - 2}" y="{y - 2}" width="{QUAD * CELL_W + 3}" '
            f'height="{QUAD * CELL_H + 3}" rx="4"/>'
        )


def _cell(
    placed: Placement,
    pe: int,
    core: Core | None,
    at: tuple[int, int],
    colours: Mapping[str, str],
    labels: Mapping[str, str],
) -> Iterator[str]:
    x, y = at
    share = core.bytes / placed.limit if core is not None else 0.0
    yield f'<g class="pe" data-pe="{pe}"><title>{safe(_details(placed, pe, core))}</title>'
    box = f'x="{x}" y="{y}" width="{CELL_W - 1}" height="{CELL_H - 1}"'
    yield f'<rect {box} fill="{shade(share) if core is not None else EMPTY}"/>'
    middle = x + CELL_W // 2
    if core is None:
        yield text(middle, y + 23, str(pe), "cell soft")
    else:
        ink = "#ffffff" if share > 0.5 else "#1c2126"
        held = _bytes_of(placed, core)
        label, others = labels[max(held, key=lambda layer: held[layer])], len(held) - 1
        kind = "cell several" if others else "cell"
        yield text(middle, y + 18, label + (f"+{others}" if others else ""), kind, ink)
        yield text(middle, y + 31, f"{share:.0%}", "cell", ink)
        left = float(x)
        for layer, size in held.items():
            wide = (CELL_W - 1) * size / max(sum(held.values()), 1)
            yield (
                f'<rect x="{left:.1f}" y="{y}" width="{wide:.1f}" height="{STRIP}" '
                f'fill="{colours[layer]}"/>'
            )
            left += wide
    yield "</g>"


def _bytes_of(placed: Placement, core: Core) -> dict[str, int]:
    """Bytes of a PE by layer."""
    demands = {demand.layer: demand for demand in placed.demands}
    return {part.layer: demands[part.layer].bytes(part.first, part.last) for part in core.parts}


def _details(placed: Placement, pe: int, core: Core | None) -> str:
    """What shows when the pointer rests on a PE."""
    if core is None:
        return f"PE {pe}: empty"
    parts = "; ".join(f"{p.layer} {p.first:,} to {p.last - 1:,}" for p in core.parts)
    purposes = "; ".join(f"{what} {count:,}" for what, count in core.purposes.items())
    return f"PE {pe}: {parts}. {core.bytes:,} of {placed.limit:,} bytes: {purposes}"


def _legend(placed: Placement, top: int, width: int) -> tuple[list[str], int]:
    """What colours mean and which layers there are; and where it ends."""
    steps, size = 50, 4
    found = [text(MARGIN, top + 12, "data memory in use")]
    x = MARGIN + 130
    for k in range(steps):
        fill = shade((k + 0.5) / steps)
        found.append(
            f'<rect x="{x + size * k}" y="{top}" width="{size + 0.5}" height="14" fill="{fill}"/>'
        )
    found += [text(x, top + 29, "0 %", "soft"), text(x + 174, top + 29, "100 %", "soft")]
    x += steps * size + 30
    for fill, words in ((OVER, "over the limit"), (EMPTY, "empty, with its number")):
        found.append(f'<rect x="{x}" y="{top}" width="20" height="14" fill="{fill}"/>')
        found.append(text(x + 28, top + 12, words))
        x += 150
    spare = placed.spec.integer("pes") - placed.spec.integer("pes_usable")
    words = f"{spare} PEs are not left to applications; which ones is not published"
    found.append(text(x + 44, top + 12, words, "soft"))
    top += 54
    across, wide = 2, (width - 2 * MARGIN) // 2
    colours, labels = layer_colours(_names(placed)), short_labels(_names(placed))
    rows = ceil(len(placed.demands) / across)
    for k, demand in enumerate(placed.demands):
        x, y = MARGIN + k // rows * wide, top + k % rows * 20
        parts = [part for part in placed.parts if part.layer == demand.layer]
        name = demand.layer if len(demand.layer) <= 30 else demand.layer[:29] + "…"
        label = labels[demand.layer]
        name = name if label == demand.layer else f"{label} {name}"
        total = sum(demand.bytes(part.first, part.last) for part in parts)
        words = f"{name}: {demand.neurons:,} neuron{'s' * (demand.neurons > 1)} on {len(parts)} "
        words += f"PE{'s' * (len(parts) > 1)}, {total:,} bytes"
        fill = colours[demand.layer]
        found.append(f'<rect x="{x}" y="{y - 10}" width="20" height="{2 * STRIP}" fill="{fill}"/>')
        found.append(text(x + 28, y, words))
    return found, top + rows * 20 + 8


def _names(placed: Placement) -> list[str]:
    return [demand.layer for demand in placed.demands]
