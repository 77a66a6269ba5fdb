"""GPN with gates in s16.15, written again in NumPy from the equations of ``gates.py``; the gates'
functions are for the caller to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import reference
from reference import Reference, clip24, div_toward_zero, message

from snn2hw.graph import FixedPointNetwork

ULP = 2.0**-15

Function = Callable[[np.ndarray], np.ndarray]


def gpn_in_s16_15(sigmoid: Function, tanh: Function) -> Callable[..., Any]:
    """The equations at the top of gates.py again; a gate's function takes and gives s16.15."""

    def step(p: dict[str, np.ndarray], state: dict[str, np.ndarray], *a: np.ndarray) -> Any:
        arriving = dict(zip((*"xfibt", *(f"{g}_rec" for g in "fibt")), a, strict=True))

        def argument(gate: str) -> np.ndarray:
            both = 16 * arriving[gate] * p[f"{gate}_gain"]
            both = both + arriving[f"{gate}_rec"] * p[f"{gate}_rec_gain"]
            return div_toward_zero(both, 13) + 32 * p[f"{gate}_bias"]

        x, clips_x = clip24(div_toward_zero(arriving["x"] * p["x_gain"], 10) + p["x_bias"])
        forgotten = div_toward_zero(sigmoid(argument("f")) * state["v"], 15)
        h, clips_h = clip24(forgotten + div_toward_zero(sigmoid(argument("i")) * x, 15))
        s = 2 * h >= sigmoid(argument("t"))
        half = np.floor_divide(tanh(argument("b")) + 1, 2)
        v, clips_v = clip24(np.where(s, 0, h) + half)
        m, clips_m = message(v, p["message_shift"])
        sent = {"s": s.astype(np.int64), "m": m}
        return {"v": v}, sent, 0, clips_x + clips_h + clips_v + clips_m

    return step


def rounded(function: Function) -> Function:
    """A function in float64, its result to the nearest in s16.15."""
    return lambda a: np.rint(function(a * ULP) / ULP).astype(np.int64)


def simulate_gates(
    net: FixedPointNetwork, x: np.ndarray, sigmoid: Function, tanh: Function
) -> Reference:
    """The integer reference, with these gates in its GPN."""
    with mock.patch.dict(reference.STEPS, gpn=gpn_in_s16_15(sigmoid, tanh)):
        return reference.simulate_reference(net, x)


def simulate_float_gates(net: FixedPointNetwork, x: np.ndarray) -> Reference:
    """The same with gates in float64, rounded to s16.15."""
    return simulate_gates(net, x, rounded(lambda a: 1.0 / (1.0 + np.exp(-a))), rounded(np.tanh))
