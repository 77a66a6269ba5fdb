"""NIR's linear nodes as linear maps, a bias and a delay. A new one is a function and its line in
``LINEAR_NODES``; each is called with the node, the shape of its input and dt in seconds.

Shapes are ours, not nir's: nir 1.0.8 computes a Conv2d's output as if its kernel were square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.errors import GraphError, ParameterError
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne, Padding
from snn2hw.neurons.base import FloatArray

Shape = tuple[int, ...]

MAX_VALUES = 1 << 26
"""Most neurons or channels of a node: their states alone would take gigabytes."""

MAX_STEPS = (1 << 31) - 1
"""Longest delay; more is a mistake, and overflows where steps are counted."""


@dataclass(frozen=True)
class LinearPart:
    """What a linear node does: ``y = map(x)`` (x itself where None) ``+ bias``, delayed.

    shape: of the output; bias: float64 (n_out,), or None; delay: steps, int64 (n_out,), or None.
    """

    shape: Shape
    map: LinearMap | None = None
    bias: FloatArray | None = None
    delay: npt.NDArray[np.int64] | None = None


def _floats(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _affine(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """weight: (rows, columns), or a stack of such matrices, one for each slice of the input."""
    weight = _floats(node.weight)
    if weight.ndim < 2:
        raise GraphError(f"its weight has shape {weight.shape}; it must be a matrix")
    *stack, rows, columns = weight.shape
    if int(np.prod(shape)) != int(np.prod(stack)) * columns:
        raise GraphError(
            f"it takes {int(np.prod(stack)) * columns} values (weight {weight.shape}) and gets "
            f"{int(np.prod(shape))} (shape {shape})"
        )
    if stack:
        parts = weight.reshape(-1, rows, columns)
        matrix = np.zeros((len(parts) * rows, len(parts) * columns))
        for k, part in enumerate(parts):
            matrix[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = part
    else:
        matrix = weight
    bias = None
    if getattr(node, "bias", None) is not None:
        given = _floats(node.bias)
        if given.size not in (1, rows, len(matrix)):
            raise GraphError(
                f"its bias has shape {given.shape} and its weight {weight.shape}; the bias must "
                f"have {rows} values"
            )
        bias = np.resize(given.ravel(), len(matrix))
    return LinearPart((*stack, rows), Dense(matrix), bias)


def _scale(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """scale: of the input's shape, or one value."""
    return LinearPart(shape, OneToOne(_elementwise(node.scale, shape, "scale")))


def _elementwise(value: Any, shape: Shape, name: str) -> FloatArray:
    given = _floats(value)
    n = int(np.prod(shape))
    if given.size not in (1, n):
        raise GraphError(
            f"its {name} has {given.size} values (shape {given.shape}) and its input {n} "
            f"(shape {shape}); they must agree"
        )
    return np.resize(given.ravel(), n)


