"""What the PEs do in a tick of learning: traces, gradients, steps of weights, and the feedback that
follows the readout's weights by packets."""

# mypy: ignore-errors

import numpy as np

from snn2hw.targets.spinnaker2.eprop import gated, leaky, regions
from snn2hw.targets.spinnaker2.eprop.tables import (
    ADAPTIVE,
    BETA1,
    BETA2,
    COUNT,
    COUNT_OUT,
    EPSILON,
    FEEDBACK_DECAY,
    FIRST,
    FIRST_OUT,
    GRADIENT,
    L2,
    LEARN,
    PUSH,
    RATE,
    SYMMETRIC,
    TARGET,
    UPDATES,
)
from snn2hw.targets.spinnaker2.eprop.ticks import clear
from snn2hw.targets.spinnaker2.eprop.traces import (
    adam,
    descend,
    follow,
    gradient,
    plain_gradient,
    signalled_gradient,
    trace_four_weighted,
)
from snn2hw.targets.spinnaker2.eprop.words import (
    HALF,
    clipped,
    draw,
    fine,
    fine_from_real,
    from_real,
    gradient_scale,
    jit,
    mixed,
    narrow,
    times,
    to_real,
    word,
)


@jit
def learning_signal(words, a, j, net):
    """What the readout's errors mean for a neuron."""
    total = times(words[a[regions.FEEDBACK] + j * net.n_out], words[a[regions.ERROR]])
    for k in range(1, net.n_out):
        b = words[a[regions.FEEDBACK] + j * net.n_out + k]
        total += times(b, words[a[regions.ERROR] + k])
    return narrow(total, HALF)


@jit
def rate_push(words, a, j, real):
    """How the regulariser pushes a neuron: strength times (running rate - target)."""
    like = words[0]
    off = to_real(words[a[regions.RATE] + j]) - real[TARGET]
    return from_real(real[PUSH] * off, like)


@jit
def trace_row(words, a, n, j, net, kappa, signal, push, key, stochastic, slot):
    """Traces of all synapses of one neuron take in one step of the block."""
    total = a[regions.TOTAL] + (0 if net.online else j * net.row)
    filt = a[regions.FILT] + j * net.row
    eps = a[regions.EPS] + j * net.sensitive
    coef = words[a[regions.COEF] + slot * net.coefficients * n :]
    filters, at_end = net.filters, net.at_end
    if not net.gated:
        q = coef[leaky.Q * n + j]
        big_d = d = p = word(0, q)
        slow = net.adapts
        if slow:
            big_d, d = coef[leaky.D * n + j], coef[leaky.DIRECT * n + j]
            p = coef[leaky.P * n + j]
        heard = a[regions.INPUTS] + slot * net.inputs
        if net.each:
            heard = a[regions.INPUTS] + (slot * n + j) * net.inputs
        follow(
            words, eps, filt, total, heard, net.row, slow, filters, at_end,
            big_d, d, p, q, kappa, signal, push, key, stochastic,
        )  # fmt: skip
        return
    big_d, p = coef[gated.D * n + j], coef[gated.P * n + j]
    into_x, gate = net.n_in + net.bias, 2 * net.n + 1
    heard = a[regions.INPUTS] + slot * net.inputs
    at = 0
    for g in range(5):
        length = into_x if g == 0 else gate
        x = heard if g == 0 else heard + into_x
        slow = g < 4
        if slow:
            d = coef[(gated.DIRECT + 2 * g) * n + j]
            q = coef[(gated.DIRECT + 2 * g + 1) * n + j]
        else:
            d, q = word(0, p), coef[gated.Q_T * n + j]
        follow(
            words, eps + at, filt + at, total + at, x, length, slow, filters, at_end,
            big_d, d, p, q, kappa, signal, push, mixed(key, g), stochastic,
        )  # fmt: skip
        at += length


