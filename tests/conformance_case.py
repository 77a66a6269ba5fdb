"""What a conformance network is, and short ways to write one."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

DT = 1e-3
BATCH, STEPS = 3, 40

OWN = ("v_leak", "v_threshold", "v_reset", "threshold")
"""Constants that every neuron of a layer may have of its own at no cost."""

Rng = np.random.Generator
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A network, and what the suite must know of it.

    section, row: where it stands in docs/support.md; late: the edges that close a loop, which is a
    statement of the suite and not of the code; data: "spikes", "counts" or "real"; apart: most
    spikes of a layer that integers and floats may set differently, as a part of its neuron steps;
    near: largest error of an integer potential or graded output, as a part of the largest value,
    before any spike differs.
    """

    section: str
    row: str
    make: Callable[[Rng], nir.NIRGraph]
    late: frozenset[tuple[str, str]] = frozenset()
    method: str = "euler"
    reset: str = "value"
    data: str = "spikes"
    apart: float = 0.05
    near: float = 0.02

    def __str__(self) -> str:
        return self.row

    @property
    def options(self) -> dict[str, str]:
        """How it is lowered."""
        return {"method": self.method, "reset": self.reset}

    def graph(self) -> nir.NIRGraph:
        """The network, the same at every call."""
        return self.make(np.random.default_rng(zlib.crc32(self.row.encode())))

    def input(self) -> dict[str, np.ndarray]:
        """Data for every input, (batch, time, *shape)."""
        rng = np.random.default_rng(zlib.crc32(self.row.encode()) + 1)
        data = {}
        for name, node in self.graph().nodes.items():
            if isinstance(node, nir.Input):
                shape = (BATCH, STEPS, *(int(k) for k in node.input_type["input"]))
                spikes = (rng.random(shape) < 0.3).astype(np.int64)
                if self.data == "counts":
                    data[name] = spikes * rng.integers(1, 6, shape)
                else:
                    data[name] = spikes if self.data == "spikes" else rng.normal(0, 1.0, shape)
        return data


def build(
    paths: str,
    nodes: Mapping[str, Any],
    inputs: Shape | dict[str, Shape] = (),
    outputs: Shape | dict[str, Shape] = (),
) -> nir.NIRGraph:
    """paths: chains of node names, separated by ``;`` ("input fc lif output; lif rec lif");
    inputs, outputs: their shapes, where there is one it is called "input", "output"."""
    ends: dict[str, Any] = {}
    for name, shape in (inputs if isinstance(inputs, dict) else {"input": inputs}).items():
        ends[name] = nir.Input({"input": np.array(shape)})
    for name, shape in (outputs if isinstance(outputs, dict) else {"output": outputs}).items():
        ends[name] = nir.Output({"output": np.array(shape)})
    edges = [pair for path in paths.split(";") for pair in itertools.pairwise(path.split())]
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


def linear(rng: Rng, n_in: int, n_out: int, scale: float = 1.0) -> nir.Linear:
    """Weights of which a few spikes reach a threshold of 1."""
    return nir.Linear(rng.normal(0.4, 1.0, (n_out, n_in)) * scale * 3.0 / np.sqrt(n_in))


def affine(rng: Rng, n_in: int, n_out: int, scale: float = 1.0) -> nir.Affine:
    return nir.Affine(linear(rng, n_in, n_out, scale).weight, rng.normal(0, 0.3, n_out))


def conv2d(rng: Rng, out: int, shape: Shape, kernel: Any = 3, **options: Any) -> nir.Conv2d:
    """shape: of the input, (channels, rows, columns)."""
    groups = options.get("groups", 1)
    size = tuple(int(k) for k in np.broadcast_to(kernel, 2))
    weight = rng.normal(0.3, 1.0, (out, shape[0] // groups, *size))
    values = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    values.setdefault("bias", rng.normal(0, 0.2, out))
    return nir.Conv2d(input_shape=shape[1:], weight=weight, **values)


def conv1d(rng: Rng, out: int, shape: Shape, kernel: int = 3, **options: Any) -> nir.Conv1d:
    """shape: of the input, (channels, length)."""
    groups = options.get("groups", 1)
    weight = rng.normal(0.3, 1.0, (out, shape[0] // groups, kernel))
    values = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    values.setdefault("bias", rng.normal(0, 0.2, out))
    return nir.Conv1d(input_shape=shape[1], weight=weight, **values)


def pool(kind: type, kernel: Any, stride: Any = None, padding: Any = 0) -> Any:
    size = np.broadcast_to(kernel, 2)
    return kind(
        size, np.broadcast_to(size if stride is None else stride, 2), np.broadcast_to(padding, 2)
    )


def neuron(rng: Rng, kind: type, shape: Any, spread: float = 0.1, **fixed: Any) -> Any:
    """A neuron with a constant of its own for each of its values, around usual ones.

    What multiplies the input (r, w_in, time constants) is common to a channel where the shape has
    rows: a convolution shares its weights. fixed: values for all neurons, or arrays.
    """
    usual = {
        "tau": 5e-3,
        "tau_syn": 4e-3,
        "tau_mem": 8e-3,
        "r": 2.0,
        "v_leak": 0.0,
        "v_threshold": 0.8,
        "v_reset": 0.0,
        "w_in": 1.5,
        "threshold": 0.7,
    }
    if kind in (nir.I, nir.IF):
        # dv/dt = r a: a step of 1 ms adds r/1000.
        usual["r"] = 300.0
    metadata = fixed.pop("metadata", {})
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    values = {}
    for name in kind.__dataclass_fields__:
        if name in usual:
            each = sizes if name in OWN or len(sizes) == 1 else (sizes[0], *(1 for _ in sizes[1:]))
            value = fixed.get(name, usual[name] * rng.uniform(1 - spread, 1 + spread, each))
            values[name] = np.broadcast_to(np.asarray(value, np.float64), sizes).copy()
    return kind(**values, metadata=metadata)
