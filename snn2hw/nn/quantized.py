"""Training on the integers of a chip: the forward pass is the fixed-point network itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from snn2hw.errors import DataError
from snn2hw.graph import Data, DiscreteGraph, FixedPointNetwork, Projection
from snn2hw.linear import Dense, with_weight
from snn2hw.neurons.base import FloatArray, PortMap
from snn2hw.nn.quantized_nir import written_back
from snn2hw.nn.quantized_noise import Noise
from snn2hw.nn.quantized_run import IntegerRun, Integers, Stepper, Trained
from snn2hw.nn.quantized_twins import check_model
from snn2hw.passes.balance import balance
from snn2hw.passes.config import QuantizeConfig
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower
from snn2hw.passes.quantize import HEADROOM_STEPS, Quantizer, check_graph


class QuantizedNetwork(nn.Module):
    """A network trained as the integers that a chip computes.

    The trainable parameters are the weights and biases of the folded graph, float64, one array for
    each group of synapses; where a layer has a matrix inside (GPN's gates see its current), that
    matrix is a parameter of its own. ``forward`` quantises them and runs the fixed-point
    network, with the very ``NeuronModel.step`` of the simulator on torch integers; gradients are
    straight-through, those of the real-valued neurons at the states that the integers are in.
    Ranges, headroom and clips come from calibration, at the start and at every ``refresh``;
    between these only the integers follow the parameters. ``export`` gives the network that
    ``forward`` runs.

    Time constants and thresholds stay. A zero in a matrix that is not zero throughout is taken for
    structure and stays zero. ``weights`` are in the order of ``graph().projections``, ``biases``
    in that of ``bias_names``, (layer, parameter), ``inner`` in that of ``inner_names``.

    Args:
        graph: nir.NIRGraph, such as ``snn2hw.to_nir`` gives.
        calibration: (samples, time, *input shape), typical data, or one such array for each input,
            by name.
        dt: time step in seconds.
        config: what the quantiser is to obey. Left open, weights are rounded to the nearest,
            biases are not corrected (training does that) and clips are searched.
        method: "euler" or "exact" steps; reset: "value" or "subtract"; as for ``quantize``.
        noise: dropout and reset noise, which act in training mode alone (``noise_of``); with them
            the forward pass is the chip's but for what they change.

    Raises:
        GraphError: a layer of a neuron that cannot be trained on integers, by name.
        TargetError, DataError, ParameterError: as ``quantize``.
    """

    def __init__(
        self,
        graph: Any,
        calibration: Data,
        dt: float = 1e-3,
        config: QuantizeConfig | None = None,
        method: str = "euler",
        reset: str = "value",
        noise: Noise | None = None,
    ) -> None:
        """See the class for the arguments."""
        super().__init__()
        self._nir, self._lowered = graph, lower(graph, dt, method, reset)
        self._graph = fold(self._lowered)
        self.noise = noise or Noise()
        self.noise.check(self._graph)
        for population in self._graph.populations:
            check_model(population.name, population.model.name)
        metadata = graph.nodes[self._graph.outputs[0].name].metadata or {}
        decode = metadata.get("decode", "mean")
        self._decode = decode.decode() if isinstance(decode, bytes) else str(decode)
        self._calibration = calibration
        self._asked = _completed(config or QuantizeConfig(), self._graph)
        check_graph(self._graph, self._asked)
        self.inner_names = [p.name for p in self._lowered.populations if p.port_maps]
        self.inner = nn.ParameterList(
            nn.Parameter(torch.tensor(self._port_map(name).weight, dtype=torch.float64))
            for name in self.inner_names
        )
        self._bare = [self._own_rows(p) for p in self._graph.projections]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.tensor(p.map.weight[:rows], dtype=torch.float64))
            for p, rows in zip(self._graph.projections, self._bare, strict=True)
        )
        self._masks = [
            _mask(p, rows) for p, rows in zip(self._graph.projections, self._bare, strict=True)
        ]
        # What nothing leads to, such as the neuron that stands for a late bias, is not trained.
        self.bias_names = [
            (p.name, name)
            for p in self._graph.populations
            for name in p.model.bias_of.values()
            if self._graph.into(p.name)
        ]
        self.biases = nn.ParameterList(
            nn.Parameter(torch.tensor(self._graph.population(p).params[name], dtype=torch.float64))
            for p, name in self.bias_names
        )
        self._made: tuple[tuple[int, ...], Integers] | None = None
        self._quantizer = self._calibrated(self._asked)
        self.config = _kept(self._quantizer.resolved(), self._asked)

    def graph(self) -> DiscreteGraph:
        """The folded graph with the parameters of this moment, in floats."""
        weights = {name: w.detach().cpu().numpy().copy() for name, w in self._effective().items()}
        biases: dict[str, dict[str, Any]] = {}
        for (population, name), bias in zip(self.bias_names, self.biases, strict=True):
            biases.setdefault(population, {})[name] = bias.detach().cpu().numpy().copy()
        return replace(
            self._graph,
            populations=tuple(
                replace(p, params={**p.params, **biases.get(p.name, {})})
                for p in self._graph.populations
            ),
            projections=tuple(
                replace(p, maps=(with_weight(p.map, weights[p.name]),))
                for p in self._graph.projections
            ),
        )

    def to_nir(self) -> Any:
        """The graph that was given, as nir.NIRGraph, with the weights and biases of this moment in
        its nodes: lowered and folded again it is ``graph()``.

        Raises GraphError where what was trained as one matrix comes from several nodes, by name.
        """
        return written_back(self._nir, self._lowered, self._graph, self.graph(), self._inner())

    def refresh(self, search: bool = False) -> None:
        """Calibrate anew with the parameters of this moment: ranges and headroom, and with
        ``search`` the clips of the weights too. Once an epoch is often enough.

        Raises TargetError where the registers cannot hold what calibration shows.
        """
        self._quantizer = self._calibrated(self._asked if search else self.config)
        self.config = _kept(self._quantizer.resolved(), self._asked)
        self._made = None

    def export(self) -> FixedPointNetwork:
        """The network that ``forward`` runs, as it is."""
        return replace(balance(self._integers().net), decode=self._decode)

    def forward(self, x: torch.Tensor | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The scores of a batch: the first output, in real values, averaged over time or its last
        step, as the graph's readout says; differentiable.

        Args:
            x: (batch, time, *input shape), or one such tensor for each input, by name: spikes and
                counts, or real values, which are rounded to messages.

        Returns:
            (batch, *output shape), in x's dtype where that is floating.

        Raises:
            DataError: data that ``FixedPointNetwork.encode`` refuses.
        """
        scores = self.trace(x).scores
        found = scores[:, -1] if self._decode == "last" else scores.mean(1)
        like = x if isinstance(x, torch.Tensor) else next(iter(x.values()))
        return found.to(like.dtype) if like.is_floating_point() else found

    def trace(self, x: torch.Tensor | Mapping[str, torch.Tensor]) -> IntegerRun:
        """Every integer of a run; x and errors as for ``forward``."""
        made = self._integers()
        learned = self._trained() if _learning(self) else None
        noise = self.noise if self.training else None
        return Stepper(made, self._messages(x, made), learned, noise).result()

    def _messages(
        self, x: torch.Tensor | Mapping[str, torch.Tensor], made: Integers
    ) -> dict[str, torch.Tensor]:
        given = x if isinstance(x, Mapping) else {made.net.input.name: x}
        for values in given.values():
            if not isinstance(values, torch.Tensor):
                raise DataError(f"data are a {type(values).__name__}; give a torch tensor")
        arrays = {name: values.detach().cpu().numpy() for name, values in given.items()}
        return {
            name: torch.as_tensor(messages, device=made.device).to(torch.int64).flatten(2)
            for name, messages in made.net.encode(arrays).items()
        }

    def _trained(self) -> Trained:
        biases = dict(zip(self.bias_names, self.biases, strict=True))
        return Trained(self._effective(), biases, self._graph)

    def _effective(self) -> dict[str, torch.Tensor]:
        """Weights by projection, with the rows that matrices inside layers add: [W; M W]."""
        inner = dict(zip(self.inner_names, self.inner, strict=True))
        found = {}
        for p, w, mask, rows in zip(
            self._graph.projections, self.weights, self._masks, self._bare, strict=True
        ):
            weight = w if mask is None else w * mask.to(w.device)
            if rows < len(p.map.weight):
                n = self._graph.population(p.target).n
                k = p.target_ports.index(self._port_map(p.target).source)
                weight = torch.cat([weight, inner[p.target] @ weight[k * n : (k + 1) * n]])
            found[p.name] = weight
        return found

    def _port_map(self, population: str) -> PortMap:
        return self._lowered.population(population).port_maps[0]

    def _inner(self) -> dict[str, FloatArray]:
        named = zip(self.inner_names, self.inner, strict=True)
        return {name: matrix.detach().cpu().numpy().copy() for name, matrix in named}

    def _own_rows(self, p: Projection) -> int:
        """Rows of a projection that are no product with a matrix inside its target."""
        rows = len(p.map.weight)
        if p.target in self.inner_names:
            inside = self._port_map(p.target)
            if inside.source in p.target_ports:
                return rows - len(inside.weight)
        return rows

    def _calibrated(self, config: QuantizeConfig) -> Quantizer:
        quantizer = Quantizer(self.graph(), self._calibration, config)
        quantizer.search()  # of what the configuration leaves open
        for _ in range(HEADROOM_STEPS):
            if not quantizer.more_headroom(quantizer.build()):
                break
        return quantizer

    def _integers(self) -> Integers:
        """The integers of the parameters of this moment, made anew only if these changed."""
        parameters = [*self.weights, *self.inner, *self.biases]
        key = tuple(part for p in parameters for part in (id(p), p._version))
        if self._made is None or self._made[0] != key:
            self._quantizer.graph = self.graph()
            made = Integers(self._quantizer.build(), parameters[0].device)
            self._made = (key, made)
        return self._made[1]


def _learning(module: nn.Module) -> bool:
    return torch.is_grad_enabled() and any(p.requires_grad for p in module.parameters())


def _completed(config: QuantizeConfig, graph: DiscreteGraph) -> QuantizeConfig:
    """What is left open, as training wants it."""
    layers = {}
    for population in graph.populations:
        said = config.layer(population.name)
        layers[population.name] = replace(
            said, bias_correction=bool(said.bias_correction), trim=said.trim or 0
        )
    synapses = {}
    for projection in graph.projections:
        group = config.synapse(projection.name)
        synapses[projection.name] = replace(group, rounding=group.rounding or "nearest")
    return replace(
        config, layers={**config.layers, **layers}, synapses={**config.synapses, **synapses}
    )


def _kept(resolved: QuantizeConfig, asked: QuantizeConfig) -> QuantizeConfig:
    """What stays from one calibration to the next: exponents follow the weights, and headroom what
    calibration shows, where they were not asked for."""
    layers = {
        name: replace(layer, headroom=asked.layer(name).headroom)
        for name, layer in resolved.layers.items()
    }
    synapses = {
        name: replace(group, exponent=asked.synapse(name).exponent)
        for name, group in resolved.synapses.items()
    }
    return replace(resolved, layers=layers, synapses=synapses)


def _mask(projection: Projection, rows: int) -> torch.Tensor | None:
    weight = projection.map.weight[:rows]
    if not isinstance(projection.map, Dense) or np.all(weight != 0) or not np.any(weight):
        return None
    return torch.tensor(weight != 0, dtype=torch.float64)
