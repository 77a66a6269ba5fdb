"""benchmarks/speech.py on tiny networks: its figures, its page, that it goes on where it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
torch = pytest.importorskip("torch")

import speech  # noqa: E402
import speech_measure  # noqa: E402

import snn2hw  # noqa: E402
import snn2hw.data  # noqa: E402
from snn2hw.data import Dataset  # noqa: E402
from snn2hw.errors import BackendError  # noqa: E402
from snn2hw.nn import load_checkpoint  # noqa: E402

CONFIG = """\
data: {{name: blobs, train: train, validation: val, test: test}}
model: {{name: {name}, width: 8, layers: 2, dropout: 0.0}}
training: {{epochs: 12, lr: 0.05, batch_size: 8}}
"""
SIZES = {"train": 40, "val": 10, "test": 20}


def blobs(split: str) -> Dataset:
    rng = np.random.default_rng(list(SIZES).index(split))
    y = rng.integers(0, 2, SIZES[split])
    x = rng.normal(size=(len(y), 10, 6)) + 1.5 * (y[:, None, None] == (np.arange(6) % 2))
    return Dataset(f"blobs/{split}", x.astype(np.float32), y, ("a", "b"), 0.02)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The benchmark in another place: rows LIF, GPN and GRU of one task."""
    folder = tmp_path_factory.mktemp("speech")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(snn2hw.data.DATASETS, "blobs", blobs)
        for name in ("CONFIGS", "CHECKPOINTS", "DOCS", "RESULTS"):
            (folder / name).mkdir()
            patch.setattr(speech, name, folder / name)
        patch.setattr("common.RESULTS", folder / "RESULTS")
        patch.setattr(speech, "SEEDS", {("digits", "lif"): (1, 2)})
        for row in ("lif", "gpn", "gru"):
            (folder / "CONFIGS" / f"digits_{row}.yaml").write_text(CONFIG.format(name=row))
        asked: list[tuple[int, ...]] = []

        def verify(net, messages):
            asked.append(messages.shape)
            raise BackendError("there is no Lava in this test")

        patch.setattr(speech_measure.snn2hw, "verify", verify, raising=False)
        arguments = ["--tasks", "digits", "--rows", "lif", "gpn", "gru", "--verify", "3"]
        assert speech.main(arguments) == 0
        yield folder, arguments, asked


def rows(folder):
    found = json.loads((folder / "RESULTS" / "speech.json").read_text())["rows"]
    return {row["row"]: row for row in found}


def test_figures_are_those_of_the_networks(ran):
    folder, _, asked = ran
    test, found = blobs("test"), rows(folder)
    assert list(found) == ["lif", "gpn", "gru"]
    assert asked == [(3, 10, 6)] * 2
    for name in ("lif", "gpn"):
        model = load_checkpoint(folder / f"CHECKPOINTS/digits_{name}.pt")
        with torch.no_grad():
            right = model(torch.from_numpy(test.x)).argmax(1).numpy() == test.y
        assert found[name]["float"] == right.mean() > 0.7
        net = snn2hw.quantize(
            snn2hw.to_nir(model, (6,), dt=0.02), dt=0.02, calibration=blobs("train").x
        )
        run = net.run(net.encode(test.x))
        assert found[name]["fixed"] == np.mean(run.predictions == test.y)
        spikes = sum(int(run.spikes[layer].sum()) for layer, _, _ in found[name]["layers"][:2])
        assert found[name]["rate_hz"] == pytest.approx(spikes / (20 * 16 * 10 * 0.02))
        assert found[name]["active"] == pytest.approx(spikes / (20 * 16 * 10))
        assert found[name]["lava"]["why"] == "there is no Lava in this test"
    # LIF by Ponghiran and Roy's formula, written again: a spike's products and 6 a neuron
    lif = found["lif"]
    sent = [lif["active_by_layer"][layer] * 8 for layer, _, _ in lif["layers"][:2]]
    entered = np.count_nonzero(net.encode(test.x)) / (20 * 10)
    wanted = 10 * (8 * entered + 2 * 6 * 8 + 8 * sent[0] + 2 * sent[1])
    assert lif["multiplications_formula"] == pytest.approx(wanted)
    gru = 10 * (3 * 8 * 6 + 2 * (3 * 64 + 12 * 8) + 3 * 8 * 8 + 2 * 8)
    assert lif["published_ratio"] == pytest.approx(gru / wanted)
    assert found["gpn"]["multiplications_formula"] is None
    assert lif["macs"] == pytest.approx(10 * 8 * entered)  # the data alone have several bits


