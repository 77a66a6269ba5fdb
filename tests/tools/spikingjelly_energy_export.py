"""Bills of small networks by SpikingJelly's Lemaire model, and what is needed to build them again.

Weights, biases and thresholds are integers, and what leaks halves in at most 7 steps, so that
snn2hw's integers (6 fraction bits) lose nothing and compute the very same spikes. Runs where
SpikingJelly is.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.op_counter.analytical_energy import (
    LemaireEnergyConfig,
    estimate_lemaire_energy,
)
from torch import nn

STEPS = 7
BELOW = 1 / 128
"""SpikingJelly fires at the threshold, snn2hw above it; potentials are multiples of 1 / 64."""


def fire(threshold: int, *, leak: bool) -> neuron.BaseNode:
    v_threshold = threshold + BELOW
    if leak:
        return neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=v_threshold, v_reset=0.0)
    return neuron.IFNode(v_threshold=v_threshold, v_reset=0.0)


def dense(*, leak: bool, bias: bool) -> tuple[nn.Sequential, tuple[int, ...], list[int]]:
    return (
        nn.Sequential(
            layer.Linear(40, 60, bias=bias),
            fire(150, leak=leak),
            layer.Linear(60, 10, bias=bias),
            fire(200, leak=leak),
        ),
        (40,),
        [150, 200],
    )


def convolution() -> tuple[nn.Sequential, tuple[int, ...], list[int]]:
    return (
        nn.Sequential(
            layer.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
            fire(180, leak=False),
            layer.Flatten(),
            layer.Linear(64, 10, bias=False),
            fire(220, leak=False),
        ),
        (2, 8, 8),
        [180, 220],
    )


def main() -> None:
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    for name, (net, shape, thresholds) in {
        "integrators": dense(leak=False, bias=False),
        "leaky": dense(leak=True, bias=False),
        "biased": dense(leak=True, bias=True),
        "convolution": convolution(),
    }.items():
        rng = np.random.default_rng(7)
        for parameter in net.parameters():
            low = -60 if parameter.ndim > 1 else 1
            drawn = rng.integers(low, 100 if parameter.ndim > 1 else 9, tuple(parameter.shape))
            parameter.data = torch.from_numpy(drawn.astype(np.float32))
        functional.set_step_mode(net, "m")
        x = torch.from_numpy((rng.random((STEPS, 1, *shape)) < 0.3).astype(np.float32))
        # Flatten is no layer of the model, which strict mode refuses
        report = estimate_lemaire_energy(net, x, config=LemaireEnergyConfig(strict=False))
        functional.reset_net(net)
        with torch.no_grad():
            output = net(x)
        parts = [part for part in net if hasattr(part, "weight")]
        arrays = {f"weight{k}": part.weight.detach().numpy() for k, part in enumerate(parts)}
        for k, part in enumerate(parts):
            if part.bias is not None:
                arrays[f"bias{k}"] = part.bias.detach().numpy()
        np.savez(
            folder / f"{name}.npz",
            input=x.numpy().swapaxes(0, 1),
            output=output.numpy().swapaxes(0, 1),
            thresholds=thresholds,
            leak=name in ("leaky", "biased"),
            **arrays,
        )
        report = {"total_pj": report.total_pj, **report.breakdown_pj, **report.counts}
        (folder / f"{name}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
