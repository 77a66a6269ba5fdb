"""What holds for all tests: what must not be skipped, and a loud word at the end on what was."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["lava_at_hand"]

LOUD = {
    "lava": "NOT VERIFIED AGAINST LAVA. To mend it: snn2hw doctor --repair, or set "
    "SNN2HW_LAVA_PYTHON to a Python 3.10 with lava-nc.",
    "browser": "REPORT NOT TESTED IN A BROWSER. To mend it: install chromium and chromedriver.",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip becomes a failure where SNN2HW_REQUIRE names the test's marker (as CI does)."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        required = os.environ.get("SNN2HW_REQUIRE", "").split(",")
        missing = [name for name in LOUD if name in required and item.get_closest_marker(name)]
        if missing:
            report.outcome = "failed"
            report.longrepr = f"SNN2HW_REQUIRE={missing[0]}, but: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end, where nobody overlooks it, what these tests did not show."""
    skipped = terminalreporter.stats.get("skipped", [])
    for marker, words in LOUD.items():
        count = sum(marker in report.keywords for report in skipped)
        if count:
            terminalreporter.section(f"*** {count} tests skipped ***", sep="*", red=True, bold=True)
            terminalreporter.line(words, red=True, bold=True)
