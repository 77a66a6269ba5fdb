"""The ten spoken digits of Arabic Speech Commands, as log-mel features.

11,200 one-second clips of 40 words by 28 speakers; the ten digits give 1800 training, 600
validation and 400 test clips by 18, 6 and 4 speakers, none of whom is in two splits. Source:
Ghandoura, Hjabo, Al Dakkak 2021, github.com/abdulkaderghandoura/arabic-speech-commands-dataset,
CC BY 4.0. The folder $SNN2HW_DATA/arabic_speech_commands holds train.csv, val.csv and test.csv and
the clips that they name, as upstream's 16 kHz .wav or as 8 kHz .flac beside that name.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.data import audio
from snn2hw.data.base import Dataset, check_split, find_data
from snn2hw.errors import DataError, FileFormatError

SPLITS = ("train", "val", "test")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FOLDER = "arabic_speech_commands"
HOW = "copy it from github.com/abdulkaderghandoura/arabic-speech-commands-dataset"
CLIP = 4.0


def load_digits(split: str) -> Dataset:
    """Load the ten digits of a split as standardised log-mel features.

    Each of the 40 bands is shifted and scaled by its mean and standard deviation over all steps of
    the training clips, whichever split is asked for, and clipped to -4 ... 4.

    Args:
        split: "train", "val" or "test".

    Returns:
        Dataset with x float32 (1800, 600 or 400, 50, 40), dimensionless, dt_s 0.02, y the digit,
        speaker the number in the file name.

    Raises:
        DataError: an unknown split, or the data are not at hand.
        FileFormatError: a csv or a clip that cannot be read.
        MissingDependencyError: the [audio] extra is not installed.
    """
    check_split(split, SPLITS, FOLDER)
    root = find_data(FOLDER, HOW)
    mean, scale = _statistics(root)
    files, labels = _list_digits(root, split)
    return Dataset(
        name=f"{FOLDER}/digits/{split}",
        x=np.clip((_features(root, split) - mean) / scale, -CLIP, CLIP),
        y=labels,
        classes=DIGITS,
        dt_s=audio.DT_S,
        speaker=_speakers(files),
        take=_takes(files),
    )


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
    root = find_data(FOLDER, HOW)
    files, labels = _list_digits(root, split)
    return Dataset(
        name=f"{FOLDER}/digits_with_deltas/{split}",
        x=_features_with_deltas(root, split).copy(),
        y=labels,
        classes=DIGITS,
        dt_s=audio.DELTA_DT_S,
        speaker=_speakers(files),
        take=_takes(files),
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


@lru_cache(maxsize=1)
def _statistics(root: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    frames = _features(root, "train").reshape(-1, audio.BANDS)
    # float64 sums, rounded once: the result must not depend on the order of summation
    mean, scale = frames.mean(0, dtype=np.float64), frames.std(0, dtype=np.float64)
    return mean.astype(np.float32), scale.astype(np.float32)


@lru_cache(maxsize=len(SPLITS))
def _features(root: Path, split: str) -> NDArray[np.float32]:
    """Return (clips, 50, 40); 1.4 ms a clip, so that only this process keeps them."""
    files, _ = _list_digits(root, split)
    return np.stack([audio.log_mel(audio.read_clip(path)) for path in files])


@lru_cache(maxsize=len(SPLITS))
def _features_with_deltas(root: Path, split: str) -> NDArray[np.float32]:
    """Return (clips, 100, 80), kept by this process alone, as those above."""
    files, _ = _list_digits(root, split)
    return np.stack([audio.log_mel_with_deltas(audio.read_clip(path)) for path in files])


def _list_digits(root: Path, split: str) -> tuple[list[Path], NDArray[np.int64]]:
    table = root / f"{split}.csv"
    files, labels = [], []
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["class"] in DIGITS:
                    files.append(_find_clip(root, row["file"]))
                    labels.append(DIGITS.index(row["class"]))
    except OSError as error:
        raise DataError(f"{FOLDER}: {table} cannot be read ({error.strerror}), {HOW}") from error
    except (KeyError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"{table}: is not a table with the columns file and class, {HOW}"
        ) from error
    if not files:
        raise FileFormatError(f"{table}: names no clip of a digit, {HOW}")
    return files, np.array(labels, dtype=np.int64)


def _find_clip(root: Path, name: str) -> Path:
    path = root / name
    for candidate in (path.with_suffix(".flac"), path):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{FOLDER}: {path.with_suffix('')} is there neither as .flac nor as .wav, {HOW}"
    )
