"""Arabic Speech Commands: 40 spoken words, ten digits among them, as log-mel features.

11,200 one-second clips of 40 words by 28 speakers: 7200 training, 2400 validation and 1600 test
clips (the ten digits 1800, 600 and 400) by 18, 6 and 4 speakers, none of whom is in two splits.
Source: Ghandoura, Hjabo, Al Dakkak 2021, CC BY 4.0,
github.com/abdulkaderghandoura/arabic-speech-commands-dataset. The folder
$SNN2HW_DATA/arabic_speech_commands holds train.csv, val.csv and test.csv and the clips that they
name, as upstream's 16 kHz .wav or as 8 kHz .flac beside that name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.data import audio
from snn2hw.data import features as feature
from snn2hw.data.base import Dataset, check_split, find_data
from snn2hw.data.download import folders, locate
from snn2hw.data.sources import ARABIC
from snn2hw.errors import DataError, FileFormatError

SPLITS = ("train", "val", "test")
CLIPS = {"train": 180, "val": 60, "test": 40}
"""Of a word, as published less the two speakers whose clips are not at hand."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FOLDER = "arabic_speech_commands"
HOW = (
    "copy it from github.com/abdulkaderghandoura/arabic-speech-commands-dataset or run"
    " `snn2hw data arabic_speech_commands --download`"
)
WORDS = (
    "backward", "cancel", "close", "digit", "direction", "disable", "down", "eight", "enable",
    "enter", "five", "forward", "four", "left", "move", "next", "nine", "no", "ok", "one", "open",
    "options", "previous", "receive", "record", "right", "rotate", "send", "seven", "six", "start",
    "stop", "three", "two", "undo", "up", "yes", "zero", "zoom in", "zoom out",
)  # fmt: skip


def load(
    split: str,
    words: str | Sequence[str] = "digits",
    features: str = "log_mel",
    dt_s: float = audio.DT_S,
    *,
    download: bool = False,
) -> Dataset:
    """Load words of a split as features, standardised by the training clips of the same words.

    Args:
        split: "train", "val" or "test".
        words: "digits", "all" (40 words in alphabetical order), or words by name, in the order of
            the labels.
        features: "log_mel" or "log_mel_deltas", as `snn2hw.data.features` defines them.
        dt_s: 0.02, or 0.01 for twice the steps.
        download: get the data from the network if they are not at hand.

    Returns:
        Dataset with x float32 (clips, 50 or 100, 40), with deltas (clips, 50 or 100, 3, 40),
        dimensionless; 180, 60 or 40 clips a word; y index of the word, speaker the number in the
        file name, take 1 to 10: each speaker said each word ten times.

    Raises:
        DataError: an unknown split, word or kind of features, or the data are not at hand.
        FileFormatError: a csv, a clip or the name of one that cannot be read.
        MissingDependencyError: the [audio] extra is not installed.
    """
    check_split(split, SPLITS, FOLDER)
    classes = _classes(words)
    root = _root(download)
    reference, _ = _list_clips(root, "train", classes)
    files, labels = _list_clips(root, split, classes)
    notes = _fewer(split, labels, classes)
    computed = feature.load(files, reference, features, dt_s)
    return Dataset(
        name=f"{FOLDER}/{words if isinstance(words, str) else 'words'}/{split}",
        x=computed.x,
        y=labels,
        classes=classes,
        dt_s=dt_s,
        speaker=_speakers(files),
        take=_takes(files),
        notes=(*computed.notes, *notes),
    )


def load_digits(split: str) -> Dataset:
    """Load the ten digits of a split as `load` does."""
    return load(split, "digits")


