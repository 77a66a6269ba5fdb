"""Linear maps as the engine walks over them, from a message's place to the sums it reaches.

Layers that a convolution arrives at are kept channels last, so that the weights of one tap, one
for each output channel, and the sums they go to are both neighbours in memory; inputs that a
convolution leaves too, so that spikes of one place in several channels follow each other. A
``place`` is where a neuron is kept; its number counts channels first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne

Ints = npt.NDArray[np.int64]

LANES = 32
"""Rows of a weight matrix are padded with zeros to a multiple of this: no tail to vector loops."""

WIDTH = 16
"""As ``vectors.WIDTH``, which cannot be imported without compiling."""

DENSE, ONE_TO_ONE, CONVOLUTION = range(3)


@dataclass(frozen=True)
class Link:
    """One map, laid out.

    kind: one of the three above; rows: sums of the target's port block that a dense map reaches
    (padded), else all; weights: int8, flat; table: int32, flat; geometry: a row of ``engine``'s
    table of convolutions.
    """

    kind: int
    rows: int
    weights: npt.NDArray[np.int8]
    table: npt.NDArray[np.int32]
    geometry: tuple[int, ...] = ()


def channels_last(shape: tuple[int, int, int]) -> Ints:
    """Number at each place of (channels, rows, columns) that are kept channels last."""
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).transpose(1, 2, 0).ravel()


def lay_out(link: LinearMap, ports: int, source: Ints | None, target: Ints | None) -> Link:
    """A map between nodes kept in some order. source, target: neuron at each place, None where the
    order is the numbers'."""
    if isinstance(link, Dense):
        return _dense(link, ports, source, target)
    if isinstance(link, OneToOne):
        return _one_to_one(link, source, target)
    return _convolution(link, source)


def places_of(order: Ints) -> Ints:
    """Place of each neuron, from the neuron at each place."""
    places = np.empty_like(order)
    places[order] = np.arange(order.size)
    return places


def _dense(link: Dense, ports: int, source: Ints | None, target: Ints | None) -> Link:
    """Columns one after the other, padded."""
    matrix = link.weight if source is None else link.weight[:, source]
    if target is not None:
        matrix = matrix.reshape(ports, target.size, -1)[:, target].reshape(matrix.shape)
    rows, n_source = matrix.shape
    columns = np.zeros((n_source, -(-rows // LANES) * LANES), dtype=np.int8)
    columns[:, :rows] = matrix.T
    return Link(DENSE, columns.shape[1], columns.ravel(), np.zeros(0, dtype=np.int32))


def _one_to_one(link: OneToOne, source: Ints | None, target: Ints | None) -> Link:
    """table: for each source's place, the target's."""
    order = np.arange(link.n_in, dtype=np.int64) if source is None else source
    reached = order if target is None else places_of(target)[order]
    return Link(
        ONE_TO_ONE, link.n_out, link.weight[order].astype(np.int8), reached.astype(np.int32)
    )


def _convolution(link: Convolution, source: Ints | None) -> Link:
    """Weights by input channel, kernel row and phase, then taps in the order of the columns that
    they reach, then output channels: the taps that a message meets in an output row are neighbours.
    Zeros fill each such run up to whole vectors, and a channel of zeros stands at the end.

    table: for each source's place eight numbers: its row and column as one, the first weight and
    the first sum that it meets, the number of taps in a row, the begin and end of its rows in a
    list, whether zeros follow the last tap, and nothing; then that list, of (offset of the kernel
    row's weights, offset of the output row's sums).
    geometry: outputs of a tap, whether a row's taps are one run, sums from one tap to the next,
    where the list begins in the table, and where the channel of zeros.
    """
    channels, rows, columns = link.input_shape
    out_channels, _, out_columns = link.output_shape
    taps_y, taps_x = (int(k) for k in link.weight.shape[2:])
    outputs, per_group = out_channels // link.groups, channels // link.groups
    stride, dilation = link.stride[1], link.dilation[1]
    # A message meets the taps of one phase; the last of them reaches the first column.
    phases: dict[int, list[int]] = {}
    for kx in reversed(range(taps_x)):
        phases.setdefault((kx * dilation) % stride, []).append(kx)
    begin, size = {}, 0
    for phase, taps in phases.items():
        begin[phase] = size
        # A run may begin at any tap, so what is read behind the last is almost a whole vector.
        size += -(-(len(taps) * outputs + WIDTH - 1) // WIDTH) * WIDTH

    grouped = link.weight.reshape(link.groups, outputs, per_group, taps_y, taps_x)
    by_tap = grouped.transpose(0, 2, 3, 4, 1).reshape(channels, taps_y, taps_x, outputs)
    weights = np.zeros((channels + 1, taps_y, size), dtype=np.int8)
    for phase, taps in phases.items():
        run = by_tap[:, :, taps].reshape(channels, taps_y, -1)
        weights[:channels, :, begin[phase] : begin[phase] + run.shape[2]] = run

    hits = link.hits(0)
    entries: list[tuple[int, int]] = []
    spans = np.zeros((rows, 2), dtype=np.int64)
    for y in range(rows):
        spans[y, 0] = len(entries)
        entries += [
            (ky * size, int(hits[y, ky]) * out_columns * out_channels)
            for ky in range(taps_y)
            if hits[y, ky] >= 0
        ]
        spans[y, 1] = len(entries)
    hits = link.hits(1)
    # Of each column: offset of its first tap, its first sum, its taps, whether zeros follow.
    runs = np.zeros((columns, 4), dtype=np.int64)
    for x in range(columns):
        phase = (x + link.padding[1][0]) % stride
        taps = phases.get(phase, [])
        met = [k for k, kx in enumerate(taps) if hits[x, kx] >= 0]
        if met:
            to = int(hits[x, taps[met[0]]]) * out_channels
            ends = int(met[-1] == len(taps) - 1)
            runs[x] = begin[phase] + met[0] * outputs, to, len(met), ends

    numbers = np.arange(link.n_in, dtype=np.int64) if source is None else source
    channel, row, column = np.unravel_index(numbers, (channels, rows, columns))
    first, to, count, clean = runs[column].T
    weight = channel * (taps_y * size) + first
    summed = channel // per_group * outputs + to
    place = row * columns + column
    each = [place, weight, summed, count, spans[row, 0], spans[row, 1], clean, 0 * place]
    table = np.concatenate([np.stack(each, axis=1).ravel(), np.ravel(entries)])
    step = dilation // gcd(stride, dilation) * out_channels
    geometry = (outputs, int(step == outputs), step, 8 * link.n_in, channels * taps_y * size)
    return Link(CONVOLUTION, link.n_out, weights.ravel(), table.astype(np.int32), geometry)
