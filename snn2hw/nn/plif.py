"""The parametric leaky integrate-and-fire neuron, whose time constant is trained."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_real
from snn2hw.nn.neuron import Constant, ResetNeuron, States


class PLIF(ResetNeuron):
    """A layer of leaky integrate-and-fire neurons with one trained time constant.

    Per step, for input current x::

        h = v + (x - v) sigmoid(w)
        s = Theta(h - v_threshold)                Theta(u) = 1 for u >= 0
        v = (1 - s) h                             s detached: no gradient through the reset

    `w` is the layer's only parameter and 1 / sigmoid(w) its time constant in steps, so that with
    w fixed this is `LIF(tau=1 / sigmoid(w))`, as which it is exported. The state starts at 0 and
    does not outlive the call. Source: Fang et al. 2021 (arXiv 2007.05785), with the values of the
    GPN authors' code (github.com/hrje123/hr-GPN-SNN, core/neurons.py) as defaults.

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        tau: time constant in time steps before training, above 1.
        v_threshold: threshold on h, one or a value for each neuron.

    Raises:
        ParameterError: an argument out of its range.
    """

    constants: ClassVar[tuple[str, ...]] = ("v_threshold",)

    v_reset: Constant = 0.0
    v_init: Constant = 0.0

    def __init__(
        self, n_neurons: int | tuple[int, ...], tau: float = 5.0, v_threshold: Values = 0.5
    ) -> None:
        """See the class for the arguments."""
        super().__init__(n_neurons, "value", {"v_threshold": v_threshold})
        start = check_real(tau, "tau", "PLIF")
        if not start > 1:
            raise ParameterError(f"PLIF: tau is {tau!r} steps, give more than 1 step")
        self.w = nn.Parameter(torch.tensor(-math.log(start - 1.0)))

    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; see `Neuron.initial`."""
        return {"v": torch.zeros_like(like)}

    def integrate(
        self, a: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return h; see `ResetNeuron.integrate`."""
        v = state["v"]
        return v + (a - v) * torch.sigmoid(self.w), {}

    def _after(
        self, h: torch.Tensor, fired: torch.Tensor, values: dict[str, Constant]
    ) -> torch.Tensor:
        return torch.where(fired > 0, 0.0, h)

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer; w is in the state_dict."""
        return {"n_neurons": self.shape, "v_threshold": self.v_threshold}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        tau = 1.0 / float(torch.sigmoid(self.w.detach()))
        return f"{super().extra_repr()}, tau={tau:.4g}"
