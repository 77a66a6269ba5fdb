"""What a report section says of a run beyond the run: bills, other networks, metrics, chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from snn2hw.cli.energy import ELEMENTS, MESHES, make_bills
from snn2hw.energy import Bill
from snn2hw.energy.baselines import Comparison, compare, twin
from snn2hw.energy.metrics import metrics
from snn2hw.energy.profile import Profile, load_profile, profile_names
from snn2hw.errors import Snn2hwError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Convolution
from snn2hw.report import Chip, Figure
from snn2hw.simulator import Run

if TYPE_CHECKING:
    from snn2hw.targets.loihi.placement import LoihiPlacement
    from snn2hw.targets.place import AnyPlacement
    from snn2hw.targets.spec import Figure as ChipFigure
    from snn2hw.targets.spinnaker2.placement import Placement

Row: TypeAlias = Mapping[str, str | float]
"""Column -> cell."""

ACCOUNTS = ("events", "operations", "power-states", "stages", "float-operations", "analytical")
"""Order of the bills by how their profiles account: the first of each kind of machine first."""

RECORD_MOST = 64_000_000
"""States that are kept for NeuroBench's MembraneUpdates at most, in numbers of 4 bytes."""


def recorded(net: FixedPointNetwork, samples: int, steps: int) -> tuple[str, ...]:
    """States to record in the run of a report: v, where that does not take too much memory."""
    neurons = sum(layer.n for layer in net.layers)
    return ("v",) if samples * steps * neurons <= RECORD_MOST else ()


def mesh_of(net: FixedPointNetwork) -> str:
    """The Loihi that the network is placed on unless said otherwise."""
    return net.target if net.target in MESHES else "loihi2"


def all_bills(
    net: FixedPointNetwork, run: Run, profiles: Sequence[str] | None = None, target: str = ""
) -> tuple[Bill, ...]:
    """Bills of these profiles (None: of all that come with snn2hw), placed on ``target``'s mesh."""
    loaded = [load_profile(name) for name in profiles or profile_names()]
    if not profiles:
        loaded.sort(key=_place_in_order)
    return make_bills(net, run, loaded, target or mesh_of(net))


def _place_in_order(profile: Profile) -> tuple[int, str]:
    known = profile.account in ACCOUNTS
    return ACCOUNTS.index(profile.account) if known else len(ACCOUNTS), profile.name


def extras(net: FixedPointNetwork, run: Run, target: str = "", name: str = "") -> dict[str, Any]:
    """The fields metrics, against, not_compared and chips of a ``Section``."""
    comparison, why = _compare(net, run)
    return {
        "metrics": metrics(net, run),
        "against": comparison,
        "not_compared": why,
        "chips": tuple(chip(net, run, on, name) for on in (target or mesh_of(net), ELEMENTS)),
    }


def _compare(net: FixedPointNetwork, run: Run) -> tuple[Comparison | None, str]:
    """With networks of its widths; one with convolutions with its own twin, as dense networks of
    its widths, which nobody would use, would flatter it."""
    convolves = any(isinstance(synapse.map, Convolution) for synapse in net.synapses)
    try:
        return compare(net, run, [twin(net)] if convolves else None), ""
    except Snn2hwError as error:
        return None, str(error)


def chip(net: FixedPointNetwork, run: Run, target: str, name: str = "") -> Chip:
    """The network placed on a chip, as the report shows it. name: of the network."""
    from snn2hw.targets.loihi import picture as mesh_picture
    from snn2hw.targets.loihi.placement import LoihiPlacement
    from snn2hw.targets.place import place
    from snn2hw.targets.spec import GRADES
    from snn2hw.targets.spinnaker2 import picture

    placed: AnyPlacement = place(net, target, run=run)
    if isinstance(placed, LoihiPlacement):
        drawn, tables = mesh_picture.picture(placed, name), _mesh_tables(placed)
    else:
        drawn, tables = picture.picture(placed, name), _element_tables(placed)
    return Chip(
        name=placed.spec.name,
        title=placed.spec.title,
        utilization=placed.utilization,
        tables=tables,
        violations=placed.violations,
        notes=placed.notes,
        picture=drawn,
        figures=tuple(_figure(figure) for figure in placed.spec.figures.values()),
        grades=GRADES,
    )


def _mesh_tables(placed: LoihiPlacement) -> Mapping[str, tuple[Row, ...]]:
    layers: list[Row] = []
    for layer in placed.layers:
        cores = placed.of(layer)
        row: dict[str, str | float] = {"layer": layer, "cores": len(cores)}
        row |= {what: max(core.used[what] for core in cores) for what in placed.limits}
        row["fullest"] = f"{max(map(placed.fill, cores)):.1%}"
        layers.append(row)
    ways: list[Row] = [
        {
            "from": source,
            "to": target,
            "case": case,
            "copies": hops.copies,
            "hops east-west": hops.east_west,
            "hops north-south": hops.north_south,
        }
        for case, by_pair in placed.hops_by_case.items()
        for (source, target), hops in by_pair.items()
    ]
    traffic: list[Row] = []
    for case, sent in placed.sent.items():
        busiest = placed.busiest(case)
        link = "none" if busiest is None else f"{busiest.start} to {busiest.end}"
        most = 0.0 if busiest is None else busiest.messages(case)
        traffic.append(
            {"case": case, "messages a step": sent, "busiest link": link, "messages on it": most}
        )
    return {
        "By layer: the fullest core of each": tuple(layers),
        "A message on its way: copies, and hops of all copies together": tuple(ways),
        "Messages in a step between cores": tuple(traffic),
    }


def _element_tables(placed: Placement) -> Mapping[str, tuple[Row, ...]]:
    elements: list[Row] = []
    for core in placed.cores:
        held = ", ".join(f"{part.neurons:,} {part.layer}" for part in core.parts)
        row: dict[str, str | float] = {"PE": str(core.pe), "neurons": held, "bytes": core.bytes}
        row["filled"] = f"{core.bytes / placed.limit:.1%}"
        row |= {f"cycles a step, {case}": cycles for case, cycles in core.cycles.items()}
        elements.append(row)
    memory: list[Row] = [{"purpose": what, "bytes": count} for what, count in placed.totals.items()]
    steps: list[Row] = [
        {
            "case": timing.case,
            "clock": f"{timing.clock_hz / 1e6:g} MHz",
            "busiest PE": f"{timing.step_s * 1e3:.3g} ms",
            f"within {timing.dt_s * 1e3:g} ms": "yes" if timing.holds else "no",
        }
        for timing in placed.timing
    ]
    return {
        "By processing element": tuple(elements),
        "Bytes of all elements by purpose": tuple(memory),
        "A step, estimated": tuple(steps),
    }


def _figure(figure: ChipFigure) -> Figure:
    return Figure(
        name=figure.name,
        value=figure.value,
        unit=figure.unit,
        grade=figure.grade,
        source=figure.source,
        note=figure.note,
        others=tuple(_figure(other) for other in figure.conflicts),
    )
