"""The memory that learning takes, in the table and in the arrays themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from eprop_networks import DT, graph, random_network

from snn2hw.targets.spinnaker2.eprop import Learner, Rule
from snn2hw.targets.spinnaker2.eprop.regions import HIDDEN
from snn2hw.targets.spinnaker2.placement import STACK

PUBLISHED = 680_000
"""Bytes of Rostami et al. 2022 for 25,440 weights (Front. Neurosci. 16:1018006, abstract)."""

RULES = {
    "rostami": Rule.rostami(),
    "bellec": Rule.bellec(),
    "online": Rule.bellec(update="step"),
    "regularised": Rule.rostami(rate_strength=1.0),
    "sgd": Rule.bellec(optimizer="sgd", feedback="adaptive"),
    "s16.15": Rule.rostami(arithmetic="s16.15"),
}


def published_network() -> Any:
    """80 inputs, 120 recurrent ALIF with equal constants, 12 leaky readouts, no biases."""
    drawn = random_network(
        np.random.default_rng(0), "alif", 80, 120, 12, bellec=False, biases=False
    )
    for name, values in drawn.neuron.items():
        values[:] = values[0]
        assert np.ptp(values) == 0, name
    return graph(drawn)


def arrays(thing: Any) -> dict[str, np.ndarray]:
    """Every array that an object holds, by name, those of its dataclasses too."""
    found = {}
    for name, value in vars(thing).items():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                inner = getattr(value, field.name)
                if isinstance(inner, np.ndarray):
                    found[f"{name}.{field.name}"] = inner
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pes", [1, 7, 12, 132])
def test_every_byte_of_a_pe_is_in_the_table_and_the_other_way_round(rule: str, pes: int) -> None:
    learner = Learner(published_network(), RULES[rule], dt=DT, pes=pes)
    memory, placed = learner.memory, learner.placement
    taken = {False: np.zeros(memory.words.size, int), True: np.zeros(memory.ints.size, int)}
    found: dict[int, Counter[str]] = {pe: Counter() for pe in range(pes)}
    for pe in range(pes):
        for region in memory.shape.regions():
            n = int(memory.parts[pe, 1 if region.layer == HIDDEN else 3])
            first, words = int(memory.at[pe, region.place]), region.words(n)
            array = memory.ints if region.integer else memory.words
            assert first + words <= array.size
            taken[region.integer][first : first + words] += 1
            found[pe][region.purpose] += words * array.itemsize
    # No word is in two regions, and what is in none is the gap between two memories.
    for kind, count in taken.items():
        assert count.max() == 1
        assert np.count_nonzero(count == 0) < 16 * pes, kind
    for pe in range(pes):
        said = Counter(placed.bytes_of(pe))
        del said[STACK], said["tables"]
        assert said == +found[pe], pe
    # What else the learner holds is a table, of which each PE has a row.
    others = arrays(learner)
    own = {"memory.words", "memory.ints", "network.gain", "network.leak", "_packets"}
    assert own < set(others)
    tables = sum(array.nbytes for name, array in others.items() if name not in own)
    assert tables <= placed.totals["tables"]


def test_the_published_network_takes_no_more_than_published() -> None:
    learner = Learner(published_network(), Rule.rostami(), dt=DT, pes=12)
    assert sum(w.size for w in learner.weights.values()) == 25_440
    assert learner.placement.ok
    assert learner.placement.total_bytes <= PUBLISHED
    # And it does not grow with what is learned.
    before = {name: array.nbytes for name, array in arrays(learner).items()}
    for steps in (100, 1000):
        learner.learn(np.ones((1, steps, 80), np.float32), [0])
    assert {name: array.nbytes for name, array in arrays(learner).items()} == before


def test_a_network_too_large_for_its_pes_says_by_how_much() -> None:
    learner = Learner(published_network(), Rule.rostami(), dt=DT, pes=1)
    placed = learner.placement
    over = placed.total_bytes - placed.limit
    assert not placed.ok
    assert any(f"{over:,}" in f"{v.used} {v.limit} {v.hint}" for v in placed.violations)
