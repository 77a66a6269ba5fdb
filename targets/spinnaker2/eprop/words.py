"""Arithmetic on the words of a PE, for compiled code: the type of the word says which.

A kernel is written once with these functions. On float32 (the M4F's floating-point unit) and
float64 (for tests) they are the operators. On int32 a word is s16.15: a product has 30 fraction
bits, ``narrow`` rounds it to 15 and saturates it. ``noise`` is what is added before the fraction is
cut off: ``HALF`` rounds to the nearest, a random number of 15 bits rounds up or down with the
probability that keeps the mean (the PE's rounding unit offers both). Floats ignore it.

The random numbers are hashes of (seed, sample, step, neuron, input), not the state of a generator,
so that a weight is rounded alike wherever its neuron is placed.
"""

# Numba compares the signatures of an overload and its implementation, annotations included.
# mypy: ignore-errors

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from snn2hw.targets.spinnaker2 import exp_unit

jit = njit(_nrt=False, error_model="numpy")
"""For every compiled function here: slices of a PE's memory need no reference counts, and a
division by zero no exception, which would keep loops from becoming vectors."""

contracted = njit(_nrt=False, error_model="numpy", fastmath={"contract"})
"""With multiply and add as one rounding, as the M4F's VFMA has them."""

reordered = njit(_nrt=False, error_model="numpy", fastmath={"contract", "reassoc"})
"""And with sums in an order that the compiler chooses by the width of the machine's vectors."""

FRACTION = 15
ONE = 1 << FRACTION
HALF = 1 << (FRACTION - 1)
LARGEST = (1 << 31) - 1

GRADIENT_BITS = 8
"""In s16.15 a gradient is kept times 2**8, see ``gradient_scale``."""

FINE = 30
"""Fraction bits of a constant below 1 that a word would round too coarsely: a learning rate."""


def is_word(kind: Any) -> bool:
    """Whether a Numba type is that of fixed-point words (and of sums of them)."""
    return isinstance(kind, types.Integer)


def times(a: Any, b: Any) -> Any:
    """Product before rounding: of int32 words an int64 with 30 fraction bits."""
    raise NotImplementedError("compiled code only")


def narrow(product: Any, noise: Any) -> Any:
    """A word from a product, or a sum of products."""
    raise NotImplementedError("compiled code only")


def increased(total: Any, a: Any, b: Any, c: Any, d: Any, noise: Any) -> Any:
    """total + a b + c d as a word; the two products are rounded as one."""
    raise NotImplementedError("compiled code only")


def settled(value: Any) -> Any:
    """The word, 0 where a float is below 1e-30: what decays must end before it is denormal, which
    costs a processor a hundred times as much and the M4F (in flush-to-zero mode) does not have."""
    raise NotImplementedError("compiled code only")


def clipped(total: Any, like: Any) -> Any:
    """A word of the type of ``like`` from a sum of words; int32 saturates."""
    raise NotImplementedError("compiled code only")


def quotient(a: Any, b: Any) -> Any:
    """a / b, b above 0; int32 rounds towards minus infinity."""
    raise NotImplementedError("compiled code only")


def root(a: Any) -> Any:
    """Square root, of 0 or more."""
    raise NotImplementedError("compiled code only")


def bells(u: Any) -> Any:
    """1.15 N(u; 0, 0.5) - 0.15 N(u; 0.5, 3) - 0.15 N(u; -0.5, 3), N having mean and standard
    deviation.

    Floats take two exponentials for three: the first bell is exp(-u^2 / 18)**36, the others differ
    by exp(u / 18).
    """
    raise NotImplementedError("compiled code only")


def exponential(a: Any) -> Any:
    """e**a; of int32 words as the PE's exp unit computes it."""
    raise NotImplementedError("compiled code only")


def sigmoid(a: Any) -> Any:
    """1 / (1 + e**-a)."""
    raise NotImplementedError("compiled code only")


def hyperbolic_tangent(a: Any) -> Any:
    """tanh(a)."""
    raise NotImplementedError("compiled code only")


def word(value: Any, like: Any) -> Any:
    """A whole number as a word of the type of ``like``."""
    raise NotImplementedError("compiled code only")


def draw(key: Any, number: Any, stochastic: Any, like: Any) -> Any:
    """30 bits for the rounding of int32 words: random, or those that round to the nearest.

    ``low`` and ``high`` halves serve one ``narrow`` each, all of it one ``fine``. Floats get 0.
    """
    raise NotImplementedError("compiled code only")


