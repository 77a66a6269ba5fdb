"""The trained networks of the quantisation benchmarks: two tasks, LIF and GPN, seeds 0, 1, 2.

Japanese Vowels: the demo's networks, trained here in seconds. Digits: the checkpoints in examples/,
which ``snn2hw train examples/speech_commands_{lif,gpn}.yaml --seed N`` makes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.data.base import Dataset
from snn2hw.demo_models import NEURONS, RECIPES, build_japanese_vowels
from snn2hw.errors import DataError
from snn2hw.nn import load_checkpoint, train
from snn2hw.nn.config import read_config

SEEDS = (0, 1, 2)
EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Task:
    """floats: (neuron, seed) -> the trained network; first, held: training data without and with
    what choices are made on, and first_floats: the network of seed 0 that saw the former alone."""

    name: str
    train: Dataset
    test: Dataset
    calibration: np.ndarray
    floats: Callable[[str, int], nn.Module]
    first: tuple[np.ndarray, np.ndarray]
    held: tuple[np.ndarray, np.ndarray]
    first_floats: Callable[[str], nn.Module]
    training: dict[str, Any]


def _vowels() -> Task:
    data, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    held = np.arange(len(data.x)) % 3 == 0

    def floats(neuron: str, seed: int, seen: np.ndarray) -> nn.Module:
        model = build_japanese_vowels(neuron, seed)
        train(model, data.x[seen], data.y[seen], **vars(RECIPES[neuron]), seed=seed)
        return model

    return Task(
        name="Japanese Vowels",
        train=data,
        test=test,
        calibration=data.x,
        floats=cache(lambda neuron, seed: floats(neuron, seed, np.ones(len(held), dtype=bool))),
        first=(data.x[~held], data.y[~held]),
        held=(data.x[held], data.y[held]),
        first_floats=lambda neuron: floats(neuron, 0, ~held),
        training={"batch_size": 32},
    )


def _digits() -> Task:
    config = read_config(EXAMPLES / "speech_commands_gpn.yaml")
    data, held, test = (
        arabic_speech_commands.load_digits(split) for split in ("train", "val", "test")
    )

    def floats(neuron: str, seed: int) -> nn.Module:
        name = f"speech_commands_{neuron}{f'_seed{seed}' if seed else ''}.pt"
        return load_checkpoint(EXAMPLES / "checkpoints" / name)

    return Task(
        name="digits",
        train=data,
        test=test,
        calibration=data.x[::4],
        floats=floats,
        first=(data.x, data.y),
        held=(held.x, held.y),
        first_floats=lambda neuron: floats(neuron, 0),
        training={"batch_size": 128, "augment": config.training.augment},
    )


TASKS = {"vowels": _vowels, "digits": _digits}


def chosen(text: str) -> tuple[str, list[str], list[str]]:
    """What the command line asks for: a name for it, tasks and neurons."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--task", choices=list(TASKS), help="both if nothing is said")
    parser.add_argument("--neuron", choices=list(NEURONS), help="both if nothing is said")
    said, _ = parser.parse_known_args()
    name = "".join(f"_{part}" for part in (said.task, said.neuron) if part)
    return (
        name,
        [said.task] if said.task else list(TASKS),
        [said.neuron] if said.neuron else list(NEURONS),
    )


def found(names: list[str]) -> Iterator[Task]:
    """The tasks whose data are at hand; the others are left out, saying so."""
    for name in names:
        try:
            yield TASKS[name]()
        except DataError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
