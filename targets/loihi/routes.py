"""What goes over the mesh: which neuron's messages reach which core, copies, hops, load of links.

A core's own axon is addressed by each message, so a neuron that several cores hear sends a copy to
each of them, and one on its own core sends one too. A message of one output port goes to a core
once, however many groups of synapses listen there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork, Synapse
from snn2hw.linear import Convolution, OneToOne
from snn2hw.neurons.base import FloatArray
from snn2hw.simulator.run import Run
from snn2hw.targets.loihi.memory import Mask, is_shared
from snn2hw.targets.loihi.mesh import Mesh, Router, way
from snn2hw.targets.loihi.tiles import Part, grid_of

Port = tuple[str, str]
"""Source and output port."""

Rates = Mapping[Port, FloatArray]
"""Messages of each neuron in one step, (n_source,)."""

Flows = dict[Port, FloatArray]
"""Messages in one step from part to part; see ``flows``."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hops:
    """What one message of a source to a target layer does on average, all its copies together.

    copies: cores that it goes to; east_west, north_south: hops between routers, summed over the
    copies.
    """

    copies: float
    east_west: float
    north_south: float


@dataclass(frozen=True)
class Link:
    """A link of the mesh in one direction: spikes and graded messages in one step, by case."""

    start: Router
    end: Router
    spikes: Mapping[str, float]
    graded: Mapping[str, float]

    def messages(self, case: str) -> float:
        """Both together."""
        return self.spikes[case] + self.graded[case]


@dataclass(frozen=True)
class Stream:
    """What an output port (or an input) sends to one core.

    target: number of the part there; reach: which of the source's neurons it hears; owner: number
    of the part that each neuron of the source is in, -1 for an input's channels; (n_source,) both.
    """

    port: Port
    target: int
    reach: Mask
    owner: Numbers


def listened(net: FixedPointNetwork) -> dict[Port, dict[str, list[Synapse]]]:
    """Output ports that are heard -> target layer -> its groups of synapses."""
    found: dict[Port, dict[str, list[Synapse]]] = {}
    for synapse in net.synapses:
        if np.any(synapse.mantissa):
            by_target = found.setdefault((synapse.source, synapse.source_port), {})
            by_target.setdefault(synapse.target, []).append(synapse)
    return found


def streams(net: FixedPointNetwork, parts: Sequence[Part], zeros_kept: bool) -> list[Stream]:
    """All that is sent. zeros_kept: a matrix's messages go where its weights are zero, too."""
    owners = {layer.name: np.zeros(layer.n, dtype=np.int64) for layer in net.layers}
    owners |= {node.name: np.full(node.n, -1, dtype=np.int64) for node in net.inputs}
    of: dict[str, list[int]] = {}
    for k, part in enumerate(parts):
        of.setdefault(part.layer, []).append(k)
        owners[part.layer][part.numbers()] = k
    found = []
    for port, by_target in listened(net).items():
        for target, groups in by_target.items():
            for k in of[target]:
                mask = np.zeros(net.size(port[0]), dtype=bool)
                for synapse in groups:
                    mask |= reaches(synapse, net.size(target), parts[k], zeros_kept)
                if np.any(mask):
                    found.append(Stream(port, k, mask, owners[port[0]]))
    return found


def reaches(synapse: Synapse, n: int, part: Part, zeros_kept: bool) -> Mask:
    """Which sources the part hears through a group; (n_source,). n: neurons of the layer."""
    link = synapse.map
    ports = range(len(synapse.target_ports))
    if isinstance(link, Convolution):
        return _convolved(link, n, part, ports)
    numbers = np.concatenate([port * n + part.numbers() for port in ports])
    mask = np.zeros(link.n_in, dtype=bool)
    if isinstance(link, OneToOne):
        mask[numbers[link.weight[numbers] != 0]] = True
        return mask
    if zeros_kept:
        return np.ones(link.n_in, dtype=bool)
    return np.asarray(np.count_nonzero(link.weight[numbers], axis=0) > 0)


