"""The account of a neuromorphic chip: synaptic operations, neuron updates, messages.

Prices per event include the memory, the arithmetic and the control that the event takes, so none
of these is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np

from snn2hw.energy.bill import Charge, Latency
from snn2hw.energy.placed import hops_of, routes, shares
from snn2hw.energy.profile import Profile
from snn2hw.simulator.activity import Activity, Counts, LayerActivity

CORES_PER_TILE = 4
"""Loihi's: 128 cores share 32 routers (Davies et al. 2018)."""


def event_charges(activity: Activity, placement: Any = None) -> Iterator[Charge]:
    """Events per inference.

    Weights of zero are not counted (such a chip keeps lists of the others). A message travels at
    least once from where it arises; a placement tells copies and hops.
    """
    placed = hops_of(placement)
    for name, messages in activity.input_messages.items():
        if placed is None:
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
        for what, term, count in (
            ("neuron updates, active", "neuron_update_active", mean(layer.active_updates)),
            ("neuron updates, idle", "neuron_update_idle", mean(layer.idle_updates)),
        ):
            yield Charge(layer.name, "neurons", what, term, count, model=layer.model)
        if placed is None:
            sent = mean(layer.spikes) + mean(layer.messages)
            yield Charge(layer.name, "messages", "messages sent", "spike_in_tile", sent)
    if placed is not None:
        yield from travel_charges(activity, placement, "spike_in_tile", "messages sent")


def travel_charges(activity: Activity, placement: Any, term: str, what: str) -> Iterator[Charge]:
    """Copies and hops of every message, charged to its source; one that nobody in the network
    hears leaves the chip and is charged once."""
    hops = hops_of(placement) or {}
    for route in routes(activity, hops):
        sent = mean(route.messages)
        for line, price, each in (
            (what, term, route.copies),
            ("hops east and west", "hop_east_west", route.east_west),
            ("hops north and south", "hop_north_south", route.north_south),
        ):
            yield Charge(route.source, "messages", line, price, sent * each)
    heard = {(s.source, s.source_port) for s in activity.synapses}
    for layer in activity.layers:
        for port, counts in layer.sent.items():
            if (layer.name, port) not in heard:
                yield Charge(layer.name, "messages", what, term, mean(counts))


def event_latency(activity: Activity, profile: Profile, placement: Any) -> Latency | None:
    """The busiest core's events one after the other, and the barrier; None without a placement,
    without times, or where the network has neurons whose time is not known."""
    if hops_of(placement) is None or not profile.times or not placement.cores:
        return None
    times = profile.times
    if set(times) != {
        "synaptic_operation",
        "neuron_update_active",
        "neuron_update_idle",
        "barrier",
    }:
        return None
    for layer in activity.layers:
        models = times["neuron_update_active"].models
        if models is not None and layer.model not in models:
            return None
    busy = {
        layer.name: _seconds(activity, layer, {t: p.joules() for t, p in times.items()})
        for layer in activity.layers
    }
    idle = np.zeros(activity.samples)
    slowest = max(
        float(sum((busy[name] * share for name, share in held.items()), idle).max())
        for held in shares(activity, placement)
    )
    tiles = ceil(len(placement.cores) / CORES_PER_TILE)
    step = slowest / activity.steps + times["barrier"].joules(tiles)
    return Latency(
        step_s=step,
        inference_s=step * activity.steps,
        how=(
            "synaptic operations and neuron updates of the busiest core, one after the other, and "
            f"the barrier over {tiles} tiles; messages travel meanwhile"
        ),
        times=tuple(times.values()),
    )


def _seconds(activity: Activity, layer: LayerActivity, times: dict[str, float]) -> Any:
    """Seconds that one core would need for all of a layer, per sample."""
    synops = sum(s.synops_nonzero for s in activity.into(layer.name))
    return (
        synops * times["synaptic_operation"]
        + layer.active_updates * times["neuron_update_active"]
        + layer.idle_updates * times["neuron_update_idle"]
    )


def mean(counts: Counts) -> float:
    """Average over the samples of a run."""
    return float(counts.mean())
