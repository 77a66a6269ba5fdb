"""From a run to its bill."""

from __future__ import annotations

from pathlib import Path

from snn2hw.energy.activity_file import check_network
from snn2hw.energy.bill import Bill, price_charges
from snn2hw.energy.events import event_charges
from snn2hw.energy.logic import logic_charges
from snn2hw.energy.profile import Profile, load_profile
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.neurons import MODELS
from snn2hw.neurons.base import NeuronModel
from snn2hw.simulator.run import Activity, Run


def estimate(
    run: Run | Activity,
    profile: str | Path | Profile = "loihi1-davies2018",
    net: FixedPointNetwork | None = None,
) -> Bill:
    """What one inference costs: joules per layer and per term, each with its source.

    run: a simulation's result, or its activity alone; profile: name, path of a ``.json`` file, or a
    loaded profile; net: the network that ran, which is needed only for neuron models that snn2hw
    does not know by name, and is checked against the activity where given.

    Raises ProfileError for a profile that cannot be used and DataError for an activity that holds
    nothing or belongs to another network.
    """
    activity = run.activity if isinstance(run, Run) else run
    prices = profile if isinstance(profile, Profile) else load_profile(profile)
    if activity.samples < 1 or activity.steps < 1:
        raise DataError("the activity holds no samples or no steps; run the network on data first")
    models = _models(activity, net)
    if prices.account == "events":
        charges = event_charges(activity)
    else:
        charges = logic_charges(activity, models)
    return Bill(
        profile=prices,
        samples=activity.samples,
        steps=activity.steps,
        layers=(*activity.input_messages, *(layer.name for layer in activity.layers)),
        items=price_charges(charges, prices),
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
