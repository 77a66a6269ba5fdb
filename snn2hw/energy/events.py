"""The account of a neuromorphic chip: synaptic operations, neuron updates, messages.

Prices per event include the memory, the arithmetic and the control that the event takes, so none
of these is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from snn2hw.energy.bill import Charge
from snn2hw.simulator.run import Activity, Counts


def event_charges(activity: Activity) -> Iterator[Charge]:
    """Events per inference.

    Weights of zero are not counted (such a chip keeps lists of the others). A message travels at
    least once from where it arises; hops need a placement and are no part of this yet.
    """
    for name, messages in activity.input_messages.items():
        yield Charge(name, "messages", "messages sent", "spike_in_tile", mean(messages))
    for layer in activity.layers:
        for synapse in activity.into(layer.name):
            kind = "graded messages" if synapse.graded else "spikes"
            yield Charge(
                layer.name,
                "synapses",
                f"synaptic operations of {kind}",
                "synaptic_operation",
                mean(synapse.synops_nonzero),
            )
        idle = mean(layer.idle_updates)
        for what, term, count in (
            ("neuron updates, active", "neuron_update_active", mean(layer.updates) - idle),
            ("neuron updates, idle", "neuron_update_idle", idle),
        ):
            yield Charge(layer.name, "neurons", what, term, count, model=layer.model)
        sent = mean(layer.spikes) + mean(layer.messages)
        yield Charge(layer.name, "messages", "messages sent", "spike_in_tile", sent)


def mean(counts: Counts) -> float:
    """Average over the samples of a run."""
    return float(counts.mean())
