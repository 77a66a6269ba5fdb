"""What is at hand for verification, and with --repair, mending it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from snn2hw.cli.common import add_json, say, show, show_json


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument(
        "--repair", action="store_true", help="make the Lava environment (again), then look"
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Diagnose; status 1 where something is not as it should be."""
    from snn2hw.targets.lava import environment

    if options.repair:
        say("making the Lava environment ...")
        environment.repair()
    found = environment.diagnose()
    if options.json:
        show_json([asdict(line) for line in found])
    else:
        for line in found:
            show(f"{'ok  ' if line.ok else 'FAIL'}  {line.check}: {line.detail}")
            if line.remedy:
                show(f"      to mend: {line.remedy}")
    return 0 if all(line.ok for line in found) else 1
