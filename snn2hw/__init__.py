"""snn2hw: from a trained spiking network to the integers a neuromorphic chip computes.

The names below are the public Python interface (docs/api.md). They are loaded on first use, so
that ``import snn2hw`` costs next to nothing and never imports torch, Numba or Lava.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.5.0"

# name -> the module that defines it
_PUBLIC = {
    "Activity": "snn2hw.simulator.run",
    "DiscreteGraph": "snn2hw.graph",
    "FixedPointNetwork": "snn2hw.graph",
    "Learner": "snn2hw.targets.spinnaker2.eprop",
    "QuantizeConfig": "snn2hw.passes.config",
    "Rule": "snn2hw.targets.spinnaker2.eprop",
    "Run": "snn2hw.simulator.run",
    "Snn2hwError": "snn2hw.errors",
    "check": "snn2hw.passes.check",
    "compare": "snn2hw.analysis.compare",
    "estimate": "snn2hw.energy",
    "execute": "snn2hw.executor",
    "fit_netx": "snn2hw.converters.netx",
    "from_netx": "snn2hw.converters.netx",
    "from_nir": "snn2hw.converters.pytorch",
    "load": "snn2hw.storage",
    "lower": "snn2hw.passes",
    "metrics": "snn2hw.energy.metrics",
    "place": "snn2hw.targets.place",
    "quantize": "snn2hw.passes",
    "read": "snn2hw.converters.nir_file",
    "search_widths": "snn2hw.analysis.search_widths",
    "to_netx": "snn2hw.converters.netx",
    "to_nir": "snn2hw.converters.pytorch",
    "verify": "snn2hw.targets.verify",
    "write": "snn2hw.converters.nir_file",
}

# public name -> name in its module, where a pass of the same name stands beside it
_RENAMED = {"quantize": "quantize_graph"}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'snn2hw' has no attribute {name!r}")
    return getattr(importlib.import_module(module), _RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
