"""A network as programs of processing elements: what each of them holds, and who hears whom.

An element gets, for each of its parts (neurons ``first`` to ``last - 1`` of a layer), the neurons'
states and parameters and the rows of weights that end there, one row for each source neuron. It
knows sources by their keys: an output port of a node has a block of keys, one a neuron, whose size
is a power of two, so that one entry of the router (key and mask) serves all of it. A packet goes to
every element that holds some layer that listens to its source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.errors import GraphError, TargetError
from snn2hw.graph import INPUT_PORT, FixedPointNetwork, Layer, Synapse
from snn2hw.linear import Convolution, Dense
from snn2hw.simulator.plan import BLOCK, padded
from snn2hw.targets.spinnaker2.gates import GPN_EXP_UNIT
from snn2hw.targets.spinnaker2.machine import kind_of
from snn2hw.targets.spinnaker2.placement import Part

Table = npt.NDArray[np.int64]

GATES = ("table", "exp_unit")
"""What computes the gates of GPN: the simulator's table of lines, or the exp unit in s16.15."""

KEYS = 1 << 31
"""Keys there are; the chip's have 32 bits."""

CONVOLUTION_COLUMNS = (
    *("channels", "rows", "columns", "out rows", "out columns", "groups", "outputs of a group"),
    *("kernel rows", "kernel columns", "stride y", "stride x", "above", "left"),
    *("dilation y", "dilation x", "first output held", "end of outputs held"),
    *("first output channel held", "output channels held"),
)
"""Columns of ``Machine.shapes``. Its weights lie by input channel of the group, kernel row, kernel
column and output channel held."""


@dataclass(frozen=True)
class Copy:
    """Where a quantity is recorded: columns ``first`` to ``first + n - 1`` of its record."""

    layer: str
    name: str
    is_spike: bool
    first: int
    n: int


@dataclass(frozen=True)
class Machine:
    """Tables for ``engine_pe.run_batch``. Offsets into memory are those of the element's own; a row
    is

    elements: first part, end of parts, then begin and end of the element's weights, parameters,
    states, sums, graded outputs and spikes;
    queues: of each element: offset of its counts, of its packets, places (ticks), packets a place;
    parts: kind of neuron, neurons, offset of states, of sums, input ports, offset of graded
    outputs, of spikes, layer, first row of blocks, offset of its time (ticks), first group, end of
    groups, first port, end of ports, first copy, end of copies;
    groups: first key heard, end of keys, kind of map (0 dense, 1 one to one, 2 convolution), sums,
    offset of weights, row of shapes, ticks that a packet waits after it has arrived, exponent,
    offset of the sums;
    ports (input_ports: of the host): offset of values, neurons, first key, offset on the wire,
    whether they spike, begin and end of their route;
    routes: elements; copies: from state (0), graded output (1) or spikes (2), offset, number,
    column of the record; blocks: of each parameter: offset, and whether neurons differ in it.

    sizes: of all elements' sums, graded outputs, spikes, of the wire, of the queues' counts and
    packets, and the most sums of a group; ticks: of a run of one step; records: what ``copies``
    fill, for each (layer, quantity).
    """

    pes: int
    ticks: int
    elements: Table
    queues: Table
    parts: Table
    groups: Table
    ports: Table
    input_ports: Table
    routes: Table
    copies: Table
    weights: npt.NDArray[np.int8]
    shapes: Table
    params: npt.NDArray[np.int32]
    blocks: Table
    start: npt.NDArray[np.int32]
    sizes: Table
    records: tuple[Copy, ...]


class _Memory:
    """What elements hold of one kind, one element after the other; offsets within the element."""

    def __init__(self, dtype: Any) -> None:
        self.parts = [np.zeros(0, dtype=dtype)]
        self.size = self.begun = 0

    def begin(self) -> None:
        """The next element's memory begins."""
        self.begun = self.size

    def add(self, values: npt.NDArray[Any]) -> int:
        """Put values behind what is there; where they begin."""
        self.parts.append(values.astype(self.parts[0].dtype).ravel())
        self.size += values.size
        return self.size - values.size - self.begun

    def take(self, n: int) -> int:
        """Room for n values that need no first value."""
        self.size += n
        return self.size - n - self.begun

    @property
    def here(self) -> int:
        """Where the next values will be."""
        return self.size - self.begun

    @property
    def span(self) -> tuple[int, int]:
        """Begin and end of the element's."""
        return self.begun, self.size

    def joined(self) -> npt.NDArray[Any]:
        return np.concatenate(self.parts)


