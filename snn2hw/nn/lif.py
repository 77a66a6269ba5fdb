"""The leaky integrate-and-fire neuron, baseline of the GPN paper."""

from __future__ import annotations

from typing import ClassVar

import torch

from snn2hw.nn._checks import Values
from snn2hw.nn.neuron import Constant, ResetNeuron, States, scaled


class LIF(ResetNeuron):
    """A layer of leaky integrate-and-fire neurons.

    Per step, for input current x::

        h = v + (r x - (v - v_leak)) / tau
        s = Theta(h - v_threshold)                Theta(u) = 1 for u >= 0
        v = (1 - s) h + s v_reset                 s detached: no gradient through the reset

    or, with reset="subtract", v = h - s (v_threshold - v_reset). The state starts at v_init and
    does not outlive the call. No trainable parameters. Source: arXiv 2412.01087 and its authors'
    code (core/neurons.py), whose values are the defaults; r, v_leak and the subtractive reset are
    those of NIR's LIF.

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        tau: membrane time constant in time steps, above 0.5 (below it v would diverge).
        v_threshold: threshold on h, in the units of x.
        v_reset: value after a spike, in the units of x.
        reset: "value" or "subtract".
        r: resistance, a factor on x.
        v_leak: resting value; None: v_reset.
        v_init: value before the first step; None: v_reset.

        tau, v_threshold, v_reset, r, v_leak and v_init may be arrays that broadcast to the layer's
        shape: a value for each neuron.

    Raises:
        ParameterError: an argument out of its range.
    """

    constants: ClassVar[tuple[str, ...]] = (
        "tau",
        "v_threshold",
        "v_reset",
        "r",
        "v_leak",
        "v_init",
    )
    time_constants: ClassVar[tuple[str, ...]] = ("tau",)

    tau: Constant
    r: Constant
    v_leak: Constant

    def __init__(
        self,
        n_neurons: int | tuple[int, ...],
        tau: Values = 5.0,
        v_threshold: Values = 0.5,
        v_reset: Values = 0.0,
        reset: str = "value",
        r: Values = 1.0,
        v_leak: Values | None = None,
        v_init: Values | None = None,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(
            n_neurons,
            reset,
            {
                "tau": tau,
                "v_threshold": v_threshold,
                "v_reset": v_reset,
                "r": r,
                "v_leak": v_reset if v_leak is None else v_leak,
                "v_init": v_reset if v_init is None else v_init,
            },
        )

    def integrate(
        self, a: torch.Tensor, state: States, values: dict[str, Constant]
    ) -> tuple[torch.Tensor, States]:
        """Return h of this step, and no other state; see `ResetNeuron.integrate`."""
        v = state["v"]
        return v + (scaled(values["r"], a) - (v - values["v_leak"])) / values["tau"], {}
