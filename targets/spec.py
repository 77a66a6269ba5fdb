"""What a chip offers, as data: every figure with its unit, its source and a grade of that source.

One JSON file per chip; format::

    {"name": "...", "title": "...", "sources": {key: citation},
     "figures": {name: {"value": 128, "unit": "B", "source": key, "grade": "primary",
                        "note": "...", "conflicts": [{"value": ..., "source": ..., "grade": ...}]}}}

Sources that contradict each other stay side by side: ``value`` is the figure that snn2hw works
with, ``conflicts`` are the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn2hw.errors import TargetError

GRADES: Mapping[str, str] = {
    "primary": "said by the makers (datasheet, their software, abstract of their paper)",
    "secondary": "said by others who quote the makers",
    "derived": "computed from such figures; the note says how",
    "assumption": "ours, where nothing is published; the note says why",
}
"""Grades of figures: what stands behind a number."""

UNITS = (
    "1", "B", "bit", "Hz", "V", "W", "s", "bit/s", "B/s", "cycle", "cycle/event", "cycle/neuron",
    "cycle/packet", "event/s", "op/s", "J/cycle", "m2", "format",
)  # fmt: skip
"""SI units of figures, and counts; "format" goes with a text."""

_SPEC_KEYS = {"name", "title", "sources", "figures"}
_FIGURE_KEYS = {"value", "unit", "source", "grade", "note", "conflicts"}


@dataclass(frozen=True)
class Figure:
    """One figure. source: a citation; conflicts: what other sources say of the same thing."""

    name: str
    value: float | str
    unit: str
    source: str
    grade: str
    note: str = ""
    conflicts: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class TargetSpec:
    """Figures of one chip, by name."""

    name: str
    title: str
    figures: Mapping[str, Figure]

    def __getitem__(self, name: str) -> Figure:
        """A figure with its source. Raises TargetError, naming it, where the chip has none."""
        if name not in self.figures:
            raise TargetError(f"{self.name}: no figure {name!r}; add it to the chip's file")
        return self.figures[name]

    def number(self, name: str) -> float:
        """A figure's number, in its unit. Raises TargetError where it is a text."""
        value = self[name].value
        if isinstance(value, str):
            raise TargetError(f"{self.name}: figure {name!r} is {value!r}; write it as a number")
        return value

    def integer(self, name: str) -> int:
        """A figure that counts something. Raises TargetError where it is no whole number."""
        value = self.number(name)
        if value != int(value):
            raise TargetError(f"{self.name}: figure {name!r} is {value}; write a whole number")
        return int(value)


def load_spec(path: str | Path) -> TargetSpec:
    """A chip's figures from a JSON file. Raises TargetError naming file, figure and remedy."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"cannot read chip file {path}: {error}; name a JSON file") from error
    return parse_spec(text, path.name)


def parse_spec(text: str, file: str) -> TargetSpec:
    """A chip's figures from JSON text; ``file`` names it in messages. Raises TargetError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise TargetError(f"{file}: not JSON ({error}); see docs/spinnaker2.md") from error
    _only(data, _SPEC_KEYS, file)
    sources, figures = data.get("sources"), data.get("figures")
    if not isinstance(sources, dict) or not sources:
        raise TargetError(f"{file}: sources is missing or empty; cite at least one")
    for key in sources:
        _text(sources, key, f"{file}: sources")
    if not isinstance(figures, dict) or not figures:
        raise TargetError(f"{file}: figures is missing or empty; give at least one")
    return TargetSpec(
        name=_text(data, "name", file),
        title=_text(data, "title", file),
        figures={name: _figure(name, entry, sources, file) for name, entry in figures.items()},
    )


def _figure(name: str, entry: Any, sources: Mapping[str, str], file: str) -> Figure:
    where = f"{file}: figure {name!r}"
    _only(entry, _FIGURE_KEYS, where)
    unit = _text(entry, "unit", where)
    if unit not in UNITS:
        raise TargetError(f"{where}: unit is {unit!r}; use one of {', '.join(UNITS)}")
    grade = _text(entry, "grade", where)
    if grade not in GRADES:
        raise TargetError(f"{where}: grade is {grade!r}; use one of {', '.join(GRADES)}")
    source = _text(entry, "source", where)
    if source not in sources:
        raise TargetError(f"{where}: source {source!r} is not among sources; cite it there")
    note = _text(entry, "note", where) if "note" in entry else ""
    if grade in ("derived", "assumption") and not note:
        raise TargetError(f"{where}: grade {grade} without a note; say how or why")
    others = entry.get("conflicts", [])
    if not isinstance(others, list):
        raise TargetError(f"{where}: conflicts is no list; write [{{value, source, grade}}, ...]")
    for other in others:
        _only(other, _FIGURE_KEYS - {"conflicts", "unit"}, f"{where}, conflict")
    return Figure(
        name=name,
        value=_value(entry.get("value"), unit, where),
        unit=unit,
        source=sources[source],
        grade=grade,
        note=note,
        conflicts=tuple(_figure(name, {**o, "unit": unit}, sources, file) for o in others),
    )


def _value(value: Any, unit: str, where: str) -> float | str:
    if unit == "format":
        if not isinstance(value, str) or not value.strip():
            raise TargetError(f"{where}: value is missing; write the format as text")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TargetError(f"{where}: {value!r} is not a finite number; write one")
    if value < 0:
        raise TargetError(f"{where}: {value!r} is negative; a figure is at least 0")
    return value


def _text(data: Mapping[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise TargetError(f"{where}: {key} is missing; write it as text")
    return value


def _only(data: Any, known: set[str], where: str) -> None:
    if not isinstance(data, dict):
        raise TargetError(f"{where}: holds no JSON object; see docs/spinnaker2.md")
    unknown = sorted(set(data) - known)
    if unknown:
        raise TargetError(
            f"{where}: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}"
        )
