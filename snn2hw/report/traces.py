"""Spike rasters and traces over time, as SVG that stretches to the width of the page.

Coordinates are steps and neurons; labels are text of the page beside the figure, so that they stay
readable on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup


@dataclass(frozen=True)
class Band:
    """One strip of a raster: a label, the drawing, and a note where not every neuron is shown."""

    label: str
    detail: str
    svg: Markup
    note: str = ""


def raster(
    label: str, detail: str, events: npt.NDArray[Any], marks: int, *, steps: int = 0
) -> Band:
    """A mark for each non-zero event.

    events: (time, n); marks: how many to draw at most: if there are more, only every k-th neuron
    is drawn and the note says so; steps: width of the figure in steps, that of events if 0.
    """
    total = int(np.count_nonzero(events))
    stride = max(1, -(-total // max(1, marks)))
    shown = events[:, ::stride] != 0
    note = f"every {stride}th neuron shown" if stride > 1 else ""
    rows = shown.shape[1]
    path = marks_of(shown)
    height = min(180, max(36, 5 * rows))
    svg = Markup(
        '<svg class="raster" viewBox="0 0 {} {}" preserveAspectRatio="none" style="height:{}px" '
        'role="img" aria-label="Spike raster of {}"><path d="{}"/></svg>'
    ).format(max(1, steps or len(events)), max(1, rows), height, label, path)
    return Band(label, detail, svg, note)


def marks_of(events: npt.NDArray[np.bool_]) -> str:
    """A path with a mark for each event. events: (time, rows)."""
    return "".join(_marks(events[:, row], row) for row in range(events.shape[1]))


def _marks(events: npt.NDArray[np.bool_], row: int) -> str:
    """Runs of events of one neuron, one stroke each; the style's dashes part it into steps."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], events.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    return "".join(
        f"M{a} {row}.5h{b - a}" for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    )


def lines(
    label: str, values: npt.NDArray[Any], strong: Sequence[int] = (), dashed: Sequence[int] = ()
) -> Markup:
    """Curves over time.

    values: (time, n), one curve a column; strong: columns to draw in colour, the others are grey;
    dashed: columns to draw dashed in the second colour.
    """
    time, n = values.shape
    data = values.astype(np.float64)
    low, high = float(data.min(initial=0.0)), float(data.max(initial=0.0))
    span = (high - low) or 1.0
    # Steps are drawn at their middle, so that traces and rasters line up.
    scaled = 3 + 94 * (high - data) / span
    order = [k for k in range(n) if k not in (*strong, *dashed)] + [*dashed, *strong]
    zero = 3 + 94 * high / span
    paths = [Markup('<path class="zero" d="M0 {:.4g}H{}"/>').format(zero, time)]
    for k in order:
        style = "strong" if k in strong else "dashed" if k in dashed else "faint"
        points = "L".join(f"{t + 0.5:g} {y:.4g}" for t, y in enumerate(scaled[:, k].tolist()))
        paths.append(Markup('<path class="{}" d="M{}"/>').format(style, points))
    return Markup(
        '<svg class="lines" viewBox="0 0 {} 100" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(time, label, Markup("").join(paths))


def running_mean(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Mean over time up to each step. values: (time, n)."""
    steps = np.arange(1, len(values) + 1, dtype=np.float64)[:, None]
    return np.asarray(np.cumsum(values.astype(np.float64), axis=0) / steps)
