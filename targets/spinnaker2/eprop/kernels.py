"""One sample on all PEs: ticks of inference and learning, in compiled code.

Each PE works on its own part of ``words`` and ``ints`` (see ``regions``); what one knows of another
arrives as a packet: the input, spikes, a GPN's x and v, outputs, errors, and the weights that the
feedback follows. A step has three ticks: hidden neurons; the readout and its errors; traces and,
online, weights. ``compiled.load`` compiles a copy of this file, so that its cache is never stale.
"""

# mypy: ignore-errors

import numpy as np
from numba import njit

from snn2hw.targets.spinnaker2.eprop import gated, leaky
from snn2hw.targets.spinnaker2.eprop import regions as at_place
from snn2hw.targets.spinnaker2.eprop.traces import (
    adam,
    descend,
    follow,
    gradient,
    plain_gradient,
    products,
    signalled_gradient,
    trace_four_weighted,
)
from snn2hw.targets.spinnaker2.eprop.words import (
    clipped,
    draw,
    exponential,
    fine,
    fine_from_real,
    from_real,
    gradient_scale,
    mixed,
    narrow,
    quotient,
    times,
    to_real,
    word,
)

PREDICT, LEARN, GRADIENT = range(3)

FIRST, COUNT, FIRST_OUT, COUNT_OUT = range(4)
"""Columns of ``parts``: the neurons of a PE."""

SYMMETRIC, RANDOM, ADAPTIVE = range(3)

RATE, BETA1, BETA2, EPSILON, L2, FEEDBACK_DECAY, PUSH, TARGET, HORIZON, KAPPA, DAMPENING = range(11)
"""Places in ``real``: learning rate, Adam's, L2, of the feedback, strength and aim of the rate
regulariser, samples of its running mean, decay of the readout, height of the surrogate."""

SAMPLES, UPDATES, SEED = range(3)
"""Places in ``clock``."""

HALF = 1 << 14


@njit(_nrt=False, error_model="numpy")
def clear(values):
    """Set everything to zero."""
    for i in range(values.size):
        values[i] = 0


@njit(_nrt=False, error_model="numpy")
def start(words, ints, at, parts, strides, net):
    """All PEs at the beginning of a sample."""
    for p in range(parts.shape[0]):
        n, k = parts[p, COUNT], parts[p, COUNT_OUT]
        a = at[p]
        if n:
            clear(words[a[at_place.EPS] : a[at_place.EPS] + n * net.sensitive])
            if net.filters:
                clear(words[a[at_place.FILT] : a[at_place.FILT] + n * net.row])
            rows = 1 if net.online else n
            clear(words[a[at_place.TOTAL] : a[at_place.TOTAL] + rows * net.row])
            heard = net.inputs * net.block * (n if net.each else 1)
            clear(words[a[at_place.INPUTS] : a[at_place.INPUTS] + heard])
            clear(words[a[at_place.COEF] : a[at_place.COEF] + n * net.coefficients * net.block])
            clear(ints[a[at_place.COUNT] : a[at_place.COUNT] + n])
            clear(ints[a[at_place.WAIT] : a[at_place.WAIT] + n])
            ints[a[at_place.FIFO]] = 0
            for j in range(n):
                words[a[at_place.V] + j] = 0
                if net.adapts:
                    words[a[at_place.A] + j] = 0
                if not net.gated:
                    first, each = strides[p, leaky.START, 0], strides[p, leaky.START, 1]
                    words[a[at_place.V] + j] = words[a[at_place.CONST] + first + each * j]
        if k:
            clear(words[a[at_place.ZBAR] : a[at_place.ZBAR] + net.readout_row])
            if net.at_end:
                clear(words[a[at_place.ZSUM] : a[at_place.ZSUM] + net.readout_row])
            rows = 1 if net.at_end else k
            clear(words[a[at_place.OGRAD] : a[at_place.OGRAD] + rows * net.readout_row])
            clear(words[a[at_place.Y] : a[at_place.Y] + k])
            clear(words[a[at_place.YSUM] : a[at_place.YSUM] + k])