def fine(value: Any, factor: Any, shift: Any, bits: Any) -> Any:
    """value * factor * 2**shift, the factor an int64 with ``FINE`` fraction bits where words are
    int32; floats are not shifted."""
    raise NotImplementedError("compiled code only")


def from_real(value: Any, like: Any) -> Any:
    """A float64 as a word of the type of ``like``, to the nearest."""
    raise NotImplementedError("compiled code only")


def fine_from_real(value: Any, like: Any) -> Any:
    """A float64 as a factor for ``fine``."""
    raise NotImplementedError("compiled code only")


def gradient_scale(like: Any) -> Any:
    """What gradients are kept times, as float64: 2**8 in s16.15, where Adam, which divides by a
    gradient's size, gains resolution by it; else 1."""
    raise NotImplementedError("compiled code only")


def to_real(value: Any) -> Any:
    """A word as float64."""
    raise NotImplementedError("compiled code only")


@overload(times)
def _times(a, b):
    if is_word(a):
        return lambda a, b: np.int64(a) * np.int64(b)
    return lambda a, b: a * b


@overload(narrow)
def _narrow(product, noise):
    if is_word(product):

        def fixed(product, noise):
            rounded = (product + noise) >> FRACTION
            return np.int32(min(max(rounded, -LARGEST), LARGEST))

        return fixed
    return lambda product, noise: product


@overload(increased)
def _increased(total, a, b, c, d, noise):
    if is_word(total):

        def fixed(total, a, b, c, d, noise):
            more = narrow(np.int64(a) * np.int64(b) + np.int64(c) * np.int64(d), noise)
            return clipped(np.int64(total) + more, a)

        return fixed
    return lambda total, a, b, c, d, noise: total + a * b + c * d


@overload(settled)
def _settled(value):
    if is_word(value):
        return lambda value: value

    def real(value):
        return value if abs(value) > from_real(1e-30, value) else word(0, value)

    return real


@overload(clipped)
def _clipped(total, like):
    if is_word(like):
        return lambda total, like: np.int32(min(max(np.int64(total), -LARGEST), LARGEST))
    return lambda total, like: total


@overload(quotient)
def _quotient(a, b):
    if is_word(a):

        def fixed(a, b):
            result = (np.int64(a) << FRACTION) // np.int64(b)
            return np.int32(min(max(result, -LARGEST), LARGEST))

        return fixed
    return lambda a, b: a / b


@overload(root)
def _root(a):
    if is_word(a):

        def fixed(a):
            # The double's root of up to 46 bits is within one; the loops make it the integer's.
            square = np.int64(a) << FRACTION
            found = np.int64(np.sqrt(np.float64(square)))
            while found * found > square:
                found -= 1
            while (found + 1) * (found + 1) <= square:
                found += 1
            return np.int32(found)

        return fixed
    return lambda a: np.sqrt(a)


@intrinsic
def power_of_two(typing, exponent):
    """2**exponent as float32 from an int32 within its range: the bits of the exponent."""

    def build(context, builder, signature, args):
        wide = ir.IntType(32)
        biased = builder.add(args[0], ir.Constant(wide, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(wide, 23)), ir.FloatType())

    return types.float32(types.int32), build


_EXP = tuple(
    np.float32(value)
    for value in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                  1.6666665459e-1, 5.0000001201e-1)
)  # fmt: skip
_LOWEST, _HIGHEST, _LOG2E = np.float32(-87.0), np.float32(88.0), np.float32(1.44269504)
_LN2, _LN2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_ONE = np.float32(1)


@jit
def single_exponential(x):
    """e**x in float32, within 2 ulp, of x limited to [-87, 88]; without a call, so that a loop over
    neurons becomes vectors (polynomial and split of ln 2: Moshier's Cephes, expf)."""
    x = min(max(x, _LOWEST), _HIGHEST)
    power = np.rint(x * _LOG2E)
    r = x - power * _LN2 - power * _LN2_REST
    p = ((((_EXP[0] * r + _EXP[1]) * r + _EXP[2]) * r + _EXP[3]) * r + _EXP[4]) * r + _EXP[5]
    return (p * r * r + r + _ONE) * power_of_two(np.int32(power))


@overload(exponential)
def _exponential(a):
    if is_word(a):
        return lambda a: np.int32(exp_unit.exp(a))
    if a == types.float32:
        return lambda a: single_exponential(a)
    return lambda a: np.exp(a)


