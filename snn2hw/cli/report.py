"""One HTML page: the network, what was rounded, accuracy, rasters, operations and energy."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import version

from snn2hw.cli.common import add_network, first, natural, network_and_data, say
from snn2hw.energy import estimate
from snn2hw.energy.profile import profile_names
from snn2hw.errors import BackendError
from snn2hw.report import ReportData, Section, write_report


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_network(command)
    command.add_argument("-o", "--output", required=True, metavar="REPORT.html")
    command.add_argument("--title", help="heading of the page")
    command.add_argument(
        "--verify", type=natural, default=0, metavar="N", help="compare N samples with Lava first"
    )


def main(options: argparse.Namespace) -> int:
    """Run the network and write its page."""
    net, x, labels = network_and_data(options)
    run = net.run(x)
    check, why = None, "not asked for; add --verify 20"
    if options.verify:
        from snn2hw.targets.verify import verify

        try:
            check, why = verify(net, first(x, options.verify)), ""
        except BackendError as error:
            why = str(error)
            say(f"*** NOT VERIFIED: {why}")
    names = ("snn2hw", "nir", "numpy", "numba")
    section = Section(
        title=options.network,
        net=net,
        run=run,
        bills=tuple(estimate(run, profile=name, net=net) for name in profile_names()),
        check=check,
        not_verified=why,
        labels=labels,
        x=x,
    )
    data = ReportData(
        title=options.title or f"{options.network} on {options.data}",
        sections=(section,),
        commands=(f"snn2hw report {options.network} --data {options.data} -o {options.output}",),
        versions={name: version(name) for name in names} | {"python": platform.python_version()},
    )
    write_report(options.output, data)
    say(f"wrote {options.output}")
    return 1 if check is not None and not check.ok else 0
