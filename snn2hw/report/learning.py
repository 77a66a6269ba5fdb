"""The page of a network that learned: curves, rule, and what the processing elements held."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from snn2hw.errors import DataError
from snn2hw.files import atomic
from snn2hw.report import form
from snn2hw.report.page import render_template

POINTS = 600
"""Points that a curve is drawn with at most."""

ROWS = 8
"""Groups of like processing elements shown at most; the rest are counted."""

View = dict[str, Any]


@dataclass(frozen=True)
class LearningData:
    """All that the page shows.

    loss, correct: of each sample in the order of learning, judged before it was learned; epoch:
    samples in one; validation: accuracy before the first epoch and after each, or empty; classes:
    how many there are; facts, rule: name -> value as text; memory: purpose -> bytes on all PEs;
    cores: for each PE in use its number, what it holds, its bytes; limit: bytes of a PE; timing:
    (case, clock in Hz, seconds of a step); dt_s: the time step; picture: SVG of the placement;
    notes, commands, versions, sources: as on the page of a network.

    Raises DataError if the lengths do not fit.
    """

    title: str
    loss: npt.NDArray[np.float64]
    correct: npt.NDArray[np.bool_]
    epoch: int
    validation: Sequence[float]
    classes: int
    facts: Mapping[str, str]
    rule: Mapping[str, str]
    memory: Mapping[str, int]
    cores: Sequence[tuple[int, str, int]]
    limit: int
    timing: Sequence[tuple[str, float, float]]
    dt_s: float
    picture: str
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        n = len(self.loss)
        if n == 0 or len(self.correct) != n or self.epoch < 1 or n % self.epoch:
            raise DataError(
                f"learning page: {n} losses, {len(self.correct)} answers and epochs of "
                f"{self.epoch} samples; give whole epochs, one loss and one answer a sample"
            )
        if self.validation and len(self.validation) != n // self.epoch + 1:
            raise DataError(
                f"learning page: {len(self.validation)} validations for {n // self.epoch} epochs; "
                "give one before and one after each"
            )


def write_learning_report(path: str | Path, data: LearningData) -> Path:
    """Write one self-contained HTML page; it appears whole or not at all. Returns the path.

    Raises DataError where it cannot be written.
    """
    page = render_learning(data)
    with atomic(path) as part:
        part.write_text(page, encoding="utf-8")
    return Path(path)


def render_learning(data: LearningData) -> str:
    """The page as text."""
    n = len(data.loss)
    window = max(1, min(200, n // 20))
    validation = [(k * data.epoch, value) for k, value in enumerate(data.validation)]
    mean = running(data.loss, window)
    ceiling = float(np.max(mean)) or 1.0
    return render_template(
        "learning.html.j2",
        {
            "data": data,
            "cards": _cards(data),
            "window": window,
            "samples": form.count(n),
            "right": curve(
                "Accuracy over samples", running(data.correct, window), data.epoch,
                validation, 1 / data.classes,
            ),
            "chance": form.percent(1 / data.classes),
            "loss": curve("Loss over samples", mean / ceiling, data.epoch),
            "ceiling": f"{ceiling:.3g}",
            "epochs": _epochs(data),
            "memory": _memory(data),
            "total": form.count(sum(data.memory.values())),
            "cores": cores_view(data.cores, data.limit),
            "limit": form.count(data.limit),
            "timing": [
                (case, f"{clock / 1e6:g}{form.NARROW_SPACE}MHz",
                 form.data(step_s, f"{step_s * 1e3:.3g}{form.NARROW_SPACE}ms"),
                 "yes" if step_s <= data.dt_s else "no")
                for case, clock, step_s in data.timing
            ],
            "dt": f"{data.dt_s * 1e3:g}{form.NARROW_SPACE}ms",
            # As an image, so that its style sheet stays its own.
            "picture": Markup(
                "data:image/svg+xml;base64," + base64.b64encode(data.picture.encode()).decode()
            ),
        },
    )  # fmt: skip


def running(values: npt.NDArray[Any], window: int) -> npt.NDArray[np.float64]:
    """Mean of each value and those before it, ``window`` at most. values: (n,)."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((total[ends] - total[starts]) / (ends - starts))


