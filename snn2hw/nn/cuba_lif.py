"""The leaky integrate-and-fire neuron behind a synaptic current (CUBA-LIF)."""

from __future__ import annotations

from typing import ClassVar

import torch

from snn2hw.nn._checks import Values
from snn2hw.nn.neuron import Constant, ResetNeuron, States, scaled


class CubaLIF(ResetNeuron):
    """A layer of leaky integrate-and-fire neurons with a synaptic current.

    Per step, for input x::

        u = u + (w_in x - u) / tau_syn
        h = v + (r u - (v - v_leak)) / tau_mem    the current of this step
        s = Theta(h - v_threshold)                Theta(u) = 1 for u >= 0
        v = (1 - s) h + s v_reset                 s detached: no gradient through the reset

    or, with reset="subtract", v = h - s (v_threshold - v_reset). u starts at 0, v at v_init, and
    neither outlives the call. No trainable parameters. Source: NIR's CubaLIF (nir 1.0.8) in Euler
    steps, the membrane taking the current of the same step, as Loihi and snnTorch do; their
    u <- alpha u + x, v <- beta v + u is w_in = tau_syn = 1 / (1 - alpha), r = tau_mem =
    1 / (1 - beta).

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        tau_syn: time constant of the synaptic current in time steps, above 0.5.
        tau_mem: membrane time constant in time steps, above 0.5.
        v_threshold: threshold on h, in the units of r u.
        v_reset: value after a spike.
        reset: "value" or "subtract".
        w_in: factor on x.
        r: resistance, a factor on u.
        v_leak: resting value; None: v_reset.
        v_init: value before the first step; None: v_reset.

        All but n_neurons and reset may be arrays that broadcast to the layer's shape: a value for
        each neuron.

    Raises:
        ParameterError: an argument out of its range.
    """

    constants: ClassVar[tuple[str, ...]] = (
        "tau_syn",
        "tau_mem",
        "v_threshold",
        "v_reset",
        "w_in",
        "r",
        "v_leak",
        "v_init",
    )
    time_constants: ClassVar[tuple[str, ...]] = ("tau_syn", "tau_mem")

    tau_syn: Constant
    tau_mem: Constant
    w_in: Constant
    r: Constant
    v_leak: Constant

    def __init__(
        self,
        n_neurons: int | tuple[int, ...],
        tau_syn: Values = 2.0,
        tau_mem: Values = 5.0,
        v_threshold: Values = 0.5,
        v_reset: Values = 0.0,
        reset: str = "value",
        w_in: Values = 1.0,
        r: Values = 1.0,
        v_leak: Values | None = None,
        v_init: Values | None = None,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(
            n_neurons,
            reset,
            {
                "tau_syn": tau_syn,
                "tau_mem": tau_mem,
                "v_threshold": v_threshold,
                "v_reset": v_reset,
                "w_in": w_in,
                "r": r,
                "v_leak": v_reset if v_leak is None else v_leak,
                "v_init": v_reset if v_init is None else v_init,
            },
        )

    def initial(self, like: torch.Tensor, values: dict[str, Constant]) -> States:
        """Return the state before the first step; see `Neuron.initial`."""
        return {"u": torch.zeros_like(like), **super().initial(like, values)}

    def integrate(
        self, a: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return h and u of this step; see `ResetNeuron.integrate`."""
        u, v = state["u"], state["v"]
        u = u + (scaled(values["w_in"], a) - u) / values["tau_syn"]
        h = v + (scaled(values["r"], u) - (v - values["v_leak"])) / values["tau_mem"]
        return h, {"u": u}
