"""The simulator against PyTorch frameworks: seconds per step and sample, one core, in one run.

    SNN2HW_DATA=/path/to/data make test-tools; python benchmarks/frameworks.py

Networks: the NIR paper's CNN on random spikes of 0.5 to 50 % activity, and PilotNet-LIF's layers
on Intel's recorded input. Ours runs the integers, from bytes to packed spikes; each framework runs
float32 tensors that lie ready, in its own environment (.build/tools/NAME), in inference mode, with
the batch, memory layout and order (step by step or layer by layer) that suit it best. "compiled" is
the framework with torch.compile on its neurons, which norse tests and the others do not mention; it
needs a C++ compiler. sinabs gains nothing by it. "layers" is PyTorch's dense layers without
neurons: no framework built on them can be faster. Contestants take turns; figures are medians.

On random input the rounding of 8-bit weights moves single spikes, more with each layer: in the last
one most spikes of the integers fall on other steps than the floats', while every layer fires as
often within some percent, so that the work is the same.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nir
import numpy as np
from common import Bench, one_core
from networks import nir_cnn, pilotnet_graph, random_spikes

import snn2hw
from snn2hw.errors import DataError

TOOLS = Path(__file__).parents[1] / ".build" / "tools"
# contestant -> its environment, and whether torch.compile fuses each neuron's operations
CONTESTANTS = {
    "norse": ("norse", False),
    "norse compiled": ("norse", True),
    "snntorch": ("snntorch", False),
    "snntorch compiled": ("snntorch", True),
    "sinabs": ("sinabs", False),
    "spikingjelly": ("spikingjelly", False),
    "spikingjelly compiled": ("spikingjelly", True),
    "layers": ("snntorch", False),
}
ACTIVITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
AIM = 0.02
"""The activity at which frameworks choose their settings and the README's ratio is taken."""
BATCHES = (1, 16, 64)
SAMPLES, STEPS = 64, 32
ROUNDS = 5
COMPARED = 8
"""Samples whose outputs are compared with our float run."""


def describe(graph: nir.NIRGraph, dt: float) -> dict[str, np.ndarray]:
    """A chain of layers and LIF or IF neurons as flat arrays for ``torch_worker``.

    Neurons of one factor and threshold a layer; input gains go into the weights before them.
    """
    after = dict(graph.edges)
    name, content, kinds, last = after["input"], {}, [], None
    while not isinstance(node := graph.nodes[name], nir.Output):
        k = len(kinds)
        if isinstance(node, nir.Conv2d):
            kinds.append("conv")
            values = {key: getattr(node, key) for key in ("stride", "padding", "dilation")}
            values |= {"groups": node.groups, "weight": node.weight, "bias": node.bias}
        elif isinstance(node, nir.Affine):
            kinds.append("linear")
            values = {"weight": node.weight, "bias": node.bias}
        elif isinstance(node, nir.SumPool2d):
            kinds.append("pool")
            values = {"kernel": node.kernel_size, "stride": node.stride}
        elif isinstance(node, nir.Flatten):
            kinds.append("flatten")
            values = {}
        else:
            kinds.append("neuron")
            rate = dt / _one(node.tau) if isinstance(node, nir.LIF) else 1.0
            gain = rate * _one(node.r) * (dt if isinstance(node, nir.IF) else 1.0)
            beta = 1 - rate if isinstance(node, nir.LIF) else 1.0
            values = {"beta": beta, "threshold": _one(node.v_threshold)}
            for key in ("weight", "bias"):
                content[f"{last}_{key}"] = np.float32(content[f"{last}_{key}"] * gain)
        if kinds[-1] in ("conv", "linear"):
            last = k
            values = {key: np.asarray(v) for key, v in values.items()}
            values |= {key: values[key].astype(np.float32) for key in ("weight", "bias")}
        content |= {f"{k}_{key}": np.asarray(value) for key, value in values.items()}
        name = after[name]
    return content | {"kinds": np.array(kinds)}


def _one(values: np.ndarray) -> float:
    if np.ptp(values):
        raise ValueError("neurons of a layer differ; frameworks here take one value a layer")
    return float(np.ravel(values)[0])


