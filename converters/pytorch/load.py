"""A NIR graph that is a chain, back to a Sequential: the inverse of ``to_nir`` for such.

A neuron whose spikes pass one linear node back into it counts as one link (``nn.Recurrent``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch

from snn2hw import nn
from snn2hw.converters import nodes as extension
from snn2hw.converters.pytorch.part import Array
from snn2hw.errors import GraphError, ParameterError
from snn2hw.passes.inline import inline
from snn2hw.topology import find_loop

LINEAR = (nir.Affine, nir.Linear)
NEURONS = (nir.LIF, nir.CubaLIF, extension.ALIF, extension.GLIF)


def from_nir(graph: nir.NIRGraph, dt: float = 1e-3) -> torch.nn.Sequential:
    """The PyTorch model of a graph that is a chain of layers of ``snn2hw.nn``.

    dt: seconds of a time step. Subgraphs are inlined. Raises GraphError for a graph that is no such
    chain or holds a node that has no layer, and ParameterError for a number that a layer does not
    take.
    """
    if any(isinstance(node, nir.NIRGraph) for node in graph.nodes.values()):
        graph = nir.NIRGraph(*inline(graph), type_check=False)
    loops = _loops(graph)
    names = _chain(graph, set(loops.values()))
    link = _Link(graph, dt, loops, _precision(graph))
    last = link.readout(names)
    model = torch.nn.Sequential()
    for name in names[: names.index(last) + 1] if last else names:
        try:
            module = link.module(name, name == last)
        except ParameterError as error:
            raise ParameterError(f"node {name!r}: {error}") from None
        model.add_module(_free(model, name), module)
    return model.eval()


def _free(model: torch.nn.Module, name: str) -> str:
    """The node's name, or one like it that torch allows for a module."""
    name = name.replace(".", "_")
    while hasattr(model, name) or not name:
        name += "_"
    return name


def _loops(graph: nir.NIRGraph) -> dict[str, str]:
    """Neuron -> the linear node that leads from it back into it and nowhere else."""
    found: dict[str, str] = {}
    for name, node in graph.nodes.items():
        before = [source for source, target in graph.edges if target == name]
        after = [target for source, target in graph.edges if source == name]
        alone = len(before) == 1 and before == after and before[0] not in found
        if isinstance(node, LINEAR) and alone and isinstance(graph.nodes[before[0]], NEURONS):
            found[before[0]] = name
    return found


