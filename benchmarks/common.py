"""Results of a benchmark as JSON, with what is needed to make them again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from snn2hw.files import atomic

RESULTS = Path(__file__).parent / "results"


class Bench:
    """Rows of figures under one name; ``write`` puts them into benchmarks/results/NAME.json."""

    def __init__(self, name: str, **about: Any) -> None:
        self.name = name
        self.about = {
            "commit": _commit(),
            "machine": _processor(),
            "python": platform.python_version(),
            "versions": {p: version(p) for p in ("snn2hw", "numpy", "numba", "torch")},
            **about,
        }
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def write(self) -> Path:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        text = json.dumps({**self.about, "rows": self.rows}, indent=2, default=np.generic.item)
        with atomic(path) as part:
            part.write_text(text + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
        return path


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and those it starts on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return f"{names[0]} ({len(names)} cores)" if names else platform.processor()
