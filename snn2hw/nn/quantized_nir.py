"""Trained weights back into the nodes of the NIR graph that they came from.

Between two neurons stands one matrix of the folded graph. Where it was made of one node with
weights (and nodes that only move values: Flatten, Delay), that node gets it, without the gain that
folding multiplied into it. Biases go into the node in front of the neuron, or into its v_leak.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from snn2hw.errors import GraphError
from snn2hw.graph import DiscreteGraph, Population, Projection
from snn2hw.linear import Convolution
from snn2hw.neurons.base import FloatArray
from snn2hw.passes.inline import inline
from snn2hw.passes.lineage import trace

WEIGHTED = ("Linear", "Affine", "Conv1d", "Conv2d")
MOVING = ("Flatten", "Delay")


def written_back(
    graph: Any,
    lowered: DiscreteGraph,
    before: DiscreteGraph,
    after: DiscreteGraph,
    inner: Mapping[str, FloatArray],
) -> Any:
    """The NIR graph with trained parameters.

    graph: nir.NIRGraph; lowered: what it was lowered to; before, after: folded, as it was and as it
    is trained; inner: population -> its trained matrix from its current to its gates. Raises
    GraphError for what was trained and no single node holds.
    """
    nodes, edges = inline(graph)
    made = {name: copy.copy(node) for name, node in nodes.items()}
    lineage = trace(before, nodes, edges)
    for old, new in zip(before.projections, after.projections, strict=True):
        if np.array_equal(old.map.weight, new.map.weight):
            continue
        population = lowered.population(new.target)
        if _is_recurrence(new, lowered):
            rows = np.asarray(made[new.target].gates_weight, dtype=np.float64).copy()
            rows[:, : population.n] = new.map.weight
            made[new.target].gates_weight = rows
            continue
        name = _node_of(new, nodes, lineage.groups)
        _write_weight(name, made, new, _gain(population, new.target_ports[0]))
    for population in after.populations:
        if population.name in inner:
            made[population.name].gates_weight = _with_inner(
                made[population.name].gates_weight, inner[population.name]
            )
        _write_biases(population, before, lowered, made, edges, inner.get(population.name))
    return nir.NIRGraph(made, edges, metadata=graph.metadata)


def _is_recurrence(projection: Projection, lowered: DiscreteGraph) -> bool:
    """Whether it is a matrix inside a neuron's own node."""
    model = lowered.population(projection.target).model
    return projection.source == projection.target and (
        projection.source_port != model.main_output.name and bool(model.nir_types)
    )


def _node_of(
    projection: Projection, nodes: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]
) -> str:
    """The one node that holds a projection's weights."""
    makers = [
        name
        for name, made in groups.items()
        if projection.name in made and type(nodes[name]).__name__ not in MOVING
    ]
    if (
        len(makers) != 1
        or len(groups[makers[0]]) != 1
        or type(nodes[makers[0]]).__name__ not in WEIGHTED
    ):
        said = ", ".join(f"{name} ({type(nodes[name]).__name__})" for name in makers) or "no node"
        raise GraphError(
            f"synapses {projection.name!r} were trained as one matrix and come from {said}, so no "
            "single node can hold them; use graph() or export()"
        )
    return makers[0]


def _gain(population: Population, port: str) -> FloatArray:
    gain = population.params.get(population.model.gain_of.get(port, ""), np.ones(1))
    return np.broadcast_to(gain, (population.n,))


def _write_weight(
    name: str, made: dict[str, Any], projection: Projection, gain: FloatArray
) -> None:
    node, link = made[name], projection.map
    weight = link.weight[: gain.size]  # without the rows that a matrix inside the neuron adds
    is_image = isinstance(link, Convolution)
    if is_image != type(node).__name__.startswith("Conv") or weight.size != node.weight.size:
        raise GraphError(
            f"synapses {projection.name!r} were trained as a matrix of {weight.shape} and node "
            f"{name!r} holds {node.weight.shape}; use graph() or export()"
        )
    rows = gain.reshape(len(weight), -1)[:, 0].reshape(-1, *(1,) * (weight.ndim - 1))
    node.weight = (weight / np.where(rows == 0, 1.0, rows)).reshape(node.weight.shape)


def _with_inner(gates: Any, inner: FloatArray) -> FloatArray:
    rows = np.asarray(gates, dtype=np.float64).copy()
    rows[:, rows.shape[1] // 2 :] = inner
    return rows


def _write_biases(
    population: Population,
    before: DiscreteGraph,
    lowered: DiscreteGraph,
    made: dict[str, Any],
    edges: list[tuple[str, str]],
    inner: FloatArray | None,
) -> None:
    model, name = population.model, population.name
    port = model.inputs[0]
    key = model.bias_of.get(port)
    if key is None:
        return
    if inner is not None:
        bias = np.concatenate([population.params[k] for p, k in model.bias_of.items() if p != port])
        made[name].gates_bias = bias - inner @ population.params[key]
    moved = population.params[key] - before.population(name).params[key]
    if not moved.any():
        return
    gain = _gain(lowered.population(name), port)
    # A synaptic current starts at zero and a bias in front of it comes late; v_leak does not.
    slow = np.any(population.params.get("decay_u", np.ones(1)) < 1)
    front = None if slow else _in_front(name, made, edges)
    if front is not None:
        _add_bias(front, made, moved / np.where(gain == 0, 1.0, gain))
    elif hasattr(made.get(name), "v_leak") and np.all(population.params["decay_v"] > 0):
        leak = np.broadcast_to(np.asarray(made[name].v_leak, dtype=np.float64).ravel(), moved.shape)
        shape = population.shape
        made[name].v_leak = (leak + moved / population.params["decay_v"]).reshape(shape)
    else:
        raise GraphError(
            f"layer {name!r} was trained to a bias and nothing in front of it holds one for each "
            "neuron; use graph() or export(), or put a Linear in front"
        )


def _in_front(name: str, made: Mapping[str, Any], edges: list[tuple[str, str]]) -> str | None:
    """A node with a bias for each neuron that feeds this layer alone; a readout is one itself."""
    takes = [a for a, node in made.items() if type(node).__name__ in ("Linear", "Affine")]
    if name in takes:
        return name
    alone = [a for a in takes if [end for start, end in edges if start == a] == [name]]
    return alone[0] if alone else None


def _add_bias(name: str, made: dict[str, Any], added: FloatArray) -> None:
    node = made[name]
    if type(node).__name__ == "Linear":
        made[name] = nir.Affine(node.weight, added, metadata=node.metadata)
    else:
        node.bias = np.asarray(node.bias, dtype=np.float64) + added
