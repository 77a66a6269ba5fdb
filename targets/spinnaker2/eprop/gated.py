"""GPN on a PE: one step of the neurons, and the numbers that their traces need.

The neuron is that of ``snn2hw.neurons.gpn``; v of the step before, x of this one::

    x = W_in s + b_in;   F, I, T = sigmoid(.),  B = tanh(.)  of  W_g [v; x] + b_g
    h = F v + I x;   s = h >= T;   v <- (1 - s) h + B

To the gradient, v and x of other neurons and the s of the reset are constants (docs/eprop.md
derives what follows). eps = dv/dW of a neuron's own weights, with h_v, T_v the derivatives of h and
T by the neuron's own v, h_G, T_G, v_G those by a weight that is W_in's (G = x) or a gate's, divided
by the weight's input::

    e = psi ((h_v - T_v) eps + (h_G - T_G) input)
    eps <- ((1 - s) h_v + (1 - B^2) W_B,v) eps + v_G input

The threshold gate's weights leave v alone, so theirs is e = - psi T' input, without a memory. A row
holds W_in, then the gates F, I, B, T.
"""

# mypy: ignore-errors

from snn2hw.targets.spinnaker2.eprop.leaky import surrogate
from snn2hw.targets.spinnaker2.eprop.words import (
    HALF,
    clipped,
    hyperbolic_tangent,
    jit,
    narrow,
    sigmoid,
    times,
    word,
)

D, P = 0, 1
DIRECT = 2
"""First of d and q of x, F, I and B, two by two; then q of T."""

OF_X, OF_F, OF_I, OF_B = range(4)
Q_T = DIRECT + 8
N_COEFFICIENTS = 11


@jit
def product(a, b):
    """a b as a word, rounded to the nearest."""
    return narrow(times(a, b), HALF)


@jit
def weight(n, coef, factor):
    """What e is multiplied with goes into its p and q."""
    for j in range(n):
        coef[P * n + j] = product(coef[P * n + j], factor)
        coef[Q_T * n + j] = product(coef[Q_T * n + j], factor)
        for group in range(4):
            at = (DIRECT + 2 * group + 1) * n + j
            coef[at] = product(coef[at], factor)


@jit
def update(n, first, total, v, drive, fired, coef, w, row, into_x, kind, dampening):
    """One step of n neurons, the layer's from ``first`` on: v, ``fired`` and ``coef``.

    drive: x of each, then the four arguments of each; total: neurons of the layer; w, row: weights
    and the length of a neuron's; into_x: weights of W_in in it; kind, dampening: of the surrogate
    psi of h - T.
    """
    one = word(1, v[0])
    gate = 2 * total + 1
    for j in range(n):
        x, old = drive[j], v[j]
        forget = sigmoid(drive[n + 4 * j])
        accept = sigmoid(drive[n + 4 * j + 1])
        bypass = hyperbolic_tangent(drive[n + 4 * j + 2])
        level = sigmoid(drive[n + 4 * j + 3])
        h = clipped(narrow(times(forget, old) + times(accept, x), HALF), old)
        s = h >= level
        kept = h
        if s:
            kept = word(0, h)
        v[j] = clipped(kept + bypass, h)
        fired[j] = s
        psi = surrogate(kind, clipped(h - level, h), one, dampening)
        slope_f = product(old, product(forget, clipped(one - forget, one)))
        slope_i = product(x, product(accept, clipped(one - accept, one)))
        slope_b = clipped(one - product(bypass, bypass), one)
        slope_t = product(level, clipped(one - level, one))
        # The neuron's own v and x among the gates' inputs.
        at = j * row + into_x + first + j
        by_v = narrow(times(slope_f, w[at]) + times(slope_i, w[at + gate]), HALF)
        by_v = clipped(by_v + forget, one)
        b_v = product(slope_b, w[at + 2 * gate])
        t_v = product(slope_t, w[at + 3 * gate])
        at += total
        by_x = narrow(times(slope_f, w[at]) + times(slope_i, w[at + gate]), HALF)
        by_x = clipped(by_x + accept, one)
        b_x = product(slope_b, w[at + 2 * gate])
        t_x = product(slope_t, w[at + 3 * gate])
        coef[D * n + j] = b_v if s else clipped(by_v + b_v, one)
        coef[P * n + j] = product(psi, clipped(by_v - t_v, one))
        coef[(DIRECT + 2 * OF_X) * n + j] = b_x if s else clipped(by_x + b_x, one)
        coef[(DIRECT + 2 * OF_X + 1) * n + j] = product(psi, clipped(by_x - t_x, one))
        coef[(DIRECT + 2 * OF_F) * n + j] = word(0, one) if s else slope_f
        coef[(DIRECT + 2 * OF_F + 1) * n + j] = product(psi, slope_f)
        coef[(DIRECT + 2 * OF_I) * n + j] = word(0, one) if s else slope_i
        coef[(DIRECT + 2 * OF_I + 1) * n + j] = product(psi, slope_i)
        coef[(DIRECT + 2 * OF_B) * n + j] = slope_b
        coef[(DIRECT + 2 * OF_B + 1) * n + j] = word(0, one)
        coef[Q_T * n + j] = -product(psi, slope_t)
