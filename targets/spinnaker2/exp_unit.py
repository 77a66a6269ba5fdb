"""The exp / ln unit of a processing element on s16.15 integers, defined bit for bit.

What is public of the unit: s16.15 among its formats, 1 to 16 iterations, errors of 1 to 2 units in
the last place (ulp, 2**-15), monotonic (chip facts: Scholze et al., IEEE OJCAS 2026, second hand).
Its very bits are not public, so these are ours: shift and add, one factor 1 + 2**-i an iteration
(Muller, Elementary Functions, ch. 8, as in Mikaitis et al., ARITH 2018), and for ln the bits of
log2 by repeated squaring, which is monotonic by construction. ``EXP_ULP`` and its fellows bound the
errors; the tests go through every argument of exp that neither overflows nor vanishes.

The functions are of Python operators alone and take Python integers, NumPy arrays and, in compiled
code, scalars; they compute in int64 and return int64. Arguments are int32 values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

FRACTION = 15
"""Fraction bits of s16.15."""

ONE = 1 << FRACTION
MAX = (1 << 31) - 1
MIN = -(1 << 31)

ITERATIONS = 16
"""Factors 1 + 2**-i that exp tries, i from 1."""

EXP_ULP = 0.75
"""Bound of |exp(x) - e**x| in ulp, where e**x fits."""

LN_ULP = 0.52
"""Bound of |ln(x) - log(x)| in ulp, for x above 0."""

SIGMOID_ULP = 1.0
TANH_ULP = 1.5
"""Bounds of the two functions that are made of exp and one division."""

_WIDE = 42
"""Fraction bits within exp."""

_LN2 = round(math.log(2.0) * 2**_WIDE)
_LOGS = tuple(round(math.log1p(2.0**-i) * 2**_WIDE) for i in range(1, ITERATIONS + 1))

_HIGHEST = 363409
"""Beyond it e**x exceeds s16.15."""

_LOWEST = -363409
"""Beyond it e**x is below half an ulp."""

_LOG_BITS = 30
"""Fraction bits of the mantissa that ln squares."""

_LOG_DIGITS = 20
"""Bits of log2 that ln computes."""

_LN2_BITS = 31
_LN2_SHORT = round(math.log(2.0) * 2**_LN2_BITS)


@register_jitable
def exp(x: Any) -> Any:
    """e**x, rounded; 0 where it vanishes, the largest number where it does not fit."""
    x = np.int64(x)
    high, low = x > _HIGHEST, x < _LOWEST
    x = x + high * (_HIGHEST - x) + low * (_LOWEST - x)
    wide = x << (_WIDE - FRACTION)
    power = wide // _LN2
    rest = wide - power * _LN2
    # e**x = 2**power e**rest, and e**rest = product of the factors whose logarithms fit into rest.
    y = (rest & 0) + (1 << _WIDE)
    for i in range(ITERATIONS):
        fits = rest >= _LOGS[i]
        rest = rest - fits * _LOGS[i]
        y = y + fits * (y >> (i + 1))
    # What is left is below 2**-16, so e**rest is 1 + rest to 2**-33, a quarter ulp at worst.
    y = y + (((y >> 20) * rest) >> (_WIDE - 20))
    shift = _WIDE - FRACTION - power
    y = (y + (np.int64(1) << (shift - 1))) >> shift
    # The last arguments below the highest may round up to 2**31.
    over = high | (y > MAX)
    return (y + over * (MAX - y)) * (1 - low)


@register_jitable
def ln(x: Any) -> Any:
    """log(x), rounded; the smallest number for x <= 0."""
    x = np.int64(x)
    none = x <= 0
    m = x + none * (1 - x)
    # m = x / 2**k in [1, 2), with 30 fraction bits.
    k = m & 0
    for bits in (16, 8, 4, 2, 1):
        big = (m >> (k + bits)) > 0
        k = k + big * bits
    m = m << (_LOG_BITS - k)
    log2 = k - FRACTION
    for _ in range(_LOG_DIGITS):
        m = (m * m) >> _LOG_BITS
        digit = m >> (_LOG_BITS + 1)
        m = m >> digit
        log2 = 2 * log2 + digit
    # Half of the last digit that was not computed makes the truncation a rounding.
    log2 = 2 * log2 + 1
    shift = _LOG_DIGITS + 1 + _LN2_BITS - FRACTION
    y = (log2 * _LN2_SHORT + (1 << (shift - 1))) >> shift
    return y + none * (MIN - y)


@register_jitable
def sigmoid(x: Any) -> Any:
    """1 / (1 + e**-x): one exp, one division; sigmoid(-x) is 1 - sigmoid(x) exactly."""
    x = np.int64(x)
    negative = x < 0
    e = exp(x - 2 * (1 - negative) * x)
    whole = ONE + e
    y = ((1 << (2 * FRACTION)) + (whole >> 1)) // whole
    return y + negative * (ONE - 2 * y)


@register_jitable
def tanh(x: Any) -> Any:
    """(1 - e**-2x) / (1 + e**-2x): one exp, one division; tanh(-x) is -tanh(x) exactly."""
    x = np.int64(x)
    negative = x < 0
    e = exp(2 * (x - 2 * (1 - negative) * x))
    whole = ONE + e
    y = (((ONE - e) << FRACTION) + (whole >> 1)) // whole
    return y - 2 * negative * y
