"""balance: retime the network for a chip on which every synapse costs a step.

Each layer gets an offset, the chip step at which it handles logical step 0 (inputs have 0). A
synapse of logical delay d then takes d + offset(target) - offset(source) chip steps, which must be
at least 1: difference constraints, solved by longest paths (Leiserson and Saxe 1991). Every path
keeps its relative timing, so the outputs are those of the logical network, ``latency`` steps later.
"""

from __future__ import annotations

from dataclasses import replace

from snn2hw.errors import GraphError, TargetError
from snn2hw.graph import FixedPointNetwork

MAX_DELAY = 63
"""Steps that a message can take: the one that every synapse costs, and up to 62 of synaptic delay
(6 bits), as lava-dl's netx allows."""


def balance(net: FixedPointNetwork) -> FixedPointNetwork:
    """The network with offsets, chip delays and latency.

    Raises GraphError for a loop whose delay is shorter than its number of synapses, naming it, and
    TargetError for a synapse that would need more than 63 steps.
    """
    offsets = {node.name: 0 for node in net.inputs} | {layer.name: 0 for layer in net.layers}
    fixed = {node.name for node in net.inputs}
    came_from: dict[str, str] = {}
    changed = None
    for _ in range(len(offsets) + 1):
        changed = None
        for synapse in net.synapses:
            needed = offsets[synapse.source] + 1 - synapse.delay
            if synapse.target not in fixed and offsets[synapse.target] < needed:
                offsets[synapse.target] = needed
                came_from[synapse.target] = synapse.source
                changed = synapse.target
        if changed is None:
            break
    if changed is not None:
        loop = _loop_through(changed, came_from)
        names = " -> ".join([*loop, loop[0]])
        raise GraphError(
            f"loop {names} cannot run on the chip: {len(loop)} synapses take a step each, and the "
            f"loop's delay is shorter; give its synapses {len(loop)} steps of delay in all"
        )
    heard = {synapse.target for synapse in net.synapses}
    for layer in net.layers:
        leaving = [s for s in net.synapses if s.source == layer.name]
        if layer.name not in heard and leaving:
            # Nothing arrives there (a constant): as late as its listeners allow.
            offsets[layer.name] = min(offsets[s.target] + s.delay - 1 for s in leaving)
    synapses = []
    for synapse in net.synapses:
        steps = synapse.delay + offsets[synapse.target] - offsets[synapse.source]
        if steps > MAX_DELAY:
            raise TargetError(
                f"synapses {synapse.name!r} need a delay of {steps} steps and the chip holds "
                f"{MAX_DELAY}; insert relay neurons"
            )
        synapses.append(replace(synapse, chip_delay=steps))
    layers = tuple(replace(layer, offset=offsets[layer.name]) for layer in net.layers)
    latency = max(offsets[output.source] for output in net.outputs)
    note = f"balance: latency {latency} steps, longest synaptic delay "
    note += f"{max((s.chip_delay for s in synapses), default=0)}"
    return replace(
        net, layers=layers, synapses=tuple(synapses), latency=latency, notes=(*net.notes, note)
    )


def _loop_through(start: str, came_from: dict[str, str]) -> list[str]:
    """The loop that keeps pushing ``start`` later, found by walking back along the pushes."""
    node, seen = start, []
    while node not in seen:
        seen.append(node)
        node = came_from[node]
    loop = seen[seen.index(node) :]
    return loop[::-1]
