"""The compiled loops: transfer functions, hair cells, their spikes, bushy cells.

All of them and their constants in one file, for Numba's cache on disk knows the changes of a
function's own file alone. Constants are those of Lauscher's code (commit 16db85f): the membrane's
from Sieroka, Dosch and Rupp, J. Acoust. Soc. Am. 120 (2006) 297, the hair cell's from
Meddis, J. Acoust. Soc. Am. 79 (1986) 702 and 83 (1988) 1056.

Each works on one channel after another without threads, so that results depend on no number of
cores, and lets go of Python's lock, so that callers may run several.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numba import njit

LEVEL = 0.3
"""Root mean square of every clip after normalisation, full scale at 1."""

PLACE_END = 3.5
"""Places run from 0, the stiff end, to this, the apex; alpha * place is dimensionless."""

ALPHA = 3.0
A = 3500.0
RHO = 1.0
C0 = 1e9
DELTA = 0.15
H = 0.1
M = 0.05
R0 = DELTA * (C0 * M) ** 0.5

Y_PER_S = 5.05
G_PER_S = 2000.0
L_PER_S = 2500.0
R_PER_S = 6580.0
X_PER_S = 66.3
HAIR_A = 5.0
HAIR_B = 300.0
HAIR_H_PER_S = 50000.0
HAIR_M = 1.0

TAU_MEM_S = 1e-3
TAU_SYN_S = 0.5e-3
REFRACTORY_S = 1e-3
WEIGHT_PER_S = 13000.0
"""Of all trains of a bushy cell together."""

EULER = 0.5772156649015328606
SERIES_BELOW = 3.0
"""Modulus up to which the power series serves: it loses exp(2 * 3) = 400 roundings at most."""

ASYMPTOTIC_FROM = 20.0
"""Modulus from which Hankel's expansion is exact to rounding: its least term is exp(-40)."""

CERTAIN = 64.0
"""Hazard that stands for a probability of 1: no draw reaches it (the largest is 37.5)."""


@njit(cache=True, nogil=True)
def hankel0(z: Any) -> Any:
    """Hankel's function of the first kind and order 0, for Re z > 0 and Im z >= 0.

    By modulus: the power series (Abramowitz and Stegun 9.1.12 and 9.1.13), Temme's recurrence for
    K0(-iz) (J. Comput. Phys. 19 (1975) 324), or Hankel's expansion (9.2.7). Tests find it within
    1e-13 of SciPy's everywhere, and within 1e-14 where the membrane needs it.
    """
    size = math.hypot(z.real, z.imag)
    if size < SERIES_BELOW:
        quarter = -0.25 * z * z
        term, j, rest, harmonic = 1.0 + 0.0j, 1.0 + 0.0j, 0.0 + 0.0j, 0.0
        for k in range(1, 40):
            term *= quarter * (1.0 / (k * k))
            harmonic += 1.0 / k
            j += term
            rest -= harmonic * term
            if abs(term.real) + abs(term.imag) < 1e-18:
                break
        y = (2 / math.pi) * ((cmath.log(0.5 * z) + EULER) * j + rest)
        return j + 1j * y
    root = cmath.sqrt(2.0 / (math.pi * z))
    if size < ASYMPTOTIC_FROM:
        # Miller's way: s[n] = C[n] U(n + 1/2, 1, 2x), downwards from where s is negligible
        x = -1j * z
        above, here, total = 0.0 + 0.0j, 1e-200 + 0.0j, 1e-200 + 0.0j
        for n in range(10 + int(240 / size), 0, -1):
            below = (n / ((n - 0.5) * (n - 0.5))) * (2.0 * (n + x) * here - (n + 1) * above)
            above, here = here, below
            total += below
        ratio = here / total
    else:
        term, ratio = 1.0 + 0.0j, 1.0 + 0.0j
        step = -0.125j / z
        for k in range(1, 40):
            term *= step * ((2 * k - 1) * (2 * k - 1) / k)
            ratio += term
            if abs(term.real) + abs(term.imag) < 1e-17:
                break
    return root * cmath.exp(1j * (z - 0.25 * math.pi)) * ratio


