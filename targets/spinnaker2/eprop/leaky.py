"""LIF and ALIF on a PE: one step of the neurons, and the numbers that their traces need.

With z the spike of the step before (source: Bellec et al. 2020; Rostami et al. 2022; NIR's LIF with
either reset)::

    a <- rho a + g z;                threshold A = v_th + beta a
    v <- alpha (v, or keep v + added where z) + gain I + bias - z (reset, or A)
    spike where v > A, unless within ``refractory`` steps of the last

Reset and recurrent spikes are constants to the gradient. With x = dv/dW / gain, the input of a
synapse filtered as the membrane filters it, and eps = da/dW (docs/eprop.md)::

    x <- alpha (x, or keep x where z) + input
    exact:    e = psi (gain x - beta eps);   eps <- (rho - g beta psi) eps + g psi gain x
    current:  as exact, eps first and then e (Rostami et al. 2022)

Where all neurons have the same alpha and keep v at a spike, x is the same for all of them.
"""

# mypy: ignore-errors

from snn2hw.targets.spinnaker2.eprop.words import (
    HALF,
    bells,
    clipped,
    from_real,
    jit,
    narrow,
    quotient,
    times,
    word,
)

ALPHA, RHO, JUMP, BETA, THRESHOLD, GAIN, BIAS, KEEP, ADDED, RESET, ADAPTIVE, START = range(12)
"""Places of the constants; JUMP is g, START is v before the first step."""

TRIANGLE, MULTI_GAUSSIAN, ATAN = range(3)

Q, D, P, DIRECT = range(4)
"""Places of the traces' numbers, in blocks of one word a neuron; DIRECT is d. LIF needs q alone."""

N_COEFFICIENTS = 4


@jit
def surrogate(kind, u, threshold, dampening):
    """What stands for the derivative of the spike by u = v - A.

    Triangle: dampening / v_th max(0, 1 - |u / v_th|) (Bellec et al. 2020). Multi-Gaussian:
    dampening (1.15 N(u; 0, 0.5) - 0.15 N(u; 0.5, 3) - 0.15 N(u; -0.5, 3)), N having mean and
    standard deviation (Rostami et al. 2022). Arctangent: dampening / (1 + (pi u)^2), that of GPN's
    authors.
    """
    one = word(1, u)
    if kind == TRIANGLE:
        height = clipped(one - abs(quotient(u, threshold)), u)
        if height <= word(0, u):
            return word(0, u)
        return quotient(narrow(times(dampening, height), HALF), threshold)
    if kind == ATAN:
        scaled = narrow(times(from_real(3.141592653589793, u), u), HALF)
        return quotient(dampening, clipped(one + narrow(times(scaled, scaled), HALF), u))
    return narrow(times(dampening, bells(u)), HALF)


@jit
def hear(n, each, was, now, length, n_in, bias, raw, fifo, recurrent, wait, const, stride):
    """The traces' inputs x take in a step: of all n neurons in one, or of each its own.

    was, now: x of the step before and of this, (length,) or (n * length,), may be the same array;
    fifo: number of spikes, then the neurons that fired.
    """
    one = word(1, const[0])
    for j in range(n if each else 1):
        old = was[j * length : (j + 1) * length]
        x = now[j * length : (j + 1) * length]
        factor = const[stride[ALPHA, 0] + stride[ALPHA, 1] * j]
        if wait[j] == wait[n + j] + 1:
            keep = const[stride[KEEP, 0] + stride[KEEP, 1] * j]
            # A neuron that shares x keeps its v, so this is alpha for it too.
            factor = narrow(times(factor, keep), HALF)
        for i in range(length):
            x[i] = narrow(times(factor, old[i]), HALF)
        for i in range(n_in):
            x[i] = clipped(x[i] + raw[i], one)
        if bias:
            x[n_in] = clipped(x[n_in] + one, one)
        if recurrent >= 0:
            for s in range(fifo[0]):
                at = recurrent + fifo[1 + s]
                x[at] = clipped(x[at] + one, one)


@jit
def weight(n, coef, slow, factor):
    """What e is multiplied with goes into its p and q; slow: whether there is a p."""
    for j in range(n):
        coef[Q * n + j] = narrow(times(coef[Q * n + j], factor), HALF)
        if slow:
            coef[P * n + j] = narrow(times(coef[P * n + j], factor), HALF)


