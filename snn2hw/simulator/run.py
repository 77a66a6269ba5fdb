"""What a simulation returns: outputs, spikes, states on demand, activity and overflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
"""One count per sample, shape (batch,)."""


class SpikeRecord(Mapping[str, npt.NDArray[np.uint8]]):
    """Spike trains by layer, kept as one bit per neuron and step.

    ``record["layer"]`` unpacks to uint8 of shape (batch, time, *layer shape).
    """

    def __init__(
        self,
        packed: Mapping[str, npt.NDArray[np.uint8]],
        shapes: Mapping[str, tuple[int, ...]],
        places: Mapping[str, npt.NDArray[np.int64]],
    ) -> None:
        """packed: layer -> uint8 (batch, time, at least ceil(n / 8)), bit k of byte j is the neuron
        at place 8 j + k; places: layer -> place of each neuron, where that is not its number."""
        self.packed = dict(packed)
        self._shapes, self._places = dict(shapes), dict(places)

    def __getitem__(self, name: str) -> npt.NDArray[np.uint8]:
        """The spikes of one layer, unpacked."""
        packed = self.packed[name]
        return self._unpack(name, packed).reshape(*packed.shape[:2], *self._shapes[name])

    def sample(self, name: str, sample: int) -> npt.NDArray[np.uint8]:
        """The spikes of one layer in one sample, (time, n)."""
        return self._unpack(name, self.packed[name][sample])

    def _unpack(self, name: str, packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        n = int(np.prod(self._shapes[name]))
        dense = np.unpackbits(packed, axis=-1, count=n, bitorder="little")
        return dense[..., self._places[name]] if name in self._places else dense

    def __iter__(self) -> Iterator[str]:
        """Names of the layers that spike."""
        return iter(self.packed)

    def __len__(self) -> int:
        """Number of layers that spike."""
        return len(self.packed)


class Outputs(Mapping[str, npt.NDArray[np.int32]]):
    """What leaves the network, by the output's name: int32 (batch, time, *shape).

    Graded messages as recorded; spikes are unpacked when asked for, to 32 times their room.
    """

    def __init__(
        self,
        messages: Mapping[str, npt.NDArray[np.int32] | None],
        sources: Mapping[str, str],
        spikes: SpikeRecord,
    ) -> None:
        """messages: output -> record, or None where it spikes; sources: output -> layer."""
        self._messages, self._sources, self._spikes = dict(messages), dict(sources), spikes

    def __getitem__(self, name: str) -> npt.NDArray[np.int32]:
        """One output."""
        record = self._messages[name]
        return self._spikes[self._sources[name]].astype(np.int32) if record is None else record

    def __iter__(self) -> Iterator[str]:
        """Names of the outputs, in order."""
        return iter(self._messages)

    def __len__(self) -> int:
        """Number of outputs."""
        return len(self._messages)


@dataclass(frozen=True)
class LayerActivity:
    """What the neurons of one layer did, per sample.

    updates: neuron steps; idle_updates: those among them with every input and state zero;
    spikes, messages: emitted plain spikes and non-zero graded messages of ``message_bits``.
    """

    name: str
    model: str
    neurons: int
    updates: Counts
    idle_updates: Counts
    spikes: Counts
    messages: Counts
    message_bits: int
    wraps: Counts
    clips: Counts


@dataclass(frozen=True)
class SynapseActivity:
    """What one group of synapses did, per sample.

    messages_in: spikes or non-zero graded messages that arrived; synops: synaptic operations, one
    for each weight that a message met, zero weights included; synops_nonzero: without those.
    A graded message times a weight is a multiply-accumulate (``graded``), a spike an accumulate.
    weight_bits: what a weight takes in memory.
    """

    name: str
    source: str
    target: str
    graded: bool
    message_bits: int
    weights: int
    weights_nonzero: int
    messages_in: Counts
    synops: Counts
    synops_nonzero: Counts
    weight_bits: int = 8


@dataclass(frozen=True)
class Activity:
    """Every operation of a run, counted, not sampled.

    input_messages: input -> non-zero values that entered, per sample.
    """

    samples: int
    steps: int
    input_messages: Mapping[str, Counts]
    layers: tuple[LayerActivity, ...]
    synapses: tuple[SynapseActivity, ...]

    def layer(self, name: str) -> LayerActivity:
        """The activity of that layer (KeyError if there is none)."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer named {name!r}")

    def into(self, name: str) -> tuple[SynapseActivity, ...]:
        """The synapse groups that end at a layer."""
        return tuple(s for s in self.synapses if s.target == name)

    @property
    def synops(self) -> int:
        """All synaptic operations of the run."""
        return int(sum(s.synops.sum() for s in self.synapses))

    @property
    def spikes(self) -> int:
        """All spikes of the run, the input's not included."""
        return int(sum(layer.spikes.sum() for layer in self.layers))


@dataclass(frozen=True)
class Overflows:
    """Register overflows of one layer over the whole run."""

    wraps: int
    clips: int

    def __bool__(self) -> bool:
        """Whether there was any."""
        return self.wraps + self.clips > 0


@dataclass(frozen=True)
class Run:
    """Result of a simulation. Integers throughout.

    output_start: the step at which the first output begins (0 where aligned).

    output: (batch, time, *output shape) of the first output, int32; outputs: all of them by name.
    spikes: layer -> uint8 (batch, time, *shape). state: layer -> name -> int32 (batch, time,
    *shape), for the names asked for, as they are after the step. Time is logical time: the latency
    of the chip is taken out, unless ``aligned`` is false, when every layer's record starts at its
    own offset and the arrays have as many steps more as the largest offset.
    """

    outputs: Mapping[str, npt.NDArray[np.int32]]
    spikes: SpikeRecord
    state: Mapping[str, Mapping[str, npt.NDArray[np.int32]]]
    activity: Activity
    overflows: Mapping[str, Overflows]
    decode: str
    output_unit: float
    aligned: bool = True
    output_start: int = 0

    @property
    def output(self) -> npt.NDArray[np.int32]:
        """The first output."""
        return next(iter(self.outputs.values()))

    @property
    def logits(self) -> npt.NDArray[np.float64]:
        """What a classifier reads: output averaged over time, or its last step; real values."""
        steps = self.activity.steps
        output = self.output[:, self.output_start :][:, :steps].astype(np.float64)
        output *= self.output_unit
        return output[:, -1] if self.decode == "last" else np.asarray(output.mean(axis=1))

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Index of the largest logit per sample, the first of equals; shape (batch,)."""
        flat = self.logits.reshape(len(self.logits), -1)
        return np.asarray(np.argmax(flat, axis=1), dtype=np.int64)
