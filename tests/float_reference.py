"""A slow float simulator of NIR graphs, written from the definitions of the nodes.

It works on the graph as it is, node by node: the value of a node at a step is asked for, and asks
for those of the nodes before it. Convolution and pooling are PyTorch's. It shares no code with
snn2hw, knows nothing of folding, of ports or of shapes inferred, and is told which edges close a
loop. Conventions, of NIR's docstrings and of the discretisation that snn2hw states:

- a neuron sees the input of the same step, and what leaves it is of the same step, except over an
  edge that closes a loop, which takes one step;
- before step 0 inputs, neurons and delays give zeros, and other linear nodes what they make of
  zeros: a bias in a loop holds from the first step, as in PyTorch;
- Euler steps: x <- x + dt/tau (target - x); exact ones: x <- x + (1 - exp(-dt/tau)) (target - x);
  the membrane sees the synaptic current as it is after its step;
- a spike where v > v_threshold, then v = v_reset, or v - v_threshold + v_reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

NEURONS = ("I", "LI", "CubaLI", "IF", "LIF", "CubaLIF", "Threshold", "GPN", "ALIF", "GLIF")
NEURONS += ("SparseLeaky", "SparseGated")
GRADED = ("I", "LI", "CubaLI")

Edge = tuple[str, str]


@dataclass
class FloatReference:
    """By node, float64 (batch, time, *shape): values of all outputs, spikes (or graded values) of
    neurons, potentials after the step."""

    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    sent: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)
    spiking: set[str] = field(default_factory=set)


def unnest(graph: Any, prefix: str = "") -> tuple[dict[str, Any], set[Edge]]:
    """Nodes and edges with those of subgraphs among them; a subgraph's Input and Output stay, as
    nodes that pass on what they get."""
    nodes: dict[str, Any] = {}
    doors: dict[str, tuple[str, str]] = {}
    edges: set[Edge] = set()
    for name, node in graph.nodes.items():
        full = prefix + name
        if type(node).__name__ != "NIRGraph":
            nodes[full] = node
            continue
        inner, inner_edges = unnest(node, f"{full}.")
        nodes |= inner
        edges |= inner_edges
        ends = {
            kind: next(f"{full}.{key}" for key, n in node.nodes.items() if type(n).__name__ == kind)
            for kind in ("Input", "Output")
        }
        doors[full] = (ends["Input"], ends["Output"])
    for source, target in graph.edges:
        a, b = prefix + source, prefix + target
        edges.add((doors[a][1] if a in doors else a, doors[b][0] if b in doors else b))
    return nodes, edges


class _Simulation:
    def __init__(
        self,
        graph: Any,
        data: Mapping[str, np.ndarray],
        dt: float,
        late: Iterable[Edge],
        method: str,
        reset: str,
    ) -> None:
        self.nodes, self.edges = unnest(graph)
        self.data, self.dt, self.late = data, dt, set(late)
        assert self.late <= self.edges, "a closing edge that the graph does not have"
        self.method, self.reset = method, reset
        self.batch = len(next(iter(data.values())))
        self.known: dict[tuple[str, int], np.ndarray] = {}
        self.state: dict[tuple[str, str], np.ndarray] = {}
        self.spikes_of: dict[str, list[np.ndarray]] = {}
        self.kinds = {name: type(node).__name__ for name, node in self.nodes.items()}
        self.before = {name: sorted(a for a, b in self.edges if b == name) for name in self.nodes}

    def value(self, name: str, t: int) -> np.ndarray:
        """What a node gives at a step, (batch, *shape)."""
        if (name, t) not in self.known:
            self.known[name, t] = self._value(name, t)
        return self.known[name, t]

    def _value(self, name: str, t: int) -> np.ndarray:
        node, kind = self.nodes[name], self.kinds[name]
        if name in self.data:
            values = self.data[name]
            return values[:, t].astype(np.float64) if t >= 0 else np.zeros_like(values[:, 0], float)
        if kind in NEURONS:
            if t < 0:
                return np.zeros((self.batch, *_shape(node)))
            return self.neuron(name, node, kind, self.arriving(name, t))
        if kind == "Delay":
            steps = np.rint(np.asarray(node.delay) / self.dt).astype(int)
            parts = {int(d): self.arriving(name, t - int(d)) * (t >= d) for d in np.unique(steps)}
            shape = next(iter(parts.values())).shape[1:]
            steps = np.broadcast_to(
                steps.reshape(shape) if steps.size > 1 else steps.ravel(), shape
            )
            return sum((np.where(steps == d, part, 0.0) for d, part in parts.items()), np.zeros(1))
        return linear(node, kind, self.arriving(name, t))

    def arriving(self, name: str, t: int) -> np.ndarray:
        """The sum of what the nodes before give, in the shape of the one with most dimensions."""
        parts = [self.value(a, t - ((a, name) in self.late)) for a in self.before[name]]
        shape = max((part.shape for part in parts), key=len)
        return sum((part.reshape(shape) for part in parts), np.zeros(shape))

    def toward(self, name: str, key: str, target: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """One step of tau dx/dt = target - x."""
        now = self.state.get((name, key), np.zeros_like(target))
        part = self.dt / tau if self.method == "euler" else 1.0 - np.exp(-self.dt / tau)
        self.state[name, key] = now + part * (target - now)
        return self.state[name, key]

    def neuron(self, name: str, node: Any, kind: str, a: np.ndarray) -> np.ndarray:
        """One step of a neuron that gets ``a``; what it sends."""
        if kind == "GPN":
            return self.gpn(name, node, a)
        if kind == "ALIF":
            return self.alif(name, node, a)
        if kind == "GLIF":
            return self.glif(name, node, a)
        if kind.startswith("Sparse"):
            return self.sparse(name, node, a.reshape(self.batch, -1))
        shape = _shape(node)
        a = a.reshape(self.batch, *shape) if np.prod(shape) > 1 else a
        if kind == "Threshold":
            return (a > node.threshold).astype(np.float64)
        if kind in ("I", "IF"):
            v = self.state.get((name, "v"), np.zeros_like(a)) + self.dt * node.r * a
        else:
            if kind.startswith("Cuba"):
                a = self.toward(name, "i", node.w_in * a, node.tau_syn)
            tau = node.tau_mem if kind.startswith("Cuba") else node.tau
            v = self.toward(name, "v", node.v_leak + node.r * a, tau)
        self.state[name, "v"] = v
        if kind in GRADED:
            return v
        s = v > node.v_threshold
        metadata = node.metadata or {}
        subtracts = metadata.get("reset", self.reset) == "subtract"
        after = v - node.v_threshold + node.v_reset if subtracts else node.v_reset
        self.state[name, "v"] = np.where(s, after, v)
        return s.astype(np.float64)

    def gpn(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        """arXiv 2412.01087; gates in the order F, I, B, T."""
        x = x.reshape(self.batch, -1)
        v = self.state.get((name, "v"), np.zeros_like(x))
        gates = np.concatenate([v, x], axis=1) @ node.gates_weight.T + node.gates_bias
        f, i, b, t = np.split(gates, 4, axis=1)
        h = v / (1 + np.exp(-f)) + x / (1 + np.exp(-i))
        s = h >= 1 / (1 + np.exp(-t))
        self.state[name, "v"] = np.where(s, 0.0, h) + np.tanh(b)
        return s.astype(np.float64)

    def alif(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        """Bellec et al. 2020 with gains, refractoriness and reset as our node has them; all spikes
        are remembered, and v is that of the moment of the spike."""
        x = x.reshape(self.batch, *_shape(node)) if np.prod(_shape(node)) > 1 else x
        spikes = self.spikes_of.setdefault(name, [])
        z = spikes[-1] if spikes else np.zeros_like(x)
        a = self.state.get((name, "a"), np.zeros_like(x))
        v = self.state.get((name, "v"), np.zeros_like(x))
        a = node.rho * a + node.adaptation_gain * z
        level = node.v_threshold + node.beta * a
        v = node.alpha * v + node.input_gain * x
        v = v - z * (level if node.adaptive_reset else node.v_threshold)
        ages = range(len(spikes), 0, -1)
        held = (s * (age <= node.refractory) for age, s in zip(ages, spikes, strict=True))
        fired = ((v > level) & (sum(held, np.zeros_like(x)) == 0)).astype(np.float64)
        spikes.append(fired)
        self.state[name, "a"], self.state[name, "v"] = a, v
        return fired

    def glif(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        """Yao et al. 2022: exponential or linear leak, weighted or plain input, reset to zero or by
        subtraction in the next step; kept beside it is v with that reset, as others count it."""
        x = x.reshape(self.batch, *_shape(node))
        v = self.state.get((name, "before"), np.zeros_like(x))
        s = self.state.get((name, "s"), np.zeros_like(x))
        kept = np.where(node.alpha == 1, node.tau, 1.0)
        v = kept * np.where(node.gamma == 1, v * (1 - s), v)
        v = v - np.where(node.alpha == 1, 0.0, node.leak)
        v = v + np.where(node.beta == 1, node.conductance, 1.0) * x
        v = v - np.where(node.gamma == 1, 0.0, node.v_subtract * s)
        fired = (v >= node.v_threshold).astype(np.float64)
        self.state[name, "before"], self.state[name, "s"] = v, fired
        reset = np.where(node.gamma == 1, 0.0, v - node.v_subtract / kept)
        self.state[name, "v"] = np.where(fired == 1, reset, v)
        return fired

    def sparse(self, name: str, node: Any, x: np.ndarray) -> np.ndarray:
        """arXiv 2109.01905: the current, then what is sent of it and what is held."""
        shape = (self.batch, int(np.prod(_shape(node))))
        i, v, y = (self.state.get((name, key), np.zeros(shape)) for key in "ivy")
        if hasattr(node, "recurrent_weight"):
            f, c = np.split(x + y @ node.recurrent_weight.T, 2, axis=1)
            forget = 1 / (1 + np.exp(-f))
            i = forget * i + (1 - forget) * np.where(c > 0, c, 0.0)
        else:
            i = i * node.tau.ravel() + x
        largest = 2 ** (node.bits - 1) * 0.9999 / node.scale
        q = np.fix(node.scale * np.clip(v + i, -largest, largest))
        y = np.where(np.abs(q) < node.threshold + 0.5, 0.0, q) / node.scale
        for key, value in (("i", i), ("v", v + i - y), ("y", y)):
            self.state[name, key] = value
        return y.reshape(self.batch, *_shape(node))


def _shape(node: Any) -> tuple[int, ...]:
    marks = ("adaptive_reset", "conductance", "bits")
    if any(hasattr(node, mark) for mark in marks):
        return tuple(int(k) for k in node.output_type["output"])
    for name in ("threshold", "v_leak", "r"):
        if hasattr(node, name):
            return np.shape(getattr(node, name))
    return (node.gates_weight.shape[1] // 2,)


def linear(node: Any, kind: str, x: np.ndarray) -> np.ndarray:
    """A node without memory. x: (batch, *input shape)."""
    if kind in ("Input", "Output"):
        return x
    if kind in ("Affine", "Linear"):
        weight = np.asarray(node.weight)
        y = np.einsum(
            "...oi,b...i->b...o", weight, x.reshape(-1, *weight.shape[:-2], weight.shape[-1])
        )
        return y + node.bias if kind == "Affine" else y
    if kind == "Scale":
        return x * (
            np.asarray(node.scale).reshape(x.shape[1:]) if np.size(node.scale) > 1 else node.scale
        )
    if kind == "Flatten":
        sizes = x.shape[1:]
        end = node.end_dim % len(sizes) + 1
        if not 0 <= node.start_dim < end:
            return x.reshape(len(x), -1)
        return x.reshape(len(x), *sizes[: node.start_dim], -1, *sizes[end:])
    seen = torch.from_numpy(np.ascontiguousarray(x))
    if kind in ("SumPool2d", "AvgPool2d"):
        size, stride, padding = (
            tuple(int(k) for k in np.broadcast_to(value, 2))
            for value in (node.kernel_size, node.stride, node.padding)
        )
        # PyTorch refuses a pool's padding above half its kernel, so the zeros are put by hand.
        wide = functional.pad(seen, (padding[1], padding[1], padding[0], padding[0]))
        pooled = functional.avg_pool2d(wide, size, stride)
        return (pooled * (size[0] * size[1] if kind == "SumPool2d" else 1)).numpy()
    convolve = {"Conv1d": functional.conv1d, "Conv2d": functional.conv2d}[kind]

    def given(value: Any) -> Any:
        if isinstance(value, str):
            return value
        numbers = tuple(int(k) for k in np.atleast_1d(value))
        return numbers if len(numbers) > 1 else numbers[0]

    bias = None if node.bias is None else torch.from_numpy(np.asarray(node.bias, np.float64))
    weight = torch.from_numpy(np.asarray(node.weight, np.float64))
    return convolve(
        seen,
        weight,
        bias,
        stride=given(node.stride),
        padding=given(node.padding),
        dilation=given(node.dilation),
        groups=int(node.groups),
    ).numpy()


def simulate_float(
    graph: Any,
    data: Mapping[str, np.ndarray],
    dt: float,
    *,
    late: Iterable[Edge] = (),
    method: str = "euler",
    reset: str = "value",
) -> FloatReference:
    """data: input name -> (batch, time, *shape); late: the edges that close loops, with the names
    of nodes in subgraphs written ``subgraph.node``."""
    before = torch.get_num_threads()
    # PyTorch's threads cost more than maps as small as these, a hundredfold on a busy machine.
    torch.set_num_threads(1)
    try:
        return _simulate(_Simulation(graph, data, dt, late, method, reset), graph, data)
    finally:
        torch.set_num_threads(before)


def _simulate(
    simulation: _Simulation, graph: Any, data: Mapping[str, np.ndarray]
) -> FloatReference:
    steps = next(iter(data.values())).shape[1]
    outputs: dict[str, list[np.ndarray]] = {}
    sent: dict[str, list[np.ndarray]] = {}
    v: dict[str, list[np.ndarray]] = {}
    # Step by step and all neurons at each: what a neuron remembers is of the step before.
    for t in range(steps):
        for name, kind in simulation.kinds.items():
            if kind in NEURONS:
                sent.setdefault(name, []).append(simulation.value(name, t))
                if (name, "v") in simulation.state:
                    v.setdefault(name, []).append(simulation.state[name, "v"])
            elif kind == "Output" and name in graph.nodes:
                outputs.setdefault(name, []).append(simulation.value(name, t))
    stack = {name: np.stack(values, axis=1) for name, values in outputs.items()}
    return FloatReference(
        outputs=stack,
        sent={name: np.stack(values, axis=1) for name, values in sent.items()},
        v={name: np.stack(values, axis=1) for name, values in v.items()},
        spiking={n for n, k in simulation.kinds.items() if k in NEURONS and k not in GRADED},
    )
