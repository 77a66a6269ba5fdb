"""The memories of all PEs: where each region lies, and how arrays get in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from snn2hw.errors import ParameterError, TargetError
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.eprop import gated, leaky, regions
from snn2hw.targets.spinnaker2.eprop.network import Floats, Network
from snn2hw.targets.spinnaker2.eprop.regions import HIDDEN, READOUT, Shape, bytes_by_purpose
from snn2hw.targets.spinnaker2.eprop.rule import Rule
from snn2hw.targets.spinnaker2.eprop.tables import N_CLOCK, N_REAL
from snn2hw.targets.spinnaker2.placement import Demand, Placement, place_demands

Words: TypeAlias = npt.NDArray[Any]
"""float32, int32 (s16.15) or, for tests, float64."""

DTYPES = {"float32": np.float32, "s16.15": np.int32, "float64": np.float64}
UNIT = {"float32": 1.0, "s16.15": 2.0**-15, "float64": 1.0}
"""Value of a word of 1."""

BLOCK = 4
"""Steps that traces take at once where the error comes at the end of the sample (and no rate
regulariser wants e by itself)."""

LINE = 16
"""Words of 4 bytes in a line of the host's cache."""

SYNAPSE_WORK = (10, 7)
"""Operations and memory accesses of a synapse in a step: its current, ``traces.trace``."""

UPDATE_WORK = (16, 7)
"""Of a weight that changes: ``traces.plain_gradient`` and ``traces.adam``, root and quotient."""

NEURON_WORK = (60, 30)
"""Of a neuron, surrogate included: ``leaky.update``."""

READOUT_WORK = (4, 4)
"""Of a synapse of the readout: its current, its filtered spike, its gradient."""

CONSTANTS = (
    "alpha",
    "rho",
    "jump",
    "beta",
    "v_threshold",
    "gain",
    "bias",
    "keep",
    "added",
    "reset",
    "adaptive",
    "start",
)
"""Constants of ``Network`` in the order of ``leaky``'s places."""


TABLE_BYTES = 8 * (regions.N_REGIONS + 2 * len(CONSTANTS) + 4 + N_REAL + N_CLOCK)
"""Of the tables that the kernels are called with, a row of each on every PE: offsets, strides,
parts, numbers of the rule, clock; all are words of 8 bytes here."""


def shape_of(net: Network, rule: Rule) -> Shape:
    """What a network and a rule need of memory."""
    bias = int("input_bias" in net.weights)
    filters = net.kappa != 0 and (rule.error == "step" or rule.rate_strength > 0)
    row, drive, coefficients, sensitive = net.n_in + bias, 1, 1, 0
    varies: tuple[bool, ...] = ()
    if net.gated:
        gate = 2 * net.n + 1
        row += 4 * gate
        sensitive, inputs, raw = row - gate, net.n_in + bias + gate, 0
        drive, coefficients = 5, gated.N_COEFFICIENTS
    else:
        row += net.n * ("recurrent" in net.weights)
        inputs, raw = row, net.n_in
        varies = tuple(bool(np.ptp(net.constants[name]) > 0) for name in CONSTANTS)
        if net.adapts:
            sensitive, coefficients = row, leaky.N_COEFFICIENTS
    return Shape(
        neurons=net.n,
        outputs=net.n_out,
        row=row,
        sensitive=sensitive,
        inputs=inputs,
        each=not net.shares_traces,
        raw=raw,
        drive=drive,
        coefficients=coefficients,
        block=1 if filters or rule.error == "step" else BLOCK,
        adapts=net.adapts,
        filters=filters,
        constants=varies,
        readout_row=net.n + int("output_bias" in net.weights),
        online=rule.update == "step",
        at_end=rule.error == "sample",
        moments=2 * (rule.optimizer == "adam"),
    )


def demands(net: Network, rule: Rule, spec: TargetSpec) -> tuple[Demand, Demand]:
    """What the hidden layer and the readout take of the PEs, from the very regions they get."""
    shape = shape_of(net, rule)
    found = shape.regions()
    size = np.dtype(DTYPES[rule.arithmetic]).itemsize
    tables = {"tables": TABLE_BYTES}

    def cycles(work: tuple[int, int]) -> float:
        operations, accesses = work
        per_access = spec.number("cycles_per_memory_access")
        return operations * spec.number("cycles_per_operation") + accesses * per_access

    update = cycles(UPDATE_WORK) if rule.update == "step" else 0.0
    hidden = Demand(
        layer=net.nodes["neuron"],
        neurons=net.n,
        per_neuron=bytes_by_purpose(found, HIDDEN, True, size),
        per_part=bytes_by_purpose(found, HIDDEN, False, size) | tables,
        cycles_per_neuron=shape.row * (cycles(SYNAPSE_WORK) + update) + cycles(NEURON_WORK),
        cycles_per_part=0.0,
        packets_per_neuron=3.0 if net.gated else 1.0,
        spread=True,
    )
    readout = Demand(
        layer=net.nodes.get("readout", net.nodes["output"]),
        neurons=net.n_out,
        per_neuron=bytes_by_purpose(found, READOUT, True, size),
        per_part=bytes_by_purpose(found, READOUT, False, size) | tables,
        cycles_per_neuron=shape.readout_row * (cycles(READOUT_WORK) + update),
        cycles_per_part=0.0,
        packets_per_neuron=2.0,
        spread=False,
    )
    return hidden, readout


