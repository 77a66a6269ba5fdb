"""From a run to its bill."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snn2hw.energy.activity_file import check_network
from snn2hw.energy.analytical import analytical_charges
from snn2hw.energy.bill import Bill, Charge, Latency, price_charges
from snn2hw.energy.events import event_charges, event_latency
from snn2hw.energy.floats import float_charges
from snn2hw.energy.logic import logic_charges
from snn2hw.energy.placed import hops_of
from snn2hw.energy.power import CHIP, power_charges, power_latency
from snn2hw.energy.profile import Profile, load_profile
from snn2hw.energy.stages import stage_charges
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.neurons import MODELS
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.activity import Activity
from snn2hw.simulator.run import Run


def estimate(
    run: Run | Activity,
    profile: str | Path | Profile = "loihi1-davies2018",
    net: FixedPointNetwork | None = None,
    placement: Any = None,
) -> Bill:
    """What one inference costs: joules per layer and per term, each with its source.

    run: a simulation's result, or its activity alone; profile: name, path of a ``.json`` file, or a
    loaded profile; net: the network that ran, which is needed only for neuron models that snn2hw
    does not know by name (and tells "lemaire2022" which decays and biases do nothing), and is
    checked against the activity where given; placement: of this network on cores, as
    ``snn2hw.place`` makes it, for hops and copies of messages, for latency, and for the busy cycles
    of a profile of power states, which needs one made with ``run=``.

    Raises ProfileError for a profile that cannot be used and DataError for an activity that holds
    nothing or belongs to another network, and a placement of another network or run.
    """
    activity = run.activity if isinstance(run, Run) else run
    prices = profile if isinstance(profile, Profile) else load_profile(profile)
    if activity.samples < 1 or activity.steps < 1:
        raise DataError("the activity holds no samples or no steps; run the network on data first")
    if any(layer.updates.ndim > 1 for layer in activity.layers):
        raise DataError("the activity is by step; pass the run's own, of which by_step is a part")
    models = _models(activity, net)
    latency: Latency | None = None
    charges: Iterable[Charge]
    layers = (*activity.input_messages, *(layer.name for layer in activity.layers))
    placed = hops_of(placement) is not None
    if prices.account == "events":
        charges = event_charges(activity, placement)
        latency = event_latency(activity, prices, placement)
    elif prices.account == "stages":
        charges = stage_charges(activity, placement)
    elif prices.account == "operations":
        charges = logic_charges(activity, models)
    elif prices.account == "float-operations":
        charges = float_charges(activity, models)
    elif prices.account == "analytical":
        charges = analytical_charges(activity, models, net)
    else:
        charges = power_charges(activity, placement)
        latency = power_latency(activity, placement)
        layers, placed = (*layers, CHIP), latency is not None
    return Bill(
        profile=prices,
        samples=activity.samples,
        steps=activity.steps,
        layers=layers,
        items=price_charges(charges, prices),
        placed=placed and prices.account in ("events", "stages", "power-states"),
        latency=latency,
    )


def _models(activity: Activity, net: FixedPointNetwork | None) -> dict[str, NeuronModel]:
    if net is not None:
        check_network(activity, net)
        return {layer.name: layer.model for layer in net.layers}
    for layer in activity.layers:
        if layer.model not in MODELS:
            raise DataError(
                f"layer {layer.name!r} has neurons of unknown model {layer.model!r}; "
                "pass the network that ran as net="
            )
    return {layer.name: MODELS[layer.model] for layer in activity.layers}
