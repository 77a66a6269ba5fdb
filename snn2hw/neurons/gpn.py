"""GPN, the gated parametric neuron (Wang, Zhang, Li, Wu 2024, arXiv 2412.01087).

Float, per step, with v of the previous step and the current x of this one::

    F, I, T = sigmoid(.),  B = tanh(.)   of   W_g [v; x] + b_g   (rows F, I, B, T)
    h = F v + I x;   s = h >= T;   v <- (1 - s) h + B

Integer: v, h and x have 14 fraction bits, gate arguments 10, gates 12. The four gate sums arrive as
synaptic input, one part from the layer's input spikes (the x-part, folded into the input matrix)
and one from the layer's own messages of v, one step old, which is when the gates need it. Every
row of weights has its own scale, undone by a multiplication (``*_gain``) in the neuron::

    a_G = trunc0((2^4 G_in G_gain + G_rec G_rec_gain) / 2^18) + G_bias,   limited to [-8, 8)
    x   = clip24(trunc0(x_in x_gain / 2^10) + x_bias)
    h   = clip24(trunc0(F v / 2^12) + trunc0(I x / 2^12));   s = h >= 4 T
    v  <- clip24((0 if s else h) + 4 B);   m = clip12(round(v / 2^message_shift))

The sigmoid is a table of 128 straight lines over [-8, 8), tanh(a) is
2 sigmoid(2a) - 1; ``SIGMOID_ERROR`` and ``TANH_ERROR`` bound the error.
Intel publishes no microcode of a gated neuron for Loihi 2: these widths are our choice within what
is public (24-bit states, graded messages up to 24 bits, multiplication in the neuron program).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.arithmetic import (
    STATE_BITS,
    interpolate,
    saturate,
    select,
    shift_rounded,
    shift_toward_zero,
)
from snn2hw.errors import ParameterError, TargetError
from snn2hw.neurons.base import (
    MESSAGE_BITS,
    WEIGHT_LIMIT,
    FloatArray,
    Incoming,
    IntArray,
    IntegerLayer,
    IntegerWeights,
    Lowered,
    MessageFormat,
    NeuronModel,
    Output,
    Param,
    PortMap,
    Ranges,
    Recurrence,
    State,
    Trim,
    mean_error,
    message_format,
    round_weights,
)
from snn2hw.neurons.rows import group_exponents, row_scales

GATES = ("f", "i", "b", "t")
"""Order of the rows of the gate matrix."""

V_FRACTION = 14
GATE_FRACTION = 10
UNIT_FRACTION = 12
X_GAIN_SHIFT = 10
GATE_GAIN_SHIFT = 14
MESSAGE_GAIN_SHIFT = 18
"""A message of v is worth little, so its gain has more fraction bits than that of a spike."""

SEGMENT_BITS = 7
"""A segment of the sigmoid's table is 2**7 / 2**10 = 1/8 wide."""

GAIN_FRACTION = {"x": V_FRACTION + X_GAIN_SHIFT} | dict.fromkeys(
    GATES, GATE_FRACTION + GATE_GAIN_SHIFT
)
"""Fraction bits of the gains of the ports that spikes arrive at."""

ARGUMENT_LIMIT = 8 << GATE_FRACTION
REGISTER_MAX = (1 << (STATE_BITS - 1)) - 1

SIGMOID_ERROR = 5.0e-4
"""Bound of |integer sigmoid - sigmoid| for any argument a multiple of 2**-10 (interpolation 1.9e-4,
rounding of points and lines 2.4e-4 + 2.4e-4 at worst apart, 3.4e-4 beyond the table)."""

TANH_ERROR = 1.0e-3
"""Bound of |integer tanh - tanh| likewise: twice the sigmoid's."""

_POINTS: IntArray = np.rint(
    2.0**UNIT_FRACTION / (1.0 + np.exp(-np.arange(-64, 65) / 8.0)),
).astype(np.int32)

SIGMOID: IntArray = _POINTS[:-1] | np.diff(_POINTS) << 16
"""The 128 lines of the sigmoid, as ``arithmetic.interpolate`` takes them."""


def argument(spikes: Any, spike_gain: Any, messages: Any, message_gain: Any, bias: Any) -> Any:
    """A gate's argument with 10 fraction bits, from the two sums that arrive and the bias."""
    scaled = (spikes * spike_gain) << (MESSAGE_GAIN_SHIFT - GATE_GAIN_SHIFT)
    return shift_toward_zero(scaled + messages * message_gain, MESSAGE_GAIN_SHIFT) + bias


def sigmoid(a: Any, table: Any) -> Any:
    """Sigmoid with 12 fraction bits of an argument with 10, limited to [-8, 8)."""
    a = select(a < -ARGUMENT_LIMIT, -ARGUMENT_LIMIT, a)
    a = select(a > ARGUMENT_LIMIT - 1, ARGUMENT_LIMIT - 1, a)
    return interpolate(table, a + ARGUMENT_LIMIT, SEGMENT_BITS)


