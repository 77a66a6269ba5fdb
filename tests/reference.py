"""A slow integer simulator of FixedPointNetwork, written again from the equations.

Other simulators are held against it. It shares no arithmetic with snn2hw: neurons are written here
again from the docstrings of ``snn2hw.neurons``, one step at a time, in 64-bit NumPy with plain
loops. Time is logical time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn2hw.graph import FixedPointNetwork, Layer, Synapse

REGISTER_MAX = 2**23 - 1


@dataclass
class Reference:
    """Records by layer, int64 (batch, time, n), and register overflows summed over the run."""

    spikes: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    sent: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    wraps: dict[str, int] = field(default_factory=dict)
    clips: dict[str, int] = field(default_factory=dict)
    fan_in_max: dict[str, int] = field(default_factory=dict)


def div_toward_zero(x: np.ndarray, n: int) -> np.ndarray:
    """x / 2**n without its fraction."""
    return np.sign(x) * (np.abs(x) // 2**n)


def clip24(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Limited to +-(2**23 - 1), and how many values that changed."""
    limited = np.minimum(np.maximum(x, -REGISTER_MAX), REGISTER_MAX)
    return limited, int(np.count_nonzero(limited != x))


def membrane(
    p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray, bias: np.ndarray
) -> tuple[Any, ...]:
    """u <- wrap24(trunc0(u (4096 - du) / 4096) + 64 a), v <- clip24(trunc0(v ...) + u + bias), as
    neurons/membrane.py has it; returns u, v, wraps, clips."""
    u_wide = div_toward_zero(state["u"] * (4096 - p["decay_u"]), 12) + 64 * a
    u = u_wide % 2**24
    u = np.where(u > 2**23, u - 2**24, u)
    v, clips = clip24(div_toward_zero(state["v"] * (4096 - p["decay_v"]), 12) + u + bias)
    return u, v, int(np.count_nonzero(u != u_wide)), clips


