"""Ponghiran and Roy's claims on ten spoken digits: version 2 against an LSTM and a GRU.

    SNN2HW_DATA=/path/to/data python benchmarks/ponghiran_roy.py [--train] [--verify 4]

Checkpoints of seeds 0 to 2 of examples/speech/digits_roy_v2.yaml and digits_lstm_192.yaml are taken
from examples/checkpoints/speech; with --train, those that are not there are trained. Accuracies are
of the stored weights, in floats and on the integers of Loihi 2; multiplications by the authors'
code (``published``) and without its slip (``clean``), for each frame, against a GRU of the same
width on dense data.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Bench

import snn2hw
from snn2hw.data import Dataset
from snn2hw.energy.baselines import multiplications
from snn2hw.nn import SparseGated, accuracy, load_checkpoint
from snn2hw.nn.config import read_config
from snn2hw.nn.experiment import Outputs, load_data, run_config

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "examples" / "speech"
CHECKPOINTS = ROOT / "examples" / "checkpoints" / "speech"
SEEDS = (0, 1, 2)


def checkpoint(row: str, seed: int, train: bool) -> torch.nn.Sequential:
    """The stored network of a row and seed, trained if it is not there and may be."""
    name = f"digits_{row}" + (f"_seed{seed}" if seed else "")
    path = CHECKPOINTS / f"{name}.pt"
    if train and not path.is_file():
        config = read_config(CONFIGS / f"digits_{row}.yaml")
        run_config(replace(config, seed=seed), Outputs.of(CHECKPOINTS, name))
    return load_checkpoint(path)


def active(model: torch.nn.Sequential, x: np.ndarray) -> list[float]:
    """Values that are not 0, a frame, of the encoder and of each layer."""
    found, y = [], torch.from_numpy(x)
    with torch.no_grad():
        for layer in model:
            y = layer(y)
            if hasattr(layer, "quantizer"):
                found.append(float((y != 0).double().sum(-1).mean()))
    return found


def spiking(model: torch.nn.Sequential, data: dict[str, Dataset], clips: int) -> dict[str, Any]:
    """Version 2 in floats, on integers, in Lava, and what it multiplies."""
    test = data["test"]
    nnz_in, *nnz = active(model, test.x)
    width = next(layer.n_neurons for layer in model if isinstance(layer, SparseGated))
    classes = len(test.classes)
    gru = multiplications("gru", test.x.shape[-1], width, classes, [width] * len(nnz))
    counts = {
        "published": multiplications("gated", nnz_in, width, classes, nnz, as_published=True),
        "clean": multiplications("gated", nnz_in, width, classes, nnz),
    }
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=data["train"].x[::4])
    run = net.run(net.encode(test.x))
    overflows = sum(o.wraps + o.clips for o in run.overflows.values())
    row = {
        "integers": 100 * float(np.mean(run.predictions == test.y)),
        "overflows": overflows,
        "width": width,
        "nnz": [nnz_in, *nnz],
        **counts,
        **{f"gru_over_{name}": gru / count for name, count in counts.items()},
    }
    if clips:
        x = test.x[np.linspace(0, len(test) - 1, clips).astype(int)]
        check = snn2hw.verify(net, net.encode(x))
        row |= {"lava_compared": check.compared, "lava_mismatches": check.mismatches}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train checkpoints that are missing")
    parser.add_argument("--verify", type=int, default=0, metavar="CLIPS", help="compare with Lava")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_data(read_config(CONFIGS / "digits_roy_v2.yaml"))
    bench = Bench("ponghiran_roy", data={name: part.sha256() for name, part in data.items()})
    for row in ("roy_v2", "lstm_192"):
        for seed in arguments.seeds:
            model = checkpoint(row, seed, arguments.train)
            found: dict[str, Any] = {"row": row, "seed": seed}
            found["parameters"] = sum(p.numel() for p in model.parameters())
            for split in ("validation", "test"):
                found[split] = 100 * accuracy(model, data[split].x, data[split].y)
            if row == "roy_v2":
                found |= spiking(model, data, arguments.verify if seed == 0 else 0)
            bench.add(found)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in found.items()})
    for row in ("roy_v2", "lstm_192"):
        rows = [r for r in bench.rows if r["row"] == row]
        for key in ("validation", "test", "integers", "gru_over_published", "gru_over_clean"):
            values = [r[key] for r in rows if key in r]
            if values:
                print(f"{row} {key}: mean {statistics.mean(values):.2f} of {len(values)} seeds")
    bench.write()


if __name__ == "__main__":
    main()
