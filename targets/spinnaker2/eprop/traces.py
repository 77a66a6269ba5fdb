"""Eligibility traces and the optimiser: what is done for every synapse, row by row.

A row is all weights into one neuron. Whatever the neuron, its traces follow one recursion, with
numbers of the neuron and the step (D, d, p, q; see ``leaky``, ``gated`` and docs/eprop.md) and one
number of the input (x, see ``regions.INPUTS``)::

    e <- p eps + q x;    eps <- D eps + d x;    f <- kappa f + e;    total += L f + r e

L is the learning signal, r the push of the firing-rate regulariser. Where the error comes at the
end of a sample of T steps, L is put in then, and since T is known, no f is kept: total takes up
e (1 - kappa^(T - t)) / (1 - kappa), which is what it would add to f until the end.

Each function loops over one row: nothing a neuron computes depends on where it is placed.
"""

# mypy: ignore-errors

from snn2hw.targets.spinnaker2.eprop.words import (
    GRADIENT_BITS,
    HALF,
    clipped,
    contracted,
    draw,
    fine,
    from_real,
    high,
    increased,
    jit,
    low,
    narrow,
    quotient,
    reordered,
    root,
    settled,
    times,
)


@jit
def trace(eps, filt, total, x, big_d, d, p, q, kappa, signal, push, key, stochastic):
    """One step of a row whose neuron has a slow state of its own; see the module's recursion."""
    for i in range(x.size):
        first = draw(key, 2 * i, stochastic, q)
        second = draw(key, 2 * i + 1, stochastic, q)
        now, old = x[i], eps[i]
        e = narrow(times(p, old) + times(q, now), low(first))
        eps[i] = settled(narrow(times(big_d, old) + times(d, now), high(first)))
        f = settled(clipped(narrow(times(kappa, filt[i]), low(second)) + e, q))
        filt[i] = f
        total[i] = increased(total[i], signal, f, push, e, high(second))


@jit
def trace_summed(eps, filt, total, x, big_d, d, p, q, kappa, key, stochastic):
    """As ``trace``, where the error comes at the end of the sample: total += f."""
    for i in range(x.size):
        first = draw(key, 2 * i, stochastic, q)
        second = draw(key, 2 * i + 1, stochastic, q)
        now, old = x[i], eps[i]
        e = narrow(times(p, old) + times(q, now), low(first))
        eps[i] = settled(narrow(times(big_d, old) + times(d, now), high(first)))
        f = settled(clipped(narrow(times(kappa, filt[i]), low(second)) + e, q))
        filt[i] = f
        total[i] = clipped(total[i] + f, q)


@jit
def trace_unfiltered(eps, total, x, big_d, d, p, q, signal, key, stochastic):
    """As ``trace``, where the readout has no memory; signal: learning signal and push in one."""
    for i in range(x.size):
        first = draw(key, 2 * i, stochastic, q)
        second = draw(key, 2 * i + 1, stochastic, q)
        now, old = x[i], eps[i]
        e = narrow(times(p, old) + times(q, now), low(first))
        eps[i] = settled(narrow(times(big_d, old) + times(d, now), high(first)))
        total[i] = clipped(total[i] + narrow(times(signal, e), low(second)), q)


@contracted
def trace_weighted(eps, total, x, big_d, d, p, q, key, stochastic):
    """As ``trace``, where all that e will add is in p and q: total += e."""
    for i in range(x.size):
        bits = draw(key, i, stochastic, q)
        now, old = x[i], eps[i]
        eps[i] = settled(narrow(times(big_d, old) + times(d, now), high(bits)))
        total[i] = increased(total[i], p, old, q, now, low(bits))


