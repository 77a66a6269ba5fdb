"""Metrics of a run under NeuroBench's names and definitions (neurobench 2.3.0).

Footprint: bytes of parameters and buffers: weights (a byte each, those of a convolution once),
parameters, states and tables of the neurons. ConnectionSparsity: zero weights over all, those of a
convolution once. ActivationSparsity: zero outputs over all, of layers that spike, over steps and
samples. SynapticOperations, per sample: Dense, every weight at every step; Effective_ACs and
Effective_MACs, non-zero weights that met a spike, or a graded message. MembraneUpdates, per sample:
neuron steps at which v differs from the step before, and all of the first step.

Where these differ from the package: it rounds ConnectionSparsity to four places; it takes a graded
message for a spike in a step in which a whole batch holds only 0, 1 and -1; and pooling, which it
leaves out, is a convolution with weights here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork, Layer
from snn2hw.simulator.run import Run

WORD_BYTES = 4


@dataclass(frozen=True)
class Metrics:
    """NeuroBench's metrics.

    footprint_bytes: what ("weights", "parameters", "states", "tables") -> bytes; sparsities:
    fractions; operations and updates: per sample. membrane_updates is None where the run did not
    record v (``net.run(x, record=("v",))``).
    """

    footprint_bytes: Mapping[str, int]
    connection_sparsity: float
    activation_sparsity: float
    effective_macs: float
    effective_acs: float
    dense: float
    membrane_updates: float | None

    def to_dict(self) -> dict[str, Any]:
        """The metrics under NeuroBench's own names."""
        return {
            "Footprint": sum(self.footprint_bytes.values()),
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "SynapticOperations": {
                "Effective_MACs": self.effective_macs,
                "Effective_ACs": self.effective_acs,
                "Dense": self.dense,
            },
            "MembraneUpdates": self.membrane_updates,
        }


def metrics(net: FixedPointNetwork, run: Run) -> Metrics:
    """The metrics of a run of that network. Raises DataError where it is of another one."""
    activity = run.activity
    _check(net, run)
    effective = {
        graded: sum(float(s.synops_nonzero.mean()) for s in activity.synapses if s.graded is graded)
        for graded in (False, True)
    }
    weights = sum(synapse.map.weight.size for synapse in net.synapses)
    nonzero = sum(int(np.count_nonzero(synapse.map.weight)) for synapse in net.synapses)
    spiking = [layer for layer in net.layers if any(o.is_spike for o in layer.model.outputs)]
    activations = sum(int(activity.layer(layer.name).updates.sum()) for layer in spiking)
    return Metrics(
        footprint_bytes=_footprint(net),
        connection_sparsity=1.0 - nonzero / weights if weights else 0.0,
        activation_sparsity=1.0 - activity.spikes / activations if activations else 0.0,
        effective_macs=effective[True],
        effective_acs=effective[False],
        dense=float(activity.steps * sum(int(s.map.fan_out().sum()) for s in net.synapses)),
        membrane_updates=_membrane_updates(net, run),
    )


def _footprint(net: FixedPointNetwork) -> dict[str, int]:
    tables = {layer.model.name: layer.model.tables for layer in net.layers}
    return {
        "weights": sum(synapse.map.weight.size for synapse in net.synapses),
        "parameters": sum(WORD_BYTES * layer.n * len(layer.model.params) for layer in net.layers),
        "states": sum(WORD_BYTES * layer.n * len(layer.model.states) for layer in net.layers),
        "tables": sum(WORD_BYTES * t.size for given in tables.values() for t in given.values()),
    }


def _membrane_updates(net: FixedPointNetwork, run: Run) -> float | None:
    layers = [layer for layer in net.layers if _has_membrane(layer)]
    if any("v" not in run.state.get(layer.name, {}) for layer in layers):
        return None
    updates = 0
    for layer in layers:
        v = run.state[layer.name]["v"]
        updates += v[:, 0].size + int(np.count_nonzero(v[:, 1:] != v[:, :-1]))
    return updates / run.activity.samples


def _has_membrane(layer: Layer) -> bool:
    return any(state.name == "v" for state in layer.model.states)


def _check(net: FixedPointNetwork, run: Run) -> None:
    ran = {layer.name: (layer.model, layer.neurons) for layer in run.activity.layers}
    has = {layer.name: (layer.model.name, layer.n) for layer in net.layers}
    joined = {s.name: (s.source, s.target) for s in run.activity.synapses}
    joins = {s.name: (s.source, s.target) for s in net.synapses}
    if ran != has or joined != joins:
        raise DataError("the run is of another network; pass the network that ran")
