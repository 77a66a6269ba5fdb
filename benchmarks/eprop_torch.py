"""The network of Rostami et al. 2022 by PyTorch's autograd through time, batch 1, Adam, float32.

What ``eprop_speed`` compares e-prop with: the same forward pass and surrogate, but the whole
gradient through time, so every step's values are kept until the sample ends. Eager mode; the
inputs' product is taken for all steps at once, and Adam is PyTorch's fused one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BETA, V_THRESHOLD, EPSILON = 0.184, 1.6, 1e-5
ROOT = math.sqrt(2 * math.pi)


class Spike(torch.autograd.Function):
    """Step forward, multi-Gaussian backward."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        psi = 1.15 / (0.5 * ROOT) * torch.exp(-2 * u**2)
        for mean in (0.5, -0.5):
            psi = psi - 0.15 / (3 * ROOT) * torch.exp(-((u - mean) ** 2) / 18)
        return grad * (0.5 * psi)


class Network:
    """weights: input (n, n_in), recurrent (n, n), output (n_out, n)."""

    def __init__(
        self,
        weights: dict[str, np.ndarray],
        decays: tuple[float, float, float],
        lr: float,
        l2: float,
    ) -> None:
        self.alpha, self.rho, self.kappa = decays
        self.w_in, self.w_rec, self.w_out = (
            torch.tensor(weights[name], dtype=torch.float32, requires_grad=True)
            for name in ("input", "recurrent", "output")
        )
        self.adam = torch.optim.Adam(
            [self.w_in, self.w_rec, self.w_out], lr=lr, eps=EPSILON, weight_decay=l2, fused=True
        )

    def learn(self, x: np.ndarray, label: int) -> float:
        """One sample, x (T, n_in) float32: forwards, backwards, Adam. Returns the loss."""
        alpha, rho, kappa = self.alpha, self.rho, self.kappa
        currents = torch.from_numpy(x) @ self.w_in.T
        v = a = z = z_bar = total = torch.zeros(len(self.w_rec))
        for current in currents:
            a = rho * a + (1 - rho) * z
            threshold = V_THRESHOLD + BETA * a
            v = alpha * v + (1 - alpha) * (current + self.w_rec @ z) - (z * threshold).detach()
            z = Spike.apply(v - threshold)
            z_bar = kappa * z_bar + z
            total = total + z_bar
        y = self.w_out @ (total / len(x))
        loss = functional.cross_entropy(y[None], torch.tensor([label]))
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return float(loss.detach())
