"""Neuron models by name. A new one is a file here and a line in this one."""

from __future__ import annotations

from snn2hw.neurons.alif import ALIF
from snn2hw.neurons.base import NeuronModel
from snn2hw.neurons.gpn import GPN
from snn2hw.neurons.integrator import INTEGRATOR
from snn2hw.neurons.lif import LIF
from snn2hw.neurons.lif_reset import LIF_RESET
from snn2hw.neurons.readout import READOUT
from snn2hw.neurons.relay import RELAY
from snn2hw.neurons.sparse_gated import SPARSE_GATED
from snn2hw.neurons.sparse_leaky import SPARSE_LEAKY
from snn2hw.neurons.threshold import THRESHOLD

MODELS: dict[str, NeuronModel] = {
    model.name: model
    for model in (
        LIF,
        LIF_RESET,
        ALIF,
        INTEGRATOR,
        THRESHOLD,
        GPN,
        SPARSE_LEAKY,
        SPARSE_GATED,
        READOUT,
        RELAY,
    )
}

NIR_TYPES: dict[str, NeuronModel] = {
    kind: model for model in MODELS.values() for kind in model.nir_types
}
"""NIR node type -> the model it becomes."""

__all__ = ["MODELS", "NIR_TYPES", "NeuronModel"]
