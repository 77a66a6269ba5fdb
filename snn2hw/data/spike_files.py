"""Spike files of one's own in the layout of SHD, such as `snn2hw encode` writes, as a data set."""

from __future__ import annotations

from pathlib import Path

from snn2hw.data.base import Dataset, data_folder
from snn2hw.data.events import read_labels
from snn2hw.data.spike_counts import count_file
from snn2hw.errors import DataError, FileFormatError

UNLABELLED = "encode folders or a list with classes"


def load(
    split: str,
    *,
    folder: str,
    channels: int = 700,
    binning: str = "floor",
    steps: int = 50,
    window_s: float = 1.0,
) -> Dataset:
    """Load the file ``FOLDER/SPLIT.h5`` as counts of spikes in steps.

    Args:
        split: name of the file without its suffix.
        folder: where it lies: a path, or a folder of $SNN2HW_DATA.
        channels: units are 0 to channels - 1; up to 2**20.
        binning: "gpn", "digitize" or "floor", see `snn2hw.data.binning`.
        steps: how many.
        window_s: what they cover, in seconds; later spikes are left out, and a note says how many.

    Returns:
        Dataset with x uint8, or uint16 where a count is above 255, (samples, steps, channels);
            speaker as the file names them.

    Raises:
        DataError: there is no such file, or an argument is out of its range.
        FileFormatError: it is damaged, not of this layout, has no labels, or its words are not
            those of train.h5 beside it.
    """
    path = _find(Path(folder), f"{split}.h5")
    labels = read_labels(path, UNLABELLED)
    train = path.with_name("train.h5")
    if train.is_file() and read_labels(train, UNLABELLED).classes != labels.classes:
        raise FileFormatError(
            f"{path}: its words are not those of {train}, so that labels mean others; write it anew"
            " with `--words`"
        )
    name = f"{path.parent.name}/{split}"
    return count_file(path, name, labels, None, binning, steps, window_s, channels)


def _find(folder: Path, name: str) -> Path:
    root = data_folder()
    tried = [folder / name] + ([root / folder / name] if root is not None else [])
    for path in tried:
        if path.is_file():
            return path
    raise DataError(
        f"spike_files: looked for {' and '.join(map(str, tried))} and found none; write it with"
        " 'snn2hw encode SOUNDS -o FILE'"
    )