def step(
    v: Any,
    x: Any,
    f: Any,
    i: Any,
    b: Any,
    t: Any,
    f_rec: Any,
    i_rec: Any,
    b_rec: Any,
    t_rec: Any,
    x_gain: Any,
    f_gain: Any,
    i_gain: Any,
    b_gain: Any,
    t_gain: Any,
    f_rec_gain: Any,
    i_rec_gain: Any,
    b_rec_gain: Any,
    t_rec_gain: Any,
    x_bias: Any,
    f_bias: Any,
    i_bias: Any,
    b_bias: Any,
    t_bias: Any,
    message_shift: Any,
    table: Any,
) -> Any:
    """One time step on integers; see the module's equations. Returns v, s, m, wraps, clips."""
    forget = sigmoid(argument(f, f_gain, f_rec, f_rec_gain, f_bias), table)
    write = sigmoid(argument(i, i_gain, i_rec, i_rec_gain, i_bias), table)
    bypass = 2 * sigmoid(2 * argument(b, b_gain, b_rec, b_rec_gain, b_bias), table) - (
        1 << UNIT_FRACTION
    )
    threshold = sigmoid(argument(t, t_gain, t_rec, t_rec_gain, t_bias), table)
    x_wide = shift_toward_zero(x * x_gain, X_GAIN_SHIFT) + x_bias
    current = saturate(x_wide, STATE_BITS)
    h_wide = shift_toward_zero(forget * v, UNIT_FRACTION) + shift_toward_zero(
        write * current, UNIT_FRACTION
    )
    h = saturate(h_wide, STATE_BITS)
    s = h >= (threshold << (V_FRACTION - UNIT_FRACTION))
    v_wide = select(s, 0, h) + (bypass << (V_FRACTION - UNIT_FRACTION))
    v = saturate(v_wide, STATE_BITS)
    m_wide = shift_rounded(v, message_shift)
    m = saturate(m_wide, MESSAGE_BITS)
    clips = (x_wide != current) * 1 + (h_wide != h) * 1 + (v_wide != v) * 1 + (m_wide != m) * 1
    return v, s, m, 0, clips


