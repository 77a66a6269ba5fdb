"""Features of many clips, brought to one scale by the training clips.

- ``log_mel``: `audio.log_mel`; each band is shifted and scaled by its mean and standard deviation
  over all steps of the training clips, and clipped to -4 ... 4.
- ``log_mel_deltas``: `audio.log_mel_deltas`; each of the 3 x 40 channels is divided by its standard
  deviation over all steps of the training clips.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from snn2hw.data import audio
from snn2hw.errors import DataError

CLIP = 4.0

KINDS: dict[str, Callable[[NDArray[np.floating], float], NDArray[np.float32]]] = {
    "log_mel": audio.log_mel,
    "log_mel_deltas": audio.log_mel_deltas,
}


class Features(NamedTuple):
    """Features of clips, and a sentence for each repair of some of them."""

    x: NDArray[np.float32]
    notes: tuple[str, ...]


def load(
    clips: Sequence[Path | audio.Cut], reference: Sequence[Path | audio.Cut], kind: str, dt_s: float
) -> Features:
    """Read clips and compute their features, as the module's text says.

    About 1.5 ms a clip of "log_mel", 2 ms of "log_mel_deltas"; the last few lists of clips are
    kept by this process.

    Args:
        clips: what to read.
        reference: the training clips, which set the scale.
        kind: "log_mel" or "log_mel_deltas".
        dt_s: 0.02 or 0.01.

    Returns:
        (clips, 50 or 100, 40), or (clips, 50 or 100, 3, 40) with deltas, dimensionless; and notes.

    Raises:
        DataError: another kind or step, or a clip that is not there.
        FileFormatError: a clip that cannot be read.
        MissingDependencyError: the [audio] extra is not installed.
    """
    if kind not in KINDS:
        raise DataError(f"features: there are no {kind!r}, give one of {', '.join(KINDS)}")
    audio.frames_per_step(dt_s)
    mean, scale = _statistics(tuple(reference), kind, dt_s)
    values, notes = _features(tuple(clips), kind, dt_s)
    if kind == "log_mel":
        scaled = np.clip((values - mean) / np.where(scale > 0, scale, np.float32(1)), -CLIP, CLIP)
    else:
        scaled = values / np.where(scale > 0, scale, np.float32(1))
    return Features(np.asarray(scaled, dtype=np.float32), notes)


@lru_cache(maxsize=8)
def _statistics(
    clips: tuple[Path | audio.Cut, ...], kind: str, dt_s: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = _features(clips, kind, dt_s).x
    frames = values.reshape(-1, *values.shape[2:])
    # float64 sums, rounded once: the result must not depend on the order of summation
    mean, scale = frames.mean(0, dtype=np.float64), frames.std(0, dtype=np.float64)
    return mean.astype(np.float32), scale.astype(np.float32)


@lru_cache(maxsize=3)
def _features(clips: tuple[Path | audio.Cut, ...], kind: str, dt_s: float) -> Features:
    """Return the features before scaling; three splits of one set are kept, for they are large."""
    repairs: Counter[str] = Counter()
    bar = tqdm(clips, desc=kind, unit="clip", leave=False, disable=None)
    values = [KINDS[kind](audio.read_clip(clip, repairs), dt_s) for clip in bar]
    notes = tuple(f"{n} of {len(clips)} clips were {what}" for what, n in sorted(repairs.items()))
    return Features(np.stack(values), notes)
