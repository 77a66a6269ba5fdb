"""Trained networks as files: plain values and tensors, nothing that runs on loading.

A checkpoint is a dictionary in torch's own file format, with "format" and "version", "layers" (a
list of one dictionary a layer: its type and arguments) and "state_dict". It is read with
``weights_only=True``, so a file cannot bring code along.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snn2hw.errors import FileFormatError, ParameterError, Snn2hwError
from snn2hw.files import atomic
from snn2hw.nn.alif import ALIF
from snn2hw.nn.cuba_lif import CubaLIF
from snn2hw.nn.delay import Delay
from snn2hw.nn.dense import GRU, LSTM, NormLinear
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.glif import GLIF
from snn2hw.nn.gpn import GPN
from snn2hw.nn.leaky import LI, LeakyReadout
from snn2hw.nn.lif import LIF
from snn2hw.nn.plif import PLIF
from snn2hw.nn.ponghiran_roy import SparseEncoder, SparseGated, SparseLeaky
from snn2hw.nn.readout import Readout
from snn2hw.nn.recurrent import Recurrent
from snn2hw.nn.s2net import (
    NormalizedReadout,
    SpikingConv1d,
    SpikingConv2d,
    SpikingConv3d,
    SpikingDense,
)
from snn2hw.nn.spatial import AvgPool2d, Conv1d, Conv2d, Flatten, SumPool2d

FORMAT = "snn2hw-checkpoint"
VERSION = 1


def _linear(m: Any) -> dict[str, Any]:
    return {
        "in_features": m.in_features,
        "out_features": m.out_features,
        "bias": m.bias is not None,
    }


def _convolution(m: Any) -> dict[str, Any]:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    more = {"groups": m.groups, "bias": m.bias is not None, "padding_mode": m.padding_mode}
    return {name: getattr(m, name) for name in names} | more


def _average(m: Any) -> dict[str, Any]:
    names = ("kernel_size", "stride", "padding")
    more = ("ceil_mode", "count_include_pad", "divisor_override")
    return {name: getattr(m, name) for name in (*names, *more)}


def _delay(m: Any) -> dict[str, Any]:
    return {"n_neurons": m.shape, "steps": m.steps}


# layer type -> its arguments, read from a layer of that type
_ARGUMENTS: dict[type[nn.Module], Callable[[Any], dict[str, Any]]] = {
    nn.Linear: _linear,
    LIF: LIF.arguments,
    CubaLIF: CubaLIF.arguments,
    ALIF: ALIF.arguments,
    PLIF: PLIF.arguments,
    GLIF: GLIF.arguments,
    GRU: GRU.arguments,
    LSTM: LSTM.arguments,
    NormLinear: NormLinear.arguments,
    LI: LI.arguments,
    LeakyReadout: LeakyReadout.arguments,
    Recurrent: lambda m: {"bias": m.linear.bias is not None},
    GPN: lambda m: {
        "n_neurons": m.n_neurons,
        "gates": m.gate_names,
        "v_reset_std": m.v_reset_std,
    },
    SpikingDense: SpikingDense.arguments,
    SpikingConv1d: SpikingConv1d.arguments,
    SpikingConv2d: SpikingConv2d.arguments,
    SpikingConv3d: SpikingConv3d.arguments,
    NormalizedReadout: NormalizedReadout.arguments,
    SparseEncoder: SparseEncoder.arguments,
    SparseLeaky: SparseLeaky.arguments,
    SparseGated: SparseGated.arguments,
    Conv1d: _convolution,
    Conv2d: _convolution,
    AvgPool2d: _average,
    SumPool2d: lambda m: {
        "kernel_size": m.kernel_size,
        "stride": m.stride,
        "padding": m.padding,
    },
    Flatten: lambda m: {},
    Delay: _delay,
    SequenceDropout: lambda m: {"p": m.p},
    Readout: lambda m: {
        "in_features": m.in_features,
        "out_features": m.out_features,
        "mode": m.mode,
    },
}
_TYPES = {kind.__name__: kind for kind in _ARGUMENTS}


def save_checkpoint(path: str | Path, model: nn.Sequential, *, half: bool = False) -> None:
    """Write a network of our layers to a file, whole or not at all; equal ones give equal bytes.

    Args:
        path: file to write; its folder must exist.
        model: Sequential of Linear and of layers of `snn2hw.nn`.
        half: store the weights as float16, at half the size and a relative error of up to 2^-11.

    Raises:
        ParameterError: a layer of another type.
        DataError: the file cannot be written.
    """
    layers = [_describe(layer, number) for number, layer in enumerate(model)]
    weights = {
        name: (value.half() if half and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        for name, value in model.state_dict().items()
    }
    content = {"format": FORMAT, "version": VERSION, "layers": layers, "state_dict": weights}
    # given a path, torch would name the file's contents after the temporary name
    with atomic(path) as part, part.open("wb") as file:
        torch.save(content, file)


def load_checkpoint(path: str | Path) -> nn.Sequential:
    """Read a network that `save_checkpoint` wrote.

    Args:
        path: the file.

    Returns:
        The network in evaluation mode, weights float32.

    Raises:
        FileFormatError: no such file, or not a checkpoint of this format and version, or a broken
            one.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: there is no such file, give the path of a checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FileFormatError(
            f"{path}: is no checkpoint that can be read without running code from it: train anew"
        ) from error
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise FileFormatError(f"{path}: is not an {FORMAT}, write one with save_checkpoint")
    if content.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: is of version {content.get('version')!r}, this release reads {VERSION}"
        )
    try:
        model = nn.Sequential(*[_make_layer(layer) for layer in content["layers"]])
        model.load_state_dict(content["state_dict"])
    except (KeyError, TypeError, AttributeError, RuntimeError, Snn2hwError) as error:
        raise FileFormatError(
            f"{path}: layers and weights do not fit ({str(error).splitlines()[0]}): train anew"
        ) from error
    return model.eval()


def _describe(layer: nn.Module, number: int) -> dict[str, Any]:
    if type(layer) not in _ARGUMENTS:
        raise ParameterError(
            f"save_checkpoint: layer {number} is a {type(layer).__name__},"
            f" give layers of the types {', '.join(_TYPES)}"
        )
    arguments = _ARGUMENTS[type(layer)](layer)
    if isinstance(layer, Recurrent):
        arguments["neuron"] = _describe(layer.neuron, number)
    return {"type": type(layer).__name__, **arguments}


def _make_layer(description: Mapping[str, Any]) -> nn.Module:
    # A description within is that of a layer within: the neuron of Recurrent.
    arguments = dict(description)
    kind = _TYPES[arguments.pop("type")]
    if kind is Recurrent:
        arguments["neuron"] = _make_layer(arguments["neuron"])
    return kind(**arguments)
