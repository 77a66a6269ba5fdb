"""Readout: no state, no spike; the sum that arrives leaves for the host as a graded message.

Lowering puts one where a linear node meets the graph's output.

Float: ``y = a + bias``. Integer: ``y = clip24(a + bias)``. A classifier averages y over time, which
the host does on the messages that leave the chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerLayer,
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    Ranges,
    mean_error,
    shared_unit,
    weights_in_units,
)

BIAS_MAX = (1 << (STATE_BITS - 1)) - 1


def step(a: Any, bias: Any) -> Any:
    """One time step on integers. Returns y, wraps, clips."""
    y_wide = a + bias
    y = saturate(y_wide, STATE_BITS)
    return y, 0, y != y_wide


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64. Arrays of shape (batch, n)."""
    return {}, {"y": inputs["a"] + params["bias"]}


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """No layer hears a readout; ``quantize`` says the unit of what the host reads."""
    return {}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """One unit for the layer, since a classifier compares the sums of its neurons."""
    largest = max(ranges.of("y"), float(np.abs(params["bias"]).max()))
    finest = ranges.headroom * largest / ranges.register_max
    unit = shared_unit(incoming, finest)
    weights = {}
    notes = []
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    added = sum(mean_error(p, weights[p.name], unit) for p in incoming)
    bias = np.rint((params["bias"] - added) / unit).astype(np.int32)
    notes.append(f"output in steps of {unit:.6g}")
    return IntegerLayer({"bias": bias}, weights, {"y": unit}, tuple(notes))


READOUT = NeuronModel(
    name="readout",
    doc="Linear readout: passes on its input sum as a graded message",
    source="logits of the GPN paper's code: a linear layer at every step, averaged over time",
    inputs=("a",),
    states=(),
    params=(Param("bias", -BIAS_MAX, BIAS_MAX, "added every step"),),
    outputs=(Output("y", STATE_BITS, "sum of the inputs and the bias"),),
    step=step,
    float_step=float_step,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    shares_unit=True,
)
