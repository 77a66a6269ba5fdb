"""Say which layer loses what: a graph of floats against its integers, layer by layer."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from snn2hw.analysis.compare import compare
from snn2hw.analysis.measures import SpikeErrors
from snn2hw.analysis.results import Comparison, LayerComparison, Outcome
from snn2hw.cli.common import (
    add_json,
    check_labels,
    data_for,
    encode,
    say,
    show,
    show_json,
    table,
)
from snn2hw.data.files import Labels
from snn2hw.energy import estimate
from snn2hw.energy.profile import profile_names
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.neurons.lif import RESETS
from snn2hw.report import ReportData, Section, write_report
from snn2hw.storage import load

DASH = "-"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("model", metavar="MODEL.nir", help="graph that the network was made of")
    command.add_argument("network", metavar="NET.h5", help="network made by 'snn2hw quantize'")
    command.add_argument(
        "--data", required=True, metavar="X", help=".npy, .npz, NIRData or SHD-layout HDF5"
    )
    command.add_argument("--samples", type=int, metavar="N", help="use the first N samples only")
    command.add_argument(
        "--reset", default="value", choices=RESETS, help="as it was given to 'snn2hw quantize'"
    )
    command.add_argument("-o", "--output", metavar="REPORT.html", help="a page with pictures")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Compare and say it."""
    from snn2hw.converters.nir_file import read

    net = load(options.network)
    x, labels = data_for(options.data, net.inputs, net.dt_s, options.samples)
    check_labels(options.data, labels, net.size(net.outputs[0].source))
    found = run_comparison(read(options.model), net, x, labels, options.reset)
    if options.json:
        show_json(found.to_dict())
    else:
        for line in describe(found):
            show(line)
    if options.output:
        _write(options, net, x, labels, found)
    return 0


def run_comparison(
    graph: object, net: FixedPointNetwork, x: Data, labels: Labels | None, reset: str
) -> Comparison:
    """``compare`` with a bar of its progress on a terminal."""
    from tqdm import tqdm

    with tqdm(desc="comparing", unit="run", disable=not sys.stderr.isatty(), leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return compare(graph, net, x, labels, reset, progress)


def describe(found: Comparison) -> Sequence[str]:
    """The comparison as lines of text."""
    lines = [f"{found.samples} samples of {found.steps} steps"]
    if found.floats.accuracy is not None and found.fixed.accuracy is not None:
        lines.append(
            f"accuracy {found.floats.accuracy:.2%} in floats, "
            f"{found.fixed.accuracy:.2%} in integers"
        )
    lines.append(
        f"answers as in floats {found.fixed.agreement:.2%}, output error {found.fixed.error:.3%}"
    )
    head = ("layer", "neuron", "spikes equal", "matched", "rate error", "SNR v or out", "wraps",
            "clips", "first difference")  # fmt: skip
    lines += ["", "within the integer network, against floats"]
    lines.append(table(head, [_errors(layer) for layer in found.layers], left=2))
    labelled = found.fixed.accuracy is not None
    columns = ("layer", "SNR alone", *_outcome_head("only", labelled),
            *_outcome_head("all but", labelled))  # fmt: skip
    lines += ["", "answers and output with only this layer as integers, and with all layers but it"]
    rows = [
        (name, DASH, *_outcome(outcome, labelled), *[DASH] * (2 + labelled))
        for name, outcome in found.inputs.items()
    ]
    rows += [
        (
            layer.name,
            _decibels(layer, whole=False),
            *_outcome(layer.only, labelled),
            *_outcome(layer.without, labelled),
        )
        for layer in found.layers
    ]
    lines += [table(columns, rows), ""]
    culprit = found.culprit
    if culprit is None:
        lines.append("no layer changes the output")
    else:
        lines.append(
            f"most of the error comes from {culprit.name}: as the only layer of integers it makes "
            f"an output error of {culprit.only.error:.3%}, and without it "
            f"{culprit.without.error:.3%} of {found.fixed.error:.3%} are left"
        )
    for name, outcome in found.inputs.items():
        lines.append(
            f"rounding the data of {name} alone makes an output error of {outcome.error:.3%}, "
            "which the layers that hear it have in theirs"
        )
    first = found.diverged
    if first is not None:
        lines.append(f"floats are left first in {first.name}: {first.whole.first}")
    if found.limited:
        lines.append(f"{found.limited} input values are beyond calibration and were limited")
    lines += [f"note: {note}" for note in found.notes]
    return lines


def _errors(layer: LayerComparison) -> tuple[str, ...]:
    first = layer.whole.first
    where = (
        DASH
        if first is None
        else f"step {first.step}, sample {first.sample}, neuron {first.neuron}"
    )
    return (
        layer.name,
        layer.model,
        *_spikes(layer.whole.spikes),
        _decibels(layer, whole=True),
        str(layer.wraps),
        str(layer.clips),
        where,
    )


def _spikes(found: SpikeErrors | None) -> tuple[str, str, str]:
    if found is None:
        return DASH, DASH, DASH
    rate = "from silence" if np.isnan(found.rate_error) else f"{found.rate_error:.2%}"
    return f"{found.agreement:.3%}", f"{found.matched:.2%}", rate


def _decibels(layer: LayerComparison, whole: bool) -> str:
    states = (layer.whole if whole else layer.own).states
    name = next((name for name in ("v", "y", "m") if name in states), None)
    if name is None:
        return DASH
    ratio = states[name].snr_db
    if np.isnan(ratio):
        return "from silence"
    return "exact" if np.isinf(ratio) else f"{ratio:.1f} dB"


def _outcome_head(what: str, labelled: bool) -> tuple[str, ...]:
    columns = ("as floats", "error")
    return tuple(f"{what} it: {name}" for name in (("accuracy", *columns) if labelled else columns))


def _outcome(found: Outcome, labelled: bool) -> tuple[str, ...]:
    cells = (f"{found.agreement:.2%}", f"{found.error:.3%}")
    return (f"{found.accuracy:.2%}", *cells) if labelled else cells


def _write(
    options: argparse.Namespace,
    net: FixedPointNetwork,
    x: Data,
    labels: Labels | None,
    found: Comparison,
) -> None:
    messages = encode(net, x)
    run = net.run(messages)
    command = f"snn2hw compare {options.model} {options.network} --data {options.data}"
    section = Section(
        title=options.network,
        net=net,
        run=run,
        bills=tuple(estimate(run, profile=name, net=net) for name in profile_names()),
        not_verified="no comparison with a backend was asked for; run 'snn2hw verify'",
        accuracy_float=found.floats.accuracy,
        labels=labels,
        x=messages,
        comparison=found,
    )
    names = ("snn2hw", "nir", "numpy", "numba")
    data = ReportData(
        title=f"{options.model} against {options.network}",
        sections=(section,),
        commands=(f"{command} -o {options.output}",),
        versions={name: version(name) for name in names} | {"python": platform.python_version()},
    )
    write_report(options.output, data)
    say(f"wrote {options.output}")
