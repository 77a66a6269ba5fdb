"""inline: nested graphs become part of the graph that holds them, before anything else.

A node ``b`` of a subgraph ``a`` is then called ``a.b``. The subgraph's own Input and Output vanish:
an edge into the subgraph goes on to what its Input feeds, one out of it comes from what feeds its
Output.
"""

from __future__ import annotations

from typing import Any

from snn2hw.errors import GraphError

DEPTH_MAX = 64
"""Deepest nesting: a graph that holds itself has no end."""


def inline(graph: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and edges without subgraphs. graph: nir.NIRGraph.

    Raises GraphError for a subgraph with several inputs or outputs (an edge names none of them), a
    dangling edge, or nesting without end.
    """
    return _flat(graph, "", 0)


def _flat(graph: Any, prefix: str, depth: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    if depth > DEPTH_MAX:
        raise GraphError(f"subgraph {prefix!r} is nested more than {DEPTH_MAX} deep")
    nodes: dict[str, Any] = {}
    edges = [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]
    known = {f"{prefix}{name}" for name in graph.nodes}
    for end in (name for edge in edges for name in edge):
        if end not in known:
            raise GraphError(f"an edge names node {end!r}, which the graph does not have")
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if type(node).__name__ != "NIRGraph":
            nodes[full] = node
            continue
        inner_nodes, inner_edges = _flat(node, f"{full}.", depth + 1)
        entry = _end(full, node, "Input")
        leaving = _end(full, node, "Output")
        fed = [b for a, b in inner_edges if a == entry]
        feeding = [a for a, b in inner_edges if b == leaving]
        del inner_nodes[entry], inner_nodes[leaving]
        inner_edges = [(a, b) for a, b in inner_edges if a != entry and b != leaving]
        if leaving in fed:
            raise GraphError(
                f"subgraph {full!r} passes its input on unchanged; connect its neighbours directly"
            )
        edges = [
            (source, target)
            for a, b in edges
            for source in (feeding if a == full else [a])
            for target in (fed if b == full else [b])
        ]
        edges += inner_edges
        nodes |= inner_nodes
    return nodes, list(dict.fromkeys(edges))


def _end(name: str, graph: Any, kind: str) -> str:
    found = [key for key, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise GraphError(
            f"subgraph {name!r} has {len(found)} {kind} nodes, and an edge does not say which; "
            "give it one"
        )
    return f"{name}.{found[0]}"
