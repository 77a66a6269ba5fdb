"""Trimming: moving a rounded parameter of single neurons by what the layer emits.

A threshold (of LIF and its like) or the bias of the current (of a GPN) decides when a neuron
fires, and can make up for what rounding did to it; each model names the parameter (``Trim``). A
neuron's value is moved where its error falls in both of two sets of calibration samples, and a
layer's moves are kept if they lower its error on a third set, which chose nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snn2hw.errors import ParameterError
from snn2hw.graph import Population
from snn2hw.neurons.base import FloatArray, IntegerLayer, NeuronModel, Param, Trim
from snn2hw.passes.search_evidence import emission_error

MOVES = (-1, 1, -2, 2, -4, 4)
"""What is tried, in the model's steps."""

NEURON_GAIN = 0.95
"""A neuron is moved if its error falls below this share in both sets."""

LAYER_GAIN = 0.98
"""The moves of a layer are kept if its error on the third set falls below this share."""

Moves = npt.NDArray[np.int64]


def trimmed(
    population: Population, made: IntegerLayer, trim: int | tuple[int, ...] | None
) -> IntegerLayer:
    """A layer of integers with its parameter moved, within its register.

    trim: integers that are added, one for all neurons or one for each. Raises ParameterError for a
    neuron that has no such parameter, or another number of values.
    """
    if trim is None or not np.any(trim):
        return made
    name, how = population.name, population.model.trim
    if how is None:
        raise ParameterError(
            f"layer {name!r}: trim moves a threshold and the neuron {population.model.name!r} has "
            "none that it may; leave it out"
        )
    moves = np.array(trim, dtype=np.int64)
    if moves.ndim and moves.size != population.n:
        raise ParameterError(
            f"layer {name!r}: trim has {moves.size} values and the layer {population.n} neurons; "
            "give one, or one for each"
        )
    return _moved(made, _param(population.model, how), moves)


def best_trim(
    population: Population,
    made: IntegerLayer,
    emit: Callable[[IntegerLayer], FloatArray],
    wanted: FloatArray,
) -> tuple[int, ...] | int:
    """The moves that pay on calibration data, one for each neuron, or 0.

    emit: what integers make of the evidence, (batch, time, n); wanted: what the floats do. The
    neurons of a channel of images move together.
    """
    model, samples = population.model, len(wanted)
    if model.trim is None or samples < 3:
        return 0
    param = _param(model, model.trim)
    value = made.params[param.name].astype(np.int64)
    step = np.maximum(np.rint(np.abs(value) * model.trim.share), model.trim.least).astype(np.int64)
    step[(value <= param.low) | (value >= param.high)] = 0
    channels = population.shape[0] if len(population.shape) == 3 else population.n

    def errors(moves: Moves) -> FloatArray:
        """By set and channel."""
        got = emit(_moved(made, param, moves))
        return np.stack(
            [
                emission_error(population, got[k::3], wanted[k::3]).reshape(channels, -1).sum(1)
                for k in range(3)
            ]
        )

    still = np.zeros_like(step)
    start = errors(still)
    moves, least = still, start[:2].sum(axis=0)
    for count in MOVES:
        found = errors(count * step)[:2]
        better = (found < NEURON_GAIN * start[:2]).all(axis=0) & (found.sum(axis=0) < least)
        least = np.where(better, found.sum(axis=0), least)
        moves = np.where(np.repeat(better, step.size // channels), count * step, moves)
    if not moves.any() or errors(moves)[2].sum() >= LAYER_GAIN * start[2].sum():
        return 0
    return tuple(int(move) for move in moves)


def _moved(made: IntegerLayer, param: Param, moves: Moves) -> IntegerLayer:
    value = np.clip(made.params[param.name].astype(np.int64) + moves, param.low, param.high)
    return replace(made, params={**made.params, param.name: value.astype(np.int32)})


def _param(model: NeuronModel, trim: Trim) -> Param:
    return next(param for param in model.params if param.name == trim.param)
