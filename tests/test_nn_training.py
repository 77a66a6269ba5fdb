"""The training loop: it learns, it is repeatable, it refuses what cannot be trained."""

import re

import numpy as np
import pytest
import torch
from torch.nn import Linear, Sequential

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import GPN, LIF, Readout, SequenceDropout, accuracy, predict, train


def task(batch=120, steps=6):
    """Which half of the channels is busier: easy, and not to be had by a constant."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, batch)
    rate = np.where((np.arange(8) < 4) == (y[:, None] == 0), 0.7, 0.2)
    return (rng.random((batch, steps, 8)) < rate[:, None]).astype(np.uint8), y


def network(neuron):
    torch.manual_seed(1)
    return Sequential(Linear(8, 10), neuron(10), SequenceDropout(0.1), Readout(10, 2))


HOW = {"epochs": 8, "lr": 0.02, "batch_size": 16, "progress": False}


@pytest.mark.parametrize("neuron", [LIF, GPN])
def test_learns_and_repeats(neuron):
    x, y = task()
    first, again, other = network(neuron), network(neuron), network(neuron)
    losses = train(first, x, y, seed=3, **HOW)
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert accuracy(first, x, y) > 0.9
    assert not first.training
    torch.manual_seed(99)  # the outer random state must not matter, nor be touched
    before = torch.random.get_rng_state()
    assert train(again, x, y, seed=3, **HOW) == losses
    assert torch.equal(torch.random.get_rng_state(), before)
    assert train(other, x, y, seed=4, **HOW) != losses
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weight_decay_shrinks_matrices_and_spares_biases():
    x, y = np.zeros((4, 3, 8), np.uint8), np.array([0, 1, 0, 1])
    models = []
    for decay in (0.0, 1.0):
        model = network(LIF)
        # no input and no weight behind: the first layer gets no gradient, decay alone moves it
        torch.nn.init.zeros_(model[3].linear.weight)
        torch.nn.init.constant_(model[0].bias, -1.0)
        train(model, x, y, seed=0, weight_decay=decay, **HOW)
        models.append(model[0])
    plain, decayed = models
    assert torch.equal(plain.weight, network(LIF)[0].weight)
    ratio = (decayed.weight / plain.weight).detach()
    assert 0.8 < float(ratio.min()) <= float(ratio.max()) < 0.99
    assert decayed.bias.tolist() == [-1.0] * 10


def test_augment_sees_every_batch_and_feeds_the_model():
    x, y = task(batch=40)
    shapes = []

    def silence(batch):
        shapes.append(tuple(batch.shape))
        return batch * 0

    model = network(LIF)
    start = model[0].weight.detach().clone()
    train(model, x, y, seed=0, augment=silence, **HOW)
    assert shapes == [(16, 6, 8), (16, 6, 8), (8, 6, 8)] * 8
    assert torch.equal(model[0].weight, start)


def test_accuracy_and_predict_count_the_argmax():
    model = Sequential(Readout(2, 2))
    model[0].linear.weight.data = torch.eye(2)
    model[0].linear.bias.data.zero_()
    x = np.array([[[1, 0]], [[0, 1]], [[1, 0]]], np.uint8)
    assert accuracy(model, x, np.array([0, 1, 1]), batch_size=2) == pytest.approx(2 / 3)
    assert predict(model, x).tolist() == [[1, 0], [0, 1], [1, 0]]
    assert model.training  # as it was


def test_what_cannot_be_trained():
    x, y = task(batch=4)
    with pytest.raises(DataError, match=re.escape("train: x has shape (4, 6, 8) and y (3,), give")):
        train(network(LIF), x, y[:3], seed=0, **HOW)
    with pytest.raises(ParameterError, match="train: epochs is 0, give a whole number"):
        train(network(LIF), x, y, seed=0, **{**HOW, "epochs": 0})
    with pytest.raises(ParameterError, match="train: lr is 0 and weight_decay"):
        train(network(LIF), x, y, seed=0, **{**HOW, "lr": 0})
    with pytest.raises(DataError, match="train: x holds NaN or infinite values in sample 2, mend"):
        train(network(LIF), np.where(np.arange(4) < 2, 0, np.nan)[:, None, None], y, seed=0, **HOW)
    with pytest.raises(ParameterError, match=r"train: the loss is (nan|inf) in epoch \d, lower lr"):
        train(Sequential(Readout(8, 2)), x * 3e38, y, seed=0, **HOW)
    with pytest.raises(ParameterError, match="a weight is not finite after epoch 1, lower lr"):
        # by the one step after the one loss
        train(Sequential(Readout(8, 2)), x * 1e30, y, seed=0, **{**HOW, "epochs": 1, "lr": 1e30})
    with pytest.raises(
        ParameterError, match=r"train: a step is beyond float32, lower lr \(1e\+60\)"
    ):
        train(network(LIF), x, y, seed=0, **{**HOW, "lr": 1e60})
    for seed in (-1, 2**63, 1.5, True):
        with pytest.raises(
            ParameterError, match=r"train: seed is .*, give 0 or more, below 2\*\*63"
        ):
            train(network(LIF), x, y, seed=seed, **HOW)


@pytest.mark.parametrize("before", [False, True])
def test_denormals_are_zeros_while_training_alone(before):
    seen = []

    class Watch(torch.nn.Module):
        def forward(self, x):
            seen.append(tiny())
            return x

    def tiny():
        return float(torch.full((1,), 2.0**-140).mul(1.0))

    x, y = task(16)
    try:
        torch.set_flush_denormal(before)
        train(Sequential(Watch(), *network(LIF)), x, y, seed=0, **HOW)
        assert seen
        assert set(seen) == {0.0}
        assert tiny() == (0.0 if before else 2.0**-140)
    finally:
        torch.set_flush_denormal(False)