@njit(_nrt=False, error_model="numpy")
def leaky_tick(words, ints, a, n, strides, net, x, dampening, slot, factor, learns):
    """LIF or ALIF neurons of one PE: the input and the spikes of the step before arrive.

    slot: place of the step in its block; factor: what e is multiplied with, if at the end.
    """
    one = word(1, words[0])
    fifo = ints[a[at_place.FIFO] : a[at_place.FIFO] + net.n + 1]
    raw = words[a[at_place.RAW] : a[at_place.RAW] + net.n_in]
    size = net.inputs * (n if net.each else 1)
    before = a[at_place.INPUTS] + (slot if slot else net.block) * size - size
    was = words[before : before + size]
    now = words[a[at_place.INPUTS] + slot * size : a[at_place.INPUTS] + (slot + 1) * size]
    coef = words[a[at_place.COEF] + slot * net.coefficients * n :]
    w = words[a[at_place.W] : a[at_place.W] + n * net.row]
    drive = words[a[at_place.DRIVE] : a[at_place.DRIVE] + n]
    const = words[a[at_place.CONST] :]
    for i in range(net.n_in):
        raw[i] = x[i]
    wait = ints[a[at_place.WAIT] : a[at_place.WAIT] + 3 * n]
    leaky.hear(
        n, net.each, was, now, net.inputs, net.n_in, net.bias, raw, fifo, net.recurrent, wait,
        const, strides,
    )  # fmt: skip
    products(w, net.row, 0, 1, net.n_in, raw, drive)
    if net.bias:
        for j in range(n):
            drive[j] = clipped(drive[j] + w[j * net.row + net.n_in], one)
    if net.recurrent >= 0:
        for s in range(fifo[0]):
            at = net.recurrent + fifo[1 + s]
            for j in range(n):
                drive[j] = clipped(drive[j] + w[j * net.row + at], one)
    leaky.update(
        n,
        words[a[at_place.V] :],
        words[a[at_place.A] :],
        drive,
        ints[a[at_place.WAIT] :],
        coef,
        const,
        strides,
        net.adapts,
        learns,
    )
    if learns:
        leaky.slopes(
            n, wait, coef, const, strides, net.adapts, net.current, net.surrogate, dampening
        )
    if net.weighted and learns:
        leaky.weight(n, coef, net.adapts, factor)


@njit(_nrt=False, error_model="numpy")
def gated_ticks(words, ints, at, parts, net, x, dampening, slot, factor):
    """GPN neurons of all PEs: x in one tick, gates, spikes and v in the next."""
    one = word(1, words[0])
    n_pe = parts.shape[0]
    into_x = net.n_in + net.bias
    gate = 2 * net.n + 1
    for p in range(n_pe):
        n, a = parts[p, COUNT], at[p]
        if n == 0:
            continue
        to = a[at_place.INPUTS] + slot * net.inputs
        heard = words[to : to + net.inputs]
        for i in range(net.n_in):
            heard[i] = x[i]
        if net.bias:
            heard[net.n_in] = one
        heard[into_x + 2 * net.n] = one
        w = words[a[at_place.W] : a[at_place.W] + n * net.row]
        drive = words[a[at_place.DRIVE] : a[at_place.DRIVE] + n]
        products(w, net.row, 0, 1, into_x, heard, drive)
    for p in range(n_pe):
        for j in range(parts[p, COUNT]):
            v, sent = words[at[p, at_place.V] + j], words[at[p, at_place.DRIVE] + j]
            for q in range(n_pe):
                if parts[q, COUNT]:
                    to = at[q, at_place.INPUTS] + slot * net.inputs + into_x
                    to += parts[p, FIRST] + j
                    words[to], words[to + net.n] = v, sent
    for p in range(n_pe):
        n, a = parts[p, COUNT], at[p]
        if n == 0:
            continue
        to = a[at_place.INPUTS] + slot * net.inputs
        heard = words[to + into_x : to + net.inputs]
        coef = words[a[at_place.COEF] + slot * net.coefficients * n :]
        w = words[a[at_place.W] : a[at_place.W] + n * net.row]
        arguments = words[a[at_place.DRIVE] + n : a[at_place.DRIVE] + 5 * n]
        products(w, net.row, into_x, 4, gate, heard, arguments)
        gated.update(
            n,
            parts[p, FIRST],
            net.n,
            words[a[at_place.V] :],
            words[a[at_place.DRIVE] :],
            ints[a[at_place.WAIT] :],
            coef,
            w,
            net.row,
            into_x,
            net.surrogate,
            dampening,
        )
        if net.weighted:
            gated.weight(n, coef, factor)


