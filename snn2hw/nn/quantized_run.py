"""One run of a fixed-point network on torch integers, with its real-valued twin beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from snn2hw.graph import INPUT_PORT, DiscreteGraph, FixedPointNetwork, Layer, Population, Synapse
from snn2hw.nn.quantized_links import apply, whole_sums
from snn2hw.nn.quantized_noise import Drawn, Noise
from snn2hw.nn.quantized_twins import TWINS, sum_units, through
from snn2hw.topology import evaluation_order

Port: TypeAlias = tuple[str, str]
"""Layer or input, and its output port."""

Steps: TypeAlias = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class IntegerRun:
    """What the integers did, int64: outputs[name], spikes[layer] and state[layer][name], each
    (batch, time, *shape), as ``FixedPointNetwork.run`` records them; scores: the first output in
    real values, float64 (batch, time, *shape), with gradients."""

    outputs: dict[str, torch.Tensor]
    spikes: dict[str, torch.Tensor]
    state: dict[str, dict[str, torch.Tensor]]
    scores: torch.Tensor


class Integers:
    """A network as tensors."""

    def __init__(self, net: FixedPointNetwork, device: torch.device) -> None:
        """Lay out; raises ValueError for a loop without delay, which ``balance`` refuses."""
        self.net, self.device = net, device
        inside = {layer.name for layer in net.layers}
        instant = [
            (s.source, s.target)
            for s in net.synapses
            if s.source in inside and s.delay + net.starts[s.target] == net.starts[s.source]
        ]
        order = evaluation_order([layer.name for layer in net.layers], instant)
        self.order = [net.layer(name) for name in order]
        self.into = {name: net.into(name) for name in order}
        self.constants = {
            layer.name: [
                *(
                    torch.tensor(layer.params[p.name], dtype=torch.int64, device=device)
                    for p in layer.model.params
                ),
                *(
                    torch.tensor(table, dtype=torch.int64, device=device)
                    for table in layer.model.tables.values()
                ),
            ]
            for layer in net.layers
        }
        self.mantissas = {
            s.name: torch.tensor(s.mantissa, dtype=torch.float64, device=device)
            for s in net.synapses
        }
        self.units = {
            (layer.name, name): torch.as_tensor(
                np.asarray(layer.units.get(name, 1.0)), dtype=torch.float64, device=device
            )
            for layer in net.layers
            for name in (
                *(s.name for s in layer.model.states),
                *(o.name for o in layer.model.outputs),
            )
        }
        self.units |= {
            (node.name, INPUT_PORT): torch.tensor(node.unit, dtype=torch.float64, device=device)
            for node in net.inputs
        }

    def real_weight(self, synapse: Synapse) -> torch.Tensor:
        """What the mantissas of a group mean: real value per real unit of message."""
        units = sum_units(self.net.layer(synapse.target))
        rows = synapse.mantissa.shape[0]
        unit = np.concatenate([units[port] for port in synapse.target_ports])
        unit = unit.reshape(rows, -1)[:, 0] * 2.0**synapse.exponent
        step = torch.as_tensor(unit, device=self.device)
        mantissa = self.mantissas[synapse.name]
        step = step.reshape(-1, *(1,) * (mantissa.ndim - 1))
        return mantissa * step / self.units[synapse.source, synapse.source_port]


class Trained:
    """Parameters as the twins take them: weights by projection, the rest by population."""

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        biases: dict[Port, torch.Tensor],
        graph: DiscreteGraph,
    ) -> None:
        """weights: by projection; biases: by population and name."""
        self.weights = weights
        device = next(iter(weights.values())).device
        self.params = {p.name: self._of(p, biases, device) for p in graph.populations}

    @staticmethod
    def _of(
        population: Population, biases: dict[Port, torch.Tensor], device: torch.device
    ) -> dict[str, torch.Tensor]:
        return {
            name: biases[population.name, name]
            if (population.name, name) in biases
            else torch.tensor(values, dtype=torch.float64, device=device)
            for name, values in population.params.items()
        }


class Stepper:
    """One run: integers always, their twins beside them where gradients are wanted."""

    def __init__(
        self,
        made: Integers,
        data: dict[str, torch.Tensor],
        trained: Trained | None,
        noise: Noise | None = None,
    ) -> None:
        """data: input -> messages, int64 (batch, time, n); trained: None where no gradients are;
        noise: None where the network alone is to run."""
        self.made, self.net, self.data, self.trained = made, made.net, data, trained
        first = next(iter(data.values()))
        self.batch, self.time = first.shape[:2]
        self.drawn = Drawn(noise or Noise(), self.net, self.batch, first)
        self.real_weights = {}
        if trained is not None:
            self.real_weights = {
                s.name: through(trained.weights[s.name], made.real_weight(s))
                for s in self.net.synapses
            }
        self.sent: dict[Port, list[torch.Tensor]] = {}
        self.real_sent: dict[Port, list[torch.Tensor]] = {}
        self.kept: dict[str, dict[str, list[torch.Tensor]]] = {}
        self.from_inputs = self._from_inputs()

    def _from_inputs(self) -> dict[str, tuple[Steps, Steps | None]]:
        """Sums of what the data bring, made of all steps at once; of each step (batch, n_out).

        Steps are unbound together: the gradient of a step taken out by itself is as large as all.
        """
        found: dict[str, tuple[Steps, Steps | None]] = {}
        for s in self.net.synapses:
            if s.source not in self.data:
                continue
            messages = self.data[s.source]
            whole = whole_sums(s.map, self.made.mantissas[s.name], s.exponent, messages)
            real = None
            if self.trained is not None:
                values = messages * self.made.units[s.source, INPUT_PORT]
                real = apply(s.map, self.real_weights[s.name], values).unbind(1)
            found[s.name] = (whole.unbind(1), real)
        return found

    def result(self) -> IntegerRun:
        """Step through time."""
        made = self.made
        states = {layer.name: self._start(layer) for layer in made.order}
        real_states: dict[str, dict[str, torch.Tensor]] = {
            name: {key: v * made.units[name, key] for key, v in values.items()}
            for name, values in states.items()
        }
        starts = self.net.starts
        for step in range(self.time + max(starts.values())):
            for layer in made.order:
                if 0 <= step - starts[layer.name] < self.time:
                    self._step(layer, step - starts[layer.name], states, real_states)
        first = self.net.outputs[0]
        if self.trained is None:
            whole = torch.stack(self.sent[first.source, first.source_port], 1)
            scores = whole * made.units[first.source, first.source_port]
        else:
            scores = torch.stack(self.real_sent[first.source, first.source_port], 1)
        shape = self.net.layer(first.source).shape
        return IntegerRun(
            outputs={
                o.name: self._shaped(o.source, self.sent[o.source, o.source_port])
                for o in self.net.outputs
            },
            spikes={
                layer.name: self._shaped(layer.name, self.sent[layer.name, output.name])
                for layer in self.net.layers
                for output in layer.model.outputs
                if output.is_spike
            },
            state={
                name: {key: self._shaped(name, values) for key, values in kept.items()}
                for name, kept in self.kept.items()
            },
            scores=scores.reshape(self.batch, self.time, *shape),
        )

    def _shaped(self, layer: str, steps: list[torch.Tensor]) -> torch.Tensor:
        shape = self.net.layer(layer).shape
        return torch.stack(steps, 1).reshape(self.batch, self.time, *shape)

    def _start(self, layer: Layer) -> dict[str, torch.Tensor]:
        zeros = torch.zeros((self.batch, layer.n), dtype=torch.int64, device=self.made.device)
        start = {
            s.name: zeros + torch.as_tensor(layer.start[s.name], device=zeros.device)
            if s.name in layer.start
            else zeros
            for s in layer.model.states
        }
        if layer.name in self.drawn.resets:
            start["v"] = start["v"] + self.drawn.resets[layer.name]
        return start

    def _step(
        self,
        layer: Layer,
        t: int,
        states: dict[str, dict[str, torch.Tensor]],
        real_states: dict[str, dict[str, torch.Tensor]],
    ) -> None:
        model, made = layer.model, self.made
        sums, real_sums = self._arriving(layer, t)
        with torch.no_grad():
            result = model.step(
                *(states[layer.name][s.name] for s in model.states),
                *(sums[port] for port in model.inputs),
                *made.constants[layer.name],
            )
        names = [*(s.name for s in model.states), *(o.name for o in model.outputs)]
        found = {
            name: values.to(torch.int64)
            for name, values in zip(names, result[: len(names)], strict=True)
        }
        if layer.name in self.drawn.resets:
            shift = torch.as_tensor(layer.params["message_shift"], device=made.device)
            found = self.drawn.after_reset(layer.name, found, shift)
        states[layer.name] = {s.name: found[s.name] for s in model.states}
        kept = self.kept.setdefault(layer.name, {})
        for state in model.states:
            kept.setdefault(state.name, []).append(found[state.name])
        for output in model.outputs:
            self.sent.setdefault((layer.name, output.name), []).append(found[output.name])
        if self.trained is None:
            return
        real = TWINS[model.name](
            real_states[layer.name],
            real_sums,
            self.trained.params[layer.name],
            {name: values * made.units[layer.name, name] for name, values in found.items()},
        )
        real_states[layer.name] = real
        for output in model.outputs:
            self.real_sent.setdefault((layer.name, output.name), []).append(real[output.name])

    def _arriving(
        self, layer: Layer, t: int
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Sums at the ports of a layer in one step, whole and real, each (batch, n)."""
        zeros = torch.zeros((self.batch, layer.n), dtype=torch.int64, device=self.made.device)
        sums = dict.fromkeys(layer.model.inputs, zeros)
        real_sums = dict.fromkeys(layer.model.inputs, zeros.to(torch.float64))
        for s in self.made.into[layer.name]:
            if not 0 <= t - s.delay < self.time:
                continue
            whole, real = self._delivered(s, t - s.delay)
            parts = torch.split(whole, layer.n, 1)
            real_parts = None if real is None else torch.split(real, layer.n, 1)
            for k, port in enumerate(s.target_ports):
                sums[port] = sums[port] + parts[k]
                if real_parts is not None:
                    real_sums[port] = real_sums[port] + real_parts[k]
        return sums, real_sums

    def _delivered(self, s: Synapse, t: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        if s.name in self.from_inputs:
            wholes, reals = self.from_inputs[s.name]
            return wholes[t], None if reals is None else reals[t]
        port = (s.source, s.source_port)
        sent = self.sent[port][t]
        kept, scale = self.drawn.kept.get(s.source, (None, 1.0))
        if s.source == s.target:
            kept = None  # what a layer tells itself is no part of what others hear
        if kept is not None:
            sent = sent * kept
        whole = whole_sums(s.map, self.made.mantissas[s.name], s.exponent, sent)
        if kept is not None:
            whole = (whole * scale).round().to(torch.int64)
        if self.trained is None:
            return whole, None
        real_sent = self.real_sent[port][t]
        if kept is not None:
            real_sent = real_sent * (kept * scale)
        return whole, apply(s.map, self.real_weights[s.name], real_sent)
