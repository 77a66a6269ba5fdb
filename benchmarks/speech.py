"""Networks of the field on real speech: ten digits and 40 words, speakers never heard before.

    SNN2HW_DATA=/path/to/data python benchmarks/speech.py [--tasks digits] [--rows lif gpn ...]

Each row is a network of examples/speech/TASK_ROW.yaml; its checkpoint is in
examples/checkpoints/speech, and is trained where it is missing (--train: in any case). Measured
rows go to benchmarks/results/speech/TASK_ROW.json and are kept for as long as their checkpoint is
the same (--again: measured anew), so that the work can be done in parts. The rows in SEEDS are
trained with three seeds, TASK_ROW_seedN. Last, docs/speech.md and docs/speech_*.svg are written
from all rows that there are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, Bench
from speech_measure import dense_multiplications, measure
from speech_page import page
from speech_plot import svg

from snn2hw.cli.common import natural
from snn2hw.data import DATASETS, Dataset
from snn2hw.data.audio import BANDS
from snn2hw.energy.baselines import Signal, build
from snn2hw.errors import Snn2hwError
from snn2hw.files import atomic
from snn2hw.nn import load_checkpoint
from snn2hw.nn.config import TrainingConfig, read_config, without_defaults
from snn2hw.nn.experiment import Outputs, run_config

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "examples" / "speech"
CHECKPOINTS = ROOT / "examples" / "checkpoints" / "speech"
DOCS = ROOT / "docs"
ROWS = (
    "lif", "rlif", "gpn", "gpn_no_f", "gpn_no_i", "gpn_no_t", "gpn_no_b", "gpn_from_words",
    "s2net", "roy_v2", "gru", "lstm", "lstm_192",
)  # fmt: skip
TASKS = {
    "digits": ROWS,
    "words": ("lif", "rlif", "gpn", "s2net", "roy_v2", "gru", "lstm"),
}
"""Task -> its rows, in the order of the tables."""

SEEDS = {("digits", row): (1, 2) for row in ("gpn_from_words", "roy_v2", "lstm_192")}
"""Task and row -> seeds besides 0; of these accuracies alone are told."""

STEPS = 50
"""Of a clip, as a GRU hears it: `BANDS` bands in 20 ms."""

VERIFIED = {"s2net": (2, None)}
"""Row -> clips and steps compared with Lava, where all steps of `--verify` clips take too long."""

LAYOUT = 2
"""Of a row's file; rows of another are measured anew."""


@dataclass(frozen=True)
class Place:
    """Where a row's files are."""

    task: str
    row: str
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.task}_{self.row}" + (f"_seed{self.seed}" if self.seed else "")

    @property
    def config(self) -> Path:
        return CONFIGS / f"{self.task}_{self.row}.yaml"

    @property
    def outputs(self) -> Outputs:
        return Outputs.of(CHECKPOINTS, self.name)

    @property
    def result(self) -> Path:
        return RESULTS / "speech" / f"{self.name}.json"


def trained(place: Place, config: TrainingConfig, anew: bool) -> dict[str, Any]:
    """What `snn2hw train` says of the checkpoint, which it makes where there is none."""
    if anew or not place.outputs.checkpoint.exists():
        print(f"{place.name}: training", flush=True)
        CHECKPOINTS.mkdir(parents=True, exist_ok=True)
        return run_config(config, place.outputs, resume=not anew, restart=anew)
    result: dict[str, Any] = json.loads(place.outputs.result.read_text(encoding="utf-8"))
    if without_defaults(result["config"]) != without_defaults(config.plain()):
        print(f"{place.name}: the checkpoint is of another config; --train renews it", flush=True)
    return result


def load(config: TrainingConfig, role: str) -> Dataset:
    split = DATASETS[config.data.name]
    return split(config.splits[role], **config.data.arguments)


