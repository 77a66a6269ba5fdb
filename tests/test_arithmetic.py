"""Fixed-point primitives against plain integer mathematics, on every kind of operand."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn2hw import arithmetic

INTEGERS = st.integers(-(2**45), 2**45)


@given(INTEGERS, st.integers(0, 20))
def test_shift_toward_zero_is_division_without_its_fraction(x: int, n: int) -> None:
    exact = abs(x) // 2**n
    assert arithmetic.shift_toward_zero(x, n) == (exact if x >= 0 else -exact)


@given(INTEGERS, st.integers(1, 20))
def test_shift_rounded_is_the_nearest_integer_halves_up(x: int, n: int) -> None:
    y = arithmetic.shift_rounded(x, n)
    assert -(2**n) < 2 * (y * 2**n - x) <= 2**n


@given(INTEGERS, st.integers(2, 32))
def test_wrap_is_congruent_and_in_range(x: int, bits: int) -> None:
    y = arithmetic.wrap(x, bits)
    assert (y - x) % 2**bits == 0
    assert -(2 ** (bits - 1)) < y <= 2 ** (bits - 1)


@given(INTEGERS, st.integers(2, 32))
def test_saturate_is_the_nearest_value_of_the_symmetric_range(x: int, bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    assert arithmetic.saturate(x, bits) == max(-limit, min(limit, x))


@given(st.lists(st.integers(0, 2**15), min_size=3, max_size=3), st.integers(0, 2 * 128 - 1))
def test_interpolate_lies_on_the_line(points: list[int], x: int) -> None:
    k, rest = divmod(x, 128)
    line = points[k] + (points[k + 1] - points[k]) * rest / 128
    table = [low + (high - low) * 2**16 for low, high in itertools.pairwise(points)]
    assert abs(arithmetic.interpolate(np.array(table), x, 7) - line) <= 0.5


def _all_primitives(x, wrapped, select, shift):
    return (
        wrapped[0](x, shift),
        wrapped[1](x, shift),
        wrapped[2](x, 24),
        wrapped[3](x, 24),
        select(x > 0, x, 3),
    )


@pytest.mark.parametrize("kind", ["numpy", "numba", "torch"])
def test_one_definition_serves_every_kind_of_number(kind: str) -> None:
    rng = np.random.default_rng(1)
    edges = [0, 1, -1, 2**23, -(2**23), 2**23 - 1, 1 - 2**23, 2**24, -(2**24)]
    x = np.concatenate([rng.integers(-(2**44), 2**44, 500), edges])
    names = ("shift_toward_zero", "shift_rounded", "wrap", "saturate")
    functions = [getattr(arithmetic, name) for name in names]
    expected = [
        [int(y) for y in _all_primitives(int(value), functions, arithmetic.select, 12)]
        for value in x
    ]
    if kind == "numpy":
        columns = _all_primitives(x, functions, arithmetic.select, 12)
    elif kind == "torch":
        torch = pytest.importorskip("torch")
        columns = _all_primitives(torch.from_numpy(x), functions, arithmetic.select, 12)
    else:
        compiled = [numba.njit(function) for function in functions]
        select = numba.njit(arithmetic.select)
        rows = [_all_primitives(np.int64(value), compiled, select, 12) for value in x]
        columns = tuple(zip(*rows, strict=True))
    got = [[int(column[k]) for column in columns] for k in range(len(x))]
    assert got == expected