def lif(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> tuple[Any, ...]:
    """u <- wrap24(trunc0(u (4096 - du) / 4096) + 64 a), v likewise clipped; see neurons/lif.py."""
    bias = p["bias_mantissa"] * 2 ** p["bias_exponent"]
    u, v, wraps, clips = membrane(p, state, a, bias)
    s = v > 64 * p["threshold"]
    new = {"u": u, "v": np.where(s, 0, v)}
    return new, {"s": s.astype(np.int64)}, wraps, clips


def message(v: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, int]:
    """clip12(round(v / 2**shift)), halves upwards, and how many were limited."""
    wide = np.floor_divide(2 * v + 2**shift, 2 * 2**shift)
    m = np.clip(wide, -2047, 2047)
    return m, int(np.count_nonzero(m != wide))


def lif_reset(
    p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray
) -> tuple[Any, ...]:
    """s = v > threshold; v <- clip24(keep v + added) where s; see neurons/lif_reset.py."""
    u, v, wraps, clips = membrane(p, state, a, p["bias"])
    s = v > p["threshold"]
    # Of a value that is not taken no overflow is counted.
    after, more = clip24(np.where(s, p["keep"] * v + p["added"], v))
    return {"u": u, "v": after}, {"s": s.astype(np.int64)}, wraps, clips + more


def alif(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> tuple[Any, ...]:
    """See the equations at the top of neurons/alif.py."""
    z = state["wait"] == p["refractory"] + 1
    b, clips_b = clip24(
        div_toward_zero(state["b"] * (65536 - p["decay_b"]), 16) + np.where(z, p["jump"], 0)
    )
    adaptation = np.floor_divide(2 * b + 2 ** p["b_shift"], 2 * 2 ** p["b_shift"])
    limit, clips_limit = clip24(p["threshold"] + adaptation)
    taken = np.where(p["adaptive_reset"] == 1, limit, p["threshold"])
    kept = div_toward_zero(state["v"] * (4096 - p["decay_v"]), 12)
    v, clips_v = clip24(kept + 64 * a + p["bias"] - np.where(z, taken, 0))
    s = np.logical_and(v > limit, state["wait"] < 2)
    left = np.where(state["wait"] > 0, state["wait"] - 1, state["wait"])
    new = {"v": v, "b": b, "wait": np.where(s, p["refractory"] + 1, left)}
    return new, {"s": s.astype(np.int64)}, 0, clips_b + clips_limit + clips_v


def integrator(
    p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray
) -> tuple[Any, ...]:
    """y = v; m = clip12(round(v / 2**message_shift)); see neurons/integrator.py."""
    u, v, wraps, clips = membrane(p, state, a, p["bias"])
    m, more = message(v, p["message_shift"])
    return {"u": u, "v": v}, {"y": v, "m": m}, wraps, clips + more


def threshold(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> Any:
    """s = a > threshold."""
    return {}, {"s": (a > p["threshold"]).astype(np.int64)}, 0, 0


def relay(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> Any:
    """m = clip12(round((a + bias) / 2**message_shift))."""
    m, clips = message(a + p["bias"], p["message_shift"])
    return {}, {"m": m}, 0, clips


def sigmoid_of(a: np.ndarray) -> np.ndarray:
    """The table of 129 points over [-8, 8) with straight lines, as gpn.py describes it."""
    points = np.rint(4096.0 / (1.0 + np.exp(-np.linspace(-8, 8, 129)))).astype(np.int64)
    a = np.clip(a, -8192, 8191) + 8192
    k, rest = a // 128, a % 128
    return (
        points[k]
        + (np.take(points, k + 1) - points[k]) * rest // 128
        + ((np.take(points, k + 1) - points[k]) * rest % 128 >= 64)
    )


def gpn(p: dict[str, np.ndarray], state: dict[str, np.ndarray], *a: np.ndarray) -> tuple[Any, ...]:
    """See the equations at the top of neurons/gpn.py."""
    x_in, *gates = a
    spikes = dict(zip("fibt", gates[:4], strict=True))
    messages = dict(zip("fibt", gates[4:], strict=True))

    def argument(gate: str) -> np.ndarray:
        both = 16 * spikes[gate] * p[f"{gate}_gain"] + messages[gate] * p[f"{gate}_rec_gain"]
        return div_toward_zero(both, 18) + p[f"{gate}_bias"]

    forget, write, threshold = (sigmoid_of(argument(gate)) for gate in "fit")
    bypass = 2 * sigmoid_of(2 * argument("b")) - 4096
    x, clips_x = clip24(div_toward_zero(x_in * p["x_gain"], 10) + p["x_bias"])
    h, clips_h = clip24(div_toward_zero(forget * state["v"], 12) + div_toward_zero(write * x, 12))
    s = h >= 4 * threshold
    v, clips_v = clip24(np.where(s, 0, h) + 4 * bypass)
    wide = (v + 2 ** (p["message_shift"] - 1)) // 2 ** p["message_shift"]
    m = np.clip(wide, -2047, 2047)
    clips = clips_x + clips_h + clips_v + int(np.count_nonzero(m != wide))
    return {"v": v}, {"s": s.astype(np.int64), "m": m}, 0, clips


def shared_send(
    p: dict[str, np.ndarray], v: np.ndarray, i: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """V after sending, q, clips; see the equations at the top of neurons/sparse.py."""
    v, clips = clip24(v + i)
    q = np.sign(v) * np.minimum(np.abs(v) // 2 ** p["step_shift"], p["limit"])
    q = np.where(np.abs(q) <= p["threshold"], 0, q)
    return v - q * 2 ** p["step_shift"], q, clips


def sparse_leaky(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> Any:
    """See the equations at the top of neurons/sparse_leaky.py."""
    drive = div_toward_zero(a * p["a_gain"], 8) + p["bias"]
    i, clips_i = clip24(div_toward_zero(state["i"] * p["tau"], 12) + drive)
    v, q, clips_v = shared_send(p, state["v"], i)
    return {"i": i, "v": v}, {"y": q}, 0, clips_i + clips_v


def sparse_gated(p: dict[str, np.ndarray], state: dict[str, np.ndarray], *a: np.ndarray) -> Any:
    """See the equations at the top of neurons/sparse_gated.py."""
    f, c, f_rec, c_rec = a
    gate = sigmoid_of(div_toward_zero(f * p["f_gain"] + f_rec * p["f_rec_gain"], 14) + p["f_bias"])
    wide = div_toward_zero(c * p["c_gain"] + c_rec * p["c_rec_gain"], 8) + p["c_bias"]
    candidate = np.clip(wide, 0, REGISTER_MAX)
    i = (gate * state["i"] + (4096 - gate) * candidate).astype(np.int64)
    i = div_toward_zero(i, 12)
    v, q, clips = shared_send(p, state["v"], i)
    return {"i": i, "v": v}, {"y": q}, 0, clips + int(np.count_nonzero(wide > REGISTER_MAX))


def readout(p: dict[str, np.ndarray], state: dict[str, np.ndarray], a: np.ndarray) -> Any:
    """y = clip24(a + bias)."""
    y, clips = clip24(a + p["bias"])
    return {}, {"y": y}, 0, clips


STEPS = {
    "lif": lif,
    "lif_reset": lif_reset,
    "alif": alif,
    "integrator": integrator,
    "threshold": threshold,
    "gpn": gpn,
    "sparse_leaky": sparse_leaky,
    "sparse_gated": sparse_gated,
    "readout": readout,
    "relay": relay,
}


def order_of(net: FixedPointNetwork) -> list[Layer]:
    """Layers so that every synapse without delay comes from an earlier one."""
    done = {i.name for i in net.inputs}
    waiting, order = list(net.layers), []
    while waiting:
        ready = [
            layer
            for layer in waiting
            if all(s.source in done for s in net.into(layer.name) if s.delay == 0)
        ]
        assert ready, "a loop without delay"
        for layer in ready:
            done.add(layer.name)
            waiting.remove(layer)
            order.append(layer)
    return order


def arriving(s: Synapse, message: np.ndarray) -> np.ndarray:
    """The sum over the sources, then times 2**exponent, floor where that is a fraction."""
    total = message @ s.map.dense().astype(np.int64).T
    return total * 2**s.exponent if s.exponent >= 0 else total // 2**-s.exponent


def simulate_reference(net: FixedPointNetwork, x: np.ndarray | dict[str, np.ndarray]) -> Reference:
    """x: integers (batch, time, *input shape) of the network's only input, or of each by name."""
    data = x if isinstance(x, dict) else {net.input.name: x}
    batch, time = next(iter(data.values())).shape[:2]
    sent = {
        (name, ""): values.reshape(batch, time, -1).astype(np.int64)
        for name, values in data.items()
    }
    result = Reference()
    order = order_of(net)
    states = {}
    for layer in order:
        zero = np.zeros((batch, layer.n), np.int64)
        states[layer.name] = {s.name: zero + layer.start.get(s.name, 0) for s in layer.model.states}
        result.state[layer.name] = {
            s.name: np.zeros((batch, time, layer.n), np.int64) for s in layer.model.states
        }
        for out in layer.model.outputs:
            sent[layer.name, out.name] = np.zeros((batch, time, layer.n), np.int64)
        result.wraps[layer.name] = result.clips[layer.name] = result.fan_in_max[layer.name] = 0
    inputs = {i.name for i in net.inputs}
    for t in range(time):
        for layer in order:
            ports = {port: np.zeros((batch, layer.n), np.int64) for port in layer.model.inputs}
            for synapse in net.into(layer.name):
                if t < synapse.delay:
                    continue
                port = "" if synapse.source in inputs else synapse.source_port
                total = arriving(synapse, sent[synapse.source, port][:, t - synapse.delay])
                for k, target in enumerate(synapse.target_ports):
                    ports[target] += total[:, k * layer.n : (k + 1) * layer.n]
            params = {k: np.asarray(v, np.int64) for k, v in layer.params.items()}
            largest = max(int(np.abs(a).max(initial=0)) for a in ports.values())
            result.fan_in_max[layer.name] = max(result.fan_in_max[layer.name], largest)
            new, outputs, wraps, clips = STEPS[layer.model.name](
                params, states[layer.name], *(ports[name] for name in layer.model.inputs)
            )
            states[layer.name] = new
            for name, value in new.items():
                result.state[layer.name][name][:, t] = value
            for name, value in outputs.items():
                sent[layer.name, name][:, t] = value
            result.wraps[layer.name] += wraps
            result.clips[layer.name] += clips
    for layer in order:
        result.sent[layer.name] = {o.name: sent[layer.name, o.name] for o in layer.model.outputs}
        for out in layer.model.outputs:
            if out.is_spike:
                result.spikes[layer.name] = sent[layer.name, out.name]
    return result
