"""What the Lava worker builds: networks joined into blocks of as few processes as possible.

Each Lava process is a process of the operating system, and a message between two costs some 0.1 ms
a step, so a hundred small networks would cost a thousand processes. Layers of one model and one
offset are therefore put side by side in one process, whatever network they belong to, and the
synapses between two such processes of equal exponent and delay in one block-diagonal ``Dense``.
Every number stays what it is in a network alone: a neuron has its own parameters, and a sum has
the same terms.

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
from snn2hw.graph import FixedPointNetwork, Layer, Synapse
from snn2hw.neurons import MODELS
from snn2hw.passes.balance import MAX_DELAY

Int32 = npt.NDArray[np.int32]
Item = tuple[FixedPointNetwork, Int32]
"""A network and its input, int32 (batch, time, n)."""

Records = dict[str, dict[str, Int32]]
"""layer -> state or output -> int32 (batch, time, n), in logical time."""

BLOCK_NEURONS = 256
"""Most neurons or inputs that are put side by side; beyond it the matrices' zeros cost more than
the processes that they save (measured: 210 random networks, 64 to 1024)."""

IN_PORTS = 8
OUT_PORTS = 4


@dataclass
class _Merged:
    """Layers of one model and offset side by side. groups: tuples of target ports."""

    model: str
    offset: int
    n: int = 0
    groups: list[tuple[str, ...]] = field(default_factory=list)
    members: list[tuple[int, Layer, int]] = field(default_factory=list)


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


def blocks_of(items: Sequence[Item], neurons: int = BLOCK_NEURONS) -> Iterator[list[int]]:
    """Indices of the items that run as one block: equal batch and time, limited width."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, (_, x) in enumerate(items):
        groups.setdefault(x.shape[:2], []).append(k)
    for group in groups.values():
        block: list[int] = []
        width = 0
        for k in group:
            net = items[k][0]
            n = max([net.input.n, *(layer.n for layer in net.layers)])
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
    processes cannot hold, DataError for an empty input.
    """
    batch, time = items[0][1].shape[:2]
    if batch * time == 0:
        raise DataError("there is nothing to run on Lava: the input has no samples or no steps")
    for net, _ in items:
        check(net)
    layers: dict[tuple[str, int], _Merged] = {}
    places: list[dict[str, tuple[int, int, int]]] = []
    for k, (net, _) in enumerate(items):
        places.append({})
        for layer in net.layers:
            merged = layers.setdefault(
                (layer.model.name, layer.offset), _Merged(layer.model.name, layer.offset)
            )
            index = list(layers.values()).index(merged)
            places[k][layer.name] = (index, merged.n, layer.n)
            merged.members.append((k, layer, merged.n))
            merged.n += layer.n
    all_layers = list(layers.values())
    window = time + max(s.delay for net, _ in items for s in net.synapses)
    arrays: dict[str, npt.NDArray[Any]] = {}
    starts = np.cumsum([0, *(net.input.n for net, _ in items)])
    total = batch * window + max(merged.offset for merged in all_layers)
    data = np.zeros((starts[-1], total), dtype=np.int32)
    for k, (_, x) in enumerate(items):
        for sample in range(batch):
            first = sample * window
            data[starts[k] : starts[k + 1], first : first + time] = x[sample].T
    arrays[f"{name}/input"] = data
    synapses = _merge_synapses(items, all_layers, places, starts, arrays, f"{name}/weights")
    for k, merged in enumerate(all_layers):
        arrays[f"{name}/params{k}"] = np.concatenate(
            [
                np.stack([layer.params[p.name] for p in layer.model.params]).astype(np.int32)
                for _, layer, _ in merged.members
            ],
            axis=1,
        )
    job = {
        "name": name,
        "samples": batch,
        "steps": time,
        "window": window,
        "runs": list(runs or [total]),
        "layers": [_describe(f"{name}-{k}", merged) for k, merged in enumerate(all_layers)],
        "synapses": synapses,
    }
    return Block(job, arrays, tuple(places))


def _describe(name: str, merged: _Merged) -> dict[str, Any]:
    model = MODELS[merged.model]
    return {
        "model": merged.model,
        "n": merged.n,
        "offset": merged.offset,
        "groups": [list(group) for group in merged.groups],
        "params": [p.name for p in model.params],
        "quantities": len(model.states) + len(model.outputs),
        "log": f"{name}.npy",
    }


def _merge_synapses(
    items: Sequence[Item],
    layers: Sequence[_Merged],
    places: Sequence[dict[str, tuple[int, int, int]]],
    starts: npt.NDArray[Any],
    arrays: dict[str, npt.NDArray[Any]],
    prefix: str,
) -> list[dict[str, int]]:
    """Synapse groups with equal ends, exponent and delay in one matrix; fills ``arrays``.

    Two groups into the same neurons stay apart: each sum is rounded by itself (``floor``).
    """
    described: list[dict[str, int]] = []
    index: dict[tuple[int, ...], int] = {}
    taken: dict[tuple[int, ...], int] = {}
    for k, (net, _) in enumerate(items):
        for s in net.synapses:
            target, row, n = places[k][s.target]
            merged = layers[target]
            ports = tuple(s.target_ports)
            if ports not in merged.groups:
                merged.groups.append(ports)
            group = merged.groups.index(ports)
            if s.source == net.input.name:
                source, output, column = -1, 0, int(starts[k])
                bits = 0 if net.input.bits == 1 and not net.input.signed else net.input.bits
                width = int(starts[-1])
            else:
                source, column, _ = places[k][s.source]
                outputs = net.layer(s.source).model.outputs
                output = [o.name for o in outputs].index(s.source_port)
                bits = 0 if outputs[output].is_spike else outputs[output].bits
                width = layers[source].n
            ends = (source, output, target, group, s.exponent, s.chip_delay, bits)
            copy = taken.get((k, row, *ends), 0)
            taken[(k, row, *ends)] = copy + 1
            if (*ends, copy) not in index:
                index[(*ends, copy)] = len(described)
                shape = (len(ports) * merged.n, width)
                arrays[f"{prefix}{len(described)}"] = np.zeros(shape, dtype=np.int8)
                names = ("source", "output", "target", "group", "exponent", "chip_delay")
                described.append(
                    dict(zip((*names, "message_bits"), ends, strict=True)),
                )
            weights = arrays[f"{prefix}{index[(*ends, copy)]}"]
            for p in range(len(ports)):
                first = p * merged.n + row
                weights[first : first + n, column : column + s.mantissa.shape[1]] = s.mantissa[
                    p * n : (p + 1) * n
                ]
    for merged in layers:
        if len(merged.groups) > IN_PORTS:
            raise BackendError(
                f"{len(merged.groups)} different sets of input ports of {merged.model!r} neurons "
                f"have synapses of their own and our Lava process takes {IN_PORTS}; "
                "merge projections that share their source"
            )
    return described


def check(net: FixedPointNetwork) -> None:
    """Raise GraphError or BackendError, in one line, where Lava cannot run the network."""
    offsets = {layer.name: layer.offset for layer in net.layers} | {net.input.name: 0}
    for s in net.synapses:
        if not 1 <= s.chip_delay <= MAX_DELAY or (
            offsets[s.target] + s.delay != offsets[s.source] + s.chip_delay
        ):
            raise GraphError(
                f"synapses {s.name!r}: chip delay {s.chip_delay} does not fit the layers' offsets "
                f"or is not in 1..{MAX_DELAY}; pass the network through "
                "snn2hw.passes.balance first"
            )
    connected = {net.input.name}
    for _ in net.layers:
        for s in net.synapses:
            if s.source in connected or s.target in connected:
                connected |= {s.source, s.target}
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
        if layer.name not in connected:
            raise GraphError(
                f"layer {layer.name!r} has no connection to the input, and Lava runs what is "
                "connected; connect it or remove it"
            )
        largest = sum(_largest(net, s) for s in net.into(layer.name))
        if largest >= 2**31:
            raise BackendError(
                f"layer {layer.name!r}: its input can reach {largest:.3g}, and Lava adds up in 32 "
                "bits; lower the exponents of its synapses"
            )


def _largest(net: FixedPointNetwork, s: Synapse) -> float:
    """Bound of what one group sends to one port, before and after the shift."""
    rows = np.abs(s.mantissa.astype(np.int64)).sum(axis=1).max(initial=0)
    bound = float(2 * rows) * net.message_range(s.source, s.source_port)
    return max(bound, bound * 2.0 ** (s.exponent - 1))