@njit(cache=True, nogil=True)
def transfer(omega: Any, places: Any, impedance: Any, out: Any) -> None:
    """v(omega, c) = 2 omega / xi * p(omega, c) * Z(omega) / p(omega, 0).

    omega: float64 (bins,), 1/s; places: float64 (channels,); impedance: complex128 (bins,), Z;
    out: complex128 (channels, bins), written. S - m omega^2 - i omega R is xi wherever Lauscher's
    formulas spell it out, whence one root serves all of them.
    """
    for j in range(omega.size):
        w = omega[j]
        first = cmath.sqrt(complex(C0 - A - M * w * w, -w * R0))
        spread = math.sqrt(A + M * w * w)
        scale = w * math.sqrt(RHO / H)
        start = 2.0 * scale / first / ALPHA
        # at the entry G is 2 g / alpha
        source = impedance[j] / (math.sqrt(2.0 / ALPHA) * hankel0(start))
        turn = 2.0 * math.sqrt(2.0) * w / (ALPHA * math.sqrt(2.0 * H) * spread)
        above = -ALPHA * first + 1j * ALPHA * complex(2 * A + 2 * M * w * w, w * R0) / (2 * spread)
        for k in range(places.size):
            slope = math.exp(-0.5 * ALPHA * places[k])
            xi = complex(C0 * slope * slope - A - M * w * w, -w * R0 * slope)
            root = cmath.sqrt(xi)
            below = (0.5 * ALPHA / slope) * (
                -2.0 * root + 1j * complex(2 * A + 2 * M * w * w, w * R0 * slope) / spread
            )
            g = scale / root
            argument = start - 1j * turn * cmath.log(above / below)
            p = cmath.sqrt(argument / g) * hankel0(argument)
            out[k, j] = 2.0 * w / xi * p * source


