"""PyTorch models of snn2hw's layers to NIR, and back.

A model is a ``torch.nn.Sequential`` (nested ones are flattened) of Linear, LIF, GPN,
SequenceDropout and Readout; dropout is the identity in evaluation and leaves no node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import nir
import numpy as np
import numpy.typing as npt

from snn2hw.converters import nodes as extension
from snn2hw.errors import GraphError, MissingDependencyError, ParameterError
from snn2hw.topology import find_loop

try:
    import torch
except ImportError as error:
    raise MissingDependencyError(
        "converting PyTorch models needs torch; install it with: pip install 'snn2hw[torch]'"
    ) from error

from snn2hw import nn

if TYPE_CHECKING:
    from torch.nn import Module

Array = npt.NDArray[Any]

SATURATED = 40.0
"""sigmoid(40) is 1 to the last bit of a double: the bias of a gate that stands open."""


def to_nir(model: Module, input_shape: tuple[int, ...], dt: float = 1e-3) -> nir.NIRGraph:
    """The NIR graph of a model, with the same outputs in evaluation.

    input_shape: of one time step, such as (700,); dt: seconds that a time step of the model stands
    for (an LIF's tau, counted in steps, becomes tau * dt).

    A spike is fired at v >= v_threshold by the layers and at v > v_threshold in NIR, so the
    threshold written is the largest double below.

    Raises GraphError for a module that has no equivalent or does not fit its neighbour, and
    ParameterError for weights that are not finite.
    """
    if len(input_shape) != 1:
        raise GraphError(
            f"input_shape is {input_shape}, and Linear takes one number of channels; flatten it"
        )
    nodes: dict[str, nir.ir.NIRNode] = {"input": nir.Input({"input": np.array(input_shape)})}
    previous, size = "input", int(input_shape[0])
    edges: list[tuple[str, str]] = []
    metadata: dict[str, str] = {}
    for name, module in _flatten(model):
        node, taken, given = _export(name, module, dt)
        if taken != size:
            raise GraphError(
                f"module {name!r} takes {taken} values and {previous!r} gives {size}; "
                "check input_shape and the layers' sizes"
            )
        if metadata:
            raise GraphError(f"module {name!r} comes after a Readout, which must be the last")
        if name in nodes:
            raise GraphError(f"two modules are called {name!r}; give them names of their own")
        nodes[name] = node
        edges.append((previous, name))
        previous, size = name, given
        if isinstance(module, nn.Readout):
            metadata = {"decode": module.mode}
    if previous == "input":
        raise GraphError("the model has no layer to export; give at least one")
    nodes["output"] = nir.Output({"output": np.array([size])}, metadata=metadata)
    edges.append((previous, "output"))
    return nir.NIRGraph(nodes, edges)


def from_nir(graph: nir.NIRGraph, dt: float = 1e-3) -> torch.nn.Sequential:
    """The PyTorch model of a graph that is a chain of the layers above; the inverse of ``to_nir``.

    dt: seconds of a time step. Raises GraphError for a graph that is no such chain.
    """
    names = _chain(graph)
    modules: dict[str, Module] = {}
    for position, name in enumerate(names):
        last = position == len(names) - 1
        modules[name] = _import(name, graph, dt, last)
    model = torch.nn.Sequential()
    for name, module in modules.items():
        model.add_module(name, module)
    return model.eval()


def _flatten(model: Module) -> Iterator[tuple[str, Module]]:
    """Leaf modules with a name each: their own where they have one, else type and position."""
    layers = list(_leaves("", model))
    count: dict[str, int] = {}
    for given, module in layers:
        kind = "fc" if isinstance(module, torch.nn.Linear) else type(module).__name__.lower()
        count[kind] = count.get(kind, 0) + 1
        lone = sum(type(m) is type(module) for _, m in layers) == 1
        if given in ("input", "output"):
            # The graph's own ends are called so.
            given = f"{given}_layer"
        yield given or (kind if lone else f"{kind}{count[kind]}"), module


def _leaves(name: str, module: Module) -> Iterator[tuple[str, Module]]:
    if isinstance(module, torch.nn.Sequential):
        for child_name, child in module.named_children():
            full = f"{name}_{child_name}" if name else child_name
            yield from _leaves("" if child_name.isdigit() else full, child)
    elif not isinstance(module, nn.SequenceDropout | torch.nn.Dropout | torch.nn.Identity):
        yield name, module


def _export(name: str, module: Module, dt: float) -> tuple[nir.ir.NIRNode, int, int]:
    """A node, and the numbers of values that it takes and gives."""
    for key, value in module.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise ParameterError(
                f"{key} of module {name!r} holds NaN or infinity; train to finite weights"
            )
    if isinstance(module, nn.Readout):
        module = module.linear
    if isinstance(module, torch.nn.Linear):
        weight = _numpy(module.weight)
        added: torch.Tensor | None = module.bias
        node = nir.Linear(weight) if added is None else nir.Affine(weight, _numpy(added))
        return node, module.in_features, module.out_features
    if isinstance(module, nn.LIF):
        n = module.n_neurons
        node = nir.LIF(
            tau=np.full(n, module.tau * dt),
            r=np.ones(n),
            v_leak=np.full(n, float(module.v_reset)),
            v_threshold=np.full(n, np.nextafter(module.v_threshold, -np.inf)),
            v_reset=np.full(n, float(module.v_reset)),
        )
        return node, n, n
    if isinstance(module, nn.GPN):
        weight, bias = _four_gates(module)
        return extension.GPN(weight, bias, dt), module.n_neurons, module.n_neurons
    raise GraphError(
        f"module {name!r} is a {type(module).__name__}, which has no NIR node here; "
        "use Linear, LIF, GPN, SequenceDropout, Readout, in Sequential"
    )


def _four_gates(module: nn.GPN) -> tuple[Array, Array]:
    """All four gates, those that an ablation removed as constants or mirror images.

    Without F and I both are sigmoid(0) = 1/2; without one of them it is
    1 - sigmoid(a) = sigmoid(-a) of the other; without T the threshold is sigmoid(40) = 1; without
    B the bypass is tanh(0) = 0.
    """
    n, kept = module.n_neurons, module.gate_names
    weight = np.zeros((4 * n, 2 * n), dtype=np.float32)
    bias = np.zeros(4 * n, dtype=np.float32)
    rows = {gate: slice(k * n, (k + 1) * n) for k, gate in enumerate("FIBT")}
    if module.gates is not None:
        own_weight, own_bias = _numpy(module.gates.weight), _numpy(module.gates.bias)
        weight, bias = weight.astype(own_weight.dtype), bias.astype(own_bias.dtype)
        for k, gate in enumerate(kept):
            weight[rows[gate]] = own_weight[k * n : (k + 1) * n]
            bias[rows[gate]] = own_bias[k * n : (k + 1) * n]
    for missing, other in (("F", "I"), ("I", "F")):
        if missing not in kept and other in kept:
            weight[rows[missing]], bias[rows[missing]] = -weight[rows[other]], -bias[rows[other]]
    if "T" not in kept:
        bias[rows["T"]] = SATURATED
    return weight, bias


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()


def _chain(graph: nir.NIRGraph) -> list[str]:
    following: dict[str, list[str]] = {}
    for source, target in graph.edges:
        following.setdefault(source, []).append(target)
    inputs = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(inputs) != 1 or find_loop(list(graph.nodes), graph.edges):
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


def _import(name: str, graph: nir.NIRGraph, dt: float, last: bool) -> Module:
    node = graph.nodes[name]
    if isinstance(node, nir.Affine | nir.Linear):
        bias = getattr(node, "bias", None)
        linear = torch.nn.Linear(node.weight.shape[1], node.weight.shape[0], bias is not None)
        _fill(linear, node.weight, bias)
        output = next(n for n in graph.nodes.values() if isinstance(n, nir.Output))
        if not last or "decode" not in output.metadata:
            return linear
        readout = nn.Readout(node.weight.shape[1], node.weight.shape[0], _decode(output))
        readout.linear = linear
        return readout
    if isinstance(node, nir.LIF):
        tau, threshold, reset = (
            _only(name, key, getattr(node, key)) for key in ("tau", "v_threshold", "v_reset")
        )
        if np.any(node.r != 1) or np.any(node.v_leak != reset):
            raise GraphError(f"node {name!r}: r is not 1 or v_leak not v_reset; nn.LIF has neither")
        return nn.LIF(node.tau.size, tau / dt, _above(threshold), reset)
    if isinstance(node, extension.GPN):
        if abs(node.dt - dt) > 1e-6 * dt:
            raise GraphError(
                f"node {name!r} was trained at dt = {node.dt:g} s; give dt={node.dt:g}"
            )
        layer = nn.GPN(node.gates_weight.shape[1] // 2)
        if layer.gates is not None:
            _fill(layer.gates, node.gates_weight, node.gates_bias)
        return layer
    raise GraphError(f"node {name!r} of type {type(node).__name__} has no layer in snn2hw.nn")


def _decode(output: nir.Output) -> str:
    decode = output.metadata["decode"]
    return decode.decode() if isinstance(decode, bytes) else str(decode)


def _above(threshold: float) -> float:
    """The smallest single above: v > threshold is v >= this for every v in single precision."""
    single = np.float32(threshold)
    return float(single if float(single) > threshold else np.nextafter(single, np.float32(np.inf)))


def _only(name: str, key: str, values: Array) -> float:
    if np.unique(values).size != 1:
        raise GraphError(f"node {name!r}: {key} differs between neurons; nn.LIF has one for all")
    return float(values.flat[0])


def _fill(linear: torch.nn.Linear, weight: Array, bias: Array | None) -> None:
    with torch.no_grad():
        linear.weight.data = torch.from_numpy(np.array(weight))
        if bias is not None:
            linear.bias.data = torch.from_numpy(np.array(bias))
