"""Accuracy over energy, one SVG a task of speech.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from energy_plot import spread, text
from speech_page import NAMES, TITLES

from snn2hw.energy.baselines.charges import PROFILE

WIDTH, HEIGHT = 720, 520
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 40, 50
SPIKING, DENSE = "#1d3fbb", "#b3541e"


def energy_of(row: dict[str, Any]) -> float | None:
    """Joules of a clip by the technology table, of a network without spikes in a dense circuit."""
    for bill in row["energy"]:
        if bill["profile"] == PROFILE and bill.get("circuit", "dense") == "dense":
            return None if bill["priced_j"] is None else float(bill["priced_j"])
    return None


def svg(task: str, rows: Sequence[dict[str, Any]]) -> str:
    """8-bit test accuracy up, energy (logarithmic) across; a line is two standard errors long."""
    priced = [(row, energy) for row in rows if (energy := energy_of(row)) is not None]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 18, f"{TITLES[task]}: 8-bit accuracy on unseen speakers", weight="bold"),
    ]
    if not priced:
        return "\n".join([*parts, "</svg>", ""])
    low = math.log10(min(energy for _, energy in priced) / 1.5)
    high = math.log10(max(energy for _, energy in priced) * 1.5)
    errors = [math.sqrt(r["fixed"] * (1 - r["fixed"]) / r["samples"]) for r, _ in priced]
    bottom = min(r["fixed"] - e for (r, _), e in zip(priced, errors, strict=True)) - 0.01
    top = min(1.0, max(r["fixed"] + e for (r, _), e in zip(priced, errors, strict=True)) + 0.01)

    def x(energy_j: float) -> float:
        return LEFT + (math.log10(energy_j) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(accuracy: float) -> float:
        return HEIGHT - BOTTOM - (accuracy - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    parts += _axes(x, y, (low, high), (bottom, top))
    labels, points = [], {}
    for (row, energy), error in zip(priced, errors, strict=True):
        color = SPIKING if row["spiking"] else DENSE
        across, up = x(energy), y(row["fixed"])
        ends = y(row["fixed"] - error), y(min(1.0, row["fixed"] + error))
        parts.append(f'<path d="M{across:.1f} {ends[0]:.1f}V{ends[1]:.1f}" stroke="{color}"/>')
        parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="4" fill="{color}"/>')
        label = f"{NAMES[row['row']]} {row['fixed']:.1%}"
        labels.append((up, label, color))
        points[label] = across, up
    for place, label, color in spread(labels):
        across, up = points[label]
        parts.append(
            f'<path d="M{across + 5:.1f} {up:.1f}L{WIDTH - RIGHT} {place:.1f}" stroke="{color}" '
            'stroke-width="0.5" stroke-dasharray="1 3"/>'
        )
        parts.append(text(WIDTH - RIGHT + 5, place + 4, label, color=color, size=10))
    return "\n".join([*parts, "</svg>", ""])


def _axes(x: Any, y: Any, powers: tuple[float, float], shares: tuple[float, float]) -> list[str]:
    floor = y(shares[0])
    parts = [
        f'<path d="M{LEFT} {TOP}V{floor:.1f}H{WIDTH - RIGHT}" fill="none" stroke="#555"/>',
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, f"energy of a clip, {PROFILE}",
             anchor="middle"),
    ]  # fmt: skip
    for tick in range(math.floor(powers[0]), math.ceil(powers[1])):
        for digit in (1, 2, 5):
            energy = digit * 10.0**tick
            if powers[0] <= math.log10(energy) <= powers[1]:
                parts.append(f'<path d="M{x(energy):.1f} {floor:.1f}v4" stroke="#555"/>')
                parts.append(text(x(energy), floor + 16, f"{energy * 1e6:g} µJ", anchor="middle"))
    step = 0.01 if shares[1] - shares[0] < 0.12 else 0.05
    for k in range(math.ceil(shares[0] / step), math.floor(shares[1] / step) + 1):
        parts.append(f'<path d="M{LEFT - 4} {y(k * step):.1f}h4" stroke="#555"/>')
        parts.append(text(LEFT - 6, y(k * step) + 4, f"{k * step:.0%}", anchor="end"))
    return parts
