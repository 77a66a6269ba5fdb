"""Threshold: no state, a spike wherever the input of this step exceeds a constant.

Float: ``s = a + bias > threshold``. Integer: the same, with ``threshold`` holding both constants.
Lava's LIF with full decay keeps 1/4096 of its potential, so it is not this neuron.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerLayer,
    Lowered,
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    Ranges,
    mean_error,
    own_units,
    weights_in_units,
)
from snn2hw.neurons.lif import message_formats
from snn2hw.neurons.membrane import REGISTER_MAX, span


def step(a: Any, threshold: Any) -> Any:
    """One time step on integers. Returns s, wraps, clips."""
    return a > threshold, 0, 0


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64. Arrays of shape (batch, n)."""
    s = inputs["a"] + params["bias"] > params["threshold"]
    return {}, {"s": s.astype(np.float64)}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """NIR's Threshold, which knows no time."""
    threshold = np.asarray(node["threshold"], dtype=np.float64).ravel()
    return Lowered({"threshold": threshold, "bias": np.zeros_like(threshold)})


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """A unit for each neuron, for which 24 bits hold twice the calibrated input."""
    real = params["threshold"] - params["bias"]
    largest = np.maximum(ranges.each("a"), np.abs(real))
    unit = own_units(incoming, ranges.headroom * largest / ranges.register_max)
    weights = {}
    notes = []
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    # An integer a exceeds a real number where it exceeds the largest integer below.
    real = real + sum(mean_error(p, weights[p.name], unit) for p in incoming)
    threshold = np.floor(real / unit + 1e-9)
    notes.append(f"threshold {span(real)} -> {span(threshold)}")
    return IntegerLayer(
        {"threshold": threshold.astype(np.int32)}, weights, {"s": 1.0}, tuple(notes)
    )


THRESHOLD = NeuronModel(
    name="threshold",
    doc="Stateless threshold: spikes wherever its input exceeds a constant",
    source="NIR 1.0 (Threshold)",
    inputs=("a",),
    states=(),
    params=(Param("threshold", -REGISTER_MAX, REGISTER_MAX, "fires where the input is above"),),
    outputs=(Output("s", 1, "spike"),),
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    nir_types=("Threshold",),
)
