"""The event-driven engine: every layer of one sample, step by step, on flat arrays.

This file is compiled by Numba, not imported as it stands: ``generate.py`` puts the neuron layers
(``dispatch``, made from each model's ``step``) in front of it. All tables are int64 arrays whose
columns are named in ``plan.py``; all sums are int32, which ``check_registers`` shows to suffice.
"""

# mypy: ignore-errors
# ruff: noqa: F821

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True)
def compact(values, mask, index, value):
    """List the non-zero entries: their positions, and their values (``& mask``: see ``plan``)."""
    count = 0
    for i in range(values.size):
        # Written always, counted only if non-zero: no branch to mispredict.
        index[count] = i
        value[count] = np.int32(values[i]) & mask
        count += values[i] != 0
    return count


@njit(cache=True, nogil=True)
def compact_sparse(values, words, mask, busy, index, value):
    """As ``compact``, for bytes that are mostly zero: ``words`` are the same, eight at a time."""
    full = 0
    for w in range(words.size):
        busy[full] = w
        full += words[w] != 0
    count = 0
    for b in range(full):
        first = np.int64(busy[b]) * 8
        for i in range(first, first + 8):
            index[count] = i
            value[count] = np.int32(values[i]) & mask
            count += values[i] != 0
    return count


@njit(cache=True, nogil=True)
def deliver_spikes(acc, weights, rows, index, count, shift, part):
    """Add the weight column of each of ``count`` spikes, ``<< shift``, to ``acc``.

    Sums of up to 256 weights of 8 bits fit 16, which doubles what a vector register holds.
    """
    for first in range(0, count, 256):
        last = min(first + 256, count)
        part[:rows] = 0
        k = first
        while k + 4 <= last:
            w0 = weights[index[k] * rows : index[k] * rows + rows]
            w1 = weights[index[k + 1] * rows : index[k + 1] * rows + rows]
            w2 = weights[index[k + 2] * rows : index[k + 2] * rows + rows]
            w3 = weights[index[k + 3] * rows : index[k + 3] * rows + rows]
            for r in range(rows):
                part[r] += np.int16(
                    np.int16(np.int16(w0[r]) + np.int16(w1[r]))
                    + np.int16(np.int16(w2[r]) + np.int16(w3[r]))
                )
            k += 4
        while k < last:
            w0 = weights[index[k] * rows : index[k] * rows + rows]
            for r in range(rows):
                part[r] += np.int16(w0[r])
            k += 1
        for r in range(rows):
            acc[r] += np.int32(part[r]) << shift


@njit(cache=True, nogil=True)
def deliver_messages(acc, weights, rows, index, value, count, shift):
    """As ``deliver_spikes``, each column times the message's value."""
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
            acc[r] += np.int32(
                np.int32(np.int32(w0[r] * m0) + np.int32(w1[r] * m1))
                + np.int32(np.int32(w2[r] * m2) + np.int32(w3[r] * m3))
            )
        k += 4
    while k < count:
        w0 = weights[index[k] * rows : index[k] * rows + rows]
        m0 = np.int32(value[k] << shift)
        for r in range(rows):
            acc[r] += np.int32(w0[r] * m0)
        k += 1


@njit(cache=True, nogil=True)
def deliver(acc, weights, rows, index, value, count, shift, is_spike, part):
    """Add what ``count`` messages bring to ``acc``."""
    if is_spike:
        deliver_spikes(acc, weights, rows, index, count, shift, part)
    else:
        deliver_messages(acc, weights, rows, index, value, count, shift)


