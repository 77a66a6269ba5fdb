"""Rostami's variant in float32 against NumPy written from its equations, over 20 samples.

Losses, gradients and weights of every sample are compared; the first that differs is named. The
published network shape, 80-120-12, on random inputs and on speech.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from eprop_networks import DT, Arrays, Network, graph
from eprop_reference import Adam, Rostami

from snn2hw.data.arabic_speech_commands import load_digits_with_deltas
from snn2hw.errors import DataError
from snn2hw.targets.spinnaker2.eprop import Learner, Rule

N_IN, N, N_OUT, STEPS, SAMPLES = 80, 120, 12, 100, 20
BOUND = 1e-4
LEARNING_RATE, L2 = 1e-2, 1e-5
Sample = tuple[np.ndarray, int]


def weights(seed: int) -> Arrays:
    """As published: W_in and W_rec by the number of their inputs, W_out by that of neurons."""
    rng = np.random.default_rng(seed)
    drawn = {
        "input": rng.normal(0, N_IN**-0.5, (N, N_IN)),
        "recurrent": rng.normal(0, N**-0.5, (N, N)),
        "output": rng.normal(0, N**-0.5, (N_OUT, N)),
    }
    return {name: value.astype(np.float32).astype(float) for name, value in drawn.items()}


def samples(kind: str) -> list[Sample]:
    rng = np.random.default_rng(2)
    if kind == "random":
        x = rng.normal(0, 3, (SAMPLES, STEPS, N_IN)).astype(np.float32)
        return list(zip(x, rng.integers(N_OUT, size=SAMPLES).tolist(), strict=True))
    try:
        data = load_digits_with_deltas("test")
    except DataError as error:
        pytest.skip(str(error))
    chosen = rng.choice(len(data.x), SAMPLES, replace=False)
    return [(data.x[i], int(data.y[i])) for i in chosen]


def published(drawn: Arrays) -> Network:
    alpha, rho, kappa = (np.exp(-1 / tau) for tau in (5.0, 150.0, 10.0))
    constants = {
        "alpha": alpha,
        "rho": rho,
        "v_threshold": 1.6,
        "beta": 0.184,
        "input_gain": 1 - alpha,
        "adaptation_gain": 1 - rho,
        "refractory": 0.0,
        "adaptive_reset": 1.0,
    }
    neuron = {name: np.full(N, value) for name, value in constants.items()}
    out = np.full(N_OUT, kappa), np.ones(N_OUT), np.zeros(N_OUT)
    return Network("alif", drawn, neuron, *out)


def learner_of(drawn: Arrays, **changes: object) -> Learner:
    rule = Rule.rostami(learning_rate=LEARNING_RATE, l2=L2, arithmetic="float32", **changes)
    return Learner(graph(published(drawn)), rule, dt=DT)


def differences(got: Arrays, wanted: Arrays, floor: float) -> Iterator[tuple[str, float]]:
    """Array by array, its entry that differs most: relative to itself, or to ``floor`` times the
    largest entry of the array where it is below that.

    Gradients (floor 0.1): smaller entries are what is left of larger terms; there NumPy's float32
    is off its own float64 by as much. Weights (floor 1): Adam divides by |g| + epsilon, so where
    |g| is near epsilon the last bit of a sum of g moves the weight by learning_rate / epsilon, a
    thousand, times itself.
    """
    for name, value in wanted.items():
        difference = np.abs(np.asarray(got[name], dtype=float) - value)
        relative = difference / np.maximum(np.abs(value), floor * np.abs(value).max())
        at = np.unravel_index(relative.argmax(), relative.shape)
        yield f"{name}{[int(i) for i in at]}", float(relative[at])


def first_difference(learner: Learner, truth: Rostami, data: list[Sample]) -> str:
    """What differs first, or nothing."""
    for k, (x, label) in enumerate(data):
        gradients = learner.gradients(x, label)
        _, wanted, _ = truth.sample(x, label)
        for what, by in differences(gradients, wanted, 0.1):
            if not by < BOUND:
                return f"sample {k}: gradient of {what} differs by {by:.3g}"
        loss = truth.learn(x, label)
        got = float(learner.learn(x[None], np.array([label])).loss[0])
        if not abs(got - loss) < BOUND * abs(loss):
            return f"sample {k}: loss is {got}, not {loss}"
        for what, by in differences(learner.weights, truth.weights, 1.0):
            if not by < BOUND:
                return f"sample {k}: weight {what} differs by {by:.3g}"
    return ""


@pytest.mark.parametrize("kind", ["random", "speech"])
def test_float32_equals_numpy_over_20_samples(kind: str) -> None:
    drawn, data = weights(0), samples(kind)
    truth = Rostami(drawn, adam=Adam(LEARNING_RATE), l2=L2)
    assert first_difference(learner_of(drawn), truth, data) == ""
    # The comparison means something: neurons fire, and none came so near its threshold that
    # rounding decides the spike.
    assert truth.spikes > 0.01 * SAMPLES * STEPS * N
    assert truth.margin > 1e-5
    moved = np.abs(truth.weights["input"] - drawn["input"]).max()
    assert moved > 5 * LEARNING_RATE


@pytest.mark.parametrize(
    ("mutant", "wanted"),
    [
        ({"trace": "exact"}, "sample 0: gradient of input"),
        ({"beta2": 0.8}, "sample 1: gradient of|sample 1: weight|sample 1: loss"),
        ({"epsilon": 1e-3}, "sample 0: weight"),
        ({"surrogate": "atan"}, "sample 0: gradient of input"),
    ],
)
def test_mutants_differ(mutant: dict[str, object], wanted: str) -> None:
    drawn = weights(0)
    truth = Rostami(drawn, adam=Adam(LEARNING_RATE), l2=L2)
    said = first_difference(learner_of(drawn, **mutant), truth, samples("random")[:2])
    assert any(said.startswith(words) for words in wanted.split("|")), said
