"""What the PEs do in a tick of inference, and the packets between them.

Each PE works on its own part of ``words`` and ``ints`` (see ``regions``); what one knows of another
arrives as a packet: the input, spikes, a GPN's x and v, outputs, errors.
"""

# mypy: ignore-errors

import numpy as np

from snn2hw.targets.spinnaker2.eprop import gated, leaky, regions
from snn2hw.targets.spinnaker2.eprop.tables import COUNT, COUNT_OUT, FIRST, FIRST_OUT, HORIZON
from snn2hw.targets.spinnaker2.eprop.traces import products
from snn2hw.targets.spinnaker2.eprop.words import (
    HALF,
    clipped,
    exponential,
    fine,
    from_real,
    jit,
    narrow,
    quotient,
    times,
    to_real,
    word,
)


@jit
def clear(values):
    """Set everything to zero."""
    for i in range(values.size):
        values[i] = 0


@jit
def start(words, ints, at, parts, strides, net):
    """All PEs at the beginning of a sample."""
    for p in range(parts.shape[0]):
        n, k = parts[p, COUNT], parts[p, COUNT_OUT]
        a = at[p]
        if n:
            clear(words[a[regions.EPS] : a[regions.EPS] + n * net.sensitive])
            if net.filters:
                clear(words[a[regions.FILT] : a[regions.FILT] + n * net.row])
            rows = 1 if net.online else n
            clear(words[a[regions.TOTAL] : a[regions.TOTAL] + rows * net.row])
            heard = net.inputs * net.block * (n if net.each else 1)
            clear(words[a[regions.INPUTS] : a[regions.INPUTS] + heard])
            clear(words[a[regions.COEF] : a[regions.COEF] + n * net.coefficients * net.block])
            clear(ints[a[regions.COUNT] : a[regions.COUNT] + n])
            clear(ints[a[regions.WAIT] : a[regions.WAIT] + n])
            ints[a[regions.FIFO]] = 0
            for j in range(n):
                words[a[regions.V] + j] = 0
                if net.adapts:
                    words[a[regions.A] + j] = 0
                if not net.gated:
                    first, each = strides[p, leaky.START, 0], strides[p, leaky.START, 1]
                    words[a[regions.V] + j] = words[a[regions.CONST] + first + each * j]
        if k:
            clear(words[a[regions.ZBAR] : a[regions.ZBAR] + net.readout_row])
            if net.at_end:
                clear(words[a[regions.ZSUM] : a[regions.ZSUM] + net.readout_row])
            rows = 1 if net.at_end else k
            clear(words[a[regions.OGRAD] : a[regions.OGRAD] + rows * net.readout_row])
            clear(words[a[regions.Y] : a[regions.Y] + k])
            clear(words[a[regions.YSUM] : a[regions.YSUM] + k])


@jit
def leaky_tick(words, ints, a, n, strides, net, x, dampening, slot, factor, learns):
    """LIF or ALIF neurons of one PE: the input and the spikes of the step before arrive.

    slot: place of the step in its block; factor: what e is multiplied with, if at the end.
    """
    one = word(1, words[0])
    fifo = ints[a[regions.FIFO] : a[regions.FIFO] + net.n + 1]
    raw = words[a[regions.RAW] : a[regions.RAW] + net.n_in]
    size = net.inputs * (n if net.each else 1)
    before = a[regions.INPUTS] + (slot if slot else net.block) * size - size
    was = words[before : before + size]
    now = words[a[regions.INPUTS] + slot * size : a[regions.INPUTS] + (slot + 1) * size]
    coef = words[a[regions.COEF] + slot * net.coefficients * n :]
    w = words[a[regions.W] : a[regions.W] + n * net.row]
    drive = words[a[regions.DRIVE] : a[regions.DRIVE] + n]
    const = words[a[regions.CONST] :]
    for i in range(net.n_in):
        raw[i] = x[i]
    wait = ints[a[regions.WAIT] : a[regions.WAIT] + 3 * n]
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
        words[a[regions.V] :],
        words[a[regions.A] :],
        drive,
        ints[a[regions.WAIT] :],
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


@jit
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
        to = a[regions.INPUTS] + slot * net.inputs
        heard = words[to : to + net.inputs]
        for i in range(net.n_in):
            heard[i] = x[i]
        if net.bias:
            heard[net.n_in] = one
        heard[into_x + 2 * net.n] = one
        w = words[a[regions.W] : a[regions.W] + n * net.row]
        drive = words[a[regions.DRIVE] : a[regions.DRIVE] + n]
        products(w, net.row, 0, 1, into_x, heard, drive)
    for p in range(n_pe):
        for j in range(parts[p, COUNT]):
            v, sent = words[at[p, regions.V] + j], words[at[p, regions.DRIVE] + j]
            for q in range(n_pe):
                if parts[q, COUNT]:
                    to = at[q, regions.INPUTS] + slot * net.inputs + into_x
                    to += parts[p, FIRST] + j
                    words[to], words[to + net.n] = v, sent
    for p in range(n_pe):
        n, a = parts[p, COUNT], at[p]
        if n == 0:
            continue
        to = a[regions.INPUTS] + slot * net.inputs
        heard = words[to + into_x : to + net.inputs]
        coef = words[a[regions.COEF] + slot * net.coefficients * n :]
        w = words[a[regions.W] : a[regions.W] + n * net.row]
        arguments = words[a[regions.DRIVE] + n : a[regions.DRIVE] + 5 * n]
        products(w, net.row, into_x, 4, gate, heard, arguments)
        gated.update(
            n,
            parts[p, FIRST],
            net.n,
            words[a[regions.V] :],
            words[a[regions.DRIVE] :],
            ints[a[regions.WAIT] :],
            coef,
            w,
            net.row,
            into_x,
            net.surrogate,
            dampening,
        )
        if net.weighted:
            gated.weight(n, coef, factor)


