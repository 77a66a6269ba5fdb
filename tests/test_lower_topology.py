"""What no executor takes: each with its error, its message, and no memory spent on it."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest
from conformance_case import DT, build, conv1d, conv2d, linear, neuron, pool

import snn2hw
from snn2hw.errors import GraphError, ParameterError, Snn2hwError, TargetError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

RNG = np.random.default_rng(0)


def between(
    node: Any, shape: tuple[int, ...], out: tuple[int, ...], **changed: Any
) -> nir.NIRGraph:
    """Input, a node, neurons, output. changed: attributes that nir itself would not take."""
    for name, value in changed.items():
        setattr(node, name, value)
    nodes = {"node": node, "lif": neuron(RNG, nir.LIF, out)}
    return build("input node lif output", nodes, shape, out)


def with_edges(*edges: tuple[str, str]) -> nir.NIRGraph:
    graph = between(linear(RNG, 6, 4), (6,), (4,))
    return nir.NIRGraph(graph.nodes, [*graph.edges, *edges], type_check=False)


def subgraph(inputs: Any, outputs: Any, paths: str, n: int = 4) -> nir.NIRGraph:
    inner = build(paths, {"fc": linear(RNG, n, n)}, inputs, outputs)
    return build("input sub lif output", {"sub": inner, "lif": neuron(RNG, nir.LIF, n)}, (n,), (n,))


def nested_in_itself() -> nir.NIRGraph:
    graph = build("input sub output", {}, (4,), (4,))
    graph.nodes["sub"] = graph
    return graph


def in_a_loop(*middle: tuple[str, Any]) -> nir.NIRGraph:
    """input -> a -> (loop of linear nodes) -> lif."""
    nodes = {"a": linear(RNG, 4, 4), **dict(middle), "lif": neuron(RNG, nir.LIF, 4)}
    path = " ".join(["a", *(name for name, _ in middle), "a"])
    return build(f"input a lif output; {path}", nodes, (4,), (4,))


C = (2, 6, 6)
O = (3, 4, 4)  # noqa: E741

SHAPES: dict[str, tuple[Callable[[], Any], str]] = {
    "a matrix of another width": (
        lambda: between(linear(RNG, 5, 4), (6,), (4,)),
        r"node 'node': it takes 5 values \(weight \(4, 5\)\) and gets 6 \(shape \(6,\)\)",
    ),
    "neurons of another number": (
        lambda: between(linear(RNG, 6, 5), (6,), (4,)),
        r"node 'lif': it takes 4 values .* and 'node' gives 5 .*; their shapes must agree",
    ),
    "an Output of another size": (
        lambda: build("input fc output", {"fc": linear(RNG, 6, 5)}, (6,), (4,)),
        r"node 'output': it takes 4 values .* and 'fc' gives 5",
    ),
    "two sources of different size": (
        lambda: build(
            "input a lif output; input b lif",
            {"a": linear(RNG, 6, 4), "b": linear(RNG, 6, 3), "lif": neuron(RNG, nir.LIF, 4)},
            (6,),
            (4,),
        ),
        r"node 'lif': it takes 4 values .* and 'b' gives 3",
    ),
    "two sources of different size into a linear node": (
        lambda: build(
            "input a fc lif output; input fc",
            {"a": linear(RNG, 6, 4), "fc": linear(RNG, 6, 4), "lif": neuron(RNG, nir.LIF, 4)},
            (6,),
            (4,),
        ),
        r"node 'fc': it takes 4 values .* and 'input' gives 6",
    ),
    "a loop that returns another number": (
        lambda: build(
            "input fc lif output; lif rec lif",
            {"fc": linear(RNG, 6, 4), "lif": neuron(RNG, nir.LIF, 4), "rec": linear(RNG, 4, 5)},
            (6,),
            (4,),
        ),
        r"node 'lif' takes 4 values .* and 'rec' gives 5",
    ),
    "a convolution of other channels": (
        lambda: between(conv2d(RNG, 3, (3, 6, 6)), C, O),
        r"node 'node': its weight \(3, 3, 3, 3\) with 1 groups takes 3 channels and gets 2",
    ),
    "groups that do not divide": (
        lambda: between(conv2d(RNG, 3, C), C, O, groups=2),
        r"node 'node': its weight .* with 2 groups takes 4 channels and gets 2",
    ),
    "output channels that groups do not divide": (
        lambda: between(conv2d(RNG, 3, C, groups=2), C, O),
        r"node 'node': .* its output channels must be a multiple of the groups",
    ),
    "a convolution of a flat input": (
        lambda: between(conv2d(RNG, 3, C), (72,), O),
        r"node 'node': it takes \(channels, rows, columns\) and gets shape \(72,\)",
    ),
    "a Conv1d of an image": (
        lambda: between(conv1d(RNG, 3, (2, 36)), C, O),
        r"node 'node': it takes \(channels, length\) and gets shape \(2, 6, 6\)",
    ),
    "a pool of a flat input": (
        lambda: between(pool(nir.SumPool2d, 2), (72,), (18,)),
        r"node 'node': it takes \(channels, rows, columns\) and gets shape \(72,\)",
    ),
    "a kernel larger than its input": (
        lambda: between(conv2d(RNG, 3, C, 4, dilation=2), C, O),
        r"node 'node': its kernel \(7 x 7 with dilation\) is larger than its padded input",
    ),
    "a pool larger than its input": (
        lambda: between(pool(nir.AvgPool2d, 7), C, (2, 1, 1)),
        r"node 'node': its kernel \(7 x 7 with dilation\) is larger than its padded input",
    ),
    "a bias of another size": (
        lambda: between(conv2d(RNG, 3, C), C, O, bias=np.zeros(2)),
        r"node 'node': its bias has 2 values; it must have 3, one a channel",
    ),
    "a matrix's bias of another size": (
        lambda: between(nir.Affine(np.ones((4, 6)), np.zeros(3)), (6,), (4,)),
        r"node 'node': its bias has shape \(3,\) and its weight \(4, 6\); the bias must have 4",
    ),
    "a scale of another size": (
        lambda: between(nir.Scale(np.ones(5)), (6,), (6,)),
        r"node 'node': its scale has 5 values .* and its input 6",
    ),
    "a delay of another size": (
        lambda: between(nir.Delay(np.zeros(5)), (6,), (6,)),
        r"node 'node': its delay has 5 values .* and its input 6",
    ),
    "a weight that is no matrix": (
        lambda: between(linear(RNG, 6, 4), (6,), (4,), weight=np.ones(6)),
        r"node 'node': its weight has shape \(6,\); it must be a matrix",
    ),
    "an input without a size": (
        lambda: between(linear(RNG, 6, 4), (0,), (4,)),
        r"node 'input': it has no neurons or channels; remove it",
    ),
    "an edge to nowhere": (
        lambda: with_edges(("lif", "nowhere")),
        r"an edge names node 'nowhere', which the graph does not have",
    ),
    "an edge from nowhere": (
        lambda: with_edges(("nowhere", "lif")),
        r"an edge names node 'nowhere', which the graph does not have",
    ),
    "an edge to nowhere in a subgraph": (
        lambda: subgraph((4,), (4,), "input fc output; fc ghost"),
        r"an edge names node 'sub.ghost', which the graph does not have",
    ),
    "an edge into an Input": (
        lambda: with_edges(("lif", "input")),
        r"edge 'lif' -> 'input' enters an Input or leaves an Output; remove it",
    ),
    "an edge out of an Output": (
        lambda: with_edges(("output", "lif")),
        r"edge 'output' -> 'lif' enters an Input or leaves an Output; remove it",
    ),
    "a loop of linear nodes": (
        lambda: in_a_loop(("b", linear(RNG, 4, 4)), ("c", nir.Scale(np.ones(4)))),
        r"loop a -> b -> c -> a has no neuron in it",
    ),
    "a linear node that hears itself": (
        lambda: in_a_loop(),
        r"loop a -> a has no neuron in it",
    ),
    "a loop of linear nodes and a Delay": (
        lambda: in_a_loop(("d", nir.Delay(np.full(4, 2 * DT)))),
        r"loop a -> d -> a has no neuron in it",
    ),
    "a subgraph of two inputs": (
        lambda: subgraph({"input": (4,), "other": (4,)}, (4,), "input fc output; other fc"),
        r"subgraph 'sub' has 2 Input nodes, and an edge does not say which; give it one",
    ),
    "a subgraph without an output": (
        lambda: subgraph((4,), {}, "input fc"),
        r"subgraph 'sub' has 0 Output nodes",
    ),
    "a subgraph that does nothing": (
        lambda: subgraph((4,), (4,), "input output"),
        r"subgraph 'sub' passes its input on unchanged",
    ),
    "a graph inside itself": (
        nested_in_itself,
        r"is nested more than 64 deep",
    ),
}

PARAMETERS: dict[str, tuple[Callable[[], Any], str]] = {
    "padding of another kind": (
        lambda: between(conv2d(RNG, 3, C), C, O, padding="reflect"),
        r"node 'node': padding 'reflect' is unknown; use 'same', 'valid' or numbers",
    ),
    "Conv1d, padding of another kind": (
        lambda: between(conv1d(RNG, 3, (2, 6)), (2, 6), (3, 4), padding="circular"),
        r"node 'node': padding 'circular' is unknown",
    ),
    "padding 'same' with a stride": (
        lambda: between(conv2d(RNG, 3, C, stride=2, padding="same"), C, (3, 3, 3)),
        r"node 'node': padding 'same' needs stride 1; give the padding in numbers",
    ),
    "padding below zero": (
        lambda: between(conv2d(RNG, 3, C, padding=(-1, 0)), C, O),
        r"node 'node': padding \(-1, 0\) is negative; give 0 or more",
    ),
    "padding of three numbers": (
        lambda: between(conv2d(RNG, 3, C), C, O, padding=(1, 1, 1)),
        r"node 'node': its padding is \(1, 1, 1\); give one or two integers",
    ),
    "padding of half a pixel": (
        lambda: between(conv2d(RNG, 3, C), C, O, padding=np.array([0.5, 1.0])),
        r"node 'node': its padding is .*; give one or two integers",
    ),
    "no stride": (
        lambda: between(conv2d(RNG, 3, C), C, O, stride=0),
        r"node 'node': stride \(0, 0\), dilation .* must be at least 1",
    ),
    "no dilation": (
        lambda: between(conv2d(RNG, 3, C), C, O, dilation=(0, 1)),
        r"node 'node': .* dilation \(0, 1\) .* must be at least 1",
    ),
    "no groups": (
        lambda: between(conv2d(RNG, 3, C), C, O, groups=0),
        r"node 'node': .* groups 0 must be at least 1",
    ),
    "a pool of no pixel": (
        lambda: between(pool(nir.SumPool2d, 0, 1), C, C),
        r"node 'node': kernel \(0, 0\) and stride \(1, 1\) must be at least 1",
    ),
    "a pool's padding below zero": (
        lambda: between(pool(nir.SumPool2d, 2, 2, -1), C, (2, 2, 2)),
        r"node 'node': kernel .* padding \(-1, -1\) at least 0",
    ),
    "a delay into the past": (
        lambda: between(nir.Delay(np.array([0, 1, 2, -1, 0, 0]) * DT), (6,), (6,)),
        r"node 'node': its delay of -0.001 s is negative; no node can foresee",
    ),
    "a delay without end": (
        lambda: between(nir.Delay(np.full(6, 1e30)), (6,), (6,)),
        r"node 'node': its delay of 1e\+30 s",
    ),
    "a reset that is unknown": (
        lambda: between(linear(RNG, 6, 4), (6,), (4,)),
        r"reset 'bounce' is unknown; use one of value, subtract",
    ),
}

MILLION = 10**6
FAR = np.broadcast_to(np.float64(1.0), (MILLION, MILLION))
"""As many values as fit nowhere, which themselves take 8 bytes."""


def enormous_neurons() -> nir.LIF:
    node = neuron(RNG, nir.LIF, 4)
    for name in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        setattr(node, name, FAR)
    return node


ENORMOUS: dict[str, tuple[Callable[[], Any], str]] = {
    "Input": (
        lambda: build("input output", {}, (MILLION, MILLION), (4,)),
        r"node 'input': its shape \(1000000, 1000000\) has 1000000000000 values",
    ),
    "Output": (
        lambda: build("input fc output", {"fc": linear(RNG, 4, 4)}, (4,), (MILLION, MILLION)),
        r"node 'output': its shape \(1000000, 1000000\) has 1000000000000 values",
    ),
    "sizes whose product overflows": (
        lambda: build("input output", {}, (2**32, 2**32), (4,)),
        r"node 'input': its shape .* has 18446744073709551616 values",
    ),
    "a size below zero": (
        lambda: build("input output", {}, (-4, -4), (4,)),
        r"node 'input': it has no neurons or channels",
    ),
    "Conv2d, by its padding": (
        lambda: between(conv2d(RNG, 3, C, padding=MILLION), C, O),
        r"node 'node': it gives \d+ values \(shape \(3, 2000004, 2000004\)\)",
    ),
    "Conv1d, by its padding": (
        lambda: between(conv1d(RNG, 3, (2, 6), padding=10**9), (2, 6), (3, 4)),
        r"node 'node': it gives \d+ values",
    ),
    "a dilation": (
        lambda: between(conv2d(RNG, 3, C, dilation=10**9, padding=10**9), C, (3, 6, 6)),
        r"node 'node': its padded input has \d+ values",
    ),
    "SumPool2d, by its kernel": (
        lambda: between(pool(nir.SumPool2d, MILLION, 1, MILLION), C, C),
        r"node 'node': its kernel \(1000000, 1000000\) is too large for an input of shape",
    ),
    "AvgPool2d, by its padding": (
        lambda: between(pool(nir.AvgPool2d, 2, 1, MILLION), C, C),
        r"node 'node': it gives \d+ values",
    ),
    "Scale": (
        lambda: build("input node output", {"node": nir.Scale(FAR)}, (4,), (4,)),
        r"scale of node 'node' has 1000000000000 values",
    ),
    "Affine": (
        lambda: build("input node output", {"node": nir.Linear(FAR)}, (4,), (4,)),
        r"weight of node 'node' has 1000000000000 values",
    ),
    "neurons": (
        lambda: build("input node output", {"node": enormous_neurons()}, (4,), (4,)),
        r"tau of node 'node' has 1000000000000 values",
    ),
}


def refused(error: type[Snn2hwError], make: Callable[[], Any], message: str) -> None:
    """Lowering raises it: one line that says what, where and what to do."""
    reset = "bounce" if "bounce" in message else "value"
    with pytest.raises(Snn2hwError, match=message) as caught:
        fold(lower(make(), DT, reset=reset))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("make", "message"), SHAPES.values(), ids=SHAPES)
def test_what_does_not_fit_together(make: Callable[[], Any], message: str) -> None:
    refused(GraphError, make, message)


@pytest.mark.parametrize(("make", "message"), PARAMETERS.values(), ids=PARAMETERS)
def test_what_no_node_can_be(make: Callable[[], Any], message: str) -> None:
    refused(ParameterError, make, message)


@pytest.mark.parametrize(("make", "message"), ENORMOUS.values(), ids=ENORMOUS)
def test_what_is_too_large_is_refused_before_memory_is_taken(
    make: Callable[[], Any], message: str
) -> None:
    graph = make()
    tracemalloc.start()
    try:
        refused(GraphError, lambda: graph, message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6


def test_branches_that_multiply_are_refused() -> None:
    """13 diamonds in a row are 2 ** 13 paths."""
    names = [f"n{k}" for k in range(14)]
    nodes: dict[str, Any] = {name: nir.Scale(np.full(2, 0.5)) for name in names}
    paths = ["input n0"]
    for a, b in itertools.pairwise(names):
        nodes[f"{a}x"] = nir.Scale(np.full(2, 0.5))
        nodes[f"{a}y"] = nir.Scale(np.full(2, 0.5))
        paths += [f"{a} {a}x {b}", f"{a} {a}y {b}"]
    graph = build("; ".join([*paths, f"{names[-1]} output"]), nodes, (2,), (2,))
    refused(GraphError, lambda: graph, r"8192 paths of linear nodes lead to .*; 4096 are the most")


@pytest.mark.parametrize(("steps", "fits"), [(62, True), (63, True), (64, False)])
def test_a_delay_beyond_the_chip(steps: int, fits: bool) -> None:
    graph = between(nir.Delay(np.full(4, steps * DT)), (4,), (4,))
    x = np.ones((1, 4, 4), dtype=np.int64)
    # The float graph has no such limit.
    assert lower(graph, DT).projections[0].delay == steps
    if fits:
        assert snn2hw.quantize(graph, dt=DT, calibration=x).synapses[0].chip_delay == steps
        return
    with pytest.raises(TargetError, match=r"synapses 'input->lif \(64\)' need a delay of 64 steps"):
        snn2hw.quantize(graph, dt=DT, calibration=x)


@pytest.mark.parametrize("kind", [nir.LI, nir.CubaLI, nir.I, nir.Threshold])
def test_loihi_1_has_no_such_neuron(kind: type) -> None:
    nodes = {"fc": linear(RNG, 6, 4), "neuron": neuron(RNG, kind, 4)}
    graph = build("input fc neuron output", nodes, (6,), (4,))
    x = np.ones((1, 4, 6), dtype=np.int64)
    with pytest.raises(TargetError, match=r"layer 'neuron': loihi1 has no neuron"):
        snn2hw.quantize(graph, target="loihi1", dt=DT, calibration=x)


def test_a_delay_that_rounds_to_nothing_does_not_break_its_loop() -> None:
    """0.5 dt rounds to no step (halves to even), so the loop's closing edge costs one."""
    lif = nir.LIF(*(np.full(2, value) for value in (5e-3, 1.0, 0.0, 0.5)))
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "l": lif,
        "d": nir.Delay(np.full(2, 0.5e-3)),
        "output": nir.Output({"output": np.array([2])}),
    }
    edges = [("input", "l"), ("l", "d"), ("d", "l"), ("l", "output")]
    lowered = lower(nir.NIRGraph(nodes, edges, type_check=False), 1e-3)
    assert {(p.source, p.delay) for p in lowered.projections} == {("input", 0), ("l", 1)}


