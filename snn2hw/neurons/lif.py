"""LIF with a synaptic current: the neuron that Loihi has in hardware (CUBA-LIF).

Float, per step (NIR's LIF has no synaptic memory: ``decay_u = 1``; see ``membrane``)::

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

from snn2hw.arithmetic import select
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
    Trim,
    own_units,
    weights_in_units,
)
from snn2hw.neurons.membrane import (
    ALIGN,
    DECAYS,
    STATES,
    corrected_bias,
    discrete,
    finest_current,
    float_integrate,
    integer_decays,
    integrate,
    span,
)

THRESHOLD_MAX = (1 << 17) - 1
BIAS_MANTISSA_MAX = (1 << 12) - 1
BIAS_EXPONENT_MAX = 7

RESETS = ("value", "subtract")
"""What a spike does to v: set it to v_reset, or take v_threshold - v_reset off it."""


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
    u, v, wraps, clips = integrate(u, v, a, decay_u, decay_v, bias_mantissa << bias_exponent)
    s = v > (threshold << ALIGN)
    return u, select(s, 0, v), s, wraps, clips


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    u, h = float_integrate(states, inputs, params)
    s = h > params["v_threshold"]
    return {"u": u, "v": np.where(s, 0.0, h)}, {"s": s.astype(np.float64), "h": h}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """NIR's LIF, CubaLIF and IF in steps of dt; see ``membrane.discrete``.

    node: NIR's parameters, and ``reset``: "value" (v <- v_reset, what NIR means) or "subtract"
    (v <- v - v_threshold + v_reset). Where the reset is not to zero or a threshold is negative,
    the model is "lif_reset". Raises ParameterError for an unknown reset, or a bad time constant.
    """
    params = discrete(node, dt_s, method)
    reset = str(node.get("reset", "value"))
    if reset not in RESETS:
        raise ParameterError(f"reset {reset!r} is unknown; use one of {', '.join(RESETS)}")
    v_threshold = np.asarray(node["v_threshold"], dtype=np.float64).ravel()
    v_reset = np.asarray(node["v_reset"], dtype=np.float64).ravel()
    params["v_threshold"] = v_threshold
    if reset == "value" and not np.any(v_reset) and np.all(v_threshold >= 0):
        return Lowered(params)
    subtracts = reset == "subtract"
    params["keep"] = np.full_like(v_threshold, float(subtracts))
    params["added"] = v_reset - v_threshold if subtracts else v_reset
    return Lowered(params, model="lif_reset")


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """Spikes need no format."""
    return {}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one unit of current for each neuron (see ``own_units``): 24 bits hold
    twice the largest calibrated |u| and |v|, 17 the threshold, and the bias fits its mantissa.

    Raises TargetError where decays or thresholds are outside what the registers hold.
    """
    decays = integer_decays(params)
    if np.any(params["v_threshold"] < 0):
        raise TargetError("v_threshold is negative, which Loihi's threshold register cannot hold")
    largest = np.maximum(np.maximum(ranges.each("u"), ranges.each("h")), params["v_threshold"])
    finest = np.maximum(finest_current(ranges, largest), params["v_threshold"] / THRESHOLD_MAX)
    bias_max = np.abs(params["bias"]) * 2.0**ALIGN / (BIAS_MANTISSA_MAX << BIAS_EXPONENT_MAX)
    unit = own_units(incoming, np.maximum(finest, bias_max))
    weights = {}
    notes = [f"unit of current {span(unit)}"]
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    real_bias = corrected_bias(params, incoming, weights, unit)
    bias = np.rint(real_bias / unit * 2.0**ALIGN).astype(np.int64)
    exponent_of_bias = np.zeros(bias.shape, dtype=np.int64)
    for shift in range(1, BIAS_EXPONENT_MAX + 1):
        exponent_of_bias[np.abs(bias) > (BIAS_MANTISSA_MAX << (shift - 1))] = shift
    mantissa_of_bias = np.rint(bias / 2.0**exponent_of_bias)
    mantissa_of_bias = np.clip(mantissa_of_bias, -BIAS_MANTISSA_MAX, BIAS_MANTISSA_MAX)
    threshold = np.clip(np.rint(params["v_threshold"] / unit), 0, THRESHOLD_MAX)
    notes.append(
        f"threshold {span(params['v_threshold'])} -> {span(threshold)}, "
        f"decay of v {span(params['decay_v'])} -> {span(decays['decay_v'])}/4096"
    )

    def ints(values: FloatArray) -> IntArray:
        return np.asarray(values, dtype=np.int32)

    return IntegerLayer(
        params={
            "decay_u": ints(decays["decay_u"]),
            "decay_v": ints(decays["decay_v"]),
            "threshold": ints(threshold),
            "bias_mantissa": ints(mantissa_of_bias),
            "bias_exponent": exponent_of_bias.astype(np.int32),
        },
        weights=weights,
        units={"u": unit / 2**ALIGN, "v": unit / 2**ALIGN, "s": 1.0},
        notes=tuple(notes),
    )


LIF = NeuronModel(
    name="lif",
    doc="Leaky integrate-and-fire with synaptic current, reset to zero (Loihi's CUBA-LIF)",
    source="lava-nc 0.10.0, lava.proc.lif.models.PyLifModelBitAcc; Davies et al. 2018",
    inputs=("a",),
    states=STATES,
    params=(
        *DECAYS,
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
    nir_types=("LIF", "CubaLIF", "IF"),
    trim=Trim("threshold", 0.01, 1),
)
