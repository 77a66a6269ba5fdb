"""The NIR paper's CNN and random spikes for it, for benchmarks."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import nir
import numpy as np
import numpy.typing as npt
from pilotnet import pilotnet

import snn2hw
from snn2hw.data.base import find_data
from snn2hw.errors import DataError, RepairWarning
from snn2hw.linear import Convolution


def nir_cnn() -> tuple[nir.NIRGraph, float]:
    """The graph (three convolutions, two dense layers, 8970 integrators) and its dt in seconds.

    With r = 1 the integrators count steps, so dt is 1. The file leaves v_reset out; it is read as
    0. Raises DataError where the file is not at hand.
    """
    path = find_data("nir_paper", "the models of the NIR paper") / "cnn_sinabs.nir"
    if not path.is_file():
        raise DataError(f"{path} is missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)
        return snn2hw.read(path), 1.0


def random_spikes(shape: tuple[int, ...], rate: float, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Independent spikes, uint8 of that shape, each 1 with probability ``rate``."""
    rng = np.random.default_rng(seed)
    return (rng.random(shape, dtype=np.float32) < rate).astype(np.uint8)


def pilotnet_graph() -> tuple[nir.NIRGraph, float, snn2hw.FixedPointNetwork, npt.NDArray[Any]]:
    """PilotNet-LIF as a float graph, its dt in seconds, Intel's integers, and the recorded input.

    The weights are Intel's integers, in units of 64 as thresholds are; the decay 1 - 1024 / 4096 is
    Intel's too. Floats do not round v, so some spikes differ. The integrator behind the last layer
    of neurons has no partner in all frameworks: the graph ends before it.
    """
    net, x = pilotnet()
    dt, chain = 1e-3, {}
    chain["input"] = nir.Input({"input": np.array(net.inputs[0].shape)})
    for synapse in net.synapses:
        layer = net.layer(synapse.target)
        if layer.model.name != "lif":
            continue
        bias = layer.params["bias_mantissa"].astype(np.float64)
        weight = synapse.map.weight.astype(np.float64) * 2.0**synapse.exponent
        if isinstance(synapse.map, Convolution):
            link = synapse.map
            chain[f"{layer.name}_w"] = nir.Conv2d(
                link.input_shape[1:],
                weight,
                link.stride,
                tuple(before for before, _ in link.padding),
                link.dilation,
                link.groups,
                bias.reshape(len(weight), -1)[:, 0],
            )
        else:
            if len(net.layer(synapse.source).shape) > 1:
                shape = np.array(net.layer(synapse.source).shape)
                chain[f"{layer.name}_flat"] = nir.Flatten({"input": shape}, 0, -1)
            chain[f"{layer.name}_w"] = nir.Affine(weight, bias)
        factor = layer.params["decay_v"].reshape(layer.shape) / 4096
        chain[layer.name] = nir.LIF(
            tau=dt / factor,
            r=1 / factor,
            v_leak=np.zeros(layer.shape),
            v_threshold=layer.params["threshold"].reshape(layer.shape).astype(np.float64),
        )
    chain["output"] = nir.Output({"output": np.array(layer_shape(net))})
    return nir.NIRGraph(chain, list(itertools.pairwise(chain))), dt, net, x


def layer_shape(net: snn2hw.FixedPointNetwork) -> tuple[int, ...]:
    """The shape of the last layer that fires."""
    return next(layer.shape for layer in reversed(net.layers) if layer.model.name == "lif")