@jit
def update(n, v, a, drive, wait, coef, const, stride, adapts, learns):
    """One step of n neurons: states, and ``wait``, which is refractory + 1 at a spike.

    wait: n countdowns, n refractory times, n times whether the neuron could fire; drive: I of each;
    const: constants, ``stride[c]`` (first place, 0 or 1 word a neuron) says where; adapts: whether
    ``a`` is there; learns: whether ``slopes`` comes next.
    """
    alpha_at, alpha_by = stride[ALPHA, 0], stride[ALPHA, 1]
    gain_at, gain_by = stride[GAIN, 0], stride[GAIN, 1]
    threshold_at, threshold_by = stride[THRESHOLD, 0], stride[THRESHOLD, 1]
    rho_at, rho_by = stride[RHO, 0], stride[RHO, 1]
    jump_at, jump_by = stride[JUMP, 0], stride[JUMP, 1]
    beta_at, beta_by = stride[BETA, 0], stride[BETA, 1]
    keep_at, keep_by = stride[KEEP, 0], stride[KEEP, 1]
    added_at, added_by = stride[ADDED, 0], stride[ADDED, 1]
    bias_at, bias_by = stride[BIAS, 0], stride[BIAS, 1]
    reset_at, reset_by = stride[RESET, 0], stride[RESET, 1]
    adaptive_at, adaptive_by = stride[ADAPTIVE, 0], stride[ADAPTIVE, 1]
    for j in range(n):
        refractory = int(wait[n + j])
        z = wait[j] == refractory + 1
        may = wait[j] <= 1
        alpha = const[alpha_at + alpha_by * j]
        gain = const[gain_at + gain_by * j]
        threshold = const[threshold_at + threshold_by * j]
        height = threshold
        rho = jump = beta = word(0, threshold)
        if adapts:
            rho = const[rho_at + rho_by * j]
            jump = const[jump_at + jump_by * j]
            beta = const[beta_at + beta_by * j]
            level = narrow(times(rho, a[j]), HALF)
            if z:
                level = clipped(level + jump, level)
            a[j] = level
            height = clipped(threshold + narrow(times(beta, level), HALF), threshold)
        keep = const[keep_at + keep_by * j]
        base = v[j]
        if z:
            kept = narrow(times(keep, base), HALF)
            base = clipped(kept + const[added_at + added_by * j], base)
        now = clipped(
            narrow(times(alpha, base), HALF)
            + narrow(times(gain, drive[j]), HALF)
            + const[bias_at + bias_by * j],
            base,
        )
        if z:
            off = const[reset_at + reset_by * j]
            if const[adaptive_at + adaptive_by * j] > word(0, now):
                off = height
            now = clipped(now - off, now)
        v[j] = now
        u = clipped(now - height, now)
        wait[j] = refractory + 1 if may and u > word(0, u) else max(wait[j] - 1, 0)
        if learns:
            coef[Q * n + j] = u
            wait[2 * n + j] = may


@jit
def slopes(n, wait, coef, const, stride, adapts, current, kind, dampening):
    """``coef`` from u = v - A, which ``update`` has left in the place of q.

    adapts: whether thresholds adapt; current: the variant of the traces; kind, dampening: of the
    surrogate, which is 0 where a neuron could not fire.
    """
    gain_at, gain_by = stride[GAIN, 0], stride[GAIN, 1]
    threshold_at, threshold_by = stride[THRESHOLD, 0], stride[THRESHOLD, 1]
    rho_at, rho_by = stride[RHO, 0], stride[RHO, 1]
    jump_at, jump_by = stride[JUMP, 0], stride[JUMP, 1]
    beta_at, beta_by = stride[BETA, 0], stride[BETA, 1]
    psi = coef[Q * n : (Q + 1) * n]
    if kind == MULTI_GAUSSIAN:
        # A loop of its own, without a branch, is one that vectors take.
        for j in range(n):
            psi[j] = narrow(times(dampening, bells(psi[j])), HALF)
    else:
        for j in range(n):
            threshold = const[threshold_at + threshold_by * j]
            psi[j] = surrogate(kind, psi[j], threshold, dampening)
    for j in range(n):
        gain = const[gain_at + gain_by * j]
        slope = psi[j]
        if wait[2 * n + j] == 0:
            slope = word(0, gain)
        gained = narrow(times(slope, gain), HALF)
        psi[j] = gained
        if adapts:
            jump = const[jump_at + jump_by * j]
            rho = const[rho_at + rho_by * j]
            slope = narrow(times(const[beta_at + beta_by * j], slope), HALF)
            big_d = clipped(rho - narrow(times(jump, slope), HALF), rho)
            direct = narrow(times(jump, gained), HALF)
            coef[D * n + j], coef[DIRECT * n + j] = big_d, direct
            coef[P * n + j] = -slope
            if current:
                # eps first, then e, in terms of the old eps.
                coef[P * n + j] = -narrow(times(slope, big_d), HALF)
                psi[j] = clipped(gained - narrow(times(slope, direct), HALF), gained)
