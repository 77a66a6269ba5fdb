"""GPN and LIF against their equations, written here a second time in NumPy and in plain torch."""

import itertools
import math

import numpy as np
import pytest
import torch
from neurons_reference import numpy_gpn, numpy_lif

from snn2hw.nn import GPN, LIF, spike

ABLATIONS = ["".join(c) for k in range(5) for c in itertools.combinations("FIBT", k)]
STEPS = 100


def make_gpn(kept):
    n = 7
    rng = np.random.default_rng(len(kept) * 97 + 3)
    module = GPN(n, gates=kept).double().eval()
    rows = len(kept) * n
    weight, bias = rng.normal(0, 0.6, (rows, 2 * n)), rng.normal(0, 0.4, rows)
    if rows:
        module.load_state_dict(
            {"gates.weight": torch.from_numpy(weight), "gates.bias": torch.from_numpy(bias)}
        )
    x = rng.normal(0.4, 1.2, (3, STEPS, n))
    return module, x, weight, bias, kept


@pytest.fixture(params=ABLATIONS, ids=lambda kept: kept or "none")
def gpn(request):
    return make_gpn(request.param)


def test_gpn_equals_numpy_spike_for_spike(gpn):
    module, x, weight, bias, kept = gpn
    wanted, states = numpy_gpn(x, weight, bias, kept)
    got, trace = module.trace(torch.from_numpy(x))
    assert 0.05 < wanted.mean() < 0.95  # a silent or saturated layer would prove nothing
    np.testing.assert_array_equal(got.detach().numpy(), wanted)
    np.testing.assert_allclose(trace["v"].detach().numpy(), states, rtol=0, atol=1e-12)
    assert torch.equal(module(torch.from_numpy(x)), got)


@pytest.mark.parametrize("kept", ["FIBT", "IB", "FT"])
def test_numpy_reference_is_not_blind_to_the_gate_order(kept):
    module, x, weight, bias, _ = make_gpn(kept)
    n = x.shape[2]
    wanted, _ = numpy_gpn(x, np.roll(weight, n, 0), np.roll(bias, n), kept)
    assert not np.array_equal(module(torch.from_numpy(x)).detach().numpy(), wanted)


@pytest.mark.parametrize(("tau", "threshold", "reset"), [(5, 0.5, 0), (2, 1, 0), (7.5, 0.3, -0.2)])
def test_lif_equals_numpy_spike_for_spike(tau, threshold, reset):
    x = np.random.default_rng(5).normal(0.4, 1.5, (3, STEPS, 6))
    wanted, states = numpy_lif(x, tau, threshold, reset)
    got, trace = LIF(6, tau=tau, v_threshold=threshold, v_reset=reset).trace(torch.from_numpy(x))
    assert 0.02 < wanted.mean() < 0.95
    np.testing.assert_array_equal(got.numpy(), wanted)
    np.testing.assert_allclose(trace["v"].numpy(), states, rtol=0, atol=1e-12)


def test_neurons_fire_at_exactly_the_threshold():
    assert LIF(1, tau=1.0, v_threshold=0.5)(torch.tensor([[[0.5], [0.49]]])).tolist() == [
        [[1.0], [0.0]]
    ]
    assert GPN(1, gates="").eval()(torch.tensor([[[2.0], [1.9]]])).tolist() == [[[1.0], [0.0]]]


class PlainSurrogate(torch.autograd.Function):
    """Theta, with the derivative (alpha / 2) / (1 + (pi alpha u / 2)^2) at alpha = 2."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return torch.where(u < 0, torch.zeros_like(u), torch.ones_like(u))

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * 1.0 / (1.0 + (math.pi * u) ** 2)


def plain_gpn(x, weight, bias, kept):
    """The equations over [v; x], with the (1 - s) h form of the reset and autograd throughout."""
    n = x.shape[2]
    v = torch.zeros(x.shape[0], n, dtype=x.dtype)
    spikes = []
    for t in range(x.shape[1]):
        gate = {}
        if kept:
            a = torch.cat([v, x[:, t]], 1) @ weight.T + bias
            gate = {name: a[:, k * n : (k + 1) * n] for k, name in enumerate(kept)}
        half = torch.full_like(v, 0.5)
        forget = torch.sigmoid(gate["F"]) if "F" in kept else None
        accept = torch.sigmoid(gate["I"]) if "I" in kept else None
        if forget is None and accept is None:
            forget = accept = half
        elif forget is None:
            forget = 1 - accept
        elif accept is None:
            accept = 1 - forget
        h = forget * v + accept * x[:, t]
        s = PlainSurrogate.apply(h - (torch.sigmoid(gate["T"]) if "T" in kept else 1.0))
        v = (1 - s.detach()) * h + (torch.tanh(gate["B"]) if "B" in kept else 0.0)
        spikes.append(s)
    return torch.stack(spikes, 1)


def test_gpn_gradients_equal_autograd_of_the_plain_equations(gpn):
    module, x, weight, bias, kept = gpn
    own = torch.from_numpy(x[:, :40]).requires_grad_()
    plain = own.detach().clone().requires_grad_()
    w = torch.from_numpy(weight).requires_grad_()
    b = torch.from_numpy(bias).requires_grad_()
    probe = torch.from_numpy(np.random.default_rng(1).normal(size=own.shape))
    (module(own) * probe).sum().backward()
    (plain_gpn(plain, w, b, kept) * probe).sum().backward()
    pairs = [(own.grad, plain.grad)]
    if kept:
        pairs += [(module.gates.weight.grad, w.grad), (module.gates.bias.grad, b.grad)]
    for got, wanted in pairs:
        assert wanted.abs().max() > 1e-3
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_lif_gradient_equals_autograd_of_the_plain_equation():
    x = torch.from_numpy(np.random.default_rng(2).normal(0.4, 1.5, (2, 40, 5)))
    probe = torch.from_numpy(np.random.default_rng(3).normal(size=x.shape))
    own, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    (LIF(5, tau=3.0, v_threshold=0.4, v_reset=-0.1)(own) * probe).sum().backward()
    v, total = torch.full((2, 5), -0.1, dtype=x.dtype), 0.0
    for t in range(x.shape[1]):
        h = (1 - 1 / 3) * v + (plain[:, t] + -0.1) / 3
        s = PlainSurrogate.apply(h - 0.4)
        v = (1 - s.detach()) * h + s.detach() * -0.1
        total = total + (s * probe[:, t]).sum()
    total.backward()
    torch.testing.assert_close(own.grad, plain.grad, rtol=1e-9, atol=1e-11)


def test_surrogate_derivative():
    u = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    s = spike(u)
    s.sum().backward()
    assert s.tolist() == [0.0, 1.0, 1.0]
    wanted = [1 / (1 + math.pi**2), 1.0, 1 / (1 + math.pi**2 / 4)]
    torch.testing.assert_close(u.grad, torch.tensor(wanted, dtype=torch.float64))
