"""Free Spoken Digits: ten English digits by six speakers, 50 times each, as log-mel features.

3000 clips at 8 kHz, most of them under a second. CC BY-SA 4.0; Jackson and others,
github.com/Jakobovski/free-spoken-digit-dataset. The folder free_spoken_digits/recordings holds
``DIGIT_SPEAKER_TAKE.wav`` (or .flac). Upstream tests with takes 0 to 4 of the same speakers, which
says little of new ones: leave a speaker out for that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snn2hw.data import audio
from snn2hw.data import features as feature
from snn2hw.data.base import Dataset, check_split
from snn2hw.data.download import locate
from snn2hw.data.sources import DIGITS as SOURCE
from snn2hw.errors import DataError, FileFormatError

SPLITS = ("train", "val", "test")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FOLDER = "recordings"
COUNT = 3000
TEST_TAKES = 5

Clip = tuple[Path, int, str, int]
"""Path, digit, speaker, take."""


def load(
    split: str,
    speaker: str | None = None,
    validation_takes: int = 5,
    features: str = "log_mel",
    dt_s: float = audio.DT_S,
    *,
    download: bool = False,
) -> Dataset:
    """Load a split as features, standardised by the training clips.

    Args:
        split: "train", "val" or "test".
        speaker: who is left out: "test" is all of that speaker's clips, and training and validation
            have all clips of the others. None: upstream's split, takes 0 to 4 are "test".
        validation_takes: how many takes of each digit and training speaker are "val", the first
            that are not "test"; 0: none. They share their speakers with "train".
        features: "log_mel" or "log_mel_deltas", as `snn2hw.data.features` defines them.
        dt_s: 0.02, or 0.01 for twice the steps.
        download: get the data (16 MB) from the network if they are not at hand.

    Returns:
        Dataset with x float32 (2400, 300 or 300, 50, 40), with deltas (clips, 50, 3, 40),
        dimensionless, or with twice the steps; without a speaker (2250, 250 or 500, ...).

    Raises:
        DataError: an argument out of its range, or the data are not at hand.
        FileFormatError: a clip, or the name of one, that cannot be read.
        MissingDependencyError: the [audio] extra is not installed.
    """
    check_split(split, SPLITS, SOURCE.name)
    clips, notes = _list(locate(SOURCE, FOLDER, download=download) / FOLDER)
    of = _split(clips, speaker, validation_takes)
    chosen = of[split]
    if not chosen or not of["train"]:
        raise DataError(
            f"{SOURCE.name}: {validation_takes} takes for validation leave no clip for"
            f" {split if of['train'] else 'train'!r}, give another number"
        )
    computed = feature.load([c[0] for c in chosen], [c[0] for c in of["train"]], features, dt_s)
    return Dataset(
        name=f"{SOURCE.name}/{'takes' if speaker is None else f'without {speaker}'}/{split}",
        x=computed.x,
        y=np.array([label for _, label, _, _ in chosen], dtype=np.int64),
        classes=DIGITS,
        dt_s=dt_s,
        speaker=np.array([name for _, _, name, _ in chosen]),
        take=np.array([take for _, _, _, take in chosen], dtype=np.int64),
        notes=(*computed.notes, *notes),
    )


def _split(clips: list[Clip], speaker: str | None, validation_takes: int) -> dict[str, list[Clip]]:
    who = sorted({name for _, _, name, _ in clips})
    if speaker is not None and speaker not in who:
        raise DataError(
            f"{SOURCE.name}: there is no speaker {speaker!r}, give one of {', '.join(who)}"
        )
    if not isinstance(validation_takes, int) or validation_takes < 0:
        raise DataError(f"{SOURCE.name}: validation_takes is {validation_takes!r}, give 0 or more")
    first = TEST_TAKES if speaker is None else 0

    def part(name: str, take: int) -> str:
        if name == speaker or (speaker is None and take < TEST_TAKES):
            return "test"
        return "val" if take < first + validation_takes else "train"

    return {which: [c for c in clips if part(c[2], c[3]) == which] for which in SPLITS}


def _list(folder: Path) -> tuple[list[Clip], tuple[str, ...]]:
    """Return path, digit, speaker and take of every clip, in the order of the names."""
    clips = []
    for path in sorted(folder.glob("*")):
        if path.suffix not in (".wav", ".flac"):
            continue
        digit, _, rest = path.stem.partition("_")
        name, _, take = rest.rpartition("_")
        if not (digit.isdecimal() and len(digit) == 1 and name and take.isdecimal()):
            raise FileFormatError(
                f"{path}: its name is not DIGIT_SPEAKER_TAKE, rename it so or move it away"
            )
        clips.append((path, int(digit), name, int(take)))
    if not clips:
        raise FileFormatError(f"{folder}: holds no .wav or .flac clip, get the data anew")
    short = f"{len(clips)} clips, of {COUNT} published"
    return clips, (() if len(clips) == COUNT else (short,))
