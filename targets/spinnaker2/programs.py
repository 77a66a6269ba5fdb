"""A network as programs of processing elements: what each of them holds, and who hears whom.

An element gets, for each of its parts (neurons ``first`` to ``last - 1`` of a layer), the neurons'
states and parameters and the rows of weights that end there, one row for each source neuron. It
knows sources by their keys: an output port of a node has a block of keys, one a neuron, whose size
is a power of two, so that one entry of the router (key and mask) serves all of it. A packet goes to
every element that holds some layer that listens to its source.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    keys: dict[tuple[str, str], int]


class _Memory:
    """What elements hold of one kind, one element after the other; offsets within the element."""

    def __init__(self, dtype: Any) -> None:
        self.parts = [np.zeros(0, dtype=dtype)]
        self.size = self.begun = 0

    def begin(self) -> None:
        """The next element's memory begins."""
        self.begun = self.size

    def add(self, values: npt.NDArray[Any]) -> int:
        self.parts.append(values.astype(self.parts[0].dtype).ravel())
        self.size += values.size
        return self.size - values.size - self.begun

    def take(self, n: int) -> int:
        """Room for n values that need no first value."""
        self.size += n
        return self.size - n - self.begun

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
    keys = _keys(net)
    routes: list[int] = []
    spans = {}
    for source in keys:
        heard_by = {s.target for s in net.synapses if (s.source, s.source_port) == source}
        listeners = sorted({part.pe for part in parts if part.layer in heard_by})
        spans[source] = (len(routes), len(routes) + len(listeners))
        routes += listeners
    wire = 0
    input_ports = _Rows(7)
    for node in net.inputs:
        source = (node.name, INPUT_PORT)
        input_ports.append((wire, node.n, keys[source], wire, 0, *spans[source]))
        wire += node.n
    records, columns = _records(net, record)
    layers = {layer.name: (k, layer) for k, layer in enumerate(net.layers)}
    weights, params, state = _Memory(np.int8), _Memory(np.int32), _Memory(np.int32)
    acc, out, fired = _Memory(np.int32), _Memory(np.int32), _Memory(np.int8)
    memories = (weights, params, state, acc, out, fired)
    elements, queues, rows = _Rows(14), _Rows(4), _Rows(16)
    groups, ports, copies, blocks = _Rows(9), _Rows(7), _Rows(4), _Rows(2)
    shapes = _Rows(len(CONVOLUTION_COLUMNS))
    counts = packets = 0
    widest = 1
    held_by: dict[int, list[Part]] = {}
    for part in parts:
        held_by.setdefault(part.pe, []).append(part)
    for pe in range(pes):
        held = held_by.get(pe, [])
        for memory in memories:
            memory.begin()
        first_row, first_group = len(rows), len(groups)
        for part in held:
            number, layer = layers[part.layer]
            model, n = layer.model, part.last - part.first
            at_state, at_acc, at_param = state.size - state.begun, acc.size - acc.begun, len(blocks)
            at_group, at_port, at_copy = len(groups), len(ports), len(copies)
            for name in (s.name for s in model.states):
                values = layer.start.get(name, np.zeros(layer.n))[part.first : part.last]
                at = state.add(np.asarray(values))
                if (part.layer, name) in columns:
                    copies.append((0, at, n, columns[part.layer, name] + part.first))
            acc.take(n * len(model.inputs))
            at_out, at_fired = out.size - out.begun, fired.size - fired.begun
            for output in model.outputs:
                source = (part.layer, output.name)
                at = fired.take(padded(n)) if output.is_spike else out.take(n)
                if source in columns:
                    what = 2 if output.is_spike else 1
                    copies.append((what, at, n, columns[source] + part.first))
                if source in keys:
                    key = keys[source] + part.first
                    ports.append((at, n, key, wire, int(output.is_spike), *spans[source]))
                    wire += n
            for param in model.params:
                values = np.asarray(layer.params[param.name])[part.first : part.last]
                varies = bool(np.any(values != values[0]))
                values = values if varies else np.full(BLOCK, values[0])
                blocks.append((params.add(values), int(varies)))
            for synapse in net.into(part.layer):
                for row in _groups(synapse, layer, part, weights, shapes):
                    first, end, link, sums, at_weight, shape, port = row
                    key = keys[synapse.source, synapse.source_port]
                    to = at_acc + port * n
                    wait = synapse.chip_delay - 1
                    head = (key + first, key + end, link, sums, at_weight, shape)
                    groups.append((*head, wait, synapse.exponent, to))
                    widest = max(widest, sums)
            kind = kind_of(GPN_EXP_UNIT if model.name == "gpn" and gates == "exp_unit" else model)
            rows.append(
                (
                    *(kind, n, at_state, at_acc, len(model.inputs), at_out, at_fired, number),
                    *(at_param, layer.offset, at_group, len(groups), at_port, len(ports)),
                    *(at_copy, len(copies)),
                )
            )
        ends = [end for memory in memories for end in memory.span]
        elements.append((first_row, len(rows), *ends))
        heard = {(s.source, s.source_port) for part in held for s in net.into(part.layer)}
        depth = 2 + max((group[6] for group in groups[first_group:]), default=0)
        room = sum(net.size(name) for name, _ in heard)
        queues.append((counts, packets, depth, room))
        counts, packets = counts + depth, packets + depth * room

    return Machine(
        pes=pes,
        ticks=1 + max((layer.offset for layer in net.layers), default=0),
        elements=elements.table(),
        queues=queues.table(),
        parts=rows.table(),
        groups=groups.table(),
        ports=ports.table(),
        input_ports=input_ports.table(),
        routes=np.array(routes, dtype=np.int64),
        copies=copies.table(),
        weights=weights.joined(),
        shapes=shapes.table(),
        params=params.joined(),
        blocks=blocks.table(),
        start=state.joined(),
        sizes=np.array(
            [acc.size, out.size, fired.size, wire, counts, packets, widest], dtype=np.int64
        ),
        records=records,
        keys=keys,
    )


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
