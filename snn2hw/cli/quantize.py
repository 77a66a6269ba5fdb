"""Make the integers: a .nir graph to a fixed-point network."""

from __future__ import annotations

import argparse

from snn2hw.cli.common import add_json, say, show, show_json
from snn2hw.data.files import load_data
from snn2hw.passes import lower, quantize_graph
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
    node = lower(graph, options.dt, options.method).inputs[0]
    x, _ = load_data(options.calibration, node.shape, options.dt, node.name)
    net = quantize_graph(graph, options.target, options.dt, x, options.method)
    net.save(options.output)
    if options.json:
        show_json({"output": options.output, "notes": net.notes, "latency": net.latency})
    else:
        for note in net.notes:
            show(note)
        say(f"wrote {options.output}")
    return 0