@contracted
def trace_four_weighted(
    eps, total, x0, x1, x2, x3, d0, d1, d2, d3, c0, c1, c2, c3, p0, p1, p2, p3, q0, q1, q2, q3,
    key, stochastic,
):  # fmt: skip
    """Four steps of ``trace_weighted``; c is d there. Each trace is read and written once."""
    for i in range(x0.size):
        old, so_far = eps[i], total[i]
        bits = draw(key, 4 * i, stochastic, q0)
        so_far = increased(so_far, p0, old, q0, x0[i], low(bits))
        old = narrow(times(d0, old) + times(c0, x0[i]), high(bits))
        bits = draw(key, 4 * i + 1, stochastic, q0)
        so_far = increased(so_far, p1, old, q1, x1[i], low(bits))
        old = narrow(times(d1, old) + times(c1, x1[i]), high(bits))
        bits = draw(key, 4 * i + 2, stochastic, q0)
        so_far = increased(so_far, p2, old, q2, x2[i], low(bits))
        old = narrow(times(d2, old) + times(c2, x2[i]), high(bits))
        bits = draw(key, 4 * i + 3, stochastic, q0)
        so_far = increased(so_far, p3, old, q3, x3[i], low(bits))
        eps[i] = settled(narrow(times(d3, old) + times(c3, x3[i]), high(bits)))
        total[i] = so_far


@contracted
def trace_direct_weighted(total, x, q, key, stochastic):
    """As ``trace_direct``, where all that e will add is in q."""
    for i in range(x.size):
        bits = draw(key, i, stochastic, q)
        total[i] = clipped(total[i] + narrow(times(q, x[i]), low(bits)), q)


@jit
def trace_direct(filt, total, x, q, kappa, signal, push, key, stochastic):
    """As ``trace``, where the neuron has no slow state beyond what x carries: e = q x."""
    for i in range(x.size):
        first = draw(key, 2 * i, stochastic, q)
        second = draw(key, 2 * i + 1, stochastic, q)
        e = narrow(times(q, x[i]), low(first))
        f = settled(clipped(narrow(times(kappa, filt[i]), low(second)) + e, q))
        filt[i] = f
        total[i] = increased(total[i], signal, f, push, e, high(second))


@jit
def trace_direct_unfiltered(total, x, q, signal, key, stochastic):
    """As ``trace_direct``, where the readout has no memory."""
    for i in range(x.size):
        bits = draw(key, i, stochastic, q)
        e = narrow(times(q, x[i]), low(bits))
        total[i] = clipped(total[i] + narrow(times(signal, e), high(bits)), q)


@jit
def follow(
    words, eps, filt, total, x, n, slow, filters, at_end,
    big_d, d, p, q, kappa, signal, push, key, stochastic,
):  # fmt: skip
    """One step of n synapses whose traces begin at these places: the recursion that applies.

    slow: whether there is an ``eps``; filters: whether the readout has a memory; at_end: whether
    the error comes at the end of the sample.
    """
    sums, inputs = words[total : total + n], words[x : x + n]
    if filters:
        filtered = words[filt : filt + n]
        if slow and at_end:
            own = words[eps : eps + n]
            trace_summed(own, filtered, sums, inputs, big_d, d, p, q, kappa, key, stochastic)
        elif slow:
            own = words[eps : eps + n]
            trace(own, filtered, sums, inputs, big_d, d, p, q, kappa, signal, push, key, stochastic)
        else:
            trace_direct(filtered, sums, inputs, q, kappa, signal, push, key, stochastic)
        return
    both = clipped(signal + push, signal)
    if at_end and slow:
        trace_weighted(words[eps : eps + n], sums, inputs, big_d, d, p, q, key, stochastic)
    elif at_end:
        trace_direct_weighted(sums, inputs, q, key, stochastic)
    elif slow:
        own = words[eps : eps + n]
        trace_unfiltered(own, sums, inputs, big_d, d, p, q, both, key, stochastic)
    else:
        trace_direct_unfiltered(sums, inputs, q, both, key, stochastic)


