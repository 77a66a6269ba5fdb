"""Compare every spike and state with Intel's Lava."""

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
    command.add_argument("--backend", default="lava", choices=["lava"])
    command.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="S", help="seconds to wait (600)"
    )
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Verify; status 1 where anything differs."""
    from snn2hw.targets.verify import verify

    net, x, _ = network_and_data(options, samples=SAMPLES)
    say("running {} samples of {} steps on Lava ...".format(*dimensions(x)))
    check = verify(net, x, backend=options.backend, timeout_s=options.timeout)
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
            if any(overflow.wraps for overflow in net.run(x).overflows.values()):
                show(
                    "registers wrapped: a current beyond three times the range wraps twice here, "
                    "as a register does, and once in Lava's LIF (docs/fixed_point.md)"
                )
    return 0 if check.ok else 1
