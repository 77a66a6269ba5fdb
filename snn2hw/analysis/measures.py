"""How far one record of a layer is from another: spikes, rates, states, the first difference.

Records come in chunks of samples, so that a data set of any size needs the memory of one chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from snn2hw.neurons.base import FloatArray, NeuronModel

VISIBLE = 0.01
"""Of a layer without spikes, the first value that is off by this fraction of the layer's largest
is where it diverges: rounding alone touches nearly every value."""


@dataclass(frozen=True)
class Divergence:
    """The earliest difference of a layer, of the first sample at that step, then the first neuron.

    quantity: "s" (spikes) or a graded output; expected: in floats; got: in integers, real value.
    """

    sample: int
    step: int
    neuron: int
    quantity: str
    expected: float
    got: float

    def __str__(self) -> str:
        """In words."""
        return (
            f"sample {self.sample}, step {self.step}, neuron {self.neuron}: {self.quantity} is "
            f"{self.got:.4g}, and {self.expected:.4g} in floats"
        )


@dataclass(frozen=True)
class SpikeErrors:
    """Of the spikes of a layer, all samples.

    agreement: fraction of (sample, step, neuron) entries that are equal; matched: of all spikes of
    both, the fraction that the other has too (1 where there is none); rate_error: differences of
    the neurons' counts in each sample, without their signs, over the float count; rate_bias: that
    of the layer's whole count, with its sign; both NaN where floats are silent and integers are
    not; floats, integers: spikes a sample.
    """

    agreement: float
    matched: float
    rate_error: float
    rate_bias: float
    floats: float
    integers: float


@dataclass(frozen=True)
class StateErrors:
    """Of one state or graded output in real units. snr_db: signal to noise in dB, infinite without
    a difference, NaN where floats are zero throughout; rms, largest: of the difference."""

    snr_db: float
    rms: float
    largest: float


@dataclass(frozen=True)
class LayerErrors:
    """spikes: None for a layer that sends none; states: by name, with graded outputs; first: None
    where nothing differs (nor visibly, in a layer without spikes)."""

    spikes: SpikeErrors | None
    states: Mapping[str, StateErrors]
    first: Divergence | None


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0
    count: int = 0


@dataclass
class Measure:
    """Sums over the chunks of one layer.

    model: of the layer; visible: see ``VISIBLE``, times the largest float output, absolute;
    equal_by_step: entries of the main output that agree, by step (within ``visible`` if graded).
    """

    model: NeuronModel
    visible: float
    samples: int = 0
    neurons: int = 0
    equal_by_step: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    first: Divergence | None = None
    _spikes: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    _entries: int = 0
    _equal: int = 0
    _apart: float = 0.0
    _states: dict[str, _Sums] = field(default_factory=dict)

    def add(self, floats: Mapping[str, FloatArray], integers: Mapping[str, FloatArray]) -> None:
        """Take in a chunk: quantity -> (samples, time, n), both in real units."""
        main = self.model.main_output
        expected, got = floats[main.name], integers[main.name]
        different = expected != got if main.is_spike else np.abs(expected - got) > self.visible
        batch, time, self.neurons = expected.shape
        if not self.equal_by_step.size:
            self.equal_by_step = np.zeros(time)
        self.equal_by_step += (~different).sum(axis=(0, 2))
        if different.any():
            self._earliest(different, main.name, expected, got)
        if main.is_spike:
            self._entries += different.size
            self._equal += different.size - int(different.sum())
            both = float(np.sum(expected * got))
            self._spikes += (float(expected.sum()), float(got.sum()), both)
            self._apart += float(np.abs(expected.sum(axis=1) - got.sum(axis=1)).sum())
        graded = [o.name for o in self.model.outputs if not o.is_spike]
        for name in dict.fromkeys([*(s.name for s in self.model.states), *graded]):
            sums = self._states.setdefault(name, _Sums())
            difference = integers[name] - floats[name]
            sums.signal += float(np.sum(floats[name] ** 2))
            sums.noise += float(np.sum(difference**2))
            sums.largest = max(sums.largest, float(np.abs(difference).max()))
            sums.count += difference.size
        self.samples += batch

    def _earliest(
        self,
        different: npt.NDArray[np.bool_],
        quantity: str,
        expected: FloatArray,
        got: FloatArray,
    ) -> None:
        step, sample, neuron = (int(k) for k in np.argwhere(different.transpose(1, 0, 2))[0])
        if self.first is None or step < self.first.step:
            at = (sample, step, neuron)
            self.first = Divergence(
                self.samples + sample, step, neuron, quantity, float(expected[at]), float(got[at])
            )

    def errors(self) -> LayerErrors:
        """What the sums come to."""
        spikes = None
        if self._entries:
            floats, integers, both = (float(v) for v in self._spikes)
            total = floats + integers
            spikes = SpikeErrors(
                agreement=self._equal / self._entries,
                matched=2 * both / total if total else 1.0,
                rate_error=_ratio(self._apart, floats),
                rate_bias=_ratio(integers - floats, floats),
                floats=floats / self.samples,
                integers=integers / self.samples,
            )
        states = {
            name: StateErrors(
                snr_db=_decibels(sums.signal, sums.noise),
                rms=float(np.sqrt(sums.noise / sums.count)),
                largest=sums.largest,
            )
            for name, sums in self._states.items()
        }
        return LayerErrors(spikes, states, self.first)

    def agreement_by_step(self) -> npt.NDArray[np.float64]:
        """Fraction of the main output's entries that agree at each step, (time,)."""
        return self.equal_by_step / (self.samples * self.neurons)


def _ratio(part: float, whole: float) -> float:
    """part / whole; 0 where both are 0, NaN where whole alone is."""
    if whole:
        return part / whole
    return 0.0 if part == 0 else float("nan")


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("nan")
