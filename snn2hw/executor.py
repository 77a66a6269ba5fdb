"""Float64 execution of a discrete graph: the meaning that the integers are held against.

Used to calibrate the quantiser. Plain NumPy, all samples at once, one step after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, GraphError
from snn2hw.graph import INPUT_PORT, DiscreteGraph
from snn2hw.neurons.base import FloatArray, Ranges
from snn2hw.topology import evaluation_order


@dataclass(frozen=True)
class FloatRun:
    """outputs: name -> float64 (batch, time, *shape); spikes: population -> uint8 (batch, time, n);
    ranges: population -> largest absolute value of each quantity, over ports, states, outputs."""

    outputs: dict[str, FloatArray]
    spikes: dict[str, npt.NDArray[np.uint8]]
    ranges: dict[str, Ranges]


def execute(graph: DiscreteGraph, x: npt.ArrayLike) -> FloatRun:
    """Run the graph on data of shape (batch, time, *input shape).

    Raises DataError for the wrong shape or values that are not finite, GraphError for a loop
    without delay.
    """
    data = check_data(graph.inputs[0].shape, x)
    batch, time = data.shape[:2]
    source = graph.inputs[0]
    data = data.reshape(batch, time, source.n)
    names = [population.name for population in graph.populations]
    inside = [(p.source, p.target) for p in graph.projections if p.delay == 0 and p.source in names]
    try:
        order = evaluation_order(names, inside)
    except ValueError as error:
        loop = error.args[0]
        raise GraphError(f"loop {' -> '.join([*loop, loop[0]])} has no delay") from None
    populations = {p.name: p for p in graph.populations}
    states = {
        p.name: {s.name: np.zeros((batch, p.n)) for s in p.model.states} for p in graph.populations
    }
    depth = 1 + max((p.delay for p in graph.projections), default=0)
    history: list[dict[tuple[str, str], FloatArray]] = []
    ranges = {name: Ranges() for name in names}
    outputs = {o.name: np.zeros((batch, time, populations[o.source].n)) for o in graph.outputs}
    spikes = {
        name: np.zeros((batch, time, populations[name].n), dtype=np.uint8)
        for name in names
        if populations[name].model.main_output.is_spike
    }
    for t in range(time):
        sent: dict[tuple[str, str], FloatArray] = {(source.name, INPUT_PORT): data[:, t]}
        history.insert(0, sent)
        del history[depth:]
        for name in order:
            population = populations[name]
            n = population.n
            ports = {port: np.zeros((batch, n)) for port in population.model.inputs}
            for projection in graph.into(name):
                if projection.delay > t:
                    continue
                message = history[projection.delay][projection.source, projection.source_port]
                arriving = message @ projection.weight.T
                for k, port in enumerate(projection.target_ports):
                    ports[port] += arriving[:, k * n : (k + 1) * n]
            for port_map in population.port_maps:
                bias = population.params[population.model.bias_of[port_map.source]]
                seen = (ports[port_map.source] + bias) @ port_map.weight.T
                for k, port in enumerate(port_map.targets):
                    ports[port] = ports[port] + seen[:, k * n : (k + 1) * n]
            states[name], out = population.model.float_step(states[name], ports, population.params)
            for key, value in (ports | states[name] | out).items():
                ranges[name][key] = max(ranges[name].of(key), float(np.abs(value).max(initial=0)))
            sent.update({(name, port.name): out[port.name] for port in population.model.outputs})
            if name in spikes:
                spikes[name][:, t] = out[population.model.main_output.name]
        for output in graph.outputs:
            outputs[output.name][:, t] = sent[output.source, output.source_port]
    shaped = {
        o.name: outputs[o.name].reshape(batch, time, *populations[o.source].shape)
        for o in graph.outputs
    }
    return FloatRun(shaped, spikes, ranges)


def check_data(shape: tuple[int, ...], x: npt.ArrayLike) -> FloatArray:
    """Data as float64 of shape (batch, time, *shape), or a DataError that says what is wrong."""
    data = np.asarray(x)
    if data.dtype.kind not in "biuf":
        raise DataError(f"data have dtype {data.dtype}; give numbers")
    if data.ndim != 2 + len(shape) or data.shape[2:] != shape:
        raise DataError(
            f"data have shape {data.shape}; the network takes (batch, time, "
            f"{', '.join(map(str, shape))})"
        )
    if data.shape[0] == 0 or data.shape[1] == 0:
        raise DataError(f"data have shape {data.shape}: no sample or no time step; give at least 1")
    data = data.astype(np.float64)
    if not np.all(np.isfinite(data)):
        raise DataError("data hold NaN or infinity; clean them first")
    return data
