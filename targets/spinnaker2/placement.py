"""Which processing element (PE) holds which neurons, and what that takes of it.

A layer says what one of its neurons and one of its parts demand; ``place_demands`` splits layers
into parts of consecutive neurons and gives each a PE. All that arrives at a neuron is held where
the neuron is (placement by post-synaptic neuron), so packets alone cross between PEs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from snn2hw.errors import TargetError
from snn2hw.passes.check import Violation
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2 import split

STACK = "stack and heap"
"""Purpose of the bytes that every PE in use gives away, whatever it holds."""


@dataclass(frozen=True)
class Demand:
    """What a layer takes. Bytes by purpose; cycles and packets in one step, worst case.

    neurons: how many the layer has; per_neuron, per_part: bytes for each neuron held, and once on
    every PE that holds some of the layer; packets_per_neuron: sent; spread: over all PEs evenly,
    or else on as few as it fits, the emptiest PE first.
    """

    layer: str
    neurons: int
    per_neuron: Mapping[str, int]
    per_part: Mapping[str, int]
    cycles_per_neuron: float
    cycles_per_part: float
    packets_per_neuron: float
    spread: bool

    @property
    def neuron_bytes(self) -> int:
        """Bytes of one neuron."""
        return sum(self.per_neuron.values())

    @property
    def part_bytes(self) -> int:
        """Bytes of a part besides its neurons."""
        return sum(self.per_part.values())

    def bytes(self, neurons: int) -> int:
        """Bytes of a part of so many neurons; 0 without any."""
        return self.part_bytes + neurons * self.neuron_bytes if neurons else 0

    def purposes(self, neurons: int) -> Counter[str]:
        """Those bytes by purpose."""
        found = Counter(self.per_part)
        found.update({purpose: neurons * each for purpose, each in self.per_neuron.items()})
        return found


@dataclass(frozen=True)
class Part:
    """Neurons ``first`` to ``last - 1`` of a layer, held by one PE (counted from 0)."""

    layer: str
    pe: int
    first: int
    last: int

    @property
    def neurons(self) -> int:
        """How many neurons the part has."""
        return self.last - self.first


@dataclass(frozen=True)
class Core:
    """One PE in use. Bytes by purpose; packets sent and cycles of one step, worst case."""

    pe: int
    parts: tuple[Part, ...]
    purposes: Mapping[str, int]
    packets: float
    cycles: float

    @property
    def bytes(self) -> int:
        """All of its data memory in use."""
        return sum(self.purposes.values())


@dataclass(frozen=True)
class Placement:
    """Where every neuron is. pes: processing elements given, of which some may be empty; parts: in
    order of layers and neurons; dt_s: length of a time step in seconds; violations: what does not
    fit, empty if all does."""

    spec: TargetSpec
    pes: int
    demands: tuple[Demand, ...]
    parts: tuple[Part, ...]
    dt_s: float
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.violations

    @property
    def limit(self) -> int:
        """Bytes of data memory of one PE, stack and heap included."""
        return self.spec.integer("pe_data_bytes")

    @cached_property
    def cores(self) -> tuple[Core, ...]:
        """The PEs in use, by number."""
        held: dict[int, list[Part]] = {}
        for part in self.parts:
            held.setdefault(part.pe, []).append(part)
        return tuple(self._core(pe, held[pe]) for pe in sorted(held))

    def _core(self, pe: int, parts: Sequence[Part]) -> Core:
        demands = {demand.layer: demand for demand in self.demands}
        purposes: Counter[str] = Counter({STACK: self.spec.integer("pe_stack_heap_bytes")})
        packets, cycles = 0.0, self.spec.number("cycles_per_step")
        for part in parts:
            demand = demands[part.layer]
            purposes.update(demand.purposes(part.neurons))
            packets += demand.packets_per_neuron * part.neurons
            cycles += demand.cycles_per_part + demand.cycles_per_neuron * part.neurons
        return Core(pe, tuple(parts), purposes, packets, cycles)

    def bytes_of(self, pe: int) -> dict[str, int]:
        """Bytes of a PE by purpose; empty where it holds nothing."""
        return next((dict(core.purposes) for core in self.cores if core.pe == pe), {})

    @property
    def totals(self) -> dict[str, int]:
        """Bytes of all PEs by purpose."""
        total: Counter[str] = Counter()
        for core in self.cores:
            total.update(core.purposes)
        return dict(total)

    @property
    def total_bytes(self) -> int:
        """Bytes of all PEs."""
        return sum(core.bytes for core in self.cores)

    @property
    def packets(self) -> float:
        """Packets that all PEs send in one step, every neuron sending."""
        return sum(core.packets for core in self.cores)

    @property
    def router_entries(self) -> int:
        """Entries of the multicast router: one for each part that sends (its keys follow each other
        in a block that one mask covers), whatever the number of PEs that listen."""
        senders = {d.layer for d in self.demands if d.packets_per_neuron > 0}
        return sum(part.layer in senders for part in self.parts)

    @property
    def cycles(self) -> float:
        """Cycles of one step on the busiest PE, worst case."""
        return max(core.cycles for core in self.cores)

    def step_s(self, clock_hz: float) -> float:
        """Seconds that the busiest PE needs for one step, worst case."""
        return self.cycles / clock_hz

    def holds(self, clock_hz: float) -> bool:
        """Whether a step is done within ``dt_s``, worst case."""
        return self.step_s(clock_hz) <= self.dt_s

    @property
    def utilization(self) -> dict[str, tuple[int, int]]:
        """Resource -> (used, limit)."""
        return {
            "PEs": (len(self.cores), self.spec.integer("pes_usable")),
            "data bytes of the fullest PE": (max(core.bytes for core in self.cores), self.limit),
            "router entries": (self.router_entries, self.spec.integer("router_entries")),
        }


def place_demands(
    demands: Sequence[Demand],
    spec: TargetSpec,
    pes: int | None = None,
    *,
    dt_s: float = 1e-3,
    balance: bool = False,
) -> Placement:
    """Give every neuron a PE.

    pes: how many PEs may be used; None: the fewest that fit, be they more than the chip has.
    Layers with ``spread`` are divided over all of them, the first PEs taking what is left over. The
    others follow each other from the emptiest PE on, each PE filled to its limit, or with
    ``balance`` so far that the fullest of all PEs holds as little as can be.

    What does not fit is placed all the same, the excess shared out, and is named in
    ``Placement.violations``. Raises TargetError where demands or pes make no sense.
    """
    _check(demands, pes)
    room = spec.integer("pe_data_bytes") - spec.integer("pe_stack_heap_bytes")
    fewest = split.fewest(demands, room)
    given = pes if pes is not None else fewest or spec.integer("pes_usable")
    parts = [
        Part(demands[k].layer, pe, first, last)
        for k, pe, first, last in split.split(demands, given, room, balance)
    ]
    placed = Placement(spec, given, tuple(demands), tuple(parts), dt_s, ())
    return Placement(spec, given, tuple(demands), tuple(parts), dt_s, _violations(placed, fewest))


def _check(demands: Sequence[Demand], pes: int | None) -> None:
    if pes is not None and (isinstance(pes, bool) or pes != int(pes) or pes < 1):
        raise TargetError(f"{pes!r} PEs hold nothing; give a whole number from 1")
    if not demands:
        raise TargetError("there is nothing to place; give at least one layer")
    names = [demand.layer for demand in demands]
    for demand in demands:
        if names.count(demand.layer) > 1:
            raise TargetError(f"layer {demand.layer!r} is there twice; give each its own name")
        if demand.neurons < 1:
            raise TargetError(f"layer {demand.layer!r} has no neurons; leave it out")
        numbers = [*demand.per_neuron.values(), *demand.per_part.values()]
        numbers += [demand.cycles_per_neuron, demand.cycles_per_part, demand.packets_per_neuron]
        if min(numbers) < 0:
            raise TargetError(f"layer {demand.layer!r} demands {min(numbers)}; give 0 or more")


def _violations(placed: Placement, fewest: int | None) -> tuple[Violation, ...]:
    rules: tuple[Callable[[Placement, int | None], list[Violation]], ...] = (
        _too_large_neurons,
        _too_full,
        _too_many_pes,
        _too_many_entries,
    )
    return tuple(violation for rule in rules for violation in rule(placed, fewest))


def _largest(purposes: Mapping[str, int]) -> str:
    """The purposes that take most, in words."""
    rows = sorted(purposes.items(), key=lambda row: -row[1])
    return ", ".join(f"{purpose} {count:,}" for purpose, count in rows[:3] if count)


def _too_large_neurons(placed: Placement, _: int | None) -> list[Violation]:
    """A layer of which a PE cannot hold a single neuron."""
    room = placed.limit - placed.spec.integer("pe_stack_heap_bytes")
    return [
        Violation(
            "neuron memory",
            demand.layer,
            f"one neuron of {demand.layer!r} needs {demand.bytes(1):,} bytes, "
            f"{demand.bytes(1) - room:,} over ({_largest(demand.purposes(1))})",
            f"{room:,} bytes of a PE besides stack and heap",
            "give its neurons fewer inputs, or shorter delays",
        )
        for demand in placed.demands
        if demand.bytes(1) > room
    ]


def _too_full(placed: Placement, fewest: int | None) -> list[Violation]:
    """PEs above the limit; for each layer that takes most of one, the fullest."""
    demands = {demand.layer: demand for demand in placed.demands}
    worst: dict[str, Core] = {}
    count: Counter[str] = Counter()
    for core in placed.cores:
        if core.bytes > placed.limit:
            heaviest = max(core.parts, key=lambda part: demands[part.layer].bytes(part.neurons))
            count[heaviest.layer] += 1
            if core.bytes > worst.get(heaviest.layer, core).bytes or heaviest.layer not in worst:
                worst[heaviest.layer] = core
    more = f"give at least {fewest} PEs" if fewest and fewest > placed.pes else "make it smaller"
    return [
        Violation(
            "PE memory",
            layer,
            f"PE {core.pe} needs {core.bytes:,} bytes, {core.bytes - placed.limit:,} over, most of "
            f"them for {layer!r} ({_largest(core.purposes)}); PEs so: {count[layer]}",
            f"{placed.limit:,} bytes of data memory",
            more,
        )
        for layer, core in worst.items()
    ]


def _too_many_pes(placed: Placement, _: int | None) -> list[Violation]:
    usable = placed.spec.integer("pes_usable")
    used = len(placed.cores)
    if used <= usable:
        return []
    sizes = {d.layer: d.bytes(d.neurons) for d in placed.demands}
    layer = max(sizes, key=lambda name: sizes[name])
    over = sum(core.bytes for core in placed.cores if core.pe >= usable)
    return [
        Violation(
            "PEs",
            layer,
            f"{used:,} PEs, {used - usable:,} over ({over:,} bytes); the largest layer "
            f"{layer!r} takes {sizes[layer]:,} bytes",
            f"{usable} PEs of the chip",
            f"make {layer!r} smaller by what is over, or use more chips",
        )
    ]


def _too_many_entries(placed: Placement, _: int | None) -> list[Violation]:
    used, limit = placed.utilization["router entries"]
    if used <= limit:
        return []
    layer = Counter(part.layer for part in placed.parts).most_common(1)[0][0]
    what = f"{used:,} parts that send, {used - limit:,} over"
    hint = f"give fewer PEs, or make {layer!r} smaller, which is in most parts"
    return [Violation("router entries", layer, what, f"{limit:,} multicast entries", hint)]
