"""What a data set is, and where its files are looked for."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.errors import DataError

DATA_VARIABLE = "SNN2HW_DATA"


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a classification data set: sequences of equal length and their labels.

    Attributes:
        name: data set and split, as "japanese_vowels/train".
        x: (batch, time, channels) or more axes of channels; uint8 0 or 1 for spikes, float32 for
            real-valued input.
        y: (batch,) int64, index into `classes`.
        classes: name of each class.
        dt_s: time between two steps of x, in seconds.
        length: (batch,) int64, steps of each sequence before its padding; None: no padding.
        speaker: (batch,) str, who spoke; None: not known.
        take: (batch,) int64, which of a speaker's recordings of the class; None: not known.
        notes: what was repaired on the way, a sentence each.

    Raises:
        DataError: the arrays do not fit each other, or a label has no class.
    """

    name: str
    x: NDArray[np.number]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    dt_s: float
    length: NDArray[np.int64] | None = field(default=None)
    speaker: NDArray[np.str_] | None = field(default=None)
    take: NDArray[np.int64] | None = field(default=None)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        if self.x.ndim < 3 or self.y.shape != self.x.shape[:1]:
            raise DataError(
                f"{self.name}: x has shape {self.x.shape} and y {self.y.shape},"
                " give (batch, time, channels) and (batch,)"
            )
        if len(self.y) and not (self.y.min() >= 0 and self.y.max() < len(self.classes)):
            raise DataError(
                f"{self.name}: labels run from {self.y.min()} to {self.y.max()},"
                f" give 0 to {len(self.classes) - 1}"
            )
        for what in ("length", "speaker", "take"):
            values = getattr(self, what)
            if values is not None and values.shape != self.y.shape:
                raise DataError(
                    f"{self.name}: {what} has shape {values.shape}, give {self.y.shape}"
                )

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.y)

    def sha256(self) -> str:
        """Return the SHA-256 of x and y (shapes, types, bytes), to name the data in a result."""
        digest = hashlib.sha256()
        for array in (self.x, self.y):
            digest.update(f"{array.shape} {array.dtype.str} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def check_split(split: str, known: tuple[str, ...], where: str) -> None:
    """Raise DataError unless split is one of the known names."""
    if split not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise DataError(f"{where}: there is no split {split!r}, give one of {names}")


def data_folder() -> Path | None:
    """Return the folder that the environment variable SNN2HW_DATA names; None where unset."""
    value = os.environ.get(DATA_VARIABLE, "")
    return Path(value).expanduser() if value else None


def find_data(name: str, how: str) -> Path:
    """Return the folder $SNN2HW_DATA/name.

    Args:
        name: folder of the data set.
        how: where the data come from, for the message.

    Raises:
        DataError: SNN2HW_DATA is not set, or the folder is not there; says how to get the data.
    """
    root = data_folder()
    if root is None:
        raise DataError(
            f"{name}: the environment variable {DATA_VARIABLE} is not set,"
            f" set it to the folder that holds {name}/ ({how})"
        )
    path = root / name
    if not path.is_dir():
        raise DataError(f"{name}: looked for the folder {path} and found none, put it there: {how}")
    return path
