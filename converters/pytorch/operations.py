"""Operations in ``forward``: which are additions, what others are called, what to use instead."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx

from snn2hw.converters.pytorch.modules import TRANSPARENT
from snn2hw.errors import GraphError

SYMBOLS = {
    operator.add: "+",
    operator.iadd: "+=",
    operator.sub: "-",
    operator.isub: "-=",
    operator.neg: "-",
    operator.mul: "*",
    operator.imul: "*=",
    operator.truediv: "/",
    operator.itruediv: "/=",
    operator.matmul: "@",
    operator.getitem: "[...]",
}
ADDITIONS = ("+", "torch.add", ".add()")
IN_PLACE_ADDITIONS = ("+=", ".add_()")
FLATTENINGS = ("torch.flatten", ".flatten()")

_JOIN = "give each part a Linear of its own and add what they give"
_SCALE = "put the factor into a layer's weights"
_NEGATE = "negate a layer's weights and add"
_PICK = "pick values with a Linear of zeros and ones"
_RESHAPE = "use snn2hw.nn.Flatten where a row of features is meant"
_OVER_TIME = "use snn2hw.nn.Readout as the last layer"
_NEURON = "use a spiking neuron, such as snn2hw.nn.LIF"

ADVICE = {
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", "hstack", "vstack"), _JOIN),
    **dict.fromkeys(("*", "*=", "mul", "mul_", "multiply", "/", "/=", "div", "div_", "@"), _SCALE),
    **dict.fromkeys(("matmul", "bmm", "einsum"), _SCALE),
    **dict.fromkeys(("-", "-=", "sub", "sub_", "subtract", "neg", "rsub"), _NEGATE),
    **dict.fromkeys(("[...]", "chunk", "split", "select", "narrow", "unbind"), _PICK),
    **dict.fromkeys(("view", "reshape", "unflatten", "squeeze", "unsqueeze"), _RESHAPE),
    **dict.fromkeys(("permute", "transpose"), _RESHAPE),
    **dict.fromkeys(("mean", "sum"), _OVER_TIME),
    **dict.fromkeys(("relu", "sigmoid", "tanh", "relu_"), _NEURON),
    **dict.fromkeys(("dropout",), "use snn2hw.nn.SequenceDropout"),
}
"""Bare name of an operation -> what to use instead."""


def operation_of(node: fx.Node) -> str:
    """What a message calls the operation: "+", "torch.cat", ".view()"."""
    if node.op == "call_method":
        return f".{node.target}()"
    target: Any = node.target
    if target in SYMBOLS:
        return SYMBOLS[target]
    name = str(getattr(target, "__name__", target))
    home = str(getattr(target, "__module__", None) or "torch")
    if name == "getattr":
        return f"the attribute .{node.args[1]}"
    if home.startswith("torch.nn.functional"):
        return f"torch.nn.functional.{name}"
    return f"torch.{name}" if home.startswith("torch") or home == "_VariableFunctions" else name


def addends(node: fx.Node) -> tuple[Any, Any] | None:
    """The two operands of a plain addition, else None."""
    operation = operation_of(node)
    if operation not in ADDITIONS and operation not in IN_PLACE_ADDITIONS:
        return None
    values = [*node.args, *(v for k, v in node.kwargs.items() if k in ("input", "other"))]
    factors = {k: v for k, v in node.kwargs.items() if k not in ("input", "other")}
    if len(values) != 2 or factors.pop("alpha", 1) != 1 or factors:
        return None
    return values[0], values[1]


def refusal(kind: str, operation: str, known: Sequence[str]) -> str:
    """The message for an operation that NIR does not have."""
    bare = operation.rstrip("()").rsplit(".", 1)[-1] if operation[-1] != "]" else operation
    advice = ADVICE.get(
        bare, "forward may call layers, add what they give (with alpha=1), and flatten(2)"
    )
    on = f" on {', '.join(map(repr, known))}" if known else ""
    return f"forward of {kind} uses {operation}{on}, which NIR does not have; {advice}"


def check_alone(
    node: fx.Node, graph: fx.Graph, modules: Mapping[str, torch.nn.Module], where: str
) -> None:
    """Refuse an addition in place whose first operand is used again, for that use sees the sum.

    The trace has two values there, and PyTorch one.
    """
    order = {other: position for position, other in enumerate(graph.nodes)}

    def origin(value: Any) -> Any:
        """Go back through what may return its argument itself, or a view of it."""
        while isinstance(value, fx.Node) and _may_alias(value, modules):
            value = value.args[0]
        return value

    changed = origin(node.args[0])
    for other in graph.nodes:
        again = order[other] > order[node] and not _may_alias(other, modules)
        if again and any(
            origin(used) is changed and used is not node for used in other.all_input_nodes
        ):
            raise GraphError(
                f"{where}, which changes a value that is used again later; write x = x + y"
            )


def _may_alias(node: fx.Node, modules: Mapping[str, torch.nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], (*TRANSPARENT, torch.nn.Flatten))
    return node.op in ("call_function", "call_method") and operation_of(node) in FLATTENINGS
