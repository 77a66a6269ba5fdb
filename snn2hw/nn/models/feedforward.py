"""Stacks of Linear and a neuron, as often as there are layers, and the mean readout."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_size
from snn2hw.nn.cuba_lif import CubaLIF
from snn2hw.nn.dense import NormLinear
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.glif import GLIF
from snn2hw.nn.gpn import GPN
from snn2hw.nn.lif import LIF
from snn2hw.nn.plif import PLIF
from snn2hw.nn.readout import Readout
from snn2hw.nn.recurrent import Recurrent
from snn2hw.nn.spatial import Flatten

Widths = int | tuple[int, ...]
"""Neurons of every layer, or of each."""


def stack(
    make: Callable[[int], nn.Module],
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths,
    layers: int,
    dropout: float,
    norm: bool = False,
) -> nn.Sequential:
    """Stack Linear, `make(width)` and dropout, and a readout of the mean.

    As often as `width` has numbers, or `layers` times if it is one. Inputs of more than one axis
    are flattened first; dropout of 0 adds no layer; norm: `NormLinear` in place of Linear.
    """
    check_size(layers, "layers", "model")
    widths = (width,) * layers if isinstance(width, int) else tuple(width)
    if not widths:
        raise ParameterError("model: width is empty, give the neurons of each layer")
    modules: list[nn.Module] = [Flatten()] if len(inputs) > 1 else []
    before = prod(inputs)
    for size in widths:
        check_size(size, "width", "model")
        modules += [NormLinear(before, size) if norm else nn.Linear(before, size), make(size)]
        modules += [SequenceDropout(dropout)] if dropout else []
        before = size
    return nn.Sequential(*modules, Readout(before, classes))


def lif(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    tau: float = 5.0,
    r: float = 1.0,
    norm: bool = False,
) -> nn.Sequential:
    """Make a network of leaky integrate-and-fire neurons; tau in steps, r a factor on x."""

    def make(size: int) -> nn.Module:
        return LIF(size, tau, r=r)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout, norm=norm)


def rlif(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    tau: float = 5.0,
    r: float = 1.0,
    norm: bool = False,
) -> nn.Sequential:
    """Make a network of LIF neurons that hear their layer's spikes of the step before."""

    def make(size: int) -> nn.Module:
        return Recurrent(LIF(size, tau, r=r), bias=not norm)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout, norm=norm)


def rcuba(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    alpha: float = 0.2,
    beta: float = 0.2,
    norm: bool = False,
) -> nn.Sequential:
    """Make a network of the GPN authors' "RLIF", a recurrent LIF behind a synaptic current.

    Per step, i = alpha i + x + U s + c, v = beta v + (1 - beta) i, threshold 0.5, reset to 0; s the
    layer's spikes of the step before.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 <= value < 1:
            raise ParameterError(f"model: {name} is {value!r}, give from 0 to below 1")
    tau_syn, tau_mem = 1 / (1 - alpha), 1 / (1 - beta)

    def make(size: int) -> nn.Module:
        return Recurrent(CubaLIF(size, tau_syn, tau_mem, w_in=tau_syn), bias=not norm)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout, norm=norm)


def plif(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    tau: float = 5.0,
    norm: bool = False,
) -> nn.Sequential:
    """Make a network of LIF neurons whose time constant is trained, one a layer."""

    def make(size: int) -> nn.Module:
        return PLIF(size, tau)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout, norm=norm)


def glif(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    train_gates: bool = False,
    tau: float = 0.2,
    norm: bool = False,
) -> nn.Sequential:
    """Make a network of gated LIF neurons; tau: what a step keeps of v before training."""

    def make(size: int) -> nn.Module:
        return GLIF(size, train_gates=train_gates, tau=tau)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout, norm=norm)


def gpn(
    inputs: tuple[int, ...],
    classes: int,
    *,
    width: Widths = 128,
    layers: int = 2,
    dropout: float = 0.25,
    gates: str = "FIBT",
) -> nn.Sequential:
    """Make a network of gated parametric neurons, with the gates that an ablation keeps.

    The paper's ablations: "BT" (without F and I), "FBT" (without I), "FIB" (without T), "FIT"
    (without B) and "" (without all).
    """

    def make(size: int) -> nn.Module:
        return GPN(size, gates)

    return stack(make, inputs, classes, width=width, layers=layers, dropout=dropout)