def _conv1d(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """A convolution over columns of one row."""
    weight = _floats(node.weight)
    if weight.ndim != 3:
        raise GraphError(f"its weight has shape {weight.shape}; Conv1d takes (out, in, taps)")
    if len(shape) != 2:
        raise GraphError(f"it takes (channels, length) and gets shape {shape}")
    padding = node.padding if isinstance(node.padding, str) else (0, _whole(node, "padding"))
    link = _convolution(
        node,
        weight[:, :, None, :],
        (shape[0], 1, shape[1]),
        (1, _whole(node, "stride")),
        padding,
        (1, _whole(node, "dilation")),
    )
    channels, _, length = link.output_shape
    return LinearPart((channels, length), link, _channel_bias(node, link))


def _conv2d(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """A convolution over rows and columns."""
    weight = _floats(node.weight)
    if weight.ndim != 4:
        raise GraphError(
            f"its weight has shape {weight.shape}; Conv2d takes (out, in, rows, columns)"
        )
    if len(shape) != 3:
        raise GraphError(f"it takes (channels, rows, columns) and gets shape {shape}")
    padding = node.padding if isinstance(node.padding, str) else _pair(node, "padding")
    stride, dilation = _pair(node, "stride"), _pair(node, "dilation")
    link = _convolution(node, weight, (shape[0], shape[1], shape[2]), stride, padding, dilation)
    return LinearPart(link.output_shape, link, _channel_bias(node, link))


def _convolution(
    node: Any,
    weight: FloatArray,
    input_shape: tuple[int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int] | str,
    dilation: tuple[int, int],
) -> Convolution:
    groups = _whole(node, "groups")
    if min(*stride, *dilation, groups) < 1:
        raise ParameterError(
            f"stride {stride}, dilation {dilation} and groups {groups} must be at least 1"
        )
    out_channels, per_group = weight.shape[:2]
    if per_group * groups != input_shape[0] or out_channels % groups:
        raise GraphError(
            f"its weight {weight.shape} with {groups} groups takes {per_group * groups} channels "
            f"and gets {input_shape[0]} (shape {input_shape}); its output channels must be a "
            "multiple of the groups"
        )
    reach = tuple(dilation[k] * (weight.shape[2 + k] - 1) for k in (0, 1))
    pads: Padding
    if padding == "same":
        if stride != (1, 1):
            raise ParameterError("padding 'same' needs stride 1; give the padding in numbers")
        # As PyTorch: what does not divide evenly goes to the end.
        pads = (
            (reach[0] // 2, reach[0] - reach[0] // 2),
            (reach[1] // 2, reach[1] - reach[1] // 2),
        )
    elif padding == "valid":
        pads = ((0, 0), (0, 0))
    elif isinstance(padding, str):
        raise ParameterError(f"padding {padding!r} is unknown; use 'same', 'valid' or numbers")
    else:
        if min(padding) < 0:
            raise ParameterError(f"padding {padding} is negative; give 0 or more")
        pads = ((padding[0], padding[0]), (padding[1], padding[1]))
    return _checked(Convolution(weight, input_shape, stride, pads, dilation, groups))


def _checked(link: Convolution) -> Convolution:
    if min(link.output_shape) < 1:
        raise GraphError(
            f"its kernel ({link.reach(0)} x {link.reach(1)} with dilation) is larger than its "
            f"padded input {link.input_shape}; nothing comes out"
        )
    if link.n_out > MAX_VALUES:
        raise GraphError(
            f"it gives {link.n_out} values (shape {link.output_shape}); {MAX_VALUES} are the most"
        )
    channels, *sizes = link.input_shape
    padded = [size + sum(pads) for size, pads in zip(sizes, link.padding, strict=True)]
    if channels * prod(padded) > MAX_VALUES:
        raise GraphError(
            f"its padded input has {channels * prod(padded)} values (padding {link.padding}); "
            f"{MAX_VALUES} are the most"
        )
    return link


def _channel_bias(node: Any, link: Convolution) -> FloatArray | None:
    if getattr(node, "bias", None) is None:
        return None
    bias, channels = _floats(node.bias).ravel(), link.output_shape[0]
    if bias.size not in (1, channels):
        raise GraphError(f"its bias has {bias.size} values; it must have {channels}, one a channel")
    return np.repeat(np.resize(bias, channels), link.n_out // channels)


def _pool(node: Any, shape: Shape, dt_s: float, average: bool = False) -> LinearPart:
    """A convolution of each channel with ones, or with one over the kernel's size (padding is
    counted, as in PyTorch's default)."""
    if len(shape) != 3:
        raise GraphError(f"it takes (channels, rows, columns) and gets shape {shape}")
    kernel = _pair(node, "kernel_size")
    stride, padding = _pair(node, "stride"), _pair(node, "padding")
    if min(*stride, *kernel) < 1 or min(padding) < 0:
        raise ParameterError(
            f"kernel {kernel} and stride {stride} must be at least 1, padding {padding} at least 0"
        )
    if kernel[0] * kernel[1] * shape[0] > MAX_VALUES:
        raise GraphError(f"its kernel {kernel} is too large for an input of shape {shape}")
    value = 1.0 / (kernel[0] * kernel[1]) if average else 1.0
    link = Convolution(
        np.full((shape[0], 1, *kernel), value),
        (shape[0], shape[1], shape[2]),
        stride,
        ((padding[0], padding[0]), (padding[1], padding[1])),
        groups=shape[0],
    )
    return LinearPart(_checked(link).output_shape, link)


def _average(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    return _pool(node, shape, dt_s, average=True)


def _flatten(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """Another shape for the same values. A start_dim that would leave dimensions which the next
    node does not take (tools differ in whether they count the batch) does no harm: sizes decide."""
    start, end = int(node.start_dim), int(node.end_dim)
    end = end + len(shape) if end < 0 else end
    if not 0 <= start <= end < len(shape):
        # Counted with the batch, as PyTorch's default start_dim = 1 of a flat input.
        return LinearPart((int(np.prod(shape)),))
    middle = int(np.prod(shape[start : end + 1]))
    return LinearPart((*shape[:start], middle, *shape[end + 1 :]))


def _delay(node: Any, shape: Shape, dt_s: float) -> LinearPart:
    """Seconds to steps, rounded to the nearest."""
    seconds = _elementwise(node.delay, shape, "delay")
    if np.any(seconds < 0):
        raise ParameterError(f"its delay of {seconds.min():g} s is negative; no node can foresee")
    steps = steps_of(seconds, dt_s)
    if steps.max() > MAX_STEPS:
        raise ParameterError(
            f"its delay of {seconds.max():g} s is {steps.max():g} steps; {MAX_STEPS} are the most"
        )
    return LinearPart(shape, delay=steps.astype(np.int64))


def steps_of(seconds: Any, dt_s: float) -> FloatArray:
    """Seconds as steps, rounded to the nearest (halves to even), not limited."""
    return np.asarray(np.rint(_floats(seconds) / dt_s))


def _pair(node: Any, name: str) -> tuple[int, int]:
    values = np.atleast_1d(np.asarray(getattr(node, name)))
    if values.size not in (1, 2) or values.dtype.kind not in "iuf" or np.any(values % 1):
        raise ParameterError(f"its {name} is {getattr(node, name)!r}; give one or two integers")
    first, last = int(values.flat[0]), int(values.flat[-1])
    return first, last


def _whole(node: Any, name: str) -> int:
    first, last = _pair(node, name)
    if first != last:
        raise ParameterError(f"its {name} is {getattr(node, name)!r}; give one integer")
    return first


LINEAR_NODES: dict[str, Callable[[Any, Shape, float], LinearPart]] = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "SumPool2d": _pool,
    "AvgPool2d": _average,
    "Flatten": _flatten,
    "Delay": _delay,
}
