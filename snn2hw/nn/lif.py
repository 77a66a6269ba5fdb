"""The leaky integrate-and-fire neuron, baseline of the GPN paper."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_real, check_sequence, check_size
from snn2hw.nn.surrogate import spike


class LIF(nn.Module):
    """A layer of leaky integrate-and-fire neurons with hard reset.

    Per step, for input current x::

        h = v + (x - (v - v_reset)) / tau
        s = Theta(h - v_threshold)                Theta(u) = 1 for u >= 0
        v = (1 - s) h + s v_reset                 s detached: no gradient through the reset

    The state starts at v_reset and does not outlive the call. No trainable parameters. Source:
    arXiv 2412.01087 and its authors' code (core/neurons.py), whose values are the defaults.

    Args:
        n_neurons: neurons of the layer.
        tau: membrane time constant in time steps, above 0.5 (below it v would diverge).
        v_threshold: threshold on h, in the units of x.
        v_reset: value after a spike and resting value, in the units of x.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self,
        n_neurons: int,
        tau: float = 5.0,
        v_threshold: float = 0.5,
        v_reset: float = 0.0,
    ) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.n_neurons = check_size(n_neurons, "n_neurons", "LIF")
        self.tau = check_real(tau, "tau", "LIF")
        self.v_threshold = check_real(v_threshold, "v_threshold", "LIF")
        self.v_reset = check_real(v_reset, "v_reset", "LIF")
        if self.tau <= 0.5:
            raise ParameterError(f"LIF: tau is {tau!r} steps, give more than 0.5 steps")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the spikes.

        Args:
            x: input current, float (batch, time, n_neurons).

        Returns:
            Spikes 0 or 1 in x's dtype, (batch, time, n_neurons).

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        return self.trace(x)[0]

    def trace(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the spikes and the states of every step.

        Args:
            x: as for `forward`.

        Returns:
            Spikes as from `forward`, and {"v": potential after the step, reset included}, of the
            same shape.

        Raises:
            DataError: as for `forward`.
        """
        check_sequence(x, self.n_neurons, f"LIF({self.n_neurons})")
        v = torch.full_like(x[:, 0], self.v_reset)
        reset = v
        spikes, states = [], []
        for current in x.unbind(1):
            h = v + (current - (v - self.v_reset)) / self.tau
            s = spike(h - self.v_threshold)
            v = torch.where(s.detach() > 0, reset, h)
            spikes.append(s)
            states.append(v)
        return torch.stack(spikes, 1), {"v": torch.stack(states, 1)}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return (
            f"{self.n_neurons}, tau={self.tau}, v_threshold={self.v_threshold},"
            f" v_reset={self.v_reset}"
        )
