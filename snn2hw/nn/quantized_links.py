"""Linear maps on torch tensors: sums of messages, whole numbers or real values."""

from __future__ import annotations

import torch
from torch.nn import functional

from snn2hw.linear import Dense, LinearMap, OneToOne


def apply(link: LinearMap, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a map makes of messages with other weights than its own.

    weight: of the map's shape, floating; x: (..., n_in), of the same type. Returns (..., n_out).
    Whole numbers stay exact in float64 up to 2**53, which is far beyond the chip's sums.
    """
    if isinstance(link, Dense):
        return x @ weight.T
    if isinstance(link, OneToOne):
        return x * weight
    (above, below), (left, right) = link.padding
    images = functional.pad(x.reshape(-1, *link.input_shape), (left, right, above, below))
    seen = functional.conv2d(
        images, weight, stride=link.stride, dilation=link.dilation, groups=link.groups
    )
    return seen.reshape(*x.shape[:-1], link.n_out)


def whole_sums(
    link: LinearMap, mantissa: torch.Tensor, exponent: int, messages: torch.Tensor
) -> torch.Tensor:
    """The sums that the chip adds up, int64 (..., n_out): (mantissa << exponent) times messages,
    where the exponent is negative the whole sum shifted, rounded towards minus infinity.

    mantissa: float64, whole; messages: int64 (..., n_in).
    """
    total = apply(link, mantissa, messages.to(torch.float64)).to(torch.int64)
    return total << exponent if exponent >= 0 else total >> -exponent
