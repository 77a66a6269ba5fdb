"""The search for widths: what it looks at, what it keeps, that it goes on after a kill."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snn2hw
from snn2hw.analysis import search_widths as module
from snn2hw.analysis.search_widths import prepare
from snn2hw.analysis.width_nets import Assembler, weight_bytes
from snn2hw.analysis.widths import Judge, Point, Search, front
from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import with_weight
from snn2hw.passes.config import QuantizeConfig, WeightConfig

DT, CHANNELS, HIDDEN, CLASSES = 1e-3, 7, 9, 3
BASE = QuantizeConfig(search=False)


def graph(graded: bool = False) -> nir.NIRGraph:
    """Two layers with weights; where graded, the first sends its potential."""
    rng = np.random.default_rng(4)
    some = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0}
    full = {key: np.full(HIDDEN, value) for key, value in some.items()}
    middle = nir.LI(**full) if graded else nir.LIF(**full, v_threshold=np.full(HIDDEN, 0.1))
    nodes = {
        "input": nir.Input({"input": np.array([CHANNELS])}),
        "fc": nir.Linear(rng.normal(0, 0.6, (HIDDEN, CHANNELS))),
        "middle": middle,
        "out": nir.Affine(rng.normal(0, 1, (CLASSES, HIDDEN)), rng.normal(0, 0.1, CLASSES)),
        "output": nir.Output({"output": np.array([CLASSES])}),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def data(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((16, 20, CHANNELS)) < 0.3).astype(np.uint8)


LABELS = np.arange(16) % CLASSES


def direct(bits: Mapping[str, int], graded: bool = False) -> FixedPointNetwork:
    """Quantised as a user would, by a configuration."""
    groups = {"input->middle": "middle", "middle->out": "out"}
    config = QuantizeConfig(
        search=False,
        synapses={name: WeightConfig(bits=bits[layer]) for name, layer in groups.items()},
    )
    return snn2hw.quantize(graph(graded), dt=DT, calibration=data(), config=config)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("widths", [(8, 2), (3, 7), (4, 4)])
def test_networks_are_those_of_the_quantiser(widths: tuple[int, int], graded: bool) -> None:
    search = prepare(graph(graded), data(), data(1), config=BASE)
    assert search.assembler.layers == ("middle", "out")
    got = search.assembler.network(widths)
    want = direct(search.assembler.bits(widths), graded)
    for a, b in zip(got.synapses, want.synapses, strict=True):
        assert (a.name, a.exponent, a.chip_delay) == (b.name, b.exponent, b.chip_delay)
        np.testing.assert_array_equal(a.mantissa, b.mantissa)
        assert np.abs(a.mantissa).max() == 2 ** (search.assembler.bits(widths)[a.target] - 1) - 1
    for c, d in zip(got.layers, want.layers, strict=True):
        assert (c.name, c.offset) == (d.name, d.offset)
        for name, values in c.params.items():
            np.testing.assert_array_equal(values, d.params[name])
    np.testing.assert_array_equal(got.run(data(1)).output, want.run(data(1)).output)


def test_few_layers_are_searched_exhaustively() -> None:
    search = snn2hw.search_widths(graph(), data(), data(1), LABELS, dt=DT, config=BASE, bits=(2, 4))
    assert search.strategy == "exhaustive"
    seen = [(p.bits["middle"], p.bits["out"]) for p in search.points]
    assert sorted(seen) == sorted(itertools.product((2, 3, 4), repeat=2))
    for point in search.points:
        run = direct(point.bits).run(data(1))
        assert point.score == np.mean(run.predictions == LABELS)
        bits = point.bits
        weights = (HIDDEN * CHANNELS * bits["middle"], CLASSES * HIDDEN * bits["out"])
        assert point.memory_bytes == sum(int(np.ceil(n / 8)) for n in weights)


def test_without_labels_answers_are_those_of_the_floats() -> None:
    search = snn2hw.search_widths(graph(), data(), data(1), dt=DT, config=BASE, bits=(8, 8))
    floats = snn2hw.execute(snn2hw.lower(graph(), DT), data(1)).output.mean(axis=1)
    run = direct({"middle": 8, "out": 8}).run(data(1))
    (point,) = search.points
    assert search.judge.float_score == 1.0
    assert search.score == "answers as in floats"
    assert point.score == np.mean(run.predictions == floats.argmax(axis=1))
    assert point.error == pytest.approx(
        np.linalg.norm(run.logits - floats) / np.linalg.norm(floats)
    )


class Invented(Judge):
    """Scores that follow a formula: layer a bears any width, b none below 5, c none at all."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 1, 1)), np.ones((1, 2)), None)

    def point(self, net: object, bits: Mapping[str, int]) -> Point:
        lost = 0.1 * max(0, 5 - bits["b"]) + 0.2 * (8 - bits["c"])
        return Point(dict(bits), 1 - lost / 2, lost, sum(bits.values()), 1.0)


class Nothing(Assembler):
    """Makes no networks."""

    def network(self, widths: tuple[int, ...]) -> FixedPointNetwork:
        return None  # type: ignore[return-value]


def test_greedy_narrows_what_costs_least() -> None:
    search = Search(Nothing(lambda bits: direct(bits), ("a", "b", "c")), Invented(),
                    strategy="greedy")  # fmt: skip
    newest: list[int] = []
    found = search.run(lambda known, most, point: newest.append(known))
    lossless = [p for p in found if p.score == 1.0]
    assert [p.bits for p in lossless] == [{"a": 2, "b": 5, "c": 8}]
    assert search.smallest(0.0).bits == {"a": 2, "b": 5, "c": 8}
    assert search.smallest(0.051).bits == {"a": 2, "b": 4, "c": 8}
    assert len(search.known) <= search.most < 8**3
    assert newest == sorted(newest)
    assert {(k, k, k) for k in range(2, 9)} <= set(search.known)


