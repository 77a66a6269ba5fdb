"""A PyTorch model to a NIR graph, by tracing what ``forward`` does with its layers.

``torch.fx`` traces; its graph of calls becomes nodes and edges, an addition several edges into one
node. nirtorch 2.6 (``torch_to_nir``) does the same, but what NIR lacks it drops in silence:
``x + 1.0``, ``x + self.bias``, ``x + x`` and ``x.add(y, alpha=2)`` all come out as if the number,
the parameter, the second x and the alpha were not there, and ``torch.add`` it refuses (tried); its
mapping from a module to one node has no room for the shape that the module is given, nor for the
loop of a recurrent layer. Here whatever is not a layer, an addition or a flattening is an error
that names it.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import fx

from snn2hw.converters.pytorch.modules import (
    EXPORTERS,
    TRANSPARENT,
    export,
    flatten,
)
from snn2hw.converters.pytorch.names import module_names
from snn2hw.converters.pytorch.operations import (
    FLATTENINGS,
    IN_PLACE_ADDITIONS,
    addends,
    check_alone,
    operation_of,
    refusal,
)
from snn2hw.converters.pytorch.part import Part, Place, Shape
from snn2hw.errors import GraphError, ParameterError
from snn2hw.passes.lookahead import check_delays
from snn2hw.topology import reachable


def to_nir(
    model: torch.nn.Module,
    input_shape: tuple[int, ...] | Mapping[str, tuple[int, ...]],
    dt: float = 1e-3,
) -> nir.NIRGraph:
    """The NIR graph of a model, with the same outputs in evaluation.

    input_shape: of one time step, such as (700,) or (2, 34, 34); where ``forward`` takes several
    inputs, a mapping from the names of its arguments to their shapes, and so are the input nodes
    then called (else "input"). dt: seconds that a time step of the model stands for (an LIF's tau,
    counted in steps, becomes tau * dt).

    ``forward`` may call layers, add what they give, and flatten (``x.flatten(2)``); arguments with
    defaults keep them. A layer that is called twice becomes two nodes. It returns one value (the
    node "output"), a tuple ("output_0", ...) or a dictionary (its keys).

    A spike is fired at v >= v_threshold by the layers and at v > v_threshold in NIR, so the
    threshold written is the largest double below.

    Raises GraphError for a module or an operation that has no equivalent or does not fit its
    neighbour, and ParameterError for weights that are not finite or a dt that is no time.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise ParameterError(f"dt = {dt} s is not a positive time; give seconds, such as 1e-3")
    if isinstance(model, (*EXPORTERS, *TRANSPARENT)):
        # A layer by itself: its forward is not to be traced through.
        model = torch.nn.Sequential(model)
    return _Export(model, _input_shapes(model, input_shape), dt).graph()


@dataclass(frozen=True)
class Signal:
    """A value in ``forward``: the sum of what some nodes give, all of one shape a time step."""

    sources: tuple[str, ...]
    shape: Shape
    decode: str | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return " + ".join(self.sources)


