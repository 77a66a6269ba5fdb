"""Neurons that hear their own spikes of the step before."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn.neuron import Neuron, States


class Recurrent(nn.Module):
    """LIF, CubaLIF or ALIF whose spikes of the step before pass a Linear back into the neurons.

    The neurons' input at step t is x_t + W s_{t-1} + b, with s_{-1} = 0. W and b are those of
    `linear`, and the gradient passes through it and through time.

    Args:
        neuron: an LIF, CubaLIF or ALIF of one dimension.
        bias: give `linear` a bias.

    Raises:
        ParameterError: another neuron, or one of several dimensions.
    """

    def __init__(self, neuron: Neuron, bias: bool = True) -> None:
        """See the class for the arguments."""
        super().__init__()
        if not isinstance(neuron, Neuron) or len(neuron.shape) > 1:
            raise ParameterError(
                f"Recurrent: neuron is {neuron!r}, give LIF, CubaLIF or ALIF of one dimension"
            )
        self.neuron = neuron
        self.linear = nn.Linear(neuron.n_neurons, neuron.n_neurons, bias)

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

    def trace(self, x: torch.Tensor) -> tuple[torch.Tensor, States]:
        """Return the spikes and the states of every step, as `Neuron.trace`; x as for `forward`."""
        return self.neuron.trace(x, self.linear)
