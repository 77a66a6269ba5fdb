"""The training loop for classifiers of sequences: the demo's, the examples', `snn2hw train`'s."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from snn2hw.arguments import check_seed
from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_size
from snn2hw.nn.recipe import Recipe, make_optimizer, make_scheduler
from snn2hw.nn.scoring import accuracy, as_tensors
from snn2hw.nn.training_state import load_state, save_state

Samples = tuple[NDArray[np.number], NDArray[np.integer]]
"""Inputs (batch, time, channels), or more axes, of any numeric type; labels (batch,) from 0."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch gave.

    Attributes:
        epoch: its number, from 1.
        loss_nat: mean cross-entropy over the samples, as they were learned.
        penalty: mean of what the layers' penalties added.
        lr: learning rate after it.
        validation_accuracy: 0 to 1; None without validation data.
        seconds: that it took.
    """

    epoch: int
    loss_nat: float
    penalty: float
    lr: float
    validation_accuracy: float | None
    seconds: float


def train(
    model: nn.Module,
    x: NDArray[np.number],
    y: NDArray[np.integer],
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    seed: int,
    weight_decay: float = 0.0,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    progress: bool | None = None,
    label: str = "train",
    threads: int = 1,
) -> list[float]:
    """Train a classifier in place: cross-entropy, AdamW, a one-cycle rate. `fit` has more choices.

    Args:
        model: maps float32 (batch, time, channels) to scores (batch, classes).
        x: inputs (batch, time, channels) or (batch, time, channels, rows, columns), any numeric
            type.
        y: labels (batch,), whole numbers from 0.
        epochs: passes over the data.
        lr: peak of the one-cycle learning rate.
        batch_size: samples a step; the last batch of an epoch may be smaller.
        seed: seed of all random numbers.
        weight_decay: decay of the weight matrices, per unit of learning rate.
        augment: changes a batch of inputs, float32 (batch, time, channels), before the model sees
            it; it draws from torch's global random state, which `seed` sets.
        progress: show a bar on stderr; None: only where stderr is a terminal.
        label: text in front of the bar.
        threads: of torch while training; with more than one, which is faster for wide layers, the
            order of its sums and so the last bits of the weights depend on the machine.

    Returns:
        Mean loss of each epoch, in nats.

    Raises:
        DataError: x and y do not fit each other.
        ParameterError: an argument out of its range, or a loss or weights that are no longer
            finite.
    """
    check_size(epochs, "epochs", "train")
    check_size(batch_size, "batch_size", "train")
    if not lr > 0 or weight_decay < 0:
        raise ParameterError(
            f"train: lr is {lr!r} and weight_decay {weight_decay!r}, give lr above 0 and a"
            " weight_decay of 0 or more"
        )
    recipe = Recipe(epochs=epochs, lr=lr, batch_size=batch_size, weight_decay=weight_decay)
    history = fit(
        model,
        (x, y),
        recipe,
        seed=seed,
        augment=augment,
        progress=progress,
        label=label,
        threads=threads,
    )
    return [epoch.loss_nat for epoch in history]


def fit(
    model: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    seed: int,
    validation: Samples | None = None,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    progress: bool | None = None,
    label: str = "train",
    threads: int = 1,
    device: str = "cpu",
    state: Path | None = None,
    every: int = 1,
    about: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train a classifier in place by a recipe, so that it can be killed at any time and go on.

    Two things are asked of layers that have them: `penalty()`, a scalar tensor of the last forward
    pass that is added to the loss, and `after_step()`, called after each step of the optimiser, to
    bring parameters back into their range.

    The shuffling, the dropout and the noise follow from `seed` alone (the initial weights are the
    caller's), and torch's global random state is left as it was. The model is left in evaluation
    mode, on the CPU.

    Args:
        model: maps float32 (batch, time, ...) to scores (batch, classes).
        samples: inputs and labels to learn.
        recipe: how.
        seed: seed of all random numbers.
        validation: inputs and labels that judge each epoch.
        augment: instead of the recipe's: changes a batch of inputs, float32, before the model sees
            it, and draws from torch's global random state on the CPU, which `seed` sets.
        progress: show a bar on stderr; None: only where stderr is a terminal.
        label: text in front of the bar.
        threads: of torch while training; with more than one, which is faster for wide layers, the
            order of its sums and so the last bits of the weights depend on the machine.
        device: torch's name of where it is computed, "cpu" or "cuda".
        state: file from which an interrupted training goes on and to which it is written; None for
            neither. It remains after the last epoch.
        every: epochs between two writings of the state.
        about: what the state must have been made from (config, data), as JSON has it; a state of
            something else is refused.
        on_epoch: called after each epoch.

    Returns:
        What each epoch gave, those before the interruption included.

    Raises:
        DataError: inputs and labels do not fit each other.
        ParameterError: an argument out of its range, a loss or weights that are no longer finite,
            or a state of another training.
        FileFormatError: a state that cannot be read.
    """
    check_seed(seed, "train")
    check_size(threads, "threads", "train")
    check_size(every, "every", "train")
    recipe.check_validation(validation is not None)
    inputs, labels = as_tensors(*samples, "train")
    if validation is not None:
        as_tensors(*validation, "validation")
    run = _Run(model.to(device), recipe, -(-len(inputs) // recipe.batch_size))
    run.augment = augment if augment is not None else recipe.augment
    hidden = not sys.stderr.isatty() if progress is None else not progress
    about = {} if about is None else about
    with (
        _threads(threads),
        _no_denormals(),
        torch.random.fork_rng(devices=[device] if device != "cpu" else []),
        tqdm(total=recipe.epochs * run.steps, desc=label, unit="batch", disable=hidden) as bar,
    ):
        torch.manual_seed(seed)
        run.shuffle.manual_seed(seed)
        if state is not None and state.exists():
            run.restore(load_state(state, about), device)
            bar.update(len(run.history) * run.steps)
        while not run.done:
            run.epoch(inputs, labels, validation, device, bar)
            on_epoch(run.history[-1])
            if state is not None and (run.done or len(run.history) % every == 0):
                save_state(state, run.content(device), about)
    if run.best is not None:
        model.load_state_dict(run.best)
    model.to("cpu").eval()
    return run.history


class _Run:
    """All that changes while a model is trained: what a state file holds."""

    def __init__(self, model: nn.Module, recipe: Recipe, steps: int) -> None:
        self.model = model
        self.recipe = recipe
        self.steps = steps
        self.optimizer = make_optimizer(model, recipe)
        self.scheduler = make_scheduler(self.optimizer, recipe, steps)
        self.shuffle = torch.Generator()
        self.augment: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.history: list[Epoch] = []
        self.best: dict[str, torch.Tensor] | None = None

    @property
    def done(self) -> bool:
        """Whether the last epoch is over, or no better one came for too long."""
        past, stop = len(self.history), self.recipe.stop_after
        if past and stop is not None and past - best_epoch(self.history) >= stop:
            return True
        return past >= self.recipe.epochs

    def epoch(
        self,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        validation: Samples | None,
        device: str,
        bar: Any,
    ) -> None:
        """Learn every sample once, judge, and note it in the history."""
        start, size = time.perf_counter(), self.recipe.batch_size
        loss = penalty = 0.0
        self.model.train()
        order = torch.randperm(len(inputs), generator=self.shuffle)
        for first in range(0, len(inputs), size):
            batch = order[first : first + size]
            seen = inputs[batch].float()
            seen = seen if self.augment is None else self.augment(seen)
            two = self._step(seen.to(device), labels[batch].to(device))
            loss += two[0] * len(batch)
            penalty += two[1] * len(batch)
            bar.update()
        number, mean = len(self.history) + 1, loss / len(inputs)
        if not np.isfinite(mean + penalty):
            raise ParameterError(
                f"train: the loss is {mean} in epoch {number}, lower lr ({self.recipe.lr!r})"
            )
        # the last step's can be lost while every loss was finite
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise ParameterError(
                f"train: a weight is not finite after epoch {number}, lower lr ({self.recipe.lr!r})"
            )
        judged = None if validation is None else accuracy(self.model, *validation)
        if isinstance(self.scheduler, ReduceLROnPlateau) and judged is not None:
            self.scheduler.step(judged)
        self.history.append(
            Epoch(
                epoch=number,
                loss_nat=mean,
                penalty=penalty / len(inputs),
                lr=float(self.optimizer.param_groups[0]["lr"]),
                validation_accuracy=judged,
                seconds=round(time.perf_counter() - start, 3),
            )
        )
        if self.recipe.keep == "best" and best_epoch(self.history) == number:
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        shown = {"epoch": number, "loss": f"{mean:.3f}"}
        bar.set_postfix(shown if judged is None else shown | {"validation": f"{judged:.1%}"})

    def _step(self, seen: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
        recipe = self.recipe
        loss = nn.functional.cross_entropy(
            self.model(seen), labels, label_smoothing=recipe.label_smoothing
        )
        penalties = [penalty() for penalty in self._methods("penalty")]
        added = recipe.penalty * sum(penalties, start=loss.new_zeros(()))
        self.optimizer.zero_grad()
        (loss + added if penalties else loss).backward()  # type: ignore[no-untyped-call]
        if recipe.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), recipe.clip_value)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        try:
            self.optimizer.step()
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            raise ParameterError(
                f"train: a step is beyond float32, lower lr ({recipe.lr!r}) or weight_decay"
                f" ({recipe.weight_decay!r})"
            ) from error
        for after_step in self._methods("after_step"):
            after_step()
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        return float(loss.detach()), float(added.detach())

    def _methods(self, name: str) -> list[Callable[[], Any]]:
        found = (getattr(module, name, None) for module in self.model.modules())
        return [method for method in found if callable(method)]

    def content(self, device: str) -> dict[str, Any]:
        """All of it as plain values and tensors."""
        return {
            "model": self.model.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "shuffle": self.shuffle.get_state(),
            "random": torch.get_rng_state(),
            "random_device": None if device == "cpu" else torch.cuda.get_rng_state(device),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, content: Mapping[str, Any], device: str) -> None:
        """Take what `content` gave."""
        self.model.load_state_dict(content["model"])
        self.best = content["best"]
        self.optimizer.load_state_dict(content["optimizer"])
        self.scheduler.load_state_dict(content["scheduler"])
        self.shuffle.set_state(content["shuffle"])
        torch.set_rng_state(content["random"])
        if device != "cpu" and content["random_device"] is not None:
            torch.cuda.set_rng_state(content["random_device"], device)
        self.history = [Epoch(**epoch) for epoch in content["history"]]


def best_epoch(history: list[Epoch]) -> int:
    """Return the number, from 1, of the epoch of the best validation accuracy, the latest if equal.

    Without validation it is the last.
    """
    scores = [epoch.validation_accuracy or 0.0 for epoch in history]
    return max(range(len(scores)), key=lambda k: (scores[k], k)) + 1


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Take numbers below 1.2e-38 for 0 meanwhile.

    Gradients through many steps of neurons that forget get there, and a processor takes tens of
    times longer for a product with them: epochs of a GPN grow longer and longer while it trains
    (benchmarks/denormals.py).
    """
    before = bool(torch.full((1,), 2.0**-140).mul(1.0) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
