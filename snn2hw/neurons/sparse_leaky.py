"""Ponghiran and Roy's encoder and traditional neuron, which send sparse values of several bits.

Float, per step, with I of the step before (the encoder: tau = 0)::

    I <- tau I + a + bias;    V, Y as in ``sparse``

Integer, tau with 12 fraction bits::

    I <- clip24(trunc0(I tau / 2^12) + trunc0(a a_gain / 2^8) + bias);    V, q as in ``sparse``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate, shift_toward_zero
from snn2hw.errors import TargetError
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerLayer,
    Lowered,
    MessageFormat,
    NeuronModel,
    Param,
    Ranges,
)
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

TAU_FRACTION = 12
TAU_MAX = (1 << 15) - 1


def step(
    i: Any,
    v: Any,
    a: Any,
    a_gain: Any,
    tau: Any,
    bias: Any,
    step_shift: Any,
    threshold: Any,
    limit: Any,
) -> Any:
    """One time step on integers; see the module's equations. Returns i, v, q, wraps, clips."""
    drive = shift_toward_zero(a * a_gain, DRIVE_SHIFT) + bias
    wide = shift_toward_zero(i * tau, TAU_FRACTION) + drive
    i = saturate(wide, STATE_BITS)
    v, q, clips = send(v, i, step_shift, threshold, limit)
    return i, v, q, 0, clips + (wide != i) * 1


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    drive = inputs["a"] + params["bias"]
    i = params["tau"] * states["i"] + drive
    v, y, peak = float_send(states["v"], i, params)
    return {"i": i, "v": v}, {"y": y, "peak": peak, "drive": drive}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """The node's parameters: tau (N,), and those of ``sparse.quantizer_params``."""
    tau = np.asarray(node["tau"], dtype=np.float64).ravel()
    return Lowered({"tau": tau, "bias": np.zeros(1)} | quantizer_params(node, dt_s))


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one weight scale per neuron; raises TargetError as
    ``sparse.quantize_ports``, and for a tau beyond its register."""
    tau = np.rint(params["tau"] * 2.0**TAU_FRACTION)
    if np.any(np.abs(tau) > TAU_MAX):
        raise TargetError(
            f"tau spans {params['tau'].min():g}..{params['tau'].max():g} and the register holds "
            f"+-{TAU_MAX / 2.0**TAU_FRACTION:g}; train it with smaller ones"
        )
    fine = formats["y"].unit / 2.0 ** formats["y"].shift
    ports = {"a": (fine, DRIVE_SHIFT)}
    made = quantize_ports(params, incoming, formats, ports, {"bias": ("a",)})
    return replace(made, params={**made.params, "tau": tau.astype(np.int32)})


SPARSE_LEAKY = NeuronModel(
    name="sparse_leaky",
    doc="Leaky current, or none, that is sent as sparse values of several bits; the rest is held",
    source=SOURCE,
    inputs=("a",),
    states=STATES,
    params=(
        gain_param("a"),
        Param("tau", -TAU_MAX, TAU_MAX, "what a step keeps of the current, 12 fraction bits"),
        bias_param("bias", "steps of V"),
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
    bias_of={"a": "bias"},
    nir_types=("SparseLeaky",),
)
