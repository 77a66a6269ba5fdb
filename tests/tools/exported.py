"""Chains that other tools ran, as integers of snn2hw, spike for spike the same."""

from __future__ import annotations

import numpy as np

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap
from snn2hw.neurons import MODELS


def network(arrays: dict[str, np.ndarray]) -> FixedPointNetwork:
    """The network of an export.

    arrays: input (samples, steps, *shape); thresholds, one a layer; weight0, ...: matrices, or
    kernels of stride 2 and padding 1; bias0, ...: where there are any; leak: v halves in each step
    (where absent it does not).
    """
    shape = arrays["input"].shape[2:]
    bits = 1 if arrays["input"].max() == 1 else 3
    leak = bool(arrays.get("leak", False))
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    source = "in"
    for k, threshold in enumerate(arrays["thresholds"]):
        weight = arrays[f"weight{k}"].astype(np.int8)
        link: LinearMap = Dense(weight)
        after: tuple[int, ...] = (len(weight),)
        if weight.ndim == 4:
            link = Convolution(weight, shape, stride=(2, 2), padding=((1, 1), (1, 1)))
            after = link.output_shape
        values = {
            "decay_u": 4096,  # the current has no memory
            "decay_v": 2048 if leak else 0,
            "threshold": threshold,
            "bias_mantissa": arrays.get(f"bias{k}", 0),
            "bias_exponent": 6,
        }
        params = {name: np.full(link.n_out, v, dtype=np.int32) for name, v in values.items()}
        layers.append(Layer(f"n{k}", MODELS["lif"], after, params, {}, k + 1))
        synapses.append(Synapse(f"w{k}", source, "s" if k else "", f"n{k}", ("a",), link, 0, 0, 1))
        source, shape = f"n{k}", after
    return FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=(InputFormat("in", arrays["input"].shape[2:], bits, False, 1.0),),
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=(OutputNode("out", source, "s"),),
        latency=len(layers),
    )
