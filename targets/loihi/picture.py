"""A picture of a placement: the mesh of routers with their cores, how full, and the links' load.

Where the routers lie on the die is not published; columns and rows are those of the chip's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, sqrt
from pathlib import Path
from textwrap import wrap

from snn2hw.files import atomic
from snn2hw.targets.loihi.mesh import Mesh, Router
from snn2hw.targets.loihi.placement import MEASURED, WORST, Core, LoihiPlacement
from snn2hw.targets.svg import EMPTY, OVER, document, layer_colours, safe, shade, short_labels, text

CELL_W, CELL_H, GAP, MARGIN, TOP = 46, 34, 30, 28, 92
STRIP, LINE = 5, 150
LINK = "#c8701f"
WIDEST = 7.0
"""Width of the busiest link."""

ROWS_MOST = 12
"""Rows of routers that are drawn; cores below them are only counted."""


def write_picture(path: str | Path, placed: LoihiPlacement, name: str = "") -> None:
    """Write the picture of a placement as SVG. Raises DataError where that cannot be."""
    drawn = picture(placed, name)
    with atomic(path) as part:
        part.write_text(drawn, encoding="utf-8")


def picture(placed: LoihiPlacement, name: str = "") -> str:
    """The picture as SVG text. name: of the network, for the title."""
    mesh = Mesh.of(placed.spec)
    side = ceil(sqrt(mesh.per_router))
    wide, high = side * CELL_W + GAP, ceil(mesh.per_router / side) * CELL_H + GAP
    width = max(2 * MARGIN + mesh.columns * wide - GAP, 760)
    body, top = _header(placed, name, width)
    used = 1 + max(mesh.router(core.core)[1] for core in placed.cores)
    rows = min(max(used, mesh.rows), ROWS_MOST)
    held = {core.core: core for core in placed.cores}

    def corner(router: Router) -> tuple[int, int]:
        return MARGIN + router[0] * wide, top + router[1] * high

    for number in range(rows * mesh.columns):
        router = mesh.place(number)
        x, y = corner(router)
        if router[1] >= mesh.rows:
            body.append(text(x, y - 3, "not there", "bad several"))
        for k in range(mesh.per_router):
            at = x + k % side * CELL_W, y + k // side * CELL_H
            core = number * mesh.per_router + k
            body += _cell(placed, core, held.get(core), at)
        box = f'width="{wide - GAP + 3}" height="{high - GAP + 3}"'
        body.append(f'<rect class="quad" x="{x - 2}" y="{y - 2}" {box} rx="4"/>')
    body += _links(placed, corner, (wide, high))
    legend, height = _legend(placed, top + rows * high + 8, width, used - rows)
    return document(_title(placed, name), width, height, [*body, *legend])


def number(value: float) -> str:
    """Messages in words: whole from a thousand on."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _title(placed: LoihiPlacement, name: str) -> str:
    used, usable = placed.utilization["cores"]
    return f"{name or 'Network'} on {placed.spec.title}: {used} of {usable} cores"


def _case(placed: LoihiPlacement) -> str:
    return MEASURED if MEASURED in placed.cases else WORST


def _header(placed: LoihiPlacement, name: str, width: int) -> tuple[list[str], int]:
    """Title, totals and verdict; and where they end."""
    line = int(LINE * width / 1000)
    case = _case(placed)
    busiest = placed.busiest(case)
    words = f"{number(placed.sent[case])} messages a step between cores ({case})"
    if busiest is not None:
        words += f", {number(busiest.messages(case))} of them on the busiest link"
    words += ". Each square is a router with its cores; a core's shade is its scarcest resource."
    if placed.ok:
        verdict = ["Fits."]
    else:
        v = placed.violations[0]
        verdict = wrap(f"Does not fit: {v.used}; {v.hint}", line)
    lines = [(line, "soft") for line in wrap(words, line)]
    lines += [(line, "soft" if placed.ok else "bad") for line in verdict]
    found = [text(MARGIN, 34, _title(placed, name), "title")]
    found += [text(MARGIN, 56 + 17 * k, *row) for k, row in enumerate(lines)]
    return found, TOP + 17 * (len(lines) - 2)


def _cell(
    placed: LoihiPlacement, number: int, core: Core | None, at: tuple[int, int]
) -> Iterator[str]:
    x, y = at
    box = f'x="{x}" y="{y}" width="{CELL_W - 1}" height="{CELL_H - 1}"'
    middle = x + CELL_W // 2
    if core is None:
        yield f'<g class="core" data-core="{number}"><title>Core {number}: empty</title>'
        yield f'<rect {box} fill="{EMPTY}"/>' + text(middle, y + 21, str(number), "cell soft")
    else:
        share, layer = placed.fill(core), core.part.layer
        ink = "#ffffff" if share > 0.5 else "#1c2126"
        yield f'<g class="core" data-core="{number}"><title>{safe(_details(placed, core))}</title>'
        yield f'<rect {box} fill="{shade(share)}"/>'
        yield text(middle, y + 17, short_labels(placed.layers)[layer], "cell", ink)
        yield text(middle, y + 29, f"{share:.0%}", "cell", ink)
        colour = layer_colours(placed.layers)[layer]
        yield (f'<rect x="{x}" y="{y}" width="{CELL_W - 1}" height="{STRIP}" fill="{colour}"/>')
    yield "</g>"


