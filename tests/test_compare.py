"""compare: a damaged layer is found, the first difference is the first, measures by hand."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace

import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.analysis import compare as module
from snn2hw.analysis.measures import Measure
from snn2hw.analysis.results import Comparison
from snn2hw.converters.nodes import GPN
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import with_weight
from snn2hw.neurons import MODELS
from snn2hw.passes import lower

DT, SAMPLES, STEPS, CHANNELS, CLASSES = 1e-3, 24, 30, 12, 4
LAYERS = ("lif", "gpn", "second", "readout")


def graph(seed: int = 0) -> nir.NIRGraph:
    """Three hidden layers of different neurons, one with a recurrence, and a readout."""
    rng = np.random.default_rng(seed)
    lif = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.08}
    n = 20
    nodes = {
        "input": nir.Input({"input": np.array([CHANNELS])}),
        "first": nir.Linear(rng.normal(0, 0.5, (n, CHANNELS))),
        "lif": nir.LIF(**{key: np.full(n, value) for key, value in lif.items()}),
        "loop": nir.Linear(rng.normal(0, 0.05, (n, n))),
        "into": nir.Linear(rng.normal(0, 0.6, (n, n))),
        "gpn": GPN(
            gates_weight=rng.normal(0, 0.15, (4 * n, 2 * n)),
            gates_bias=rng.normal(0, 0.3, 4 * n),
            dt=np.array(DT),
        ),
        "between": nir.Linear(rng.normal(0, 0.6, (n, n))),
        "second": nir.LIF(**{key: np.full(n, value) for key, value in lif.items()}),
        "readout": nir.Affine(rng.normal(0, 1, (CLASSES, n)), rng.normal(0, 0.1, CLASSES)),
        "output": nir.Output({"output": np.array([CLASSES])}),
    }
    path = ["input", "first", "lif", "into", "gpn", "between", "second", "readout", "output"]
    edges = [*itertools.pairwise(path), ("lif", "loop"), ("loop", "lif")]
    return nir.NIRGraph(nodes, edges)


def spikes(seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random((SAMPLES, STEPS, CHANNELS)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def net() -> FixedPointNetwork:
    return snn2hw.quantize(graph(), dt=DT, calibration=spikes())


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """The answers of the floats, but for every fourth."""
    run = snn2hw.execute(lower(graph(), DT), spikes())
    answers = run.output.mean(axis=1).argmax(axis=1)
    answers[::4] = (answers[::4] + 1) % CLASSES
    return answers


@pytest.fixture(scope="module")
def sound(net: FixedPointNetwork, labels: np.ndarray) -> Comparison:
    return snn2hw.compare(graph(), net, spikes(), labels)


def damaged(
    net: FixedPointNetwork, layer: str, harm: Callable[[np.ndarray], np.ndarray]
) -> FixedPointNetwork:
    """The network with the mantissas of every group of synapses into a layer harmed."""
    return replace(
        net,
        synapses=tuple(
            replace(s, map=with_weight(s.map, harm(s.mantissa))) if s.target == layer else s
            for s in net.synapses
        ),
    )


HARMS = {
    "shuffled": lambda w: np.random.default_rng(5).permutation(w.ravel()).reshape(w.shape),
    "moved by a neuron": lambda w: np.roll(w, 1, axis=0),
    "halved": lambda w: (w // 2).astype(np.int8),
}


def test_accuracy_of_floats_is_that_of_the_labels(sound: Comparison) -> None:
    assert sound.floats.accuracy == 0.75
    assert (sound.floats.agreement, sound.floats.error) == (1.0, 0.0)
    assert sound.fixed.agreement > 0.8
    assert 0 < sound.fixed.error < 0.3


@pytest.mark.parametrize("harm", list(HARMS))
@pytest.mark.parametrize("layer", LAYERS)
def test_a_damaged_layer_is_found(
    net: FixedPointNetwork, sound: Comparison, layer: str, harm: str
) -> None:
    found = snn2hw.compare(graph(), damaged(net, layer, HARMS[harm]), spikes())
    assert found.culprit is not None
    assert found.culprit.name == layer
    # Without the damaged layer the network is the sound one without it, to the last bit.
    assert found.layer(layer).without == replace(sound.layer(layer).without, accuracy=None)
    for other in LAYERS:
        if other != layer:
            assert found.layer(other).own == sound.layer(other).own
    assert found.diverged is not None
    assert LAYERS.index(found.diverged.name) <= LAYERS.index(layer)


def test_a_layer_that_was_not_rounded_has_no_error() -> None:
    """Weights that are whole multiples of one number lose nothing; the others' layer is named."""
    rng = np.random.default_rng(3)
    n = 10
    whole = rng.integers(-127, 128, (n, CHANNELS)).astype(float)
    whole[:, 0] = 127
    one = {"r": 1 / DT, "v_threshold": 40.5, "v_reset": 0.0}
    nodes = {
        "input": nir.Input({"input": np.array([CHANNELS])}),
        "fc": nir.Linear(whole),
        "lif": nir.IF(**{key: np.full(n, value) for key, value in one.items()}),
        "out": nir.Linear(rng.normal(0, 1, (3, n))),
        "output": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    exact = nir.NIRGraph(nodes, list(itertools.pairwise(names)))
    net = snn2hw.quantize(exact, dt=DT, calibration=spikes())
    found = snn2hw.compare(exact, net, spikes())
    lif = found.layer("lif")
    assert lif.whole.spikes is not None
    assert (lif.whole.spikes.agreement, lif.whole.first, lif.only.error) == (1.0, None, 0.0)
    assert lif.whole.spikes.floats > 10
    assert found.culprit is not None
    assert found.culprit.name == "out"
    assert found.culprit.without.error == 0.0


def test_the_first_difference_is_the_first(net: FixedPointNetwork) -> None:
    harmed = damaged(net, "gpn", HARMS["shuffled"])
    found = snn2hw.compare(graph(), harmed, spikes())
    floats = snn2hw.execute(lower(graph(), DT), spikes())
    integers = harmed.run(spikes())
    for name in LAYERS[:3]:
        different = floats.spikes[name] != integers.spikes[name]
        at = min((int(t), int(b), int(n)) for b, t, n in np.argwhere(different))
        first = found.layer(name).whole.first
        assert first is not None
        assert (first.step, first.sample, first.neuron) == at
        assert {first.expected, first.got} == {0.0, 1.0}
        counts = [record.spikes[name].sum() / SAMPLES for record in (floats, integers)]
        measured = found.layer(name).whole.spikes
        assert measured is not None
        assert [measured.floats, measured.integers] == pytest.approx(counts)
        assert measured.agreement == pytest.approx(1 - different.mean())
        np.testing.assert_allclose(found.layer(name).by_step, 1 - different.mean(axis=(0, 2)))


def test_signal_to_noise_is_that_of_real_states(net: FixedPointNetwork, sound: Comparison) -> None:
    floats = snn2hw.execute(lower(graph(), DT), spikes(), record=("v",))
    integers = net.run(spikes(), record=("v",))
    for name in LAYERS[:3]:
        want = floats.state[name]["v"]
        noise = integers.state[name]["v"] * net.layer(name).units["v"] - want
        decibels = 10 * np.log10((want**2).sum() / (noise**2).sum())
        found = sound.layer(name).whole.states["v"]
        assert found.snr_db == pytest.approx(decibels)
        assert found.rms == pytest.approx(np.sqrt((noise**2).mean()))
        assert found.largest == pytest.approx(np.abs(noise).max())


def test_chunks_of_samples_change_nothing(
    net: FixedPointNetwork, labels: np.ndarray, sound: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 300_000)
    told: list[tuple[int, int]] = []
    again = module.compare(
        graph(), net, spikes(), labels, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1][1] > 30
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))
    want, got = sound.to_dict(), again.to_dict()
    assert json.dumps(_rounded(want)) == json.dumps(_rounded(got))


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def test_clips_and_limited_inputs_are_told(net: FixedPointNetwork) -> None:
    rng = np.random.default_rng(2)
    real = rng.normal(0, 1, (4, STEPS, CHANNELS))
    small = snn2hw.quantize(graph(), dt=DT, calibration=0.05 * real)
    found = snn2hw.compare(graph(), small, 40 * real)
    run = small.run(small.encode(40 * real))
    assert found.limited == small.limited(40 * real) > 100
    for layer in found.layers:
        overflow = run.overflows[layer.name]
        assert (layer.wraps, layer.clips) == (overflow.wraps, overflow.clips)
    assert sum(layer.clips for layer in found.layers) > 0
    assert found.inputs["input"].error > 0


