"""What a simulation counts: spikes, messages, synaptic operations and neuron updates.

All of it is counted in the run itself, none sampled. Every count is one number per sample, int64
of shape (batch,); in ``Activity.by_step`` one per sample and step, (batch, time).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
"""One count per sample, shape (batch,); by step (batch, time)."""


@dataclass(frozen=True)
class LayerActivity:
    """What the neurons of one layer did, per sample.

    updates: neuron steps; idle_updates: those among them with every input and state zero;
    spikes, messages: emitted plain spikes and non-zero graded messages of at most ``message_bits``.
    sent: output port -> spikes or non-zero messages that it sent, for ports that somebody hears and
    those that spike; port_bits: output port -> bits of its messages (1: a spike).
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
    sent: Mapping[str, Counts] = field(default_factory=dict)
    port_bits: Mapping[str, int] = field(default_factory=dict)

    @property
    def active_updates(self) -> Counts:
        """Neuron steps with any input or state that is not zero."""
        return self.updates - self.idle_updates

    @property
    def payload_bits(self) -> Counts:
        """Bits of payload sent. A spike carries none: that it comes is all it says."""
        if not self.sent:
            return self.messages * self.message_bits
        graded = [n * self.port_bits[p] for p, n in self.sent.items() if self.port_bits[p] > 1]
        return np.sum(graded, axis=0, dtype=np.int64) if graded else np.zeros_like(self.messages)


@dataclass(frozen=True)
class SynapseActivity:
    """What one group of synapses did, per sample.

    messages_in: spikes or non-zero graded messages that arrived; synops: synaptic operations, one
    for each weight that a message met, zero weights included; synops_nonzero: without those.
    A graded message times a weight is a multiply-accumulate (``graded``), a spike an accumulate.

    kind: of map: "dense", "one-to-one" or "convolution"; fan_out: synapses that a message meets
    away from the border (of a convolution output channels of a group * ceil(kernel / stride) in
    both directions); kernel: weights of one input channel (output channels of a group * kernel
    rows * columns), which is fan_out where the map is no convolution; weight_bits: what a
    weight takes in memory: the bits that hold every one of the group.
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
    source_port: str = ""
    kind: str = "dense"
    fan_out: int = 0
    kernel: int = 0
    weight_bits: int = 8

    @property
    def macs(self) -> Counts:
        """Multiply-accumulates, zero weights included."""
        return self.synops if self.graded else np.zeros_like(self.synops)

    @property
    def acs(self) -> Counts:
        """Accumulates without a multiplication, zero weights included."""
        return np.zeros_like(self.synops) if self.graded else self.synops


@dataclass(frozen=True)
class Activity:
    """Every operation of a run, counted, not sampled.

    input_messages: input -> non-zero values that entered, per sample; input_bits: input -> bits of
    a value (1: a spike); by_step: the same counts for each step, (batch, time), where the run was
    told to keep them. A message counts in the step in which its source sent it, a synaptic
    operation in the step in which it arrived.
    """

    samples: int
    steps: int
    input_messages: Mapping[str, Counts]
    layers: tuple[LayerActivity, ...]
    synapses: tuple[SynapseActivity, ...]
    input_bits: Mapping[str, int] = field(default_factory=dict)
    by_step: Activity | None = None

    def layer(self, name: str) -> LayerActivity:
        """The activity of that layer (KeyError if there is none)."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer named {name!r}")

    def into(self, name: str) -> tuple[SynapseActivity, ...]:
        """The synapse groups that end at a layer."""
        return tuple(s for s in self.synapses if s.target == name)

    def sent(self, source: str, port: str = "") -> Counts:
        """Spikes or messages that an input or a layer's output port sent (KeyError if unknown)."""
        if source in self.input_messages:
            return self.input_messages[source]
        return self.layer(source).sent[port]

    @property
    def synops(self) -> int:
        """All synaptic operations of the run."""
        return int(sum(s.synops.sum() for s in self.synapses))

    @property
    def macs(self) -> int:
        """Those that multiply: with graded messages."""
        return int(sum(s.macs.sum() for s in self.synapses))

    @property
    def acs(self) -> int:
        """Those that only add: with spikes."""
        return int(sum(s.acs.sum() for s in self.synapses))

    @property
    def spikes(self) -> int:
        """All spikes of the run, the input's not included."""
        return int(sum(layer.spikes.sum() for layer in self.layers))
