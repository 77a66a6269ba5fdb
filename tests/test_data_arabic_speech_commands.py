"""Arabic Speech Commands: splits, features and front end."""

import re

import numpy as np
import pytest

from snn2hw.data import arabic_speech_commands as sc
from snn2hw.data import audio, base
from snn2hw.errors import DataError, FileFormatError, MissingDependencyError


@pytest.fixture(scope="module")
def splits():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    try:
        base.find_data(sc.FOLDER, sc.HOW)
    except DataError as error:
        pytest.skip(str(error))
    return {name: sc.load_digits(name) for name in sc.SPLITS}


def plain_bands(clip, samples, hann, low_mel):
    """Power in 40 bands of 100 frames, by DFT matrix and hand-made triangles."""
    half = samples // 2
    padded = np.concatenate([np.zeros(half), clip, np.zeros(half)])
    window = np.zeros(samples)
    gap = (samples - hann) // 2
    window[gap : gap + hann] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(hann) / hann)
    dft = np.exp(-2j * np.pi * np.outer(np.arange(half + 1), np.arange(samples)) / samples)
    power = np.array(
        [np.abs(dft @ (window * padded[80 * k : 80 * k + samples])) ** 2 for k in range(100)]
    )
    # Slaney: 200/3 Hz a mel up to 1 kHz = 15 mel, then 27 mel for a factor of 6.4
    mel = np.linspace(low_mel, 15 + 27 * np.log(4000 / 1000) / np.log(6.4), 42)
    hz = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    bins = np.arange(half + 1) * 8000 / samples
    bands = np.zeros((100, 40))
    for b in range(40):
        low, mid, high = hz[b : b + 3]
        rise, fall = (bins - low) / (mid - low), (high - bins) / (high - mid)
        bands[:, b] = power @ (np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low))
    return bands


def plain_log_mel(clip):
    """The last two of the five steps of the module's text."""
    log = np.log(plain_bands(clip, 256, 200, 0.0) + 1e-6)
    return (log[0::2] + log[1::2]) / 2


def plain_deltas(clip):
    """The five steps of log_mel_with_deltas; slopes by least squares, window by window."""
    power = plain_bands(clip, 240, 240, 20 / (200 / 3))
    bands = np.log(1 + power / power.max())
    slope = np.zeros_like(bands)
    for k in range(100):
        first = min(max(k - 4, 0), 91)
        slope[k] = np.polyfit(np.arange(9), bands[first : first + 9], 1)[0]
    both = np.concatenate([bands, slope], 1)
    return both / np.sqrt(((both - both.mean(0)) ** 2).mean(0))


def chirp():
    t = np.arange(8000) / 8000
    clip = 0.3 * np.sin(2 * np.pi * (300 + 900 * t) * t)
    clip += 0.01 * np.random.default_rng(0).normal(size=8000)
    clip[:1000] = 0
    return clip


def test_log_mel_equals_its_definition():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    clip = chirp()
    got, wanted = audio.log_mel(clip.astype(np.float32)), plain_log_mel(clip)
    assert got.shape == (50, 40)
    assert got.dtype == np.float32
    assert np.ptp(wanted) > 10
    np.testing.assert_allclose(got, wanted, atol=2e-3)


def test_log_mel_with_deltas_equals_its_definition():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    clip = chirp()
    got, wanted = audio.log_mel_with_deltas(clip.astype(np.float32)), plain_deltas(clip)
    assert got.shape == (100, 80)
    assert got.dtype == np.float32
    assert np.ptp(wanted, axis=0).min() > 1
    np.testing.assert_allclose(got, wanted, atol=2e-3)
    # loudness is divided out, and silence stays silence
    np.testing.assert_allclose(
        audio.log_mel_with_deltas(0.25 * clip.astype(np.float32)), got, atol=1e-4
    )
    assert not audio.log_mel_with_deltas(np.zeros(8000)).any()


def plain_curvature(bands):
    """Second derivative of the parabola fitted to the 9 frames around each."""
    curvature = np.zeros_like(bands)
    for k in range(100):
        first = min(max(k - 4, 0), 91)
        curvature[k] = 2 * np.polyfit(np.arange(9), bands[first : first + 9], 2)[0]
    return curvature


@pytest.mark.parametrize("dt_s", [0.01, 0.02])
def test_log_mel_deltas_equals_its_definition(dt_s):
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    clip = chirp()
    power = plain_bands(clip, 240, 240, 20 / (200 / 3))
    bands = np.log(1 + power / power.max())
    slope = np.array(
        [np.polyfit(np.arange(9), bands[min(max(k - 4, 0), 91) :][:9], 1)[0] for k in range(100)]
    )
    wanted = np.stack([bands, slope, plain_curvature(bands)], 1)
    if dt_s == 0.02:
        wanted = (wanted[0::2] + wanted[1::2]) / 2
    wanted /= wanted.std(0)
    got = audio.log_mel_deltas(clip.astype(np.float32), dt_s)
    assert got.shape == (round(1 / dt_s), 3, 40)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=3e-3)
    assert not audio.log_mel_deltas(np.zeros(8000), dt_s).any()


