"""How layers are cut into parts, one part a core.

A layer that hears convolutions alone is an image: a part is a box of channels, rows and columns, so
that the kernels are needed once. Its channels are all there are, unless their weights are too many;
its rows are all, a half, a quarter, ..., so that the fewest boxes are needed; where the chip's file
says so, its columns are a power of two, and a box that reaches over the edge counts in full. Every
other layer is a row of neurons, cut as Intel's compiler does it: into as many more equal parts as
its memory is too full, until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
import numpy.typing as npt

from snn2hw.graph import FixedPointNetwork, Layer
from snn2hw.linear import Convolution, OneToOne

Span = tuple[int, int]
"""First, and last + 1."""

Box = tuple[int, int, int]
"""Channels, rows, columns."""


@dataclass(frozen=True)
class Part:
    """A box of a layer's neurons, held by one core (counted from 0).

    grid: the whole layer as channels, rows and columns; a row of neurons has columns alone.
    """

    layer: str
    core: int
    grid: Box
    channels: Span
    rows: Span
    columns: Span

    @property
    def shape(self) -> Box:
        """Size of the box."""
        (c, cc), (r, rr), (w, ww) = self.channels, self.rows, self.columns
        return cc - c, rr - r, ww - w

    @property
    def neurons(self) -> int:
        """How many neurons the part has."""
        channels, rows, columns = self.shape
        return channels * rows * columns

    @property
    def places(self) -> int:
        """How many places of the image it covers, whatever the number of channels."""
        return self.shape[1] * self.shape[2]

    def numbers(self) -> npt.NDArray[np.int64]:
        """The numbers of its neurons within the layer."""
        _, rows, columns = self.grid
        channel, row, column = (
            np.arange(*span) for span in (self.channels, self.rows, self.columns)
        )
        found = (channel[:, None, None] * rows + row[:, None]) * columns + column
        return found.ravel()


def grid_of(net: FixedPointNetwork, layer: Layer) -> tuple[Box, bool]:
    """A layer as an image, and whether it is one; else a row of neurons."""
    into = net.into(layer.name)
    boxes = set()
    for synapse in into:
        link, ports = synapse.map, len(synapse.target_ports)
        if isinstance(link, Convolution):
            channels, rows, columns = link.output_shape
            boxes.add((channels // ports, rows, columns))
        elif not isinstance(link, OneToOne):
            return (1, 1, layer.n), False
    if not boxes and len(layer.shape) == 3:
        channels, rows, columns = layer.shape
        boxes.add((channels, rows, columns))
    if len(boxes) == 1:
        (box,) = boxes
        if box[0] * box[1] * box[2] == layer.n:
            return box, True
    return (1, 1, layer.n), False


def boxes(layer: str, grid: Box, size: Box) -> list[Part]:
    """The parts of a layer in boxes of a size; cores counted from 0."""
    spans = [
        [(first, min(first + step, whole)) for first in range(0, whole, step)]
        for whole, step in zip(grid, size, strict=True)
    ]
    # Columns change slowest: neighbours on the chip share a border as high as the image.
    order = [(c, r, w) for w in spans[2] for r in spans[1] for c in spans[0]]
    return [Part(layer, k, grid, c, r, w) for k, (c, r, w) in enumerate(order)]


def cut_image(grid: Box, power_of_two: bool, ratio: Callable[[Box], float]) -> Box:
    """The size of box that fits: as few parts of the channels as can be (a message goes to all
    of them), then the fewest boxes, then the highest.

    ratio: of a box, how full it makes a core (1: to the limit). Where none fits, the one that is
    least too full.
    """
    best: tuple[float, int, int, int] | None = None
    found = (1, 1, 1)
    for channels in _halves(grid[0]):
        for rows in _halves(grid[1]):
            for columns in _columns(grid[2], power_of_two):
                full = ratio((channels, rows, columns))
                places = ceil(grid[1] / rows) * ceil(grid[2] / columns)
                key = (full if full > 1 else 0.0, ceil(grid[0] / channels), places, -rows)
                if best is None or key < best:
                    best, found = key, (channels, rows, columns)
    return found


def cut_row(n: int, ratio: Callable[[int], float]) -> int:
    """Neurons of one part. ratio: of a number of neurons a part, how full the fullest core is."""
    parts, before = 1, inf
    while True:
        size = ceil(n / parts)
        full = ratio(size)
        if full <= 1 or size == 1:
            return size
        # Where more parts do not help (too many axons arrive), there is no point in going on.
        if full >= before:
            return size
        parts, before = min(parts * ceil(full), n), full


def _halves(whole: int) -> Iterator[int]:
    size = whole
    while size > 1:
        yield size
        size = ceil(size / 2)
    yield 1


def _columns(whole: int, power_of_two: bool) -> Iterator[int]:
    if not power_of_two:
        yield from range(whole, 0, -1)
        return
    size = 1
    while size < whole:
        size *= 2
    while size:
        yield size
        size //= 2
