"""Writes the page."""

from __future__ import annotations

import os
import tempfile
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from snn2hw import __version__
from snn2hw.report.data import ReportData
from snn2hw.report.view import page_view


def write_report(path: str | Path, data: ReportData) -> Path:
    """Write one self-contained HTML page: no network, no other file, below 5 MB.

    The page is written under a temporary name beside ``path`` and renamed, so that a reader never
    sees half of it. Returns the path. Raises OSError where the folder cannot be written to.
    """
    target = Path(path)
    page = render(data)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
    )
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        # mkstemp makes files for the owner only; a report is for others.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def render(data: ReportData) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("snn2hw.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(
        page_view(data, __version__), style=_inline("style.css"), script=_inline("page.js")
    )


def _inline(name: str) -> Markup:
    """A file of this package, trusted, to stand inside the page."""
    return Markup((resources.files("snn2hw.report") / name).read_text(encoding="utf-8"))
