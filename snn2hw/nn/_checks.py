"""Checks that the layers share: sizes, real numbers, shapes of sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from snn2hw.errors import DataError, ParameterError

Values: TypeAlias = float | Sequence[float] | npt.NDArray[Any] | torch.Tensor
"""One number for all neurons, or an array that broadcasts to the layer's shape."""


def check_size(value: object, name: str, where: str) -> int:
    """Return value if it is an int of at least 1, else raise ParameterError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(f"{where}: {name} is {value!r}, give a whole number of at least 1")
    return int(value)


def check_shape(value: object, name: str, where: str) -> tuple[int, ...]:
    """Return the shape that an int or a tuple of ints of at least 1 says, else ParameterError."""
    if not isinstance(value, tuple | list):
        return (check_size(value, name, where),)
    if not value:
        raise ParameterError(f"{where}: {name} is {value!r}, give at least one size")
    return tuple(check_size(size, name, where) for size in value)


def check_real(value: object, name: str, where: str) -> float:
    """Return value as a float if it is a finite real number, else raise ParameterError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.integer | np.floating)
        or not math.isfinite(value)
    ):
        raise ParameterError(f"{where}: {name} is {value!r}, give a finite number")
    return float(value)


def check_values(
    value: object, shape: tuple[int, ...], name: str, where: str
) -> float | torch.Tensor:
    """Return a float, or a float64 tensor that broadcasts to shape, else raise ParameterError."""
    if not isinstance(value, list | tuple | np.ndarray | torch.Tensor):
        return check_real(value, name, where)
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ParameterError(f"{where}: {name} does not hold finite numbers only, give such")
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise ParameterError(
            f"{where}: {name} has shape {array.shape}, give one that broadcasts to {shape}"
        ) from None
    return torch.from_numpy(array.astype(np.float64))


def check_sequence(x: torch.Tensor, features: int | tuple[int, ...] | None, where: str) -> None:
    """Raise DataError unless x is a float tensor (batch, time >= 1, *features).

    features: the sizes that follow time; None: any, but at least one.
    """
    sizes = (features,) if isinstance(features, int) else features
    fits = x.ndim >= 3 if sizes is None else tuple(x.shape[2:]) == sizes and x.ndim > 2
    if not fits or x.shape[1] < 1:
        wanted = "features" if sizes is None else ", ".join(map(str, sizes))
        raise DataError(
            f"{where}: input has shape {tuple(x.shape)}, give (batch, time, {wanted}) with at"
            " least one time step"
        )
    if not x.is_floating_point():
        raise DataError(f"{where}: input has type {x.dtype}, convert it to a float type first")
