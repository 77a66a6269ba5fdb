"""to_netx: a fixed-point network as a ``.net`` file that lava-dl's netx loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from snn2hw.converters.netx.blocks import NO_THRESHOLD, Whole
from snn2hw.converters.netx.fit import ALIGN, bias_of
from snn2hw.converters.netx.weights import MAX_NETX_DELAY
from snn2hw.errors import GraphError, TargetError
from snn2hw.files import atomic
from snn2hw.graph import FixedPointNetwork, Layer, Synapse
from snn2hw.linear import Convolution, OneToOne

MAX_DENSE = 1 << 28
"""Most weights of a one-to-one projection that is written out as a matrix."""


@dataclass(frozen=True)
class _Link:
    """A layer of the chain with the synapses into it, from before and from itself."""

    layer: Layer
    forward: tuple[Synapse, ...]
    recurrent: tuple[Synapse, ...]

    def error(self, what: str) -> TargetError:
        return TargetError(f"layer {self.layer.name!r} {what}")


def to_netx(net: FixedPointNetwork, path: str | Path) -> None:
    """Write a chain of LIF layers (the last may be an integrator); whole or not at all.

    ``lava.lib.dl.netx.hdf5.Network(path)`` of lava-dl 0.6.0 then gives the same spikes, one step
    later at each layer. If a layer has a bias, load it with ``reset_interval=`` steps of a sample
    and ``reset_offset=1``, so that no layer runs ahead on its bias before its data arrive; if the
    input is graded, with ``input_message_bits=``. netx takes data as (columns, rows, channels).

    Only what a file holds exactly is written: whole weights of -256..254 (even ones, or up to 127
    in a dense layer), biases in steps of 64, one threshold and decay a layer, delays of dense
    layers up to 62. ``fit_netx`` rounds a network to that.

    Raises GraphError for a network that is no chain, TargetError for numbers that netx cannot hold
    (both name the layer), DataError for a folder that cannot be written to.
    """
    chain = _chain(net)
    last = len(chain) - 1
    with atomic(path) as part, h5py.File(part, "w") as file:
        blocks = file.create_group("layer")
        file["simulation/Ts"] = 1
        if _is_input_block(net, chain[0]):
            _write_input_block(_new(blocks, "input"), net, chain.pop(0))
            last -= 1
        else:
            first = chain[0].forward[0].map
            shape = first.input_shape if isinstance(first, Convolution) else net.input.shape
            _new(blocks, "input")["shape"] = _three(shape)
        for k, link in enumerate(chain):
            if isinstance(link.forward[0].map, Convolution):
                _write_conv(_new(blocks, "conv"), link)
            else:
                if k and isinstance(chain[k - 1].forward[0].map, Convolution):
                    _new(blocks, "flatten")["shape"] = _three((chain[k - 1].layer.n,))
                kind = "dense_rec" if link.recurrent else "dense"
                _write_dense(_new(blocks, kind), link)
            _write_neuron(blocks[str(len(blocks) - 1)], link, k == last)


def _chain(net: FixedPointNetwork) -> list[_Link]:
    """The layers in order. Raises GraphError where they do not form a chain."""
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise GraphError(
            f"netx holds one input and one output, not {len(net.inputs)} and {len(net.outputs)}; "
            "split the network"
        )
    chain: list[_Link] = []
    before = net.input.name
    left = {layer.name: layer for layer in net.layers}
    while left:
        after = [n for n in left if any(s.source == before for s in net.into(n))]
        if len(after) != 1:
            raise GraphError(
                f"netx holds a chain of layers, and {before!r} feeds {len(after)} further ones"
                f"{': ' if after else ''}{', '.join(after)}; split the network"
            )
        layer = left.pop(after[0])
        groups = net.into(layer.name)
        forward = tuple(s for s in groups if s.source == before)
        recurrent = tuple(s for s in groups if s.source == layer.name)
        if len(forward) + len(recurrent) != len(groups):
            odd = next(s for s in groups if s.source not in (before, layer.name))
            raise GraphError(
                f"netx holds a chain of layers, and {odd.source!r} feeds {layer.name!r} past "
                "what lies between; split the network"
            )
        chain.append(_Link(layer, forward, recurrent))
        before = layer.name
    if net.outputs[0].source != before:
        raise GraphError(
            f"netx's output is its last layer, {before!r}, and the network's is "
            f"{net.outputs[0].source!r}; remove what follows it"
        )
    return chain


def _is_input_block(net: FixedPointNetwork, link: _Link) -> bool:
    """Real values into neurons one to one, as ``from_netx`` reads an input block."""
    if len(link.forward) != 1 or not net.input.signed or link.recurrent:
        return False
    group = link.forward[0]
    plain = isinstance(group.map, OneToOne) and bool(np.all(group.mantissa == 1))
    return plain and (group.exponent, group.delay) == (0, 0)


def _write_input_block(block: h5py.Group, net: FixedPointNetwork, link: _Link) -> None:
    weight = 1 / net.input.unit
    bias = np.unique(_bias(link))
    if bias.size != 1 or not np.isclose(weight, np.rint(weight)):
        raise link.error("is an input with several biases or a fractional weight; netx has one")
    if np.any(link.layer.params["decay_u"] != 1 << 12):
        # netx puts data into the bias, which does not pass through the current.
        raise link.error("is an input whose current has a memory; netx's has none")
    block["shape"] = _three(link.layer.shape)
    block["weight"], block["bias"] = int(np.rint(weight)), int(bias[0])
    _write_neuron(block, link, is_last=False)


def _write_dense(block: h5py.Group, link: _Link) -> None:
    weight, delays = _whole_weights(link, link.forward)
    parts = [weight]
    if link.recurrent:
        again, loop = _whole_weights(link, link.recurrent)
        if np.any(delays) or np.any(loop[again != 0] != 1):
            raise link.error("is recurrent, where netx holds no delays; remove them")
        parts.append(again)
        block["weight_rec"] = again
    _check_dense(link, parts)
    block["shape"] = _three(link.layer.shape)
    block["inFeatures"], block["outFeatures"] = weight.shape[1], weight.shape[0]
    block["weight"] = weight
    if np.any(delays):
        if delays.max() > MAX_NETX_DELAY:
            raise link.error(f"has a delay of {delays.max()} steps and netx takes {MAX_NETX_DELAY}")
        block["delay"] = delays
    bias = _bias(link)
    if np.any(bias):
        block["bias"] = bias


def _write_conv(block: h5py.Group, link: _Link) -> None:
    weight, delays = _whole_weights(link, link.forward)
    first = link.forward[0].map
    if not isinstance(first, Convolution):
        raise link.error("mixes convolutions with other synapses; netx holds one kind")
    (above, below), (left, right) = first.padding
    if above != below or left != right:
        raise link.error(f"has the padding {first.padding}; netx's is the same on both sides")
    if link.recurrent or np.any(delays):
        raise link.error("is a convolution with delays or recurrent synapses, which netx drops")
    if np.any(weight % 2):
        raise link.error("has odd weights, which Loihi's convolution cannot hold; see fit_netx")
    if weight.min() < -256 or weight.max() > 254:
        raise link.error(f"has weights {weight.min()}..{weight.max()}; netx takes -256..254")
    block["shape"] = first.output_shape
    block["inChannels"], block["outChannels"] = first.input_shape[0], weight.shape[0]
    block["kernelSize"] = weight.shape[2:]
    block["stride"], block["dilation"] = first.stride, first.dilation
    block["padding"], block["groups"] = (above, left), first.groups
    block["weight"] = weight
    bias = _bias(link)
    if np.any(bias):
        by_channel = bias.reshape(first.output_shape)
        shared = bool(np.all(by_channel == by_channel[:, :1, :1]))
        # A bias of the neurons is (columns, rows, channels) in netx.
        block["bias"] = by_channel[:, 0, 0] if shared else by_channel.transpose(2, 1, 0)


def _write_neuron(block: h5py.Group, link: _Link, is_last: bool) -> None:
    layer = link.layer
    if layer.model.name not in ("lif", "integrator"):
        raise link.error(f"has neurons {layer.model.name!r}; netx holds 'lif' and 'integrator'")
    if layer.model.name == "integrator" and not is_last:
        raise link.error("is an integrator in the middle; netx's layers send spikes")
    threshold = NO_THRESHOLD
    if layer.model.name == "lif":
        threshold = _one(link, "threshold")
    group = block.create_group("neuron")
    group["type"] = "CUBA"
    group["iDecay"], group["vDecay"] = _one(link, "decay_u"), _one(link, "decay_v")
    group["vThMant"], group["refDelay"], group["gradedSpike"] = threshold, 1, False


def _whole_weights(link: _Link, groups: Sequence[Synapse]) -> tuple[Whole, Whole]:
    """The sum of some groups as whole weights, and the delay of each weight."""
    kernel = isinstance(groups[0].map, Convolution)
    for s in groups:
        if isinstance(s.map, Convolution) != kernel or (
            isinstance(s.map, Convolution) and not _alike(s.map, groups[0].map)
        ):
            raise link.error("has synapses of several kinds from one source; netx holds one kind")
        if isinstance(s.map, OneToOne) and s.map.n_in**2 > MAX_DENSE:
            raise link.error("has one-to-one synapses, which netx does not know, and too many")
    weight = delays = np.zeros(0, dtype=np.int64)
    for k, s in enumerate(groups):
        mantissa = s.mantissa if kernel else s.map.dense()
        scaled = mantissa.astype(np.int64) << max(s.exponent, 0)
        if np.any(scaled % (1 << max(-s.exponent, 0))):
            raise link.error(
                f"has weights with the exponent {s.exponent}, fractions in netx; see fit_netx"
            )
        scaled >>= max(-s.exponent, 0)
        late = np.where(scaled != 0, s.delay, 0)
        if k == 0:
            weight, delays = scaled, late
            continue
        both = (weight != 0) & (scaled != 0)
        if np.any(delays[both] != late[both]):
            raise link.error("has two delays on one synapse, and netx holds one")
        weight, delays = weight + scaled, np.maximum(delays, late)
    return weight, delays


def _alike(one: Convolution, other: object) -> bool:
    return isinstance(other, Convolution) and all(
        getattr(one, name) == getattr(other, name)
        for name in ("input_shape", "stride", "padding", "dilation", "groups", "output_shape")
    )


def _check_dense(link: _Link, parts: Sequence[Whole]) -> None:
    """What lava-dl 0.6.0 loads unchanged (found by trying: tests/test_netx_lava.py).

    It looks at forward and recurrent weights together for the exponent, and at each alone for the
    sign, so weights without a positive one among them lose bits.
    """
    low, high = (int(part) for part in (min(map(np.min, parts)), max(map(np.max, parts))))
    if low < -256 or high > 254:
        raise link.error(f"has weights {low}..{high}; netx takes -256..254, see fit_netx")
    if high <= 0:
        raise link.error(
            "has no weight above zero, which lava-dl 0.6.0 reads wrongly; leave the layer out"
        )
    if (high > 127 or low < -128) and any(np.any(part % 2) for part in parts):
        raise link.error("has odd weights beside some above 127; see fit_netx")
    scale = min(127 / high, -128 / low if low < 0 else np.inf)
    shift = int(np.floor(np.log2(scale))) + 1
    for part in parts:
        if part.max(initial=0) <= 0 and -int(part.min(initial=0)) << shift > 255:
            raise link.error(
                "has recurrent weights without a positive one, which lava-dl 0.6.0 limits; "
                "make the most negative one smaller"
            )


def _bias(link: _Link) -> Whole:
    """The bias of each neuron in netx's steps."""
    bias = bias_of(link.layer).astype(np.int64)
    if np.any(bias % (1 << ALIGN)) or np.any(np.abs(bias >> ALIGN) > 4095):
        raise link.error(f"has biases that are not multiples of 64 up to {4095 * 64}; see fit_netx")
    return bias >> ALIGN


def _one(link: _Link, name: str) -> int:
    values = np.unique(link.layer.params[name])
    if values.size != 1:
        raise link.error(
            f"has {values.size} values of {name}, and a layer of netx has one; make them equal"
        )
    return int(values[0])


def _new(blocks: h5py.Group, kind: str) -> h5py.Group:
    block = blocks.create_group(str(len(blocks)))
    # lava-dl's own form: an array of one, ten bytes.
    block.create_dataset("type", (1,), "S10", [kind.encode()])
    return block


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape as lava-dl writes it: channels first, ones behind."""
    return (*shape, 1, 1)[:3] if len(shape) < 3 else shape