@pytest.mark.parametrize(
    ("floats", "integers", "agreement", "matched", "error", "bias"),
    [
        ([1, 0, 0, 1], [1, 0, 1, 0], 0.5, 0.5, 0.0, 0.0),
        ([1, 1, 0, 0], [0, 1, 0, 0], 0.75, 2 / 3, 0.5, -0.5),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0, 1.0, 0.0, 0.0),
        ([0, 0, 0, 0], [0, 1, 0, 0], 0.75, 0.0, float("nan"), float("nan")),
    ],
)
def test_spikes_of_one_neuron(
    floats: list[int], integers: list[int], agreement: float, matched: float, error: float,
    bias: float,
) -> None:  # fmt: skip
    measure = Measure(MODELS["threshold"], 0.0)
    a, b = (np.array(values, dtype=float).reshape(1, 4, 1) for values in (floats, integers))
    measure.add({"s": a}, {"s": b})
    found = measure.errors().spikes
    assert found is not None
    got = (found.agreement, found.matched, found.rate_error, found.rate_bias)
    assert got == pytest.approx((agreement, matched, error, bias), nan_ok=True)


def test_a_graded_layer_diverges_where_it_is_visibly_off() -> None:
    measure = Measure(MODELS["readout"], visible=0.1)
    floats = np.zeros((2, 5, 3))
    integers = floats + 0.05
    integers[1, 3, 2] = -0.2
    measure.add({"y": floats}, {"y": integers})
    first = measure.errors().first
    assert first is not None
    assert (first.sample, first.step, first.neuron, first.got) == (1, 3, 2, -0.2)
    assert np.isnan(measure.errors().states["y"].snr_db)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, "graph and network differ in layers, first"),
        ({"synapses": ()}, "graph and network differ in synapses, first"),
    ],
)
def test_another_networks_graph_is_refused(
    net: FixedPointNetwork, change: dict[str, tuple[()]], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        snn2hw.compare(graph(), replace(net, **change), spikes())
    assert "\n" not in str(caught.value)


def test_labels_of_other_samples_are_refused(net: FixedPointNetwork) -> None:
    with pytest.raises(DataError, match=r"labels have shape \(3,\) for 24 samples"):
        snn2hw.compare(graph(), net, spikes(), np.zeros(3, dtype=int))


def test_other_weights_are_said(net: FixedPointNetwork, sound: Comparison) -> None:
    assert not any("hashes differ" in note for note in sound.notes)
    found = snn2hw.compare(graph(seed=7), net, spikes()[:3])
    assert any("hashes differ" in note for note in found.notes)
    assert any("3 samples say little" in note for note in found.notes)
