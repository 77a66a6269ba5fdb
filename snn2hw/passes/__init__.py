"""Passes: each takes a network and returns a new one, with a note of what it changed.

``lower`` (NIR to discrete time), ``fold``, ``quantize`` (floats to integers), ``balance``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snn2hw.errors import DataError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.passes.balance import balance
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower
from snn2hw.passes.quantize import quantize

__all__ = ["balance", "fold", "lower", "quantize", "quantize_graph"]


def quantize_graph(
    graph: Any,
    target: str = "loihi2",
    dt: float = 1e-3,
    calibration: Data | None = None,
    method: str = "euler",
    reset: str = "value",
) -> FixedPointNetwork:
    """All passes in order: a NIR graph to the integers of a target. Public as ``snn2hw.quantize``.

    graph: nir.NIRGraph; dt: time step in seconds; calibration: (samples, time, *input shape),
    typical data that set the scales, or one such array for each input, by name; method: "euler" or
    "exact" steps; reset: "value" or "subtract", for neurons whose metadata say neither.
    """
    if calibration is None:
        raise DataError("quantize needs calibration data to set the scales; pass calibration=x")
    net = balance(quantize(fold(lower(graph, dt, method, reset)), calibration, target))
    metadata = graph.nodes[net.outputs[0].name].metadata or {}
    decode = metadata.get("decode", "mean")
    return replace(net, decode=decode.decode() if isinstance(decode, bytes) else str(decode))
