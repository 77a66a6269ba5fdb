"""The gated leaky integrate-and-fire neuron of Yao et al. 2022."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_real
from snn2hw.nn.neuron import Constant, Neuron, States
from snn2hw.nn.surrogate import spike

GATES = ("alpha", "beta", "gamma")
TRAINED = ("tau", "v_threshold", "leak", "conductance", "v_subtract")


class GLIF(Neuron):
    """A layer of gated leaky integrate-and-fire neurons, trained neuron by neuron.

    Per step, for input current x and the spikes s of the step before::

        v = (1 - alpha (1 - tau)) v (1 - gamma s) - (1 - alpha) leak
            + (1 - beta (1 - conductance)) x - (1 - gamma) v_subtract s
        s = Theta(v - v_threshold)                Theta(u) = 1 for u >= 0

    The gates alpha, beta and gamma are 0 or 1 and choose between exponential (1) and linear (0)
    leak, weighted and plain input, reset to zero and by subtraction. v is that of the moment of the
    spike: the reset is part of the next step, and the gradient passes through it. The parameters
    `tau`, `v_threshold`, `leak`, `conductance` and `v_subtract` are trained for each neuron, as
    logits of numbers from 0 to 1; with `train_gates` the gates are too, 1 where their logit is
    above 0, the gradient passing as if they were the sigmoid. The state starts at 0 and does not
    outlive the call.

    Sources: Yao et al. 2022 (arXiv 2210.13768) and their code (github.com/Ikarosy/Gated-LIF,
    channel-wise, hard gates); defaults of the GPN authors' code (github.com/hrje123/hr-GPN-SNN,
    core/neurons.py), where the three gates are 1 and stay so. Ours: `conductance` is shared by
    all steps, where theirs has one for each step, which no chip's neuron can hold and which ties a
    network to a number of steps. Their soft gates (any number from 0 to 1) are left out.

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        alpha: gate of the leak.
        beta: gate of the conductance.
        gamma: gate of the reset.
        train_gates: train them too.
        tau: what a step keeps of v, before training; between 0 and 1, as those that follow.
        v_threshold: the threshold.
        leak: what a step takes off v where alpha is 0; the authors' is v_threshold / (2 T) for
            sequences of T steps.
        conductance: the factor on x where beta is 1.
        v_subtract: what a spike takes off v where gamma is 0.

        The gates may be arrays of 0 and 1 that broadcast to the layer's shape.

    Raises:
        ParameterError: an argument out of its range.
    """

    alpha: Any
    beta: Any
    gamma: Any

    constants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        n_neurons: int | tuple[int, ...],
        alpha: Values = 1.0,
        beta: Values = 1.0,
        gamma: Values = 1.0,
        train_gates: bool = False,
        tau: float = 0.2,
        v_threshold: float = 0.5,
        leak: float = 0.005,
        conductance: float = 0.5,
        v_subtract: float = 0.5,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(n_neurons, dict(zip(GATES, (alpha, beta, gamma), strict=True)))
        if not isinstance(train_gates, bool):
            raise ParameterError(f"GLIF: train_gates is {train_gates!r}, give True or False")
        self.train_gates = train_gates
        for name in GATES:
            value = torch.as_tensor(getattr(self, name), dtype=torch.float64)
            delattr(self, name)
            if bool(((value != 0) & (value != 1)).any()):
                raise ParameterError(f"GLIF: {name} holds numbers other than 0 and 1, give those")
            # The authors' gates start at sigmoid(logit) = 0.55, one step of training from closing.
            logit = (2.0 * value - 1.0) * math.log(0.55 / 0.45)
            given = torch.broadcast_to(logit, self.shape).to(torch.float32).clone()
            if train_gates:
                setattr(self, name, nn.Parameter(given))
            else:
                self.register_buffer(name, given)
        starts = (tau, v_threshold, leak, conductance, v_subtract)
        for name, start in zip(TRAINED, starts, strict=True):
            real = check_real(start, name, "GLIF")
            if not 0 < real < 1:
                raise ParameterError(f"GLIF: {name} is {start!r}, give above 0 and below 1")
            logits = torch.full(self.shape, math.log(real / (1 - real)))
            setattr(self, name, nn.Parameter(logits))

    def values(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Return gates (0 or 1) and trained numbers (0 to 1) by name, each of the layer's shape."""
        found = {name: torch.sigmoid(getattr(self, name).to(dtype)) for name in TRAINED}
        for name in GATES:
            soft = torch.sigmoid(getattr(self, name).to(dtype))
            # 1 or 0 forwards, the sigmoid backwards.
            found[name] = (soft > 0.5).to(dtype) + (soft - soft.detach())
        return found

    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; see `Neuron.initial`.

        Computes from the parameters, once a sequence, what the steps share.
        """
        now = self.values(like.dtype)
        values["kept"] = 1 - now["alpha"] * (1 - now["tau"])
        values["lost"] = (1 - now["alpha"]) * now["leak"]
        values["gain"] = 1 - now["beta"] * (1 - now["conductance"])
        values["taken"] = (1 - now["gamma"]) * now["v_subtract"]
        values["gamma"], values["v_threshold"] = now["gamma"], now["v_threshold"]
        return {"v": torch.zeros_like(like)}

    def step(
        self, a: torch.Tensor, s: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return spikes and state of a step; see `Neuron.step`."""
        v = values["kept"] * state["v"] * (1 - values["gamma"] * s) - values["lost"]
        v = v + values["gain"] * a - values["taken"] * s
        return spike(v - values["v_threshold"]), {"v": v}

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer; the rest is state_dict."""
        return {"n_neurons": self.shape, "train_gates": self.train_gates}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        open_gates = [f"{name}: {int((getattr(self, name) > 0).sum())}" for name in GATES]
        return f"{self._shape_text()}, gates at 1 ({', '.join(open_gates)})"
