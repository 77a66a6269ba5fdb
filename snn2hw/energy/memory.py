"""Reads and writes of an event-driven circuit's memories, by kind and width, from an activity.

The circuit: a message is read from the queue of its source and fetches the weights that it meets;
each is added to an accumulator, which is read and written. Once per step every neuron reads and
clears its accumulators (one for each input port), reads its parameters and states, looks its
functions up in tables, writes its states back, and puts what it sends into the queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snn2hw.energy.counting import operations
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.activity import Activity, Counts, LayerActivity, SynapseActivity

WORD_BITS, WEIGHT_BITS = 32, 8
ACCESS_BITS = 64
"""What a memory moves at a time."""

KINDS = ("weights", "accumulators", "states", "parameters", "tables", "queue")
"""Kinds of memory, in the order of reports."""


@dataclass(frozen=True)
class Traffic:
    """Words that a layer moved to and from one of its memories, per sample.

    kind: one of ``KINDS``; group: synapse group that moved them, "" for the neurons' own steps;
    reads, writes: words of ``word_bits``; words: that the memory holds; burst: words that lie next
    to each other and are moved together, on average (a column of weights, a sweep over a layer).
    """

    layer: str
    kind: str
    group: str
    reads: Counts
    writes: Counts
    word_bits: int
    words: float
    burst: float

    @property
    def capacity_bytes(self) -> float:
        """Size of the memory."""
        return self.words * self.word_bits / 8

    @property
    def accesses(self) -> float:
        """Accesses of ``ACCESS_BITS`` per inference; each burst begins with a new one."""
        moved = float(self.reads.mean() + self.writes.mean())
        if moved == 0:
            return 0.0
        return moved / self.burst * math.ceil(self.burst * self.word_bits / ACCESS_BITS)


@dataclass(frozen=True)
class StepWords:
    """What a neuron's step reads besides states and accumulators: parameters, look-ups in a table
    of that many words."""

    params: int
    lookups: int
    table: int


def integer_words(model: NeuronModel) -> StepWords:
    """Of the integer step."""
    lookups = operations(model)["lookups"]
    return StepWords(len(model.params), lookups, sum(int(t.size) for t in model.tables.values()))


def memory_traffic(
    activity: Activity,
    models: Mapping[str, NeuronModel],
    weight_bits: int | None = None,
    steps: Mapping[str, StepWords] | None = None,
) -> tuple[Traffic, ...]:
    """Every memory's traffic, layer by layer.

    models: layer -> neuron model; weight_bits: width of a weight, that of its synapses if not
    given; steps: layer -> words of a neuron's step, its integer step's if not given. Words of other
    kinds than weights have ``WORD_BITS``. Counts follow the activity's: per sample, or per sample
    and step.
    """
    found: list[Traffic] = []
    for layer in activity.layers:
        model = models[layer.name]
        for synapse in activity.into(layer.name):
            bits = synapse.weight_bits if weight_bits is None else weight_bits
            found += _synapse(synapse, layer.neurons * len(model.inputs), bits)
        words = integer_words(model) if steps is None else steps[layer.name]
        found += _neurons(layer, model, words)
    return tuple(found)


def _synapse(synapse: SynapseActivity, accumulators: int, weight_bits: int) -> Iterator[Traffic]:
    """One group of synapses: all its weights, those of zero too, since they are in the columns."""
    layer, name = synapse.target, synapse.name
    messages, synops = float(synapse.messages_in.mean()), float(synapse.synops.mean())
    column = synops / messages if messages else 0.0
    none = np.zeros_like(synapse.synops)
    yield Traffic(
        layer, "weights", name, synapse.synops, none, weight_bits, synapse.weights, column
    )
    yield Traffic(
        layer, "accumulators", name, synapse.synops, synapse.synops, WORD_BITS, accumulators, column
    )
    sources = synapse.weights / column if column else 0.0
    yield Traffic(layer, "queue", name, synapse.messages_in, none, WORD_BITS, sources, 1)


def _neurons(layer: LayerActivity, model: NeuronModel, step: StepWords) -> Iterator[Traffic]:
    """The neurons of one layer: every one at every step, idle or not."""
    none = np.zeros_like(layer.updates)
    for kind, words, written in (
        ("accumulators", len(model.inputs), True),
        ("states", len(model.states), True),
        ("parameters", step.params, False),
    ):
        moved = layer.updates * words
        held = layer.neurons * words
        yield Traffic(
            layer.name, kind, "", moved, moved if written else none, WORD_BITS, held, held
        )
    if step.lookups:
        looked_up = layer.updates * step.lookups
        yield Traffic(layer.name, "tables", "", looked_up, none, WORD_BITS, step.table, 1)
    sent = layer.spikes + layer.messages
    yield Traffic(layer.name, "queue", "", none, sent, WORD_BITS, layer.neurons, 1)
