"""What lies in the memory of a PE that learns: one list, from which the layout, the table of bytes
and the compiled code all take it.

A region belongs to the hidden layer or to the readout and has so many words for each neuron of it
that the PE holds, and so many once. Words are float32 (or s16.15, or float64 in tests), counters
and packets are int32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Places in a PE's row of the table of offsets. Hidden layer:
W = 0  # weights into a neuron, neuron by neuron
M1, M2 = 1, 2  # Adam's moments, as W
EPS = 3  # sensitivity of the neuron's own slow state to its weights
FILT = 4  # eligibility traces filtered as the readout filters spikes, as W
TOTAL = 5  # what the gradient sums up over a sample, as W; one row if weights change every step
FEEDBACK = 6  # from the readout's errors, neuron by neuron
INPUTS = 7  # what the traces hear in each step of a block: inputs and spikes, or v and x
RAW = 8  # this step's input
V, A = 9, 10  # membrane potential, adaptation
DRIVE = 11  # what arrives in this step; of a GPN x and the gates' arguments
COEF = 12  # what the traces need of each step of a block, see ``leaky`` and ``gated``
RATE = 13  # running mean of spikes per step
ERROR = 14  # errors received from the readout
CONST = 15  # constants, one word each, or one for each neuron
WAIT, COUNT, FIFO = (
    16,
    17,
    18,
)  # int32: countdown, refractory time, could fire, spikes in the sample, spikes received
# Readout:
OW, OM1, OM2 = 19, 20, 21  # weights and moments
OGRAD = 22  # gradient; one row where the error comes at the end of the sample
ZBAR, ZSUM = 23, 24  # spikes filtered as the readout filters them, and their sum
Y, YSUM = 25, 26  # output, and its sum
ALL_Y, OERROR = 27, 28  # outputs received from the others, errors
OFIFO = 29  # int32: spikes received
OCONST = 30  # gain and leak of each readout neuron
N_REGIONS = 31

HIDDEN, READOUT = "hidden", "readout"


@dataclass(frozen=True)
class Region:
    """place: in the table of offsets; layer: HIDDEN or READOUT; per_neuron, per_part: words."""

    place: int
    purpose: str
    layer: str
    per_neuron: int = 0
    per_part: int = 0
    integer: bool = False

    def words(self, neurons: int) -> int:
        """Words on a PE that holds so many neurons of the layer: none where it holds none."""
        return neurons * self.per_neuron + self.per_part if neurons else 0


@dataclass(frozen=True)
class Shape:
    """What decides which regions there are and how large.

    row: weights of a hidden neuron; sensitive: how many of them have an EPS, from the first on;
    inputs: length of INPUTS; each: whether every neuron has its own; raw: length of RAW; drive,
    coefficients: words a neuron; block: steps that the traces take at once, so that each trace is
    fetched once for all of them; adapts: whether A is there; filters: whether FILT is; constants:
    for each, whether neurons differ in it; outputs: neurons of the readout; readout_row: weights of
    one; online: weights change every step; at_end: the error is that of the whole sample; moments:
    2 for Adam, 0 for SGD.
    """

    neurons: int
    outputs: int
    row: int
    sensitive: int
    inputs: int
    each: bool
    raw: int
    drive: int
    coefficients: int
    block: int
    adapts: bool
    filters: bool
    constants: tuple[bool, ...]
    readout_row: int
    online: bool
    at_end: bool
    moments: int

    def regions(self) -> tuple[Region, ...]:
        """All regions, those of no size left out."""
        n, k = self.neurons, self.outputs
        row, out = self.row, self.readout_row
        inputs = self.inputs * self.block
        adam = bool(self.moments)
        own = sum(self.constants)
        found = (
            Region(W, "weights", HIDDEN, per_neuron=row),
            Region(M1, "optimizer moments", HIDDEN, per_neuron=row * adam),
            Region(M2, "optimizer moments", HIDDEN, per_neuron=row * adam),
            Region(EPS, "eligibility traces", HIDDEN, per_neuron=self.sensitive),
            Region(FILT, "eligibility traces", HIDDEN, per_neuron=row * self.filters),
            either(TOTAL, "gradients", HIDDEN, row, once=self.online),
            Region(FEEDBACK, "feedback weights", HIDDEN, per_neuron=k),
            either(INPUTS, "input traces", HIDDEN, inputs, once=not self.each),
            Region(RAW, "packets", HIDDEN, per_part=self.raw),
            Region(V, "neuron states", HIDDEN, per_neuron=1),
            Region(A, "neuron states", HIDDEN, per_neuron=int(self.adapts)),
            Region(DRIVE, "neuron states", HIDDEN, per_neuron=self.drive),
            Region(COEF, "neuron states", HIDDEN, per_neuron=self.coefficients * self.block),
            Region(RATE, "neuron states", HIDDEN, per_neuron=1),
            Region(ERROR, "packets", HIDDEN, per_part=k),
            Region(CONST, "constants", HIDDEN, per_neuron=own, per_part=len(self.constants) - own),
            Region(WAIT, "neuron states", HIDDEN, per_neuron=3, integer=True),
            Region(COUNT, "neuron states", HIDDEN, per_neuron=1, integer=True),
            Region(FIFO, "packets", HIDDEN, per_part=n + 1, integer=True),
            Region(OW, "weights", READOUT, per_neuron=out),
            Region(OM1, "optimizer moments", READOUT, per_neuron=out * adam),
            Region(OM2, "optimizer moments", READOUT, per_neuron=out * adam),
            either(OGRAD, "gradients", READOUT, out, once=self.at_end),
            Region(OCONST, "constants", READOUT, per_neuron=2),
            Region(ZBAR, "input traces", READOUT, per_part=out),
            Region(ZSUM, "gradients", READOUT, per_part=out if self.at_end else 0),
            Region(Y, "neuron states", READOUT, per_neuron=1),
            Region(YSUM, "neuron states", READOUT, per_neuron=1),
            Region(ALL_Y, "packets", READOUT, per_part=k),
            Region(OERROR, "packets", READOUT, per_part=k),
            Region(OFIFO, "packets", READOUT, per_part=n + 1, integer=True),
        )
        return tuple(region for region in found if region.per_neuron or region.per_part)


def either(place: int, purpose: str, layer: str, words: int, once: bool) -> Region:
    """A region of so many words once, or for each neuron."""
    return Region(place, purpose, layer, words * (not once), words * once)


def bytes_by_purpose(
    regions: Sequence[Region], layer: str, each: bool, size: int
) -> dict[str, int]:
    """Purpose -> bytes of a layer's regions: for each neuron, or else once; size: of a word."""
    found: dict[str, int] = {}
    for region in regions:
        if region.layer == layer:
            words = region.per_neuron if each else region.per_part
            width = 4 if region.integer else size
            found[region.purpose] = found.get(region.purpose, 0) + words * width
    return {purpose: count for purpose, count in found.items() if count}
