"""A placement as the page shows it: plain data, since snn2hw itself knows no chip."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from snn2hw.passes.check import Violation
from snn2hw.report import form

View = dict[str, Any]
Cell = str | float


@dataclass(frozen=True)
class Figure:
    """What a source says of a chip. others: what other sources say of the same thing."""

    name: str
    value: Cell
    unit: str
    grade: str
    source: str
    note: str = ""
    others: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Chip:
    """Where a network is on one chip.

    name, title: of the chip; utilization: resource -> (used, limit); tables: heading -> rows, each
    column -> cell, alike in a table; notes: what to know besides; picture: SVG text, "" for none;
    figures: of the chip, all that the placement may have used; grades: what the grades mean.
    """

    name: str
    title: str
    utilization: Mapping[str, tuple[float, float]]
    tables: Mapping[str, tuple[Mapping[str, Cell], ...]]
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()
    picture: str = ""
    figures: tuple[Figure, ...] = ()
    grades: Mapping[str, str] | None = None

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.violations

    def to_dict(self) -> dict[str, Any]:
        """The placement as JSON types, without picture and figures."""
        return {
            "target": self.name,
            "title": self.title,
            "ok": self.ok,
            "utilization": {
                what: {"used": used, "limit": limit}
                for what, (used, limit) in self.utilization.items()
            },
            "tables": {name: [dict(row) for row in rows] for name, rows in self.tables.items()},
            "violations": [asdict(violation) for violation in self.violations],
            "notes": list(self.notes),
        }


def chip_view(chip: Chip) -> View:
    """The template's variables for one placement."""
    # As an image and not inside the page: its style and its names are its own. Base64, so that
    # the namespace of SVG does not look like an address that the page would open.
    drawn = base64.b64encode(chip.picture.encode()).decode()
    return {
        "name": chip.name,
        "title": chip.title,
        "ok": chip.ok,
        "violations": chip.violations,
        "notes": chip.notes,
        "picture": Markup("data:image/svg+xml;base64,{}").format(drawn) if drawn else "",
        "use": [
            {
                "name": what,
                "used": form.data(used, form.count(used)),
                "limit": form.data(limit, form.count(limit)),
                "share": form.percent(used / limit) if limit else form.NONE,
                "width": f"{min(100.0, 100 * used / limit):.4g}" if limit else "0",
                "over": used > limit,
            }
            for what, (used, limit) in chip.utilization.items()
        ],
        "tables": [
            {
                "name": name,
                "head": list(rows[0]),
                "rows": [list(map(_cell, r.values())) for r in rows],
            }
            for name, rows in chip.tables.items()
            if rows
        ],
    }


def figures_view(chip: Chip) -> View:
    """The chip's figures, each with value, grade, source (by number) and what contradicts it."""
    said = [figure for f in chip.figures for figure in (f, *f.others)]
    sources = list(dict.fromkeys(figure.source for figure in said))

    def whose(figure: Figure) -> str:
        return f"[{1 + sources.index(figure.source)}]"

    return {
        "name": chip.name,
        "title": chip.title,
        "sources": sources,
        "figures": [
            (
                f.name,
                _value(f),
                f.grade,
                whose(f),
                f.note,
                [f"But {_value(o)} ({o.grade}, {whose(o)}). {o.note}".rstrip() for o in f.others],
            )
            for f in chip.figures
        ],
        "grades": [
            (grade, meaning)
            for grade, meaning in (chip.grades or {}).items()
            if grade in {figure.grade for figure in chip.figures}
        ],
    }


def _cell(value: Cell) -> Any:
    return value if isinstance(value, str) else form.data(value, form.count(value))


def _value(figure: Figure) -> str:
    if isinstance(figure.value, str):
        return figure.value
    whole = figure.value == int(figure.value) and abs(figure.value) < 1e10
    number = form.count(figure.value) if whole else f"{figure.value:.6g}"
    return number if figure.unit == "1" else f"{number}{form.NARROW_SPACE}{figure.unit}"
