"""Networks of sinabs, exported by sinabs.nir; runs in an environment with sinabs."""

from __future__ import annotations

from typing import Any

import sinabs.layers as sl
import torch
from export_common import BATCH, Built, main, scaled, spikes
from sinabs.activation import MembraneReset, SingleSpike
from sinabs.nir import to_nir
from torch import nn


def build(net: nn.Module, x: torch.Tensor, *, scale: float = 3.0, infer: bool = True) -> Built:
    """Export the network with batch and time in one dimension, as sinabs' squeezed layers want."""
    scaled(net, scale)
    squeezed = x.flatten(0, 1)
    graph = to_nir(net, squeezed)
    if infer:
        graph.infer_types()  # or nir.write fails on Conv2d's input_shape, which is None
    for module in net.modules():
        if isinstance(module, sl.StatefulLayer):
            module.reset_states()
    return graph, x, net(squeezed).unflatten(0, x.shape[:2])


def iaf(**options: Any) -> sl.IAFSqueeze:
    return sl.IAFSqueeze(batch_size=BATCH, **options)


def lif(n: int, **options: Any) -> sl.LIFSqueeze:
    ones = torch.ones(n, dtype=torch.float64)
    return sl.LIFSqueeze(tau_mem=ones * 8, spike_threshold=ones * 0.5, batch_size=BATCH, **options)


def convolution(*, scale: float = 1.0, infer: bool = True, **options: Any) -> Built:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2, bias=False),
        iaf(**options),
        sl.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
        iaf(**options),
    )
    return build(net, spikes(2, 8, 8), scale=scale, infer=infer)


def feed_forward(**options: Any) -> Built:
    net = nn.Sequential(nn.Linear(8, 16), lif(16, **options), nn.Linear(16, 5), lif(5, **options))
    return build(net, spikes(8), scale=6.0)


def leaky_readout() -> Built:
    ones = torch.ones(5, dtype=torch.float64)
    net = nn.Sequential(
        nn.Linear(8, 16),
        lif(16, spike_fn=SingleSpike),
        nn.Linear(16, 5),
        sl.ExpLeakSqueeze(tau_mem=ones * 8, batch_size=BATCH),
    )
    return build(net, spikes(8))


def recurrent() -> Built:
    net = nn.Sequential(nn.Linear(8, 5), sl.LIFRecurrent(tau_mem=8.0, rec_connect=nn.Linear(5, 5)))
    x = spikes(8)
    return to_nir(scaled(net, 1.0), x), x, x  # raises


if __name__ == "__main__":
    main(
        "sinabs",
        {
            "iaf": lambda: convolution(spike_fn=SingleSpike),
            "iaf_default": lambda: convolution(scale=4.0),
            "unwritable": lambda: convolution(infer=False),
            "lif": lambda: feed_forward(spike_fn=SingleSpike),
            "lif_reset": lambda: feed_forward(spike_fn=SingleSpike, reset_fn=MembraneReset()),
            "lif_unnormed": lambda: feed_forward(spike_fn=SingleSpike, norm_input=False),
            "leaky_readout": leaky_readout,
            "recurrent": recurrent,
        },
    )
