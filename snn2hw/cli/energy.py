"""What an inference costs: operations and joules, each price with source and grade."""

from __future__ import annotations

import argparse

from snn2hw.cli.common import (
    add_json,
    add_network,
    joules,
    network_and_data,
    show,
    show_json,
    table,
)
from snn2hw.energy import estimate
from snn2hw.energy.profile import profile_names


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_network(command)
    command.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help=f"price list, a name or a .json file; repeatable ({', '.join(profile_names())})",
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Run the network and print its bills."""
    net, x, _ = network_and_data(options)
    run = net.run(x)
    names = options.profile or list(profile_names())
    bills = [estimate(run, profile=name, net=net) for name in names]
    if options.json:
        show_json([bill.to_dict() for bill in bills])
        return 0
    for bill in bills:
        show(f"{bill.profile.name}: {bill.profile.title}")
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
        show(table(("layer", "operation", "count", "each", "energy", "grade"), rows))
        bound = "at least " if bill.at_least else ""
        if bill.total_j is None:
            show(
                f"no total: {len(bill.unpriced)} lines have no price; "
                f"the others come to {bound}{joules(bill.priced_j)} per inference"
            )
        else:
            show(f"total: {bound}{joules(bill.total_j)} per inference")
        for price in bill.prices:
            show(f"  {price.term}: grade {price.grade}, {price.source}")
        for item in bill.profile.not_included:
            show(f"  not included: {item}")
        show("")
    return 0
