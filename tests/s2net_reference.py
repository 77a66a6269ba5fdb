"""s2net once more, in NumPy and float64, from the equations of the authors' code: see
``snn2hw.nn.s2net``, of which nothing is used here. One sample, one step, one tap after the other.

``fault`` changes one thing, for the tests to find.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

FAULTS = ("reset after leak", "no diagonal", "kernel backwards", "causal", "late reset")


def padding(taps: int, dilation: int) -> int:
    return int(np.ceil((taps - 1) * dilation / 2))


def drive(x: Any, weight: Any, dilation: Any, stride: Any, fault: str = "") -> Any:
    """J of x (time, channels, *places): kernel and places cropped, steps as they come."""
    taps = weight.shape[2:]
    pads = [padding(k, d) for k, d in zip(taps, dilation, strict=True)]
    if fault == "causal":
        pads[0] = (taps[0] - 1) * dilation[0]
    if fault == "kernel backwards":
        weight = weight[:, :, ::-1]
    sizes = (len(x), *x.shape[2:])
    steps = sizes[0] + 2 * padding(taps[0], dilation[0]) - (taps[0] - 1) * dilation[0]
    given = (steps, *sizes[1:])
    j = np.zeros((steps, len(weight), *sizes[1:]))
    for tap in product(*map(range, taps)):
        for at in product(*map(range, given)):
            seen = [i + k * d - p for i, k, d, p in zip(at, tap, dilation, pads, strict=True)]
            if all(0 <= i < size for i, size in zip(seen, sizes, strict=True)):
                values = x[(seen[0], slice(None), *seen[1:])]
                j[(at[0], slice(None), *at[1:])] += weight[(..., *tap)] @ values
    return j[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]


def layer(
    x: Any,
    weight: Any,
    beta: float,
    b: Any,
    dilation: Any,
    stride: Any = (),
    lateral: bool = True,
    recurrence: Any = None,
    fault: str = "",
) -> Any:
    """Spikes (time, channels, *places)."""
    j = drive(x, weight, dilation, stride or (1,) * (weight.ndim - 3), fault)
    rows = weight.reshape(len(weight), -1)
    n = np.array([row @ row for row in rows])
    d = np.array([[p @ q for q in rows] for p in rows])
    if fault == "no diagonal":
        d = d - np.diag(n)
    v, s, before = np.zeros(j.shape[1:]), np.zeros(j.shape[1:]), np.zeros(j.shape[1:])
    spikes = []

    def channels(values: Any) -> Any:
        return np.reshape(values, (-1, *(1,) * (v.ndim - 1)))

    for t in range(len(j)):
        heard = before if fault == "late reset" else s
        r = np.tensordot(d, heard, 1) if lateral else channels(b * n) * heard
        now = j[t] if recurrence is None else j[t] + np.tensordot(recurrence.T, s, 1)
        if fault == "reset after leak":
            v = beta * v - r + (1 - beta) * now
        else:
            v = beta * (v - r) + (1 - beta) * now
        before, s = s, (v / channels(n + 1e-8) - channels(b) > 0).astype(np.float64)
        spikes.append(s)
    return np.array(spikes)


def readout(s: Any, weight: Any, b: Any) -> Any:
    """Scores of spikes (time, channels, *places)."""
    drawn = np.array([w @ s.reshape(len(s), -1).mean(0) for w in weight])
    return drawn / (np.square(weight).sum(1) + 1e-8) - b
