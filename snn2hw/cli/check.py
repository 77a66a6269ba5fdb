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


def lava_process(neuron: str) -> str:
    """Lava's process for layers of a neuron model, as ``targets.lava.plan.process_of`` chooses."""
    from snn2hw.targets.lava.plan import PASSED_ON

    if neuron == "lif":
        return "LIFReset"
    return "GradedVec or snn2hw's" if neuron in PASSED_ON else "snn2hw's" if neuron else ""


def main(options: argparse.Namespace) -> int:
    """Check; status 1 where anything does not run."""
    from snn2hw.converters.nir_file import read

    graph = read(options.model)
    result = check(graph, options.target, options.dt, options.method, options.reset)
    if options.json:
        answer = asdict(result)
        for node in (*answer["nodes"], *answer["added"]):
            node["lava"] = lava_process(node["neuron"])
        show_json({"ok": result.ok, **answer})
        return 0 if result.ok else 1
    rows = []
    for node in (*result.nodes, *result.added):
        what = "; ".join(v.used for v in node.violations) or node.runs_as
        runs = "no" if node.violations else "yes" if node.runs_as else "?"
        rows.append((node.name, node.type, runs, lava_process(node.neuron) or "-", what or "-"))
    show(table(("node", "type", "runs", "in Lava", "as, or why not"), rows, left=5))
    for v in result.violations:
        limit = f" (limit: {v.limit})" if v.limit else ""
        show(f"{v.rule}: {v.used}{limit}" + (f"; {v.hint}" if v.hint else ""))
    show(f"{options.model}: {'runs' if result.ok else 'does not run'} on {options.target}")
    return 0 if result.ok else 1
