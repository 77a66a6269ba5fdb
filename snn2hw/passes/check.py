"""check: what of a NIR graph runs on a target, what does not and why, node by node.

Nothing is raised: every finding is a ``Violation``. Without calibration data the registers' ranges
are not known; ``quantize`` checks those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn2hw.errors import Snn2hwError
from snn2hw.graph import DiscreteGraph, FixedPointNetwork, InputFormat, Layer, Synapse
from snn2hw.neurons import NIR_TYPES
from snn2hw.passes.balance import balance
from snn2hw.passes.fold import fold
from snn2hw.passes.inline import inline
from snn2hw.passes.lower import lower
from snn2hw.passes.nir_nodes import check_nodes
from snn2hw.passes.quantize import TARGETS


@dataclass(frozen=True)
class Violation:
    """One thing that does not run. node: "" for the graph as a whole; used: what the graph wants;
    limit: what there is; hint: what to do."""

    rule: str
    node: str
    used: str
    limit: str
    hint: str


@dataclass(frozen=True)
class NodeCheck:
    """One node of the graph, subgraphs inlined. runs_as: what it becomes, "" where it does not."""

    name: str
    type: str
    runs_as: str
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class GraphCheck:
    """Result of ``check``. violations: of the graph as a whole and of every node."""

    target: str
    nodes: tuple[NodeCheck, ...]
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether everything runs."""
        return not self.violations


def check(
    graph: Any,
    target: str = "loihi2",
    dt: float = 1e-3,
    method: str = "euler",
    reset: str = "value",
) -> GraphCheck:
    """Check a NIR graph against a target ("loihi1" or "loihi2"); arguments as ``quantize``."""
    try:
        nodes, _ = inline(graph)
    except Snn2hwError as error:
        return GraphCheck(target, (), (_violation("graph", "", error),))
    found = [v for name, node in nodes.items() for v in _node(name, node)]
    folded = None
    if not found:
        try:
            folded = fold(lower(graph, dt, method, reset))
        except Snn2hwError as error:
            found.append(_violation("graph", _named(str(error), nodes), error))
    runs_as: dict[str, str] = {}
    if folded is not None:
        found += _target(folded, target, nodes)
        runs_as = _what_becomes(folded, nodes)
    rows = []
    for name, node in nodes.items():
        own = tuple(v for v in found if v.node == name)
        what = "" if own else runs_as.get(name, "")
        rows.append(NodeCheck(name, type(node).__name__, what, own))
    return GraphCheck(target, tuple(rows), tuple(found))


def _violation(rule: str, node: str, error: Snn2hwError, limit: str = "") -> Violation:
    """An error of ours reads "what; what to do"."""
    what, _, hint = str(error).partition("; ")
    return Violation(rule, node, what, limit, hint)


def _named(message: str, nodes: Mapping[str, Any]) -> str:
    """The node that an error names first, if it is one of the graph's."""
    start = min((message.find(repr(name)) for name in nodes if repr(name) in message), default=-1)
    return next(
        (name for name in nodes if start >= 0 and message[start:].startswith(repr(name))), ""
    )


def _node(name: str, node: Any) -> list[Violation]:
    try:
        check_nodes({name: node})
    except Snn2hwError as error:
        return [_violation("node", name, error)]
    return []


def _target(graph: DiscreteGraph, target: str, nodes: Mapping[str, Any]) -> list[Violation]:
    if target not in TARGETS:
        known = ", ".join(TARGETS)
        return [Violation("target", "", f"target {target!r}", known, f"choose one of {known}")]
    models = TARGETS[target]
    found = []
    for population in graph.populations:
        name = population.model.name
        if name not in models:
            node = population.name if population.name in nodes else ""
            others = [other for other, has in TARGETS.items() if name in has]
            found.append(
                Violation(
                    "neuron",
                    node,
                    f"layer {population.name!r} is a {name}: {population.model.doc}",
                    ", ".join(models),
                    f"use --target {others[0]}" if others else "no target has it",
                )
            )
        for decay in ("decay_u", "decay_v"):
            largest = float(population.params.get(decay, np.zeros(1)).max())
            if largest > 1.0:
                what = f"{decay} is {largest:.4g}: dt is longer than a time constant"
                hint = "use method='exact' or a smaller dt"
                found.append(Violation("time constant", population.name, what, "1", hint))
    try:
        balance(_skeleton(graph, target))
    except Snn2hwError as error:
        found.append(_violation("timing", _named(str(error), nodes), error))
    return found


def _skeleton(graph: DiscreteGraph, target: str) -> FixedPointNetwork:
    """The network without its integers: all that ``balance`` looks at."""
    return FixedPointNetwork(
        target=target,
        dt_s=graph.dt_s,
        method=graph.method,
        inputs=tuple(InputFormat(n.name, n.shape, 1, False, 1.0) for n in graph.inputs),
        layers=tuple(Layer(p.name, p.model, p.shape, {}, {}) for p in graph.populations),
        synapses=tuple(
            Synapse(p.name, p.source, p.source_port, p.target, p.target_ports, p.map, 0, p.delay)
            for p in graph.projections
        ),
        outputs=graph.outputs,
    )


def _what_becomes(graph: DiscreteGraph, nodes: Mapping[str, Any]) -> dict[str, str]:
    """What each node becomes, in words."""
    layers = {population.name: population for population in graph.populations}
    words = {}
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind in ("Input", "Output"):
            words[name] = kind.lower()
        elif name in layers:
            words[name] = f"layer of {layers[name].n} {layers[name].model.name} neurons"
        elif kind in NIR_TYPES:
            words[name] = "layer"
        else:
            words[name] = "part of the synapses of the neurons behind it"
    return words
