"""SHD and SSC on small files in their layout."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn2hw.cli import main
from snn2hw.data import DATASETS, shd, spike_files, ssc
from snn2hw.data.files import load_data
from snn2hw.errors import DataError, FileFormatError

CLASSES, SPEAKERS, TAKES = 4, 3, 7


def write(path: Path, samples: int, classes: int = CLASSES, *, keys: bool = True, seed=0) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (samples,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (samples,), h5py.vlen_dtype(np.uint16))
        for k in range(samples):
            n = int(rng.integers(1, 40))
            times[k] = np.sort(rng.uniform(0, 1.2, n)).astype(np.float16)
            units[k] = rng.integers(0, 700, n)
        file["labels"] = (np.arange(samples) % classes).astype(np.uint16)
        file["extra/speaker"] = (np.arange(samples) // classes % SPEAKERS).astype(np.uint16)
        if keys:
            words = [f"word {k}".encode() for k in range(classes)]
            file.create_dataset("extra/keys", data=np.array(words))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """84 training and 24 test utterances instead of the published thousands."""
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    monkeypatch.setattr(shd, "COUNTS", {"shd_train.h5": 84, "shd_test.h5": 24})
    write(tmp_path / "shd" / "shd_train.h5", CLASSES * SPEAKERS * TAKES)
    write(tmp_path / "shd" / "shd_test.h5", 24, seed=1)
    return tmp_path / "shd"


def test_splits(small):
    data = {split: shd.load(split) for split in shd.SPLITS}
    # 21 of a class: 18 for training, 85 % rounded up
    assert {split: d.x.shape for split, d in data.items()} == {
        "train": (72, 20, 700),
        "val": (12, 20, 700),
        "test": (24, 20, 700),
    }
    assert np.bincount(data["val"].y).tolist() == [3] * 4
    assert data["train"].classes == ("word 0", "word 1", "word 2", "word 3")
    assert data["train"].x.dtype == np.uint8
    assert data["train"].dt_s == 0.05
    assert set(data["test"].speaker) == {"0", "1", "2"}
    rows = [row.tobytes() for d in (data["train"], data["val"]) for row in d.x]
    everything = shd.load("train", validation=0)
    assert sorted(rows) == sorted(row.tobytes() for row in everything.x)
    assert len(shd.load("val", validation=0)) == 0
    np.testing.assert_array_equal(shd.load("val").x, data["val"].x)
    assert not np.array_equal(shd.load("val", seed=1).x, data["val"].x)


def test_validation_by_speaker(small):
    val, train = (shd.load(split, validation=[1]) for split in ("val", "train"))
    assert set(val.speaker) == {"1"}
    assert set(train.speaker) == {"0", "2"}
    assert len(val) + len(train) == 84
    for wrong in ([4], [0, 1, 2], []):
        with pytest.raises(DataError, match=r"are not some of those .*\[0, 1, 2\]; give some"):
            shd.load("val", validation=wrong)
    for wrong in (None, [[1]], ["1"], "1", [True]):
        with pytest.raises(DataError, match="give a fraction from 0 to below 1 or the numbers of"):
            shd.load("val", validation=wrong)
    for wrong in (1.0, -0.1, float("nan")):
        with pytest.raises(DataError, match="give a fraction from 0 to below 1 or speakers"):
            shd.load("val", validation=wrong)


def test_values_and_what_is_lost(small):
    with h5py.File(small / "shd_test.h5") as file:
        times, units = list(file["spikes/times"]), list(file["spikes/units"])
    data = shd.load("test")
    wanted = np.zeros((24, 20, 700), int)
    for k in range(24):
        for time, unit in zip(times[k], units[k], strict=True):
            step = next((i for i in range(20) if time <= i * 0.05), None)
            if step is not None and unit > 0:
                wanted[k, step, 700 - unit] += 1
    np.testing.assert_array_equal(data.x, wanted)
    total = sum(len(t) for t in times)
    lost = total - wanted.sum()
    assert 0 < lost < total
    assert data.notes == (f"{lost} of {total} spikes fall outside the 20 steps of binning 'gpn'",)
    common = shd.load("test", "digitize")
    assert common.x.shape == (24, 100, 700)
    assert common.x.sum() == total
    assert not common.x[:, 0].any()
    assert common.notes == ()


def test_floor_counts_as_the_command_line_does(small):
    got = shd.load("test", "floor", steps=140)
    wanted, labels = load_data(small / "shd_test.h5", (700,), 0.01)
    np.testing.assert_array_equal(got.x[:, : wanted.shape[1]], wanted)
    np.testing.assert_array_equal(got.y, labels)


def test_counts_of_utterances(small, monkeypatch):
    monkeypatch.setattr(shd, "COUNTS", {"shd_train.h5": 84, "shd_test.h5": 25})
    with pytest.raises(FileFormatError, match="has 24 utterances and the published file 25"):
        shd.load("test")
    monkeypatch.setattr(shd, "OLDER", {"shd_train.h5": 0, "shd_test.h5": 24})
    assert "shd_test.h5 is the older release: 24 utterances, not 25" in shd.load("test").notes


def test_published_counts():
    # compneuro.net, and the README that comes with the data
    assert shd.COUNTS == {"shd_train.h5": 8156, "shd_test.h5": 2264}
    assert shd.OLDER == {"shd_train.h5": 8332, "shd_test.h5": 2088}
    assert ssc.COUNTS == {"ssc_train.h5": 75466, "ssc_valid.h5": 9981, "ssc_test.h5": 20382}


def test_a_network_is_trained_on_it_by_a_config(small, tmp_path, capsys):
    pytest.importorskip("torch", reason="training needs the [torch] extra")
    config = tmp_path / "shd_gpn.yaml"
    config.write_text(
        "data: {name: shd, train: train, validation: val, test: test, steps: 5}\n"
        "model: {name: gpn, width: 4, layers: 1}\n"
        "training:\n"
        "  {epochs: 1, lr: 1e-3, batch_size: 24, augment: {roll_channels: 15, limit: 255}}\n"
    )
    assert main(["train", str(config), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "shd_gpn.pt").is_file()
    # what was left out of the data is said, and kept beside the network
    (note,) = shd.load("test", steps=5).notes
    assert f"note: test: {note}\n" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "shd_gpn.json").read_text())["notes"]["test"] == [note]


def test_ssc(tmp_path, monkeypatch):
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    monkeypatch.setattr(ssc, "COUNTS", {"ssc_train.h5": 9, "ssc_valid.h5": 5, "ssc_test.h5": 5})
    write(tmp_path / "ssc" / "ssc_valid.h5", 5, 5)
    data = DATASETS["ssc"]("val")
    assert data.x.shape == (5, 60, 700)
    assert data.dt_s == 1 / 60
    with pytest.raises(DataError, match="snn2hw data ssc --part train --download"):
        ssc.load("train")
    write(tmp_path / "ssc" / "ssc_test.h5", 4, 5)
    with pytest.raises(FileFormatError, match="has 4 utterances and the published file 5"):
        ssc.load("test")


def test_files_of_ones_own(tmp_path):
    for split, samples in (("train", 8), ("test", 4)):
        write(tmp_path / f"{split}.h5", samples, seed=samples)
    with h5py.File(tmp_path / "test.h5", "r+") as file:
        file["extra/meta_info/speaker"] = [b"anna", b"bert", b"cleo"]
    data = DATASETS["spike_files"]("test", folder=str(tmp_path), steps=140, window_s=1.4)
    wanted, labels = load_data(tmp_path / "test.h5", (700,), 0.01)
    np.testing.assert_array_equal(data.x[:, : wanted.shape[1]], wanted)
    np.testing.assert_array_equal(data.y, labels)
    assert data.speaker.tolist() == ["anna"] * 4
    with pytest.raises(FileFormatError, match=r"has a spike in channel .*, channels are 0 to 63"):
        spike_files.load("test", folder=str(tmp_path), channels=64)
    unlabel(tmp_path / "test.h5")
    with pytest.raises(FileFormatError) as raised:
        spike_files.load("test", folder=str(tmp_path))
    said = f"{tmp_path / 'test.h5'}: has no labels; encode folders or a list with classes"
    assert str(raised.value) == said
    (tmp_path / "test.h5").rename(tmp_path / "train.h5")
    write(tmp_path / "test.h5", 4)
    with pytest.raises(FileFormatError, match=r"train.h5: has no labels; encode folders or a list"):
        spike_files.load("test", folder=str(tmp_path))
    write(tmp_path / "train.h5", 8)
    write(tmp_path / "test.h5", 4, 2)
    with pytest.raises(FileFormatError, match=r"its words are not those of .*train.h5"):
        spike_files.load("test", folder=str(tmp_path))


def test_counts_above_255(small):
    with h5py.File(small / "shd_test.h5", "r+") as file:
        file["spikes/times"][3] = np.full(300, 0.5, np.float16)
        file["spikes/units"][3] = np.full(300, 9, np.uint16)
    data = shd.load("test")
    assert data.x.dtype == np.uint16
    assert data.x[3, 10, 691] == 300


def test_a_file_without_words_is_numbered_and_says_so(small):
    write(small / "shd_test.h5", 24, keys=False)
    data = shd.load("test")
    assert data.classes == ("0", "1", "2", "3")
    assert data.notes[0] == "shd_test.h5 names no words: classes are called by their numbers"


def change(name, sample, value):
    def apply(path):
        with h5py.File(path, "r+") as file:
            values = file[name][sample]
            values[-1] = value
            file[name][sample] = values

    return apply


def cut(path):
    path.write_bytes(path.read_bytes()[:3000])


def shorten(path):
    with h5py.File(path, "r+") as file:
        file["spikes/units"][2] = file["spikes/units"][2][:-1]


def relabel(path):
    with h5py.File(path, "r+") as file:
        file["labels"][0] = 4


def unlabel(path):
    with h5py.File(path, "r+") as file:
        del file["labels"]


def fewer(path):
    with h5py.File(path, "r+") as file:
        labels = file["labels"][:-1]
        del file["labels"]
        file["labels"] = labels


def many_labels(path):
    with h5py.File(path, "r+") as file:
        del file["labels"], file["extra/keys"]
        file["labels"] = np.array([0] * 23 + [4_000_000_000], np.uint32)


def flat(name, value):
    def apply(path):
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = value

    return apply


def unspeak(path):
    with h5py.File(path, "r+") as file:
        del file["extra/speaker"]
        file["extra/speaker"] = [b"anna"] * 24


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "truncated, or not HDF5 in the layout of SHD"),
        (lambda path: path.write_bytes(b"<html>not found</html>"), "truncated, or not HDF5"),
        (change("spikes/units", 5, 700), "sample 5 has a spike in channel 700, channels are 0 to"),
        (change("spikes/times", 6, -0.5), "sample 6 has a spike at -0.5 s, times must be finite"),
        (change("spikes/times", 7, np.nan), "sample 7 has a spike at nan s, times must be finite"),
        (shorten, "sample 2 has"),
        (relabel, "labels run from 0 to 4 and it names 4 words, it is damaged"),
        (unspeak, "has 24 samples and speakers of shape (24,) and type object, give a whole"),
        (many_labels, "labels run from 0 to 4000000000 and it names 0 words, it is damaged"),
        (flat("spikes/times", np.zeros(24)), "not HDF5 in the layout of SHD (a sample is of shape"),
        (flat("spikes/units", np.zeros(24, int)), "SHD (a sample is of shape () and type int64"),
        (flat("spikes/times", [b"a"] * 24), "layout of SHD (a sample is of shape ()"),
        (flat("spikes/times", np.full((24, 2), b"a")), "(a sample is of shape (2,) and type |S1"),
        (flat("extra/keys", 3), "not HDF5 in the layout of SHD"),
        (flat("labels", np.uint16(1)), "has 24 samples and labels of shape ()"),
        (unlabel, "not HDF5 in the layout of SHD"),
        (fewer, "has 24 samples and labels of shape (23,)"),
    ],
)
def test_damaged_files_are_named(small, damage, message):
    damage(small / "shd_test.h5")
    with pytest.raises(FileFormatError, match=re.escape(message)) as raised:
        shd.load("test")
    assert str(small / "shd_test.h5") in str(raised.value)
    assert "\n" not in str(raised.value)
