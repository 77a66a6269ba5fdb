"""A network as the flat tables that the compiled engine walks over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from snn2hw.errors import GraphError
from snn2hw.graph import INPUT_PORT, FixedPointNetwork, Layer, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, largest_sums
from snn2hw.neurons import MODELS
from snn2hw.passes.compose import DENSE_MAX
from snn2hw.simulator.links import CONVOLUTION, LANES, Ints, channels_last, lay_out, places_of
from snn2hw.topology import evaluation_order

Table = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)

BYTE = 8
"""Bits in a byte."""

BYTES = 16
"""Bytes in a vector. Inputs and spikes are kept as bytes and padded to whole vectors."""


BLOCK = 256
"""Neurons that a layer's loop takes at a time."""


def padded(n: int) -> int:
    """Room for n bytes, in whole vectors."""
    return -(-n // BYTES) * BYTES


@dataclass(frozen=True)
class Copy:
    """A recorded quantity: where it lies in the state or output array, and what it is."""

    layer: str
    name: str
    from_out: bool
    first: int
    n: int
    to: int
    start: int


@dataclass(frozen=True)
class Plan:
    """Tables for ``engine.run_batch``; a row is

    inputs: first channel, channels with padding, source, mask of a value;
    layers (in evaluation order): kind, n, offset of states, of input sums, number of ports, first
    row of blocks, offset of graded outputs, of spikes, first synapse, end of synapses, first port,
    end of ports, step at which it handles logical step 0;
    synapses: source, rows with padding, offset of the sums, offset of weights, exponent, steps from
    the source's handling of its message to the target's (its delay, unless something looks ahead),
    offset in met_by, kind of message, kind of map, offset in tables, row of geometry;
    ports (spikes, and messages that somebody hears): offset of values or spikes, source, offset of
    packed spikes, whether it spikes;
    sources: offset in the event lists, neurons or channels;
    blocks: of each parameter: offset, and whether neurons differ in it (else ``BLOCK`` equal values
    stand for all: what is read again and again stays in the cache).

    tables, geometry: see ``links``; met_by: for each synapse and source the synapses that a message
    meets in its upper 32 bits, those with a weight in the lower; places: layer or input ->
    place of each neuron or channel, where it is not kept in the order of their numbers; channels:
    input -> feature maps, of those that are kept channels last.
    """

    order: tuple[Layer, ...]
    groups: tuple[Synapse, ...]
    inputs: Table
    layers: Table
    synapses: Table
    ports: Table
    sources: Table
    weights: npt.NDArray[np.int8]
    singles: npt.NDArray[np.float32]
    tables: npt.NDArray[np.int32]
    geometry: Table
    met_by: Table
    weights_nonzero: tuple[int, ...]
    params: npt.NDArray[np.int32]
    blocks: Table
    start: npt.NDArray[np.int32]
    sizes: Table
    bytes_of: dict[str, tuple[int, int]]
    out_at: dict[tuple[str, str], int]
    state_at: dict[tuple[str, str], int]
    port_at: dict[tuple[str, str], int]
    spike_bytes: int
    places: dict[str, Ints]
    channels: dict[str, int]


def make_plan(net: FixedPointNetwork) -> Plan:
    """Lay a network out. Raises GraphError for a loop without delay."""
    inside = {layer.name for layer in net.layers}
    starts = net.starts
    waits = {s.name: s.delay + starts[s.target] - starts[s.source] for s in net.synapses}
    instant = [
        (s.source, s.target) for s in net.synapses if waits[s.name] == 0 and s.source in inside
    ]
    try:
        names = evaluation_order([layer.name for layer in net.layers], instant)
    except ValueError as error:
        raise GraphError(f"loop {' -> '.join(error.args[0])} has no delay") from None
    order = tuple(net.layer(name) for name in names)
    kept = _orders(net)
    heard = {(s.source, s.source_port) for s in net.synapses}
    heard |= {(o.source, o.source_port) for o in net.outputs}
    source_of: dict[tuple[str, str], int] = {}
    sources: list[tuple[int, int]] = []
    filled = 0

    def add_source(name: str, port: str, n: int) -> int:
        nonlocal filled
        source_of[name, port] = len(sources)
        sources.append((filled, n))
        # compact writes one entry past the last.
        filled += n + 1
        return source_of[name, port]

    inputs, channel = [], 0
    for node in net.inputs:
        # A byte of an unsigned input is read as signed; the mask puts that right.
        mask = -1 if node.signed or node.bits > BYTE else (1 << BYTE) - 1
        source = add_source(node.name, INPUT_PORT, node.n)
        inputs.append((channel, padded(node.n), source, mask))
        channel += padded(node.n)
    ports: list[tuple[int, int, int, int]] = []
    params = _Pile(np.int32)
    blocks: list[tuple[int, int]] = []
    start: list[npt.NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
    heads: list[list[int]] = []
    bytes_of: dict[str, tuple[int, int]] = {}
    out_at: dict[tuple[str, str], int] = {}
    state_at: dict[tuple[str, str], int] = {}
    port_at: dict[tuple[str, str], int] = {}
    at_state = at_acc = at_out = at_fired = at_bit = 0
    kinds = list(MODELS)
    for layer in order:
        model, n = layer.model, layer.n
        first_port = len(ports)
        first_out, first_fired = at_out, at_fired
        for output in model.outputs:
            used = output.is_spike or (layer.name, output.name) in heard
            source = add_source(layer.name, output.name, n) if used else -1
            if used:
                port_at[layer.name, output.name] = len(ports)
            if output.is_spike:
                ports.append((at_fired, source, at_bit, 1))
                bytes_of[layer.name] = (at_bit, padded(n) // BYTE)
                at_bit += padded(n) // BYTE
                at_fired += padded(n)
            else:
                if used:
                    ports.append((at_out, source, 0, 0))
                out_at[layer.name, output.name] = at_out
                at_out += n
        for k, state in enumerate(model.states):
            state_at[layer.name, state.name] = at_state + k * n
            values = np.asarray(layer.start.get(state.name, np.zeros(n)), dtype=np.int32)
            start.append(values[kept[layer.name]] if layer.name in kept else values)
        first_param = len(blocks)
        for param in model.params:
            values = np.asarray(layer.params[param.name], dtype=np.int32)
            varies = bool(np.any(values != values[0]))
            if not varies:
                values = np.full(BLOCK, values[0], dtype=np.int32)
            elif layer.name in kept:
                values = values[kept[layer.name]]
            blocks.append((params.add(values), int(varies)))
        kind = kinds.index(model.name)
        head = [kind, n, at_state, at_acc, len(model.inputs), first_param, first_out, first_fired]
        heads.append([*head, 0, 0, first_port, len(ports), starts[layer.name]])
        at_state += len(model.states) * n
        at_acc += len(model.inputs) * n
    rows: list[tuple[int, ...]] = []
    groups: list[Synapse] = []
    weights, singles = _Pile(np.int8), _Pile(np.float32)
    tables, met_by = _Pile(np.int32), _Pile(np.int64)
    geometry: list[tuple[int, ...]] = []
    for head, layer in zip(heads, order, strict=True):
        head[8] = len(rows)
        for synapse in net.into(layer.name):
            first = layer.model.inputs.index(synapse.target_ports[0])
            expected = layer.model.inputs[first : first + len(synapse.target_ports)]
            if expected != synapse.target_ports:
                raise GraphError(
                    f"synapses {synapse.name!r} end at ports {synapse.target_ports}, which are not "
                    f"neighbours in {layer.model.inputs}; split the group"
                )
            before = kept.get(synapse.source)
            joint = _kept_map(synapse, kept.get(layer.name))
            link = lay_out(joint, len(synapse.target_ports), before, kept.get(layer.name))
            kind = message_kind(net, synapse)
            single = kind == SINGLE and isinstance(joint, Dense)
            met = joint.fan_out_nonzero() | joint.fan_out() << 32
            if link.kind == CONVOLUTION:
                geometry.append(link.geometry)
            rows.append(
                (
                    source_of[synapse.source, synapse.source_port],
                    link.rows,
                    head[3] + first * layer.n,
                    (singles if single else weights).add(link.weights),
                    synapse.exponent,
                    waits[synapse.name],
                    met_by.add(met if before is None else met[before]),
                    kind,
                    link.kind,
                    tables.add(link.table),
                    len(geometry) - 1,
                )
            )
            groups.append(synapse)
        head[9] = len(rows)
    depth = 1 + max(waits.values(), default=0)
    last = max(starts.values())
    widest = max((row[1] for row in rows), default=1) + LANES
    return Plan(
        order=order,
        groups=tuple(groups),
        inputs=np.array(inputs, dtype=np.int64).reshape(-1, 4),
        layers=np.array(heads, dtype=np.int64).reshape(-1, 13),
        synapses=np.array(rows, dtype=np.int64).reshape(-1, 11),
        ports=np.array(ports, dtype=np.int64).reshape(-1, 4),
        sources=np.array(sources, dtype=np.int64).reshape(-1, 2),
        weights=weights.joined(),
        singles=singles.joined(),
        tables=tables.joined(),
        geometry=np.array(geometry or [(0,) * 5], dtype=np.int64),
        met_by=met_by.joined(),
        weights_nonzero=tuple(int(np.count_nonzero(s.mantissa)) for s in groups),
        params=params.joined(),
        blocks=np.array(blocks, dtype=np.int64).reshape(-1, 2),
        start=np.concatenate(start),
        sizes=np.array(
            [
                at_state,
                at_acc + LANES,
                at_out,
                at_fired,
                filled,
                depth,
                widest,
                last,
            ],
            dtype=np.int64,
        ),
        bytes_of=bytes_of,
        out_at=out_at,
        state_at=state_at,
        port_at=port_at,
        spike_bytes=at_bit,
        places={name: places_of(numbers) for name, numbers in kept.items()},
        channels=_channels(net),
    )


class _Pile(Generic[Scalar]):
    """Arrays of one type, one behind the other."""

    def __init__(self, dtype: type[Scalar]) -> None:
        self.dtype, self.parts, self.size = dtype, [np.zeros(1, dtype=dtype)], 1

    def add(self, values: npt.NDArray[Any]) -> int:
        """Put values at the end; returns where they begin."""
        self.parts.append(values.astype(self.dtype, copy=False))
        self.size += values.size
        return self.size - values.size

    def joined(self) -> npt.NDArray[Scalar]:
        """All of it."""
        return np.concatenate(self.parts)


def _channels(net: FixedPointNetwork) -> dict[str, int]:
    """Inputs that a convolution of several channels leaves -> number of channels."""
    inputs = {node.name for node in net.inputs}
    return {
        s.source: s.map.input_shape[0]
        for s in reversed(net.synapses)
        if isinstance(s.map, Convolution) and s.source in inputs and s.map.input_shape[0] > 1
    }


def _orders(net: FixedPointNetwork) -> dict[str, Ints]:
    """Layers that a convolution arrives at, and inputs that one leaves -> number at each place."""
    sizes = {node.name: node.n for node in net.inputs}
    leaving = {
        name: channels_last((channels, sizes[name] // channels, 1))
        for name, channels in _channels(net).items()
    }
    return leaving | {
        s.target: channels_last(s.map.output_shape)
        for s in reversed(net.synapses)
        if isinstance(s.map, Convolution)
    }


def _kept_map(synapse: Synapse, order: Ints | None) -> LinearMap:
    """The map; a convolution into a layer kept in another order than its own is written out."""
    link = synapse.map
    if not isinstance(link, Convolution):
        return link
    if order is not None and np.array_equal(channels_last(link.output_shape), order):
        return link
    if link.n_in * link.n_out > DENSE_MAX:
        raise GraphError(
            f"synapses {synapse.name!r}: convolutions of different output shapes arrive at layer "
            f"{synapse.target!r}, and this one is too large to be written out as a matrix; "
            "give them one output shape"
        )
    return Dense(link.dense())


SPIKE, SINGLE, WIDE = range(3)


def message_kind(net: FixedPointNetwork, synapse: Synapse) -> int:
    """How messages are multiplied: spikes not at all, else in single precision or in 32 bits."""
    if net.sends_spikes(synapse.source, synapse.source_port):
        return SPIKE
    largest = net.message_range(synapse.source, synapse.source_port)
    return SINGLE if sums_fit_single(synapse, largest) else WIDE


def sums_fit_single(synapse: Synapse, largest: int) -> bool:
    """Whether no sum of the group can reach 2**24, up to which single precision is exact."""
    return bool(largest_sums(synapse.map, largest).max(initial=0) < 1 << 24)
