"""What Ponghiran and Roy's neurons share: values of several bits, sent when they are large enough.

Float, per step, with the current I of this one (``sparse_leaky`` and ``sparse_gated`` say which)::

    V <- V + I;    q = trunc(clip(scale V, +-levels (1 - 1e-4)));    q <- 0 where |q| <= threshold
    Y = step q;    V <- V - Y                                       step = 1 / scale

Integer: I and V have the unit step / 2^k, so that the quantiser is a shift towards zero and what
stays in V is exact. k is 14 at most, and what calibration and the gains of the weights into I leave
room for::

    V <- clip24(V + I);   q = trunc0(V / 2^k), limited to +-limit, 0 where |q| <= threshold
    V <- V - q 2^k

The limit is the neuron's own and no overflow. Every row of weights has its own scale, undone by a
multiplication (``*_gain``) in the neuron. Lava has no such process; Loihi 2 sends graded spikes and
its neuron program can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate, select, shift_toward_zero
from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons.base import (
    MESSAGE_BITS,
    FloatArray,
    Incoming,
    IntegerLayer,
    IntegerWeights,
    MessageFormat,
    Output,
    Param,
    Ranges,
    State,
    mean_error,
    round_weights,
)
from snn2hw.neurons.rows import group_exponents, row_scales

SOURCE = "arXiv 2109.01905; equations as the authors' code wponghiran/imp-snns-for-sl at 9125ccd"

MARGIN = 1e-4
"""A clipped V is this much below the level that the bits do not hold."""

FRACTION_MAX = 14
"""Most fraction bits of V below a step of the quantiser."""

FRACTION_MIN = 4
"""Fewest of them: below, the current would be rounded to a sixteenth of a step or more."""

DRIVE_SHIFT = 8
"""Fraction bits of the gains of weights that arrive in the unit of V."""

DRIVE_PORTS = ("a", "c", "c_rec")
"""Ports of weights that arrive in the unit of V."""

REGISTER_MAX = (1 << (STATE_BITS - 1)) - 1

MESSAGE_MAX = (1 << (MESSAGE_BITS - 1)) - 1

STATES = (
    State("i", STATE_BITS, "synaptic current; clips"),
    State("v", STATE_BITS, "what is held and was not sent; clips"),
)
OUTPUTS = (Output("y", MESSAGE_BITS, "what is sent, in steps of the quantiser"),)
LIMITS = {"y": "limit"}
QUANTIZER_PARAMS = (
    Param("step_shift", 0, STATE_BITS - 1, "a step of the quantiser is 2^this of V"),
    Param("threshold", 0, MESSAGE_MAX, "largest |q| that is not sent"),
    Param("limit", 0, MESSAGE_MAX, "largest |q|"),
)


def gain_param(port: str) -> Param:
    """The description of a port's gain."""
    return Param(f"{port}_gain", 0, REGISTER_MAX, f"scale of the weights into port {port}")


def bias_param(name: str, unit: str) -> Param:
    """The description of a bias."""
    return Param(name, -REGISTER_MAX, REGISTER_MAX, f"bias, in {unit}")


def send(v: Any, i: Any, step_shift: Any, threshold: Any, limit: Any) -> Any:
    """V after the current and the sending, q, and the number of clips, on integers."""
    wide = v + i
    v = saturate(wide, STATE_BITS)
    q = shift_toward_zero(v, step_shift)
    q = select(q > limit, limit, q)
    q = select(q < -limit, -limit, q)
    q = select((q > threshold) | (q < -threshold), q, 0)
    return v - (q << step_shift), q, (wide != v) * 1


