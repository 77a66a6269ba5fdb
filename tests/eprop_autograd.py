"""E-prop's gradients by automatic differentiation (torch, float64): what the learner must equal.

The network is written as a plain forward pass over all steps. What e-prop leaves out of the
gradient is cut by ``detach``, and nothing else is done by hand: no eligibility trace, no learning
signal. Cut are

- the spikes that travel through the recurrent weights to other neurons (and, of GPN, the other
  neurons' v and x in the gates),
- the reset,

while every neuron's own memory, adaptation's dependence on the neuron's own spikes among it, is
kept. Random feedback puts B in the place of the readout's weights in the backward pass alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from eprop_networks import Arrays, Network
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Spike(torch.autograd.Function):
    """Forward the spike, backward the pseudo-derivative that is given with it."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, spike: Tensor, psi: Tensor) -> Tensor:
        ctx.save_for_backward(psi)
        return spike.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (psi,) = ctx.saved_tensors
        return grad * psi, None, None


class Feedback(torch.autograd.Function):
    """W z forward; to z goes back not W^T but B^T."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: Tensor, feedback: Tensor) -> Tensor:
        ctx.save_for_backward(z, feedback)
        return weight @ z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        z, feedback = ctx.saved_tensors
        return feedback.T @ grad, torch.outer(grad, z), None


def pseudo_derivative(name: str, u: Tensor, v_threshold: Tensor, dampening: float) -> Tensor:
    """Facts 1 (triangle), 2 (multi-Gaussian: standard deviations 0.5 and 3), GPN's atan."""
    u = u.detach()
    if name == "triangle":
        return dampening / v_threshold * torch.clamp(1 - (u / v_threshold).abs(), min=0)
    if name == "multi_gaussian":

        def bell(mean: float, deviation: float) -> Tensor:
            scaled = (u - mean) / deviation
            return torch.exp(-0.5 * scaled**2) / (deviation * math.sqrt(2 * math.pi))

        return dampening * (1.15 * bell(0, 0.5) - 0.15 * bell(0.5, 3) - 0.15 * bell(-0.5, 3))
    return dampening / (1 + (math.pi * u) ** 2)


@dataclass
class Reference:
    """gradients by name; loss; y (T, n_out); spikes, psi and u = v - threshold (T, n)."""

    gradients: Arrays
    loss: float
    y: np.ndarray
    spikes: np.ndarray
    psi: np.ndarray
    u: np.ndarray


@dataclass
class _Recorder:
    spikes: list[Tensor] = field(default_factory=list)
    psi: list[Tensor] = field(default_factory=list)
    u: list[Tensor] = field(default_factory=list)

    def fire(
        self, u: Tensor, v_threshold: Tensor, may: Tensor, at: bool, how: tuple[str, float]
    ) -> Tensor:
        """at: whether u = 0 fires."""
        spike = ((u >= 0 if at else u > 0) & may).to(u.dtype).detach()
        psi = pseudo_derivative(how[0], u, v_threshold, how[1]) * may
        z: Tensor = Spike.apply(u, spike, psi)
        for kept, value in ((self.spikes, z), (self.psi, psi), (self.u, u)):
            kept.append(value)
        return z


def reference(
    network: Network,
    x: np.ndarray,
    y: int | np.ndarray,
    *,
    surrogate: str = "triangle",
    dampening: float = 0.3,
    loss: str = "cross_entropy",
    error: str = "step",
    feedback: np.ndarray | None = None,
    rates: np.ndarray | None = None,
    rate_target: float = 0.0,
    rate_strength: float = 0.0,
    cut: bool = True,
) -> Reference:
    """Gradients of one sample x (T, n_in) with label or targets y (T, n_out).

    feedback: B (n_out, n), or None for symmetric feedback; rates: spikes per step, (n,), that the
    regulariser holds against rate_target (spikes per step); cut: False leaves the whole gradient
    through time.
    """
    w = {
        k: torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for k, v in network.weights.items()
    }
    p = {k: torch.tensor(v, dtype=torch.float64) for k, v in network.neuron.items()}
    xs = torch.tensor(x, dtype=torch.float64)
    bias = w.get("input_bias", torch.zeros(network.n, dtype=torch.float64))
    recorder = _Recorder()
    how = (surrogate, dampening)
    if network.kind == "gpn":
        z = gpn(w, xs, bias, recorder, how, cut)
    elif network.kind == "lif":
        z = lif(w, p, xs, bias, recorder, how, cut, network.reset)
    else:
        z = alif(w, p, xs, bias, recorder, how, cut)
    out = readout(network, w, z, feedback)
    value = loss_of(out, y, loss, error)
    total = value
    if rates is not None:
        strength = rate_strength * torch.tensor(rates - rate_target) / len(xs)
        total = total + (strength * z.sum(0)).sum()
    total.backward()
    gradients = {}
    for name, tensor in w.items():
        grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        gradients[name] = grad.numpy().copy()
    if "recurrent" in gradients:
        np.fill_diagonal(gradients["recurrent"], 0.0)
    kept = [
        torch.stack(values).detach().numpy()
        for values in (recorder.spikes, recorder.psi, recorder.u)
    ]
    return Reference(gradients, value.item(), out.detach().numpy(), *kept)


