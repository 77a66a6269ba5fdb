"""Spiking Heidelberg Digits: spoken digits, English and German, as spikes in 700 channels.

20 classes, 12 speakers; 8156 training and 2264 test utterances (an older release has 8332 and
2088), speakers 4 and 5 in the test alone. CC BY 4.0; Cramer et al. 2022, doi
10.1109/TNNLS.2020.3044364; zenkelab.org/resources/spiking-heidelberg-datasets-shd. There is no
official validation split, so one is taken from the training utterances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snn2hw.arguments import check_seed
from snn2hw.data.base import Dataset, check_split
from snn2hw.data.download import locate
from snn2hw.data.events import Labels, read_labels
from snn2hw.data.sources import SHD
from snn2hw.data.spike_counts import check_count, count_file, usual_steps
from snn2hw.errors import DataError

SPLITS = ("train", "val", "test")
COUNTS = {"shd_train.h5": 8156, "shd_test.h5": 2264}
OLDER = {"shd_train.h5": 8332, "shd_test.h5": 2088}
GPN_STEPS = 20


def load(
    split: str,
    binning: str = "gpn",
    steps: int | None = None,
    window_s: float | None = None,
    validation: float | Sequence[int] = 0.15,
    seed: int = 0,
    *,
    download: bool = False,
) -> Dataset:
    """Load a split as counts of spikes in steps.

    Args:
        split: "train", "val" or "test".
        binning: "gpn", "digitize" or "floor", see `snn2hw.data.binning`.
        steps: how many; None: 20 for "gpn", else 100.
        window_s: what they cover, in seconds; None: 1.0 for "gpn", else 1.4.
        validation: the part of each class of the training utterances that is kept for "val"
            (GPN's authors: 0.15), or the speakers kept for it, as [3, 8]; 0: none.
        seed: which utterances a fraction takes.
        download: get the data (170 MB) from the network if they are not at hand.

    Returns:
        Dataset with x uint8, or uint16 where a count is above 255, (utterances, steps, 700);
        dt_s the step of the binning; speaker a number as text. Memory: utterances * steps * 700
        bytes, 160 MB of training data at 20 steps.

    Raises:
        DataError: an argument out of its range, or the data are not at hand.
        ParameterError: a seed out of its range.
        FileFormatError: a file that is damaged, or has another number of utterances.
    """
    check_split(split, SPLITS, "shd")
    check_seed(seed, "shd")
    name = "shd_test.h5" if split == "test" else "shd_train.h5"
    path = locate(SHD, name, download=download) / name
    labels = read_labels(path)
    notes = check_count(path, len(labels.y), COUNTS[name], OLDER[name])
    chosen = None
    if split != "test":
        held = _validation(labels, validation, seed)
        chosen = held if split == "val" else ~held
    steps = usual_steps(binning, GPN_STEPS) if steps is None else steps
    data = count_file(path, f"shd/{split}", labels, chosen, binning, steps, window_s)
    return replace(data, notes=(*data.notes, *notes))


def _validation(labels: Labels, validation: float | Sequence[int], seed: int) -> NDArray[np.bool_]:
    """Return which training utterances are for validation."""
    if not isinstance(validation, int | float):
        if not isinstance(validation, Sequence) or not all(type(s) is int for s in validation):
            raise DataError(
                f"shd: validation is {validation!r}, give a fraction from 0 to below 1 or the"
                " numbers of speakers"
            )
        who = np.zeros(0, np.str_) if labels.speaker is None else labels.speaker
        there = sorted({int(speaker) for speaker in who})
        if not validation or not set(validation) < set(there):
            raise DataError(
                f"shd: validation speakers {list(validation)} are not some of those of the"
                f" training utterances, {there}; give some of them, or a fraction"
            )
        return np.isin(who, [str(speaker) for speaker in validation])
    if not 0 <= validation < 1:
        raise DataError(
            f"shd: validation is {validation}, give a fraction from 0 to below 1 or speakers"
        )
    held = np.zeros(len(labels.y), dtype=bool)
    rng = np.random.default_rng(seed)
    for label in range(len(labels.classes)):
        members = rng.permutation(np.flatnonzero(labels.y == label))
        # their rounding: the training part is rounded up
        held[members[int(np.ceil(round(len(members) * (1 - validation), 9))) :]] = True
    return held
