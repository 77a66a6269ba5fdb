"""ALIF as a node and as a neuron: what is refused, what its integers mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from conformance_case import build
from hypothesis import given, settings
from hypothesis import strategies as st

import snn2hw
from snn2hw.converters.nodes import ALIF
from snn2hw.errors import GraphError, ParameterError, TargetError
from snn2hw.executor import execute
from snn2hw.neurons import alif
from snn2hw.neurons.base import Incoming, Ranges
from snn2hw.passes import lower

BELLEC = {
    "alpha": 0.9,
    "rho": 0.99,
    "v_threshold": 0.6,
    "beta": 0.2,
    "input_gain": 1.0,
    "adaptation_gain": 1.0,
    "refractory": 2,
    "adaptive_reset": 0,
    "dt": 1e-3,
}


def network(n: int = 3, **changed: Any) -> nir.NIRGraph:
    """n neurons that hear one input of their own each."""
    node = ALIF(**(BELLEC | changed))
    return build("input fc alif output", {"fc": nir.Linear(np.eye(n)), "alif": node}, (n,), (n,))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": np.ones(3), "rho": np.ones(4)}, "ALIF: rho has shape (4,); give (3,) as others"),
        (
            {"beta": np.ones((2, 2)), "rho": np.ones(4)},
            "beta has shape (2, 2); give (4,) as others",
        ),
        ({"adaptive_reset": np.ones(3)}, "ALIF: adaptive_reset has shape (3,); give one value"),
        ({"dt": np.ones(2)}, "ALIF: dt has shape (2,); give one value"),
        ({"beta": np.ones(0)}, "ALIF: beta has shape (0,); give"),
    ],
)
def test_shapes_that_do_not_fit_each_other(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        ALIF(**(BELLEC | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dt": 2e-3}, "this ALIF has steps of dt = 0.002 s and no equation in continuous time"),
        ({"alpha": 1.1}, "alpha is 1.1; give what a step keeps, between 0 and 1"),
        ({"rho": np.array([0.9, -0.1, 0.5])}, "rho is -0.1..0.9; give what a step keeps"),
        ({"refractory": 1.5}, "refractory is 1.5; give whole numbers of steps, at least 0"),
        ({"refractory": -1}, "refractory is -1; give whole numbers of steps, at least 0"),
        ({"adaptive_reset": 0.5}, "adaptive_reset is 0.5; give 0 (a spike takes v_threshold off"),
        ({"v_threshold": np.nan}, "v_threshold of node 'alif' holds NaN or infinity"),
    ],
)
def test_numbers_that_no_step_has(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)) as caught:
        lower(network(**changed), 1e-3)
    assert "node 'alif'" in str(caught.value)


def test_refractoriness_beyond_the_register_and_a_chip_without_the_neuron() -> None:
    x = np.ones((1, 5, 3), dtype=np.int64)
    with pytest.raises(TargetError, match=r"layer 'alif'.*the register holds 8388606; use fewer"):
        snn2hw.quantize(network(refractory=2**23 - 1), dt=1e-3, calibration=x)
    with pytest.raises(TargetError, match="loihi1 has no neuron 'alif'"):
        snn2hw.quantize(network(), dt=1e-3, calibration=x, target="loihi1")
    found = snn2hw.check(network(), target="loihi1").violations
    assert [(v.rule, v.node) for v in found] == [("neuron", "alif")]
    assert found[0].hint == "train LIF or CubaLIF neurons instead, or use --target loihi2"
    assert snn2hw.check(network()).ok


def test_the_lowered_graph_has_the_nodes_parameters() -> None:
    """What e-prop reads: names, a value for each neuron, and the bias times the input's gain."""
    node = ALIF(**(BELLEC | {"input_gain": np.array([0.5, 1.0, 2.0])}))
    bias = np.array([0.1, 0.2, -0.3])
    fc = nir.Affine(np.eye(3), bias)
    graph = lower(build("input fc alif output", {"fc": fc, "alif": node}, (3,), (3,)), 1e-3)
    population = graph.population("alif")
    assert population.model.name == "alif"
    assert set(population.params) == {*alif.NODE_PARAMS, "bias"}
    for name in alif.NODE_PARAMS:
        values = np.broadcast_to(getattr(node, name), 3)
        np.testing.assert_array_equal(population.params[name], values)
    np.testing.assert_allclose(population.params["bias"], bias * [0.5, 1.0, 2.0])


