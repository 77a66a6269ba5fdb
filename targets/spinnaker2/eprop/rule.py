"""How a network learns: the variant of e-prop, its error, its feedback, its optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from snn2hw.errors import ParameterError

CHOICES = {
    "trace": ("exact", "current"),
    "surrogate": ("triangle", "multi_gaussian", "atan"),
    "feedback": ("symmetric", "random", "adaptive"),
    "loss": ("cross_entropy", "mean_squared_error"),
    "error": ("step", "sample"),
    "update": ("sample", "step"),
    "optimizer": ("adam", "sgd"),
    "arithmetic": ("float32", "s16.15", "float64"),
    "rounding": ("stochastic", "nearest"),
}
"""What a field of ``Rule`` may be, the place in the list being its number in the kernels."""

DAMPENING = {"triangle": 0.3, "multi_gaussian": 0.5, "atan": 1.0}
"""Factors of the surrogates in Bellec et al. 2020, Rostami et al. 2022 and Wang et al. 2024."""


@dataclass(frozen=True)
class Rule:
    """E-prop as Bellec et al. 2020 (Nat. Commun. 11:3625) have it, unless changed.

    trace: "exact", or "current": an ALIF's slow trace takes this step's surrogate in before the
    eligibility is formed (Rostami et al. 2022, one step ahead of the exact recursion);
    surrogate: of the spike's derivative (``leaky.surrogate``); dampening: its factor, None for that
    of ``DAMPENING``;
    feedback: "symmetric" (the readout's weights), "random" (fixed, standard normal) or "adaptive"
    (random at first, then changed as the readout's weights are, both decaying by feedback_decay of
    themselves at every update: Kolen and Pollack 1994);
    loss, error: cross-entropy of the softmax or half the squared error, averaged over the outputs
    of every "step", or of their mean over the "sample";
    update: weights change at the end of the "sample" or at every "step" (needs error "step");
    optimizer: "adam" (Kingma and Ba 2015, with beta1, beta2, epsilon) or "sgd"; learning_rate; l2:
    times the weights, added to the gradient;
    rate_strength: c of the firing-rate regulariser, whose gradient is c (f - f*) sum_t e / T, f
    being the running mean of a neuron's spikes per step over rate_horizon samples and f* what
    rate_target_hz makes of a step;
    arithmetic: "float32", "s16.15" with "stochastic" rounding or rounding to the "nearest", or
    "float64", which no PE has, for tests; seed: of rounding and of random feedback.

    Raises ParameterError for a value that a field cannot have.
    """

    trace: str = "exact"
    surrogate: str = "triangle"
    dampening: float | None = None
    feedback: str = "symmetric"
    feedback_decay: float = 0.0
    loss: str = "cross_entropy"
    error: str = "step"
    update: str = "sample"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-5
    l2: float = 0.0
    rate_target_hz: float = 10.0
    rate_strength: float = 0.0
    rate_horizon: float = 20.0
    arithmetic: str = "float32"
    rounding: str = "stochastic"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"rule: {name} is {getattr(self, name)!r}; give one of {', '.join(known)}"
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in CHOICES or field.name == "seed" or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ParameterError(f"rule: {field.name} is {value!r}; give a number")
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"rule: {field.name} is {value}; give a number from 0")
        whole = isinstance(self.seed, int) and not isinstance(self.seed, bool)
        if not whole or not 0 <= self.seed < 1 << 63:
            raise ParameterError(f"rule: seed is {self.seed!r}; give a whole number from 0 to 2^63")
        for name in ("beta1", "beta2", "feedback_decay"):
            if getattr(self, name) >= 1:
                raise ParameterError(f"rule: {name} is {getattr(self, name)}; give less than 1")
        if self.rate_horizon < 1:
            raise ParameterError(
                f"rule: rate_horizon is {self.rate_horizon} samples; give at least 1"
            )
        if self.update == "step" and self.error == "sample":
            raise ParameterError(
                "rule: weights cannot change at every step (update 'step') when the error is known "
                "at the end of the sample (error 'sample'); change one of them"
            )

    @classmethod
    def bellec(cls, **changes: Any) -> Rule:
        """E-prop 1 of Bellec et al. 2020: the defaults."""
        return cls(**changes)

    @classmethod
    def rostami(cls, **changes: Any) -> Rule:
        """What Rostami et al. 2022 (Front. Neurosci. 16:1018006) ran on SpiNNaker 2: see facts in
        docs/eprop.md; their Adam, learning rate and L2, batch 1."""
        preset = cls(
            trace="current",
            surrogate="multi_gaussian",
            error="sample",
            optimizer="adam",
            learning_rate=0.01,
            epsilon=1e-5,
            l2=1e-5,
        )
        return replace(preset, **changes)

    @property
    def height(self) -> float:
        """Factor of the surrogate."""
        return DAMPENING[self.surrogate] if self.dampening is None else self.dampening

    def number(self, name: str) -> int:
        """The choice of a field as the kernels know it."""
        return CHOICES[name].index(getattr(self, name))


def default_rule(graph: Any) -> Rule:
    """The rule for a graph's neurons: Rostami et al.'s for ALIF whose reset adapts, GPN's authors'
    surrogate for GPN, Bellec et al.'s for all others."""
    for node in graph.nodes.values():
        kind = type(node).__name__
        if kind == "GPN":
            return Rule(surrogate="atan")
        if kind == "ALIF" and node.adaptive_reset:
            return Rule.rostami()
    return Rule.bellec()
