"""``snn2hw data``: what there is, and splits as files for the other commands."""

import json

import h5py
import numpy as np
import pytest

from snn2hw.cli import data, main
from snn2hw.data import DATASETS, shd, spike_counts, ssc


@pytest.fixture
def small(tmp_path, monkeypatch):
    """An SHD of six test utterances."""
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(shd.COUNTS, "shd_test.h5", 6)
    (tmp_path / "shd").mkdir()
    with h5py.File(tmp_path / "shd" / "shd_test.h5", "w") as file:
        for name, kind in (("times", "f8"), ("units", "u2")):
            part = file.create_dataset(f"spikes/{name}", (6,), h5py.vlen_dtype(kind))
            for k in range(6):
                part[k] = [0.2 + 0.1 * k] if name == "times" else [k]
        file["labels"] = np.arange(6) % 2
        file["extra/speaker"] = np.arange(6) % 3
        file.create_dataset("extra/keys", data=np.array([b"zero", b"one"]))
    return tmp_path


def test_the_list(small, capsys):
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert set(DATASETS) - {"spike_files"} <= set(lines)
    assert lines["shd"].split()[1:3] == ["test", "170"]
    assert lines["ssc"].split()[1] == "no"
    assert main(["data", "--json"]) == 0
    facts = {fact["name"]: fact for fact in json.loads(capsys.readouterr().out)}
    assert facts["shd"]["parts"] == {"train": None, "test": str(small / "shd")}
    assert facts["google_speech_commands"]["licence"] == "CC BY 4.0"


def test_one_data_set(small, capsys):
    assert main(["data", "shd"]) == 0
    out = capsys.readouterr().out
    assert "https://zenkelab.org/datasets/shd_train.h5.zip" in out
    assert str(small / "shd") in out
    assert main(["data", "japanese_vowels"]) == 0
    assert "Load a split as real-valued frames. Nothing to download." in capsys.readouterr().out


def test_a_split_as_a_file(small, capsys):
    path = small / "test.npz"
    command = ["data", "shd", "--split", "test", "--option", "binning=floor", "--option", "steps=7"]
    assert main([*command, "-o", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["shape"] == "6x7x700"
    assert facts["classes"] == "zero, one"
    assert facts["speakers"] == 3
    assert captured.err == f"wrote {path}\n"
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["y"], [0, 1, 0, 1, 0, 1])
        # 0.2 s a step: 0.2 to 0.7 s
        places = np.argwhere(file["x"])
        assert places.tolist() == [[k, (2 + k) // 2, k] for k in range(6)]


def test_only_what_is_not_at_hand_is_downloaded(small, capsys, monkeypatch):
    got = []
    monkeypatch.setattr(data, "fetch", lambda archive, folder: got.append((archive.part, folder)))
    assert main(["data", "shd", "--download"]) == 0
    assert got == [("train", small / "shd")]
    err = capsys.readouterr().err
    assert f"shd/test: is at hand in {small / 'shd'}" in err
    assert "shd_train.h5.zip: 130 MB, CC BY 4.0, to" in err
    assert main(["data", "google_speech_commands", "--download", "--part", "v2_test"]) == 0
    assert got[1:] == [("v2_test", small / "google_speech_commands")]


ARABIC = ["arabic_speech_commands", "--split", "val", "--option"]
OWN = ["spike_files", "--split", "shd_test", "--option", "folder=shd", "--option"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--download"], "give the name of a data set"),
        (["shd", "-o", "x.npz"], "-o and --option are for a split, give --split"),
        (["shd", "--part", "valid"], "there is no part 'valid', give one of train, test"),
        (["japanese_vowels", "--download"], "has nothing to download"),
        (["shd", "--split", "test", "--option", "steps"], "--option steps: give KEY=VALUE"),
        (["shd", "--split", "test", "--option", "steps=["], "the value is not YAML"),
        (["shd", "--split", "test", "--option", "steps=many"], "steps is 'many', give"),
        (["shd", "--split", "test", "--option", "words=all"], "there is no 'words', give one of"),
        (["shd", "--split", "dev"], "there is no split 'dev', give one of \"train\""),
        (["shd", "--split", "test", "-o", "x.npy"], "is written as .npz, name it so"),
        (["shd", "--split", "test", "--option", "steps=0"], "steps is 0, give a whole number from"),
        (["ssc", "--split", "test", "--option", "steps=0"], "steps is 0, give a whole number from"),
        (["shd", "--split", "test", "--option", "seed=-1"], "seed is -1, give 0 or more, below"),
        (["shd", "--split", "test", "--option", f"seed={2**63}"], "give 0 or more, below 2**63"),
        (
            ["shd", "--split", "val", "--option", "validation=null"],
            "validation is None, give a number or a list",
        ),
        (
            ["shd", "--split", "val", "--option", "validation=[[3]]"],
            "give a number or a whole number for each",
        ),
        (["google_speech_commands", "--split", "val", "--option", "seed=-1"], "seed is -1, give"),
        ([*ARABIC, "words=no"], "words is False, give a text (in quotes: YAML"),
        ([*ARABIC, "words=5"], "words is 5, give a text or a list\n"),
        ([*ARABIC, "words=null"], "words is None, give a text or"),
        ([*ARABIC, "words=[no, yes]"], "words is [False, True], give a text or a text (in quotes"),
        ([*ARABIC, "dt_s=1e"], "dt_s is '1e', give a number"),
        ([*OWN, "channels=-8"], "channels is -8, give 1 to 1048576"),
        ([*OWN, "channels=1000000000000"], "channels is 1000000000000, give 1 to 1048576"),
        (["shd", "--split", "train"], "snn2hw data shd --part train --download"),
    ],
)
def test_bad_commands(small, capsys, monkeypatch, arguments, message):
    monkeypatch.setitem(ssc.COUNTS, "ssc_test.h5", 6)
    (small / "ssc").mkdir()
    (small / "ssc" / "ssc_test.h5").symlink_to(small / "shd" / "shd_test.h5")
    assert main(["data", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_options_are_read_as_configs_are(small, capsys):
    command = ["data", "shd", "--split", "test", "--option", "binning=floor", "--json"]
    assert main([*command, "--option", "steps=50", "--option", "window_s=5e-1"]) == 0
    assert json.loads(capsys.readouterr().out)["step_s"] == 0.01


def test_more_than_the_memory_holds_is_one_line(small, capsys, monkeypatch):
    class Full:
        """NumPy on a machine without room."""

        def __getattr__(self, name):
            return getattr(np, name)

        def zeros(self, *_, **__):
            raise MemoryError

    monkeypatch.setattr(spike_counts, "np", Full())
    assert main(["data", "shd", "--split", "test", "--option", "steps=9999"]) == 2
    said = capsys.readouterr().err
    assert "shd/test: 6 samples of 9999 steps and 700 channels do not fit the memory" in said
    assert said.count("\n") == 1
