"""How much slower a trained GPN learns on where numbers below 1.2e-38 are not taken for 0.

    SNN2HW_DATA=/path/to/data python benchmarks/denormals.py [--batches 5]

Gradients of batches of the digits through the shipped networks, in turns with and without; the
ratio of the medians, on one core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from common import Bench, one_core
from torch import nn

from snn2hw.nn import load_checkpoint
from snn2hw.nn.config import read_config
from snn2hw.nn.experiment import load_data

ROOT = Path(__file__).parents[1] / "examples"
BATCH = 128


def seconds(model: nn.Module, x: torch.Tensor, y: torch.Tensor, flush: bool) -> float:
    """Of the gradients of one batch."""
    torch.set_flush_denormal(flush)
    start = time.perf_counter()
    model.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench("denormals")
    for name in ("digits_gpn", "digits_lif", "digits_gru"):
        train = load_data(read_config(ROOT / "speech" / f"{name}.yaml"))["train"]
        model = load_checkpoint(ROOT / "checkpoints" / "speech" / f"{name}.pt").train()
        x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        taken: dict[bool, list[float]] = {True: [], False: []}
        torch.manual_seed(0)
        with one_core():
            for number in range(options.batches):
                part = torch.arange(number, len(x), len(x) // BATCH)[:BATCH]
                for flush in taken:
                    taken[flush].append(seconds(model, x[part], y[part], flush))
        ratio = statistics.median(taken[False]) / statistics.median(taken[True])
        bench.add({"network": name, "ratio": ratio, "seconds_flushed": taken[True]})
        print(f"{name}: {ratio:.1f} times as long with denormals")
    bench.write()


if __name__ == "__main__":
    main()
