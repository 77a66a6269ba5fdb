"""What gradients are taken of: the real-valued neuron at the states that the integers are in.

A twin computes one step of its neuron from real values and returns real values whose numbers are
those of the integer step and whose gradients are the twin's own (``through``). Spikes have the
arc tangent's surrogate gradient (ALIF's: the triangle), and none passes through a reset, as in
``snn2hw.nn``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import torch

from snn2hw.errors import GraphError
from snn2hw.graph import Layer
from snn2hw.neurons.base import FloatArray
from snn2hw.neurons.gpn import GAIN_FRACTION, GATE_FRACTION, GATES, MESSAGE_GAIN_SHIFT
from snn2hw.neurons.membrane import ALIGN
from snn2hw.neurons.sparse import DRIVE_SHIFT
from snn2hw.neurons.sparse_gated import GATE_SHIFT
from snn2hw.nn.surrogate import SURROGATES, fire, pseudo_derivative, spike

Tensors: TypeAlias = Mapping[str, torch.Tensor]

Twin: TypeAlias = Callable[[Tensors, Tensors, Tensors, Tensors], dict[str, torch.Tensor]]
"""(states and, but at the first step, outputs of the step before; sums by port; parameters; what
the integer step gave), all real, (batch, n) or (n,); returns states and outputs by name."""


def through(soft: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    """The numbers of ``hard`` with the gradient of ``soft``."""
    return hard.detach() + (soft - soft.detach())


def _membrane(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> tuple[torch.Tensor, torch.Tensor]:
    """u, and v before the reset."""
    u = states["u"] * (1.0 - params["decay_u"]) + sums["a"]
    u = through(u, given["u"])
    return u, states["v"] * (1.0 - params["decay_v"]) + u + params["bias"]


def _lif(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    u, h = _membrane(states, sums, params, given)
    fired = given["s"] > 0
    # Where the neuron fired its integer potential is gone, and h stands for it.
    h = through(h, torch.where(fired, h, given["v"]))
    s = through(spike(h - params["v_threshold"]), given["s"])
    kept = params["keep"] * h if "keep" in params else torch.zeros_like(h)
    return {"u": u, "v": through(torch.where(fired, kept, h), given["v"]), "s": s}


def _integrator(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    u, v = _membrane(states, sums, params, given)
    return {"u": u} | {name: through(v, given[name]) for name in ("v", "y", "m")}


def _alif(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    """As ``snn2hw.nn.ALIF``: a gradient passes from the spike of the step before to b, none through
    the reset, and none where the neuron is refractory."""
    free = (states["wait"] <= 1).to(given["v"].dtype)
    before = states["s"] if "s" in states else torch.zeros_like(given["s"])
    b = params["rho"] * states["b"] + params["beta"] * params["adaptation_gain"] * before
    b = through(b, given["b"])
    v = through(params["alpha"] * states["v"] + sums["a"] + params["bias"], given["v"])
    u, v_threshold = v - params["v_threshold"] - b, params["v_threshold"]
    kind = "triangle" if bool((v_threshold > 0).all()) else "atan"
    slope = free * pseudo_derivative(u, v_threshold, kind, SURROGATES[kind])
    s = through(fire(u, slope), given["s"])
    return {"v": v, "b": b, "wait": given["wait"], "s": s}


def _gpn(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    a = {g: sums[g] + sums[f"{g}_rec"] + params[f"{g}_bias"] for g in GATES}
    current = sums["x"] + params["x_bias"]
    h = torch.sigmoid(a["f"]) * states["v"] + torch.sigmoid(a["i"]) * current
    s = through(spike(h - torch.sigmoid(a["t"])), given["s"])
    v = torch.where(given["s"] > 0, 0.0, h) + torch.tanh(a["b"])
    return {"v": through(v, given["v"]), "s": s, "m": through(v, given["m"])}


def _hold(
    i: torch.Tensor, states: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    """What a current becomes, with the quantiser's straight-through gradient, none where V was
    clipped, as ``snn2hw.nn.SparseQuantizer``."""
    i = through(i, given["i"])
    # What was held and what was sent are what there was, also where the integers rounded.
    peak = through(states["v"] + i, given["v"] + given["y"])
    most = params["most"] * params["step"]
    y = through(torch.where(peak.abs() <= most, peak, peak.detach()), given["y"])
    return {"i": i, "v": through(peak - y, given["v"]), "y": y}


def _sparse_leaky(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    return _hold(params["tau"] * states["i"] + sums["a"] + params["bias"], states, params, given)


def _sparse_gated(
    states: Tensors, sums: Tensors, params: Tensors, given: Tensors
) -> dict[str, torch.Tensor]:
    a = {g: sums[g] + sums[f"{g}_rec"] + params[f"{g}_bias"] for g in ("f", "c")}
    i = torch.lerp(torch.relu(a["c"]), states["i"], torch.sigmoid(a["f"]))
    return _hold(i, states, params, given)


def _sum_out(name: str) -> Twin:
    def twin(
        states: Tensors, sums: Tensors, params: Tensors, given: Tensors
    ) -> dict[str, torch.Tensor]:
        return {name: through(sums["a"] + params["bias"], given[name])}

    return twin


TWINS: Mapping[str, Twin] = {
    "lif": _lif,
    "lif_reset": _lif,
    "alif": _alif,
    "gpn": _gpn,
    "sparse_leaky": _sparse_leaky,
    "sparse_gated": _sparse_gated,
    "integrator": _integrator,
    "readout": _sum_out("y"),
    "relay": _sum_out("m"),
}
"""Neuron model -> its twin."""


def check_model(name: str, model: str) -> None:
    """Raise GraphError for a layer whose model has no twin."""
    if model not in TWINS:
        raise GraphError(
            f"layer {name!r} is of the neuron {model!r}, which cannot be trained on integers; "
            f"those that can are {', '.join(TWINS)}"
        )


def sum_units(layer: Layer) -> dict[str, FloatArray]:
    """Real value of a sum of 1 at each input port, (n,)."""
    model, units = layer.model.name, layer.units
    if model == "gpn":
        bits = dict.fromkeys(layer.model.inputs, GATE_FRACTION + MESSAGE_GAIN_SHIFT) | GAIN_FRACTION
        return {port: layer.params[f"{port}_gain"] / 2.0 ** bits[port] for port in bits}
    if model in ("sparse_leaky", "sparse_gated"):
        drive = np.asarray(units["v"]) / 2.0**DRIVE_SHIFT
        gate = 2.0 ** -(GATE_FRACTION + GATE_SHIFT)
        return {
            port: np.asarray(layer.params[f"{port}_gain"] * unit, dtype=np.float64)
            for port in layer.model.inputs
            for unit in (gate if port.startswith("f") else drive,)
        }
    if model == "readout":
        unit = np.asarray(units["y"])
    elif model == "relay":
        unit = np.asarray(units["m"]) / 2.0 ** layer.params["message_shift"]
    else:
        unit = np.asarray(units["v"]) * 2.0**ALIGN
    return {"a": np.broadcast_to(np.asarray(unit, dtype=np.float64), (layer.n,))}
