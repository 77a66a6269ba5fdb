"""The data set type, and what importing the data modules must not do."""

import re
import subprocess
import sys

import numpy as np
import pytest

from snn2hw.data import DATASETS, Dataset
from snn2hw.errors import DataError


def make(**changes):
    parts = {
        "name": "toy",
        "x": np.zeros((2, 3, 4), np.uint8),
        "y": np.array([0, 1]),
        "classes": ("a", "b"),
        "dt_s": 1e-3,
    }
    return Dataset(**{**parts, **changes})


def test_length_and_hash():
    data = make()
    assert len(data) == 2
    assert data.sha256() == make().sha256()
    changed = [
        make(y=np.array([1, 0])),
        make(x=np.ones((2, 3, 4), np.uint8)),
        make(x=np.zeros((2, 4, 3), np.uint8)),
        make(x=np.zeros((2, 3, 4), np.int8)),
    ]
    assert len({data.sha256(), *(other.sha256() for other in changed)}) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x": np.zeros((2, 3))},
            "toy: x has shape (2, 3) and y (2,), give (batch, time, channels)",
        ),
        ({"y": np.array([0])}, "toy: x has shape (2, 3, 4) and y (1,)"),
        ({"y": np.array([0, 2])}, "toy: labels run from 0 to 2, give 0 to 1"),
        ({"y": np.array([-1, 0])}, "toy: labels run from -1 to 0, give 0 to 1"),
        ({"length": np.array([3])}, "toy: length has shape (1,), give (2,)"),
        ({"speaker": np.array(["x"])}, "toy: speaker has shape (1,), give (2,)"),
    ],
)
def test_parts_that_do_not_fit(changes, message):
    with pytest.raises(DataError, match=re.escape(message)):
        make(**changes)


def test_more_axes_of_channels():
    assert make(x=np.zeros((2, 3, 3, 40), np.float32)).x.shape == (2, 3, 3, 40)


def test_data_sets_by_name():
    assert set(DATASETS) == {
        "arabic_speech_commands",
        "free_spoken_digits",
        "google_speech_commands",
        "japanese_vowels",
        "shd",
        "spike_files",
        "ssc",
    }
    for name, load in DATASETS.items():
        assert load.__module__ == f"snn2hw.data.{name}"


def test_importing_snn2hw_and_its_data_is_light():
    code = (
        "import sys, snn2hw, snn2hw.data\n"
        "heavy = {'torch', 'librosa', 'sktime', 'soundfile', 'pooch', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
