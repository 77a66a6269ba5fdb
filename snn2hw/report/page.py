"""Writes the page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from snn2hw import __version__
from snn2hw.files import atomic
from snn2hw.report.data import ReportData
from snn2hw.report.view import page_view


def write_report(path: str | Path, data: ReportData) -> Path:
    """Write one self-contained HTML page: no network, no other file, below 5 MB.

    The file appears whole or not at all. Returns the path. Raises DataError where it cannot be
    written.
    """
    page = render(data)
    with atomic(path) as part:
        part.write_text(page, encoding="utf-8")
    return Path(path)


def render(data: ReportData) -> str:
    """The page as text."""
    return render_template("page.html.j2", page_view(data, __version__))


def render_template(name: str, view: Mapping[str, Any]) -> str:
    """A template of this package filled in; it gets the style, the script and our version too."""
    environment = Environment(
        loader=PackageLoader("snn2hw.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    extra = {"style": _inline("style.css"), "script": _inline("page.js"), "version": __version__}
    return environment.get_template(name).render({**view, **extra})


def _inline(name: str) -> Markup:
    """A file of this package, trusted, to stand inside the page."""
    return Markup((resources.files("snn2hw.report") / name).read_text(encoding="utf-8"))