class Worker:
    """One framework in its environment, waiting for requests."""

    def __init__(self, name: str, network: Path) -> None:
        self.name = name
        self.settings: dict[str, Any] = {}
        tool, self.compiled = CONTESTANTS[name]
        python = TOOLS / tool / "bin" / "python"
        script = Path(__file__).with_name("torch_worker.py")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, "-W", "ignore", script, "layers" if name == "layers" else tool, network],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, x: Path, **request: Any) -> float:
        """Seconds for all samples. Raises RuntimeError with what the framework said."""
        to, back = self.process.stdin, self.process.stdout
        if to is None or back is None:
            raise RuntimeError(f"{self.name}: its worker has no pipes")
        try:
            to.write(json.dumps({"x": str(x), **self.settings, **request}) + "\n")
            to.flush()
            line = back.readline()
        except OSError:
            line = ""
        reply = json.loads(line) if line else {"error": "its worker died"}
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        return float(reply["seconds"])

    def choose(self, x: Path, batches: tuple[int, ...]) -> None:
        """Take the settings that are fastest; compiled, of the largest batch step by step."""
        seconds = {}
        orders = (False,) if self.compiled else (False, True)
        for batch, channels_last, by_layer in itertools.product(
            batches[-1:] if self.compiled else batches, (False, True), orders
        ):
            settings = {"batch": batch, "channels_last": channels_last, "by_layer": by_layer}
            settings |= {"compiled": self.compiled}
            # A few samples one by one say enough of a batch of 1.
            few = {"samples": min(8, SAMPLES)} if batch == 1 and batches == BATCHES else {}
            share = few.get("samples", SAMPLES) / SAMPLES
            key = tuple(settings.items())
            seconds[key] = min(self.ask(x, **settings, **few) for _ in range(4)) / share
        self.settings = dict(min(seconds, key=seconds.__getitem__))


@contextmanager
def workers(network: Path) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        found = []
        for name, (tool, _) in CONTESTANTS.items():
            if not (TOOLS / tool / ".installed").exists():
                print(f"{name} left out: no environment {tool}; make test-tools", file=sys.stderr)
                continue
            worker = Worker(name, network)
            stack.callback(worker.process.kill)
            found.append(worker)
        yield found


def differing(output: np.ndarray, expected: np.ndarray) -> float:
    """Share of all outputs (step, neuron) that differ; beside it stands how many fire at all."""
    return float(np.mean(output != expected))


def compete(
    net: snn2hw.FixedPointNetwork, inputs: dict[str, np.ndarray], folder: Path, team: list[Worker]
) -> dict[str, dict[str, list[float]]]:
    """input -> contestant -> seconds per step and sample of each round; they take turns."""
    times: dict[str, dict[str, list[float]]] = {name: {} for name in inputs}
    for round_ in range(ROUNDS + 1):
        for name, x in inputs.items():
            scale = 1 / (x.shape[0] * x.shape[1])
            begin = time.perf_counter()
            net.run(x, threads=1)
            found = {"snn2hw": time.perf_counter() - begin}
            found |= {w.name: w.ask(folder / f"{name}.npy") for w in team}
            if round_:  # the first warms up
                for who, seconds in found.items():
                    times[name].setdefault(who, []).append(seconds * scale)
    return times


def crossing(activities: list[float], ratios: list[float]) -> float | None:
    """The activity at which a ratio falls to 1, between the logarithms of neighbours."""
    for k in range(1, len(ratios)):
        if ratios[k - 1] >= 1 > ratios[k]:
            low, high = np.log(ratios[k - 1 : k + 1])
            share = low / (low - high)
            ends = np.log(activities[k - 1 : k + 1])
            return float(np.exp(ends[0] + share * (ends[1] - ends[0])))
    return None