def test_other_steps_are_refused():
    with pytest.raises(DataError, match=r"steps of 0.005 s cannot be had, give dt_s 0.01 or 0.02"):
        audio.log_mel_deltas(np.zeros(8000), 0.005)


def test_log_mel_of_a_tone_peaks_at_its_frequency():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    # 15 mel of 35.16, in 41 parts: between the centres of bands 16 and 17
    assert set(audio.log_mel(tone)[5:45].argmax(1)) <= {16, 17}


def test_counts_and_labels(splits):
    assert {name: data.x.shape for name, data in splits.items()} == {
        "train": (1800, 50, 40),
        "val": (600, 50, 40),
        "test": (400, 50, 40),
    }
    for data in splits.values():
        assert len(set(np.bincount(data.y))) == 1
        assert data.classes[3] == "three"
        assert data.dt_s == 0.02


def test_no_speaker_is_in_two_splits(splits):
    speakers = {name: set(data.speaker) for name, data in splits.items()}
    assert {name: len(who) for name, who in speakers.items()} == {"train": 18, "val": 6, "test": 4}
    assert len(set.union(*speakers.values())) == 28


def test_features_are_standardised_by_the_training_split(splits):
    train = splits["train"].x
    assert np.abs(train.mean((0, 1))).max() < 0.02  # what clipping at 4 leaves
    assert np.abs(train.std((0, 1)) - 1).max() < 0.05
    assert max(np.abs(data.x).max() for data in splits.values()) == 4.0
    # by the training split, not each by its own
    assert np.abs(splits["test"].x.mean((0, 1))).max() > 0.05


def test_deltas_are_divided_by_the_spread_of_the_training_split(splits):
    train = sc.load("train", ("three", "two"), "log_mel_deltas").x
    assert train.shape == (360, 50, 3, 40)
    np.testing.assert_allclose(train.std((0, 1)), 1, atol=1e-4)
    # bands stay positive, for no mean is removed
    assert train[:, :, 0].min() >= 0
    test = sc.load("test", ("three", "two"), "log_mel_deltas", dt_s=0.01)
    assert test.x.shape == (80, 100, 3, 40)
    assert test.dt_s == 0.01
    assert np.abs(test.x.std((0, 1)) - 1).max() > 0.01
    assert np.bincount(test.y).tolist() == [40, 40]
    assert test.notes == ()


def test_all_forty_words():
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    try:
        root = base.find_data(sc.FOLDER, sc.HOW)
    except DataError as error:
        pytest.skip(str(error))
    speakers, counts = [], []
    for split in sc.SPLITS:
        files, labels = sc._list_clips(root, split, sc.WORDS)
        assert len(set(np.bincount(labels))) == 1
        assert all(path.parent.name == sc.WORDS[k] for path, k in zip(files, labels, strict=True))
        counts.append(len(files))
        speakers.append(set(sc._speakers(files)))
    assert counts == [7200, 2400, 1600]
    assert [len(who) for who in speakers] == [18, 6, 4]
    assert len(set.union(*speakers)) == 28
    assert len(sc.WORDS) == 40


def test_words_by_name_are_standardised_by_their_own_clips(splits):
    data = {split: sc.load(split, ("yes", "no")) for split in ("train", "test")}
    assert data["test"].classes == ("yes", "no")
    assert data["test"].x.shape == (80, 50, 40)
    assert np.abs(data["train"].x.mean((0, 1))).max() < 0.02
    for words in (("yes", "no", "yes"), ("yes", "perhaps"), "yes", ()):
        with pytest.raises(DataError, match='give "digits", "all" or two or more of the 40 words'):
            sc.load("test", words)
    with pytest.raises(DataError, match="there are no 'mfcc', give one of log_mel, log_mel_deltas"):
        sc.load("test", features="mfcc")


def test_inputs_of_eprop(splits):
    data = sc.load_digits_with_deltas("test")
    assert data.x.shape == (400, 100, 80)
    assert data.dt_s == 0.01
    np.testing.assert_array_equal(data.y, splits["test"].y)
    # each of the four speakers said each digit ten times
    assert len(set(zip(data.speaker, data.y, data.take, strict=True))) == 400
    assert set(data.take) == set(range(1, 11))
    spread = data.x.std(1)
    assert np.all((spread == 0) | (np.abs(spread - 1) < 1e-3))
    assert np.mean(spread == 0) < 0.01
    data.x[:] = 0  # a copy: another caller gets the clips
    assert sc.load_digits_with_deltas("test").x.any()


