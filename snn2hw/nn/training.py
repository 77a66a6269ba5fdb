"""A small training loop for classifiers of sequences, the same for the demo and the examples."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from snn2hw.errors import DataError, ParameterError
from snn2hw.nn._checks import check_size


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
    """Train a classifier in place: cross-entropy, AdamW, a one-cycle rate.

    The shuffling, the dropout and the noise follow from `seed` alone (the initial weights are the
    caller's), and torch's global random state is left as it was. The weight decay is decoupled
    (AdamW, equal to Adam where it is 0) and does not touch biases. The model is left in evaluation
    mode.

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
        ParameterError: an argument out of its range, or a loss that is no longer finite.
    """
    check_size(epochs, "epochs", "train")
    check_size(batch_size, "batch_size", "train")
    check_size(threads, "threads", "train")
    if not lr > 0 or weight_decay < 0:
        raise ParameterError(
            f"train: lr is {lr!r} and weight_decay {weight_decay!r}, give lr above 0 and a"
            " weight_decay of 0 or more"
        )
    inputs, labels = _tensors(x, y, "train")
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0}],
        lr=lr,
    )
    steps = -(-len(inputs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=lr, epochs=epochs, steps_per_epoch=steps
    )
    shuffle = torch.Generator().manual_seed(seed)
    losses = []
    hidden = not sys.stderr.isatty() if progress is None else not progress
    with (
        _threads(threads),
        torch.random.fork_rng(devices=[]),
        tqdm(total=epochs, desc=label, disable=hidden) as bar,
    ):
        torch.manual_seed(seed)
        model.train()
        for _ in range(epochs):
            total = 0.0
            order = torch.randperm(len(inputs), generator=shuffle)
            for start in range(0, len(inputs), batch_size):
                batch = order[start : start + batch_size]
                seen = inputs[batch] if augment is None else augment(inputs[batch])
                loss = nn.functional.cross_entropy(model(seen), labels[batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(batch)
            losses.append(total / len(inputs))
            if not np.isfinite(losses[-1]):
                raise ParameterError(
                    f"train: the loss is {losses[-1]} in epoch {len(losses)}, lower lr ({lr!r})"
                )
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
            bar.update()
    model.eval()
    return losses


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def predict(
    model: nn.Module, x: NDArray[np.number], *, batch_size: int = 256
) -> NDArray[np.float32]:
    """Return the scores of a model in evaluation mode, without gradients.

    Args:
        model: maps float32 (batch, time, channels) to scores (batch, classes).
        x: inputs (batch, time, channels) or (batch, time, channels, rows, columns), any numeric
            type.
        batch_size: samples computed at a time.

    Returns:
        Scores, float32 (batch, classes). The model's mode is left as it was.

    Raises:
        DataError: x is not (batch >= 1, time, channels).
    """
    inputs, _ = _tensors(x, np.zeros(len(x), dtype=np.int64), "predict")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = range(0, len(inputs), batch_size)
            scores = torch.cat([model(inputs[i : i + batch_size]) for i in parts])
    finally:
        model.train(was_training)
    return np.asarray(scores.numpy(), dtype=np.float32)


def accuracy(
    model: nn.Module,
    x: NDArray[np.number],
    y: NDArray[np.integer],
    *,
    batch_size: int = 256,
) -> float:
    """Return the share of samples, 0 to 1, whose highest score is their label.

    Arguments and errors as for `predict` and `train`.
    """
    _tensors(x, y, "accuracy")
    return float(np.mean(predict(model, x, batch_size=batch_size).argmax(1) == y))


def _tensors(
    x: NDArray[np.number], y: NDArray[np.integer], where: str
) -> tuple[torch.Tensor, torch.Tensor]:
    if x.ndim < 3 or len(x) < 1 or y.shape != x.shape[:1]:
        raise DataError(
            f"{where}: x has shape {x.shape} and y {y.shape},"
            " give (batch, time, channels), or more axes, and (batch,)"
        )
    broken = ~np.isfinite(x).reshape(len(x), -1).all(1)
    if broken.any():
        raise DataError(
            f"{where}: x holds NaN or infinite values in sample {broken.argmax()},"
            " mend or leave it out"
        )
    # copies: the caller may have made its arrays read-only, which torch does not support
    inputs = torch.from_numpy(np.array(x, dtype=np.float32))
    return inputs, torch.from_numpy(np.array(y, dtype=np.int64))
