"""Synapse groups of many networks joined into as few Lava processes as possible.

Which process of Lava holds a group (lava-nc 0.10.0, read and measured):

- ``Dense``, ``DelayDense``, ``Sparse`` and ``DelaySparse`` keep mixed-sign weights as even numbers,
  so they get twice the mantissa and one exponent less. They shift the whole sum, a negative one
  towards minus infinity: our ``mantissa << exponent``.
- ``Conv`` takes the mantissas as they are, ignores ``weight_exp`` and knows no delay (our subclass
  has both), and wraps its sum at 24 bits, which the others do not. A convolution whose sum could
  reach that far is therefore written out as ``Sparse``.
- ``OneToOne``, and matrices of little else than zeros, are ``Sparse``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.graph import FixedPointNetwork, InputFormat, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, largest_sums
from snn2hw.targets.lava.geometry import entries, lava_convolution

SPARSE_SIZE = 1 << 14
SPARSE_SHARE = 20
"""A matrix of at least so many weights, of which at most one in so many is not zero, is sparse."""

CONV_BITS = 24
"""Lava's ``Conv`` wraps its sum at this width."""


@dataclass
class Joined:
    """Synapse groups that one process of Lava holds.

    source: a merged layer, or -1 - k for input k; group: of the target's sets of ports; shape:
    (outputs, inputs); parts: each map, the neurons of its target, the first one of these among the
    merged ones, and its first column.
    """

    kind: str
    source: int
    output: int
    target: int
    group: int
    exponent: int
    chip_delay: int
    message_bits: int
    shape: tuple[int, int]
    parts: list[tuple[LinearMap, int, int, int]] = field(default_factory=list)

    @property
    def convolution(self) -> Convolution | None:
        """What Lava's ``Conv`` holds, if it does."""
        link = self.parts[0][0] if self.parts else None
        return link if self.kind == "conv" and isinstance(link, Convolution) else None

    def described(self) -> dict[str, Any]:
        """For job.json."""
        names = ("kind", "source", "output", "target", "group", "exponent", "chip_delay")
        job = {name: getattr(self, name) for name in (*names, "message_bits", "shape")}
        if self.convolution is not None:
            job |= lava_convolution(self.convolution).described()
        return job

    def arrays(self, neurons: int) -> dict[str, npt.NDArray[Any]]:
        """For arrays.npz; neurons: of the merged target, whose ports follow each other.

        conv: "weights" as Lava's ``Conv`` takes them; dense: "weights", the matrix; sparse:
        "weights", their values, and "at", output and input of each (2, values).
        """
        if self.convolution is not None:
            return {"weights": lava_convolution(self.convolution).weight}
        if self.kind == "dense":
            return {"weights": self._matrix(neurons)}
        values: list[npt.NDArray[Any]] = [np.zeros(0, dtype=np.int8)]
        at = [np.zeros((2, 0), dtype=np.int64)]
        for link, n, first, column in self.parts:
            rows, columns, weights = entries(link)
            values.append(weights)
            at.append(np.stack([rows // n * neurons + first + rows % n, columns + column]))
        return {"weights": np.concatenate(values), "at": np.concatenate(at, axis=1)}

    def _matrix(self, neurons: int) -> npt.NDArray[np.int8]:
        matrix = np.zeros(self.shape, dtype=np.int8)
        for link, n, first, column in self.parts:
            for port in range(link.n_out // n):
                row = port * neurons + first
                part = link.dense()[port * n : (port + 1) * n]
                matrix[row : row + n, column : column + link.n_in] = part
        return matrix


class Joiner:
    """Collects synapse groups; those of equal ends, exponent and delay share a process.

    Two groups into the same neurons stay apart: each sum is rounded by itself (``floor``).
    groups: for each merged layer the sets of its ports that synapses end at, in order.
    """

    def __init__(self, sizes: Sequence[int], widths: Sequence[int]) -> None:
        """sizes: neurons of each merged layer; widths: channels of each merged input."""
        self.sizes, self.widths = sizes, widths
        self.groups: list[list[tuple[str, ...]]] = [[] for _ in sizes]
        self.joined: list[Joined] = []
        self._index: dict[tuple[Any, ...], Joined] = {}
        self._taken: dict[tuple[Any, ...], int] = {}

    def add(
        self,
        net: FixedPointNetwork,
        s: Synapse,
        source: tuple[int, int],
        target: tuple[int, int],
        owner: int,
    ) -> None:
        """Add one group of a network (number ``owner``).

        source: merged layer or -1 - input, and the first column there; target: merged layer and
        the first neuron there.
        """
        kind = kind_of(net, s)
        output, bits = _message(net, s)
        group = self.group(target[0], s.target_ports)
        ends = (kind, source[0], output, target[0], group, s.exponent, s.chip_delay, bits)
        copy = self._taken.get((owner, target[1], *ends), 0)
        self._taken[(owner, target[1], *ends)] = copy + 1
        if (*ends, copy) not in self._index:
            width = self.sizes[source[0]] if source[0] >= 0 else self.widths[-1 - source[0]]
            shape = (len(s.target_ports) * self.sizes[target[0]], width)
            self._index[(*ends, copy)] = Joined(*ends, shape)
            self.joined.append(self._index[(*ends, copy)])
        n = net.layer(s.target).n
        self._index[(*ends, copy)].parts.append((s.map, n, target[1], source[1]))

    def group(self, layer: int, ports: Sequence[str]) -> int:
        """Number of a merged layer's set of ports, new or known."""
        known = self.groups[layer]
        if tuple(ports) not in known:
            known.append(tuple(ports))
        return known.index(tuple(ports))

    def reach_all(self, first_ports: Sequence[str]) -> None:
        """Connect what no input reaches to the first input by synapses without weights.

        Lava runs only what hangs together. first_ports: a port of each merged layer.
        """
        unreached = set(range(len(self.sizes)))
        while True:
            reached = {-1}
            grown = True
            while grown:
                ends = [{j.source, j.target} for j in self.joined]
                met = reached.union(*(e for e in ends if e & reached))
                grown, reached = met != reached, met
            unreached -= reached
            if not unreached:
                return
            layer = min(unreached)
            known = self.groups[layer]
            group = self.group(layer, known[0] if known else (first_ports[layer],))
            rows = len(self.groups[layer][group]) * self.sizes[layer]
            shape = (rows, self.widths[0])
            self.joined.append(Joined("sparse", -1, 0, layer, group, 0, 1, 0, shape))


def kind_of(net: FixedPointNetwork, s: Synapse) -> str:
    """Lava's process for a group: "dense", "sparse" or "conv"."""
    link = s.map
    if isinstance(link, Convolution):
        held = 2.0 ** (CONV_BITS - 1) - 1
        return "conv" if largest(net, s) <= held and largest(net, s, 0) < 2**31 else "sparse"
    if isinstance(link, Dense):
        weights = int(np.count_nonzero(link.weight))
        many = link.weight.size >= SPARSE_SIZE
        return "sparse" if many and weights * SPARSE_SHARE <= link.weight.size else "dense"
    return "sparse"


def largest(net: FixedPointNetwork, s: Synapse, exponent: int | None = None) -> float:
    """Bound of what one group sends to one neuron; exponent: another one than its own."""
    sums = largest_sums(s.map, net.message_range(s.source, s.source_port)).max(initial=0.0)
    shift = s.exponent if exponent is None else exponent
    # floor(-1 / 2) is -1: a shift to the right does not lessen a bound below 1.
    return float(np.ceil(sums * 2.0**shift))


def _message(net: FixedPointNetwork, s: Synapse) -> tuple[int, int]:
    """Which output of its source a group hears, and the bits of its messages (0: spikes)."""
    for node in net.inputs:
        if node.name == s.source:
            return 0, _input_bits(node)
    outputs = net.layer(s.source).model.outputs
    output = [o.name for o in outputs].index(s.source_port)
    return output, 0 if outputs[output].is_spike else outputs[output].bits


def _input_bits(node: InputFormat) -> int:
    return 0 if node.bits == 1 and not node.signed else node.bits
