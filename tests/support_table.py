"""docs/support.md from the conformance suite: ``make support`` runs this file."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from conformance import CASES, EXCLUDED, EXECUTORS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "support.md"

HEAD = """# What runs

Written by `make support` from the conformance suite (`tests/conformance*.py`); do not edit. Each
row is a small network that the test suite runs on every executor. ✓: it runs there and agrees with
the reference; a number: it is refused, for the reason at the end.

"""

TAIL = """
Beside these, `tests/test_lower_topology.py` shows what is refused everywhere, with the message:
shapes that do not fit each other, edges to nodes that do not exist, loops of linear nodes alone,
unknown or negative padding, a delay beyond what the chip holds, and shapes too large for memory.
"""


def support_page() -> str:
    """The page as text."""
    reasons = list(dict.fromkeys(exclusion.reason for exclusion in EXCLUDED.values()))
    parts = [HEAD, *(f"- **{name}**: {what}.\n" for name, what in EXECUTORS.items())]
    for section, cases in groupby(CASES, key=lambda case: case.section):
        parts.append(f"\n## {section}\n\n")
        parts.append(f"| network | {' | '.join(EXECUTORS)} |\n|---|{':-:|' * len(EXECUTORS)}\n")
        for case in cases:
            cells = []
            for executor in EXECUTORS:
                excluded = EXCLUDED.get((case.row, executor))
                cells.append(f"[{reasons.index(excluded.reason) + 1}]" if excluded else "✓")
            parts.append(f"| {case.row} | {' | '.join(cells)} |\n")
    parts.append("\n## Not run\n\n")
    parts += [f"{number}. {reason}\n" for number, reason in enumerate(reasons, 1)]
    parts.append(TAIL)
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(support_page())
