"""The account of a digital circuit: arithmetic operations, and accesses to memories.

The circuit is event-driven. A message fetches the column of weights of its source and adds it to
the accumulators of its targets; once per step every neuron reads its accumulators, parameters and
states, computes its step, and writes the states back. Words are 32 bits, weights 8 unless the
activity says less, and a memory moves 64 bits at a time, with as many weights as are whole in them.
Memory dominates such a bill, so leaving it out, as much of the literature does, would be wrong by
an order of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from snn2hw.energy.bill import Charge
from snn2hw.energy.counting import operations
from snn2hw.energy.events import mean
from snn2hw.energy.memory import (
    ACCESS_BITS,
    WEIGHT_BITS,
    WORD_BITS,
    Traffic,
    memory_traffic,
)
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.activity import Activity, LayerActivity, SynapseActivity

WORD_BYTES = WORD_BITS // 8
WORDS_PER_ACCESS = ACCESS_BITS // WORD_BITS
WEIGHTS_PER_ACCESS = ACCESS_BITS // WEIGHT_BITS
NARROW_BITS = 8
"""Messages of up to this many bits are multiplied by the 8-bit multiplier."""

WHAT = {
    "weights": "weight reads",
    "accumulators": "accumulator reads and writes",
    "states": "state reads and writes",
    "parameters": "parameter reads",
    "tables": "table look-ups",
    "queue": "message queue reads and writes",
}
"""Kind of memory -> line of the bill."""

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
    traffic = memory_traffic(activity, models)
    for layer in activity.layers:
        for synapse in activity.into(layer.name):
            yield from _products(synapse)
        yield from _steps(layer, operations(models[layer.name]))
        yield from memory_charges(t for t in traffic if t.layer == layer.name)


def memory_charges(traffic: Iterable[Traffic]) -> Iterator[Charge]:
    """Accesses of memories, each priced by its size."""
    for t in traffic:
        yield Charge(t.layer, "memory", WHAT[t.kind], "sram_access", t.accesses, t.capacity_bytes)


def _products(synapse: SynapseActivity) -> Iterator[Charge]:
    """All weights that messages met, those of zero too, since they are in the columns."""
    layer, synops = synapse.target, mean(synapse.synops)
    if synapse.graded:
        term = "multiply_8" if synapse.message_bits <= NARROW_BITS else "multiply_32"
        yield Charge(layer, "synapses", "products with graded messages", term, synops)
        yield Charge(layer, "synapses", "accumulates of graded messages", "add", synops)
    else:
        yield Charge(layer, "synapses", "accumulates of spikes", "add", synops)


def _steps(layer: LayerActivity, per_update: Mapping[str, int]) -> Iterator[Charge]:
    """The neurons of one layer: every one at every step, idle or not."""
    for kind, term in _NEURON_TERMS.items():
        count = mean(layer.updates) * per_update[kind]
        yield Charge(layer.name, "neurons", f"neuron steps: {kind}", term, count)
