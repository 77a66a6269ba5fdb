"""Spikes as events in HDF5, in the layout of SHD and SSC.

``/spikes/times`` and ``/spikes/units`` hold an array of its own length for each sample, times in
seconds and channels; ``/labels`` a number for each, ``/extra/keys`` the word of each number,
``/extra/speaker`` who spoke (``snn2hw encode`` adds names, ``/extra/meta_info/speaker``). Cramer
et al. 2022, doi 10.1109/TNNLS.2020.3044364.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from snn2hw.errors import DataError, FileFormatError

CHANNELS = 700
CLASSES_MAX = 1 << 16
"""Of a file that names no words."""
DAMAGED = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Events:
    """The spikes of some samples, one after another.

    Attributes:
        times: (events,) seconds, in the type of the file (SHD's comparisons depend on it).
        units: (events,) int64, channel from 0.
        sample: (events,) int64, index of the sample from 0.
        samples: how many samples there are.
    """

    times: NDArray[np.floating]
    units: NDArray[np.int64]
    sample: NDArray[np.int64]
    samples: int


@dataclass(frozen=True)
class Labels:
    """What a file says about its samples.

    Attributes:
        y: (samples,) int64, index into classes.
        classes: a word for each label; its number where the file has no words, as a note says.
        speaker: (samples,) str; None: not in the file.
        notes: what was repaired.
    """

    y: NDArray[np.int64]
    classes: tuple[str, ...]
    speaker: NDArray[np.str_] | None
    notes: tuple[str, ...]


def read_labels(path: Path, unlabelled: str | None = None) -> Labels:
    """Read labels, words and speakers.

    Args:
        path: the file.
        unlabelled: what to do about a file without labels; None: it is damaged.

    Raises:
        FileFormatError: the file is truncated or not in this layout, labels are no whole numbers,
            or go beyond the words.
        DataError: there is no such file.
    """
    with _open(path) as file:
        try:
            count = len(file["spikes/times"])
            if unlabelled is not None and "labels" not in file:
                raise FileFormatError(f"{path}: has no labels; {unlabelled}")
            labels = np.asarray(file["labels"][()])
            keys = [_text(key) for key in file["extra/keys"][()]] if "extra/keys" in file else []
            speaker = file["extra/speaker"][()] if "extra/speaker" in file else None
            named = "extra/meta_info/speaker" in file
            people = [_text(name) for name in file["extra/meta_info/speaker"]] if named else []
        except DAMAGED as error:
            raise _damaged(path, error) from error
    if labels.shape != (count,) or labels.dtype.kind not in "ui":
        raise FileFormatError(
            f"{path}: has {count} samples and labels of shape {labels.shape} and type"
            f" {labels.dtype}, give a whole number for each"
        )
    if speaker is not None and (speaker.shape != (count,) or speaker.dtype.kind not in "ui"):
        raise FileFormatError(
            f"{path}: has {count} samples and speakers of shape {speaker.shape} and type"
            f" {speaker.dtype}, give a whole number for each"
        )
    classes = max(int(labels.max(initial=0)) + 1, len(keys))
    notes: tuple[str, ...] = ()
    if not keys and classes <= CLASSES_MAX:
        keys = [str(number) for number in range(classes)]
        notes = (f"{path.name} names no words: classes are called by their numbers",)
    if int(labels.min(initial=0)) < 0 or classes > len(keys):
        raise FileFormatError(
            f"{path}: labels run from {labels.min()} to {labels.max()} and it names {len(keys)}"
            " words, it is damaged: get it anew"
        )
    who = None if speaker is None else speaker.astype(np.str_)
    if speaker is not None and people and set(speaker.tolist()) <= set(range(len(people))):
        who = np.array(people)[speaker]
    return Labels(labels.astype(np.int64), tuple(keys), who, notes)


def read_events(path: Path, chunk: int = 128, channels: int = CHANNELS) -> Iterator[Events]:
    """Read the spikes of a file, some samples at a time, for all would take gigabytes.

    Args:
        path: the file.
        chunk: samples at a time.
        channels: units are 0 to channels - 1.

    Yields:
        Events of the next samples.

    Raises:
        FileFormatError: the file is truncated or not in this layout, or a sample has a time that is
            negative or not finite, a channel out of range, or not as many times as units.
        DataError: there is no such file.
    """
    with _open(path) as file:
        try:
            all_times, all_units = file["spikes/times"], file["spikes/units"]
            count = len(all_times)
            if len(all_units) != count:
                raise ValueError(f"{count} samples of times and {len(all_units)} of units")
        except DAMAGED as error:
            raise _damaged(path, error) from error
        for start in range(0, count, chunk):
            try:
                times = [_array(t) for t in all_times[start : start + chunk]]
                units = [_array(u) for u in all_units[start : start + chunk]]
            except DAMAGED as error:
                raise _damaged(path, error) from error
            yield _joined(path, start, times, units, channels)


def _array(values: Any) -> NDArray[Any]:
    """Return the times or units of a sample; raise ValueError for anything but a row of numbers."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "uif":
        raise ValueError(f"a sample is of shape {array.shape} and type {array.dtype}")
    return array


def _joined(
    path: Path,
    start: int,
    times: list[NDArray[Any]],
    units: list[NDArray[Any]],
    channels: int,
) -> Events:
    lengths = np.array([len(t) for t in times])
    other = np.array([len(u) for u in units])
    if np.any(lengths != other):
        k = int(np.argmax(lengths != other))
        raise FileFormatError(
            f"{path}: sample {start + k} has {lengths[k]} times and {other[k]} units, get it anew"
        )
    sample = np.repeat(np.arange(len(times)), lengths)
    time, unit = np.concatenate(times), np.concatenate(units)
    if time.dtype.kind != "f":
        time = time.astype(np.float64)
    if unit.dtype.kind not in "ui":
        if np.any(unit != np.rint(unit)):
            raise FileFormatError(f"{path}: a unit is not a whole number, get it anew")
        unit = unit.astype(np.int64)
    wrong = ~(np.isfinite(time) & (time >= 0))
    if np.any(wrong):
        k = int(np.argmax(wrong))
        raise FileFormatError(
            f"{path}: sample {start + sample[k]} has a spike at {time[k]} s, times must be finite"
            " and not negative: get it anew"
        )
    outside = (unit < 0) | (unit >= channels)
    if np.any(outside):
        k = int(np.argmax(outside))
        raise FileFormatError(
            f"{path}: sample {start + sample[k]} has a spike in channel {unit[k]}, channels are 0"
            f" to {channels - 1}: get it anew"
        )
    return Events(time, unit.astype(np.int64), sample, len(times))


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> FileFormatError:
    reason = str(error).splitlines()[0] if str(error) else repr(error)
    return FileFormatError(
        f"{path}: truncated, or not HDF5 in the layout of SHD ({reason}), delete it and get it anew"
    )


def _text(key: Any) -> str:
    return key.decode("utf-8") if isinstance(key, bytes) else str(key)
