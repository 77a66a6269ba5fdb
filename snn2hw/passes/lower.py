"""lower: a NIR graph, differential equations and linear maps, to a graph in discrete time.

Linear nodes become chains of maps between neurons (``fold`` makes each chain one), their biases
parameters of the neuron they arrive at; where a bias passes a delay or is heard ahead of time, a
neuron that fires at every step stands for it. A linear node that meets the graph's output becomes
a readout population. An edge that closes a loop carries a delay of one step, as in PyTorch, unless
a Delay node stands in the loop.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snn2hw.errors import GraphError, ParameterError, Snn2hwError
from snn2hw.graph import (
    INPUT_PORT,
    DiscreteGraph,
    InputNode,
    OutputNode,
    Population,
    Projection,
)
from snn2hw.linear import Dense, LinearMap, OneToOne
from snn2hw.neurons import MODELS, NIR_TYPES
from snn2hw.neurons.base import FloatArray
from snn2hw.neurons.lif import RESETS
from snn2hw.passes.inline import inline
from snn2hw.passes.linear_nodes import LINEAR_NODES, steps_of
from snn2hw.passes.lookahead import check_delays, lookahead
from snn2hw.passes.nir_nodes import check_nodes, node_parameters
from snn2hw.passes.shapes import Shapes, infer_shapes
from snn2hw.topology import back_edges, by_distance, find_loop, reachable

METHODS = ("euler", "exact")

MAX_CHAINS = 4096
"""Most paths of linear nodes into one neuron: parallel branches multiply along the way."""


def lower(graph: Any, dt_s: float, method: str = "euler", reset: str = "value") -> DiscreteGraph:
    """The discrete graph of a NIR graph.

    graph: nir.NIRGraph (GPN as ``snn2hw.converters.nodes.GPN``); dt_s: time step in seconds;
    method: "euler" (decay dt/tau, what the training frameworks compute) or "exact"
    (1 - exp(-dt/tau)); reset: "value" or "subtract"; both for neurons whose metadata say neither,
    since NIR does not.

    Raises GraphError for an empty or disconnected graph, unknown nodes or wrong shapes, and
    ParameterError for numbers that are not finite or that no step of dt can follow; both name the
    node.
    """
    if method not in METHODS:
        raise ParameterError(f"method {method!r} is unknown; use one of {', '.join(METHODS)}")
    if reset not in RESETS:
        raise ParameterError(f"reset {reset!r} is unknown; use one of {', '.join(RESETS)}")
    if not (np.isfinite(dt_s) and dt_s > 0):
        raise ParameterError(f"dt = {dt_s} s is not a positive time; give seconds, such as 1e-3")
    nodes, edges = inline(graph)
    check_nodes(nodes)
    _check_connected(nodes, edges)
    check_delays(nodes, edges, dt_s)
    lowering = _Lowering(nodes, edges, dt_s, method, reset)
    return replace(lowering.result(), source_hash=graph_hash(nodes, edges))


def graph_hash(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> str:
    """SHA-256 over node types, parameters and edges of a NIR graph, whatever order it keeps."""
    digest = hashlib.sha256()
    for name in sorted(nodes):
        digest.update(f"{name}:{type(nodes[name]).__name__};".encode())
        for key, value in sorted(node_parameters(nodes[name]).items()):
            array = np.asarray(value)
            digest.update(f"{key}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(sorted(edges)).encode())
    return digest.hexdigest()


def _check_connected(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> None:
    kinds = {name: type(node).__name__ for name, node in nodes.items()}
    inputs = [name for name, kind in kinds.items() if kind == "Input"]
    outputs = [name for name, kind in kinds.items() if kind == "Output"]
    if not inputs or not outputs:
        missing = "Input" if not inputs else "Output"
        raise GraphError(f"the graph has no {missing} node, so no data can pass; add one")
    fed = reachable(inputs, edges)
    heard = reachable(outputs, [(target, source) for source, target in edges])
    for name in nodes:
        if name not in fed or name not in heard:
            side = "no path from an input leads to it" if name not in fed else "no path from it"
            side += "" if name not in fed else " leads to an output"
            raise GraphError(f"node {name!r} is not connected: {side}; connect or remove it")
    for source, target in edges:
        if kinds[target] == "Input" or kinds[source] == "Output":
            raise GraphError(
                f"edge {source!r} -> {target!r} enters an Input or leaves an Output; remove it"
            )
    linear = [name for name, kind in kinds.items() if kind in LINEAR_NODES]
    loop = find_loop(linear, [(a, b) for a, b in edges if a in linear and b in linear])
    if loop:
        raise GraphError(
            f"loop {' -> '.join([*loop, loop[0]])} has no neuron in it, and linear nodes "
            "alone hold no state; put a neuron into it"
        )


@dataclass(frozen=True)
class _Chain:
    """A path from a neuron or input through linear nodes: maps, the source's first, and steps."""

    source: str
    maps: tuple[LinearMap, ...] = ()
    delay: int = 0


