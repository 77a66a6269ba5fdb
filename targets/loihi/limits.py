"""What of a placement does not fit: one small function a rule, each giving violations in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from snn2hw.graph import FixedPointNetwork
from snn2hw.passes.check import Violation
from snn2hw.passes.quantize import TARGETS

if TYPE_CHECKING:
    from snn2hw.targets.loihi.placement import LoihiPlacement

HINTS = {
    "neurons": "make it smaller",
    "synapse words": "give its neurons fewer inputs, or a convolution fewer channels",
    "axons in": "let it hear fewer sources",
    "axons out": "let fewer layers hear it, or put its listeners on fewer cores",
    "core words": "let it hear fewer sources, and fewer cores hear it",
}
"""Resource -> what to do where even the smallest part of a layer takes too much of it."""


def violations(net: FixedPointNetwork, placed: LoihiPlacement) -> tuple[Violation, ...]:
    """All that does not fit, in order of the rules."""
    rules: tuple[Callable[[FixedPointNetwork, LoihiPlacement], list[Violation]], ...] = (
        _models,
        _messages,
        _delays,
        _too_full,
        _too_many,
    )
    return tuple(violation for rule in rules for violation in rule(net, placed))


def notes(net: FixedPointNetwork, measured: bool) -> tuple[str, ...]:
    """What to know besides."""
    found = []
    longest = max((synapse.chip_delay for synapse in net.synapses), default=0)
    if longest > 1:
        found.append(
            f"delays of up to {longest} steps: the memory that keeps what has not arrived yet is "
            "not counted, its size is not published"
        )
    if measured:
        found.append(
            "measured: spikes neuron by neuron; graded messages and those of inputs are shared out "
            "evenly over their source"
        )
    return tuple(found)


def _models(net: FixedPointNetwork, placed: LoihiPlacement) -> list[Violation]:
    """Neurons that the chip does not have."""
    known = TARGETS.get(placed.spec.name, TARGETS["loihi2"])
    return [
        Violation(
            "neuron",
            layer.name,
            f"layer {layer.name!r} has {layer.model.name} neurons",
            f"neurons of {placed.spec.name}: {', '.join(known)}",
            "quantize it for this target, or place it on another",
        )
        for layer in net.layers
        if layer.model.name not in known
    ]


def _messages(net: FixedPointNetwork, placed: LoihiPlacement) -> list[Violation]:
    """Messages that are wider than the chip's."""
    most = placed.spec.integer("message_bits_most")
    found = []
    for source, port in dict.fromkeys((s.source, s.source_port) for s in net.synapses):
        given = {node.name: node.bits for node in net.inputs}
        bits = given[source] if source in given else net.layer(source).message_bits(port)
        if bits > most:
            used = f"{source!r} sends messages of {bits} bits"
            limit = f"{most} bit{'s' * (most > 1)} a message"
            found.append(Violation("message width", source, used, limit, "send plain spikes"))
    return found


def _delays(net: FixedPointNetwork, placed: LoihiPlacement) -> list[Violation]:
    """Synapses that wait longer than the chip can."""
    most = placed.spec.integer("delay_steps_most")
    return [
        Violation(
            "delay",
            synapse.target,
            f"synapses {synapse.name!r} have a delay of {synapse.chip_delay} steps",
            f"{most} steps",
            "use a longer time step, or a shorter delay",
        )
        for synapse in net.synapses
        if synapse.chip_delay > most
    ]


def _too_full(_: FixedPointNetwork, placed: LoihiPlacement) -> list[Violation]:
    """Cores above a limit: for each layer and resource the fullest."""
    found = []
    for layer in placed.layers:
        cores = placed.of(layer)
        for what, limit in placed.limits.items():
            full = [core for core in cores if core.used[what] > limit]
            if not full:
                continue
            worst = max(full, key=lambda core: core.used[what])
            n = worst.part.neurons
            used = (
                f"core {worst.core} takes {worst.used[what]:,} {what} for {n:,} neuron"
                f"{'s' * (n > 1)} of {layer!r}, {worst.used[what] - limit:,} over"
            )
            if len(full) > 1:
                used += f", and {len(full) - 1} more of its cores too many"
            found.append(Violation(what, layer, used, f"{limit:,} {what} of a core", HINTS[what]))
    return found


def _too_many(_: FixedPointNetwork, placed: LoihiPlacement) -> list[Violation]:
    """More cores than the chip has."""
    used, usable = placed.utilization["cores"]
    if used <= usable:
        return []
    layer, most = Counter(part.layer for part in placed.parts).most_common(1)[0]
    what = f"{used:,} cores, {used - usable:,} over; {layer!r} takes {most:,} of them"
    hint = f"make {layer!r} smaller, or use {ceil(used / usable)} chips"
    return [Violation("cores", layer, what, f"{usable} cores for applications", hint)]
