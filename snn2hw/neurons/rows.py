"""Scales and exponents where a neuron multiplies each of its sums by a gain of its own.

GPN and Ponghiran and Roy's neurons undo, in every row, the scale of its weights: a sum of 1 into a
port of a neuron is worth the row's scale. Groups of synapses that meet in a port share that scale,
and each has its own exponent e, so that the step of its weights in row r is ``scale_r 2^e``. Where
sources of different unit meet, such as data in steps of 0.03 and spikes of 1, the exponents are
what their largest steps differ by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snn2hw.neurons.base import (
    WEIGHT_BITS,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    FloatArray,
    Incoming,
    by_neuron,
)

SUM_MAX = 1 << 28
"""Most that groups which meet in a port may add up to for the sake of finer weights: Lava holds the
sums of all ports of a layer, doubled, in 32 bits."""


def row_scales(
    incoming: Sequence[Incoming], exponents: Mapping[str, int], n: int
) -> dict[str, FloatArray]:
    """Port -> the scale of each row, (n,), with which no group exceeds its mantissas; real value of
    a sum of 1. Ports without synapses are left out."""
    scales: dict[str, FloatArray] = {}
    for p in incoming:
        for port, rows in _by_port(p, p.steps(), n):
            own = rows / 2.0 ** exponents[p.name]
            scales[port] = np.maximum(scales[port], own) if port in scales else own
    return scales


def group_exponents(incoming: Sequence[Incoming], n: int) -> dict[str, int]:
    """The exponent of every group. A group that meets no other in a port has that of its bits:
    sums of any width have the magnitude of those of 8 bits, which the gains are made for.

    Where several meet, the steps of the weights of each are at most twice as coarse as its own
    largest row asks for. Exponents are at least 0, so that no sum is rounded, unless sums would
    pass ``SUM_MAX`` or the largest exponent that there is.
    """
    found: dict[str, int] = {}
    for together in _meeting(incoming):
        plain = {p.name: WEIGHT_BITS - p.bits for p in together}
        asked = {p.name: p.exponent for p in together if p.exponent is not None}
        if len(together) > 1:
            apart = _apart(together, plain, n)
            plain = {name: plain[name] + apart[name] for name in plain}
            if asked:
                by = round(float(np.mean([asked[name] - plain[name] for name in asked])))
            else:
                by = _finer(together, plain, n) if any(apart.values()) else 0
            plain = {name: e + by for name, e in plain.items()}
            limits = WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX
            plain = {name: int(np.clip(e, *limits)) for name, e in plain.items()}
        found |= plain | asked
    return found


def _apart(together: Sequence[Incoming], plain: Mapping[str, int], n: int) -> dict[str, int]:
    """Powers of two by which the largest step of each group is below that of the largest group in
    the same port, on average over its ports."""
    largest: dict[str, dict[str, float]] = {}
    for p in together:
        for port, rows in _by_port(p, p.steps() / 2.0 ** plain[p.name], n):
            largest.setdefault(port, {})[p.name] = float(rows.max(initial=0.0))
    found = {}
    for p in together:
        shares = [
            steps[p.name] / max(steps.values()) for steps in largest.values() if steps.get(p.name)
        ]
        found[p.name] = round(float(np.mean(np.log2(shares)))) if shares else 0
    return found


def _finer(together: Sequence[Incoming], exponents: Mapping[str, int], n: int) -> int:
    """What to add to all exponents, for the finest of them to be 0."""
    scales = row_scales(together, exponents, n)
    sums = {port: np.zeros(n) for port in scales}
    for p in together:
        whole = np.abs(p.weight.reshape(p.weight.shape[0], -1)).sum(axis=1)
        for port, rows in _by_port(p, whole * p.message_unit * p.message_max, n):
            scale = scales[port]
            sums[port] += np.divide(rows, scale, out=np.zeros(n), where=scale > 0)
    reached = max((float(values.max(initial=0.0)) for values in sums.values()), default=0.0)
    room = int(np.floor(np.log2(SUM_MAX / reached))) if reached > 0 else 0
    most = min(room, WEIGHT_EXPONENT_MAX - max(exponents.values()))
    return max(0, min(-min(exponents.values()), most))


def _meeting(incoming: Sequence[Incoming]) -> list[list[Incoming]]:
    """Groups divided into those that share ports, at first or second hand."""
    found: list[list[Incoming]] = []
    for p in incoming:
        near = [
            other
            for other in found
            if any(set(p.target_ports) & set(known.target_ports) for known in other)
        ]
        found = [other for other in found if other not in near]
        found.append([*(known for other in near for known in other), p])
    return found


def _by_port(p: Incoming, rows: FloatArray, n: int) -> Iterator[tuple[str, FloatArray]]:
    """Values of the rows of a group's weights as those of the n neurons of each port."""
    size = n * len(p.target_ports)
    whole = by_neuron(rows, size) if rows.size < size else rows
    for k, port in enumerate(p.target_ports):
        yield port, whole[k * n : (k + 1) * n]
