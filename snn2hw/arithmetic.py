"""Fixed-point primitives from which every neuron's integer step is written.

Each function is made of Python operators alone, so one definition serves NumPy arrays (the Lava
process), Numba scalars (the simulator), torch integer tensors (training on integers) and the
counting numbers of the energy model. The rules are Loihi's, as Intel's bit-accurate models in
lava-nc 0.10.0 compute them (``lava.proc.lif.models``, ``lava.proc.dense.models``).

This module needs nothing but Python: the Lava worker imports it inside another interpreter.
"""

from __future__ import annotations

from typing import Any

DECAY_BITS = 12
"""Decays are fractions of 2**12 (Loihi's decay registers)."""

STATE_BITS = 24
"""Width of Loihi's current and voltage registers, sign included."""


def shift_toward_zero(x: Any, n: Any) -> Any:
    """``x / 2**n`` rounded towards zero: Loihi shifts the magnitude and restores the sign.

    x: integers; n: non-negative shift in bits.
    """
    return (x + (x < 0) * ((1 << n) - 1)) >> n


def shift_rounded(x: Any, n: Any) -> Any:
    """``x / 2**n`` rounded to the nearest integer, halves upwards. n: bits, not negative."""
    return (x + ((1 << n) >> 1)) >> n


def wrap(x: Any, bits: int) -> Any:
    """``x`` modulo ``2**bits`` in the range (-2**(bits-1), 2**(bits-1)].

    The range is open below because Lava's LIF maps -2**23 to +2**23.
    """
    half = 1 << (bits - 1)
    return ((x + (half - 1)) & (2 * half - 1)) - (half - 1)


def saturate(x: Any, bits: int) -> Any:
    """``x`` limited to +-(2**(bits-1) - 1), the symmetric range of Loihi's voltage register."""
    limit = (1 << (bits - 1)) - 1
    x = x + (x > limit) * (limit - x)
    return x + (x < -limit) * (-limit - x)


def select(condition: Any, if_true: Any, if_false: Any) -> Any:
    """``if_true`` where the condition holds, else ``if_false``; exact for integers."""
    return if_false + condition * (if_true - if_false)


def interpolate(table: Any, x: Any, n: int) -> Any:
    """Piecewise-linear look-up: entry k of ``table`` is the line from ``k * 2**n`` on.

    Its lower 16 bits are the value there, what is above them the rise to the next entry, signed, so
    that a look-up is one read. x: integers in [0, len(table) * 2**n). The product of rise and
    fraction is rounded to the nearest.
    """
    line = table[x >> n]
    return (line & 0xFFFF) + shift_rounded((line >> 16) * (x & ((1 << n) - 1)), n)


PRIMITIVES = (shift_toward_zero, shift_rounded, wrap, saturate, select, interpolate)
"""Every function above, for those who compile them (the simulator)."""
