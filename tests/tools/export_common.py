"""What the export scripts share. They run in the environments of their tools: NumPy, torch, nir."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import nir
import numpy as np
import torch

BATCH, STEPS = 4, 60

Built = tuple[nir.NIRGraph, torch.Tensor, torch.Tensor]
"""The tool's graph, the input and the output of the tool's own forward; (batch, time, ...)."""


def spikes(*shape: int, seed: int = 0, rate: float = 0.3) -> torch.Tensor:
    """Random input spikes (batch, time, *shape), float64 so that rounding decides no spike."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.random((BATCH, STEPS, *shape)) < rate).astype(np.float64))


def scaled(module: torch.nn.Module, scale: float) -> torch.nn.Module:
    """The module in float64 with weights large enough for spikes.

    Some tools make their spikes float32 whatever comes in; they are cast on their way out.
    """
    module = module.double()
    for name, part in module.named_modules():
        part.register_forward_hook(_cast)
        if "rec" in name.rpartition(".")[2]:  # weights inside a recurrent neuron see its own spikes
            part.register_forward_pre_hook(_cast_first)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("weight"):
                parameter *= scale
    return module


def _cast(_: torch.nn.Module, __: object, output: object) -> object:
    return output.double() if isinstance(output, torch.Tensor) else output


def _cast_first(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].double(), *inputs[1:])


def main(tool: str, networks: dict[str, Callable[[], Built]]) -> None:
    """Write NAME.nir and NAME.npz of every network into the folder that the command line names.

    An exporter that raises leaves NAME.npz with the text of its error instead.
    """
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    for name, build in networks.items():
        torch.manual_seed(1)
        try:
            with torch.no_grad():
                graph, x, y = build()
                nir.write(folder / f"{name}.nir", graph)
        except Exception as error:  # noqa: BLE001 - what a tool raises is what the test looks at
            np.savez(folder / f"{name}.npz", error=f"{type(error).__name__}: {error}")
            continue
        np.savez(folder / f"{name}.npz", input=x.numpy(), output=y.detach().numpy())
    packages = (tool, "nir", "nirtorch", "torch")
    (folder / "versions.txt").write_text(" ".join(f"{p}=={version(p)}" for p in packages) + "\n")
