"""What a neuron model is: its ports, states and widths, and its step, written once.

A model is described twice, as a float neuron (what the trained network means) and as an integer
neuron (what the chip computes), and says how the one becomes the other. Everything else in snn2hw
(simulator, Lava process, storage, energy) works from this description, so a new neuron is one new
file in this folder and a line in ``snn2hw/neurons/__init__.py``.

This package needs NumPy alone: the Lava worker imports it inside another interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

WEIGHT_BITS = 8
WEIGHT_LIMIT = 127
"""Largest weight mantissa: Loihi's mixed-sign weights are even values up to 254, kept halved."""

SCALES = ("neuron", "layer")
"""What shares a step of the weights."""

ROUNDINGS = ("nearest", "compensated")
"""How weights become mantissas: each by itself, or each making up for those before it."""

MESSAGE_BITS = 12
"""Graded messages between layers, sign included: enough fraction, and sums of them fit 32 bits."""

HEADROOM = 2.0
"""Registers and messages hold twice what calibration saw."""

THRESHOLD_FRACTION = 3
"""Bits below a weight's last one that a threshold keeps, where there is a choice."""

WEIGHT_EXPONENT_MAX = 8
WEIGHT_EXPONENT_MIN = -7
"""Lava's ``weight_exp``, our exponent minus 1, has 4 bits."""


@dataclass(frozen=True)
class State:
    """A register that keeps its value from step to step; zero at the start of every sample."""

    name: str
    bits: int
    doc: str


@dataclass(frozen=True)
class Param:
    """An integer constant, one per neuron, with the range that the chip's register holds."""

    name: str
    low: int
    high: int
    doc: str


@dataclass(frozen=True)
class Output:
    """What leaves the neuron each step. A spike has 1 bit, a graded message ``bits``, with sign."""

    name: str
    bits: int
    doc: str

    @property
    def is_spike(self) -> bool:
        """Whether the message is a plain spike."""
        return self.bits == 1


@dataclass(frozen=True)
class PortMap:
    """A matrix inside a layer, from one of its input ports to others, within the same time step.

    GPN's gates see the layer's own input current through one. ``fold`` multiplies it into the
    matrices that arrive at ``source``; the integer network has none.

    weight: float64, shape (len(targets) * n, n), rows port by port.
    """

    source: str
    targets: tuple[str, ...]
    weight: FloatArray


@dataclass(frozen=True)
class Recurrence:
    """A matrix from an output port of a layer to input ports of the same layer, one step later.

    weight: float64, shape (len(target_ports) * n, n), rows port by port.
    """

    source_port: str
    target_ports: tuple[str, ...]
    weight: FloatArray


@dataclass(frozen=True)
class Lowered:
    """A NIR node in discrete time: float parameters per neuron, and the matrices it brings along.

    params: name -> float64 array of shape (n,) or (1,); model: name of the neuron model where it is
    not the one that lowered the node.
    """

    params: Mapping[str, FloatArray]
    port_maps: tuple[PortMap, ...] = ()
    recurrences: tuple[Recurrence, ...] = ()
    model: str = ""


@dataclass(frozen=True)
class Incoming:
    """A projection as the quantiser of its target neuron sees it.

    weight: float64, real value per real unit of message, of the shape of the projection's map
    (dense: (len(target_ports) * n, n_source)); message_unit: real value of a message of 1;
    message_max: largest absolute integer message.
    """

    name: str
    target_ports: tuple[str, ...]
    weight: FloatArray
    message_unit: float
    message_max: int


@dataclass(frozen=True)
class IntegerWeights:
    """Weights of one synapse group: the integer is ``mantissa << exponent``.

    mantissa: int8, of the shape of ``Incoming.weight``.
    """

    mantissa: npt.NDArray[np.int8]
    exponent: int


@dataclass(frozen=True)
class IntegerLayer:
    """What a model's ``quantize`` returns.

    params: name -> int32 (n,); weights: projection name -> IntegerWeights; units: real value of
    one integer step of each state and output, where it has a meaning: one, or one for each neuron
    (n,) of a state; notes: what was rounded.
    """

    params: Mapping[str, IntArray]
    weights: Mapping[str, IntegerWeights]
    units: Mapping[str, float | FloatArray]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MessageFormat:
    """The number format of a graded output: real value of a message of 1, and the shift from the
    state's integers to it."""

    unit: float
    shift: int


