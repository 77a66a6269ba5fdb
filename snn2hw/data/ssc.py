"""Spiking Speech Commands: Google's second version as spikes in 700 channels.

35 words; 75,466 training, 9981 validation and 20,382 test utterances. CC BY 4.0; Cramer et al.
2022, doi 10.1109/TNNLS.2020.3044364; zenkelab.org/resources/spiking-heidelberg-datasets-shd.
"""

from __future__ import annotations

from snn2hw.data.base import Dataset, check_split
from snn2hw.data.download import locate
from snn2hw.data.events import read_labels
from snn2hw.data.sources import SSC
from snn2hw.data.spike_counts import check_count, count_file, usual_steps

SPLITS = ("train", "val", "test")
FILES = {"train": "ssc_train.h5", "val": "ssc_valid.h5", "test": "ssc_test.h5"}
COUNTS = {"ssc_train.h5": 75466, "ssc_valid.h5": 9981, "ssc_test.h5": 20382}
GPN_STEPS = 60


def load(
    split: str,
    binning: str = "gpn",
    steps: int | None = None,
    window_s: float | None = None,
    *,
    download: bool = False,
) -> Dataset:
    """Load a split as counts of spikes in steps.

    Args:
        split: "train", "val" or "test".
        binning: "gpn", "digitize" or "floor", see `snn2hw.data.binning`.
        steps: how many; None: 60 for "gpn", else 100.
        window_s: what they cover, in seconds; None: 1.0 for "gpn", else 1.4.
        download: get the data (1.6 GB) from the network if they are not at hand.

    Returns:
        Dataset with x uint8, or uint16 where a count is above 255, (utterances, steps, 700);
        dt_s the step of the binning. Memory: utterances * steps * 700 bytes, 3.2 GB of training
        data at 60 steps.

    Raises:
        DataError: an argument out of its range, or the data are not at hand.
        FileFormatError: a file that is damaged, or has another number of utterances.
    """
    check_split(split, SPLITS, "ssc")
    name = FILES[split]
    path = locate(SSC, name, download=download) / name
    labels = read_labels(path)
    check_count(path, len(labels.y), COUNTS[name])
    steps = usual_steps(binning, GPN_STEPS) if steps is None else steps
    return count_file(path, f"ssc/{split}", labels, None, binning, steps, window_s)
