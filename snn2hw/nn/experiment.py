"""Train what a config says, and write the network and how it came about."""

from __future__ import annotations

import glob
import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import snn2hw
from snn2hw.data import DATASETS, Dataset
from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.files import atomic
from snn2hw.nn.checkpoint import load_checkpoint, save_checkpoint
from snn2hw.nn.config import TrainingConfig, without_defaults
from snn2hw.nn.models import build
from snn2hw.nn.scoring import accuracy
from snn2hw.nn.training import Epoch, best_epoch, fit
from snn2hw.nn.transfer import start_from


@dataclass(frozen=True)
class Outputs:
    """The files of a training: the network, how it came about, and what an interruption leaves."""

    checkpoint: Path
    result: Path
    state: Path

    @classmethod
    def of(cls, folder: str | Path, name: str) -> Outputs:
        """Those of a name in a folder."""
        base = Path(folder)
        return cls(*(base / f"{name}.{end}" for end in ("pt", "json", "state.pt")))


def run_config(
    config: TrainingConfig,
    outputs: Outputs,
    *,
    resume: bool = False,
    restart: bool = False,
    device: str = "auto",
    threads: int = 1,
    every: int = 1,
    progress: bool | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> dict[str, Any]:
    """Train what a config says and write the network and the result.

    A network is written when it is complete; until then the state file is what there is, and after
    that it is removed.

    Args:
        config: what, on what, how.
        outputs: where to; the folder must exist.
        resume: go on from the state file if there is one, and leave a network that is complete and
            of this config and data as it is. The result is the same to the bit, on one machine and
            number of threads, as without the interruption.
        restart: remove the state file if there is one.
        device: "cpu", "cuda", or "auto": a GPU if torch finds one.
        threads: of torch.
        every: epochs between two writings of the state.
        progress: show a bar on stderr; None: only where stderr is a terminal.
        on_epoch: called after each epoch.

    Returns:
        The result, as the .json has it: config, data and their SHA-256, accuracy of each split by
        the stored weights, history, versions.

    Raises:
        DataError: data that are not at hand, or a state file while neither `resume` nor `restart`
            says what to do with it.
        ParameterError: a value that a layer refuses, a loss that is no longer finite, a GPU that
            is not there, a state file of another training, or a checkpoint to start with of
            another network.
        FileFormatError: a state file, or a checkpoint to start with, that cannot be read.
    """
    device = find_device(device)
    if restart:
        outputs.state.unlink(missing_ok=True)
    if outputs.state.exists() and not resume:
        raise DataError(
            f"{outputs.state}: an interrupted training is there, give --resume to go on or"
            " --restart to begin anew"
        )
    for part in outputs.state.parent.glob(f".{glob.escape(outputs.state.name)}.*.part"):
        part.unlink(missing_ok=True)
    begin = {} if config.start is None else {"start_sha256": _sha256(config.start.path)}
    data = load_data(config)
    used = {role: _of(part) for role, part in data.items()}
    about = {"config": without_defaults(config.plain()), "data": used, **begin}
    if resume and (done := finished(outputs, about)) is not None:
        return done
    train = data["train"]
    model = build(
        config.model.name,
        train.x.shape[2:],
        len(train.classes),
        config.seed,
        **config.model.arguments,
    )
    new = [] if config.start is None else start_from(model, config.start.path)
    judge = data.get("validation")
    history = fit(
        model,
        (train.x, train.y),
        config.training,
        seed=config.seed,
        validation=None if judge is None else (judge.x, judge.y),
        progress=progress,
        label=outputs.checkpoint.stem,
        threads=threads,
        device=device,
        state=outputs.state,
        every=every,
        about=about,
        on_epoch=on_epoch,
    )
    save_checkpoint(outputs.checkpoint, model, half=config.store == "float16")
    stored = load_checkpoint(outputs.checkpoint)
    best = config.training.keep == "best"
    result = {
        "config": config.plain(),
        "data": used,
        **({**begin, "new": new} if begin else {}),
        "parameters": sum(p.numel() for p in stored.parameters()),
        "accuracy": {role: accuracy(stored, part.x, part.y) for role, part in data.items()},
        "notes": {role: list(part.notes) for role, part in data.items() if part.notes},
        "kept_epoch": best_epoch(history) if best else len(history),
        "training_s": round(sum(epoch.seconds for epoch in history), 1),
        "checkpoint_sha256": _sha256(outputs.checkpoint),
        "versions": versions(),
        "device": device,
        "threads": threads,
        "history": [asdict(epoch) for epoch in history],
    }
    with atomic(outputs.result) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    outputs.state.unlink(missing_ok=True)
    return result


def find_device(name: str) -> str:
    """Return "cuda" or "cpu", what "auto" finds. Raises ParameterError for a GPU that is not."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ParameterError("device: torch finds no GPU, give cpu or auto")
    return "cuda" if there and name != "cpu" else "cpu"


def load_data(config: TrainingConfig) -> dict[str, Dataset]:
    """Load the splits that a config names, by role. Raises DataError as `check_splits` does."""
    load = DATASETS[config.data.name]
    data = {role: load(split, **config.data.arguments) for role, split in config.splits.items()}
    check_splits(data)
    return data


def check_splits(data: Mapping[str, Dataset]) -> None:
    """Raise DataError for splits that do not go together, or that are empty."""
    train = data["train"]
    for part in data.values():
        if not len(part) or part.x.shape[2:] != train.x.shape[2:] or part.classes != train.classes:
            raise DataError(
                f"{part.name}: {len(part)} samples, step {part.x.shape[2:]}, {len(part.classes)}"
                f" classes do not go with {train.name} ({train.x.shape[2:]}, {len(train.classes)}),"
                " name splits of one data set"
            )


def finished(outputs: Outputs, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the result of a complete training of the same config and data, if it is there."""
    try:
        result = json.loads(outputs.result.read_text(encoding="utf-8"))
        same = result["checkpoint_sha256"] == _sha256(outputs.checkpoint)
        there = {"config": without_defaults(result["config"]), "data": result["data"]}
        if "start_sha256" in result:
            there["start_sha256"] = result["start_sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FileFormatError):
        return None
    return dict(result) if same and there == about else None


def versions() -> dict[str, str]:
    """Return the versions that decide what comes out."""
    return {
        "snn2hw": snn2hw.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _of(part: Dataset) -> dict[str, Any]:
    speakers = None if part.speaker is None else len(np.unique(part.speaker))
    return {
        "name": part.name,
        "samples": len(part),
        "speakers": speakers,
        "sha256": part.sha256(),
    }


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror})") from None