def test_a_damaged_file_names_itself_and_the_node(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    snn2hw.write(path, network(alpha=np.full(3, 0.9)))
    with h5py.File(path, "a") as file:
        group = file["node/nodes/alif"]
        assert set(group) - {"type", "metadata"} == set(BELLEC)
        del group["rho"]
        group["rho"] = np.full(2, 0.9)
    with pytest.raises(GraphError, match=r"net\.nir: node 'alif' of type ALIF: ALIF: rho has sha"):
        snn2hw.read(path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/alif/rho"]
    with pytest.raises(snn2hw.Snn2hwError, match="is incomplete: rho is missing"):
        snn2hw.read(path)


@given(
    scale=st.floats(1e-3, 1e3),
    threshold=st.floats(-1e2, 1e2),
    jump=st.floats(-10.0, 10.0),
    bias=st.floats(-1.0, 1.0),
    reached=st.floats(1e-2, 100.0),
    kept=st.floats(0.0, 1.0),
)
@settings(max_examples=100, deadline=None)
def test_integers_mean_what_the_floats_meant(
    scale: float, threshold: float, jump: float, bias: float, reached: float, kept: float
) -> None:
    weight = np.random.default_rng(0).normal(0, scale, (5, 9))
    names = (*alif.NODE_PARAMS, "bias")
    values = (kept, kept, threshold, jump, 1.0, 1.0, 3, 1, bias)
    params = {name: np.full(5, value) for name, value in zip(names, values, strict=True)}
    seen = np.full(5, reached)
    ranges = Ranges(v=seen, b=seen * 3, threshold=seen * 3 + abs(threshold))
    made = alif.quantize(params, [Incoming("w", ("a",), weight, 1.0, 1)], ranges, {})
    v, b, group = made.units["v"], made.units["b"], made.weights["w"]
    back = group.mantissa * 2.0**group.exponent * v[:, None] * 64
    step = np.maximum(np.abs(weight).max(axis=1) / 127, v * 64 * 2.0**group.exponent)
    assert np.all(np.abs(back - weight).max(axis=1) <= step * 0.51) or group.exponent == -7
    for name, real, unit in (("threshold", threshold, v), ("bias", bias, v), ("jump", jump, b)):
        assert np.all(np.abs(made.params[name] * unit - real) <= unit * 0.501), name
    # Twice what calibration saw fits the registers; adaptation uses what it has.
    assert np.all(2 * reached / v < 2**23)
    assert np.all(2 * 3 * reached / b < 2**23)
    assert np.all((b == v) | (2 * np.maximum(3 * reached, abs(jump)) / b > 2**22))
    assert np.all(np.abs(made.params["decay_v"] / 4096 - (1 - kept)) <= 1 / 4096)
    assert np.all(np.abs(made.params["decay_b"] / 65536 - (1 - kept)) <= 1 / 65536)
    assert (made.params["decay_b"][0] == 0) == (kept == 1.0)


def test_slow_adaptation_is_what_the_floats_have_after_thousands_of_steps() -> None:
    """A time constant of 1,500 steps, which a decay of 12 bits would miss by 9 %."""
    graph = network(
        1, alpha=0.0, rho=np.exp(-1 / 1500), beta=8e-4, v_threshold=0.5, adaptive_reset=1
    )
    x = np.zeros((1, 4000, 1), dtype=np.int64)
    x[:, :1500:3] = 1
    net = snn2hw.quantize(graph, dt=1e-3, calibration=x)
    run = net.run(x, record=("b",), threads=1)
    floats = execute(lower(graph, 1e-3), x, record=("b",))
    b = run.state["alif"]["b"][0, :, 0] * net.layer("alif").units["b"]
    want = floats.state["alif"]["b"][0, :, 0]
    np.testing.assert_array_equal(run.spikes["alif"], floats.spikes["alif"])
    assert want.max() > 0.1
    assert want[-1] < want.max() / 2
    np.testing.assert_allclose(b[-1], want[-1], rtol=2e-2)


def test_refractoriness_counts_from_the_step_after_the_spike() -> None:
    """Driven above the threshold at every step, a neuron fires every refractory + 1 steps."""
    graph = network(4, refractory=np.arange(4), beta=0.0, v_threshold=0.1)
    spikes = execute(lower(graph, 1e-3), np.ones((1, 12, 4), dtype=np.int64)).spikes["alif"][0]
    for k in range(4):
        assert np.flatnonzero(spikes[:, k]).tolist() == list(range(0, 12, k + 1))