@dataclass
class Memory:
    """Words and counters of all PEs, one behind the other, and the tables that find them.

    at: (PEs, regions) offsets, of int32 regions into ``ints``; parts: (PEs, 4) as ``kernels`` has
    it; strides: (PEs, constants, 2) first word and words per neuron, within the region.
    """

    shape: Shape
    words: Words
    ints: npt.NDArray[np.int32]
    at: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]
    strides: npt.NDArray[np.int64]

    def rows(self, place: int, width: int, readout: bool = False) -> Words:
        """A region of all neurons, (neurons, width), in the order of the layer."""
        count = self.shape.outputs if readout else self.shape.neurons
        found = np.zeros((count, width), dtype=self.words.dtype)
        for first, n, offset in self._spans(place, readout):
            found[first : first + n] = self.words[offset : offset + n * width].reshape(n, width)
        return found

    def put(self, place: int, values: Words, readout: bool = False) -> None:
        """Write such an array back."""
        width = values.shape[1]
        for first, n, offset in self._spans(place, readout):
            self.words[offset : offset + n * width] = values[first : first + n].ravel()

    def _spans(self, place: int, readout: bool) -> list[tuple[int, int, int]]:
        columns = (2, 3) if readout else (0, 1)
        return [
            (int(part[columns[0]]), int(part[columns[1]]), int(row[place]))
            for part, row in zip(self.parts, self.at, strict=True)
            if part[columns[1]]
        ]


def place(net: Network, rule: Rule, spec: TargetSpec, pes: int | None) -> Placement:
    """The placement of a network that learns; what does not fit is in its ``violations``.

    Raises TargetError for more PEs than the chip has.
    """
    if pes is not None and pes > spec.integer("pes"):
        raise TargetError(f"{pes} PEs: {spec.name} has {spec.integer('pes')}; give fewer")
    return place_demands(demands(net, rule, spec), spec, pes, dt_s=net.dt_s)


def lay_out(net: Network, rule: Rule, placement: Placement) -> Memory:
    """Memories of all PEs of a placement, empty but for the constants."""
    shape = shape_of(net, rule)
    found = shape.regions()
    hidden = placement.demands[0].layer
    parts = np.zeros((placement.pes, 4), dtype=np.int64)
    for part in placement.parts:
        first = 0 if part.layer == hidden else 2
        parts[part.pe, first : first + 2] = part.first, part.last - part.first
    at = np.zeros((placement.pes, regions.N_REGIONS), dtype=np.int64)
    filled = {False: 0, True: 0}
    for pe in range(placement.pes):
        # Each memory begins on a line of the host's cache; what lies between two is in neither.
        filled = {kind: -(-count // LINE) * LINE for kind, count in filled.items()}
        for region in found:
            n = parts[pe, 1 if region.layer == HIDDEN else 3]
            at[pe, region.place] = filled[region.integer]
            filled[region.integer] += region.words(int(n))
    memory = Memory(
        shape=shape,
        words=_aligned(filled[False], DTYPES[rule.arithmetic]),
        ints=np.zeros(filled[True], dtype=np.int32),
        at=at,
        parts=parts,
        strides=np.zeros((placement.pes, len(CONSTANTS), 2), dtype=np.int64),
    )
    unit = UNIT[rule.arithmetic]
    if not net.gated:
        _put_constants(memory, net.constants, unit)
    gains = np.stack([net.gain, net.leak])
    for first, n, offset in memory._spans(regions.OCONST, True):
        own = to_words(gains[:, first : first + n], memory.words.dtype, unit)
        memory.words[offset : offset + 2 * n] = own.ravel()
    return memory


def _aligned(count: int, dtype: Any) -> Words:
    """Zeros that begin on a line of the host's cache."""
    size = np.dtype(dtype).itemsize
    raw = np.zeros((count + 2 * LINE) * size, dtype=np.uint8)
    first = -raw.ctypes.data % (LINE * 4)
    return raw[first : first + count * size].view(dtype)


def _put_constants(memory: Memory, constants: Mapping[str, Floats], unit: float) -> None:
    """Constants that all neurons share once, then those that differ, neuron by neuron."""
    for pe, (first, n, _, _) in enumerate(memory.parts):
        place = 0
        for varying in (False, True):
            for k, name in enumerate(CONSTANTS):
                if memory.shape.constants[k] == varying:
                    own = constants[name][first : first + n] if varying else constants[name][:1]
                    memory.strides[pe, k] = place, varying
                    if n:
                        offset = memory.at[pe, regions.CONST] + place
                        values = to_words(own, memory.words.dtype, unit)
                        memory.words[offset : offset + own.size] = values
                    place += n if varying else 1
        if n:
            wait = memory.at[pe, regions.WAIT]
            memory.ints[wait + n : wait + 2 * n] = constants["refractory"][first : first + n]


def to_words(values: Any, dtype: Any, unit: float) -> Words:
    """Real numbers as words, without a copy where they are that already; s16.15 rounds to the
    nearest. Raises ParameterError for numbers that it cannot hold."""
    if np.dtype(dtype).kind != "i":
        return np.ascontiguousarray(values, dtype=dtype)
    scaled = np.asarray(values, dtype=np.float64) / unit
    largest = float(np.abs(scaled).max(initial=0.0))
    if largest > np.iinfo(np.int32).max:
        raise ParameterError(
            f"{largest * unit:g} does not fit s16.15, which ends at {2.0**31 * unit:g}; "
            "scale the network's weights or the data down"
        )
    return np.rint(scaled).astype(dtype)
