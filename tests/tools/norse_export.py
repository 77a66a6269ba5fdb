"""Networks of norse, exported by norse.torch.to_nir; runs in an environment with norse."""

from __future__ import annotations

import norse.torch as norse
import torch
from export_common import Built, main, scaled, spikes
from norse.torch.utils.export_nir import to_nir
from torch import nn


def build(net: nn.Module, x: torch.Tensor, *, scale: float = 3.0, **options: float) -> Built:
    """Export the network with one sample of one step, then run it step by step."""
    scaled(net, scale)
    graph = to_nir(net, x[0, 0], **options)
    state, outputs = None, []
    for t in range(x.shape[1]):
        y, state = net(x[:, t], state)
        outputs.append(y)
    return graph, x, torch.stack(outputs, dim=1)


def box(n: int) -> norse.LIFBoxCell:
    """Parameters of one value a neuron, in float64."""
    ones = torch.ones(n, dtype=torch.float64)
    return norse.LIFBoxCell(
        norse.LIFBoxParameters(
            tau_mem_inv=ones * 150, v_leak=ones * 0, v_th=ones * 0.3, v_reset=ones * 0
        )
    )


def lif_box(**options: float) -> Built:
    net = norse.SequentialState(nn.Linear(8, 16), box(16), nn.Linear(16, 5), box(5))
    return build(net, spikes(8), **options)


def lif(**options: float) -> Built:
    def cells(n: int) -> norse.LIFCell:
        ones = torch.ones(n, dtype=torch.float64)
        return norse.LIFCell(
            norse.LIFParameters(
                tau_syn_inv=ones * 200,
                tau_mem_inv=ones * 100,
                v_leak=ones * 0,
                v_th=ones * 0.3,
                v_reset=ones * 0,
            )
        )

    net = norse.SequentialState(nn.Linear(8, 16), cells(16), nn.Linear(16, 5), cells(5))
    return build(net, spikes(8), scale=2.0, **options)


def integrators() -> Built:
    ones = torch.ones(16, dtype=torch.float64)
    net = norse.SequentialState(
        nn.Linear(8, 16), norse.IAFCell(norse.IAFParameters(v_th=ones, v_reset=ones * 0))
    )
    return build(net, spikes(8))


def leaky_readout() -> Built:
    ones = torch.ones(5, dtype=torch.float64)
    parameters = norse.LIBoxParameters(tau_mem_inv=ones * 100, v_leak=ones * 0.1)
    net = norse.SequentialState(
        nn.Linear(8, 16), box(16), nn.Linear(16, 5), norse.LIBoxCell(parameters)
    )
    return build(net, spikes(8), dt=1.0)


def defaults() -> Built:
    net = norse.SequentialState(nn.Linear(8, 5), norse.LIFBoxCell())
    return build(net, spikes(8), scale=20.0, dt=1.0)


def recurrent() -> Built:
    net = norse.SequentialState(norse.LIFRecurrentCell(8, 16), nn.Linear(16, 5), box(5))
    return build(net, spikes(8), dt=1.0)


if __name__ == "__main__":
    main(
        "norse",
        {
            "lif_box_default_dt": lif_box,
            "lif_box": lambda: lif_box(dt=1.0),
            "lif": lambda: lif(dt=1.0),
            "iaf": integrators,
            "li": leaky_readout,
            "defaults": defaults,
            "recurrent": recurrent,
        },
    )
