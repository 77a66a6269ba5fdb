"""Make the integers: a .nir graph to a fixed-point network."""

from __future__ import annotations

import argparse
from dataclasses import replace

from snn2hw.cli.common import add_graph, add_json, say, show, show_json
from snn2hw.data.files import load_inputs
from snn2hw.errors import DataError
from snn2hw.passes import QuantizeConfig, lower, quantize_graph_by
from snn2hw.passes.config import TARGETS


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_graph(command)
    command.add_argument("-o", "--output", metavar="NET.h5", help="where the network goes")
    command.add_argument(
        "--calibration", required=True, metavar="X", help="typical data, which set the scales"
    )
    command.add_argument("--target", choices=list(TARGETS), help="loihi2 if nothing is said")
    command.add_argument(
        "--bits", type=int, metavar="N", help="of weights that nothing else is said about"
    )
    command.add_argument("--config", metavar="PLAN.yaml", help="choices to be obeyed")
    command.add_argument(
        "--auto-config", metavar="PLAN.yaml", help="write every choice, to be edited"
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Quantize and save."""
    from snn2hw.converters.nir_file import read

    if not options.output and not options.auto_config:
        raise DataError("nothing to write; give -o NET.h5, --auto-config PLAN.yaml or both")
    graph = read(options.model)
    inputs = lower(graph, options.dt, options.method, options.reset).inputs
    x, _ = load_inputs(options.calibration, inputs, options.dt)
    made = quantize_graph_by(
        graph, options.target, options.dt, x, options.method, options.reset, _config(options)
    )
    written = {"output": options.output, "config": options.auto_config}
    if options.output:
        made.net.save(options.output)
    if options.auto_config:
        made.config.to_yaml(options.auto_config)
    if options.json:
        show_json({**written, "notes": made.net.notes, "latency": made.net.latency})
        return 0
    for note in made.net.notes:
        show(note)
    for path in filter(None, written.values()):
        say(f"wrote {path}")
    return 0


def _config(options: argparse.Namespace) -> QuantizeConfig | None:
    """What the file and the options say, or None."""
    if options.config is None and options.bits is None:
        return None
    if options.config is None:
        config = QuantizeConfig(target=options.target or "loihi2")
    else:
        config = QuantizeConfig.from_yaml(options.config)
    if options.bits is None:
        return config
    if config.default.bits not in (None, options.bits):
        raise DataError(
            f"--bits {options.bits} contradicts {options.config}, whose default is "
            f"{config.default.bits}; say it in one place"
        )
    return replace(config, default=replace(config.default, bits=options.bits))
