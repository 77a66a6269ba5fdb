"""The networks one would use instead: GRU, LSTM, CNN and MLP in int8, as sizes and densities.

They see what the spiking network sees, one step after the other, and give an output in every step,
which the host averages as it does for the spiking network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from snn2hw.energy.baselines.cells import GRU, LINEAR, LSTM, RELU, Cell
from snn2hw.errors import ParameterError

CNN_KERNEL = 3
RELU_DENSITY = 0.5
"""Assumed where none was measured: a ReLU of a symmetric argument is zero half the time."""


@dataclass(frozen=True)
class Signal:
    """What a layer reads: channels a step, the fraction not zero, and whether all are 0 or 1."""

    channels: int
    density: float = 1.0
    binary: bool = False

    def __post_init__(self) -> None:
        """Raises ParameterError for a size or a density that cannot be."""
        if self.channels < 1:
            raise ParameterError(f"a signal has {self.channels} channels; give at least 1")
        if not 0.0 <= self.density <= 1.0:
            raise ParameterError(f"density {self.density} is no fraction; give one from 0 to 1")


@dataclass(frozen=True)
class Part:
    """One layer. signals: what its weights multiply; density: of its own activations."""

    name: str
    cell: Cell
    units: int
    signals: tuple[Signal, ...]
    density: float = 1.0

    @property
    def rows(self) -> int:
        """Rows of its weight matrix."""
        return self.cell.rows * self.units

    @property
    def columns(self) -> int:
        """Columns of its weight matrix."""
        return sum(signal.channels for signal in self.signals)

    @property
    def weights(self) -> int:
        """Number of weights, a byte each."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Baseline:
    """A network in int8. kind: "gru", "lstm", "mlp" or "cnn"; steps: time steps an inference.

    accuracy: of a trained network of this shape, None where none was trained.
    """

    kind: str
    parts: tuple[Part, ...]
    steps: int
    accuracy: float | None = None

    @property
    def weights(self) -> int:
        """Number of weights, a byte each."""
        return sum(part.weights for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of an inference with nothing skipped."""
        return self.steps * self.weights

    @property
    def shape(self) -> str:
        """Sizes, as in "40-128-128-10"."""
        width = self.parts[0].signals[0].channels
        if self.kind == "cnn":
            width //= CNN_KERNEL
        return "-".join(str(n) for n in (width, *(part.units for part in self.parts)))


def build(
    kind: str,
    signal: Signal,
    hidden: Sequence[int],
    outputs: int,
    steps: int,
    densities: Sequence[float] | None = None,
    accuracy: float | None = None,
) -> Baseline:
    """A network of that kind: hidden layers of those widths and a linear readout.

    signal: the data; densities: fraction of each hidden layer's activations that is not zero (None:
    all of a GRU or LSTM, whose tanh is hardly ever zero, and half of a ReLU's). A CNN convolves
    over time with kernels of 3 steps, one output a step; an MLP sees one step at a time. Raises
    ParameterError for an unknown kind or sizes that cannot be.
    """
    if kind not in KINDS:
        raise ParameterError(f"baseline {kind!r} is unknown; use one of {', '.join(KINDS)}")
    if steps < 1 or outputs < 1 or not hidden or min(hidden) < 1:
        raise ParameterError(
            f"baseline {kind}: {steps} steps, hidden layers {tuple(hidden)} and {outputs} outputs; "
            "each must be at least 1, and one hidden layer there"
        )
    cell = KINDS[kind]
    usual = RELU_DENSITY if cell is RELU else 1.0
    densities = [usual] * len(hidden) if densities is None else densities
    if len(densities) != len(hidden):
        raise ParameterError(
            f"baseline {kind}: {len(densities)} densities for {len(hidden)} hidden layers; "
            "give one for each"
        )
    taps = CNN_KERNEL if kind == "cnn" else 1
    parts = []
    for number, (units, density) in enumerate(zip(hidden, densities, strict=True), start=1):
        signals = [Signal(taps * signal.channels, signal.density, signal.binary)]
        signal = Signal(units, density)
        if cell.sums > 1:
            signals.append(signal)
        parts.append(Part(f"{kind} {number}", cell, units, tuple(signals), density))
    parts.append(Part("readout", LINEAR, outputs, (signal,)))
    return Baseline(kind, tuple(parts), steps, accuracy)


def width_for(kind: str, signal: Signal, layers: int, outputs: int, weights: int) -> int:
    """The width at which ``layers`` equal hidden layers come closest below that many weights."""
    low, high = 1, max(1, math.isqrt(weights) + weights)
    while low < high:
        middle = (low + high + 1) // 2
        if build(kind, signal, [middle] * layers, outputs, 1).weights <= weights:
            low = middle
        else:
            high = middle - 1
    return low


KINDS: dict[str, Cell] = {"gru": GRU, "lstm": LSTM, "mlp": RELU, "cnn": RELU}
"""Kinds of networks -> cell of their hidden layers."""
