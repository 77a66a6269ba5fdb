"""lineage: which nodes of a NIR graph lie in which populations and synapse groups of a folded one.

The passes keep no such record: it follows from the graph's edges and the folded projections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snn2hw.graph import INPUT_PORT, DiscreteGraph
from snn2hw.passes.linear_nodes import LINEAR_NODES
from snn2hw.topology import reachable

Edges = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Lineage:
    """groups: linear node -> names of the synapse groups between the neurons around it, in order;
    behind: population that is no node (relay, constant, readout of an Output) -> the first node of
    the graph that it serves."""

    groups: Mapping[str, tuple[str, ...]]
    behind: Mapping[str, str]


def trace(graph: DiscreteGraph, nodes: Mapping[str, Any], edges: Edges) -> Lineage:
    """The lineage of a folded graph. nodes, edges: those it was lowered from, subgraphs inlined.

    Where branches run parallel between the same two neurons, each of their nodes has the groups of
    all of them.
    """
    edges = list(edges)
    readouts = {o.name: o.source for o in graph.outputs}
    linear = {name for name, node in nodes.items() if type(node).__name__ in LINEAR_NODES}
    backwards = [(b, a) for a, b in edges]
    groups = {}
    for name in linear:
        ends = {readouts.get(end, end) for end in _ends(name, linear, edges)}
        sources = _ends(name, linear, backwards)
        groups[name] = tuple(
            dict.fromkeys(group for end in sorted(ends) for group in _into(graph, end, sources))
        )
    behind = {}
    served = {source: name for name, source in readouts.items() if source not in nodes}
    for population in graph.populations:
        if population.name not in nodes:
            behind[population.name] = _served(graph, population.name, nodes, served)
    return Lineage(groups, behind)


def _ends(name: str, linear: set[str], edges: list[tuple[str, str]]) -> set[str]:
    """The first nodes beyond linear ones, downstream along these edges."""
    inside = reachable([name], [edge for edge in edges if edge[0] in linear and edge[1] in linear])
    return {b for a, b in edges if a in inside and b not in linear}


def _into(graph: DiscreteGraph, target: str, sources: set[str]) -> list[str]:
    """Groups from these sources to a population, relays between them included, the first first."""
    names: list[str] = []
    for projection in graph.into(target):
        if projection.source in sources:
            heard = INPUT_PORT
            if any(p.name == projection.source for p in graph.populations):
                heard = graph.population(projection.source).model.heard_output.name
            if projection.source_port == heard:  # other ports are a neuron's own recurrences
                names.append(projection.name)
        elif _is_relay(graph, projection.source):
            before = _into(graph, projection.source, sources)
            names += [*before, projection.name] if before else []
    return names


def _is_relay(graph: DiscreteGraph, name: str) -> bool:
    return any(p.name == name and p.model.name == "relay" for p in graph.populations)


def _served(
    graph: DiscreteGraph, name: str, nodes: Mapping[str, Any], served: Mapping[str, str]
) -> str:
    seen: set[str] = set()
    while name not in nodes and name not in served and name not in seen:
        seen.add(name)
        name = next((p.target for p in graph.projections if p.source == name), name)
    return served.get(name, name if name in nodes else "")
