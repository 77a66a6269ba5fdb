"""Whole steps of delay."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_sequence, check_shape, check_values


class Delay(nn.Module):
    """Delay every value by a whole number of time steps: y_t = x_{t-d}, and 0 before step d.

    Nothing is trained. Source: NIR's Delay, y(t) = x(t - tau).

    Args:
        n_neurons: values of one time step, a number or a shape such as (channels, rows, columns).
        steps: the delay in time steps, 0 or more: one number, or an array that broadcasts to the
            shape, such as (channels, 1, 1) for a delay a channel.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, n_neurons: int | tuple[int, ...], steps: Values) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.shape = check_shape(n_neurons, "n_neurons", "Delay")
        given = check_values(steps, self.shape, "steps", "Delay")
        whole = np.asarray(given, dtype=np.float64)
        if np.any(whole < 0) or np.any(whole != np.rint(whole)):
            raise ParameterError(f"Delay: steps is {steps!r}, give whole numbers of at least 0")
        self.steps: int | torch.Tensor = (
            given.to(torch.int64) if isinstance(given, torch.Tensor) else int(given)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x, delayed.

        Args:
            x: float (batch, time, *shape).

        Returns:
            Tensor of x's shape and dtype.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        check_sequence(x, self.shape, f"Delay{self.shape}")
        time = torch.arange(x.shape[1], device=x.device).reshape(-1, *(1 for _ in self.shape))
        steps = self.steps.to(x.device) if isinstance(self.steps, torch.Tensor) else self.steps
        source = (time - steps).expand(x.shape[1], *self.shape)
        moved = x.gather(1, source.clamp(min=0).expand(x.shape))
        return torch.where(source >= 0, moved, torch.zeros((), dtype=x.dtype, device=x.device))

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        steps = self.steps
        if isinstance(steps, torch.Tensor):
            return f"{self.shape}, steps={int(steps.min())} to {int(steps.max())}"
        return f"{self.shape}, steps={steps}"
