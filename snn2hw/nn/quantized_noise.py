"""What trains a network and is no part of it: dropout, and the noise of a GPN's reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from snn2hw.arithmetic import STATE_BITS, saturate, shift_rounded
from snn2hw.errors import GraphError, ParameterError
from snn2hw.graph import DiscreteGraph, FixedPointNetwork
from snn2hw.neurons import NIR_TYPES
from snn2hw.neurons.base import MESSAGE_BITS
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.gpn import GPN
from snn2hw.nn.leaky import LI, LeakyReadout
from snn2hw.nn.neuron import Neuron
from snn2hw.nn.recurrent import Recurrent
from snn2hw.passes.inline import inline

NEURONS = (Neuron, Recurrent, GPN, LI, LeakyReadout)
"""Modules that become neurons of a graph."""


@dataclass(frozen=True)
class Noise:
    """dropout: layer -> probability that a neuron of it is not heard by other layers, for a whole
    sample, as ``SequenceDropout``; reset: layer of GPN -> standard deviation of what v is reset to.
    """

    dropout: Mapping[str, float] = field(default_factory=dict)
    reset: Mapping[str, float] = field(default_factory=dict)

    def check(self, graph: DiscreteGraph) -> None:
        """ParameterError for a layer that the network does not have, or a number out of range."""
        models = {p.name: p.model.name for p in graph.populations}
        for name, p in self.dropout.items():
            if name not in models or not 0 <= p < 1:
                raise ParameterError(
                    f"dropout of layer {name!r} is {p!r}; give 0 or more and less than 1, for one "
                    f"of {', '.join(models)}"
                )
        for name, deviation in self.reset.items():
            if models.get(name) != "gpn" or not deviation >= 0:
                raise ParameterError(
                    f"reset noise of layer {name!r} is {deviation!r}; give 0 or more, for a GPN"
                )


class Drawn:
    """The noise of one batch. Everything is drawn from torch's global random state."""

    def __init__(
        self, noise: Noise, net: FixedPointNetwork, batch: int, like: torch.Tensor
    ) -> None:
        """like: a tensor on the device that computes."""
        self.kept, self.resets = {}, {}
        for name, p in noise.dropout.items():
            drawn = torch.rand((batch, net.layer(name).n), device=like.device)
            if p > 0:
                self.kept[name] = ((drawn >= p).to(torch.int64), 1.0 / (1.0 - p))
        for name, deviation in noise.reset.items():
            layer = net.layer(name)
            drawn = torch.randn((batch, layer.n), device=like.device, dtype=torch.float64)
            values = drawn * (deviation / torch.as_tensor(layer.units["v"], device=like.device))
            self.resets[name] = values.round().to(torch.int64)

    def after_reset(
        self, name: str, found: dict[str, torch.Tensor], shift: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """States and outputs of a GPN that resets to the noise instead of 0; shift: of messages."""
        reset = self.resets.get(name)
        if reset is None:
            return found
        v = saturate(found["v"] + found["s"] * reset, STATE_BITS)
        return {**found, "v": v, "m": saturate(shift_rounded(v, shift), MESSAGE_BITS)}


def noise_of(model: nn.Module, graph: Any) -> Noise:
    """The dropout and the reset noise of a sequential model, by the layers of its NIR graph.

    model: ``nn.Sequential`` of layers of ``snn2hw.nn``; graph: what ``snn2hw.to_nir`` made of it.
    Raises GraphError for a model that is not sequential, or another one's graph.
    """
    if not isinstance(model, nn.Sequential):
        raise GraphError(
            f"noise_of reads nn.Sequential and the model is a {type(model).__name__}; give Noise "
            "with the names of its layers"
        )
    names = _neurons(*inline(graph))
    neurons = [module for module in model if isinstance(module, NEURONS)]
    if len(names) != len(neurons):
        raise GraphError(
            f"the graph has {len(names)} layers of neurons and the model {len(neurons)}; give the "
            "graph that to_nir made of this model"
        )
    waiting, last = iter(names), ""
    dropout: dict[str, float] = {}
    reset: dict[str, float] = {}
    for module in model:
        if isinstance(module, NEURONS):
            last = next(waiting)
            if isinstance(module, GPN):
                reset[last] = module.v_reset_std
        elif isinstance(module, SequenceDropout) and last:
            dropout[last] = 1 - (1 - dropout.get(last, 0.0)) * (1 - module.p)
    return Noise(dropout, reset)


def _neurons(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    """Nodes that are neurons, in the order in which data reach them."""
    reached = [name for name, node in nodes.items() if type(node).__name__ == "Input"]
    for name in reached:
        reached += [b for a, b in edges if a == name and b not in reached]
    return [name for name in reached if type(nodes[name]).__name__ in NIR_TYPES]
