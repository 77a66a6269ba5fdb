"""Japanese Vowels: what is in the files, what the spike code keeps and what it must not see."""

import re

import numpy as np
import pytest

from snn2hw.data import japanese_vowels as jv
from snn2hw.data.base import Dataset
from snn2hw.errors import DataError, FileFormatError, MissingDependencyError


@pytest.fixture(scope="module")
def train():
    pytest.importorskip("sktime", reason="Japanese Vowels come with the sktime package")
    return jv.load("train")


@pytest.fixture(scope="module")
def test(train):
    return jv.load("test")


def toy(seed=0, batch=20, steps=9, channels=2):
    rng = np.random.default_rng(seed)
    length = rng.integers(3, steps + 1, batch)
    x = rng.normal(size=(batch, steps, channels)) * (np.arange(steps) < length[:, None])[..., None]
    return Dataset("toy", x, np.zeros(batch, np.int64), ("only",), 1e-3, length)


def test_counts_of_the_published_data(train, test):
    assert train.x.shape == (270, 29, 12)
    assert test.x.shape == (370, 29, 12)
    assert np.bincount(train.y).tolist() == [30] * 9
    # UCI's size_ae.test
    assert np.bincount(test.y).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert (train.length.min(), max(train.length.max(), test.length.max())) == (7, 29)
    # the first values of the file, as UCI prints them
    assert train.x[0, :2, 0].tolist() == [np.float32(1.860936), np.float32(1.891651)]
    assert train.x[0, 0, 1] == np.float32(-0.207383)
    assert (train.x[0, 19] != 0).all()
    assert (train.x[0, 20:] == 0).all()


def test_spikes_are_binary_and_padding_is_silent(train, test):
    for split, data in (("train", train), ("test", test)):
        spikes = jv.load_spikes(split)
        assert spikes.x.shape == (len(data), 29, 12 * jv.FIELDS_PER_CHANNEL)
        assert spikes.x.dtype == np.uint8
        assert spikes.x.max() == 1
        wanted = (np.arange(29) < data.length[:, None]) * 12 * jv.FIRING_FIELDS
        np.testing.assert_array_equal(spikes.x.sum(2), wanted)


def test_the_code_uses_no_test_statistics(train, test):
    alone = jv.encode(
        Dataset("one", test.x[:1], test.y[:1], test.classes, 1.0, test.length[:1]), train
    )
    np.testing.assert_array_equal(alone.x, jv.load_spikes("test").x[:1])


def test_every_set_of_fields_is_used_equally_often_on_the_reference():
    data = toy(batch=400)
    first = jv.encode(data, data).x.reshape(400, 9, 2, jv.FIELDS_PER_CHANNEL).argmax(3)
    inside = np.arange(9) < data.length[:, None]
    for channel in range(2):
        counts = np.bincount(first[inside][:, channel])
        assert len(counts) == jv.FIELDS_PER_CHANNEL - jv.FIRING_FIELDS + 1
        assert counts.max() - counts.min() <= 2


def test_the_code_is_ordered_and_local():
    data = toy()
    value = np.linspace(-3, 3, 9)[None, :, None].repeat(2, 2)
    probe = Dataset("probe", value, np.zeros(1, np.int64), ("only",), 1e-3, np.array([9]))
    spikes = jv.encode(probe, data).x.reshape(9, 2, jv.FIELDS_PER_CHANNEL)
    first = spikes.argmax(2)
    assert (np.diff(first, axis=0) >= 0).all()
    assert first[0].tolist() == [0, 0]
    assert first[-1].tolist() == [jv.FIELDS_PER_CHANNEL - jv.FIRING_FIELDS] * 2
    # the firing fields are neighbours
    gaps = np.diff(np.flatnonzero(spikes[4, 0]))
    assert gaps.tolist() == [1] * (jv.FIRING_FIELDS - 1)


def test_channels_are_coded_apart():
    data = toy()
    moved = data.x.copy()
    moved[..., 1] += 5.0
    other = Dataset("moved", moved, data.y, data.classes, data.dt_s, data.length)
    here, there = jv.encode(data, data).x, jv.encode(other, data).x
    np.testing.assert_array_equal(
        here[..., : jv.FIELDS_PER_CHANNEL], there[..., : jv.FIELDS_PER_CHANNEL]
    )
    assert not np.array_equal(here, there)


def test_wrong_channels_and_missing_length():
    with pytest.raises(
        DataError, match=re.escape("toy: has 3 channels, give frames with a length")
    ):
        jv.encode(toy(channels=3), toy())
    bare = Dataset("bare", np.zeros((1, 2, 2)), np.zeros(1, np.int64), ("only",), 1e-3)
    with pytest.raises(DataError, match="bare: has no length, give real-valued frames with one"):
        jv.encode(toy(), bare)


def test_unknown_split():
    message = 'japanese_vowels: there is no split \'val\', give one of "train", "test"'
    with pytest.raises(DataError, match=re.escape(message)):
        jv.load("val")


def test_absent_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    monkeypatch.setattr(jv.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'snn2hw\[examples\]'") as caught:
        jv.load("train")
    assert str(tmp_path / "japanese_vowels") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "has no line @data"),
        ("@data\n" + ":".join(["1,2,3"] * 12) + ":1\n1,2:1\n", "utterance 2 has shape (1, 2)"),
        ("@data\n" + ":".join(["1,2", *["1,2,3"] * 11]) + ":1\n", "utterance 1 is broken"),
    ],
)
def test_broken_files(monkeypatch, tmp_path, text, message):
    folder = tmp_path / "japanese_vowels"
    folder.mkdir()
    (folder / "JapaneseVowels_TRAIN.ts").write_text(text)
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    with pytest.raises(FileFormatError, match=re.escape(message)):
        jv.load("train")
