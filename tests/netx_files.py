"""Random ``.net`` files, written with h5py as lava-dl 0.6.0 lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

Fields = dict[str, Any]

KINDS = ("dense", "delays", "recurrent", "conv", "pool", "edges")


def write_file(path: Path, layers: list[Fields]) -> Path:
    """One group a layer; a dict in it becomes a group of its own."""
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(layers):
            put(file.create_group(f"layer/{k}"), layer)
    return path


def put(group: h5py.Group, fields: Fields) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            put(group.create_group(name), value)
        elif name == "type" and group.name.count("/") == 2:
            group.create_dataset("type", (1,), "S10", [value.encode()])
        else:
            group[name] = value


def neuron(rng: np.random.Generator, **changes: Any) -> Fields:
    """Decays and a threshold that let neurons fire now and then."""
    return {
        "type": str(rng.choice(["CUBA", "LOIHI"])),
        "iDecay": int(rng.choice([4096, 2048, 700])),
        "vDecay": int(rng.choice([0, 123, 1024])),
        "vThMant": int(rng.integers(60, 250)),
        "refDelay": 1,
        **changes,
    }


def whole(rng: np.random.Generator, *shape: int, limit: int = 60) -> Any:
    """Even weights, as floats."""
    return (2.0 * rng.integers(-limit, limit + 1, shape)).astype(np.float32)


def dense(rng: np.random.Generator, inputs: int, n: int, **more: Any) -> Fields:
    fields = {"type": "dense", "shape": [n, 1, 1], "weight": whole(rng, n, inputs)}
    return {**fields, "neuron": neuron(rng), **more}


def conv(
    rng: np.random.Generator, taken: tuple[int, int, int], out: int, groups: int = 1, **more: Any
) -> Fields:
    """A convolution with random geometry; ``shape`` follows from it."""
    kernel, stride, dilation = (rng.integers(1, top + 1, 2) for top in (3, 2, 2))
    padding = rng.integers(0, 2, 2)
    size = (np.array(taken[1:]) + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if size.min() < 1:
        return conv(rng, taken, out, groups, **more)
    return {
        "type": "conv",
        "shape": [out, *size],
        "weight": whole(rng, out, taken[0] // groups, *kernel),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "neuron": neuron(rng),
        **more,
    }


def random_layers(rng: np.random.Generator, kind: str) -> tuple[list[Fields], tuple[int, ...]]:
    """Blocks and the shape of their input."""
    if kind in ("conv", "pool"):
        shape = (4, 9, 8)
        first = conv(rng, shape, 6, groups=2, bias=whole(rng, 6, limit=40))
        layers = [{"type": "input", "shape": shape}, first]
        taken = tuple(int(n) for n in first["shape"])
        if kind == "pool":
            size = [-(-n // 2) for n in taken[1:]]
            geometry = {"kernelSize": [2, 2], "stride": [2, 2], "padding": [0, 0]}
            weight = whole(rng, 1, 1, 2, 2)
            pool = {"type": "pool", "shape": [6, *size], "weight": weight, "dilation": [1, 1]}
            layers.append({**pool, **geometry, "neuron": neuron(rng)})
        else:
            # A bias of its own for each neuron is (columns, rows, channels).
            last = conv(rng, taken, 3)
            last["bias"] = whole(rng, *[int(n) for n in last["shape"]][::-1], limit=40)
            layers.append(last)
        n = int(np.prod(layers[-1]["shape"]))
        return [*layers, {"type": "flatten", "shape": [n, 1, 1]}, dense(rng, n, 5)], shape
    if kind == "recurrent":
        first = dense(rng, 9, 12, type="dense_rec", weight_rec=whole(rng, 12, 12))
        # Inhibition alone between the neurons.
        second = dense(rng, 12, 6, type="dense_rec", weight_rec=-np.abs(whole(rng, 6, 6)) - 1)
        return [first, second], (9,)
    if kind == "delays":
        each = rng.integers(0, 7, (12, 9)).astype(np.float32)
        layers = [dense(rng, 9, 12, delay=each), dense(rng, 12, 8, delay=rng.integers(0, 5, 8))]
        return [
            *layers,
            dense(rng, 8, 5, delay=rng.integers(0, 5, 8)),
            dense(rng, 5, 4, delay=2),
        ], (9,)
    if kind == "edges":
        # Even weights of 9 bits; odd ones of 8; a last layer that only adds up.
        wide, odd = whole(rng, 11, 9, limit=127), rng.integers(-127, 128, (7, 11))
        wide[0, :2] = 254, -256
        add_up = neuron(rng, vThMant=(1 << 18) - 1)
        layers = [dense(rng, 9, 11, weight=wide), dense(rng, 11, 7, weight=odd)]
        return [*layers, dense(rng, 7, 4, neuron=add_up)], (9,)
    bias = whole(rng, 12, limit=40)
    return [dense(rng, 9, 12, bias=bias), dense(rng, 12, 5), dense(rng, 5, 4)], (9,)
