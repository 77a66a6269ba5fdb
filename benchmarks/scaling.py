"""Cost of a synaptic operation in runs of 10^5 to 10^9 of them, on one core.

    python benchmarks/scaling.py

10 % of the inputs fire at a step. "longer": one network, first more steps, then more samples;
"larger": larger networks at first. The time is that of ``net.run`` as a caller sees it, neurons and
checks of the data included; beside it the time within the compiled engine, and what of it the same
run takes without any spikes (neurons and lists). The engine is compiled and the plan of each
network made before. Sizes take turns; medians.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from common import Bench, one_core
from networks import random_spikes

import snn2hw
from snn2hw.simulator import generate

ACTIVITY = 0.1
ROUNDS = 5
SHORT = 20
"""Runs of up to 10^7 operations are repeated so many times in a round; the best round counts."""


@dataclass(frozen=True)
class Size:
    """A run: operations that are meant, size of the network, steps and samples."""

    total: int
    size: int
    steps: int
    samples: int


FAMILIES: dict[str, tuple[str, tuple[Size, ...]]] = {
    # 10 % of size * size operations a step
    "dense, longer": (
        "dense",
        tuple(
            Size(10**5 * steps * samples, 1000, steps, samples)
            for steps, samples in ((1, 1), (10, 1), (100, 1), (100, 10), (100, 100))
        ),
    ),
    "dense, larger": (
        "dense",
        (
            Size(10**5, 316, 10, 1),
            Size(10**6, 1000, 10, 1),
            Size(10**7, 2000, 25, 1),
            Size(10**8, 2000, 250, 1),
            Size(10**9, 2000, 250, 10),
        ),
    ),
    # kernels 3 x 3 from 16 to 32 channels: 10 % of 16 * size * size * 288 operations a step
    "convolution, longer": (
        "convolution",
        tuple(
            Size(10**5 * steps * samples, 16, steps, samples)
            for steps, samples in ((1, 1), (10, 1), (100, 1), (100, 10), (100, 100))
        ),
    ),
}


def chain(layer: nir.NIRNode, shape: tuple[int, ...], out: tuple[int, ...]) -> nir.NIRGraph:
    lif = nir.LIF(np.full(out, 5e-3), np.ones(out), np.zeros(out), np.full(out, 0.5))
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "layer": layer,
        "lif": lif,
        "output": nir.Output({"output": np.array(out)}),
    }
    return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)))


def dense(size: int) -> tuple[nir.NIRGraph, tuple[int, ...]]:
    weight = np.random.default_rng(0).normal(0, 0.3, (size, size))
    return chain(nir.Affine(weight, np.zeros(size)), (size,), (size,)), (size,)


def convolution(size: int) -> tuple[nir.NIRGraph, tuple[int, ...]]:
    weight = np.random.default_rng(0).normal(0, 0.3, (32, 16, 3, 3))
    layer = nir.Conv2d((size, size), weight, 1, 1, 1, 1, np.zeros(32))
    return chain(layer, (16, size, size), (32, size, size)), (16, size, size)


class Clock:
    """Adds up the seconds within the compiled engine."""

    def __init__(self) -> None:
        self.seconds = 0.0
        module = generate.engine()
        inner = module.run_batch

        def timed(*args: Any) -> None:
            begin = time.perf_counter()
            inner(*args)
            self.seconds += time.perf_counter() - begin

        module.run_batch = timed

    def time(self, net: snn2hw.FixedPointNetwork, x: np.ndarray) -> tuple[float, float]:
        """Seconds of a run, and those of them within the engine."""
        self.seconds, begin = 0.0, time.perf_counter()
        net.run(x, threads=1)
        return time.perf_counter() - begin, self.seconds


def measure(
    kind: str,
    make: Callable[[int], tuple[nir.NIRGraph, tuple[int, ...]]],
    sizes: tuple[Size, ...],
    clock: Clock,
) -> list[dict[str, Any]]:
    runs = []
    for size in sizes:
        graph, shape = make(size.size)
        x = random_spikes((size.samples, size.steps, *shape), ACTIVITY)
        net = snn2hw.quantize(graph, calibration=random_spikes((1, 10, *shape), ACTIVITY))
        counted = net.run(x, threads=1).activity
        runs.append((size, net, x, counted, []))
    for _ in range(ROUNDS):
        for size, net, x, _, times in runs:
            silence = np.zeros_like(x)
            tries = []
            for _ in range(SHORT if size.total <= 10**7 else 1):
                whole, engine = clock.time(net, x)
                _, idle = clock.time(net, silence)
                tries.append((whole, engine, idle))
            times.append(np.median(tries, axis=0))
    rows = []
    for size, _, x, counted, times in runs:
        whole, engine, idle = np.median(times, axis=0)
        updates = int(sum(layer.updates.sum() for layer in counted.layers))
        row = {
            "synapses": kind,
            "size": size.size,
            "samples": size.samples,
            "steps": size.steps,
            "activity": float(np.mean(x)),
            "synops": counted.synops,
            "synops_per_step": counted.synops / (size.samples * size.steps),
            "synops_per_update": counted.synops / updates,
            "seconds": whole,
            "ns_per_synop": whole / counted.synops * 1e9,
            "engine_ns_per_synop": engine / counted.synops * 1e9,
            "engine_less_silence_ns_per_synop": (engine - idle) / counted.synops * 1e9,
            "silence_ns_per_update": idle / updates * 1e9,
            "outside_engine_us": (whole - engine) * 1e6,
        }
        rows.append(row)
        print(
            f"{kind} {size.size}, {size.samples} x {size.steps} steps: {counted.synops:.2e} "
            f"operations ({row['synops_per_update']:.0f} a neuron's update), "
            f"{row['ns_per_synop']:.4f} ns each, {row['engine_ns_per_synop']:.4f} in the engine, "
            f"{row['engine_less_silence_ns_per_synop']:.4f} without what silence takes "
            f"({row['silence_ns_per_update']:.2f} ns an update); "
            f"{row['outside_engine_us']:.0f} us outside the engine"
        )
    return rows


def spread(rows: list[dict[str, Any]], key: str) -> float:
    """Largest over smallest."""
    values = [row[key] for row in rows]
    return max(values) / min(values)


def main() -> None:
    bench = Bench("scaling", activity=ACTIVITY)
    with one_core():
        clock = Clock()
        for kind, (name, sizes) in FAMILIES.items():
            rows = measure(kind, {"dense": dense, "convolution": convolution}[name], sizes, clock)
            print(
                f"{kind}: cost of an operation from {rows[0]['synops']:.0e} to "
                f"{rows[-1]['synops']:.0e} of them varies by {spread(rows, 'ns_per_synop'):.2f} "
                f"times, in the engine by {spread(rows, 'engine_ns_per_synop'):.2f}, without what "
                f"silence takes by {spread(rows, 'engine_less_silence_ns_per_synop'):.2f}"
            )
            for row in rows:
                bench.add(row)
    bench.write()


if __name__ == "__main__":
    main()
