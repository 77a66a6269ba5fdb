"""Recipes: schedules, clipping, what layers ask for, which epoch is kept; and augmentation."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn import LIF, Augment, Readout, Recipe, Schedule, accuracy, fit

X = np.random.default_rng(0).normal(size=(24, 5, 6)).astype(np.float32)
Y = (X.mean((1, 2)) > 0).astype(np.int64)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), LIF(8), Readout(8, 2))


def run(model=None, **how):
    plain = {"epochs": 4, "lr": 0.02, "batch_size": 8}
    data = {key: how.pop(key) for key in ("validation", "on_epoch") if key in how}
    model = network() if model is None else model
    return fit(model, (X, Y), Recipe(**{**plain, **how}), seed=1, progress=False, **data), model


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (Schedule(name="constant"), [1, 1, 1, 1]),
        # three steps an epoch; the rate after an epoch is that of the next step
        (Schedule(name="constant", warmup_epochs=2), [4 / 6, 1, 1, 1]),
        (Schedule(name="exponential", decay=0.5), [0.5, 0.25, 0.125, 0.0625]),
        (Schedule(name="exponential", decay=0.5, warmup_epochs=1), [1, 0.5, 0.25, 0.125]),
        (Schedule(name="cosine"), [(1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3, 4)]),
    ],
)
def test_schedules_follow_their_formulas(schedule, wanted):
    history, _ = run(schedule=schedule)
    assert [epoch.lr / 0.02 for epoch in history] == pytest.approx(wanted, abs=1e-12)


def test_one_cycle_rises_to_its_peak_and_falls():
    rates = [epoch.lr for epoch in run(epochs=20)[0]]
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.02, rel=0.02)
    assert 4 <= peak <= 7
    assert rates[-1] < 0.01 * max(rates)


def test_plateau_lowers_the_rate_where_validation_stands_still():
    flat = (X[:4] * 0, Y[:4])
    history, _ = run(
        epochs=6, schedule=Schedule(name="plateau", decay=0.5, patience=1), validation=flat
    )
    assert len({epoch.validation_accuracy for epoch in history}) == 1
    # the first epoch is the best, two stand still (patience 1 is over), and so on
    assert [epoch.lr / 0.02 for epoch in history] == [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("optimizer", ["adamw", "radam"])
def test_first_step_of_an_optimiser_decays_matrices_alone(optimizer):
    moved = []
    for decay in (0.0, 0.5):
        _, model = run(
            epochs=1, batch_size=24, weight_decay=decay, optimizer=optimizer,
            schedule=Schedule(name="constant"),
        )  # fmt: skip
        moved.append(model[0])
    start = network()[0].weight
    assert torch.allclose(moved[0].weight - moved[1].weight, 0.02 * 0.5 * start, atol=1e-6)
    assert torch.equal(moved[0].bias, moved[1].bias)


class Asking(nn.Module):
    """A scalar that the penalty pulls to 3 and that each step's end limits to 1."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))
        self.gradients = []
        self.value.register_hook(lambda g: self.gradients.append(float(g)))

    def forward(self, x):
        return x

    def penalty(self):
        return 0.5 * (self.value - 3).square().sum()

    def after_step(self):
        with torch.no_grad():
            self.value.clamp_(max=1.0)


def test_layers_ask_for_penalties_and_for_clamps():
    asking = Asking()
    history, _ = run(nn.Sequential(asking, *network()), epochs=40, lr=0.1, penalty=2.0)
    assert asking.gradients[0] == -6.0
    assert history[0].penalty == pytest.approx(2 * 0.5 * 9, rel=0.2)
    assert float(asking.value) == 1.0
    silent = Asking()
    run(nn.Sequential(silent, *network()), penalty=0.0)
    assert float(silent.value) == 0.0


