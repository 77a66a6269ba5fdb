"""Clips that are not as they should be: repaired and said, or refused by name."""

from collections import Counter

import numpy as np
import pytest

from snn2hw.data import audio, features, recordings
from snn2hw.errors import DataError, FileFormatError

soundfile = pytest.importorskip("soundfile", reason="reading clips needs the [audio] extra")
pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")


def tone(rate, seconds, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


@pytest.fixture
def clips(tmp_path):
    """A clip of each kind, by its name."""

    def write(name, samples, rate=8000, **options):
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    stereo = np.stack([tone(8000, 1), -tone(8000, 1) / 2], 1)
    return {
        "good": write("good.wav", tone(8000, 1)),
        "fast": write("fast.wav", tone(16000, 1), 16000),
        "odd": write("odd.flac", tone(11025, 1), 11025),
        "stereo": write("stereo.wav", stereo, subtype="FLOAT"),
        "silent": write("silent.wav", np.zeros(8000)),
        "short": write("short.wav", tone(8000, 0.4)),
        "long": write("long.flac", tone(8000, 2.3)),
        "tiny": write("tiny.wav", tone(8000, 0.01)),
    }


def test_every_repair_is_counted(clips):
    said = {}
    for name, path in clips.items():
        repairs = Counter()
        clip = audio.read_clip(path, repairs)
        assert clip.shape == (8000,)
        assert clip.dtype == np.float32
        said[name] = dict(repairs)
    assert said == {
        "good": {},
        "fast": {"resampled from 16000 to 8000 Hz": 1},
        "odd": {"resampled from 11025 to 8000 Hz": 1},
        "stereo": {"mixed from 2 channels to one": 1},
        "silent": {"silent, and kept so": 1},
        "short": {"padded with silence to 1 s": 1},
        "long": {"cut to 1 s": 1},
        "tiny": {"padded with silence to 1 s": 1},
    }


def test_repaired_clips_hold_what_was_recorded(clips):
    good = tone(8000, 1)
    wanted = {
        "good": good,
        "fast": good,
        "odd": good,
        "stereo": good / 4,
        "silent": 0 * good,
        "short": np.where(np.arange(8000) < 3200, good, 0),
        "long": good,
        "tiny": np.where(np.arange(8000) < 80, good, 0),
    }
    for name, path in clips.items():
        np.testing.assert_allclose(
            audio.read_clip(path)[100:-100], wanted[name][100:-100], atol=0.02, err_msg=name
        )


def test_features_say_what_was_repaired_and_stay_finite(clips):
    paths = [clips[name] for name in ("good", "fast", "silent", "short", "silent")]
    for kind, shape in (("log_mel", (5, 50, 40)), ("log_mel_deltas", (5, 50, 3, 40))):
        computed = features.load(paths, paths, kind, 0.02)
        assert computed.x.shape == shape
        assert np.isfinite(computed.x).all()
        assert computed.notes == (
            "1 of 5 clips were padded with silence to 1 s",
            "1 of 5 clips were resampled from 16000 to 8000 Hz",
            "2 of 5 clips were silent, and kept so",
        )
    # nothing but silence to learn the scale from
    only = features.load([clips["silent"]], [clips["silent"]], "log_mel", 0.02)
    assert not only.x.any()


def test_a_cut_is_a_part_of_a_recording(tmp_path):
    samples = np.arange(40000) / 50000
    soundfile.write(tmp_path / "noise.wav", samples, 8000, subtype="FLOAT")
    clip = audio.read_clip(audio.Cut(tmp_path / "noise.wav", 12345, 8000))
    np.testing.assert_allclose(clip, samples[12345:20345], rtol=1e-6)
    assert recordings.length(tmp_path / "noise.wav") == (40000, 8000)


def test_clips_that_cannot_be_used(clips, tmp_path):
    with pytest.raises(DataError, match=r"absent.wav: no such file"):
        audio.read_clip(tmp_path / "absent.wav")
    bad = tone(8000, 1)
    bad[[17, 99]] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, 8000, subtype="FLOAT")
    with pytest.raises(FileFormatError, match=r"nan.wav: sample 17 is not a finite number"):
        audio.read_clip(tmp_path / "nan.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    with pytest.raises(FileFormatError, match=r"empty.wav: holds no samples"):
        audio.read_clip(tmp_path / "empty.wav")
    whole = clips["long"].read_bytes()
    (tmp_path / "torn.flac").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(FileFormatError, match=r"torn.flac: "):
        audio.read_clip(tmp_path / "torn.flac")
    whole = clips["good"].read_bytes()
    (tmp_path / "torn.wav").write_bytes(whole[:4000])
    with pytest.raises(FileFormatError, match=r"torn.wav: is shorter than its header says"):
        audio.read_clip(tmp_path / "torn.wav")
    (tmp_path / "zero.wav").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"zero.wav: cannot be read as audio"):
        audio.read_clip(tmp_path / "zero.wav")