@njit(cache=True, nogil=True)
def fold(table: Any, spectrum: Any, out: Any) -> None:
    """Half the spectrum of Re IFFT(v X): by its symmetry an inverse real FFT of half the work.

    table: complex128 (channels, n); spectrum: complex128 (n,); out: complex128 (channels,
    n // 2 + 1), written.
    """
    n = spectrum.size
    for k in range(table.shape[0]):
        out[k, 0] = table[k, 0] * spectrum[0]
        for j in range(1, n // 2 + 1):
            mirror = (table[k, n - j] * spectrum[n - j]).conjugate()
            out[k, j] = 0.5 * (table[k, j] * spectrum[j] + mirror)


@njit(cache=True, nogil=True)
def hair_cell(motion: Any, rate_hz: float, out: Any) -> None:
    """Probability that a fibre fires in each sample: Meddis' three pools in Euler steps.

    motion: float64 (time,), of the membrane; out: float64 (time,), written, may exceed 1.
    """
    dt = 1.0 / rate_hz
    start = G_PER_S * HAIR_A / (HAIR_A + HAIR_B)
    c = HAIR_M * Y_PER_S * start / (L_PER_S * start + Y_PER_S * (L_PER_S + R_PER_S))
    q = c * (L_PER_S + R_PER_S) / start
    w = c * R_PER_S / X_PER_S
    for t in range(motion.size):
        open_ = motion[t] + HAIR_A
        k = G_PER_S * open_ / (open_ + HAIR_B) if open_ > 0 else 0.0
        eject = k * dt * q
        reprocess = X_PER_S * dt * w
        reuptake = R_PER_S * dt * c
        loss = L_PER_S * dt * c
        q = max(q + Y_PER_S * dt * max(HAIR_M - q, 0.0) - eject + reprocess, 0.0)
        c = max(c + eject - loss - reuptake, 0.0)
        w = max(w + reuptake - reprocess, 0.0)
        out[t] = HAIR_H_PER_S * dt * c


@njit(cache=True, nogil=True)
def hazards(probability: Any, out: Any) -> None:
    """Cumulative hazard: the sum of -log(1 - P) up to and with each sample; float64 (time,)."""
    total = 0.0
    for t in range(probability.size):
        total += -math.log1p(-probability[t]) if probability[t] < 1.0 else CERTAIN
        out[t] = total


@njit(cache=True, nogil=True)
def draw(seed: Any, hazard: Any, trains: int, refractory: int, first: Any, counts: Any) -> None:
    """How many of a cell's Bernoulli trains fire in each sample, each silent after its spikes.

    A train's next spike is where the hazard since it could fire again exceeds an exponential draw:
    the same process as a draw in each sample, for the chance to pass samples s ... t silently is
    the product of their 1 - P either way, with a draw a spike instead of a draw a sample.

    seed: uint64, of this cell; hazard: float64 (time,), cumulative; refractory: samples from a
    spike to the next that may be one; first: int32 (any,), scratch; counts: int32 (time,), written.
    Draws are SplitMix64 (Steele, Lea and Flood 2014), 53 bits.
    """
    n, total = hazard.size, hazard[-1]
    counts[:] = 0
    if total <= 0.0:
        return
    # first[b], where a search starts: where the hazard reaches b / bins of its total
    bins = first.size
    per_unit = bins / total
    t = 0
    for b in range(bins):
        while t < n - 1 and hazard[t] * per_unit < b:
            t += 1
        first[b] = t
    state = seed
    for _ in range(trains):
        start, before = 0, 0.0
        while start < n:
            state = state + np.uint64(0x9E3779B97F4A7C15)
            z = state
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            uniform = (np.float64(z >> np.uint64(11)) + 0.5) * 2.0**-53
            target = before - math.log(uniform)
            if target > total:
                break
            t = max(start, first[min(int(target * per_unit), bins - 1)])
            while t > start and hazard[t - 1] >= target:
                t -= 1
            while hazard[t] < target:
                t += 1
            counts[t] += 1
            start = t + refractory
            if start < n:
                before = hazard[start - 1]


@njit(cache=True, nogil=True)
def bushy_cell(counts: Any, rate_hz: float, trains: int, times: Any) -> int:
    """Spikes of the leaky integrator that all trains of a place drive; how many there are.

    counts: int32 (time,), trains that fire in each sample; times: int32 (time,), the samples of
    the spikes are written to its front. Currents of all trains decay alike: their sum is kept.
    A membrane that reaches 1 in the very last sample has not fired, as in Lauscher's loop.
    """
    dt = 1.0 / rate_hz
    keep_v, keep_i = math.exp(-dt / TAU_MEM_S), math.exp(-dt / TAU_SYN_S)
    weight = WEIGHT_PER_S / trains * dt
    v, current, waiting, found = 0.0, 0.0, 0.0, 0
    for t in range(counts.size):
        if waiting <= 0.0:
            if v < 1.0:
                v *= keep_v
            else:
                times[found] = t - 1
                found += 1
                waiting, v = REFRACTORY_S * rate_hz, 0.0
        current = current * keep_i + counts[t]
        if waiting <= 0.0:
            v = min(v + weight * current, 1.0)
        waiting -= 1.0
    return found


@njit(cache=True, nogil=True)
def cells(
    motion: Any, rate_hz: float, trains: int, refractory: int, seeds: Any, times: Any, found: Any
) -> None:
    """Hair cells, their fibres and bushy cells of several channels.

    motion: float64 (channels, time); seeds: uint64 (channels,); times: int32 (channels, time) and
    found: int64 (channels,), written as `bushy_cell` says.
    """
    n = motion.shape[1]
    probability, hazard = np.empty(n), np.empty(n)
    first, counts = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    for k in range(motion.shape[0]):
        hair_cell(motion[k], rate_hz, probability)
        hazards(probability, hazard)
        draw(seeds[k], hazard, trains, refractory, first, counts)
        found[k] = bushy_cell(counts, rate_hz, trains, times[k])
