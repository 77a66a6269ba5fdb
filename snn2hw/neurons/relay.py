"""Relay: passes on the sum that arrives as a graded message, one hop further.

``fold`` puts one where two linear maps do not make one map. Float: ``m = a + bias``. Integer::

    m = clip12(round((a + bias) / 2^message_shift))
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
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    Ranges,
    mean_error,
    message_format,
    shared_unit,
    weights_in_units,
)
from snn2hw.neurons.membrane import REGISTER_MAX


def step(a: Any, bias: Any, message_shift: Any) -> Any:
    """One time step on integers. Returns m, wraps, clips."""
    m_wide = shift_rounded(a + bias, message_shift)
    m = saturate(m_wide, MESSAGE_BITS)
    return m, 0, m != m_wide


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64. Arrays of shape (batch, n)."""
    return {}, {"m": inputs["a"] + params["bias"]}


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """The finest 12-bit message that holds twice the largest sum of calibration."""
    largest = ranges.headroom * ranges.of("m")
    unit = shared_unit(incoming, largest / ranges.register_max)
    return {"m": message_format(largest, unit, ranges.message_bits)}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """The unit of the sum is the one that the message's format was made for."""
    shift = formats["m"].shift
    unit = formats["m"].unit / 2.0**shift
    weights = {}
    notes = []
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    added = sum(mean_error(p, weights[p.name], unit) for p in incoming)
    notes.append(f"messages in steps of {formats['m'].unit:.6g}")
    bias = np.rint((params["bias"] - added) / unit).astype(np.int32)
    shifts = np.full(bias.shape, shift, dtype=np.int32)
    integers = {"bias": bias, "message_shift": shifts}
    return IntegerLayer(integers, weights, {"m": formats["m"].unit}, tuple(notes))


RELAY = NeuronModel(
    name="relay",
    doc="Passes on its input sum as a graded message to other layers",
    source="snn2hw: a hop between two linear maps; Loihi 2's graded spikes hold up to 24 bits",
    inputs=("a",),
    states=(),
    params=(
        Param("bias", -REGISTER_MAX, REGISTER_MAX, "added every step"),
        Param("message_shift", 0, STATE_BITS - 1, "the sum is sent shifted by this"),
    ),
    outputs=(Output("m", MESSAGE_BITS, "sum of the inputs and the bias, rounded"),),
    step=step,
    float_step=float_step,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    shares_unit=True,
)
