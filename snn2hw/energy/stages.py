"""The account of a neuromorphic core by the stages of its pipeline.

Every neuron is accessed at every step; one with any input or state is updated; what it sends costs
once where it is made and once for each core that it goes to; a synaptic operation is priced by how
the synapses are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snn2hw.energy.bill import Charge
from snn2hw.energy.events import mean, travel_charges
from snn2hw.energy.placed import hops_of
from snn2hw.simulator.activity import Activity, SynapseActivity

ENCODINGS = {
    "dense": "dense encoding",
    "sparse": "sparse encoding",
    "convolution": "shared weights",
}


def encoding(synapse: SynapseActivity) -> str:
    """How a chip would store the group: "dense", "sparse" or "convolution".

    A list entry holds an index as wide as a weight, so a matrix that is half empty is better off as
    lists.
    """
    if synapse.kind == "convolution":
        return "convolution"
    full = 2 * synapse.weights_nonzero >= synapse.weights
    return "dense" if synapse.kind == "dense" and full else "sparse"


def stage_charges(activity: Activity, placement: Any = None) -> Iterator[Charge]:
    """Stages per inference; a placement tells copies and hops."""
    for layer in activity.layers:
        for synapse in activity.into(layer.name):
            stored = encoding(synapse)
            met = synapse.synops_nonzero if stored == "sparse" else synapse.synops
            what = f"synaptic operations, {ENCODINGS[stored]}"
            yield Charge(layer.name, "synapses", what, f"synapse_{stored}", mean(met))
        for what, term, count in (
            ("neuron accesses", "neuron_access", layer.updates),
            ("neuron updates", "neuron_update", layer.active_updates),
        ):
            yield Charge(layer.name, "neurons", what, term, mean(count), model=layer.model)
        sent = mean(layer.spikes) + mean(layer.messages)
        yield Charge(layer.name, "neurons", "spikes made", "spike_out", sent)
        if hops_of(placement) is None:
            yield Charge(layer.name, "messages", "messages to a core", "message_out", sent)
    if hops_of(placement) is None:
        for name, messages in activity.input_messages.items():
            yield Charge(name, "messages", "messages to a core", "message_out", mean(messages))
    else:
        yield from travel_charges(activity, placement, "message_out", "messages to a core")
