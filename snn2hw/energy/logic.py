"""The account of a digital circuit: arithmetic operations, and accesses to memories.

The circuit is event-driven. A message fetches the column of weights of its source and adds it to
the accumulators of its targets; once per step every neuron reads its accumulators, parameters and
states, computes its step, and writes the states back. Words are 32 bits, weights 8 unless the
activity says less, and a memory moves 64 bits at a time, with as many weights as are whole in them.
Memory dominates such a bill, so leaving it out, as much of the literature does, would be wrong by
an order of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from snn2hw.energy.bill import Charge
from snn2hw.energy.counting import operations
from snn2hw.energy.events import mean
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.run import Activity, LayerActivity, SynapseActivity

WORD_BYTES = 4
WORDS_PER_ACCESS = 2
ACCESS_BITS = 64
NARROW_BITS = 8
"""Messages of up to this many bits are multiplied by the 8-bit multiplier."""

_NEURON_TERMS = {
    "adds": "add",
    "multiplies": "multiply_32",
    "shifts": "shift",
    "compares": "compare",
    "selects": "select",
    "logic": "logic",
}


def logic_charges(activity: Activity, models: Mapping[str, NeuronModel]) -> Iterator[Charge]:
    """Operations and memory accesses per inference. models: layer name -> neuron model."""
    for layer in activity.layers:
        model = models[layer.name]
        for synapse in activity.into(layer.name):
            yield from _synapse(synapse, _accumulator_bytes(layer, model))
        yield from _neurons(layer, model)


def _synapse(synapse: SynapseActivity, accumulator_bytes: int) -> Iterator[Charge]:
    """One group of synapses: all its weights, those of zero too, since they are in the columns."""
    layer = synapse.target
    messages, synops = mean(synapse.messages_in), mean(synapse.synops)
    if messages == 0:
        return
    if synapse.graded:
        term = "multiply_8" if synapse.message_bits <= NARROW_BITS else "multiply_32"
        yield Charge(layer, "synapses", "products with graded messages", term, synops)
        yield Charge(layer, "synapses", "accumulates of graded messages", "add", synops)
    else:
        yield Charge(layer, "synapses", "accumulates of spikes", "add", synops)
    column = synops / messages
    sources = synapse.weights / column if column else 0.0
    reads = messages * math.ceil(column / (ACCESS_BITS // synapse.weight_bits))
    yield _memory(layer, "weight reads", reads, synapse.weights * synapse.weight_bits / 8)
    accumulated = 2 * messages * math.ceil(column / WORDS_PER_ACCESS)
    yield _memory(layer, "accumulator reads and writes", accumulated, accumulator_bytes)
    yield _memory(layer, "message queue reads and writes", messages, WORD_BYTES * sources)


def _neurons(layer: LayerActivity, model: NeuronModel) -> Iterator[Charge]:
    """The neurons of one layer: every one at every step, idle or not."""
    updates = mean(layer.updates)
    per_update = operations(model)
    for kind, term in _NEURON_TERMS.items():
        count = updates * per_update[kind]
        yield Charge(layer.name, "neurons", f"neuron steps: {kind}", term, count)
    if per_update["lookups"]:
        table_bytes = WORD_BYTES * sum(table.size for table in model.tables.values())
        lookups = updates * per_update["lookups"]
        yield _memory(layer.name, "table look-ups", lookups, table_bytes)
    sweeps = updates / layer.neurons
    for what, words, directions in (
        ("accumulator reads and writes", len(model.inputs), 2),
        ("state reads and writes", len(model.states), 2),
        ("parameter reads", len(model.params), 1),
    ):
        accesses = directions * sweeps * math.ceil(layer.neurons * words / WORDS_PER_ACCESS)
        yield _memory(layer.name, what, accesses, WORD_BYTES * layer.neurons * words)
    sent = mean(layer.spikes) + mean(layer.messages)
    queue_bytes = WORD_BYTES * layer.neurons
    yield _memory(layer.name, "message queue reads and writes", sent, queue_bytes)


def _accumulator_bytes(layer: LayerActivity, model: NeuronModel) -> int:
    return WORD_BYTES * layer.neurons * len(model.inputs)


def _memory(layer: str, what: str, accesses: float, capacity_bytes: float) -> Charge:
    return Charge(layer, "memory", what, "sram_access", accesses, capacity_bytes)
