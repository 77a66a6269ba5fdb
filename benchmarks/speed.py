"""The simulator against Lava: seconds per step and sample, same networks and inputs, in one run.

    SNN2HW_DATA=/path/to/data python benchmarks/speed.py

Networks: the demo's GPN (trained here, all 370 test utterances); an LIF network of 700-256-20 on
random spikes; PilotNet-LIF on its recorded input, four copies of 24 steps; and the NIR paper's CNN
on random spikes at 2 %. Both run on one and the same core; Lava, which starts a process a layer and
synapse group, is timed on all cores too, and on fewer samples where it is slow. Start-up is
excluded for both (Lava: import, building, compiling, starting; ours: loading or compiling the
engine) and shown beside it. Ours is timed before and after Lava, so that neither has the quieter
machine.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
from common import Bench, one_core
from networks import nir_cnn, random_spikes
from pilotnet import pilotnet

import snn2hw
from snn2hw.data import japanese_vowels
from snn2hw.demo_models import train_japanese_vowels
from snn2hw.errors import DataError
from snn2hw.targets.lava.timing import time_lava

REPEATS = 15
LAVA_SAMPLES = 1
"""Of networks of 10 000 neurons and more, of which Lava makes some steps a second."""
LARGE = 10_000
CHILD = """
import json, sys, time
import numpy as np
begin = time.perf_counter()
import snn2hw
net, x = snn2hw.load(sys.argv[1]), np.load(sys.argv[2])
net.run(x[:1], threads=1)
startup = time.perf_counter() - begin
seconds = []
for _ in range(int(sys.argv[3])):
    begin = time.perf_counter()
    run = net.run(x, threads=1)
    seconds.append(time.perf_counter() - begin)
print(json.dumps({"startup_s": startup, "seconds": seconds, "synops": run.activity.synops}))
"""


def demo_gpn() -> tuple[snn2hw.FixedPointNetwork, np.ndarray]:
    train, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    model = train_japanese_vowels("gpn", train)
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=train.x)
    return net, net.encode(test.x)


def lif_700_256_20() -> tuple[snn2hw.FixedPointNetwork, np.ndarray]:
    rng = np.random.default_rng(0)
    neurons = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5}
    nodes = {
        "input": nir.Input({"input": np.array([700])}),
        "fc": nir.Affine(rng.normal(0, 0.3, (256, 700)), np.zeros(256)),
        "lif": nir.LIF(**{key: np.full(256, value) for key, value in neurons.items()}),
        "readout": nir.Affine(rng.normal(0, 0.1, (20, 256)), np.zeros(20)),
        "output": nir.Output({"output": np.array([20])}),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)))
    x = (rng.random((100, 100, 700)) < 0.03).astype(np.uint8)
    return snn2hw.quantize(graph, calibration=x[:20]), x


def pilotnet_4() -> tuple[snn2hw.FixedPointNetwork, np.ndarray]:
    net, x = pilotnet()
    return net, np.concatenate([x] * 4)


def nir_cnn_2_percent() -> tuple[snn2hw.FixedPointNetwork, np.ndarray]:
    graph, dt = nir_cnn()
    x = random_spikes((16, 50, 2, 34, 34), 0.02)
    return snn2hw.quantize(graph, dt=dt, calibration=x[:4]), x


def simulate(folder: str, cache: Path, repeats: int) -> dict[str, Any]:
    """Timings of a fresh process: idle threads of torch in this one slow their neighbours down.

    The first one compiles the engine, which lies on disk from then on.
    """
    command = [sys.executable, "-c", CHILD, f"{folder}/net.h5", f"{folder}/x.npy", str(repeats)]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(name: str, net: snn2hw.FixedPointNetwork, x: np.ndarray, cache: Path) -> dict[str, Any]:
    """cache: where the engine is kept; if it is empty, its compilation is timed too."""
    neurons = sum(layer.n for layer in net.layers)
    for_lava = x[:LAVA_SAMPLES] if neurons >= LARGE else x
    with tempfile.TemporaryDirectory() as folder, one_core():
        net.save(Path(folder) / "net.h5")
        np.save(Path(folder) / "x.npy", x)
        compiling = None if any(cache.iterdir()) else simulate(folder, cache, 1)["startup_s"]
        ours = simulate(folder, cache, REPEATS)
        lava = time_lava(net, for_lava)
        ours["seconds"] += simulate(folder, cache, REPEATS)["seconds"]
    spread = time_lava(net, for_lava)
    steps = x.shape[0] * x.shape[1]
    seconds = float(np.median(ours["seconds"]))
    return {
        "network": name,
        "samples": x.shape[0],
        "steps": x.shape[1],
        "snn2hw_step_us": seconds / steps * 1e6,
        "snn2hw_step_best_us": min(ours["seconds"]) / steps * 1e6,
        "lava_steps": lava.steps,
        "lava_step_us": lava.step_s * 1e6,
        "ratio": lava.step_s * steps / seconds,
        "lava_step_all_cores_us": spread.step_s * 1e6,
        "ratio_all_cores": spread.step_s * steps / seconds,
        "ratio_with_startup": (lava.startup_s + lava.step_s * steps)
        / (ours["startup_s"] + seconds),
        "synops_per_s": ours["synops"] / seconds,
        "synops_per_step": ours["synops"] / steps,
        "startup_s": ours["startup_s"],
        "startup_compiling_s": compiling,
        "lava_startup_s": lava.startup_s,
        "lava_processes": lava.processes,
        "lava": lava.lava,
    }


def rows(cache: Path) -> Iterator[dict[str, Any]]:
    networks = {
        "GPN 144-48-9 of the demo": demo_gpn,
        "LIF 700-256-20": lif_700_256_20,
        "PilotNet-LIF": pilotnet_4,
        "CNN of the NIR paper": nir_cnn_2_percent,
    }
    for name, make in networks.items():
        try:
            net, x = make()
        except (DataError, FileNotFoundError) as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        row = measure(name, net, x, cache)
        yield row
        print(
            f"{name}: {row['snn2hw_step_us']:.2f} us a step and sample, Lava "
            f"{row['lava_step_us']:.0f} us on the same core ({row['ratio']:.0f} times) and "
            f"{row['lava_step_all_cores_us']:.0f} us on all ({row['ratio_all_cores']:.0f} times); "
            f"with start-up ({row['startup_s']:.1f} s, Lava {row['lava_startup_s']:.1f} s) "
            f"{row['ratio_with_startup']:.0f} times; {row['synops_per_s'] / 1e9:.2f} G synaptic "
            "operations per second"
        )


def main() -> None:
    bench = Bench("speed")
    with tempfile.TemporaryDirectory() as cache:
        for row in rows(Path(cache)):
            bench.add(row)
    bench.write()


if __name__ == "__main__":
    main()
