"""Data as the engine reads them: integers within each input's range, all inputs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError
from snn2hw.graph import Data, InputFormat, by_input
from snn2hw.simulator.plan import BYTE, padded


def gather(inputs: Sequence[InputFormat], x: Data, channels: Mapping[str, int]) -> npt.NDArray[Any]:
    """The data of all inputs, (batch, time, padded channels of one after those of the other).

    channels: input -> number of (feature map) channels, for those that are kept channels last.

    One byte each where every input's range allows, else four: the engine reads every channel at
    every step. A byte above 127 wraps to a negative one, which the engine's mask undoes.
    """
    checked = [(node, check_messages(node, values)) for node, values in by_input(inputs, x)]
    dtype = np.int8 if all(node.bits <= BYTE for node in inputs) else np.int32
    if len(checked) == 1:
        node, data = checked[0]
        small = data.itemsize == 1 and dtype == np.int8
        if small and node.n == padded(node.n):
            return _kept(node, data, channels).view(np.int8)
    width = sum(padded(node.n) for node in inputs)
    messages = np.zeros((*checked[0][1].shape[:2], width), dtype=dtype)
    first = 0
    for node, data in checked:
        # By way of 32 bits: a float above 127 has no defined byte.
        whole = data.astype(np.int32) if data.dtype.kind == "f" else data
        messages[:, :, first : first + node.n] = _kept(node, whole, channels)
        first += padded(node.n)
    return messages


def _kept(
    node: InputFormat, data: npt.NDArray[Any], channels: Mapping[str, int]
) -> npt.NDArray[Any]:
    """Data in the order in which the engine keeps the input, in one piece."""
    if node.name not in channels:
        return np.ascontiguousarray(data)
    maps = data.reshape(*data.shape[:2], channels[node.name], -1)
    kept = np.empty((*data.shape[:2], maps.shape[3], maps.shape[2]), dtype=data.dtype)
    # Channel by channel, which is several times faster than a transposed copy of few channels.
    for channel in range(maps.shape[2]):
        kept[..., channel] = maps[:, :, channel]
    return kept.reshape(data.shape)


def check_messages(node: InputFormat, x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Data of one input, (batch, time, channels), or a DataError that says what is wrong."""
    data = np.asarray(x)
    if data.ndim != 2 + len(node.shape) or data.shape[2:] != node.shape:
        raise DataError(
            f"data have shape {data.shape}; the network takes (batch, time, "
            f"{', '.join(map(str, node.shape))})"
        )
    if data.shape[0] == 0 or data.shape[1] == 0:
        raise DataError(f"data have shape {data.shape}: no sample or no time step; give at least 1")
    if data.dtype.kind not in "biuf":
        raise DataError(f"data have dtype {data.dtype}; give numbers")
    if data.dtype.kind == "f":
        if not np.all(np.isfinite(data)):
            raise DataError("data hold NaN or infinity; clean them first")
        if np.any(data != np.rint(data)):
            raise DataError(
                "data hold fractions, and messages are integers; "
                "round real values with net.encode(x), spikes are counts"
            )
    if data.size and (data.min() < node.low or data.max() > node.high):
        what = "spike counts cannot be negative" if data.min() < 0 <= node.low else "out of range"
        raise DataError(
            f"data span {data.min()}..{data.max()} and input {node.name!r} takes "
            f"{node.low}..{node.high} ({what}); calibrate with such data or encode them"
        )
    return data.reshape(*data.shape[:2], node.n)
