"""Passes: each takes a network and returns a new one, with a note of what it changed.

``lower`` (NIR to discrete time), ``fold``, ``quantize`` (floats to integers), ``balance``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snn2hw.errors import DataError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.passes.balance import balance
from snn2hw.passes.config import QuantizeConfig
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower
from snn2hw.passes.quantize import Quantized, quantize, quantize_by

__all__ = [
    "QuantizeConfig",
    "Quantized",
    "balance",
    "fold",
    "lower",
    "quantize",
    "quantize_by",
    "quantize_graph",
    "quantize_graph_by",
]


def quantize_graph(
    graph: Any,
    target: str | None = None,
    dt: float = 1e-3,
    calibration: Data | None = None,
    method: str = "euler",
    reset: str = "value",
    config: QuantizeConfig | None = None,
) -> FixedPointNetwork:
    """All passes in order: a NIR graph to the integers of a target. Public as ``snn2hw.quantize``.

    graph: nir.NIRGraph; dt: time step in seconds; calibration: (samples, time, *input shape),
    typical data that set the scales, or one such array for each input, by name; method: "euler" or
    "exact" steps; reset: "value" or "subtract", for neurons whose metadata say neither; config:
    what the quantiser is to obey, its target included (without: "loihi2", weights of 8 bits).
    """
    return quantize_graph_by(graph, target, dt, calibration, method, reset, config).net


def quantize_graph_by(
    graph: Any,
    target: str | None = None,
    dt: float = 1e-3,
    calibration: Data | None = None,
    method: str = "euler",
    reset: str = "value",
    config: QuantizeConfig | None = None,
) -> Quantized:
    """As ``quantize_graph``: the integers, and the configuration with every choice."""
    if calibration is None:
        raise DataError("quantize needs calibration data to set the scales; pass calibration=x")
    made = quantize_by(fold(lower(graph, dt, method, reset)), calibration, target, config)
    net = balance(made.net)
    metadata = graph.nodes[net.outputs[0].name].metadata or {}
    decode = metadata.get("decode", "mean")
    net = replace(net, decode=decode.decode() if isinstance(decode, bytes) else str(decode))
    return replace(made, net=net)
