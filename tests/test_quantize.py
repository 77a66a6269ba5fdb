"""Post-training quantisation: widths, rounding, clipping, biases, headroom, and what it says."""

from __future__ import annotations

import importlib

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_passes import chain, gpn_graph, lif, lif_graph, spikes

import snn2hw
from snn2hw.errors import DataError, ParameterError, TargetError
from snn2hw.executor import execute
from snn2hw.neurons.base import Ranges
from snn2hw.passes import lower, quantize_graph_by
from snn2hw.passes.config import LayerConfig, QuantizeConfig, WeightConfig, Widths
from snn2hw.passes.search_rounding import Compensated, gram


def configured(bits: int, search: bool | None = None, **more) -> QuantizeConfig:
    return QuantizeConfig(default=WeightConfig(bits=bits), search=search, **more)


def convolution_graph() -> nir.NIRGraph:
    rng = np.random.default_rng(3)
    nodes = {
        "input": nir.Input({"input": np.array([2, 5, 5])}),
        "conv": nir.Conv2d((5, 5), rng.normal(0, 0.8, (3, 2, 3, 3)), 1, 0, 1, 1, np.zeros(3)),
        "lif": lif(27),
        "out": nir.Linear(rng.normal(size=(2, 27))),
        "output": nir.Output({"output": np.array([2])}),
    }
    nodes["lif"] = nir.LIF(
        **{k: getattr(nodes["lif"], k).reshape(3, 3, 3) for k in ("tau", "r", "v_leak")},
        v_threshold=np.full((3, 3, 3), 0.3),
    )
    nodes["flat"] = nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1)
    edges = [
        ("input", "conv"),
        ("conv", "lif"),
        ("lif", "flat"),
        ("flat", "out"),
        ("out", "output"),
    ]
    return nir.NIRGraph(nodes, edges, type_check=False)


def images() -> np.ndarray:
    return (np.random.default_rng(0).random((4, 20, 2, 5, 5)) < 0.3).astype(np.int64)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("make", [lif_graph, gpn_graph, convolution_graph])
def test_weights_use_their_bits_and_no_more(make, bits: int) -> None:
    x = images() if make is convolution_graph else spikes()
    search = None if bits in (2, 4) else False
    net = snn2hw.quantize(make(), calibration=x, config=configured(bits, search))
    limit = 2 ** (bits - 1) - 1
    for synapse in net.synapses:
        assert np.abs(synapse.mantissa.astype(int)).max() == limit
    assert not any(net.run(x).overflows.values())


def error_of(graph: nir.NIRGraph, x: np.ndarray, config: QuantizeConfig) -> float:
    """Mean square of what the integers change about the output, over its mean square."""
    net = snn2hw.quantize(graph, calibration=x, config=config)
    wanted = execute(lower(graph, 1e-3), x).output
    got = net.run(x).output * net.output_unit
    return float(np.square(got - wanted).mean() / np.square(wanted).mean())


def test_a_convolution_is_searched_too() -> None:
    plain, searched = (
        error_of(convolution_graph(), images(), configured(2, s)) for s in (False, True)
    )
    assert searched < 0.75 * plain


@pytest.mark.parametrize("make", [lif_graph, gpn_graph])
def test_the_search_loses_less_than_ranges_alone(make) -> None:
    for bits in (2, 3):
        plain, searched = (
            np.mean([error_of(make(seed), spikes(seed), configured(bits, s)) for seed in range(3)])
            for s in (False, True)
        )
        assert searched < 0.75 * plain


def test_inputs_that_come_alone_are_rounded_to_the_nearest() -> None:
    # One input a step: the Gram matrix is diagonal, and no weight can make up for another.
    alone = gram(np.eye(6))
    scaled = np.random.default_rng(0).normal(0, 2, (5, 6))
    np.testing.assert_array_equal(Compensated(alone)(scaled, 3), np.clip(np.rint(scaled), -3, 3))