class Ranges(dict[str, FloatArray]):
    """Largest absolute value of each port, state and output over the calibration run, (n,)."""

    def of(self, name: str) -> float:
        """The range of a quantity over all neurons; 0.0 where calibration never saw it."""
        return float(self[name].max(initial=0.0)) if name in self else 0.0

    def each(self, name: str) -> FloatArray:
        """The range of a quantity for each neuron, at least 1/8 of the largest: calibration shows
        what a neuron did, not what it can do."""
        return np.maximum(self[name], self.of(name) / 8) if name in self else np.zeros(1)


@dataclass(frozen=True)
class NeuronModel:
    """One neuron: description, float step, integer step, and the way from float to integers.

    step: the integer step, ``step(*states, *inputs, *params, *tables)`` -> new states, outputs,
    number of wraps, number of clips; written with operators and ``snn2hw.arithmetic`` alone.
    float_step: ``float_step(states, inputs, params)`` -> (new states, outputs), mappings of name
    to arrays of shape (batch, n).
    lower: ``lower(kind, node parameters, dt_s, method)`` -> Lowered, for the NIR node types in
    ``nir_types``.
    message_formats: ``(params, incoming, ranges)`` -> format of each graded output that other
    layers hear; incoming: the projections whose own format is known by then (a loop of graded
    messages has none).
    quantize: ``(params, incoming, ranges, formats)`` -> IntegerLayer.
    bias_of: input port -> float parameter that a bias arriving at that port is added to.
    gain_of: input port -> float parameter that multiplies what arrives there (folded away).
    heard: the output that other layers hear; the first one if not given.
    """

    name: str
    doc: str
    source: str
    inputs: tuple[str, ...]
    states: tuple[State, ...]
    params: tuple[Param, ...]
    outputs: tuple[Output, ...]
    step: Callable[..., Any]
    float_step: Callable[..., Any]
    message_formats: Callable[
        [Mapping[str, FloatArray], Sequence[Incoming], Ranges], dict[str, MessageFormat]
    ]
    quantize: Callable[
        [Mapping[str, FloatArray], Sequence[Incoming], Ranges, Mapping[str, MessageFormat]],
        IntegerLayer,
    ]
    bias_of: Mapping[str, str]
    lower: Callable[[str, Mapping[str, Any], float, str], Lowered] | None = None
    nir_types: tuple[str, ...] = ()
    gain_of: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, IntArray] = field(default_factory=dict)
    heard: str = ""

    def output(self, name: str) -> Output:
        """The output port of that name (KeyError if there is none)."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise KeyError(f"neuron {self.name!r} has no output {name!r}")

    @property
    def main_output(self) -> Output:
        """The first output: what leaves the layer when a graph says no more than its name."""
        return self.outputs[0]

    @property
    def heard_output(self) -> Output:
        """The output that other layers hear."""
        return self.output(self.heard) if self.heard else self.main_output


def shared_unit(incoming: Sequence[Incoming], finest: float) -> float:
    """The unit of a sum that several projections and all neurons share, not below ``finest``.

    It is the largest weight over 127 * 2**k, so that this weight uses its whole mantissa, with the
    largest k that Loihi's exponent and ``finest`` (what the registers need) allow.
    """
    largest = max(
        (float(np.abs(p.weight).max(initial=0.0)) * p.message_unit for p in incoming), default=0.0
    )
    if largest == 0:
        return finest if finest > 0 else 1.0
    top = WEIGHT_EXPONENT_MAX
    if finest > 0:
        top = min(top, int(np.floor(np.log2(largest / (WEIGHT_LIMIT * finest)))))
    # Weights that vanish beside what the registers must hold vanish in the integers too.
    return max(largest / (WEIGHT_LIMIT * 2.0**top), finest) if top >= -40 else finest


def own_units(incoming: Sequence[Incoming], finest: FloatArray) -> FloatArray:
    """A unit of the sum for each neuron, (n,), not below its ``finest`` (n,).

    Where neurons have their own thresholds, each can have its own unit: its largest weight over
    127 * 2**k, so that small weights are not measured by another neuron's large ones. The synapses'
    exponent k is common; it is at least ``THRESHOLD_FRACTION`` if the registers of any neuron allow
    that, and a neuron whose registers do not gets the unit that they need. The neurons that share
    the weights of a convolution share the unit.
    """
    n = finest.size
    shared = gcd(*(p.weight.shape[0] for p in incoming if p.weight.ndim == 4), n)
    if any(p.weight.ndim == 4 for p in incoming):
        finest = np.repeat(finest.reshape(shared, -1).max(axis=1), n // shared)
    largest = np.zeros(n)
    for p in incoming:
        largest = np.maximum(largest, row_maxima(p.weight, n) * p.message_unit)
    if any(p.weight.ndim == 4 for p in incoming):
        largest = np.repeat(largest.reshape(shared, -1).max(axis=1), n // shared)
    silent = (largest == 0) | (finest == 0)
    if np.all(silent):
        return np.where(finest > 0, finest, np.where(largest > 0, largest / WEIGHT_LIMIT, 1.0))
    room = np.log2(largest[~silent] / (WEIGHT_LIMIT * finest[~silent]))
    k = min(max(np.floor(room.min()), THRESHOLD_FRACTION), np.floor(room.max()))
    k = max(min(k, WEIGHT_EXPONENT_MAX), -40.0)
    unit = np.maximum(largest / (WEIGHT_LIMIT * 2.0**k), finest)
    return np.where(unit > 0, unit, 1.0)


def row_maxima(weight: FloatArray, n: int) -> FloatArray:
    """Largest absolute weight into each of n neurons; weight as ``Incoming.weight``, one port."""
    if weight.ndim == 1:
        return np.abs(weight)
    rows = np.abs(weight.reshape(weight.shape[0], -1)).max(axis=1, initial=0.0)
    return np.repeat(rows, n // rows.size)


def by_row(unit: float | FloatArray, weight: FloatArray) -> float | FloatArray:
    """Units of neurons, (n,) or one, in a shape that goes with their weights."""
    if isinstance(unit, float) or weight.ndim == 1:
        return unit
    rows = weight.shape[0]
    return unit.reshape(rows, -1)[:, 0].reshape(rows, *(1,) * (weight.ndim - 1))


def message_format(largest: float, unit: float) -> MessageFormat:
    """Format of a graded message of ``MESSAGE_BITS`` bits for a register of that unit.

    largest: absolute value that the message holds at least; the shift is the smallest that fits.
    """
    limit = (1 << (MESSAGE_BITS - 1)) - 1
    shift = 0 if largest <= limit * unit else int(np.ceil(np.log2(largest / (limit * unit))))
    return MessageFormat(unit * 2.0**shift, shift)


def weights_in_units(projection: Incoming, unit: float | FloatArray) -> tuple[IntegerWeights, str]:
    """A projection's weights as mantissas and one exponent, and a note of the error made.

    unit: of the sum, one or one for each neuron (n,).
    """
    real = projection.weight * projection.message_unit
    step = by_row(unit, real)
    biggest = float(np.abs(real).max(initial=0.0))
    fullest = float(np.abs(real / step).max(initial=0.0))
    exponent = int(np.ceil(np.log2(fullest / WEIGHT_LIMIT) - 1e-9)) if fullest > 0 else 0
    exponent = max(min(exponent, WEIGHT_EXPONENT_MAX), WEIGHT_EXPONENT_MIN)
    step = step * 2.0**exponent
    mantissa = round_weights(real, step)
    error = float(np.abs(mantissa * step - real).max(initial=0.0))
    note = (
        f"weights of {projection.name}: 8 bits, exponent {exponent}, largest error "
        f"{error / biggest if biggest else 0.0:.2%} of the largest weight"
    )
    return IntegerWeights(mantissa, exponent), note


def round_weights(weight: FloatArray, unit: float | FloatArray) -> npt.NDArray[np.int8]:
    """Nearest int8 mantissas of ``weight / unit``, limited to +-127; a unit of 0 gives zeros.

    unit: one for all, or an array that goes with the weights.
    """
    scaled = np.divide(weight, unit, out=np.zeros_like(weight), where=np.asarray(unit) != 0)
    return np.clip(np.rint(scaled), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)
