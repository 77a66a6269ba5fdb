"""LIF with a synaptic current: the neuron that Loihi has in hardware (CUBA-LIF).

Float, per step (NIR's LIF has no synaptic memory: ``decay_u = 1``)::

    u <- u (1 - decay_u) + gain * a
    v <- v (1 - decay_v) + u + bias
    s  = v > v_threshold;  v <- 0 where s

Integer, per step, as ``lava.proc.lif.models.PyLifModelBitAcc`` of lava-nc 0.10.0 computes it::

    u <- wrap24(trunc0(u (4096 - decay_u) / 4096) + a * 2^6)
    v <- clip24(trunc0(v (4096 - decay_v) / 4096) + u + bias_mantissa * 2^bias_exponent)
    s  = v > threshold * 2^6;  v <- 0 where s

A current beyond three times the 24-bit range wraps twice here, as a register does; Lava's model
wraps it once and leaves it out of range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import DECAY_BITS, STATE_BITS, saturate, select, shift_toward_zero, wrap
from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntArray,
    IntegerLayer,
    Lowered,
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    Ranges,
    State,
    shared_unit,
    weights_in_units,
)

ALIGN = 6
"""Synaptic input and threshold enter the registers shifted left by 6 bits."""

UNITY = 1 << DECAY_BITS
THRESHOLD_MAX = (1 << 17) - 1
BIAS_MANTISSA_MAX = (1 << 12) - 1
BIAS_EXPONENT_MAX = 7
HEADROOM = 2.0
"""The registers hold twice what calibration saw."""


def step(
    u: Any,
    v: Any,
    a: Any,
    decay_u: Any,
    decay_v: Any,
    threshold: Any,
    bias_mantissa: Any,
    bias_exponent: Any,
) -> Any:
    """One time step on integers; see the module's equations. Returns u, v, s, wraps, clips."""
    u_wide = shift_toward_zero(u * (UNITY - decay_u), DECAY_BITS) + (a << ALIGN)
    u = wrap(u_wide, STATE_BITS)
    v_wide = (
        shift_toward_zero(v * (UNITY - decay_v), DECAY_BITS) + u + (bias_mantissa << bias_exponent)
    )
    v = saturate(v_wide, STATE_BITS)
    s = v > (threshold << ALIGN)
    return u, select(s, 0, v), s, u != u_wide, v != v_wide


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    u = states["u"] * (1.0 - params["decay_u"]) + params["gain"] * inputs["a"]
    h = states["v"] * (1.0 - params["decay_v"]) + u + params["bias"]
    s = h > params["v_threshold"]
    return {"u": u, "v": np.where(s, 0.0, h)}, {"s": s.astype(np.float64), "h": h}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """NIR's LIF, tau dv/dt = (v_leak - v) + r I, in steps of dt.

    method "euler": decay dt/tau (what the training frameworks compute); "exact": 1 - exp(-dt/tau).
    Raises ParameterError for a time constant not above dt/2 and for a reset other than to zero.
    """
    tau = np.asarray(node["tau"], dtype=np.float64).ravel()
    if not np.all(tau > dt_s / 2):
        raise ParameterError(
            f"tau = {tau.min():g} s is not above dt/2 = {dt_s / 2:g} s, so the steps do not follow "
            "the membrane; use a smaller dt"
        )
    if np.any(np.asarray(node["v_reset"]) != 0):
        raise ParameterError(
            "v_reset is not zero, and Loihi's LIF resets to zero only; "
            "shift the neuron's potentials so that it resets to zero"
        )
    decay = dt_s / tau if method == "euler" else -np.expm1(-dt_s / tau)
    v_leak = np.asarray(node["v_leak"], dtype=np.float64).ravel()
    return Lowered(
        params={
            "decay_u": np.ones_like(tau),
            "decay_v": decay,
            "v_threshold": np.asarray(node["v_threshold"], dtype=np.float64).ravel(),
            "bias": decay * v_leak,
            "gain": decay * np.asarray(node["r"], dtype=np.float64).ravel(),
        }
    )


