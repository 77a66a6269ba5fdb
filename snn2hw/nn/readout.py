"""The readout: class scores from the spikes of the last layer."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_sequence, check_size

READOUT_MODES = ("mean", "last")


class Readout(nn.Module):
    """A Linear at every step, then the mean over time or the last step.

    There is no leak and no spike at the output; the predicted class is the argmax of the scores.
    Source: the code of the GPN authors (github.com/hrje123/hr-GPN-SNN, core/losses.py), where
    "mean" is the loss that their results use.

    Args:
        in_features: neurons of the last spiking layer.
        out_features: classes.
        mode: "mean" or "last".

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, in_features: int, out_features: int, mode: str = "mean") -> None:
        """See the class for the arguments."""
        super().__init__()
        self.in_features = check_size(in_features, "in_features", "Readout")
        self.out_features = check_size(out_features, "out_features", "Readout")
        if mode not in READOUT_MODES:
            raise ParameterError(f'Readout: mode is {mode!r}, give "mean" or "last"')
        self.mode = mode
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores.

        Args:
            x: spikes, float (batch, time, in_features).

        Returns:
            Scores (batch, out_features) in x's dtype.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        scores = self.per_step(x)
        return scores.mean(1) if self.mode == "mean" else scores[:, -1]

    def per_step(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of every step, (batch, time, out_features); x as for `forward`."""
        check_sequence(x, self.in_features, f"Readout({self.in_features}, {self.out_features})")
        scores: torch.Tensor = self.linear(x)
        return scores

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f'{self.in_features}, {self.out_features}, mode="{self.mode}"'
