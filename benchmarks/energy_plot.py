"""The bill over the spike rate beside the bills of the others: one SVG, a panel a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

from snn2hw.energy.baselines import Comparison, SpikeCost

WIDTH, HEIGHT, COLUMNS = 430, 270, 2
LEFT, RIGHT, TOP, BOTTOM = 58, 112, 34, 40
LABEL_GAP = 13
COLORS = {"gru": "#b3541e", "lstm": "#7a4fa3", "mlp": "#2f7d4f", "cnn": "#0b6e8a", "ann": "#444"}
OURS = "#1d3fbb"


@dataclass(frozen=True)
class Panel:
    """Maps spike rates and energies to places in one panel."""

    x0: float
    y0: float
    low_j: float
    high_j: float

    def x(self, rate: float) -> float:
        return self.x0 + LEFT + rate * (WIDTH - LEFT - RIGHT)

    def y(self, energy_j: float) -> float:
        span = math.log(self.high_j / self.low_j)
        part = math.log(energy_j / self.low_j) / span
        return self.y0 + HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def svg(comparisons: dict[str, tuple[SpikeCost, Comparison]]) -> str:
    """One panel for each network: spike rate across, energy (logarithmic) up."""
    rows = -(-len(comparisons) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for k, (name, (cost, comparison)) in enumerate(comparisons.items()):
        parts += _panel(name, cost, comparison, k % COLUMNS * WIDTH, k // COLUMNS * HEIGHT)
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, cost: SpikeCost, comparison: Comparison, x0: float, y0: float) -> list[str]:
    energies = [r.bill.priced_j for r in comparison.rivals] + [cost.silent_j, cost.at(1)]
    panel = Panel(x0, y0, min(energies) / 1.3, max(energies) * 1.3)
    parts = [text(x0 + LEFT, y0 + 18, name, weight="bold")]
    parts += _axes(panel)
    labels = []
    for rival in comparison.rivals:
        y = panel.y(rival.bill.priced_j)
        color = COLORS[rival.baseline.kind]
        dash = "" if not rival.sparse else ' stroke-dasharray="5 3"'
        parts.append(
            f'<path d="M{panel.x(0):.1f} {y:.1f}H{panel.x(1):.1f}" stroke="{color}"{dash}/>'
        )
        circuit = "sparse" if rival.sparse else "dense"
        labels.append((y, f"{rival.baseline.kind.upper()} {circuit}", color))
        even = cost.break_even(rival.bill.priced_j)
        if 0 <= even <= 1:
            x = panel.x(even)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>')
    points = " ".join(f"{panel.x(r / 60):.1f},{panel.y(cost.at(r / 60)):.1f}" for r in range(61))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{OURS}" stroke-width="2"/>')
    x, y = panel.x(cost.rate), panel.y(cost.counted_j)
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{OURS}"/>')
    labels.append((panel.y(cost.at(1)), "this network", OURS))
    for at, label, color in spread(labels):
        parts.append(text(panel.x(1) + 5, at + 4, label, color=color, size=10))
    return parts


def _axes(panel: Panel) -> list[str]:
    bottom = panel.y(panel.low_j)
    parts = [
        f'<path d="M{panel.x(0)} {panel.y(panel.high_j):.1f}V{bottom:.1f}H{panel.x(1)}" '
        'fill="none" stroke="#555"/>'
    ]
    for rate in (0, 0.25, 0.5, 0.75, 1):
        parts.append(text(panel.x(rate), bottom + 14, f"{rate:g}", anchor="middle"))
    middle = panel.x(0.5)
    parts.append(text(middle, bottom + 30, "spikes per neuron and step", anchor="middle"))
    for power in range(
        math.ceil(math.log10(panel.low_j)), math.floor(math.log10(panel.high_j)) + 1
    ):
        y = panel.y(10.0**power)
        parts.append(f'<path d="M{panel.x(0) - 4} {y:.1f}h4" stroke="#555"/>')
        label = f"{10.0 ** (power + 6):g} µJ" if power < -3 else f"{10.0 ** (power + 3):g} mJ"
        parts.append(text(panel.x(0) - 6, y + 4, label, anchor="end"))
    return parts


def spread(labels: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """The labels with places far enough apart to be read."""
    spread: list[tuple[float, str, str]] = []
    for y, label, color in sorted(labels):
        above = spread[-1][0] + LABEL_GAP if spread else y
        spread.append((max(y, above), label, color))
    return spread


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    color: str = "#222",
    size: int = 11,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" '
        f'font-size="{size}" font-weight="{weight}">{escape(words)}</text>'
    )
