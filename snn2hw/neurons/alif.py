"""ALIF, the adaptive leaky integrate-and-fire neuron of e-prop, a neuron of discrete time.

Float, per step, with z and b of the step before (Bellec et al. 2020, Nat. Commun. 11:3625; b is
their beta a, the adaptation in units of v)::

    b <- rho b + beta adaptation_gain z;    A = v_threshold + b
    v <- alpha v + input_gain x + bias - z R;    R = A where adaptive_reset, else v_threshold
    z <- v > A, and no spike in the last ``refractory`` steps

v is that of the moment of the spike: the reset is taken off in the next step, and v goes on
integrating in refractoriness. beta = 0 is their LIF. Bellec et al.: adaptation_gain 1, input_gain 1
or 1 - alpha, adaptive_reset 0; Rostami et al. 2022 (Front. Neurosci. 16:1018006), as their code
has it: 1 - rho, 1 - alpha and 1.

One register is z and refractoriness in one: ``wait`` is refractory + 1 after a spike and counts
down, so there was a spike in the last step where it is refractory + 1, and there may be one where
it is at most 1.

Integer; b has ``b_shift`` bits below the last one of v, and a decay of 16 bits, because adaptation
is slow: what decays by less than half a unit a step is kept or lost whole::

    b <- clip24(trunc0(b (65536 - decay_b) / 65536) + (jump if z))
    A  = clip24(threshold + round(b / 2^b_shift))
    v <- clip24(trunc0(v (4096 - decay_v) / 4096) + a 2^6 + bias - (R if z))

Lava has no such process; Loihi 2's neuron program can hold it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import (
    DECAY_BITS,
    STATE_BITS,
    saturate,
    select,
    shift_rounded,
    shift_toward_zero,
)
from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons.base import (
    FloatArray,
    Incoming,
    IntegerLayer,
    Lowered,
    NeuronModel,
    Output,
    Param,
    Ranges,
    State,
    Trim,
    mean_error,
    own_units,
    weights_in_units,
)
from snn2hw.neurons.lif import message_formats
from snn2hw.neurons.membrane import ALIGN, REGISTER_MAX, UNITY, finest_current, span

SLOW_BITS = 16
"""Fraction bits of the adaptation's decay: 12 would round a time constant of 1,500 steps by 9 %."""

REFRACTORY_MAX = REGISTER_MAX - 1
"""Most steps of refractoriness: the register counts from one more."""

NODE_PARAMS = (
    "alpha",
    "rho",
    "v_threshold",
    "beta",
    "input_gain",
    "adaptation_gain",
    "refractory",
    "adaptive_reset",
)
"""Parameters of NIR's extension node ALIF, beside dt, and of the float neuron, beside bias."""


