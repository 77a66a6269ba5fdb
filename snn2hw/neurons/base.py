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

from snn2hw.arithmetic import STATE_BITS
from snn2hw.errors import TargetError

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
class Trim:
    """What the search may move after rounding, for each neuron: ``param`` by multiples of ``share``
    of its value, of ``least`` integers at least. What is at the end of its register stays."""

    param: str
    share: float
    least: int


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
    bits: of the mantissas; scale: "neuron", "layer", or None, the neuron's own choice; clip:
    what the largest mantissa stands for over the largest weight there is, one or one for each row;
    exponent: None to choose it.
    rounder: weights in steps, rows by inputs, and the largest mantissa -> mantissas, instead of the
    nearest ones; mean_of: errors of weights, of the shape of ``weight`` -> what they add to each of
    the len(target_ports) * n sums on average, if biases are to make up for it.
    """

    name: str
    target_ports: tuple[str, ...]
    weight: FloatArray
    message_unit: float
    message_max: int
    bits: int = WEIGHT_BITS
    scale: str | None = None
    clip: float | FloatArray = 1.0
    exponent: int | None = None
    rounder: Callable[[FloatArray, int], FloatArray] | None = None
    mean_of: Callable[[FloatArray], FloatArray] | None = None

    @property
    def limit(self) -> int:
        """Largest mantissa."""
        return (1 << (self.bits - 1)) - 1

    def steps(self, *, shared: bool = False) -> FloatArray:
        """The step of the weights of each row, (rows,), with which its clipped weights fill its
        mantissas; real value. shared: one for all."""
        rows = self.weight.shape[0]
        flat = np.abs(self.weight.reshape(rows, -1)).max(axis=1, initial=0.0)
        steps = flat * self.clip * self.message_unit / self.limit
        if shared or self.scale == "layer":
            steps = np.full(rows, steps.max(initial=0.0))
        return np.asarray(steps)


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
    """Largest absolute value of each port, state and output over the calibration run, (n,).

    headroom: what registers and messages hold, over these; state_bits, message_bits: how many bits
    of a register and of a message that may fill.
    """

    headroom: float = HEADROOM
    state_bits: int = STATE_BITS
    message_bits: int = MESSAGE_BITS

    @property
    def register_max(self) -> int:
        """Largest value of a state."""
        return (1 << (self.state_bits - 1)) - 1

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
    takes: the input ports among which what arrives at a node is divided, in equal parts; the first
    one alone if not given.
    headroom: what registers and messages hold, over calibration, where nothing else is asked for.
    limits: graded output -> integer parameter that its absolute value does not exceed, where that
    is less than its bits.
    shares_unit: whether the sums of all neurons have one unit, because others read their values.
    fixed_unit: whether the unit of its graded messages is that of training, whatever arrives.
    trim: the parameter that the search moves by what the layer emits; None if there is none.
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
    headroom: float = HEADROOM
    shares_unit: bool = False
    fixed_unit: bool = False
    takes: tuple[str, ...] = ()
    trim: Trim | None = None
    limits: Mapping[str, str] = field(default_factory=dict)

    def output(self, name: str) -> Output:
        """The output port of that name (KeyError if there is none)."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise KeyError(f"neuron {self.name!r} has no output {name!r}")

    @property
    def taking(self) -> tuple[str, ...]:
        """The ports that what arrives at a node is divided among."""
        return self.takes or self.inputs[:1]

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

    It is the largest step of weights over 2**k, so that its group uses its whole mantissas, with
    the largest k that Loihi's exponent and ``finest`` (what the registers need) allow.

    Raises TargetError for exponents or scales of the configuration that cannot be.
    """
    for p in incoming:
        if p.scale == "neuron":
            raise TargetError(
                f"weights of {p.name}: scale is 'neuron' and this layer's neurons share the unit "
                "of their sums; use 'layer'"
            )
    steps = {p.name: float(p.steps(shared=True).max(initial=0.0)) for p in incoming}
    largest = max(steps.values(), default=0.0)
    if largest == 0:
        return finest if finest > 0 else 1.0
    top = WEIGHT_EXPONENT_MAX
    if finest > 0:
        top = min(top, int(np.floor(np.log2(largest / finest))))
    asked = _asked(incoming, steps)
    if asked is not None:
        _check_exponent(incoming, max(top, WEIGHT_EXPONENT_MIN))
        return max(float(asked), finest)
    # Weights that vanish beside what the registers must hold vanish in the integers too.
    return max(largest / 2.0**top, finest) if top >= -40 else finest


def own_units(incoming: Sequence[Incoming], finest: FloatArray) -> FloatArray:
    """A unit of the sum for each neuron, (n,), not below its ``finest`` (n,).

    Where neurons have their own thresholds, each can have its own unit: its step of weights over
    2**k, so that small weights are not measured by another neuron's large ones. The synapses'
    exponent k is common; it is at least ``THRESHOLD_FRACTION`` if the registers of any neuron allow
    that, and a neuron whose registers do not gets the unit that they need. The neurons that share
    the weights of a convolution share the unit.

    Raises TargetError for exponents of the configuration beyond what the registers allow.
    """
    n = finest.size
    convolved = any(p.weight.ndim == 4 for p in incoming)
    shared = gcd(*(p.weight.shape[0] for p in incoming if p.weight.ndim == 4), n)
    if convolved:
        finest = np.repeat(finest.reshape(shared, -1).max(axis=1), n // shared)
    steps = {}
    for p in incoming:
        own = by_neuron(p.steps(), n)
        if convolved:
            own = np.repeat(own.reshape(shared, -1).max(axis=1), n // shared)
        steps[p.name] = own
    largest = np.max([np.zeros(n), *steps.values()], axis=0)
    silent = (largest == 0) | (finest == 0)
    if np.all(silent):
        return np.where(finest > 0, finest, np.where(largest > 0, largest, 1.0))
    room = np.floor(np.log2(largest[~silent] / finest[~silent]))
    asked = _asked(incoming, steps)
    if asked is not None:
        _check_exponent(incoming, max(int(room.max()), WEIGHT_EXPONENT_MIN))
        unit = np.maximum(asked, finest)
    else:
        k = min(max(room.min(), THRESHOLD_FRACTION), room.max())
        k = max(min(k, WEIGHT_EXPONENT_MAX), -40.0)
        unit = np.maximum(largest / 2.0**k, finest)
    return np.where(unit > 0, unit, 1.0)


def _asked(incoming: Sequence[Incoming], steps: Mapping[str, Any]) -> Any:
    """The unit that the exponents of the configuration ask for; None where it gives none."""
    asked = None
    for p in incoming:
        if p.exponent is not None:
            unit = steps[p.name] / 2.0**p.exponent
            asked = unit if asked is None else np.maximum(asked, unit)
    return asked


def _check_exponent(incoming: Sequence[Incoming], most: int) -> None:
    for p in incoming:
        if p.exponent is not None and p.exponent > most:
            raise TargetError(
                f"weights of {p.name}: exponent {p.exponent} leaves the registers no room for what "
                f"calibration saw; they allow {most}"
            )


def by_neuron(rows: FloatArray, n: int) -> FloatArray:
    """Values of the rows of some weights for each of n neurons (of one port)."""
    return np.repeat(rows, n // rows.size)


def by_row(unit: float | FloatArray, weight: FloatArray) -> float | FloatArray:
    """Units of neurons, (n,) or one, in a shape that goes with their weights."""
    if isinstance(unit, float) or weight.ndim == 1:
        return unit
    rows = weight.shape[0]
    return unit.reshape(rows, -1)[:, 0].reshape(rows, *(1,) * (weight.ndim - 1))


def message_format(largest: float, unit: float, bits: int = MESSAGE_BITS) -> MessageFormat:
    """Format of a graded message of that many bits for a register of that unit.

    largest: absolute value that the message holds at least; the shift is the smallest that fits.
    """
    limit = (1 << (bits - 1)) - 1
    shift = 0 if largest <= limit * unit else int(np.ceil(np.log2(largest / (limit * unit))))
    return MessageFormat(unit * 2.0**shift, shift)


def weights_in_units(projection: Incoming, unit: float | FloatArray) -> tuple[IntegerWeights, str]:
    """A projection's weights as mantissas and one exponent, and a note of the error made.

    unit: of the sum, one or one for each neuron (n,).
    """
    p = projection
    rows = p.weight.shape[0]
    own = np.broadcast_to(unit, (rows,)) if np.size(unit) == 1 else np.asarray(unit)
    own = own.reshape(rows, -1)[:, 0]
    if p.exponent is None:
        fullest = float((p.steps(shared=isinstance(unit, float)) / own).max(initial=0.0))
        exponent = int(np.ceil(np.log2(fullest) - 1e-9)) if fullest > 0 else 0
    else:
        exponent = p.exponent
    exponent = max(min(exponent, WEIGHT_EXPONENT_MAX), WEIGHT_EXPONENT_MIN)
    mantissa, note = round_weights(p, own * 2.0**exponent)
    note = f"weights of {p.name}: {p.bits} bits, exponent {exponent}, {note}"
    return IntegerWeights(mantissa, exponent), note


def round_weights(p: Incoming, steps: FloatArray) -> tuple[npt.NDArray[np.int8], str]:
    """int8 mantissas of a projection's weights, limited to its bits, and the error in words.

    steps: real value of a mantissa of 1 in each row, (rows,); a step of 0 gives zeros.
    """
    real = p.weight * p.message_unit
    step = steps.reshape(-1, *(1,) * (real.ndim - 1))
    scaled = np.divide(real, step, out=np.zeros_like(real), where=step != 0)
    if p.rounder is not None:
        flat = p.rounder(scaled.reshape(len(scaled), -1), p.limit)
        mantissa = flat.reshape(real.shape)
    else:
        mantissa = np.rint(scaled)
    mantissas = np.clip(mantissa, -p.limit, p.limit).astype(np.int8)
    biggest = float(np.abs(real).max(initial=0.0))
    error = float(np.abs(mantissas * step - real).max(initial=0.0))
    share = error / biggest if biggest else 0.0
    return mantissas, f"largest error {share:.2%} of the largest weight"


def mean_error(p: Incoming, weights: IntegerWeights, unit: float | FloatArray) -> FloatArray:
    """What rounding adds to each sum on average, real; (len(target_ports) * n,), or zero.

    unit: real value of a sum of 1 (``weights_in_units``), one or one for each row.
    """
    if p.mean_of is None:
        return np.zeros(1)
    step = by_row(unit, p.weight) * 2.0**weights.exponent
    return p.mean_of(weights.mantissa * step / p.message_unit - p.weight)