NARROW, WIDE = 1.15 / (0.5 * math.sqrt(2 * math.pi)), 0.15 / (3 * math.sqrt(2 * math.pi))
"""Heights of the bells."""


@overload(bells)
def _bells(u):
    if is_word(u):

        def fixed(u):
            middle = narrow(times(u, u), HALF)
            left = narrow(times(u + HALF, u + HALF), HALF)
            right = narrow(times(u - HALF, u - HALF), HALF)
            eighteenth = from_real(-1.0 / 18.0, u)
            narrowed = exponential(clipped(-2 * np.int64(middle), u))
            wide = np.int64(exponential(narrow(times(left, eighteenth), HALF)))
            wide += exponential(narrow(times(right, eighteenth), HALF))
            product = times(narrowed, from_real(NARROW, u)) - times(wide, from_real(WIDE, u))
            return narrow(product, HALF)

        return fixed

    def real(u):
        scaled = u * from_real(1.0 / 18.0, u)
        wide = exponential(-u * scaled)
        ninth = wide * wide
        ninth *= ninth
        ninth = ninth * ninth * wide
        ninth *= ninth
        side = exponential(scaled)
        both = side + word(1, u) / side
        shared = from_real(WIDE * math.exp(-1.0 / 72.0), u)
        return from_real(NARROW, u) * (ninth * ninth) - shared * wide * both

    return real


@overload(sigmoid)
def _sigmoid(a):
    if is_word(a):
        return lambda a: np.int32(exp_unit.sigmoid(a))

    def real(a):
        one = word(1, a)
        return one / (one + exponential(-a))

    return real


@overload(hyperbolic_tangent)
def _hyperbolic_tangent(a):
    if is_word(a):
        return lambda a: np.int32(exp_unit.tanh(a))
    return lambda a: np.tanh(a)


@overload(word)
def _word(value, like):
    if is_word(like):
        return lambda value, like: np.int32(value << FRACTION)
    if like == types.float32:
        return lambda value, like: np.float32(value)
    return lambda value, like: np.float64(value)


@overload(draw)
def _draw(key, number, stochastic, like):
    if is_word(like):

        def fixed(key, number, stochastic, like):
            bits = np.int64(mixed(key, number)) & 0x3FFFFFFF
            return bits if stochastic else np.int64(HALF | HALF << FRACTION)

        return fixed
    return lambda key, number, stochastic, like: 0


@overload(fine)
def _fine(value, factor, shift, bits):
    if is_word(value):

        def fixed(value, factor, shift, bits):
            cut = FINE - shift
            noise = bits >> (FINE - cut) if cut <= FINE else bits << (cut - FINE)
            rounded = (np.int64(value) * np.int64(factor) + noise) >> cut
            return np.int32(min(max(rounded, -LARGEST), LARGEST))

        return fixed
    return lambda value, factor, shift, bits: value * factor


@overload(from_real)
def _from_real(value, like):
    if is_word(like):

        def fixed(value, like):
            return np.int32(min(max(np.rint(value * ONE), -float(LARGEST)), float(LARGEST)))

        return fixed
    if like == types.float32:
        return lambda value, like: np.float32(value)
    return lambda value, like: value


@overload(fine_from_real)
def _fine_from_real(value, like):
    if is_word(like):
        return lambda value, like: np.int64(np.rint(value * (1 << FINE)))
    if like == types.float32:
        return lambda value, like: np.float32(value)
    return lambda value, like: value


@overload(gradient_scale)
def _gradient_scale(like):
    if is_word(like):
        return lambda like: float(1 << GRADIENT_BITS)
    return lambda like: 1.0


@overload(to_real)
def _to_real(value):
    if is_word(value):
        return lambda value: np.float64(value) / ONE
    return lambda value: np.float64(value)


@jit
def low(bits):
    """Noise for one ``narrow`` from what ``draw`` gave."""
    return bits & (ONE - 1)


@jit
def high(bits):
    """Noise for another."""
    return bits >> FRACTION


@jit
def mixed(key, value):
    """A key of 32 bits from a key and one more number (finaliser of MurmurHash3, Appleby)."""
    x = (np.uint64(key) * np.uint64(0x9E3779B1) + np.uint64(value)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x85EBCA6B)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(13)
    x = (x * np.uint64(0xC2B2AE35)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))