@jit
def send_spikes(ints, at, parts, net, packets):
    """Every PE's spikes to every PE, in the order of the neurons."""
    count = 0
    for p in range(parts.shape[0]):
        wait = at[p, regions.WAIT]
        n = parts[p, COUNT]
        for j in range(n):
            fired = ints[wait + j] == (1 if net.gated else ints[wait + n + j] + 1)
            if fired:
                count += 1
                packets[count] = parts[p, FIRST] + j
                ints[at[p, regions.COUNT] + j] += 1
    packets[0] = count
    for p in range(parts.shape[0]):
        if parts[p, COUNT]:
            fifo = at[p, regions.FIFO]
            for s in range(count + 1):
                ints[fifo + s] = packets[s]
        if parts[p, COUNT_OUT]:
            fifo = at[p, regions.OFIFO]
            for s in range(count + 1):
                ints[fifo + s] = packets[s]


@jit
def readout_tick(words, ints, at, parts, net, kappa):
    """Readout of all PEs that have some: filtered spikes, and y <- kappa y + gain W z + leak."""
    row = net.readout_row
    one = word(1, kappa)
    for p in range(parts.shape[0]):
        k, a = parts[p, COUNT_OUT], at[p]
        if k == 0:
            continue
        fifo = ints[a[regions.OFIFO] : a[regions.OFIFO] + net.n + 1]
        zbar = words[a[regions.ZBAR] : a[regions.ZBAR] + row]
        for i in range(row):
            zbar[i] = narrow(times(kappa, zbar[i]), HALF)
        for s in range(fifo[0]):
            zbar[fifo[1 + s]] = clipped(zbar[fifo[1 + s]] + one, one)
        if net.bias_out:
            zbar[net.n] = clipped(zbar[net.n] + one, one)
        if net.at_end:
            zsum = words[a[regions.ZSUM] : a[regions.ZSUM] + row]
            for i in range(row):
                zsum[i] = clipped(zsum[i] + zbar[i], one)
        for j in range(k):
            w = words[a[regions.OW] + j * row : a[regions.OW] + (j + 1) * row]
            total = word(0, one)
            for s in range(fifo[0]):
                total = clipped(total + w[fifo[1 + s]], one)
            if net.bias_out:
                total = clipped(total + w[net.n], one)
            y = a[regions.Y] + j
            gain, leak = words[a[regions.OCONST] + j], words[a[regions.OCONST] + k + j]
            now = narrow(times(kappa, words[y]) + times(gain, total), HALF)
            words[y] = clipped(now + leak, one)
            words[a[regions.YSUM] + j] = clipped(words[a[regions.YSUM] + j] + words[y], one)


@jit
def send_outputs(words, at, parts, region, per_step, factor):
    """Outputs (or their sums, times ``factor``) of every readout PE to every other."""
    for p in range(parts.shape[0]):
        for j in range(parts[p, COUNT_OUT]):
            y = words[at[p, region] + j]
            if per_step:
                y = fine(y, factor, 0, 1 << 29)
            for q in range(parts.shape[0]):
                if parts[q, COUNT_OUT]:
                    words[at[q, regions.ALL_Y] + parts[p, FIRST_OUT] + j] = y


@jit
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


@jit
def find_errors(words, at, parts, net, label, target, squared):
    """Each readout PE computes errors from all outputs, and sends those of its own neurons, times
    their gain, to the hidden PEs."""
    loss = 0.0
    for p in range(parts.shape[0]):
        if parts[p, COUNT_OUT] == 0:
            continue
        y = words[at[p, regions.ALL_Y] : at[p, regions.ALL_Y] + net.n_out]
        err = words[at[p, regions.OERROR] : at[p, regions.OERROR] + net.n_out]
        loss = errors(y, label, target, squared, err)
        for k in range(parts[p, COUNT_OUT]):
            j = parts[p, FIRST_OUT] + k
            err[j] = narrow(times(err[j], words[at[p, regions.OCONST] + k]), HALF)
            for q in range(parts.shape[0]):
                if parts[q, COUNT]:
                    words[at[q, regions.ERROR] + j] = err[j]
    return loss


@jit
def follow_rates(words, ints, at, parts, real, steps):
    """The running mean of each neuron's spikes per step takes this sample in."""
    for p in range(parts.shape[0]):
        for j in range(parts[p, COUNT]):
            rate = at[p, regions.RATE] + j
            old = to_real(words[rate])
            now = ints[at[p, regions.COUNT] + j] / steps
            words[rate] = from_real(old + (now - old) / real[HORIZON], words[rate])