points = st.builds(
    Point,
    bits=st.just({}),
    score=st.sampled_from([0.1, 0.5, 0.9]),
    error=st.just(0.0),
    memory_bytes=st.integers(1, 4),
    energy_j=st.sampled_from([1.0, 2.0, 3.0]),
)


@given(st.lists(points, min_size=1, max_size=12))
def test_front_holds_what_nothing_beats(found: list[Point]) -> None:
    kept = front(found)

    def beats(a: Point, b: Point) -> bool:
        costs_a = (-a.score, a.memory_bytes, a.energy_j)
        costs_b = (-b.score, b.memory_bytes, b.energy_j)
        return costs_a != costs_b and all(x <= y for x, y in zip(costs_a, costs_b, strict=True))

    keys = [(p.score, p.memory_bytes, p.energy_j) for p in kept]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {
        (p.score, p.memory_bytes, p.energy_j) for p in found if not any(beats(q, p) for q in found)
    }
    assert [p.memory_bytes for p in kept] == sorted(p.memory_bytes for p in kept)


class KilledError(Exception):
    """Ends a search in its middle."""


def test_a_killed_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"dt": DT, "config": BASE, "bits": (2, 4)}

    def kill(known: int, most: int, point: Point) -> None:
        if known == 5:
            raise KilledError

    whole, broken = tmp_path / "whole.json", tmp_path / "broken.json"
    snn2hw.search_widths(graph(), data(), data(1), LABELS, path=whole, **options)
    with pytest.raises(KilledError):
        snn2hw.search_widths(
            graph(), data(), data(1), LABELS, path=broken, progress=kill, **options
        )
    found = json.loads(broken.read_text())
    assert (found["complete"], len(found["points"])) == (False, 5)
    runs: list[object] = []
    judge = module.Judge.point
    monkeypatch.setattr(
        module.Judge, "point", lambda self, net, bits: runs.append(bits) or judge(self, net, bits)
    )
    snn2hw.search_widths(graph(), data(), data(1), LABELS, path=broken, **options)
    assert len(runs) == 9 - 5
    assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("change", ["validation", "bits", "model"])
def test_a_file_of_another_search_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "widths.json"
    snn2hw.search_widths(graph(), data(), data(1), dt=DT, config=BASE, bits=(8, 8), path=path)
    before = path.read_bytes()
    changed = {
        "validation": (graph(), data(2), (8, 8), "identity"),
        "bits": (graph(), data(1), (7, 8), "widths"),
        "model": (graph(graded=True), data(1), (8, 8), "identity"),
    }
    model, x, bits, what = changed[change]
    with pytest.raises(DataError, match=f"holds a search that differs in {what}"):
        snn2hw.search_widths(model, data(), x, dt=DT, config=BASE, bits=bits, path=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "snn2hw-widths", "version": 1}', "\x00", '{"points": []}',
             '{"format": "snn2hw-widths", "version": 1, "points": [{"bits": 3}]}']
)  # fmt: skip
def test_a_foreign_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "widths.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=r"widths.json is no search of 'snn2hw widths'"):
        snn2hw.search_widths(graph(), data(), data(1), dt=DT, config=BASE, path=path)
    assert path.read_text() == text


@pytest.mark.parametrize("bits", [(1, 8), (2, 9), (5, 4)])
def test_impossible_widths_are_refused(bits: tuple[int, int]) -> None:
    with pytest.raises(ParameterError, match=r"widths \d to \d are impossible; give 2 to 8"):
        prepare(graph(), data(), data(1), config=BASE, bits=bits)


def test_narrow_weights_take_less_memory_and_fewer_reads() -> None:
    costs, nets = {}, {}
    activity = direct({"middle": 8, "out": 8}).run(data(1)).activity
    for width in (8, 4, 2):
        nets[width] = direct({"middle": width, "out": width})
        assert [group.bits for group in nets[width].synapses] == [width] * 2
        counted = nets[width].run(data(1)).activity.synapses
        assert [group.weight_bits for group in counted] == [width] * 2
        groups = tuple(replace(group, weight_bits=width) for group in activity.synapses)
        bill = snn2hw.estimate(replace(activity, synapses=groups), profile="cmos45-horowitz2014")
        costs[width] = {i.what: i.count for i in bill.items if i.layer == "middle"}
    spikes = activity.into("middle")[0].messages_in.mean()
    # Nine weights a spike: two accesses of 64 bits at eight bits a weight, one at four.
    assert costs[8]["weight reads"] == pytest.approx(2 * spikes)
    assert costs[4]["weight reads"] == pytest.approx(spikes)
    others = [{k: v for k, v in c.items() if k != "weight reads"} for c in costs.values()]
    assert others[0] == others[1] == others[2]
    assert weight_bytes(direct({"middle": 3, "out": 8})) == int(np.ceil(63 * 3 / 8)) + 27


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([0, 0], 2),
        ([1, -1], 2),
        ([-2, 1], 2),
        ([3, 0], 3),
        ([-4, 3], 3),
        ([7, -8], 4),
        ([127, 0], 8),
        ([-128, 0], 8),
        ([63, -64], 7),
    ],
)
def test_a_group_takes_the_bits_of_its_largest_mantissa(values: list[int], bits: int) -> None:
    group = direct({"middle": 8, "out": 8}).synapses[0]
    weight = np.resize(np.array(values, dtype=np.int8), group.map.weight.shape)
    assert replace(group, map=with_weight(group.map, weight)).bits == bits
