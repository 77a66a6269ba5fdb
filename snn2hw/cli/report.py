"""One HTML page: the network, what was rounded, accuracy, rasters, energy, placement, sources."""

from __future__ import annotations

import argparse
import hashlib
import platform
import shlex
from importlib.metadata import version
from pathlib import Path

from snn2hw.cli.common import add_network, dimensions, first, natural, network_and_data, say
from snn2hw.cli.energy import MESHES
from snn2hw.cli.report_parts import all_bills, extras, mesh_of, recorded
from snn2hw.energy.profile import profile_names
from snn2hw.errors import BackendError
from snn2hw.report import ReportData, Section, write_json, write_report


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_network(command)
    command.add_argument("-o", "--output", required=True, metavar="REPORT.html")
    command.add_argument(
        "--json-output", metavar="REPORT.json", help="write the same content as JSON"
    )
    command.add_argument("--title", help="heading of the page")
    command.add_argument(
        "--profile",
        action="append",
        metavar="NAME",
        help=f"price list, a name or a .json file; repeatable ({', '.join(profile_names())})",
    )
    command.add_argument(
        "--target", choices=MESHES, help="mesh of cores to place on (the network's own, or loihi2)"
    )
    command.add_argument(
        "--verify", type=natural, default=0, metavar="N", help="compare N samples with Lava first"
    )


def main(options: argparse.Namespace) -> int:
    """Run the network and write its page."""
    net, x, labels = network_and_data(options)
    target = options.target or mesh_of(net)
    run = net.run(x, record=recorded(net, *dimensions(x)))
    check, why = None, "not asked for; add --verify 20"
    if options.verify:
        from snn2hw.targets.verify import verify

        try:
            check, why = verify(net, first(x, options.verify)), ""
        except BackendError as error:
            why = str(error)
            say(f"*** NOT VERIFIED: {why}")
    names = ("nir", "numpy", "numba")
    section = Section(
        title=options.network,
        net=net,
        run=run,
        bills=all_bills(net, run, options.profile, target),
        check=check,
        not_verified=why,
        labels=labels,
        x=x,
        **extras(net, run, target, options.network),
    )
    files = (options.network, options.data)
    data = ReportData(
        title=options.title or f"{options.network} on {options.data}",
        sections=(section,),
        commands=(_command(options),),
        versions={name: version(name) for name in names} | {"python": platform.python_version()},
        sources={f"SHA-256 of {name}": _digest(name) for name in files},
    )
    write_report(options.output, data)
    say(f"wrote {options.output}")
    if options.json_output:
        write_json(options.json_output, data)
        say(f"wrote {options.json_output}")
    return 1 if check is not None and not check.ok else 0


def _command(options: argparse.Namespace) -> str:
    """The line that makes this page again."""
    words = ["snn2hw", "report", options.network, "--data", options.data]
    for name in options.profile or ():
        words += ["--profile", name]
    given = {
        "--samples": options.samples,
        "--target": options.target,
        "--verify": options.verify or None,
        "--title": options.title,
        "--json-output": options.json_output,
    }
    for flag, value in given.items():
        if value is not None:
            words += [flag, str(value)]
    return shlex.join([*words, "-o", options.output])


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