def _chain(graph: nir.NIRGraph, without: set[str]) -> list[str]:
    edges = [edge for edge in graph.edges if not without.intersection(edge)]
    following: dict[str, list[str]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1 or find_loop(list(graph.nodes), edges):
        raise GraphError(
            "the graph is not a chain from one input to one output; it cannot be a Sequential"
        )
    chain, name = [], inputs[0]
    while following.get(name):
        if len(following[name]) > 1:
            raise GraphError(f"node {name!r} feeds {following[name]}; a Sequential has no branches")
        name = following[name][0]
        chain.append(name)
    if not chain or not isinstance(graph.nodes[chain[-1]], nir.Output):
        raise GraphError("the graph does not end at an Output node; add one")
    return chain[:-1]


def _precision(graph: nir.NIRGraph) -> type[np.floating[Any]]:
    """The type in which the layers will compute: that of the weights."""
    weights = [node.weight for node in graph.nodes.values() if hasattr(node, "weight")]
    double = any(np.asarray(weight).dtype == np.float64 for weight in weights)
    return np.float64 if double else np.float32


@dataclass(frozen=True)
class _Link:
    """What the import of a node needs to know of its graph."""

    graph: nir.NIRGraph
    dt: float
    loops: dict[str, str]
    precision: type[np.floating[Any]]

    def readout(self, names: list[str]) -> str:
        """The linear node that is a readout's, with integrators behind it or not; "" for none."""
        if "decode" not in self._output().metadata:
            return ""
        behind = [name for name in names if not isinstance(self.graph.nodes[name], nir.LI)]
        last = behind[-1] if behind else ""
        end = len(names) - names.index(last) if last else 0
        return last if end in (1, 2) and isinstance(self.graph.nodes[last], LINEAR) else ""

    def _output(self) -> Any:
        return next(n for n in self.graph.nodes.values() if isinstance(n, nir.Output))

    def module(self, name: str, readout: bool) -> torch.nn.Module:
        node = self.graph.nodes[name]
        if readout:
            return self._readout(name, node)
        if isinstance(node, LINEAR):
            return _linear_of(node)
        if isinstance(node, NEURONS):
            return self._loop(name, self._neuron(name, node))
        if isinstance(node, nir.LI):
            return nn.LI(node.tau.shape, *self._leak(name, node))
        if isinstance(node, extension.GPN):
            return self._gpn(name, node)
        if isinstance(node, extension.SparseLeaky | extension.SparseGated):
            return self._sparse(name, node)
        if isinstance(node, nir.Delay):
            return nn.Delay(node.delay.shape, _one(np.rint(node.delay / self.dt)))
        importer = IMPORTERS.get(type(node))
        if importer is None:
            raise GraphError(
                f"node {name!r} of type {type(node).__name__} has no layer in snn2hw.nn"
            )
        return importer(node)

    def _readout(self, name: str, node: Any) -> torch.nn.Module:
        linear, mode = _linear_of(node), _text(self._output(), "decode")
        sizes = (linear.in_features, linear.out_features)
        behind = next(target for source, target in self.graph.edges if source == name)
        readout: nn.Readout | nn.LeakyReadout = nn.Readout(*sizes, mode)
        if isinstance(self.graph.nodes[behind], nir.LI):
            leak = self._leak(behind, self.graph.nodes[behind])
            readout = nn.LeakyReadout(*sizes, *leak, mode, linear.bias is not None)
        readout.linear = linear
        return readout

    def _leak(self, name: str, node: Any) -> tuple[Any, Any]:
        """kappa and input_gain of an LI."""
        if np.any(node.v_leak):
            raise GraphError(
                f"node {name!r} has v_leak, and snn2hw.nn.LI rests at 0; put it into a bias"
            )
        euler = _text(node, "method", "euler") == "euler"
        lost = self.dt / node.tau if euler else -np.expm1(-self.dt / node.tau)
        return _one(1.0 - lost), _one(lost * node.r)

    def _neuron(self, name: str, node: Any) -> nn.Neuron:
        if isinstance(node, extension.ALIF):
            return self._alif(name, node)
        if isinstance(node, extension.GLIF):
            return self._glif(name, node)
        times = ("tau_syn", "tau_mem") if isinstance(node, nir.CubaLIF) else ("tau",)
        others = ("w_in", "r") if isinstance(node, nir.CubaLIF) else ("r",)
        arguments: dict[str, Any] = {key: _one(getattr(node, key) / self.dt) for key in times}
        arguments |= {key: _one(getattr(node, key)) for key in (*others, "v_leak", "v_reset")}
        return (nn.CubaLIF if isinstance(node, nir.CubaLIF) else nn.LIF)(
            node.v_threshold.shape,
            **arguments,
            v_threshold=_one(_above(node.v_threshold, self.precision)),
            reset=_text(node, "reset", "value"),
            v_init=0.0,
        )

    def _alif(self, name: str, node: extension.ALIF) -> nn.ALIF:
        self._check_dt(name, node)
        shape = tuple(int(size) for size in node.output_type["output"])
        givers = [self.graph.nodes[source] for source, target in self.graph.edges if target == name]
        if shape == (1,):
            # One value of each constant does not say how many neurons there are.
            shape = next(((g.weight.shape[0],) for g in givers if isinstance(g, LINEAR)), shape)
        constants = {key: _one(getattr(node, key)) for key in nn.ALIF.constants}
        # The triangle's width is the threshold; NIR does not say how a network was trained.
        shaped = "triangle" if np.all(node.v_threshold > 0) else "atan"
        adaptive = bool(node.adaptive_reset)
        return nn.ALIF(shape, **constants, adaptive_reset=adaptive, surrogate=shaped)

    def _glif(self, name: str, node: extension.GLIF) -> nn.GLIF:
        """Gates as they are; the rest as logits, to the last bits of the precision."""
        self._check_dt(name, node)
        gates = {key: getattr(node, key) for key in ("alpha", "beta", "gamma")}
        layer = nn.GLIF(tuple(int(n) for n in node.output_type["output"]), **gates)
        for key in ("tau", "v_threshold", "leak", "conductance", "v_subtract"):
            values = torch.from_numpy(getattr(node, key))
            if bool(((values <= 0) | (values >= 1)).any()):
                raise GraphError(f"node {name!r} has {key} outside 0 to 1, which GLIF trains")
            getattr(layer, key).data = torch.logit(values)
        return layer if self.precision is np.float64 else layer.float()

    def _loop(self, name: str, neuron: nn.Neuron) -> torch.nn.Module:
        """The neuron, with the linear node that leads back into it."""
        if name not in self.loops:
            return neuron
        linear = _linear_of(self.graph.nodes[self.loops[name]])
        layer = nn.Recurrent(neuron, linear.bias is not None)
        layer.linear = linear
        return layer

    def _check_dt(self, name: str, node: Any) -> None:
        if abs(node.dt - self.dt) > 1e-6 * self.dt:
            raise GraphError(
                f"node {name!r} was trained at dt = {node.dt:g} s; give dt={node.dt:g}"
            )

    def _gpn(self, name: str, node: extension.GPN) -> torch.nn.Module:
        self._check_dt(name, node)
        layer = nn.GPN(node.gates_weight.shape[1] // 2)
        if layer.gates is not None:
            # Gates that are constants alone were written without knowing the network's precision.
            made = np.result_type(node.gates_weight, self.precision)
            _fill(layer.gates, node.gates_weight.astype(made), node.gates_bias.astype(made))
        return layer

    def _sparse(
        self, name: str, node: extension.SparseLeaky | extension.SparseGated
    ) -> torch.nn.Module:
        self._check_dt(name, node)
        for key in ("bits", "threshold"):
            if getattr(node, key) != int(getattr(node, key)):
                raise GraphError(f"node {name!r} has {key} {getattr(node, key):g}; give whole ones")
        said = {"bits": int(node.bits), "threshold": int(node.threshold)}
        n = int(np.prod(node.output_type["output"]))
        layer: nn.SparseEncoder | nn.SparseLeaky | nn.SparseGated
        if isinstance(node, extension.SparseGated):
            layer = nn.SparseGated(n, bool(np.any(node.recurrent_weight)), **said)
            if layer.linear is not None:
                _fill(layer.linear, node.recurrent_weight, None)
        elif np.any(node.tau):
            layer = nn.SparseLeaky(n, **said)
            layer.tau.data = torch.from_numpy(np.array(node.tau.ravel()))
        else:
            layer = nn.SparseEncoder(n, **said)
        layer.quantizer.set_scale(node.scale)
        return layer


def _linear_of(node: Any) -> torch.nn.Linear:
    bias = getattr(node, "bias", None)
    linear = torch.nn.Linear(node.weight.shape[1], node.weight.shape[0], bias is not None)
    _fill(linear, node.weight, bias)
    return linear


def _convolution(node: Any) -> torch.nn.Module:
    kind = nn.Conv1d if isinstance(node, nir.Conv1d) else nn.Conv2d
    outs, ins, *kernel = node.weight.shape
    padding = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    layer = kind(
        ins * int(node.groups),
        outs,
        tuple(kernel),
        stride=_sizes(node.stride, len(kernel)),
        padding=padding if isinstance(padding, str) else _sizes(padding, len(kernel)),
        dilation=_sizes(node.dilation, len(kernel)),
        groups=int(node.groups),
    )
    _fill(layer, node.weight, node.bias)
    return layer


def _pool(node: Any) -> torch.nn.Module:
    kind = nn.SumPool2d if isinstance(node, nir.SumPool2d) else nn.AvgPool2d
    kernel, stride, padding = (_sizes(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    return kind(kernel, stride, padding)


def _flatten(node: Any) -> torch.nn.Module:
    start, end = int(node.start_dim), int(node.end_dim)
    if (start, end) == (0, -1):
        return nn.Flatten()
    # NIR counts the dimensions of a time step; batch and time stand before them.
    return torch.nn.Flatten(start + 2 if start >= 0 else start, end + 2 if end >= 0 else end)


IMPORTERS: dict[type, Callable[[Any], torch.nn.Module]] = {
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
}
"""NIR type -> its layer, for nodes that need nothing but themselves."""


def _sizes(value: Any, n: int) -> Any:
    """A tuple of n ints of what may be one number."""
    return tuple(int(size) for size in np.broadcast_to(np.asarray(value), n))


def _text(node: Any, key: str, default: str = "") -> str:
    value = node.metadata.get(key, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def _above(threshold: Array, precision: type[np.floating[Any]]) -> Array:
    """The smallest numbers above: v > threshold is v >= these for every v of that precision."""
    near = np.asarray(threshold, dtype=np.float64).astype(precision)
    above = np.nextafter(near, precision(np.inf))
    return np.asarray(np.where(near.astype(np.float64) > threshold, near, above), dtype=np.float64)


def _one(values: Array) -> Any:
    """A float where all values are the same, else the array."""
    flat = np.asarray(values, dtype=np.float64)
    return float(flat.flat[0]) if np.unique(flat).size == 1 else flat


def _fill(layer: Any, weight: Array, bias: Array | None) -> None:
    with torch.no_grad():
        layer.weight.data = torch.from_numpy(np.array(weight))
        if bias is not None:
            layer.bias.data = torch.from_numpy(np.array(bias))