def _convolved(link: Convolution, n: int, part: Part, ports: Iterable[int]) -> Mask:
    channels, rows, columns = link.output_shape
    held = np.zeros(channels * rows * columns, dtype=bool)
    for port in ports:
        held[port * n + part.numbers()] = True
    out_per_group, per_group = channels // link.groups, int(link.weight.shape[1])
    mask = np.zeros(link.input_shape, dtype=bool)
    hits = link.hits(0), link.hits(1)
    # Channels of which the part holds the same places, and which hear the same, go together.
    alike: dict[tuple[int, bytes], list[int]] = {}
    for channel, places in enumerate(held.reshape(channels, rows * columns)):
        if np.any(places):
            alike.setdefault((channel // out_per_group, places.tobytes()), []).append(channel)
    for (group, pattern), members in alike.items():
        places = np.frombuffer(pattern, dtype=bool).reshape(rows, columns)
        sides: list[Mask] = [np.logical_or.reduce(places, axis=1 - axis) for axis in (0, 1)]
        taps: Mask = np.logical_or.reduce(link.weight[members] != 0, axis=0)
        for ky, kx in np.argwhere(taps.any(axis=0)):
            y, x = (
                np.flatnonzero((hit[:, k] >= 0) & inside[hit[:, k]])
                for hit, k, inside in zip(hits, (ky, kx), sides, strict=True)
            )
            seen = places[np.ix_(hits[0][y, ky], hits[1][x, kx])]
            into = np.flatnonzero(taps[:, ky, kx]) + group * per_group
            mask[np.ix_(into, y, x)] |= seen
    return mask.ravel()


def axons_in(found: Sequence[Stream], parts: Sequence[Part], net: FixedPointNetwork) -> list[int]:
    """Axons that arrive at each part: one for each part of a source that convolutions alone hear
    (an input is one), else one for each neuron."""
    counts = [0] * len(parts)
    shared = _images(net)
    for stream in found:
        each = (stream.port, parts[stream.target].layer) in shared
        heard = stream.owner[stream.reach]
        counts[stream.target] += len(np.unique(heard)) if each else len(heard)
    return counts


def axons_out(
    found: Sequence[Stream], parts: Sequence[Part], net: FixedPointNetwork, per_core: bool
) -> list[int]:
    """Axons that leave each part.

    per_core: an entry for each neuron and core that hears it; else one for each neuron, or for each
    place of an image that convolutions alone hear, whatever the number of cores.
    """
    counts = [0] * len(parts)
    if per_core:
        for stream in found:
            for k, number in zip(
                *np.unique(stream.owner[stream.reach], return_counts=True), strict=True
            ):
                if k >= 0:
                    counts[k] += int(number)
        return counts
    heard, shared = listened(net), _images(net)
    for port in {*heard, *((output.source, output.source_port) for output in net.outputs)}:
        targets = heard.get(port, {})
        image = bool(targets) and all((port, target) in shared for target in targets)
        for k, part in enumerate(parts):
            if part.layer == port[0]:
                counts[k] += part.places if image and part.grid[0] > 1 else part.neurons
    return counts


def _images(net: FixedPointNetwork) -> set[tuple[Port, str]]:
    """Ports and targets between which there are convolutions alone."""
    return {
        (port, target)
        for port, by_target in listened(net).items()
        for target, groups in by_target.items()
        if all(isinstance(group.map, Convolution) or is_shared(group.map) for group in groups)
        and grid_of(net, net.layer(target))[1]
    }


def worst_rates(net: FixedPointNetwork) -> Rates:
    """Every input and neuron sends at every step."""
    return {port: np.ones(net.size(port[0])) for port in listened(net)}


def measured_rates(net: FixedPointNetwork, run: Run) -> Rates:
    """Messages in a step, averaged over a run: spikes neuron by neuron; graded messages and those
    of inputs are shared out evenly. Raises DataError where the run is not of this network."""
    names = [layer.name for layer in run.activity.layers]
    if sorted(names) != sorted(layer.name for layer in net.layers) or {
        synapse.name for synapse in run.activity.synapses
    } != {synapse.name for synapse in net.synapses}:
        raise DataError(
            f"the run is of another network: its layers are {', '.join(names)}; "
            "place the network that ran"
        )
    steps = run.activity.steps * run.activity.samples
    rates = {}
    for source, port in listened(net):
        n = net.size(source)
        if source in run.spikes and net.layer(source).model.output(port).is_spike:
            counts = np.zeros(n)
            for sample in range(run.activity.samples):
                counts += run.spikes.sample(source, sample).sum(axis=0, dtype=np.int64)
            rates[source, port] = counts / steps
        else:
            total = float(run.activity.sent(source, port).sum())
            rates[source, port] = np.full(n, total / steps / n)
    return rates


def flows(found: Sequence[Stream], parts: Sequence[Part], rates: Rates) -> Flows:
    """Messages in a step, by output port: float64 (parts + 1, parts), from a part to a part; the
    last row is from outside."""
    total: Flows = {}
    for stream in found:
        rows = total.setdefault(stream.port, np.zeros((len(parts) + 1, len(parts))))
        # Owner -1, outside, is the last row.
        owner = stream.owner[stream.reach] % len(rows)
        sent = rates[stream.port][stream.reach]
        rows[:, stream.target] = np.bincount(owner, weights=sent, minlength=len(rows))
    return total


def mean_hops(
    found: Sequence[Stream],
    sent: Flows,
    parts: Sequence[Part],
    rates: Rates,
    mesh: Mesh,
    pairs: Iterable[tuple[str, str]],
) -> dict[tuple[str, str], Hops]:
    """Copies and hops of a message, by source and target layer; see ``Hops``. pairs: those to give,
    be it that nothing is sent because all weights are zero."""
    sums = {pair: np.zeros(3) for pair in pairs}
    messages = dict.fromkeys(sums, 0.0)
    places = np.array(_routers(parts, mesh))
    apart = np.abs(places[:, None] - places[None, :-1])
    layers = np.array([part.layer for part in parts])
    for port, target in dict.fromkeys((s.port, parts[s.target].layer) for s in found):
        key, here = (port[0], target), layers == target
        held = sent[port][:, here]
        across = np.einsum("st,stk->k", held, apart[:, here])
        sums[key] += np.array([held.sum(), *across])
        messages[key] += float(rates[port].sum())
    return {
        key: Hops(*(float(x) / (messages[key] or 1.0) for x in row)) for key, row in sums.items()
    }


def links(
    cases: Mapping[str, Flows], parts: Sequence[Part], graded: Mapping[Port, bool], mesh: Mesh
) -> tuple[Link, ...]:
    """Load of every link that anything may pass, by case."""
    routers = _routers(parts, mesh)
    known = sorted(set(routers))
    number = np.array([known.index(router) for router in routers])
    load: dict[tuple[Router, Router], dict[tuple[str, bool], float]] = {}
    for case, by_port in cases.items():
        for port, rows in by_port.items():
            between = np.zeros((len(known), len(known)))
            np.add.at(between, (number[:, None], number[None, :-1]), rows)
            for start, end in np.argwhere(between):
                for step in way(known[start], known[end]):
                    row = load.setdefault(step, {})
                    key = case, graded[port]
                    row[key] = row.get(key, 0.0) + float(between[start, end])
    return tuple(
        Link(
            *step,
            spikes={case: row.get((case, False), 0.0) for case in cases},
            graded={case: row.get((case, True), 0.0) for case in cases},
        )
        for step, row in sorted(load.items(), key=lambda item: _order(*item[0]))
    )


def _routers(parts: Sequence[Part], mesh: Mesh) -> list[Router]:
    """The router of each part, and last the one where messages from outside enter."""
    return [*(mesh.router(part.core) for part in parts), mesh.entry]


def _order(start: Router, end: Router) -> tuple[int, int, int, int]:
    return start[1], start[0], end[1], end[0]
