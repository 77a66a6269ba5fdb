"""The spikes of a file in the layout of SHD as counts in steps: what its loaders share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn2hw.data import binning as bins
from snn2hw.data.base import Dataset
from snn2hw.data.events import CHANNELS, Labels, read_events
from snn2hw.errors import DataError, FileFormatError

COMMON_STEPS = 100
CHANNELS_MAX = 1 << 20
WINDOW_S = {"gpn": 1.0, "digitize": 1.4, "floor": 1.4}


def count_file(
    path: Path,
    name: str,
    labels: Labels,
    chosen: NDArray[np.bool_] | None,
    binning: str,
    steps: int,
    window_s: float | None,
    channels: int = CHANNELS,
) -> Dataset:
    """Count the spikes of the chosen samples of a file; None: of all. Raises what `load` does."""
    if not 1 <= channels <= CHANNELS_MAX:
        raise DataError(f"{name}: channels is {channels}, give 1 to {CHANNELS_MAX}")
    window = WINDOW_S.get(binning, 1.0) if window_s is None else window_s
    dt_s = bins.step_s(binning, steps, window)
    kept = np.ones(len(labels.y), dtype=bool) if chosen is None else chosen
    shape = int(kept.sum()), steps, channels
    try:
        x = np.zeros(shape, dtype=np.uint8)
    except MemoryError:
        raise DataError(
            f"{name}: {shape[0]} samples of {steps} steps and {channels} channels do not fit the"
            " memory, give fewer steps or channels"
        ) from None
    seen = written = spikes = counted = 0
    for events in read_events(path, channels=channels):
        here = kept[seen : seen + events.samples]
        counts = bins.bin_events(events, binning, steps, window, channels)[here]
        if counts.max(initial=0) > np.iinfo(x.dtype).max:
            x = x.astype(np.uint16)
        x[written : written + len(counts)] = counts
        spikes += int(here[events.sample].sum())
        counted += int(counts.sum())
        seen += events.samples
        written += len(counts)
    lost = spikes - counted
    said = f"{lost} of {spikes} spikes fall outside the {steps} steps of binning {binning!r}"
    notes = (said,) if lost else ()
    return Dataset(
        name=name,
        x=x,
        y=labels.y[kept],
        classes=labels.classes,
        dt_s=dt_s,
        speaker=None if labels.speaker is None else labels.speaker[kept],
        notes=(*labels.notes, *notes),
    )


def usual_steps(binning: str, gpn: int) -> int:
    """How many steps a binning has where nobody says; gpn: those of "gpn"."""
    return gpn if binning == "gpn" else COMMON_STEPS


def check_count(
    path: Path, found: int, published: int, older: int | None = None
) -> tuple[str, ...]:
    """Return notes on the number of samples; raise FileFormatError unless it is a published one."""
    if found == published:
        return ()
    if found == older:
        return (f"{path.name} is the older release: {older} utterances, not {published}",)
    raise FileFormatError(
        f"{path}: has {found} utterances and the published file {published}, it is another set or"
        " damaged: get it anew"
    )
