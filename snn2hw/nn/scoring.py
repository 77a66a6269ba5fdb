"""Scores and accuracy of a classifier of sequences."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snn2hw.errors import DataError


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
        Scores, float32 (batch, classes), computed where the model's parameters are. The model's
        mode is left as it was.

    Raises:
        DataError: x is not (batch >= 1, time, channels).
    """
    inputs, _ = as_tensors(x, np.zeros(len(x), dtype=np.int64), "predict")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = (inputs[i : i + batch_size] for i in range(0, len(inputs), batch_size))
            scores = torch.cat([model(part.to(device).float()) for part in parts])
    finally:
        model.train(was_training)
    return np.asarray(scores.cpu().numpy(), dtype=np.float32)


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
    as_tensors(x, y, "accuracy")
    return float(np.mean(predict(model, x, batch_size=batch_size).argmax(1) == y))


def as_tensors(
    x: NDArray[np.number], y: NDArray[np.integer], where: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x as uint8, int8 or float32, whichever holds it at the least size, and y as int64.

    Raises DataError where they do not fit each other or x is not finite.
    """
    if x.ndim < 3 or len(x) < 1 or y.shape != x.shape[:1]:
        raise DataError(
            f"{where}: x has shape {x.shape} and y {y.shape},"
            " give (batch, time, channels), or more axes, and (batch,)"
        )
    if x.dtype.kind not in "iub":
        broken = ~np.isfinite(x).reshape(len(x), -1).all(1)
        if broken.any():
            raise DataError(
                f"{where}: x holds NaN or infinite values in sample {broken.argmax()},"
                " mend or leave it out"
            )
    small = x.dtype in (np.uint8, np.int8)
    # copies: the caller may have made its arrays read-only, which torch does not support
    inputs = torch.from_numpy(np.array(x, dtype=x.dtype if small else np.float32))
    return inputs, torch.from_numpy(np.array(y, dtype=np.int64))
