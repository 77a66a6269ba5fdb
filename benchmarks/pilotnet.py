"""PilotNet-LIF, lava-dl's own network (118 909 neurons), with its recorded input, for benchmarks.

The first 24 steps as Intel recorded them: 89 % of the 39 600 inputs fire at a step, about a tenth
of the neurons behind them. ``tests/test_netx_recordings.py`` shows that every value is Intel's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy.typing as npt

from snn2hw.graph import FixedPointNetwork

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import netx_data


def pilotnet() -> tuple[FixedPointNetwork, npt.NDArray[Any]]:
    """The network behind its input neurons, and its input spikes, uint8 (1, 24, 3, 66, 200).

    Raises FileNotFoundError where lava-dl's wheel is not at hand and cannot be fetched.
    """
    recorded = netx_data.pilotnet()
    return recorded.network(), recorded.x
