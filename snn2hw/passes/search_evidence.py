"""What calibration data show of each layer, and what its integers make of the same.

A layer is looked at by itself: it is fed with what the float network sends it (recurrent messages
included), once as floats and once as integers, so that its error is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.executor import check_data, execute
from snn2hw.graph import INPUT_PORT, Data, DiscreteGraph, Population, Projection, by_input
from snn2hw.linear import Convolution, with_weight
from snn2hw.neurons.base import FloatArray, IntegerLayer
from snn2hw.passes.search_rounding import COLUMNS_MAX, Gram, gram

VALUES_MAX = 1 << 21
"""Most messages that the search keeps; it takes as many samples, evenly spaced, as these allow."""

SPIKE_MEMORY = 0.8
"""What a spike counts for one step later: a late spike is a smaller error than none."""


@dataclass(frozen=True)
class Evidence:
    """messages: (source, port) -> what it sends, real values, float64 (batch, time, n)."""

    messages: Mapping[tuple[str, str], FloatArray]

    def arriving(self, projection: Projection) -> FloatArray:
        """What a projection carries, its delay included; (batch, time, n_in)."""
        sent = self.messages[projection.source, projection.source_port]
        late, steps = np.zeros_like(sent), sent.shape[1]
        first, last = max(projection.delay, 0), steps + min(projection.delay, 0)
        if first < last:
            late[:, first:last] = sent[:, first - projection.delay : last - projection.delay]
        return late


def find_evidence(graph: DiscreteGraph, calibration: Data) -> Evidence:
    """Run the float network on samples of the calibration data and keep every message."""
    data = {
        node.name: check_data(node.shape, values)
        for node, values in by_input(graph.inputs, calibration)
    }
    samples, steps = next(iter(data.values())).shape[:2]
    width = sum(node.n for node in graph.inputs) + sum(p.n for p in graph.populations)
    kept = max(1, min(samples, VALUES_MAX // (steps * width)))
    chosen = np.unique(np.linspace(0, samples - 1, kept).astype(int))
    data = {name: values[chosen] for name, values in data.items()}
    graded = {o.name for p in graph.populations for o in p.model.outputs if not o.is_spike}
    run = execute(graph, data, record=tuple(sorted(graded)))
    messages = {
        (name, INPUT_PORT): values.reshape(*values.shape[:2], -1) for name, values in data.items()
    }
    for population in graph.populations:
        for output in population.model.outputs:
            if output.is_spike:
                sent = run.spikes[population.name].astype(np.float64)
            else:
                sent = run.state[population.name][output.name]
            messages[population.name, output.name] = sent.reshape(*sent.shape[:2], -1)
    return Evidence(messages)


def gram_of(population: Population, projection: Projection, sent: FloatArray) -> Gram | None:
    """What the inputs of a projection add up to in the target's neurons.

    sent: (batch, time, n_in). Of a convolution: what its taps see together. None where weights
    stand alone (one to one), in groups (pools), or are too many.
    """
    link = projection.map
    if link.weight.ndim == 1 or link.weight[0].size > COLUMNS_MAX:
        return None
    flat = _traces(population, sent).reshape(-1, link.n_in)
    if isinstance(link, Convolution):
        if link.groups > 1:
            return None
        flat = _patches(link, flat)
    found = gram(flat - flat.mean(axis=0))
    if population.model.name == "readout" and not isinstance(link, Convolution):
        # Classifiers average a readout over time: what all steps have in common weighs most.
        common = sent.mean(axis=1)
        slow = gram(common - common.mean(axis=0))
        found = Gram(slow.matrix + found.matrix / sent.shape[1])
    return found


def _traces(population: Population, sent: FloatArray) -> FloatArray:
    """Inputs as the potential sees them: filtered by the decays, the mean of the layer's."""
    params = population.params
    if "decay_v" in params:
        kept = [1.0 - float(params[name].mean()) for name in ("decay_u", "decay_v")]
    elif "alpha" in params:
        kept = [float(params["alpha"].mean())]
    else:
        return sent
    for keep in kept:
        sent = filtered(sent, keep)
    return sent


def _patches(link: Convolution, values: FloatArray) -> FloatArray:
    """What the taps of a kernel see at every place, (observations, taps), of some of the values.

    values: (steps, n_in). The identity as a kernel moves the taps into channels.
    """
    taps = link.weight[0].size
    _, rows, columns = link.output_shape
    most = max(1, VALUES_MAX // (rows * columns * taps))
    chosen = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).astype(int))
    kernel = np.eye(taps).reshape(taps, *link.weight.shape[1:])
    seen = with_weight(link, kernel).apply(values[chosen])
    return np.asarray(seen.reshape(len(chosen), taps, -1).transpose(0, 2, 1).reshape(-1, taps))


def filtered(values: FloatArray, keep: float) -> FloatArray:
    """``y <- keep y + x`` along time, axis 1."""
    result = np.empty(values.shape)
    level = np.zeros((values.shape[0], values.shape[2]))
    for t in range(values.shape[1]):
        level = keep * level + values[:, t]
        result[:, t] = level
    return result


def emitted(
    population: Population,
    made: IntegerLayer,
    arriving: Sequence[tuple[Projection, npt.NDArray[np.int64]]],
) -> FloatArray:
    """The main output of a layer of integers, real values, (batch, time, n).

    arriving: each projection and the integer messages that it carries, (batch, time, n_in).
    """
    model, n = population.model, population.n
    batch, time = arriving[0][1].shape[:2]
    sums = {port: np.zeros((batch, time, n), dtype=np.int64) for port in model.inputs}
    for projection, messages in arriving:
        weights = made.weights[projection.name]
        link = with_weight(projection.map, weights.mantissa.astype(np.float64))
        total = link.apply(messages.reshape(batch * time, -1).astype(np.float64))
        total = np.floor(total * 2.0**weights.exponent).astype(np.int64).reshape(batch, time, -1)
        for k, port in enumerate(projection.target_ports):
            sums[port] += total[:, :, k * n : (k + 1) * n]
    states = [
        np.rint(
            np.zeros((batch, n)) + population.start.get(s.name, 0.0) / made.units.get(s.name, 1.0)
        ).astype(np.int64)
        for s in model.states
    ]
    params = [made.params[param.name].astype(np.int64) for param in model.params]
    tables = [table.astype(np.int64) for table in model.tables.values()]
    result = np.empty((batch, time, n))
    at = len(states) + [o.name for o in model.outputs].index(model.main_output.name)
    for t in range(time):
        ports = [sums[port][:, t] for port in model.inputs]
        found = model.step(*states, *ports, *params, *tables)
        states = list(found[: len(states)])
        result[:, t] = found[at]
    return result * float(np.mean(made.units.get(model.main_output.name, 1.0)))


def emission_error(population: Population, got: FloatArray, wanted: FloatArray) -> FloatArray:
    """Mean square error of what each neuron emits, (n,): spikes smoothed over some steps, graded
    messages as they are, a readout's mean over time above all."""
    difference = got - wanted
    if population.model.main_output.is_spike:
        difference = filtered(difference, SPIKE_MEMORY)
    error = np.square(difference).mean(axis=(0, 1))
    if population.model.name == "readout":
        error = np.square(difference.mean(axis=1)).mean(axis=0) + error / got.shape[1]
    return np.asarray(error)
