"""GPN's gates on SpiNNaker2's exp unit and in the table, against gates in float64.

    SNN2HW_DATA=/path/to/data python benchmarks/gates.py

The demo's GPN, trained here, and the digits' checkpoint, if the data are at hand; test data. Of
each layer: spikes that differ from those of gates in float64 rounded to s16.15, all else being the
same integers, as a part of the spikes that there are. Figures of docs/spinnaker2.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import Bench

import snn2hw
from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.data.base import Dataset
from snn2hw.demo_models import train_japanese_vowels
from snn2hw.errors import DataError
from snn2hw.nn import load_checkpoint
from snn2hw.targets.spinnaker2.inference import run_on_pes
from snn2hw.targets.spinnaker2.programs import GATES

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))


def measure(bench: Bench, name: str, model, calibration: np.ndarray, test: Dataset) -> None:
    from gates_reference import simulate_float_gates

    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=calibration)
    x = net.encode(test.x)
    exact = simulate_float_gates(net, x)
    placement = snn2hw.place(net)
    runs = {gates: run_on_pes(net, x, placement, gates=gates) for gates in GATES}
    for gates, run in runs.items():
        apart = {}
        for layer in net.layers:
            if layer.model.name == "gpn":
                want = exact.sent[layer.name]["s"]
                apart[layer.name] = float(np.sum(run.spikes[layer.name] != want) / want.sum())
        row = {
            "network": name,
            "gates": gates,
            "spikes_differ": apart,
            "accuracy": float(np.mean(run.predictions == test.y)),
            "same_answers": float(np.mean(run.predictions == runs["table"].predictions)),
        }
        bench.add(row)
        spikes = ", ".join(f"{layer} {part:.3%}" for layer, part in apart.items())
        print(
            f"{name}, {gates}: spikes that differ {spikes}; accuracy {row['accuracy']:.2%}, "
            f"answers as with the table {row['same_answers']:.2%}"
        )


def main() -> None:
    train, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    bench = Bench("gates", seed=0, data={test.name: test.sha256()})
    measure(bench, "demo", train_japanese_vowels("gpn", train), train.x, test)
    try:
        typical, test = (arabic_speech_commands.load_digits(split) for split in ("train", "test"))
    except DataError as error:
        print(f"digits left out: {error}", file=sys.stderr)
    else:
        model = load_checkpoint(ROOT / "examples" / "checkpoints" / "speech_commands_gpn.pt")
        measure(bench, "digits", model, typical.x[::4], test)
    bench.write()


if __name__ == "__main__":
    main()
