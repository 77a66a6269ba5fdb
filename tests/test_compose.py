"""Maps composed, chains folded: the same function, whatever the order a graph keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import pytest
from conformance import CASES, expected
from conformance_case import DT, Case
from float_reference import simulate_float
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_strategies import convolutions, linear_maps, pools, weights

import snn2hw
from snn2hw.executor import execute
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne
from snn2hw.passes import fold, lower
from snn2hw.passes.compose import add, compose


@st.composite
def chained(draw: Any, after: str, before: str) -> tuple[LinearMap, LinearMap]:
    """Two maps in a row, of the kinds asked for: (the second, the first)."""
    seed = draw(st.integers(0, 2**32 - 1))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    first: LinearMap
    if before == "convolution":
        first = draw(pools(shape) if draw(st.booleans()) else convolutions(shape))
        n, between = first.n_out, first.output_shape
    else:
        n = int(np.prod(shape))
        between = shape
        first = (
            OneToOne(weights(seed, (n,), False))
            if before == "one-to-one"
            else Dense(weights(seed, (n, draw(st.integers(1, 9))), False))
        )
    if after == "convolution":
        return draw(pools(between) if draw(st.booleans()) else convolutions(between)), first
    if after == "scale of each channel":
        scale = weights(seed + 1, (between[0],), False)
        return OneToOne(np.repeat(scale, between[1] * between[2])), first
    if after == "one-to-one":
        return OneToOne(weights(seed + 1, (n,), False)), first
    return Dense(weights(seed + 1, (draw(st.integers(1, 9)), n), False)), first


CHAINS = {
    ("dense", "dense"): {"dense"},
    ("dense", "convolution"): {"dense"},
    ("dense", "one-to-one"): {"dense"},
    ("one-to-one", "dense"): {"dense"},
    ("one-to-one", "one-to-one"): {"one-to-one"},
    ("convolution", "dense"): {"dense"},
    ("scale of each channel", "convolution"): {"convolution"},
    # What folds keeps its shared weights, what cannot be one map says so.
    ("convolution", "convolution"): {"convolution", "none"},
    ("one-to-one", "convolution"): {"convolution", "none"},
    ("convolution", "one-to-one"): {"convolution", "none"},
}
"""What two kinds of maps (the second, the first) may become, and each of it does come up."""


@pytest.mark.parametrize(("after", "before"), list(CHAINS), ids="-after-".join)
def test_two_maps_make_one_that_is_exactly_them_or_none(after: str, before: str) -> None:
    found: Counter[str] = Counter()

    @given(chained(after, before), st.integers(0, 2**32 - 1))
    @settings(max_examples=150, deadline=None)
    def compose_against_applying_twice(pair: tuple[LinearMap, LinearMap], seed: int) -> None:
        second, first = pair
        joint = compose(second, first)
        found["none" if joint is None else joint.kind] += 1
        if joint is None:
            return
        # Whole numbers: no rounding, so equal is equal.
        x = np.random.default_rng(seed).integers(-5, 6, (3, first.n_in)).astype(np.float64)
        np.testing.assert_array_equal(joint.apply(x), second.apply(first.apply(x)))
        np.testing.assert_array_equal(joint.dense(), second.dense() @ first.dense())

    compose_against_applying_twice()
    assert set(found) == CHAINS[after, before], found


def test_a_scale_before_a_convolution_folds_if_a_channel_shares_it() -> None:
    rng = np.random.default_rng(0)
    link = Convolution(rng.normal(size=(4, 1, 2, 2)), (2, 4, 3), groups=2)
    scale = np.array([2.0, 3.0])
    joint = compose(link, OneToOne(np.repeat(scale, 12)))
    assert isinstance(joint, Convolution)
    np.testing.assert_array_equal(joint.weight[:2], 2 * link.weight[:2])
    np.testing.assert_array_equal(joint.weight[2:], 3 * link.weight[2:])
    assert compose(link, OneToOne(rng.normal(size=24))) is None


def test_padding_after_windows_that_overlap_is_not_one_convolution() -> None:
    """Beyond the border the second sees zeros, and a joint kernel would see sums of inputs."""
    pool = Convolution(np.ones((1, 1, 3, 3)), (1, 6, 6), groups=1)
    padded = Convolution(np.ones((1, 1, 3, 3)), pool.output_shape, padding=((1, 1), (1, 1)))
    assert compose(padded, pool) is None
    assert compose(replace(padded, padding=((0, 0), (0, 0))), pool) is not None


def test_a_matrix_is_not_made_where_it_would_be_too_large() -> None:
    wide = Convolution(np.ones((64, 64, 1, 1)), (64, 64, 64))
    # Weights that take no memory themselves.
    assert compose(Dense(np.broadcast_to(1.0, (512, wide.n_out))), wide) is None
    growing = Convolution(np.ones((64, 4, 1, 1)), (4, 16, 16))
    assert compose(growing, Dense(np.ones((growing.n_in, 100)))) is None


@given(linear_maps(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_sums_of_maps_are_exact(link: LinearMap, seed: int) -> None:
    other = replace(link, weight=weights(seed, link.weight.shape, False))
    total = add(link, other)
    assert total is not None
    np.testing.assert_array_equal(total.dense(), link.dense() + other.dense())


def test_maps_of_different_geometry_have_no_sum() -> None:
    link = Convolution(np.ones((2, 2, 3, 3)), (2, 5, 5), padding=((1, 1), (1, 1)))
    assert add(link, replace(link, padding=((2, 0), (1, 1)))) is None
    assert add(link, Dense(link.dense())) is None
    assert add(Dense(np.ones((2, 3))), Dense(np.ones((3, 2)))) is None


# Random graphs of linear nodes.


def linear_node(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Some node that takes that shape, and the shape of its output."""
    n = int(np.prod(shape))
    kinds = ["affine", "scale", "delay"] + (["conv", "pool", "channels"] if len(shape) == 3 else [])
    kind = rng.choice(kinds)
    if kind == "scale":
        return nir.Scale(rng.normal(size=shape)), shape
    if kind == "channels":
        scale = rng.normal(size=(shape[0], 1, 1))
        return nir.Scale(np.broadcast_to(scale, shape).copy()), shape
    if kind == "delay":
        return nir.Delay(rng.integers(0, 3, shape if rng.random() < 0.3 else 1) * DT), shape
    if kind == "affine":
        out = int(rng.integers(1, 6))
        return (
            nir.Affine(rng.normal(size=(out, n)), rng.normal(size=out)),
            (out,),
        )
    pads = rng.integers(0, 2, 2)
    size = np.minimum(rng.integers(1, 4, 2), np.array(shape[1:]) + 2 * pads)
    stride = rng.integers(1, 3, 2)
    rows, columns = (int(k) for k in (np.array(shape[1:]) + 2 * pads - size) // stride + 1)
    if kind == "pool":
        cls = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
        return cls(size, stride, pads), (shape[0], rows, columns)
    out = int(rng.integers(1, 4))
    weight = rng.normal(size=(out, shape[0], *size))
    whole = [tuple(int(k) for k in values) for values in (stride, pads)]
    node = nir.Conv2d(shape[1:], weight, *whole, 1, 1, rng.normal(size=out))
    return node, (out, rows, columns)


def random_linear_graph(rng: np.random.Generator) -> nir.NIRGraph:
    """Nodes that take the sum of one or two earlier ones of equal shape; every end is an output."""
    shapes: dict[str, tuple[int, ...]] = {"input": (2, 5, 4)}
    nodes: dict[str, Any] = {"input": nir.Input({"input": np.array(shapes["input"])})}
    edges = []
    for k in range(int(rng.integers(2, 9))):
        names = list(shapes)
        first = names[rng.integers(len(names))]
        if not nodes[first].metadata.get("spatial", True):
            first = "input"
        alike = [name for name in names if shapes[name] == shapes[first] and name != first]
        node, shape = linear_node(rng, shapes[first])
        name = f"n{k}"
        nodes[name], shapes[name] = node, shape
        edges.append((first, name))
        if alike and rng.random() < 0.6:
            edges.append((alike[rng.integers(len(alike))], name))
    for name in list(shapes):
        if name not in {source for source, _ in edges}:
            nodes[f"out_{name}"] = nir.Output({"output": np.array(shapes[name])})
            edges.append((name, f"out_{name}"))
    return nir.NIRGraph(nodes, edges, type_check=False)


def test_random_graphs_of_linear_nodes_fold_to_the_same_function() -> None:
    rng = np.random.default_rng(7)
    seen: Counter[str] = Counter()
    for number in range(120):
        graph = random_linear_graph(rng)
        x = {"input": rng.normal(size=(2, 6, 2, 5, 4))}
        want = simulate_float(graph, x, DT).outputs
        lowered = lower(graph, DT)
        folded = fold(lowered)
        for found in (execute(lowered, x), execute(folded, x)):
            assert set(found.outputs) == set(want)
            for name, values in want.items():
                got = found.outputs[name].reshape(values.shape)
                limit = 1e-9 * max(1.0, float(np.abs(values).max()))
                np.testing.assert_allclose(got, values, 0, limit, err_msg=f"{number}: {name}")
        assert all(len(p.maps) == 1 for p in folded.projections)
        seen["relays"] += any(p.model.name == "relay" for p in folded.populations)
        seen["convolutions"] += any(isinstance(p.map, Convolution) for p in folded.projections)
        seen["delays"] += any(p.delay for p in folded.projections)
        seen["sums"] += len(graph.edges) > len(graph.nodes) - 1
    assert min(seen.values()) >= 20, seen


@pytest.mark.parametrize("case", CASES[::3] + tuple(c for c in CASES if c.late), ids=str)
def test_the_order_of_nodes_and_edges_changes_nothing(case: Case) -> None:
    graph = case.graph()
    rng = np.random.default_rng(len(case.row))
    nodes = [list(graph.nodes.items())[k] for k in rng.permutation(len(graph.nodes))]
    edges = [graph.edges[k] for k in rng.permutation(len(graph.edges))]
    other = nir.NIRGraph(dict(nodes), edges, type_check=False)
    lowered = lower(other, DT, **case.options)
    assert lowered.source_hash == lower(graph, DT, **case.options).source_hash
    run = execute(fold(lowered), case.input())
    for name, values in expected(case).outputs.items():
        np.testing.assert_allclose(run.outputs[name], values, 0, 1e-9, err_msg=name)


def test_which_edge_closes_a_loop_follows_from_names_not_from_their_order() -> None:
    """Data enter this loop at both neurons, so either edge could be the late one."""
    rng = np.random.default_rng(3)
    v = {"tau": 5e-3, "r": 2.0, "v_leak": 0.0, "v_threshold": 0.8}
    nodes = {
        "input": nir.Input({"input": np.array([4])}),
        "a": nir.LIF(**{key: np.full(4, value) for key, value in v.items()}),
        "b": nir.LIF(**{key: np.full(4, value) for key, value in v.items()}),
        "ab": nir.Linear(rng.normal(0.5, 1.5, (4, 4))),
        "ba": nir.Linear(rng.normal(0.5, 1.5, (4, 4))),
        "output": nir.Output({"output": np.array([4])}),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "ab"), ("ab", "b"), ("b", "ba"), ("ba", "a")]
    edges.append(("b", "output"))
    x = (rng.random((3, 40, 4)) < 0.4).astype(np.int64)
    outputs = []
    for order in (range(len(edges)), [1, 0, *range(2, len(edges))]):
        graph = nir.NIRGraph(nodes, [edges[k] for k in order], type_check=False)
        outputs.append(execute(lower(graph, DT), x).output)
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert outputs[0].any()


def test_a_graph_read_from_its_file_is_quantised_to_the_same_integers(tmp_path: Any) -> None:
    """HDF5 keeps nodes by name and not in order."""
    case = next(c for c in CASES if c.row.startswith("Parallel paths through 0, 1 and 2"))
    snn2hw.write(tmp_path / "graph.nir", case.graph())
    x = case.input()
    nets = [
        snn2hw.quantize(graph, dt=DT, calibration=x)
        for graph in (case.graph(), snn2hw.read(tmp_path / "graph.nir"))
    ]
    assert {s.name: s.mantissa.tobytes() for s in nets[0].synapses} == {
        s.name: s.mantissa.tobytes() for s in nets[1].synapses
    }
    np.testing.assert_array_equal(nets[0].run(x).output, nets[1].run(x).output)
