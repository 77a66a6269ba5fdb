"""ALIF, LI and the leaky readout against their equations, in NumPy and in plain torch."""

import math
import re

import numpy as np
import pytest
import torch

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import (
    ALIF,
    LI,
    LeakyReadout,
    Readout,
    Recurrent,
    load_checkpoint,
    save_checkpoint,
    spike,
)
from snn2hw.nn.surrogate import SURROGATES, fire, pseudo_derivative

N, STEPS = 6, 80
RNG = np.random.default_rng(3)
ARRAYS = {
    "alpha": RNG.uniform(0.6, 0.95, N),
    "rho": RNG.uniform(0.8, 0.99, N),
    "v_threshold": RNG.uniform(0.8, 1.4, N),
    "beta": RNG.uniform(0.1, 0.8, N),
    "input_gain": RNG.uniform(0.4, 1.2, N),
    "adaptation_gain": RNG.uniform(0.3, 1.0, N),
    "refractory": np.array([0, 1, 2, 3, 0, 5]),
}
SCALARS = {name: float(values[3]) for name, values in ARRAYS.items()}
PLAIN = {"beta": 0.0, "refractory": 0.0}


def numpy_alif(x, p, adaptive, weight=None):
    """One sample, one step and one neuron at a time, in Bellec's a. p: constants, (n,) each."""
    spikes, potentials = np.zeros_like(x), np.zeros_like(x)
    for k in range(x.shape[0]):
        v, a, z, last = np.zeros(N), np.zeros(N), np.zeros(N), np.full(N, -(10**9))
        for t in range(x.shape[1]):
            current = x[k, t] + (weight @ z if weight is not None else 0.0)
            for j in range(N):
                a[j] = p["rho"][j] * a[j] + p["adaptation_gain"][j] * z[j]
                level = p["v_threshold"][j] + p["beta"][j] * a[j]
                v[j] = p["alpha"][j] * v[j] + p["input_gain"][j] * current[j]
                if z[j]:
                    v[j] -= level if adaptive else p["v_threshold"][j]
                z[j] = float(v[j] > level and t - last[j] > p["refractory"][j])
                last[j] = t if z[j] else last[j]
            spikes[k, t], potentials[k, t] = z, v
    return spikes, potentials


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(
    "constants", [SCALARS, ARRAYS, SCALARS | PLAIN], ids=["scalars", "arrays", "plain"]
)
def test_alif_equals_numpy_spike_for_spike(constants, adaptive, recurrent):
    torch.manual_seed(4)
    neuron = ALIF(N, **constants, adaptive_reset=adaptive)
    layer = Recurrent(neuron, bias=False).double() if recurrent else neuron
    weight = 3 * layer.linear.weight.detach() if recurrent else None
    if recurrent:
        layer.linear.weight.data = weight
    x = np.random.default_rng(5).normal(0.8, 2.0, (3, STEPS, N))
    p = {name: np.broadcast_to(value, N) for name, value in constants.items()}
    wanted, v = numpy_alif(x, p, adaptive, weight.numpy() if recurrent else None)
    got, trace = layer.trace(torch.from_numpy(x))
    assert 0.03 < wanted.mean() < 0.6
    np.testing.assert_array_equal(got.detach().numpy(), wanted)
    np.testing.assert_allclose(trace["v"].detach().numpy(), v, rtol=0, atol=1e-10)
    other = ALIF(N, **constants, adaptive_reset=not adaptive)
    same = torch.equal(other(torch.from_numpy(x)), neuron(torch.from_numpy(x)))
    assert same == np.all(p["beta"] == 0)


class Given(torch.autograd.Function):
    """Heaviside with the derivative that is given."""

    @staticmethod
    def forward(ctx, u, slope):
        ctx.save_for_backward(slope)
        return torch.heaviside(u, torch.zeros((), dtype=u.dtype))

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None


def slope_of(kind, u, v_threshold):
    u = u.detach()
    if kind == "triangle":
        return 0.3 * torch.relu(1 - (u / v_threshold).abs()) / v_threshold
    if kind == "atan":
        return 1 / (1 + (math.pi * u) ** 2)
    normal = torch.distributions.Normal

    def density(mean, deviation):
        return normal(torch.tensor(mean).double(), deviation).log_prob(u).exp()

    return 0.5 * (1.15 * density(0.0, 0.5) - 0.15 * (density(0.5, 3.0) + density(-0.5, 3.0)))


