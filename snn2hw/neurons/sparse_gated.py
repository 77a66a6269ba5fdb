"""Ponghiran and Roy's improved neuron: a current gated as in a GRU, sparse values of several bits.

Float, per step, with I and Y of the step before (version 1 has no recurrent weights)::

    F = sigmoid(f + W_F Y + b_F);    C = max(0, c + W_C Y + b_C)
    I <- F I + (1 - F) C;    V, Y as in ``sparse``

Integer: gate arguments have 10 fraction bits and F 12 (``gpn.sigmoid``, error ``SIGMOID_ERROR``);
C is in the unit of V. What the layer sent arrives one step later, when the gate needs it::

    a = trunc0((f f_gain + f_rec f_rec_gain) / 2^14) + f_bias;    F = sigmoid(a)
    C = max(0, clip24(trunc0((c c_gain + c_rec c_rec_gain) / 2^8) + c_bias))
    I <- trunc0((F I + (2^12 - F) C) / 2^12);    V, q as in ``sparse``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate, select, shift_toward_zero
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerLayer,
    Lowered,
    MessageFormat,
    NeuronModel,
    Ranges,
    Recurrence,
)
from snn2hw.neurons.gpn import GATE_FRACTION, SIGMOID, UNIT_FRACTION, sigmoid
from snn2hw.neurons.sparse import (
    DRIVE_SHIFT,
    LIMITS,
    OUTPUTS,
    QUANTIZER_PARAMS,
    SOURCE,
    STATES,
    bias_param,
    float_send,
    gain_param,
    message_formats,
    quantize_ports,
    quantizer_params,
    send,
)

GATE_SHIFT = 14
"""Fraction bits of the gains of weights that arrive at the gate."""


def step(
    i: Any,
    v: Any,
    f: Any,
    c: Any,
    f_rec: Any,
    c_rec: Any,
    f_gain: Any,
    c_gain: Any,
    f_rec_gain: Any,
    c_rec_gain: Any,
    f_bias: Any,
    c_bias: Any,
    step_shift: Any,
    threshold: Any,
    limit: Any,
    table: Any,
) -> Any:
    """One time step on integers; see the module's equations. Returns i, v, q, wraps, clips."""
    argument = shift_toward_zero(f * f_gain + f_rec * f_rec_gain, GATE_SHIFT) + f_bias
    forget = sigmoid(argument, table)
    wide = shift_toward_zero(c * c_gain + c_rec * c_rec_gain, DRIVE_SHIFT) + c_bias
    candidate = saturate(wide, STATE_BITS)
    # What the rectifier takes away is no overflow.
    clips = (wide > candidate) * 1
    candidate = select(candidate > 0, candidate, 0)
    # Between I and C, so it fits their registers.
    mixed = forget * i + ((1 << UNIT_FRACTION) - forget) * candidate
    i = shift_toward_zero(mixed, UNIT_FRACTION)
    v, q, more = send(v, i, step_shift, threshold, limit)
    return i, v, q, 0, clips + more


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    argument = inputs["f"] + inputs["f_rec"] + params["f_bias"]
    forget = 0.5 * (1.0 + np.tanh(0.5 * argument))
    candidate = np.maximum(inputs["c"] + inputs["c_rec"] + params["c_bias"], 0.0)
    i = candidate + forget * (states["i"] - candidate)
    v, y, peak = float_send(states["v"], i, params)
    return {"i": i, "v": v}, {"y": y, "peak": peak, "drive": candidate}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """The node's parameters: recurrent_weight (2N, N), rows F then C, and those of
    ``sparse.quantizer_params``. A matrix of zeros is left out."""
    weight = np.asarray(node["recurrent_weight"], dtype=np.float64)
    params = {"f_bias": np.zeros(1), "c_bias": np.zeros(1)} | quantizer_params(node, dt_s)
    recurrence = Recurrence("y", ("f_rec", "c_rec"), weight)
    return Lowered(params, recurrences=(recurrence,) if np.any(weight) else ())


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one weight scale per row (neuron and port); raises TargetError as
    ``sparse.quantize_ports``."""
    fine = formats["y"].unit / 2.0 ** formats["y"].shift
    gate, drive = (2.0**-GATE_FRACTION, GATE_SHIFT), (fine, DRIVE_SHIFT)
    ports = {"f": gate, "c": drive, "f_rec": gate, "c_rec": drive}
    biases = {"f_bias": ("f", "f_rec"), "c_bias": ("c", "c_rec")}
    return quantize_ports(params, incoming, formats, ports, biases)


SPARSE_GATED = NeuronModel(
    name="sparse_gated",
    doc="Gated current that is sent as sparse values of several bits; the rest is held",
    source=SOURCE,
    inputs=("f", "c", "f_rec", "c_rec"),
    states=STATES,
    params=(
        *(gain_param(port) for port in ("f", "c", "f_rec", "c_rec")),
        bias_param("f_bias", "2^-10"),
        bias_param("c_bias", "steps of V"),
        *QUANTIZER_PARAMS,
    ),
    outputs=OUTPUTS,
    fixed_unit=True,
    limits=LIMITS,
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"f": "f_bias", "c": "c_bias"},
    nir_types=("SparseGated",),
    tables={"table": SIGMOID},
    takes=("f", "c"),
)
