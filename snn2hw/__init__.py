"""snn2hw: from a trained spiking network to the integers a neuromorphic chip computes.

The names below are the public Python interface (docs/api.md). They are loaded on first use, so
that ``import snn2hw`` costs next to nothing and never imports torch, Numba or Lava.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> the module that defines it
_PUBLIC = {
    "Snn2hwError": "snn2hw.errors",
}

__all__ = ["__version__", *_PUBLIC]  # pyright: ignore


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'snn2hw' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
