"""Simulate a network on data, integer for integer as on the chip, or a graph in floats."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.cli.common import (
    accuracy,
    add_json,
    add_steps,
    check_labels,
    data_for,
    is_graph,
    network_and_data,
    say,
    show,
    show_json,
    table,
)
from snn2hw.errors import DataError
from snn2hw.executor import execute
from snn2hw.files import atomic
from snn2hw.passes import lower
from snn2hw.storage import load


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("network", metavar="NET.h5", help="network, or MODEL.nir with --float")
    command.add_argument(
        "--data", required=True, metavar="X", help=".npy, .npz, NIRData or SHD-layout HDF5"
    )
    command.add_argument("--samples", type=int, metavar="N", help="use the first N samples only")
    command.add_argument("-o", "--output", metavar="OUT.npz", help="write outputs, spikes, states")
    command.add_argument(
        "--record", default="", metavar="v,u", help="states to keep, with -o (comma-separated)"
    )
    command.add_argument("--raw", action="store_true", help="chip time: the latency left in")
    command.add_argument(
        "--float",
        action="store_true",
        dest="floats",
        help="run a .nir graph in float64: the same steps without rounding",
    )
    add_steps(command)
    # None tells what was not given from what was: a network of integers has its own.
    command.set_defaults(**dict.fromkeys(STEPS))
    add_json(command)


STEPS = {"dt": 1e-3, "method": "euler", "reset": "value"}
"""What ``--float`` alone takes, and what it is unless said."""


def main(options: argparse.Namespace) -> int:
    """Run, summarise, write."""
    graph = is_graph(options.network)
    if options.floats:
        if options.raw:
            raise DataError("--raw is for networks of integers; leave it out")
        if not graph and options.network.endswith(".h5"):
            load(options.network)
            raise DataError(
                f"{options.network}: a network of integers; leave --float out, or give the "
                "MODEL.nir that it was made of"
            )
        for name, value in STEPS.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        return _floats(options)
    if graph:
        raise DataError(
            f"{options.network}: not a network of snn2hw but a graph of floats; give --float, or "
            "make a network with 'snn2hw quantize'"
        )
    given = [f"--{name}" for name in STEPS if getattr(options, name) is not None]
    if given:
        raise DataError(
            f"{', '.join(given)}: for graphs with --float, a network of integers has its own; "
            "give it to 'snn2hw quantize'"
        )
    return _integers(options)


def _record(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name for name in options.record.split(",") if name)


def _floats(options: argparse.Namespace) -> int:
    from snn2hw.converters.nir_file import read

    graph = read(options.network)
    discrete = lower(graph, options.dt, options.method, options.reset)
    x, labels = data_for(options.data, discrete.inputs, options.dt, options.samples)
    check_labels(options.data, labels, discrete.population(discrete.outputs[0].source).n)
    run = execute(discrete, x, _record(options))
    mean = run.output.mean(axis=1).reshape(len(run.output), -1)
    arrays = {f"output/{name}": values for name, values in run.outputs.items()}
    _write(options, arrays | {"output": run.output, "logits": mean}, run.spikes, run.state)
    samples, steps = run.output.shape[:2]
    predictions = mean.argmax(axis=1)
    right = accuracy(predictions, labels)
    spikes = {name: float(values.sum()) / samples for name, values in run.spikes.items()}
    if options.json:
        show_json(
            {
                "samples": samples,
                "steps": steps,
                "predictions": predictions,
                "accuracy": right,
                "spikes_per_sample": spikes,
            }
        )
        return 0
    show(f"{samples} samples of {steps} steps, float64, dt = {options.dt:g} s")
    if right is not None:
        show(f"accuracy {right:.2%}")
    rows = [
        (p.name, p.model.name, p.n, f"{spikes[p.name]:.1f}" if p.name in spikes else "-")
        for p in discrete.populations
    ]
    show(table(("layer", "neuron", "neurons", "spikes/sample"), rows))
    return 0


def _write(
    options: argparse.Namespace,
    arrays: dict[str, Any],
    spikes: Mapping[str, npt.NDArray[Any]],
    state: Mapping[str, Mapping[str, npt.NDArray[Any]]],
) -> None:
    if not options.output:
        return
    arrays |= {f"spikes/{name}": values for name, values in spikes.items()}
    for owner, states in state.items():
        arrays |= {f"state/{owner}/{name}": values for name, values in states.items()}
    with atomic(options.output) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    say(f"wrote {options.output}")


def _integers(options: argparse.Namespace) -> int:
    net, x, labels = network_and_data(options)
    result = net.run(x, _record(options), aligned=not options.raw)
    arrays: dict[str, Any] = {f"output/{k}": values for k, values in result.outputs.items()}
    arrays |= {"output": result.output, "logits": result.logits}
    _write(options, arrays, result.spikes, result.state)
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
