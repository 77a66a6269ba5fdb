"""Accuracy after post-training quantisation at 8, 4, 3 and 2 bits, by ranges and by the search.

    SNN2HW_DATA=/path/to/data python benchmarks/quantize.py

Japanese Vowels: the demo's LIF and GPN, seeds 0, 1, 2. Digits: the checkpoints in examples/, if the
data are at hand. Calibration on training data, accuracy on the test split, in points lost. Beside
them, at 8 bits, what peers lose (see ``peers``): their rounding on the LIF networks, and PyTorch's
dynamic quantisation on a GRU of the same size. ``agree`` is the share of test samples with the
class of the float network, a finer measure than accuracy.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peers
from common import Bench

import snn2hw
from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.data.base import Dataset
from snn2hw.demo_models import NEURONS, train_japanese_vowels
from snn2hw.errors import DataError
from snn2hw.executor import execute
from snn2hw.graph import FixedPointNetwork
from snn2hw.nn import load_checkpoint
from snn2hw.passes import QuantizeConfig, fold, lower, quantize_graph
from snn2hw.passes.config import WeightConfig

SEEDS = (0, 1, 2)
BITS = (8, 4, 3, 2)
CHECKPOINTS = Path(__file__).parent.parent / "examples" / "checkpoints"


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
            for peer in peers.RULES:
                net = peers.rounded(self.folded, self.quantized(8, False), peer)
                yield self.row(peer, 8, net, 0.0)

    @property
    def folded(self):
        return fold(lower(self.graph, self.test.dt_s))


def main() -> None:
    train, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    bench = Bench("quantize", seeds=SEEDS, data={test.name: test.sha256()})
    for neuron in NEURONS:
        for seed in SEEDS:
            model = train_japanese_vowels(neuron, train, seed=seed)
            name = f"Japanese Vowels, {neuron.upper()}"
            for row in Network(name, seed, model, train.x, test).rows():
                bench.add(row)
    for seed in SEEDS:
        floats, fixed, agree = peers.gru(train, test, seed)
        row = {"network": "Japanese Vowels, GRU", "seed": seed, "way": "torch", "bits": 8}
        bench.add({**row, "float": floats, "lost_points": 100 * (floats - fixed), "agree": agree})
        lost = 100 * (floats - fixed)
        print(f"Japanese Vowels, GRU, seed {seed}: float {floats:.2%}, lost {lost:+.2f} points")
    try:
        digits = {split: arabic_speech_commands.load_digits(split) for split in ("train", "test")}
    except DataError as error:
        print(f"digits left out: {error}", file=sys.stderr)
    else:
        for neuron in NEURONS:
            model = load_checkpoint(CHECKPOINTS / f"speech_commands_{neuron}.pt")
            calibration = digits["train"].x[::4]
            made = Network(f"digits, {neuron.upper()}", 0, model, calibration, digits["test"])
            for row in made.rows():
                bench.add(row)
    means: dict[tuple[object, ...], list[float]] = {}
    for row in bench.rows:
        means.setdefault((row["network"], row["bits"], row["way"]), []).append(row["lost_points"])
    for (network, bits, way), lost in means.items():
        print(f"{network}, {bits} bits, {way}: mean of {len(lost)}: {statistics.mean(lost):+.2f}")
    bench.write()


if __name__ == "__main__":
    main()
