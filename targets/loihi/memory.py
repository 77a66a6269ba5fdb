"""How many words of a core's memory synapses take, by kind of map.

An axon is what arrives from one source neuron; its synapses on a core are a list of words:

==============  ================================================================================
matrix          index of the neuron and weight, each; a header for each 64; rounded up to words
one to one      the same list, of one synapse; once if it is shared (equal weights of an image)
convolution     weights alone, shared: for each input channel and tap of the kernel a list over the
                output channels on the core, in runs whose lengths are powers of two, each with a
                header and rounded up to words
==============  ================================================================================

Weights have as many bits as the group's largest one needs after common factors of two went into the
exponent. Where the chip's file says that zeros are left out (``zero_weights_kept`` 0), a matrix
takes for each axon the smaller of all its weights without indices and of those that are not zero
with them. Where this comes from, and how well it fits: docs/loihi.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.linear import Convolution, Dense, OneToOne
from snn2hw.targets.spec import TargetSpec

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Encoding:
    """The figures that lists of synapses are made of, from a chip's file."""

    word: int
    header: int
    per_header: int
    index: int
    zeros_kept: bool

    @classmethod
    def of(cls, spec: TargetSpec) -> Encoding:
        """The encoding of a chip."""
        return cls(
            word=spec.integer("word_bits"),
            header=spec.integer("synapse_header_bits"),
            per_header=spec.integer("synapses_per_header"),
            index=spec.integer("synapse_index_bits"),
            zeros_kept=bool(spec.integer("zero_weights_kept")),
        )

    def listed(self, synapses: Counts, bits: int) -> Counts:
        """Words of lists of so many synapses of ``bits`` each; 0 for none."""
        headers = -(-synapses // self.per_header)
        return -(-(synapses * bits + headers * self.header) // self.word)

    def dense(self, held: npt.NDArray[np.int8], bits: int) -> int:
        """Words of a matrix's rows on a core. held: (rows, axons that arrive)."""
        rows = np.full(held.shape[1], held.shape[0], dtype=np.int64)
        if self.zeros_kept:
            return int(self.listed(rows, self.index + bits).sum())
        sparse = self.listed(np.count_nonzero(held, axis=0).astype(np.int64), self.index + bits)
        return int(np.minimum(sparse, self.listed(rows, bits)).sum())

    def rows_at_most(self, rows: int, axons: int, bits: int) -> int:
        """Words of ``rows`` rows of a matrix without zeros."""
        each = self.listed(np.array([rows]), self.index + bits)
        if not self.zeros_kept:
            each = np.minimum(each, self.listed(np.array([rows]), bits))
        return int(each[0]) * axons

    def runs(self, channels: int, bits: int) -> int:
        """Words of one input channel's and tap's weights to so many output channels."""
        each = np.array(list(runs(channels, self.per_header)), dtype=np.int64)
        return int(self.listed(each, bits).sum())

    def convolution(self, link: Convolution, first: int, last: int, bits: int) -> int:
        """Words of the kernels of the output channels ``first`` to ``last - 1``."""
        taps = int(link.weight.shape[2] * link.weight.shape[3])
        out_per_group = link.weight.shape[0] // link.groups
        words = 0
        for group in range(first // out_per_group, -(-last // out_per_group)):
            held = min(last, (group + 1) * out_per_group) - max(first, group * out_per_group)
            words += self.runs(held, bits) * int(link.weight.shape[1]) * taps
        return words


def runs(channels: int, most: int) -> Iterator[int]:
    """A number as a sum of powers of two up to ``most``, the largest first."""
    length = 1 << (most.bit_length() - 1)
    while channels:
        while length > channels:
            length //= 2
        yield length
        channels -= length


def weight_bits(mantissa: npt.NDArray[np.int8]) -> int:
    """Bits of the largest of these weights in two's complement, without common factors of two; 0
    where all are zero."""
    if not np.any(mantissa):
        return 0
    values = mantissa.astype(np.int64)
    common = int(np.gcd.reduce(values, axis=None))
    common &= -common
    low, high = int(values.min()) // common, int(values.max()) // common
    return max(max(high, 0).bit_length(), max(-low - 1, 0).bit_length()) + 1


def is_shared(link: Dense | OneToOne | Convolution) -> bool:
    """Whether one-to-one weights are all the same, so that an image needs them once."""
    return isinstance(link, OneToOne) and bool(np.all(link.weight == link.weight.flat[0]))