@njit(_nrt=False, error_model="numpy")
def send_spikes(ints, at, parts, net, packets):
    """Every PE's spikes to every PE, in the order of the neurons."""
    count = 0
    for p in range(parts.shape[0]):
        wait = at[p, at_place.WAIT]
        n = parts[p, COUNT]
        for j in range(n):
            fired = ints[wait + j] == (1 if net.gated else ints[wait + n + j] + 1)
            if fired:
                count += 1
                packets[count] = parts[p, FIRST] + j
                ints[at[p, at_place.COUNT] + j] += 1
    packets[0] = count
    for p in range(parts.shape[0]):
        if parts[p, COUNT]:
            fifo = at[p, at_place.FIFO]
            for s in range(count + 1):
                ints[fifo + s] = packets[s]
        if parts[p, COUNT_OUT]:
            fifo = at[p, at_place.OFIFO]
            for s in range(count + 1):
                ints[fifo + s] = packets[s]


@njit(_nrt=False, error_model="numpy")
def readout_tick(words, ints, at, parts, net, kappa):
    """Readout of all PEs that have some: filtered spikes, and y <- kappa y + gain W z + leak."""
    row = net.readout_row
    one = word(1, kappa)
    for p in range(parts.shape[0]):
        k, a = parts[p, COUNT_OUT], at[p]
        if k == 0:
            continue
        fifo = ints[a[at_place.OFIFO] : a[at_place.OFIFO] + net.n + 1]
        zbar = words[a[at_place.ZBAR] : a[at_place.ZBAR] + row]
        for i in range(row):
            zbar[i] = narrow(times(kappa, zbar[i]), HALF)
        for s in range(fifo[0]):
            zbar[fifo[1 + s]] = clipped(zbar[fifo[1 + s]] + one, one)
        if net.bias_out:
            zbar[net.n] = clipped(zbar[net.n] + one, one)
        if net.at_end:
            zsum = words[a[at_place.ZSUM] : a[at_place.ZSUM] + row]
            for i in range(row):
                zsum[i] = clipped(zsum[i] + zbar[i], one)
        for j in range(k):
            w = words[a[at_place.OW] + j * row : a[at_place.OW] + (j + 1) * row]
            total = word(0, one)
            for s in range(fifo[0]):
                total = clipped(total + w[fifo[1 + s]], one)
            if net.bias_out:
                total = clipped(total + w[net.n], one)
            y = a[at_place.Y] + j
            gain, leak = words[a[at_place.OCONST] + j], words[a[at_place.OCONST] + k + j]
            now = narrow(times(kappa, words[y]) + times(gain, total), HALF)
            words[y] = clipped(now + leak, one)
            words[a[at_place.YSUM] + j] = clipped(words[a[at_place.YSUM] + j] + words[y], one)


@njit(_nrt=False, error_model="numpy")
def send_outputs(words, at, parts, region, per_step, factor):
    """Outputs (or their sums, times ``factor``) of every readout PE to every other."""
    for p in range(parts.shape[0]):
        for j in range(parts[p, COUNT_OUT]):
            y = words[at[p, region] + j]
            if per_step:
                y = fine(y, factor, 0, 1 << 29)
            for q in range(parts.shape[0]):
                if parts[q, COUNT_OUT]:
                    words[at[q, at_place.ALL_Y] + parts[p, FIRST_OUT] + j] = y


@njit(_nrt=False, error_model="numpy")
def errors(y, label, target, squared, err):
    """Errors into ``err`` and the loss: cross-entropy of the softmax, or half the squared error."""
    loss = 0.0
    if squared:
        for k in range(y.size):
            err[k] = clipped(y[k] - target[k], y[k])
            loss += 0.5 * to_real(err[k]) ** 2
        return loss
    top = y[0]
    for k in range(1, y.size):
        top = max(top, y[k])
    total = word(0, top)
    for k in range(y.size):
        err[k] = exponential(clipped(y[k] - top, top))
        total = clipped(total + err[k], top)
    for k in range(y.size):
        err[k] = quotient(err[k], total)
    loss = -np.log(max(to_real(err[label]), 1e-30))
    err[label] = clipped(err[label] - word(1, top), top)
    return loss


