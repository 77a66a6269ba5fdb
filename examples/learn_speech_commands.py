"""Learning on SpiNNaker2's terms: ten spoken digits from scratch, then one new speaker, by e-prop.

    SNN2HW_DATA=/path/to/data python examples/learn_speech_commands.py [--speaker 00000026]

1. The network of Rostami et al. 2022 (80 inputs, 120 recurrent ALIF, leaky readouts) with random
   weights, a PyTorch model made a NIR graph, learns the 1800 training clips on simulated processing
   elements, one clip at a time: four epochs (--base FILE.nir skips this).
2. It hears half of a new speaker's clips (five of the ten takes of each digit) once, and learns
   from each as it goes by: no clip is heard twice, no old one is kept.
3. It is judged on the other half, and on the six validation speakers, whom it must not forget.
4. The adapted network, a .nir file, is quantised for Loihi 2 and run as integers.

How rates and epochs were chosen, and what other choices give: docs/learning.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import snn2hw
from snn2hw.cli.common import make_folder
from snn2hw.data import arabic_speech_commands
from snn2hw.data.base import Dataset
from snn2hw.errors import DataError, Snn2hwError
from snn2hw.nn import ALIF, LeakyReadout, Recurrent
from snn2hw.targets.spinnaker2.eprop import Learner, Rule

NEURONS = 120
KAPPA = float(np.exp(-1 / 10))
SCHEDULE = ((2, 0.01), (2, 0.003))
"""(epochs, learning rate): times 0.3 every two epochs, as in the C code of Rostami et al. Six more
epochs make new speakers a point better understood before adaptation, and not after it."""
ADAPTATION_RATE = 0.002


@dataclass(frozen=True)
class Adaptation:
    """Accuracy before and after one pass: on the speaker's other takes, and on those kept."""

    speaker: str
    before: float
    after: float
    kept_before: float
    kept_after: float


def network(seed: int) -> Any:
    """The untrained network as a NIR graph; weights as Rostami et al. draw them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Linear(80, NEURONS, bias=False),
            Recurrent(ALIF.rostami(NEURONS), bias=False),
            LeakyReadout(NEURONS, 10, kappa=KAPPA, bias=False),
        )
        for weight in model.parameters():
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return snn2hw.to_nir(model, (80,), dt=0.01)


def accuracy(learner: Learner, x: np.ndarray, y: np.ndarray) -> float:
    """Share of clips whose largest mean output is the digit's."""
    return float(np.mean(learner.predict(x).argmax(1) == y))


def train(
    graph: Any, data: Dataset, rule: Rule, schedule: tuple[tuple[int, float], ...], seed: int
) -> Iterator[tuple[Learner, float]]:
    """Learn all clips epoch by epoch; gives the learner and the epoch's share of right guesses.

    Each learning rate begins with fresh moments, for it begins with a new learner.
    """
    order = np.random.default_rng(seed)
    for stage, (epochs, rate) in enumerate(schedule):
        learner = Learner(
            graph, replace(rule, learning_rate=rate, seed=100 * seed + stage), dt=data.dt_s
        )
        for _ in range(epochs):
            picked = order.permutation(len(data))
            learned = learner.learn(data.x[picked], data.y[picked])
            yield learner, float(np.mean(learned.correct))
        graph = learner.graph()


def halves(data: Dataset, speaker: str, odd: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips to adapt to and clips to judge by: the takes of one parity, and the others.

    The first come take by take, every digit once in each, in random order.
    """
    own = data.speaker == speaker
    if data.take is None or not own.any():
        known = ", ".join(sorted(set(data.speaker)))
        raise DataError(f"{data.name}: there is no speaker {speaker}; the speakers are {known}")
    mine = own & (data.take % 2 == int(odd))
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(mine))
    heard = shuffled[np.argsort(data.take[shuffled], kind="stable")]
    return heard, np.flatnonzero(own & ~mine)


def adapt(
    graph: Any,
    rule: Rule,
    data: Dataset,
    speaker: str,
    kept: tuple[np.ndarray, np.ndarray],
    odd: bool = True,
) -> tuple[Learner, Adaptation]:
    """One pass over half of a speaker's clips, one after the other."""
    heard, judged = halves(data, speaker, odd, rule.seed)
    learner = Learner(graph, rule, dt=data.dt_s)
    before = accuracy(learner, data.x[judged], data.y[judged]), accuracy(learner, *kept)
    learner.learn(data.x[heard], data.y[heard])
    after = accuracy(learner, data.x[judged], data.y[judged]), accuracy(learner, *kept)
    return learner, Adaptation(speaker, before[0], after[0], before[1], after[1])


def on_loihi(
    graph: Any, calibration: np.ndarray, x: np.ndarray, y: np.ndarray, path: Path
) -> float:
    """Accuracy of the graph as integers; the integers are written to path."""
    net = snn2hw.quantize(graph, target="loihi2", dt=0.01, calibration=calibration)
    net.save(path)
    run = net.run(net.encode(x))
    return float(np.mean(run.predictions == y))


def main() -> int:
    """Train, adapt, quantise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default="out/learned", metavar="FOLDER")
    parser.add_argument("--base", metavar="FILE.nir", help="a network trained before")
    parser.add_argument("--speaker", default="00000026", help="of the test split (00000026)")
    parser.add_argument("--arithmetic", default="float32", choices=("float32", "s16.15"))
    options = parser.parse_args()
    try:
        walk(options)
    except Snn2hwError as error:
        sys.stderr.write(f"learn_speech_commands: error: {error}\n")
        return 2
    return 0


def walk(options: argparse.Namespace) -> None:
    """The four steps of the module's text."""
    folder = make_folder(options.output)
    clips = {
        split: arabic_speech_commands.load_digits_with_deltas(split)
        for split in arabic_speech_commands.SPLITS
    }
    rule, kept = Rule.rostami(arithmetic=options.arithmetic), (clips["val"].x, clips["val"].y)
    if options.base:
        base = snn2hw.read(options.base)
    else:
        for epoch, (learner, right) in enumerate(
            train(network(0), clips["train"], rule, SCHEDULE, 0), start=1
        ):
            print(
                f"epoch {epoch}: {right:.1%} right while learning, "
                f"{accuracy(learner, *kept):.1%} on the validation speakers"
            )
        base = learner.graph()
        snn2hw.write(folder / "base.nir", base)
        print(f"{accuracy(learner, clips['test'].x, clips['test'].y):.1%} on the test speakers")

    online = replace(rule, learning_rate=ADAPTATION_RATE, l2=0.0)
    adapted, result = adapt(base, online, clips["test"], options.speaker, kept)
    print(
        f"speaker {result.speaker}, 50 clips heard once: {result.before:.0%} -> "
        f"{result.after:.0%} on the other 50; validation speakers {result.kept_before:.1%} -> "
        f"{result.kept_after:.1%}"
    )
    snn2hw.write(folder / "adapted.nir", adapted.graph())

    judged = halves(clips["test"], options.speaker, True, 0)[1]
    integers = on_loihi(
        adapted.graph(),
        clips["train"].x[::6],
        clips["test"].x[judged],
        clips["test"].y[judged],
        folder / "adapted.h5",
    )
    print(f"adapted.nir as Loihi 2's integers: {integers:.0%} on the same 50")
    print(f"in {folder}: adapted.nir, adapted.h5")


if __name__ == "__main__":
    sys.exit(main())
