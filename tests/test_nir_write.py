"""Writing .nir files: what a graph leaves open is written as readers of NIR expect it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.errors import GraphError


def around(node: nir.ir.NIRNode, given: tuple[int, ...], made: tuple[int, ...]) -> nir.NIRGraph:
    """input -> node -> output."""
    nodes = {
        "input": nir.Input({"input": np.array(given)}),
        "x": node,
        "output": nir.Output({"output": np.array(made)}),
    }
    return nir.NIRGraph(nodes, [("input", "x"), ("x", "output")], type_check=False)


WITHOUT_BIAS = {
    "Conv2d": (lambda b: nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, b), (1, 4, 4)),
    "Conv1d": (lambda b: nir.Conv1d(4, np.ones((2, 1, 3)), 1, 0, 1, 1, b), (1, 4)),
    "Affine": (lambda b: nir.Affine(np.ones((2, 3)), b), (3,)),
}


@pytest.mark.parametrize("kind", WITHOUT_BIAS)
def test_no_bias_is_a_bias_of_zeros(tmp_path: Path, kind: str) -> None:
    make, given = WITHOUT_BIAS[kind]
    made = {"Conv2d": (2, 2, 2), "Conv1d": (2, 2), "Affine": (2,)}[kind]
    graph = around(make(None), given, made)
    snn2hw.write(tmp_path / "a.nir", graph)
    assert graph.nodes["x"].bias is None  # the caller's graph stays as it was
    for read in (snn2hw.read, nir.read):
        node = read(tmp_path / "a.nir").nodes["x"]
        assert type(node).__name__ == kind
        np.testing.assert_array_equal(node.bias, np.zeros(2))
        np.testing.assert_array_equal(node.weight, graph.nodes["x"].weight)


def test_no_v_reset_is_zero_and_no_input_shape_stays_open(tmp_path: Path) -> None:
    lif = nir.LIF(np.ones(2), np.ones(2), np.zeros(2), np.full(2, 0.5))
    lif.v_reset = None
    snn2hw.write(tmp_path / "a.nir", around(lif, (2,), (2,)))
    np.testing.assert_array_equal(snn2hw.read(tmp_path / "a.nir").nodes["x"].v_reset, [0.0, 0.0])
    open_shape = nir.Conv2d(None, np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2))
    snn2hw.write(tmp_path / "b.nir", around(open_shape, (1, 4, 4), (2, 2, 2)))
    assert snn2hw.read(tmp_path / "b.nir").nodes["x"].input_shape is None


def broken(key: str, value: Any) -> nir.NIRGraph:
    node = nir.LI(np.ones(2), np.ones(2), np.zeros(2))
    setattr(node, key, value)
    return around(node, (2,), (2,))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (broken("r", None), "node 'x' of type LI has no r; give it numbers"),
        (broken("tau", np.array(["a", "b"])), "tau of node 'x' of type LI holds <U1, not numbers"),
        (broken("tau", np.array([{}, {}])), "tau of node 'x' of type LI holds object, not numbers"),
        (broken("metadata", {"a": None}), "metadata 'a' of node 'x' of type LI is None"),
    ],
)
def test_what_is_not_numbers_is_refused_by_name(
    tmp_path: Path, graph: nir.NIRGraph, message: str
) -> None:
    inner = nir.NIRGraph({"inner": graph}, [], type_check=False)
    for held, name in ((graph, "'x'"), (inner, "'inner/x'")):
        with pytest.raises(GraphError) as caught:
            snn2hw.write(tmp_path / "a.nir", held)
        assert message.replace("'x'", name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())


def test_names_with_a_slash_are_refused_at_every_depth(tmp_path: Path) -> None:
    graph = around(nir.Linear(np.eye(2)), (2,), (2,))
    graph.nodes["a/b"] = graph.nodes.pop("x")
    for held in (graph, nir.NIRGraph({"inner": graph}, [], type_check=False)):
        with pytest.raises(GraphError, match=r"node 'a/b': a name in a .* cannot hold '/'"):
            snn2hw.write(tmp_path / "a.nir", held)
