"""What each type of block means: one function a type, each adds to the chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from snn2hw.converters.netx.blocks import (
    DEFAULT_WEIGHT,
    MAX_NODE,
    NO_THRESHOLD,
    Block,
    Neuron,
    Whole,
)
from snn2hw.converters.netx.chain import Chain
from snn2hw.converters.netx.weights import Group, delays, groups
from snn2hw.graph import Layer
from snn2hw.linear import Convolution, Dense, OneToOne
from snn2hw.neurons import MODELS

INPUT_BITS = 13
"""Real-valued data enter as netx hands them over: in the 13 bits of a bias mantissa."""

ACCUMULATE = Neuron(
    decay_u=np.array([4096]), decay_v=np.array([0]), threshold=NO_THRESHOLD, exponent=0
)
"""A dense block without a neuron (lava-dl's Affine): its sums add up. netx adds them up in the
current (iDecay 0, vDecay 4096) and copies that to v; adding up in v gives the same v."""


def take_input(chain: Chain, block: Block) -> None:
    """Data: spikes, or real values that neurons of their own turn into spikes."""
    if chain.input is not None:
        raise block.error("is a second input, or not the first layer; netx has one input")
    shape = block.shape()
    if chain.options.input_shape is not None:
        if int(np.prod(chain.options.input_shape)) != int(np.prod(shape)):
            raise block.error(f"has shape {shape}, and input_shape is {chain.options.input_shape}")
        shape = chain.options.input_shape
    elif chain.flat and max(shape) == int(np.prod(shape)):
        shape = (max(shape),)
    neuron = block.neuron()
    if neuron is None or not chain.options.keep_input:
        chain.start(shape, chain.options.input_bits, signed=False, unit=1.0)
        if neuron is not None:
            chain.notes.append(f"{block.name}: left out, the data are its spikes")
        return
    weight = block.scalar("weight") if block.has("weight") else DEFAULT_WEIGHT
    if weight < 1:
        raise block.error(f"has the weight {weight}; data need a positive one")
    chain.start(shape, INPUT_BITS, signed=True, unit=1 / weight)
    bias = block.whole("bias") if block.has("bias") else np.zeros(1, dtype=np.int64)
    each = OneToOne(np.ones(int(np.prod(shape)), dtype=np.int8))
    chain.notes.append(f"{block.name}: data times {weight} are its synaptic input")
    chain.add(block, neuron, shape, bias, [Group(each, 0, 0)], hop=0)


def take_flatten(chain: Chain, block: Block) -> None:
    """Values are in (channel, row, column) order already."""
    if chain.input is None:
        raise block.error("is the first layer; put the input before it")
    chain.shape = (int(np.prod(chain.shape)),)


def take_dense(chain: Chain, block: Block) -> None:
    """A matrix and neurons, with or without a second matrix from their spikes of a step ago."""
    if isinstance(block.fields.get("weight"), dict):
        raise block.error("has complex weights (resonate and fire), which cannot be expressed")
    n = int(np.prod(block.shape()))
    weight = block.whole("weight")
    if weight.size == 0 or weight.size % n:
        raise block.damaged(f"has weights of shape {weight.shape} for {n} neurons")
    weight = weight.reshape(n, -1)
    _begin(chain, block, (weight.shape[1],))
    chain.expect(block, weight.shape[1])
    neuron = block.neuron()
    if neuron is None and block.kind != "dense":
        raise block.damaged("has no neuron")
    if neuron is None and (block.index != chain.last or block.has("bias")):
        raise block.error(
            "has no neuron, which only the last layer may lack, and without a bias; give it neurons"
        )
    neuron = neuron or ACCUMULATE
    each = delays(block, *weight.shape)
    found = groups(block, weight, each, neuron.exponent, Dense)
    chain.add(block, neuron, (n,), _bias(block, (n,)), found)
    if block.kind == "dense_rec":
        if np.any(each):
            raise block.error(
                "is recurrent and has delays, which lava-dl's netx gives no meaning; "
                "train it without"
            )
        again = block.whole("weight_rec")
        if again.size != n * n:
            raise block.damaged(f"has recurrent weights of shape {again.shape} for {n} neurons")
        none = np.zeros((1, 1), dtype=np.int64)
        loop = groups(block, again.reshape(n, n), none, neuron.exponent, Dense)
        chain.connect(block.name, "s", block.name, loop, 1)


def take_conv(chain: Chain, block: Block) -> None:
    """A convolution (a cross-correlation, as in PyTorch) and neurons."""
    weight = block.whole("weight")
    kernel: tuple[int, ...] = weight.shape[:4]
    if len(kernel) < 4 or weight.size == 0 or weight.size != int(np.prod(kernel)):
        raise block.damaged(f"has weights of shape {weight.shape}, not a kernel's")
    weight = weight.reshape(kernel)
    _begin(chain, block, None)
    channels = chain.spatial(block)[0]
    count = block.scalar("groups") if block.has("groups") else 1
    if count < 1 or channels != kernel[1] * count or kernel[0] % count:
        raise block.error(
            f"has weights of shape {weight.shape} in {count} groups for {channels} channels; "
            "they do not fit"
        )
    _kernel(chain, block, weight, count)


def take_pool(chain: Chain, block: Block) -> None:
    """lava-dl's pool adds up; it joins channels and rows, so that only plain tiles are right.

    lava-dl pads a size that the kernel does not divide with the remainder, below and right.
    """
    weight = block.whole("weight")
    kernel = block.pair("kernelSize", 0)
    if min(kernel) < 1 or weight.size != kernel[0] * kernel[1]:
        raise block.damaged(f"has weights of shape {weight.shape} for the kernel {kernel}")
    _begin(chain, block, None)
    channels, rows, columns = chain.spatial(block)
    extra = rows % kernel[0], columns % kernel[1]
    if (
        block.pair("stride", 0) != kernel
        or block.pair("padding", 0) != (0, 0)
        or block.pair("dilation", 1) != (1, 1)
        or (rows + extra[0]) % kernel[0]
    ):
        raise block.error(
            "does not tile its input, and lava-dl's pooling then runs from one channel into "
            "the next; use a stride equal to the kernel and a size it divides"
        )
    shared = weight.reshape(1, 1, *kernel)
    _kernel(chain, block, np.repeat(shared, channels, axis=0), channels, extra)


def take_average(chain: Chain, block: Block) -> None:
    """Mean of equal parts of the neurons' spikes: what a classifier reads."""
    n, total = int(np.prod(block.shape())), int(np.prod(chain.shape))
    spiking = bool(chain.layers) and chain.layers[-1].model.main_output.is_spike
    if not spiking or block.index < chain.last:
        raise block.error("averages in the middle of the network or without spikes; put it last")
    if total % n:
        raise block.error(f"averages {total} neurons in {n} groups, which is not whole")
    # A pool over the neurons of a group, which keeps one weight a neuron.
    sums = Convolution(np.ones((n, 1, 1, total // n), dtype=np.int8), (n, 1, total // n), groups=n)
    params = {"bias": np.zeros(n, dtype=np.int32)}
    layer = Layer(block.name, MODELS["readout"], (n,), params, {"y": n / total})
    chain.layers.append(layer)
    chain.connect(chain.here, chain.port, block.name, [Group(sums, 0, 0)], 0)
    chain.here, chain.port, chain.shape = block.name, "y", (n,)
    chain.ends = True


def _kernel(
    chain: Chain, block: Block, weight: Whole, count: int, extra: tuple[int, int] = (0, 0)
) -> None:
    """A convolution; extra: rows below and columns to the right, beside the padding."""
    neuron = block.neuron()
    if neuron is None:
        raise block.damaged("has no neuron")
    stride, dilation = block.pair("stride", 1), block.pair("dilation", 1)
    padding = block.pair("padding", 0)
    if min(*stride, *dilation) < 1 or min(padding) < 0 or max(padding) > MAX_NODE:
        raise block.damaged(f"has stride {stride}, dilation {dilation}, padding {padding}")
    whole = Convolution(
        weight,
        chain.spatial(block),
        stride,
        ((padding[0], padding[0] + extra[0]), (padding[1], padding[1] + extra[1])),
        dilation,
        count,
    )
    if whole.output_shape != block.shape():
        raise block.error(
            f"has shape {block.shape()}, and its kernel over {chain.shape} gives "
            f"{whole.output_shape}; they must agree"
        )
    found = groups(
        block,
        weight,
        delays(block, weight.shape[0])[..., None, None],
        neuron.exponent,
        lambda mantissa: Convolution(
            mantissa, whole.input_shape, stride, whole.padding, dilation, count
        ),
    )
    bias = _bias(block, whole.output_shape)
    chain.add(block, neuron, whole.output_shape, bias, found)


def _begin(chain: Chain, block: Block, shape: tuple[int, ...] | None) -> None:
    """A file whose first block has weights."""
    if chain.input is not None:
        return
    shape = chain.options.input_shape or shape
    if shape is None:
        raise block.error(
            "is first, and the file does not say its input; "
            "give input_shape=(channels, rows, columns)"
        )
    chain.start(shape, chain.options.input_bits, signed=False, unit=1.0)


def _bias(block: Block, shape: tuple[int, ...]) -> Whole:
    """One for all, one for each channel, or one for each neuron; netx's is (x, y, channel)."""
    if not block.has("bias"):
        return np.zeros(1, dtype=np.int64)
    bias = block.whole("bias")
    if len(shape) == 3 and bias.shape == shape[::-1]:
        return bias.transpose(2, 1, 0).ravel()
    if bias.size not in (1, shape[0]):
        raise block.damaged(f"has a bias of shape {bias.shape} for neurons of shape {shape}")
    return bias.ravel()


TAKE: Mapping[str, Callable[[Chain, Block], None]] = {
    "input": take_input,
    "conv": take_conv,
    "pool": take_pool,
    "dense": take_dense,
    "dense_rec": take_dense,
    "flatten": take_flatten,
    "average": take_average,
}
"""Type in the file -> what it adds."""
