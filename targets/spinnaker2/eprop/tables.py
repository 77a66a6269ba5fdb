"""What the places in the tables mean that the kernels are called with."""

from __future__ import annotations

from typing import NamedTuple

PREDICT, LEARN, GRADIENT = range(3)
"""What is done with a sample; GRADIENT notes the gradient and changes nothing."""

FIRST, COUNT, FIRST_OUT, COUNT_OUT = range(4)
"""Columns of ``parts``: the neurons of a PE, hidden and of the readout."""

RATE, BETA1, BETA2, EPSILON, L2, FEEDBACK_DECAY, PUSH, TARGET, HORIZON, KAPPA, DAMPENING = range(11)
"""Places in ``real``: learning rate, Adam's, L2, of the feedback, strength and aim of the rate
regulariser, samples of its running mean, decay of the readout, height of the surrogate."""

N_REAL = 11

SAMPLES, UPDATES, SEED = range(3)
"""Places in ``clock``: learned so far, steps of the optimiser so far, of random numbers."""

N_CLOCK = 3

SYMMETRIC, RANDOM, ADAPTIVE = range(3)
"""Kinds of feedback, as ``rule.CHOICES`` has them."""


class Net(NamedTuple):
    """Sizes and switches of a network, as ``kernels`` reads them."""

    n_in: int
    n: int
    n_out: int
    row: int
    sensitive: int
    inputs: int
    readout_row: int
    coefficients: int
    block: int
    recurrent: int
    bias: int
    bias_out: int
    surrogate: int
    gated: bool
    adapts: bool
    each: bool
    current: bool
    filters: bool
    weighted: bool
    online: bool
    at_end: bool


class How(NamedTuple):
    """Switches of a rule, likewise."""

    feedback: int
    adam: bool
    squared: bool
    stochastic: bool
