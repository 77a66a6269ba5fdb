"""Random linear maps for hypothesis: sizes are drawn, weights come from a drawn seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne

MAX_VALUES = 160
"""Most inputs or outputs of a map, so that its matrix is small."""


def weights(seed: int, shape: tuple[int, ...], integer: bool) -> np.ndarray:
    """Small whole numbers, some of them zero; exact in any order of summation."""
    drawn = np.random.default_rng(seed).integers(-4, 5, shape)
    return drawn.astype(np.int8 if integer else np.float64)


@st.composite
def convolutions(
    draw: Any, input_shape: tuple[int, int, int] | None = None, integer: bool = False
) -> Convolution:
    """Every stride, padding (of each side its own), dilation and number of groups that gives an
    output."""
    small = st.integers(1, 3)
    if input_shape is None:
        input_shape = (draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    channels = input_shape[0]
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    outputs = groups * draw(st.integers(1, 2))
    kernel, dilation, stride, padding = [], [], [], []
    for size in input_shape[1:]:
        pads = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
        taps = draw(st.integers(1, min(3, size + sum(pads))))
        most = 3 if taps == 1 else min(3, (size + sum(pads) - 1) // (taps - 1))
        kernel.append(taps)
        dilation.append(draw(st.integers(1, most)))
        stride.append(draw(small))
        padding.append(pads)
    shape = (outputs, channels // groups, kernel[0], kernel[1])
    link = Convolution(
        weights(draw(st.integers(0, 2**32 - 1)), shape, integer),
        input_shape,
        (stride[0], stride[1]),
        (padding[0], padding[1]),
        (dilation[0], dilation[1]),
        groups,
    )
    if max(link.n_in, link.n_out) > MAX_VALUES * 2:
        return draw(convolutions(input_shape, integer))
    return link


@st.composite
def pools(draw: Any, input_shape: tuple[int, int, int]) -> Convolution:
    """A sum over windows of each channel."""
    channels, *sizes = input_shape
    kernel = [draw(st.integers(1, min(3, size))) for size in sizes]
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    pads = [draw(st.integers(0, 1)) for _ in sizes]
    padding = ((pads[0], pads[0]), (pads[1], pads[1]))
    weight = np.ones((channels, 1, *kernel))
    return Convolution(weight, input_shape, stride, padding, (1, 1), channels)


@st.composite
def linear_maps(draw: Any, n_in: int | None = None, integer: bool = False) -> LinearMap:
    """A map of any kind; with n_in inputs where that is given (then no convolution)."""
    kind = draw(st.sampled_from(["dense", "one-to-one", "convolution"]))
    if kind == "convolution" and n_in is None:
        return draw(convolutions(integer=integer))
    n = draw(st.integers(1, 9)) if n_in is None else n_in
    seed = draw(st.integers(0, 2**32 - 1))
    if kind == "one-to-one":
        return OneToOne(weights(seed, (n,), integer))
    return Dense(weights(seed, (draw(st.integers(1, 9)), n), integer))