def test_a_network_without_spikes_is_dense(ran):
    gru = rows(ran[0])["gru"]
    macs = 10 * (3 * 8 * (6 + 8) + 3 * 8 * (8 + 8) + 2 * 8)
    assert gru["macs"] == gru["synops"] == macs
    formula = 10 * (3 * 8 * 6 + 2 * (3 * 64 + 12 * 8) + 3 * 8 * 8 + 2 * 8)
    assert gru["multiplications_formula"] == pytest.approx(formula)
    assert gru["fixed"] >= gru["float"] - 0.1
    assert {bill["circuit"] for bill in gru["energy"]} == {"dense", "sparse"}


def test_the_page_says_what_was_measured_and_what_was_not(ran):
    folder = ran[0]
    page = (folder / "DOCS" / "speech.md").read_text()
    found = rows(folder)
    for name, title in (("lif", "LIF"), ("gpn", "GPN"), ("gru", "GRU")):
        (line,) = [
            text for text in page.splitlines()
            if text.startswith(f"| {title} | 2 x 8 |")
        ]  # fmt: skip
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[6:8] == [f"{found[name]['float']:.1%}", f"{found[name]['fixed']:.1%}"]
    assert "not verified: there is no Lava in this test" in page
    assert "Not measured: digits: rlif, digits: gpn_no_f," in page
    assert "words: lif" in page
    drawing = ElementTree.parse(folder / "DOCS" / "speech_digits.svg")
    words = [text.text or "" for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    for name, title in (("lif", "LIF"), ("gpn", "GPN"), ("gru", "GRU")):
        assert f"{title} {found[name]['fixed']:.1%}" in words
    assert not (folder / "DOCS" / "speech_words.svg").exists()


def test_further_seeds_are_told_by_mean_least_and_most(ran):
    folder = ran[0]
    right = []
    for name in ("digits_lif", "digits_lif_seed1", "digits_lif_seed2"):
        model, test = load_checkpoint(folder / f"CHECKPOINTS/{name}.pt"), blobs("test")
        with torch.no_grad():
            right.append((model(torch.from_numpy(test.x)).argmax(1).numpy() == test.y).mean())
    assert len({tuple(model["0.weight"].ravel().tolist()) for model in states(folder)}) == 3
    page = (folder / "DOCS" / "speech.md").read_text()
    (line,) = [text for text in page.splitlines() if text.startswith("| LIF | 0, 1, 2 |")]
    said = f"{np.mean(right):.2%} ({min(right):.1%} to {max(right):.1%})"
    assert line.split(" | ")[4] == said
    assert list(rows(folder)) == ["lif", "gpn", "gru"]


def states(folder):
    names = ("digits_lif", "digits_lif_seed1", "digits_lif_seed2")
    return [load_checkpoint(folder / f"CHECKPOINTS/{name}.pt").state_dict() for name in names]


def test_measured_rows_are_kept_until_their_checkpoint_changes(ran, capsys):
    folder, arguments, asked = ran
    asked.clear()
    assert speech.main(arguments) == 0
    assert asked == []
    assert capsys.readouterr().out.count("measured already") == 5
    (folder / "CHECKPOINTS" / "digits_lif.pt").unlink()
    config = folder / "CONFIGS" / "digits_lif.yaml"
    config.write_text(config.read_text().replace("epochs: 12", "epochs: 3"))
    assert speech.main(arguments) == 0
    assert asked == [(3, 10, 6)]
    assert rows(folder)["lif"]["epochs"] == 3


def test_a_row_that_cannot_be_had_is_said_and_the_others_come(ran, capsys):
    arguments = [*ran[1][:3], "rlif", "lif", "--verify", "3"]
    assert speech.main(arguments) == 1
    said = capsys.readouterr()
    assert "speech: digits_rlif: error: cannot read" in said.err
    assert "digits_lif: measured already" in said.out
