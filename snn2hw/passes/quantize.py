"""quantize: float parameters to the integers of a target, scaled by calibration data.

What each neuron needs its integers to be is the neuron's own business (``NeuronModel.quantize``);
this pass measures the ranges on the float network, gives messages their formats, lets ``search``
choose what the configuration leaves open, and checks the result against every register.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from snn2hw.arithmetic import STATE_BITS
from snn2hw.errors import DataError, ParameterError, Snn2hwError, TargetError
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
from snn2hw.linear import with_weight
from snn2hw.neurons.base import WEIGHT_BITS, Incoming, IntegerLayer, MessageFormat
from snn2hw.passes.config import (
    INPUT_BITS,
    TARGETS,
    InputConfig,
    LayerConfig,
    QuantizeConfig,
    WeightConfig,
)
from snn2hw.passes.registers import check_registers
from snn2hw.passes.search import Integers, LayerSearch, Rounding, configure
from snn2hw.passes.search_evidence import Evidence, find_evidence
from snn2hw.passes.search_trim import trimmed
from snn2hw.topology import back_edges, evaluation_order

__all__ = [
    "TARGETS",
    "Quantized",
    "Quantizer",
    "check_graph",
    "quantize",
    "quantize_by",
]

HEADROOM_STEPS = 4
"""How often the headroom of a layer that clips calibration data is doubled."""


@dataclass(frozen=True)
class Quantized:
    """The integers, and the configuration with every choice that made them."""

    net: FixedPointNetwork
    config: QuantizeConfig


def quantize(
    graph: DiscreteGraph,
    calibration: Data,
    target: str | None = None,
    config: QuantizeConfig | None = None,
) -> FixedPointNetwork:
    """Integers for a folded graph; see ``quantize_by``, which gives the choices too."""
    return quantize_by(graph, calibration, target, config).net


def quantize_by(
    graph: DiscreteGraph,
    calibration: Data,
    target: str | None = None,
    config: QuantizeConfig | None = None,
) -> Quantized:
    """Integers for a folded graph, and every choice.

    calibration: (samples, time, *input shape), typical data, or one such array for each input, by
    name; spikes or counts as integers from 0, anything else is real-valued and becomes signed
    messages. target: the configuration's, or "loihi2"; config: what is to be obeyed.

    Raises TargetError for an unknown target or numbers that its registers cannot hold, DataError
    for calibration data that do not fit the network, ParameterError for a configuration of
    another network or target.
    """
    if config is None:
        if target is not None and target not in TARGETS:
            raise TargetError(f"target {target!r} is unknown; known: {', '.join(TARGETS)}")
        config = QuantizeConfig(target=target or "loihi2")
    if target is not None and target != config.target:
        raise ParameterError(
            f"the configuration is for {config.target} and the target is {target}; name one"
        )
    check_graph(graph, config)
    quantizer = Quantizer(graph, calibration, config)
    quantizer.search()
    net = quantizer.build()
    for _ in range(HEADROOM_STEPS):
        if not quantizer.more_headroom(net):
            break
        net = quantizer.build()
    return Quantized(net, quantizer.resolved())


def check_graph(graph: DiscreteGraph, config: QuantizeConfig) -> None:
    """TargetError for a graph that the target cannot run or that is not folded, ParameterError for
    a configuration of another one."""
    target = config.target
    for population in graph.populations:
        if population.model.name not in TARGETS[target]:
            raise TargetError(
                f"layer {population.name!r}: {target} has no neuron {population.model.name!r}; "
                "'snn2hw check' says what to do"
            )
        if population.port_maps:
            raise TargetError(f"layer {population.name!r} has port maps; run the pass fold first")
    config.check_names(
        [node.name for node in graph.inputs],
        [population.name for population in graph.populations],
        [projection.name for projection in graph.projections],
    )
    for projection in graph.projections:
        clip = config.synapse(projection.name).clip
        rows = len(projection.map.weight)
        if isinstance(clip, tuple) and len(clip) != rows:
            raise ParameterError(
                f"synapses {projection.name!r}: clip has {len(clip)} values and the weights have "
                f"{rows} rows; give one, or one for each row"
            )


def input_format(
    node: InputNode, data: npt.NDArray[np.float64], bits: int = INPUT_BITS
) -> InputFormat:
    """The messages that calibration data become: spikes, counts, or real values of that many bits.

    Raises DataError for counts that need more bits."""
    largest = float(np.abs(data).max())
    if np.all(data >= 0) and np.all(data == np.rint(data)):
        needed = max(1, int(largest).bit_length())
        if needed > bits:
            raise DataError(
                f"spike counts reach {int(largest)} and messages of {bits} bits hold "
                f"{(1 << bits) - 1}; use shorter time steps"
            )
        return InputFormat(node.name, node.shape, needed, signed=False, unit=1.0)
    limit = (1 << (bits - 1)) - 1
    return InputFormat(node.name, node.shape, bits, signed=True, unit=largest / limit)


class Quantizer:
    """The work of ``quantize_by``: what is known about the network, and the choices so far.

    ``search`` decides what the configuration leaves open, ``build`` makes the integers,
    ``more_headroom`` says whether they overflow, ``resolved`` gives the choices. ``graph`` may be
    replaced by one with other weights and biases between two builds, as training does.
    """

    def __init__(self, graph: DiscreteGraph, calibration: Data, config: QuantizeConfig) -> None:
        """Measure ranges; arguments and errors as for ``quantize_by``, ``check_graph`` passed."""
        self.graph, self.calibration, self.config = graph, calibration, config
        data = {
            node.name: check_data(node.shape, x) for node, x in by_input(graph.inputs, calibration)
        }
        self.ranges = execute(graph, calibration).ranges
        self.inputs = tuple(
            input_format(
                node, data[node.name], config.input(node.name).bits or config.widths.inputs
            )
            for node in graph.inputs
        )
        self.notes: list[str] = []
        for node in self.inputs:
            if config.target == "loihi1" and node.bits > 1:
                raise TargetError(
                    f"input {node.name!r} has messages of {node.bits} bits and loihi1 takes plain "
                    "spikes; encode the data as spikes"
                )
            self.notes.append(
                f"input {node.name}: {'signed' if node.signed else 'unsigned'} messages of "
                f"{node.bits} bits, steps of {node.unit:.6g}"
            )
            values = data[node.name]
            if values.min() == values.max():
                self.notes.append(
                    f"input {node.name}: calibration data are {values.min():g} throughout, so "
                    "ranges follow from that value, biases and thresholds alone"
                )
        self.layers = {p.name: self._first_layer(p) for p in graph.populations}
        self.groups = {p.name: self._first_group(p) for p in graph.projections}
        self.roundings: dict[str, Rounding] = {}
        self.formats: dict[str, dict[str, MessageFormat]] = {}
        self._order = self._sources_first()

    def _first_layer(self, population: Population) -> LayerConfig:
        said = self.config.layer(population.name)
        headroom = population.model.headroom if said.headroom is None else said.headroom
        ranges = self.ranges[population.name]
        ranges.headroom = headroom
        ranges.state_bits = self.config.widths.states
        ranges.message_bits = self.config.widths.messages
        outputs = [o.name for o in population.model.outputs]
        if not any(ranges.of(name) for name in outputs):
            self.notes.append(
                f"{population.name}: silent on calibration data; its ranges are those of what "
                "arrives, its biases and thresholds, and what follows it is placed by its weights"
            )
        return replace(
            said,
            headroom=headroom,
            bias_correction=bool(said.bias_correction),
            trim=said.trim or 0,
        )

    def _first_group(self, projection: Projection) -> WeightConfig:
        said = self.config.synapse(projection.name)
        shared = self.graph.population(projection.target).model.shares_unit
        return replace(
            said,
            scale=said.scale or ("layer" if shared else "neuron"),
            rounding=said.rounding or "nearest",
            clip=1.0 if said.clip is None else said.clip,
        )

    def search(self) -> None:
        """Decide what the configuration leaves open, layer by layer."""
        wanted = [p for p in self.graph.populations if self._searched(p)]
        needed = [p for p in self.graph.populations if p in wanted or self._needs_evidence(p)]
        if not needed:
            return
        evidence = find_evidence(self.graph, self.calibration)
        for population in needed:
            for p in self.graph.into(population.name):
                self.roundings[p.name] = Rounding(population, p, evidence.arriving(p))
                if self.groups[p.name].rounding == "compensated" and (
                    self.roundings[p.name].gram is None
                ):
                    raise ParameterError(
                        f"synapses {p.name!r}: rounding 'compensated' needs 2 to 2048 weights "
                        "that a neuron adds up, and no groups; use 'nearest'"
                    )
        self.formats = self._formats()
        names = {population.name for population in wanted}
        order = [name for name in self._order if name in names]
        for name in tqdm(order, desc="search", unit="layer", leave=False, disable=None):
            population = self.graph.population(name)
            self._search_layer(population, evidence)
            self.formats[name] = self._format(population)

    def _searched(self, population: Population) -> bool:
        arriving = self.graph.into(population.name)
        said = [self.config.synapse(p.name) for p in arriving]
        if self.config.search is False or not arriving:
            return False
        if self.config.search is None and all(group.bits == WEIGHT_BITS for group in said):
            return False
        layer = self.config.layer(population.name)
        trim_open = layer.trim is None and population.model.trim is not None
        bias_open = layer.bias_correction is None
        return trim_open or bias_open or any(g.clip is None or g.rounding is None for g in said)

    def _needs_evidence(self, population: Population) -> bool:
        arriving = self.graph.into(population.name)
        return bool(arriving) and (
            bool(self.layers[population.name].bias_correction)
            or any(self.groups[p.name].rounding == "compensated" for p in arriving)
        )

    def _search_layer(self, population: Population, evidence: Evidence) -> None:
        name = population.name
        arriving = self.graph.into(population.name)
        messages = [self.integers(p, evidence.arriving(p)) for p in arriving]

        def make(incoming: Sequence[Incoming]) -> IntegerLayer:
            known = [i for i, p in zip(incoming, arriving, strict=True) if self._known(p)]
            ranges = self.ranges[population.name]
            formats = population.model.message_formats(population.params, known, ranges)
            return self._integer_layer(population, incoming, formats)

        found = LayerSearch(
            population,
            [replace(self._bare(p), bits=self.groups[p.name].bits or 8) for p in arriving],
            messages,
            [self.roundings[p.name] for p in arriving],
            evidence,
            make,
        ).best(
            replace(self.config.layer(name), headroom=self.layers[name].headroom),
            [
                replace(self.config.synapse(p.name), scale=self.groups[p.name].scale)
                for p in arriving
            ],
        )
        self.layers[name] = found.layer
        self.groups |= {p.name: group for p, group in zip(arriving, found.groups, strict=True)}
        share = found.error / found.plain if found.plain else 1.0
        ways = " and ".join(sorted({str(group.rounding) for group in found.groups}))
        self.notes.append(
            f"{name}: search: rounding {ways}, biases "
            f"{'corrected' if found.layer.bias_correction else 'as they are'}, "
            f"{np.count_nonzero(found.layer.trim or 0)} neurons trimmed; squared error of what it "
            f"emits {share:.0%} of that of nearest rounding"
        )

    def integers(self, projection: Projection, sent: npt.NDArray[np.float64]) -> Integers:
        """Real messages as the integers that the chip carries."""
        bare = self._bare(projection)
        whole = np.rint(sent / bare.message_unit)
        return np.clip(whole, -bare.message_max, bare.message_max).astype(np.int64)

    def _sources_first(self) -> list[str]:
        graph = self.graph
        graded = {p.name for p in graph.populations if not p.model.heard_output.is_spike}
        edges = [(p.source, p.target) for p in graph.projections if p.source in graded]
        roots = [p.name for p in graph.populations]
        closing = back_edges(sorted(roots), sorted(edges))
        return evaluation_order(roots, [edge for edge in edges if edge not in closing])

    def _formats(self) -> dict[str, dict[str, MessageFormat]]:
        """Number formats of the graded messages of every population, sources before listeners."""
        # In a loop of them, too, a unit that is fixed is known beforehand.
        fixed = [p for p in self.graph.populations if p.model.fixed_unit]
        self.formats = {}
        self.formats = {p.name: self._format(p, alone=True) for p in fixed}
        for name in self._order:
            self.formats[name] = self._format(self.graph.population(name))
        return self.formats

    def _format(self, population: Population, *, alone: bool = False) -> dict[str, MessageFormat]:
        """alone: whatever arrives."""
        # Another format within a loop of graded messages is set by ranges alone.
        arriving = () if alone else self.graph.into(population.name)
        known = [p for p in arriving if self._known(p)]
        incoming = [self._incoming(p) for p in known]
        try:
            return population.model.message_formats(
                population.params, incoming, self.ranges[population.name]
            )
        except Snn2hwError as error:
            raise type(error)(f"layer {population.name!r}: {error}") from None

    def _known(self, p: Projection) -> bool:
        if p.source in self.formats or any(node.name == p.source for node in self.inputs):
            return True
        return self.graph.population(p.source).model.output(p.source_port).is_spike

    def _bare(self, p: Projection) -> Incoming:
        """A projection with the format of what it carries."""
        for node in self.inputs:
            if node.name == p.source:
                return Incoming(p.name, p.target_ports, p.map.weight, node.unit, node.high)
        unit, largest = 1.0, 1
        if p.source_port in self.formats.get(p.source, {}):
            unit = self.formats[p.source][p.source_port].unit
            bits = self.config.widths.messages
            largest = (1 << (bits - 1)) - 1
        return Incoming(p.name, p.target_ports, p.map.weight, unit, largest)

    def _incoming(self, p: Projection) -> Incoming:
        corrected = bool(self.layers[p.target].bias_correction)
        how = self.roundings.get(p.name)
        return configure(self._bare(p), self.groups[p.name], corrected, how)

    def _integer_layer(
        self,
        population: Population,
        incoming: Sequence[Incoming],
        formats: Mapping[str, MessageFormat],
    ) -> IntegerLayer:
        try:
            return population.model.quantize(
                population.params, incoming, self.ranges[population.name], formats
            )
        except Snn2hwError as error:
            raise type(error)(f"layer {population.name!r}: {error}") from None

    def layer(self, population: Population) -> IntegerLayer:
        """The integers of one layer, as the choices make them; messages have their formats."""
        incoming = [self._incoming(p) for p in self.graph.into(population.name)]
        made = self._integer_layer(population, incoming, self.formats[population.name])
        return trimmed(population, made, self.layers[population.name].trim)

    def build(self) -> FixedPointNetwork:
        """The integers that the choices make."""
        graph, config = self.graph, self.config
        self._formats()
        layers, synapses = [], []
        notes = list(self.notes)
        for population in graph.populations:
            arriving = graph.into(population.name)
            made = self.layer(population)
            layers.append(_layer(population, made))
            synapses += [_synapse(p, made) for p in arriving]
            notes += [f"{population.name}: {note}" for note in made.notes]
        net = FixedPointNetwork(
            target=config.target,
            dt_s=graph.dt_s,
            method=graph.method,
            inputs=self.inputs,
            layers=tuple(layers),
            synapses=tuple(synapses),
            outputs=graph.outputs,
            source_hash=graph.source_hash,
            versions={name: version(name) for name in ("snn2hw", "nir", "numpy")}
            | {"python": platform.python_version()},
            notes=(*graph.notes, *(f"quantize: {note}" for note in notes)),
        )
        check_registers(net)
        self._exponents = {s.name: s.exponent for s in net.synapses}
        return net

    def more_headroom(self, net: FixedPointNetwork) -> bool:
        """Whether a layer overflows on calibration data and was given more headroom.

        Raises TargetError where the configuration leaves it no more.
        """
        overflows = net.run(net.encode(self.calibration)).overflows
        given = False
        for name, found in overflows.items():
            if not found:
                continue
            said = self.config.layer(name).headroom
            if said is not None:
                raise TargetError(
                    f"layer {name!r}: with a headroom of {said:g} its registers overflow "
                    f"{found.wraps + found.clips} times on calibration data; give more, or none"
                )
            headroom = 2 * (self.layers[name].headroom or 1.0)
            self.layers[name] = replace(self.layers[name], headroom=headroom)
            self.ranges[name].headroom = headroom
            self.notes.append(f"{name}: headroom {headroom:g}, since it clipped calibration data")
            given = True
        return given

    def resolved(self) -> QuantizeConfig:
        """The configuration with every choice of the last ``build``."""
        return replace(
            self.config,
            inputs={
                node.name: InputConfig(node.bits if node.signed else None) for node in self.inputs
            },
            layers=self.layers,
            synapses={
                name: replace(group, exponent=self._exponents[name])
                for name, group in self.groups.items()
            },
        )


def _layer(population: Population, made: IntegerLayer) -> Layer:
    top = (1 << (STATE_BITS - 1)) - 1
    return Layer(
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


def _synapse(projection: Projection, made: IntegerLayer) -> Synapse:
    weights = made.weights[projection.name]
    return Synapse(
        name=projection.name,
        source=projection.source,
        source_port=projection.source_port,
        target=projection.target,
        target_ports=projection.target_ports,
        map=with_weight(projection.map, weights.mantissa),
        exponent=weights.exponent,
        delay=projection.delay,
    )