class _Rows(list[tuple[int, ...]]):
    """Rows of a table of so many columns."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def table(self) -> Table:
        return np.array(self, dtype=np.int64).reshape(-1, self.columns)


def load(
    net: FixedPointNetwork,
    parts: Sequence[Part],
    pes: int,
    record: Sequence[str] = (),
    gates: str = "table",
) -> Machine:
    """Give every element its program.

    parts: in any order; that they cover the network is for the caller to see to (``check_parts``);
    record: names of states and graded outputs to keep of every layer that has them; spikes and the
    network's outputs are always kept.

    Raises GraphError for a network that is not balanced, TargetError where keys run out.
    """
    check_balanced(net)
    return _Loader(net, parts, record, gates).machine(parts, pes)


class _Loader:
    """Fills the tables of a machine, element by element."""

    def __init__(
        self, net: FixedPointNetwork, parts: Sequence[Part], record: Sequence[str], gates: str
    ) -> None:
        self.net, self.gates = net, gates
        self.layers = {layer.name: (k, layer) for k, layer in enumerate(net.layers)}
        self.records, self.columns = _records(net, record)
        self.keys = _keys(net)
        self.routes, self.spans = _routes(net, self.keys, parts)
        self.elements, self.queues, self.parts = _Rows(14), _Rows(4), _Rows(16)
        self.groups, self.ports, self.input_ports = _Rows(9), _Rows(7), _Rows(7)
        self.copies, self.blocks = _Rows(4), _Rows(2)
        self.shapes = _Rows(len(CONVOLUTION_COLUMNS))
        self.weights, self.params = _Memory(np.int8), _Memory(np.int32)
        self.state, self.acc = _Memory(np.int32), _Memory(np.int32)
        self.out, self.fired = _Memory(np.int32), _Memory(np.int8)
        self.wire = self.counts = self.packets = 0
        for node in net.inputs:
            source = (node.name, INPUT_PORT)
            row = (self.wire, node.n, self.keys[source], self.wire, 0, *self.spans[source])
            self.input_ports.append(row)
            self.wire += node.n

    def machine(self, parts: Sequence[Part], pes: int) -> Machine:
        """All elements."""
        held: dict[int, list[Part]] = {}
        for part in parts:
            held.setdefault(part.pe, []).append(part)
        for pe in range(pes):
            self._element(held.get(pe, []))
        of_work = (self.acc.size, self.out.size, self.fired.size)
        widest = max((group[3] for group in self.groups), default=1)
        sizes = (*of_work, self.wire, self.counts, self.packets, widest)
        return Machine(
            pes=pes,
            ticks=1 + max((layer.offset for layer in self.net.layers), default=0),
            elements=self.elements.table(),
            queues=self.queues.table(),
            parts=self.parts.table(),
            groups=self.groups.table(),
            ports=self.ports.table(),
            input_ports=self.input_ports.table(),
            routes=np.array(self.routes, dtype=np.int64),
            copies=self.copies.table(),
            weights=self.weights.joined(),
            shapes=self.shapes.table(),
            params=self.params.joined(),
            blocks=self.blocks.table(),
            start=self.state.joined(),
            sizes=np.array(sizes, dtype=np.int64),
            records=self.records,
        )

    def _element(self, held: Sequence[Part]) -> None:
        memories = (self.weights, self.params, self.state, self.acc, self.out, self.fired)
        for memory in memories:
            memory.begin()
        first_part, first_group = len(self.parts), len(self.groups)
        for part in held:
            self._part(part)
        ends = [end for memory in memories for end in memory.span]
        self.elements.append((first_part, len(self.parts), *ends))
        heard = {(s.source, s.source_port) for part in held for s in self.net.into(part.layer)}
        # One place more than packets wait: the one that fills while the others are read.
        depth = 2 + max((group[6] for group in self.groups[first_group:]), default=0)
        room = sum(self.net.size(name) for name, _ in heard)
        self.queues.append((self.counts, self.packets, depth, room))
        self.counts, self.packets = self.counts + depth, self.packets + depth * room

    def _part(self, part: Part) -> None:
        number, layer = self.layers[part.layer]
        model, n = layer.model, part.neurons
        at_state, at_acc = self.state.here, self.acc.take(n * len(model.inputs))
        at_out, at_fired = self.out.here, self.fired.here
        begins = (len(self.blocks), len(self.groups), len(self.ports), len(self.copies))
        for state in model.states:
            values = layer.start.get(state.name, np.zeros(layer.n, dtype=np.int32))
            at = self.state.add(values[part.first : part.last])
            self._keep(part, state.name, 0, at)
        for output in model.outputs:
            at = self.fired.take(padded(n)) if output.is_spike else self.out.take(n)
            self._keep(part, output.name, 2 if output.is_spike else 1, at)
            source = (part.layer, output.name)
            if source in self.keys:
                key = self.keys[source] + part.first
                spans = self.spans[source]
                self.ports.append((at, n, key, self.wire, int(output.is_spike), *spans))
                self.wire += n
        for param in model.params:
            values = layer.params[param.name][part.first : part.last]
            varies = bool(np.any(values != values[0]))
            held = values if varies else np.full(BLOCK, values[0])
            self.blocks.append((self.params.add(held), int(varies)))
        for synapse in self.net.into(part.layer):
            key = self.keys[synapse.source, synapse.source_port]
            for row in _groups(synapse, layer, part, self.weights, self.shapes):
                first, end, *what, port = row
                last = (synapse.chip_delay - 1, synapse.exponent, at_acc + port * n)
                self.groups.append((key + first, key + end, *what, *last))
        runs_as = GPN_EXP_UNIT if model.name == "gpn" and self.gates == "exp_unit" else model
        at_block, at_group, at_port, at_copy = begins
        self.parts.append(
            (
                *(kind_of(runs_as), n, at_state, at_acc, len(model.inputs), at_out, at_fired),
                *(number, at_block, layer.offset, at_group, len(self.groups)),
                *(at_port, len(self.ports), at_copy, len(self.copies)),
            )
        )

    def _keep(self, part: Part, name: str, what: int, at: int) -> None:
        """Record a quantity, if it is to be."""
        if (part.layer, name) in self.columns:
            column = self.columns[part.layer, name] + part.first
            self.copies.append((what, at, part.neurons, column))


def check_balanced(net: FixedPointNetwork) -> None:
    """Raise GraphError where packets, which take a tick a hop, could not arrive in time."""
    offsets = {node.name: 0 for node in net.inputs} | {x.name: x.offset for x in net.layers}
    for s in net.synapses:
        fits = offsets[s.target] + s.delay == offsets[s.source] + s.chip_delay
        if s.chip_delay < 1 or not fits:
            raise GraphError(
                f"synapses {s.name!r}: chip delay {s.chip_delay} does not fit the layers' offsets "
                "or is below 1; pass the network through snn2hw.passes.balance first"
            )


def check_parts(net: FixedPointNetwork, parts: Sequence[Part], pes: int) -> None:
    """Raise TargetError where parts do not hold every neuron of the network exactly once."""
    strange = {part.layer for part in parts} - {layer.name for layer in net.layers}
    if strange:
        raise TargetError(
            f"the placement has a layer {min(strange)!r} that the network lacks; "
            "place this network anew"
        )
    for part in parts:
        if not 0 <= part.pe < pes:
            raise TargetError(
                f"layer {part.layer!r}: a part is on PE {part.pe} of {pes}; place it anew"
            )
    for layer in net.layers:
        reached = 0
        for part in sorted((p for p in parts if p.layer == layer.name), key=lambda p: p.first):
            if part.first != reached or part.last <= part.first:
                raise TargetError(
                    f"layer {layer.name!r}: neuron {min(part.first, reached)} is not held exactly "
                    "once by the placement; place it anew"
                )
            reached = part.last
        if reached != layer.n:
            raise TargetError(
                f"layer {layer.name!r}: the placement ends at neuron {reached} of {layer.n}; "
                "place it anew"
            )


def _keys(net: FixedPointNetwork) -> dict[tuple[str, str], int]:
    """First key of each output port that is an input's, or that a synapse or the host hears."""
    heard = {(s.source, s.source_port) for s in net.synapses}
    heard |= {(output.source, output.source_port) for output in net.outputs}
    sources = [(node.name, INPUT_PORT, node.n) for node in net.inputs]
    sources += [
        (layer.name, output.name, layer.n)
        for layer in net.layers
        for output in layer.model.outputs
        if (layer.name, output.name) in heard
    ]
    keys = {}
    free = 0
    # The largest blocks first: each then begins at a multiple of its size.
    for name, port, n in sorted(sources, key=lambda source: -source[2]):
        keys[name, port] = free
        free += 1 << (n - 1).bit_length()
    if free > KEYS:
        raise TargetError(f"the network needs {free:,} keys and there are {KEYS:,}; split it")
    return keys


