"""The demo's networks on the real utterances, and the checkpoints that ship with the example."""

import json
from pathlib import Path

import pytest
import torch

from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.demo_models import build_japanese_vowels, train_japanese_vowels
from snn2hw.errors import DataError, ParameterError
from snn2hw.nn import accuracy, load_checkpoint

CHECKPOINTS = Path(__file__).parent.parent / "examples" / "checkpoints"


@pytest.mark.parametrize("neuron", ["lif", "gpn"])
def test_demo_network_learns_the_speakers(neuron):
    pytest.importorskip("sktime", reason="Japanese Vowels come with the sktime package")
    model = train_japanese_vowels(neuron, seed=0, progress=False)
    test = japanese_vowels.load_spikes("test")
    assert accuracy(model, test.x, test.y) >= 0.95


def test_demo_network_depends_on_the_seed_alone():
    before = torch.random.get_rng_state()
    one, same, other = (build_japanese_vowels("gpn", seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_unknown_neuron():
    with pytest.raises(ParameterError, match='demo: neuron is \'izh\', give "lif" or "gpn"'):
        build_japanese_vowels("izh")


@pytest.mark.parametrize(("neuron", "least"), [("gpn", 0.91), ("lif", 0.0)])
def test_shipped_checkpoint_scores_what_its_record_says(neuron, least):
    path = CHECKPOINTS / f"speech_commands_{neuron}.pt"
    assert path.stat().st_size < 700_000
    record = json.loads(path.with_suffix(".json").read_text())
    model = load_checkpoint(path)
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    try:
        test = arabic_speech_commands.load_digits("test")
    except DataError as error:
        pytest.skip(str(error))
    score = accuracy(model, test.x, test.y)
    # another torch build may round one clip to the other side
    assert abs(score - record["accuracy"]["test"]) < 0.006
    assert score >= least
