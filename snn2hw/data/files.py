"""Data files for the command line: arrays, NIRData, and spikes in the layout of SHD.

- ``.npy``: one array (batch, time, channels); ``.npz``: ``x`` (of a network with several inputs an
  array for each, by name) and, if there, labels ``y``;
- NIRData (HDF5, as ``nir.write_data`` writes it): the input node's observable;
- SHD layout (HDF5): ``spikes/times`` (seconds) and ``spikes/units``, ``labels``.

Events are counted into steps of the network's dt: step k holds times in [k dt, (k + 1) dt), up to
rounding (`binning.in_steps`).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from snn2hw.data.binning import EDGE, in_steps
from snn2hw.errors import DataError, FileFormatError
from snn2hw.graph import Data, InputFormat, InputNode

Labels = npt.NDArray[np.int64]

DAMAGED = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, IndexError, ValueError, TypeError,
    AttributeError,
)  # fmt: skip
"""What NumPy and h5py raise about files that are truncated, foreign, or not what they say."""

STEPS_MAX = 10_000_000


def load_data(
    path: str | Path,
    shape: tuple[int, ...],
    dt_s: float,
    node: str = "input",
    *,
    alone: bool = True,
    labelled: bool = True,
) -> tuple[npt.NDArray[Any], Labels | None]:
    """Data and, where the file has them, labels.

    shape: of one time step of the network's input; dt_s: its time step; node: the input's name,
    which NIRData files use; alone: whether it is the network's only one (else an .npz must hold an
    array of the input's name); labelled: whether ``y`` in an .npz is labels. Returns
    (batch, time, *shape) in the file's dtype (event counts are uint16) and int64 (batch,) or None.

    Raises DataError for a file that is not there or does not fit the network, FileFormatError for
    one that is truncated or of an unknown kind.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix in (".npy", ".npz"):
            x, y = _arrays(path, "x" if alone else node, labelled)
        elif h5py.is_hdf5(path):
            x, y = _hdf5(path, int(np.prod(shape)), dt_s, node, alone)
        else:
            raise FileFormatError(f"{path}: not .npy, .npz or HDF5; convert it to one of these")
        if x.ndim < 2 or x.size == 0:
            raise DataError(f"{path}: an array of shape {x.shape}; give (batch, time, channels)")
        if x.shape[2:] != shape and x[0, 0].size == int(np.prod(shape)):
            x = x.reshape(*x.shape[:2], *shape)
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise FileFormatError(f"{path}: truncated or foreign ({reason}); write it again") from None
    if y is not None and y.shape != x.shape[:1]:
        raise DataError(f"{path}: {len(x)} samples and labels of shape {y.shape}; give one each")
    return x, y


def load_inputs(
    path: str | Path, inputs: Sequence[InputNode | InputFormat], dt_s: float
) -> tuple[Data, Labels | None]:
    """Data for one or several inputs; of several, one array for each, by name.

    Several inputs need an .npz with an array of each input's name, or NIRData with a node of each.
    ``y`` in the .npz is labels, unless an input has that name.
    Raises what ``load_data`` raises.
    """
    if len(inputs) == 1:
        return load_data(path, inputs[0].shape, dt_s, inputs[0].name)
    path, found = Path(path), {}
    y: Labels | None = None
    labelled = all(node.name != "y" for node in inputs)
    for node in inputs:
        found[node.name], y = load_data(
            path, node.shape, dt_s, node.name, alone=False, labelled=labelled
        )
    return found, y


def _arrays(path: Path, name: str, labelled: bool) -> tuple[npt.NDArray[Any], Labels | None]:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        if name != "x":
            raise DataError(f"{path}: one array; give an .npz with one for each input, by name")
        return loaded, None
    with loaded as archive:
        if name not in archive:
            raise DataError(
                f"{path}: no array {name!r} in it, only {', '.join(archive)}; name it so"
            )
        y = _labels(path, archive["y"]) if labelled and "y" in archive else None
        return archive[name], y