_Biases = dict[int, FloatArray]
"""Delay in steps -> what a bias adds from that step on; float64 (n,). Below 0: to all but so many
of the last steps, behind which a kernel that looks ahead hears no bias either."""


class _Lowering:
    """One lowering under way: the graph's edges by end, and what has been built."""

    def __init__(
        self,
        nodes: dict[str, Any],
        edges: list[tuple[str, str]],
        dt_s: float,
        method: str,
        reset: str,
    ) -> None:
        self.nodes, self.edges = nodes, edges
        self.dt_s, self.method, self.reset = dt_s, method, reset
        self.kinds = {name: type(node).__name__ for name, node in nodes.items()}
        inputs = self._of_type("Input")
        # A delay of a step or more breaks the loop it stands in.
        late = {
            name
            for name in self._of_type("Delay")
            if np.min(steps_of(nodes[name].delay, dt_s), initial=np.inf) >= 1
        }
        # By name: where data enter a loop at several nodes, the order that a graph or a file keeps
        # must not decide which edge is late. What lies behind a delay comes as data come to it.
        ordered = sorted(edges)
        roots = by_distance(sorted(inputs), ordered)
        self.closing = back_edges(roots, [(a, b) for a, b in ordered if a not in late])
        self.shapes: Shapes = infer_shapes(nodes, edges, self.closing, dt_s)
        self.chains: dict[str, tuple[tuple[_Chain, ...], _Biases]] = {}
        self.constant: Population | None = None
        self.projections: list[Projection] = []

    def _of_type(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def _predecessors(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]

    def result(self) -> DiscreteGraph:
        """Everything, populations in the order in which data pass them."""
        inputs = tuple(InputNode(n, self.shapes.output[n]) for n in self._of_type("Input"))
        # Shapes were inferred from the inputs onwards.
        neurons = [name for name in self.shapes.output if self.kinds[name] in NIR_TYPES]
        populations = [self._population(name) for name in neurons]
        models = {population.name: population.model for population in populations}
        outputs = []
        for name in self._of_type("Output"):
            source = self._predecessors(name)
            if len(source) == 1 and source[0] in models:
                outputs.append(OutputNode(name, source[0], models[source[0]].main_output.name))
                continue
            readout = self._readout(name, source, list(models))
            populations.append(readout)
            outputs.append(OutputNode(name, readout.name, "y"))
        if self.constant is not None:
            populations.insert(0, self.constant)
        models |= {population.name: population.model for population in populations}
        heard = {name: model.heard_output.name for name, model in models.items()}
        return DiscreteGraph(
            dt_s=self.dt_s,
            method=self.method,
            inputs=inputs,
            populations=tuple(populations),
            projections=tuple(
                p if p.source_port else replace(p, source_port=heard.get(p.source, INPUT_PORT))
                for p in self.projections
            ),
            outputs=tuple(outputs),
            notes=(f"lower: dt = {self.dt_s:g} s, {self.method} steps", *self.shapes.notes),
        )

    def _population(self, name: str) -> Population:
        model = NIR_TYPES[self.kinds[name]]
        node = self.nodes[name]
        said = {"reset": self.reset, "method": self.method} | {
            k: v.decode() if isinstance(v, bytes) else v for k, v in (node.metadata or {}).items()
        }
        parameters = node_parameters(node) | {"reset": said["reset"]}
        try:
            if model.lower is None:
                raise GraphError(f"neuron {model.name!r} comes from no NIR node")
            if said["method"] not in METHODS:
                raise ParameterError(
                    f"method {said['method']!r} is unknown; use one of {', '.join(METHODS)}"
                )
            lowered = model.lower(self.kinds[name], parameters, self.dt_s, said["method"])
        except Snn2hwError as error:
            raise type(error)(f"node {name!r}: {error}") from None
        shape = self.shapes.output[name]
        n = int(np.prod(shape))
        params = {key: np.broadcast_to(value, (n,)).copy() for key, value in lowered.params.items()}
        for recurrence in lowered.recurrences:
            self.projections.append(
                Projection(
                    name=f"{name}.{recurrence.source_port}->{name}",
                    source=name,
                    source_port=recurrence.source_port,
                    target=name,
                    target_ports=recurrence.target_ports,
                    maps=(Dense(recurrence.weight),),
                    delay=1,
                )
            )
        model = MODELS[lowered.model] if lowered.model else model
        population = Population(name, model, shape, params, lowered.port_maps)
        return self._connect(population, name)

    def _readout(self, output: str, sources: list[str], taken: list[str]) -> Population:
        """Named after the linear node where that leads to this output alone, else anew."""
        followers = [target for source, target in self.edges if source == sources[0]]
        name = sources[0]
        if self.kinds[name] not in LINEAR_NODES or len(sources) > 1 or len(followers) > 1:
            name = f"{output}_readout"
            while name in self.kinds or name in taken:
                name += "_"
        shape = self.shapes.output[output]
        bias = np.zeros(int(np.prod(shape)))
        return self._connect(Population(name, MODELS["readout"], shape, {"bias": bias}), output)

    def _connect(self, population: Population, at: str) -> Population:
        """Add the projections into the ports of a population that take them; its biases join its
        parameters."""
        ports = population.model.taking
        chains, biases = self._arriving(at, lookahead(at, self.nodes[at], self.dt_s))
        taken: dict[str, int] = {}
        for chain in chains:
            name = f"{chain.source}->{population.name}"
            name += f" ({chain.delay})" if chain.delay else ""
            taken[name] = taken.get(name, 0) + 1
            self.projections.append(
                Projection(
                    name=name if taken[name] == 1 else f"{name} #{taken[name]}",
                    source=chain.source,
                    source_port="",
                    target=population.name,
                    target_ports=ports,
                    maps=chain.maps,
                    delay=chain.delay,
                )
            )
        gain = population.params.get(population.model.gain_of.get(ports[0], ""), np.ones(1))
        params = dict(population.params)
        start: dict[str, FloatArray] = {}
        for delay, bias in biases.items():
            if delay == 0 and np.any(bias):
                # Through a synapse with a memory: the current that it tends to is put on v, and the
                # synapse holds what is missing from it, which is all of it before the first step.
                reached = gain * bias / params.get("decay_u", 1.0)
                for port, part in zip(ports, np.split(reached, len(ports)), strict=True):
                    into = population.model.bias_of[port]
                    params[into] = params[into] + part
                if np.any(params.get("decay_u", 1.0) != 1.0):
                    start["u"] = -reached
            elif np.any(bias):
                self._add_constant(population.name, ports, bias, delay)
        return replace(population, params=params, start=start)

    def _add_constant(
        self, target: str, ports: tuple[str, ...], bias: FloatArray, delay: int
    ) -> None:
        """A bias as weights from a neuron that fires at every step."""
        if self.constant is None:
            name = "constant"
            while name in self.kinds:
                name += "_"
            params = {"decay_u": 1.0, "decay_v": 0.0, "gain": 1.0, "bias": 1.0, "v_threshold": 0.5}
            arrays = {key: np.full(1, value) for key, value in params.items()}
            self.constant = Population(name, MODELS["lif"], (1,), arrays)
        source = self.constant.name
        name = f"{source}->{target}" + (f" ({delay})" if delay else "")
        maps = (Dense(bias[:, None]),)
        self.projections.append(Projection(name, source, "", target, ports, maps, delay))

    def _arriving(self, name: str, ahead: int = 0) -> tuple[tuple[_Chain, ...], _Biases]:
        """Chains that end at a node's input, and the sums of the biases on the way, both earlier by
        the steps that the node looks ahead unless they come from its own spikes.

        The step that a closing edge costs is the spikes', not the biases', as in PyTorch.
        """
        chains: list[_Chain] = []
        biases: _Biases = {}
        for predecessor in self._predecessors(name):
            delay = int((predecessor, name) in self.closing)
            leaving: tuple[_Chain, ...] = (_Chain(predecessor),)
            added: _Biases = {}
            if self.kinds[predecessor] in LINEAR_NODES:
                leaving, added = self._leaving(predecessor)
            for chain in leaving:
                late = delay - (ahead if chain.source != name else 0)
                chains.append(replace(chain, delay=chain.delay + late))
            early = ahead if any(chain.source != name for chain in leaving) else 0
            for steps, bias in added.items():
                biases[steps - early] = biases.get(steps - early, 0.0) + bias
        if len(chains) > MAX_CHAINS:
            raise GraphError(
                f"{len(chains)} paths of linear nodes lead to {name!r}; {MAX_CHAINS} are the most: "
                "merge parallel linear branches"
            )
        return tuple(chains), biases

    def _leaving(self, name: str) -> tuple[tuple[_Chain, ...], _Biases]:
        """Chains that end at a linear node's output, its own map and delay included."""
        if name in self.chains:
            return self.chains[name]
        arriving, biases = self._arriving(name)
        part = self.shapes.parts[name]
        chains = list(arriving)
        if part.map is not None:
            chains = [replace(chain, maps=(*chain.maps, part.map)) for chain in chains]
            biases = {d: part.map.apply(bias[None])[0] for d, bias in biases.items()}
        if part.bias is not None:
            biases = biases | {0: biases.get(0, 0.0) + part.bias}
        if part.delay is not None:
            steps = np.unique(part.delay)
            # One chain for each delay, that lets pass what has it.
            masks = {int(d): OneToOne((part.delay == d).astype(np.float64)) for d in steps}
            chains = [
                replace(
                    chain,
                    maps=chain.maps if len(masks) == 1 else (*chain.maps, mask),
                    delay=chain.delay + d,
                )
                for chain in chains
                for d, mask in masks.items()
            ]
            delayed: _Biases = {}
            for before, bias in biases.items():
                for d, mask in masks.items():
                    added = delayed.get(before + d, 0.0)
                    delayed[before + d] = added + bias * mask.weight
            biases = delayed
        self.chains[name] = (tuple(chains), biases)
        return self.chains[name]
