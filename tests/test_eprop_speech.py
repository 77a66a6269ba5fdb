"""E-prop on real speech: one pass over six speakers' clips, judged on four other speakers.

600 clips of ten digits, each heard once. Chance is 10 %; of a learner that tells no digits apart,
400 clips seldom have more than 15 % right. benchmarks/eprop_speech.py has the whole training set.
"""

import numpy as np
import pytest
import torch
from torch import nn

import snn2hw
from snn2hw.data import arabic_speech_commands as sc
from snn2hw.data import base
from snn2hw.errors import DataError
from snn2hw.nn import ALIF, GPN, LIF, LeakyReadout, Recurrent
from snn2hw.targets.spinnaker2.eprop import Learner, Rule

N = 64
DT = 0.01


@pytest.fixture(scope="module")
def clips():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    try:
        base.find_data(sc.FOLDER, sc.HOW)
    except DataError as error:
        pytest.skip(str(error))
    heard, judged = (sc.load_digits_with_deltas(split) for split in ("val", "test"))
    order = np.random.default_rng(0).permutation(len(heard))
    return heard.x[order], heard.y[order], judged


def network(kind):
    neurons = {
        "alif": lambda: Recurrent(ALIF.rostami(N), bias=False),
        "bellec": lambda: Recurrent(ALIF(N, alpha=0.8, rho=0.99, beta=0.01, input_gain=0.2)),
        "lif": lambda: Recurrent(LIF(N), bias=False),
        "gpn": lambda: GPN(N),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(80, N), neurons[kind](), LeakyReadout(N, 10, kappa=np.exp(-0.1))
        )
        for weight in model.parameters():
            if weight.ndim == 2 and kind != "gpn":
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return snn2hw.to_nir(model, (80,), dt=DT)


def accuracy(learner, x, y):
    return np.mean(learner.predict(x).argmax(1) == y)


CASES = {
    "rostami": ("alif", Rule.rostami(), 0.5),
    "rostami, s16.15": ("alif", Rule.rostami(arithmetic="s16.15"), 0.5),
    "bellec": ("bellec", Rule.bellec(learning_rate=0.01), 0.35),
    "bellec, adaptive feedback": (
        "bellec",
        Rule.bellec(learning_rate=0.01, error="sample", feedback="adaptive", feedback_decay=1e-3),
        0.35,
    ),
    "lif": ("lif", Rule.bellec(learning_rate=0.01, error="sample"), 0.45),
    "gpn": ("gpn", Rule(surrogate="atan", learning_rate=0.01, error="sample"), 0.3),
}


@pytest.mark.parametrize("case", CASES)
def test_clips_heard_once_teach_digits_of_other_speakers(clips, case):
    x, y, judged = clips
    kind, rule, least = CASES[case]
    learner = Learner(network(kind), rule, dt=DT)
    assert accuracy(learner, judged.x, judged.y) < 0.2
    learned = learner.learn(x, y)
    assert accuracy(learner, judged.x, judged.y) > least
    assert learned.loss[-200:].mean() < 0.9 * learned.loss[:200].mean()
    assert learned.correct[-200:].mean() > learned.correct[:200].mean()
    # what was learned is in the graph that goes on to other tools
    again = Learner(learner.graph(), rule, dt=DT)
    np.testing.assert_allclose(again.predict(judged.x[:20]), learner.predict(judged.x[:20]))


def test_wrong_labels_teach_nothing(clips):
    x, y, judged = clips
    learner = Learner(network("alif"), Rule.rostami(), dt=DT)
    learner.learn(x, np.random.default_rng(1).permutation(y))
    assert accuracy(learner, judged.x, judged.y) < 0.25


def test_a_speaker_heard_once_is_understood_better_than_before(clips):
    x, y, judged = clips
    learner = Learner(network("alif"), Rule.rostami(), dt=DT)
    learner.learn(x, y)
    graph, gained = learner.graph(), []
    for speaker in np.unique(judged.speaker):
        mine, odd = judged.speaker == speaker, judged.take % 2 == 1
        new = Learner(graph, Rule.rostami(learning_rate=0.002, l2=0.0), dt=DT)
        other = judged.x[mine & ~odd], judged.y[mine & ~odd]
        before = accuracy(new, *other)
        new.learn(judged.x[mine & odd], judged.y[mine & odd])
        gained.append(accuracy(new, *other) - before)
    assert np.mean(gained) > 0.05
