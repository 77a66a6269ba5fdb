"""Networks of GRU and LSTM layers, the non-spiking baselines."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from torch import nn

from snn2hw.nn._checks import check_size
from snn2hw.nn.dense import GRU, LSTM
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.readout import Readout
from snn2hw.nn.spatial import Flatten


def _stack(
    make: Callable[[int, int], nn.Module],
    inputs: tuple[int, ...],
    classes: int,
    width: int,
    layers: int,
    dropout: float,
) -> nn.Sequential:
    check_size(layers, "layers", "model")
    modules: list[nn.Module] = [Flatten()] if len(inputs) > 1 else []
    before = prod(inputs)
    for _ in range(layers):
        modules += [make(before, width)]
        modules += [SequenceDropout(dropout)] if dropout else []
        before = width
    return nn.Sequential(*modules, Readout(width, classes))


def gru(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: int = 128,
    layers: int = 2,
    dropout: float = 0.25,
) -> nn.Sequential:
    """Make a network of gated recurrent units."""
    return _stack(GRU, inputs, classes, width, layers, dropout)


def lstm(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: int = 128,
    layers: int = 2,
    dropout: float = 0.25,
) -> nn.Sequential:
    """Make a network of long short-term memory units."""
    return _stack(LSTM, inputs, classes, width, layers, dropout)
