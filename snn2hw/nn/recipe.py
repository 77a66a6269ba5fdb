"""How a network is trained, as values: the `training:` of a config."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from snn2hw.arguments import ABOVE_ZERO, COUNT, FRACTION, NOT_NEGATIVE, FieldError, check_limits
from snn2hw.nn.augment import Augment

Scheduler: TypeAlias = LRScheduler | ReduceLROnPlateau


FACTOR = {"limit": (lambda value: 0 < value <= 1, "a number above 0, up to 1")}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over time.

    Attributes:
        name: "one_cycle" rises to lr and falls to almost 0 (torch's OneCycleLR with its defaults);
            "cosine" falls from lr to 0 by half a cosine, "exponential" by the factor `decay` after
            each epoch, "plateau" by that factor when the validation accuracy has not risen for
            more than `patience` epochs; "constant" stays.
        warmup_epochs: epochs of a straight rise from 0 to lr that come first; a part of one
            counts. Not for "one_cycle" and "plateau".
        decay: see `name`.
        patience: see `name`.
    """

    name: Literal["one_cycle", "cosine", "exponential", "plateau", "constant"] = "one_cycle"
    warmup_epochs: float = field(default=0.0, metadata=NOT_NEGATIVE)
    decay: float = field(default=0.9, metadata=FACTOR)
    patience: int = field(default=5, metadata=NOT_NEGATIVE)

    def __post_init__(self) -> None:
        """Refuse a warm-up where there is none."""
        check_limits(self, "schedule")
        if self.warmup_epochs and self.name in ("one_cycle", "plateau"):
            raise FieldError(
                "warmup_epochs",
                f"warmup_epochs is {self.warmup_epochs!r} and {self.name} has no warm-up, leave it"
                " out or take cosine, exponential or constant",
                "schedule",
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the data.
        lr: learning rate, the peak of it where it changes.
        batch_size: samples a step; the last batch of an epoch may be smaller.
        weight_decay: decoupled from the gradient, of tensors of two and more dimensions, per unit
            of learning rate.
        optimizer: "adamw" or "radam", torch's with their defaults.
        schedule: of the learning rate.
        clip_norm: limit to the norm of all gradients together; None: no limit.
        clip_value: limit to the magnitude of each gradient; None: no limit.
        label_smoothing: share of a label's weight that all classes get.
        penalty: factor of what the layers' `penalty()` gives.
        augment: how inputs are varied; None: they are not.
        keep: "last" epoch, or "best" by validation accuracy (of equal ones the latest).
        stop_after: end after so many epochs in which the validation accuracy was below its best;
            None: never.
    """

    epochs: int = field(metadata=COUNT)
    lr: float = field(metadata=ABOVE_ZERO)
    batch_size: int = field(metadata=COUNT)
    weight_decay: float = field(default=0.0, metadata=NOT_NEGATIVE)
    optimizer: Literal["adamw", "radam"] = "adamw"
    schedule: Schedule = field(default_factory=Schedule)
    clip_norm: float | None = field(default=None, metadata=ABOVE_ZERO)
    clip_value: float | None = field(default=None, metadata=ABOVE_ZERO)
    label_smoothing: float = field(default=0.0, metadata=FRACTION)
    penalty: float = field(default=1.0, metadata=NOT_NEGATIVE)
    augment: Augment | None = None
    keep: Literal["last", "best"] = "last"
    stop_after: int | None = field(default=None, metadata=COUNT)

    def __post_init__(self) -> None:
        """Refuse numbers beyond their limits."""
        check_limits(self, "training")

    def check_validation(self, there: bool) -> None:
        """Raise FieldError where something needs validation data and there are none."""
        needs = {
            "keep": self.keep == "best",
            "stop_after": self.stop_after is not None,
            "schedule": self.schedule.name == "plateau",
        }
        for name, needed in needs.items():
            if needed and not there:
                raise FieldError(
                    name, f"{name} needs a validation split, name one or change it", "training"
                )


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimiser; biases, time constants and whatever has one dimension do not decay."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0},
    ]
    if recipe.optimizer == "radam":
        return torch.optim.RAdam(groups, lr=recipe.lr, decoupled_weight_decay=True)
    return torch.optim.AdamW(groups, lr=recipe.lr)


def make_scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Scheduler:
    """Make the schedule; `steps` optimiser steps are an epoch. Plateau's counts epochs itself."""
    schedule = recipe.schedule
    if schedule.name == "one_cycle":
        return OneCycleLR(optimizer, max_lr=recipe.lr, epochs=recipe.epochs, steps_per_epoch=steps)
    if schedule.name == "plateau":
        return ReduceLROnPlateau(
            optimizer, mode="max", factor=schedule.decay, patience=schedule.patience
        )
    warm = round(schedule.warmup_epochs * steps)
    total = recipe.epochs * steps

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        if schedule.name == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
        if schedule.name == "exponential":
            return float(schedule.decay ** ((step - warm) // steps))
        return 1.0

    return LambdaLR(optimizer, factor)
