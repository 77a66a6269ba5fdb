"""LIF's options, CubaLIF and Recurrent against their equations, in NumPy and in plain torch."""

import math
import re

import numpy as np
import pytest
import torch

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import GPN, LIF, CubaLIF, Recurrent

N, STEPS = 6, 100
RNG = np.random.default_rng(11)
ARRAYS = {
    "tau_syn": RNG.uniform(1, 5, N),
    "tau_mem": RNG.uniform(1.5, 9, N),
    "v_threshold": RNG.uniform(0.2, 0.6, N),
    "v_reset": RNG.uniform(-0.2, 0.1, N),
    "r": RNG.uniform(0.7, 1.6, N),
    "w_in": RNG.uniform(0.7, 1.6, N),
    "v_leak": RNG.uniform(-0.1, 0.1, N),
    "v_init": RNG.uniform(-0.1, 0.1, N),
}
SCALARS = {
    "tau_syn": 3.0,
    "tau_mem": 4.0,
    "v_threshold": 0.4,
    "v_reset": -0.1,
    "r": 1.5,
    "w_in": 1.2,
    "v_leak": 0.05,
    "v_init": 0.0,
}


def numpy_neuron(x, p, synapse, reset, weight=None, bias=0.0):
    """One sample, one step and one neuron at a time. p: constants by name, (n,) each."""
    spikes, potentials, currents = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for b in range(x.shape[0]):
        u, v, s = np.zeros(N), p["v_init"].copy(), np.zeros(N)
        for t in range(x.shape[1]):
            a = x[b, t] + (weight @ s + bias if weight is not None else 0.0)
            s = np.zeros(N)
            for i in range(N):
                if synapse:
                    u[i] += (p["w_in"][i] * a[i] - u[i]) / p["tau_syn"][i]
                drive = p["r"][i] * (u[i] if synapse else a[i])
                h = v[i] + (p["v_leak"][i] - v[i] + drive) / p["tau_mem"][i]
                v[i] = h
                if h >= p["v_threshold"][i]:
                    s[i] = 1.0
                    v[i] = p["v_reset"][i]
                    if reset == "subtract":
                        v[i] = h - p["v_threshold"][i] + p["v_reset"][i]
            spikes[b, t], potentials[b, t], currents[b, t] = s, v, u
    return spikes, potentials, currents


def layer_of(kind, reset, constants):
    given = dict(constants)
    if kind is LIF:
        given["tau"] = given.pop("tau_mem")
        del given["tau_syn"], given["w_in"]
    return kind(N, reset=reset, **given)


@pytest.mark.parametrize("kind", [LIF, CubaLIF])
@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("constants", [SCALARS, ARRAYS], ids=["scalars", "arrays"])
def test_neuron_equals_numpy_spike_for_spike(kind, reset, constants):
    x = np.random.default_rng(5).normal(0.5, 2.0, (3, STEPS, N))
    p = {name: np.broadcast_to(value, N) for name, value in constants.items()}
    wanted, v, u = numpy_neuron(x, p, kind is CubaLIF, reset)
    layer = layer_of(kind, reset, constants)
    got, trace = layer.trace(torch.from_numpy(x))
    assert 0.03 < wanted.mean() < 0.95
    np.testing.assert_array_equal(got.numpy(), wanted)
    np.testing.assert_allclose(trace["v"].numpy(), v, rtol=0, atol=1e-12)
    if kind is CubaLIF:
        np.testing.assert_allclose(trace["u"].numpy(), u, rtol=0, atol=1e-12)
    other = layer_of(kind, "value" if reset == "subtract" else "subtract", constants)
    assert not np.array_equal(other(torch.from_numpy(x)).numpy(), wanted)


