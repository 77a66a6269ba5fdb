"""E-prop on real speech: ten digits from scratch, adaptation to a speaker, arithmetic of the PEs.

    SNN2HW_DATA=/path/to/data python benchmarks/eprop_speech.py [--seeds 3] [--more 5]

Network, schedule and protocol are those of examples/learn_speech_commands.py. For each seed and
arithmetic: trained on the training speakers, judged on those of the test; then one online pass over
half of a test speaker's clips, judged on the other half and on all clips of the validation speakers
(both halves in turn, averaged); in float32 with more seeds, for what adaptation gains differs by a
point and more from one network to the next. Also what was chosen between: rates of adaptation, on
the validation speakers alone (kept: the other five), and lengths of training with what each leaves
to gain.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import Bench

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples"))
from learn_speech_commands import (
    ADAPTATION_RATE,
    SCHEDULE,
    Adaptation,
    accuracy,
    adapt,
    network,
    train,
)

from snn2hw.data import arabic_speech_commands
from snn2hw.data.base import Dataset
from snn2hw.errors import DataError
from snn2hw.targets.spinnaker2.eprop import Rule

ARITHMETIC = (("s16.15", "stochastic"), ("s16.15", "nearest"))
RATES = (0.001, 0.0015, 0.002, 0.003)
LONGER = ((3, 0.01), (3, 0.003), (3, 0.0009), (1, 0.00027))
"""Another schedule, of ten epochs."""

Clips = dict[str, Dataset]


def speakers(data: Dataset) -> list[str]:
    """Who speaks."""
    return sorted(set(data.speaker))


def adapt_to_all(
    graph: Any, rule: Rule, clips: Clips, split: str
) -> Iterable[tuple[str, list[Adaptation]]]:
    """Each speaker of a split, both halves; kept: the validation speakers but this one."""
    val = clips["val"]
    for speaker in speakers(clips[split]):
        others = val.speaker != speaker
        kept = val.x[others], val.y[others]
        yield (
            speaker,
            [adapt(graph, rule, clips[split], speaker, kept, odd)[1] for odd in (True, False)],
        )


def points(pairs: list[Adaptation]) -> tuple[float, float, float]:
    """Means: accuracy before in per cent, points gained, points lost on those kept."""
    before = 100 * np.mean([p.before for p in pairs])
    gained = 100 * np.mean([p.after - p.before for p in pairs])
    lost = 100 * np.mean([p.kept_before - p.kept_after for p in pairs])
    return float(before), float(gained), float(lost)


def trained(
    seed: int, rule: Rule, schedule: tuple[tuple[int, float], ...], clips: Clips
) -> tuple[Any, dict[str, Any]]:
    """A network trained on the training speakers, and its row of figures."""
    start = time.perf_counter()
    for learner, right in train(network(seed), clips["train"], rule, schedule, seed):
        last, last_right = learner, right
    seconds = time.perf_counter() - start
    row = {
        "seed": seed,
        "arithmetic": rule.arithmetic,
        "rounding": rule.rounding if rule.arithmetic == "s16.15" else None,
        "epochs": sum(epochs for epochs, _ in schedule),
        "train": last_right,
        "val": accuracy(last, clips["val"].x, clips["val"].y),
        "test": accuracy(last, clips["test"].x, clips["test"].y),
        "training_s": seconds,
    }
    return last.graph(), row


def measure(seed: int, rule: Rule, schedule: Any, clips: Clips) -> tuple[Any, dict[str, Any]]:
    """Train, adapt to every test speaker, print a line."""
    graph, row = trained(seed, rule, schedule, clips)
    online = replace(rule, learning_rate=ADAPTATION_RATE, l2=0.0, seed=seed)
    by_speaker = dict(adapt_to_all(graph, online, clips, "test"))
    before, gained, lost = points([p for pairs in by_speaker.values() for p in pairs])
    row |= {
        "gained_points": gained,
        "lost_points": lost,
        "speakers": {
            who: dict(zip(("before", "gained", "lost"), points(pairs), strict=True))
            for who, pairs in by_speaker.items()
        },
    }
    each = ", ".join(f"{who[-2:]}: {points(pairs)[1]:+.0f}" for who, pairs in by_speaker.items())
    print(
        f"{row['arithmetic']} {row['rounding'] or ''} seed {seed}, {row['epochs']} epochs: "
        f"val {row['val']:.1%}, test {row['test']:.1%} in {row['training_s']:.0f} s; adapted "
        f"{gained:+.1f} points from {before:.1f} ({each}), validation speakers {-lost:+.1f}",
        flush=True,
    )
    return graph, row


def choose(seed: int, graph: Any, rule: Rule, clips: Clips) -> list[dict[str, Any]]:
    """Rates of adaptation on the validation speakers."""
    rows = []
    for rate in RATES:
        online = replace(rule, learning_rate=rate, l2=0.0, seed=seed)
        found = [p for _, pairs in adapt_to_all(graph, online, clips, "val") for p in pairs]
        before, gained, lost = points(found)
        rows.append({"seed": seed, "rate": rate, "gained_points": gained, "lost_points": lost})
        print(
            f"  validation speakers, rate {rate}: {gained:+.1f} points from {before:.1f}, "
            f"the other five {-lost:+.1f}",
            flush=True,
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> None:
    """Means over seeds."""
    kinds: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        name = f"{row['arithmetic']} {row['rounding'] or ''}".strip()
        kinds.setdefault((row["epochs"], name), []).append(row)
    fewest = min(len(mine) for mine in kinds.values())
    print(f"{'arithmetic':20} epochs seeds  val % test % gained  lost")
    for (epochs, name), mine in sorted(kinds.items()):
        for count in sorted({fewest, len(mine)}):
            mean = {
                key: float(np.mean([row[key] for row in mine[:count]]))
                for key in ("val", "test", "gained_points", "lost_points")
            }
            print(
                f"{name:20} {epochs:6} {count:5} {100 * mean['val']:6.1f} "
                f"{100 * mean['test']:6.1f} {mean['gained_points']:+6.1f} "
                f"{mean['lost_points']:5.1f}"
            )


def main(seeds: int = 3, more: int = 5) -> None:
    try:
        clips = {
            s: arabic_speech_commands.load_digits_with_deltas(s)
            for s in arabic_speech_commands.SPLITS
        }
    except DataError as error:
        print(f"e-prop on speech left out: {error}", file=sys.stderr)
        return
    bench = Bench(
        "eprop_speech",
        seeds=list(range(seeds + more)),
        schedule=SCHEDULE,
        adaptation_rate=ADAPTATION_RATE,
        data={data.name: data.sha256() for data in clips.values()},
    )
    plain, graphs, rates = Rule.rostami(), [], []
    for seed in range(seeds + more):
        graph, row = measure(seed, plain, SCHEDULE, clips)
        graphs.append(graph)
        bench.add(row)
    for seed in range(seeds):
        for arithmetic, rounding in ARITHMETIC:
            rule = Rule.rostami(arithmetic=arithmetic, rounding=rounding)
            bench.add(measure(seed, rule, SCHEDULE, clips)[1])
        rates += choose(seed, graphs[seed], plain, clips)
        bench.add(measure(seed, plain, LONGER, clips)[1])
    summary(bench.rows)
    for rate in RATES:
        mine = [row for row in rates if row["rate"] == rate]
        gained, lost = (
            float(np.mean([row[key] for row in mine])) for key in ("gained_points", "lost_points")
        )
        print(
            f"validation speakers, rate {rate}: {gained:+.1f} points, the other five {-lost:+.1f}"
        )
    bench.about["rates"] = rates
    bench.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="networks (3)")
    parser.add_argument("--more", type=int, default=5, metavar="N", help="in float32 alone (5)")
    options = parser.parse_args()
    main(options.seeds, options.more)