def alif(
    w: dict[str, Tensor], p: dict[str, Tensor], x: Tensor, bias: Tensor, recorder: _Recorder,
    how: tuple[str, float], cut: bool,
) -> Tensor:  # fmt: skip
    """v = alpha v + gain I - z R; a = rho a + g z; A = v_th + beta a; z = v > A unless resting."""
    v = a = z = torch.zeros_like(p["alpha"])
    since = torch.full_like(v, math.inf)  # steps since the last spike
    spikes = []
    for now in x:
        sent = z.detach() if cut else z
        current = w["input"] @ now + bias + w["recurrent"] @ sent
        a = p["rho"] * a + p["adaptation_gain"] * z
        threshold = p["v_threshold"] + p["beta"] * a
        reset = torch.where(p["adaptive_reset"] > 0, threshold, p["v_threshold"])
        v = p["alpha"] * v + p["input_gain"] * current - (z * reset).detach()
        since = since + 1
        z = recorder.fire(v - threshold, p["v_threshold"], since > p["refractory"], False, how)
        since = torch.where(z.detach() > 0, 0.0, since)
        spikes.append(z)
    return torch.stack(spikes)


def lif(
    w: dict[str, Tensor], p: dict[str, Tensor], x: Tensor, bias: Tensor, recorder: _Recorder,
    how: tuple[str, float], cut: bool, reset: str,
) -> Tensor:  # fmt: skip
    """h = v + (v_leak + r I - v) / tau; z = h > v_th; then v = v_reset, or
    h - v_th + v_reset."""
    v = z = torch.zeros_like(p["tau"])
    spikes = []
    for now in x:
        sent = z.detach() if cut else z
        current = w["input"] @ now + bias + w["recurrent"] @ sent
        h = v + (p["v_leak"] + p["r"] * current - v) / p["tau"]
        z = recorder.fire(
            h - p["v_threshold"], p["v_threshold"], torch.ones_like(h) > 0, False, how
        )
        fixed = z.detach()
        kept = torch.zeros_like(h) if reset == "value" else h - p["v_threshold"]
        v = (1 - fixed) * h + fixed * (kept + p["v_reset"])
        spikes.append(z)
    return torch.stack(spikes)


def gpn(
    w: dict[str, Tensor], x: Tensor, bias: Tensor, recorder: _Recorder,
    how: tuple[str, float], cut: bool,
) -> Tensor:  # fmt: skip
    """F, I, T = sigmoid, B = tanh of W_g [v; x] + b_g; h = F v + I x; z = h >= T;
    v = (1 - z) h + B. What neuron j takes of v_j and x_j keeps its gradient, of others not."""
    n = len(bias)
    v = torch.zeros_like(bias)
    one = torch.ones_like(v)
    spikes = []
    own = torch.eye(n, dtype=v.dtype).repeat(4, 2)  # (4n, 2n): one where a gate sees its neuron
    for now in x:
        current = w["input"] @ now + bias
        seen = torch.cat([v, current])
        gates = w["gates"] @ (seen.detach() if cut else seen) + w["gates_bias"]
        if cut:
            gates = gates + (own * w["gates"]) @ (seen - seen.detach())
        forget, take, bypass, threshold = gates.split(n)
        h = torch.sigmoid(forget) * v + torch.sigmoid(take) * current
        z = recorder.fire(h - torch.sigmoid(threshold), one, one > 0, True, how)
        v = (1 - z.detach()) * h + torch.tanh(bypass)
        spikes.append(z)
    return torch.stack(spikes)


def readout(
    network: Network, w: dict[str, Tensor], z: Tensor, feedback: np.ndarray | None
) -> Tensor:
    kappa, gain, leak = (torch.tensor(v) for v in (network.kappa, network.gain, network.leak))
    out = torch.zeros_like(kappa)
    bias = w.get("output_bias", torch.zeros_like(kappa))
    back = w["output"].detach() if feedback is None else torch.tensor(feedback)
    ys = []
    for now in z:
        current: Tensor = Feedback.apply(now, w["output"], back) + bias
        out = kappa * out + gain * current + leak
        ys.append(out)
    return torch.stack(ys)


def loss_of(out: Tensor, y: int | np.ndarray, loss: str, error: str) -> Tensor:
    """Mean over the steps of the loss of each, or (error "sample") the loss of the time mean."""
    if loss == "mean_squared_error":
        return 0.5 * ((out - torch.tensor(y)) ** 2).sum(1).mean()
    if error == "sample":
        out = out.mean(0, keepdim=True)
    return functional.cross_entropy(out, torch.full((len(out),), int(y)))
