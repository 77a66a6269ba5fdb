"""Whole weights and delays of netx as groups of synapses, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.converters.netx.blocks import Block, Whole
from snn2hw.linear import LinearMap
from snn2hw.neurons.base import WEIGHT_EXPONENT_MAX, WEIGHT_EXPONENT_MIN

MAX_NETX_DELAY = 62
"""Most steps that netx takes; it limits longer delays, we refuse them."""


@dataclass(frozen=True)
class Group:
    """Synapses of one exponent and delay: integer weight = mantissa << exponent."""

    map: LinearMap
    exponent: int
    delay: int


def groups(
    block: Block,
    weight: Whole,
    delays: Whole,
    exponent: int,
    as_map: Callable[[npt.NDArray[np.int8]], LinearMap],
) -> list[Group]:
    """The groups whose sum is exactly ``weight << exponent``, each weight delayed by ``delays``.

    weight: whole numbers of any shape; delays: of a shape that broadcasts to it. A synapse holds 8
    bits with sign, and lava-dl's weights of 9 bits are even as its quantisation leaves them: half
    the weight with an exponent more. Where odd ones are among them, their lowest bit is a group of
    its own. Raises GraphError for weights outside -256..255.
    """
    found = []
    everywhere = np.broadcast_to(delays, weight.shape)
    parts = mantissas(block, weight)
    for delay in np.unique(everywhere):
        at = everywhere == delay
        for part, shift in parts:
            here = np.where(at, part, 0).astype(np.int8)
            total = exponent + shift
            if not WEIGHT_EXPONENT_MIN <= total <= WEIGHT_EXPONENT_MAX:
                raise block.error(
                    f"has the weight exponent {exponent}, beyond what a synapse holds; "
                    "scale the weights in its place"
                )
            if np.any(here):
                found.append(Group(as_map(here), total, int(delay)))
    return found or [Group(as_map(np.zeros(weight.shape, dtype=np.int8)), 0, 0)]


def mantissas(block: Block, weight: Whole) -> list[tuple[Whole, int]]:
    """``weight`` as a sum of mantissas of 8 bits, each with an exponent of 0 or 1."""
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low >= -128 and high <= 127:
        return [(weight, 0)]
    if low < -256 or high > 255:
        raise block.error(
            f"has weights {low}..{high}, and netx takes -256..254; "
            "export it with lava-dl's quantisation on"
        )
    half = weight >> 1
    lowest = weight - 2 * half
    return [(half, 1)] + ([(lowest, 0)] if np.any(lowest) else [])


def delays(block: Block, outputs: int, inputs: int = 0) -> Whole:
    """The block's delays, of a shape that broadcasts to weights (outputs, inputs).

    One delay for each output neuron (or channel) is lava-dl's axonal delay: netx puts it on the
    synapses into that neuron, which shifts the neuron in time just so. One for each input, or for
    each synapse, are netx's own. Raises GraphError for delays beyond 62 steps.
    """
    if not block.has("delay"):
        return np.zeros((1, 1), dtype=np.int64)
    values = block.whole("delay")
    if values.min(initial=0) < 0:
        raise block.damaged("has a negative delay")
    if values.max(initial=0) > MAX_NETX_DELAY:
        raise block.error(
            f"has a delay of {values.max()} steps and netx takes {MAX_NETX_DELAY}; "
            "train with a smaller max_delay"
        )
    if values.size == 1:
        return values.reshape(1, 1)
    if inputs and values.shape == (outputs, inputs):
        return values
    if values.size == outputs:
        return values.reshape(-1, 1)
    if inputs and values.size == inputs:
        return values.reshape(1, -1)
    raise block.damaged(
        f"has delays of shape {values.shape}, which fit neither its {outputs} outputs nor its "
        f"{inputs} inputs"
    )
