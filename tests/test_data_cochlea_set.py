"""Sets of sounds to files of spikes: layout, resuming, and sounds that are not as they should."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from snn2hw.cli import main
from snn2hw.data import DATASETS, spike_files
from snn2hw.data.cochlea import CochleaEncoder
from snn2hw.data.cochlea.dataset import encode_set
from snn2hw.data.cochlea.sounds import find_sounds, read_samples
from snn2hw.data.files import load_data
from snn2hw.errors import DataError, FileFormatError

CHANNELS = 40


def noise(seed, seconds=0.06, rate_hz=16000, channels=1):
    rng = np.random.default_rng(seed)
    return 0.1 * rng.normal(size=(round(seconds * rate_hz), channels))


@pytest.fixture
def words(tmp_path):
    """Three words by two speakers, of different rates and lengths, in folders."""
    folder = tmp_path / "words"
    for k, word in enumerate(("up", "down", "left")):
        (folder / word).mkdir(parents=True)
        for speaker in ("ann", "bob"):
            rate_hz = 8000 if word == "left" else 16000
            path = folder / word / f"{speaker}_nohash_0.wav"
            soundfile.write(path, noise(k, 0.05 + 0.02 * k, rate_hz), rate_hz, subtype="FLOAT")
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hum.wav", noise(9), 16000)
    return folder


def rows(path):
    with h5py.File(path) as file:
        return [
            (name, times.tolist(), units.tolist())
            for name, times, units in zip(
                file["extra/files"].asstr()[()],
                file["spikes/times"],
                file["spikes/units"],
                strict=True,
            )
        ]


def encode(folder, output, **kwargs):
    encoder = CochleaEncoder(CHANNELS, seed=kwargs.pop("seed", 0))
    return encode_set(find_sounds([folder]), output, encoder, **kwargs)


def test_the_file_has_the_layout_of_shd_and_our_reader_takes_it(words, tmp_path):
    path = tmp_path / "spikes.h5"
    summary = encode(words, path)
    assert (summary.sounds, summary.words) == (6, ("down", "left", "up"))
    assert summary.rates_hz == {8000.0: 2, 16000.0: 4}
    assert summary.inner_hz == {16000.0: 6}
    with h5py.File(path) as file:
        assert file["labels"][()].tolist() == [0, 0, 1, 1, 2, 2]
        assert file["extra/keys"].asstr()[()].tolist() == ["down", "left", "up"]
        assert file["extra/speaker"][()].tolist() == [0, 1] * 3
        assert file["extra/meta_info/speaker"].asstr()[()].tolist() == ["ann", "bob"]
        assert dict(file.attrs)["seed"] == 0
    encoder = CochleaEncoder(CHANNELS)
    x, y = load_data(path, (CHANNELS,), 0.01)
    assert y.tolist() == [0, 0, 1, 1, 2, 2]
    for k, (name, times, units) in enumerate(rows(path)):
        spikes = encoder.encode(*read_samples(words / name), stream=name)
        assert times == spikes.times.astype(np.float32).tolist()
        assert units == spikes.units.tolist()
        assert np.array_equal(x[k], spikes.counts(x.shape[1], 0.01))
    assert x.sum() == summary.spikes > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spikes.h5", "words"]


def test_the_file_is_a_data_set_for_training(words, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    summary = encode(words, tmp_path / "own" / "train.h5")
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    data = DATASETS["spike_files"](
        "train", folder="own", channels=CHANNELS, steps=10, window_s=0.08
    )
    counted, y = load_data(tmp_path / "own" / "train.h5", (CHANNELS,), 0.008)
    assert data.x.shape == (6, 10, CHANNELS)
    assert data.dt_s == pytest.approx(0.008)
    assert np.array_equal(data.x, counted[:, :10])
    assert data.y.tolist() == y.tolist()
    assert data.classes == ("down", "left", "up")
    lost = summary.spikes - int(data.x.sum())
    assert lost > 0
    assert data.notes == (
        f"{lost} of {summary.spikes} spikes fall outside the 10 steps of binning 'floor'",
    )
    here = spike_files.load(
        "train", folder=str(tmp_path / "own"), channels=CHANNELS, steps=10, window_s=0.08
    )
    assert np.array_equal(here.x, data.x)
    with pytest.raises(DataError, match=r"looked for own.gone.h5 and .*'snn2hw encode"):
        spike_files.load("gone", folder="own")


def test_threads_order_and_other_files_change_nothing(words, tmp_path):
    one, two, less = tmp_path / "one.h5", tmp_path / "two.h5", tmp_path / "less.h5"
    encode(words, one, jobs=1)
    encode(words, two, jobs=3)
    assert rows(one) == rows(two)
    (words / "down" / "ann_nohash_0.wav").unlink()
    encode(words, less)
    assert rows(less) == rows(one)[1:]
    encode(words, two, seed=1)
    assert rows(two) != rows(less)


def test_killed_work_goes_on_and_ends_as_if_it_had_not_been(words, tmp_path):
    whole, path = tmp_path / "whole.h5", tmp_path / "spikes.h5"
    encode(words, whole)

    class KilledError(BaseException):
        pass

    def kill(done, total):
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        encode(words, path, progress=kill)
    assert not path.exists()
    summary = encode(words, path)
    assert 3 <= summary.resumed < 6
    assert rows(path) == rows(whole)


def test_parts_of_other_settings_or_of_changed_sounds_are_not_used(words, tmp_path):
    path = tmp_path / "spikes.h5"
    bad = words / "up" / "bob_nohash_0.wav"
    good = bad.read_bytes()

    def fail(seed):
        bad.write_bytes(good[:-100])
        with pytest.raises(FileFormatError, match=r"bob_nohash_0.wav: is shorter than its head"):
            encode(words, path, seed=seed)
        bad.write_bytes(good)

    fail(seed=4)
    with pytest.raises(
        DataError, match=r"\(seed was 4 and is 5\); .* give --restart to begin anew"
    ):
        encode(words, path, seed=5)
    assert encode(words, path, seed=5, restart=True).resumed == 0
    fail(seed=5)
    soundfile.write(words / "up" / "ann_nohash_0.wav", noise(33), 16000, subtype="FLOAT")
    # both of "left", which come first, and perhaps some after the one that failed
    assert 2 <= encode(words, path, seed=5).resumed <= 4
    assert encode(words, tmp_path / "anew.h5", seed=5).resumed == 0
    assert rows(path) == rows(tmp_path / "anew.h5")


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "ogg"])
def test_a_sound_that_breaks_off_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"half.{suffix}"
    soundfile.write(path, noise(0, 2.0), 16000)
    assert len(read_samples(path)[0]) == 32000
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FileFormatError, match=rf"half.{suffix}: (is shorter|cannot be read)"):
        read_samples(path)


def test_names_and_lists_say_words_and_speakers(words, tmp_path):
    flat = tmp_path / "recordings"
    flat.mkdir()
    for name in ("7_theo_1", "3_ann_0", "7_ann_12"):
        soundfile.write(flat / f"{name}.flac", noise(1), 8000)
    found = [(s.name, s.word, s.speaker) for s in find_sounds([flat])]
    assert found == [
        ("3_ann_0.flac", "3", "ann"),
        ("7_ann_12.flac", "7", "ann"),
        ("7_theo_1.flac", "7", "theo"),
    ]
    table = tmp_path / "val.csv"
    table.write_text("file,class\nrecordings/7_theo_1.wav,seven\nwords/up/ann_nohash_0.wav,up\n")
    listed = find_sounds([table])
    assert [(s.word, s.path.suffix) for s in listed] == [("seven", ".flac"), ("up", ".wav")]
    assert [s.word for s in find_sounds([table], ["up"])] == ["up"]
    one = find_sounds([flat / "7_theo_1.flac"])
    assert [(s.word, s.speaker) for s in one] == [(None, None)]
    (flat / "hum.flac").write_bytes((flat / "7_theo_1.flac").read_bytes())
    assert {s.word for s in find_sounds([flat])} == {None}


def layout(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, noise(1), 16000)
    return folder


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["00000001_NO_01", "00000002_NO_10"], [("zero", "00000001"), ("zero", "00000002")]),
        (["0a7c2a8d_nohash_0", "b1_nohash_3"], [("zero", "0a7c2a8d"), ("zero", "b1")]),
        (["7_theo_1", "7_ann_0"], [("7", "ann"), ("7", "theo")]),
        (["7_theo_x", "7_ann_0"], [(None, "ann"), (None, "7")]),
        (["7_theo_1_2"], [(None, "7")]),
        (["7_theo_1", "0_NO_1"], [(None, "0"), (None, "theo")]),
        (["ann_1", "hum"], [(None, "ann"), (None, None)]),
    ],
)
def test_a_single_folder_says_words_only_where_its_names_do(tmp_path, monkeypatch, names, wanted):
    folder = layout(tmp_path / "zero", *(f"{name}.wav" for name in names))
    assert [(s.word, s.speaker) for s in find_sounds([folder])] == wanted
    monkeypatch.chdir(folder)
    assert [(s.word, s.speaker) for s in find_sounds([Path()])] == wanted


def test_folders_of_words_and_lists_keep_the_same_rule_for_speakers(tmp_path):
    folder = layout(tmp_path / "sets", "7/7_theo_1.wav", "7/ann_2_0.wav", "zero/0_NO_1.wav")
    assert [(s.word, s.speaker) for s in find_sounds([folder])] == [
        ("7", "theo"),
        ("7", "ann"),
        ("zero", "0"),
    ]
    table = folder / "list.csv"
    table.write_text("file,class\n7/7_theo_1.wav,seven\nzero/0_NO_1.wav,null\n7/ann_2.wav,seven\n")
    layout(folder, "7/ann_2.wav")
    found = [(s.word, s.speaker) for s in find_sounds([table])]
    assert found == [("seven", "theo"), ("seven", "ann"), ("null", "0")]


def test_what_is_no_word_is_refused(words, tmp_path):
    stray = layout(words, "readme_sample.wav") / "readme_sample.wav"
    with pytest.raises(DataError, match=r"readme_sample.wav: lies beside folders of words and has"):
        find_sounds([words])
    stray.unlink()
    for empty in ("", " "):
        table = tmp_path / "list.csv"
        table.write_text(f"file,class\nwords/up/ann_nohash_0.wav,{empty}\n")
        with pytest.raises(FileFormatError, match=r"list.csv: line 2: the class of words/up/ann_"):
            find_sounds([table])
    table.write_text("file\nwords/up/ann_nohash_0.wav\n")
    assert [s.word for s in find_sounds([table])] == [None]
    with pytest.raises(DataError, match="the word 'up' is there twice; give each once"):
        find_sounds([words], ["up", "down", "up"])
    with pytest.raises(DataError, match="the word 'up' is there twice"):
        encode(words, tmp_path / "x.h5", words=["down", "left", "up", "up"])
    with pytest.raises(DataError, match="one of the words is empty"):
        find_sounds([words], ["up", ""])
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / os.fsdecode(b"a_\xff_0.wav")).touch()
    with pytest.raises(DataError, match=r"a_\\xff_0.wav: its name is not UTF-8; rename it"):
        find_sounds([tmp_path / "odd"])


def test_how_a_path_is_typed_changes_nothing(words, tmp_path, monkeypatch):
    sound = words / "up" / "ann_nohash_0.wav"
    monkeypatch.chdir(sound.parent)
    typed = (sound, Path("ann_nohash_0.wav"), Path("../up/ann_nohash_0.wav"))
    for k, path in enumerate(typed):
        encode(path, tmp_path / f"{k}.h5")
    assert rows(tmp_path / "0.h5") == rows(tmp_path / "1.h5") == rows(tmp_path / "2.h5")
    assert rows(tmp_path / "0.h5")[0][0] == "ann_nohash_0.wav"


def test_an_output_that_is_read_is_refused(words, tmp_path, capsys, monkeypatch):
    sound = words / "up" / "ann_nohash_0.wav"
    before = sound.read_bytes()
    table = tmp_path / "list.csv"
    table.write_text("file,class\nwords/up/ann_nohash_0.wav,up\n")
    monkeypatch.chdir(sound.parent)
    for source, output in ((sound, sound.name), (words, sound), (table, sound), (table, table)):
        assert main(["encode", str(source), "-o", str(output)]) == 2
        said = capsys.readouterr().err
        assert said == f"snn2hw encode: error: {output} is also read; name another output\n"
    assert sound.read_bytes() == before
    assert table.read_text().startswith("file")


def test_parts_whose_settings_cannot_be_read_are_kept(words, tmp_path):
    folder = tmp_path / ".spikes.h5.parts"
    folder.mkdir()
    (folder / "0.npz").touch()
    for note in (None, "{", "[]", '{"version": 1}'):
        if note:
            (folder / "settings.json").write_text(note)
        with pytest.raises(DataError, match="whose settings cannot be read, give --restart"):
            encode(words, tmp_path / "spikes.h5")
    assert (folder / "0.npz").exists()
    assert encode(words, tmp_path / "spikes.h5", restart=True).sounds == 6


def test_stereo_silence_and_other_rates_are_said(tmp_path, capsys):
    folder = tmp_path / "odd"
    folder.mkdir()
    soundfile.write(folder / "a_x_0.wav", noise(0, channels=2), 44100, subtype="FLOAT")
    soundfile.write(folder / "b_x_0.wav", np.zeros(3000), 11025)
    path = tmp_path / "odd.h5"
    arguments = ["encode", str(folder), "-o", str(path), "--channels", "30", "--jobs", "1"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "sampling rates: 11025 Hz (1), 44100 Hz (1)" in said
    assert "the model ran at 16000 Hz (1), 44100 Hz (1)" in said
    assert "mixed to their mean: a_x_0.wav" in said
    assert "silent, spontaneous spikes alone: b_x_0.wav" in said
    mixed, rate_hz = read_samples(folder / "a_x_0.wav")
    np.testing.assert_allclose(mixed, noise(0, channels=2).mean(1), atol=1e-7)
    spikes = CochleaEncoder(30).encode(mixed, rate_hz, "a_x_0.wav")
    assert rows(path)[0][2] == spikes.units.tolist()
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["silent"] == ["b_x_0.wav"]
    assert answer["spikes"] > len(spikes)


def test_command_line_gives_one_line_of_error(words, tmp_path, capsys):
    path = tmp_path / "spikes.h5"

    def said(*arguments):
        status = main(["encode", *map(str, arguments), "-o", str(path), "--channels", "20"])
        lines = capsys.readouterr().err.splitlines()
        assert status == 2
        assert not path.exists()
        assert len(lines) == 1
        return lines[0]

    for seed in (2**63, 99999999999999999999):
        assert f"cochlea: seed is {seed}, give 0 or more, below 2**63" in said(
            words, "--seed", seed
        )
    assert "nowhere: no such file or folder" in said(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no sound in it" in said(empty)
    assert "no sound of the word 'right'" in said(words, "--words", "up,right")
    assert "two sounds are called" in said(words, words)
    foreign = tmp_path / "foreign.wav"
    foreign.write_text("this is no sound")
    assert "foreign.wav: cannot be read as audio" in said(foreign)
    short = tmp_path / "short.wav"
    soundfile.write(short, noise(0)[:100], 16000)
    assert "short.wav: cochlea: a sound of 0.00625 s; give 0.01 to 60 s" in said(short)
    table = tmp_path / "table.csv"
    table.write_text("file,class\ngone.wav,up\n")
    assert "table.csv: line 2" in said(table)
    table.write_text("path,class\ngone.wav,up\n")
    assert "no column file" in said(table)


def test_words_must_be_among_those_given(words, tmp_path):
    with pytest.raises(DataError, match="'down' is not among"):
        encode(words, tmp_path / "x.h5", words=["up", "left"])
    with pytest.raises(DataError, match="name an output in a folder that exists"):
        encode(words, tmp_path / "no" / "x.h5")
