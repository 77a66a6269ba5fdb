"""Small NIR graphs that tests of several modules take."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np


def given(*shape: int) -> nir.Input:
    """An Input of this shape."""
    return nir.Input({"input": np.array(shape)})


def taken(*shape: int) -> nir.Output:
    """An Output of this shape."""
    return nir.Output({"output": np.array(shape)})


def lif(*shape: int, tau: float = 5e-3, threshold: float = 0.1, v_reset: float = 0.0) -> nir.LIF:
    """LIF neurons alike, r = 1, v_leak = 0."""
    values = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": threshold, "v_reset": v_reset}
    return nir.LIF(**{key: np.full(shape, value) for key, value in values.items()})


def li(*shape: int, tau: float = 5e-3) -> nir.LI:
    """LI neurons alike, r = 1, v_leak = 0."""
    return nir.LI(np.full(shape, tau), np.ones(shape), np.zeros(shape))


def graph(nodes: Mapping[str, nir.ir.NIRNode], *paths: str) -> nir.NIRGraph:
    """A graph of these nodes. paths: "a b c" is the edges a -> b and b -> c."""
    edges = [edge for path in paths for edge in zip(path.split(), path.split()[1:], strict=False)]
    return nir.NIRGraph(dict(nodes), edges, type_check=False)
