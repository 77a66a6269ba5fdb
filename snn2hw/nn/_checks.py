"""Checks that the layers share: sizes, real numbers, shapes of sequences."""

from __future__ import annotations

import math

import numpy as np
import torch

from snn2hw.errors import DataError, ParameterError


def check_size(value: object, name: str, where: str) -> int:
    """Return value if it is an int of at least 1, else raise ParameterError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(f"{where}: {name} is {value!r}, give a whole number of at least 1")
    return int(value)


def check_real(value: object, name: str, where: str) -> float:
    """Return value as a float if it is a finite real number, else raise ParameterError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.integer | np.floating)
        or not math.isfinite(value)
    ):
        raise ParameterError(f"{where}: {name} is {value!r}, give a finite number")
    return float(value)


def check_sequence(x: torch.Tensor, features: int | None, where: str) -> None:
    """Raise DataError unless x is a float tensor (batch, time >= 1, features)."""
    wanted = "features" if features is None else features
    if x.ndim != 3 or x.shape[1] < 1 or (features is not None and x.shape[2] != features):
        raise DataError(
            f"{where}: input has shape {tuple(x.shape)}, give (batch, time, {wanted}) with at"
            " least one time step"
        )
    if not x.is_floating_point():
        raise DataError(f"{where}: input has type {x.dtype}, convert it to a float type first")
