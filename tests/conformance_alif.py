"""Conformance networks: ALIF, the neuron of e-prop, and each of its options."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from conformance_case import DT, Case, Rng, affine, build, conv2d, linear, neuron

from snn2hw.converters.nodes import ALIF

CASES: list[Case] = []


def add(row: str, make: Any, **more: Any) -> None:
    CASES.append(Case("ALIF (extension)", row, make, **more))


def alif(rng: Rng, n: int, **given: Any) -> ALIF:
    """Bellec's form, constants of their own for each neuron unless given."""
    usual = {
        "alpha": np.exp(-1 / rng.uniform(4, 12, n)),
        "rho": np.exp(-1 / rng.uniform(15, 60, n)),
        "v_threshold": rng.uniform(0.8, 1.2, n),
        "beta": rng.uniform(0.2, 0.5, n),
        "input_gain": 1.0,
        "adaptation_gain": 1.0,
        "refractory": 0,
        "adaptive_reset": 0,
        "dt": DT,
    }
    return ALIF(**(usual | given))


def adaptive(n: int = 8, **given: Any) -> Any:
    """ALIF neurons behind a matrix."""
    return lambda rng: build(
        "input fc alif output", {"fc": linear(rng, 6, n), "alif": alif(rng, n, **given)}, (6,), (n,)
    )


add("ALIF", adaptive())

ROSTAMI = {
    "alpha": np.exp(-1 / 5),
    "rho": np.exp(-1 / 30),
    "v_threshold": 0.4,
    "beta": 2.0,
    "input_gain": 1 - np.exp(-1 / 5),
    "adaptation_gain": 1 - np.exp(-1 / 30),
    "adaptive_reset": 1,
}
add("ALIF: beta 0, a LIF reset by subtraction in the next step", adaptive(beta=0.0))
add("ALIF: refractory", adaptive(refractory=3))
add("ALIF: refractory, for each its own", adaptive(refractory=np.arange(8) % 4))
add("ALIF: adaptive reset", adaptive(adaptive_reset=1))
add("ALIF: gains of Rostami et al., one value of each constant for all", adaptive(**ROSTAMI))
add(
    "ALIF: input gain, for each its own",
    adaptive(input_gain=np.linspace(0.3, 1.2, 8), adaptation_gain=np.linspace(1.5, 0.1, 8)),
)
add("ALIF: slow adaptation", adaptive(rho=np.exp(-1 / 1500), beta=0.2))
add("ALIF: beta below zero", adaptive(beta=np.linspace(-0.15, 0.3, 8)))
add("ALIF: no leak, nothing forgotten", adaptive(alpha=1.0, rho=1.0))
add("ALIF: no memory of v, threshold below zero", adaptive(alpha=0.0, v_threshold=-0.3))
add("ALIF: real-valued input", adaptive(), data="real")
add(
    "ALIF: behind a bias",
    lambda rng: build(
        "input fc alif output",
        {"fc": affine(rng, 6, 8), "alif": alif(rng, 8, input_gain=0.6)},
        (6,),
        (8,),
    ),
)
add(
    "ALIF: behind a convolution",
    lambda rng: build(
        "input conv alif output",
        {"conv": conv2d(rng, 3, (2, 5, 5)), "alif": alif(rng, (3, 3, 3), refractory=1)},
        (2, 5, 5),
        (3, 3, 3),
    ),
)
add(
    "ALIF: recurrent through a Linear, with a leaky readout",
    lambda rng: build(
        "input fc alif out li output; alif rec alif",
        {
            "fc": linear(rng, 6, 12),
            "alif": alif(rng, 12, refractory=2, v_threshold=1.5),
            "rec": linear(rng, 12, 12),
            "out": linear(rng, 12, 4),
            "li": neuron(rng, nir.LI, 4),
        },
        (6,),
        (4,),
    ),
    late=frozenset({("rec", "alif")}),
    apart=0.1,
)
