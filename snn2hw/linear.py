"""Linear maps between nodes: dense, one to one, and convolution, which keeps its weights shared.

A map takes the values of one node, flattened in C order (channel, row, column), and gives those of
another. Weights are float64 in the discrete graph and int8 mantissas in the fixed-point network;
the geometry is the same, so each is written once. Pooling is a convolution whose groups are the
channels; what joins maps into one is ``snn2hw.passes.compose``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Counts: TypeAlias = npt.NDArray[np.int64]
Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

MapType = TypeVar("MapType", bound="LinearMap")


@dataclass(frozen=True, eq=False)
class Dense:
    """``y = W x``. weight: (outputs, inputs)."""

    weight: Array
    kind: ClassVar[str] = "dense"

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(self.weight.shape[0])

    def apply(self, x: Array) -> Array:
        """x: (batch, n_in); returns (batch, n_out)."""
        return np.asarray(x @ self.weight.T)

    def dense(self) -> Array:
        """The matrix, (n_out, n_in)."""
        return self.weight

    def fan_out(self) -> Counts:
        """Synapses that a message from each input meets, zero weights included; (n_in,)."""
        return np.full(self.n_in, self.n_out, dtype=np.int64)

    def fan_out_nonzero(self) -> Counts:
        """Of those, the ones whose weight is not zero."""
        return np.asarray(np.count_nonzero(self.weight, axis=0), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class OneToOne:
    """``y = w x``, element by element. weight: (n,)."""

    weight: Array
    kind: ClassVar[str] = "one-to-one"

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.weight.shape[0])

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.n_in

    def apply(self, x: Array) -> Array:
        """x: (batch, n); returns (batch, n)."""
        return np.asarray(x * self.weight)

    def dense(self) -> Array:
        """The diagonal matrix, (n, n)."""
        return np.diag(self.weight)

    def fan_out(self) -> Counts:
        """Synapses that a message from each input meets: one."""
        return np.ones(self.n_in, dtype=np.int64)

    def fan_out_nonzero(self) -> Counts:
        """Of those, the ones whose weight is not zero."""
        return np.asarray(self.weight != 0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Convolution:
    """Cross-correlation over rows and columns, as PyTorch's Conv2d (one row: Conv1d).

    weight: (output channels, input channels / groups, kernel rows, kernel columns);
    input_shape: (channels, rows, columns); padding: zeros ((above, below), (left, right)).
    """

    weight: Array
    input_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    kind: ClassVar[str] = "convolution"

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(np.prod(self.input_shape))

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(np.prod(self.output_shape))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns)."""
        rows, columns = (self._outputs(axis) for axis in (0, 1))
        return int(self.weight.shape[0]), rows, columns

    def reach(self, axis: int) -> int:
        """Rows (axis 0) or columns (axis 1) from the first to the last tap of the kernel."""
        return self.dilation[axis] * (int(self.weight.shape[2 + axis]) - 1) + 1

    def _outputs(self, axis: int) -> int:
        size = self.input_shape[1 + axis] + sum(self.padding[axis]) - self.reach(axis)
        return size // self.stride[axis] + 1

    def hits(self, axis: int) -> Counts:
        """Where each tap of the kernel lets an input row (axis 0) or column (axis 1) arrive.

        Returns (input size, kernel size): the output row or column, or -1 where there is none.
        """
        size, taps = self.input_shape[1 + axis], int(self.weight.shape[2 + axis])
        first = np.arange(size)[:, None] + self.padding[axis][0]
        offset = first - np.arange(taps) * self.dilation[axis]
        output = offset // self.stride[axis]
        inside = (offset % self.stride[axis] == 0) & (output >= 0) & (output < self._outputs(axis))
        return np.where(inside, output, -1)

    def apply(self, x: Array) -> Array:
        """x: (batch, n_in); returns (batch, n_out)."""
        batch, (channels, _, _) = len(x), self.input_shape
        wide = np.pad(x.reshape(batch, *self.input_shape), ((0, 0), (0, 0), *self.padding))
        windows = np.lib.stride_tricks.sliding_window_view(
            wide, (self.reach(0), self.reach(1)), axis=(2, 3)
        )
        windows = windows[
            :, :, :: self.stride[0], :: self.stride[1], :: self.dilation[0], :: self.dilation[1]
        ]
        out_channels, rows, columns = self.output_shape
        per_group = channels // self.groups
        seen = windows.reshape(batch, self.groups, per_group, *windows.shape[2:])
        seen = seen.transpose(1, 0, 3, 4, 2, 5, 6).reshape(self.groups, batch * rows * columns, -1)
        taps = self.weight.reshape(self.groups, out_channels // self.groups, -1)
        found = seen @ taps.transpose(0, 2, 1)
        found = found.reshape(self.groups, batch, rows, columns, -1).transpose(1, 0, 4, 2, 3)
        return np.asarray(found.reshape(batch, self.n_out))

    def dense(self) -> Array:
        """The matrix with every shared weight written out, (n_out, n_in)."""
        channels, rows, columns = self.input_shape
        out_channels, out_rows, out_columns = self.output_shape
        shape = (out_channels, out_rows, out_columns, channels, rows, columns)
        matrix = np.zeros(shape, dtype=self.weight.dtype)
        hit_y, hit_x = self.hits(0), self.hits(1)
        per_group, out_per_group = channels // self.groups, out_channels // self.groups
        for ky, kx in np.ndindex(*self.weight.shape[2:]):
            y, x = np.flatnonzero(hit_y[:, ky] >= 0), np.flatnonzero(hit_x[:, kx] >= 0)
            at = (hit_y[y, ky][:, None], hit_x[x, kx][None])
            for g in range(self.groups):
                o = slice(g * out_per_group, (g + 1) * out_per_group)
                c = slice(g * per_group, (g + 1) * per_group)
                # NumPy puts the four index arrays' axes first and the two slices' behind.
                part = matrix[o, :, :, c]
                part[:, at[0], at[1], :, y[:, None], x[None]] += self.weight[o, :, ky, kx]
        return matrix.reshape(self.n_out, self.n_in)

    def fan_out(self) -> Counts:
        """Synapses that a message from each input meets, zero weights included; (n_in,)."""
        return self._met(np.ones(self.weight.shape, dtype=np.int64))

    def fan_out_nonzero(self) -> Counts:
        """Of those, the ones whose weight is not zero."""
        return self._met((self.weight != 0).astype(np.int64))

    def _met(self, counted: Counts) -> Counts:
        out_channels, per_group = self.weight.shape[:2]
        grouped = counted.reshape(self.groups, out_channels // self.groups, *counted.shape[1:])
        by_channel = grouped.sum(axis=1).reshape(self.groups * per_group, *counted.shape[2:])
        valid_y, valid_x = ((self.hits(axis) >= 0).astype(np.int64) for axis in (0, 1))
        met = np.einsum("yk,ckl,xl->cyx", valid_y, by_channel, valid_x)
        return np.asarray(met.ravel(), dtype=np.int64)


LinearMap: TypeAlias = Dense | OneToOne | Convolution

KINDS: dict[str, Callable[..., LinearMap]] = {
    map_type.kind: map_type for map_type in (Dense, OneToOne, Convolution)
}
"""Name in files -> map."""


def with_weight(link: MapType, weight: Array) -> MapType:
    """The same map with other weights of the same shape."""
    return replace(link, weight=weight)


def largest_sums(link: LinearMap, largest: float = 1.0) -> npt.NDArray[np.float64]:
    """Bound of what the map can give where no input exceeds ``largest``; float64 (n_out,)."""
    absolute = with_weight(link, np.abs(link.weight.astype(np.float64)))
    return np.asarray(absolute.apply(np.full((1, link.n_in), largest))[0])
