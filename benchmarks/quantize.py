"""Accuracy after post-training quantisation at 8, 4, 3 and 2 bits, by ranges and by the search.

    SNN2HW_DATA=/path/to/data python benchmarks/quantize.py [--task vowels|digits]
                                                            [--neuron lif|gpn]

LIF and GPN, seeds 0, 1, 2 (``trained``). Calibration on training data, accuracy on the test split,
in points lost. Beside them, at 8 and 4 bits, what peers lose (see ``peers``): their rounding on the
LIF networks, and PyTorch's dynamic quantisation on a GRU on the same data. ``agree`` is the share
of test samples with the class of the float network, a finer measure than accuracy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np
import peers
from common import Bench
from trained import SEEDS, Task, chosen, found

import snn2hw
from snn2hw.data.base import Dataset
from snn2hw.executor import execute
from snn2hw.graph import FixedPointNetwork
from snn2hw.passes import QuantizeConfig, fold, lower, quantize_graph
from snn2hw.passes.config import WeightConfig

BITS = (8, 4, 3, 2)
PEER_BITS = (8, 4)


class Network:
    """A trained network with its data, and what its floats say of the test split."""

    def __init__(self, name: str, seed: int, model, calibration: np.ndarray, test: Dataset) -> None:
        self.name, self.seed, self.calibration, self.test = name, seed, calibration, test
        self.graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
        self.floats = execute(lower(self.graph, test.dt_s), test.x).output.mean(axis=1).argmax(1)
        self.accuracy = float(np.mean(self.floats == test.y))

    def quantized(self, bits: int, search: bool) -> FixedPointNetwork:
        config = QuantizeConfig(default=WeightConfig(bits=bits), search=search)
        dt = self.test.dt_s
        return quantize_graph(self.graph, dt=dt, calibration=self.calibration, config=config)

    def row(self, way: str, bits: int, net: FixedPointNetwork, seconds: float) -> dict[str, object]:
        run = net.run(net.encode(self.test.x))
        row = {
            "network": self.name,
            "seed": self.seed,
            "way": way,
            "bits": bits,
            "float": self.accuracy,
            "lost_points": 100 * (self.accuracy - float(np.mean(run.predictions == self.test.y))),
            "agree": float(np.mean(run.predictions == self.floats)),
            "overflows": sum(o.wraps + o.clips for o in run.overflows.values()),
            "seconds": seconds,
        }
        print(
            f"{self.name}, seed {self.seed}, {bits} bits, {way}: lost {row['lost_points']:+.2f} "
            f"points, {row['agree']:.1%} as the floats, {seconds:.1f} s",
            flush=True,
        )
        return row

    def rows(self) -> Iterator[dict[str, object]]:
        for bits in BITS:
            for way, search in (("ranges", False), ("search", True)):
                start = time.perf_counter()
                net = self.quantized(bits, search)
                yield self.row(way, bits, net, time.perf_counter() - start)
        if all(p.model.name in ("lif", "readout") for p in self.folded.populations):
            for bits in PEER_BITS:
                for peer in peers.RULES:
                    net = peers.rounded(self.folded, self.quantized(8, False), peer, bits)
                    yield self.row(peer, bits, net, 0.0)

    @property
    def folded(self):
        return fold(lower(self.graph, self.test.dt_s))


def gru_rows(task: Task) -> Iterator[dict[str, object]]:
    for seed in SEEDS:
        floats, fixed, agree = peers.gru(task.train, task.test, seed)
        lost = 100 * (floats - fixed)
        name = f"{task.name}, GRU"
        print(f"{name}, seed {seed}: float {floats:.2%}, lost {lost:+.2f} points", flush=True)
        row = {"network": name, "seed": seed, "way": "torch", "bits": 8}
        yield {**row, "float": floats, "lost_points": lost, "agree": agree}


def main() -> None:
    name, tasks, neurons = chosen(__doc__.splitlines()[0])
    bench = Bench(f"quantize{name}", seeds=SEEDS)
    for task in found(tasks):
        for neuron in neurons:
            for seed in SEEDS:
                named = f"{task.name}, {neuron.upper()}"
                model = task.floats(neuron, seed)
                for row in Network(named, seed, model, task.calibration, task.test).rows():
                    bench.add(row)
        if "lif" in neurons:
            for row in gru_rows(task):
                bench.add(row)
    groups: dict[tuple[object, ...], list[dict[str, float]]] = {}
    for row in bench.rows:
        groups.setdefault((row["network"], row["bits"], row["way"]), []).append(row)
    for (network, bits, way), rows in groups.items():
        lost, agree = (
            statistics.mean(row[key] for row in rows) for key in ("lost_points", "agree")
        )
        print(f"{network}, {bits} bits, {way}: means of {len(rows)}: {lost:+.2f}, {agree:.1%}")
    bench.write()


if __name__ == "__main__":
    main()
