"""What holds for all tests: what must not be skipped, and a loud word at the end on what was."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from snn2hw.errors import BackendError
from snn2hw.targets.lava.environment import LavaEnvironment, ensure

LOUD = {
    "lava": (
        ("NOT VERIFIED AGAINST LAVA",),
        "NOT VERIFIED AGAINST LAVA",
        "To mend it: snn2hw doctor --repair, or set SNN2HW_LAVA_PYTHON to a Python 3.10 with "
        "lava-nc.",
    ),
    "data": (
        # snn2hw.data.base.find_data says the one or the other.
        ("the environment variable SNN2HW_DATA is not set", "looked for the folder"),
        "NOT TESTED ON RECORDED DATA",
        "To mend it: set SNN2HW_DATA to a folder with the data sets (snn2hw/data says which).",
    ),
    "lavadl": (
        ("lava-dl==0.6.0 is not at hand",),
        "INTEL'S RECORDINGS WERE NOT REPLAYED",
        "To mend it: allow the package index once, or set SNN2HW_LAVA_DL to a folder made by "
        "tests/netx_data.py.",
    ),
    "browser": (
        ("THE REPORT WAS NOT TESTED IN A BROWSER",),
        "THE REPORT WAS NOT TESTED IN A BROWSER",
        "To mend it: install chromium and chromedriver.",
    ),
}
"""What may not be at hand -> words, one of which a skip for want of it contains, what to say, the
remedy."""


@pytest.fixture(scope="session")
def lava() -> LavaEnvironment:
    """The Lava environment, made on first use, or a skip that is said loudly at the end."""
    try:
        return ensure()
    except BackendError as error:
        pytest.skip(f"{LOUD['lava'][1]}: {error}")


def lacks(report: pytest.TestReport, what: str) -> bool:
    """Whether a test was skipped because this is not at hand."""
    return report.skipped and any(words in str(report.longrepr) for words in LOUD[what][0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip becomes a failure where SNN2HW_REQUIRE names what is not at hand (as CI does)."""
    report = yield
    for marker in os.environ.get("SNN2HW_REQUIRE", "").split(","):
        if marker in LOUD and lacks(report, marker):
            report.outcome = "failed"
            report.longrepr = f"SNN2HW_REQUIRE={marker}, but: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end, where nobody overlooks it, what these tests did not show."""
    skipped = terminalreporter.stats.get("skipped", [])
    for marker, (_, words, remedy) in LOUD.items():
        count = sum(lacks(report, marker) for report in skipped)
        if count:
            title = f"{words}: {count} tests skipped"
            terminalreporter.section(title, sep="*", red=True, bold=True)
            terminalreporter.line(remedy, red=True, bold=True)
