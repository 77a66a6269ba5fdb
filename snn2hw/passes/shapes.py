"""Shapes of every node's input and output, from the Inputs onwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn2hw.errors import GraphError, Snn2hwError
from snn2hw.neurons import NIR_TYPES
from snn2hw.passes.linear_nodes import LINEAR_NODES, MAX_VALUES, LinearPart, Shape
from snn2hw.passes.nir_nodes import node_parameters
from snn2hw.topology import evaluation_order


@dataclass
class Shapes:
    """input, output: node -> shape; parts: linear node -> what it does; notes: what was rounded."""

    input: dict[str, Shape] = field(default_factory=dict)
    output: dict[str, Shape] = field(default_factory=dict)
    parts: dict[str, LinearPart] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def infer_shapes(
    nodes: Mapping[str, Any],
    edges: Iterable[tuple[str, str]],
    closing: set[tuple[str, str]],
    dt_s: float,
) -> Shapes:
    """Shapes of all nodes of a connected graph.

    closing: the edges that close loops, which are checked and not followed. Values count, not
    dimensions: a neuron with 10 parameters takes (1, 10). Raises GraphError where the number of
    values differs between two nodes, and what the linear nodes raise; both name the node.
    """
    edges = list(edges)
    shapes = Shapes()
    order = _order(nodes, [edge for edge in edges if edge not in closing], shapes)
    for name in order:
        node, kind = nodes[name], type(nodes[name]).__name__
        sources = [source for source, target in edges if target == name]
        known = [(source, shapes.output[source]) for source in sources if source in shapes.output]
        try:
            if kind == "Input":
                shapes.output[name] = _declared(node.input_type)
            elif kind == "Output":
                shapes.input[name] = _agreed(known)
                shapes.output[name] = shapes.input[name]
                _same_size(_declared(node.output_type), known)
            elif kind in NIR_TYPES:
                ports = len(NIR_TYPES[kind].taking)
                shapes.output[name] = _neurons(node, known, ports)
                shapes.input[name] = shapes.output[name]
                if ports > 1:
                    shapes.input[name] = (ports * int(np.prod(shapes.output[name])),)
            else:
                shapes.input[name] = _agreed(known)
                part = LINEAR_NODES[kind](node, shapes.input[name], dt_s)
                shapes.parts[name] = part
                shapes.output[name] = part.shape
                _note_rounding(shapes, name, node, part, dt_s)
            _check_size(shapes.output[name])
        except Snn2hwError as error:
            raise type(error)(f"node {name!r}: {error}") from None
    for source, target in edges:
        taken, given = shapes.input[target], shapes.output[source]
        if np.prod(taken) != np.prod(given):
            raise GraphError(
                f"node {target!r} takes {int(np.prod(taken))} values (shape {taken}) and "
                f"{source!r} gives {int(np.prod(given))} (shape {given}); their shapes must agree"
            )
    return shapes


def _order(nodes: Mapping[str, Any], edges: list[tuple[str, str]], shapes: Shapes) -> list[str]:
    """Nodes, sources before those that they feed.

    A loop that only a Delay breaks is entered at its node with most parameters of its own, whose
    shape is known beforehand; it is put into ``shapes``.
    """
    names, entries = list(nodes), set[str]()
    while True:
        try:
            return evaluation_order(names, [edge for edge in edges if edge[0] not in entries])
        except ValueError as error:
            own = {name: _own(name, nodes[name]) for name in error.args[0]}
            entry = max(own, key=lambda name: int(np.prod(own[name])))
            shapes.output[entry] = own[entry] or (1,)
            entries.add(entry)


def _own(name: str, node: Any) -> Shape:
    """The shape of a neuron's or a Delay's parameters; () for other nodes."""
    kind = type(node).__name__
    if kind == "Delay":
        return _dimensions(node.delay)
    try:
        return _declared(node.output_type) if kind in NIR_TYPES and node.output_type else ()
    except GraphError as error:
        raise GraphError(f"node {name!r}: {error}") from None


def _dimensions(value: Any) -> Shape:
    return tuple(int(size) for size in np.shape(value)) or (1,)


def _declared(types: Mapping[str, Any] | None) -> Shape:
    value = next(iter(types.values())) if types else None
    if value is None:
        raise GraphError("it declares no shape; give it one")
    sizes = np.atleast_1d(np.asarray(value))
    if sizes.dtype.kind not in "iuf" or sizes.ndim != 1:
        raise GraphError(f"its shape is {value!r}; give integers")
    shape = tuple(int(size) for size in sizes)
    _check_size(shape)
    return shape


def _check_size(shape: Shape) -> None:
    size = 1
    for part in shape:
        size *= part
    if size < 1 or min(shape, default=1) < 1:
        raise GraphError("it has no neurons or channels; remove it")
    if size > MAX_VALUES:
        raise GraphError(f"its shape {shape} has {size} values; {MAX_VALUES} are the most")


def _agreed(known: list[tuple[str, Shape]]) -> Shape:
    """The shape that the first known source gives; the others must have as many values."""
    if not known:
        raise GraphError("every path into it closes a loop, so its shape is unknown")
    _same_size(known[0][1], known)
    return max((shape for _, shape in known), key=len)


def _same_size(shape: Shape, known: list[tuple[str, Shape]]) -> None:
    for source, given in known:
        if np.prod(given) != np.prod(shape):
            raise GraphError(
                f"it takes {int(np.prod(shape))} values (shape {shape}) and {source!r} gives "
                f"{int(np.prod(given))} (shape {given}); their shapes must agree"
            )


def _neurons(node: Any, known: list[tuple[str, Shape]], ports: int) -> Shape:
    """A neuron's own shape; where its parameters are single values, that of what it gets."""
    own = _declared(node.output_type) if node.output_type else ()
    if ports > 1:
        _same_size((ports * int(np.prod(own)),), known)
        return own
    if np.prod(own, dtype=np.int64) == 1 and known:
        own = known[0][1] if all(np.size(v) == 1 for v in node_parameters(node).values()) else own
    own = own or (1,)
    _same_size(own, known)
    # (10,) after a convolution of (10, 1, 1) keeps its own shape: it is what others see.
    return own


def _note_rounding(shapes: Shapes, name: str, node: Any, part: LinearPart, dt_s: float) -> None:
    if part.delay is None:
        return
    error = float(np.abs(np.asarray(node.delay).ravel() - part.delay * dt_s).max())
    if error > 1e-6 * dt_s:
        shapes.notes.append(
            f"lower: delay {name} rounded to whole steps, by up to {error / dt_s:.2g} of one"
        )
