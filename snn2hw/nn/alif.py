"""The adaptive leaky integrate-and-fire neuron of e-prop."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_real
from snn2hw.nn.neuron import Constant, Neuron, States, said, scaled
from snn2hw.nn.surrogate import SURROGATES, fire, pseudo_derivative


class ALIF(Neuron):
    """A layer of adaptive leaky integrate-and-fire neurons, a model in discrete time.

    Per step, for input current x and the spikes s of the step before::

        b = rho b + beta adaptation_gain s;    A = v_threshold + b
        v = alpha v + input_gain x - s R       R = A if adaptive_reset, else v_threshold
        s = Theta(v - A) where there was no spike in the last `refractory` steps, else 0

    Theta(u) = 1 for u > 0. v is that of the moment of the spike: the reset is part of the next
    step. No gradient passes through the reset s R; it does pass from s to b, which is what makes
    adaptation a memory. Where a neuron is refractory the surrogate gradient is 0. The state starts
    at 0 and does not outlive the call. No trainable parameters.

    Sources: Bellec et al. 2020 (Nat. Commun. 11:3625), whose form is the default (they use
    input_gain 1 or 1 - alpha, and beta 0 for their LIF); Rostami et al. 2022 (Front. Neurosci.
    16:1018006), see `rostami`.

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        alpha: what a step keeps of v, exp(-1 / tau) for a time constant in steps; 0 to 1.
        rho: what a step keeps of the adaptation; 0 to 1.
        v_threshold: threshold without adaptation, in the units of v.
        beta: strength of the adaptation; 0: none.
        input_gain: a factor on x.
        adaptation_gain: a factor on the spikes that adaptation adds up.
        refractory: steps without a spike after one, a whole number.
        adaptive_reset: a spike takes A off v, not v_threshold.
        surrogate: "triangle", "multi_gaussian" or "atan"; see `surrogate.pseudo_derivative`.
        dampening: a factor on the surrogate gradient; None: 0.3, 0.5 and 1, in that order.

        alpha, rho, v_threshold, beta, input_gain, adaptation_gain and refractory may be arrays that
        broadcast to the layer's shape: a value for each neuron.

    Raises:
        ParameterError: an argument out of its range.
    """

    constants: ClassVar[tuple[str, ...]] = (
        "alpha",
        "rho",
        "v_threshold",
        "beta",
        "input_gain",
        "adaptation_gain",
        "refractory",
    )

    alpha: Constant
    rho: Constant
    v_threshold: Constant
    beta: Constant
    input_gain: Constant
    adaptation_gain: Constant
    refractory: Constant

    def __init__(
        self,
        n_neurons: int | tuple[int, ...],
        alpha: Values = 0.95,
        rho: Values = 0.995,
        v_threshold: Values = 1.0,
        beta: Values = 0.184,
        input_gain: Values = 1.0,
        adaptation_gain: Values = 1.0,
        refractory: Values = 0,
        adaptive_reset: bool = False,
        surrogate: str = "triangle",
        dampening: float | None = None,
    ) -> None:
        """See the class for the arguments."""
        given = (alpha, rho, v_threshold, beta, input_gain, adaptation_gain, refractory)
        super().__init__(n_neurons, dict(zip(self.constants, given, strict=True)))
        for name in ("alpha", "rho"):
            kept = torch.as_tensor(getattr(self, name))
            if bool(((kept < 0) | (kept > 1)).any()):
                raise ParameterError(
                    f"ALIF: {name} is {said(getattr(self, name))}, give between 0 and 1"
                )
        steps = torch.as_tensor(self.refractory)
        if bool(((steps < 0) | (steps != steps.round())).any()):
            raise ParameterError(
                f"ALIF: refractory is {said(self.refractory)}, give whole numbers of steps, at"
                " least 0"
            )
        if not isinstance(adaptive_reset, bool):
            raise ParameterError(f"ALIF: adaptive_reset is {adaptive_reset!r}, give True or False")
        if surrogate not in SURROGATES:
            raise ParameterError(
                f"ALIF: surrogate is {surrogate!r}, give one of {', '.join(SURROGATES)}"
            )
        if surrogate == "triangle" and not bool((torch.as_tensor(self.v_threshold) > 0).all()):
            raise ParameterError(
                f"ALIF: v_threshold is {said(self.v_threshold)} and the triangle is as wide as"
                " that, give above 0 or another surrogate"
            )
        self.adaptive_reset, self.surrogate = adaptive_reset, surrogate
        self.dampening = (
            SURROGATES[surrogate]
            if dampening is None
            else check_real(dampening, "dampening", "ALIF")
        )

    @classmethod
    def rostami(cls, n_neurons: int | tuple[int, ...], **changes: object) -> ALIF:
        """Return the neurons of Rostami et al. 2022, as their code has them.

        Time constants of 5 and 150 steps, threshold 1.6, beta 0.184, gains 1 - alpha and 1 - rho,
        adaptive reset, multi-Gaussian surrogate. changes: other arguments, as of the class.
        """
        alpha, rho = math.exp(-1 / 5), math.exp(-1 / 150)
        values: dict[str, object] = {
            "alpha": alpha,
            "rho": rho,
            "v_threshold": 1.6,
            "beta": 0.184,
            "input_gain": 1 - alpha,
            "adaptation_gain": 1 - rho,
            "adaptive_reset": True,
            "surrogate": "multi_gaussian",
        }
        return cls(n_neurons, **(values | changes))  # type: ignore[arg-type]

    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; see `Neuron.initial`."""
        return {name: torch.zeros_like(like) for name in ("v", "b", "wait")}

    def step(
        self, a: torch.Tensor, s: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return spikes and state of a step; see `Neuron.step`.

        "b" is the adaptation in the units of v, "wait" refractory + 1 after a spike, counting down.
        """
        b = values["rho"] * state["b"] + values["beta"] * values["adaptation_gain"] * s
        threshold = values["v_threshold"] + b
        taken = threshold.detach() if self.adaptive_reset else values["v_threshold"]
        v = values["alpha"] * state["v"] + scaled(values["input_gain"], a) - s.detach() * taken
        free = state["wait"] <= 1
        u = torch.where(free, v - threshold, -torch.ones_like(v))
        kind, size = self.surrogate, self.dampening
        s = fire(u, pseudo_derivative(u, values["v_threshold"], kind, size))
        wait = torch.where(s > 0, values["refractory"] + 1, torch.clamp(state["wait"] - 1, min=0))
        return s, {"v": v, "b": b, "wait": wait}

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        named = ("adaptive_reset", "surrogate", "dampening")
        return {**super().arguments(), **{name: getattr(self, name) for name in named}}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        texts = [
            self._shape_text(),
            *(f"{name}={said(getattr(self, name))}" for name in self.constants),
        ]
        texts += [f"adaptive_reset={self.adaptive_reset}", f'surrogate="{self.surrogate}"']
        return ", ".join([*texts, f"dampening={self.dampening}"])
