"""What an inference costs: operations and joules, each price with source and grade."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from snn2hw.cli.common import (
    add_json,
    data_for,
    encode,
    joules,
    say,
    show,
    show_json,
    table,
)
from snn2hw.energy import Bill, estimate, read_activity, write_activity
from snn2hw.energy.profile import Profile, load_profile, profile_names
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator import Activity, Run
from snn2hw.simulator.run import SpikeRecord
from snn2hw.storage import load

ELEMENTS = "spinnaker2"
"""Where networks are placed for profiles of power states."""

MESHES = ("loihi1", "loihi2")
"""Targets whose placement has hops."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("network", metavar="NET.h5", help="network made by 'snn2hw quantize'")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="X", help=".npy, .npz, NIRData or SHD-layout HDF5")
    source.add_argument(
        "--activity", metavar="A.json", help="price a run that --save-activity kept, instead"
    )
    command.add_argument("--samples", type=int, metavar="N", help="use the first N samples only")
    command.add_argument("--save-activity", metavar="A.json", help="keep the counts of the run")
    command.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help=f"price list, a name or a .json file; repeatable ({', '.join(profile_names())})",
    )
    command.add_argument(
        "--target", choices=MESHES, help="place on this chip's cores, to price hops and copies"
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Run the network, or read what it did, and print its bills."""
    profiles = [load_profile(name) for name in options.profile or profile_names()]
    net = load(options.network)
    run: Run | Activity
    if options.activity:
        if options.save_activity or options.samples is not None:
            raise DataError(
                "--activity is a run that is over; leave --samples and --save-activity out"
            )
        run = read_activity(options.activity, net)
    else:
        x, _ = data_for(options.data, net.inputs, net.dt_s, options.samples)
        run = net.run(encode(net, x))
    if options.save_activity:
        activity = run.activity if isinstance(run, Run) else run
        write_activity(options.save_activity, activity, net)
        say(f"wrote {options.save_activity}")
    bills = make_bills(net, run, profiles, options.target)
    if options.json:
        show_json([bill.to_dict() for bill in bills])
        return 0
    for bill in bills:
        for line in lines(bill):
            show(line)
        show("")
    return 0


def make_bills(
    net: FixedPointNetwork,
    run: Run | Activity,
    profiles: Sequence[str | Profile],
    target: str | None = None,
) -> tuple[Bill, ...]:
    """A bill for each profile, with a placement where it needs one.

    target: chip whose cores the network is placed on for hops and copies; None: without. An
    activity without its spike trains is placed as if every neuron sent alike.
    """
    from snn2hw.targets.place import place

    loaded = [p if isinstance(p, Profile) else load_profile(p) for p in profiles]
    placed: dict[str, Any] = {}
    if target is not None:
        mesh = place(net, target, run=run if isinstance(run, Run) else None)
        placed |= {"events": mesh, "stages": mesh}
    if any(profile.account == "power-states" for profile in loaded):
        ran = run if isinstance(run, Run) else _as_run(run)
        placed["power-states"] = place(net, ELEMENTS, run=ran)
    return tuple(estimate(run, p, net, placed.get(p.account)) for p in loaded)


def _as_run(activity: Activity) -> Run:
    """A run of which the counts alone are known."""
    return Run({}, SpikeRecord({}, {}, {}), {}, activity, {}, "mean", 1.0)


def lines(bill: Bill) -> list[str]:
    """A bill as text."""
    said = [f"{bill.profile.name}: {bill.profile.title}"]
    rows = [
        (
            item.layer,
            item.what,
            f"{item.count:.6g}",
            "-" if item.price_j is None else joules(item.price_j),
            "not priced" if item.energy_j is None else joules(item.energy_j),
            "" if item.price is None else item.price.grade,
        )
        for item in bill.items
    ]
    said.append(table(("layer", "operation", "count", "each", "energy", "grade"), rows))
    bound = "at least " if bill.at_least else ""
    if bill.total_j is None:
        said.append(
            f"no total: {len(bill.unpriced)} lines have no price; "
            f"the others come to {bound}{joules(bill.priced_j)} per inference"
        )
        said += [f"  {why}" for why in dict.fromkeys(i.why_unpriced for i in bill.unpriced)]
    else:
        said.append(f"total: {bound}{joules(bill.total_j)} per inference")
    if bill.low_j < bill.high_j:
        said.append(f"  between {joules(bill.low_j)} and {joules(bill.high_j)} as sources differ")
    if bill.latency is not None:
        step, inference = bill.latency.step_s, bill.latency.inference_s
        said.append(f"latency: {step * 1e6:.4g} us a step, {inference * 1e3:.4g} ms an inference")
        said.append(f"  {bill.latency.how}")
    for price in (*bill.prices, *(bill.latency.times if bill.latency is not None else ())):
        said.append(f"  {price.term}: grade {price.grade}, {price.source}")
    said += [f"  not included: {item}" for item in bill.profile.not_included]
    return said