def test_inputs_that_come_together_are_rounded_together() -> None:
    # Four equal inputs: only the sum of the weights counts, 4 * 0.4 = 1.6 and 4 * -0.7 = -2.8.
    together = gram(np.ones((10, 4)))
    scaled = np.array([[0.4] * 4, [-0.7] * 4])
    found = Compensated(together)(scaled, 7)
    np.testing.assert_array_equal(found.sum(axis=1), [2, -3])
    np.testing.assert_array_equal(np.rint(scaled).sum(axis=1), [0, -4])


@given(seed=st.integers(0, 10_000), limit=st.sampled_from((1, 3, 7, 127)))
@settings(max_examples=25, deadline=None)
def test_compensated_mantissas_are_whole_and_within_their_bits(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    found = Compensated(gram(rng.normal(size=(20, 7))))
    mantissas = found(rng.normal(0, limit, (4, 7)), limit)
    np.testing.assert_array_equal(mantissas, np.rint(mantissas))
    assert np.abs(mantissas).max() <= limit


def linear_graph() -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    return chain(("out", nir.Affine(rng.normal(size=(4, 8)), np.zeros(4))), n_in=8, n_out=4)


def test_corrected_biases_leave_no_error_on_average() -> None:
    x = spikes(batch=20)
    wanted = x @ linear_graph().nodes["out"].weight.T
    mean = {}
    for corrected in (True, False):
        layers = {"out": LayerConfig(bias_correction=corrected)}
        config = configured(3, False, layers=layers)
        net = snn2hw.quantize(linear_graph(), calibration=x, config=config)
        error = net.run(x).output * net.output_unit - wanted
        mean[corrected] = np.abs(error.mean(axis=(0, 1))).max() / net.output_unit
    # A bias is a whole number of units.
    assert mean[True] <= 0.5 + 1e-9
    assert mean[False] > 1


@pytest.mark.parametrize("clip", [0.5, 1.6])
def test_clipping_is_obeyed(clip: float) -> None:
    weight = linear_graph().nodes["out"].weight
    config = QuantizeConfig(default=WeightConfig(bits=8, clip=clip))
    net = snn2hw.quantize(linear_graph(), calibration=spikes(), config=config)
    step = clip * np.abs(weight).max() / 127
    expected = np.clip(np.rint(weight / step), -127, 127)
    np.testing.assert_array_equal(net.synapses[0].mantissa, expected)


def test_one_scale_for_a_layer_is_obeyed() -> None:
    group = WeightConfig(bits=8, scale="layer")
    config = QuantizeConfig(synapses={"input->lif": group})
    net = snn2hw.quantize(lif_graph(), calibration=spikes(), config=config)
    unit = net.layer("lif").units["v"]
    assert np.ptp(unit) == 0
    own = snn2hw.quantize(lif_graph(), calibration=spikes()).layer("lif").units["v"]
    assert np.ptp(own) > 0


@pytest.mark.parametrize("target", ["loihi1", "loihi2", "generic"])
def test_the_same_data_give_the_same_integers(target: str) -> None:
    graph = chain(
        ("fc", nir.Linear(np.random.default_rng(0).normal(size=(6, 8)))),
        ("l", lif(6)),
        n_in=8,
        n_out=6,
    )
    config = configured(3, target=target)
    one, two = (quantize_graph_by(graph, calibration=spikes(), config=config) for _ in range(2))
    assert one.config == two.config
    assert one.net.target == target
    np.testing.assert_array_equal(one.net.synapses[0].mantissa, two.net.synapses[0].mantissa)
    assert one.net.notes == two.net.notes


def graded_graph() -> nir.NIRGraph:
    rng = np.random.default_rng(0)
    values = {"tau": np.full(5, 5e-3), "r": np.ones(5), "v_leak": np.zeros(5)}
    return chain(
        ("fc", nir.Linear(rng.normal(size=(5, 8)))),
        ("li", nir.LI(**values)),
        ("w", nir.Linear(rng.normal(size=(6, 5)))),
        ("lif", lif(6)),
        n_in=8,
        n_out=6,
    )


def test_a_generic_target_fills_its_widths_and_no_more() -> None:
    widths = Widths(weights=5, inputs=4, states=16, messages=7)
    config = QuantizeConfig("generic", widths=widths)
    x = spikes() - 0.5
    net = snn2hw.quantize(graded_graph(), calibration=x, config=config)
    assert net.input.bits == 4
    run = net.run(net.encode(x), record=("u", "v", "m"))
    largest = {key: np.abs(run.state["li"][key]).max() for key in ("u", "v", "m")}
    # Twice what calibration saw fits, and the finest such power of two was taken.
    assert 2**15 / 8 < 2 * largest["v"] < 2**15
    assert 2**6 / 4 <= 2 * largest["m"] <= 2**6
    assert max(np.abs(s.mantissa).max() for s in net.synapses) == 15
    narrow = QuantizeConfig("generic", widths=Widths(states=12))
    with pytest.raises(TargetError, match=r"current reaches .* and the register holds \+-0.125"):
        snn2hw.quantize(gpn_graph(), calibration=spikes(), config=narrow)


def test_headroom_grows_until_calibration_data_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    quantize_pass = importlib.import_module("snn2hw.passes.quantize")
    real = quantize_pass.execute

    def understated(graph, x, record=()):
        run = real(graph, x, record)
        for ranges in run.ranges.values():
            ranges.update(Ranges({name: values / 16 for name, values in ranges.items()}))
        return run

    monkeypatch.setattr(quantize_pass, "execute", understated)
    made = quantize_graph_by(graded_graph(), calibration=spikes())
    assert not any(made.net.run(spikes()).overflows.values())
    assert made.config.layers["li"].headroom > 2
    assert any("li: headroom" in note and "clipped calibration" in note for note in made.net.notes)
    config = QuantizeConfig(layers={"li": LayerConfig(headroom=2.0)})
    with pytest.raises(
        TargetError, match=r"layer 'li': with a headroom of 2 .* overflow \d+ times"
    ):
        snn2hw.quantize(graded_graph(), calibration=spikes(), config=config)


def test_wide_gates_fit_the_gains_in_any_width() -> None:
    graph = gpn_graph()
    graph.nodes["gpn"].gates_weight[:] *= 10
    for bits in (2, 4, 8):
        net = snn2hw.quantize(graph, calibration=spikes(), config=configured(bits, False))
        assert not any(net.run(spikes()).overflows.values())


@pytest.mark.parametrize("bits", [3, 8])
def test_data_that_show_nothing_are_said(bits: int) -> None:
    still = np.zeros((2, 10, 8), dtype=np.int64)
    net = snn2hw.quantize(lif_graph(), calibration=still, config=configured(bits))
    text = "\n".join(net.notes)
    assert "input input: calibration data are 0 throughout, so ranges follow from" in text
    assert "lif: silent on calibration data; its ranges are those of what arrives" in text
    net.run(spikes())
    assert "silent" not in "\n".join(snn2hw.quantize(lif_graph(), calibration=spikes()).notes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 5, 8)), "no sample or no time step; give at least 1"),
        (np.zeros((2, 0, 8)), "no sample or no time step; give at least 1"),
        (np.zeros((2, 5, 7)), "data have shape"),
        (np.full((1, 2, 8), np.nan), "NaN or infinity"),
    ],
)
def test_unusable_data_are_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        snn2hw.quantize(lif_graph(), calibration=x, config=configured(3))


def test_compensated_rounding_is_refused_where_it_cannot_be() -> None:
    config = QuantizeConfig(default=WeightConfig(rounding="compensated"))
    snn2hw.quantize(convolution_graph(), calibration=images(), config=config)
    graph = convolution_graph()
    graph.nodes["conv"] = nir.Conv2d((5, 5), np.ones((2, 1, 3, 3)), 1, 0, 1, 2, np.zeros(2))
    del graph.nodes["lif"], graph.nodes["flat"], graph.nodes["out"]
    graph.nodes["output"] = nir.Output({"output": np.array([2, 3, 3])})
    graph = nir.NIRGraph(graph.nodes, [("input", "conv"), ("conv", "output")], type_check=False)
    with pytest.raises(ParameterError, match="rounding 'compensated' needs 2 to 2048 weights"):
        snn2hw.quantize(graph, calibration=images(), config=config)