@njit(_nrt=False, error_model="numpy")
def find_errors(words, at, parts, net, label, target, squared):
    """Each readout PE computes errors from all outputs, and sends those of its own neurons, times
    their gain, to the hidden PEs."""
    loss = 0.0
    for p in range(parts.shape[0]):
        if parts[p, COUNT_OUT] == 0:
            continue
        y = words[at[p, at_place.ALL_Y] : at[p, at_place.ALL_Y] + net.n_out]
        err = words[at[p, at_place.OERROR] : at[p, at_place.OERROR] + net.n_out]
        loss = errors(y, label, target, squared, err)
        for k in range(parts[p, COUNT_OUT]):
            j = parts[p, FIRST_OUT] + k
            err[j] = narrow(times(err[j], words[at[p, at_place.OCONST] + k]), HALF)
            for q in range(parts.shape[0]):
                if parts[q, COUNT]:
                    words[at[q, at_place.ERROR] + j] = err[j]
    return loss


@njit(_nrt=False, error_model="numpy")
def learning_signal(words, a, j, net):
    """What the readout's errors mean for a neuron."""
    total = times(words[a[at_place.FEEDBACK] + j * net.n_out], words[a[at_place.ERROR]])
    for k in range(1, net.n_out):
        b = words[a[at_place.FEEDBACK] + j * net.n_out + k]
        total += times(b, words[a[at_place.ERROR] + k])
    return narrow(total, HALF)


@njit(_nrt=False, error_model="numpy")
def rate_push(words, a, j, real):
    """How the regulariser pushes a neuron: strength times (running rate - target)."""
    like = words[0]
    off = to_real(words[a[at_place.RATE] + j]) - real[TARGET]
    return from_real(real[PUSH] * off, like)


@njit(_nrt=False, error_model="numpy")
def trace_row(words, a, n, j, net, kappa, signal, push, key, stochastic, slot):
    """Traces of all synapses of one neuron take in one step of the block."""
    total = a[at_place.TOTAL] + (0 if net.online else j * net.row)
    filt = a[at_place.FILT] + j * net.row
    eps = a[at_place.EPS] + j * net.sensitive
    coef = words[a[at_place.COEF] + slot * net.coefficients * n :]
    filters, at_end = net.filters, net.at_end
    if not net.gated:
        q = coef[leaky.Q * n + j]
        big_d = d = p = word(0, q)
        slow = net.adapts
        if slow:
            big_d, d = coef[leaky.D * n + j], coef[leaky.DIRECT * n + j]
            p = coef[leaky.P * n + j]
        heard = a[at_place.INPUTS] + slot * net.inputs
        if net.each:
            heard = a[at_place.INPUTS] + (slot * n + j) * net.inputs
        follow(
            words, eps, filt, total, heard, net.row, slow, filters, at_end,
            big_d, d, p, q, kappa, signal, push, key, stochastic,
        )  # fmt: skip
        return
    big_d, p = coef[gated.D * n + j], coef[gated.P * n + j]
    into_x, gate = net.n_in + net.bias, 2 * net.n + 1
    heard = a[at_place.INPUTS] + slot * net.inputs
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


@njit(_nrt=False, error_model="numpy")
def trace_block(words, a, n, j, net, key, stochastic):
    """Four steps at once of a neuron whose e is weighted, so that each trace is fetched once."""
    total = a[at_place.TOTAL] + j * net.row
    eps = a[at_place.EPS] + j * net.row
    step = net.coefficients * n
    c = words[a[at_place.COEF] + j : a[at_place.COEF] + 4 * step]
    x = a[at_place.INPUTS]
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


@njit(_nrt=False, error_model="numpy")
def change_row(
    words, place, a, row, first, second, how, g, real, clock, key, mode, grads
):
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


