"""Feed-forward stacks: Linear and a neuron, as often as there are layers, and the mean readout."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from torch import nn

from snn2hw.nn._checks import check_size
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.gpn import GPN
from snn2hw.nn.lif import LIF
from snn2hw.nn.readout import Readout
from snn2hw.nn.spatial import Flatten


def stack(
    make: Callable[[int], nn.Module],
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: int,
    layers: int,
    dropout: float,
) -> nn.Sequential:
    """Stack `layers` times Linear, `make(width)` and dropout, and a readout of the mean.

    Inputs of more than one axis are flattened first; dropout of 0 adds no layer.
    """
    check_size(width, "width", "model")
    check_size(layers, "layers", "model")
    modules: list[nn.Module] = [Flatten()] if len(inputs) > 1 else []
    before = prod(inputs)
    for _ in range(layers):
        modules += [nn.Linear(before, width), make(width)]
        modules += [SequenceDropout(dropout)] if dropout else []
        before = width
    return nn.Sequential(*modules, Readout(width, classes))


def lif(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: int = 128,
    layers: int = 2,
    dropout: float = 0.25,
) -> nn.Sequential:
    """Make a network of leaky integrate-and-fire neurons with trained time constants."""
    return stack(LIF, inputs, classes, width=width, layers=layers, dropout=dropout)


def gpn(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: int = 128,
    layers: int = 2,
    dropout: float = 0.25,
) -> nn.Sequential:
    """Make a network of gated parametric neurons."""
    return stack(GPN, inputs, classes, width=width, layers=layers, dropout=dropout)
