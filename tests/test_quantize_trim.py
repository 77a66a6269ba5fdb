"""Trimming of thresholds: obeyed, refused, chosen where it pays on samples that chose nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from test_passes import gpn_graph, lif_graph, spikes

import snn2hw
from snn2hw.errors import ParameterError
from snn2hw.graph import Population, Projection
from snn2hw.linear import Dense
from snn2hw.neurons import MODELS
from snn2hw.neurons.base import Incoming, Ranges
from snn2hw.passes import quantize_graph_by
from snn2hw.passes.config import LayerConfig, QuantizeConfig, WeightConfig
from snn2hw.passes.search_evidence import emitted
from snn2hw.passes.search_trim import best_trim


def made(graph, layer: str, trim: object):
    config = QuantizeConfig(layers={layer: LayerConfig(trim=trim)})
    return snn2hw.quantize(graph, calibration=spikes(), config=config).layer(layer)


@pytest.mark.parametrize(
    ("make", "layer", "param"), [(lif_graph, "lif", "threshold"), (gpn_graph, "gpn", "x_bias")]
)
def test_what_a_plan_adds_is_added(make, layer: str, param: str) -> None:
    graph = make()
    plain = made(graph, layer, 0)
    moves = np.arange(plain.n) - 1
    for trim, added in ((7, 7), (tuple(moves.tolist()), moves)):
        moved = made(graph, layer, trim)
        np.testing.assert_array_equal(moved.params[param], plain.params[param] + added)
        for name, values in plain.params.items():
            assert name == param or np.array_equal(values, moved.params[name])
    limit = next(p for p in plain.model.params if p.name == param)
    most = (1 << 23) - 1
    wanted = np.minimum(plain.params[param].astype(int) + most, limit.high)
    np.testing.assert_array_equal(made(graph, layer, most).params[param], wanted)


@pytest.mark.parametrize(
    ("layer", "trim", "message"),
    [
        ("lif", (1, 2), "layer 'lif': trim has 2 values and the layer"),
        ("lif", 1 << 23, r"layer 'lif': trim is 8388608 and registers move by"),
        ("lif", (1, None), "layer 'lif': trim holds None; give integers"),
        ("lif", 0.5, "layer 'lif': trim is 0.5 and registers move by"),
        ("out", 3, "layer 'out': trim moves a threshold and the neuron 'readout' has none"),
    ],
)
def test_what_cannot_be_is_refused(layer: str, trim: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        made(lif_graph(), layer, trim)


def layer_and_evidence(samples: int, damage: np.ndarray):
    """A LIF layer at 8 bits whose thresholds are off by factors, with what floats emit."""
    rng = np.random.default_rng(4)
    n = len(damage)
    params = {
        "decay_u": np.ones(n),
        "decay_v": np.full(n, 0.2),
        "gain": np.ones(n),
        "bias": np.zeros(n),
        "v_threshold": np.full(n, 1.0),
    }
    population = Population("lif", MODELS["lif"], (n,), params)
    weight = rng.normal(0.1, 0.3, (n, 12))
    projection = Projection("in->lif", "in", "s", "lif", ("a",), (Dense(weight),))
    messages = (rng.random((samples, 60, 12)) < 0.3).astype(np.int64)
    ranges = Ranges({name: np.full(n, 8.0) for name in ("u", "v", "h")})
    incoming = Incoming("in->lif", ("a",), weight, 1.0, 1)
    integers = population.model.quantize(params, [incoming], ranges, {})
    wanted = emitted(population, integers, [(projection, messages)])
    off = np.rint(integers.params["threshold"] * damage).astype(np.int32)
    broken = replace(integers, params={**integers.params, "threshold": off})
    emit = partial(emitted, population, arriving=[(projection, messages)])
    return population, integers, broken, emit, wanted


def test_thresholds_that_are_off_are_moved_back_and_others_stay() -> None:
    damage = np.where(np.arange(12) % 3 == 0, 1.04, 1.0)
    population, whole, broken, emit, wanted = layer_and_evidence(60, damage)
    moves = np.array(best_trim(population, broken, emit, wanted))
    assert np.all(moves[damage == 1.0] == 0)
    found = broken.params["threshold"] + moves
    off = np.abs(found / whole.params["threshold"] - 1)
    assert np.all(off < 0.02)
    assert np.all(moves[damage > 1] < 0)


def test_where_nothing_is_off_or_too_little_is_known_nothing_moves() -> None:
    population, whole, broken, emit, wanted = layer_and_evidence(60, np.ones(12))
    assert best_trim(population, whole, emit, wanted) == 0
    population, _, broken, emit, wanted = layer_and_evidence(2, np.full(12, 1.04))
    assert best_trim(population, broken, emit, wanted) == 0


def test_a_search_writes_what_it_trimmed_and_ranges_trim_nothing() -> None:
    x = np.random.default_rng(1).random((40, 30, 8)) < 0.3
    for search in (True, False):
        config = QuantizeConfig(default=WeightConfig(bits=2), search=search)
        done = quantize_graph_by(lif_graph(), calibration=x.astype(int), config=config)
        trims = {name: layer.trim for name, layer in done.config.layers.items()}
        assert None not in trims.values()
        assert search or set(trims.values()) == {0}
        text = " ".join(done.net.notes)
        assert ("neurons trimmed" in text) is search
        plan = QuantizeConfig.from_text(done.config.text())
        again = quantize_graph_by(lif_graph(), calibration=x.astype(int), config=plan)
        assert again.config == done.config