def _routes(
    net: FixedPointNetwork, keys: Mapping[tuple[str, str], int], parts: Sequence[Part]
) -> tuple[list[int], dict[tuple[str, str], tuple[int, int]]]:
    """Elements that hear a source, and of each source where they begin and end among all."""
    routes: list[int] = []
    spans = {}
    for source in keys:
        heard_by = {s.target for s in net.synapses if (s.source, s.source_port) == source}
        listeners = sorted({part.pe for part in parts if part.layer in heard_by})
        spans[source] = (len(routes), len(routes) + len(listeners))
        routes += listeners
    return routes, spans


def _records(
    net: FixedPointNetwork, record: Sequence[str]
) -> tuple[tuple[Copy, ...], dict[tuple[str, str], int]]:
    """What is kept, and the first column of each; spikes and integers are counted apart."""
    wanted = {(output.source, output.source_port) for output in net.outputs}
    records = []
    size = {True: 0, False: 0}
    for layer in net.layers:
        kinds = [(state.name, False) for state in layer.model.states]
        kinds += [(output.name, output.is_spike) for output in layer.model.outputs]
        for name, is_spike in kinds:
            if is_spike or name in record or (layer.name, name) in wanted:
                records.append(Copy(layer.name, name, is_spike, size[is_spike], layer.n))
                size[is_spike] += layer.n
    return tuple(records), {(copy.layer, copy.name): copy.first for copy in records}


