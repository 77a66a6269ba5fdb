"""The exp unit's integers against float64, over every argument that has a result, and compiled;
GPN with its gates on that unit, against NumPy and against gates in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from gates_reference import ULP, Function, simulate_float_gates, simulate_gates
from random_networks import random_network

import snn2hw
from snn2hw.data import arabic_speech_commands
from snn2hw.errors import DataError
from snn2hw.neurons import gpn
from snn2hw.nn import load_checkpoint
from snn2hw.simulator import simulate
from snn2hw.targets.spinnaker2 import exp_unit, gates
from snn2hw.targets.spinnaker2.inference import run_on_pes

LOWEST, HIGHEST = -363408, 363408
"""Arguments of exp whose result rounds to at least one ulp and to at most the largest number:
floor of 16 ln 2 in ulp."""


def ulps(got: np.ndarray, true: np.ndarray) -> float:
    """Largest difference, in units in the last place."""
    return float(np.abs(got - true / ULP).max())


def test_exp_of_every_argument_that_neither_vanishes_nor_overflows() -> None:
    x = np.arange(LOWEST, HIGHEST + 1)
    got = exp_unit.exp(x)
    assert ulps(got, np.exp(x * ULP)) <= exp_unit.EXP_ULP
    assert np.all(np.diff(got) >= 0)
    assert got[0] == 1
    assert got[x == 0] == 32768
    assert 2**31 - 2**16 < got[-1] < 2**31


def test_exp_vanishes_and_saturates_at_its_ends() -> None:
    low = np.array([-(2**31), -(2**20), LOWEST - 1])
    high = np.array([HIGHEST + 1, HIGHEST + 2, 2**20, 2**31 - 1])
    np.testing.assert_array_equal(exp_unit.exp(low), 0)
    np.testing.assert_array_equal(exp_unit.exp(high), 2**31 - 1)


def test_ln_of_a_million_small_arguments_and_around_powers_of_two() -> None:
    small = np.arange(1, 1 << 20)
    around = np.concatenate([np.arange(2**k - 60, 2**k + 60) for k in range(20, 31)])
    spread = np.sort(np.random.default_rng(5).integers(1, 2**31, 200_000))
    for x in (small, around, spread, np.arange(2**31 - 1000, 2**31)):
        got = exp_unit.ln(x)
        assert ulps(got, np.log(x * ULP)) <= exp_unit.LN_ULP
        assert np.all(np.diff(got) >= 0)
    np.testing.assert_array_equal(exp_unit.ln(np.array([0, -1, -(2**31)])), -(2**31))


def test_sigmoid_and_tanh_of_every_argument_before_they_are_flat() -> None:
    x = np.arange(-400_000, 400_001)
    for name, true, bound in (
        ("sigmoid", 1.0 / (1.0 + np.exp(-x * ULP)), exp_unit.SIGMOID_ULP),
        ("tanh", np.tanh(x * ULP), exp_unit.TANH_ULP),
    ):
        got = getattr(exp_unit, name)(x)
        assert ulps(got, true) <= bound, name
        assert np.all(np.diff(got) >= 0), name
    ends = np.array([-(2**31), 2**31 - 1])
    np.testing.assert_array_equal(exp_unit.sigmoid(ends), [0, 32768])
    np.testing.assert_array_equal(exp_unit.tanh(ends), [-32768, 32768])
    x = x[x > 0]
    np.testing.assert_array_equal(exp_unit.sigmoid(-x), 32768 - exp_unit.sigmoid(x))
    np.testing.assert_array_equal(exp_unit.tanh(-x), -exp_unit.tanh(x))


@pytest.mark.parametrize("name", ["exp", "ln", "sigmoid", "tanh"])
def test_compiled_scalars_arrays_of_32_bits_and_python_integers_agree(name: str) -> None:
    function = getattr(exp_unit, name)

    @numba.njit
    def each(x: np.ndarray) -> np.ndarray:
        out = np.zeros(x.size, dtype=np.int64)
        for k in range(x.size):
            out[k] = function(x[k])
        return out

    rng = np.random.default_rng(6)
    x = np.concatenate(
        [rng.integers(-(2**31), 2**31, 500), rng.integers(-400_000, 400_000, 2000), [0, 1, -1]]
    )
    want = [int(function(int(value))) for value in x]
    for dtype in (np.int32, np.int64):
        np.testing.assert_array_equal(each(x.astype(dtype)), want)
        np.testing.assert_array_equal(function(x.astype(dtype)), want)


def limited(name: str) -> Function:
    """The exp unit's function of arguments that may exceed int32, as no gate's sum does."""
    return lambda a: getattr(exp_unit, name)(np.clip(a, -(2**31) + 1, 2**31 - 1))


def test_gates_on_the_exp_unit_are_those_of_numpy_at_every_limit() -> None:
    rng = np.random.default_rng(20261123)
    clipped = differ = 0
    for _ in range(15):
        net, x = random_network(rng, "gpn", steps=25, batch=2)
        want = simulate_gates(net, x, limited("sigmoid"), limited("tanh"))
        found = run_on_pes(net, x, snn2hw.place(net, pes=5), ("v", "m"), gates="exp_unit")
        for layer in net.layers:
            np.testing.assert_array_equal(found.state[layer.name]["v"], want.state[layer.name]["v"])
            np.testing.assert_array_equal(found.state[layer.name]["m"], want.sent[layer.name]["m"])
            np.testing.assert_array_equal(found.spikes[layer.name], want.sent[layer.name]["s"])
            assert found.overflows[layer.name].clips == want.clips[layer.name]
            clipped += want.clips[layer.name] > 0
        differ += not np.array_equal(found.output, simulate(net, x).output)
    assert min(clipped, differ) >= 5


def test_a_step_is_that_of_float64_to_the_rounding_of_its_numbers() -> None:
    """v, x and the gates' arguments drawn at random: error of the exp unit's step, and of the
    table's, which is larger by what docs/spinnaker2.md says."""
    rng = np.random.default_rng(4)
    n = 20_000
    v, x = (rng.integers(-(2**16), 2**16, n) for _ in range(2))
    biases = [rng.integers(-6000, 6000, n) for _ in range(4)]
    zeros, gains = [np.zeros(n, dtype=np.int64)] * 8, [np.ones(n, dtype=np.int64)] * 8
    arguments = (v, x, *zeros, 1 << gpn.X_GAIN_SHIFT, *gains, 0, *biases, 4)
    f, i, b, t = (bias / 2.0**gpn.GATE_FRACTION for bias in biases)

    def sigma(a: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-a))

    h = (sigma(f) * v + sigma(i) * x) / 2.0**gpn.V_FRACTION
    clear = np.abs(h - sigma(t)) > 0.01
    want = np.where(h >= sigma(t), 0.0, h) + np.tanh(b)

    def error(step: Callable[..., Any], *table: np.ndarray) -> float:
        new, s, _, _, clips = step(*arguments, *table)
        np.testing.assert_array_equal(s[clear], (h >= sigma(t))[clear])
        assert not np.any(clips * (np.abs(new) < 2**15))
        return float(np.abs(new / 2.0**gpn.V_FRACTION - want)[clear].max())

    # One ulp of each gate times |v| and |x| below 4, 1.5 of the bypass, two products rounded
    # towards zero and one sum to the nearest.
    assert error(gates.step) < (4 + 4 + 1.5) * ULP + (1 + 1 + 0.5) * 2.0**-gpn.V_FRACTION
    assert 5 * error(gates.step) < error(gpn.step, gpn.SIGMOID)


