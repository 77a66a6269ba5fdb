"""Networks of snnTorch, exported by snntorch.export_nir; runs in an environment with snnTorch."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from export_common import Built, main, scaled, spikes
from snntorch.export_nir import export_to_nir
from torch import nn


def build(net: nn.Module, x: torch.Tensor, *, scale: float = 3.0) -> Built:
    """Export the network with one step of the input, then run it step by step."""
    scaled(net, scale)
    graph = export_to_nir(net, x[:, 0], ignore_dims=[0])
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()  # the export ran a step
    y = torch.stack([net(x[:, t]) for t in range(x.shape[1])], dim=1)
    return graph, x, y


def leaky(n: tuple[int, ...], **options: Any) -> snn.Leaky:
    """One beta and threshold a neuron: with one for all, snnTorch writes neurons of shape ()."""
    beta, threshold = torch.linspace(0.8, 0.95, n[-1]).expand(n), torch.ones(n)
    return snn.Leaky(beta.clone(), threshold=threshold, init_hidden=True, **options)


def feed_forward(*, scale: float = 3.0, **options: Any) -> Built:
    net = nn.Sequential(
        nn.Linear(8, 16), leaky((16,), **options), nn.Linear(16, 5), leaky((5,), **options)
    )
    return build(net, spikes(8), scale=scale)


def synaptic(**options: Any) -> Built:
    def layer(n: int) -> snn.Synaptic:
        alpha, beta = torch.full((n,), 0.6), torch.full((n,), 0.9)
        return snn.Synaptic(
            alpha,
            beta,
            threshold=torch.ones(n),
            init_hidden=True,
            reset_mechanism="zero",
            **options,
        )

    net = nn.Sequential(nn.Linear(8, 16), layer(16), nn.Linear(16, 5, bias=False), layer(5))
    return build(net, spikes(8), scale=1.5)


def recurrent(kind: str, **options: Any) -> Built:
    n = 12
    options |= {"threshold": torch.ones(n), "init_hidden": True, "reset_mechanism": "zero"}
    if kind == "leaky":
        cells = snn.RLeaky(torch.full((n,), 0.9), linear_features=n, **options)
    elif kind == "one_to_one":
        weights = torch.linspace(-1, 1, n)
        cells = snn.RLeaky(torch.full((n,), 0.9), V=weights, all_to_all=False, **options)
    else:
        alpha, beta = torch.full((n,), 0.6), torch.full((n,), 0.9)
        cells = snn.RSynaptic(alpha, beta, linear_features=n, **options)
    return build(nn.Sequential(nn.Linear(8, n), cells), spikes(8), scale=1.5)


def convolution() -> Built:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2),
        leaky((4, 4, 4), reset_mechanism="zero"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
        leaky((5,), reset_mechanism="zero"),
    )
    return build(net, spikes(2, 8, 8))


def one_for_all() -> Built:
    net = nn.Sequential(nn.Linear(8, 5), snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero"))
    return build(net, spikes(8))


if __name__ == "__main__":
    main(
        "snntorch",
        {
            "zero": lambda: feed_forward(reset_mechanism="zero"),
            "subtract": lambda: feed_forward(reset_delay=False, scale=0.8),
            "subtract_twice": lambda: feed_forward(reset_delay=False),
            "default_reset": feed_forward,
            "synaptic": lambda: synaptic(reset_delay=False),
            "synaptic_delayed": synaptic,
            "rleaky": lambda: recurrent("leaky", reset_delay=False),
            "rleaky_delayed": lambda: recurrent("leaky"),
            "rleaky_one_to_one": lambda: recurrent("one_to_one", reset_delay=False),
            "rsynaptic": lambda: recurrent("synaptic"),
            "rsynaptic_undelayed": lambda: recurrent("synaptic", reset_delay=False),
            "convolution": convolution,
            "one_for_all": one_for_all,
        },
    )
