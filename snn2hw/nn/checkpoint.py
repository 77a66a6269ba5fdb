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
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.gpn import GPN
from snn2hw.nn.lif import LIF
from snn2hw.nn.readout import Readout

FORMAT = "snn2hw-checkpoint"
VERSION = 1

# layer type -> its arguments, read from a layer of that type
_ARGUMENTS: dict[type[nn.Module], Callable[[Any], dict[str, Any]]] = {
    nn.Linear: lambda m: {
        "in_features": m.in_features,
        "out_features": m.out_features,
        "bias": m.bias is not None,
    },
    LIF: lambda m: {
        "n_neurons": m.n_neurons,
        "tau": m.tau,
        "v_threshold": m.v_threshold,
        "v_reset": m.v_reset,
    },
    GPN: lambda m: {
        "n_neurons": m.n_neurons,
        "gates": m.gate_names,
        "v_reset_std": m.v_reset_std,
    },
    SequenceDropout: lambda m: {"p": m.p},
    Readout: lambda m: {
        "in_features": m.in_features,
        "out_features": m.out_features,
        "mode": m.mode,
    },
}
_TYPES = {kind.__name__: kind for kind in _ARGUMENTS}


def save_checkpoint(path: str | Path, model: nn.Sequential, *, half: bool = False) -> None:
    """Write a network of our layers to a file, whole or not at all.

    Args:
        path: file to write; its folder must exist.
        model: Sequential of Linear, LIF, GPN, SequenceDropout and Readout.
        half: store the weights as float16, at half the size and a relative error of up to 2^-11.

    Raises:
        ParameterError: a layer of another type.
        DataError: the file cannot be written.
    """
    layers = []
    for number, layer in enumerate(model):
        arguments = _ARGUMENTS.get(type(layer))
        if arguments is None:
            raise ParameterError(
                f"save_checkpoint: layer {number} is a {type(layer).__name__},"
                f" give layers of the types {', '.join(_TYPES)}"
            )
        layers.append({"type": type(layer).__name__, **arguments(layer)})
    weights = {
        name: (value.half() if half else value).detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    content = {"format": FORMAT, "version": VERSION, "layers": layers, "state_dict": weights}
    with atomic(path) as part:
        torch.save(content, part)


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


def _make_layer(description: Mapping[str, Any]) -> nn.Module:
    arguments = dict(description)
    return _TYPES[arguments.pop("type")](**arguments)
