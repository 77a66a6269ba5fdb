"""Google Speech Commands on a small set in its layout, Free Spoken Digits on the real one."""

import math
import shutil

import numpy as np
import pytest

from snn2hw.data import DATASETS, audio, base
from snn2hw.data import free_spoken_digits as fsd
from snn2hw.data import google_speech_commands as gsc
from snn2hw.errors import DataError, FileFormatError

soundfile = pytest.importorskip("soundfile", reason="reading clips needs the [audio] extra")
pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")

SPEAKERS = ("aaaa1111", "bbbb2222", "cccc3333", "dddd4444")
RATE = 16000


def tone(hz, seconds=1.0):
    t = np.arange(int(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * hz * t)


def write_google(root, words):
    """Each speaker says each word once; one speaker for validation, one for the test."""
    root.mkdir(parents=True)
    for k, word in enumerate(words):
        (root / word).mkdir()
        for who in SPEAKERS:
            soundfile.write(root / word / f"{who}_nohash_0.wav", tone(200 + 20 * k, 0.5), RATE)
    for name, who in (("validation_list.txt", SPEAKERS[2]), ("testing_list.txt", SPEAKERS[3])):
        (root / name).write_text("".join(f"{word}/{who}_nohash_0.wav\n" for word in words))
    (root / gsc.NOISE).mkdir()
    for name in ("pink.wav", "white.wav"):
        # a value tells the place: train in the first 80 %, then validation, then test
        ramp = np.linspace(0, 0.99, 20 * RATE)
        soundfile.write(root / gsc.NOISE / name, ramp, RATE, subtype="FLOAT")
    (root / gsc.NOISE / "README.md").write_text("noise")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_google(root / "google_speech_commands" / "v2", gsc.words(2))
    return root


@pytest.fixture
def google(written, monkeypatch):
    monkeypatch.setenv("SNN2HW_DATA", str(written))
    return written / "google_speech_commands" / "v2"


def test_words_of_both_versions():
    assert len(gsc.words(2)) == 35
    assert len(gsc.words(1)) == 30
    assert "visual" not in gsc.words(1)


def test_all_words(google):
    data = {split: gsc.load(split, "all") for split in gsc.SPLITS}
    assert {split: d.x.shape for split, d in data.items()} == {
        "train": (70, 50, 40),
        "val": (35, 50, 40),
        "test": (35, 50, 40),
    }
    assert set(data["train"].speaker) == set(SPEAKERS[:2])
    assert set(data["val"].speaker) == {SPEAKERS[2]}
    assert set(data["test"].speaker) == {SPEAKERS[3]}
    assert np.bincount(data["train"].y).tolist() == [2] * 35
    assert data["val"].notes == (
        "35 of 35 clips were padded with silence to 1 s",
        "35 of 35 clips were resampled from 16000 to 8000 Hz",
        "140 clips, of 105829 published",
    )


def test_twelve_classes(google):
    data = DATASETS["google_speech_commands"]("train", features="log_mel_deltas")
    assert data.classes == (*gsc.COMMANDS, "_silence_", "_unknown_")
    # 20 clips of words, 2 of noise and 2 of the rest
    assert np.bincount(data.y).tolist() == [2] * 12
    assert data.x.shape == (24, 50, 3, 40)
    assert set(data.speaker[data.y == 10]) == {""}
    more = gsc.load("val", unknown=math.inf, silence=0.5)
    assert np.bincount(more.y).tolist() == [1] * 10 + [5, 25]
    none = gsc.load("val", unknown=0, silence=0)
    assert set(none.y) == set(range(10))


def test_the_rest_and_noise_follow_the_seed(google):
    files, _ = gsc._list_files(google, 2)
    classes = gsc._classes("commands", 2, "lists")

    def choose(split, seed):
        return gsc._choose(google, files[split], classes, 0.5, 2.0, split, seed)[0]

    assert choose("train", 0) == choose("train", 0)
    assert choose("train", 0) != choose("train", 1)
    for split, low, high in (("train", 0, 0.8), ("val", 0.8, 0.9), ("test", 0.9, 1)):
        cuts = [clip for clip in choose(split, 3) if isinstance(clip, audio.Cut)]
        assert len(cuts) == 2 * 10 * (2 if split == "train" else 1)
        assert {cut.path.name for cut in cuts} == {"pink.wav", "white.wav"}
        for cut in cuts[:8]:
            clip = audio.read_clip(cut)[50:-50]  # but what resampling does at the ends
            assert low - 0.01 <= clip.min() / 0.99
            assert clip.max() / 0.99 <= high + 0.01
            assert cut.samples == RATE


def test_core_words(google):
    data = gsc.load("test", "core", unknown=1)
    assert len(data.classes) == 21
    # 20 words and 15 others
    assert np.bincount(data.y).tolist() == [1] * 20 + [15]


def test_version_1_has_30_words(google, monkeypatch, tmp_path):
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    write_google(tmp_path / "google_speech_commands" / "v1", gsc.words(1))
    data = gsc.load("val", "all", version=1)
    assert data.classes == gsc.words(1)
    assert len(data) == 30


def test_the_archive_of_the_12_classes(google):
    with pytest.raises(DataError, match="snn2hw data google_speech_commands --part v2_test"):
        gsc.load("test", test_set="archive")
    root = google.parent / "v2_test"
    for k, word in enumerate((*gsc.COMMANDS, "_silence_", "_unknown_")):
        (root / word).mkdir(parents=True)
        soundfile.write(root / word / f"x{k}_nohash_1.wav", tone(300), RATE)
    data = gsc.load("test", test_set="archive")
    assert data.y.tolist() == list(range(12))
    assert "12 test clips, of 4890 published" in data.notes
    shutil.rmtree(root / "_silence_")
    with pytest.raises(FileFormatError, match="has no clip of '_silence_', unpack the archive"):
        gsc.load("test", test_set="archive")
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "digits"}, "there is no task 'digits', give one of"),
        ({"version": 3}, "there is no version 3, give 1 or 2"),
        ({"task": "all", "test_set": "archive"}, "test_set is 'archive' for task 'all'"),
        ({"unknown": -1}, "unknown is -1, give a ratio of 0 or more"),
        ({"silence": math.inf}, "silence is inf, give a ratio of 0 or more"),
        ({"features": "mfcc"}, "there are no 'mfcc', give one of log_mel"),
        ({"dt_s": 0.005}, "steps of 0.005 s cannot be had"),
    ],
)
def test_arguments_out_of_range(google, arguments, message):
    with pytest.raises(DataError, match=message):
        gsc.load("val", **arguments)