@njit(_nrt=False, error_model="numpy")
def change_hidden_row(words, a, n, j, number, net, how, real, clock, kappa, steps, key, mode, grads):
    """Gradient and step of one hidden neuron's weights; number: the neuron's in the layer."""
    like = words[0]
    at = a[at_place.TOTAL] + (0 if net.online else j * net.row)
    total = words[at : at + net.row]
    per_step = fine_from_real(1.0 / steps, like)
    if net.recurrent >= 0:
        # No neuron learns to hear itself (Bellec et al. 2020).
        total[net.recurrent + number] = 0
        if net.filters:
            words[a[at_place.FILT] + j * net.row + net.recurrent + number] = 0
    if net.at_end:
        signal = learning_signal(words, a, j, net)
        push = rate_push(words, a, j, real)
        if net.filters:
            at = a[at_place.FILT] + j * net.row
            filt = words[at : at + net.row]
            gradient(total, filt, signal, push, kappa, per_step, key, how.stochastic)
        else:
            signalled_gradient(total, signal, per_step, key, how.stochastic)
    else:
        plain_gradient(total, per_step, key, how.stochastic)
    first = a[at_place.M1] + j * net.row
    second = a[at_place.M2] + j * net.row
    place = a[at_place.W] + j * net.row
    change_row(
        words, place, a, net.row, first, second, how, total, real, clock, mixed(key, 1), mode, grads
    )


@njit(_nrt=False, error_model="numpy")
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
            place = a[at_place.OW] + j * row
            if net.at_end:
                g = words[a[at_place.OGRAD] : a[at_place.OGRAD] + row]
                err = words[a[at_place.OERROR] + number]
                for i in range(row):
                    g[i] = narrow(times(err, words[a[at_place.ZSUM] + i]), HALF)
            else:
                g = words[a[at_place.OGRAD] + j * row : a[at_place.OGRAD] + (j + 1) * row]
            plain_gradient(g, per_step, own, how.stochastic)
            adapts = mode == LEARN and how.feedback == ADAPTIVE
            if adapts:
                feed_back(words, at, parts, net, place, number, -1)
            first, second = a[at_place.OM1] + j * row, a[at_place.OM2] + j * row
            change_row(
                words, place, a, row, first, second, how, g, real, clock, mixed(own, 1), mode, grads
            )
            clear(g)
            if adapts:
                feed_back(words, at, parts, net, place, number, 1)
                shrink(words, at, parts, net, place, number, real, mixed(own, 2), how.stochastic)
            elif mode == LEARN and how.feedback == SYMMETRIC:
                feed_back(words, at, parts, net, place, number, 0)


@njit(_nrt=False, error_model="numpy")
def feed_back(words, at, parts, net, place, number, sign):
    """Weights of a readout neuron to the feedback of the hidden PEs: set (0), added (1), taken off
    (-1)."""
    for q in range(parts.shape[0]):
        for j in range(parts[q, COUNT]):
            w = words[place + parts[q, FIRST] + j]
            b = at[q, at_place.FEEDBACK] + j * net.n_out + number
            if sign == 0:
                words[b] = w
            elif sign > 0:
                words[b] = clipped(words[b] + w, w)
            else:
                words[b] = clipped(words[b] - w, w)


@njit(_nrt=False, error_model="numpy")
def shrink(words, at, parts, net, place, number, real, key, stochastic):
    """Kolen-Pollack: a readout neuron's weights and the feedback decay alike, and so align."""
    decay = fine_from_real(real[FEEDBACK_DECAY], words[0])
    for i in range(net.n):
        w = words[place + i]
        words[place + i] = clipped(w - fine(w, decay, 0, draw(key, i, stochastic, w)), w)
    for q in range(parts.shape[0]):
        for j in range(parts[q, COUNT]):
            at_b = at[q, at_place.FEEDBACK] + j * net.n_out + number
            b = words[at_b]
            bits = draw(key, net.n + parts[q, FIRST] + j, stochastic, b)
            words[at_b] = clipped(b - fine(b, decay, 0, bits), b)


@njit(_nrt=False, error_model="numpy")
def learn_hidden(
    words, at, parts, net, how, real, clock, kappa, steps, key, mode, grads, filled
):
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
                clear(words[a[at_place.TOTAL] : a[at_place.TOTAL] + net.row])
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


@njit(_nrt=False, error_model="numpy")
def follow_rates(words, ints, at, parts, real, steps):
    """The running mean of each neuron's spikes per step takes this sample in."""
    for p in range(parts.shape[0]):
        for j in range(parts[p, COUNT]):
            rate = at[p, at_place.RATE] + j
            old = to_real(words[rate])
            now = ints[at[p, at_place.COUNT] + j] / steps
            words[rate] = from_real(old + (now - old) / real[HORIZON], words[rate])