def load_digits_with_deltas(split: str) -> Dataset:
    """Load the ten digits of a split as the 80 inputs of Rostami et al. 2022, for e-prop.

    Each clip is taken by itself: `audio.log_mel_with_deltas`, 2 ms a clip.

    Args:
        split: "train", "val" or "test".

    Returns:
        Dataset with x float32 (1800, 600 or 400, 100, 80), dimensionless, dt_s 0.01, y the digit,
        speaker the number in the file name, take 1 to 10: each speaker said each digit ten times.

    Raises:
        DataError: an unknown split, or the data are not at hand.
        FileFormatError: a csv, a clip or the name of one that cannot be read.
        MissingDependencyError: the [audio] extra is not installed.
    """
    check_split(split, SPLITS, FOLDER)
    root = _root()
    files, labels = _list_clips(root, split, DIGITS)
    return Dataset(
        name=f"{FOLDER}/digits_with_deltas/{split}",
        x=_features_with_deltas(root, split).copy(),
        y=labels,
        classes=DIGITS,
        dt_s=audio.DELTA_DT_S,
        speaker=_speakers(files),
        take=_takes(files),
        notes=_fewer(split, labels, DIGITS),
    )


def _root(download: bool = False) -> Path:
    """Return where the data are: in $SNN2HW_DATA, or where a download without it went."""
    if download:
        return locate(ARABIC, "train.csv", download=True)
    *own, cache = folders(FOLDER)
    if (cache / "train.csv").is_file() and not any(place.is_dir() for place in own):
        return cache
    return find_data(FOLDER, HOW)


def _fewer(split: str, labels: NDArray[np.int64], classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a note where a word has fewer clips than published."""
    published = CLIPS[split]
    found = np.bincount(labels, minlength=len(classes))
    if not np.any(found < published):
        return ()
    word = int(np.argmin(found))
    return (
        f"{len(labels)} clips, of {published * len(classes)} published ({published} a word):"
        f" {classes[word]!r} has {found[word]}",
    )


def _speakers(files: list[Path]) -> NDArray[np.str_]:
    return np.array([path.name.split("_")[0] for path in files])


def _takes(files: list[Path]) -> NDArray[np.int64]:
    takes = []
    for path in files:
        number = path.stem.rpartition("_")[2]
        if not (number.isascii() and number.isdigit()):
            raise FileFormatError(f"{path}: its name is not SPEAKER_NO_TAKE, rename it so")
        takes.append(int(number))
    return np.array(takes, dtype=np.int64)


@lru_cache(maxsize=len(SPLITS))
def _features_with_deltas(root: Path, split: str) -> NDArray[np.float32]:
    """Return (clips, 100, 80), kept by this process alone, as those above."""
    files, _ = _list_clips(root, split, DIGITS)
    return np.stack([audio.log_mel_with_deltas(audio.read_clip(path)) for path in files])


def _classes(words: str | Sequence[str]) -> tuple[str, ...]:
    named = {"digits": DIGITS, "all": WORDS}
    if not isinstance(words, Sequence):
        raise DataError(f'{FOLDER}: words are {words!r}, give "digits", "all" or a list of words')
    classes = named.get(words, (words,)) if isinstance(words, str) else tuple(words)
    unknown = [word for word in classes if word not in WORDS]
    if unknown or len(classes) < 2 or len(set(classes)) < len(classes):
        raise DataError(
            f'{FOLDER}: words are {words!r}, give "digits", "all" or two or more of the 40 words,'
            f" each once{', without ' + ', '.join(map(repr, unknown)) if unknown else ''}"
        )
    return classes


def _list_clips(
    root: Path, split: str, classes: tuple[str, ...]
) -> tuple[list[Path], NDArray[np.int64]]:
    table = root / f"{split}.csv"
    files, labels = [], []
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["class"] in classes:
                    files.append(_find_clip(root, row["file"]))
                    labels.append(classes.index(row["class"]))
    except OSError as error:
        raise DataError(f"{FOLDER}: {table} cannot be read ({error.strerror}), {HOW}") from error
    except (KeyError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{table}: is not a table with the columns file and class, {HOW}"
        ) from error
    if not files:
        raise FileFormatError(f"{table}: names no clip of the words asked for, {HOW}")
    return files, np.array(labels, dtype=np.int64)


def _find_clip(root: Path, name: str) -> Path:
    path = root / name
    for candidate in (path.with_suffix(".flac"), path):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{FOLDER}: {path.with_suffix('')} is there neither as .flac nor as .wav, {HOW}"
    )
