"""check: what of a NIR graph runs on a target, what does not and why, node by node.

Nothing is raised: every finding is a ``Violation``. Without calibration data the registers' ranges
are not known; ``quantize`` checks those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn2hw.errors import Snn2hwError
from snn2hw.graph import DiscreteGraph, FixedPointNetwork, InputFormat, Layer, Synapse
from snn2hw.neurons import NIR_TYPES
from snn2hw.neurons.base import MESSAGE_BITS
from snn2hw.neurons.sparse import sent_bits
from snn2hw.passes.balance import balance
from snn2hw.passes.fold import fold
from snn2hw.passes.inline import inline
from snn2hw.passes.lineage import Lineage, trace
from snn2hw.passes.lower import lower
from snn2hw.passes.nir_nodes import check_nodes, node_parameters
from snn2hw.passes.quantize import TARGETS
from snn2hw.topology import reachable

INSTEAD = {
    "lif_reset": "reset to zero (v_reset = 0, --reset value) at thresholds of at least 0",
    "alif": "train LIF or CubaLIF neurons instead",
    "integrator": "use neurons that spike (LIF, CubaLIF, IF)",
    "threshold": "use neurons that spike and reset (LIF, CubaLIF, IF)",
    "gpn": "train LIF or CubaLIF neurons instead",
    "sparse_leaky": "train LIF or CubaLIF neurons instead",
    "sparse_gated": "train LIF or CubaLIF neurons instead",
    "readout": "end in neurons that spike and count their spikes",
    "relay": "put neurons that spike between the linear nodes",
}
"""Neuron model -> what to do where a target lacks it."""


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
    """One node of the graph, subgraphs inlined.

    runs_as: what it becomes, "" where it does not; neuron: its neuron model, "" where it is none;
    synapses: of a linear node, the synapse groups that it is part of.
    """

    name: str
    type: str
    runs_as: str
    violations: tuple[Violation, ...]
    neuron: str = ""
    synapses: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphCheck:
    """Result of ``check``. violations: of the graph as a whole and of every node; added: layers
    that are no node of the graph (relays, a constant, readouts)."""

    target: str
    nodes: tuple[NodeCheck, ...]
    violations: tuple[Violation, ...]
    added: tuple[NodeCheck, ...] = ()

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
    if target not in TARGETS:
        known = ", ".join(TARGETS)
        wrong = Violation("target", "", f"target {target!r}", known, f"choose one of {known}")
        return GraphCheck(target, (), (wrong,))
    try:
        nodes, edges = inline(graph)
    except Snn2hwError as error:
        found = _dangling(graph, "") or [
            _violation("graph", _named(str(error), graph.nodes), error)
        ]
        return GraphCheck(target, _rows(graph.nodes, found, {}), tuple(found))
    found = [v for name, node in nodes.items() for v in _node(name, node)]
    found = found or _unconnected(nodes, edges)
    if not found:
        try:
            folded = fold(lower(graph, dt, method, reset))
        except Snn2hwError as error:
            found = _parameters(nodes, dt, method, reset) if _named(str(error), nodes) else []
            found = found or [_violation("graph", _named(str(error), nodes), error)]
        else:
            lineage = trace(folded, nodes, edges)
            found = _target(folded, target, nodes, lineage)
            becomes = _what_becomes(folded, target, nodes, lineage)
            added = _added(folded, nodes, lineage, found)
            return GraphCheck(target, _rows(nodes, found, becomes), tuple(found), added)
    return GraphCheck(target, _rows(nodes, found, {}), tuple(found))


def _rows(
    nodes: Mapping[str, Any], found: Iterable[Violation], becomes: Mapping[str, NodeCheck]
) -> tuple[NodeCheck, ...]:
    rows = []
    for name, node in nodes.items():
        own = tuple(v for v in found if v.node == name)
        row = becomes.get(name, NodeCheck(name, "", "", ()))
        runs_as = "" if own else row.runs_as
        rows.append(NodeCheck(name, type(node).__name__, runs_as, own, row.neuron, row.synapses))
    return tuple(rows)


def _violation(rule: str, node: str, error: Snn2hwError, limit: str = "") -> Violation:
    """An error of ours reads "what; what to do"."""
    what, _, hint = str(error).partition("; ")
    return Violation(rule, node, what, limit, hint)


def _named(message: str, nodes: Mapping[str, Any]) -> str:
    """The node that an error names first, in quotes or as a loop's, if it is one of the graph's."""
    places = {name: message.find(repr(name)) for name in nodes if repr(name) in message}
    if message.startswith("loop "):
        # Layers of a loop that are no nodes (relays) are passed over.
        inside = message.removeprefix("loop ").split(" -> ")
        return next((name for name in inside if name in nodes), "")
    return min(places, key=lambda name: places[name], default="")


def _dangling(graph: Any, prefix: str) -> list[Violation]:
    """Edges to or from nodes that are not there, in subgraphs too."""
    found = []
    for a, b in graph.edges:
        for end, other in ((a, b), (b, a)):
            if end not in graph.nodes:
                node = f"{prefix}{other}" if other in graph.nodes else ""
                used = f"edge {prefix + a!r} -> {prefix + b!r} names node {prefix + end!r}"
                hint = "remove the edge or add the node"
                found.append(Violation("edge", node, used, "nodes of the graph", hint))
    for name, node in graph.nodes.items():
        if type(node).__name__ == "NIRGraph" and node is not graph and prefix.count(".") < 16:
            found += _dangling(node, f"{prefix}{name}.")
    return found


def _unconnected(nodes: Mapping[str, Any], edges: list[tuple[str, str]]) -> list[Violation]:
    """Every node that no data reach or that reaches no output; ``lower`` names one alone."""
    ends = {
        kind: [name for name, node in nodes.items() if type(node).__name__ == kind]
        for kind in ("Input", "Output")
    }
    if not all(ends.values()):
        return []
    fed = reachable(ends["Input"], edges)
    heard = reachable(ends["Output"], [(b, a) for a, b in edges])
    return [
        Violation(
            "graph",
            name,
            f"node {name!r} is not connected: no path "
            + ("from an input leads to it" if name not in fed else "from it leads to an output"),
            "",
            "connect or remove it",
        )
        for name in nodes
        if name not in fed or name not in heard
    ]


def _node(name: str, node: Any) -> list[Violation]:
    try:
        check_nodes({name: node})
    except Snn2hwError as error:
        return [_violation("node", name, error)]
    return []


def _parameters(nodes: Mapping[str, Any], dt: float, method: str, reset: str) -> list[Violation]:
    """Every neuron whose numbers no step of dt can follow; ``lower`` names one alone."""
    found = []
    for name, node in nodes.items():
        model = NIR_TYPES.get(type(node).__name__)
        if model is None or model.lower is None:
            continue
        said = {"reset": reset} | node_parameters(node)
        try:
            model.lower(type(node).__name__, said, dt, method)
        except Snn2hwError as error:
            what, _, hint = str(error).partition("; ")
            found.append(Violation("parameter", name, f"node {name!r}: {what}", "", hint))
    return found


def _target(
    graph: DiscreteGraph, target: str, nodes: Mapping[str, Any], lineage: Lineage
) -> list[Violation]:
    models = TARGETS[target]
    found = []
    for population in graph.populations:
        name = population.model.name
        node = lineage.behind.get(population.name, population.name)
        if name not in models:
            real = {other: has for other, has in TARGETS.items() if other != "generic"}
            others = [f"--target {other}" for other, has in real.items() if name in has]
            hints = [*filter(None, [INSTEAD.get(name)]), *(f"use {other}" for other in others)]
            found.append(
                Violation(
                    "neuron",
                    node,
                    f"layer {population.name!r} is a {name}: {population.model.doc}",
                    f"neurons of {target}: {', '.join(models)}",
                    ", or ".join(hints) or "no target has it",
                )
            )
        bits = sent_bits(population.params) if "most" in population.params else 1
        if bits > MESSAGE_BITS:
            what = f"layer {population.name!r} sends values of {bits} bits"
            limit, hint = f"messages of {MESSAGE_BITS} bits", "train it with fewer bits"
            found.append(Violation("message width", node, what, limit, hint))
        for decay in ("decay_u", "decay_v"):
            largest = float(population.params.get(decay, np.zeros(1)).max())
            if largest > 1.0:
                what = f"{decay} is {largest:.4g}: dt is longer than a time constant"
                hint = "use --method exact or a smaller dt"
                found.append(Violation("time constant", node, what, "1", hint))
    try:
        balance(_skeleton(graph, target))
    except Snn2hwError as error:
        node = _named(str(error), nodes) or _late(str(error), nodes, lineage)
        found.append(_violation("timing", node, error))
    return found


def _late(message: str, nodes: Mapping[str, Any], lineage: Lineage) -> str:
    """The node in a synapse group that an error names, a Delay before others."""
    inside = [
        name
        for name, groups in lineage.groups.items()
        if any(repr(group) in message for group in groups)
    ]
    inside.sort(key=lambda name: type(nodes[name]).__name__ != "Delay")
    return inside[0] if inside else ""


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


def _what_becomes(
    graph: DiscreteGraph, target: str, nodes: Mapping[str, Any], lineage: Lineage
) -> dict[str, NodeCheck]:
    """What each node becomes, in words."""
    layers = {population.name: population for population in graph.populations}
    outputs = {output.name: output.source for output in graph.outputs}
    rows = {}
    for name, node in nodes.items():
        kind = type(node).__name__
        neuron, groups = "", lineage.groups.get(name, ())
        if kind == "Input":
            # As quantize has it, which sees the data and refuses others.
            words = "input of plain spikes" if target == "loihi1" else "input of spikes or values"
        elif kind == "Output":
            words = f"output of layer {outputs[name]!r}"
        elif name in layers:
            neuron = layers[name].model.name
            words = f"layer of {layers[name].n} {neuron} neurons"
            words += f", with the synapses {', '.join(groups)}" if groups else ""
        elif groups:
            words = f"part of the synapses {', '.join(groups)}"
        else:
            words = "nothing: no values pass it"
        rows[name] = NodeCheck(name, kind, words, (), neuron, groups)
    return rows


_FOR = {
    "relay": "between two linear maps that do not make one, on the way to",
    "readout": "the sum at",
    "lif": "fires at every step, for the delayed bias of",
}


def _added(
    graph: DiscreteGraph, nodes: Mapping[str, Any], lineage: Lineage, found: list[Violation]
) -> tuple[NodeCheck, ...]:
    """Layers that are no node of the graph, with what is found about them."""
    rows = []
    for population in graph.populations:
        name, neuron = population.name, population.model.name
        if name in nodes:
            continue
        own = tuple(v for v in found if v.used.startswith(f"layer {name!r} "))
        words = f"layer of {population.n} {neuron} neurons: {_FOR[neuron]} {lineage.behind[name]!r}"
        rows.append(NodeCheck(name, "(added)", "" if own else words, own, neuron))
    return tuple(rows)
