"""Float64 execution of a discrete graph: the meaning that the integers are held against.

Used to calibrate the quantiser and by ``snn2hw run --float``. Plain NumPy, all samples at once, one
step after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, GraphError
from snn2hw.graph import INPUT_PORT, Data, DiscreteGraph, Population, Projection, by_input
from snn2hw.neurons.base import FloatArray, Ranges
from snn2hw.topology import evaluation_order


@dataclass(frozen=True)
class FloatRun:
    """outputs: name -> float64 (batch, time, *shape); spikes: population -> uint8 (batch, time, n);
    state: population -> name -> float64 (batch, time, *shape), for the names asked for;
    ranges: population -> largest absolute value of each quantity (n,), over ports, states, outputs.
    """

    outputs: dict[str, FloatArray]
    spikes: dict[str, npt.NDArray[np.uint8]]
    state: dict[str, dict[str, FloatArray]]
    ranges: dict[str, Ranges]

    @property
    def output(self) -> FloatArray:
        """The first output."""
        return next(iter(self.outputs.values()))


def execute(graph: DiscreteGraph, x: Data, record: tuple[str, ...] = ()) -> FloatRun:
    """Run the graph, every sample from the states that the graph starts with.

    x: (batch, time, *input shape), or one such array for each input, by name; record: names of
    states and outputs to keep, of every population that has them.

    Raises DataError for the wrong shape or values that are not finite, or a name that nothing has,
    GraphError for a loop without delay.
    """
    data = {
        node.name: checked.reshape(*checked.shape[:2], node.n)
        for node, values in by_input(graph.inputs, x)
        for checked in [check_data(node.shape, values)]
    }
    batch, time = next(iter(data.values())).shape[:2]
    populations = {p.name: p for p in graph.populations}
    starts = graph.starts
    order = _order(graph, starts)
    known = {s.name for p in graph.populations for s in p.model.states}
    known |= {o.name for p in graph.populations for o in p.model.outputs}
    for name in record:
        if name not in known:
            there = ", ".join(sorted(known))
            raise DataError(f"no layer has a state {name!r} to record; there are {there}")
    states = {
        p.name: {s.name: np.zeros((batch, p.n)) + p.start.get(s.name, 0.0) for s in p.model.states}
        for p in graph.populations
    }
    waits = {p.name: p.delay + starts[p.target] - starts[p.source] for p in graph.projections}
    depth = 1 + max(waits.values(), default=0)
    history: list[dict[tuple[str, str], FloatArray]] = []
    into = {name: graph.into(name) for name in order}
    ranges = {
        name: Ranges({s: np.abs(values) for s, values in populations[name].start.items()})
        for name in order
    }
    outputs = {o.name: np.zeros((batch, time, populations[o.source].n)) for o in graph.outputs}
    spikes = {
        name: np.zeros((batch, time, populations[name].n), dtype=np.uint8)
        for name in order
        if populations[name].model.main_output.is_spike
    }
    kept: dict[str, dict[str, FloatArray]] = {name: {} for name in order}
    for step in range(time + max(starts.values())):
        sent = {(name, INPUT_PORT): values[:, step] for name, values in data.items() if step < time}
        history.insert(0, sent)
        del history[depth:]
        for name in order:
            t = step - starts[name]
            if not 0 <= t < time:
                continue
            population = populations[name]
            ports = {port: np.zeros((batch, population.n)) for port in population.model.inputs}
            for projection in into[name]:
                wait = waits[projection.name]
                if wait <= step:
                    past = history[wait].get((projection.source, projection.source_port))
                    if past is not None:
                        _deliver(projection, past, ports)
            _apply_port_maps(population, ports)
            states[name], out = population.model.float_step(states[name], ports, population.params)
            found = ports | states[name] | out
            for key, value in found.items():
                largest = np.abs(value).max(axis=0)
                ranges[name][key] = np.maximum(ranges[name].get(key, largest), largest)
            for key in record:
                if key in states[name] or key in out:
                    rows = kept[name].setdefault(key, np.zeros((batch, time, population.n)))
                    rows[:, t] = found[key]
            sent.update({(name, port.name): out[port.name] for port in population.model.outputs})
            if name in spikes:
                spikes[name][:, t] = out[population.model.main_output.name]
        for output in graph.outputs:
            t = step - starts[output.source]
            if 0 <= t < time:
                outputs[output.name][:, t] = sent[output.source, output.source_port]
    return FloatRun(
        outputs={
            o.name: outputs[o.name].reshape(batch, time, *populations[o.source].shape)
            for o in graph.outputs
        },
        spikes=spikes,
        state={
            name: {
                key: values.reshape(batch, time, *populations[name].shape)
                for key, values in quantities.items()
            }
            for name, quantities in kept.items()
            if quantities
        },
        ranges=ranges,
    )


def _order(graph: DiscreteGraph, starts: dict[str, int]) -> list[str]:
    names = [population.name for population in graph.populations]
    inside = [
        (p.source, p.target)
        for p in graph.projections
        if p.source in names and p.delay + starts[p.target] == starts[p.source]
    ]
    try:
        return evaluation_order(names, inside)
    except ValueError as error:
        loop = error.args[0]
        raise GraphError(f"loop {' -> '.join([*loop, loop[0]])} has no delay") from None


def _deliver(projection: Projection, message: FloatArray, ports: dict[str, FloatArray]) -> None:
    """Add what a message brings to the ports of the projection's target."""
    for link in projection.maps:
        message = link.apply(message)
    n = message.shape[1] // len(projection.target_ports)
    for k, port in enumerate(projection.target_ports):
        ports[port] += message[:, k * n : (k + 1) * n]


def _apply_port_maps(population: Population, ports: dict[str, FloatArray]) -> None:
    n = population.n
    for port_map in population.port_maps:
        bias = population.params[population.model.bias_of[port_map.source]]
        seen = (ports[port_map.source] + bias) @ port_map.weight.T
        for k, port in enumerate(port_map.targets):
            ports[port] = ports[port] + seen[:, k * n : (k + 1) * n]


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