class _Value(fx.Proxy):
    """A value that records ``x += y`` as such; fx's own would take it for ``x = x + y``."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Value(node, self)

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        leaves = (*EXPORTERS, *TRANSPARENT, torch.nn.GRU, torch.nn.LSTM)
        return isinstance(m, leaves) or super().is_leaf_module(m, module_qualified_name)


class _Export:
    """One export under way: the values traced so far, and the nodes and edges they made."""

    def __init__(self, model: torch.nn.Module, shapes: dict[str, tuple[str, Shape]], dt: float):
        self.model, self.dt = model, dt
        self.kind = type(model).__name__
        self.shapes = shapes
        self.traced = self._trace()
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.values: dict[fx.Node, Signal] = {}

    def _trace(self) -> fx.Graph:
        given = inspect.signature(self.model.forward).parameters.values()
        defaults = {
            p.name: p.default
            for p in given
            if p.name not in self.shapes and p.default is not p.empty
        }
        try:
            return _Tracer().trace(self.model, concrete_args=defaults or None)
        except Exception as error:  # noqa: BLE001 - tracing runs the model's own code
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            raise GraphError(
                f"forward of {self.kind} cannot be traced ({reason}); let it call layers, add what "
                "they give, and take no decision or loop that depends on data or its shape"
            ) from None

    def graph(self) -> nir.NIRGraph:
        outputs = self._outputs()
        taken = [name for name, _ in self.shapes.values()] + [name for name, _ in outputs]
        calls = [
            (str(node.target), self.modules[str(node.target)])
            for node in self.traced.nodes
            if node.op == "call_module"
        ]
        self.names = module_names(calls, taken)
        # What a default of forward was traced to, and the checks of it that fx adds.
        fixed: set[fx.Node] = set()
        for node in self.traced.nodes:
            default = node.op == "placeholder" and node.target not in self.shapes
            if default or fixed.intersection(node.all_input_nodes):
                fixed.add(node)
            elif node.op == "placeholder":
                name, shape = self.shapes[str(node.target)]
                self.nodes[name] = nir.Input({"input": np.array(shape)})
                self.values[node] = Signal((name,), shape)
            elif node.op == "call_module":
                self._call(node)
            elif node.op in ("call_function", "call_method"):
                self._operate(node)
        inputs = {name for name, _ in self.shapes.values()}
        both = inputs.intersection(name for name, _ in outputs)
        if both:
            raise GraphError(f"{min(both)!r} is an input and an output; rename the output")
        if set(self.nodes) == inputs:
            raise GraphError("the model has no layer to export; give at least one")
        for name, value in outputs:
            signal = self._signal(value, f"forward of {self.kind} returns")
            metadata = {} if signal.decode is None else {"decode": signal.decode}
            self.nodes[name] = nir.Output({"output": np.array(signal.shape)}, metadata=metadata)
            self._connect(signal, name)
        return self._whole([name for name, _ in outputs], inputs)

    def _whole(self, outputs: list[str], inputs: set[str]) -> nir.NIRGraph:
        """The graph without layers whose output nobody takes, which change nothing."""
        heard = reachable(outputs, [(target, source) for source, target in self.edges])
        for name in inputs:
            if name not in heard:
                raise GraphError(f"input {name!r} of {self.kind} leads to no output; remove it")
        nodes = {name: node for name, node in self.nodes.items() if name in heard}
        edges = [edge for edge in self.edges if edge[1] in nodes]
        check_delays(nodes, edges, self.dt)
        # Unchecked: nir's check takes the kernel of a convolution for square.
        return nir.NIRGraph(nodes, edges, type_check=False)

    def _outputs(self) -> list[tuple[str, Any]]:
        """Name and value of everything that forward returns."""
        result = next(node for node in self.traced.nodes if node.op == "output").args[0]
        if isinstance(result, Mapping):
            return [(str(name), value) for name, value in result.items()]
        if isinstance(result, tuple | list):
            return [(f"output_{k}", value) for k, value in enumerate(result)]
        return [("output", result)]

    def _call(self, node: fx.Node) -> None:
        name, module = str(node.target), self.modules[str(node.target)]
        transparent = isinstance(module, TRANSPARENT)
        name = name if transparent else self.names.fresh(name)
        if len(node.args) != 1 or node.kwargs:
            raise GraphError(f"module {name!r} is called with other than one value; give it one")
        signal = self._signal(node.args[0], f"module {name!r} is given")
        if signal.decode is not None:
            raise GraphError(f"module {name!r} comes after a Readout, which must be the last")
        if transparent:
            self.values[node] = signal
            return
        part = export(module, Place(name, signal.shape, signal.name, self.dt))
        self._add(node, name, signal, part)

    def _add(self, node: fx.Node, name: str, signal: Signal, part: Part) -> None:
        self.nodes[name] = part.node
        if not part.taps:
            self._connect(signal, name)
        for number, tap in enumerate(part.taps):
            behind = name
            for link in reversed(tap):
                linked = self.names.unique(f"{name}_tap{number}_{type(link).__name__.lower()}")
                self.nodes[linked] = link
                self.edges.append((linked, behind))
                behind = linked
            self._connect(signal, behind)
        last = name
        if part.leak is not None:
            last = self.names.unique(f"{name}_leak")
            self.nodes[last] = part.leak
            self.edges.append((name, last))
        self.values[node] = Signal((last,), part.shape, part.decode)
        if part.feedback is not None:
            back = self.names.unique(f"{name}_recurrent")
            self.nodes[back] = part.feedback
            self.edges += [(name, back), (back, name)]

    def _connect(self, signal: Signal, name: str) -> None:
        self.edges += [(source, name) for source in signal.sources]

    def _operate(self, node: fx.Node) -> None:
        operation = operation_of(node)
        where = f"forward of {self.kind} uses {operation}"
        pair = addends(node)
        if pair is not None:
            if operation in IN_PLACE_ADDITIONS:
                check_alone(node, self.traced, self.modules, where)
            self.values[node] = self._sum(pair, f"{where} on")
        elif operation in FLATTENINGS:
            signal = self._signal(node.args[0], f"{where} on")
            dims = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | node.kwargs
            name = self.names.unique("flatten")
            place = Place(name, signal.shape, signal.name, self.dt)
            start, end = (dims.get(k, d) for k, d in (("start_dim", 0), ("end_dim", -1)))
            self._add(node, name, signal, flatten(place, int(str(start)), int(str(end))))
        else:
            known = [self.values[a].name for a in node.all_input_nodes if a in self.values]
            raise GraphError(refusal(self.kind, operation, known))

    def _sum(self, pair: tuple[Any, Any], where: str) -> Signal:
        a, b = (self._signal(value, where) for value in pair)
        if a.shape != b.shape:
            raise GraphError(
                f"{where} {a.name!r} of shape {a.shape} and {b.name!r} of shape {b.shape}; "
                "they must be the same"
            )
        if a.decode is not None or b.decode is not None:
            raise GraphError(f"{where} the output of a Readout, which must be the last")
        twice = set(a.sources) & set(b.sources)
        if twice:
            raise GraphError(
                f"{where} {min(twice)!r} twice, and NIR has one edge from a node to another; "
                "double the weights instead"
            )
        return Signal(a.sources + b.sources, a.shape)

    def _signal(self, value: Any, where: str) -> Signal:
        if isinstance(value, fx.Node) and value in self.values:
            return self.values[value]
        if isinstance(value, fx.Node) and value.op == "get_attr":
            raise GraphError(
                f"{where} the tensor {value.target!r}, which no node of NIR holds by itself; put "
                "it into a layer's weight or bias"
            )
        raise GraphError(
            f"{where} {value!r}, which is no layer's output; put it into a layer's weight or bias"
        )


def _input_shapes(
    model: torch.nn.Module, given: tuple[int, ...] | Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[str, Shape]]:
    """Argument of forward -> name and shape of its input node."""
    parameters = inspect.signature(model.forward).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty]
    if isinstance(given, Mapping):
        known = {p.name for p in parameters}
        if not set(needed) <= set(given) <= known:
            raise GraphError(
                f"input_shape names {', '.join(map(repr, given))}, and forward of "
                f"{type(model).__name__} takes {', '.join(map(repr, needed))}; name those"
            )
        return {name: (name, _shape(shape)) for name, shape in given.items()}
    if len(needed) != 1:
        raise GraphError(
            f"forward of {type(model).__name__} takes {len(needed)} inputs "
            f"({', '.join(map(repr, needed))}); give input_shape as a mapping from names to shapes"
        )
    return {needed[0]: ("input", _shape(given))}


def _shape(given: Any) -> Shape:
    sizes = tuple(given) if isinstance(given, tuple | list) else ()
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes)
    if not sizes or not whole or min(sizes) < 1:
        raise GraphError(
            f"input_shape is {given!r}; give the sizes of one time step, such as (700,) or "
            "(2, 34, 34)"
        )
    return tuple(int(n) for n in sizes)
