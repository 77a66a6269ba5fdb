"""Networks of integers for any widths of weights, layer by layer, without quantising each anew.

The quantiser looks at every layer by itself, fed by floats, so a layer's integers depend on its
own width alone, and on the steps of the graded messages that it hears. One quantisation for each
width is enough, then, and a network of mixed widths is put together from them. Where a layer hears
graded messages in other steps than it was made for, the network is quantised as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from snn2hw.analysis.mixed import message_unit
from snn2hw.graph import FixedPointNetwork

Widths: TypeAlias = tuple[int, ...]
"""Bits of the weights into each layer, in the order of ``Assembler.layers``."""

Maker: TypeAlias = Callable[[Mapping[str, int]], FixedPointNetwork]
"""Layer -> bits to the network, all layers that have weights given."""


class Assembler:
    """Makes networks of given widths; keeps what it made of equal widths."""

    def __init__(self, make: Maker, layers: tuple[str, ...]) -> None:
        """make: quantises; layers: names of those with weights."""
        self.layers = layers
        self._make = make
        self._equal: dict[int, FixedPointNetwork] = {}

    def bits(self, widths: Widths) -> dict[str, int]:
        """Layer -> bits."""
        return dict(zip(self.layers, widths, strict=True))

    def network(self, widths: Widths) -> FixedPointNetwork:
        """The network whose weights have these widths."""
        bits = self.bits(widths)
        for width in sorted(set(widths), reverse=True):
            if width not in self._equal:
                self._equal[width] = self._make(dict.fromkeys(self.layers, width))
        if len(set(widths)) == 1:
            return self._equal[widths[0]]
        first = self._equal[widths[0]]
        if self._steps_differ(first, bits):
            return self._make(bits)
        # Layers without weights are the same whatever the widths.
        parts = {name: self._equal[width] for name, width in bits.items()}
        return replace(
            first,
            layers=tuple(parts.get(a.name, first).layer(a.name) for a in first.layers),
            synapses=tuple(
                next(s for s in parts[group.target].synapses if s.name == group.name)
                for group in first.synapses
            ),
            notes=(),
        )

    def _steps_differ(self, net: FixedPointNetwork, bits: Mapping[str, int]) -> bool:
        """Whether a layer would hear graded messages in other steps than it was made for."""
        for group in net.synapses:
            if group.source not in bits:
                continue
            if net.layer(group.source).model.output(group.source_port).is_spike:
                continue
            sent, heard = (
                message_unit(self._equal[bits[name]].layer(group.source), group.source_port)
                for name in (group.source, group.target)
            )
            if sent != heard:
                return True
        return False


def weight_bytes(net: FixedPointNetwork) -> int:
    """Bytes that the weights take, packed: each group by itself, weights of zero included.

    A convolution's weights count once.
    """
    return sum(-(-group.mantissa.size * group.bits // 8) for group in net.synapses)
