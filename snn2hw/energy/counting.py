"""The arithmetic of one neuron step, learned by running the step itself on counting numbers.

A neuron's integer step is made of operators and ``snn2hw.arithmetic`` calls. Here it is run on
``Counted`` numbers, which have no value and remember how they came about; the operations that the
new states and outputs depend on are then counted once each. So nobody keeps a second list of a
neuron's operations, and a new neuron has its count for nothing.

What is counted and what not:

- Comparisons that only report an overflow (the last two results of a step) are bookkeeping of the
  simulator: nothing that leaves the neuron depends on them, so the walk never meets them.
- Operations on parameters and constants alone (``threshold << 6``) are done once when the network
  is loaded, not at every step.
- ``flag * x`` is a selection, not a multiplication; ``b + flag * (a - b)``, as
  ``arithmetic.select`` and ``arithmetic.saturate`` spell it for exactness, is one selection too.
- A product with a constant power of two is a shift.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from snn2hw.neurons.base import NeuronModel

KINDS = ("adds", "multiplies", "shifts", "compares", "selects", "logic", "lookups")
"""The kinds of operation, in the order in which they are reported."""

FLOAT_KINDS = ("adds", "multiplies", "compares", "selects", "logic", "functions")
"""Those of a float step; functions: tanh, exp and their like."""


class Counted:
    """An integer without a value that remembers the operation it came from.

    kind: one of ``KINDS``, or "" for a quantity that the step was given.
    varies: whether it depends on a state or an input, and so changes from step to step.
    flag: whether it is the result of a comparison.
    """

    __slots__ = ("flag", "kind", "operands", "symbol", "varies")

    def __init__(
        self,
        kind: str = "",
        symbol: str = "",
        operands: tuple[Any, ...] = (),
        *,
        varies: bool = False,
        flag: bool = False,
    ) -> None:
        """symbol: the operator, by which a selection is recognised."""
        self.kind = kind
        self.symbol = symbol
        # NumPy functions wrap a number that they do not know into an array without dimensions.
        operands = tuple(o.item() if isinstance(o, np.ndarray) else o for o in operands)
        self.operands = operands
        self.varies = varies or any(_varies(operand) for operand in operands)
        self.flag = flag

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        """Refused: a step must do the same operations whatever its numbers are."""
        raise TypeError("a neuron step branches on a number; use snn2hw.arithmetic.select instead")

    def __add__(self, other: Any) -> Counted:
        """One addition."""
        return Counted("adds", "+", (self, other))

    def __radd__(self, other: Any) -> Counted:
        """One addition."""
        return Counted("adds", "+", (other, self))

    def __sub__(self, other: Any) -> Counted:
        """A subtraction: the same adder."""
        return Counted("adds", "-", (self, other))

    def __rsub__(self, other: Any) -> Counted:
        """A subtraction: the same adder."""
        return Counted("adds", "-", (other, self))

    def __neg__(self) -> Counted:
        """A subtraction from 0."""
        return Counted("adds", "-", (0, self))

    def __mul__(self, other: Any) -> Counted:
        """A multiplication, a selection where one side is a flag, or a shift."""
        if self.flag or (isinstance(other, Counted) and other.flag):
            operands = (self, other) if self.flag else (other, self)
            return Counted("selects", "*", operands)
        if isinstance(other, int) and other > 0 and other & (other - 1) == 0:
            return Counted("shifts" if other > 1 else "", "<<", (self, other))
        return Counted("multiplies", "*", (self, other))

    def __rmul__(self, other: Any) -> Counted:
        """As ``__mul__``."""
        return self.__mul__(other)

    def __lshift__(self, other: Any) -> Counted:
        """One shift."""
        return Counted("shifts", "<<", (self, other))

    def __rlshift__(self, other: Any) -> Counted:
        """One shift."""
        return Counted("shifts", "<<", (other, self))

    def __rshift__(self, other: Any) -> Counted:
        """One shift."""
        return Counted("shifts", ">>", (self, other))

    def __rrshift__(self, other: Any) -> Counted:
        """One shift."""
        return Counted("shifts", ">>", (other, self))

    def __and__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("&", other)

    def __rand__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("&", other)

    def __or__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("|", other)

    def __ror__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("|", other)

    def __xor__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("^", other)

    def __rxor__(self, other: Any) -> Counted:
        """One bitwise operation."""
        return self._logic("^", other)

    def __lt__(self, other: Any) -> Counted:
        """One comparison."""
        return self._compare("<", other)

    def __le__(self, other: Any) -> Counted:
        """One comparison."""
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Counted:
        """One comparison."""
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Counted:
        """One comparison."""
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Counted:  # type: ignore[override]
        """One comparison."""
        return self._compare("==", other)

    def __ne__(self, other: object) -> Counted:  # type: ignore[override]
        """One comparison."""
        return self._compare("!=", other)

    def astype(self, dtype: object) -> Counted:
        """The same number: nothing is computed."""
        return self

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """NumPy's operators, maxima and functions of one argument."""
        args = [x.item() if isinstance(x, np.ndarray | np.generic) else x for x in inputs]
        if ufunc.__name__ in _OPERATORS:
            return _OPERATORS[ufunc.__name__](*args)
        if ufunc in (np.maximum, np.minimum):
            chosen = Counted("compares", "<", tuple(args), flag=True)
            return Counted("selects", "where", (chosen, *args))
        if len(args) == 1:
            return Counted("functions", ufunc.__name__, tuple(args))
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """``np.where``: one selection."""
        if function is not np.where:
            return NotImplemented
        return Counted("selects", "where", tuple(args))

    def _compare(self, symbol: str, other: Any) -> Counted:
        return Counted("compares", symbol, (self, other), flag=True)

    def _logic(self, symbol: str, other: Any) -> Counted:
        both = self.flag and isinstance(other, Counted) and other.flag
        return Counted("logic", symbol, (self, other), flag=both)


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": operator.eq,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
}


