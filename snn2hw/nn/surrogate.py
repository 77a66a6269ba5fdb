"""The spike functions and their surrogate gradients."""

from __future__ import annotations

import math
from typing import Any

import torch

ATAN_ALPHA = 2.0

SURROGATES = {"triangle": 0.3, "multi_gaussian": 0.5, "atan": 1.0}
"""Shapes that `pseudo_derivative` knows, and the dampening that each is used with."""


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


class Fire(torch.autograd.Function):
    """Heaviside step forwards, 1 for u > 0; backwards what it is given as its derivative."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """Return the spikes of u: ones and zeros of u's shape and dtype."""
        ctx.save_for_backward(slope)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the surrogate gradient with respect to u."""
        slope: torch.Tensor = ctx.saved_tensors[0]
        return grad_outputs[0] * slope, None


def fire(u: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Spikes of u with a surrogate gradient that the caller computed.

    Args:
        u: float tensor of any shape, the membrane potential minus the threshold.
        slope: what stands for the derivative of a spike, of u's shape; no gradient passes it.

    Returns:
        Tensor of u's shape and dtype, 1 where u > 0 and 0 elsewhere.
    """
    spikes: torch.Tensor = Fire.apply(u, slope)  # type: ignore[no-untyped-call]
    return spikes


def pseudo_derivative(
    u: torch.Tensor, v_threshold: float | torch.Tensor, kind: str, dampening: float
) -> torch.Tensor:
    """The pseudo-derivatives of e-prop, in the units of 1 / u.

    "triangle": dampening / v_threshold max(0, 1 - |u / v_threshold|), Bellec et al. 2020;
    "multi_gaussian": dampening (1.15 N(u; 0, 0.5) - 0.15 N(u; 0.5, 3) - 0.15 N(u; -0.5, 3)) with
    N(u; mean, deviation), Rostami et al. 2022; "atan": dampening / (1 + (pi u)^2), as `spike`.

    Args:
        u: the membrane potential minus the threshold of the moment.
        v_threshold: the threshold without adaptation, above 0; broadcasts to u.
        kind: one of `SURROGATES`, which has the dampening that each is used with.
        dampening: factor.

    Returns:
        Tensor of u's shape, without gradient.
    """
    u = u.detach()
    if kind == "triangle":
        return dampening / v_threshold * torch.clamp(1 - torch.abs(u / v_threshold), min=0)
    if kind == "multi_gaussian":
        sides = _gaussian(u, 0.5, 3.0) + _gaussian(u, -0.5, 3.0)
        return dampening * (1.15 * _gaussian(u, 0.0, 0.5) - 0.15 * sides)
    return dampening / (1 + (math.pi * u) ** 2)


def _gaussian(u: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
    scaled = (u - mean) / deviation
    return torch.exp(-0.5 * scaled * scaled) / (deviation * math.sqrt(2 * math.pi))
