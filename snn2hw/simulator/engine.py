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
def compact(values, index, value):
    """List the non-zero entries: their positions and values. Returns how many there are."""
    count = 0
    for i in range(values.size):
        # Written always, counted only if non-zero: no branch to mispredict.
        index[count] = i
        value[count] = values[i]
        count += values[i] != 0
    return count


@njit(cache=True, nogil=True)
def compact_sparse(values, index, value):
    """As ``compact``, for data that are mostly zero: eight bytes are passed over at a time.

    ``values`` must fill whole words of eight bytes (``plan.WORD`` channels).
    """
    words = values.view(np.int64)
    each = values.size // words.size
    count = 0
    for w in range(words.size):
        if words[w] != 0:
            for i in range(w * each, (w + 1) * each):
                index[count] = i
                value[count] = values[i]
                count += values[i] != 0
    return count


@njit(cache=True, nogil=True)
def deliver(acc, weights, rows, index, value, count, shift):
    """Add ``value << shift`` times the weight column of each of ``count`` messages to ``acc``."""
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
def run_sample(
    data,
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    nonzero,
    params,
    tables,
    copies,
    sizes,
    spikes,
    recorded,
    act_inputs,
    act_layers,
    act_synapses,
):
    """One sample. data: (time, all input channels); the last six arrays are written to."""
    n_state, n_acc, n_out, n_source, depth, widest = sizes
    state = np.zeros(n_state, dtype=np.int32)
    acc = np.zeros(n_acc, dtype=np.int32)
    out = np.zeros(n_out, dtype=np.int32)
    part = np.zeros(widest, dtype=np.int32)
    # One slot more than a source can fill: compact writes one entry past the last.
    index = np.zeros(n_source * depth, dtype=np.int32)
    value = np.zeros(n_source * depth, dtype=np.int32)
    counts = np.zeros((sources.shape[0], depth), dtype=np.int64)
    for t in range(data.shape[0]):
        slot = t % depth
        for k in range(inputs.shape[0]):
            first, n, source = inputs[k]
            at = sources[source, 0] + slot * n_source
            c = compact_sparse(data[t, first : first + n], index[at:], value[at:])
            counts[source, slot] = c
            act_inputs[k] += c
        for j in range(layers.shape[0]):
            kind, n, at_state, at_acc, n_in, at_param, at_out = layers[j, :7]
            acc[at_acc : at_acc + n_in * n] = 0
            for s in range(layers[j, 7], layers[j, 8]):
                source, rows, at_row, at_weight, exponent, delay, at_nonzero = synapses[s]
                if delay > t:
                    continue
                past = (t - delay) % depth
                count = counts[source, past]
                if count == 0:
                    continue
                at = sources[source, 0] + past * n_source
                events = index[at : at + count]
                target = acc[at_acc + at_row : at_acc + at_row + rows]
                if exponent >= 0:
                    deliver(target, weights[at_weight:], rows, events, value[at:], count, exponent)
                else:
                    # Loihi shifts the whole sum of the group, not each weight.
                    part[:rows] = 0
                    deliver(part, weights[at_weight:], rows, events, value[at:], count, 0)
                    for r in range(rows):
                        target[r] += part[r] >> -exponent
                act_synapses[s, 0] += count
                for e in events:
                    act_synapses[s, 1] += nonzero[at_nonzero + e]
            wraps, clips, idle = dispatch(
                kind, n, state[at_state:], acc[at_acc:], params[at_param:], tables, out[at_out:]
            )
            act_layers[j, 0] += idle
            act_layers[j, 3] += wraps
            act_layers[j, 4] += clips
            for p in range(layers[j, 9], layers[j, 10]):
                at_port, source, at_bit, is_spike = ports[p]
                at = sources[source, 0] + slot * n_source
                c = compact(out[at_port : at_port + n], index[at:], value[at:])
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
    inputs,
    layers,
    synapses,
    ports,
    sources,
    weights,
    nonzero,
    params,
    tables,
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
            inputs,
            layers,
            synapses,
            ports,
            sources,
            weights,
            nonzero,
            params,
            tables,
            copies,
            sizes,
            spikes[b],
            recorded[b],
            act_inputs[b],
            act_layers[b],
            act_synapses[b],
        )
