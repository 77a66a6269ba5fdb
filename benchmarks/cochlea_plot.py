"""A word and its spikes as one SVG: wave above, channels below, their best frequencies beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn2hw.data.cochlea import Spikes
from snn2hw.data.cochlea.membrane import best_frequency_hz, places

WIDTH, LEFT, RIGHT = 860, 62, 62
WAVE, RASTER, TOP, BOTTOM, GAP = 70, 350, 14, 40, 14
INK, BLUE, GREY = "#222", "#1d3fbb", "#999"


def svg(sound: NDArray[np.float64], rate_hz: float, spikes: Spikes) -> str:
    inner = WIDTH - LEFT - RIGHT
    height = TOP + WAVE + GAP + RASTER + BOTTOM
    below = TOP + WAVE + GAP
    scale = inner / spikes.duration_s
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _wave(sound, inner),
        f'<path d="{_marks(spikes, scale, below)}" stroke="{BLUE}" stroke-width="1.1"/>',
        f'<rect x="{LEFT}" y="{below}" width="{inner}" height="{RASTER}" fill="none" '
        f'stroke="{GREY}"/>',
    ]
    for tenth in range(0, int(spikes.duration_s * 10) + 1, 2):
        parts.append(_text(LEFT + tenth / 10 * scale, below + RASTER + 16, f"{tenth / 10:.1f} s"))
    for channel in range(0, spikes.channels, 100):
        parts.append(_text(LEFT - 6, _y(channel, spikes, below) + 4, str(channel), "end"))
    at = best_frequency_hz(places(spikes.channels))
    for hz in (100, 200, 500, 1000, 2000, 4000, 10000, 20000):
        channel = float(np.interp(-np.log(hz), -np.log(at), np.arange(spikes.channels)))
        label = f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz"
        parts.append(_text(LEFT + inner + 6, _y(channel, spikes, below) + 4, label, "start"))
    middle = below + RASTER / 2
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle})">channel</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _y(channel: float, spikes: Spikes, below: float) -> float:
    return below + (channel + 0.5) / spikes.channels * RASTER


def _marks(spikes: Spikes, scale: float, below: float) -> str:
    """Spikes as short strokes, by relative moves, which keeps the file small."""
    order = np.lexsort((spikes.times, spikes.units))
    x = np.round(LEFT + spikes.times[order] * scale, 1)
    y = np.round(below + (spikes.units[order] + 0.5) / spikes.channels * RASTER, 1)
    return "".join(f"M{a:g} {b:g}h1" for a, b in zip(x, y, strict=True))


def _wave(sound: NDArray[np.float64], inner: float) -> str:
    """Least and greatest sample of each pixel."""
    peak = float(np.abs(sound).max())
    middle, half = TOP + WAVE / 2, WAVE / 2
    line = []
    for k, part in enumerate(np.array_split(sound, int(inner))):
        high, low = (middle - half * value / peak for value in (part.max(), part.min()))
        line.append(f"M{LEFT + k} {high:.1f}V{low + 0.3:.1f}")
    return f'<path d="{"".join(line)}" stroke="{INK}" stroke-width="1"/>'


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
