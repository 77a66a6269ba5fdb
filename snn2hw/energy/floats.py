"""The account of a digital circuit in 32-bit floats: as ``logic``, with the neuron's float step.

Weights, states, parameters and messages are words of 32 bits. A function (tanh) is a table of 129
words with a straight line between two: one look-up, one multiplication, two additions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from snn2hw.energy.bill import Charge
from snn2hw.energy.counting import float_operations
from snn2hw.energy.events import mean
from snn2hw.energy.logic import memory_charges
from snn2hw.energy.memory import WORD_BITS, StepWords, memory_traffic
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.activity import Activity

TABLE_WORDS = 129
"""As the integer GPN's sigmoid."""

_NEURON_TERMS = {
    "adds": "add",
    "multiplies": "multiply",
    "compares": "compare",
    "selects": "select",
    "logic": "logic",
}


def float_step(model: NeuronModel) -> tuple[dict[str, int], StepWords]:
    """Operations of a float step with its functions as tables, and the words that it moves."""
    found, params = float_operations(model)
    counts = Counter(found)
    functions = counts.pop("functions", 0)
    counts.update({"multiplies": functions, "adds": 2 * functions})
    words = StepWords(params, functions, TABLE_WORDS if functions else 0)
    return dict(counts), words


def float_charges(activity: Activity, models: Mapping[str, NeuronModel]) -> Iterator[Charge]:
    """Operations and memory accesses per inference. models: layer name -> neuron model."""
    steps = {layer.name: float_step(models[layer.name]) for layer in activity.layers}
    words = {name: moved for name, (_, moved) in steps.items()}
    traffic = memory_traffic(activity, models, WORD_BITS, words)
    for layer in activity.layers:
        for synapse in activity.into(layer.name):
            synops = mean(synapse.synops)
            if synapse.graded:
                what = "products with graded messages"
                yield Charge(layer.name, "synapses", what, "multiply", synops)
            kind = "graded messages" if synapse.graded else "spikes"
            yield Charge(layer.name, "synapses", f"accumulates of {kind}", "add", synops)
        for name, term in _NEURON_TERMS.items():
            count = mean(layer.updates) * steps[layer.name][0].get(name, 0)
            yield Charge(layer.name, "neurons", f"neuron steps: {name}", term, count)
        yield from memory_charges(t for t in traffic if t.layer == layer.name)
