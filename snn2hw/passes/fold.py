"""fold: what is linear before a neuron goes into the matrix that arrives there.

A port map inside a layer (GPN's gates see the layer's own input current) becomes further rows of
the arriving matrix, [W; M W], so that one event-driven synapse group serves current and gates and
no hop is spent between them. A neuron's input gain multiplies the rows of its port.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snn2hw.graph import DiscreteGraph, Population, Projection


def fold(graph: DiscreteGraph) -> DiscreteGraph:
    """A graph without port maps and with input gains of one; the same function of its inputs."""
    populations, projections = [], list(graph.projections)
    folded = []
    for population in graph.populations:
        for port_map in population.port_maps:
            for k, projection in enumerate(projections):
                if projection.target == population.name:
                    projections[k] = _with_map(projection, population, port_map.source)
            folded.append(f"{population.name}.{port_map.source}")
        populations.append(_with_biases(population))
        for port, gain in population.model.gain_of.items():
            factor = population.params[gain]
            for k, projection in enumerate(projections):
                if projection.target == population.name:
                    projections[k] = _with_gain(projection, port, factor)
    done = "fold: input gains multiplied into the arriving matrices"
    done += f", port maps of {', '.join(folded)} too" if folded else ""
    return graph.with_note(done, populations=tuple(populations), projections=tuple(projections))


def _rows(projection: Projection, port: str) -> slice:
    n = projection.weight.shape[0] // len(projection.target_ports)
    k = projection.target_ports.index(port)
    return slice(k * n, (k + 1) * n)


def _with_map(projection: Projection, population: Population, source: str) -> Projection:
    if source not in projection.target_ports:
        return projection
    ports, weight = projection.target_ports, projection.weight
    arriving = weight[_rows(projection, source)]
    for port_map in population.port_maps:
        if port_map.source == source:
            ports += port_map.targets
            weight = np.vstack([weight, port_map.weight @ arriving])
    return replace(projection, target_ports=ports, weight=weight)


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


def _with_gain(projection: Projection, port: str, gain: np.ndarray) -> Projection:
    if port not in projection.target_ports:
        return projection
    weight = projection.weight.copy()
    weight[_rows(projection, port)] *= gain[:, None]
    return replace(projection, weight=weight)
