"""Which core holds which neurons of a network, what that takes of it, and what crosses the mesh.

A core holds neurons of one layer, with all synapses that end there, as Intel's compiler and
nengo-loihi have it. Cores follow each other over the mesh in the order of layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil

import numpy as np

from snn2hw.graph import FixedPointNetwork, Layer
from snn2hw.linear import Convolution, Dense
from snn2hw.passes.check import Violation
from snn2hw.simulator.run import Run
from snn2hw.targets.loihi import limits, routes, tiles
from snn2hw.targets.loihi.memory import Encoding, is_shared, weight_bits
from snn2hw.targets.loihi.mesh import Mesh, Router
from snn2hw.targets.loihi.tiles import Box, Part
from snn2hw.targets.spec import TargetSpec

WORST, MEASURED = "worst case", "measured"
"""The two cases of traffic: every neuron sends at every step, or as in a run."""

NEURONS, SYNAPSES, IN, OUT, MEMORY = (
    "neurons", "synapse words", "axons in", "axons out", "core words",
)  # fmt: skip
"""Resources of a core."""

LIMITS = {
    NEURONS: "neurons_per_core",
    SYNAPSES: "synapse_words",
    IN: "axons_in",
    OUT: "axons_out",
    MEMORY: "core_words",
}
"""Resource -> the figure that limits it."""

ROUNDS = 4
"""How often layers are cut again for axons that leave, whose number the cut itself decides."""


@dataclass(frozen=True)
class Core:
    """One core in use. used: by resource; router: its place on the mesh."""

    core: int
    router: Router
    part: Part
    used: Mapping[str, int]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What it holds: one part."""
        return (self.part,)


@dataclass(frozen=True)
class LoihiPlacement:
    """Where every neuron is, and what that takes.

    layers: in order; cores: by number; violations: what does not fit, empty if all does; links:
    loads of the mesh, by case; hops_by_case: case -> (source, target) -> copies and hops of one
    message; sent: case -> messages in a step, copies counted, from outside too; notes: what to know
    besides.
    """

    spec: TargetSpec
    layers: tuple[str, ...]
    cores: tuple[Core, ...]
    dt_s: float
    violations: tuple[Violation, ...]
    links: tuple[routes.Link, ...]
    hops_by_case: Mapping[str, Mapping[tuple[str, str], routes.Hops]]
    sent: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.violations

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all layers, core by core."""
        return tuple(core.part for core in self.cores)

    @property
    def hops(self) -> Mapping[tuple[str, str], routes.Hops]:
        """(source, target layer) -> copies and hops of one message; of a run where one was given,
        else where every neuron sends alike."""
        return self.hops_by_case[MEASURED if MEASURED in self.hops_by_case else WORST]

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases of traffic that there are."""
        return tuple(self.sent)

    def of(self, layer: str) -> tuple[Core, ...]:
        """The cores of a layer."""
        return tuple(core for core in self.cores if core.part.layer == layer)

    @cached_property
    def limits(self) -> dict[str, int]:
        """Resource -> what a core has of it."""
        return {what: limit_of(self.spec, what) for what in LIMITS}

    def fill(self, core: Core) -> float:
        """How full a core is: its scarcest resource, 1 at the limit."""
        return max(core.used[what] / limit for what, limit in self.limits.items())

    @property
    def utilization(self) -> dict[str, tuple[int, int]]:
        """Resource -> (used, limit): cores, and each resource on the core that has most of it."""
        found = {"cores": (len(self.cores), self.spec.integer("cores_usable"))}
        for what, limit in self.limits.items():
            found[what] = max(core.used[what] for core in self.cores), limit
        return found

    @property
    def totals(self) -> dict[str, int]:
        """Resource -> used on all cores."""
        total: Counter[str] = Counter()
        for core in self.cores:
            total.update(core.used)
        return dict(total)

    def busiest(self, case: str) -> routes.Link | None:
        """The link that most messages pass in a case; None where none leaves its tile."""
        return max(self.links, key=lambda link: link.messages(case), default=None)


def limit_of(spec: TargetSpec, what: str) -> int:
    """What a core has of a resource."""
    spare = spec.integer("neurons_reserved") if what == NEURONS else 0
    return spec.integer(LIMITS[what]) - spare


def place_network(net: FixedPointNetwork, spec: TargetSpec, run: Run | None) -> LoihiPlacement:
    """Place a network; see ``snn2hw.targets.place``. Raises DataError for a run of another one."""
    rates = {WORST: routes.worst_rates(net)}
    if run is not None:
        rates[MEASURED] = routes.measured_rates(net, run)
    cut = _Cut(net, spec)
    parts = cut.parts({})
    caps: dict[str, int] = {}
    for _ in range(ROUNDS):
        found = routes.streams(net, parts, cut.encoding.zeros_kept)
        used = cut.used(parts, found)
        more = _smaller(parts, used, spec, caps)
        if not more:
            break
        caps |= more
        parts = cut.parts(caps)
    else:
        found = routes.streams(net, parts, cut.encoding.zeros_kept)
        used = cut.used(parts, found)
    mesh = Mesh.of(spec)
    pairs = list(dict.fromkeys((s.source, s.target) for s in net.synapses))
    flows = {case: routes.flows(found, parts, each) for case, each in rates.items()}
    graded = {stream.port: not net.sends_spikes(*stream.port) for stream in found}
    placed = LoihiPlacement(
        spec=spec,
        layers=tuple(layer.name for layer in net.layers),
        cores=tuple(
            Core(part.core, mesh.router(part.core), part, row)
            for part, row in zip(parts, used, strict=True)
        ),
        dt_s=net.dt_s,
        violations=(),
        links=routes.links(flows, parts, graded, mesh),
        hops_by_case={
            case: routes.mean_hops(found, sent, parts, rates[case], mesh, pairs)
            for case, sent in flows.items()
        },
        sent={
            case: float(sum(rows.sum() for rows in sent.values())) for case, sent in flows.items()
        },
        notes=limits.notes(net, run is not None),
    )
    return replace(placed, violations=limits.violations(net, placed))


