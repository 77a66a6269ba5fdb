"""Conformance networks: topologies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from conformance_case import Case, Rng, affine, build, conv1d, conv2d, linear, neuron, pool
from conformance_nodes import gpn

CASES: list[Case] = []

TOPOLOGY = "Topology"


def case(row: str, **more: Any) -> Callable[[Callable[[Rng], Any]], None]:
    """The decorated function makes the network of that row."""

    def take(make: Callable[[Rng], Any]) -> None:
        CASES.append(Case(TOPOLOGY, row, make, **more))

    return take


def loop(n: int = 8, kind: type = nir.LIF, **more: Any) -> Any:
    """Neurons that hear themselves, through what ``more`` holds."""
    return lambda rng: {
        "fc": linear(rng, 6, n, 0.7),
        "lif": neuron(rng, kind, n),
        "rec": nir.Linear(rng.normal(0, 1.2, (n, n))),
        **more,
    }


@case("Self-loop, direct", late=frozenset({("lif", "lif")}))
def _(rng: Rng) -> Any:
    nodes = {"fc": linear(rng, 6, 8), "lif": neuron(rng, nir.LIF, 8)}
    return build("input fc lif lif output", nodes, (6,), (8,))


for kind in (nir.LIF, nir.CubaLIF, nir.IF):
    CASES.append(
        Case(
            TOPOLOGY,
            f"Self-loop of {kind.__name__} through a Linear",
            lambda rng, kind=kind: build(
                "input fc lif output; lif rec lif", loop(kind=kind)(rng), (6,), (8,)
            ),
            late=frozenset({("rec", "lif")}),
            apart=0.06,
        )
    )


@case("Self-loop of Threshold through a Linear", late=frozenset({("rec", "t")}))
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "t": neuron(rng, nir.Threshold, 8),
        "rec": nir.Linear(rng.normal(0, 0.8, (8, 8))),
    }
    return build("input fc t output; t rec t", nodes, (6,), (8,))


@case(
    "Self-loop through an Affine, whose bias holds from the start",
    late=frozenset({("rec", "lif")}),
    apart=0.06,
)
def _(rng: Rng) -> Any:
    nodes = loop()(rng) | {"rec": nir.Affine(rng.normal(0, 1.0, (8, 8)), rng.normal(0.3, 0.3, 8))}
    return build("input fc lif output; lif rec lif", nodes, (6,), (8,))


def two(rng: Rng) -> dict[str, Any]:
    return {
        "fc": linear(rng, 6, 8),
        "a": neuron(rng, nir.LIF, 8),
        "ab": linear(rng, 8, 5, 0.5),
        "b": neuron(rng, nir.LIF, 5),
        "ba": nir.Linear(rng.normal(-0.4, 1.0, (8, 5))),
    }


@case(
    "Cycle through two neurons, one step in all",
    late=frozenset({("ba", "a")}),
    apart=0.06,
)
def _(rng: Rng) -> Any:
    return build("input fc a ab b output; b ba a", two(rng), (6,), (5,))


@case("Cycle through two neurons, with a Delay of 2 steps", apart=0.06)
def _(rng: Rng) -> Any:
    nodes = two(rng) | {"delay": nir.Delay(np.full(5, 2e-3))}
    return build("input fc a ab b output; b delay ba a", nodes, (6,), (5,))


@case("Self-loop through a Delay for each element", apart=0.06)
def _(rng: Rng) -> Any:
    nodes = loop()(rng) | {"delay": nir.Delay(np.array([1, 2, 3, 4, 5, 6, 7, 8]) * 1e-3)}
    return build("input fc lif output; lif rec delay lif", nodes, (6,), (8,))


@case("A loop and a side path through Delays of one value for all", apart=0.06)
def _(rng: Rng) -> Any:
    nodes = loop()(rng) | {
        "delay": nir.Delay(np.array([2e-3])),
        "aside": nir.Delay(np.array([1e-3])),
        "read": linear(rng, 6, 8, 0.4),
    }
    paths = "input fc lif output; lif delay rec lif; input aside read lif"
    return build(paths, nodes, (6,), (8,))


@case(
    "Two loops around one population, of 1 and of 3 steps",
    late=frozenset({("rec", "lif")}),
    apart=0.08,
)
def _(rng: Rng) -> Any:
    nodes = loop()(rng) | {
        "delay": nir.Delay(np.full(8, 3e-3)),
        "old": nir.Linear(rng.normal(-0.2, 0.8, (8, 8))),
    }
    return build("input fc lif output; lif rec lif; lif delay old lif", nodes, (6,), (8,))


@case("A loop closed by the Delay that the input passes")
def _(rng: Rng) -> Any:
    nodes = {
        "delay": nir.Delay(np.full(6, 2e-3)),
        "fc": linear(rng, 6, 6),
        "lif": neuron(rng, nir.LIF, 6),
    }
    return build("input delay fc lif output; lif delay", nodes, (6,), (6,))


@case("Skip connection over a neuron")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "a": neuron(rng, nir.LIF, 8),
        "up": linear(rng, 8, 8, 0.5),
        "b": neuron(rng, nir.LIF, 8),
    }
    return build("input fc a up b output; a b; fc b", nodes, (6,), (8,))


@case("Residual block of convolutions")
def _(rng: Rng) -> Any:
    shape = (3, 5, 5)
    nodes = {
        "stem": conv2d(rng, 3, (2, 5, 5), 3, padding=1),
        "a": neuron(rng, nir.LIF, shape),
        "conv": conv2d(rng, 3, shape, 3, padding="same"),
        "b": neuron(rng, nir.LIF, shape, v_threshold=1.5),
    }
    return build("input stem a conv b output; a b", nodes, (2, 5, 5), shape)


@case("Parallel paths through 0, 1 and 2 neurons")
def _(rng: Rng) -> Any:
    nodes = {
        "fa": linear(rng, 6, 8),
        "a": neuron(rng, nir.LIF, 8),
        "ab": linear(rng, 8, 8, 0.5),
        "b": neuron(rng, nir.LIF, 8),
        "bc": linear(rng, 8, 5, 0.4),
        "ac": linear(rng, 8, 5, 0.4),
        "ic": linear(rng, 6, 5, 0.4),
        "c": neuron(rng, nir.LIF, 5),
    }
    return build("input fa a ab b bc c output; a ac c; input ic c", nodes, (6,), (5,))


@case("Parallel linear paths of different depth")
def _(rng: Rng) -> Any:
    nodes = {
        "one": affine(rng, 6, 8, 0.6),
        "two": affine(rng, 6, 4, 0.6),
        "three": affine(rng, 4, 8, 0.4),
        "lif": neuron(rng, nir.LIF, 8),
    }
    return build("input one lif output; input two three lif", nodes, (6,), (8,))


@case("Parallel paths, one of them late")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": affine(rng, 6, 8),
        "delay": nir.Delay(np.arange(8) * 1e-3),
        "minus": nir.Scale(np.full(8, -0.8)),
        "lif": neuron(rng, nir.LIF, 8),
    }
    return build("input fc lif output; fc delay minus lif", nodes, (6,), (8,))


@case("Several inputs")
def _(rng: Rng) -> Any:
    nodes = {
        "fa": linear(rng, 6, 8, 0.5),
        "fb": linear(rng, 4, 8, 0.5),
        "conv": conv2d(rng, 2, (1, 4, 4), 3),
        "lif": neuron(rng, nir.LIF, 8),
    }
    inputs = {"left": (6,), "right": (4,), "seen": (1, 4, 4)}
    return build("left fa lif output; right fb lif; seen conv lif", nodes, inputs, (8,))


@case("Several outputs: neurons, linear nodes, an inner layer")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": linear(rng, 6, 8),
        "a": neuron(rng, nir.LIF, 8),
        "up": linear(rng, 8, 5, 0.5),
        "b": neuron(rng, nir.LIF, 5),
        "read": affine(rng, 5, 3),
    }
    outputs = {"inner": (8,), "spikes": (5,), "logits": (3,), "twice": (3,), "sums": (8,)}
    paths = "input fc a up b read logits; a inner; b spikes; read twice; fc sums"
    return build(paths, nodes, (6,), outputs)


@case("Several edges into and out of a node")
def _(rng: Rng) -> Any:
    nodes = {
        "p": linear(rng, 6, 8, 0.5),
        "q": linear(rng, 6, 8, 0.5),
        "a": neuron(rng, nir.LIF, 8),
        "b": neuron(rng, nir.CubaLIF, 8),
        "sum": linear(rng, 8, 5, 0.7),
        "c": neuron(rng, nir.LIF, 5),
    }
    return build("input p a sum c output; input q b sum; p b; q a", nodes, (6,), (5,))


@case("An Output that gets a sum")
def _(rng: Rng) -> Any:
    nodes = {
        "fc": affine(rng, 6, 5),
        "lif": neuron(rng, nir.LIF, 5),
        "scale": nir.Scale(rng.uniform(0.5, 2.0, 5)),
    }
    return build("input fc lif scale output; fc output; lif output", nodes, (6,), (5,))


@case("Input straight to Output")
def _(rng: Rng) -> Any:
    nodes = {"fc": linear(rng, 6, 5), "lif": neuron(rng, nir.LIF, 5)}
    outputs = {"output": (5,), "echo": (6,)}
    return build("input fc lif output; input echo", nodes, (6,), outputs)


@case("Input straight to a neuron and to an Output of another shape")
def _(rng: Rng) -> Any:
    nodes = {"lif": neuron(rng, nir.LIF, (2, 3), r=5.0)}
    return build("input lif output", nodes, (6,), (2, 3))


@case(
    "Subgraphs two deep, with a loop inside",
    late=frozenset({("a.b.rec", "a.b.lif")}),
)
def _(rng: Rng) -> Any:
    inner = {"lif": neuron(rng, nir.LIF, 8), "rec": nir.Linear(rng.normal(0, 1.0, (8, 8)))}
    b = build("input lif output; lif rec lif", inner, (8,), (8,))
    a = build("input fc b output", {"fc": linear(rng, 6, 8), "b": b}, (6,), (8,))
    nodes = {"a": a, "fc": linear(rng, 8, 4, 0.5), "lif": neuron(rng, nir.LIF, 4)}
    return build("input a fc lif output", nodes, (6,), (4,))


@case("Subgraphs that feed each other, with several edges at their ends")
def _(rng: Rng) -> Any:
    def both(n: int) -> Any:
        inner = {
            "p": affine(rng, n, 6, 0.6),
            "q": affine(rng, n, 6, 0.6),
            "a": neuron(rng, nir.LIF, 6),
            "b": neuron(rng, nir.CubaLIF, 6),
        }
        return build("input p a output; input q b output", inner, (n,), (6,))

    nodes = {"one": both(6), "two": both(6), "lif": neuron(rng, nir.LIF, 6, v_threshold=1.2)}
    return build("input one two lif output; one lif", nodes, (6,), (6,))


@case("A subgraph of linear nodes alone")
def _(rng: Rng) -> Any:
    head = build(
        "input pool flat fc output",
        {
            "pool": pool(nir.SumPool2d, 2),
            "flat": nir.Flatten({"input": np.array((2, 2, 2))}, 0, -1),
            "fc": affine(rng, 8, 5, 0.6),
        },
        (2, 4, 4),
        (5,),
    )
    return build(
        "input head lif output", {"head": head, "lif": neuron(rng, nir.LIF, 5)}, (2, 4, 4), (5,)
    )


@case("A loop around a convolution", late=frozenset({("back", "lif")}), apart=0.06)
def _(rng: Rng) -> Any:
    nodes = {
        "conv": conv2d(rng, 2, (2, 5, 5), 3, padding=1),
        "lif": neuron(rng, nir.LIF, (2, 5, 5), v_threshold=1.5),
        "back": nir.Conv2d(
            (5, 5), rng.normal(-0.3, 0.5, (2, 2, 3, 3)), 1, "same", 1, 1, np.zeros(2)
        ),
    }
    return build("input conv lif output; lif back lif", nodes, (2, 5, 5), (2, 5, 5))


@case(
    "A loop around a convolution into neurons of different gain",
    late=frozenset({("back", "lif")}),
)
def _(rng: Rng) -> Any:
    nodes = {
        "conv": conv2d(rng, 2, (2, 4, 4), 3, padding=1),
        "lif": neuron(rng, nir.LIF, (2, 4, 4), r=rng.uniform(0.5, 2.0, (2, 4, 4))),
        "back": conv2d(rng, 2, (2, 4, 4), 3, padding=1, bias=np.zeros(2)),
    }
    return build("input conv lif output; lif back lif", nodes, (2, 4, 4), (2, 4, 4))


@case("Convolutions of different geometry into one population")
def _(rng: Rng) -> Any:
    nodes = {
        "small": conv2d(rng, 3, (2, 6, 6), 3, padding=1, stride=2),
        "large": conv2d(rng, 3, (2, 6, 6), 4, stride=1),
        "lif": neuron(rng, nir.LIF, (3, 3, 3), v_threshold=2.0),
    }
    return build("input small lif output; input large lif", nodes, (2, 6, 6), (3, 3, 3))


@case("A convolution and a matrix into one population", near=0.04)
def _(rng: Rng) -> Any:
    nodes = {
        "conv": conv2d(rng, 2, (2, 5, 5), 3),
        "fc": linear(rng, 50, 18, 0.7),
        "flat": nir.Flatten({"input": np.array((2, 5, 5))}, 0, -1),
        "lif": neuron(rng, nir.LIF, (2, 3, 3), v_threshold=1.5),
        "out": linear(rng, 18, 4, 0.4),
        "lif2": neuron(rng, nir.LIF, 4),
    }
    return build("input conv lif out lif2 output; input flat fc lif", nodes, (2, 5, 5), (4,))


@case("Layers of spiking convolutions with pools between", apart=0.1)
def _(rng: Rng) -> Any:
    nodes = {
        "c1": conv2d(rng, 3, (2, 8, 8), 3, padding=1),
        "a": neuron(rng, nir.LIF, (3, 8, 8)),
        "pool": pool(nir.AvgPool2d, 2),
        "c2": conv2d(rng, 4, (3, 4, 4), 3),
        "b": neuron(rng, nir.IF, (4, 2, 2)),
        "flat": nir.Flatten({"input": np.array((4, 2, 2))}, 0, -1),
        "fc": linear(rng, 16, 5, 0.7),
        "c": neuron(rng, nir.CubaLIF, 5),
    }
    return build("input c1 a pool c2 b flat fc c output", nodes, (2, 8, 8), (5,))


@case("GPN after a convolution")
def _(rng: Rng) -> Any:
    nodes = {"conv": conv1d(rng, 2, (2, 6)), "gpn": gpn(rng, 8)}
    return build("input conv gpn output", nodes, (2, 6), (8,))
