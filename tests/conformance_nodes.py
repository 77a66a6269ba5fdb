"""Conformance networks: each primitive, then each of its options."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from conformance_case import (
    Case,
    Rng,
    Shape,
    affine,
    build,
    conv1d,
    conv2d,
    linear,
    neuron,
    pool,
)

from snn2hw.converters.nodes import GPN

CASES: list[Case] = []

PRIMITIVES, LINEAR, NEURON = "Primitives", "Options of linear nodes", "Options of neurons"


def add(section: str, row: str, make: Any, **more: Any) -> None:
    CASES.append(Case(section, row, make, **more))


# The 16 primitives, and what holds them together.


def before(node: Any, n: int, n_in: int = 6, kind: type = nir.LIF) -> Any:
    """A linear node between an input of n_in spikes and n neurons."""
    return lambda rng: build(
        "input node lif output", {"node": node(rng), "lif": neuron(rng, kind, n)}, (n_in,), (n,)
    )


def alone(kind: type, n: int = 8, **fixed: Any) -> Any:
    """Neurons behind a matrix."""
    return lambda rng: build(
        "input fc neuron output",
        {"fc": linear(rng, 6, n), "neuron": neuron(rng, kind, n, **fixed)},
        (6,),
        (n,),
    )


def spatial(node: Any, shape: Shape, out: Shape, **fixed: Any) -> Any:
    """A spatial node between an input of that shape and neurons of the other."""
    return lambda rng: build(
        "input node lif output",
        {"node": node(rng), "lif": neuron(rng, nir.LIF, out, **fixed)},
        shape,
        out,
    )


add(PRIMITIVES, "Affine", before(lambda rng: affine(rng, 6, 8), 8))
add(PRIMITIVES, "Linear", before(lambda rng: linear(rng, 6, 8), 8))
add(PRIMITIVES, "Scale", before(lambda rng: nir.Scale(rng.uniform(0.5, 3, 6)), 6))
add(PRIMITIVES, "Conv1d", spatial(lambda rng: conv1d(rng, 3, (2, 9)), (2, 9), (3, 7)))
add(PRIMITIVES, "Conv2d", spatial(lambda rng: conv2d(rng, 3, (2, 6, 6)), (2, 6, 6), (3, 4, 4)))
for kind in (nir.SumPool2d, nir.AvgPool2d):
    sized = {"r": 2.0 if kind is nir.SumPool2d else 6.0}
    add(
        PRIMITIVES,
        kind.__name__,
        spatial(lambda rng, kind=kind: pool(kind, 2), (2, 6, 6), (2, 3, 3), **sized),
    )
add(
    PRIMITIVES,
    "Flatten",
    lambda rng: build(
        "input flat fc lif output",
        {
            "flat": nir.Flatten({"input": np.array((2, 3, 3))}, 0, -1),
            "fc": linear(rng, 18, 5),
            "lif": neuron(rng, nir.LIF, 5),
        },
        (2, 3, 3),
        (5,),
    ),
)
add(
    PRIMITIVES,
    "Delay",
    lambda rng: build(
        "input delay fc lif output",
        {
            "delay": nir.Delay(np.full(6, 3e-3)),
            "fc": linear(rng, 6, 8),
            "lif": neuron(rng, nir.LIF, 8),
        },
        (6,),
        (8,),
    ),
)
for kind in (nir.I, nir.LI, nir.CubaLI, nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold):
    add(PRIMITIVES, kind.__name__, alone(kind))
add(
    PRIMITIVES,
    "Input and Output",
    lambda rng: build("input fc output", {"fc": affine(rng, 6, 4)}, (6,), (4,)),
)
add(
    PRIMITIVES,
    "NIRGraph inside a NIRGraph",
    lambda rng: build(
        "input fc sub output",
        {
            "fc": linear(rng, 6, 8),
            "sub": build("input lif output", {"lif": neuron(rng, nir.LIF, 8)}, (8,), (8,)),
        },
        (6,),
        (8,),
    ),
)


def gpn(rng: Rng, n: int) -> GPN:
    return GPN(rng.normal(0, 0.4, (4 * n, 2 * n)), rng.normal(0, 0.3, 4 * n), 1e-3)


add(
    PRIMITIVES,
    "GPN (extension)",
    lambda rng: build(
        "input fc gpn output", {"fc": linear(rng, 6, 8), "gpn": gpn(rng, 8)}, (6,), (8,)
    ),
)

# Options of linear nodes.

CONV2D: dict[str, tuple[int, Shape, Any, dict[str, Any], Shape]] = {
    "stride 2": (3, (2, 7, 7), 3, {"stride": 2}, (3, 3, 3)),
    "stride (2, 1)": (3, (2, 7, 5), 3, {"stride": (2, 1)}, (3, 3, 3)),
    "stride above the kernel": (3, (2, 8, 8), 2, {"stride": 3}, (3, 3, 3)),
    "padding 1": (3, (2, 5, 5), 3, {"padding": 1}, (3, 5, 5)),
    "padding (2, 0)": (3, (2, 4, 5), 3, {"padding": (2, 0)}, (3, 6, 3)),
    "padding 'same'": (3, (2, 5, 4), 3, {"padding": "same"}, (3, 5, 4)),
    "padding 'same', even kernel": (3, (2, 5, 5), (2, 4), {"padding": "same"}, (3, 5, 5)),
    "padding 'valid'": (3, (2, 5, 5), 3, {"padding": "valid"}, (3, 3, 3)),
    "dilation 2": (3, (2, 7, 7), 3, {"dilation": 2}, (3, 3, 3)),
    "dilation (1, 3) with stride 2": (
        3,
        (2, 7, 9),
        3,
        {"dilation": (1, 3), "stride": 2},
        (3, 3, 2),
    ),
    "groups 2": (4, (4, 5, 5), 3, {"groups": 2}, (4, 3, 3)),
    "one group a channel": (6, (3, 5, 5), 3, {"groups": 3}, (6, 3, 3)),
    "rows and columns differ": (3, (2, 4, 8), (2, 5), {}, (3, 3, 4)),
    "kernel as large as the input": (5, (2, 4, 3), (4, 3), {}, (5, 1, 1)),
    "kernel of one": (5, (3, 4, 4), 1, {}, (5, 4, 4)),
    "all at once": (
        4,
        (4, 9, 8),
        (3, 2),
        {"stride": (2, 3), "padding": (2, 1), "dilation": (2, 3), "groups": 2},
        (4, 5, 3),
    ),
    "no bias": (3, (2, 5, 5), 3, {"bias": None}, (3, 3, 3)),
}
for name, (out, shape, kernel, options, after) in CONV2D.items():
    add(
        LINEAR,
        f"Conv2d: {name}",
        spatial(
            lambda rng, out=out, shape=shape, kernel=kernel, options=options: conv2d(
                rng, out, shape, kernel, **options
            ),
            shape,
            after,
        ),
    )
CONV1D: dict[str, tuple[int, Shape, int, dict[str, Any], Shape]] = {
    "stride 3": (3, (2, 12), 4, {"stride": 3}, (3, 3)),
    "padding 2": (3, (2, 8), 3, {"padding": 2}, (3, 10)),
    "padding 'same', even kernel": (3, (2, 8), 4, {"padding": "same"}, (3, 8)),
    "padding 'valid'": (3, (2, 8), 3, {"padding": "valid"}, (3, 6)),
    "dilation 3": (3, (2, 11), 3, {"dilation": 3}, (3, 5)),
    "groups 2": (4, (4, 8), 3, {"groups": 2}, (4, 6)),
}
for name, (out, shape, kernel, options, after) in CONV1D.items():
    add(
        LINEAR,
        f"Conv1d: {name}",
        spatial(
            lambda rng, out=out, shape=shape, kernel=kernel, options=options: conv1d(
                rng, out, shape, kernel, **options
            ),
            shape,
            after,
        ),
    )
POOLS: dict[str, tuple[Any, Any, Any, Shape, Shape, float]] = {
    "windows overlap": (3, 2, 0, (2, 7, 7), (2, 3, 3), 1.0),
    "windows with gaps": (2, 3, 0, (2, 8, 8), (2, 3, 3), 1.5),
    "padding": (2, 2, 1, (2, 6, 6), (2, 4, 4), 3.0),
    "padding above half the window": (2, 2, 2, (2, 5, 5), (2, 4, 4), 3.0),
    "rows and columns differ": ((1, 3), (1, 2), (0, 1), (2, 3, 8), (2, 3, 4), 3.0),
    "a remainder is dropped": (2, 2, 0, (2, 5, 7), (2, 2, 3), 1.5),
    "over everything": (4, 1, 0, (3, 4, 4), (3, 1, 1), 0.5),
}
for kind in (nir.SumPool2d, nir.AvgPool2d):
    for name, (size, stride, padding, shape, after, r) in POOLS.items():
        gain = 1.0 if kind is nir.SumPool2d else float(np.prod(np.broadcast_to(size, 2)))
        add(
            LINEAR,
            f"{kind.__name__}: {name}",
            spatial(
                lambda rng, kind=kind, size=size, stride=stride, padding=padding: pool(
                    kind, size, stride, padding
                ),
                shape,
                after,
                r=gain * r,
            ),
        )
add(
    LINEAR,
    "Affine: a stack of matrices, one for each slice",
    lambda rng: build(
        "input fc lif output",
        {
            "fc": nir.Affine(rng.normal(0.4, 1.0, (3, 4, 5)), rng.normal(0, 0.3, 4)),
            "lif": neuron(rng, nir.LIF, (3, 4)),
        },
        (3, 5),
        (3, 4),
    ),
)
add(LINEAR, "Scale: one value for all", before(lambda rng: nir.Scale(np.array([1.7])), 6))
add(LINEAR, "Scale: below zero", before(lambda rng: nir.Scale(rng.uniform(-2, 3, 6)), 6))
add(
    LINEAR,
    "Flatten: in the middle",
    lambda rng: build(
        "input flat conv lif output",
        {
            "flat": nir.Flatten({"input": np.array((2, 2, 5))}, 0, 1),
            "conv": conv1d(rng, 3, (4, 5)),
            "lif": neuron(rng, nir.LIF, (3, 3)),
        },
        (2, 2, 5),
        (3, 3),
    ),
)


def delayed(seconds: Any) -> Any:
    return lambda rng: build(
        "input fc lif delay out lif2 output",
        {
            "fc": linear(rng, 6, 8),
            "lif": neuron(rng, nir.LIF, 8),
            "delay": nir.Delay(np.asarray(seconds)),
            "out": linear(rng, 8, 5),
            "lif2": neuron(rng, nir.LIF, 5),
        },
        (6,),
        (5,),
    )


add(
    LINEAR,
    "Delay: of its own for each element",
    delayed(np.array([0, 1, 2, 3, 5, 8, 13, 2]) * 1e-3),
)
add(LINEAR, "Delay: fractions of a step are rounded", delayed(np.full(8, 2.3e-3)))
add(LINEAR, "Delay: of no step", delayed(np.zeros(8)))
add(LINEAR, "Delay: one value for all", delayed(np.array([4e-3])))

add(
    LINEAR,
    "Delay: of a bias, before a neuron with synaptic current",
    lambda rng: build(
        "input fc delay lif output",
        {
            "fc": affine(rng, 6, 8),
            "delay": nir.Delay(np.arange(8) * 1e-3),
            "lif": neuron(rng, nir.CubaLIF, 8),
        },
        (6,),
        (8,),
    ),
)

# Options of neurons.

for kind in (nir.LIF, nir.CubaLIF, nir.IF, nir.LI, nir.CubaLI, nir.I, nir.Threshold):
    add(NEURON, f"{kind.__name__}: constants differ widely", alone(kind, spread=0.6))
    add(
        NEURON,
        f"{kind.__name__}: one value of each constant for all",
        lambda rng, kind=kind: build(
            "input fc neuron output",
            {"fc": linear(rng, 6, 8), "neuron": neuron(rng, kind, 1)},
            (6,),
            (8,),
        ),
    )
for kind in (nir.LIF, nir.CubaLIF, nir.IF, nir.LI, nir.CubaLI, nir.I, nir.Threshold):
    add(
        NEURON,
        f"{kind.__name__}: behind a bias",
        lambda rng, kind=kind: build(
            "input fc neuron output",
            {"fc": affine(rng, 6, 8), "neuron": neuron(rng, kind, 8)},
            (6,),
            (8,),
        ),
    )
for kind in (nir.LIF, nir.CubaLIF):
    add(NEURON, f"{kind.__name__}: exact steps", alone(kind), method="exact")
    add(NEURON, f"{kind.__name__}: v_leak", alone(kind, v_leak=0.3))
    add(NEURON, f"{kind.__name__}: r", alone(kind, r=0.7, v_threshold=0.4))
for kind in (nir.LI, nir.CubaLI):
    add(NEURON, f"{kind.__name__}: exact steps", alone(kind), method="exact")
    add(NEURON, f"{kind.__name__}: v_leak", alone(kind, v_leak=-0.4))
for kind in (nir.LIF, nir.CubaLIF, nir.IF):
    name = kind.__name__
    add(NEURON, f"{name}: v_reset above zero", alone(kind, v_reset=0.25))
    add(
        NEURON,
        f"{name}: v_reset below zero, for each its own",
        alone(kind, v_reset=np.linspace(-1, 0, 8)),
    )
    add(NEURON, f"{name}: reset by subtraction", alone(kind, metadata={"reset": "subtract"}))
add(NEURON, "LIF: reset by subtraction, said when lowering", alone(nir.LIF), reset="subtract")
add(
    NEURON,
    "LIF: reset by subtraction and v_reset",
    alone(nir.LIF, v_reset=0.2, metadata={"reset": "subtract"}),
)
add(NEURON, "LIF: threshold below zero", alone(nir.LIF, v_threshold=-0.4, v_reset=-2.0))
add(NEURON, "Threshold: below zero", alone(nir.Threshold, threshold=-0.5))
add(NEURON, "CubaLIF: w_in below zero", alone(nir.CubaLIF, w_in=np.linspace(-1, 3, 8)))
add(NEURON, "LIF: real-valued input", alone(nir.LIF), data="real")
add(NEURON, "LIF: spike counts as input", alone(nir.LIF, v_threshold=2.5), data="counts")
add(NEURON, "Threshold: real-valued input", alone(nir.Threshold), data="real")
add(NEURON, "LI: real-valued input", alone(nir.LI), data="real")
add(
    NEURON,
    "LIF: neurons in rows and columns behind a matrix",
    lambda rng: build(
        "input fc lif output",
        {"fc": nir.Linear(rng.normal(0.4, 1.0, (12, 6))), "lif": neuron(rng, nir.LIF, (3, 4))},
        (6,),
        (3, 4),
    ),
)