def test_an_incomplete_copy_is_named(google, tmp_path):
    copy = tmp_path / "v2"
    shutil.copytree(google, copy)
    (copy / "bed" / f"{SPEAKERS[2]}_nohash_0.wav").unlink()
    with pytest.raises(FileFormatError, match="1 clips of its lists are missing, bed/cccc3333"):
        gsc._list_files(copy, 2)
    shutil.rmtree(copy / "yes")
    with pytest.raises(FileFormatError, match="has no clip of 'yes'"):
        gsc._list_files(copy, 2)
    (copy / "testing_list.txt").unlink()
    with pytest.raises(FileFormatError, match=r"testing_list.txt: cannot be read"):
        gsc._list_files(copy, 2)
    shutil.rmtree(copy / gsc.NOISE)
    with pytest.raises(FileFormatError, match="has no recording of 10 s or more"):
        gsc._noise(copy, "val", 1, np.random.default_rng(0))


@pytest.fixture(scope="module")
def digits():
    folder = base.data_folder()
    if folder is None or not (folder / "free_spoken_digits").is_dir():
        pytest.skip("free_spoken_digits is not in SNN2HW_DATA")
    return folder / "free_spoken_digits"


def test_free_spoken_digits(digits):
    clips, notes = fsd._list(digits / "recordings")
    assert len(clips) == 3000
    assert notes == ()
    parts = fsd._split(clips, None, 5)
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 2400,
        "val": 300,
        "test": 300,
    }
    takes = {split: {take for *_, take in part} for split, part in parts.items()}
    assert takes == {"train": set(range(10, 50)), "val": set(range(5, 10)), "test": set(range(5))}
    for part in parts.values():
        who = {name for _, _, name, _ in part}
        assert who == {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
        assert len(set(np.bincount([digit for _, digit, _, _ in part]))) == 1
    # upstream's own training set, 45 takes
    assert len(fsd._split(clips, None, 0)["train"]) == 2700


def test_a_speaker_left_out(digits):
    test = fsd.load("test", speaker="theo", validation_takes=48)
    assert test.x.shape == (500, 50, 40)
    assert set(test.speaker) == {"theo"}
    assert np.bincount(test.y).tolist() == [50] * 10
    train = fsd.load("train", speaker="theo", validation_takes=48)
    assert len(train) == 5 * 2 * 10
    assert "theo" not in set(train.speaker)
    assert set(train.take) == {48, 49}
    assert any("padded with silence to 1 s" in note for note in test.notes)
    with pytest.raises(DataError, match="no speaker 'thea', give one of george, jackson, lucas"):
        fsd.load("test", speaker="thea")
    with pytest.raises(DataError, match="45 takes for validation leave no clip for 'train'"):
        fsd.load("test", validation_takes=45)
    with pytest.raises(DataError, match="0 takes for validation leave no clip for 'val'"):
        fsd.load("val", validation_takes=0)


def test_digits_with_odd_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    folder = tmp_path / "free_spoken_digits" / "recordings"
    folder.mkdir(parents=True)
    with pytest.raises(FileFormatError, match=r"holds no .wav or .flac clip"):
        fsd.load("test")
    soundfile.write(folder / "noise.wav", np.zeros(8000), 8000)
    with pytest.raises(FileFormatError, match=r"noise.wav: its name is not DIGIT_SPEAKER_TAKE"):
        fsd.load("test")