@njit(_nrt=False, error_model="numpy")
def run_sample(
    words, ints, at, parts, strides, net, how, real, clock, x, label, target, mode, out, packets, grads
):
    """One sample. x: (time, n_in) words; out: (n_out,) float64, takes the mean output; target:
    (time or 1, n_out) words, for the squared error. Returns the loss."""
    steps = x.shape[0]
    like = words[0]
    kappa = from_real(real[KAPPA], like)
    dampening = from_real(real[DAMPENING], like)
    learns = mode != PREDICT
    sample_key = mixed(clock[SEED], clock[SAMPLES])
    start(words, ints, at, parts, strides, net)
    loss = 0.0
    for t in range(steps):
        key = mixed(sample_key, t)
        slot = t % net.block
        # What e(t) adds to its filtered self until the end of the sample.
        weight = 1.0 if real[KAPPA] == 0 else (1 - real[KAPPA] ** (steps - t)) / (1 - real[KAPPA])
        factor = from_real(weight, like)
        if net.gated:
            gated_ticks(words, ints, at, parts, net, x[t], dampening, slot, factor)
        else:
            for p in range(parts.shape[0]):
                if parts[p, COUNT]:
                    leaky_tick(
                        words, ints, at[p], parts[p, COUNT], strides[p], net, x[t], dampening,
                        slot, factor, learns,
                    )  # fmt: skip
        send_spikes(ints, at, parts, net, packets)
        readout_tick(words, ints, at, parts, net, kappa)
        if not net.at_end:
            send_outputs(words, at, parts, at_place.Y, False, fine_from_real(1.0, like))
            now = find_errors(
                words, at, parts, net, label, target[t % target.shape[0]], how.squared
            )
            loss += now / steps
            if learns:
                for p in range(parts.shape[0]):
                    for j in range(parts[p, COUNT_OUT]):
                        a = at[p]
                        g = a[at_place.OGRAD] + j * net.readout_row
                        err = words[a[at_place.OERROR] + parts[p, FIRST_OUT] + j]
                        for i in range(net.readout_row):
                            more = narrow(times(err, words[a[at_place.ZBAR] + i]), HALF)
                            words[g + i] = clipped(words[g + i] + more, err)
        if learns and (slot == net.block - 1 or t == steps - 1):
            learn_hidden(
                words, at, parts, net, how, real, clock, kappa, steps, key, mode, grads, slot + 1
            )
        if learns and net.online:
            change_readout(
                words, at, parts, net, how, real, clock, steps, mixed(key, 9), mode, grads
            )
            clock[UPDATES] += 1
    per_step = fine_from_real(1.0 / steps, like)
    send_outputs(words, at, parts, at_place.YSUM, True, per_step)
    for p in range(parts.shape[0]):
        if parts[p, COUNT_OUT]:
            for k in range(net.n_out):
                out[k] = to_real(words[at[p, at_place.ALL_Y] + k])
    if net.at_end:
        loss = find_errors(words, at, parts, net, label, target[0], how.squared)
    if learns and not net.online:
        key = mixed(sample_key, steps)
        for p in range(parts.shape[0]):
            for j in range(parts[p, COUNT]):
                number = parts[p, FIRST] + j
                change_hidden_row(
                    words, at[p], parts[p, COUNT], j, number, net, how, real, clock, kappa,
                    steps, mixed(key, number), mode, grads,
                )  # fmt: skip
        change_readout(words, at, parts, net, how, real, clock, steps, key, mode, grads)
        if mode == LEARN:
            clock[UPDATES] += 1
    if mode == LEARN:
        follow_rates(words, ints, at, parts, real, steps)
        clock[SAMPLES] += 1
    return loss


@njit(cache=True, nogil=True, _nrt=False, error_model="numpy")
def run_samples(
    words, ints, at, parts, strides, net, how, real, clock, x, labels, targets, mode, out, loss, packets, grads
):
    """Samples one after the other; arrays as ``run_sample``'s, with the sample first."""
    for s in range(x.shape[0]):
        loss[s] = run_sample(
            words, ints, at, parts, strides, net, how, real, clock, x[s], labels[s],
            targets[s % targets.shape[0]], mode, out[s], packets, grads,
        )  # fmt: skip
