"""`start:` of a config: a training that begins with another's weights."""

import json

import numpy as np
import pytest
import torch

import snn2hw.data
from snn2hw.cli import main
from snn2hw.data import Dataset
from snn2hw.nn import load_checkpoint

CONFIG = """\
data: {{name: blobs, train: train, classes: {classes}}}
model: {{name: {model}, width: {width}, layers: 1, dropout: 0.0}}
training: {{epochs: {epochs}, lr: {lr}, batch_size: 8}}
"""


def blobs(split: str, *, classes: int = 4) -> Dataset:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 24)
    x = rng.normal(size=(24, 5, 6)) + (y[:, None, None] == (np.arange(6) % classes))
    return Dataset("blobs/train", x.astype(np.float32), y, tuple("abcd"[:classes]), 0.01)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder with a network of four classes in it."""
    monkeypatch.setitem(snn2hw.data.DATASETS, "blobs", blobs)
    assert train(tmp_path, "four", classes=4) == 0
    return tmp_path


def train(folder, name, *more, start=None, classes=2, model="lif", width=5, epochs=3, lr=0.1):
    text = CONFIG.format(classes=classes, model=model, width=width, epochs=epochs, lr=lr)
    path = folder / f"{name}.yaml"
    path.write_text(text + (f"start: {start}\n" if start else ""))
    return main(["train", str(path), "-o", str(folder / "out"), *more])


def weights(folder, name):
    return load_checkpoint(folder / f"out/{name}.pt").state_dict()


def test_what_fits_is_taken_over_and_the_readout_is_new(trained, capsys):
    # a rate of next to nothing leaves the weights where they began
    assert train(trained, "two", start="out/four.pt", lr=1e-12) == 0
    assert train(trained, "own", lr=1e-12) == 0
    four, two, own = (weights(trained, name) for name in ("four", "two", "own"))
    close = {"rtol": 0, "atol": 1e-9}
    for name in ("0.weight", "0.bias"):
        torch.testing.assert_close(two[name], four[name], **close)
        assert not torch.allclose(two[name], own[name])
    readout = [name for name in two if two[name].shape != four[name].shape]
    assert len(readout) == 2
    for name in readout:
        torch.testing.assert_close(two[name], own[name], **close)
    said = json.loads((trained / "out/two.json").read_text())
    assert said["new"] == readout
    assert said["config"]["start"] == "out/four.pt"
    assert f"tensors that it did not have: {', '.join(readout)}" in capsys.readouterr().err


def test_resumed_it_is_kept_until_its_start_changes(trained):
    assert train(trained, "two", start="out/four.pt") == 0
    first = weights(trained, "two")
    written = (trained / "out/two.pt").stat().st_mtime_ns
    assert train(trained, "two", "--resume", start="out/four.pt") == 0
    assert (trained / "out/two.pt").stat().st_mtime_ns == written
    assert train(trained, "four", "--seed", "1", classes=4) == 0
    (trained / "out/four_seed1.pt").replace(trained / "out/four.pt")
    assert train(trained, "two", "--resume", start="out/four.pt") == 0
    second = weights(trained, "two")
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("start", "width", "says"),
    [
        ("out/five.pt", 5, "five.pt: cannot be read (No such file or directory)"),
        ("two.yaml", 5, "two.yaml: is no checkpoint that can be read without running code"),
        ("out/four.pt", 7, "four.pt: none of its 4 tensors has a name and shape of this network"),
        ("[1]", 5, "two.yaml line 4: start is [1], give a checkpoint's path"),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_a_line(trained, capsys, start, width, says):
    capsys.readouterr()
    assert train(trained, "two", start=start, width=width, model="lif") != 0
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not (trained / "out/two.pt").exists()