@jit
def trace_block(words, a, n, j, net, key, stochastic):
    """Four steps at once of a neuron whose e is weighted, so that each trace is fetched once."""
    total = a[regions.TOTAL] + j * net.row
    eps = a[regions.EPS] + j * net.row
    step = net.coefficients * n
    c = words[a[regions.COEF] + j : a[regions.COEF] + 4 * step]
    x = a[regions.INPUTS]
    size = net.row
    if net.each:
        x, size = x + j * net.row, net.row * n
    q, big_d, p, d = leaky.Q * n, leaky.D * n, leaky.P * n, leaky.DIRECT * n
    trace_four_weighted(
        words[eps : eps + net.row],
        words[total : total + net.row],
        words[x : x + net.row],
        words[x + size : x + size + net.row],
        words[x + 2 * size : x + 2 * size + net.row],
        words[x + 3 * size : x + 3 * size + net.row],
        c[big_d], c[step + big_d], c[2 * step + big_d], c[3 * step + big_d],
        c[d], c[step + d], c[2 * step + d], c[3 * step + d],
        c[p], c[step + p], c[2 * step + p], c[3 * step + p],
        c[q], c[step + q], c[2 * step + q], c[3 * step + q],
        key, stochastic,
    )  # fmt: skip


@jit
def change_row(words, place, a, row, first, second, how, g, real, clock, key, mode, grads):
    """One row of weights takes its step along gradient g; or g is noted, if only asked for."""
    w = words[place : place + row]
    if mode == GRADIENT:
        for i in range(row):
            grads[place + i] = g[i]
        return
    like = words[0]
    decay = fine_from_real(real[L2], like)
    if not how.adam:
        descend(w, g, decay, fine_from_real(real[RATE], like), key, how.stochastic)
        return
    k = clock[UPDATES] + 1
    one, two = 1.0 - real[BETA1] ** k, 1.0 - real[BETA2] ** k
    rate = fine_from_real(real[RATE] * np.sqrt(two) / one, like)
    epsilon = from_real(real[EPSILON] * np.sqrt(two) * gradient_scale(like), like)
    epsilon = max(epsilon, from_real(2.0**-15 * (gradient_scale(like) > 1.0), like))
    adam(
        w,
        words[first : first + row],
        words[second : second + row],
        g,
        decay,
        fine_from_real(1.0 - real[BETA1], like),
        fine_from_real(1.0 - real[BETA2], like),
        rate,
        epsilon,
        key,
        how.stochastic,
    )


@jit
def change_hidden_row(
    words, a, n, j, number, net, how, real, clock, kappa, steps, key, mode, grads
):
    """Gradient and step of one hidden neuron's weights; number: the neuron's in the layer."""
    like = words[0]
    at = a[regions.TOTAL] + (0 if net.online else j * net.row)
    total = words[at : at + net.row]
    per_step = fine_from_real(1.0 / steps, like)
    if net.recurrent >= 0:
        # No neuron learns to hear itself (Bellec et al. 2020).
        total[net.recurrent + number] = 0
        if net.filters:
            words[a[regions.FILT] + j * net.row + net.recurrent + number] = 0
    if net.at_end:
        signal = learning_signal(words, a, j, net)
        push = rate_push(words, a, j, real)
        if net.filters:
            at = a[regions.FILT] + j * net.row
            filt = words[at : at + net.row]
            gradient(total, filt, signal, push, kappa, per_step, key, how.stochastic)
        else:
            signalled_gradient(total, clipped(signal + push, like), per_step, key, how.stochastic)
    else:
        plain_gradient(total, per_step, key, how.stochastic)
    first = a[regions.M1] + j * net.row
    second = a[regions.M2] + j * net.row
    place = a[regions.W] + j * net.row
    change_row(
        words, place, a, net.row, first, second, how, total, real, clock, mixed(key, 1), mode, grads
    )


