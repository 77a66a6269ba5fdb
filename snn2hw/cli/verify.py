"""Compare every spike and state with Intel's Lava, or with SpiNNaker2's processing elements."""

from __future__ import annotations

import argparse

from snn2hw.cli.common import (
    add_json,
    add_network,
    dimensions,
    network_and_data,
    say,
    seconds,
    show,
    show_json,
)

SAMPLES = 20


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_network(command)
    command.add_argument("--backend", default="lava", choices=["lava", "spinnaker2"])
    command.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="S", help="seconds to wait for Lava (600)"
    )
    command.add_argument(
        "--pes",
        type=int,
        metavar="N",
        help="processing elements of SpiNNaker2 (the fewest that hold the network)",
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Verify; status 1 where anything differs."""
    from snn2hw.targets.place import place
    from snn2hw.targets.verify import verify

    net, x, _ = network_and_data(options, samples=SAMPLES)
    name = {"lava": "Lava", "spinnaker2": "SpiNNaker2's elements"}[options.backend]
    say("running {} samples of {} steps on {} ...".format(*dimensions(x), name))
    check = verify(net, x, backend=options.backend, timeout_s=options.timeout, pes=options.pes)
    if options.backend == "spinnaker2":
        for violation in place(net, "spinnaker2", options.pes).violations:
            say(f"note: does not fit the chip: {violation.used}; limit: {violation.limit}")
    if options.json:
        first = check.first_mismatch
        show_json(
            {
                "ok": check.ok,
                "backend": check.backend,
                "compared": check.compared,
                "mismatches": check.mismatches,
                "first_mismatch": None if first is None else vars(first),
            }
        )
    else:
        show(f"{check.backend}: {check.compared} values compared, {check.mismatches} mismatches")
        if check.first_mismatch is not None:
            show(f"first: {check.first_mismatch}")
            if options.backend == "lava" and any(
                overflow.wraps for overflow in net.run(x).overflows.values()
            ):
                show(
                    "registers wrapped: a current beyond three times the range wraps twice here, "
                    "as a register does, and once in Lava's LIF (docs/fixed_point.md)"
                )
    return 0 if check.ok else 1