def test_networks_without_gates_are_not_touched() -> None:
    net, x = random_network(np.random.default_rng(2), "lif", steps=20)
    found = run_on_pes(net, x, snn2hw.place(net), gates="exp_unit")
    np.testing.assert_array_equal(found.output, simulate(net, x).output)


def test_gates_on_recorded_speech() -> None:
    """The figures of docs/spinnaker2.md: how far the table's spikes and the exp unit's are from
    those of gates in float64, all else being integers, and what that does to answers."""
    try:
        typical, test = (arabic_speech_commands.load_digits(split) for split in ("train", "test"))
    except DataError as error:
        pytest.skip(str(error))
    folder = Path(__file__).parent.parent / "examples" / "checkpoints"
    model = load_checkpoint(folder / "speech_commands_gpn.pt")
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=typical.x[::4])
    x = net.encode(test.x)
    placement = snn2hw.place(net)
    table = run_on_pes(net, x, placement)
    unit = run_on_pes(net, x, placement, gates="exp_unit")
    assert np.mean(table.predictions == unit.predictions) >= 0.97
    accuracies = [np.mean(run.predictions == test.y) for run in (table, unit)]
    assert abs(accuracies[0] - accuracies[1]) <= 0.015
    some = slice(None, None, 10)
    exact = simulate_float_gates(net, x[some])
    for layer in net.layers:
        if layer.model.name == "gpn":
            want = exact.sent[layer.name]["s"]
            apart = [
                np.sum(run.spikes[layer.name][some] != want) / want.sum() for run in (table, unit)
            ]
            assert apart[1] < 0.01 < 0.03 < apart[0] < 0.12
