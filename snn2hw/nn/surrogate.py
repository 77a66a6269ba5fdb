"""The spike function and its surrogate gradient."""

from __future__ import annotations

import math
from typing import Any

import torch

ATAN_ALPHA = 2.0


class ATan(torch.autograd.Function):
    """Heaviside step forwards, derivative of an arc tangent backwards.

    Forward: Theta(u) = 1 for u >= 0, else 0. Backward: (alpha / 2) / (1 + (pi alpha u / 2)^2) with
    alpha = 2, which is 1 / (1 + (pi u)^2). Source: the code of the GPN authors
    (github.com/hrje123/hr-GPN-SNN, core/surrogate.py), used alike in all their layers.
    """

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        """Return the spikes of u: ones and zeros of u's shape and dtype."""
        ctx.save_for_backward(u)
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        """Return the surrogate gradient with respect to u."""
        u: torch.Tensor = ctx.saved_tensors[0]
        grad = grad_outputs[0]
        scaled = (math.pi * ATAN_ALPHA / 2) * u
        return grad * ((ATAN_ALPHA / 2) / (1 + scaled * scaled))


def spike(u: torch.Tensor) -> torch.Tensor:
    """Spikes of u, the membrane potential minus the threshold, with the ATan surrogate gradient.

    Args:
        u: float tensor of any shape.

    Returns:
        Tensor of u's shape and dtype, 1 where u >= 0 and 0 elsewhere.
    """
    spikes: torch.Tensor = ATan.apply(u)  # type: ignore[no-untyped-call]
    return spikes
