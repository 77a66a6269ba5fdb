"""fold: what is linear before a neuron becomes one map that arrives there.

Chains of maps are composed where that is exact (``compose``); between two that are not one map a
relay is put, which passes sums on as graded messages. A neuron's input gain multiplies the rows of
its port. A port map inside a layer (GPN's gates see the layer's own input current) becomes further
rows of the arriving matrix, [W; M W], so that one event-driven synapse group serves current and
gates and no hop is spent between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snn2hw.errors import GraphError
from snn2hw.graph import DiscreteGraph, Population, Projection
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne
from snn2hw.neurons import MODELS
from snn2hw.passes.compose import DENSE_MAX, add, compose


def fold(graph: DiscreteGraph) -> DiscreteGraph:
    """A graph without port maps and with input gains of one, in which every projection has one map;
    the same function of its inputs."""
    folding = _Folding(graph)
    for projection in graph.projections:
        folding.take(projection)
    folded = [
        f"{population.name}.{port_map.source}"
        for population in graph.populations
        for port_map in population.port_maps
    ]
    done = "fold: input gains multiplied into the arriving matrices"
    done += f", port maps of {', '.join(dict.fromkeys(folded))} too" if folded else ""
    if folding.relays:
        names = ", ".join(relay.name for relay in folding.relays)
        done += f"; relays between maps that do not make one: {names}"
    populations = tuple(_with_biases(population) for population in graph.populations)
    return graph.with_note(
        done,
        populations=tuple(_with_relays(populations, folding)),
        projections=tuple(folding.projections),
    )


def _with_relays(populations: tuple[Population, ...], folding: _Folding) -> Iterator[Population]:
    """All populations, relays in front of the first that hears them."""
    waiting = {relay.name: relay for relay in folding.relays}
    into: dict[str, list[str]] = {}
    for projection in folding.projections:
        into.setdefault(projection.target, []).append(projection.source)

    def before(name: str) -> Iterator[Population]:
        for source in into.get(name, []):
            relay = waiting.pop(source, None)
            if relay is not None:
                yield from before(source)
                yield relay

    for population in populations:
        yield from before(population.name)
        yield population


class _Folding:
    """One fold under way: the projections and relays made so far."""

    def __init__(self, graph: DiscreteGraph) -> None:
        self.populations = {population.name: population for population in graph.populations}
        self.taken = set(self.populations) | {node.name for node in graph.inputs}
        self.sizes = {name: graph.size(name) for name in self.taken}
        self.relays: list[Population] = []
        self.projections: list[Projection] = []
        self.relay_of: dict[tuple[object, ...], str] = {}

    def take(self, projection: Projection) -> None:
        """Fold one projection and add what it becomes."""
        population = self.populations[projection.target]
        maps = [*projection.maps] or [OneToOne(np.ones(self.sizes[projection.source]))]
        gain = _gain(population, projection.target_ports)
        if gain is not None:
            maps.append(OneToOne(gain))
        joint, rest = maps[0], maps[1:]
        passed: tuple[int, ...] = (id(projection.maps[0]) if projection.maps else 0,)
        for link in rest:
            composed = compose(link, joint)
            if composed is None:
                projection = self._relay(projection, joint, passed)
                composed = link
            joint, passed = composed, (*passed, id(link))
        if len(projection.target_ports) > 1 and not isinstance(joint, Dense):
            joint = _dense(joint, population, projection.source)
        projection, joint = _with_port_maps(projection, joint, population)
        self._add(replace(projection, maps=(joint,)))

    def _relay(
        self, projection: Projection, link: LinearMap, passed: tuple[int, ...]
    ) -> Projection:
        """The rest of a projection, from a relay that ``link`` arrives at; one for all that share
        source, delay and maps up to here."""
        key = (projection.source, projection.source_port, projection.delay, *passed)
        name = self.relay_of.get(key)
        if name is None:
            name = f"{projection.target}_relay"
            while name in self.taken:
                name += "_"
            self.taken.add(name)
            self.relay_of[key] = name
            shape = link.output_shape if isinstance(link, Convolution) else (link.n_out,)
            model = MODELS["relay"]
            self.relays.append(Population(name, model, shape, {"bias": np.zeros(link.n_out)}))
            self._add(
                replace(
                    projection,
                    name=f"{projection.source}->{name}"
                    + (f" ({projection.delay})" if projection.delay else ""),
                    target=name,
                    target_ports=model.inputs[:1],
                    maps=(link,),
                )
            )
        return replace(
            projection,
            name=f"{name}->{projection.target}",
            source=name,
            source_port=MODELS["relay"].main_output.name,
            delay=0,
        )

    def _add(self, projection: Projection) -> None:
        """Add a projection, or its weights to those of one with equal ends and geometry."""
        for k, other in enumerate(self.projections):
            if _ends(other) == _ends(projection):
                total = add(other.map, projection.map)
                if total is not None:
                    self.projections[k] = replace(other, maps=(total,))
                    return
        names = {other.name for other in self.projections}
        name, number = projection.name, 2
        while name in names:
            name, number = f"{projection.name} #{number}", number + 1
        self.projections.append(replace(projection, name=name))


def _ends(p: Projection) -> tuple[object, ...]:
    return (p.source, p.source_port, p.target, p.target_ports, p.delay)


def _gain(population: Population, ports: tuple[str, ...]) -> np.ndarray | None:
    """What multiplies the rows of these ports; None if nothing does."""
    parts = []
    for port in ports:
        name = population.model.gain_of.get(port)
        parts.append(np.ones(population.n) if name is None else population.params[name])
    gain = np.concatenate(parts)
    return None if np.all(gain == 1.0) else gain


def _with_port_maps(
    projection: Projection, link: LinearMap, population: Population
) -> tuple[Projection, LinearMap]:
    ports, n = projection.target_ports, population.n
    maps = [port_map for port_map in population.port_maps if port_map.source in ports]
    if not maps:
        return projection, link
    rows = n * (len(ports) + sum(len(port_map.targets) for port_map in maps))
    weight = _dense(link, population, projection.source, rows).weight
    for port_map in maps:
        k = projection.target_ports.index(port_map.source)
        ports += port_map.targets
        weight = np.vstack([weight, port_map.weight @ weight[k * n : (k + 1) * n]])
    return replace(projection, target_ports=ports), Dense(weight)


def _dense(link: LinearMap, population: Population, source: str, rows: int = 0) -> Dense:
    """A map as a matrix; rows: of the matrix that it will be part of."""
    rows = rows or link.n_out
    if rows * link.n_in > DENSE_MAX:
        raise GraphError(
            f"layer {population.name!r} needs a matrix of {rows} x {link.n_in} weights from "
            f"{source!r}; {DENSE_MAX} are the most: put fewer neurons or inputs there"
        )
    return Dense(link.dense())


def _with_biases(population: Population) -> Population:
    params = dict(population.params)
    n = population.n
    for port_map in population.port_maps:
        added = port_map.weight @ population.params[population.model.bias_of[port_map.source]]
        for k, port in enumerate(port_map.targets):
            name = population.model.bias_of[port]
            params[name] = params[name] + added[k * n : (k + 1) * n]
    for gain in population.model.gain_of.values():
        params[gain] = np.ones(n)
    return replace(population, params=params, port_maps=())
