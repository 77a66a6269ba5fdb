"""What a fixed-point network takes of SpiNNaker2's processing elements (PEs).

How a PE keeps its part of a layer, all for the part's own neurons:

=============== =============================================================================
weights         1 byte each, zeros too: matrix rows and one-to-one weights with their neuron, the
                kernels of a convolution once for each feature map that the part touches
states          4 bytes each
parameters      4 bytes each; once a part, or a feature map, where they are equal in it
input sums      4 bytes for each input port
delay buffers   for a source heard d steps after it sent, d - 1 slots (one step is the packets' own
                way): 1 bit for a spike, 4 bytes for a graded message; the longest delay counts
packet FIFO     4 bytes for a spike of each neuron heard, 8 for a graded message, up to a limit
tables          of the neuron's functions, once
synapse headers a few words for each group of synapses
=============== =============================================================================

Nothing is recorded. Weights stay integers of 8 bits; states and sums are those of the simulator.

Cycles of a step are an estimate: what a packet, a synaptic event, an operation and a memory access
cost stands in the chip's file with its source; a neuron's operations are counted from its step.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TypeVar

import numpy as np

from snn2hw.energy.counting import operations
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork, Layer, Synapse
from snn2hw.linear import Convolution
from snn2hw.neurons.base import FloatArray, NeuronModel
from snn2hw.simulator.run import Run
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.placement import Demand, Load

WORD_BYTES = 4

Purposes = Counter[str]
Rate = TypeVar("Rate", float, FloatArray)


def network_demands(net: FixedPointNetwork, spec: TargetSpec) -> list[Demand]:
    """Each layer's demand, worst case: every input and neuron sends at every step."""
    return [_demand(net, layer, spec) for layer in net.layers]


def network_loads(net: FixedPointNetwork, spec: TargetSpec, run: Run) -> dict[str, Load]:
    """Each layer's load in a run, by name; synaptic events are shared out evenly over its neurons.

    Raises DataError where the run is not of this network.
    """
    names = [layer.name for layer in run.activity.layers]
    groups = {synapse.name for synapse in run.activity.synapses}
    if sorted(names) != sorted(layer.name for layer in net.layers) or groups != {
        synapse.name for synapse in net.synapses
    }:
        raise DataError(
            f"the run is of another network: its layers are {', '.join(names)}; "
            "place the network that ran"
        )
    return {layer.name: _load(net, layer, spec, run) for layer in net.layers}


def entering(net: FixedPointNetwork) -> dict[str, int]:
    """Packets from outside in one step, by input, worst case: one for each channel."""
    heard = {synapse.source for synapse in net.synapses}
    return {node.name: node.n for node in net.inputs if node.name in heard}


def fifo_notes(net: FixedPointNetwork, spec: TargetSpec) -> tuple[str, ...]:
    """A line, where more packets may come to a layer in a step than its FIFO holds."""
    most = spec.integer("fifo_packets_most")
    heard = {layer.name: _heard(net, net.into(layer.name)) for layer in net.layers}
    beyond = [name for name, packets in heard.items() if packets > most]
    if not beyond:
        return ()
    worst = max(beyond, key=lambda name: heard[name])
    return (
        f"packets beyond a FIFO of {most:,} may come in one step to the parts of "
        f"{', '.join(beyond)} (up to {heard[worst]:,} to {worst!r}); the PEs must empty it while "
        "they arrive, or some are dropped",
    )


def update_cycles(model: NeuronModel, spec: TargetSpec) -> float:
    """Cycles of one neuron's step, its packets not included.

    Its operations (``energy.counting``), table look-ups, states read and written, input sums read
    and cleared, parameters read.
    """
    counted = operations(model)
    accesses = counted.pop("lookups") + 2 * len(model.states) + 2 * len(model.inputs)
    accesses += len(model.params)
    cycles = spec.number("cycles_per_operation") * sum(counted.values())
    return cycles + spec.number("cycles_per_memory_access") * accesses


def _demand(net: FixedPointNetwork, layer: Layer, spec: TargetSpec) -> Demand:
    model, into = layer.model, net.into(layer.name)
    block = _block(layer, into)
    neuron, part, by_block = Purposes(), Purposes(), Purposes()
    neuron["states"] = WORD_BYTES * len(model.states)
    neuron["input sums"] = WORD_BYTES * len(model.inputs)
    for param in model.params:
        _where(layer, param.name, block, (neuron, part, by_block))["parameters"] += WORD_BYTES
    for synapse in into:
        if not isinstance(synapse.map, Convolution):
            neuron["weights"] += synapse.mantissa.size // layer.n
        elif _maps(layer, synapse) == block > 1:
            by_block["weights"] += synapse.mantissa.size // synapse.mantissa.shape[0]
        else:
            part["weights"] += synapse.mantissa.size
    part["tables"] = sum(WORD_BYTES * int(table.size) for table in model.tables.values())
    part["synapse headers"] = spec.integer("synapse_header_bytes") * len(into)
    part["delay buffers"] = _delay_bytes(net, into)
    part["packet FIFO"] = _fifo_bytes(net, into, spec)
    events = float(sum(int(synapse.map.fan_out().sum()) for synapse in into))
    heard = _heard(net, into)
    sent = float(_sent(net, layer))
    return Demand(
        layer=layer.name,
        neurons=layer.n,
        per_neuron=+neuron,
        per_part=+part,
        cycles_per_neuron=_neuron_cycles(layer, spec, events, sent),
        cycles_per_part=spec.number("cycles_per_packet") * heard,
        packets_per_neuron=sent,
        spread=False,
        block=block,
        per_block=+by_block,
    )


