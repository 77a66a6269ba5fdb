"""Spike files of one's own in the layout of SHD, such as `snn2hw encode` writes, as a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snn2hw.data.base import Dataset, data_folder
from snn2hw.data.binning import bin_events, step_s
from snn2hw.data.events import read_events, read_labels
from snn2hw.errors import DataError


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
        channels: units are 0 to channels - 1.
        binning: "gpn", "digitize" or "floor", see `snn2hw.data.binning`.
        steps: how many.
        window_s: what they cover, in seconds; later spikes are left out, and a note says how many.

    Returns:
        Dataset with x uint16 (samples, steps, channels); speaker as the file names them.

    Raises:
        DataError: there is no such file, or an argument is out of its range.
        FileFormatError: it is damaged, or not of this layout, or has no labels.
    """
    path = _find(Path(folder), f"{split}.h5")
    labels = read_labels(path)
    dt_s = step_s(binning, steps, window_s)
    parts, spikes = [], 0
    for events in read_events(path, channels=channels):
        parts.append(bin_events(events, binning, steps, window_s, channels))
        spikes += len(events.times)
    x = np.concatenate(parts) if parts else np.zeros((0, steps, channels), dtype=np.uint16)
    lost = spikes - int(x.sum())
    said = f"{lost} of {spikes} spikes fall outside the {steps} steps of binning {binning!r}"
    return Dataset(
        name=f"{path.parent.name}/{split}",
        x=x,
        y=labels.y,
        classes=labels.classes,
        dt_s=dt_s,
        speaker=labels.speaker,
        notes=(*labels.notes, said) if lost else labels.notes,
    )


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
