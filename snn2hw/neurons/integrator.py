"""Leaky integrator without a threshold: its potential leaves as a graded message.

Float, per step (u and v as in ``membrane``; I has no leak)::  y = m = v

Integer: u and v as ``lif``, never reset. ``y`` is v itself, for the host; ``m`` is what other
layers hear, 12 bits::

    y = v;    m = clip12(round(v / 2^message_shift))

Lava has no such process; Loihi 2's neuron program can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate, shift_rounded
from snn2hw.neurons.base import (
    MESSAGE_BITS,
    FloatArray,
    Incoming,
    IntegerLayer,
    Lowered,
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    Ranges,
    message_format,
    shared_unit,
    weights_in_units,
)
from snn2hw.neurons.membrane import (
    ALIGN,
    DECAYS,
    REGISTER_MAX,
    STATES,
    corrected_bias,
    discrete,
    finest_current,
    float_integrate,
    integer_decays,
    integrate,
)


def step(u: Any, v: Any, a: Any, decay_u: Any, decay_v: Any, bias: Any, message_shift: Any) -> Any:
    """One time step on integers. Returns u, v, y, m, wraps, clips."""
    u, v, wraps, clips = integrate(u, v, a, decay_u, decay_v, bias)
    m_wide = shift_rounded(v, message_shift)
    m = saturate(m_wide, MESSAGE_BITS)
    return u, v, v, m, wraps, clips * 1 + (m != m_wide)


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64. Arrays of shape (batch, n)."""
    u, v = float_integrate(states, inputs, params)
    return {"u": u, "v": v}, {"y": v, "m": v}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """NIR's LI, CubaLI and I in steps of dt; see ``membrane.discrete``."""
    return Lowered(discrete(node, dt_s, method))


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """The finest 12-bit message that holds twice the largest |v| of calibration."""
    held = max(ranges.of("u"), ranges.of("v"), float(np.abs(params["bias"]).max()))
    unit = shared_unit(incoming, finest_current(ranges, held)) / 2.0**ALIGN
    return {"m": message_format(ranges.headroom * ranges.of("v"), unit, ranges.message_bits)}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with the unit of v that the message's format was made for."""
    decays = integer_decays(params)
    shift = formats["m"].shift
    fine = formats["m"].unit / 2.0**shift
    weights = {}
    notes = []
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, fine * 2.0**ALIGN)
        notes.append(note)
    notes.append(f"output in steps of {fine:.6g}, messages in steps of {formats['m'].unit:.6g}")
    integers = decays | {
        "bias": np.rint(corrected_bias(params, incoming, weights, fine * 2.0**ALIGN) / fine),
        "message_shift": np.full(params["bias"].shape, shift),
    }
    return IntegerLayer(
        params={name: np.asarray(values, dtype=np.int32) for name, values in integers.items()},
        weights=weights,
        units={"u": fine, "v": fine, "y": fine, "m": formats["m"].unit},
        notes=tuple(notes),
    )


INTEGRATOR = NeuronModel(
    name="integrator",
    doc="Integrator with or without leak and synaptic current, no threshold; sends its potential",
    source="NIR 1.0 (I, LI, CubaLI); arithmetic as Loihi's CUBA-LIF",
    inputs=("a",),
    states=STATES,
    params=(
        *DECAYS,
        Param("bias", -REGISTER_MAX, REGISTER_MAX, "added to v every step"),
        Param("message_shift", 0, STATE_BITS - 1, "v is sent to other layers shifted by this"),
    ),
    outputs=(
        Output("y", STATE_BITS, "v, for the host"),
        Output("m", MESSAGE_BITS, "v, rounded, for other layers"),
    ),
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    gain_of={"a": "gain"},
    nir_types=("LI", "CubaLI", "I"),
    heard="m",
    shares_unit=True,
)
