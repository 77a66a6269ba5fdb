"""Random networks of every map, model and topology that a FixedPointNetwork holds.

Beside ``random_networks``: convolutions of every geometry (one row: Conv1d; groups = channels:
pools), one-to-one and nearly empty matrices, several inputs and outputs, graded messages between
layers, paths of different depth, loops, delays, and states that are not zero at the start.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from random_values import TOP, Rng, random_data, random_params, random_weights

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne, largest_sums, with_weight
from snn2hw.neurons import MODELS
from snn2hw.passes.balance import balance

TOPOLOGIES = ("convolution", "models")

HIDDEN = ("lif", "lif_reset", "alif", "threshold", "integrator", "relay", "sparse_leaky")

Source: TypeAlias = InputFormat | Layer
Shape: TypeAlias = tuple[int, ...]


def random_topology(
    rng: Rng, kind: str, *, steps: int = 100, batch: int = 1
) -> tuple[FixedPointNetwork, dict[str, np.ndarray]]:
    """A network and the data of each input, int32 (batch, steps, *shape).

    kind: "convolution" (one input, convolutions, then a dense layer) or "models" (one to three
    inputs, layers of any model, connected at random).
    """
    inputs, layers, synapses = {"convolution": _convolutions, "models": _models}[kind](rng)
    heard = {s.source for s in synapses if s.source != s.target}
    ends = [layer for layer in layers if layer.name not in heard]
    net = FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=tuple(inputs),
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=tuple(
            OutputNode(f"out{k}", layer.name, layer.model.main_output.name)
            for k, layer in enumerate(ends)
        ),
    )
    return balance(net), {node.name: random_data(rng, node, steps, batch) for node in inputs}


def _convolutions(rng: Rng) -> tuple[list[InputFormat], list[Layer], list[Synapse]]:
    one_row = rng.random() < 0.25
    rows = 1 if one_row else int(rng.integers(2, 10))
    source: Source = _input(rng, "in", (int(rng.integers(1, 5)), rows, int(rng.integers(3, 12))))
    inputs, layers, synapses = [source], [], []
    for k in range(int(rng.integers(1, 4))):
        link = random_convolution(rng, source.shape)
        layers.append(_layer(rng, str(rng.choice(HIDDEN)), k, link.output_shape))
        synapses.append(_synapse(rng, f"conv{k}", source, layers[-1], link))
        if rng.random() < 0.25:
            again = with_weight(link, random_weights(rng, *link.weight.shape))
            synapses.append(_synapse(rng, f"again{k}", source, layers[-1], again))
        elif rng.random() < 0.25:
            synapses.append(_self_loop(rng, layers[-1]))
        source = layers[-1]
    last = _layer(rng, str(rng.choice(["readout", "lif"])), 9, (int(rng.integers(1, 8)),))
    dense = Dense(random_weights(rng, last.n, source.n))
    synapses.append(_synapse(rng, "dense", source, last, dense))
    return inputs, [*layers, last], synapses


def random_convolution(rng: Rng, shape: Shape) -> Convolution:
    """Any geometry that fits the input (channels, rows, columns); a third of them pools."""
    channels = shape[0]
    while True:
        kernel = [int(rng.integers(1, 1 + min(4, size + 1))) for size in shape[1:]]
        stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        dilation = (int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 1, 2, 3])))
        even = bool(rng.integers(2))
        padding = []
        for _ in range(2):
            before, behind = (int(p) for p in rng.integers(0, 3, 2))
            padding.append((before, before) if even else (before, behind))
        if shape[1] == 1:
            kernel[0], stride, dilation = 1, (1, stride[1]), (1, dilation[1])
            padding[0] = (0, 0)
        if rng.random() < 0.33:
            groups = channels
            value = int(rng.choice([1, 3, 127]))
            weight = np.full((channels, 1, *kernel), value, dtype=np.int8)
        else:
            groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
            outputs = groups * int(rng.integers(1, 4))
            weight = random_weights(rng, outputs, channels // groups, *kernel)
        geometry = (stride, (padding[0], padding[1]), dilation, groups)
        link = Convolution(weight, (shape[0], shape[1], shape[2]), *geometry)
        if min(link.output_shape) >= 1:
            return link


def _models(rng: Rng) -> tuple[list[InputFormat], list[Layer], list[Synapse]]:
    inputs = [
        _input(rng, f"in{k}", (int(rng.integers(1, 20)),)) for k in range(int(rng.integers(1, 4)))
    ]
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    for k in range(int(rng.integers(2, 6))):
        # The first layers hear one input each, so that all are heard.
        senders: list[Source] = [*inputs, *(x for x in layers if x.model.name != "readout")]
        sources = inputs[k : k + 1] or senders
        source = sources[int(rng.integers(len(sources)))]
        wide = rng.random() < 0.06
        n = 128 if wide else source.n if rng.random() < 0.5 else int(rng.integers(1, 20))
        layers.append(_layer(rng, str(rng.choice([*HIDDEN, "sparse_gated", "readout"])), k, (n,)))
        for again in range(2 if rng.random() < 0.3 else 1):
            heard = senders[-1] if again else source
            ports = len(layers[-1].model.taking)
            if heard.n == n and rng.random() < 0.7 and not wide and ports == 1:
                link: LinearMap = OneToOne(random_weights(rng, n))
            else:
                link = Dense(random_weights(rng, ports * n, heard.n))
            synapses.append(_synapse(rng, f"{heard.name}->{k}.{again}", heard, layers[-1], link))
        if layers[-1].model.name == "sparse_gated":
            link = Dense(random_weights(rng, 2 * n, n))
            synapses.append(_synapse(rng, f"gates{k}", layers[-1], layers[-1], link, loop=True))
        elif wide and layers[-1].model.name != "readout":
            few = random_weights(rng, n, n) * (rng.random((n, n)) < 0.02)
            link = Dense(few.astype(np.int8))
            synapses.append(_synapse(rng, f"few{k}", layers[-1], layers[-1], link, loop=True))
        elif rng.random() < 0.4 and layers[-1].model.name != "readout":
            synapses.append(_self_loop(rng, layers[-1]))
    return inputs, layers, synapses


def _input(rng: Rng, name: str, shape: Shape) -> InputFormat:
    bits, signed = [(1, False), (1, False), (4, False), (8, True)][rng.integers(4)]
    return InputFormat(name, shape, bits, signed, 1.0)


def _layer(rng: Rng, model: str, k: int, shape: Shape) -> Layer:
    n = int(np.prod(shape))
    params = random_params(rng, model, n)
    if model in ("relay", "readout") and rng.random() < 0.5:
        params = {name: np.zeros_like(values) for name, values in params.items()}
    start = {}
    if rng.random() < 0.2:
        start = {s.name: rng.integers(-TOP, TOP + 1, n) for s in MODELS[model].states}
    return Layer(f"{model}{k}", MODELS[model], shape, params, {}, start=start)


def _self_loop(rng: Rng, layer: Layer) -> Synapse:
    link = OneToOne(random_weights(rng, layer.n))
    return _synapse(rng, f"self:{layer.name}", layer, layer, link, loop=True)


def _synapse(
    rng: Rng, name: str, source: Source, target: Layer, link: LinearMap, *, loop: bool = False
) -> Synapse:
    """One group, its exponent drawn so that sums come near what the target holds."""
    port, largest = "", 1
    if isinstance(source, Layer):
        output = source.model.heard_output
        port, largest = output.name, 1 if output.is_spike else (1 << (output.bits - 1)) - 1
    else:
        largest = source.high
    # A LIF may hear two groups and a loop, and Lava's wraps right below 2^18 (neurons/lif.py);
    # what a relay or readout passes on unchanged must be small; Lava adds up in 32 bits.
    high = {"lif": 16, "relay": 14, "readout": 26}.get(target.model.name, 24)
    bits = float(rng.uniform(4, high))
    top = max(float(largest_sums(link, largest).max(initial=0.0)), 1.0)
    exponent = int(np.clip(np.floor(bits - np.log2(top)), -7, 8))
    while top * 2.0**exponent > 2.0**high or top > 2.0**28:
        link = with_weight(link, np.trunc(link.weight / 2).astype(np.int8))
        top = float(largest_sums(link, largest).max(initial=0.0))
        if not top:
            break
    delay = int(rng.choice([0, 0, 0, 1, 3, 20])) + loop
    ports = target.model.taking
    if loop and len(ports) > 1:
        ports = tuple(f"{name}_rec" for name in ports)
    return Synapse(name, source.name, port, target.name, ports, link, exponent, delay)
