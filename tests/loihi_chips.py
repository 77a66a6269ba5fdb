"""Loihi with other figures, so that small networks need many cores, and a plain network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snn2hw.graph import INPUT_PORT, FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import LinearMap
from snn2hw.neurons import MODELS
from snn2hw.passes import balance
from snn2hw.targets.loihi.spec import loihi
from snn2hw.targets.spec import TargetSpec


def chip(name: str = "loihi2", **figures: float) -> TargetSpec:
    """A chip with other figures."""
    spec = loihi(name)
    changed = {key: replace(spec[key], value=value) for key, value in figures.items()}
    return replace(spec, figures={**spec.figures, **changed})


def tiny(name: str = "loihi1", neurons: int = 5, **figures: float) -> TargetSpec:
    """A chip of small cores, two to a router, three routers a row."""
    mesh = {"cores_per_router": 2, "mesh_columns": 3, "mesh_rows": 50}
    return chip(name, **({"neurons_per_core": neurons, "neurons_reserved": 0} | mesh | figures))


def lif(name: str, shape: tuple[int, ...]) -> Layer:
    n = int(np.prod(shape))
    params = {p.name: np.ones(n, dtype=np.int32) for p in MODELS["lif"].params}
    return Layer(name, MODELS["lif"], shape, params, {})


def net(
    shape: tuple[int, ...],
    layers: Sequence[Layer],
    maps: Sequence[tuple[str, str, LinearMap]],
    *,
    bits: int = 1,
    delays: Sequence[int] | None = None,
) -> FixedPointNetwork:
    """A balanced network of LIF layers: (source, target, map) each; the last layer leaves it."""
    synapses = [
        Synapse(
            f"{k}:{source}->{target}",
            source,
            INPUT_PORT if source == "in" else "s",
            target,
            ("a",),
            link,
            0,
            delays[k] if delays else 0,
        )
        for k, (source, target, link) in enumerate(maps)
    ]
    source = InputFormat("in", shape, bits, False, 1.0)
    outputs = (OutputNode("output", layers[-1].name, "s"),)
    return balance(
        FixedPointNetwork(
            "loihi2", 1e-3, "euler", (source,), tuple(layers), tuple(synapses), outputs
        )
    )


def weights(*shape: int, top: int = 127) -> np.ndarray:
    """Weights that need all their bits: odd ones among them, none zero."""
    drawn = np.random.default_rng(sum(shape)).integers(1, top + 1, shape)
    drawn.flat[0] = top
    return drawn.astype(np.int8)
