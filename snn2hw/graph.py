"""The two networks of snn2hw, both immutable: the discrete graph in floats and the integers.

A pass takes one and returns a new one with a note of what it changed; nothing is edited in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, GraphError
from snn2hw.linear import LinearMap
from snn2hw.neurons.base import FloatArray, IntArray, NeuronModel, PortMap
from snn2hw.topology import start_steps

if TYPE_CHECKING:
    from snn2hw.simulator.plan import Plan
    from snn2hw.simulator.run import Run

INPUT_PORT = ""
"""An input has one output port, without a name."""


class Node(Protocol):
    """What inputs and layers of either network have in common."""

    @property
    def name(self) -> str:
        """Unique within the network."""

    @property
    def n(self) -> int:
        """Number of channels or neurons."""


NodeType = TypeVar("NodeType", bound=Node)
InputType = TypeVar("InputType", bound=Node)

Data: TypeAlias = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""(batch, time, *input shape), or one such array for each input, by name."""


@dataclass(frozen=True)
class InputNode:
    """Where data enter: shape of one time step, without batch and time."""

    name: str
    shape: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of channels."""
        return prod(self.shape)


@dataclass(frozen=True)
class Population:
    """Neurons of one model.

    params: name -> float64 array of shape (n,); start: state -> what it is before the first step,
    float64 (n,), where that is not zero.
    """

    name: str
    model: NeuronModel
    shape: tuple[int, ...]
    params: Mapping[str, FloatArray]
    port_maps: tuple[PortMap, ...] = ()
    start: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True)
class Projection:
    """Linear maps, one after the other, from an output port of a node to ports of a population.

    maps: the source's first; the last gives len(target_ports) * n_target values, port by port.
    ``fold`` makes them one; an empty chain passes values on as they are.
    delay: logical time steps (0: within the step, as in PyTorch; a loop needs at least 1 in all;
    below 0: from steps ahead, which ``balance`` makes latency). Steps before the first and behind
    the last are silent.
    """

    name: str
    source: str
    source_port: str
    target: str
    target_ports: tuple[str, ...]
    maps: tuple[LinearMap, ...]
    delay: int = 0

    @property
    def map(self) -> LinearMap:
        """The only map of a folded projection."""
        if len(self.maps) != 1:
            raise GraphError(f"projection {self.name!r} has {len(self.maps)} maps; run fold first")
        return self.maps[0]


@dataclass(frozen=True)
class OutputNode:
    """What leaves the network: an output port of a population."""

    name: str
    source: str
    source_port: str


@dataclass(frozen=True)
class DiscreteGraph:
    """A network in discrete time with float parameters.

    dt_s: time step in seconds; method: "euler" or "exact", how decays came from time constants;
    notes: what each pass did.
    """

    dt_s: float
    method: str
    inputs: tuple[InputNode, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[OutputNode, ...]
    source_hash: str = ""
    notes: tuple[str, ...] = ()

    def population(self, name: str) -> Population:
        """The population of that name (KeyError if there is none)."""
        return _named(self.populations, name)

    def size(self, name: str) -> int:
        """Number of channels of an input or neurons of a population."""
        nodes: tuple[Node, ...] = (*self.inputs, *self.populations)
        return _named(nodes, name).n

    @cached_property
    def starts(self) -> dict[str, int]:
        """Input or population -> the step at which it handles logical step 0: 0, unless something
        looks ahead. Raises GraphError for a loop that looks ahead further than it is late."""
        return _starts(self.inputs, self.populations, self.projections)

    def into(self, name: str) -> tuple[Projection, ...]:
        """Projections that end at a population, in order."""
        return tuple(p for p in self.projections if p.target == name)

    def with_note(self, note: str, **changes: Any) -> DiscreteGraph:
        """A copy with changed fields and one more note."""
        return replace(self, notes=(*self.notes, note), **changes)


@dataclass(frozen=True)
class InputFormat:
    """Number format of the data: integers of ``bits`` bits (signed or not), worth ``unit`` each.

    Spikes and spike counts are unsigned with unit 1. Real-valued data are signed messages;
    ``FixedPointNetwork.encode`` rounds them.
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    signed: bool
    unit: float

    @property
    def n(self) -> int:
        """Number of channels."""
        return prod(self.shape)

    @property
    def low(self) -> int:
        """Smallest message."""
        return -self.high if self.signed else 0

    @property
    def high(self) -> int:
        """Largest message."""
        return (1 << (self.bits - self.signed)) - 1


