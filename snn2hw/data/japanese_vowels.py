"""Japanese Vowels: nine speakers by two vowels, as real-valued frames or as spikes.

270 training and 370 test utterances of /ae/ by nine men, each 7 to 29 frames of 12 LPC cepstral
coefficients; the class is the speaker. Recorded at 10 kHz, frames of 25.6 ms every 6.4 ms. Source:
Kudo, Toyama, Shimbo, "Multidimensional curve classification using passing-through regions",
Pattern Recognition Letters 20 (1999) 1103; UCI archive. The files are those that the sktime
package carries; a folder $SNN2HW_DATA/japanese_vowels with the two .ts files comes first.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.data.base import Dataset, check_split, data_folder
from snn2hw.errors import DataError, FileFormatError, MissingDependencyError

SPLITS = ("train", "test")
CHANNELS = 12
MAX_STEPS = 29
DT_S = 6.4e-3
CLASSES = tuple(f"speaker {k}" for k in range(1, 10))

FIELDS_PER_CHANNEL = 12
FIRING_FIELDS = 6


def load(split: str) -> Dataset:
    """Load a split as real-valued frames.

    Args:
        split: "train" or "test".

    Returns:
        Dataset with x float32 (270 or 370, 29, 12), dimensionless cepstral coefficients, zero
        after each utterance's `length`.

    Raises:
        DataError: an unknown split.
        MissingDependencyError: neither the sktime package nor a folder with the files is there.
        FileFormatError: a file that is not what its name says.
    """
    check_split(split, SPLITS, "japanese_vowels")
    return _load_file(_find_file(f"JapaneseVowels_{split.upper()}.ts"), split)


def encode(data: Dataset, reference: Dataset) -> Dataset:
    """Turn real-valued frames into spikes by a population code.

    Each channel has 12 neurons in a row, of which 6 neighbours fire in every step: the first 6 for
    the lowest values, the last 6 for the highest. So there are 7 sets, and the values at which the
    set moves up by one are the 1/7, ... 6/7 quantiles of that channel over all frames of
    `reference`, whence each set is equally frequent. Neighbouring values share most of their
    neurons. Each frame gives 72 spikes among 144 neurons, each padding step none; there is no
    randomness.

    Args:
        data: real-valued frames, x (batch, time, channels), with `length`.
        reference: the training split; its frames alone set the receptive fields.

    Returns:
        Dataset with x uint8 0 or 1, (batch, time, 12 * channels); neuron 12 c + k is
        the k-th field of channel c.

    Raises:
        DataError: the two have different channels, or lack `length`.
    """
    edges = receptive_edges(reference)
    if data.length is None or data.x.shape[2] != edges.shape[0]:
        raise DataError(
            f"{data.name}: has {data.x.shape[2]} channels, give frames with a length and"
            f" {edges.shape[0]} channels, as {reference.name} has"
        )
    x = np.asarray(data.x, dtype=np.float64)
    first = (x[..., None] >= edges).sum(-1)  # (batch, time, channels), first firing field
    field = np.arange(FIELDS_PER_CHANNEL)
    spikes = (field >= first[..., None]) & (field < first[..., None] + FIRING_FIELDS)
    spikes &= _is_frame(data)[..., None, None]
    return Dataset(
        name=f"{data.name}/spikes",
        x=spikes.reshape(*x.shape[:2], -1).astype(np.uint8),
        y=data.y,
        classes=data.classes,
        dt_s=data.dt_s,
        length=data.length,
        speaker=data.speaker,
    )


def receptive_edges(reference: Dataset) -> NDArray[np.float64]:
    """Return the values at which the set of firing fields moves up by one.

    These are the quantiles that `encode` describes.

    Args:
        reference: real-valued training frames with `length`.

    Returns:
        (channels, 6) float64, ascending, in the units of x.

    Raises:
        DataError: reference lacks `length`.
    """
    frames = np.asarray(reference.x, dtype=np.float64)[_is_frame(reference)]
    sets = FIELDS_PER_CHANNEL - FIRING_FIELDS + 1
    return np.quantile(frames, np.arange(1, sets) / sets, axis=0).T


def load_spikes(split: str) -> Dataset:
    """Load a split as spikes: `encode` of `load`, with the training split as reference.

    Args:
        split: "train" or "test".

    Returns:
        Dataset with x uint8 0 or 1, (270 or 370, 29, 144).

    Raises:
        As `load`.
    """
    return encode(load(split), load("train"))


def _is_frame(data: Dataset) -> NDArray[np.bool_]:
    if data.length is None:
        raise DataError(f"{data.name}: has no length, give real-valued frames with one")
    return np.arange(data.x.shape[1]) < data.length[:, None]


def _find_file(name: str) -> Path:
    root = data_folder()
    own = root / "japanese_vowels" / name if root is not None else None
    if own is not None and own.is_file():
        return own
    # find_spec only locates the package: importing sktime takes seconds and is not needed
    package = importlib.util.find_spec("sktime")
    if package is None or package.origin is None:
        looked = f"not in {own} and " if own is not None else ""
        raise MissingDependencyError(
            f"japanese_vowels: {name} is {looked}not in the sktime package, which is not"
            " installed: run pip install 'snn2hw[examples]'"
        )
    path = Path(package.origin).parent / "datasets" / "data" / "JapaneseVowels" / name
    if not path.is_file():
        raise DataError(
            f"japanese_vowels: looked for {path} and found none,"
            " install an sktime release that carries it (tested: 1.2.0)"
        )
    return path


@lru_cache(maxsize=len(SPLITS))
def _load_file(path: Path, split: str) -> Dataset:
    """Read a .ts file: a header up to @data, then a line an utterance.

    A line holds the 12 channels and the label, divided by colons; a channel its values, divided by
    commas. The result is shared between calls, so its arrays are made read-only.
    """
    rows, labels = [], []
    _, found, body = path.read_text(encoding="utf-8").partition("@data\n")
    if not found:
        raise FileFormatError(f"{path}: has no line @data, it is not a .ts file: get it anew")
    for number, line in enumerate(body.splitlines(), 1):
        *channels, label = line.split(":")
        try:
            row = np.array([c.split(",") for c in channels], dtype=np.float32)
            labels.append(int(label) - 1)
        except ValueError as error:
            raise FileFormatError(f"{path}: utterance {number} is broken: {error}") from error
        if row.shape[0] != CHANNELS or not 1 <= row.shape[1] <= MAX_STEPS:
            raise FileFormatError(
                f"{path}: utterance {number} has shape {row.shape},"
                f" expected {CHANNELS} channels of 1 to {MAX_STEPS} frames: get the file anew"
            )
        rows.append(row)
    x = np.zeros((len(rows), MAX_STEPS, CHANNELS), dtype=np.float32)
    for k, row in enumerate(rows):
        x[k, : row.shape[1]] = row.T
    length = np.array([row.shape[1] for row in rows], dtype=np.int64)
    y = np.array(labels, dtype=np.int64)
    for array in (x, y, length):
        array.flags.writeable = False
    return Dataset(f"japanese_vowels/{split}", x, y, CLASSES, DT_S, length)
