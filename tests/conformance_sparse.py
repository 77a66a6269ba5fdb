"""Conformance networks: Ponghiran and Roy's neurons and each of their options."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from conformance_case import DT, Case, Rng, affine, build, conv2d, linear, pool

from snn2hw.converters.nodes import SparseGated, SparseLeaky

CASES: list[Case] = []

# V at a boundary of the quantiser is sent a step earlier by one of floats and integers: the same
# value, some steps apart.
APART = 0.25


def add(row: str, make: Any, **more: Any) -> None:
    CASES.append(Case("Ponghiran and Roy (extension)", row, make, **({"apart": APART} | more)))


def leaky(rng: Rng, shape: Any, **given: Any) -> SparseLeaky:
    """The traditional neuron; 6 bits, threshold 3 and steps of 1/3 unless given."""
    usual = {"tau": rng.uniform(0.3, 0.9, shape), "scale": 3.0, "threshold": 3, "bits": 6, "dt": DT}
    return SparseLeaky(**(usual | given))


def gated(rng: Rng, n: int, recurrent: float = 0.4, **given: Any) -> SparseGated:
    """The improved neuron, version 2, or 1 with recurrent=0."""
    usual = {"scale": 16.0, "threshold": 3, "bits": 6, "dt": DT}
    return SparseGated(rng.normal(0, 1, (2 * n, n)) * recurrent, **(usual | given))


def traditional(n: int = 8, **given: Any) -> Any:
    """Traditional neurons behind a matrix."""
    return lambda rng: build(
        "input fc y output", {"fc": linear(rng, 6, n), "y": leaky(rng, n, **given)}, (6,), (n,)
    )


def improved(n: int = 8, **given: Any) -> Any:
    """Improved neurons behind a matrix with bias."""
    return lambda rng: build(
        "input fc y output",
        {"fc": affine(rng, 6, 2 * n), "y": gated(rng, n, **given)},
        (6,),
        (n,),
    )


add("SparseLeaky", traditional())
add(
    "SparseLeaky: tau 0, the encoder of real values",
    lambda rng: build("input y output", {"y": leaky(rng, 6, tau=np.zeros(6))}, (6,), (6,)),
    data="real",
    near=0.05,
)
add("SparseLeaky: tau 1 and above, and below zero", traditional(tau=np.linspace(-0.5, 1.02, 8)))
add(
    # Its -1 is no spike; only a layer that hears it can tell.
    "SparseLeaky: 2 bits, threshold 0, clipped",
    lambda rng: build(
        "input fc y next z output",
        {
            "fc": linear(rng, 6, 8),
            "y": leaky(rng, 8, bits=2, threshold=0, scale=0.7),
            "next": linear(rng, 8, 5),
            "z": leaky(rng, 5),
        },
        (6,),
        (5,),
    ),
)
add("SparseLeaky: 8 bits, threshold 40", traditional(bits=8, threshold=40, scale=20.0))
add(
    "SparseLeaky: behind a bias and a convolution",
    lambda rng: build(
        "input conv y output",
        {"conv": conv2d(rng, 3, (2, 5, 5)), "y": leaky(rng, (3, 3, 3))},
        (2, 5, 5),
        (3, 3, 3),
    ),
)
add("SparseGated: version 1", improved(recurrent=0.0))
add("SparseGated: version 2", improved())
add("SparseGated: 3 bits, threshold 0, clipped", improved(bits=3, threshold=0, scale=4.0))
add(
    "SparseGated: two layers behind an encoder, and a readout",
    lambda rng: build(
        "input e a y b z c output",
        {
            "e": leaky(rng, 6, tau=np.zeros(6)),
            "a": affine(rng, 6, 16),
            "y": gated(rng, 8),
            "b": affine(rng, 8, 20),
            "z": gated(rng, 10),
            "c": affine(rng, 10, 4),
        },
        (6,),
        (4,),
    ),
    data="real",
    apart=0.5,
)
add(
    "SparseGated: behind a pool",
    lambda rng: build(
        "input pool flat y output",
        {
            "pool": pool(nir.SumPool2d, 2),
            "flat": nir.Flatten({"input": np.array((2, 2, 3))}, 0, -1),
            "y": gated(rng, 6),
        },
        (2, 4, 6),
        (6,),
    ),
)