@jit
def change_readout(words, at, parts, net, how, real, clock, steps, key, mode, grads):
    """Gradient and step of the readout's weights, and of the feedback that follows them."""
    like = words[0]
    row = net.readout_row
    per_step = fine_from_real(1.0 / steps, like)
    for p in range(parts.shape[0]):
        a = at[p]
        for j in range(parts[p, COUNT_OUT]):
            number = parts[p, FIRST_OUT] + j
            own = mixed(mixed(key, 0x10000), number)
            place = a[regions.OW] + j * row
            if net.at_end:
                g = words[a[regions.OGRAD] : a[regions.OGRAD] + row]
                err = words[a[regions.OERROR] + number]
                for i in range(row):
                    g[i] = narrow(times(err, words[a[regions.ZSUM] + i]), HALF)
            else:
                g = words[a[regions.OGRAD] + j * row : a[regions.OGRAD] + (j + 1) * row]
            plain_gradient(g, per_step, own, how.stochastic)
            adapts = mode == LEARN and how.feedback == ADAPTIVE
            if adapts:
                feed_back(words, at, parts, net, place, number, -1)
            first, second = a[regions.OM1] + j * row, a[regions.OM2] + j * row
            change_row(
                words, place, a, row, first, second, how, g, real, clock, mixed(own, 1), mode, grads
            )
            clear(g)
            if adapts:
                feed_back(words, at, parts, net, place, number, 1)
                shrink(words, at, parts, net, place, number, real, mixed(own, 2), how.stochastic)
            elif mode == LEARN and how.feedback == SYMMETRIC:
                feed_back(words, at, parts, net, place, number, 0)


@jit
def feed_back(words, at, parts, net, place, number, sign):
    """Weights of a readout neuron to the feedback of the hidden PEs: set (0), added (1), taken off
    (-1)."""
    for q in range(parts.shape[0]):
        for j in range(parts[q, COUNT]):
            w = words[place + parts[q, FIRST] + j]
            b = at[q, regions.FEEDBACK] + j * net.n_out + number
            if sign == 0:
                words[b] = w
            elif sign > 0:
                words[b] = clipped(words[b] + w, w)
            else:
                words[b] = clipped(words[b] - w, w)


@jit
def shrink(words, at, parts, net, place, number, real, key, stochastic):
    """Kolen-Pollack: a readout neuron's weights and the feedback decay alike, and so align."""
    decay = fine_from_real(real[FEEDBACK_DECAY], words[0])
    for i in range(net.n):
        w = words[place + i]
        words[place + i] = clipped(w - fine(w, decay, 0, draw(key, i, stochastic, w)), w)
    for q in range(parts.shape[0]):
        for j in range(parts[q, COUNT]):
            at_b = at[q, regions.FEEDBACK] + j * net.n_out + number
            b = words[at_b]
            bits = draw(key, net.n + parts[q, FIRST] + j, stochastic, b)
            words[at_b] = clipped(b - fine(b, decay, 0, bits), b)


@jit
def learn_hidden(words, at, parts, net, how, real, clock, kappa, steps, key, mode, grads, filled):
    """Traces of the last ``filled`` steps on all hidden PEs, and where weights change every step,
    their change."""
    for p in range(parts.shape[0]):
        n, a = parts[p, COUNT], at[p]
        for j in range(n):
            own = mixed(key, parts[p, FIRST] + j)
            if net.weighted and net.adapts and filled == 4:
                trace_block(words, a, n, j, net, own, how.stochastic)
                continue
            signal, push = word(1, words[0]), word(0, words[0])
            if not net.at_end:
                signal = learning_signal(words, a, j, net)
                push = rate_push(words, a, j, real)
            if net.online:
                clear(words[a[regions.TOTAL] : a[regions.TOTAL] + net.row])
            for slot in range(filled):
                key_of_step = mixed(own, slot)
                trace_row(
                    words, a, n, j, net, kappa, signal, push, key_of_step, how.stochastic, slot
                )
            if net.online:
                number = parts[p, FIRST] + j
                change_hidden_row(
                    words, a, n, j, number, net, how, real, clock, kappa, steps,
                    mixed(own, 7), mode, grads,
                )  # fmt: skip
