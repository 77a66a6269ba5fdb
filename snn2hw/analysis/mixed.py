"""Mixed execution: some layers as integers, exactly as the simulator has them, others in floats.

What a layer's rounding costs is seen by rounding that layer alone, and by rounding all but it.
Between layers pass real values: a layer of integers sends its message times the message's unit, and
rounds what arrives to the messages that its synapses take. So states, weights, thresholds, tables
and messages of a layer are integers or floats together; with all layers as integers this is the
simulator, bit for bit, and with none it is ``snn2hw.execute``. Plain NumPy, step by step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snn2hw.errors import DataError
from snn2hw.graph import INPUT_PORT, Data, DiscreteGraph, FixedPointNetwork, Layer, by_input
from snn2hw.linear import LinearMap, with_weight
from snn2hw.neurons.base import FloatArray, NeuronModel
from snn2hw.topology import evaluation_order

Records: TypeAlias = dict[str, dict[str, FloatArray]]
"""layer -> state or output -> what it was after each step, real, float64 (batch, time, n)."""

Sent: TypeAlias = dict[tuple[str, str], FloatArray]


@dataclass(frozen=True)
class _Link:
    """A group of synapses on its way to one layer.

    weight: the map with float64 weights, mantissas where the target is of integers; unit: real
    value of a message of 1, and low, high its range, where the target is of integers; scale:
    2**exponent.
    """

    source: str
    port: str
    ports: tuple[str, ...]
    map: LinearMap
    delay: int
    unit: float = 0.0
    low: int = 0
    high: int = 0
    scale: float = 1.0

    def deliver(self, message: FloatArray, into: dict[str, FloatArray]) -> None:
        """Add what a message brings to the ports. message: real values (batch, n_source)."""
        if self.unit:
            # Of a source of integers this gives back its integers.
            message = np.clip(np.rint(message / self.unit), self.low, self.high)
        found = self.map.apply(message)
        if self.unit:
            # Sums are integers below 2**31, which float64 holds; a shift rounds them down.
            found = np.floor(found * self.scale)
        n = found.shape[1] // len(self.ports)
        for k, port in enumerate(self.ports):
            into[port] += found[:, k * n : (k + 1) * n]


def matched(graph: DiscreteGraph, net: FixedPointNetwork) -> None:
    """DataError where inputs, layers or synapses of the network are not those of the graph."""
    hint = "give the graph that the network was made of, with the same --reset"
    for what, ours, theirs in (
        (
            "inputs",
            [(i.name, i.shape) for i in graph.inputs],
            [(i.name, i.shape) for i in net.inputs],
        ),
        (
            "layers",
            [(p.name, p.model.name, p.shape) for p in graph.populations],
            [(layer.name, layer.model.name, layer.shape) for layer in net.layers],
        ),
        (
            "synapses",
            [(p.name, p.map.weight.shape, p.delay) for p in graph.projections],
            [(s.name, s.map.weight.shape, s.delay) for s in net.synapses],
        ),
    ):
        if sorted(map(str, ours)) != sorted(map(str, theirs)):
            odd = sorted(set(map(str, ours)) ^ set(map(str, theirs)))
            raise DataError(f"graph and network differ in {what}, first {odd[0]}; {hint}")


def execute_mixed(
    graph: DiscreteGraph,
    net: FixedPointNetwork,
    x: Data,
    integers: Collection[str],
    keep: Collection[str],
) -> Records:
    """Run the folded graph with the layers in ``integers`` as the network has them.

    x: real data (batch, time, *input shape), or one such array for each input, by name; an input
    named in ``integers`` is rounded for everyone; keep: layers to record.
    Raises DataError for data that do not fit the network.
    """
    data = {}
    for node, values in by_input(net.inputs, x):
        real = np.asarray(values, dtype=np.float64)
        if node.name in integers:
            real = np.clip(np.rint(real / node.unit), node.low, node.high) * node.unit
        data[node.name] = real.reshape(*real.shape[:2], node.n)
    batch, time = next(iter(data.values())).shape[:2]
    inside = {p.name for p in graph.populations}
    order = evaluation_order(
        [p.name for p in graph.populations],
        [
            (p.source, p.target)
            for p in graph.projections
            if p.source in inside and p.delay + graph.starts[p.target] == graph.starts[p.source]
        ],
    )
    neurons: dict[str, _Neurons] = {}
    for name in order:
        neurons[name] = (
            _Integers(net, name, batch) if name in integers else _Floats(graph, name, batch)
        )
    links = {
        name: _integer_links(net, name) if name in integers else _float_links(graph, name)
        for name in order
    }
    starts = graph.starts
    depth = 1 + max(
        (p.delay + starts[p.target] - starts[p.source] for p in graph.projections), default=0
    )
    history: list[Sent] = []
    records: Records = {name: {} for name in order if name in keep}
    for step in range(time + max(starts.values())):
        inputs = data.items() if step < time else ()
        sent: Sent = {(name, INPUT_PORT): values[:, step] for name, values in inputs}
        history.insert(0, sent)
        del history[depth:]
        for name in order:
            layer, t = neurons[name], step - starts[name]
            if not 0 <= t < time:
                continue
            ports = {port: np.zeros((batch, layer.n)) for port in layer.model.inputs}
            for link in links[name]:
                wait = link.delay + starts[name] - starts[link.source]
                if wait <= step and (link.source, link.port) in history[wait]:
                    link.deliver(history[wait][link.source, link.port], ports)
            found = layer.step(ports)
            sent.update({(name, port.name): found[port.name] for port in layer.model.outputs})
            if name in records:
                for key, values in found.items():
                    kept = records[name].setdefault(key, np.zeros((batch, time, layer.n)))
                    kept[:, t] = values
    return records


class _Neurons(ABC):
    """The neurons of one layer with their states; ``step`` gives states and outputs, real."""

    model: NeuronModel
    n: int

    @abstractmethod
    def step(self, ports: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """One step on the sums that arrived, (batch, n)."""


class _Floats(_Neurons):
    def __init__(self, graph: DiscreteGraph, name: str, batch: int) -> None:
        population = graph.population(name)
        self.model, self.n, self.params = population.model, population.n, population.params
        self.states = {
            s.name: np.zeros((batch, self.n)) + population.start.get(s.name, 0.0)
            for s in self.model.states
        }

    def step(self, ports: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        self.states, out = self.model.float_step(self.states, ports, self.params)
        return self.states | {port.name: out[port.name] for port in self.model.outputs}


class _Integers(_Neurons):
    def __init__(self, net: FixedPointNetwork, name: str, batch: int) -> None:
        layer = net.layer(name)
        self.model, self.n, self.units = layer.model, layer.n, layer.units
        self.states = [
            np.zeros((batch, self.n), dtype=np.int64) + layer.start.get(s.name, 0)
            for s in self.model.states
        ]
        self.constants = [layer.params[p.name].astype(np.int64) for p in self.model.params]
        self.constants += [table.astype(np.int64) for table in self.model.tables.values()]

    def step(self, ports: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        sums = [ports[port].astype(np.int64) for port in self.model.inputs]
        *found, _, _ = self.model.step(*self.states, *sums, *self.constants)
        self.states = [np.asarray(state) for state in found[: len(self.model.states)]]
        names = [*(s.name for s in self.model.states), *(o.name for o in self.model.outputs)]
        return {
            name: values * np.asarray(self.units.get(name, 1.0), dtype=np.float64)
            for name, values in zip(names, found, strict=True)
        }


def _float_links(graph: DiscreteGraph, name: str) -> list[_Link]:
    return [
        _Link(p.source, p.source_port, p.target_ports, p.map, p.delay) for p in graph.into(name)
    ]


def _integer_links(net: FixedPointNetwork, name: str) -> list[_Link]:
    inputs = {node.name: node for node in net.inputs}
    links = []
    for s in net.into(name):
        node = inputs.get(s.source)
        if node is not None:
            unit, low, high = node.unit, node.low, node.high
        else:
            unit = message_unit(net.layer(s.source), s.source_port)
            high = net.message_range(s.source, s.source_port)
            low = -high
        links.append(
            _Link(
                s.source, s.source_port, s.target_ports,
                with_weight(s.map, s.mantissa.astype(np.float64)), s.delay,
                unit, low, high, 2.0**s.exponent,
            )
        )  # fmt: skip
    return links


def message_unit(layer: Layer, port: str) -> float:
    """Real value of a message of 1."""
    unit: Any = layer.units.get(port, 1.0)
    return float(unit)
