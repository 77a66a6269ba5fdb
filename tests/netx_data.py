"""lava-dl 0.6.0's own networks and recordings, and what a comparison with them has to know.

The files come out of lava-dl's wheel, which the package installer fetches once (68 MB, by its
SHA-256) into the user's cache; 47 MB of it are kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import platformdirs
import uv

from snn2hw.converters.netx import from_netx, windows
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Run

REQUIREMENT = "lava-dl==0.6.0"
SHA256 = "bcb448f2bb85dc0da4b4dbbbae16543d2a978c1da7279acc522ad621fc68c437"
MISSING = f"{REQUIREMENT} is not at hand"
VARIABLE = "SNN2HW_LAVA_DL"
FETCH_TIMEOUT_S = 600.0

H5PY = "h5py==3.16.0"
SITE = "site"
"""What netx needs beside lava-nc, for Python 3.10."""

TESTS = "tests/lava/lib/dl/netx"
NETX = "lava/lib/dl/netx"
KEPT = (
    f"{TESTS}/tiny.net",
    f"{TESTS}/mnist.net",
    f"{TESTS}/gts/pilotnet_lif",
    f"{TESTS}/gts/ntidigits",
    f"{TESTS}/gts/tinynet",
    f"{TESTS}/gts/pilotnet_sdnn/network.net",
    # What loads and runs a network, without the modules that import torch.
    f"{NETX}/hdf5.py",
    f"{NETX}/utils.py",
    f"{NETX}/blocks",
)


def lava_dl() -> Path:
    """Folder with what is kept of the wheel, made on the first call.

    Raises FileNotFoundError, in words that the tests' summary looks for, where it cannot be had.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    place = Path(platformdirs.user_cache_dir("snn2hw", appauthor=False)) / "lava-dl-0.6.0"
    if place.is_dir():
        return place
    building = place.with_name(f".{place.name}-{uuid4().hex[:8]}")
    try:
        building.mkdir(parents=True)
        wanted = building / "requirements.txt"
        wanted.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n")
        install("--require-hashes", "-r", str(wanted), target=building / "wheel")
        for name in KEPT:
            (building / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(building / "wheel" / name, building / "kept" / name)
        install(H5PY, target=building / "kept" / SITE)
        (building / "kept").rename(place)
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())[-300:]
        raise FileNotFoundError(f"{MISSING}: {said}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        # Another process may have been faster.
        if not place.is_dir():
            raise FileNotFoundError(f"{MISSING}: {error}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return place


def install(*what: str, target: Path) -> None:
    """Put wheels for Lava's Python 3.10 into a folder, without what they depend on."""
    command = [uv.find_uv_bin(), "pip", "install", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.10", "--python", sys.executable, "--no-cache"]
    command += ["--target", str(target), *what]
    subprocess.run(command, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S, text=True)


RESET = 17
"""Steps after which each layer of the recorded PilotNet starts anew, one step after its source."""

AT_SPIKE = 128
"""What the recorded register of v reads at the step of a spike, where our v is zero."""

RECORDED = {
    **{f"conv{k + 1}": f"conv-{k}" for k in range(5)},
    **{f"dense{k + 7}": f"fc-{k}" for k in range(3)},
}
"""Our layer -> its name in the recording, in order."""

Trace = dict[str, dict[str, npt.NDArray[Any]]]
"""layer -> "u", "v" or "s" -> (steps, *shape)"""


@dataclass(frozen=True)
class PilotNet:
    """The recorded network: its file, input spikes (1, 24, 3, 66, 200) and traces."""

    path: Path
    x: npt.NDArray[np.uint8]

    def network(self) -> FixedPointNetwork:
        """The network behind its input neurons."""
        return from_netx(self.path, keep_input=False)

    def samples(self) -> npt.NDArray[np.uint8]:
        """The input as one sample for each reset, (2, 17, 3, 66, 200)."""
        return windows(self.x, RESET)

    def recorded(self) -> Trace:
        """What Intel recorded, 24 steps of 8 layers; arrays there are (x, y, channel, time)."""
        suffixes = {"u": "-u", "v": "-v", "s": ""}
        return {
            ours: {
                q: np.load(self.path.parent / f"{theirs}{suffix}.npy").T
                for q, suffix in suffixes.items()
            }
            for ours, theirs in RECORDED.items()
        }

    def simulated(self, path: Path | None = None) -> Trace:
        """Our simulator's run of the file (or another one), put as the recording is.

        Layer p (from 1) handles logical step t at step t + p and starts anew where the step is p
        modulo 17: those windows are samples of the network. Before its first reset it runs on what
        it gets, without retiming: that is a network with a step from layer to layer.
        """
        path = path or self.path
        by_window = from_netx(path, keep_input=False).run(
            self.samples(), record=("u", "v"), threads=2
        )
        before = from_netx(path, keep_input=False, hop_delay=1).run(
            self.x[:, : len(RECORDED)], record=("u", "v"), threads=2
        )
        steps = self.x.shape[1]
        trace: Trace = {}
        for p, name in enumerate(RECORDED, start=1):
            trace[name] = {}
            for q in "uvs":
                first, then = (
                    run.spikes[name] if q == "s" else run.state[name][q]
                    for run in (before, by_window)
                )
                pieces = [first[0, :p], then[0, : steps - p], then[1, : max(steps - p - RESET, 0)]]
                trace[name][q] = np.concatenate(pieces)
            spiked = trace[name]["s"].astype(bool)
            trace[name]["v"] = np.where(spiked, AT_SPIKE, trace[name]["v"])
        return trace


def pilotnet() -> PilotNet:
    """The recorded PilotNet-LIF. Raises FileNotFoundError where lava-dl cannot be had."""
    folder = lava_dl() / TESTS / "gts" / "pilotnet_lif"
    x = np.load(folder / "input.npy").T[None].astype(np.uint8)
    return PilotNet(folder / "network.net", np.ascontiguousarray(x))


def compare(found: Trace, expected: Trace) -> tuple[int, int, str]:
    """Values compared, mismatches, and the first one (earliest step, then layer) in words."""
    compared = mismatches = 0
    first: tuple[int, int, str] | None = None
    for k, name in enumerate(expected):
        for q, values in expected[name].items():
            assert found[name][q].shape == values.shape, (name, q)
            wrong = found[name][q] != values
            compared += values.size
            mismatches += int(np.count_nonzero(wrong))
            if np.any(wrong):
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                words = f"{name}.{q}{at}: {found[name][q][at]} instead of {values[at]}"
                if first is None or (at[0], k) < first[:2]:
                    first = (at[0], k, words)
    return compared, mismatches, first[2] if first else ""


def run_from_image(recorded: PilotNet) -> tuple[FixedPointNetwork, Run]:
    """The network with its input neurons on all recorded steps, as one sample without a reset.

    An input neuron's bias lifts it above its threshold at each step; where it was recorded silent
    the image takes the bias away.
    """
    net = from_netx(recorded.path)
    params: Mapping[str, np.ndarray] = net.layer("input0").params
    bias = params["bias_mantissa"] << params["bias_exponent"] >> 6
    silent = -bias.reshape(recorded.x.shape[2:])
    run = net.run(np.where(recorded.x > 0, 0, silent), threads=1, per_step=True)
    np.testing.assert_array_equal(run.spikes["input0"], recorded.x)
    return net, run
