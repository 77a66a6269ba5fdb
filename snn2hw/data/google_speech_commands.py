"""Google Speech Commands: 35 spoken words (30 in the first version), as log-mel features.

Version 1: 64,721 clips and 6 of noise; version 2: 105,829; of up to one second at 16 kHz.
CC BY 4.0; Warden 2018, arXiv 1804.03209. The folder google_speech_commands/v2 (or v1) is the
archive unpacked: a folder a word, ``_background_noise_``, ``validation_list.txt`` and
``testing_list.txt``, which divide the clips by speaker; v2_test (v1_test) is the separate test set
of the task of 12 classes.

Clips are brought to 8 kHz, as all of this package: the bands end at 4 kHz, where s2net's do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.arguments import check_seed
from snn2hw.data import audio, recordings
from snn2hw.data import features as feature
from snn2hw.data.base import Dataset, check_split
from snn2hw.data.download import locate
from snn2hw.data.sources import GOOGLE
from snn2hw.errors import DataError, FileFormatError

SPLITS = ("train", "val", "test")
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SILENCE, UNKNOWN = "_silence_", "_unknown_"
NOISE = "_background_noise_"
NEW_WORDS = ("backward", "follow", "forward", "learn", "visual")
OTHERS = ("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow")
WORDS = tuple(sorted((*COMMANDS, *DIGITS, *NEW_WORDS, *OTHERS)))
COUNTS = {1: (64_721, 64_727), 2: (105_829,)}
TEST_COUNTS = {1: 3_081, 2: 4_890}
NOISE_PARTS = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}

Clip = Path | audio.Cut


def load(
    split: str,
    task: str = "commands",
    version: int = 2,
    features: str = "log_mel",
    dt_s: float = audio.DT_S,
    unknown: float = 0.1,
    silence: float = 0.1,
    test_set: str = "lists",
    seed: int = 0,
    *,
    download: bool = False,
) -> Dataset:
    """Load a split as features, standardised by the training clips of the same task.

    Args:
        split: "train", "val" or "test", by the official lists.
        task: "commands": ten words, silence and the rest, 12 classes; "core": the ten commands, the
            ten digits and the rest, 21 classes; "all": 35 words (version 1: 30).
        version: 1 or 2.
        features: "log_mel" or "log_mel_deltas", as `snn2hw.data.features` defines them.
        dt_s: 0.02, or 0.01 for twice the steps.
        unknown: clips of the rest for each clip of the words, drawn from all there are; a number
            beyond that (infinity, in YAML .inf) takes all.
        silence: seconds of background noise for each clip of the words, "commands" alone, from
            random places in the first 80 % of each recording ("train"), the next 10 % ("val") and
            the last ("test").
        test_set: "lists", or for "commands" "archive", the separate test set with its own unknown
            and silence; it sets split "test" alone.
        seed: which clips of the rest and which seconds of noise.
        download: get the data (v2: 2.4 GB, v1: 1.5 GB) from the network if they are not at hand.

    Returns:
        Dataset with x float32 (clips, 50 or 100, 40), with deltas (clips, 50 or 100, 3, 40),
        dimensionless; speaker as in the file names, "" for noise; take.

    Raises:
        DataError: an argument out of its range, or the data are not at hand.
        ParameterError: a seed out of its range.
        FileFormatError: a list or a clip that cannot be read, or clips that are missing.
        MissingDependencyError: the [audio] extra is not installed.
    """
    check_split(split, SPLITS, GOOGLE.name)
    check_seed(seed, GOOGLE.name)
    classes = _classes(task, version, test_set)
    for name, value in (("unknown", unknown), ("silence", silence)):
        if not value >= 0 or (name == "silence" and value == math.inf):
            raise DataError(f"{GOOGLE.name}: {name} is {value}, give a ratio of 0 or more")
    folder = f"v{version}"
    root = locate(GOOGLE, folder, download=download) / folder
    files, found = _list_files(root, version)
    notes: tuple[str, ...] = ()
    if found not in COUNTS[version]:
        notes = (f"{found} clips, of {COUNTS[version][0]} published",)

    def choose(which: str) -> tuple[list[Clip], NDArray[np.int64]]:
        return _choose(root, files[which], classes, unknown, silence, which, seed)

    reference, _ = choose("train")
    if split == "test" and test_set == "archive":
        apart = locate(GOOGLE, f"{folder}_test", download=download) / f"{folder}_test"
        clips, labels = _list_archive(apart, classes)
        if len(clips) != TEST_COUNTS[version]:
            notes += (f"{len(clips)} test clips, of {TEST_COUNTS[version]} published",)
    else:
        clips, labels = choose(split)
    if not clips or not reference:
        raise FileFormatError(f"{root}: has no clip for this task and split, unpack it anew")
    computed = feature.load(clips, reference, features, dt_s)
    names = [clip.path.name if isinstance(clip, audio.Cut) else clip.name for clip in clips]
    return Dataset(
        name=f"{GOOGLE.name}/v{version}/{task}/{split}",
        x=computed.x,
        y=labels,
        classes=classes,
        dt_s=dt_s,
        speaker=np.array([_speaker(name) for name in names]),
        take=np.array([_take(name) for name in names], dtype=np.int64),
        notes=(*computed.notes, *notes),
    )


def words(version: int = 2) -> tuple[str, ...]:
    """Return the words of a version, 30 or 35, in alphabetical order."""
    return WORDS if version == 2 else tuple(word for word in WORDS if word not in NEW_WORDS)


def _classes(task: str, version: int, test_set: str) -> tuple[str, ...]:
    if version not in COUNTS:
        raise DataError(f"{GOOGLE.name}: there is no version {version!r}, give 1 or 2")
    tasks = {
        "commands": (*COMMANDS, SILENCE, UNKNOWN),
        "core": (*COMMANDS, *DIGITS, UNKNOWN),
        "all": words(version),
    }
    if task not in tasks:
        names = ", ".join(f'"{name}"' for name in tasks)
        raise DataError(f"{GOOGLE.name}: there is no task {task!r}, give one of {names}")
    if test_set not in ("lists", "archive") or (test_set == "archive" and task != "commands"):
        raise DataError(
            f'{GOOGLE.name}: test_set is {test_set!r} for task {task!r}, give "lists", or for'
            ' "commands" "archive"'
        )
    return tasks[task]


def _list_files(root: Path, version: int) -> tuple[dict[str, list[Path]], int]:
    """Return the clips of each split in the order of their names, and how many there are."""
    listed: dict[str, str] = {}
    for split, name in LISTS.items():
        table = root / name
        try:
            lines = table.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise FileFormatError(
                f"{table}: cannot be read ({error}), unpack the archive anew"
            ) from error
        listed.update({line.rpartition(".")[0]: split for line in lines})
    files: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for word in words(version):
        clips = sorted(p for p in (root / word).glob("*") if p.suffix in (".wav", ".flac"))
        if not clips:
            raise FileFormatError(f"{root}: has no clip of {word!r}, unpack the archive anew")
        for path in clips:
            files[listed.pop(f"{word}/{path.stem}", "train")].append(path)
    if listed:
        raise FileFormatError(
            f"{root}: {len(listed)} clips of its lists are missing, {next(iter(listed))} is one,"
            " unpack the archive anew"
        )
    return files, sum(map(len, files.values()))


def _choose(
    root: Path,
    files: Sequence[Path],
    classes: tuple[str, ...],
    unknown: float,
    silence: float,
    split: str,
    seed: int,
) -> tuple[list[Clip], NDArray[np.int64]]:
    """Return the clips of a split and task and their labels: words, the rest, noise."""
    clips: list[Clip] = [path for path in files if path.parent.name in classes]
    labels = [classes.index(path.parent.name) for path in files if path.parent.name in classes]
    number = len(clips)
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    if UNKNOWN in classes:
        rest = [path for path in files if path.parent.name not in classes]
        order = rng.permutation(len(rest))
        taken = order[: math.ceil(min(unknown * number, len(rest)))]
        clips += [rest[k] for k in taken]
        labels += [classes.index(UNKNOWN)] * len(taken)
    if SILENCE in classes and silence > 0:
        cuts = _noise(root, split, math.ceil(silence * number), rng)
        clips += cuts
        labels += [classes.index(SILENCE)] * len(cuts)
    return clips, np.array(labels, dtype=np.int64)


def _noise(root: Path, split: str, number: int, rng: np.random.Generator) -> list[audio.Cut]:
    """Return random seconds of background noise, from a part of each recording for each split."""
    first, last = NOISE_PARTS[split]
    places = []
    for path in sorted((root / NOISE).glob("*.wav")):
        samples, rate = recordings.length(path)
        if (last - first) * samples > rate:
            places.append((path, rate, int(first * samples), int(last * samples) - rate))
    if not places:
        raise FileFormatError(
            f"{root / NOISE}: has no recording of 10 s or more to cut silence from, unpack the"
            " archive anew or give silence 0"
        )
    cuts = []
    for which in rng.integers(0, len(places), number):
        path, rate, low, high = places[which]
        cuts.append(audio.Cut(path, int(rng.integers(low, high + 1)), rate))
    return cuts


def _list_archive(root: Path, classes: tuple[str, ...]) -> tuple[list[Clip], NDArray[np.int64]]:
    clips: list[Clip] = []
    labels: list[int] = []
    for label, word in enumerate(classes):
        found = sorted((root / word).glob("*.wav"))
        if not found:
            raise FileFormatError(f"{root}: has no clip of {word!r}, unpack the archive anew")
        clips += found
        labels += [label] * len(found)
    return clips, np.array(labels, dtype=np.int64)


def _speaker(name: str) -> str:
    return name.partition("_nohash_")[0] if "_nohash_" in name else ""


def _take(name: str) -> int:
    number = name.partition("_nohash_")[2].partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() else 0