def _maps(layer: Layer, synapse: Synapse) -> int:
    """Neurons of one feature map of a convolution; 1 where its values are not the layer's own."""
    link = synapse.map
    if not isinstance(link, Convolution) or link.n_out != layer.n:
        return 1
    return layer.n // link.output_shape[0]


def _block(layer: Layer, into: tuple[Synapse, ...]) -> int:
    """Neurons of one feature map, where the convolutions that arrive agree on it, else 1."""
    sizes = {_maps(layer, synapse) for synapse in into if isinstance(synapse.map, Convolution)}
    return sizes.pop() if len(sizes) == 1 else 1


def _where(
    layer: Layer, param: str, block: int, kept: tuple[Purposes, Purposes, Purposes]
) -> Purposes:
    """With the neuron, the part or the feature map, as the parameter's values differ."""
    neuron, part, by_block = kept
    values = np.broadcast_to(layer.params[param], (layer.n,))
    if np.all(values == values[0]):
        return part
    maps = values.reshape(-1, block)
    return by_block if block > 1 and np.all(maps == maps[:, :1]) else neuron


def _sources(into: tuple[Synapse, ...]) -> dict[tuple[str, str], int]:
    """Output ports that a layer hears -> the longest delay on the chip, at least 1."""
    longest: dict[tuple[str, str], int] = {}
    for synapse in into:
        key = synapse.source, synapse.source_port
        longest[key] = max(longest.get(key, 1), synapse.chip_delay)
    return longest


def _delay_bytes(net: FixedPointNetwork, into: tuple[Synapse, ...]) -> int:
    total = 0
    for (source, port), delay in _sources(into).items():
        n = net.size(source)
        spikes = net.sends_spikes(source, port)
        slot = WORD_BYTES * (ceil(n / 32) if spikes else n)
        total += (delay - 1) * slot
    return total


def _fifo_bytes(net: FixedPointNetwork, into: tuple[Synapse, ...], spec: TargetSpec) -> int:
    sources = _sources(into)
    size = spec.integer("packet_key_bytes")
    if not all(net.sends_spikes(source, port) for source, port in sources):
        size += spec.integer("packet_payload_bytes")
    return size * min(_heard(net, into), spec.integer("fifo_packets_most"))


def _heard(net: FixedPointNetwork, into: tuple[Synapse, ...]) -> int:
    """Packets that arrive if every source sends."""
    return sum(net.size(source) for source, _ in _sources(into))


def _sent(net: FixedPointNetwork, layer: Layer) -> int:
    """Output ports of a layer that somebody hears, the outside included."""
    heard = {(s.source, s.source_port) for s in net.synapses}
    heard |= {(output.source, output.source_port) for output in net.outputs}
    return sum(source == layer.name for source, _ in heard)


def _load(net: FixedPointNetwork, layer: Layer, spec: TargetSpec, run: Run) -> Load:
    activity, steps = run.activity.layer(layer.name), run.activity.steps
    groups = {synapse.name: synapse for synapse in run.activity.into(layer.name)}
    events, arrived = np.zeros((2, run.activity.samples))
    # Several groups from one port hear the same packets.
    ports = {(s.source, s.source_port): s.name for s in net.into(layer.name)}
    for group in groups.values():
        events += group.synops / steps
    for name in ports.values():
        arrived += groups[name].messages_in / steps
    sent = (activity.spikes + activity.messages) / steps / layer.n
    return Load(
        cycles_per_neuron=_neuron_cycles(layer, spec, events, sent),
        cycles_per_part=spec.number("cycles_per_packet") * arrived,
        packets_per_neuron=sent,
    )


def _neuron_cycles(layer: Layer, spec: TargetSpec, events: Rate, sent: Rate) -> Rate:
    """Cycles of one neuron's step. events: synaptic events of the layer; sent: packets each."""
    cycles = spec.number("cycles_per_synaptic_event") * events / layer.n
    cycles += spec.number("cycles_per_packet_sent") * sent
    return cycles + update_cycles(layer.model, spec)
