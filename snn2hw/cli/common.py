"""What several commands share: loading networks and data, printing tables and JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from snn2hw.data.files import Labels, load_inputs
from snn2hw.errors import DataError
from snn2hw.graph import Data, FixedPointNetwork, InputFormat, InputNode
from snn2hw.neurons.lif import RESETS
from snn2hw.passes.lower import METHODS
from snn2hw.storage import load


def add_network(command: argparse.ArgumentParser) -> None:
    """NET and --data, for commands that run a network."""
    command.add_argument("network", metavar="NET.h5", help="network made by 'snn2hw quantize'")
    command.add_argument(
        "--data", required=True, metavar="X", help=".npy, .npz, NIRData or SHD-layout HDF5"
    )
    command.add_argument("--samples", type=int, metavar="N", help="use the first N samples only")


def add_graph(command: argparse.ArgumentParser, dt: float | None = 1e-3) -> None:
    """MODEL.nir and how it becomes steps, for commands that take a graph."""
    command.add_argument("model", metavar="MODEL.nir", help="graph with float parameters")
    add_steps(command, dt)


def add_steps(command: argparse.ArgumentParser, dt: float | None = 1e-3) -> None:
    """What NIR does not hold: the time step, how decays are made, what a spike does.

    dt: in seconds unless given; None for what the neurons were trained at, if they say.
    """
    usual = "1e-3" if dt is not None else "the neurons' own, or 1e-3"
    command.add_argument("--dt", type=seconds, default=dt, help=f"time step in seconds ({usual})")
    command.add_argument("--method", default="euler", choices=METHODS, help="how decays are made")
    command.add_argument(
        "--reset", default="value", choices=RESETS, help="of neurons whose metadata do not say"
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """--json, for commands whose answer a program may read."""
    command.add_argument("--json", action="store_true", help="print JSON")


def network_and_data(
    options: argparse.Namespace, samples: int | None = None
) -> tuple[FixedPointNetwork, Data, Labels | None]:
    """The network, its data as messages, and labels where the file has them.

    Real values are rounded to the messages of a network that takes real values; a network that
    takes spikes gets the data as they are, and refuses fractions.
    """
    net = load(options.network)
    wanted = options.samples if options.samples is not None else samples
    x, y = data_for(options.data, net.inputs, net.dt_s, wanted)
    check_labels(options.data, y, net.size(net.outputs[0].source))
    return net, encode(net, x), y


def check_labels(path: str, y: Labels | None, classes: int) -> None:
    """Raise DataError where labels are not among the network's outputs."""
    if y is not None and len(y) and not (y.min() >= 0 and y.max() < classes):
        raise DataError(
            f"{path}: labels run from {y.min()} to {y.max()} and the network has {classes} "
            f"outputs; give 0 to {classes - 1}"
        )


def is_graph(path: str) -> bool:
    """Whether this is an HDF5 file that holds a NIR graph, as far as a look tells."""
    try:
        with h5py.File(path, "r") as file:
            return "node" in file
    except OSError:
        return False


def data_for(
    path: str, inputs: Sequence[InputNode | InputFormat], dt_s: float, samples: int | None
) -> tuple[Data, Labels | None]:
    """Data of a file for these inputs, the first ``samples`` of them, and labels if it has them."""
    x, y = load_inputs(path, inputs, dt_s)
    if samples is None:
        return x, y
    if samples < 1:
        raise DataError(f"--samples {samples} leaves no sample; give at least 1")
    return first(x, samples), y[:samples] if y is not None else None


def first(x: Data, samples: int) -> Data:
    """The first samples of the data of one or several inputs."""
    if isinstance(x, Mapping):
        return {name: np.asarray(values)[:samples] for name, values in x.items()}
    return np.asarray(x)[:samples]


def dimensions(x: Data) -> tuple[int, int]:
    """Numbers of samples and steps."""
    values = next(iter(x.values())) if isinstance(x, Mapping) else x
    return np.shape(values)[0], np.shape(values)[1]


def encode(net: FixedPointNetwork, x: Data) -> Any:
    """``net.encode``, with a word about values that were limited."""
    limited = net.limited(x)
    if limited:
        say(f"note: {limited} values are beyond calibration and were limited")
    return net.encode(x)


def natural(text: str) -> int:
    """An argument that is a number from 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; give 0 or more")
    return value


def seconds(text: str) -> float:
    """An argument that is a time above 0."""
    value = float(text)
    if not (0 < value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text} is not a time; give seconds above 0")
    return value


def make_folder(name: str) -> Path:
    """The folder, made if need be. Raises DataError where that cannot be."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {name}: {error.strerror}; name another") from None
    return Path(name)


def say(text: str) -> None:
    """A line for the person, on stderr, so that stdout stays what was asked for."""
    sys.stderr.write(text + "\n")


def show(text: str) -> None:
    """A line of the answer, on stdout."""
    sys.stdout.write(text + "\n")


def show_json(value: Any) -> None:
    """The answer as JSON, NumPy numbers included."""
    show(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """Rows in aligned columns; the first ``left`` columns to the left, the others to the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[k]) for line in [list(head), *lines]) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        sides = "<" * left + ">" * len(cells)
        padded = (f"{c:{s}{w}}" for c, s, w in zip(cells, sides, widths, strict=False))
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * w for w in widths]), *(line(row) for row in lines)])


def joules(value: float) -> str:
    """Energy with an SI prefix, three digits."""
    for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}J"
    return f"{value / 1e-12:.3g} pJ"


def accuracy(predictions: npt.NDArray[Any], labels: Labels | None) -> float | None:
    """Fraction right; None without labels."""
    return None if labels is None else float(np.mean(predictions == labels))
