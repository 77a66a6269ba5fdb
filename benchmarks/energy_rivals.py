"""Train the networks that benchmarks/energy.py compares with: GRU, LSTM, MLP and CNN.

    SNN2HW_DATA=/path/to/data python benchmarks/energy_rivals.py

Data, widths, dropout and recipe are those of the spiking networks of the same task (the demo, the
spoken digits); besides, GRUs of fewer units, to find one of equal accuracy. Writes
benchmarks/energy_rivals.json: test accuracy, and how many of each layer's activations are not zero
in int8. A quarter of an hour on one core; figures are of one seed, and nothing was tuned for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.data.base import Dataset
from snn2hw.demo_models import DROPOUT, HIDDEN, RECIPES
from snn2hw.energy.baselines.networks import CNN_KERNEL
from snn2hw.files import atomic
from snn2hw.nn import SequenceDropout, accuracy, train
from snn2hw.nn.config import read_config

PATH = Path(__file__).parent / "energy_rivals.json"
EXAMPLES = Path(__file__).parents[1] / "examples"
SEED = 0


class Rival(nn.Module):
    """Hidden layers of one kind and a readout averaged over the steps: (batch, time, channels)."""

    def __init__(self, kind: str, channels: int, hidden: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.kind = kind
        self.layers = nn.ModuleList()
        self.dropout = SequenceDropout(DROPOUT)
        for units in hidden:
            self.layers.append(self._layer(channels, units))
            channels = units
        self.readout = nn.Linear(channels, outputs)

    def _layer(self, channels: int, units: int) -> nn.Module:
        if self.kind == "gru":
            return nn.GRU(channels, units, batch_first=True)
        if self.kind == "lstm":
            return nn.LSTM(channels, units, batch_first=True)
        if self.kind == "mlp":
            return nn.Linear(channels, units)
        return nn.Conv1d(channels, units, CNN_KERNEL)

    def hidden(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Activations of the hidden layers, each (batch, time, units)."""
        found = []
        for layer in self.layers:
            if self.kind in ("gru", "lstm"):
                x = layer(x)[0]
            elif self.kind == "mlp":
                x = layer(x).relu()
            else:  # causal: a step sees itself and the two before
                padded = nn.functional.pad(x.transpose(1, 2), (CNN_KERNEL - 1, 0))
                x = layer(padded).relu().transpose(1, 2)
            found.append(x)
            x = self.dropout(x)
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores (batch, outputs)."""
        return self.readout(self.dropout(self.hidden(x)[-1])).mean(dim=1)


def densities(model: Rival, x: np.ndarray) -> list[float]:
    """Fraction of each layer's activations that are not zero as int8.

    A GRU's and an LSTM's are in units of 1/128; a ReLU's in 1/127 of its largest.
    """
    with torch.no_grad():
        layers = model.hidden(torch.from_numpy(x.astype(np.float32)))
    units = [1 / 128 if model.kind in ("gru", "lstm") else float(h.max()) / 127 for h in layers]
    return [float((h.abs() >= u / 2).float().mean()) for h, u in zip(layers, units, strict=True)]


def digits() -> tuple[Dataset, Dataset, dict[str, Any]]:
    data = [arabic_speech_commands.load_digits(split) for split in ("train", "test")]
    recipe = read_config(EXAMPLES / "speech_commands_gpn.yaml").training
    names = ("epochs", "lr", "batch_size", "weight_decay", "augment")
    return data[0], data[1], {name: getattr(recipe, name) for name in names}


def vowels() -> tuple[Dataset, Dataset, dict[str, Any]]:
    data = [japanese_vowels.load_spikes(split) for split in ("train", "test")]
    return data[0], data[1], vars(RECIPES["lif"])


Task = Callable[[], tuple[Dataset, Dataset, dict[str, Any]]]
TASKS: dict[str, tuple[Task, tuple[int, ...], tuple[int, ...]]] = {
    "vowels": (vowels, (HIDDEN,), (4, 8, 16, 32)),
    "digits": (digits, (128, 128), (8, 16, 32, 64)),
}
"""Task -> data and recipe, widths of the spiking network, widths of smaller GRUs."""


def main() -> None:
    rows: list[dict[str, Any]] = []
    for task, (load, hidden, smaller) in TASKS.items():
        learn, test, recipe = load()
        wanted = [(kind, hidden) for kind in ("gru", "lstm", "mlp", "cnn")]
        wanted += [("gru", (width,) * len(hidden)) for width in smaller]
        for kind, widths in wanted:
            torch.manual_seed(SEED)
            model = Rival(kind, learn.x.shape[2], widths, len(np.unique(learn.y)))
            train(model, learn.x, learn.y, seed=SEED, progress=False, **recipe)
            row = {
                "task": task,
                "kind": kind,
                "hidden": widths,
                "accuracy": accuracy(model, test.x, test.y),
                "densities": [round(d, 4) for d in densities(model, test.x)],
            }
            print(json.dumps(row), flush=True)
            rows.append({**row, "test_sha256": test.sha256()})
    about = {"seed": SEED, "torch": torch.__version__}
    with atomic(PATH) as part:
        part.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