def plain_gradients(x, weight, kind, adaptive, probe, through_adaptation=True):
    """Gradients of (spikes * probe).sum() by autograd of the equations as they are written."""
    p = {name: torch.from_numpy(values) for name, values in ARRAYS.items()}
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    v = a = z = torch.zeros(x.shape[0], N, dtype=x.dtype)
    past, total = [], 0.0
    for t in range(x.shape[1]):
        current = x[:, t] + z @ weight.T
        a = p["rho"] * a + p["adaptation_gain"] * (z if through_adaptation else z.detach())
        level = p["v_threshold"] + p["beta"] * a
        reset = (level if adaptive else p["v_threshold"]) * z
        v = p["alpha"] * v + p["input_gain"] * current - reset.detach()
        recent = torch.zeros_like(z)
        for age, spikes in enumerate(reversed(past), 1):
            recent = recent + spikes.detach() * (age <= p["refractory"])
        free = (recent == 0).to(z.dtype)
        z = Given.apply(v - level, slope_of(kind, v - level, p["v_threshold"])) * free
        past.append(z)
        total = total + (z * probe[:, t]).sum()
    return torch.autograd.grad(total, (x, weight))


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("kind", ["triangle", "multi_gaussian", "atan"])
def test_gradients_equal_autograd_of_the_plain_equations(kind, adaptive):
    torch.manual_seed(2)
    layer = Recurrent(
        ALIF(N, **ARRAYS, adaptive_reset=adaptive, surrogate=kind), bias=False
    ).double()
    x = torch.from_numpy(np.random.default_rng(2).normal(0.8, 2.0, (2, 40, N)))
    probe = torch.from_numpy(np.random.default_rng(3).normal(size=x.shape))
    weight = layer.linear.weight.detach()
    own = x.clone().requires_grad_()
    (layer(own) * probe).sum().backward()
    wanted = plain_gradients(x, weight, kind, adaptive, probe)
    for got, value in zip((own.grad, layer.linear.weight.grad), wanted, strict=True):
        assert value.abs().max() > 1e-3
        torch.testing.assert_close(got, value, rtol=1e-9, atol=1e-11)
    # Adaptation is a memory: without its own path the gradient is another.
    without = plain_gradients(x, weight, kind, adaptive, probe, through_adaptation=False)
    assert (without[0] - wanted[0]).abs().max() > 1e-3


def test_pseudo_derivatives_at_known_points():
    u = torch.tensor([0.0, 0.5, -0.5, 2.0, -2.0], dtype=torch.float64)
    triangle = pseudo_derivative(u, 2.0, "triangle", 0.3)
    torch.testing.assert_close(triangle, torch.tensor([0.15, 0.1125, 0.1125, 0, 0]).double())
    # N(0; 0, 0.5) = 0.797885, N(0.5; 0, 3) = 0.131147
    gauss = pseudo_derivative(u[:1], 2.0, "multi_gaussian", 0.5)
    assert float(gauss) == pytest.approx(0.5 * (1.15 * 0.797885 - 0.3 * 0.131147), rel=1e-5)
    v = u.clone().requires_grad_()
    spike(v).sum().backward()
    torch.testing.assert_close(pseudo_derivative(u, 2.0, "atan", 1.0), v.grad)
    assert fire(u, u).tolist() == [0, 1, 0, 1, 0]  # not at 0: v > A
    assert SURROGATES == {"triangle": 0.3, "multi_gaussian": 0.5, "atan": 1.0}


def test_rostami_is_what_their_code_has():
    layer = ALIF.rostami(4, refractory=1)
    assert layer.alpha == pytest.approx(0.8187307531)
    assert layer.rho == pytest.approx(0.9933555063)
    assert layer.input_gain == pytest.approx(1 - layer.alpha)
    assert layer.adaptation_gain == pytest.approx(1 - layer.rho)
    assert (layer.v_threshold, layer.beta, layer.refractory) == (1.6, 0.184, 1)
    assert (layer.adaptive_reset, layer.surrogate, layer.dampening) == (True, "multi_gaussian", 0.5)


