"""Exports of other tools: run by ``make test-tools``, each tool in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TITLE = "NOT TESTED AGAINST OTHER TOOLS"
FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "tools: exports of other tools, in their environments")
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """These tests need environments of their own: only who asks for them gets them."""
    if config.option.markexpr:
        return
    theirs = [item for item in items if item.get_closest_marker("tools")]
    if theirs:
        config.hook.pytest_deselected(items=theirs)
        items[:] = [item for item in items if item not in theirs]


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder with all exports of a tool, made once by its own interpreter.

    "TOOL" stands for the script TOOL_export.py, "TOOL_what" for another one of that tool.
    """
    made: dict[str, Path] = {}

    def export(tool: str) -> Path:
        python = ROOT / ".build" / "tools" / tool.partition("_")[0] / "bin" / "python"
        if not (python.parents[1] / ".installed").exists():
            reason = f"{TITLE}: no environment for {tool} ({python.parents[1]}); make test-tools"
            if "tools" in os.environ.get("SNN2HW_REQUIRE", "").split(","):
                pytest.fail(reason)
            pytest.skip(reason)
        if tool not in made:
            folder = tmp_path_factory.mktemp(tool)
            script = Path(__file__).with_name(f"{tool}_export.py")
            environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
            environment.pop("PYTHONPATH", None)
            done = subprocess.run(
                [python, script, folder],
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            made[tool] = folder
        return made[tool]

    return export


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line that is said at the end of the run."""
    return request.config.stash[FIGURES].append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = terminalreporter.config.stash[FIGURES]
    if figures:
        terminalreporter.section("other tools: integer against float")
        for line in figures:
            terminalreporter.line(line)
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if TITLE in str(r.longrepr)]
    if skipped:
        terminalreporter.section(f"{TITLE}: {len(skipped)} tests skipped", red=True, bold=True)
        terminalreporter.line("To mend it: make test-tools, with a network.", red=True, bold=True)