def _smaller(
    parts: Sequence[Part],
    used: Sequence[Mapping[str, int]],
    spec: TargetSpec,
    caps: Mapping[str, int],
) -> dict[str, int]:
    """Layers whose parts have too many axons that leave, or take too much memory with them -> how
    many neurons a part may have."""
    found: dict[str, int] = {}
    for part, row in zip(parts, used, strict=True):
        ratio = max(row[what] / limit_of(spec, what) for what in (OUT, MEMORY))
        if ratio > 1 and part.neurons > 1:
            cap = max(1, min(int(part.neurons / ratio), part.neurons - 1))
            if cap < caps.get(part.layer, cap + 1):
                found[part.layer] = min(cap, found.get(part.layer, cap))
    return found


class _Cut:
    """Cuts the layers of one network for one chip."""

    def __init__(self, net: FixedPointNetwork, spec: TargetSpec) -> None:
        self.net, self.spec = net, spec
        self.encoding = Encoding.of(spec)
        self._bits = {synapse.name: weight_bits(synapse.mantissa) for synapse in net.synapses}
        self._shared = bool(spec.integer("neuron_memory_shared"))

    def parts(self, caps: Mapping[str, int]) -> list[Part]:
        """The parts of all layers, numbered as cores. caps: layer -> neurons of a part at most."""
        found: list[Part] = []
        for layer in self.net.layers:
            for part in self._layer(layer, caps.get(layer.name)):
                found.append(replace(part, core=len(found)))
        return found

    def _layer(self, layer: Layer, most: int | None) -> list[Part]:
        grid, image = tiles.grid_of(self.net, layer)
        if image:
            power = bool(self.spec.integer("columns_power_of_two"))
            words: dict[int, int] = {}

            def ratio(size: Box) -> float:
                channels, rows, columns = size
                if channels not in words:
                    # The first box is as large as any.
                    whole = (0, channels), (0, grid[1]), (0, grid[2])
                    words[channels] = self._synapse_words(layer, Part(layer.name, 0, grid, *whole))
                n = channels * rows * columns
                full = self._fill(layer, n, words[channels])
                return full if most is None else max(full, n / most)

            return tiles.boxes(layer.name, grid, tiles.cut_image(grid, power, ratio))

        def fullest(size: int) -> float:
            return max(
                self._fill(layer, part.neurons, self._synapse_words(layer, part))
                for part in tiles.boxes(layer.name, grid, (1, 1, size))
            )

        size = tiles.cut_row(layer.n, fullest)
        return tiles.boxes(layer.name, grid, (1, 1, size if most is None else min(size, most)))

    def _fill(self, layer: Layer, neurons: int, words: int) -> float:
        """How full a core is before its axons are known."""
        memory = self._memory(layer, neurons, words, 0)
        taken = {NEURONS: neurons, SYNAPSES: words, MEMORY: memory}
        return max(used / limit_of(self.spec, what) for what, used in taken.items())

    def _memory(self, layer: Layer, neurons: int, words: int, axons: int) -> int:
        """Words of the memory that is counted together."""
        if not self._shared:
            return words
        each = sum(state.bits for state in layer.model.states)
        each += self.spec.integer("input_sum_bits") * (len(layer.model.inputs) - 1)
        bits = each * neurons + self.spec.integer("axon_bits") * axons
        return words + ceil(bits / self.encoding.word)

    def _synapse_words(self, layer: Layer, part: Part) -> int:
        words = 0
        for synapse in self.net.into(layer.name):
            bits, link, ports = self._bits[synapse.name], synapse.map, len(synapse.target_ports)
            if bits == 0:
                continue
            if isinstance(link, Convolution):
                for port in range(ports):
                    words += self.encoding.convolution(
                        link, *_channels(link, part, port, layer.n), bits
                    )
            elif isinstance(link, Dense):
                numbers = np.concatenate([p * layer.n + part.numbers() for p in range(ports)])
                words += self.encoding.dense(link.weight[numbers], bits)
            else:
                once = part.grid[0] > 1 and is_shared(link)
                n = np.ones(1 if once else ports * part.neurons, dtype=np.int64)
                words += int(self.encoding.listed(n, self.encoding.index + bits).sum())
        return words

    def used(self, parts: Sequence[Part], found: Sequence[routes.Stream]) -> list[dict[str, int]]:
        """What each part takes of its core, by resource."""
        per_core = bool(self.spec.integer("axons_out_per_core"))
        arriving = routes.axons_in(found, parts, self.net)
        leaving = routes.axons_out(found, parts, self.net, per_core)
        rows = []
        for part, into, out in zip(parts, arriving, leaving, strict=True):
            layer = self.net.layer(part.layer)
            words = self._synapse_words(layer, part)
            memory = self._memory(layer, part.neurons, words, into + out)
            rows.append(
                {NEURONS: part.neurons, SYNAPSES: words, IN: into, OUT: out, MEMORY: memory}
            )
        return rows


def _channels(link: Convolution, part: Part, port: int, n: int) -> tuple[int, int]:
    """The output channels of which a part holds any, for one of its input ports."""
    channels, rows, columns = link.output_shape
    if part.grid[0] > 1 or part.grid[1] > 1 or (channels, rows, columns) == part.grid:
        first = port * n // (rows * columns)
        return first + part.channels[0], first + part.channels[1]
    first, last = (port * n + column for column in part.columns)
    return first // (rows * columns), -(-last // (rows * columns))
