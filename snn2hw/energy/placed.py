"""What an account needs to know of a placement on cores: any object that has it will do.

``snn2hw.place`` makes them; snn2hw itself knows no chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from snn2hw.errors import DataError
from snn2hw.simulator.activity import Activity, Counts


class Part(Protocol):
    """Neurons of a layer on one core."""

    @property
    def layer(self) -> str:
        """The layer's name."""

    @property
    def neurons(self) -> int:
        """How many of them."""


class Core(Protocol):
    """A core in use."""

    @property
    def parts(self) -> Sequence[Any]:
        """What it holds, each a ``Part``."""


class Cores(Protocol):
    """A placement."""

    @property
    def cores(self) -> Sequence[Any]:
        """The cores in use, each a ``Core``."""


@dataclass(frozen=True)
class Route:
    """What a source's output port sends to one layer.

    messages: sent, per sample; copies: to how many cores each goes, on average; east_west,
    north_south: hops of all copies of a message, on average.
    """

    source: str
    target: str
    messages: Counts
    copies: float
    east_west: float
    north_south: float


def hops_of(placement: Any) -> Mapping[tuple[str, str], Any] | None:
    """(source, target) -> hops and copies of a message, where the placement has them."""
    hops = getattr(placement, "hops", None)
    return hops if isinstance(hops, Mapping) else None


def routes(activity: Activity, hops: Mapping[tuple[str, str], Any]) -> Iterator[Route]:
    """Every output port to every layer that hears it, once, however many groups of synapses; groups
    without any weight hear nothing.

    Raises DataError where the placement knows nothing of a connection.
    """
    ports = {(s.source, s.source_port, s.target) for s in activity.synapses if s.weights_nonzero}
    for source, port, target in sorted(ports):
        if (source, target) not in hops:
            raise DataError(
                f"the placement has no way from {source!r} to {target!r}; "
                "place the network that ran"
            )
        way = hops[source, target]
        messages = activity.sent(source, port)
        yield Route(source, target, messages, way.copies, way.east_west, way.north_south)


def shares(activity: Activity, placement: Cores) -> Iterator[dict[str, float]]:
    """Of each core in use the layers that it holds: name -> fraction of the layer's neurons.

    Raises DataError where a layer is not the network's that ran.
    """
    neurons = {layer.name: layer.neurons for layer in activity.layers}
    for core in placement.cores:
        held: dict[str, float] = {}
        for part in core.parts:
            if part.layer not in neurons:
                raise DataError(
                    f"the placement is of another network: layer {part.layer!r} is absent from the "
                    "activity; place the network that ran"
                )
            held[part.layer] = held.get(part.layer, 0.0) + part.neurons / neurons[part.layer]
        yield held
