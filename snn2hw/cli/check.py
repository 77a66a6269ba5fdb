"""Which nodes of a .nir graph run on a target, which do not, and why."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from snn2hw.cli.common import add_graph, add_json, show, show_json, table
from snn2hw.passes.check import check
from snn2hw.passes.quantize import TARGETS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_graph(command)
    command.add_argument("--target", default="loihi2", choices=list(TARGETS))
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Check; status 1 where anything does not run."""
    from snn2hw.converters.nir_file import read

    graph = read(options.model)
    result = check(graph, options.target, options.dt, options.method, options.reset)
    if options.json:
        show_json({"ok": result.ok, **asdict(result)})
        return 0 if result.ok else 1
    rows = []
    for node in result.nodes:
        what = "; ".join(v.used for v in node.violations) or node.runs_as
        rows.append((node.name, node.type, "no" if node.violations else "yes", what))
    show(table(("node", "type", "runs", "as, or why not"), rows, left=4))
    for v in result.violations:
        limit = f" (limit: {v.limit})" if v.limit else ""
        show(f"{v.rule}: {v.used}{limit}" + (f"; {v.hint}" if v.hint else ""))
    show(f"{options.model}: {'runs' if result.ok else 'does not run'} on {options.target}")
    return 0 if result.ok else 1
