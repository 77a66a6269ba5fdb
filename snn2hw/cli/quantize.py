"""Make the integers: a .nir graph to a fixed-point network."""

from __future__ import annotations

import argparse

from snn2hw.cli.common import add_graph, add_json, say, show, show_json
from snn2hw.data.files import load_inputs
from snn2hw.passes import lower, quantize_graph
from snn2hw.passes.quantize import TARGETS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_graph(command)
    command.add_argument("-o", "--output", required=True, metavar="NET.h5")
    command.add_argument(
        "--calibration", required=True, metavar="X", help="typical data, which set the scales"
    )
    command.add_argument("--target", default="loihi2", choices=list(TARGETS))
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Quantize and save."""
    from snn2hw.converters.nir_file import read

    graph = read(options.model)
    inputs = lower(graph, options.dt, options.method, options.reset).inputs
    x, _ = load_inputs(options.calibration, inputs, options.dt)
    net = quantize_graph(graph, options.target, options.dt, x, options.method, options.reset)
    net.save(options.output)
    if options.json:
        show_json({"output": options.output, "notes": net.notes, "latency": net.latency})
    else:
        for note in net.notes:
            show(note)
        say(f"wrote {options.output}")
    return 0
