"""The event-driven engine: every layer of one sample, step by step, on flat arrays.

This file is compiled by Numba, not imported as it stands: ``generate.py`` puts the neuron layers
(``dispatch``, made from each model's ``step``) in front of it. All tables are int64 arrays whose
columns are named in ``plan.py``; all sums are int32, which ``check_registers`` shows to suffice.
"""

# mypy: ignore-errors
# ruff: noqa: F821

import numpy as np
from numba import njit, prange

from snn2hw.simulator.vectors import WIDTH, add_four, add_one, add_times, list_bytes


@njit(cache=True, nogil=True, _nrt=False)
def compact(values, mask, index, value):
    """List the non-zero entries: their positions, and their values (``& mask``: see ``plan``)."""
    count = 0
    for i in range(values.size):
        # Written always, counted only if non-zero: no branch to mispredict.
        index[count] = i
        value[count] = np.int32(values[i]) & mask
        count += values[i] != 0
    return count


@njit(cache=True, nogil=True, _nrt=False)
def compact_bytes(values, mask, index, value):
    """As ``compact``, for bytes in whole vectors; there is room for one behind the list."""
    count = np.int64(0)
    for i in range(0, values.size, WIDTH):
        count += list_bytes(index, value, count, values, i, mask) >> 16
    return count


