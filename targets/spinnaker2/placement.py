"""Which processing element (PE) holds which neurons, and what that takes of it.

A layer says what one of its neurons and one of its parts demand; ``place_demands`` splits layers
into parts of consecutive neurons and gives each a PE. All that arrives at a neuron is held where
the neuron is (placement by post-synaptic neuron), so packets alone cross between PEs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from snn2hw.errors import TargetError
from snn2hw.neurons.base import FloatArray
from snn2hw.passes.check import Violation
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2 import limits, split

STACK = "stack and heap"
"""Purpose of the bytes that every PE in use gives away, whatever it holds."""

WORST, MEASURED = "worst case", "measured"
"""The two cases of traffic and timing: every neuron sends at every step, or as in a run."""


@dataclass(frozen=True)
class Demand:
    """What a layer takes. Bytes by purpose; cycles and packets in one step, worst case.

    neurons: how many the layer has; per_neuron, per_part: bytes for each neuron held, and once on
    every PE that holds some of the layer; packets_per_neuron: sent; spread: over all PEs evenly,
    or else on as few as it fits, the emptiest PE first; per_block: bytes for each block of
    ``block`` consecutive neurons (a feature map) of which the PE holds some.
    """

    layer: str
    neurons: int
    per_neuron: Mapping[str, int]
    per_part: Mapping[str, int]
    cycles_per_neuron: float
    cycles_per_part: float
    packets_per_neuron: float
    spread: bool
    block: int = 1
    per_block: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def _sums(self) -> tuple[int, int, int]:
        neuron, part, block = self.per_neuron, self.per_part, self.per_block
        return sum(neuron.values()), sum(part.values()), sum(block.values())

    def blocks(self, first: int, last: int) -> int:
        """How many blocks the neurons ``first`` to ``last - 1`` touch."""
        return (last - 1) // self.block - first // self.block + 1

    def bytes(self, first: int, last: int) -> int:
        """Bytes of a part of the neurons ``first`` to ``last - 1``; 0 without any."""
        if last <= first:
            return 0
        neuron, part, block = self._sums
        return part + (last - first) * neuron + self.blocks(first, last) * block

    def purposes(self, first: int, last: int) -> Counter[str]:
        """Those bytes by purpose."""
        found = Counter(self.per_part)
        found.update({what: (last - first) * each for what, each in self.per_neuron.items()})
        found.update({what: self.blocks(first, last) * b for what, b in self.per_block.items()})
        return found


@dataclass(frozen=True)
class Load:
    """What a layer did in a run: its demand's three rates, averaged over the steps of each sample;
    float64 (batch,)."""

    cycles_per_neuron: FloatArray
    cycles_per_part: FloatArray
    packets_per_neuron: FloatArray


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
    """One PE in use. purposes: bytes by purpose; packets sent and cycles in one step, by case:
    ``WORST``, and ``MEASURED`` (the busiest sample's average) where a run was given."""

    pe: int
    parts: tuple[Part, ...]
    purposes: Mapping[str, int]
    packets: Mapping[str, float]
    cycles: Mapping[str, float]

    @property
    def bytes(self) -> int:
        """All of its data memory in use."""
        return sum(self.purposes.values())


@dataclass(frozen=True)
class Timing:
    """Whether a step is done in time on the busiest PE, at one clock."""

    case: str
    clock_hz: float
    cycles: float
    dt_s: float

    @property
    def step_s(self) -> float:
        """Seconds that a step takes."""
        return self.cycles / self.clock_hz

    @property
    def holds(self) -> bool:
        """Whether that is within the time step."""
        return self.step_s <= self.dt_s


@dataclass(frozen=True)
class Placement:
    """Where every neuron is.

    pes: processing elements given, of which some may be empty; parts: in order of layers and
    neurons; dt_s: length of a time step in seconds; violations: what does not fit, empty if all
    does; entering: packets that come from outside in one step, by input, worst case; loads: what
    the layers did in a run, by layer, where one was given; notes: what to know besides.
    """

    spec: TargetSpec
    pes: int
    demands: tuple[Demand, ...]
    parts: tuple[Part, ...]
    dt_s: float
    violations: tuple[Violation, ...]
    entering: Mapping[str, int] = field(default_factory=dict)
    loads: Mapping[str, Load] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
        demands = {demand.layer: demand for demand in self.demands}
        return tuple(self._core(pe, held[pe], demands) for pe in sorted(held))

    def _core(self, pe: int, parts: Sequence[Part], demands: Mapping[str, Demand]) -> Core:
        purposes: Counter[str] = Counter({STACK: self.spec.integer("pe_stack_heap_bytes")})
        for part in parts:
            purposes.update(demands[part.layer].purposes(part.first, part.last))
        packets, cycles = {}, {}
        rates: Mapping[str, Demand | Load]
        for case, rates in ((WORST, demands), (MEASURED, self.loads)):
            if rates:
                sent = sum(rates[p.layer].packets_per_neuron * p.neurons for p in parts)
                busy = sum(
                    rates[p.layer].cycles_per_part + rates[p.layer].cycles_per_neuron * p.neurons
                    for p in parts
                )
                packets[case] = float(np.max(sent))
                cycles[case] = float(np.max(busy)) + self.spec.number("cycles_per_step")
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
        """Packets that all PEs send in one step, worst case; ``entering`` not included."""
        return sum(core.packets[WORST] for core in self.cores)

    @property
    def measured_packets(self) -> float | None:
        """Packets that all PEs send in one step, averaged over a run; None without one."""
        if not self.loads:
            return None
        sent = (self.loads[p.layer].packets_per_neuron.mean() * p.neurons for p in self.parts)
        return float(sum(sent))

    @property
    def router_entries(self) -> int:
        """Entries of the multicast router: one for each input and each part that sends (its keys
        follow each other in a block that one mask covers), whatever number of PEs listens."""
        senders = {d.layer for d in self.demands if d.packets_per_neuron > 0}
        return len(self.entering) + sum(part.layer in senders for part in self.parts)

    @property
    def timing(self) -> tuple[Timing, ...]:
        """The busiest PE's step by case and clock; nothing is violated where one does not hold: the
        chip's step can be made longer."""
        clocks = [self.spec.number(f"clock_{level}_hz") for level in ("low", "high")]
        return tuple(
            Timing(case, clock, max(core.cycles[case] for core in self.cores), self.dt_s)
            for case in self.cores[0].cycles
            for clock in clocks
        )

    def step_s(self, clock_hz: float, case: str = WORST) -> float:
        """Seconds that the busiest PE needs for one step."""
        return max(core.cycles[case] for core in self.cores) / clock_hz

    def holds(self, clock_hz: float, case: str = WORST) -> bool:
        """Whether a step is done within ``dt_s``."""
        return self.step_s(clock_hz, case) <= self.dt_s

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
    entering: Mapping[str, int] | None = None,
    loads: Mapping[str, Load] | None = None,
) -> Placement:
    """Give every neuron a PE.

    pes: how many PEs may be used; None: the fewest that fit, be they more than the chip has.
    Layers with ``spread`` are divided over all of them, the first PEs taking what is left over. The
    others follow each other from the emptiest PE on, each PE filled to its limit, or with
    ``balance`` so far that the fullest of all PEs holds as little as can be; more PEs then never
    mean more bytes on the fullest. entering, loads: see ``Placement``.

    What does not fit is placed all the same, the excess shared out, and is named in
    ``Placement.violations``. Raises TargetError where demands or pes make no sense.
    """
    _check(demands, pes)
    room = spec.integer("pe_data_bytes") - spec.integer("pe_stack_heap_bytes")
    fewest = split.fewest(demands, room)
    given = pes if pes is not None else fewest or spec.integer("pes_usable")
    # No PE beyond the number of neurons holds anything.
    useful = min(given, sum(demand.neurons for demand in demands))
    parts = tuple(
        Part(demands[k].layer, pe, first, last)
        for k, pe, first, last in split.split(demands, useful, room, balance)
    )
    entering, loads = dict(entering or {}), dict(loads or {})
    placed = Placement(spec, given, tuple(demands), parts, dt_s, (), entering, loads)
    return replace(placed, violations=limits.violations(placed, fewest))


def _check(demands: Sequence[Demand], pes: int | None) -> None:
    if pes is not None and (isinstance(pes, bool) or pes != int(pes) or pes < 1):
        raise TargetError(f"{pes!r} PEs hold nothing; give a whole number from 1")
    if not demands:
        raise TargetError("there is nothing to place; give at least one layer")
    times = Counter(demand.layer for demand in demands)
    for demand in demands:
        if times[demand.layer] > 1:
            raise TargetError(f"layer {demand.layer!r} is there twice; give each its own name")
        if demand.neurons < 1:
            raise TargetError(f"layer {demand.layer!r} has no neurons; leave it out")
        if demand.block < 1:
            raise TargetError(
                f"layer {demand.layer!r} has blocks of {demand.block}; give 1 or more"
            )
        each = demand.per_neuron, demand.per_part, demand.per_block
        numbers: list[float] = [number for purposes in each for number in purposes.values()]
        numbers += [demand.cycles_per_neuron, demand.cycles_per_part, demand.packets_per_neuron]
        if min(numbers) < 0:
            raise TargetError(f"layer {demand.layer!r} demands {min(numbers)}; give 0 or more")
