"""lava-dl networks step by step in plain NumPy, straight from the ``.net`` file.

Written from the facts alone (Loihi's arithmetic, netx's layout) and sharing no code with snn2hw, so
that both can be held against each other and against recordings. Whole arrays, no event, no
projection: each layer convolves or multiplies at every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Trace = dict[str, Array]


def decayed(state: Array, decay: Array) -> Array:
    """Towards zero, 12 bits."""
    return np.sign(state) * ((np.abs(state) * (4096 - decay)) >> 12)


class Neurons:
    """One layer's CUBA-LIF neurons, registers of 24 bits."""

    def __init__(self, block: h5py.Group, shape: tuple[int, ...]) -> None:
        def each(values: Array) -> Array:
            """One value for all, for each channel, or for each neuron as (columns, rows, ch.)."""
            if values.ndim == 3:
                return values.T
            return values.reshape(-1, *[1] * (len(shape) - 1))

        neuron = block["neuron"]
        self.decay_u, self.decay_v = (
            each(neuron[name][()].astype(np.int64)) for name in ("iDecay", "vDecay")
        )
        self.threshold = int(neuron["vThMant"][()]) << 6
        bias = block["bias"][()] if "bias" in block else np.zeros(1)
        self.bias = each(bias.astype(np.int64)) << 6
        self.u = np.zeros(shape, dtype=np.int64)
        self.v = np.zeros(shape, dtype=np.int64)

    def step(self, a: Array) -> tuple[Array, Array, Array]:
        """u, v before its reset, spikes."""
        self.u = decayed(self.u, self.decay_u) + (a << 6)
        self.u = (self.u + (1 << 23)) % (1 << 24) - (1 << 23)
        v = decayed(self.v, self.decay_v) + self.u + self.bias
        v = np.clip(v, -(1 << 23) + 1, (1 << 23) - 1)
        s = v > self.threshold
        self.v = np.where(s, 0, v)
        return self.u, v, s


def convolved(x: Array, weight: Array, block: h5py.Group) -> Array:
    """Cross-correlation of (channels, rows, columns), one tap after the other."""
    get = {name: np.broadcast_to(block[name][()], 2) for name in ("stride", "padding", "dilation")}
    count = int(block["groups"][()])
    (sy, sx), (py, px), (dy, dx) = get["stride"], get["padding"], get["dilation"]
    wide = np.pad(x, ((0, 0), (py, py), (px, px)))
    out, per_group, kh, kw = weight.shape
    rows = (wide.shape[1] - dy * (kh - 1) - 1) // sy + 1
    columns = (wide.shape[2] - dx * (kw - 1) - 1) // sx + 1
    y = np.zeros((count, out // count, rows * columns), dtype=np.int64)
    split = weight.reshape(count, out // count, per_group, kh, kw)
    for i in range(kh):
        for j in range(kw):
            seen = wide[:, i * dy :, j * dx :][:, ::sy, ::sx][:, :rows, :columns]
            seen = seen.reshape(count, per_group, rows * columns)
            # Exact in float64, and far faster than NumPy's integer product.
            y += (split[..., i, j].astype(float) @ seen.astype(float)).astype(np.int64)
    return y.reshape(out, rows, columns)


def pooled(x: Array, weight: Array) -> Array:
    """Weighted sums of tiles; what does not fill a tile is filled with zeros."""
    channels, rows, columns = x.shape
    kh, kw = weight.shape
    wide = np.pad(x, ((0, 0), (0, -rows % kh), (0, -columns % kw)))
    tiles = wide.reshape(channels, wide.shape[1] // kh, kh, wide.shape[2] // kw, kw)
    return np.einsum("cyixj,ij->cyx", tiles, weight)


class Layer:
    """One block with weights; ``delays`` of (outputs, inputs) or of channels."""

    def __init__(self, block: h5py.Group, kind: str) -> None:
        self.block, self.kind = block, kind
        self.shape = tuple(int(n) for n in block["shape"][()])
        if kind.startswith("dense"):
            self.shape = (int(np.prod(self.shape)),)
        weight = block["weight"][()].astype(np.int64)
        if kind.startswith("dense"):
            weight = weight.reshape(self.shape[0], -1)
        elif kind == "pool":
            weight = weight.reshape(block["kernelSize"][()])
        else:
            weight = weight.reshape(weight.shape[:4])
        self.weight = weight
        self.loop = block["weight_rec"][()].astype(np.int64) if kind == "dense_rec" else None
        delays = block["delay"][()].astype(np.int64) if "delay" in block else np.zeros(1, int)
        if delays.ndim == 1 and delays.size != 1:
            by_output = delays.size == weight.shape[0]
            delays = delays.reshape(-1, *[1] * (weight.ndim - 1)) if by_output else delays[None]
        self.delays = np.broadcast_to(delays, weight.shape)
        self.neurons = Neurons(block, self.shape)
        self.spikes = np.zeros(self.shape, dtype=bool)

    def sums(self, past: list[Array]) -> Array:
        """What arrives: past[d] is what the source sent d steps ago."""
        total = np.zeros(self.shape, dtype=np.int64)
        for delay in np.unique(self.delays):
            if delay >= len(past):
                continue
            weight = np.where(self.delays == delay, self.weight, 0)
            x = past[delay].astype(np.int64)
            if self.kind == "conv":
                total += convolved(x, weight, self.block)
            elif self.kind == "pool":
                total += pooled(x, weight)
            else:
                total += weight @ x.ravel()
        return total if self.loop is None else total + self.loop @ self.spikes


def replay(path: Path, x: Array, hop: int = 0, reset: int = 0) -> dict[str, Trace]:
    """Traces u, v (before its reset) and s of each layer, (time, *shape), by type and number.

    x: (time, *input shape), the spikes that enter the first block with weights. hop: steps from
    layer to layer. reset: layer p (from 1) starts anew where the step is p modulo this.
    """
    with h5py.File(path) as file:
        blocks = [file["layer"][str(k)] for k in range(len(file["layer"]))]
        kinds = [np.ravel(block["type"][()])[0].decode() for block in blocks]
        named = {
            f"{kind}{k}": Layer(block, kind)
            for k, (block, kind) in enumerate(zip(blocks, kinds, strict=True))
            if kind in ("conv", "pool", "dense", "dense_rec")
        }
        pasts: list[list[Array]] = [[] for _ in named]
        kept: dict[str, list[tuple[Array, ...]]] = {name: [] for name in named}
        for t, now in enumerate(x):
            sent = now
            for p, (name, layer) in enumerate(named.items(), start=1):
                if reset and t % reset == p:
                    layer.neurons.u = layer.neurons.u * 0
                    layer.neurons.v = layer.neurons.v * 0
                past = pasts[p - 1]
                if hop == 0:
                    past.insert(0, sent)
                arriving = layer.sums(past[max(hop - 1, 0) :])
                if hop:
                    past.insert(0, sent)
                kept[name].append(layer.neurons.step(arriving))
                sent = layer.spikes = kept[name][-1][2]
    return {
        name: dict(zip("uvs", map(np.stack, zip(*steps, strict=True)), strict=True))
        for name, steps in kept.items()
    }
