"""What the spiking neurons share: shape, constants, the walk through time, and the reset."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_sequence, check_shape, check_values
from snn2hw.nn.surrogate import spike

Constant: TypeAlias = float | torch.Tensor
States: TypeAlias = dict[str, torch.Tensor]

RESETS = ("value", "subtract")
"""What a spike does to v: set it to v_reset, or take v_threshold - v_reset off it."""


class Neuron(nn.Module):
    """Base of the layers of spiking neurons: shape, constants, and the walk through time.

    A constant is a float, the same for all neurons, or a float64 tensor that broadcasts to the
    layer's shape; it is cast to the input's type and device at use, is not trained, and is no part
    of the state_dict. The state does not outlive the call.
    """

    constants: ClassVar[tuple[str, ...]] = ()
    """Names of the constants, in the order of the constructor."""
    time_constants: ClassVar[tuple[str, ...]] = ()
    """Those of them that are times, in steps."""

    def __init__(self, n_neurons: int | tuple[int, ...], constants: dict[str, Values]) -> None:
        """Check and keep what the subclass was given; see there for arguments and errors."""
        super().__init__()
        kind = type(self).__name__
        self.shape = check_shape(n_neurons, "n_neurons", kind)
        self.n_neurons = math.prod(self.shape)
        for name, given in constants.items():
            value = check_values(given, self.shape, name, kind)
            if name in self.time_constants and not _smallest(value) > 0.5:
                raise ParameterError(
                    f"{kind}: {name} is {_smallest(value)!r} steps, give more than 0.5 steps"
                )
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the spikes.

        Args:
            x: input current, float (batch, time, *shape).

        Returns:
            Spikes 0 or 1 in x's dtype and shape.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        return self.trace(x)[0]

    def trace(
        self, x: torch.Tensor, feedback: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, States]:
        """Return the spikes and the states of every step.

        Args:
            x: as for `forward`.
            feedback: what to add to the input of a step, from the spikes (batch, *shape) of the
                step before, which are 0 at the first.

        Returns:
            Spikes as from `forward`, and the states after the step by name ("v", "u" where there is
            a synaptic current), each of x's shape.

        Raises:
            DataError: as for `forward`.
        """
        check_sequence(x, self.shape, f"{type(self).__name__}({self._shape_text()})")
        values = {name: like(getattr(self, name), x) for name in self.constants}
        state = self.initial(x[:, 0], values)
        s = torch.zeros_like(x[:, 0])
        spikes, states = [], []
        for current in x.unbind(1):
            a = current if feedback is None else current + feedback(s)
            s, state = self.step(a, s, state, values)
            spikes.append(s)
            states.append(state)
        stacked = {name: torch.stack([state[name] for state in states], 1) for name in states[0]}
        return torch.stack(spikes, 1), stacked

    @abstractmethod
    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; like: (batch, *shape)."""

    @abstractmethod
    def step(
        self, a: torch.Tensor, s: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return the spikes of a step and the state after it.

        a: input, (batch, *shape); s, state: spikes and state of the step before; values: the
        constants in a's type.
        """

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"n_neurons": self.shape, **{name: getattr(self, name) for name in self.constants}}

    def _shape_text(self) -> str:
        return str(self.shape if len(self.shape) > 1 else self.n_neurons)


class ResetNeuron(Neuron):
    """Base of the layers whose spike is Theta(h - v_threshold), h being v before the reset.

    Reset, with s detached, so that no gradient passes through it::

        "value":     v = (1 - s) h + s v_reset
        "subtract":  v = h - s (v_threshold - v_reset)

    The state starts at v_init.
    """

    v_threshold: Constant
    v_reset: Constant
    v_init: Constant

    def __init__(
        self, n_neurons: int | tuple[int, ...], reset: str, constants: dict[str, Values]
    ) -> None:
        """Check and keep what the subclass was given; see there for arguments and errors."""
        if reset not in RESETS:
            raise ParameterError(
                f'{type(self).__name__}: reset is {reset!r}, give "value" or "subtract"'
            )
        super().__init__(n_neurons, constants)
        self.reset = reset

    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; see `Neuron.initial`."""
        return {"v": torch.zeros_like(like) + values["v_init"]}

    def step(
        self, a: torch.Tensor, s: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return the spikes of a step and the state after it, reset included; see `Neuron.step`."""
        h, after = self.integrate(a, state, values)
        s = spike(h - values["v_threshold"])
        after["v"] = self._after(h, s.detach(), values)
        return s, after

    @abstractmethod
    def integrate(
        self, a: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return h, the potential before the reset, and the states other than v.

        a: input of this step, (batch, *shape); state: after the step before; values: the constants
        in a's type.
        """

    def _after(
        self, h: torch.Tensor, fired: torch.Tensor, values: dict[str, Constant]
    ) -> torch.Tensor:
        if self.reset == "subtract":
            return h - fired * (values["v_threshold"] - values["v_reset"])
        return torch.where(fired > 0, values["v_reset"], h)

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"reset": self.reset, **super().arguments()}

    def _unsaid(self) -> tuple[str, ...]:
        """Names of constants that have the value which they have unless given."""
        leaves = {"v_leak": self.v_reset, "v_init": self.v_reset, "r": 1.0, "w_in": 1.0}
        return tuple(name for name, value in leaves.items() if _same(getattr(self, name, 0), value))

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        shown = [name for name in self.constants if name not in self._unsaid()]
        texts = [self._shape_text(), *(f"{name}={said(getattr(self, name))}" for name in shown)]
        return ", ".join(texts + ([f'reset="{self.reset}"'] if self.reset != RESETS[0] else []))


def scaled(factor: Constant, x: torch.Tensor) -> torch.Tensor:
    """Return factor * x, which costs nothing where the factor is 1."""
    return x if isinstance(factor, float) and factor == 1.0 else factor * x


def like(value: Constant, x: torch.Tensor) -> Constant:
    """Return a constant in the type and on the device of x."""
    return value.to(x) if isinstance(value, torch.Tensor) else value


def _smallest(value: Constant) -> float:
    return float(value.min()) if isinstance(value, torch.Tensor) else value


def _same(a: Constant, b: Constant) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a is b or torch.equal(a, b)
    return isinstance(a, float) and isinstance(b, float) and a == b


def said(value: Constant) -> str:
    """Return a constant for a message: its value, or the range of its values."""
    if not isinstance(value, torch.Tensor):
        return str(value)
    return f"{float(value.min()):.4g} to {float(value.max()):.4g}"
