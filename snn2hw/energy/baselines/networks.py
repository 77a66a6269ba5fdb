"""The networks one would use instead: GRU, LSTM, CNN and MLP in int8, as sizes and densities.

They see what the spiking network sees, one step after the other, and give an output in every step,
which the host averages as it does for the spiking network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snn2hw.energy.baselines.cells import GRU, LINEAR, LSTM, RELU, Cell
from snn2hw.errors import DataError, ParameterError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Convolution, Dense

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
    """One layer. signals: what its weights multiply; density: of its own activations.

    A convolution has ``units`` output channels at each of ``positions``, and ``taps`` weights each.
    """

    name: str
    cell: Cell
    units: int
    signals: tuple[Signal, ...]
    density: float = 1.0
    positions: int = 1
    taps: int | None = None

    @property
    def rows(self) -> int:
        """Rows of its weight matrix."""
        return self.cell.rows * self.units

    @property
    def columns(self) -> int:
        """Columns of its weight matrix."""
        return self.inputs if self.taps is None else self.taps

    @property
    def inputs(self) -> int:
        """Number of activations that it reads."""
        return sum(signal.channels for signal in self.signals)

    @property
    def neurons(self) -> int:
        """Number of its own activations."""
        return self.units * self.positions

    @property
    def weights(self) -> int:
        """Number of weights, a byte each; those of a convolution once."""
        return self.rows * self.columns

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a step with nothing skipped, those with padding included."""
        return self.weights * self.positions


@dataclass(frozen=True)
class Baseline:
    """A network in int8. kind: "gru", "lstm", "mlp", "cnn", or "ann" (``twin``); steps: time steps
    of an inference.

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
        return self.steps * sum(part.macs for part in self.parts)

    @property
    def shape(self) -> str:
        """Sizes, as in "40-128-128-10"."""
        width = self.parts[0].signals[0].channels
        if self.kind == "cnn":
            width //= CNN_KERNEL
        return "-".join(str(n) for n in (width, *(part.neurons for part in self.parts)))


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


def twin(
    net: FixedPointNetwork, densities: Sequence[float] | None = None, accuracy: float | None = None
) -> Baseline:
    """The network itself with ReLUs for its neurons, seeing the data once and not step by step.

    What one would use where the data stand still, as pictures do. densities: as in ``build``.
    Raises DataError where the network is no chain of dense and convolutional layers.
    """
    parts: list[Part] = []
    source, signal = net.input.name, Signal(net.input.n)
    while joined := [s for s in net.synapses if s.source == source]:
        synapse, link = joined[0], joined[0].map
        if len(joined) > 1 or len(net.into(synapse.target)) > 1 or len(parts) == len(net.layers):
            raise DataError(
                f"{source!r} is no link of a chain; a twin is made of feed-forward nets"
            )
        if not isinstance(link, (Dense, Convolution)) or link.n_out != net.size(synapse.target):
            raise DataError(f"synapses {synapse.name!r} are {link.kind}; a twin has none such")
        units, taps = len(link.weight), None
        if isinstance(link, Convolution):
            taps = link.weight[0].size
        last = not any(s.source == synapse.target for s in net.synapses)
        density = 1.0 if last else RELU_DENSITY if densities is None else densities[len(parts)]
        cell = LINEAR if last else RELU
        positions = link.n_out // units
        parts.append(Part(synapse.target, cell, units, (signal,), density, positions, taps))
        source, signal = synapse.target, Signal(link.n_out, density)
    return Baseline("ann", tuple(parts), 1, accuracy)


KINDS: dict[str, Cell] = {"gru": GRU, "lstm": LSTM, "mlp": RELU, "cnn": RELU}
"""Kinds of networks -> cell of their hidden layers."""
