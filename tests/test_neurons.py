"""Neuron models: error bounds of the gates, integer steps against the float equations, widths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons import MODELS, gpn, lif
from snn2hw.neurons.base import Incoming, Ranges

EVERY_ARGUMENT = np.arange(-3 * 8192, 3 * 8192, dtype=np.int64)


def test_sigmoid_error_bound_holds_for_every_argument() -> None:
    got = gpn.sigmoid(EVERY_ARGUMENT, gpn.SIGMOID) / 4096
    error = np.abs(got - 1 / (1 + np.exp(-EVERY_ARGUMENT / 1024)))
    assert gpn.SIGMOID_ERROR / 4 < error.max() <= gpn.SIGMOID_ERROR


def test_tanh_error_bound_holds_for_every_argument() -> None:
    got = 2 * gpn.sigmoid(2 * EVERY_ARGUMENT, gpn.SIGMOID) / 4096 - 1
    error = np.abs(got - np.tanh(EVERY_ARGUMENT / 1024))
    assert gpn.TANH_ERROR / 4 < error.max() <= gpn.TANH_ERROR


def test_sigmoid_is_monotonous_and_a_half_at_zero() -> None:
    got = gpn.sigmoid(EVERY_ARGUMENT, gpn.SIGMOID)
    assert np.all(np.diff(got) >= 0)
    assert gpn.sigmoid(np.array([0]), gpn.SIGMOID)[0] == 2048


def _random_operands(model_name: str, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng, model = np.random.default_rng(seed), MODELS[model_name]
    limit = 2**23 - 1
    moving = [rng.integers(-limit, limit + 1, 50) for _ in model.states]
    moving += [rng.integers(-(2**31), 2**31, 50) for _ in model.inputs]
    params = [
        np.where(rng.random(50) < 0.3, rng.choice([p.low, p.high], 50), rng.integers(p.low, p.high))
        for p in model.params
    ]
    return moving, params


@pytest.mark.parametrize("name", list(MODELS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_states_and_messages_never_exceed_their_widths(name: str, seed: int) -> None:
    model = MODELS[name]
    moving, params = _random_operands(name, seed)
    results = model.step(*moving, *params, *model.tables.values())
    for state, value in zip(model.states, results, strict=False):
        assert np.abs(value).max() <= 2 ** (state.bits - 1), state.name
    for output, value in zip(model.outputs, results[len(model.states) :], strict=False):
        limit = 1 if output.is_spike else 2 ** (output.bits - 1) - 1
        assert np.abs(value * 1).max() <= limit, output.name


@pytest.mark.parametrize("name", list(MODELS))
def test_step_is_the_same_on_arrays_and_on_torch_integers(name: str) -> None:
    torch = pytest.importorskip("torch")
    model = MODELS[name]
    moving, params = _random_operands(name, 7)
    tables = [values.astype(np.int64) for values in model.tables.values()]
    arrays = model.step(*moving, *params, *tables)
    tensors = model.step(
        *(torch.from_numpy(a.astype(np.int64)) for a in (*moving, *params)),
        *(torch.from_numpy(t) for t in tables),
    )
    for a, b in zip(arrays, tensors, strict=True):
        np.testing.assert_array_equal(np.asarray(a) * 1, np.asarray(b) * 1)


def test_relabelled_neurons_give_relabelled_results() -> None:
    for name, model in MODELS.items():
        moving, params = _random_operands(name, 3)
        order = np.random.default_rng(0).permutation(50)
        tables = model.tables.values()
        plain = model.step(*moving, *params, *tables)
        mixed = model.step(*(a[order] for a in moving), *(p[order] for p in params), *tables)
        for a, b in zip(plain, mixed, strict=True):
            np.testing.assert_array_equal(np.broadcast_to(a, 50)[order], np.broadcast_to(b, 50))


def _lif_params(n: int, **changed: float) -> dict[str, np.ndarray]:
    values = {"decay_u": 1.0, "decay_v": 0.2, "v_threshold": 0.5, "bias": 0.0, "gain": 1.0}
    return {key: np.full(n, value) for key, value in (values | changed).items()}


@given(
    scale=st.floats(1e-3, 1e3),
    threshold=st.floats(1e-2, 1e2),
    bias=st.floats(-1.0, 1.0),
    reached=st.floats(0.1, 100.0),
)
@settings(max_examples=100, deadline=None)
def test_lif_integers_mean_what_the_floats_meant(
    scale: float, threshold: float, bias: float, reached: float
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0, scale, (5, 9))
    params = _lif_params(5, v_threshold=threshold, bias=bias)
    ranges = Ranges(u=np.full(5, reached), h=np.full(5, reached))
    made = lif.quantize(params, [Incoming("w", ("a",), weight, 1.0, 1)], ranges, {})
    unit = made.units["v"] * 64
    group = made.weights["w"]
    back = group.mantissa * 2.0**group.exponent * unit[:, None]
    # Every neuron's weights are measured by its own largest, unless its registers forbid that.
    step = np.maximum(np.abs(weight).max(axis=1) / 127, unit * 2.0**group.exponent)
    assert np.all(np.abs(back - weight).max(axis=1) <= step * 0.51) or group.exponent == -7
    assert np.all(np.abs(made.params["threshold"] * unit - threshold) <= unit / 2 * 1.001)
    got_bias = made.params["bias_mantissa"] * 2.0 ** made.params["bias_exponent"]
    assert np.all(
        np.abs(got_bias * made.units["v"] - bias) <= np.maximum(unit / 64, abs(bias) / 2000)
    )
    assert np.all(reached / made.units["v"] < 2**23)


def test_neurons_have_units_of_their_own() -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 1, (6, 30)) * 10.0 ** np.linspace(-0.4, 0.4, 6)[:, None]
    ranges = Ranges(u=np.abs(weight).sum(axis=1), h=np.abs(weight).sum(axis=1))
    made = lif.quantize(_lif_params(6), [Incoming("w", ("a",), weight, 1.0, 1)], ranges, {})
    # The smallest weights are 6 times below the largest, and still use most of their 8 bits.
    assert np.abs(made.weights["w"].mantissa).max(axis=1).min() >= 100


def test_neurons_that_share_weights_share_their_unit() -> None:
    weight = np.random.default_rng(1).normal(0, 1, (3, 2, 3, 3))
    ranges = Ranges(u=np.linspace(1, 9, 12), h=np.linspace(1, 9, 12))
    made = lif.quantize(_lif_params(12), [Incoming("w", ("a",), weight, 1.0, 1)], ranges, {})
    by_channel = made.units["v"].reshape(3, 4)
    assert np.all(by_channel == by_channel[:, :1])
    assert np.unique(by_channel[:, 0]).size == 3


def test_lif_refuses_what_the_registers_cannot_hold() -> None:
    incoming = [Incoming("w", ("a",), np.ones((3, 2)), 1.0, 1)]
    with pytest.raises(TargetError, match=r"time constant is below dt.*use method='exact'"):
        lif.quantize(_lif_params(3, decay_v=1.5), incoming, Ranges(), {})
    with pytest.raises(TargetError, match="threshold is negative"):
        lif.quantize(_lif_params(3, v_threshold=-1.0), incoming, Ranges(), {})


def test_lif_refuses_a_time_constant_not_above_half_a_step() -> None:
    node = {"tau": np.array([5e-4]), "r": np.ones(1), "v_leak": np.zeros(1)}
    node |= {"v_threshold": np.ones(1), "v_reset": np.zeros(1)}
    with pytest.raises(ParameterError, match=r"tau = 0.0005 s is not above dt/2 = 0.0005 s"):
        lif.lower("LIF", node, 1e-3, "euler")


def test_gpn_refuses_another_time_step() -> None:
    node = {"gates_weight": np.zeros((4, 2)), "gates_bias": np.zeros(4), "dt": np.array(2e-3)}
    with pytest.raises(ParameterError, match=r"trained at dt = 0.002 s.*quantize with dt=0.002"):
        gpn.lower("GPN", node, 1e-3, "euler")
