"""Simulate a network on data, integer for integer as on the chip."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from snn2hw.cli.common import (
    accuracy,
    add_json,
    add_network,
    network_and_data,
    say,
    show,
    show_json,
    table,
)
from snn2hw.files import atomic


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_network(command)
    command.add_argument("-o", "--output", metavar="OUT.npz", help="write outputs, spikes, states")
    command.add_argument(
        "--record", default="", metavar="v,u", help="states to keep, with -o (comma-separated)"
    )
    command.add_argument("--raw", action="store_true", help="chip time: the latency left in")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Run, summarise, write."""
    net, x, labels = network_and_data(options)
    record = tuple(name for name in options.record.split(",") if name)
    result = net.run(x, record, aligned=not options.raw)
    if options.output:
        arrays: dict[str, Any] = {"output": result.output, "logits": result.logits}
        arrays |= {f"spikes/{name}": values for name, values in result.spikes.items()}
        for owner, states in result.state.items():
            arrays |= {f"state/{owner}/{name}": values for name, values in states.items()}
        with atomic(options.output) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)
        say(f"wrote {options.output}")
    right = accuracy(result.predictions, labels)
    overflow = {name: vars(o) for name, o in result.overflows.items() if o}
    activity = result.activity
    if options.json:
        show_json(
            {
                "samples": activity.samples,
                "steps": activity.steps,
                "predictions": result.predictions,
                "accuracy": right,
                "spikes": {layer.name: int(layer.spikes.sum()) for layer in activity.layers},
                "synaptic_operations": activity.synops,
                "overflows": overflow,
            }
        )
        return 0
    show(f"{activity.samples} samples of {activity.steps} steps")
    if right is not None:
        show(f"accuracy {right:.2%}")
    rows: list[tuple[object, ...]] = []
    for layer in activity.layers:
        synops = sum(int(s.synops.sum()) for s in activity.into(layer.name))
        overflows = result.overflows[layer.name]
        rows.append(
            (
                layer.name,
                layer.model,
                layer.neurons,
                f"{layer.spikes.mean():.1f}",
                f"{synops / activity.samples:.0f}",
                overflows.wraps,
                overflows.clips,
            )
        )
    head = ("layer", "neuron", "neurons", "spikes/sample", "synops/sample", "wraps", "clips")
    show(table(head, rows))
    if overflow:
        say(f"warning: registers overflowed in {', '.join(overflow)}; see wraps and clips")
    return 0