def float_step(
    states: Mapping[str, FloatArray],
    inputs: Mapping[str, FloatArray],
    params: Mapping[str, FloatArray],
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """One time step in float64; see the module's equations. Arrays of shape (batch, n)."""

    def sigma(name: str) -> FloatArray:
        a = inputs[name] + inputs[f"{name}_rec"] + params[f"{name}_bias"]
        argument: object = a
        if not isinstance(argument, np.ndarray | np.generic):
            # The energy model's numbers, which count what a circuit would do.
            return np.asarray(0.5 * (1.0 + np.tanh(0.5 * a)))
        # Exact to the last bits where it is all but 0, too: a threshold there meets an h as small.
        small = np.exp(-np.abs(a))
        return np.asarray(np.where(a < 0, small, 1.0) / (1.0 + small))

    bypass = np.tanh(inputs["b"] + inputs["b_rec"] + params["b_bias"])
    current = inputs["x"] + params["x_bias"]
    h = sigma("f") * states["v"] + sigma("i") * current
    s = h >= sigma("t")
    v = np.where(s, 0.0, h) + bypass
    return {"v": v}, {"s": s.astype(np.float64), "m": v, "h": h, "current": current}


def lower(kind: str, node: Mapping[str, Any], dt_s: float, method: str) -> Lowered:
    """GPN is a neuron of discrete time: its node holds the step that it was trained at.

    Node parameters: gates_weight (4N, 2N), rows F, I, B, T, columns v then x; gates_bias (4N,);
    dt in seconds. Raises ParameterError if dt differs from the graph's by more than 1e-6 of it.
    """
    trained_dt = float(np.asarray(node["dt"]))
    if abs(trained_dt - dt_s) > 1e-6 * dt_s:
        raise ParameterError(
            f"this GPN was trained at dt = {trained_dt:g} s and has no equation in continuous "
            f"time; quantize with dt={trained_dt:g} instead of {dt_s:g}"
        )
    weight = np.asarray(node["gates_weight"], dtype=np.float64)
    bias = np.asarray(node["gates_bias"], dtype=np.float64)
    n = weight.shape[1] // 2
    params = {"x_bias": np.zeros(n)}
    params |= {f"{gate}_bias": bias[k * n : (k + 1) * n] for k, gate in enumerate(GATES)}
    recurrence = Recurrence("m", tuple(f"{gate}_rec" for gate in GATES), weight[:, :n])
    return Lowered(params, (PortMap("x", GATES, weight[:, n:]),), (recurrence,))


def message_formats(
    params: Mapping[str, FloatArray], incoming: Sequence[Incoming], ranges: Ranges
) -> dict[str, MessageFormat]:
    """The finest message that holds the largest |v| of calibration with headroom."""
    largest = ranges.headroom * max(ranges.of("m"), 0.5)
    made = message_format(largest, 2.0**-V_FRACTION, ranges.message_bits)
    shift = max(1, made.shift)
    return {"m": MessageFormat(unit=2.0 ** (shift - V_FRACTION), shift=shift)}


def quantize(
    params: Mapping[str, FloatArray],
    incoming: Sequence[Incoming],
    ranges: Ranges,
    formats: Mapping[str, MessageFormat],
) -> IntegerLayer:
    """Integer parameters with one weight scale per row (neuron and port).

    Raises TargetError where calibration exceeds the 24-bit registers or a gain does not fit.
    """
    limit = 2.0 ** (ranges.state_bits - 1 - V_FRACTION)
    for quantity in ("current", "h", "m"):
        if ranges.of(quantity) >= limit:
            raise TargetError(
                f"{quantity} reaches {ranges.of(quantity):g} in calibration and the register holds "
                f"+-{limit:g}; scale the weights that arrive at this layer down"
            )
    n = params["x_bias"].size
    ports = ("x", *GATES, *(f"{gate}_rec" for gate in GATES))
    exponents = group_exponents(incoming, n)
    scales = dict.fromkeys(ports, np.zeros(n)) | row_scales(incoming, exponents, n)
    integers: dict[str, IntArray] = {}
    for port in ports:
        bits = GAIN_FRACTION.get(port, GATE_FRACTION + MESSAGE_GAIN_SHIFT)
        gain = np.ceil(scales[port] * 2.0**bits)
        if np.any(gain > REGISTER_MAX):
            raise TargetError(
                f"weights into port {port} are too large for the neuron's gain register "
                f"(largest {scales[port].max() * WEIGHT_LIMIT:g}); scale them down"
            )
        integers[f"{port}_gain"] = gain.astype(np.int32)
        # The gain is rounded too: the weights are rounded to the scale that the chip undoes.
        scales[port] = gain / 2.0**bits
    weights: dict[str, IntegerWeights] = {}
    notes = []
    added = {port: np.zeros(n) for port in ports}
    for projection in incoming:
        exponent = exponents[projection.name]
        unit = np.concatenate([scales[port] for port in projection.target_ports])
        mantissa, note = round_weights(projection, unit * 2.0**exponent)
        made = weights[projection.name] = IntegerWeights(mantissa, exponent)
        errors = np.broadcast_to(mean_error(projection, made, unit), unit.shape)
        for k, port in enumerate(projection.target_ports):
            added[port] = added[port] + errors[k * n : (k + 1) * n]
        notes.append(
            f"weights of {projection.name}: {projection.bits} bits, one scale per row, {note}"
        )
    for port in ("x", *GATES):
        fraction = V_FRACTION if port == "x" else GATE_FRACTION
        # What spikes and messages add to a gate, its bias can take off.
        shift = added[port] + added.get(f"{port}_rec", 0.0)
        bias = np.rint((params[f"{port}_bias"] - shift) * 2.0**fraction)
        # Beyond +-2^16 a gate is saturated whatever its input does in practice.
        bias = np.clip(bias, -REGISTER_MAX, REGISTER_MAX)
        integers[f"{port}_bias"] = bias.astype(np.int32)
    integers["message_shift"] = np.full(n, formats["m"].shift, dtype=np.int32)
    notes.append(
        f"gates: table of {SIGMOID.size} lines, error below {SIGMOID_ERROR:g} (tanh "
        f"{TANH_ERROR:g}); messages of v: {MESSAGE_BITS} bits of {formats['m'].unit:g}"
    )
    units = {"v": 2.0**-V_FRACTION, "s": 1.0, "m": formats["m"].unit}
    return IntegerLayer(integers, weights, units, tuple(notes))


def _gain(port: str) -> Param:
    return Param(f"{port}_gain", 0, REGISTER_MAX, f"scale of the weights into port {port}")


def _bias(port: str, fraction: int) -> Param:
    return Param(
        f"{port}_bias", -REGISTER_MAX, REGISTER_MAX, f"bias of {port}, {fraction} fraction bits"
    )


GPN = NeuronModel(
    name="gpn",
    doc="Gated parametric neuron: forget, input, bypass and threshold gates that see v and x",
    source="arXiv 2412.01087; equations as the authors' code hrje123/hr-GPN-SNN at e4ce6b5",
    inputs=("x", *GATES, *(f"{gate}_rec" for gate in GATES)),
    states=(State("v", STATE_BITS, "membrane potential after reset and bypass; clips"),),
    params=(
        _gain("x"),
        *(_gain(gate) for gate in GATES),
        *(_gain(f"{gate}_rec") for gate in GATES),
        _bias("x", V_FRACTION),
        *(_bias(gate, GATE_FRACTION) for gate in GATES),
        Param("message_shift", 1, STATE_BITS - 1, "v is sent shifted right by this"),
    ),
    outputs=(
        Output("s", 1, "spike"),
        Output("m", MESSAGE_BITS, "v, rounded, for the layer's own gates in the next step"),
    ),
    step=step,
    float_step=float_step,
    lower=lower,
    message_formats=message_formats,
    quantize=quantize,
    bias_of={"x": "x_bias"} | {gate: f"{gate}_bias" for gate in GATES},
    nir_types=("GPN",),
    tables={"table": SIGMOID},
    headroom=1.25,
    trim=Trim("x_bias", 0.0, 1 << (V_FRACTION - 7)),
)
