"""What LIF, its variants and the leaky integrator share: one membrane behind one synaptic current.

Continuous (NIR's CubaLIF; LIF has no synaptic memory, IF no leak)::

    tau_syn di/dt = -i + w_in a;    tau_mem dv/dt = (v_leak - v) + r i

In steps of dt, with the current of the same step, as Loihi (and snnTorch) take it::

    u <- u (1 - decay_u) + gain * a;    v <- v (1 - decay_v) + u + bias

where u is decay_v r i, so ``gain`` holds r, w_in and both decays, and ``bias`` is decay_v v_leak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import DECAY_BITS, STATE_BITS, saturate, shift_toward_zero, wrap
from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerWeights,
    Param,
    Ranges,
    State,
    mean_error,
)

ALIGN = 6
"""Synaptic input enters the current's register shifted left by 6 bits."""

UNITY = 1 << DECAY_BITS
REGISTER_MAX = (1 << (STATE_BITS - 1)) - 1

STATES = (
    State("u", STATE_BITS, "synaptic current; wraps"),
    State("v", STATE_BITS, "membrane potential after reset; clips"),
)
DECAYS = (
    Param("decay_u", 1, UNITY, "current lost per step, /4096; Lava's du is this minus 1"),
    Param("decay_v", 0, UNITY - 1, "potential lost per step, /4096"),
)


def integrate(u: Any, v: Any, a: Any, decay_u: Any, decay_v: Any, bias: Any) -> Any:
    """Current and potential before reset, as ``PyLifModelBitAcc`` of lava-nc 0.10.0 computes them.

    Returns u, v, whether u wrapped, whether v clipped.
    """
    u_wide = shift_toward_zero(u * (UNITY - decay_u), DECAY_BITS) + (a << ALIGN)
    u = wrap(u_wide, STATE_BITS)
    v_wide = shift_toward_zero(v * (UNITY - decay_v), DECAY_BITS) + u + bias
    v = saturate(v_wide, STATE_BITS)
    return u, v, u != u_wide, v != v_wide


def float_integrate(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """The same in float64; arrays of shape (batch, n). Returns u and v before reset."""
    u = states["u"] * (1.0 - params["decay_u"]) + params["gain"] * inputs["a"]
    return u, states["v"] * (1.0 - params["decay_v"]) + u + params["bias"]


def discrete(node: Mapping[str, Any], dt_s: float, method: str) -> dict[str, FloatArray]:
    """decay_u, decay_v, gain and bias of a NIR neuron, float64 (n,) or (1,).

    method "euler": decay dt/tau (what the training frameworks compute); "exact": 1 - exp(-dt/tau).
    Raises ParameterError for a time constant not above dt/2.
    """

    def value(name: str) -> FloatArray:
        return np.asarray(node[name], dtype=np.float64).ravel()

    def decay(name: str) -> FloatArray:
        tau = value(name)
        if not np.all(tau > dt_s / 2):
            raise ParameterError(
                f"{name} = {tau.min():g} s is not above dt/2 = {dt_s / 2:g} s, so the steps do not "
                "follow it; use a smaller dt"
            )
        return dt_s / tau if method == "euler" else -np.expm1(-dt_s / tau)

    r = value("r")
    if "tau" not in node and "tau_mem" not in node:
        # I and IF: dv/dt = r a, nothing leaks.
        still = np.zeros_like(r)
        return {"decay_u": still + 1.0, "decay_v": still, "gain": dt_s * r, "bias": still}
    decay_v = decay("tau" if "tau" in node else "tau_mem")
    gain, decay_u = decay_v * r, np.ones_like(r)
    if "tau_syn" in node:
        decay_u = decay("tau_syn")
        gain = gain * decay_u * value("w_in")
    return {
        "decay_u": decay_u,
        "decay_v": decay_v,
        "gain": gain,
        "bias": decay_v * value("v_leak"),
    }


def integer_decays(params: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """decay_u and decay_v in steps of 1/4096, within their registers.

    Raises TargetError for a decay above one (a time constant below dt, with Euler steps).
    """
    for name in ("decay_u", "decay_v"):
        if np.any(params[name] > 1.0):
            raise TargetError(
                f"a time constant is below dt: the Euler {name} exceeds 1, which Loihi's decay "
                "register cannot hold; use method='exact' or a smaller dt"
            )
    return {
        "decay_u": np.clip(np.rint(params["decay_u"] * UNITY), 1, UNITY),
        "decay_v": np.clip(np.rint(params["decay_v"] * UNITY), 0, UNITY - 1),
    }


def finest_current(ranges: Ranges, largest: Any) -> Any:
    """The finest unit of synaptic input for which registers hold ``largest`` with headroom; a
    potential is in units 2**6 finer."""
    return ranges.headroom * largest * 2.0**ALIGN / ranges.register_max


def corrected_bias(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    weights: Mapping[str, IntegerWeights],
    unit: float | FloatArray,
) -> FloatArray:
    """The bias of v that makes up for the mean of what rounding the weights changed, (n,).

    A constant input to the current adds 1 / decay_u times as much to v."""
    added = sum(mean_error(p, weights[p.name], unit) for p in incoming)
    return np.asarray(params["bias"] - added / params["decay_u"])


def span(values: FloatArray) -> str:
    """The range of some values, in words."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"