def step(
    v: Any,
    b: Any,
    wait: Any,
    a: Any,
    decay_v: Any,
    decay_b: Any,
    threshold: Any,
    bias: Any,
    jump: Any,
    b_shift: Any,
    refractory: Any,
    adaptive_reset: Any,
) -> Any:
    """One time step on integers; see the module. Returns v, b, wait, s, wraps, clips."""
    fired = wait == refractory + 1
    b_wide = shift_toward_zero(b * ((1 << SLOW_BITS) - decay_b), SLOW_BITS) + fired * jump
    b = saturate(b_wide, STATE_BITS)
    adapted_wide = threshold + shift_rounded(b, b_shift)
    adapted = saturate(adapted_wide, STATE_BITS)
    reset = select(adaptive_reset > 0, adapted, threshold)
    kept = shift_toward_zero(v * (UNITY - decay_v), DECAY_BITS)
    v_wide = kept + (a << ALIGN) + bias - fired * reset
    v = saturate(v_wide, STATE_BITS)
    s = (v > adapted) & (wait <= 1)
    wait = select(s, refractory + 1, select(wait > 0, wait - 1, wait))
    clips = (b != b_wide) * 1 + (adapted != adapted_wide) * 1 + (v != v_wide) * 1
    return v, b, wait, s, 0, clips


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""
    wait = states["wait"]
    fired = wait == params["refractory"] + 1
    b = params["rho"] * states["b"]
    b = b + np.where(fired, params["beta"] * params["adaptation_gain"], 0.0)
    adapted = params["v_threshold"] + b
    reset = np.where(params["adaptive_reset"] > 0, adapted, params["v_threshold"])
    v = params["alpha"] * states["v"] + params["input_gain"] * inputs["a"] + params["bias"]
    v = v - np.where(fired, reset, 0.0)
    s = (v > adapted) & (wait <= 1)
    wait = np.where(s, params["refractory"] + 1, np.maximum(wait - 1, 0))
    return {"v": v, "b": b, "wait": wait}, {"s": s.astype(np.float64), "threshold": adapted}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """ALIF is a neuron of discrete time: its node holds the decays of a step of its dt.

    node: the parameters ``NODE_PARAMS``, one value or one for each neuron, and dt in seconds.
    Raises ParameterError if dt differs from the graph's by more than 1e-6 of it, for a decay
    outside [0, 1], or for refractoriness that is no whole number of steps.
    """
    own_dt = float(np.asarray(node["dt"]))
    if abs(own_dt - dt_s) > 1e-6 * dt_s:
        raise ParameterError(
            f"this ALIF has steps of dt = {own_dt:g} s and no equation in continuous time; "
            f"quantize with dt={own_dt:g} instead of {dt_s:g}"
        )
    params = {name: np.asarray(node[name], dtype=np.float64).ravel() for name in NODE_PARAMS}
    for name in ("alpha", "rho"):
        if np.any((params[name] < 0) | (params[name] > 1)):
            raise ParameterError(
                f"{name} is {span(params[name])}; give what a step keeps, between 0 and 1"
            )
    refractory = params["refractory"]
    if np.any((refractory < 0) | (refractory != np.rint(refractory))):
        raise ParameterError(
            f"refractory is {span(refractory)}; give whole numbers of steps, at least 0"
        )
    if params["adaptive_reset"].size != 1 or params["adaptive_reset"][0] not in (0.0, 1.0):
        raise ParameterError(
            f"adaptive_reset is {span(params['adaptive_reset'])}; give 0 (a spike takes "
            "v_threshold off v) or 1 (the adapted threshold), one for the node"
        )
    return Lowered(params | {"bias": np.zeros(1)})


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, Any],
) -> IntegerLayer:
    """Integer parameters with one unit of current for each neuron (see ``own_units``): 24 bits hold
    twice the largest calibrated potential and threshold, and, in finer units, adaptation.

    Raises TargetError for refractoriness beyond its register.
    """
    if np.any(params["refractory"] > REFRACTORY_MAX):
        raise TargetError(
            f"refractory is {span(params['refractory'])} steps and the register holds "
            f"{REFRACTORY_MAX}; use fewer, or a longer dt"
        )
    jump = params["beta"] * params["adaptation_gain"]
    largest = np.zeros_like(jump)
    for values in (params["v_threshold"], params["bias"], ranges.each("v")):
        largest = np.maximum(largest, np.abs(values))
    largest = np.maximum(largest, ranges.each("threshold"))
    unit = own_units(incoming, finest_current(ranges, largest))
    weights = {}
    notes = [f"unit of current {span(unit)}"]
    for projection in incoming:
        weights[projection.name], note = weights_in_units(projection, unit)
        notes.append(note)
    fine = unit / 2.0**ALIGN
    added = sum(mean_error(p, weights[p.name], unit) for p in incoming)
    held = ranges.headroom * np.maximum(ranges.each("b"), np.abs(jump))
    full = ranges.register_max * fine
    room = np.log2(full / np.where(held > 0, held, full))
    b_shift = np.clip(np.floor(room), 0, STATE_BITS - 1)
    finer = fine / 2.0**b_shift
    integers = {
        "decay_v": _decay(params["alpha"], DECAY_BITS),
        "decay_b": _decay(params["rho"], SLOW_BITS),
        "threshold": np.rint(params["v_threshold"] / fine),
        "bias": np.rint((params["bias"] - added) / fine),
        "jump": np.rint(jump / finer),
        "b_shift": b_shift,
        "refractory": params["refractory"],
        "adaptive_reset": params["adaptive_reset"],
    }
    notes.append(
        f"threshold {span(params['v_threshold'])} -> {span(integers['threshold'])}, decay of v "
        f"{span(1 - params['alpha'])} -> {span(integers['decay_v'])}/{UNITY}, of adaptation "
        f"{span(1 - params['rho'])} -> {span(integers['decay_b'])}/{1 << SLOW_BITS}"
    )
    return IntegerLayer(
        params={name: np.asarray(values, dtype=np.int32) for name, values in integers.items()},
        weights=weights,
        units={"v": fine, "b": finer, "wait": 1.0, "s": 1.0},
        notes=tuple(notes),
    )


def _decay(kept: FloatArray, bits: int) -> FloatArray:
    """What a step takes away, in steps of 2**-bits; not nothing where it takes anything."""
    return np.maximum(np.rint((1.0 - kept) * 2.0**bits), kept < 1.0)


ALIF = NeuronModel(
    name="alif",
    doc="Adaptive leaky integrate-and-fire in discrete time, with refractoriness (e-prop)",
    source="Bellec et al. 2020, Nat. Commun. 11:3625; Rostami et al. 2022, Front. Neurosci. 16",
    inputs=("a",),
    states=(
        State("v", STATE_BITS, "membrane potential, before the spike's reset; clips"),
        State("b", STATE_BITS, "adaptation, in units of v / 2^b_shift; clips"),
        State("wait", STATE_BITS, "refractory + 1 after a spike, counting down"),
    ),
    params=(
        Param("decay_v", 0, UNITY, "potential lost per step, /4096"),
        Param("decay_b", 0, 1 << SLOW_BITS, "adaptation lost per step, /65536"),
        Param("threshold", -REGISTER_MAX, REGISTER_MAX, "fires where v > threshold + adaptation"),
        Param("bias", -REGISTER_MAX, REGISTER_MAX, "added to v every step"),
        Param("jump", -REGISTER_MAX, REGISTER_MAX, "added to adaptation after a spike"),
        Param("b_shift", 0, STATE_BITS - 1, "bits of adaptation below the last one of v"),
        Param("refractory", 0, REFRACTORY_MAX, "steps after a spike without another"),
        Param("adaptive_reset", 0, 1, "1: a spike takes the adapted threshold off v"),
    ),
    outputs=(Output("s", 1, "spike"),),
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"a": "bias"},
    gain_of={"a": "input_gain"},
    nir_types=("ALIF",),
    trim=Trim("threshold", 0.01, 1),
)