@pytest.mark.parametrize("back", ["back", "zback"])
def test_a_loop_behind_a_delay_is_entered_where_the_data_come(back: str) -> None:
    """Whatever the names: the edge that leads back is the one that takes a step."""
    rng = np.random.default_rng(2)
    w, u = rng.normal(size=(3, 2)), rng.normal(size=(3, 3))
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "wait": nir.Delay(np.full(3, 2 * DT)),
        "fc": nir.Linear(w),
        "lif": nir.LIF(np.full(3, 4 * DT), np.ones(3), np.zeros(3), np.full(3, 0.4)),
        back: nir.Linear(u),
        "output": nir.Output({"output": np.array([3])}),
    }
    edges = [("input", "fc"), ("fc", "wait"), ("wait", "lif"), ("lif", back), (back, "lif")]
    graph = nir.NIRGraph(nodes, [*edges, ("lif", "output")])
    x = (rng.random((1, 30, 2)) < 0.5).astype(float)
    late = np.concatenate([np.zeros((2, 2)), x[0, :-2]])
    v, s, wanted = np.zeros(3), np.zeros(3), []
    for sample in late:
        v = v + (w @ sample + u @ s - v) / 4
        s = (v > 0.4).astype(float)
        v = v * (1 - s)
        wanted.append(s)
    assert np.sum(wanted) > 10
    np.testing.assert_array_equal(execute(fold(lower(graph, DT)), x).output[0], wanted)