def _hdf5(
    path: Path, channels: int, dt_s: float, node: str, alone: bool
) -> tuple[npt.NDArray[Any], Labels | None]:
    with h5py.File(path, "r") as file:
        if file.attrs.get("__type__") == "NIRGraphData":
            return _nir_data(path, file, channels, dt_s, node), None
        if not alone:
            raise FileFormatError(
                f"{path}: one recording, and the network has several inputs; convert it to NIRData "
                "or to an .npz with an array for each input"
            )
        if "spikes/times" not in file or "spikes/units" not in file:
            raise FileFormatError(
                f"{path}: HDF5, but neither NIRData nor the layout of SHD (spikes/times, "
                "spikes/units); convert it to one of these or to .npy"
            )
        times, units = list(file["spikes/times"]), list(file["spikes/units"])
        y = _labels(path, file["labels"][()]) if "labels" in file else None
    last = max((float(in_steps(t, dt_s).max()) for t in times if len(t)), default=0.0)
    steps = _steps(path, last) + 1
    x = np.zeros((len(times), steps, channels), dtype=np.uint16)
    for sample, (t, unit) in enumerate(zip(times, units, strict=True)):
        _count(path, x[sample], np.asarray(t), np.asarray(unit), 1, dt_s)
    return x, y


def _nir_data(
    path: Path, file: h5py.File, channels: int, dt_s: float, node: str
) -> npt.NDArray[Any]:
    nodes = file["nodes"]
    if node not in nodes:
        raise DataError(f"{path}: no data for node {node!r}, only for {', '.join(nodes)}")
    observables = nodes[node]["observables"]
    if len(observables) != 1:
        raise DataError(
            f"{path}: node {node!r} has {len(observables)} observables; keep the one to feed in"
        )
    group = next(iter(observables.values()))
    kind = group.attrs["__type__"]
    if kind == "TimeGriddedData":
        dt = float(group.attrs["dt"])
        if abs(dt - dt_s) > 1e-6 * dt_s:
            raise DataError(f"{path}: steps of {dt:g} s and the network has {dt_s:g} s; resample")
        return np.asarray(group["data"][()])
    idx, time = group["idx"][()], group["time"][()]
    value = group["value"][()] if kind == "ValuedEventData" else np.ones_like(idx)
    steps = max(_steps(path, np.ceil(float(group.attrs["t_max"]) / dt_s - EDGE)), 1)
    x = np.zeros((len(idx), steps, channels), dtype=value.dtype)
    for sample in range(len(idx)):
        real = idx[sample] >= 0
        _count(path, x[sample], time[sample][real], idx[sample][real], value[sample][real], dt_s)
    return x


def _labels(path: Path, values: npt.NDArray[Any]) -> Labels:
    if np.asarray(values).dtype.kind not in "biuf":
        raise DataError(f"{path}: labels are not whole numbers; give class indices")
    numbers = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(numbers)) or np.any(numbers != np.rint(numbers)):
        raise DataError(f"{path}: labels are not whole numbers; give class indices")
    return numbers.astype(np.int64)


def _steps(path: Path, steps: float) -> int:
    if not 0 <= steps <= STEPS_MAX:
        raise DataError(
            f"{path}: the recording would take {steps:.3g} time steps; times must be in seconds"
        )
    return int(steps)


def _count(
    path: Path,
    x: npt.NDArray[Any],
    times: npt.NDArray[Any],
    units: npt.NDArray[Any],
    value: Any,
    dt_s: float,
) -> None:
    """Add events to the (time, channels) array of one sample."""
    if units.size and (units.min() < 0 or units.max() >= x.shape[1]):
        raise DataError(
            f"{path}: channels up to {units.max()} and the network has {x.shape[1]}; "
            "use data of the network's channels"
        )
    step = np.floor(in_steps(times, dt_s)).astype(np.int64)
    if step.size and (step.min() < 0 or step.max() >= x.shape[0]):
        raise DataError(f"{path}: an event at {times.max():g} s is outside the recording")
    np.add.at(x, (step, units.astype(np.int64)), value)