def _details(placed: LoihiPlacement, core: Core) -> str:
    """What shows when the pointer rests on a core."""
    part = core.part
    if part.grid[:2] == (1, 1):
        where = f"neurons {part.columns[0]:,} to {part.columns[1] - 1:,}"
    else:
        spans = zip(
            ("channels", "rows", "columns"), (part.channels, part.rows, part.columns), strict=True
        )
        where = ", ".join(f"{what} {first} to {last - 1}" for what, (first, last) in spans)
    used = "; ".join(
        f"{count:,} of {placed.limits[what]:,} {what}" for what, count in core.used.items()
    )
    return f"Core {core.core}: {part.layer}, {where}. {used}"


def _links(
    placed: LoihiPlacement, corner: Callable[[Router], tuple[int, int]], size: tuple[int, int]
) -> Iterator[str]:
    """Bars between routers, beside each other for the two directions, as wide as they are busy."""
    case = _case(placed)
    busiest = placed.busiest(case)
    most = busiest.messages(case) if busiest is not None else 0.0
    inner_w, inner_h = size[0] - GAP, size[1] - GAP
    for link in placed.links:
        messages = link.messages(case)
        if not messages or max(link.start[1], link.end[1]) >= ROWS_MOST:
            continue
        x, y = map(
            float, corner((min(link.start[0], link.end[0]), min(link.start[1], link.end[1])))
        )
        forth = link.start < link.end
        across = (-0.6 if forth else 0.6) * WIDEST
        if link.start[1] == link.end[1]:
            x1, x2 = x + inner_w + 3, x + size[0] - 4
            y1 = y2 = y + inner_h / 2 + across
            head = (x1 + GAP / 2 - 8, y1 + (-6 if forth else 12))
        else:
            x1 = x2 = x + inner_w / 2 + across
            y1, y2 = y + inner_h + 3, y + size[1] - 4
            head = (x1 + (-12 if forth else 5), y1 + GAP / 2)
        thick = max(0.8, WIDEST * messages / most)
        arrow = {(True, True): "→", (False, True): "←", (True, False): "↓", (False, False): "↑"}
        mark = arrow[forth, link.start[1] == link.end[1]]
        words = (
            f"router {link.start} to {link.end}: {number(messages)} messages a step ({case}), "
            f"{number(link.graded[case])} of them graded"
        )
        yield (
            f'<g class="link"><title>{safe(words)}</title><line x1="{x1}" y1="{y1:.1f}" '
            f'x2="{x2}" y2="{y2:.1f}" stroke="{LINK}" stroke-width="{thick:.1f}"/>'
            + text(*head, mark, "several soft")
            + "</g>"
        )


def _legend(placed: LoihiPlacement, top: int, width: int, hidden: int) -> tuple[list[str], int]:
    """What colours mean and which layers there are; and where it ends."""
    steps, size = 50, 4
    found = [text(MARGIN, top + 12, "scarcest resource in use")]
    x = MARGIN + 160
    for k in range(steps):
        fill = shade((k + 0.5) / steps)
        found.append(
            f'<rect x="{x + size * k}" y="{top}" width="{size + 0.5}" height="14" fill="{fill}"/>'
        )
    found += [text(x, top + 29, "0 %", "soft"), text(x + 174, top + 29, "100 %", "soft")]
    x += steps * size + 30
    for fill, words in ((OVER, "over a limit"), (EMPTY, "empty"), (LINK, "link, by its load")):
        found.append(f'<rect x="{x}" y="{top}" width="20" height="14" fill="{fill}"/>')
        found.append(text(x + 28, top + 12, words))
        x += 118
    top += 54
    if hidden > 0:
        found.append(text(MARGIN, top, f"{hidden} more rows of routers are not drawn", "bad"))
        top += 24
    colours, labels = layer_colours(placed.layers), short_labels(placed.layers)
    across, wide = 2, (width - 2 * MARGIN) // 2
    rows = ceil(len(placed.layers) / across)
    for k, layer in enumerate(placed.layers):
        x, y = MARGIN + k // rows * wide, top + k % rows * 20
        cores = placed.of(layer)
        neurons = sum(core.part.neurons for core in cores)
        name = layer if len(layer) <= 30 else layer[:29] + "…"
        name = name if labels[layer] == layer else f"{labels[layer]} {name}"
        words = f"{name}: {neurons:,} neuron{'s' * (neurons > 1)} on {len(cores)} "
        words += f"core{'s' * (len(cores) > 1)}, at most {max(map(placed.fill, cores)):.0%} full"
        fill = colours[layer]
        found.append(f'<rect x="{x}" y="{y - 10}" width="20" height="{2 * STRIP}" fill="{fill}"/>')
        found.append(text(x + 28, y, words))
    return found, top + rows * 20 + 8
