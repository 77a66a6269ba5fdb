"""GPN with its gates on the exp unit: s16.15 where Loihi's table has 10 and 12 fraction bits.

The neuron is ``snn2hw.neurons.gpn``'s in everything but its gates: same ports, states, parameters
and messages. A gate's argument keeps 15 fraction bits of the sum that arrives, and the gate itself
15 instead of 12::

    a_G = trunc0((2^4 G_in G_gain + G_rec G_rec_gain) / 2^13) + 2^5 G_bias
    F, I, T = sigmoid(a_G),  B = tanh(a_B)      by the exp unit, s16.15
    h   = clip24(trunc0(F v / 2^15) + trunc0(I x / 2^15));   s = 2 h >= T
    v  <- clip24((0 if s else h) + round(B / 2));   m = clip12(round(v / 2^message_shift))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numba.extending import register_jitable

from snn2hw.arithmetic import STATE_BITS, saturate, select, shift_rounded, shift_toward_zero
from snn2hw.neurons.base import MESSAGE_BITS
from snn2hw.neurons.gpn import (
    GATE_FRACTION,
    GATE_GAIN_SHIFT,
    GPN,
    MESSAGE_GAIN_SHIFT,
    V_FRACTION,
    X_GAIN_SHIFT,
)
from snn2hw.targets.spinnaker2 import exp_unit

FINER = exp_unit.FRACTION - GATE_FRACTION
"""Bits by which a gate's argument is finer than the table's."""

_sigmoid, _tanh, _FRACTION = exp_unit.sigmoid, exp_unit.tanh, exp_unit.FRACTION


@register_jitable
def argument(spikes: Any, spike_gain: Any, messages: Any, message_gain: Any, bias: Any) -> Any:
    """A gate's argument in s16.15, limited to its range."""
    scaled = (spikes * spike_gain) << (MESSAGE_GAIN_SHIFT - GATE_GAIN_SHIFT)
    wide = shift_toward_zero(scaled + messages * message_gain, MESSAGE_GAIN_SHIFT - FINER)
    return saturate(wide + (bias << FINER), 32)


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
) -> Any:
    """One time step on integers; see the module's equations. Returns v, s, m, wraps, clips."""
    forget = _sigmoid(argument(f, f_gain, f_rec, f_rec_gain, f_bias))
    write = _sigmoid(argument(i, i_gain, i_rec, i_rec_gain, i_bias))
    bypass = _tanh(argument(b, b_gain, b_rec, b_rec_gain, b_bias))
    threshold = _sigmoid(argument(t, t_gain, t_rec, t_rec_gain, t_bias))
    x_wide = shift_toward_zero(x * x_gain, X_GAIN_SHIFT) + x_bias
    current = saturate(x_wide, STATE_BITS)
    h_wide = shift_toward_zero(forget * v, _FRACTION) + shift_toward_zero(
        write * current, _FRACTION
    )
    h = saturate(h_wide, STATE_BITS)
    s = (h << (_FRACTION - V_FRACTION)) >= threshold
    v_wide = select(s, 0, h) + shift_rounded(bypass, _FRACTION - V_FRACTION)
    v = saturate(v_wide, STATE_BITS)
    m_wide = shift_rounded(v, message_shift)
    m = saturate(m_wide, MESSAGE_BITS)
    clips = (x_wide != current) * 1 + (h_wide != h) * 1 + (v_wide != v) * 1 + (m_wide != m) * 1
    return v, s, m, 0, clips


GPN_EXP_UNIT = replace(
    GPN,
    name="gpn_exp_unit",
    doc="Gated parametric neuron whose gates the exp unit computes in s16.15",
    step=step,
    tables={},
)
"""What ``programs.load(gates="exp_unit")`` puts in a GPN's place."""
