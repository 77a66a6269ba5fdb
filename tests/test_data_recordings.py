"""Recordings that are not what their headers say: read to their end, or refused by name."""

import struct

import numpy as np
import pytest

from snn2hw.data import audio, recordings
from snn2hw.errors import DataError, FileFormatError, MissingDependencyError

soundfile = pytest.importorskip("soundfile", reason="reading clips needs the [audio] extra")

RATE = 16000
NOISE = np.random.default_rng(0).normal(size=70_000) * 0.1
CHECKED = {
    "a.wav": {},
    "big.wav": {"endian": "BIG"},
    "rf64.wav": {"format": "RF64"},
    "a.aiff": {},
    "aifc.aiff": {"subtype": "FLOAT"},
    "a.flac": {},
    "a.ogg": {},
    "opus.ogg": {"subtype": "OPUS"},
    "a.mp3": {},
    "vbr.mp3": {"bitrate_mode": "VARIABLE"},
}
"""Files whose length can be checked: how they are written."""


def write(path, **options):
    soundfile.write(path, NOISE, RATE, **options)
    return path


def overwritten(path, place, content):
    data = bytearray(path.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(data)
    return path


def refused(path, match):
    for read in (recordings.read_samples, audio.read_clip):
        with pytest.raises(FileFormatError, match=match) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", CHECKED)
def test_whole_files_are_read_and_broken_ones_refused(tmp_path, name):
    path = write(tmp_path / name, **CHECKED[name])
    samples, rate = recordings.read_samples(path)
    assert (samples.shape, samples.dtype, rate) == ((70_000, 1), np.float32, RATE)
    if path.suffix in (".wav", ".aiff", ".flac"):
        np.testing.assert_allclose(samples[:, 0], NOISE, atol=2**-15)
    whole = path.read_bytes()
    for part in (0.5, 0.9, 0.98):
        path.write_bytes(whole[: int(part * len(whole))])
        refused(path, "is shorter than its header says|cannot be read as audio")
    path.write_bytes(whole[:-1000])
    refused(path, "is shorter than its header says|cannot be read as audio")


def test_parts_are_those_of_the_whole(tmp_path):
    stereo = np.stack([NOISE, -NOISE / 2], 1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="DOUBLE")
    for start, samples in (
        (0, 5),
        (123, 66_000),
        (69_990, 100),
        (4, -1),
        (70_000, 9),
        (80_000, -1),
    ):
        got, _ = recordings.read_samples(tmp_path / "a.wav", start, samples, "float64")
        stop = None if samples < 0 else start + samples
        np.testing.assert_array_equal(got, stereo[start:stop])
    assert recordings.length(tmp_path / "a.wav") == (70_000, RATE)


def test_a_flac_written_into_a_pipe_does_not_say_its_length(tmp_path):
    path = write(tmp_path / "a.flac")
    whole, _ = recordings.read_samples(path)
    # STREAMINFO: 36 bits of total samples end 26 bytes into the file
    count = path.read_bytes()[21] & 0xF0
    overwritten(path, 21, bytes([count, 0, 0, 0, 0]))
    assert soundfile.info(path).frames == 2**63 - 1
    samples, _ = recordings.read_samples(path)
    np.testing.assert_array_equal(samples, whole)
    part, _ = recordings.read_samples(path, 65_530, 20)
    np.testing.assert_array_equal(part, whole[65_530:65_550])
    part, _ = recordings.read_samples(path, 3, 20)
    np.testing.assert_array_equal(part, whole[3:23])
    assert audio.read_clip(path).any()
    with pytest.raises(FileFormatError, match=r"a.flac: does not say its length"):
        recordings.length(path)
    # one that claims more than any memory holds
    overwritten(path, 21, bytes([count | 0x0F, 255, 255, 255, 255]))
    refused(path, r"is shorter than its header says \(70000 of 68719476735 samples\), get it anew")


@pytest.mark.parametrize("rate", [1, 999, 400_001, 2**31 - 1])
def test_sampling_rates_that_nobody_has(tmp_path, rate):
    overwritten(write(tmp_path / "a.wav"), 24, struct.pack("<I", rate))
    refused(tmp_path / "a.wav", rf"has a sampling rate of {rate} Hz, give one of 1000 to 400000 Hz")
    with pytest.raises(FileFormatError, match=f"has a sampling rate of {rate} Hz"):
        recordings.length(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1000, 400_000])
def test_sampling_rates_at_the_limits(tmp_path, rate):
    overwritten(write(tmp_path / "a.wav"), 24, struct.pack("<I", rate))
    assert recordings.read_samples(tmp_path / "a.wav")[1] == rate


@pytest.mark.parametrize("said", [0, 0x7FFF_F024, 0xFFFF_FFFF])
def test_a_wav_written_into_a_pipe_may_say_any_length(tmp_path, said):
    path = overwritten(write(tmp_path / "a.wav"), 4, struct.pack("<I", said))
    assert len(recordings.read_samples(path)[0]) == 70_000


def test_an_ogg_with_something_behind_its_end(tmp_path):
    path = write(tmp_path / "a.ogg")
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert len(recordings.read_samples(path)[0]) == 70_000


def test_an_mp3_that_does_not_say_its_length_is_taken_as_it_is(tmp_path):
    path = tmp_path / "a.mp3"
    louder = NOISE * np.repeat(np.linspace(0, 1, 70) ** 4, 1000)
    soundfile.write(path, louder, RATE, bitrate_mode="VARIABLE")
    whole = path.read_bytes()
    frames = whole[whole.index(whole[:2], 2) :]  # less the first, which counts the others
    assert b"Xing" in whole
    assert b"Xing" not in frames
    path.write_bytes(frames)
    # guessed from the quiet ones at the beginning
    assert soundfile.info(path).frames > 100_000
    assert len(recordings.read_samples(path)[0]) in range(70_000, 75_000)
    # broken off, which nothing shows
    path.write_bytes(frames[: len(frames) // 2])
    assert len(recordings.read_samples(path)[0]) in range(20_000, 60_000)
    # behind a tag of 300 bytes the count is found, too
    path.write_bytes(b"ID3\x04\0\0\0\0\x02\x2c" + bytes(300) + whole)
    assert len(recordings.read_samples(path)[0]) == 70_000
    path.write_bytes(path.read_bytes()[: len(whole) // 2])
    refused(path, "is shorter than its header says")


def test_what_soundfile_raises_names_the_file(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"absent.wav: no such file"):
        recordings.read_samples(tmp_path / "absent.wav")
    for error, match in (
        (MemoryError(), "its samples do not fit into memory, cut it or leave it out"),
        (ValueError("array is too big"), r"cannot be read as audio \(array is too big\)"),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(soundfile.SoundFile, "read", fail)
        refused(path, match)


def test_absent_soundfile_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav")

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(recordings.importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"need soundfile.*'snn2hw\[audio\]'"):
        recordings.read_samples(path)
