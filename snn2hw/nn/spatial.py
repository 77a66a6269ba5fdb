"""Convolution, pooling and flattening, applied to every time step of a sequence.

torch's own Conv2d takes (batch, channels, rows, columns) and knows no time; these take
(batch, time, channels, rows, columns), have torch's arguments, parameters and state_dict, and do at
each step what torch does to one image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn._checks import check_sequence, check_size


def _per_step(
    layer: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, axes: str, where: str
) -> torch.Tensor:
    """Apply a layer for (batch, *axes) to each step of x, (batch, time, *axes)."""
    check_sequence(x, None, where)
    if x.ndim != 2 + len(axes.split(", ")):
        raise DataError(f"{where}: input has shape {tuple(x.shape)}, give (batch, time, {axes})")
    frames = layer(x.flatten(0, 1))
    return frames.reshape(*x.shape[:2], *frames.shape[1:])


def _check_channels(x: torch.Tensor, channels: int, where: str) -> None:
    if x.shape[2] != channels:
        raise DataError(f"{where}: input has {x.shape[2]} channels, give {channels}")


class Conv1d(nn.Conv1d):
    """torch.nn.Conv1d over the places of each step: (batch, time, channels, places).

    It convolves over space, not over time. Arguments, parameters and errors as torch.nn.Conv1d;
    DataError for an input of another shape.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (batch, time, out_channels, places) for float (batch, time, channels, places)."""
        return _per_step(self._frames, input, "channels, places", "Conv1d")

    def _frames(self, frames: torch.Tensor) -> torch.Tensor:
        _check_channels(frames[:, None], self.in_channels, "Conv1d")
        return super().forward(frames)


class Conv2d(nn.Conv2d):
    """torch.nn.Conv2d over each step: (batch, time, channels, rows, columns).

    Arguments, parameters and errors as torch.nn.Conv2d; DataError for an input of another shape.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (batch, time, out_channels, rows, columns); input: float, the same axes."""
        return _per_step(self._frames, input, "channels, rows, columns", "Conv2d")

    def _frames(self, frames: torch.Tensor) -> torch.Tensor:
        _check_channels(frames[:, None], self.in_channels, "Conv2d")
        return super().forward(frames)


class AvgPool2d(nn.AvgPool2d):
    """torch.nn.AvgPool2d over each step: (batch, time, channels, rows, columns).

    Arguments and errors as torch.nn.AvgPool2d; DataError for an input of another shape.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (batch, time, channels, rows, columns); input: float, the same axes."""
        return _per_step(super().forward, input, "channels, rows, columns", "AvgPool2d")


class SumPool2d(nn.Module):
    """Sum over windows of each step: (batch, time, channels, rows, columns).

    Source: NIR's SumPool2d; the windows are those of torch.nn.AvgPool2d, zeros around the edges.

    Args:
        kernel_size: rows and columns of the window, a number for both or a pair.
        stride: rows and columns from one window to the next; None: kernel_size.
        padding: zeros around the edges, at most half of kernel_size.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else _pair(stride, "stride")
        above, left = padding if isinstance(padding, tuple) else (padding, padding)
        self.padding = (above, left)
        if any(not 0 <= p <= k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ParameterError(
                f"SumPool2d: padding is {padding!r}, give 0 to half of kernel_size"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums, (batch, time, channels, rows, columns).

        Args:
            x: float (batch, time, channels, rows, columns).

        Raises:
            DataError: x has another number of dimensions or is not of a float type.
        """
        return _per_step(self._frames, x, "channels, rows, columns", "SumPool2d")

    def _frames(self, frames: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(
            frames, self.kernel_size, self.stride, self.padding, divisor_override=1
        )

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class Flatten(nn.Flatten):
    """Each step as one row of features: (batch, time, ...) to (batch, time, features)."""

    def __init__(self) -> None:
        """Take no argument: the batch and the time stay, all else is flattened."""
        super().__init__(start_dim=2)


def _pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return check_size(rows, name, "SumPool2d"), check_size(columns, name, "SumPool2d")
