"""A search for widths as a picture: score against memory, and against energy, as one SVG file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from snn2hw.analysis.widths import Point, front
from snn2hw.report import form

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 44, 52
TICKS = 5

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1c2126; }
.soft { fill: #5d666f; } .title { font-weight: 600; font-size: 13px; }
.axis { stroke: #5d666f; fill: none; } .grid { stroke: #e4e1d9; }
.all { fill: #b9bfc5; } .best { fill: #1f5f8b; } .line { stroke: #1f5f8b; fill: none; }
.floats { stroke: #b4531f; stroke-dasharray: 6 5; fill: none; }
"""


def draw_front(points: Sequence[Point], floats: float, score: str) -> str:
    """An SVG file of two panels: every point, and the best for its memory, and for its energy.

    floats: score of the float network, drawn dashed; score: what the score is, in words.
    """
    lowest = min([*(p.score for p in points), floats])
    highest = max([*(p.score for p in points), floats])
    margin = 0.05 * (highest - lowest) or 0.05
    low, high = max(0.0, lowest - margin), min(1.0, highest + margin)
    panels = (
        _panel(
            points, low, high, floats, "memory of the weights", _bytes, lambda p: p.memory_bytes
        ),
        _panel(
            points, low, high, floats, "energy per inference", form.joules, lambda p: p.energy_j
        ),
    )
    body = Markup("").join(
        Markup('<g transform="translate({} 0)">{}</g>').format(k * WIDTH, panel)
        for k, panel in enumerate(panels)
    )
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" '
        'role="img" aria-label="{} against memory and energy"><style>{}</style>'
        '<rect width="100%" height="100%" fill="#fcfbf8"/>'
        '<text class="title" x="{}" y="20">{} on validation data (dashed: floats)</text>{}</svg>\n'
    ).format(
        2 * WIDTH, HEIGHT, 2 * WIDTH, HEIGHT, score, Markup(STYLE), LEFT, score.capitalize(), body
    )
    return str(svg)


def _bytes(value: float) -> str:
    return f"{value / 1024:.3g}{form.NARROW_SPACE}KB" if value >= 1024 else f"{value:.0f} bytes"


def _panel(
    points: Sequence[Point],
    low: float,
    high: float,
    floats: float,
    what: str,
    text: Callable[[float], str],
    cost: Callable[[Point], float],
) -> Markup:
    costs = [cost(p) for p in points]
    first, last = min(costs), max(costs)
    span = (last - first) or max(abs(last), 1.0)
    first, last = first - 0.04 * span, last + 0.04 * span

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = []
    for tick in _ticks(low, high):
        parts.append(_grid(y(tick)))
        parts.append(_text(LEFT - 7, y(tick) + 4, f"{100 * tick:.4g}%", "end"))
    for k in range(TICKS):
        value = first + (last - first) * (k + 0.5) / TICKS
        parts.append(_text(x(value), HEIGHT - BOTTOM + 18, text(value), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, what, "middle"))
    parts.append(_path("floats", [(LEFT, y(floats)), (WIDTH - RIGHT, y(floats))]))
    best = _steps(points, cost)
    corners: list[tuple[float, float]] = []
    for point in best:
        if corners:
            corners.append((x(cost(point)), corners[-1][1]))
        corners.append((x(cost(point)), y(point.score)))
    parts.append(_path("line", corners))
    for point in points:
        if point not in best:
            parts.append(_dot("all", 2.2, x(cost(point)), y(point.score), point))
    parts += [_dot("best", 4, x(cost(p)), y(p.score), p) for p in best]
    parts.append(
        _path("axis", [(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)])
    )
    return Markup("").join(parts)


def _steps(points: Sequence[Point], cost: Callable[[Point], float]) -> list[Point]:
    """The points that are better than every cheaper one, by this cost alone."""
    found: list[Point] = []
    for point in sorted(front(points), key=lambda p: (cost(p), -p.score)):
        if not found or point.score > found[-1].score:
            found.append(point)
    return found


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= TICKS + 1:
            step *= factor
            break
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="soft" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _grid(y: float) -> Markup:
    return Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, y, WIDTH - RIGHT)


def _path(kind: str, at: Sequence[tuple[float, float]]) -> Markup:
    d = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    return Markup('<path class="{}" d="M{}"/>').format(kind, d)


def _dot(kind: str, radius: float, x: float, y: float, point: Point) -> Markup:
    widths = ", ".join(f"{name} {bits}" for name, bits in point.bits.items())
    title = (
        f"bits: {widths}; {100 * point.score:.2f}%, {_bytes(point.memory_bytes)}, "
        f"{form.joules(point.energy_j)}"
    )
    return Markup(
        '<circle class="{}" r="{}" cx="{:.1f}" cy="{:.1f}"><title>{}</title></circle>'
    ).format(kind, radius, x, y, title)
