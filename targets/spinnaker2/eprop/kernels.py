"""Samples on all PEs, in compiled code.

A step has three ticks: hidden neurons; the readout and its errors; traces and, online, weights.

``compiled.load`` compiles a copy of this file, so that its cache is never stale.
"""

# mypy: ignore-errors

from numba import njit

from snn2hw.targets.spinnaker2.eprop import regions
from snn2hw.targets.spinnaker2.eprop.changes import change_hidden_row, change_readout, learn_hidden
from snn2hw.targets.spinnaker2.eprop.tables import (
    COUNT,
    COUNT_OUT,
    DAMPENING,
    FIRST,
    FIRST_OUT,
    KAPPA,
    LEARN,
    PREDICT,
    SAMPLES,
    SEED,
    UPDATES,
)
from snn2hw.targets.spinnaker2.eprop.ticks import (
    find_errors,
    follow_rates,
    gated_ticks,
    leaky_tick,
    readout_tick,
    send_outputs,
    send_spikes,
    start,
)
from snn2hw.targets.spinnaker2.eprop.words import (
    HALF,
    clipped,
    fine_from_real,
    from_real,
    jit,
    mixed,
    narrow,
    times,
    to_real,
)


@jit
def run_sample(
    words,
    ints,
    at,
    parts,
    strides,
    net,
    how,
    real,
    clock,
    x,
    label,
    target,
    mode,
    out,
    packets,
    grads,
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
            send_outputs(words, at, parts, regions.Y, False, fine_from_real(1.0, like))
            now = find_errors(
                words, at, parts, net, label, target[t % target.shape[0]], how.squared
            )
            loss += now / steps
            if learns:
                for p in range(parts.shape[0]):
                    for j in range(parts[p, COUNT_OUT]):
                        a = at[p]
                        g = a[regions.OGRAD] + j * net.readout_row
                        err = words[a[regions.OERROR] + parts[p, FIRST_OUT] + j]
                        for i in range(net.readout_row):
                            more = narrow(times(err, words[a[regions.ZBAR] + i]), HALF)
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
    send_outputs(words, at, parts, regions.YSUM, True, per_step)
    for p in range(parts.shape[0]):
        if parts[p, COUNT_OUT]:
            for k in range(net.n_out):
                out[k] = to_real(words[at[p, regions.ALL_Y] + k])
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
    words,
    ints,
    at,
    parts,
    strides,
    net,
    how,
    real,
    clock,
    x,
    labels,
    targets,
    mode,
    out,
    loss,
    packets,
    grads,
):
    """Samples one after the other; arrays as ``run_sample``'s, with the sample first."""
    for s in range(x.shape[0]):
        loss[s] = run_sample(
            words, ints, at, parts, strides, net, how, real, clock, x[s], labels[s],
            targets[s % targets.shape[0]], mode, out[s], packets, grads,
        )  # fmt: skip