@pytest.mark.parametrize("limit", [{"clip_norm": 1e-6}, {"clip_value": 1e-6}])
def test_clipped_gradients_reach_the_optimiser(limit, monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def spy(self, *arguments):
        seen.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    run(**limit)
    flat = torch.stack([torch.cat([g.flatten() for g in gradients]) for gradients in seen])
    size = flat.norm(dim=1) if "clip_norm" in limit else flat.abs().amax(1)
    assert 0 < float(size.max()) <= 1.001e-6


def test_label_smoothing_is_in_the_loss():
    model = nn.Sequential(Readout(6, 2))
    for p in model.parameters():
        nn.init.zeros_(p)
    model[0].linear.bias.data[0] = 2.0  # scores (2, 0) for every sample, before any step
    right, wrong = -math.log(1 / (1 + math.exp(-2))), -math.log(1 / (1 + math.exp(2)))
    zeros = float((Y == 0).mean())
    plain = zeros * right + (1 - zeros) * wrong
    history, _ = run(model, epochs=1, batch_size=24, label_smoothing=0.2)
    assert history[0].loss_nat == pytest.approx(0.8 * plain + 0.2 * (right + wrong) / 2, rel=1e-5)


def test_best_epoch_is_kept_and_training_ends_where_none_follows():
    held = (X[::2], 1 - Y[::2])  # the contrary: the more is learned, the worse
    history, model = run(epochs=30, keep="best", stop_after=6, validation=held)
    scores = [epoch.validation_accuracy for epoch in history]
    best = max(k for k, score in enumerate(scores) if score == max(scores))
    assert len(scores) == best + 1 + 6 < 30
    assert accuracy(model, *held) == max(scores) > scores[-1]
    assert not model.training


def test_what_needs_validation_data_says_so():
    for how in ({"keep": "best"}, {"stop_after": 3}, {"schedule": Schedule(name="plateau")}):
        with pytest.raises(ParameterError, match=f"training: {next(iter(how))} needs a validation"):
            run(**how)


def varied(x, seed=0, **how):
    torch.manual_seed(seed)
    return Augment(**how)(x)


def test_augment_moves_in_time_and_over_bands_repeating_edges():
    x = torch.arange(7 * 5, dtype=torch.float32).reshape(1, 7, 5).expand(200, 7, 5) / 10
    found = set()
    for clip in varied(x, shift_steps=2, shift_bands=1):
        shifts = [
            (later, higher)
            for later in range(-2, 3)
            for higher in range(-1, 2)
            if all(
                clip[t, b] == x[0, min(max(t - later, 0), 6), min(max(b - higher, 0), 4)]
                for t in range(7)
                for b in range(5)
            )
        ]
        assert len(shifts) == 1
        found.add(shifts[0])
    assert len(found) == 15


def test_augment_hides_and_makes_louder():
    x = torch.ones(300, 6, 8)
    assert torch.equal(varied(x), x)
    hidden = varied(x, hidden_bands=3) == 0
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))  # all steps of a band
    assert set(hidden[:, 0].sum(1).tolist()) == {0, 1, 2, 3}
    steps = varied(x, hidden_steps=2) == 0
    assert torch.equal(steps, steps[..., :1].expand_as(steps))
    assert set(steps[..., 0].sum(1).tolist()) == {0, 1, 2}
    louder = varied(x, loudness=0.3)
    assert torch.equal(louder, louder[:, :1, :1].expand_as(louder))
    assert float(louder[:, 0, 0].std()) == pytest.approx(0.3, rel=0.15)
    assert float(varied(x * 3.9, loudness=5.0).abs().max()) == 4.0
    assert float((varied(x, noise=0.2) - x).std()) == pytest.approx(0.2, rel=0.05)


def test_augment_leaves_differences_as_loud_as_they_were():
    x = torch.randn(50, 6, 3, 8, generator=torch.Generator().manual_seed(3)).clamp(-4, 4)
    how = {"shift_steps": 1, "shift_bands": 2, "loudness": 0.5, "hidden_bands": 4}
    together = varied(x, **how)
    assert torch.equal(varied(x[:, :, 0], **how), together[:, :, 0])
    still = {**how, "loudness": 0.0}
    assert torch.equal(varied(x[:, :, 1], **still), together[:, :, 1])


def test_augment_stretches_time_around_the_middle_and_warps_frequency_from_the_lowest():
    steps, bands = 21, 12
    ramp = torch.arange(steps, dtype=torch.float32)[None, :, None] / 10 - 1
    slow = Augment(stretch=0.5)(ramp.expand(200, steps, bands).contiguous())
    assert torch.allclose(slow[:, 10], torch.zeros(200, bands), atol=1e-6)  # the middle stays
    pace = slow[:, 11, 0] * 10  # of the ramp, at its middle
    assert pace.min() > 0.5
    assert pace.max() < 1.5
    assert pace.std() == pytest.approx(1 / 12**0.5, rel=0.15)  # uniform over a width of 1
    wanted = (ramp[:, :, 0] * pace[:, None]).clamp(-1, 1)
    assert torch.allclose(slow[:, :, 3], wanted, atol=1e-5)  # beyond the ends, the end's value
    tones = (torch.arange(bands, dtype=torch.float32) / 10).expand(200, steps, bands)
    warped = Augment(warp=0.2)(tones.contiguous())
    assert torch.equal(warped[:, :, 0], tones[:, :, 0])
    by = warped[:, 4, 5] / 0.5
    assert 0.79 < by.min() < 0.85
    assert 1.15 < by.max() < 1.21
    assert torch.allclose(warped[:, 4, 9], (0.9 * by).clamp(max=1.1), atol=1e-5)


def test_augment_tilts_the_bands_of_the_features_alone():
    x = torch.zeros(300, 4, 3, 11)
    tilted = Augment(tilt=0.3)(x)
    assert torch.equal(tilted[:, :, 1:], x[:, :, 1:])
    ends = tilted[:, 0, 0, 10]
    assert ends.std() == pytest.approx(0.3, rel=0.15)
    line = torch.linspace(-1, 1, 11) * ends[:, None]
    assert torch.allclose(tilted[:, 2, 0], line, atol=1e-6)


def test_augment_rolls_each_step_of_spikes_by_its_own_number():
    x = torch.arange(2 * 5 * 40).reshape(2, 5, 40).float()
    rolled = varied(x, roll_channels=15, limit=1e6)
    shifts = []
    for row, was in zip(rolled.reshape(10, 40), x.reshape(10, 40), strict=True):
        fits = [s for s in range(-15, 16) if torch.equal(row, torch.roll(was, s))]
        assert len(fits) == 1
        shifts += fits
    assert len(set(shifts)) > 2
    assert min(shifts) < 0 < max(shifts)
