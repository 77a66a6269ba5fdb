"""Random FixedPointNetworks with every number at, near and past its limit now and then.

Loops, skip connections and delays included; already balanced: layer k handles logical step 0 at
chip step ``offset``, which grows along the chain, and chip delays follow from the offsets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from random_values import Rng, random_data, random_params, random_weights

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense, with_weight
from snn2hw.neurons import MODELS
from snn2hw.neurons.gpn import GATES

KINDS = ("lif", "gpn", "mixed")

LIF_INPUT_MAX = 2**18
"""Beyond it Lava's LIF wraps once where a register wraps twice (neurons/lif.py)."""


def random_network(
    rng: Rng, kind: str, *, steps: int = 100, batch: int = 1, structure: Rng | None = None
) -> tuple[FixedPointNetwork, np.ndarray]:
    """A network and its input, int32 (batch, steps, channels).

    kind: "lif" (LIF layers), "gpn" (GPN layers) or "mixed" (LIF and GPN, then a readout).
    structure: draws depth, models, connections, delays and exponents; equal generators give
    networks of one structure, which Lava runs as one. All else is drawn from ``rng``.
    """
    shape = structure or rng
    bits, signed = [(1, False), (1, False), (4, False), (8, True)][shape.integers(4)]
    source = InputFormat("in", (int(rng.integers(1, 25)),), bits, signed, 1.0)
    models = [_model_at(shape, kind) for _ in range(shape.integers(1, 4))]
    if kind == "mixed":
        models.append("readout")
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    offset = 0
    for k, model in enumerate(models):
        offset += int(shape.choice([1, 1, 1, 2]))
        n = int(rng.integers(1, 25))
        layers.append(
            Layer(f"{model}{k}", MODELS[model], (n,), random_params(rng, model, n), {}, offset)
        )
        before = (source, *layers[:-1])
        synapses += _into(rng, shape, layers[-1], before[-1], "forward")
        if len(before) > 1 and shape.random() < 0.2:
            synapses += _into(rng, shape, layers[-1], before[0], "skip")
        if model == "lif" and shape.random() < 0.4:
            synapses += _into(
                rng, shape, layers[-1], layers[-1], "self", delay=int(shape.integers(1, 4))
            )
        if model == "gpn" and shape.random() < 0.85:
            synapses.append(_gates_loop(rng, shape, layers[-1]))
    if len(layers) > 1 and shape.random() < 0.2:
        back = layers[-1].offset - layers[0].offset + int(shape.integers(1, 3))
        if layers[-1].model.main_output.is_spike:
            synapses += _into(rng, shape, layers[0], layers[-1], "back", delay=back)
    offsets = {layer.name: layer.offset for layer in layers} | {"in": 0}
    synapses = [
        replace(s, chip_delay=offsets[s.target] + s.delay - offsets[s.source]) for s in synapses
    ]
    net = FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=(source,),
        layers=tuple(layers),
        synapses=tuple(_limit_lif_input(synapses, source, layers)),
        outputs=(OutputNode("out", layers[-1].name, layers[-1].model.main_output.name),),
        latency=layers[-1].offset,
    )
    return net, random_data(rng, source, steps, batch)


def _model_at(rng: Rng, kind: str) -> str:
    return kind if kind != "mixed" else ("lif", "gpn")[rng.integers(2)]


def _into(
    rng: Rng,
    shape: Rng,
    target: Layer,
    source: InputFormat | Layer,
    name: str,
    delay: int | None = None,
) -> list[Synapse]:
    """One synapse group into the ports that hear feed-forward input, sometimes two."""
    port = ""
    if isinstance(source, Layer):
        outputs = source.model.outputs
        # A LIF takes spikes; others take graded messages as well.
        if delay is None and target.model.name != "lif":
            port = outputs[shape.integers(len(outputs))].name
        else:
            port = source.model.main_output.name
    ports = target.model.inputs[:5] if target.model.name == "gpn" else ("a",)
    groups = []
    for k in range(2 if shape.random() < 0.15 else 1):
        steps = int(shape.choice([0, 0, 0, 1, 3])) if delay is None else delay
        exponent = int(
            shape.integers(-7, 9) if target.model.name == "lif" else shape.integers(-5, 6)
        )
        weights = random_weights(rng, len(ports) * target.n, source.n)
        groups.append(
            Synapse(
                f"{name}{k}:{source.name}->{target.name}",
                source.name,
                port,
                target.name,
                ports,
                Dense(weights),
                exponent,
                steps,
            )
        )
    return groups


def _gates_loop(rng: Rng, shape: Rng, layer: Layer) -> Synapse:
    ports = tuple(f"{gate}_rec" for gate in GATES)
    weights = random_weights(rng, len(ports) * layer.n, layer.n)
    name = f"loop:{layer.name}"
    exponent = int(shape.integers(-3, 4))
    return Synapse(name, layer.name, "m", layer.name, ports, Dense(weights), exponent, 1)


def _limit_lif_input(
    synapses: list[Synapse], source: InputFormat, layers: list[Layer]
) -> list[Synapse]:
    """Weights lowered, row by row, where a sum into a LIF could exceed LIF_INPUT_MAX."""
    for layer in layers:
        if layer.model.name != "lif":
            continue
        into = [k for k, s in enumerate(synapses) if s.target == layer.name]
        largest = sum(_largest_sum(synapses[k], source) for k in into)
        # A floor at a negative exponent adds up to 1 for each group.
        scale = np.minimum(1.0, (LIF_INPUT_MAX - len(into)) / np.maximum(largest, 1))[:, None]
        for k in into:
            mantissa = np.trunc(synapses[k].mantissa * scale).astype(np.int8)
            synapses[k] = replace(synapses[k], map=with_weight(synapses[k].map, mantissa))
    return synapses


def _largest_sum(s: Synapse, source: InputFormat) -> np.ndarray:
    largest = source.high if s.source == source.name else 1
    return np.abs(s.mantissa.astype(np.int64)).sum(axis=1) * largest * 2.0**s.exponent
