"""The exp unit's integers against float64, over every argument that has a result, and compiled."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from snn2hw.targets.spinnaker2 import exp_unit

ULP = 2.0**-15
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