def message_formats(params: Mapping[str, FloatArray], ranges: Ranges) -> dict[str, MessageFormat]:
    """Spikes need no format."""
    return {}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one unit of current for the layer.

    The unit is the smallest one (so the threshold has most digits) for which twice the largest
    calibrated |u| and |v| fit 24 bits, every threshold 17 and every bias its mantissa. The largest
    weight then sits at 127 * 2**exponent.

    Raises TargetError where decays or thresholds are outside what the registers hold.
    """
    if np.any(params["decay_v"] > 1.0):
        raise TargetError(
            "tau is below dt: the Euler decay exceeds 1, which Loihi's decay register "
            "cannot hold; use method='exact' or a smaller dt"
        )
    if np.any(params["v_threshold"] < 0):
        raise TargetError("v_threshold is negative, which Loihi's threshold register cannot hold")
    threshold_max = float(params["v_threshold"].max())
    register = HEADROOM * max(ranges.of("u"), ranges.of("h"), threshold_max)
    bias_max = float(np.abs(params["bias"]).max())
    finest = max(
        register * 2.0**ALIGN / 2.0 ** (STATE_BITS - 1),
        threshold_max / THRESHOLD_MAX,
        bias_max * 2.0**ALIGN / (BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX),
    )
    unit = shared_unit(incoming, finest)
    weights = {}
    notes = [f"unit of current {unit:.6g}"]
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    bias = np.rint(params["bias"] / unit * 2.0**ALIGN).astype(np.int64)
    exponent_of_bias = np.zeros(bias.shape, dtype=np.int64)
    for shift in range(1, BIAS_EXPONENT_MAX + 1):
        exponent_of_bias[np.abs(bias) > (BIAS_MANTISSA_MAX << (shift - 1))] = shift
    mantissa_of_bias = np.rint(bias / 2.0**exponent_of_bias)
    mantissa_of_bias = np.clip(mantissa_of_bias, -BIAS_MANTISSA_MAX, BIAS_MANTISSA_MAX)
    threshold = np.clip(np.rint(params["v_threshold"] / unit), 0, THRESHOLD_MAX)
    decay_v = np.clip(np.rint(params["decay_v"] * UNITY), 0, UNITY - 1)
    decay_u = np.clip(np.rint(params["decay_u"] * UNITY), 1, UNITY)
    notes.append(
        f"threshold {_span(params['v_threshold'])} -> {_span(threshold)}, "
        f"decay of v {_span(params['decay_v'])} -> {_span(decay_v)}/4096"
    )

    def ints(values: FloatArray) -> IntArray:
        return np.asarray(values, dtype=np.int32)

    return IntegerLayer(
        params={
            "decay_u": ints(decay_u),
            "decay_v": ints(decay_v),
            "threshold": ints(threshold),
            "bias_mantissa": ints(mantissa_of_bias),
            "bias_exponent": exponent_of_bias.astype(np.int32),
        },
        weights=weights,
        units={"u": unit / 2**ALIGN, "v": unit / 2**ALIGN, "s": 1.0},
        notes=tuple(notes),
    )


def _span(values: FloatArray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


LIF = NeuronModel(
    name="lif",
    doc="Leaky integrate-and-fire with synaptic current, reset to zero (Loihi's CUBA-LIF)",
    source="lava-nc 0.10.0, lava.proc.lif.models.PyLifModelBitAcc; Davies et al. 2018",
    inputs=("a",),
    states=(
        State("u", STATE_BITS, "synaptic current; wraps"),
        State("v", STATE_BITS, "membrane potential after reset; clips"),
    ),
    params=(
        Param("decay_u", 1, UNITY, "current lost per step, /4096; Lava's du is this minus 1"),
        Param("decay_v", 0, UNITY - 1, "potential lost per step, /4096"),
        Param("threshold", 0, THRESHOLD_MAX, "fires where v > threshold * 64"),
        Param("bias_mantissa", -BIAS_MANTISSA_MAX - 1, BIAS_MANTISSA_MAX, "bias, mantissa"),
        Param("bias_exponent", 0, BIAS_EXPONENT_MAX, "bias, exponent of 2"),
    ),
    outputs=(Output("s", 1, "spike"),),
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    gain_of={"a": "gain"},
    nir_types=("LIF",),
)
