"""Make the integers: a .nir graph to a fixed-point network."""

from __future__ import annotations

import argparse

import numpy as np

from snn2hw.cli.common import add_json, say, show, show_json
from snn2hw.data.files import load_data
from snn2hw.errors import GraphError
from snn2hw.passes import quantize_graph
from snn2hw.passes.lower import METHODS
from snn2hw.passes.quantize import TARGETS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("model", metavar="MODEL.nir", help="graph with float parameters")
    command.add_argument("-o", "--output", required=True, metavar="NET.h5")
    command.add_argument(
        "--calibration", required=True, metavar="X", help="typical data, which set the scales"
    )
    command.add_argument("--target", default="loihi2", choices=list(TARGETS))
    command.add_argument("--dt", type=float, default=1e-3, help="time step in seconds (1e-3)")
    command.add_argument("--method", default="euler", choices=METHODS, help="how decays are made")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Quantize and save."""
    from snn2hw.converters.nir_file import read

    graph = read(options.model)
    inputs = {n: node for n, node in graph.nodes.items() if type(node).__name__ == "Input"}
    if len(inputs) != 1:
        raise GraphError(f"{options.model}: {len(inputs)} Input nodes; this release takes one")
    name, node = next(iter(inputs.items()))
    shape = tuple(int(n) for n in np.atleast_1d(node.input_type["input"]))
    x, _ = load_data(options.calibration, shape, options.dt, name)
    net = quantize_graph(graph, options.target, options.dt, x, options.method)
    net.save(options.output)
    if options.json:
        show_json({"output": options.output, "notes": net.notes, "latency": net.latency})
    else:
        for note in net.notes:
            show(note)
        say(f"wrote {options.output}")
    return 0