class CountedTable:
    """A table in memory: every subscription is one look-up."""

    def __getitem__(self, index: Any) -> Counted:
        """One look-up."""
        return Counted("lookups", "[]", (index,))


def operations(model: NeuronModel) -> dict[str, int]:
    """Operations of one integer step of one neuron: kind (see ``KINDS``) -> how many.

    The step's contract is that of ``NeuronModel.step``. Raises TypeError if the step branches on
    its numbers.
    """
    states = [Counted(varies=True) for _ in model.states]
    inputs = [Counted(varies=True) for _ in model.inputs]
    params = [Counted() for _ in model.params]
    tables = [CountedTable() for _ in model.tables]
    results = model.step(*states, *inputs, *params, *tables)
    return count(results[: len(model.states) + len(model.outputs)])


def float_operations(model: NeuronModel) -> tuple[dict[str, int], int]:
    """Operations of one float step of one neuron, kind (see ``FLOAT_KINDS``) -> how many, and how
    many parameters it reads.

    A gain of the input is no operation: it is folded into the weights.
    """
    params = _FloatParams(model.gain_of.values())
    states = {state.name: Counted(varies=True) for state in model.states}
    inputs = {name: Counted(varies=True) for name in model.inputs}
    new, outputs = model.float_step(states, inputs, params)
    results = [*new.values(), *(outputs[o.name] for o in model.outputs if o.name in outputs)]
    plain = (r.item() if isinstance(r, np.ndarray) else r for r in results)
    return count(plain, FLOAT_KINDS), len(params)


class _FloatParams(dict[str, Counted]):
    """A parameter for every name that a float step asks for; gains are 1."""

    def __init__(self, gains: Iterable[str]) -> None:
        super().__init__()
        self._gains = frozenset(gains)

    def __missing__(self, name: str) -> Counted | int:
        if name in self._gains:
            return 1
        self[name] = Counted()
        return self[name]


def count(results: Iterable[Any], kinds: tuple[str, ...] = KINDS) -> dict[str, int]:
    """Operations on which ``results`` depend, each counted once, however often it is used.

    kinds: those that may occur.
    """
    totals = dict.fromkeys(kinds, 0)
    seen: set[int] = set()
    waiting = [result for result in results if isinstance(result, Counted)]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not node.varies:
            continue
        seen.add(id(node))
        selection = _selection(node)
        operands = node.operands if selection is None else selection
        if selection is not None:
            totals["selects"] += 1
        elif node.kind:
            totals[node.kind] += 1
        waiting.extend(operand for operand in operands if isinstance(operand, Counted))
    return totals


def _varies(operand: Any) -> bool:
    return isinstance(operand, Counted) and operand.varies


def _selection(node: Counted) -> tuple[Any, ...] | None:
    """Operands (flag, a, b) where the node is ``b + flag * (a - b)``, else None."""
    if node.symbol != "+":
        return None
    for base, product in (node.operands, node.operands[::-1]):
        if not (
            isinstance(product, Counted) and (product.kind, product.symbol) == ("selects", "*")
        ):
            continue
        flag, difference = product.operands
        if isinstance(difference, Counted) and difference.symbol == "-":
            if_true, if_false = difference.operands
            if _same(if_false, base):
                return flag, if_true, base
        # Constants are folded by Python: select(flag, 7, 5) is 5 + flag * 2.
        elif isinstance(difference, int) and isinstance(base, int):
            return flag, base + difference, base
    return None


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Counted) or isinstance(b, Counted):
        return a is b
    return bool(a == b)
