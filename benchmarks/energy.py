"""Spiking networks beside the GRU, LSTM, MLP and CNN that one would use instead.

    SNN2HW_DATA=/path/to/data python benchmarks/energy.py

Writes docs/comparison.md, docs/comparison.svg and benchmarks/results/energy.json. The others were
trained by energy_rivals.py, whose figures are committed. Three minutes on one core. A network is
added by one line in CASES.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Bench
from energy_page import page
from energy_plot import svg
from pilotnet import pilotnet
from torch import nn

import snn2hw
from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.demo_models import train_japanese_vowels
from snn2hw.energy import operations
from snn2hw.energy.baselines import (
    Baseline,
    Comparison,
    SpikeCost,
    build,
    compare,
    multiplications,
    spike_cost,
    twin,
)
from snn2hw.energy.baselines.charges import PROFILE
from snn2hw.energy.baselines.compare import sizes
from snn2hw.energy.baselines.networks import KINDS
from snn2hw.energy.metrics import Metrics, metrics
from snn2hw.files import atomic
from snn2hw.graph import FixedPointNetwork
from snn2hw.nn import GPN, Readout, load_checkpoint
from snn2hw.simulator.run import Run

ROOT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "energy_rivals.json"
SEED = 0


@dataclass(frozen=True)
class Loaded:
    """A network, its input as messages, and the labels where there are any."""

    net: FixedPointNetwork
    x: np.ndarray
    y: np.ndarray | None = None


@dataclass(frozen=True)
class Case:
    """name: heading; load: makes the network; task: whose trained rivals it has; about: data;
    still: the data are a picture, so that its rival is its own twin."""

    name: str
    load: Callable[[], Loaded]
    task: str | None
    about: str
    still: bool = False


def demo(neuron: str) -> Loaded:
    """The demo's network, trained here: Japanese Vowels as spikes."""
    learn, test = (japanese_vowels.load_spikes(split) for split in ("train", "test"))
    model = train_japanese_vowels(neuron, learn, seed=SEED, progress=False)
    return deploy(model, learn.x, test.x, test.dt_s, test.y)


def digits(neuron: str) -> Loaded:
    """The spoken digits' checkpoint."""
    sys.path.insert(0, str(ROOT / "examples"))
    from speech_commands import calibration, checkpoint_path

    model = load_checkpoint(checkpoint_path(neuron))
    test = arabic_speech_commands.load_digits("test")
    return deploy(model, calibration().x, test.x, test.dt_s, test.y)


def shd_size(rate: float) -> Loaded:
    """A GPN of the size of one for SHD: untrained, on random spikes at that rate.

    The input weights are such that the current into a neuron has a standard deviation of 1.
    """
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(700, 1024), GPN(1024), Readout(1024, 20))
    with torch.no_grad():
        model[0].weight.normal_(std=(700 * rate) ** -0.5)
    rng = np.random.default_rng(SEED)
    x = (rng.random((4, 100, 700)) < rate).astype(np.uint8)
    return deploy(model, x, x, 0.01)


def pilotnet_lif() -> Loaded:
    """lava-dl's network on its recorded input, 16 steps as it is run for one answer."""
    net, x = pilotnet()
    return Loaded(net, x[:, :16])


def deploy(
    model: nn.Module, typical: np.ndarray, x: np.ndarray, dt_s: float, y: np.ndarray | None = None
) -> Loaded:
    """Export, quantise, encode. typical: data that set the scales."""
    graph = snn2hw.to_nir(model, x.shape[2:], dt=dt_s)
    net = snn2hw.quantize(graph, dt=dt_s, calibration=typical)
    return Loaded(net, net.encode(x), y)


VOWELS = "Japanese Vowels as spikes, 370 test utterances"
DIGITS = "ten spoken digits, log-mel as 8-bit messages, 400 test clips of unseen speakers"
SHD = "untrained weights, 4 samples of random spikes on 700 channels in 100 steps"
DRIVE = "the first 16 steps of lava-dl's recording, which are one inference"
CASES = (
    Case("demo, LIF", lambda: demo("lif"), "vowels", VOWELS),
    Case("demo, GPN", lambda: demo("gpn"), "vowels", VOWELS),
    Case("digits, LIF", lambda: digits("lif"), "digits", DIGITS),
    Case("digits, GPN", lambda: digits("gpn"), "digits", DIGITS),
    Case("SHD size, GPN, 0.5 % input", lambda: shd_size(0.005), None, SHD),
    Case("SHD size, GPN, 2 % input", lambda: shd_size(0.02), None, SHD),
    Case("PilotNet-LIF", pilotnet_lif, None, DRIVE, still=True),
)