def float_send(
    v: FloatArray, i: FloatArray, params: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """V after sending, Y, and V before it, in float64."""
    peak = v + i
    most = params["most"]
    q = np.minimum(np.maximum(peak * params["scale"], -most), most).astype(np.int64)
    q = np.where((q > params["threshold"]) | (q < -params["threshold"]), q, 0)
    y = q * params["step"]
    return peak - y, y, peak


def quantizer_params(node: Mapping[str, Any], dt_s: float) -> dict[str, FloatArray]:
    """Float parameters of the quantiser from a node's scale, threshold, bits and dt.

    Raises ParameterError for numbers out of range, or a dt other than the graph's: the neuron is
    one of discrete time.
    """
    scale, threshold, bits, trained_dt = (
        float(np.asarray(node[name]).reshape(())) for name in ("scale", "threshold", "bits", "dt")
    )
    if abs(trained_dt - dt_s) > 1e-6 * dt_s:
        raise ParameterError(
            f"this neuron was trained at dt = {trained_dt:g} s and has no equation in continuous "
            f"time; quantize with dt={trained_dt:g} instead of {dt_s:g}"
        )
    if not scale > 0:
        raise ParameterError(f"scale is {scale:g}; give steps per unit of V, above 0")
    if bits != int(bits) or not 1 <= bits <= 32:
        raise ParameterError(f"bits is {bits:g}; give a whole number from 1 to 32")
    if threshold != int(threshold) or threshold < 0:
        raise ParameterError(f"threshold is {threshold:g}; give a whole number of steps from 0")
    most = 2.0 ** (bits - 1) * (1 - MARGIN)
    values = {"scale": scale, "step": 1.0 / scale, "most": most, "threshold": threshold}
    return {name: np.full(1, value) for name, value in values.items()}


def sent_bits(params: Mapping[str, FloatArray]) -> int:
    """Bits of what is sent, sign included, from the float parameters."""
    return int(params["most"][0]).bit_length() + 1


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """Messages in steps of the quantiser, whose unit is the trained one, exactly; the shift is k.

    Raises TargetError for messages of more bits than there are, or a V whose range leaves it too
    few bits below a step. Weights that do are refused with their gains, by ``quantize_ports``.
    """
    step, n = float(params["step"][0]), params["scale"].size
    bits = sent_bits(params)
    if bits > ranges.message_bits:
        raise TargetError(
            f"it sends values of {bits} bits and messages hold {ranges.message_bits}; train it "
            "with fewer bits"
        )
    held = max(ranges.of(name) for name in ("i", "v", "peak", "drive"))
    room = ranges.register_max * step / (ranges.headroom * held) if held else np.inf
    k = min(FRACTION_MAX, int(np.floor(np.log2(room)))) if np.isfinite(room) else FRACTION_MAX
    if k < FRACTION_MIN:
        raise TargetError(
            f"V reaches {held:g} in calibration, {held / step:.3g} steps of its quantiser, which "
            f"leaves fewer than {FRACTION_MIN} bits of its register below a step; train it anew"
        )
    scales = row_scales(incoming, group_exponents(incoming, n), n)
    largest = max((float(scales[port].max()) for port in DRIVE_PORTS if port in scales), default=0)
    if largest > 0:
        # The gain of the largest weights grows with k, whatever calibration saw of them: what they
        # inhibit is rectified away.
        gains = REGISTER_MAX * step / (largest * 2.0**DRIVE_SHIFT)
        k = max(FRACTION_MIN, min(k, int(np.floor(np.log2(gains) - 1e-9))))
    return {"y": MessageFormat(step, k)}


def quantize_ports(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    formats: Mapping[str, MessageFormat],
    ports: Mapping[str, tuple[float, int]],
    biases: Mapping[str, tuple[str, ...]],
) -> IntegerLayer:
    """Integers of weights, gains, biases and the quantiser.

    ports: input port -> real value of a sum of 1 behind its gain, and the gain's fraction bits;
    biases: float parameter -> the ports whose rounding it can make up for, of one unit.
    Raises TargetError where a gain does not fit its register.
    """
    n = params["scale"].size
    exponents = group_exponents(incoming, n)
    scales = dict.fromkeys(ports, np.zeros(n)) | row_scales(incoming, exponents, n)
    integers: dict[str, Any] = {}
    for port, (unit, shift) in ports.items():
        common = gcd(n, *(p.weight.shape[0] for p in incoming if p.weight.ndim == 4))
        if any(p.weight.ndim == 4 for p in incoming):
            # Neurons that share the weights of a convolution share their step.
            scales[port] = np.repeat(scales[port].reshape(common, -1).max(axis=1), n // common)
        gain = np.ceil(scales[port] * 2.0**shift / unit)
        if np.any(gain > REGISTER_MAX):
            raise TargetError(
                f"weights into port {port} are too large for the neuron's gain register, by a "
                f"factor of {gain.max() / REGISTER_MAX:.3g}; scale them down"
            )
        integers[f"{port}_gain"] = gain
        # The gain is rounded too: the weights are rounded to the scale that the chip undoes.
        scales[port] = gain * unit / 2.0**shift
    weights: dict[str, IntegerWeights] = {}
    notes = []
    added = {port: np.zeros(n) for port in ports}
    for p in incoming:
        exponent = exponents[p.name]
        unit_of_rows = np.concatenate([scales[port] for port in p.target_ports])
        rows_of = p.weight.shape[0]
        own = unit_of_rows.reshape(rows_of, -1)[:, 0]
        mantissa, note = round_weights(p, own * 2.0**exponent)
        made = weights[p.name] = IntegerWeights(mantissa, exponent)
        errors = np.broadcast_to(mean_error(p, made, unit_of_rows), unit_of_rows.shape)
        for number, port in enumerate(p.target_ports):
            added[port] = added[port] + errors[number * n : (number + 1) * n]
        notes.append(f"weights of {p.name}: {p.bits} bits, one scale per row, {note}")
    for name, of in biases.items():
        unit = ports[of[0]][0]
        bias = np.rint((params[name] - sum(added[port] for port in of)) / unit)
        integers[name] = np.clip(bias, -REGISTER_MAX, REGISTER_MAX)
    step, k = formats["y"].unit, formats["y"].shift
    limit = int(params["most"][0])
    integers["step_shift"] = np.full(n, k)
    integers["threshold"] = np.minimum(params["threshold"], limit)
    integers["limit"] = np.full(n, limit)
    notes.append(
        f"sends multiples of {step:.6g} up to {limit}, from {int(params['threshold'][0]) + 1}; "
        f"holds the rest with {k} bits below that"
    )
    fine = step / 2.0**k
    return IntegerLayer(
        params={name: np.asarray(values, dtype=np.int32) for name, values in integers.items()},
        weights=weights,
        units={"i": fine, "v": fine, "y": step},
        notes=tuple(notes),
    )