@njit(cache=True, nogil=True)
def run_sample(
    data,
    words,
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    nonzero,
    params,
    copies,
    sizes,
    spikes,
    recorded,
    act_inputs,
    act_layers,
    act_synapses,
):
    """One sample. data: (time, all input channels), words: the same, eight bytes at a time.

    The last five arrays are written to.
    """
    n_state, n_acc, n_out, n_fired, n_source, depth, widest = sizes
    state = np.zeros(n_state, dtype=np.int32)
    acc = np.zeros(n_acc, dtype=np.int32)
    out = np.zeros(n_out, dtype=np.int32)
    fired = np.zeros(n_fired, dtype=np.int8)
    fired_words = fired.view(np.int64)
    busy = np.zeros(max(words.shape[1], fired_words.size) + 1, dtype=np.int32)
    part = np.zeros(widest, dtype=np.int16)
    whole = np.zeros(widest, dtype=np.int32)
    # One slot more than a source can fill: compact writes one entry past the last.
    index = np.zeros(n_source * depth, dtype=np.int32)
    value = np.zeros(n_source * depth, dtype=np.int32)
    counts = np.zeros((sources.shape[0], depth), dtype=np.int64)
    for t in range(data.shape[0]):
        slot = t % depth
        for k in range(inputs.shape[0]):
            first, n, source, mask, sparse = inputs[k]
            at = sources[source, 0] + slot * n_source
            now = data[t, first : first + n]
            if sparse:
                now_words = words[t, first // 8 : (first + n) // 8]
                c = compact_sparse(now, now_words, mask, busy, index[at:], value[at:])
            else:
                c = compact(now, mask, index[at:], value[at:])
            counts[source, slot] = c
            act_inputs[k] += c
        for j in range(layers.shape[0]):
            kind, n, at_state, at_acc, n_in, at_param, at_out, at_fired = layers[j, :8]
            acc[at_acc : at_acc + n_in * n] = 0
            for s in range(layers[j, 8], layers[j, 9]):
                source, rows, at_row, at_weight, exponent, delay, at_nonzero, is_spike = synapses[s]
                if delay > t:
                    continue
                past = (t - delay) % depth
                count = counts[source, past]
                if count == 0:
                    continue
                at = sources[source, 0] + past * n_source
                events = index[at : at + count]
                target = acc[at_acc + at_row : at_acc + at_row + rows]
                values = value[at : at + count]
                w = weights[at_weight:]
                if exponent >= 0:
                    deliver(target, w, rows, events, values, count, exponent, is_spike, part)
                else:
                    # Loihi shifts the whole sum of the group, not each weight.
                    whole[:rows] = 0
                    deliver(whole, w, rows, events, values, count, 0, is_spike, part)
                    for r in range(rows):
                        target[r] += whole[r] >> -exponent
                act_synapses[s, 0] += count
                for e in events:
                    act_synapses[s, 1] += nonzero[at_nonzero + e]
            wraps, clips, idle = dispatch(
                kind,
                n,
                state[at_state:],
                acc[at_acc:],
                params[at_param:],
                out[at_out:],
                fired[at_fired:],
            )
            act_layers[j, 0] += idle
            act_layers[j, 3] += wraps
            act_layers[j, 4] += clips
            for p in range(layers[j, 10], layers[j, 11]):
                at_port, source, at_bit, is_spike = ports[p]
                at = sources[source, 0] + slot * n_source
                if is_spike:
                    w = fired_words[at_port // 8 : (at_port + n + 7) // 8]
                    c = compact_sparse(fired[at_port:], w, -1, busy, index[at:], value[at:])
                else:
                    c = compact(out[at_port : at_port + n], -1, index[at:], value[at:])
                counts[source, slot] = c
                act_layers[j, 1 if is_spike else 2] += c
                if is_spike:
                    for e in index[at : at + c]:
                        spikes[t, at_bit + (e >> 3)] |= np.uint8(1 << (e & 7))
        for k in range(copies.shape[0]):
            from_out, first, n, to = copies[k]
            if from_out:
                recorded[t, to : to + n] = out[first : first + n]
            else:
                recorded[t, to : to + n] = state[first : first + n]


@njit(cache=True, nogil=True, parallel=True)
def run_batch(
    data,
    words,
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    nonzero,
    params,
    copies,
    sizes,
    spikes,
    recorded,
    act_inputs,
    act_layers,
    act_synapses,
):
    """All samples, in parallel: each writes to its own rows of the result arrays."""
    for b in prange(data.shape[0]):
        run_sample(
            data[b],
            words[b],
            inputs,
            layers,
            synapses,
            ports,
            sources,
            weights,
            nonzero,
            params,
            copies,
            sizes,
            spikes[b],
            recorded[b],
            act_inputs[b],
            act_layers[b],
            act_synapses[b],
        )