@dataclass(frozen=True)
class Result:
    """What came of one case. same: rivals of the same widths; equal: a GRU as accurate, if any.

    multiplications: kind of network -> by Ponghiran and Roy's formula; groups_j: joules.
    """

    case: Case
    net: FixedPointNetwork
    shape: str
    steps: int
    accuracy: float | None
    cost: SpikeCost
    same: Comparison
    equal: Comparison | None
    metrics: Metrics
    multiplications: dict[str, float]
    groups_j: dict[str, float]


def measure(case: Case) -> Result:
    """Run one case and price it and its rivals."""
    loaded = case.load()
    run = loaded.net.run(loaded.x, record=("v",), threads=1)
    accuracy = None if loaded.y is None else float(np.mean(run.predictions == loaded.y))
    signal, hidden, outputs = sizes(loaded.net, run)
    if case.still:
        same = [twin(loaded.net)]
    else:
        same = [trained(case, loaded.net, run, kind, hidden) for kind in KINDS]
    equal = equally_accurate(case, loaded.net, run, accuracy)
    comparison = compare(loaded.net, run, same)
    cost = spike_cost(run, PROFILE, loaded.net)
    return Result(
        case=case,
        net=loaded.net,
        shape="-".join(map(str, (signal.channels, *hidden, outputs))),
        steps=run.activity.steps,
        accuracy=accuracy,
        cost=cost,
        same=comparison,
        equal=None if equal is None else compare(loaded.net, run, [equal]),
        metrics=metrics(loaded.net, run),
        multiplications=counted(loaded.net, run, same),
        groups_j=comparison.bill.by_group(),
    )


def rows(task: str | None) -> list[dict[str, Any]]:
    """What energy_rivals.py found for a task."""
    found = json.loads(RIVALS.read_text(encoding="utf-8"))["rows"] if task else []
    return [row for row in found if row["task"] == task]


def trained(
    case: Case, net: FixedPointNetwork, run: Run, kind: str, hidden: tuple[int, ...]
) -> Baseline:
    """A rival of those widths, with its accuracy and densities where it was trained."""
    signal, _, outputs = sizes(net, run)
    for row in rows(case.task):
        if row["kind"] == kind and tuple(row["hidden"]) == hidden:
            known = (row["densities"], row["accuracy"])
            return build(kind, signal, hidden, outputs, run.activity.steps, *known)
    return build(kind, signal, hidden, outputs, run.activity.steps)


def equally_accurate(
    case: Case, net: FixedPointNetwork, run: Run, accuracy: float | None
) -> Baseline | None:
    """The smallest trained GRU that is at least as accurate; None where there is none."""
    fit = [
        tuple(row["hidden"])
        for row in rows(case.task)
        if row["kind"] == "gru" and accuracy is not None and row["accuracy"] >= accuracy
    ]
    return trained(case, net, run, "gru", min(fit)) if fit else None


def own_multiplications(net: FixedPointNetwork, run: Run) -> dict[str, float]:
    """Those that the run itself did, an inference: with graded messages, and in neuron steps."""
    activity = run.activity
    return {
        "messages": activity.macs / activity.samples,
        "neurons": sum(
            float(activity.layer(layer.name).updates.mean()) * operations(layer.model)["multiplies"]
            for layer in net.layers
        ),
    }


def counted(net: FixedPointNetwork, run: Run, same: list[Baseline]) -> dict[str, float]:
    """Multiplications of an inference: by Ponghiran and Roy's formula where all layers are of one
    width, which it takes for granted, and those that the run itself did."""
    signal, hidden, outputs = sizes(net, run)
    steps, activity = run.activity.steps, run.activity
    found = own_multiplications(net, run)
    if len(set(hidden)) > 1:
        return found
    fired = [
        float(layer.spikes.mean()) / steps
        for layer in activity.layers
        if 1 in layer.port_bits.values()
    ]
    nnz = {"traditional": fired, "gated": fired}
    for baseline in same:
        if baseline.kind in ("gru", "lstm"):
            nnz[baseline.kind] = [part.units * part.density for part in baseline.parts[:-1]]
    for kind, active in nnz.items():
        nnz_in = signal.channels * signal.density
        found[kind] = steps * multiplications(kind, nnz_in, hidden[0], outputs, active)
    return found


def main() -> None:
    bench = Bench("energy", seed=SEED)
    results = []
    for case in CASES:
        result = measure(case)
        print(f"{case.name}: {result.cost.counted_j * 1e6:.3f} uJ", flush=True)
        results.append(result)
        bench.add(
            {
                "name": case.name,
                "shape": result.shape,
                "steps": result.steps,
                "accuracy": result.accuracy,
                "comparison": result.same.to_dict(),
                "equal_accuracy": None if result.equal is None else result.equal.to_dict(),
                "metrics": result.metrics.to_dict(),
                "multiplications": result.multiplications,
            }
        )
    bench.write()
    for name, text in (
        ("comparison.md", page(results)),
        ("comparison.svg", svg({r.case.name: (r.cost, r.same) for r in results})),
    ):
        with atomic(ROOT / "docs" / name) as part:
            part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