@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_recurrent_equals_numpy_spike_for_spike(kind):
    torch.manual_seed(4)
    layer = Recurrent(layer_of(kind, "subtract", ARRAYS)).double()
    with torch.no_grad():
        layer.linear.weight *= 4
    weight, bias = layer.linear.weight.detach().numpy(), layer.linear.bias.detach().numpy()
    x = np.random.default_rng(6).normal(0.5, 2.0, (3, STEPS, N))
    wanted, v, _ = numpy_neuron(x, ARRAYS, kind is CubaLIF, "subtract", weight, bias)
    got, trace = layer.trace(torch.from_numpy(x))
    assert 0.03 < wanted.mean() < 0.95
    np.testing.assert_array_equal(got.detach().numpy(), wanted)
    np.testing.assert_allclose(trace["v"].detach().numpy(), v, rtol=0, atol=1e-12)
    assert not np.array_equal(layer.neuron(torch.from_numpy(x)).numpy(), wanted)


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


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_gradients_equal_autograd_of_the_plain_equations(kind, reset):
    torch.manual_seed(2)
    layer = Recurrent(layer_of(kind, reset, ARRAYS)).double()
    weight = layer.linear.weight.detach().clone().requires_grad_()
    bias = layer.linear.bias.detach().clone().requires_grad_()
    x = torch.from_numpy(np.random.default_rng(2).normal(0.5, 2.0, (2, 40, N)))
    probe = torch.from_numpy(np.random.default_rng(3).normal(size=x.shape))
    own, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    (layer(own) * probe).sum().backward()
    p = {name: torch.from_numpy(value) for name, value in ARRAYS.items()}
    u, s, total = torch.zeros(2, N), torch.zeros(2, N, dtype=x.dtype), 0.0
    v = p["v_init"].expand(2, N)
    for t in range(x.shape[1]):
        a = plain[:, t] + s @ weight.T + bias
        if kind is CubaLIF:
            u = (1 - 1 / p["tau_syn"]) * u + p["w_in"] * a / p["tau_syn"]
        drive = p["r"] * (u if kind is CubaLIF else a)
        h = (1 - 1 / p["tau_mem"]) * v + (drive + p["v_leak"]) / p["tau_mem"]
        s = PlainSurrogate.apply(h - p["v_threshold"])
        if reset == "value":
            v = (1 - s.detach()) * h + s.detach() * p["v_reset"]
        else:
            v = h - s.detach() * (p["v_threshold"] - p["v_reset"])
        total = total + (s * probe[:, t]).sum()
    total.backward()
    pairs = [(own.grad, plain.grad), (layer.linear.weight.grad, weight.grad)]
    for got, wanted in [*pairs, (layer.linear.bias.grad, bias.grad)]:
        assert wanted.abs().max() > 1e-3
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_layers_of_images_are_their_pixels_side_by_side():
    shape = (2, 3, 4)
    taus = np.linspace(1.5, 6, 2).reshape(2, 1, 1)
    x = torch.from_numpy(np.random.default_rng(0).normal(0.5, 2, (2, 30, *shape)))
    image = CubaLIF(shape, tau_mem=taus, reset="subtract")
    row = CubaLIF(24, tau_mem=np.broadcast_to(taus, shape).ravel(), reset="subtract")
    assert 0.05 < image(x).mean() < 0.95
    assert torch.equal(image(x).flatten(2), row(x.flatten(2)))
    assert image.n_neurons == 24


def test_unless_given_leak_and_start_are_the_reset_value():
    silent = torch.zeros(1, 20, 1)
    for layer in (LIF(1, v_reset=-0.3), CubaLIF(1, v_reset=-0.3)):
        _, trace = layer.trace(silent)
        assert torch.equal(trace["v"], torch.full((1, 20, 1), -0.3))
    started = LIF(1, tau=2.0, v_reset=-0.3, v_init=0.1).trace(silent)[1]["v"]
    np.testing.assert_allclose(started[0, :2, 0], [-0.1, -0.2], atol=1e-6)


def test_constants_are_no_part_of_the_state_and_follow_the_type_of_the_input():
    layer = LIF(N, tau=ARRAYS["tau_mem"])
    assert not layer.state_dict()
    x = torch.from_numpy(np.random.default_rng(5).normal(0.5, 2.0, (3, STEPS, N)))
    assert layer(x.float()).dtype == torch.float32
    # float() and back must not round the constants
    assert torch.equal(layer.float().double()(x), LIF(N, tau=ARRAYS["tau_mem"])(x))
    assert torch.equal(LIF(N, tau=layer.tau)(x), layer(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIF(2, reset="hard"), 'LIF: reset is \'hard\', give "value" or "subtract"'),
        (lambda: LIF((2, 0)), "LIF: n_neurons is 0, give a whole number of at least 1"),
        (lambda: LIF(()), "LIF: n_neurons is (), give at least one size"),
        (lambda: LIF(3, tau=[1, 2]), "LIF: tau has shape (2,), give one that broadcasts to (3,)"),
        (lambda: LIF(2, tau=[1, 0.2]), "LIF: tau is 0.2 steps, give more than 0.5 steps"),
        (lambda: LIF(2, r=[1, math.inf]), "LIF: r does not hold finite numbers only"),
        (lambda: CubaLIF(2, tau_syn=0.5), "CubaLIF: tau_syn is 0.5 steps, give more than 0.5"),
        (lambda: CubaLIF(2, tau_mem=0.1), "CubaLIF: tau_mem is 0.1 steps, give more than 0.5"),
        (lambda: Recurrent(GPN(2)), "give LIF, CubaLIF or ALIF of one dimension"),
        (lambda: Recurrent(LIF((2, 2))), "give LIF, CubaLIF or ALIF of one dimension"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


def test_wrong_shapes_name_the_layer():
    with pytest.raises(
        DataError,
        match=re.escape("LIF((2, 3)): input has shape (1, 4, 3, 2), give (batch, time, 2, 3)"),
    ):
        LIF((2, 3))(torch.zeros(1, 4, 3, 2))
    with pytest.raises(DataError, match=re.escape("CubaLIF(2): input has shape (4, 2)")):
        Recurrent(CubaLIF(2))(torch.zeros(4, 2))


def test_printed_layers_say_what_differs_from_the_defaults():
    assert str(LIF(3)) == "LIF(3, tau=5.0, v_threshold=0.5, v_reset=0.0)"
    text = str(CubaLIF((2, 3), tau_mem=[2.0, 3.0, 4.0], r=2.0, reset="subtract"))
    assert text == (
        "CubaLIF((2, 3), tau_syn=2.0, tau_mem=2 to 4, v_threshold=0.5, v_reset=0.0, r=2.0,"
        ' reset="subtract")'
    )
