"""Conformance networks: GLIF and what its gates choose, GPN with the gates of its ablations."""

from __future__ import annotations

from typing import Any

import numpy as np
from conformance_case import DT, Case, Rng, build, conv2d, linear
from conformance_nodes import gpn

from snn2hw.converters.nodes import GLIF, GPN

CASES: list[Case] = []
N = 8


def glif(rng: Rng, shape: Any, **given: Any) -> GLIF:
    """Numbers of their own for each neuron unless given, which is for all."""
    gain = (shape[0], *(1 for _ in shape[1:])) if isinstance(shape, tuple) else shape
    usual: dict[str, Any] = {
        "alpha": 1.0,
        "beta": 1.0,
        "gamma": 1.0,
        "tau": rng.uniform(0.3, 0.9, shape),
        "v_threshold": rng.uniform(0.4, 0.8, shape),
        "leak": rng.uniform(0.01, 0.1, shape),
        "conductance": rng.uniform(0.3, 0.9, gain),
        "v_subtract": rng.uniform(0.3, 0.7, shape),
    }
    values = {name: np.broadcast_to(v, shape).copy() for name, v in (usual | given).items()}
    return GLIF(**values, dt=DT)


def gated(**given: Any) -> Any:
    """GLIF neurons behind a matrix."""
    return lambda rng: build(
        "input fc glif output",
        {"fc": linear(rng, 6, N, 0.5), "glif": glif(rng, N, **given)},
        (6,),
        (N,),
    )


def add(row: str, make: Any, **more: Any) -> None:
    CASES.append(Case("GLIF (extension)", row, make, **more))


add("GLIF", gated())
add("GLIF: linear leak (alpha 0)", gated(alpha=0.0))
add("GLIF: plain input (beta 0)", gated(beta=0.0))
add("GLIF: reset by subtraction (gamma 0)", gated(gamma=0.0))
add(
    "GLIF: gates of their own for each neuron",
    gated(alpha=[0, 1] * 4, beta=[0, 0, 1, 1] * 2, gamma=[0, 0, 0, 0, 1, 1, 1, 1]),
)
add("GLIF: all gates 0", gated(alpha=0.0, beta=0.0, gamma=0.0))
add("GLIF: real-valued input", gated(gamma=[0, 1] * 4), data="real")
add(
    "GLIF: behind a convolution",
    lambda rng: build(
        "input conv glif output",
        {"conv": conv2d(rng, 3, (2, 5, 5)), "glif": glif(rng, (3, 3, 3), gamma=0.0)},
        (2, 5, 5),
        (3, 3, 3),
    ),
)
add(
    "GLIF: recurrent through a Linear",
    lambda rng: build(
        "input fc glif output; glif rec glif",
        {
            "fc": linear(rng, 6, 12, 0.5),
            "glif": glif(rng, 12, gamma=[0, 1] * 6),
            "rec": linear(rng, 12, 12, 0.3),
        },
        (6,),
        (12,),
    ),
    late=frozenset({("rec", "glif")}),
    apart=0.1,
)


def ablated(**constant: float) -> Any:
    """GPN of which some gates see nothing and have one argument; mirrored: I is 1 - F."""

    def make(rng: Rng) -> Any:
        node = gpn(rng, N)
        weight, bias = node.gates_weight, node.gates_bias
        for gate, argument in constant.items():
            rows = slice("FIBT".index(gate) * N, ("FIBT".index(gate) + 1) * N)
            weight[rows], bias[rows] = 0.0, argument
        if not constant:
            weight[N : 2 * N], bias[N : 2 * N] = -weight[:N], -bias[:N]
        nodes = {"fc": linear(rng, 6, N), "gpn": GPN(weight, bias, DT)}
        return build("input fc gpn output", nodes, (6,), (N,))

    return make


for row, make in {
    "GPN without F and I (both 1/2)": ablated(F=0.0, I=0.0),
    "GPN without I (1 - F)": ablated(),
    "GPN without T (1)": ablated(T=40.0),
    "GPN without B (0)": ablated(B=0.0),
    "GPN without all gates": ablated(F=0.0, I=0.0, B=0.0, T=40.0),
}.items():
    CASES.append(Case("GPN, its ablations", row, make, near=0.03))
