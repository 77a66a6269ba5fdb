"""lower: a NIR graph, differential equations and linear maps, to a graph in discrete time.

Chains of linear nodes become one matrix between neurons (a product in float64), their biases
parameters of the neuron they arrive at; a linear node that meets the graph's output becomes a
readout population. An edge that closes a loop carries a delay of one step, as in PyTorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
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
from snn2hw.neurons import MODELS, NIR_TYPES
from snn2hw.neurons.base import FloatArray, NeuronModel
from snn2hw.topology import back_edges, find_loop, reachable

METHODS = ("euler", "exact")
LINEAR_TYPES = ("Affine", "Linear")
DIRECT_MAX = 16384
"""Largest layer that an edge may feed without weights: its identity matrix takes 2 GiB."""

KNOWN_TYPES = ("Input", "Output", *LINEAR_TYPES, *NIR_TYPES)


def lower(graph: Any, dt_s: float, method: str = "euler") -> DiscreteGraph:
    """The discrete graph of a NIR graph.

    graph: nir.NIRGraph (GPN as ``snn2hw.converters.nodes.GPN``); dt_s: time step in seconds;
    method: "euler" (decay dt/tau, what the training frameworks compute) or "exact"
    (1 - exp(-dt/tau)).

    Raises GraphError for an empty or disconnected graph, unknown nodes or wrong shapes, and
    ParameterError for numbers that are not finite or that no step of dt can follow; both name the
    node.
    """
    if method not in METHODS:
        raise ParameterError(f"method {method!r} is unknown; use one of {', '.join(METHODS)}")
    if not (np.isfinite(dt_s) and dt_s > 0):
        raise ParameterError(f"dt = {dt_s} s is not a positive time; give seconds, such as 1e-3")
    return _Lowering(graph, dt_s, method).result()


def graph_hash(graph: Any) -> str:
    """SHA-256 over node types, parameters and edges of a NIR graph, whatever order it keeps."""
    digest = hashlib.sha256()
    for name in sorted(graph.nodes):
        digest.update(f"{name}:{type(graph.nodes[name]).__name__};".encode())
        for key, value in sorted(_parameters(graph.nodes[name]).items()):
            array = np.asarray(value)
            digest.update(f"{key}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(sorted(graph.edges)).encode())
    return digest.hexdigest()


def _parameters(node: Any) -> dict[str, Any]:
    skipped = {"input_type", "output_type", "metadata"}
    return {k: v for k, v in vars(node).items() if k not in skipped and v is not None}


def _shape(types: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in np.atleast_1d(next(iter(types.values()))))


class _Lowering:
    """One lowering under way: the graph's edges by end, and what has been built."""

    def __init__(self, graph: Any, dt_s: float, method: str) -> None:
        self.graph, self.dt_s, self.method = graph, dt_s, method
        self.kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self.edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
        self._check_connected()
        inputs = self._of_type("Input")
        self.closing = back_edges(inputs, self.edges)
        self.projections: list[Projection] = []

    def _of_type(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def _predecessors(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]

    def _check_connected(self) -> None:
        if not self.kinds:
            raise GraphError("the graph is empty; export a model with at least one layer")
        for name, kind in self.kinds.items():
            if kind not in KNOWN_TYPES:
                raise GraphError(
                    f"node {name!r} is of type {kind}, which this release does not run; "
                    f"it runs {', '.join(KNOWN_TYPES)}"
                )
            for key, value in _parameters(self.graph.nodes[name]).items():
                array = np.asarray(value)
                if array.dtype.kind not in "biuf":
                    raise ParameterError(
                        f"{key} of node {name!r} has dtype {array.dtype}; give real numbers"
                    )
                if not np.all(np.isfinite(array)):
                    raise ParameterError(
                        f"{key} of node {name!r} holds NaN or infinity; "
                        "the model was not trained to finite numbers"
                    )
        for end in {name for edge in self.edges for name in edge} - set(self.kinds):
            raise GraphError(f"an edge names node {end!r}, which the graph does not have")
        inputs, outputs = self._of_type("Input"), self._of_type("Output")
        if not inputs or not outputs:
            missing = "Input" if not inputs else "Output"
            raise GraphError(f"the graph has no {missing} node, so no data can pass; add one")
        fed = reachable(inputs, self.edges)
        heard = reachable(outputs, [(target, source) for source, target in self.edges])
        for name in self.kinds:
            if name not in fed or name not in heard:
                side = "no path from an input leads to it" if name not in fed else "no path from it"
                side += "" if name not in fed else " leads to an output"
                raise GraphError(f"node {name!r} is not connected: {side}; connect or remove it")
        linear = self._of_type(*LINEAR_TYPES)
        loop = find_loop(linear, [(a, b) for a, b in self.edges if a in linear and b in linear])
        if loop:
            raise GraphError(
                f"loop {' -> '.join([*loop, loop[0]])} has no neuron in it, so it has no delay; "
                "put a neuron into it"
            )

    def result(self) -> DiscreteGraph:
        inputs = tuple(
            InputNode(name, _shape(self.graph.nodes[name].input_type))
            for name in self._of_type("Input")
        )
        self.sizes = {node.name: node.n for node in inputs}
        neurons = {name: NIR_TYPES[self.kinds[name]] for name in self._of_type(*NIR_TYPES)}
        for name in neurons:
            shape = _shape(self.graph.nodes[name].output_type)
            self.sizes[name] = int(np.prod(shape))
        for name, size in self.sizes.items():
            if size < 1:
                raise GraphError(f"node {name!r} has no neurons or channels; remove it")
        populations = [self._population(name, model) for name, model in neurons.items()]
        outputs = []
        for name in self._of_type("Output"):
            source = self._predecessors(name)
            if len(source) == 1 and source[0] in neurons:
                outputs.append(OutputNode(name, source[0], neurons[source[0]].main_output.name))
                continue
            readout = self._readout_name(name, source, [p.name for p in populations])
            shape = _shape(self.graph.nodes[name].output_type)
            populations.append(self._readout(readout, name, shape))
            outputs.append(OutputNode(name, readout, "y"))
        return DiscreteGraph(
            dt_s=self.dt_s,
            method=self.method,
            inputs=inputs,
            populations=tuple(populations),
            projections=tuple(self.projections),
            outputs=tuple(outputs),
            source_hash=graph_hash(self.graph),
            notes=(f"lower: dt = {self.dt_s:g} s, {self.method} steps",),
        )

    def _population(self, name: str, model: NeuronModel) -> Population:
        node = self.graph.nodes[name]
        try:
            lowered = model.lower(self.kinds[name], _parameters(node), self.dt_s, self.method)
        except Snn2hwError as error:
            raise type(error)(f"node {name!r}: {error}") from None
        shape = _shape(node.output_type)
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
                    weight=recurrence.weight,
                    delay=1,
                )
            )
        population = Population(name, model, shape, params, lowered.port_maps)
        return self._connect(population, name, self._predecessors(name))

    def _readout_name(self, output: str, sources: list[str], taken: list[str]) -> str:
        """The linear node's name where it leads to this output alone, else a new one."""
        followers = [target for source, target in self.edges if source == sources[0]]
        if self.kinds[sources[0]] in LINEAR_TYPES and len(sources) == len(followers) == 1:
            return sources[0]
        name = f"{output}_readout"
        while name in self.kinds or name in taken:
            name += "_"
        return name

    def _readout(self, name: str, output: str, shape: tuple[int, ...]) -> Population:
        n = int(np.prod(shape))
        population = Population(name, MODELS["readout"], shape, {"bias": np.zeros(n)})
        return self._connect(population, output, self._predecessors(output))

    def _connect(self, population: Population, at: str, predecessors: list[str]) -> Population:
        """Add the projections into a population's first port; its biases join its parameters."""
        port = population.model.inputs[0]
        gathered: dict[tuple[str, int], FloatArray] = {}
        bias = np.zeros(population.n)
        for predecessor in predecessors:
            delay = int((predecessor, at) in self.closing)
            matrices, offset = self._linear(predecessor, population.n, at)
            bias += offset
            for (source, extra), matrix in matrices.items():
                key = (source, delay + extra)
                gathered[key] = gathered[key] + matrix if key in gathered else matrix
        for (source, delay), matrix in gathered.items():
            self.projections.append(
                Projection(
                    name=f"{source}->{population.name}" + (f" ({delay})" if delay else ""),
                    source=source,
                    source_port=self._main_port(source),
                    target=population.name,
                    target_ports=(port,),
                    weight=matrix,
                    delay=delay,
                )
            )
        gain = population.params.get(population.model.gain_of.get(port, ""), np.ones(1))
        into = population.model.bias_of[port]
        params = dict(population.params) | {into: population.params[into] + gain * bias}
        return replace(population, params=params)

    def _main_port(self, source: str) -> str:
        kind = self.kinds[source]
        return INPUT_PORT if kind == "Input" else NIR_TYPES[kind].main_output.name

    def _linear(
        self, name: str, n_out: int, at: str
    ) -> tuple[dict[tuple[str, int], FloatArray], FloatArray]:
        """Matrices from every source behind a node, by (source, delay), and the bias it adds."""
        if name in self.sizes:
            if self.sizes[name] != n_out:
                raise GraphError(
                    f"node {at!r} takes {n_out} values and {name!r} gives {self.sizes[name]}; "
                    "their shapes must agree"
                )
            if n_out > DIRECT_MAX:
                raise GraphError(
                    f"{name!r} feeds {at!r} one to one with {n_out} values, and this release keeps "
                    f"every connection as a matrix; it takes up to {DIRECT_MAX}"
                )
            return {(name, 0): np.eye(n_out)}, np.zeros(n_out)
        node = self.graph.nodes[name]
        weight = np.asarray(node.weight, dtype=np.float64)
        if weight.ndim != 2 or weight.shape[0] != n_out:
            raise GraphError(
                f"node {at!r} takes {n_out} values and the weight of {name!r} has shape "
                f"{weight.shape}; its rows must be {n_out}"
            )
        gathered: dict[tuple[str, int], FloatArray] = {}
        bias = np.zeros(weight.shape[1])
        for predecessor in self._predecessors(name):
            delay = int((predecessor, name) in self.closing)
            matrices, offset = self._linear(predecessor, weight.shape[1], name)
            bias += offset
            for (source, extra), matrix in matrices.items():
                key = (source, delay + extra)
                product = weight @ matrix
                gathered[key] = gathered[key] + product if key in gathered else product
        own = np.asarray(getattr(node, "bias", 0.0), dtype=np.float64)
        if own.shape not in ((), (n_out,)):
            raise GraphError(
                f"the bias of {name!r} has shape {own.shape} and its weight {weight.shape}; "
                f"the bias must have {n_out} values"
            )
        return gathered, weight @ bias + np.broadcast_to(own, (n_out,))