def test_leaky_integrator_and_readout_equal_numpy():
    torch.manual_seed(1)
    kappa, gain = np.array([0.9, 0.0, 0.5]), np.array([1.0, 2.0, 0.5])
    x = torch.randn(4, 20, 3, dtype=torch.float64)
    y, wanted = np.zeros((4, 3)), np.zeros((4, 20, 3))
    for t in range(20):
        y = kappa * y + gain * x[:, t].numpy()
        wanted[:, t] = y
    np.testing.assert_allclose(LI(3, kappa, gain)(x).numpy(), wanted, atol=1e-14)
    for mode in ("mean", "last"):
        readout = LeakyReadout(3, 2, 0.8, 0.5, mode).double()
        steps = readout.per_step(x)
        scores = steps.mean(1) if mode == "mean" else steps[:, -1]
        assert torch.equal(readout(x), scores)
        torch.testing.assert_close(steps, LI(2, 0.8, 0.5)(readout.linear(x)))
    plain, leaky = Readout(3, 2).double(), LeakyReadout(3, 2, kappa=0.0).double()
    leaky.linear.load_state_dict(plain.linear.state_dict())
    torch.testing.assert_close(plain(x), leaky(x))


def test_constants_follow_the_type_of_the_input_and_are_not_rounded():
    x = torch.randn(2, 30, N, dtype=torch.float64)
    for layer in (ALIF(N, **ARRAYS), LI(N, RNG.uniform(0, 0.9, N), 0.3)):
        assert not layer.state_dict()
        assert layer(x.float()).dtype == torch.float32
        assert torch.equal(type(layer)(**layer.arguments()).float().double()(x), layer(x))


def test_checkpoint_round_trip(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, N),
        Recurrent(ALIF(N, **ARRAYS, adaptive_reset=True, surrogate="atan", dampening=0.7)),
        LI(N, 0.3, np.linspace(1, 2, N)),
        LeakyReadout(N, 3, kappa=[0.1, 0.5, 0.9], mode="last", bias=False),
    ).eval()
    save_checkpoint(tmp_path / "net.pt", model)
    loaded = load_checkpoint(tmp_path / "net.pt")
    x = 4 * torch.randn(3, 25, 4)
    assert str(loaded) == str(model)
    assert 0 < model[:2](x).mean() < 1
    assert torch.equal(loaded(x), model(x))
    loaded(x).sum().backward()
    model(x).sum().backward()
    assert torch.equal(loaded[0].weight.grad, model[0].weight.grad)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ALIF(2, alpha=1.2), "ALIF: alpha is 1.2, give between 0 and 1"),
        (lambda: ALIF(2, rho=[0.5, -0.1]), "ALIF: rho is -0.1 to 0.5, give between 0 and 1"),
        (lambda: ALIF(2, refractory=1.5), "ALIF: refractory is 1.5, give whole numbers of steps"),
        (lambda: ALIF(2, refractory=-1), "ALIF: refractory is -1.0, give whole numbers of steps"),
        (lambda: ALIF(2, adaptive_reset=1), "ALIF: adaptive_reset is 1, give True or False"),
        (lambda: ALIF(2, surrogate="box"), "ALIF: surrogate is 'box', give one of triangle, multi"),
        (lambda: ALIF(2, v_threshold=0), "v_threshold is 0.0 and the triangle is as wide as that"),
        (lambda: ALIF(2, dampening="x"), "ALIF: dampening is 'x', give a finite number"),
        (lambda: LI(2, kappa=1.0), "LI: kappa is 1.0, give from 0 to below 1"),
        (lambda: LI(2, kappa=[0.5, -0.5]), "LI: kappa is -0.5 to 0.5, give from 0 to below 1"),
        (lambda: LeakyReadout(2, 2, mode="max"), "LeakyReadout: mode is 'max', give \"mean\" or"),
        (lambda: LeakyReadout(2, 0), "LeakyReadout: out_features is 0, give a whole number"),
        (lambda: Recurrent(ALIF((2, 2))), "give LIF, CubaLIF or ALIF of one dimension"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


def test_wrong_shapes_name_the_layer():
    for layer, name in ((ALIF(3), "ALIF(3)"), (LI(3), "LI(3)"), (LeakyReadout(3, 2), "3, 2)")):
        with pytest.raises(DataError, match=re.escape(f"{name}: input has shape (1, 4, 2)")):
            layer(torch.zeros(1, 4, 2))