def kept(place: Place, about: dict[str, Any]) -> dict[str, Any] | None:
    """The row, if it was measured of this checkpoint in this way."""
    try:
        found = json.loads(place.result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if found.get("about") == about else None


def measured(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    """One row, trained if need be, measured if need be."""
    config = read_config(place.config)
    if place.seed:
        config = replace(config, seed=place.seed)
    training = trained(place, config, options.train)
    digest = hashlib.sha256(place.outputs.checkpoint.read_bytes()).hexdigest()
    clips, steps = VERIFIED.get(place.row, (options.verify, None))
    clips = 0 if place.seed else min(clips, options.verify)
    about = {"checkpoint_sha256": digest, "verify": [clips, steps], "layout": LAYOUT}
    found = kept(place, about)
    if found is not None and not options.again:
        print(f"{place.name}: measured already", flush=True)
        return found
    start = time.perf_counter()
    train, validation, test = (load(config, role) for role in ("train", "validation", "test"))
    model = load_checkpoint(place.outputs.checkpoint)
    row = {
        "task": place.task,
        "row": place.row,
        "about": about,
        "model": {"name": config.model.name, **config.model.arguments},
        "epochs": len(training["history"]),
        "seed": training["config"]["seed"],
        "validation": training["accuracy"].get("validation"),
        "training_s": training["training_s"],
        "test_sha256": test.sha256(),
        **measure(model, train, validation, test, clips, steps),
    }
    row["seconds"] = round(time.perf_counter() - start, 1)
    place.result.parent.mkdir(parents=True, exist_ok=True)
    with atomic(place.result) as part:
        part.write_text(json.dumps(row, indent=1, default=np.generic.item) + "\n", encoding="utf-8")
    print(f"{place.name}: {row['seconds']} s", flush=True)
    return row


def reference(task: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The GRU that a task's networks are counted against: its row, or what its config says, for its
    multiplications do not depend on what it learned. None where no row says how large the data are.
    """
    mine = [row for row in rows if row["task"] == task]
    for row in mine:
        if row["row"] == "gru":
            return row
    config = Place(task, "gru").config
    if not mine or not config.exists():
        return None
    said = read_config(config).model.arguments
    widths = [said.get("width", 128)] * said.get("layers", 2)
    signal = Signal(BANDS)
    return dense_multiplications(build("gru", signal, widths, mine[0]["classes"], STEPS))


def _places(task: str, row: str) -> list[Place]:
    return [Place(task, row, seed) for seed in (0, *SEEDS.get((task, row), ()))]


def write_page() -> None:
    """Page, plots and results/speech.json from all rows that there are."""
    bench, others = Bench("speech"), Bench("speech_seeds")
    for task, names in TASKS.items():
        for row in names:
            for place in _places(task, row):
                if place.result.exists():
                    found = json.loads(place.result.read_text(encoding="utf-8"))
                    (others if place.seed else bench).add(found)
    bench.write()
    others.write()
    missing = [
        f"{task}: {row}"
        for task, names in TASKS.items()
        for row in names
        if (task, row) not in {(r["task"], r["row"]) for r in bench.rows}
    ]
    grus = {task: gru for task in TASKS if (gru := reference(task, bench.rows)) is not None}
    texts = {"speech.md": page(bench.rows, missing, grus, others.rows)}
    for task in TASKS:
        if rows := [row for row in bench.rows if row["task"] == task]:
            texts[f"speech_{task}.svg"] = svg(task, rows)
    for name, text in texts.items():
        with atomic(DOCS / name) as part:
            part.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and write everything. Status 1 where a row could not be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--train", action="store_true", help="train all anew")
    parser.add_argument("--again", action="store_true", help="measure anew what is measured")
    parser.add_argument(
        "--verify", type=natural, default=5, metavar="N", help="test clips compared with Lava (5)"
    )
    options = parser.parse_args(arguments)
    failed = 0
    # The words come first: a network of theirs is where one of the digits begins.
    for task in [task for task in reversed(TASKS) if task in options.tasks]:
        for row in TASKS[task]:
            for place in _places(task, row) if row in options.rows else ():
                try:
                    measured(place, options)
                except Snn2hwError as error:
                    failed += 1
                    sys.stderr.write(f"speech: {place.name}: error: {error}\n")
    write_page()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
