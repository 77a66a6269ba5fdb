"""Passes: each takes a network and returns a new one, with a note of what it changed.

``lower`` (NIR to discrete time), ``fold``, ``quantize`` (floats to integers), ``balance``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from snn2hw.errors import DataError, GraphError
from snn2hw.graph import FixedPointNetwork
from snn2hw.passes.balance import balance
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower
from snn2hw.passes.quantize import quantize

__all__ = ["balance", "fold", "lower", "quantize", "quantize_graph"]


def quantize_graph(
    graph: Any,
    target: str = "loihi2",
    dt: float = 1e-3,
    calibration: npt.ArrayLike | None = None,
    method: str = "euler",
) -> FixedPointNetwork:
    """All passes in order: a NIR graph to the integers of a target. Public as ``snn2hw.quantize``.

    graph: nir.NIRGraph; dt: time step in seconds; calibration: (samples, time, *input shape),
    typical data that set the scales; method: "euler" or "exact" steps.
    """
    if calibration is None:
        raise DataError("quantize needs calibration data to set the scales; pass calibration=x")
    lowered = lower(graph, dt, method)
    if len(lowered.inputs) != 1:
        raise GraphError(f"the graph has {len(lowered.inputs)} inputs; this release takes one")
    net = balance(quantize(fold(lowered), calibration, target))
    metadata = graph.nodes[net.outputs[0].name].metadata
    decode = metadata.get("decode", "mean")
    return replace(net, decode=decode.decode() if isinstance(decode, bytes) else str(decode))
