"""Where a network's neurons go on a chip: bytes, packets and cycles of its processing elements."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from snn2hw.cli import place_loihi
from snn2hw.cli.common import (
    add_json,
    check_labels,
    data_for,
    encode,
    natural,
    say,
    show,
    show_json,
    table,
)
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator import Run
from snn2hw.storage import load

if TYPE_CHECKING:
    from snn2hw.targets.spinnaker2.placement import Core, Placement

TARGETS = ("spinnaker2", "loihi1", "loihi2")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("network", metavar="NET.h5", help="network made by 'snn2hw quantize'")
    command.add_argument("--target", default="spinnaker2", choices=TARGETS)
    command.add_argument(
        "--pes",
        type=natural,
        metavar="N",
        help="processing elements of SpiNNaker2 (the fewest that fit)",
    )
    command.add_argument(
        "--data", metavar="X", help="data to run, for measured messages and cycles"
    )
    command.add_argument(
        "--samples", type=natural, metavar="N", help="run the first N samples only"
    )
    command.add_argument("--chip", metavar="CHIP.json", help="figures of a chip of your own")
    command.add_argument("--picture", metavar="OUT.svg", help="draw the chip")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Place; status 1 where anything does not fit."""
    from snn2hw.targets.loihi import picture as loihi_picture
    from snn2hw.targets.loihi.placement import LoihiPlacement
    from snn2hw.targets.loihi.spec import load_loihi
    from snn2hw.targets.place import place
    from snn2hw.targets.spinnaker2 import picture
    from snn2hw.targets.spinnaker2.spec import load_spinnaker2

    net = load(options.network)
    read = load_spinnaker2 if options.target == "spinnaker2" else load_loihi
    spec = read(options.chip) if options.chip else None
    run = _run(net, options) if options.data else None
    placed = place(net, options.target, options.pes, run, spec)
    if options.picture:
        if isinstance(placed, LoihiPlacement):
            loihi_picture.write_picture(options.picture, placed, options.network)
        else:
            picture.write_picture(options.picture, placed, options.network)
        say(f"wrote {options.picture}")
    if isinstance(placed, LoihiPlacement):
        found, told = place_loihi.answer(placed), place_loihi.lines(placed, options.network)
    else:
        found, told = answer(placed), lines(placed, options.network)
    if options.json:
        show_json(found)
    else:
        for line in told:
            show(line)
    return 0 if placed.ok else 1


def _run(net: FixedPointNetwork, options: argparse.Namespace) -> Run:
    x, y = data_for(options.data, net.inputs, net.dt_s, options.samples)
    check_labels(options.data, y, net.size(net.outputs[0].source))
    return net.run(encode(net, x))


def answer(placed: Placement) -> dict[str, Any]:
    """A placement as a program reads it."""
    return {
        "ok": placed.ok,
        "target": placed.spec.name,
        "pes": placed.pes,
        "utilization": {
            what: {"used": used, "limit": limit}
            for what, (used, limit) in placed.utilization.items()
        },
        "bytes": placed.totals,
        "packets": placed.packets,
        "packets_measured": placed.measured_packets,
        "packets_entering": dict(placed.entering),
        "timing": [asdict(t) | {"step_s": t.step_s, "holds": t.holds} for t in placed.timing],
        "cores": [
            {
                "pe": core.pe,
                "parts": [asdict(part) for part in core.parts],
                "bytes": dict(core.purposes),
                "packets": dict(core.packets),
                "cycles": dict(core.cycles),
            }
            for core in placed.cores
        ],
        "violations": [asdict(violation) for violation in placed.violations],
        "notes": list(placed.notes),
    }


def lines(placed: Placement, name: str) -> Iterator[str]:
    """A placement as a person reads it."""
    cases = list(placed.cores[0].cycles)
    head = ["PEs", "neurons held", "bytes", "of a PE"]
    head += [f"{what}, {case}" for what in ("packets", "cycles") for case in cases]
    rows = []
    for cores in _alike(placed.cores):
        first, last = cores[0], cores[-1]
        numbers = f"{first.pe}" if first is last else f"{first.pe}-{last.pe}"
        row = [numbers, _held(first), f"{first.bytes:,}", f"{first.bytes / placed.limit:.1%}"]
        row += [f"{max(core.packets[case] for core in cores):,.4g}" for case in cases]
        row += [f"{max(core.cycles[case] for core in cores):,.0f}" for case in cases]
        rows.append(row)
    yield table(head, rows, left=2)
    yield ""
    total = placed.total_bytes
    purposes = sorted(placed.totals.items(), key=lambda row: -row[1])
    rows = [[what, f"{count:,}", f"{count / total:.1%}"] for what, count in purposes]
    yield table(("purpose", "bytes", "of all"), [*rows, ["all", f"{total:,}", ""]])
    yield ""
    yield from _traffic(placed)
    for timing in placed.timing:
        holds = "holds" if timing.holds else "does not hold"
        yield (
            f"a step of {timing.dt_s * 1e3:g} ms {holds} at {timing.clock_hz / 1e6:g} MHz, "
            f"{timing.case}: the busiest PE takes an estimated {timing.step_s * 1e3:.3g} ms"
        )
    used, limit = placed.utilization["PEs"]
    if used < limit and not all(timing.holds for timing in placed.timing):
        yield f"more PEs (--pes up to {limit}) make the step shorter"
    for note in placed.notes:
        yield f"note: {note}"
    for v in placed.violations:
        yield f"{v.rule}: {v.used} (limit: {v.limit}); {v.hint}"
    verdict = "fits" if placed.ok else "does not fit"
    yield f"{name}: {verdict} on {placed.spec.name}, {used} of {limit} PEs"


def _traffic(placed: Placement) -> Iterator[str]:
    measured = placed.measured_packets
    yield (
        f"packets a step: {placed.packets:,.0f} if every neuron sends"
        + ("" if measured is None else f", {measured:,.4g} measured")
        + "".join(f"; up to {n:,} from {name!r}" for name, n in placed.entering.items())
    )
    used, limit = placed.utilization["router entries"]
    yield f"multicast router: {used:,} of {limit:,} entries"


def _held(core: Core) -> str:
    return ", ".join(f"{part.neurons:,} {part.layer}" for part in core.parts)


def _alike(cores: Sequence[Core]) -> Iterator[list[Core]]:
    """Neighbours that hold as many neurons of the same layers in as many bytes."""

    def key(core: Core) -> tuple[str, dict[str, int]]:
        return _held(core), dict(core.purposes)

    for _, group in itertools.groupby(cores, key):
        found = list(group)
        # A gap in the numbers, where PEs between them hold nothing, ends a range.
        start = 0
        for k in range(1, len(found) + 1):
            if k == len(found) or found[k].pe != found[k - 1].pe + 1:
                yield found[start:k]
                start = k
