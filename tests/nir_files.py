"""Small NIR files for the tests of reading, and what reading them must say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.errors import FileFormatError, RepairWarning, Snn2hwError


def lif(n: int) -> nir.LIF:
    one = np.ones(n)
    return nir.LIF(tau=one * 0.01, r=one, v_leak=one * 0, v_threshold=one, v_reset=one * 0)


def graph() -> nir.NIRGraph:
    """input (3) -> fc -> inner (a subgraph: lif and w_rec in a loop) -> output (2)."""
    inner = nir.NIRGraph(
        {
            "input": nir.Input(np.array([2])),
            "lif": lif(2),
            "w_rec": nir.Linear(np.eye(2)),
            "output": nir.Output(np.array([2])),
        },
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        type_check=False,
    )
    return nir.NIRGraph(
        {
            "input": nir.Input(np.array([3])),
            "fc": nir.Affine(np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0])),
            "inner": inner,
            "output": nir.Output(np.array([2])),
        },
        [("input", "fc"), ("fc", "inner"), ("inner", "output")],
        type_check=False,
    )


def replace(path: Path, member: str, value: Any, **options: Any) -> None:
    """Put another value in a member's place, or none."""
    with h5py.File(path, "r+") as file:
        if member in file:
            del file[member]
        if value is not None:
            file.create_dataset(member, data=value, **options)


def refused(path: Path, match: str, error: type[Snn2hwError] = FileFormatError) -> None:
    with pytest.raises(error, match=match) as caught:
        snn2hw.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def repaired(path: Path, match: str) -> nir.NIRGraph:
    with pytest.warns(RepairWarning, match=match) as caught:
        result = snn2hw.read(path)
    assert len(caught) == 1
    assert str(path) in str(caught[0].message)
    assert caught[0].filename == __file__  # the caller of read
    return result


def same(a: nir.NIRGraph, b: nir.NIRGraph) -> None:
    assert set(a.nodes) == set(b.nodes)
    assert set(a.edges) == set(b.edges)
    for name, node in a.nodes.items():
        if isinstance(node, nir.NIRGraph):
            same(node, b.nodes[name])
            continue
        assert type(node) is type(b.nodes[name])
        theirs = b.nodes[name].to_dict()
        for key, value in node.to_dict().items():
            np.testing.assert_array_equal(value, theirs[key])


def one_of_each() -> dict[str, nir.NIRNode]:
    one, two = np.ones(4), np.array([2, 2])
    return {
        "affine": nir.Affine(np.ones((4, 4)), one),
        "linear": nir.Linear(np.ones((4, 4), np.float32)),
        "scale": nir.Scale(one),
        "conv1d": nir.Conv1d(8, np.ones((2, 1, 3)), 1, "same", 1, 1, np.ones(2)),
        "conv2d": nir.Conv2d((8, 8), np.ones((2, 1, 3, 3)), 2, (1, 0), 1, 1, np.ones(2)),
        "sum": nir.SumPool2d(two, two, two * 0),
        "average": nir.AvgPool2d(two, two, two * 0),
        "flatten": nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1),
        "delay": nir.Delay(one * 0.002),
        "i": nir.I(one),
        "li": nir.LI(one, one, one),
        "if": nir.IF(one, one, one * 0),
        "lif": lif(4),
        "cubali": nir.CubaLI(one, one, one, one, one),
        "cubalif": nir.CubaLIF(one, one, one, one, one, one * 0, one),
        "threshold": nir.Threshold(one),
    }
