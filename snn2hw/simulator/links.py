"""Linear maps as the engine walks over them, from a message's place to the sums it reaches.

Layers that a convolution arrives at are kept channels last, so that the weights of one tap, one
for each output channel, and the sums they go to are both neighbours in memory. ``place`` is where
a neuron is kept; ``neuron`` is its number, channels first.
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


def channels_last(link: Convolution) -> Ints:
    """neuron at each place of a layer that this convolution arrives at."""
    numbers = np.arange(link.n_out, dtype=np.int64).reshape(link.output_shape)
    return numbers.transpose(1, 2, 0).ravel()


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

    table: for each source's place (row, column, first weight of its channel, first output channel
    of its group); then for each input row the (first, end) of its entries in a list of (offset of
    the kernel row's weights, first sum of the output row); then for each input column (offset of
    its first tap's weights, first output column times channels, number of taps).
    geometry: outputs of a tap, whether a row's taps are one run, sums from one tap to the next,
    and where the parts of the table begin.
    """
    channels, rows, columns = link.input_shape
    out_channels, _, out_columns = link.output_shape
    taps_y, taps_x = (int(k) for k in link.weight.shape[2:])
    outputs = out_channels // link.groups
    per_group = channels // link.groups
    stride, dilation = link.stride[1], link.dilation[1]
    phases = [(kx * dilation) % stride for kx in range(taps_x)]
    # Within a phase the last tap reaches the first column.
    order = sorted(range(taps_x), key=lambda kx: (phases[kx], -kx))
    slot = {kx: k for k, kx in enumerate(order)}

    grouped = link.weight.reshape(link.groups, outputs, per_group, taps_y, taps_x)
    weights = grouped.transpose(0, 2, 3, 4, 1)[:, :, :, order]
    of_row, of_channel = taps_x * outputs, taps_y * taps_x * outputs

    numbers = np.arange(link.n_in, dtype=np.int64) if source is None else source
    channel, row, column = np.unravel_index(numbers, (channels, rows, columns))
    per_source = np.stack(
        [row, column, channel * of_channel, channel // per_group * outputs], axis=1
    )
    hits = link.hits(0)
    entries: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    for y in range(rows):
        first = len(entries)
        entries += [
            (ky * of_row, int(hits[y, ky]) * out_columns * out_channels)
            for ky in range(taps_y)
            if hits[y, ky] >= 0
        ]
        spans.append((first, len(entries)))
    hits = link.hits(1)
    per_column = []
    for x in range(columns):
        reached = sorted((int(hits[x, kx]), slot[kx]) for kx in range(taps_x) if hits[x, kx] >= 0)
        out, first_slot = reached[0] if reached else (0, 0)
        per_column.append((first_slot * outputs, out * out_channels, len(reached)))
    step = dilation // gcd(stride, dilation) * out_channels
    one_run = int(step == outputs)
    parts = [np.asarray(part, dtype=np.int32).ravel() for part in (per_source, spans, entries)]
    parts.append(np.asarray(per_column, dtype=np.int32).ravel())
    starts = np.cumsum([0, *(part.size for part in parts)])[:4]
    geometry = (outputs, one_run, step, *(int(start) for start in starts))
    return Link(
        CONVOLUTION, link.n_out, weights.astype(np.int8).ravel(), np.concatenate(parts), geometry
    )
