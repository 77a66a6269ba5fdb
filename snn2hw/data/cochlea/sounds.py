"""Which sounds there are, what is said in them and by whom, and their samples."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.data import recordings
from snn2hw.errors import DataError, FileFormatError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")

SPEAKER_FIRST = ("NO", "nohash")
"""Second parts of names whose first part is the speaker: Arabic and Google's Speech Commands."""


@dataclass(frozen=True)
class Sound:
    """A file of sound.

    Attributes:
        path: where it lies.
        name: what it is called within its folder or list; its random numbers follow from it.
        word: what is said; None: not known.
        speaker: who says it; None: not known.
    """

    path: Path
    name: str
    word: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Header:
    """What a file says about itself: samples of each channel, sampling rate, channels."""

    samples: int
    rate_hz: int
    channels: int


def find_sounds(sources: Sequence[Path], words: Sequence[str] | None = None) -> list[Sound]:
    """List sounds, sorted by name within each source.

    A source is a file of sound; a folder, all of whose sounds are taken but for those in folders
    that begin with "_" or "."; or a list, a .csv with the columns file (from its own folder; .wav
    may stand for .flac) and, perhaps, class. What is said is the class, the name of the folder
    where there are several, or else what the names say, if all do: of WORD_SPEAKER_TAKE
    (7_jackson_32.flac) the first part, of SPEAKER_NO_TAKE and HASH_nohash_N the folder they lie in.
    Who says it is the second part of WORD_SPEAKER_TAKE, unless folders say the words by other
    names, and otherwise the first part of names divided by "_". A sound's name is its path within
    its folder, as its list has it, or for a single file the file's name, so that it does not depend
    on where all of it lies.

    Args:
        sources: files, folders and lists.
        words: only sounds of these.

    Raises:
        DataError: a source that is not there, no sound at all, or none of one of the words; a word
            that is there twice; a sound beside folders of words, or a name that is not UTF-8.
        FileFormatError: a list without the column file, or with a class that is empty.
    """
    check_words(words)
    sounds: list[Sound] = []
    for source in sources:
        if source.is_dir():
            sounds += _in_folder(source)
        elif source.suffix.lower() == ".csv":
            sounds += _in_list(source)
        elif source.is_file():
            sounds.append(Sound(source, source.name))
        else:
            raise DataError(f"{source}: no such file or folder")
    for sound in sounds:
        _check_text(sound)
    if words is not None:
        missing = [word for word in words if all(sound.word != word for sound in sounds)]
        if missing:
            raise DataError(f"no sound of the word {missing[0]!r}; name folders or classes")
        sounds = [sound for sound in sounds if sound.word in words]
    if not sounds:
        names = " ".join(map(str, sources))
        raise DataError(f"{names}: no sound in it; give {', '.join(SUFFIXES)} files")
    return sounds


def check_words(words: Sequence[str] | None) -> None:
    """Raise DataError for a word that is there twice, or that is empty."""
    for k, word in enumerate(words or ()):
        if not word:
            raise DataError("one of the words is empty; give a name between two commas")
        if word in (words or ())[:k]:
            raise DataError(f"the word {word!r} is there twice; give each once")


def _is_take(stem: str) -> bool:
    """Whether a name has three parts, the last a number."""
    part = stem.split("_")
    return len(part) == 3 and all(part) and part[2].isdecimal()


def _states_word(stem: str) -> bool:
    """Whether a name is WORD_SPEAKER_TAKE, and not SPEAKER_NO_TAKE or HASH_nohash_N."""
    return _is_take(stem) and stem.split("_")[1] not in SPEAKER_FIRST


def _leaves_word(stem: str) -> bool:
    """Whether a name is SPEAKER_NO_TAKE or HASH_nohash_N, whose word is that of the folder."""
    return _is_take(stem) and stem.split("_")[1] in SPEAKER_FIRST


def _speaker(stem: str) -> str | None:
    part = stem.split("_")
    return part[1] if _states_word(stem) else part[0] or None if len(part) > 1 else None


def _in_folder(folder: Path) -> list[Sound]:
    paths = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    paths = [p for p in paths if not any(part.startswith(("_", ".")) for part in p.parts)]
    if len({path.parent for path in paths}) > 1:
        return [_in_word_folder(folder, path) for path in paths]
    stated = all(_states_word(path.stem) for path in paths)
    left = all(_leaves_word(path.stem) for path in paths)
    sounds = []
    for path in paths:
        word = None
        if stated:
            word = path.stem.split("_")[0]
        elif left:
            word = (folder / path).resolve().parent.name or None
        sounds.append(Sound(folder / path, path.as_posix(), word, _speaker(path.stem)))
    return sounds


def _in_word_folder(folder: Path, path: Path) -> Sound:
    """A sound of a folder of several words."""
    word = path.parent.name
    if not word:
        raise DataError(
            f"{folder / path}: lies beside folders of words and has none; move it into one of them,"
            " or away"
        )
    first, *more = path.stem.split("_")
    # in WORD/SPEAKER_SESSION_TAKE the first part is the speaker, in WORD/WORD_SPEAKER_TAKE not
    speaker = _speaker(path.stem) if first == word else first or None if more else None
    return Sound(folder / path, path.as_posix(), word, speaker)


def _in_list(table: Path) -> list[Sound]:
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileFormatError(f"{table}: is not a table of text ({error})") from error
    sounds = []
    for number, row in enumerate(rows, 2):
        name = row.get("file")
        if not name:
            raise FileFormatError(f"{table}: line {number} has no column file, give one")
        word = row.get("class")
        if "class" in row and not (word or "").strip():
            raise FileFormatError(
                f"{table}: line {number}: the class of {name} is empty; give what is said, or leave"
                " the column out"
            )
        path = table.parent / name
        found = next((p for p in (path, path.parent / f"{path.stem}.flac") if p.is_file()), None)
        if found is None:
            raise DataError(f"{table}: line {number}: {path} is not there")
        sounds.append(Sound(found, name, word, _speaker(path.stem)))
    return sorted(sounds, key=lambda sound: sound.name)


def _check_text(sound: Sound) -> None:
    """Refuse names that neither soundfile nor the output could take."""
    for text in (str(sound.path), sound.name, sound.word or "", sound.speaker or ""):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(sound.path).decode("utf-8", "backslashreplace")
            raise DataError(f"{shown}: its name is not UTF-8; rename it") from None


def read_header(path: Path) -> Header:
    """Length, rate and channels, without the samples.

    Raises:
        FileFormatError: it is not sound, or does not say its length.
        MissingDependencyError: the [audio] extra is not installed.
    """
    soundfile = recordings.import_soundfile()
    try:
        said = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise recordings.unreadable(path, error) from error
    if said.frames >= recordings.LEFT_OPEN:
        raise FileFormatError(f"{path}: does not say its length, write it anew")
    return Header(said.frames, said.samplerate, said.channels)


def read_samples(path: Path) -> tuple[NDArray[np.floating], int]:
    """Samples, channels mixed to their mean, float64 (n,), and the sampling rate in Hz.

    Raises what `snn2hw.data.recordings.read_samples` raises.
    """
    samples, rate_hz = recordings.read_samples(path, dtype="float64")
    return samples.mean(1), rate_hz