@njit(cache=True, nogil=True, _nrt=False)
def compact_spikes(fired, packed, index, value):
    """As ``compact_bytes``, for neurons that fired (1) or not (0); and pack them as bits."""
    count = np.int64(0)
    for i in range(0, fired.size, WIDTH):
        found = list_bytes(index, value, count, fired, i, np.int32(-1))
        packed[i // 8] = np.uint8(found & 255)
        packed[i // 8 + 1] = np.uint8((found >> 8) & 255)
        count += found >> 16
    return count


@njit(cache=True, nogil=True, _nrt=False)
def weights_met(met_by, first, index, count):
    """Sum of what the messages meet (see ``plan``), four at a time.

    Unsigned places need no test for being below zero, which takes as long as the sum.
    """
    m0 = m1 = m2 = m3 = np.int64(0)
    k = 0
    while k + 4 <= count:
        m0 += met_by[np.uint64(first + index[np.uint64(k)])]
        m1 += met_by[np.uint64(first + index[np.uint64(k + 1)])]
        m2 += met_by[np.uint64(first + index[np.uint64(k + 2)])]
        m3 += met_by[np.uint64(first + index[np.uint64(k + 3)])]
        k += 4
    while k < count:
        m0 += met_by[np.uint64(first + index[np.uint64(k)])]
        k += 1
    return m0 + m1 + m2 + m3


@njit(cache=True, nogil=True, _nrt=False)
def clear(values):
    """Set everything to zero."""
    for i in range(values.size):
        values[i] = 0


@njit(cache=True, nogil=True, _nrt=False)
def deliver_spikes(acc, weights, rows, index, count, shift, part):
    """Add the weight column of each of ``count`` spikes, ``<< shift``, to ``acc``.

    Sums of up to 256 weights of 8 bits fit 16, which doubles what a vector register holds.
    """
    for first in range(0, count, 256):
        last = min(first + 256, count)
        clear(part[:rows])
        k = first
        while k + 8 <= last:
            w0 = weights[index[k] * rows : index[k] * rows + rows]
            w1 = weights[index[k + 1] * rows : index[k + 1] * rows + rows]
            w2 = weights[index[k + 2] * rows : index[k + 2] * rows + rows]
            w3 = weights[index[k + 3] * rows : index[k + 3] * rows + rows]
            w4 = weights[index[k + 4] * rows : index[k + 4] * rows + rows]
            w5 = weights[index[k + 5] * rows : index[k + 5] * rows + rows]
            w6 = weights[index[k + 6] * rows : index[k + 6] * rows + rows]
            w7 = weights[index[k + 7] * rows : index[k + 7] * rows + rows]
            for r in range(rows):
                low = np.int16(
                    np.int16(np.int16(w0[r]) + np.int16(w1[r]))
                    + np.int16(np.int16(w2[r]) + np.int16(w3[r]))
                )
                high = np.int16(
                    np.int16(np.int16(w4[r]) + np.int16(w5[r]))
                    + np.int16(np.int16(w6[r]) + np.int16(w7[r]))
                )
                part[r] += np.int16(low + high)
            k += 8
        while k < last:
            w0 = weights[index[k] * rows : index[k] * rows + rows]
            for r in range(rows):
                part[r] += np.int16(w0[r])
            k += 1
        for r in range(rows):
            acc[r] += np.int32(part[r]) << shift


@njit(cache=True, nogil=True, _nrt=False, fastmath={"contract"})
def deliver_messages(acc, weights, rows, index, value, count, shift, exact):
    """As ``deliver_spikes``, each column times the message's value.

    exact: sums in single precision, which are exact for integers below 2**24 whatever their order
    (``plan.sums_fit_single`` has shown it) and take half the time of 32-bit products. The weights
    are single precision too.
    """
    clear(exact[:rows])
    k = 0
    while k + 8 <= count:
        w0 = weights[index[k] * rows : index[k] * rows + rows]
        w1 = weights[index[k + 1] * rows : index[k + 1] * rows + rows]
        w2 = weights[index[k + 2] * rows : index[k + 2] * rows + rows]
        w3 = weights[index[k + 3] * rows : index[k + 3] * rows + rows]
        w4 = weights[index[k + 4] * rows : index[k + 4] * rows + rows]
        w5 = weights[index[k + 5] * rows : index[k + 5] * rows + rows]
        w6 = weights[index[k + 6] * rows : index[k + 6] * rows + rows]
        w7 = weights[index[k + 7] * rows : index[k + 7] * rows + rows]
        m0 = np.float32(value[k])
        m1 = np.float32(value[k + 1])
        m2 = np.float32(value[k + 2])
        m3 = np.float32(value[k + 3])
        m4 = np.float32(value[k + 4])
        m5 = np.float32(value[k + 5])
        m6 = np.float32(value[k + 6])
        m7 = np.float32(value[k + 7])
        for r in range(rows):
            low = exact[r] + w0[r] * m0 + w1[r] * m1 + w2[r] * m2 + w3[r] * m3
            exact[r] = low + w4[r] * m4 + w5[r] * m5 + w6[r] * m6 + w7[r] * m7
        k += 8
    while k < count:
        w0 = weights[index[k] * rows : index[k] * rows + rows]
        m0 = np.float32(value[k])
        for r in range(rows):
            exact[r] += w0[r] * m0
        k += 1
    for r in range(rows):
        acc[r] += np.int32(exact[r]) << shift


@njit(cache=True, nogil=True, _nrt=False)
def deliver_wide(acc, weights, rows, index, value, count, shift):
    """As ``deliver_messages``, for sums that need all 32 bits; four at a time, for a product of 32
    bits takes no longer than to fetch a sum and to put it back."""
    k = 0
    while k + 4 <= count:
        w0 = weights[index[k] * rows : index[k] * rows + rows]
        w1 = weights[index[k + 1] * rows : index[k + 1] * rows + rows]
        w2 = weights[index[k + 2] * rows : index[k + 2] * rows + rows]
        w3 = weights[index[k + 3] * rows : index[k + 3] * rows + rows]
        m0 = np.int32(value[k] << shift)
        m1 = np.int32(value[k + 1] << shift)
        m2 = np.int32(value[k + 2] << shift)
        m3 = np.int32(value[k + 3] << shift)
        for r in range(rows):
            low = np.int32(np.int32(w0[r] * m0) + np.int32(w1[r] * m1))
            high = np.int32(np.int32(w2[r] * m2) + np.int32(w3[r] * m3))
            acc[r] += np.int32(low + high)
        k += 4
    while k < count:
        w0 = weights[index[k] * rows : index[k] * rows + rows]
        m0 = np.int32(value[k] << shift)
        for r in range(rows):
            acc[r] += np.int32(w0[r] * m0)
        k += 1


@njit(cache=True, nogil=True, _nrt=False)
def deliver_one_to_one(acc, weights, reached, index, value, count, shift):
    """Each message to the one sum that it reaches."""
    for k in range(count):
        e = index[k]
        acc[reached[e]] += np.int32(np.int32(weights[e]) * np.int32(value[k])) << shift


@njit(nogil=True, _nrt=False, forceinline=True)
def add_runs(acc, to, weights, a, b, c, d, n, clean, together, message, is_spike, shift):
    """Up to four messages' weights, from ``a``, ``b``, ``c``, ``d`` on, to the n sums from ``to``.

    together: number of messages; clean: whether zeros follow the weights up to a whole vector.
    """
    whole = n if clean else n // WIDTH * WIDTH
    if not is_spike:
        for r in range(0, whole, WIDTH):
            add_times(acc, to + r, weights, a + r, message, shift)
    elif together == 1:
        for r in range(0, whole, WIDTH):
            add_one(acc, to + r, weights, a + r, shift)
    else:
        for r in range(0, whole, WIDTH):
            add_four(acc, to + r, weights, a + r, b + r, c + r, d + r, shift)
    for r in range(whole, n):
        total = np.int32(weights[a + r]) * message
        if together > 1:
            total += np.int32(weights[b + r]) + np.int32(weights[c + r]) + np.int32(weights[d + r])
        acc[to + r] += total << shift


@njit(cache=True, nogil=True, _nrt=False)
def deliver_convolution(acc, weights, table, shape, index, value, count, shift, is_spike):
    """Each message to the outputs whose window it lies in; table and shape: see ``links``.

    Spikes of one place in several channels reach the same sums, so up to four go together.
    """
    outputs, one_run, step, at_row, zeros = shape
    k = 0
    while k < count:
        s = 8 * np.int64(index[k])
        place, a, first_sum, taps = table[s], np.int64(table[s + 1]), table[s + 2], table[s + 3]
        begin, end, clean = table[s + 4], table[s + 5], table[s + 6]
        message = np.int32(1) if is_spike else np.int32(value[k])
        b = c = d = zeros
        together = 1
        most = min(count - k, 4) if is_spike and one_run else 1
        if most > 1 and table[8 * np.int64(index[k + 1])] == place:
            b, together = np.int64(table[8 * np.int64(index[k + 1]) + 1]), 2
            if most > 2 and table[8 * np.int64(index[k + 2])] == place:
                c, together = np.int64(table[8 * np.int64(index[k + 2]) + 1]), 3
                if most > 3 and table[8 * np.int64(index[k + 3])] == place:
                    d, together = np.int64(table[8 * np.int64(index[k + 3]) + 1]), 4
        k += together
        n = np.int64(taps) * outputs
        for r in range(begin, end):
            w = np.int64(table[at_row + 2 * r])
            to = np.int64(first_sum + table[at_row + 2 * r + 1])
            if one_run:
                add_runs(
                    acc,
                    to,
                    weights,
                    a + w,
                    b + w,
                    c + w,
                    d + w,
                    n,
                    clean,
                    together,
                    message,
                    is_spike,
                    shift,
                )
                continue
            w += a
            for _ in range(taps):
                for q in range(outputs):
                    acc[to + q] += np.int32(np.int32(weights[w + q]) * message) << shift
                w += outputs
                to += step


@njit(cache=True, nogil=True, _nrt=False)
def deliver(
    acc, weights, singles, rows, index, value, count, shift, kind, part, exact, link, table, shape
):
    """Add what ``count`` messages bring to ``acc``.

    kind: of message, see ``plan.message_kind``; link: kind of map, see ``links``.
    """
    if link == 2:
        deliver_convolution(acc, weights, table, shape, index, value, count, shift, kind == 0)
    elif link == 1:
        deliver_one_to_one(acc, weights, table, index, value, count, shift)
    elif kind == 0:
        deliver_spikes(acc, weights, rows, index, count, shift, part)
    elif kind == 1:
        deliver_messages(acc, singles, rows, index, value, count, shift, exact)
    else:
        deliver_wide(acc, weights, rows, index, value, count, shift)


@njit(cache=True, nogil=True, _nrt=False)
def run_sample(
    data,
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    singles,
    tables,
    geometry,
    met_by,
    params,
    blocks,
    copies,
    sizes,
    spikes,
    recorded,
    act_inputs,
    act_layers,
    act_ports,
    act_synapses,
    state,
    acc,
    out,
    fired,
    part,
    exact,
    whole,
    index,
    value,
    counts,
):
    """One sample. data: (time, all input channels); the counts, ``act_...``, have one row, or one
    for each step.

    The arrays from ``spikes`` on are written to; those from ``state`` on are work space. Nothing is
    allocated here, so slices need no reference counts (``_nrt=False``), which cost more than they
    count in loops this short.
    """
    n_source, depth = sizes[4], sizes[5]
    by_step = act_layers.shape[0] > 1
    # A layer that looks ahead handles its step 0 later than the inputs theirs; before and behind
    # its own steps it is silent.
    for step in range(data.shape[0] + sizes[7]):
        slot = step % depth
        for k in range(inputs.shape[0]):
            first, n, source, mask = inputs[k]
            if step >= data.shape[0]:
                counts[source, slot] = 0
                continue
            row = step if by_step else 0
            at = sources[source, 0] + slot * n_source
            now = data[step, first : first + n]
            if data.itemsize == 1:
                c = compact_bytes(now, np.int32(mask), index[at:], value[at:])
            else:
                c = compact(now, mask, index[at:], value[at:])
            counts[source, slot] = c
            act_inputs[row, k] += c
        for j in range(layers.shape[0]):
            kind, n, at_state, at_acc, n_in, first_param, at_out, at_fired = layers[j, :8]
            t = step - layers[j, 12]
            if t < 0 or t >= data.shape[0]:
                for p in range(layers[j, 10], layers[j, 11]):
                    counts[ports[p, 1], slot] = 0
                continue
            row = t if by_step else 0
            clear(acc[at_acc : at_acc + n_in * n])
            for s in range(layers[j, 8], layers[j, 9]):
                source, rows, at_row, at_weight, exponent = synapses[s, :5]
                wait, at_met, message = synapses[s, 5:8]
                link, at_table, at_shape = synapses[s][8:]
                if wait > step:
                    continue
                past = (step - wait) % depth
                count = counts[source, past]
                if count == 0:
                    continue
                at = sources[source, 0] + past * n_source
                events = index[at : at + count]
                target = acc[at_row : at_row + rows]
                values = value[at : at + count]
                w, w1 = weights[at_weight:], singles[at_weight:]
                shape = geometry[max(at_shape, 0)]
                if exponent < 0:
                    # Loihi shifts the whole sum of the group, not each weight.
                    clear(whole[:rows])
                    into = whole
                else:
                    into = target
                deliver(
                    into,
                    w,
                    w1,
                    rows,
                    events,
                    values,
                    count,
                    max(exponent, 0),
                    message,
                    part,
                    exact,
                    link,
                    tables[at_table:],
                    shape,
                )
                if exponent < 0:
                    for r in range(rows):
                        target[r] += whole[r] >> -exponent
                act_synapses[row, s, 0] += count
                met = weights_met(met_by, at_met, events, count)
                act_synapses[row, s, 1] += met & 0xFFFFFFFF
                act_synapses[row, s, 2] += met >> 32
            wraps, clips, idle = dispatch(
                kind,
                n,
                state[at_state:],
                acc[at_acc:],
                params,
                blocks[first_param:],
                out[at_out:],
                fired[at_fired:],
            )
            act_layers[row, j, 0] += idle
            act_layers[row, j, 1] += wraps
            act_layers[row, j, 2] += clips
            for p in range(layers[j, 10], layers[j, 11]):
                at_port, source, at_bit, is_spike = ports[p]
                at = sources[source, 0] + slot * n_source
                if is_spike:
                    f = fired[at_port : at_port + (n + WIDTH - 1) // WIDTH * WIDTH]
                    c = compact_spikes(f, spikes[t, at_bit:], index[at:], value[at:])
                else:
                    c = compact(out[at_port : at_port + n], -1, index[at:], value[at:])
                counts[source, slot] = c
                act_ports[row, p] += c
        for k in range(copies.shape[0]):
            from_out, first, n, to, start = copies[k]
            t = step - start
            if t < 0 or t >= data.shape[0]:
                continue
            for i in range(n):
                recorded[t, to + i] = out[first + i] if from_out else state[first + i]


@njit(cache=True, nogil=True, parallel=True)
def run_batch(
    data,
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    singles,
    tables,
    geometry,
    met_by,
    params,
    blocks,
    start,
    copies,
    sizes,
    spikes,
    recorded,
    act_inputs,
    act_layers,
    act_ports,
    act_synapses,
):
    """All samples, in parallel: each writes to its own rows of the result arrays."""
    _, n_acc, n_out, n_fired, n_source, depth, widest, _ = sizes
    for b in prange(data.shape[0]):
        run_sample(
            data[b],
            inputs,
            layers,
            synapses,
            ports,
            sources,
            weights,
            singles,
            tables,
            geometry,
            met_by,
            params,
            blocks,
            copies,
            sizes,
            spikes[b],
            recorded[b],
            act_inputs[b],
            act_layers[b],
            act_ports[b],
            act_synapses[b],
            start.copy(),
            np.zeros(n_acc, dtype=np.int32),
            np.zeros(n_out, dtype=np.int32),
            np.zeros(n_fired, dtype=np.int8),
            np.zeros(widest, dtype=np.int16),
            np.zeros(widest, dtype=np.float32),
            np.zeros(widest, dtype=np.int32),
            # Lists are written in whole vectors, so there is room for one behind the last.
            np.zeros(n_source * depth + WIDTH, dtype=np.int32),
            np.zeros(n_source * depth + WIDTH, dtype=np.int32),
            np.zeros((sources.shape[0], depth), dtype=np.int64),
        )
