"""What one would use instead of a spiking network, priced by the same rules: docs/comparison.md."""

from __future__ import annotations

from snn2hw.energy.baselines.break_even import SpikeCost, spike_cost
from snn2hw.energy.baselines.charges import estimate_baseline
from snn2hw.energy.baselines.compare import Comparison, Rival, baselines_of, compare
from snn2hw.energy.baselines.networks import Baseline, Signal, build, twin
from snn2hw.energy.baselines.ponghiran import multiplications, published_ratio

__all__ = [
    "Baseline",
    "Comparison",
    "Rival",
    "Signal",
    "SpikeCost",
    "baselines_of",
    "build",
    "compare",
    "estimate_baseline",
    "multiplications",
    "published_ratio",
    "spike_cost",
    "twin",
]
