"""From the engine's counters to an ``Activity``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from snn2hw.graph import FixedPointNetwork, Synapse
from snn2hw.linear import Convolution
from snn2hw.simulator.activity import Activity, Counts, LayerActivity, SynapseActivity
from snn2hw.simulator.plan import Plan


@dataclass(frozen=True)
class Counted:
    """The engine's counters, int64, of one row or as many as steps.

    inputs: (batch, rows, inputs); layers: (batch, rows, layers, 3): idle updates, wraps, clips;
    ports: (batch, rows, output ports); synapses: (batch, rows, groups, 3): messages, weights that
    are not zero, all weights that they met.
    """

    inputs: Counts
    layers: Counts
    ports: Counts
    synapses: Counts

    @classmethod
    def empty(cls, net: FixedPointNetwork, plan: Plan, batch: int, rows: int) -> Counted:
        """Counters at zero."""
        shapes = (
            (len(net.inputs),),
            (len(plan.order), 3),
            (len(plan.ports),),
            (len(plan.groups), 3),
        )
        return cls(*(np.zeros((batch, rows, *shape), dtype=np.int64) for shape in shapes))

    def total(self) -> Counted:
        """The counts of all rows, without that axis."""
        each = (self.inputs, self.layers, self.ports, self.synapses)
        return Counted(*(counts.sum(axis=1) for counts in each))


def count_activity(
    net: FixedPointNetwork, plan: Plan, steps: int, counted: Counted, *, per_step: bool
) -> Activity:
    """The activity of a run of that many steps; with ``by_step`` where counted so."""
    whole = _activity(net, plan, steps, counted.total(), steps)
    if not per_step:
        return whole
    return replace(whole, by_step=_activity(net, plan, steps, counted, 1))


def _activity(
    net: FixedPointNetwork, plan: Plan, steps: int, counted: Counted, updates: int
) -> Activity:
    """updates: of a neuron in one count."""
    layers = []
    for k, layer in enumerate(plan.order):
        idle, wraps, clips = np.moveaxis(counted.layers[..., k, :], -1, 0)
        bits = {output.name: layer.message_bits(output.name) for output in layer.model.outputs}
        sent = {
            port: counted.ports[..., plan.port_at[layer.name, port]]
            for port in bits
            if (layer.name, port) in plan.port_at
        }
        by_kind = [np.zeros_like(idle), np.zeros_like(idle)]
        for port, counts in sent.items():
            by_kind[bits[port] > 1] = by_kind[bits[port] > 1] + counts
        layers.append(
            LayerActivity(
                name=layer.name,
                model=layer.model.name,
                neurons=layer.n,
                updates=np.full(idle.shape, layer.n * updates, dtype=np.int64),
                idle_updates=idle,
                spikes=by_kind[0],
                messages=by_kind[1],
                message_bits=max((n for n in bits.values() if n > 1), default=1),
                wraps=wraps,
                clips=clips,
                sent=sent,
                port_bits={port: bits[port] for port in sent},
            )
        )
    return Activity(
        samples=len(counted.inputs),
        steps=steps,
        input_messages={node.name: counted.inputs[..., k] for k, node in enumerate(net.inputs)},
        layers=tuple(layers),
        synapses=tuple(
            _group(net, synapse, plan.weights_nonzero[k], counted.synapses[..., k, :])
            for k, synapse in enumerate(plan.groups)
        ),
        input_bits={node.name: node.bits for node in net.inputs},
    )


def _group(
    net: FixedPointNetwork, synapse: Synapse, weights_nonzero: int, counts: Counts
) -> SynapseActivity:
    messages_in, nonzero, met = np.moveaxis(counts, -1, 0)
    bits = {node.name: node.bits for node in net.inputs}
    if synapse.source in bits:
        width = bits[synapse.source]
    else:
        width = net.layer(synapse.source).message_bits(synapse.source_port)
    fan_out, kernel = _reach(synapse)
    return SynapseActivity(
        name=synapse.name,
        source=synapse.source,
        target=synapse.target,
        graded=width > 1,
        message_bits=width,
        weights=synapse.mantissa.size,
        weights_nonzero=weights_nonzero,
        messages_in=messages_in,
        synops=met,
        synops_nonzero=nonzero,
        source_port=synapse.source_port,
        kind=synapse.map.kind,
        fan_out=fan_out,
        kernel=kernel,
        weight_bits=synapse.bits,
    )


def _reach(synapse: Synapse) -> tuple[int, int]:
    """``fan_out`` and ``kernel`` of ``SynapseActivity``."""
    link = synapse.map
    if isinstance(link, Convolution):
        outputs = link.weight.shape[0] // link.groups
        sides = zip(link.weight.shape[2:], link.stride, strict=True)
        taps = prod(ceil(side / stride) for side, stride in sides)
        return outputs * taps, outputs * prod(link.weight.shape[2:])
    most = int(link.fan_out()[0]) if link.n_in else 0
    return most, most
