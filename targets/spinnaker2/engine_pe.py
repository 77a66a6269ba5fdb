"""The processing elements of a chip, tick by tick, compiled.

This file is compiled by Numba, not imported as it stands: ``machine.py`` puts the neuron layers
(``dispatch``, those of the simulator and the exp unit's) in front of it. Everything that has to do
with messages is written here anew and shares nothing with the simulator's engine: an element knows
its own memory, and of the others only the packets that the router put into its queue.

A tick: every element reads the packets of the tick before, steps its neurons and sends; then the
router copies each packet to the elements on its route. Tables: see ``programs.Machine``.
"""

# mypy: ignore-errors
# ruff: noqa: F821

import numpy as np
from numba import njit, prange

SENT, RECEIVED, EVENTS, HIGH_WATER, DROPPED, WRAPS, CLIPS = range(7)


@njit(cache=True, nogil=True)
def add_row(sums, weights, at, n, message):
    """Add the row of weights of one source neuron, times its message."""
    row = weights[at : at + n]
    into = sums[:n]
    if message == 1:
        for r in range(n):
            into[r] += np.int32(row[r])
    else:
        for r in range(n):
            into[r] += np.int32(row[r]) * message


@njit(cache=True, nogil=True)
def add_window(sums, weights, shape, source, message):
    """Add what one message of a convolution's source brings to the outputs that an element holds.

    shape: see ``programs.CONVOLUTION_COLUMNS``. Returns the number of weights met.
    """
    channels, rows, columns = shape[0], shape[1], shape[2]
    out_rows, out_columns, groups, per_group_out = shape[3], shape[4], shape[5], shape[6]
    taps_y, taps_x, stride_y, stride_x = shape[7], shape[8], shape[9], shape[10]
    above, left, dilation_y, dilation_x = shape[11], shape[12], shape[13], shape[14]
    first, end, first_channel, held = shape[15], shape[16], shape[17], shape[18]
    channel = source // (rows * columns)
    y = source // columns % rows
    x = source % columns
    per_group = channels // groups
    group = channel // per_group
    low = max(first_channel, group * per_group_out)
    high = min(first_channel + held, (group + 1) * per_group_out)
    met = 0
    for tap_y in range(taps_y):
        down = y + above - tap_y * dilation_y
        if down < 0 or down % stride_y or down // stride_y >= out_rows:
            continue
        for tap_x in range(taps_x):
            right = x + left - tap_x * dilation_x
            if right < 0 or right % stride_x or right // stride_x >= out_columns:
                continue
            at = ((channel % per_group * taps_y + tap_y) * taps_x + tap_x) * held - first_channel
            place = down // stride_y * out_columns + right // stride_x
            for o in range(low, high):
                to = o * out_rows * out_columns + place
                if first <= to < end:
                    sums[to - first] += np.int32(weights[at + o]) * message
                    met += 1
    return met


@njit(cache=True, nogil=True)
def receive(group, keys, values, count, sums, weights, shapes):
    """Sum what the packets in one place of the queue bring through one synapse group.

    Returns the number of weights met, -1 where no packet was for this group.
    """
    first_key, end_key, link, n, at_weight, at_shape = group[:6]
    met = -1
    for k in range(count):
        key = keys[k]
        if key < first_key or key >= end_key:
            continue
        if met < 0:
            met = 0
            for r in range(n):
                sums[r] = 0
        source = key - first_key
        if link == 0:
            add_row(sums, weights, at_weight + source * n, n, values[k])
            met += n
        elif link == 1:
            sums[source] += np.int32(weights[at_weight + source]) * values[k]
            met += 1
        else:
            met += add_window(sums, weights[at_weight:], shapes[at_shape], source, values[k])
    return met


@njit(cache=True, nogil=True)
def send(port, out, fired, wire_key, wire_value):
    """Put a packet of each neuron that fired, or has a message, on the wire; their number."""
    at, n, first_key, at_wire, is_spike = port[:5]
    count = 0
    for i in range(n):
        value = np.int32(fired[at + i]) if is_spike else out[at + i]
        if value != 0:
            wire_key[at_wire + count] = first_key + i
            wire_value[at_wire + count] = value
            count += 1
    return count


@njit(cache=True, nogil=True)
def route(
    ports, on_wire, routes, wire_key, wire_value, queues, counts, keys, values, tick, act, lost
):
    """Copy each packet to every element on its route, for the next tick.

    lost[0]: copies until the one that gets lost (a fault to inject; negative: none).
    """
    for p in range(len(ports)):
        at_wire = ports[p, 3]
        for pe in routes[ports[p, 5] : ports[p, 6]]:
            at_count, at, depth, room = queues[pe]
            slot = at_count + (tick + 1) % depth
            to = at + (tick + 1) % depth * room
            count = counts[slot]
            for k in range(at_wire, at_wire + on_wire[p]):
                lost[0] -= 1
                if lost[0] == -1:
                    continue
                if count == room:
                    act[pe, DROPPED] += 1
                    continue
                keys[to + count] = wire_key[k]
                values[to + count] = wire_value[k]
                count += 1
            counts[slot] = count


