"""Networks of SpikingJelly, exported by its nir_exchange; runs in an environment with it."""

from __future__ import annotations

import torch
from export_common import Built, main, scaled, spikes
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir
from torch import nn

DT_S = 1e-4


def build(net: nn.Module, x: torch.Tensor, *, scale: float = 3.0) -> Built:
    """Export the network with one step of the input, then run it step by step."""
    scaled(net, scale)
    graph = export_to_nir(net, x[:, 0], dt=DT_S)
    functional.reset_net(net)
    y = torch.stack([net(x[:, t]) for t in range(x.shape[1])], dim=1)
    return graph, x, y


def lif(v_reset: float = 0.0) -> Built:
    net = nn.Sequential(
        layer.Linear(8, 16),
        neuron.LIFNode(tau=4.0, decay_input=True, v_threshold=0.5, v_reset=0.0),
        layer.Linear(16, 5),
        neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=1.0, v_reset=v_reset),
    )
    return build(net, spikes(8))


def parametric_and_if() -> Built:
    net = nn.Sequential(
        layer.Linear(8, 16, bias=False),
        neuron.ParametricLIFNode(init_tau=3.0, v_threshold=0.5),
        layer.Linear(16, 5),
        neuron.IFNode(v_threshold=1.0),
    )
    return build(net, spikes(8))


def cuba() -> Built:
    net = nn.Sequential(
        layer.Linear(8, 16),
        neuron.CUBALIFNode(c_decay=0.5, v_decay=0.8),
        layer.Linear(16, 5),
        neuron.CUBALIFNode(c_decay=0.3, v_decay=0.9),
    )
    return build(net, spikes(8), scale=2.0)


def convolution() -> Built:
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, stride=2, bias=False),
        neuron.IFNode(),
        layer.AvgPool2d(2, 2),
        layer.Flatten(),
        layer.Linear(16, 5),
        neuron.LIFNode(),
    )
    return build(net, spikes(2, 8, 8), scale=5.0)


class Residual(nn.Module):
    """A block whose input joins its output."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.n1 = layer.Linear(8, 12), neuron.LIFNode(tau=2.0, decay_input=False)
        self.fc2, self.n2 = layer.Linear(12, 12), neuron.LIFNode(tau=2.0, decay_input=False)
        self.fc3, self.n3 = layer.Linear(12, 5), neuron.LIFNode(tau=2.0, decay_input=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.n1(self.fc1(x))
        second = self.n2(self.fc2(first))
        return self.n3(self.fc3(first + second))


def soft_reset() -> Built:
    return build(nn.Sequential(layer.Linear(8, 5), neuron.LIFNode(v_reset=None)), spikes(8))


if __name__ == "__main__":
    main(
        "spikingjelly",
        {
            "lif": lif,
            "reset_value": lambda: lif(-0.2),
            "parametric_and_if": parametric_and_if,
            "cuba": cuba,
            "convolution": convolution,
            "residual": lambda: build(Residual(), spikes(8), scale=3.0),
            "soft_reset": soft_reset,
        },
    )
