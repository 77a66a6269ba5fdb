"""Noise, dropout, readout, argument and shape errors of the trainable layers."""

import re

import numpy as np
import pytest
import torch

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import GPN, LIF, Readout, SequenceDropout


def test_reset_noise_acts_in_training_only():
    torch.manual_seed(0)
    layer = GPN(400, gates="", v_reset_std=0.05)
    x = torch.zeros(50, 2, 400)
    x[:, 0] = 10.0  # everyone fires, so that v after the step is v_reset
    _, trace = layer.trace(x)
    noise = trace["v"][:, 0]
    assert 0.049 < noise.std() < 0.051
    assert abs(noise.mean()) < 0.002
    # the same value is the state before the first step: with x = 0, half of it is left
    torch.manual_seed(7)
    started = layer.trace(torch.zeros(1, 1, 400))[1]["v"][:, 0] * 2
    torch.manual_seed(7)
    fired = layer.trace(torch.full((1, 1, 400), 10.0))[1]["v"][:, 0]
    torch.testing.assert_close(started, fired)
    layer.eval()
    assert torch.equal(layer.trace(x)[1]["v"][:, 0], torch.zeros(50, 400))
    quiet = GPN(400, v_reset_std=0.0)
    assert torch.equal(quiet(x), quiet(x))


def test_reset_value_stays_the_same_over_the_sequence():
    torch.manual_seed(0)
    states = GPN(30, gates="").trace(torch.full((4, 6, 30), 10.0))[1]["v"]
    assert torch.equal(states, states[:, :1].expand_as(states))


def test_dropout_mask_is_constant_over_time_and_scaled():
    torch.manual_seed(0)
    x = torch.ones(40, 9, 50, dtype=torch.float64)
    y = SequenceDropout(0.25)(x)
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.unique().tolist()) == {0.0, 1 / 0.75}
    assert 0.21 < float((y == 0).float().mean()) < 0.29
    assert not torch.equal(y[0], y[1])
    assert torch.equal(SequenceDropout(0.25).eval()(x), x)


@pytest.mark.parametrize("mode", ["mean", "last"])
def test_readout(mode):
    layer = Readout(3, 2, mode=mode).double()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 5, 3)))
    weight, bias = layer.linear.weight.detach().numpy(), layer.linear.bias.detach().numpy()
    scores = np.einsum("bti,oi->bto", x.numpy(), weight) + bias
    wanted = scores.mean(1) if mode == "mean" else scores[:, 4]
    np.testing.assert_allclose(layer(x).detach().numpy(), wanted, atol=1e-12)
    np.testing.assert_allclose(layer.per_step(x).detach().numpy(), scores, atol=1e-12)


def test_gate_layer_has_the_authors_layout():
    shapes = {name: tuple(p.shape) for name, p in GPN(6).state_dict().items()}
    assert shapes == {"gates.weight": (24, 12), "gates.bias": (24,)}
    assert tuple(GPN(6, gates="TF").gates.weight.shape) == (12, 12)
    assert GPN(6, gates="TF").gate_names == "FT"
    assert GPN(6, gates="").gates is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIF(0), "LIF: n_neurons is 0, give a whole number of at least 1"),
        (lambda: LIF(2.5), "LIF: n_neurons is 2.5, give a whole number of at least 1"),
        (lambda: LIF(2, tau=0.5), "LIF: tau is 0.5 steps, give more than 0.5 steps"),
        (lambda: LIF(2, tau=float("nan")), "LIF: tau is nan, give a finite number"),
        (lambda: LIF(2, v_threshold="1"), "LIF: v_threshold is '1', give a finite number"),
        (lambda: GPN(True), "GPN: n_neurons is True, give a whole number of at least 1"),
        (lambda: GPN(2, gates="FX"), "GPN: gates is 'FX', give each letter of \"FIBT\" at most"),
        (lambda: GPN(2, gates="FF"), "GPN: gates is 'FF', give each letter of \"FIBT\" at most"),
        (lambda: GPN(2, v_reset_std=-1), "GPN: v_reset_std is -1, give 0 or more"),
        (lambda: SequenceDropout(1.0), "SequenceDropout: p is 1.0, give 0 or more and less than 1"),
        (lambda: Readout(2, 0), "Readout: out_features is 0, give a whole number of at least 1"),
        (lambda: Readout(2, 2, mode="max"), 'Readout: mode is \'max\', give "mean" or "last"'),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (LIF(4), (2, 5, 3), "LIF(4): input has shape (2, 5, 3), give (batch, time, 4)"),
        (GPN(4), (5, 4), "GPN(4): input has shape (5, 4), give (batch, time, 4)"),
        (GPN(4), (2, 0, 4), "GPN(4): input has shape (2, 0, 4), give (batch, time, 4)"),
        (Readout(4, 3), (2, 5, 6), "Readout(4, 3): input has shape (2, 5, 6)"),
        (SequenceDropout(), (2, 5), "SequenceDropout: input has shape (2, 5), give (batch, time,"),
    ],
)
def test_wrong_shapes_name_the_module(layer, shape, message):
    with pytest.raises(DataError, match=re.escape(message)):
        layer(torch.zeros(shape))


def test_integer_input_is_refused():
    with pytest.raises(DataError, match=re.escape("LIF(4): input has type torch.int64")):
        LIF(4)(torch.zeros(1, 2, 4, dtype=torch.int64))
