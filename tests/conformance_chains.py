"""Conformance networks: chains of linear nodes that make one map or do not; graded messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from conformance_case import Case, Rng, affine, build, conv1d, conv2d, linear, neuron, pool
from conformance_nodes import gpn

CASES: list[Case] = []

CHAINS, GRADED = "Chains of linear nodes", "Graded messages"


def case(section: str, row: str, **more: Any) -> Callable[[Callable[[Rng], Any]], None]:
    """The decorated function makes the network of that row."""

    def take(make: Callable[[Rng], Any]) -> None:
        CASES.append(Case(section, row, make, **more))

    return take


def chain(row: str, names: str, nodes: Any, shape: Any, out: Any, **more: Any) -> None:
    """Linear nodes between the input and neurons."""
    CASES.append(
        Case(
            CHAINS,
            row,
            lambda rng: build(
                f"input {names} lif output",
                {**nodes(rng), "lif": neuron(rng, nir.LIF, out, v_threshold=2.0)},
                shape,
                out,
            ),
            **more,
        )
    )


chain(
    "Affine after Affine",
    "a b",
    lambda rng: {"a": affine(rng, 6, 5), "b": affine(rng, 5, 8)},
    (6,),
    (8,),
)
chain(
    "Conv2d after AvgPool2d",
    "pool conv",
    lambda rng: {"pool": pool(nir.AvgPool2d, 2), "conv": conv2d(rng, 3, (2, 4, 4), 3)},
    (2, 8, 8),
    (3, 2, 2),
)
chain(
    "Conv2d after SumPool2d whose windows overlap",
    "pool conv",
    lambda rng: {"pool": pool(nir.SumPool2d, 3, 2), "conv": conv2d(rng, 3, (2, 3, 3), 2, groups=1)},
    (2, 7, 7),
    (3, 2, 2),
)
chain(
    "AvgPool2d after Conv2d",
    "conv pool",
    lambda rng: {"conv": conv2d(rng, 3, (2, 6, 6), 3, padding=1), "pool": pool(nir.AvgPool2d, 2)},
    (2, 6, 6),
    (3, 3, 3),
)
chain(
    "Conv2d after Conv2d, with groups",
    "a b",
    lambda rng: {
        "a": conv2d(rng, 4, (2, 6, 6), 2, groups=2, dilation=2),
        "b": conv2d(rng, 2, (4, 4, 4), 2, groups=2),
    },
    (2, 6, 6),
    (2, 3, 3),
)
chain(
    "Scale of each channel before Conv2d",
    "scale conv",
    lambda rng: {
        "scale": nir.Scale(np.broadcast_to(np.array([0.5, 2.0])[:, None, None], (2, 5, 5)).copy()),
        "conv": conv2d(rng, 3, (2, 5, 5)),
    },
    (2, 5, 5),
    (3, 3, 3),
)
chain(
    "Scale of each channel after Conv2d",
    "conv scale",
    lambda rng: {
        "conv": conv2d(rng, 3, (2, 5, 5)),
        "scale": nir.Scale(
            np.broadcast_to(np.array([0.5, 2.0, 1.2])[:, None, None], (3, 3, 3)).copy()
        ),
    },
    (2, 5, 5),
    (3, 3, 3),
)
chain(
    "Affine after Flatten after Conv2d",
    "conv flat fc",
    lambda rng: {
        "conv": conv2d(rng, 3, (2, 4, 4)),
        "flat": nir.Flatten({"input": np.array((3, 2, 2))}, 0, -1),
        "fc": affine(rng, 12, 6, 0.5),
    },
    (2, 4, 4),
    (6,),
)
chain(
    "Conv2d after a stack of matrices",
    "fc conv",
    lambda rng: {
        "fc": nir.Linear(rng.normal(0.2, 0.6, (1, 4, 5, 4))),
        "conv": conv2d(rng, 3, (1, 4, 5)),
    },
    (1, 4, 4),
    (3, 2, 3),
)
chain(
    "Conv1d after Conv1d",
    "a b",
    lambda rng: {"a": conv1d(rng, 3, (2, 12), 3, stride=2, padding=1), "b": conv1d(rng, 4, (3, 6))},
    (2, 12),
    (4, 4),
)
chain(
    "Scale of each pixel before Conv2d: two hops",
    "scale conv",
    lambda rng: {
        "scale": nir.Scale(rng.uniform(0.3, 2.0, (2, 5, 5))),
        "conv": conv2d(rng, 3, (2, 5, 5)),
    },
    (2, 5, 5),
    (3, 3, 3),
)
chain(
    "Scale of each pixel after Conv2d: two hops",
    "conv scale",
    lambda rng: {
        "conv": conv2d(rng, 3, (2, 5, 5)),
        "scale": nir.Scale(rng.uniform(0.3, 2.0, (3, 3, 3))),
    },
    (2, 5, 5),
    (3, 3, 3),
)
chain(
    "Padded Conv2d after SumPool2d whose windows overlap: two hops",
    "pool conv",
    lambda rng: {
        "pool": pool(nir.SumPool2d, 3, 1),
        "conv": conv2d(rng, 3, (2, 4, 4), 3, padding=1),
    },
    (2, 6, 6),
    (3, 4, 4),
)
chain(
    "Padded Conv2d after padded Conv2d, with a bias between: two hops",
    "a b",
    lambda rng: {
        "a": conv2d(rng, 3, (2, 5, 5), 3, padding=1),
        "b": conv2d(rng, 3, (3, 5, 5), 3, padding=1),
    },
    (2, 5, 5),
    (3, 5, 5),
)


@case(CHAINS, "Conv2d into neurons of different gain: two hops")
def _(rng: Rng) -> Any:
    nodes = {
        "conv": conv2d(rng, 3, (2, 5, 5)),
        "lif": neuron(rng, nir.LIF, (3, 3, 3), r=rng.uniform(0.5, 4.0, (3, 3, 3))),
    }
    return build("input conv lif output", nodes, (2, 5, 5), (3, 3, 3))


@case(CHAINS, "Two populations behind one chain of two hops")
def _(rng: Rng) -> Any:
    nodes = {
        "scale": nir.Scale(rng.uniform(0.3, 2.0, (2, 5, 5))),
        "conv": conv2d(rng, 3, (2, 5, 5)),
        "a": neuron(rng, nir.LIF, (3, 3, 3), v_threshold=2.0),
        "b": neuron(rng, nir.IF, (3, 3, 3), v_threshold=2.0),
    }
    outputs = {"output": (3, 3, 3), "other": (3, 3, 3)}
    return build("input scale conv a output; conv b other", nodes, (2, 5, 5), outputs)


@case(CHAINS, "A Delay within a chain")
def _(rng: Rng) -> Any:
    nodes = {
        "a": affine(rng, 6, 5),
        "delay": nir.Delay(np.array([0, 1, 2, 3, 4]) * 1e-3),
        "b": affine(rng, 5, 8, 0.7),
        "lif": neuron(rng, nir.LIF, 8),
    }
    return build("input a delay b lif output", nodes, (6,), (8,))


@case(CHAINS, "A Delay for each pixel before a convolution")
def _(rng: Rng) -> Any:
    nodes = {
        "delay": nir.Delay(rng.integers(0, 3, (1, 5, 5)) * 1e-3),
        "conv": conv2d(rng, 2, (1, 5, 5)),
        "lif": neuron(rng, nir.LIF, (2, 3, 3)),
    }
    return build("input delay conv lif output", nodes, (1, 5, 5), (2, 3, 3))


# Graded messages.


@case(GRADED, "LI feeds a LIF")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "li": neuron(rng, nir.LI, 8),
        "up": linear(rng, 8, 5),
        "lif": neuron(rng, nir.LIF, 5),
    }
    return build("input fc li up lif output", nodes, (6,), (5,))


@case(GRADED, "I and CubaLI feed a LI and leave as outputs", near=0.05)
def _(rng: Rng) -> Any:
    nodes = {
        "fc": nir.Linear(rng.normal(0, 1.0, (8, 6))),
        "i": neuron(rng, nir.I, 8, r=50.0),
        "cuba": neuron(rng, nir.CubaLI, 8),
        "up": linear(rng, 8, 5),
        "li": neuron(rng, nir.LI, 5),
    }
    outputs = {"output": (5,), "sum": (8,), "current": (8,)}
    return build("input fc i up li output; fc cuba up; i sum; cuba current", nodes, (6,), outputs)


@case(GRADED, "LI in a loop", late=frozenset({("rec", "li")}))
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "li": neuron(rng, nir.LI, 8),
        "rec": nir.Linear(rng.normal(0, 0.1, (8, 8))),
    }
    return build("input fc li output; li rec li", nodes, (6,), (8,))


@case(GRADED, "LI and LIF in a loop of two steps")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "lif": neuron(rng, nir.LIF, 8),
        "down": linear(rng, 8, 4, 0.4),
        "li": neuron(rng, nir.LI, 4),
        "delay": nir.Delay(np.full(4, 2e-3)),
        "up": nir.Linear(rng.normal(-0.3, 0.3, (8, 4))),
    }
    return build("input fc lif output; lif down li delay up lif", nodes, (6,), (8,))


@case(GRADED, "LI feeds a convolution")
def _(rng: Rng) -> Any:
    nodes = {
        "c1": conv2d(rng, 2, (2, 5, 5), 3, padding=1),
        "li": neuron(rng, nir.LI, (2, 5, 5)),
        "c2": conv2d(rng, 3, (2, 5, 5)),
        "lif": neuron(rng, nir.LIF, (3, 3, 3), v_threshold=3.0),
    }
    return build("input c1 li c2 lif output", nodes, (2, 5, 5), (3, 3, 3))


@case(GRADED, "LI and spikes into one population, LI as it is")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "li": neuron(rng, nir.LI, 8, r=0.5),
        "lif": neuron(rng, nir.LIF, 8),
    }
    return build("input fc li lif output; fc lif", nodes, (6,), (8,))


@case(GRADED, "LI feeds a GPN")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "li": neuron(rng, nir.LI, 8),
        "up": linear(rng, 8, 8, 0.4),
        "gpn": gpn(rng, 8),
    }
    return build("input fc li up gpn output", nodes, (6,), (8,))


@case(GRADED, "LI feeds a Threshold")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "li": neuron(rng, nir.LI, 8),
        "t": neuron(rng, nir.Threshold, 8, threshold=1.5),
    }
    return build("input fc li t output", nodes, (6,), (8,))
