"""Rounding that looks at the data: the error of a weight is made up for by its neighbours.

The sum that a neuron sees is w x. With the Gram matrix H of the inputs x (of their traces, where
the neuron keeps a potential), rounding w to m changes it by e = m - w and, over calibration, by
e H e on average. Nearest rounding minimises e alone. Here the weights are rounded one input after
the other, the busiest first, and the error of each is taken off the weights that are still to be
rounded, as H says: Frantar et al. 2023, GPTQ (arXiv 2210.17323), after Hassibi and Stork 1993.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snn2hw.neurons.base import FloatArray

DAMPING = 0.01
"""Share of the mean diagonal that is added to the diagonal, so that silent inputs have one too."""

COLUMNS_MAX = 2048
"""Neurons with more inputs are rounded to the nearest: the Gram matrix would be too large."""


@dataclass(frozen=True)
class Gram:
    """What inputs do together: ``matrix``, float64 (n_in, n_in), the mean of their products."""

    matrix: FloatArray

    def error(self, errors: FloatArray) -> FloatArray:
        """Mean square of what errors of weights (rows, n_in) change; (rows,)."""
        return np.asarray(np.einsum("ri,ri->r", errors @ self.matrix, errors))


def gram(traces: FloatArray) -> Gram:
    """traces: what each input adds up to, float64 (observations, n_in)."""
    return Gram(traces.T @ traces / max(len(traces), 1))


class Compensated:
    """A rounder of weights in steps, rows by inputs; see the module.

    The order and the factors are those of one Gram matrix, made once.
    """

    def __init__(self, gram: Gram) -> None:
        """Factor the inverse of the matrix, inputs in the order of their activity."""
        diagonal = np.diag(gram.matrix)
        damped = gram.matrix + np.eye(len(diagonal)) * (DAMPING * diagonal.mean() or 1.0)
        self._order = np.argsort(-diagonal, kind="stable")
        ordered = damped[np.ix_(self._order, self._order)]
        inverse = np.linalg.inv(ordered)
        self._upper = np.linalg.cholesky((inverse + inverse.T) / 2).T

    def __call__(self, scaled: FloatArray, limit: int) -> FloatArray:
        """scaled: weights in steps, (rows, n_in) -> mantissas as float64, of the same shape."""
        left = scaled[:, self._order].copy()
        mantissas = np.empty_like(left)
        for k in range(left.shape[1]):
            mantissas[:, k] = np.clip(np.rint(left[:, k]), -limit, limit)
            error = (left[:, k] - mantissas[:, k]) / self._upper[k, k]
            left[:, k + 1 :] -= error[:, None] * self._upper[k, k + 1 :]
        found = np.empty_like(mantissas)
        found[:, self._order] = mantissas
        return found