def curve(
    label: str,
    values: npt.NDArray[np.float64],
    epoch: int,
    points: Sequence[tuple[int, float]] = (),
    level: float | None = None,
) -> Markup:
    """A curve of values from 0 to 1 over samples, as SVG that stretches to the page's width.

    epoch: samples between upright lines; points: (samples, value) drawn as dots and joined by a
    dashed line; level: of a dotted line across.
    """
    n = len(values)
    picked = np.unique(np.linspace(0, n - 1, min(n, POINTS)).astype(int))

    def line(at: Sequence[tuple[int, float]]) -> str:
        return "L".join(f"{x} {100 - 100 * y:.4g}" for x, y in at)

    parts = [f'<path class="grid" d="M0 {y}H{n}"/>' for y in (0, 25, 50, 75, 100)]
    parts += [f'<path class="grid" d="M{x} 0V100"/>' for x in range(epoch, n, epoch)]
    if level is not None:
        parts.append(f'<path class="level" d="M0 {100 - 100 * level:.4g}H{n}"/>')
    # One sample is a curve, too: from its beginning to its end.
    drawn = [(0, float(values[0]))] + [(int(k) + 1, float(values[k])) for k in picked]
    parts.append(f'<path class="strong" d="M{line(drawn)}"/>')
    if points:
        parts.append(f'<path class="dashed" d="M{line(points)}"/>')
        parts += [f'<path class="dot" d="M{line([point])}h0"/>' for point in points]
    return Markup(
        '<svg class="lines curve" viewBox="0 0 {} 100" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(n, label, Markup("".join(parts)))


def _cards(data: LearningData) -> list[View]:
    n, few = len(data.loss), max(1, min(200, len(data.loss) // 10))
    first, last = float(np.mean(data.correct[:few])), float(np.mean(data.correct[-few:]))
    fullest = max(size for _, _, size in data.cores)
    cards = [
        _card("Samples learned", form.data(n, form.count(n)), f"{n // data.epoch} epochs"
              if n > data.epoch else "one pass"),
        _card(f"Right, last {few}", form.data(last, form.percent(last)),
              f"{form.percent(first)} of the first {few}"),
    ]  # fmt: skip
    if data.validation:
        before, after = data.validation[0], data.validation[-1]
        note = f"{form.percent(before)} before, {form.points(after - before)}"
        cards.append(_card("Validation", form.data(after, form.percent(after)), note))
    total = sum(data.memory.values())
    cards += [
        _card("Memory", form.data(total, form.count(total)), f"bytes on {len(data.cores)} PEs"),
        _card("Fullest PE", form.data(fullest / data.limit, form.percent(fullest / data.limit)),
              "of its data memory"),
    ]  # fmt: skip
    return cards


def _card(name: str, value: Any, note: str) -> View:
    return {"name": name, "value": value, "note": note, "kind": ""}


def _epochs(data: LearningData) -> list[tuple[str, Any, Any, Any]]:
    rows: list[tuple[str, Any, Any, Any]] = []

    def judged(k: int) -> Any:
        if not data.validation:
            return form.NONE
        return form.data(data.validation[k], form.percent(data.validation[k]))

    if data.validation:
        rows.append(("before", form.NONE, form.NONE, judged(0)))
    for k in range(len(data.loss) // data.epoch):
        part = slice(k * data.epoch, (k + 1) * data.epoch)
        loss, right = float(np.mean(data.loss[part])), float(np.mean(data.correct[part]))
        rows.append(
            (str(k + 1), form.data(loss, f"{loss:.4f}"), form.data(right, form.percent(right)),
             judged(k + 1))
        )  # fmt: skip
    return rows


def _memory(data: LearningData) -> list[View]:
    total = sum(data.memory.values())
    return [
        {
            "name": purpose,
            "bytes": form.data(size, form.count(size)),
            "share": form.percent(size / total),
            "width": f"{100 * size / max(data.memory.values()):.2f}",
        }
        for purpose, size in sorted(data.memory.items(), key=lambda item: -item[1])
    ]


def cores_view(
    cores: Sequence[tuple[int, str, int]], limit: int
) -> list[tuple[str, str, Any, str]]:
    """Rows of the table of PEs: neighbours that hold alike are one; what they hold, bytes, share.

    At most ``ROWS``; a last row counts the others.
    """
    groups: list[list[tuple[int, str, int]]] = []
    for core in cores:
        last = groups[-1][-1] if groups else None
        if last is not None and core[1:] == last[1:] and core[0] == last[0] + 1:
            groups[-1].append(core)
        else:
            groups.append([core])
    rows: list[tuple[str, str, Any, str]] = []
    for group in groups[:ROWS]:
        first, last = group[0], group[-1]
        numbers = f"{first[0]}" if first is last else f"{first[0]} to {last[0]}"
        each = form.data(first[2], form.count(first[2]))
        rows.append((numbers, first[1], each, form.percent(first[2] / limit)))
    rest = sum(len(group) for group in groups[ROWS:])
    if rest:
        fullest = max(size for group in groups[ROWS:] for _, _, size in group)
        rows.append(
            (f"{rest} more", "", form.data(fullest, f"up to {form.count(fullest)}"),
             form.percent(fullest / limit))
        )  # fmt: skip
    return rows
