"""Lauscher's chain again, from its equations in the words of the paper's code, in plain loops.

Nothing here is imported from the package: constants and formulas are spelled out a second time.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import hankel1, jv, yv

ALPHA, A, RHO, C0, DELTA, H, M = 3.0, 3500.0, 1.0, 1e9, 0.15, 0.1, 0.05
R0 = DELTA * math.sqrt(C0 * M)


def xi(w, c):
    s = C0 * np.exp(-ALPHA * c) - A
    r = R0 * np.exp(-ALPHA * c / 2)
    return s - M * w**2 - 1j * w * r


def g(w, c):
    return w * np.sqrt(RHO / (H * xi(w, c)))


def argument(w, c):
    n = -ALPHA * np.sqrt(C0 - A - w * (M * w + 1j * R0)) + 1j * ALPHA * (
        2 * A + w * (2 * M * w + 1j * R0)
    ) / (2 * np.sqrt(A + M * w**2))
    e, half = np.exp(-ALPHA * c), np.exp(-ALPHA * c / 2)
    d = (0.5 * ALPHA / half) * (
        -2 * np.sqrt(C0 * e - A - M * w**2 - 1j * w * R0 * half)
        + 1j * (2 * A + w * (2 * M * w + 1j * R0 * half)) / np.sqrt(A + M * w**2)
    )
    factor = 2j * np.sqrt(2) * w / (ALPHA * np.sqrt(2 * H * (M * w**2 + A)))
    return 2 * g(w, 0.0) / ALPHA - factor * np.log(n / d)


def p(w, c):
    return np.sqrt(argument(w, c) / g(w, c)) * hankel1(0, argument(w, c))


def impedance(w):
    kappa = 4 * np.pi * (w / (2 * np.pi)) / ALPHA * np.sqrt(2 / (H * C0))
    return (
        np.sqrt(2 * C0 / H)
        * (1j * jv(0, kappa) + yv(0, kappa))
        / (jv(1, kappa) - 1j * yv(1, kappa))
    )


def transfer(w, c):
    return 2 * w / xi(w, c) * p(w, c) * impedance(w) / p(w, 0.0)


def membrane(sound, rate_hz, places):
    n = len(sound)
    half = n // 2 + 1
    x = np.fft.fft(sound)[:half]
    w = 2 * np.pi * np.linspace(1, rate_hz / 2, half)
    return np.array([np.real(np.fft.ifft(transfer(w, c) * x)) for c in places])


def prepare(sound):
    out = sound * (0.3 / np.sqrt(np.mean(sound**2)))
    half = len(sound) // 2
    for i in range(half):
        weight = 0.5 - 0.5 * math.cos(2 * math.pi * i / (2 * half - 1))
        out[i] *= weight
        out[-1 - i] *= weight
    return out


def hair_cell(s, rate_hz):
    y, gg, ll, r, x, a, b, h, m = 5.05, 2000.0, 2500.0, 6580.0, 66.3, 5.0, 300.0, 50000.0, 1.0
    dt = 1 / rate_hz
    k0 = gg * a / (a + b)
    c = m * y * k0 / (ll * k0 + y * (ll + r))
    q = c * (ll + r) / k0
    w = c * r / x
    out = []
    for value in s:
        k = gg * (value + a) / (value + a + b) if value + a > 0 else 0.0
        q, c, w = (
            max(q + y * dt * max(m - q, 0) - k * dt * q + x * dt * w, 0),
            max(c + k * dt * q - (ll + r) * dt * c, 0),
            max(w + r * dt * c - x * dt * w, 0),
        )
        out.append(h * dt * c)
    return np.array(out)


def fibres(rng, probability, trains, refractory_samples):
    """Bernoulli trains (trains, time), each without what follows a spike too soon."""
    raw = rng.random((trains, len(probability))) < probability
    for row in raw:
        last = -math.inf
        for t in np.flatnonzero(row):
            if t - last < refractory_samples:
                row[t] = False
            else:
                last = t
    return raw


def bushy_cell(trains, rate_hz):
    """Samples at which the cell that hears these trains (trains, time) fires."""
    dt = 1 / rate_hz
    tau_m, tau_s, refractory, weight = 1e-3, 0.5e-3, 1e-3, 13000 / len(trains)
    current, v, left, fired = np.zeros(len(trains)), 0.0, 0.0, []
    for t in range(trains.shape[1]):
        current = current * math.exp(-dt / tau_s) + trains[:, t]
        if left <= 0 and v >= 1:
            fired.append(t - 1)
            v, left = 0.0, refractory * rate_hz
        elif left <= 0:
            v *= math.exp(-dt / tau_m)
        if left <= 0:
            v = min(v + weight * dt * current.sum(), 1.0)
        left -= 1
    return fired
