"""What the Lava worker builds: networks joined into blocks of as few processes as possible.

Each Lava process is a process of the operating system, and a message between two costs some 0.1 ms
a step, so a hundred small networks would cost a thousand processes. Layers of one model and one
offset are therefore put side by side in one process, whatever network they belong to, and the
synapses between two such processes of equal exponent and delay in one block-diagonal matrix. Every
number stays what it is in a network alone: a neuron has its own parameters, and a sum has the same
terms. Networks with convolutions, and large ones, run as a block of their own, layer by layer.

Samples follow each other in windows of ``steps`` + the longest synaptic delay, so that what one
sample sent last has arrived before the next begins (see ``processes.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.errors import BackendError, DataError, GraphError
from snn2hw.graph import Data, FixedPointNetwork, Layer, by_input
from snn2hw.linear import Convolution
from snn2hw.neurons import MODELS
from snn2hw.passes.balance import MAX_DELAY
from snn2hw.targets.lava.synapses import Joiner, largest

Int32 = npt.NDArray[np.int32]
Item = tuple[FixedPointNetwork, tuple[Int32, ...]]
"""A network and the data of each of its inputs, int32 (batch, time, n)."""

Records = dict[str, dict[str, Int32]]
"""layer -> state or output -> int32 (batch, time, n), in logical time."""

BLOCK_NEURONS = 256
"""Most neurons or inputs that are put side by side; beyond it the matrices' zeros cost more than
the processes that they save (measured: 210 random networks, 64 to 1024)."""

IN_PORTS = 8
OUT_PORTS = 4

PASSED_ON = ("readout", "relay")
"""Models that compute what Lava's ``GradedVec`` does where nothing is added, shifted or limited."""


@dataclass
class _Merged:
    """Layers of one process, model and offset side by side."""

    process: str
    model: str
    offset: int
    n: int = 0
    members: list[Layer] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """Networks that run as one, and where their layers are.

    job: what job.json says of it; arrays: what arrays.npz holds for it; places: for each network,
    layer -> (merged layer, first neuron, neurons).
    """

    job: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]
    places: tuple[dict[str, tuple[int, int, int]], ...]

    def records(self, logs: Sequence[Int32], network: int) -> Records:
        """One network's records out of the merged logs, (samples * steps, quantities, n)."""
        samples, steps = self.job["samples"], self.job["steps"]
        records: Records = {}
        for name, (merged, start, n) in self.places[network].items():
            model = MODELS[self.job["layers"][merged]["model"]]
            part = logs[merged][:, :, start : start + n]
            names = [*(s.name for s in model.states), *(o.name for o in model.outputs)]
            records[name] = {
                quantity: np.ascontiguousarray(part[:, k]).reshape(samples, steps, n)
                for k, quantity in enumerate(names)
            }
        return records


def prepare(net: FixedPointNetwork, x: Data) -> Item:
    """A network with its data, checked against the inputs' names.

    x: integers (batch, time, *input shape), or one such array for each input, by name. Raises
    DataError where they do not belong together or are empty.
    """
    data = []
    for _, values in by_input(net.inputs, x):
        array = np.asarray(values)
        if 0 in array.shape[:2]:
            raise DataError("there is nothing to run on Lava: the input has no samples or no steps")
        data.append(array.reshape(*array.shape[:2], -1).astype(np.int32))
    return net, tuple(data)


def width_of(net: FixedPointNetwork) -> int:
    """Channels or neurons of the widest input or layer."""
    return max([*(node.n for node in net.inputs), *(layer.n for layer in net.layers)])


def runs_alone(net: FixedPointNetwork) -> bool:
    """Whether a network is not merged with others: it has convolutions, or is large."""
    return width_of(net) > BLOCK_NEURONS or any(
        isinstance(s.map, Convolution) for s in net.synapses
    )


