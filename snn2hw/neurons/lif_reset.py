"""LIF whose spike sets v to any value or subtracts one: what NIR holds and Loihi 1 does not.

Float, per step (u and v before reset as in ``membrane``)::

    s = v > v_threshold;    v <- keep * v + added where s

Reset to a value is keep = 0, added = v_reset; by subtraction keep = 1, added = v_reset -
v_threshold, once a step, however far above the threshold v was.

Integer: as ``lif``, with threshold, bias and ``added`` in units of v, 24 bits with sign::

    s = v > threshold;    v <- clip24(keep * v + added) where s

GLIF (arXiv 2210.13768) is such a neuron too: its reset, a part of the next step there, is one of
this step here, ``keep = 1 - gamma`` and ``added = -(1 - gamma) v_subtract / (1 - decay_v)``. If all
its gates gamma are 1, it is a plain ``lif``.

Lava has no such process (its LIF resets to zero); Loihi 2's neuron program can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import STATE_BITS, saturate, select
from snn2hw.errors import ParameterError
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
    Trim,
    own_units,
    weights_in_units,
)
from snn2hw.neurons.lif import message_formats
from snn2hw.neurons.membrane import (
    ALIGN,
    DECAYS,
    REGISTER_MAX,
    STATES,
    corrected_bias,
    finest_current,
    float_integrate,
    integer_decays,
    integrate,
    span,
)

GLIF = ("alpha", "beta", "gamma", "tau", "v_threshold", "leak", "conductance", "v_subtract")
"""Parameters of its node."""


def step(
    u: Any,
    v: Any,
    a: Any,
    decay_u: Any,
    decay_v: Any,
    threshold: Any,
    bias: Any,
    keep: Any,
    added: Any,
) -> Any:
    """One time step on integers; see the module's equations. Returns u, v, s, wraps, clips."""
    u, v, wraps, clips = integrate(u, v, a, decay_u, decay_v, bias)
    s = v > threshold
    reset_wide = keep * v + added
    reset = saturate(reset_wide, STATE_BITS)
    return u, select(s, reset, v), s, wraps, clips * 1 + s * (reset != reset_wide)


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    u, h = float_integrate(states, inputs, params)
    s = h > params["v_threshold"]
    v = np.where(s, params["keep"] * h + params["added"], h)
    return {"u": u, "v": v}, {"s": s.astype(np.float64), "h": h}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """GLIF, a neuron of discrete time: its node holds the step that it was trained at.

    node: see ``converters.nodes.GLIF``. Raises ParameterError if dt differs from the graph's by
    more than 1e-6 of it, for gates other than 0 and 1, and for other numbers outside 0 to 1.
    """
    trained_dt = float(np.asarray(node["dt"]))
    if abs(trained_dt - dt_s) > 1e-6 * dt_s:
        raise ParameterError(
            f"this GLIF was trained at dt = {trained_dt:g} s and has no equation in continuous "
            f"time; quantize with dt={trained_dt:g} instead of {dt_s:g}"
        )
    value = {name: np.asarray(node[name], dtype=np.float64).ravel() for name in GLIF}
    for name, numbers in value.items():
        gate = name in ("alpha", "beta", "gamma")
        if not np.all((numbers >= 0) & (numbers <= 1)) or (gate and np.any(numbers % 1)):
            wanted = "0 or 1" if gate else "from 0 to 1"
            raise ParameterError(f"{name} holds other numbers than {wanted}")
    kept = 1.0 - value["alpha"] * (1.0 - value["tau"])
    subtracted = (1.0 - value["gamma"]) * value["v_subtract"]
    if np.any((kept == 0) & (subtracted > 0)):
        raise ParameterError("tau is 0 where a spike subtracts (gamma 0); give tau above 0")
    params = {
        "decay_u": np.ones_like(kept),
        "decay_v": 1.0 - kept,
        "gain": 1.0 - value["beta"] * (1.0 - value["conductance"]),
        "bias": -(1.0 - value["alpha"]) * value["leak"],
        # It fires at v >= v_threshold, these neurons at v > v_threshold.
        "v_threshold": np.nextafter(value["v_threshold"], -np.inf),
    }
    if np.all(value["gamma"] == 1) and np.all(params["v_threshold"] >= 0):
        return Lowered(params, model="lif")
    params["keep"] = 1.0 - value["gamma"]
    params["added"] = -np.divide(subtracted, kept, where=subtracted > 0, out=np.zeros_like(kept))
    return Lowered(params)


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one unit of current for each neuron (see ``own_units``): 24 bits hold
    twice the largest calibrated current and potential.

    Raises TargetError where a decay is outside what its register holds.
    """
    decays = integer_decays(params)
    largest = np.zeros_like(params["v_threshold"])
    for name in ("v_threshold", "added", "bias"):
        largest = np.maximum(largest, np.abs(params[name]))
    for name in ("u", "h", "v"):
        largest = np.maximum(largest, ranges.each(name))
    unit = own_units(incoming, finest_current(ranges, largest))
    weights = {}
    notes = [f"unit of current {span(unit)}"]
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    fine = unit / 2.0**ALIGN
    integers = decays | {
        "threshold": np.rint(params["v_threshold"] / fine),
        "bias": np.rint(corrected_bias(params, incoming, weights, unit) / fine),
        "keep": params["keep"],
        "added": np.rint(params["added"] / fine),
    }
    notes.append(
        f"threshold {span(params['v_threshold'])} -> {span(integers['threshold'])}, "
        f"decay of v {span(params['decay_v'])} -> {span(decays['decay_v'])}/4096"
    )
    return IntegerLayer(
        params={name: np.asarray(values, dtype=np.int32) for name, values in integers.items()},
        weights=weights,
        units={"u": fine, "v": fine, "s": 1.0},
        notes=tuple(notes),
    )


LIF_RESET = NeuronModel(
    name="lif_reset",
    doc="Leaky integrate-and-fire with synaptic current, reset to a value or by subtraction",
    source="NIR 1.0 (LIF, CubaLIF, IF with v_reset); arithmetic as Loihi's CUBA-LIF",
    inputs=("a",),
    states=STATES,
    params=(
        *DECAYS,
        Param("threshold", -REGISTER_MAX, REGISTER_MAX, "fires where v > threshold"),
        Param("bias", -REGISTER_MAX, REGISTER_MAX, "added to v every step"),
        Param("keep", 0, 1, "1: a spike subtracts; 0: it sets"),
        Param("added", -REGISTER_MAX, REGISTER_MAX, "added to what a spike keeps of v"),
    ),
    outputs=(Output("s", 1, "spike"),),
    step=step,
    float_step=float_step,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    gain_of={"a": "gain"},
    lower=lower,
    nir_types=("GLIF",),
    trim=Trim("threshold", 0.01, 1),
)