@njit(cache=True, nogil=True)
def tick_element(
    tick,
    steps,
    parts,
    groups,
    ports,
    copies,
    weights,
    shapes,
    params,
    blocks,
    state,
    acc,
    out,
    fired,
    sums,
    depth,
    room,
    counts,
    keys,
    values,
    wire_key,
    wire_value,
    on_wire,
    act,
    overflows,
    spikes,
    recorded,
):
    """One tick of one element; all arrays are its own memory but for the wire and the records."""
    arrived = counts[tick % depth]
    act[RECEIVED] += arrived
    act[HIGH_WATER] = max(act[HIGH_WATER], arrived)
    for j in range(parts.shape[0]):
        kind, n, at_state, at_acc, n_in, at_out, at_fired, layer = parts[j, :8]
        at_param, offset, first_group, end_group = parts[j, 8:12]
        first_port, end_port, first_copy, end_copy = parts[j, 12:16]
        for p in range(first_port, end_port):
            on_wire[p] = 0
        t = tick - offset
        if t < 0 or t >= steps:
            continue
        for k in range(at_acc, at_acc + n_in * n):
            acc[k] = 0
        for g in range(first_group, end_group):
            width, wait, exponent, to = groups[g, 3], groups[g, 6], groups[g, 7], groups[g, 8]
            slot = (tick - wait) % depth
            if wait > tick or counts[slot] == 0:
                continue
            at = slot * room
            met = receive(groups[g], keys[at:], values[at:], counts[slot], sums, weights, shapes)
            if met < 0:
                continue
            act[EVENTS] += met
            # The whole sum of a group is shifted, towards minus infinity where to the right.
            for r in range(width):
                acc[to + r] += sums[r] >> -exponent if exponent < 0 else sums[r] << exponent
        wraps, clips, _ = dispatch_element(
            kind,
            n,
            state[at_state:],
            acc[at_acc:],
            params,
            blocks[at_param:],
            out[at_out:],
            fired[at_fired:],
        )
        act[WRAPS] += wraps
        act[CLIPS] += clips
        overflows[layer, 0] += wraps
        overflows[layer, 1] += clips
        for p in range(first_port, end_port):
            on_wire[p] = send(ports[p], out, fired, wire_key, wire_value)
            act[SENT] += on_wire[p]
        for k in range(first_copy, end_copy):
            what, at, size, to = copies[k]
            for i in range(size):
                if what == 2:
                    spikes[t, to + i] = fired[at + i]
                else:
                    recorded[t, to + i] = out[at + i] if what == 1 else state[at + i]


@njit(cache=True, nogil=True)
def run_sample(
    data,
    ticks,
    elements,
    queues,
    parts,
    groups,
    ports,
    input_ports,
    routes,
    copies,
    weights,
    shapes,
    params,
    blocks,
    state,
    sizes,
    lose,
    spikes,
    recorded,
    act,
    overflows,
):
    """One sample, from ``state`` on. data: int32 (time, channels of all inputs)."""
    n_acc, n_out, n_fired, n_wire, n_counts, n_queue, widest = sizes
    acc = np.zeros(n_acc, dtype=np.int32)
    out = np.zeros(n_out, dtype=np.int32)
    fired = np.zeros(n_fired, dtype=np.int8)
    sums = np.zeros(widest, dtype=np.int32)
    wire_key, wire_value = np.zeros(n_wire, dtype=np.int32), np.zeros(n_wire, dtype=np.int32)
    counts = np.zeros(n_counts, dtype=np.int64)
    keys, values = np.zeros(n_queue, dtype=np.int32), np.zeros(n_queue, dtype=np.int32)
    on_wire, from_host = np.zeros(len(ports), np.int64), np.zeros(len(input_ports), np.int64)
    lost = np.full(1, lose, dtype=np.int64)
    nothing = np.zeros(0, dtype=np.int8)
    for tick in range(ticks):
        for pe in range(len(elements)):
            e = elements[pe]
            at_count, at_queue, depth, room = queues[pe]
            tick_element(
                tick,
                len(data),
                parts[e[0] : e[1]],
                groups,
                ports,
                copies,
                weights[e[2] : e[3]],
                shapes,
                params[e[4] : e[5]],
                blocks,
                state[e[6] : e[7]],
                acc[e[8] : e[9]],
                out[e[10] : e[11]],
                fired[e[12] : e[13]],
                sums,
                depth,
                room,
                counts[at_count : at_count + depth],
                keys[at_queue : at_queue + depth * room],
                values[at_queue : at_queue + depth * room],
                wire_key,
                wire_value,
                on_wire,
                act[pe],
                overflows,
                spikes,
                recorded,
            )
        for p in range(len(input_ports)):
            from_host[p] = 0
            if tick < len(data):
                from_host[p] = send(input_ports[p], data[tick], nothing, wire_key, wire_value)
        for pe in range(len(queues)):
            counts[queues[pe, 0] + (tick + 1) % queues[pe, 2]] = 0
        for table, number in ((input_ports, from_host), (ports, on_wire)):
            route(
                table,
                number,
                routes,
                wire_key,
                wire_value,
                queues,
                counts,
                keys,
                values,
                tick,
                act,
                lost,
            )


@njit(cache=True, nogil=True, parallel=True)
def run_batch(
    data,
    ticks,
    elements,
    queues,
    parts,
    groups,
    ports,
    input_ports,
    routes,
    copies,
    weights,
    shapes,
    params,
    blocks,
    start,
    sizes,
    lose,
    spikes,
    recorded,
    act,
    overflows,
):
    """All samples, in parallel: each writes to its own rows of the result arrays."""
    for b in prange(len(data)):
        run_sample(
            data[b],
            ticks,
            elements,
            queues,
            parts,
            groups,
            ports,
            input_ports,
            routes,
            copies,
            weights,
            shapes,
            params,
            blocks,
            start.copy(),
            sizes,
            lose,
            spikes[b],
            recorded[b],
            act[b],
            overflows[b],
        )