def blocks_of(items: Sequence[Item], neurons: int = BLOCK_NEURONS) -> Iterator[list[int]]:
    """Indices of the items that run as one block: equal batch and time, limited width."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, (net, x) in enumerate(items):
        alone = k if runs_alone(net) else -1
        groups.setdefault((alone, *x[0].shape[:2]), []).append(k)
    for group in groups.values():
        block: list[int] = []
        width = 0
        for k in group:
            net = items[k][0]
            n = width_of(net)
            if block and width + n > neurons:
                yield block
                block, width = [], 0
            block.append(k)
            width += n
        yield block


def build_block(name: str, items: Sequence[Item], runs: Sequence[int] | None = None) -> Block:
    """Join networks of equal batch and time into one block.

    runs: chip steps of each run of the worker; all of the input in one run where None.

    Raises GraphError for a network that is not balanced, BackendError for one that Lava's
    processes cannot hold.
    """
    for net, _ in items:
        check(net)
    batch, time = items[0][1][0].shape[:2]
    # Nor may a sample be heard early, where synapses look ahead, while the one before it runs.
    window = time + max((abs(s.delay) for net, _ in items for s in net.synapses), default=0)
    layers, places = _merge_layers(items)
    total = batch * window + max((merged.offset for merged in layers), default=0)
    inputs, columns = _merge_inputs(items, window, total)
    joiner = Joiner([merged.n for merged in layers], [len(data) for data in inputs])
    for k, (net, _) in enumerate(items):
        for s in net.synapses:
            source = columns[k].get(s.source) or places[k][s.source][:2]
            joiner.add(net, s, source, places[k][s.target][:2], k)
    joiner.reach_all([MODELS[merged.model].inputs[0] for merged in layers])
    for merged, groups in zip(layers, joiner.groups, strict=True):
        if len(groups) > IN_PORTS:
            raise BackendError(
                f"{len(groups)} different sets of input ports of {merged.model!r} neurons "
                f"have synapses of their own and our Lava process takes {IN_PORTS}; "
                "merge projections that share their source"
            )
    arrays = {f"{name}/input{k}": data for k, data in enumerate(inputs)}
    for k, merged in enumerate(layers):
        arrays[f"{name}/params{k}"] = _params(merged)
        arrays[f"{name}/start{k}"] = _start(merged)
    for k, joined in enumerate(joiner.joined):
        for part, values in joined.arrays(layers[joined.target].n).items():
            arrays[f"{name}/{part}{k}"] = values
    job = {
        "name": name,
        "samples": batch,
        "steps": time,
        "window": window,
        "runs": list(runs or [total]),
        "inputs": len(inputs),
        "layers": [
            _describe(f"{name}-{k}", merged, joiner.groups[k]) for k, merged in enumerate(layers)
        ],
        "synapses": [joined.described() for joined in joiner.joined],
    }
    return Block(job, arrays, places)


def _merge_layers(
    items: Sequence[Item],
) -> tuple[list[_Merged], tuple[dict[str, tuple[int, int, int]], ...]]:
    """Layers side by side, and for each network where its layers are."""
    layers: dict[tuple[Any, ...], _Merged] = {}
    places: list[dict[str, tuple[int, int, int]]] = []
    for net, _ in items:
        places.append({})
        alone = runs_alone(net)
        for layer in net.layers:
            process = process_of(net, layer)
            key = (process, layer.model.name, layer.offset, layer.name if alone else "")
            merged = layers.setdefault(key, _Merged(process, layer.model.name, layer.offset))
            places[-1][layer.name] = (list(layers).index(key), merged.n, layer.n)
            merged.members.append(layer)
            merged.n += layer.n
    return list(layers.values()), tuple(places)


def _merge_inputs(
    items: Sequence[Item], window: int, total: int
) -> tuple[list[Int32], list[dict[str, tuple[int, int]]]]:
    """The k-th inputs of all networks side by side, (channels, chip steps), and for each network
    where its inputs are: -1 - k, and the first channel."""
    parts: list[list[Int32]] = []
    columns: list[dict[str, tuple[int, int]]] = []
    for net, x in items:
        columns.append({})
        for k, (node, values) in enumerate(zip(net.inputs, x, strict=True)):
            if k == len(parts):
                parts.append([])
            columns[-1][node.name] = (-1 - k, sum(len(part) for part in parts[k]))
            data = np.zeros((node.n, total), dtype=np.int32)
            for sample, steps in enumerate(values):
                data[:, sample * window : sample * window + len(steps)] = steps.T
            parts[k].append(data)
    return [np.concatenate(part) for part in parts], columns


def _params(merged: _Merged) -> Int32:
    """(parameters, neurons), in the model's order."""
    names = [p.name for p in MODELS[merged.model].params]
    each = [np.stack([layer.params[name] for name in names]) for layer in merged.members]
    return np.concatenate(each, axis=1).astype(np.int32)