@dataclass(frozen=True)
class Layer:
    """Neurons of one model as integers.

    params: name -> int32 (n,); units: real value of one integer step of a state or output, one for
    the layer, or for a state one for each neuron (n,);
    offset: the chip step at which this layer handles logical step 0 (set by ``balance``); start:
    state -> what it is before the first step, int32 (n,), where that is not zero.
    """

    name: str
    model: NeuronModel
    shape: tuple[int, ...]
    params: Mapping[str, IntArray]
    units: Mapping[str, float | FloatArray]
    offset: int = 0
    start: Mapping[str, IntArray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    def message_max(self, port: str) -> int:
        """Largest absolute message that leaves an output port."""
        output = self.model.output(port)
        if port in self.model.limits:
            return max(1, int(self.params[self.model.limits[port]].max()))
        return 1 if output.is_spike else (1 << (output.bits - 1)) - 1

    def message_bits(self, port: str) -> int:
        """Bits of a message that leaves an output port, sign included; 1: a spike."""
        is_spike = self.model.output(port).is_spike
        return 1 if is_spike else self.message_max(port).bit_length() + 1


@dataclass(frozen=True)
class Synapse:
    """One group of synapses: integer weight = mantissa << exponent (floor where negative).

    map: its weights are the mantissas, int8; it gives len(target_ports) * n_target values, port by
    port;
    delay: logical steps, below 0 from steps ahead; chip_delay: steps on the chip, at least 1 (set
    by ``balance``).
    """

    name: str
    source: str
    source_port: str
    target: str
    target_ports: tuple[str, ...]
    map: LinearMap
    exponent: int
    delay: int
    chip_delay: int = 0

    @property
    def mantissa(self) -> npt.NDArray[np.int8]:
        """Mantissas as the map keeps them: a convolution's are shared."""
        return self.map.weight

    @property
    def bits(self) -> int:
        """Bits that hold every mantissa in two's complement, 2 to 8: what was asked of the
        quantiser, or fewer where its mantissas need no more."""
        values = self.mantissa
        high, low = int(values.max(initial=0)), int(values.min(initial=0))
        return max(2, max(high.bit_length(), max(-low - 1, 0).bit_length()) + 1)


@dataclass(frozen=True)
class FixedPointNetwork:
    """The network as the chip holds it: integers, and what they mean.

    latency: chip steps between an input and its output; source_hash: SHA-256 of the float graph;
    versions: of the software that made it; decode: how a classifier reads the output ("mean" over
    time or the "last" step); notes: what was rounded.
    """

    target: str
    dt_s: float
    method: str
    inputs: tuple[InputFormat, ...]
    layers: tuple[Layer, ...]
    synapses: tuple[Synapse, ...]
    outputs: tuple[OutputNode, ...]
    latency: int = 0
    reset: str = "sample"
    rounding: str = "weights to nearest, states toward zero"
    decode: str = "mean"
    source_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def starts(self) -> dict[str, int]:
        """Input or layer -> the step at which it handles logical step 0, of a simulation in which
        synapses take no step; see ``DiscreteGraph.starts``."""
        return _starts(self.inputs, self.layers, self.synapses)

    @cached_property
    def plan(self) -> Plan:
        """The network as the simulator lays it out, made on first use."""
        from snn2hw.simulator.plan import make_plan

        return make_plan(self)

    def layer(self, name: str) -> Layer:
        """The layer of that name (KeyError if there is none)."""
        return _named(self.layers, name)

    def size(self, name: str) -> int:
        """Number of channels of an input or neurons of a layer."""
        nodes: tuple[Node, ...] = (*self.inputs, *self.layers)
        return _named(nodes, name).n

    def into(self, name: str) -> tuple[Synapse, ...]:
        """Synapse groups that end at a layer, in order."""
        return tuple(s for s in self.synapses if s.target == name)

    def message_range(self, source: str, port: str) -> int:
        """Largest absolute message that a source sends."""
        for node in self.inputs:
            if node.name == source:
                return node.high
        return self.layer(source).message_max(port)

    def sends_spikes(self, source: str, port: str) -> bool:
        """Whether every message of a source is 0 or 1; a graded one of 2 bits may be -1 too."""
        for node in self.inputs:
            if node.name == source:
                return node.high == 1 and not node.signed
        return self.layer(source).model.output(port).is_spike

    @property
    def input(self) -> InputFormat:
        """The only input."""
        if len(self.inputs) != 1:
            raise GraphError(f"the network has {len(self.inputs)} inputs, not one; name one")
        return self.inputs[0]

    @property
    def output_unit(self) -> float:
        """Real value of one integer step of the (first) output."""
        output = self.outputs[0]
        return float(self.layer(output.source).units.get(output.source_port, 1.0))

    def encode(self, x: Data) -> Any:
        """Data as the integer messages that the network takes.

        x: (batch, time, *input shape), or one such array for each input, by name. Real values
        become multiples of the input's unit, limited to its range (``limited`` counts those beyond
        it); spikes and counts pass unchanged. Returns int32 of the same shape, or a dict of them.
        Raises DataError for NaN or infinity, and, where the network takes spikes, for fractions
        and counts out of range.
        """
        from snn2hw.executor import check_data
        from snn2hw.simulator.messages import check_messages

        encoded = {}
        for node, values in by_input(self.inputs, x):
            if node.signed:
                scaled = np.rint(check_data(node.shape, values) / node.unit)
                encoded[node.name] = np.clip(scaled, node.low, node.high).astype(np.int32)
            else:
                check_messages(node, values)
                encoded[node.name] = np.asarray(values).astype(np.int32)
        return encoded if isinstance(x, Mapping) else encoded[self.input.name]

    def limited(self, x: Data) -> int:
        """How many real values lie beyond the range of calibration, so that ``encode`` limits."""
        return sum(
            int(np.count_nonzero(np.abs(np.asarray(values)) > (node.high + 0.5) * node.unit))
            for node, values in by_input(self.inputs, x)
            if node.signed
        )

    def run(
        self,
        x: Data,
        record: tuple[str, ...] = (),
        *,
        aligned: bool = True,
        threads: int | None = None,
        per_step: bool = False,
    ) -> Run:
        """Simulate; see ``snn2hw.simulator.simulate``."""
        from snn2hw.simulator import simulate

        return simulate(self, x, record, aligned=aligned, threads=threads, per_step=per_step)

    def save(self, path: str | Path) -> None:
        """Write the network to one self-contained HDF5 file; see ``snn2hw.storage``."""
        from snn2hw.storage import save

        save(self, path)


def by_input(inputs: Sequence[InputType], x: Data) -> Iterator[tuple[InputType, npt.ArrayLike]]:
    """Each input with its data. Raises DataError where they do not belong to each other."""
    names = [node.name for node in inputs]
    if not isinstance(x, Mapping):
        if len(inputs) != 1:
            raise DataError(
                f"the network has {len(inputs)} inputs; give an array for each: {', '.join(names)}"
            )
        x = {names[0]: x}
    if set(x) != set(names):
        raise DataError(
            f"data are named {', '.join(map(str, x))}, and the inputs {', '.join(names)}; "
            "give one array for each"
        )
    sizes = {np.shape(values)[:2] for values in x.values()}
    if len(sizes) != 1:
        raise DataError(
            f"the inputs' data differ in samples or steps: {sorted(sizes)}; make them equal"
        )
    for node in inputs:
        yield node, x[node.name]


def _starts(
    inputs: Sequence[Node], nodes: Sequence[Node], edges: Sequence[Projection | Synapse]
) -> dict[str, int]:
    fixed = [node.name for node in inputs]
    names = [*fixed, *(node.name for node in nodes)]
    try:
        return start_steps(names, [(e.source, e.target, e.delay) for e in edges], fixed)
    except ValueError as error:
        loop = error.args[0]
        raise GraphError(
            f"loop {' -> '.join([*loop, loop[0]])} looks ahead further than it is late; delay it"
        ) from None


def _named(nodes: Iterable[NodeType], name: str) -> NodeType:
    for node in nodes:
        if node.name == name:
            return node
    raise KeyError(f"no node named {name!r}")
