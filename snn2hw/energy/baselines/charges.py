"""Operations and memory accesses of an int8 network, under the rules that the spiking one obeys.

Prices, word widths and what an access moves are those of ``snn2hw.energy.logic``. Two circuits:

- **dense**: row by row, with the accumulators of eight rows in registers, or of a row at eight
  positions of a convolution. Each weight is read once a step (for eight positions); each group of
  eight activations once for eight rows; nothing is skipped.
- **sparse**: the circuit of the spiking network. Each activation that is not zero fetches the
  column of its weights and adds to accumulators in memory. Zeros cost nothing.

Registers are free in both, as they are for the spiking network: the table does not price them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from snn2hw.energy.baselines.cells import TABLE_BYTES
from snn2hw.energy.baselines.networks import Baseline, Part
from snn2hw.energy.bill import Bill, Charge, price_charges
from snn2hw.energy.logic import WEIGHTS_PER_ACCESS, WORD_BYTES, WORDS_PER_ACCESS
from snn2hw.energy.profile import Profile, load_profile
from snn2hw.errors import ProfileError

PROFILE = "cmos45-horowitz2014"
BLOCK_ROWS = 8
"""Rows, or positions, whose accumulators the dense circuit keeps in registers."""

_TERMS = {
    "adds": "add",
    "multiplies": "multiply_32",
    "shifts": "shift",
    "compares": "compare",
    "selects": "select",
    "logic": "logic",
}


def estimate_baseline(
    baseline: Baseline, profile: str | Path | Profile = PROFILE, *, sparse: bool = False
) -> Bill:
    """What one inference costs. sparse: activations of zero are skipped.

    Raises ProfileError for a profile that does not price operations: a chip for spikes has no price
    for a GRU.
    """
    prices = profile if isinstance(profile, Profile) else load_profile(profile)
    if prices.account != "operations":
        raise ProfileError(
            f"{prices.name} prices {prices.account}, which a network without spikes has none of; "
            f"use a profile of operations such as {PROFILE}"
        )
    return Bill(
        profile=prices,
        samples=1,
        steps=baseline.steps,
        layers=tuple(part.name for part in baseline.parts),
        items=price_charges(charges(baseline, sparse=sparse), prices),
    )


def charges(baseline: Baseline, *, sparse: bool) -> Iterator[Charge]:
    """What one inference does."""
    for part in baseline.parts:
        yield from (_sparse if sparse else _dense)(part, baseline.steps)
        yield from _units(part, baseline.steps)


def _dense(part: Part, steps: int) -> Iterator[Charge]:
    macs = steps * part.macs
    yield Charge(part.name, "synapses", "products", "multiply_8", macs)
    yield Charge(part.name, "synapses", "accumulates", "add", macs)
    groups = math.ceil(part.columns / WEIGHTS_PER_ACCESS)
    blocks = math.ceil(part.rows / BLOCK_ROWS) * part.positions
    sweeps = part.rows * math.ceil(part.positions / BLOCK_ROWS)
    yield _memory(part, "weight reads", steps * sweeps * groups, part.weights)
    yield _memory(part, "activation reads", steps * blocks * groups, part.inputs)
    written = steps * math.ceil(part.neurons / WEIGHTS_PER_ACCESS)
    yield _memory(part, "activation writes", written, part.neurons)
    if part.cell.rereads:
        yield _memory(part, "activation reads", written, part.neurons)


def _sparse(part: Part, steps: int) -> Iterator[Charge]:
    capacity = WORD_BYTES * part.neurons * part.cell.sums
    column = part.macs / part.inputs
    for signal in part.signals:
        fetched = steps * signal.channels * signal.density
        if not signal.binary:
            yield Charge(part.name, "synapses", "products", "multiply_8", fetched * column)
        yield Charge(part.name, "synapses", "accumulates", "add", fetched * column)
        reads = fetched * math.ceil(column / WEIGHTS_PER_ACCESS)
        kept = part.weights * signal.channels / part.inputs
        yield _memory(part, "weight reads", reads, kept)
        accumulated = 2 * fetched * math.ceil(column / WORDS_PER_ACCESS)
        yield _memory(part, "accumulator reads and writes", accumulated, capacity)
        queue = WORD_BYTES * signal.channels
        yield _memory(part, "message queue reads and writes", fetched, queue)
    swept = 2 * steps * math.ceil(part.neurons * part.cell.sums / WORDS_PER_ACCESS)
    yield _memory(part, "accumulator reads and writes", swept, capacity)
    sent = steps * part.neurons * (part.density + part.cell.rereads)
    yield _memory(part, "message queue reads and writes", sent, WORD_BYTES * part.neurons)


def _units(part: Part, steps: int) -> Iterator[Charge]:
    """What the units of a layer do in either circuit. A convolution's parameters are shared, and
    read for each of its positions."""
    cell, updates = part.cell, steps * part.neurons
    for kind, term in _TERMS.items():
        done = updates * cell.operations[kind]
        yield Charge(part.name, "neurons", f"unit steps: {kind}", term, done)
    looked_up = updates * cell.operations["lookups"]
    yield _memory(part, "table look-ups", looked_up, TABLE_BYTES * cell.tables)
    for what, words, directions in (
        ("state reads and writes", cell.states, 2),
        ("parameter reads", cell.parameters, 1),
    ):
        accesses = directions * steps * math.ceil(part.neurons * words / WORDS_PER_ACCESS)
        yield _memory(part, what, accesses, WORD_BYTES * part.units * words)


def _memory(part: Part, what: str, accesses: float, capacity_bytes: float) -> Charge:
    return Charge(part.name, "memory", what, "sram_access", accesses, capacity_bytes)