def _start(merged: _Merged) -> Int32:
    """(states, neurons), before the first step of a sample."""
    names = [s.name for s in MODELS[merged.model].states]
    each = [
        np.stack([np.zeros(layer.n), *(layer.start.get(s, np.zeros(layer.n)) for s in names)])[1:]
        for layer in merged.members
    ]
    return np.concatenate(each, axis=1).astype(np.int32)


def _describe(name: str, merged: _Merged, groups: list[tuple[str, ...]]) -> dict[str, Any]:
    model = MODELS[merged.model]
    return {
        "process": merged.process,
        "model": merged.model,
        "n": merged.n,
        "offset": merged.offset,
        "groups": [list(group) for group in groups],
        "params": [p.name for p in model.params],
        "quantities": len(model.states) + len(model.outputs),
        "log": f"{name}.npy",
    }


def process_of(net: FixedPointNetwork, layer: Layer) -> str:
    """Lava's process for a layer: "lif" (Intel's LIFReset), "graded" (Intel's GradedVec), or ours,
    "neuron".

    ``GradedVec`` sends its sum as it is: no bias, no shift, no limit of its width. It is what a
    readout or a relay without bias and shift computes where the sum cannot reach the limit.
    """
    if layer.model.name == "lif":
        return "lif"
    if layer.model.name in PASSED_ON and not any(np.any(v) for v in layer.params.values()):
        reached = sum(largest(net, s) for s in net.into(layer.name))
        if reached <= (1 << (layer.model.outputs[0].bits - 1)) - 1:
            return "graded"
    return "neuron"


def check(net: FixedPointNetwork) -> None:
    """Raise GraphError or BackendError, in one line, where Lava cannot run the network."""
    offsets = {layer.name: layer.offset for layer in net.layers}
    offsets |= {node.name: 0 for node in net.inputs}
    for s in net.synapses:
        if not 1 <= s.chip_delay <= MAX_DELAY or (
            offsets[s.target] + s.delay != offsets[s.source] + s.chip_delay
        ):
            raise GraphError(
                f"synapses {s.name!r}: chip delay {s.chip_delay} does not fit the layers' offsets "
                f"or is not in 1..{MAX_DELAY}; pass the network through "
                "snn2hw.passes.balance first"
            )
    for layer in net.layers:
        if MODELS.get(layer.model.name) is not layer.model:
            raise BackendError(
                f"layer {layer.name!r}: neuron {layer.model.name!r} is not registered in "
                "snn2hw.neurons, where the Lava worker looks it up; add it to MODELS"
            )
        if len(layer.model.outputs) > OUT_PORTS:
            raise BackendError(
                f"layer {layer.name!r}: {len(layer.model.outputs)} outputs, and our Lava process "
                f"has {OUT_PORTS}; raise OUT_PORTS in targets/lava"
            )
        # Weights enter Lava doubled, so a sum before its shift is twice what it is here.
        into = net.into(layer.name)
        reached = sum(max(2 * largest(net, s, 0), largest(net, s)) for s in into)
        if reached >= 2**31:
            raise BackendError(
                f"layer {layer.name!r}: its input can reach {reached:.3g}, and Lava adds up in 32 "
                "bits; lower the exponents of its synapses"
            )
