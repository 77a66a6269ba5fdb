"""NeuroBench's metrics of small networks of snnTorch, and all that is needed to build them again.

Weights and thresholds are integers and the neurons do not leak, so snn2hw computes the very same
spikes. NAME.npz holds the arrays, NAME.json what NeuroBench says. Runs where neurobench is.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
from neurobench.models import SNNTorchModel, TorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SAMPLES, STEPS = 6, 25


def weights(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Integers of 8 bits, a third of them zero."""
    drawn = rng.integers(-60, 100, shape) * (rng.random(shape) < 2 / 3)
    return torch.from_numpy(drawn.astype(np.float32))


def neuron(threshold: int) -> snn.Leaky:
    """An integrator that fires above the threshold and is reset to zero at once."""
    return snn.Leaky(
        beta=1.0,
        threshold=float(threshold),
        init_hidden=True,
        reset_mechanism="zero",
        reset_delay=False,
    )


def with_weights(module: nn.Module, rng: np.random.Generator) -> nn.Module:
    module.weight = nn.Parameter(weights(rng, *module.weight.shape), requires_grad=False)
    return module


class Steps(nn.Module):
    """The chain as SNNTorchModel calls it: one step in, spikes and None out."""

    def __init__(self, *chain: nn.Module) -> None:
        super().__init__()
        self.chain = nn.Sequential(*chain)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.chain(x), None

    def reset(self) -> None:
        for part in self.chain:
            if isinstance(part, snn.Leaky):
                part.reset_mem()


def dense(rng: np.random.Generator) -> tuple[Steps, tuple[int, ...]]:
    return Steps(
        with_weights(nn.Linear(12, 20, bias=False), rng),
        neuron(150),
        with_weights(nn.Linear(20, 8, bias=False), rng),
        neuron(200),
    ), (12,)


def convolution(rng: np.random.Generator) -> tuple[Steps, tuple[int, ...]]:
    return Steps(
        with_weights(nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), rng),
        neuron(180),
        nn.Flatten(),
        with_weights(nn.Linear(36, 5, bias=False), rng),
        neuron(220),
    ), (2, 6, 6)


def data(rng: np.random.Generator, shape: tuple[int, ...], *, graded: bool) -> torch.Tensor:
    """Spikes, or numbers from 0 to 7 with a 5 in every step, lest a step pass for spikes."""
    x = (rng.random((SAMPLES, STEPS, *shape)) < 0.3).astype(np.float32)
    if graded:
        x *= rng.integers(1, 8, x.shape)
        x.reshape(SAMPLES, STEPS, -1)[..., 0] = 5
    return torch.from_numpy(x)


def measure(net: Steps, x: torch.Tensor) -> tuple[dict[str, object], np.ndarray]:
    """What NeuroBench says of the network on the data, and the network's spikes."""
    loader = DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=len(x))
    model = SNNTorchModel(net)
    workload = [ActivationSparsity, SynapticOperations, MembraneUpdates]
    found = Benchmark(model, loader, [], [], [[ConnectionSparsity], workload]).run(quiet=True)
    with torch.no_grad():
        return found, SNNTorchModel(net)(x).numpy()


class Stored(nn.Module):
    """The network as integers: what Footprint sums."""

    def __init__(self, net: Steps, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        for k, parameter in enumerate(p for p in net.parameters() if p.ndim > 1):
            self.register_buffer(f"weight{k}", parameter.to(torch.int8))
        for k, shape in enumerate(shapes):
            for name in ("decay_u", "decay_v", "threshold", "bias_mantissa", "bias_exponent"):
                self.register_buffer(f"{name}{k}", torch.zeros(shape, dtype=torch.int32))
            for name in ("u", "v"):
                self.register_buffer(f"{name}{k}", torch.zeros(shape, dtype=torch.int32))


def cell(kind: str, inputs: int, hidden: int) -> dict[str, float]:
    """Synaptic operations of one step of torch's GRUCell or LSTMCell, nothing zero."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = (nn.GRUCell if kind == "gru" else nn.LSTMCell)(inputs, hidden)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = torch.full((len(x), hidden), 0.5)
            out = self.cell(x, h if kind == "gru" else (h, h.clone()))
            return out if kind == "gru" else out[0]

    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(torch.rand(4, inputs) + 0.1, torch.zeros(4)), batch_size=4)
    return Benchmark(TorchModel(Net()), loader, [], [], [[], [SynapticOperations]]).run(quiet=True)


def main() -> None:
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    for name, build, graded in (
        ("dense", dense, False),
        ("convolution", convolution, False),
        ("graded", dense, True),
    ):
        rng = np.random.default_rng(4)
        net, shape = build(rng)
        x = data(rng, shape, graded=graded)
        found, spikes = measure(net, x)
        parts = list(net.chain)
        neurons = [part for part in parts if isinstance(part, snn.Leaky)]
        shapes = [tuple(part.mem.shape[1:]) for part in neurons]
        found["Footprint"] = Footprint()(TorchModel(Stored(net, shapes)))
        (folder / f"{name}.json").write_text(json.dumps(found))
        np.savez(
            folder / f"{name}.npz",
            input=x.numpy(),
            output=spikes,
            thresholds=[float(part.threshold) for part in neurons],
            **{f"weight{k}": p.numpy() for k, p in enumerate(net.parameters()) if p.ndim > 1},
        )
    for kind in ("gru", "lstm"):
        (folder / f"{kind}.json").write_text(json.dumps(cell(kind, 7, 5)))
    (folder / "versions.txt").write_text(
        " ".join(f"{p}=={version(p)}" for p in ("neurobench", "snntorch", "torch")) + "\n"
    )


if __name__ == "__main__":
    main()
