"""quantize: float parameters to the integers of a target, scaled by calibration data.

What each neuron needs its integers to be is the neuron's own business (``NeuronModel.quantize``);
this pass measures the ranges on the float network, gives messages their formats, and checks the
result against every register.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from snn2hw.arithmetic import STATE_BITS
from snn2hw.errors import DataError, Snn2hwError, TargetError
from snn2hw.executor import check_data, execute
from snn2hw.graph import (
    Data,
    DiscreteGraph,
    FixedPointNetwork,
    InputFormat,
    InputNode,
    Layer,
    Population,
    Projection,
    Synapse,
    by_input,
)
from snn2hw.linear import largest_sums, with_weight
from snn2hw.neurons.base import Incoming, MessageFormat, Ranges
from snn2hw.topology import back_edges, evaluation_order

TARGETS: Mapping[str, tuple[str, ...]] = {
    "loihi1": ("lif",),
    "loihi2": ("lif", "lif_reset", "alif", "integrator", "threshold", "gpn", "readout", "relay"),
}
"""Target -> neuron models that it runs. Loihi 1 has CUBA-LIF neurons and plain spikes alone (Davies
et al. 2018); Loihi 2 runs neuron programs and sends graded spikes."""

GRADED_INPUT_BITS = 8
ACCUMULATOR_MAX = (1 << 31) - 1


def quantize(graph: DiscreteGraph, calibration: Data, target: str = "loihi2") -> FixedPointNetwork:
    """Integers for a folded graph.

    calibration: (samples, time, *input shape), typical data, or one such array for each input, by
    name; spikes or counts as integers from 0, anything else is real-valued and becomes signed
    messages of 8 bits.

    Raises TargetError for an unknown target or numbers that its registers cannot hold, DataError
    for calibration data that do not fit the network.
    """
    if target not in TARGETS:
        raise TargetError(f"target {target!r} is unknown; known: {', '.join(TARGETS)}")
    for population in graph.populations:
        if population.model.name not in TARGETS[target]:
            raise TargetError(
                f"layer {population.name!r}: {target} has no neuron {population.model.name!r}; "
                "'snn2hw check' says what to do"
            )
        if population.port_maps:
            raise TargetError(f"layer {population.name!r} has port maps; run the pass fold first")
    data = dict(by_input(graph.inputs, calibration))
    ranges = execute(graph, calibration).ranges
    inputs = tuple(input_format(node, check_data(node.shape, x)) for node, x in data.items())
    for node in inputs:
        if target == "loihi1" and node.bits > 1:
            raise TargetError(
                f"input {node.name!r} has messages of {node.bits} bits and {target} takes plain "
                "spikes; encode the data as spikes"
            )
    formats = _Formats(graph, inputs, ranges)
    layers, synapses = [], []
    notes = [
        f"input {node.name}: {'signed' if node.signed else 'unsigned'} messages of {node.bits} "
        f"bits, steps of {node.unit:.6g}"
        for node in inputs
    ]
    for population in graph.populations:
        layer, groups, said = _layer(graph, population, formats, ranges[population.name])
        layers.append(layer)
        synapses += groups
        notes += [f"{population.name}: {note}" for note in said]
    net = FixedPointNetwork(
        target=target,
        dt_s=graph.dt_s,
        method=graph.method,
        inputs=inputs,
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=graph.outputs,
        source_hash=graph.source_hash,
        versions={name: version(name) for name in ("snn2hw", "nir", "numpy")}
        | {"python": platform.python_version()},
        notes=(*graph.notes, *(f"quantize: {note}" for note in notes)),
    )
    check_registers(net)
    return net


def input_format(node: InputNode, data: npt.NDArray[np.float64]) -> InputFormat:
    """The messages that calibration data become: spikes, counts, or real values of 8 bits."""
    largest = float(np.abs(data).max())
    if np.all(data >= 0) and np.all(data == np.rint(data)):
        bits = max(1, int(largest).bit_length())
        if bits > GRADED_INPUT_BITS:
            raise DataError(
                f"spike counts reach {int(largest)} and messages of {GRADED_INPUT_BITS} bits hold "
                f"{(1 << GRADED_INPUT_BITS) - 1}; use shorter time steps"
            )
        return InputFormat(node.name, node.shape, bits, signed=False, unit=1.0)
    limit = (1 << (GRADED_INPUT_BITS - 1)) - 1
    return InputFormat(node.name, node.shape, GRADED_INPUT_BITS, signed=True, unit=largest / limit)


class _Formats:
    """Number formats of the graded messages of every population, sources before listeners."""

    def __init__(
        self,
        graph: DiscreteGraph,
        inputs: tuple[InputFormat, ...],
        ranges: Mapping[str, Ranges],
    ) -> None:
        self.graph = graph
        self.inputs = {node.name: node for node in inputs}
        self.of: dict[str, dict[str, MessageFormat]] = {}
        graded = {p.name: p for p in graph.populations if not p.model.heard_output.is_spike}
        edges = [(p.source, p.target) for p in graph.projections if p.source in graded]
        roots = [p.name for p in graph.populations]
        closing = back_edges(sorted(roots), sorted(edges))
        for name in evaluation_order(roots, [edge for edge in edges if edge not in closing]):
            population = graph.population(name)
            # A format within a loop of graded messages is set by ranges alone.
            known = [p for p in graph.into(name) if self._known(p)]
            self.of[name] = population.model.message_formats(
                population.params, [self.incoming(p) for p in known], ranges[name]
            )

    def _known(self, p: Projection) -> bool:
        if p.source in self.inputs or p.source in self.of:
            return True
        return self.graph.population(p.source).model.output(p.source_port).is_spike

    def incoming(self, p: Projection) -> Incoming:
        """A projection with the format of what it carries."""
        source = self.inputs.get(p.source)
        if source is not None:
            unit, largest = source.unit, source.high
        elif p.source_port in self.of.get(p.source, {}):
            unit = self.of[p.source][p.source_port].unit
            bits = self.graph.population(p.source).model.output(p.source_port).bits
            largest = (1 << (bits - 1)) - 1
        else:
            unit, largest = 1.0, 1
        return Incoming(p.name, p.target_ports, p.map.weight, unit, largest)


def _layer(
    graph: DiscreteGraph, population: Population, formats: _Formats, ranges: Ranges
) -> tuple[Layer, list[Synapse], tuple[str, ...]]:
    arriving = graph.into(population.name)
    incoming = [formats.incoming(p) for p in arriving]
    try:
        made = population.model.quantize(
            population.params, incoming, ranges, formats.of[population.name]
        )
    except Snn2hwError as error:
        raise type(error)(f"layer {population.name!r}: {error}") from None
    top = (1 << (STATE_BITS - 1)) - 1
    layer = Layer(
        population.name,
        population.model,
        population.shape,
        made.params,
        made.units,
        start={
            state: np.clip(np.rint(values / made.units[state]), -top, top).astype(np.int32)
            for state, values in population.start.items()
        },
    )
    groups = [
        Synapse(
            name=p.name,
            source=p.source,
            source_port=p.source_port,
            target=p.target,
            target_ports=p.target_ports,
            map=with_weight(p.map, made.weights[p.name].mantissa),
            exponent=made.weights[p.name].exponent,
            delay=p.delay,
        )
        for p in arriving
    ]
    return layer, groups, made.notes


def check_registers(net: FixedPointNetwork) -> None:
    """TargetError where a parameter is outside its register or a sum could pass 32 bits."""
    for layer in net.layers:
        for param in layer.model.params:
            values = layer.params[param.name]
            if values.min() < param.low or values.max() > param.high:
                raise TargetError(
                    f"layer {layer.name!r}: {param.name} spans {values.min()}..{values.max()} and "
                    f"the register holds {param.low}..{param.high}"
                )
        worst: dict[str, float] = {}
        for synapse in net.into(layer.name):
            largest = net.message_range(synapse.source, synapse.source_port)
            sums = largest_sums(synapse.map, largest) * 2.0 ** max(synapse.exponent, 0)
            for k, port in enumerate(synapse.target_ports):
                part = sums[k * layer.n : (k + 1) * layer.n]
                worst[port] = worst.get(port, 0.0) + float(part.max(initial=0.0))
        for port, value in worst.items():
            if value > ACCUMULATOR_MAX:
                raise TargetError(
                    f"layer {layer.name!r}: the sum at port {port} could reach {value:.3g}, beyond "
                    "32 bits; use narrower messages or fewer inputs"
                )
