"""Bit-accurate simulator: event-driven synapses on int8 weights, compiled by Numba."""

from __future__ import annotations

from snn2hw.simulator.run import Activity, Run
from snn2hw.simulator.simulate import simulate

__all__ = ["Activity", "Run", "simulate"]
