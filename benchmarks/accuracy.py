"""Accuracy of floats and of integers, Japanese Vowels over three seeds and the ten digits.

    SNN2HW_DATA=/path/to/data python benchmarks/accuracy.py

Japanese Vowels: the demo's LIF and GPN, trained here with seeds 0, 1, 2. Digits: the checkpoints in
examples/, if the data are at hand. Scales are calibrated on training data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import Bench

import snn2hw
from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.data.base import Dataset
from snn2hw.demo_models import NEURONS, train_japanese_vowels
from snn2hw.errors import DataError
from snn2hw.nn import accuracy, load_checkpoint

SEEDS = (0, 1, 2)
EXAMPLES = Path(__file__).parent.parent / "examples"


def measure(name: str, model, calibration: np.ndarray, test: Dataset) -> dict[str, object]:
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=calibration)
    run = net.run(net.encode(test.x))
    floats = accuracy(model, test.x, test.y)
    fixed = float(np.mean(run.predictions == test.y))
    row = {
        "network": name,
        "float": floats,
        "fixed": fixed,
        "lost_points": 100 * (floats - fixed),
        "overflows": sum(o.wraps + o.clips for o in run.overflows.values()),
    }
    print(
        f"{name}: float {floats:.2%}, fixed {fixed:.2%}, lost {row['lost_points']:+.2f} points, "
        f"{row['overflows']} overflows"
    )
    return row


def main() -> None:
    train, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    bench = Bench("accuracy", seeds=SEEDS, data={test.name: test.sha256()})
    for neuron in NEURONS:
        for seed in SEEDS:
            model = train_japanese_vowels(neuron, train, seed=seed)
            name = f"Japanese Vowels, {neuron.upper()}, seed {seed}"
            bench.add(measure(name, model, train.x, test))
    try:
        digits = {split: arabic_speech_commands.load_digits(split) for split in ("train", "test")}
    except DataError as error:
        print(f"digits left out: {error}", file=sys.stderr)
    else:
        for neuron in NEURONS:
            model = load_checkpoint(EXAMPLES / "checkpoints" / f"speech_commands_{neuron}.pt")
            calibration = digits["train"].x[::4]
            bench.add(measure(f"digits, {neuron.upper()}", model, calibration, digits["test"]))
    bench.write()


if __name__ == "__main__":
    main()