def test_a_clip_without_a_take_is_named(tmp_path, monkeypatch):
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    write_set(tmp_path, 8000, ".flac")
    folder = tmp_path / sc.FOLDER
    (folder / "dataset/two/00000002_NO_01.flac").rename(folder / "dataset/two/b.flac")
    table = folder / "test.csv"
    table.write_text(table.read_text().replace("two/00000002_NO_01", "two/b"))
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    with pytest.raises(FileFormatError, match=r"b.flac: its name is not SPEAKER_NO_TAKE"):
        sc.load_digits_with_deltas("test")


def write_set(root, rate, suffix):
    import soundfile

    folder = root / sc.FOLDER
    rows = {}
    for number, split in enumerate(sc.SPLITS):
        rows[split] = ["file,class"]
        for word in ("zero", "two", "stop"):
            name = f"dataset/{word}/0000000{number}_NO_01"
            path = folder / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            t = np.arange(rate) / rate
            tone = np.sin(2 * np.pi * (300 + 100 * number) * t) * np.exp(-3 * t)
            soundfile.write(path, tone * 0.5, rate)
            rows[split].append(f"{name}.wav,{word}")
        (folder / f"{split}.csv").write_text("\n".join(rows[split]) + "\n")


def test_wav_at_16_khz_gives_the_samples_of_flac_at_8_khz(monkeypatch, tmp_path):
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    clips = []
    for rate, suffix in ((8000, ".flac"), (16000, ".wav")):
        root = tmp_path / suffix[1:]
        write_set(root, rate, suffix)
        monkeypatch.setenv("SNN2HW_DATA", str(root))
        data = sc.load_digits("test")
        assert data.y.tolist() == [0, 2]
        assert data.speaker.tolist() == ["00000002"] * 2
        assert data.x.shape == (2, 50, 40)
        note = sc.load("val", ("two", "zero", "stop")).notes[-1]
        assert note == "3 clips, of 180 published (60 a word): 'two' has 1"
        assert sc.load_digits("train").notes[-1:] == (
            "2 clips, of 1800 published (180 a word): 'one' has 0",
        )
        (note,) = sc.load_digits_with_deltas("test").notes
        assert note.startswith("2 clips, of 400 published (40 a word)")
        clips.append(audio.read_clip(sc._list_clips(root / sc.FOLDER, "test", sc.DIGITS)[0][0]))
    assert np.abs(clips[0]).max() > 0.4
    np.testing.assert_allclose(clips[0][100:-100], clips[1][100:-100], atol=2e-3)
    (tmp_path / "wav" / sc.FOLDER / "dataset" / "two" / "00000002_NO_01.wav").unlink()
    with pytest.raises(DataError, match="00000002_NO_01 is there neither as"):
        sc._list_clips(tmp_path / "wav" / sc.FOLDER, "test", sc.DIGITS)


def test_clips_are_padded_and_cut_to_a_second(tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="reading clips needs the [audio] extra")
    for samples in (5000, 9000):
        path = tmp_path / f"{samples}.wav"
        soundfile.write(path, np.full((samples, 2), [0.5, 0.25]), 8000, subtype="FLOAT")
        clip = audio.read_clip(path)
        assert clip.shape == (8000,)
        assert np.count_nonzero(clip == 0.375) == min(samples, 8000)
    (tmp_path / "x.wav").write_bytes(b"not a sound")
    with pytest.raises(FileFormatError, match=r"x.wav: cannot be read as audio"):
        audio.read_clip(tmp_path / "x.wav")


def test_absent_data_says_where_and_how(monkeypatch, tmp_path):
    monkeypatch.delenv("SNN2HW_DATA", raising=False)
    with pytest.raises(DataError, match="the environment variable SNN2HW_DATA is not set, set it"):
        sc.load_digits("test")
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    wanted = f"looked for the folder {tmp_path / sc.FOLDER} and found none, put it there: copy it"
    with pytest.raises(DataError, match=re.escape(wanted)):
        sc.load_digits("test")
    (tmp_path / sc.FOLDER).mkdir()
    with pytest.raises(DataError, match=r"train.csv cannot be read \(No such file"):
        sc.load_digits("test")
    for text, message in (("a,b\n1,2\n", "is not a table"), ("file,class\n", "names no clip")):
        (tmp_path / sc.FOLDER / "train.csv").write_text(text)
        with pytest.raises(FileFormatError, match=message):
            sc.load_digits("test")


def test_absent_extra_is_named(monkeypatch, tmp_path):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(audio.importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"soundfile.*pip install 'snn2hw\[audio\]'"):
        audio.read_clip(tmp_path / "x.wav")


def test_wrong_clip_length_and_unknown_split():
    with pytest.raises(DataError, match=re.escape("has shape (16000,), give (8000,) at 8000 Hz")):
        audio.log_mel(np.zeros(16000))
    with pytest.raises(DataError, match='there is no split \'dev\', give one of "train", "val"'):
        sc.load_digits("dev")
