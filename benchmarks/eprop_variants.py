"""Which e-prop learns: one thing of the published recipe changed at a time, on real speech.

    SNN2HW_DATA=/path/to/data python benchmarks/eprop_variants.py [--only NAME ...]

Ten digits, 1800 clips of the training speakers, four epochs at batch 1 as in
examples/learn_speech_commands.py, one seed; accuracy on validation and test speakers, spikes per
neuron and second. Learning rates are the recipe's unless the variant says another: the best of
those tried on the validation speakers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Bench
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))
from learn_speech_commands import KAPPA, NEURONS, accuracy, network, train

import snn2hw
from snn2hw.data import arabic_speech_commands
from snn2hw.errors import DataError
from snn2hw.nn import ALIF, GPN, LeakyReadout, Recurrent
from snn2hw.targets.spinnaker2.eprop import Rule


def neurons(make: Callable[[], nn.Module], n: int = NEURONS, init: bool = True) -> Any:
    """The network with other hidden neurons."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (nn.Linear(80, n, bias=False), make())
        model = nn.Sequential(*layers, LeakyReadout(n, 10, kappa=KAPPA, bias=False))
        for weight in model.parameters():
            if init:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return snn2hw.to_nir(model, (80,), dt=0.01)


@dataclass(frozen=True)
class Variant:
    """rule: what differs from Rostami's preset; rate: the first learning rate; epochs: at it,
    and at 0.3 of it."""

    rule: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.01
    epochs: tuple[int, int] = (2, 2)
    graph: Callable[[], Any] = lambda: network(0)


VARIANTS = {
    "Rostami et al. 2022": Variant(),
    "half the learning rate": Variant(rate=0.005),
    "exact trace": Variant({"trace": "exact"}),
    "exact trace, triangle": Variant({"trace": "exact", "surrogate": "triangle"}),
    "random feedback": Variant({"feedback": "random"}, rate=0.003),
    "adaptive feedback": Variant({"feedback": "adaptive", "feedback_decay": 1e-3}),
    "error at every step": Variant({"error": "step"}),
    "weights change at every step, half the epochs": Variant(
        {"error": "step", "update": "step"}, rate=0.0002, epochs=(1, 1)
    ),
    "squared error": Variant({"loss": "mean_squared_error"}, rate=0.003),
    "rates pulled to 10 Hz": Variant({"rate_strength": 0.1}),
    "gradient descent": Variant({"optimizer": "sgd"}, rate=0.1),
    "no adaptation (LIF)": Variant(
        {"trace": "exact"},
        graph=lambda: neurons(lambda: Recurrent(ALIF.rostami(NEURONS, beta=0.0), bias=False)),
    ),
    "64 GPN": Variant(
        {"trace": "exact", "surrogate": "atan"},
        graph=lambda: neurons(lambda: GPN(64), n=64, init=False),
    ),
}


def main(only: list[str] | None = None) -> None:
    try:
        clips = {
            s: arabic_speech_commands.load_digits_with_deltas(s)
            for s in arabic_speech_commands.SPLITS
        }
    except DataError as error:
        print(f"variants of e-prop left out: {error}", file=sys.stderr)
        return
    bench = Bench("eprop_variants", seeds=[0], data={d.name: d.sha256() for d in clips.values()})
    for name, variant in VARIANTS.items():
        if only and name not in only:
            continue
        rule = Rule.rostami(**variant.rule)
        schedule = ((variant.epochs[0], variant.rate), (variant.epochs[1], 0.3 * variant.rate))
        start = time.perf_counter()
        for learner, right in train(variant.graph(), clips["train"], rule, schedule, 0):
            last, last_right = learner, right
        row = {
            "variant": name,
            "rule": variant.rule,
            "rate": variant.rate,
            "epochs": sum(variant.epochs),
            "train": last_right,
            "val": accuracy(last, clips["val"].x, clips["val"].y),
            "test": accuracy(last, clips["test"].x, clips["test"].y),
            "rate_hz": float(np.mean(last.rates)) / clips["val"].dt_s,
            "training_s": time.perf_counter() - start,
        }
        bench.add(row)
        print(
            f"{name:48} rate {variant.rate:<6} train {row['train']:.1%} val {row['val']:.1%} test "
            f"{row['test']:.1%}, {row['rate_hz']:.1f} Hz, {row['training_s']:.0f} s",
            flush=True,
        )
    if not only:
        bench.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="NAME")
    main(parser.parse_args().only)
