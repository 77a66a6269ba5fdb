"""Dropout whose mask stays the same over a sequence."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_real, check_sequence


class SequenceDropout(nn.Module):
    """Drop features for a whole sequence, in training only.

    In training each feature of each sample is set to 0 at every step with probability p, and the
    others are divided by 1 - p; in evaluation the input passes unchanged. Source: the code of the
    GPN authors (github.com/hrje123/hr-GPN-SNN, src/model.py).

    Args:
        p: probability of dropping a feature, 0 <= p < 1.

    Raises:
        ParameterError: p is out of its range.
    """

    def __init__(self, p: float = 0.25) -> None:
        """See the class for the argument."""
        super().__init__()
        self.p = check_real(p, "p", "SequenceDropout")
        if not 0 <= self.p < 1:
            raise ParameterError(f"SequenceDropout: p is {p!r}, give 0 or more and less than 1")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with features dropped (training) or x itself (evaluation).

        Args:
            x: float (batch, time, features) or (batch, time, channels, rows, columns), where each
                place of each channel is a feature.

        Returns:
            Tensor of x's shape and dtype.

        Raises:
            DataError: x has fewer than three dimensions or is not of a float type.
        """
        check_sequence(x, None, "SequenceDropout")
        if not self.training or self.p == 0:
            return x
        keep = torch.rand_like(x[:, :1]) >= self.p
        return x * (keep.to(x.dtype) / (1 - self.p))

    def extra_repr(self) -> str:
        """Return the argument, for printing the module."""
        return f"p={self.p}"