@jit
def gradient(total, filt, signal, push, kappa, per_step, key, stochastic):
    """Gradient of a row, in place of what a sample summed up, where the error came at its end.

    signal, push: of the whole sample; the sum of e follows from that of f, it is
    (1 - kappa) total + kappa filt; per_step: 1 / steps, a factor for ``fine``.
    """
    rest = from_real(1.0, kappa) - kappa
    for i in range(total.size):
        bits = draw(key, 2 * i, stochastic, kappa)
        more = draw(key, 2 * i + 1, stochastic, kappa)
        total_e = narrow(times(rest, total[i]) + times(kappa, filt[i]), low(bits))
        g = narrow(times(signal, total[i]) + times(push, total_e), high(bits))
        total[i] = fine(g, per_step, GRADIENT_BITS, more)


@jit
def signalled_gradient(total, signal, per_step, key, stochastic):
    """As ``gradient``, without a push."""
    for i in range(total.size):
        bits = draw(key, 2 * i, stochastic, signal)
        more = draw(key, 2 * i + 1, stochastic, signal)
        g = narrow(times(signal, total[i]), low(bits))
        total[i] = fine(g, per_step, GRADIENT_BITS, more)


@jit
def plain_gradient(total, per_step, key, stochastic):
    """As ``gradient``, where the signals are in the sum already."""
    for i in range(total.size):
        bits = draw(key, i, stochastic, total[i])
        total[i] = fine(total[i], per_step, GRADIENT_BITS, bits)


@jit
def adam(w, m, v, g, decay, keep1, keep2, rate, epsilon, key, stochastic):
    """One step of Adam (Kingma and Ba 2015, algorithm 1) on a row.

    decay: of the weights (L2), added to the gradient; keep1, keep2: 1 - beta; rate: learning rate
    times sqrt(1 - beta2^k) / (1 - beta1^k), epsilon: times sqrt(1 - beta2^k), which is the same
    step without a correction of each moment. decay, keep1, keep2 and rate are factors for ``fine``.
    """
    for i in range(w.size):
        a = draw(key, 4 * i, stochastic, epsilon)
        b = draw(key, 4 * i + 1, stochastic, epsilon)
        c = draw(key, 4 * i + 2, stochastic, epsilon)
        d = draw(key, 4 * i + 3, stochastic, epsilon)
        now = clipped(g[i] + fine(w[i], decay, GRADIENT_BITS, a), epsilon)
        moment = clipped(m[i] + fine(clipped(now - m[i], epsilon), keep1, 0, b), epsilon)
        square = narrow(times(now, now), low(d))
        second = clipped(v[i] + fine(clipped(square - v[i], epsilon), keep2, 0, c), epsilon)
        m[i], v[i] = settled(moment), settled(second)
        step = quotient(moment, clipped(root(second) + epsilon, epsilon))
        w[i] = clipped(w[i] - fine(step, rate, 0, d), epsilon)


@jit
def descend(w, g, decay, rate, key, stochastic):
    """One step of gradient descent on a row; decay and rate as for ``adam``, rate as it is."""
    for i in range(w.size):
        a = draw(key, 2 * i, stochastic, w[i])
        b = draw(key, 2 * i + 1, stochastic, w[i])
        now = clipped(g[i] + fine(w[i], decay, GRADIENT_BITS, a), w[i])
        w[i] = clipped(w[i] - fine(now, rate, -GRADIENT_BITS, b), w[i])


@reordered
def product(w, x):
    """Sum of w times x, before rounding. The compiler chooses the order of a float sum by the width
    of the machine's vectors: the same for every row of a length, wherever it is placed."""
    total = times(w[0], x[0])
    for i in range(1, x.size):
        total += times(w[i], x[i])
    return total


@jit
def products(w, row, at, many, length, vector, out):
    """Rows times a vector, into ``out``.

    Rows are in groups of ``many``, one group a neuron, ``row`` words apart; the first begins at
    ``at`` in it and each is ``length`` long.
    """
    x = vector[:length]
    for k in range(out.size):
        begin = k // many * row + at + k % many * length
        out[k] = narrow(product(w[begin : begin + length], x), HALF)
