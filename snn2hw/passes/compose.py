"""compose: two linear maps as one, where that is exact and keeps shared weights shared."""

from __future__ import annotations

import numpy as np

from snn2hw.linear import Array, Convolution, Dense, LinearMap, OneToOne

DENSE_MAX = 1 << 26
"""Most weights of a matrix that is made by composing: 512 MiB of float64."""


def compose(after: LinearMap, before: LinearMap) -> LinearMap | None:
    """``after(before(x))`` as one map, or None where none of ours is exactly that.

    A dense map takes in whatever is at its side, if the matrix stays below ``DENSE_MAX`` weights
    and holds no more than the two maps did, or the dense map comes last. Scales go into the other
    map's weights; into a convolution's where they are equal within a channel. Convolutions (and
    pools) make one with a larger kernel where no output of the first is cut off or padded.
    """
    if isinstance(before, OneToOne):
        return _scaled_inputs(after, before.weight)
    if isinstance(after, OneToOne):
        return _scaled_outputs(before, after.weight)
    if isinstance(after, Dense):
        if after.n_out * before.n_in > DENSE_MAX:
            return None
        # W (C x) = (C' W')' x: the transposed map would be faster, but this happens once.
        return Dense(after.weight @ before.dense())
    if isinstance(before, Dense):
        if after.n_out * before.n_in > max(before.weight.size + after.weight.size, 1 << 16):
            return None
        return Dense(after.apply(before.weight.T).T)
    return _convolutions(after, before)


def add(a: LinearMap, b: LinearMap) -> LinearMap | None:
    """``a(x) + b(x)`` as one map, or None where the two differ in kind or geometry."""
    if a.weight.shape != b.weight.shape:
        return None
    if isinstance(a, Dense) and isinstance(b, Dense):
        return Dense(a.weight + b.weight)
    if isinstance(a, OneToOne) and isinstance(b, OneToOne):
        return OneToOne(a.weight + b.weight)
    if isinstance(a, Convolution) and isinstance(b, Convolution):
        same = (a.input_shape, a.stride, a.padding, a.dilation, a.groups) == (
            b.input_shape,
            b.stride,
            b.padding,
            b.dilation,
            b.groups,
        )
        return _convolution(a, a.weight + b.weight) if same else None
    return None


def _convolution(like: Convolution, weight: Array) -> Convolution:
    return Convolution(
        weight, like.input_shape, like.stride, like.padding, like.dilation, like.groups
    )


def _by_channel(scale: Array, channels: int) -> Array | None:
    """One scale per channel where all positions of a channel share it."""
    values = scale.reshape(channels, -1)
    return values[:, 0] if np.all(values == values[:, :1]) else None


def _scaled_inputs(link: LinearMap, scale: Array) -> LinearMap | None:
    if isinstance(link, Dense):
        return Dense(link.weight * scale)
    if isinstance(link, OneToOne):
        return OneToOne(link.weight * scale)
    factor = _by_channel(scale, link.input_shape[0])
    if factor is None:
        return None
    out_per_group = link.weight.shape[0] // link.groups
    by_output = np.repeat(factor.reshape(link.groups, -1), out_per_group, axis=0)
    return _convolution(link, link.weight * by_output[:, :, None, None])


def _scaled_outputs(link: LinearMap, scale: Array) -> LinearMap | None:
    if isinstance(link, Dense):
        return Dense(link.weight * scale[:, None])
    if isinstance(link, OneToOne):
        return OneToOne(link.weight * scale)
    factor = _by_channel(scale, link.output_shape[0])
    return None if factor is None else _convolution(link, link.weight * factor[:, None, None, None])


def _convolutions(after: Convolution, before: Convolution) -> Convolution | None:
    for axis in (0, 1):
        first, last = after.padding[axis]
        size, stride = before.input_shape[1 + axis], before.stride[axis]
        outputs = before.output_shape[1 + axis]
        # What `after` takes for zeros, the joint kernel must find to be zeros: beyond the first and
        # the last output of `before` its kernel must see padding alone.
        if first > 0 and before.reach(axis) > stride + before.padding[axis][0]:
            return None
        if last > 0 and outputs * stride - before.padding[axis][0] < size:
            return None
    weight, groups = _joint_kernel(after, before)
    pads = [
        tuple(
            before.padding[axis][side] + after.padding[axis][side] * before.stride[axis]
            for side in (0, 1)
        )
        for axis in (0, 1)
    ]
    joint = Convolution(
        weight,
        before.input_shape,
        (after.stride[0] * before.stride[0], after.stride[1] * before.stride[1]),
        ((pads[0][0], pads[0][1]), (pads[1][0], pads[1][1])),
        (1, 1),
        groups,
    )
    # Rounding down twice is rounding down once, except where `before` dropped a remainder that
    # the padding of `after` reaches over.
    return joint if joint.output_shape == after.output_shape else None


def _joint_kernel(after: Convolution, before: Convolution) -> tuple[Array, int]:
    """Kernel of the two in a row, and its groups; taps of the second, spread by the first's."""
    middle, channels = before.weight.shape[0], before.input_shape[0]
    if before.groups == channels == middle:
        # A pool: each channel by itself, so the groups of the second stay.
        groups = after.groups
        second = after.weight
        per_group = channels // groups
        kernels = before.weight[:, 0].reshape(groups, per_group, *before.weight.shape[2:])
        kernels = np.repeat(kernels, after.weight.shape[0] // groups, axis=0)
        spread = np.einsum("oiab,oikl->oiabkl", second, kernels)
    elif after.groups == after.weight.shape[0] == middle:
        groups = before.groups
        spread = np.einsum("oab,oikl->oiabkl", after.weight[:, 0], before.weight)
    else:
        groups = 1
        spread = np.einsum("omab,mikl->oiabkl", _ungrouped(after), _ungrouped(before))
    shape = [
        (int(after.weight.shape[2 + axis]) - 1) * after.dilation[axis] * before.stride[axis]
        + before.reach(axis)
        for axis in (0, 1)
    ]
    weight = np.zeros((*spread.shape[:2], *shape), dtype=spread.dtype)
    for a, b, k, m in np.ndindex(*spread.shape[2:]):
        row = a * after.dilation[0] * before.stride[0] + k * before.dilation[0]
        column = b * after.dilation[1] * before.stride[1] + m * before.dilation[1]
        weight[:, :, row, column] += spread[:, :, a, b, k, m]
    return weight, groups


def _ungrouped(link: Convolution) -> Array:
    """The kernel of a grouped convolution with the zeros between its groups written out."""
    out_channels, per_group = link.weight.shape[:2]
    full = np.zeros((out_channels, link.input_shape[0], *link.weight.shape[2:]))
    out_per_group = out_channels // link.groups
    for g in range(link.groups):
        rows = slice(g * out_per_group, (g + 1) * out_per_group)
        full[rows, g * per_group : (g + 1) * per_group] = link.weight[rows]
    return full