def _groups(
    synapse: Synapse, layer: Layer, part: Part, weights: _Memory, shapes: list[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """The rows of weights of a synapse group that end at a part, put into the element's memory.

    Each: first and end of the source neurons, kind of map, sums, offset of weights, row of shapes,
    and the first port of the sums.
    """
    link, n = synapse.map, layer.n
    names = layer.model.inputs
    at_port = names.index(synapse.target_ports[0])
    if names[at_port : at_port + len(synapse.target_ports)] != synapse.target_ports:
        raise GraphError(
            f"synapses {synapse.name!r} end at ports {synapse.target_ports}, which are not "
            f"neighbours in {names}; split the group"
        )
    held = range(len(synapse.target_ports))
    if isinstance(link, Dense):
        matrix = link.weight.reshape(len(held), n, link.n_in)[:, part.first : part.last]
        by_source = matrix.reshape(-1, link.n_in).T
        return [(0, link.n_in, 0, by_source.shape[1], weights.add(by_source), 0, at_port)]
    found: list[tuple[int, ...]] = []
    for port in held:
        first, end = port * n + part.first, port * n + part.last
        if isinstance(link, Convolution):
            at = weights.add(_kernels(link, first, end))
            found.append((0, link.n_in, 2, end - first, at, len(shapes), at_port + port))
            shapes.append(_shape(link, first, end))
        else:
            at = weights.add(link.weight[first:end])
            found.append((first, end, 1, end - first, at, 0, at_port + port))
    return found


def _channels(link: Convolution, first: int, end: int) -> tuple[int, int]:
    """First output channel of some outputs, and how many channels they touch."""
    each = link.output_shape[1] * link.output_shape[2]
    return first // each, (end - 1) // each + 1 - first // each


def _kernels(link: Convolution, first: int, end: int) -> npt.NDArray[Any]:
    """Weights of the output channels held, output channels last."""
    channel, held = _channels(link, first, end)
    return link.weight[channel : channel + held].transpose(1, 2, 3, 0)


def _shape(link: Convolution, first: int, end: int) -> tuple[int, ...]:
    """A row of ``Machine.shapes``."""
    out_channels, out_rows, out_columns = link.output_shape
    return (
        *link.input_shape,
        *(out_rows, out_columns, link.groups, out_channels // link.groups),
        *(int(k) for k in link.weight.shape[2:]),
        *link.stride,
        *(link.padding[0][0], link.padding[1][0]),
        *link.dilation,
        *(first, end),
        *_channels(link, first, end),
    )
