"""At which spike rate the spiking network costs what the other one does.

The bill of a run is a constant plus a term for each spike that its neurons send: the data and the
graded messages (GPN's potentials) are what they are, however much the neurons fire. So the bill at
any rate follows from two: as counted, and with the neurons silent. Rates are spikes per neuron and
step over all neurons that can spike.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from snn2hw.energy.estimate import estimate
from snn2hw.energy.profile import Profile
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Activity, LayerActivity, Run, SynapseActivity


@dataclass(frozen=True)
class SpikeCost:
    """What spikes add to a bill.

    rate: spikes per neuron and step, as counted; silent_j: joules per inference if no neuron fired;
    counted_j: as counted.
    """

    rate: float
    silent_j: float
    counted_j: float

    @property
    def per_rate_j(self) -> float:
        """Joules per inference that a rate of 1 would add."""
        return (self.counted_j - self.silent_j) / self.rate

    def at(self, rate: float) -> float:
        """Joules per inference at that rate, all layers scaled alike."""
        return self.silent_j + rate * self.per_rate_j

    def break_even(self, other_j: float) -> float:
        """The rate at which the bill is ``other_j``.

        Negative: the silent network costs more already. Above 1: no rate costs as much, as no
        neuron fires more than once a step.
        """
        return (other_j - self.silent_j) / self.per_rate_j


def spike_cost(
    run: Run | Activity, profile: str | Path | Profile, net: FixedPointNetwork | None = None
) -> SpikeCost:
    """How the bill of a run depends on the spike rate.

    Raises DataError where no neuron fired, or a neuron's messages are unpriced, so that there is
    nothing to scale; else as ``estimate``.
    """
    activity = run.activity if isinstance(run, Run) else run
    updates = sum(
        float(layer.updates.mean()) for layer in activity.layers if 1 in layer.port_bits.values()
    )
    spikes = sum(float(layer.spikes.mean()) for layer in activity.layers)
    counted = estimate(activity, profile, net)
    if not spikes:
        raise DataError(
            "no neuron fired in this run; a break-even spike rate needs spikes to scale"
        )
    if counted.total_j is None:
        raise DataError(
            f"{counted.profile.name} has no price for all of this run "
            f"({counted.unpriced[0].why_unpriced}); use a profile that has"
        )
    silent = estimate(silence(activity), profile, net)
    return SpikeCost(spikes / updates, silent.priced_j, counted.priced_j)


def silence(activity: Activity) -> Activity:
    """The same run with no spike of a neuron: data, graded messages and updates as counted."""
    layers = {layer.name for layer in activity.layers}
    return replace(
        activity,
        layers=tuple(_silent_layer(layer) for layer in activity.layers),
        synapses=tuple(
            s if s.graded or s.source not in layers else _silent_synapse(s)
            for s in activity.synapses
        ),
    )


def _silent_layer(layer: LayerActivity) -> LayerActivity:
    sent = {
        port: np.zeros_like(counts) if layer.port_bits[port] == 1 else counts
        for port, counts in layer.sent.items()
    }
    return replace(layer, spikes=np.zeros_like(layer.spikes), sent=sent)


def _silent_synapse(synapse: SynapseActivity) -> SynapseActivity:
    """With every count of what arrived zero; what the synapse is stays."""
    zeros: dict[str, Any] = {
        f.name: np.zeros_like(getattr(synapse, f.name))
        for f in fields(synapse)
        if isinstance(getattr(synapse, f.name), np.ndarray)
    }
    return replace(synapse, **zeros)