def race(
    title: str,
    graph: nir.NIRGraph,
    dt: float,
    net: snn2hw.FixedPointNetwork,
    inputs: dict[str, np.ndarray],
    chosen: str,
    batches: tuple[int, ...],
) -> list[dict[str, Any]]:
    """One row for each input. chosen: the input with which frameworks choose their settings."""
    rows = []
    with tempfile.TemporaryDirectory() as name, one_core():
        folder = Path(name)
        np.savez(folder / "network.npz", **describe(graph, dt))
        for key, x in inputs.items():
            np.save(folder / f"{key}.npy", x)
        few = inputs[chosen][:COMPARED]
        floats = snn2hw.execute(snn2hw.lower(graph, dt), few).output
        last = next(a for a, b in graph.edges if b == "output")
        fixed = net.run(few).spikes[last].reshape(floats.shape)
        with workers(folder / "network.npz") as team:
            agreement = {}
            for worker in list(team):
                try:
                    worker.choose(folder / f"{chosen}.npy", batches)
                    out = folder / "output.npy"
                    worker.ask(folder / f"{chosen}.npy", samples=COMPARED, output=str(out))
                except RuntimeError as error:
                    print(f"{title}: {error}", file=sys.stderr)
                    team.remove(worker)
                    continue
                if worker.name != "layers":
                    agreement[worker.name] = differing(np.load(out), floats)
            print(
                f"{title}: outputs that differ from our float run, of {floats.size} "
                f"({np.mean(floats != 0):.1%} fire): "
                + ", ".join(f"{who} {share:.3%}" for who, share in agreement.items())
                + f", our integers {differing(fixed, floats):.3%}"
            )
            times = compete(net, inputs, folder, team)
            settings = {worker.name: worker.settings for worker in team}
        for key, x in inputs.items():
            median = {who: float(np.median(t)) for who, t in times[key].items()}
            theirs = {w: t for w, t in median.items() if w not in ("snn2hw", "layers")}
            fastest = min(theirs, key=theirs.__getitem__, default=None)
            as_they_come = min((t for w, t in theirs.items() if "compiled" not in w), default=0.0)
            ours = median["snn2hw"]
            row = {
                "network": title,
                "input": key,
                "activity": float(np.mean(x)),
                "samples": x.shape[0],
                "steps": x.shape[1],
                "step_us": {who: 1e6 * seconds for who, seconds in median.items()},
                "fastest": fastest,
                "ratio": theirs[fastest] / ours if fastest else None,
                "ratio_uncompiled": as_they_come / ours if fastest else None,
                "ratio_to_layers": median["layers"] / ours if "layers" in median else None,
                "differing": agreement | {"snn2hw integers": differing(fixed, floats)},
                "settings": settings,
            }
            rows.append(row)
            said = ", ".join(f"{who} {seconds * 1e6:.1f}" for who, seconds in median.items())
            ratio = "alone"
            if fastest:
                ratio = f"{row['ratio']:.2f} times as fast as {fastest}"
                ratio += f", {row['ratio_uncompiled']:.2f} times as the fastest not compiled"
            print(f"{title}, {row['activity']:.1%} input: us a step and sample {said}: {ratio}")
    return rows


def cnn() -> list[dict[str, Any]]:
    graph, dt = nir_cnn()
    shape = (SAMPLES, STEPS, 2, 34, 34)
    inputs = {f"{a:g}": random_spikes(shape, a, seed=k) for k, a in enumerate(ACTIVITIES)}
    net = snn2hw.quantize(graph, dt=dt, calibration=inputs[f"{AIM:g}"][:4])
    rows = race("CNN of the NIR paper", graph, dt, net, inputs, f"{AIM:g}", BATCHES)
    contenders = {
        "ratio": "the fastest framework",
        "ratio_uncompiled": "the fastest framework not compiled",
        "ratio_to_layers": "dense layers without neurons",
    }
    for key, who in contenders.items():
        if rows[0][key] is None:
            continue
        at = crossing(list(ACTIVITIES), [row[key] for row in rows])
        found = f"from {at:.1%} input activity on" if at else f"not up to {ACTIVITIES[-1]:.0%}"
        if rows[0][key] < 1:
            found = "at every activity"
        print(f"CNN of the NIR paper: {who} would win {found}")
        for row in rows:
            row[f"{key}_is_1_at"] = at
    return rows


def pilotnet_lif() -> list[dict[str, Any]]:
    graph, dt, net, x = pilotnet_graph()
    print("PilotNet-LIF as floats: Intel's integer weights, decay 3/4; without its last integrator")
    inputs = {"recorded": np.concatenate([x] * 4)}
    return race("PilotNet-LIF", graph, dt, net, inputs, "recorded", (1, 4))


def main() -> None:
    bench = Bench("frameworks")
    for make in (cnn, pilotnet_lif):
        try:
            rows = make()
        except (DataError, FileNotFoundError) as error:
            print(f"{make.__name__} left out: {error}", file=sys.stderr)
            continue
        for row in rows:
            bench.add(row)
    bench.write()


if __name__ == "__main__":
    main()
