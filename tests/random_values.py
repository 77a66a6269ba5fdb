"""Random parameters, weights and data of networks, at and near the limits of what chips hold."""

from __future__ import annotations

import numpy as np

from snn2hw.graph import InputFormat
from snn2hw.neurons import MODELS
from snn2hw.neurons.gpn import GATES

Rng = np.random.Generator

TOP = 2**23 - 1
"""Largest value of a register of 24 bits."""


def random_data(rng: Rng, source: InputFormat, steps: int, batch: int) -> np.ndarray:
    """Messages of an input, int32 (batch, steps, *shape), a fifth of them at its limits."""
    shape = (batch, steps, *source.shape)
    values = rng.integers(source.low, source.high + 1, shape)
    extreme = rng.choice([source.low, source.high], shape)
    values = np.where(rng.random(shape) < 0.2, extreme, values)
    active = rng.random(shape) < rng.choice([0.05, 0.3, 1.0])
    return np.asarray(values * active, dtype=np.int32)


def random_weights(rng: Rng, *shape: int) -> np.ndarray:
    """int8: of either sign only, mixed, sparse, or nothing but the limits -128, -127, 127, 0."""
    style = rng.integers(5)
    if style == 0:
        weights = rng.choice([-128, -127, 127, 0], shape)
    elif style == 1:
        weights = rng.integers(0, 128, shape)
    elif style == 2:
        weights = rng.integers(-128, 1, shape)
    else:
        weights = rng.integers(-128, 128, shape)
        if style == 3:
            weights = weights * (rng.random(shape) < 0.2)
    return weights.astype(np.int8)


def random_params(rng: Rng, model: str, n: int) -> dict[str, np.ndarray]:
    """Parameters of n neurons, each within its limits, int32."""
    limits = {p.name: (p.low, p.high) for p in MODELS[model].params}
    params = {}
    for name, values in BUILD[model](rng, n).items():
        assert np.all((values >= limits[name][0]) & (values <= limits[name][1])), name
        params[name] = values.astype(np.int32)
    return params


def _mix(rng: Rng, n: int, limits: list[int], usual: np.ndarray) -> np.ndarray:
    """Usual values with a third of the neurons at one of the limits."""
    return np.where(rng.random(n) < 0.33, rng.choice(limits, n), usual)


def _decays(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {
        "decay_u": _mix(rng, n, [1, 4096], rng.integers(1, 4097, n)),
        "decay_v": _mix(rng, n, [0, 4095], rng.integers(0, 4096, n)),
    }


def _lif_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return _decays(rng, n) | {
        "threshold": _mix(rng, n, [0, 2**17 - 1], 2 ** rng.integers(3, 17, n)),
        "bias_mantissa": _mix(rng, n, [-4096, 4095, 0, 0], rng.integers(-4096, 4096, n)),
        "bias_exponent": _mix(rng, n, [0, 7], rng.integers(0, 8, n)),
    }


def _gpn_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    params = {"x_gain": _mix(rng, n, [0, 1, TOP], 2 ** rng.integers(12, 23, n))}
    params["x_bias"] = _mix(rng, n, [0, -TOP, TOP], rng.integers(-(2**15), 2**15, n))
    for gate in GATES:
        params[f"{gate}_gain"] = _mix(rng, n, [0, TOP], 2 ** rng.integers(14, 22, n))
        params[f"{gate}_rec_gain"] = _mix(rng, n, [0, TOP], 2 ** rng.integers(10, 20, n))
        params[f"{gate}_bias"] = _mix(rng, n, [0, -TOP, TOP], rng.integers(-8000, 8000, n))
    params["message_shift"] = _mix(rng, n, [1, 23], rng.integers(3, 12, n))
    return params


def _readout_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {"bias": _mix(rng, n, [0, -TOP, TOP], rng.integers(-(2**20), 2**20, n))}


def _lif_reset_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return _decays(rng, n) | {
        "threshold": _mix(rng, n, [-TOP, 0, TOP], rng.integers(-(2**12), 2**21, n)),
        "bias": _mix(rng, n, [-TOP, TOP, 0, 0, 0, 0], rng.integers(-(2**16), 2**16, n)),
        "keep": rng.integers(0, 2, n),
        "added": _mix(rng, n, [-TOP, 0, TOP], rng.integers(-(2**21), 2**12, n)),
    }


def _alif_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {
        "decay_v": _mix(rng, n, [0, 4096], rng.integers(0, 4097, n)),
        "decay_b": _mix(rng, n, [0, 65536], 2 ** rng.integers(0, 17, n)),
        "threshold": _mix(rng, n, [-TOP, 0, TOP], rng.integers(-(2**12), 2**20, n)),
        "bias": _mix(rng, n, [-TOP, TOP, 0, 0, 0, 0], rng.integers(-(2**16), 2**17, n)),
        "jump": _mix(rng, n, [-TOP, 0, TOP], rng.integers(-(2**12), 2**20, n)),
        "b_shift": _mix(rng, n, [0, 23], rng.integers(0, 8, n)),
        "refractory": _mix(rng, n, [0, TOP - 1], rng.integers(0, 6, n)),
        "adaptive_reset": rng.integers(0, 2, n),
    }


def _integrator_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return _decays(rng, n) | {
        "bias": _mix(rng, n, [-TOP, TOP, 0, 0, 0, 0], rng.integers(-(2**16), 2**16, n)),
        "message_shift": _mix(rng, n, [0, 23], rng.integers(4, 16, n)),
    }


def _threshold_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {"threshold": _mix(rng, n, [-TOP, 0, TOP], rng.integers(-(2**12), 2**16, n))}


def _relay_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {
        "bias": _mix(rng, n, [0, -TOP, TOP], rng.integers(-(2**16), 2**16, n)),
        "message_shift": _mix(rng, n, [0, 23], rng.integers(0, 14, n)),
    }


def _sparse(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return {
        "step_shift": _mix(rng, n, [0, 23], rng.integers(8, 16, n)),
        "threshold": _mix(rng, n, [0, 2047], rng.integers(0, 8, n)),
        "limit": _mix(rng, n, [0, 2047], 2 ** rng.integers(1, 11, n) - 1),
    }


def _sparse_leaky_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    return _sparse(rng, n) | {
        "a_gain": _mix(rng, n, [0, 1, TOP], 2 ** rng.integers(4, 20, n)),
        "tau": _mix(rng, n, [0, 4096, -32767, 32767], rng.integers(-512, 4608, n)),
        "bias": _mix(rng, n, [0, -TOP, TOP], rng.integers(-(2**14), 2**14, n)),
    }


def _sparse_gated_params(rng: Rng, n: int) -> dict[str, np.ndarray]:
    params = _sparse(rng, n)
    for port, low in (("f", 8), ("f_rec", 6), ("c", 8), ("c_rec", 4)):
        params[f"{port}_gain"] = _mix(rng, n, [0, TOP], 2 ** rng.integers(low, low + 8, n))
    params["f_bias"] = _mix(rng, n, [0, -TOP, TOP], rng.integers(-8000, 8000, n))
    params["c_bias"] = _mix(rng, n, [0, -TOP, TOP], rng.integers(-(2**15), 2**17, n))
    return params


BUILD = {
    "lif": _lif_params,
    "gpn": _gpn_params,
    "readout": _readout_params,
    "lif_reset": _lif_reset_params,
    "alif": _alif_params,
    "integrator": _integrator_params,
    "threshold": _threshold_params,
    "relay": _relay_params,
    "sparse_leaky": _sparse_leaky_params,
    "sparse_gated": _sparse_gated_params,
}
