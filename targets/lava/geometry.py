"""Linear maps in the layouts that Lava's ``Conv`` and ``Sparse`` take.

Ours are PyTorch's: cross-correlation, values in the order (channel, row, column). Lava's ``Conv``
(lava-nc 0.10.0, ``lava.proc.conv``) is a true convolution over (x, y, channel) with x the column
and y the row, weights (output channel, x, y, input channel), and pads as much before as behind.
Measured against ``snn2hw.linear`` on 300 random geometries: it gets stride, padding, dilation and
groups right, in every combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne

Index = npt.NDArray[np.int64]
Pair = tuple[int, int]


@dataclass(frozen=True)
class LavaConvolution:
    """Arguments of Lava's ``Conv``. weight: (output channels, x, y, input channels / groups);
    stride, padding and dilation as (x, y); input_shape as ours, (channels, rows, columns)."""

    weight: npt.NDArray[Any]
    input_shape: tuple[int, int, int]
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def described(self) -> dict[str, Any]:
        """All but the weight, for job.json."""
        return {
            "input_shape": self.input_shape,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


def lava_convolution(link: Convolution) -> LavaConvolution:
    """The same convolution as Lava writes it."""
    weight, padding, dilation = link.weight, [0, 0], list(link.dilation)
    for axis in (0, 1):
        before, behind = link.padding[axis]
        padding[axis] = max(before, behind)
        if before != behind:
            # Lava pads evenly: what is too much on one side meets taps of weight zero.
            weight = _spread(weight, 2 + axis, dilation[axis])
            dilation[axis] = 1
            more = [(0, 0)] * 4
            more[2 + axis] = (max(behind - before, 0), max(before - behind, 0))
            weight = np.pad(weight, more)
    return LavaConvolution(
        # Reversed, since Lava convolves where we correlate.
        weight=np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)),
        input_shape=link.input_shape,
        stride=(link.stride[1], link.stride[0]),
        padding=(padding[1], padding[0]),
        dilation=(dilation[1], dilation[0]),
        groups=link.groups,
    )


def _spread(weight: npt.NDArray[Any], axis: int, dilation: int) -> npt.NDArray[Any]:
    """A dilated kernel as one without dilation: zeros between the taps."""
    shape = list(weight.shape)
    shape[axis] = dilation * (shape[axis] - 1) + 1
    spread = np.zeros(shape, dtype=weight.dtype)
    at: list[slice] = [slice(None)] * weight.ndim
    at[axis] = slice(None, None, dilation)
    spread[tuple(at)] = weight
    return spread


def entries(link: LinearMap) -> tuple[Index, Index, npt.NDArray[Any]]:
    """Every weight but zero, written out: output, input and value of each."""
    if isinstance(link, Dense):
        rows, columns = np.nonzero(link.weight)
        return rows, columns, link.weight[rows, columns]
    if isinstance(link, OneToOne):
        (at,) = np.nonzero(link.weight)
        return at, at, link.weight[at]
    return _convolution_entries(link)


def _convolution_entries(link: Convolution) -> tuple[Index, Index, npt.NDArray[Any]]:
    inputs = np.arange(link.n_in).reshape(link.input_shape)
    outputs = np.arange(link.n_out).reshape(link.output_shape)
    out_channels, per_group = link.weight.shape[:2]
    per_out_group = out_channels // link.groups
    hit_y, hit_x = link.hits(0), link.hits(1)
    parts: list[tuple[Index, Index, npt.NDArray[Any]]] = []
    for o, c, ky, kx in np.argwhere(link.weight):
        channel = (o // per_out_group) * per_group + c
        y, x = np.flatnonzero(hit_y[:, ky] >= 0), np.flatnonzero(hit_x[:, kx] >= 0)
        rows = outputs[o][np.ix_(hit_y[y, ky], hit_x[x, kx])].ravel()
        columns = inputs[channel][np.ix_(y, x)].ravel()
        parts.append((rows, columns, np.full(rows.size, link.weight[o, c, ky, kx])))
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0, dtype=link.weight.dtype)
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows, columns, values
