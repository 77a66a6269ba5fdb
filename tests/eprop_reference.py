"""E-prop by its recursions in plain NumPy, an array a quantity, one (post, pre) entry a synapse.

Written from Bellec et al. 2020 and Rostami et al. 2022 and, for GPN, from docs/eprop.md; it shares
nothing with the learner. ``eprop`` is the float64 truth for every neuron, held against automatic
differentiation (``eprop_autograd``); ``Rostami`` is the float32 variant with Adam at batch 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from eprop_networks import Arrays, Network


def pseudo_derivative(
    name: str, u: np.ndarray, v_threshold: np.ndarray | float, dampening: float
) -> np.ndarray:
    if name == "triangle":
        return dampening / v_threshold * np.maximum(0, 1 - np.abs(u / v_threshold))
    if name == "atan":
        return dampening / (1 + (np.pi * u) ** 2)
    total = np.zeros_like(u)
    for height, mean, deviation in ((1.15, 0, 0.5), (-0.15, 0.5, 3), (-0.15, -0.5, 3)):
        bell = np.exp(-(((u - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
        total = total + height * bell
    return dampening * total


def softmax(y: np.ndarray) -> np.ndarray:
    shifted = np.exp(y - y.max())
    return shifted / shifted.sum()


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


class Alif:
    """States and eligibility vectors of adaptive neurons; traces are by the kind of weight."""

    def __init__(self, network: Network, how: tuple[str, float], trace: str) -> None:
        self.w, self.p, self.how, self.trace = network.weights, network.neuron, how, trace
        n = network.n
        self.bias = network.get("input_bias", n)
        self.v, self.a, self.z, self.psi = (np.zeros(n) for _ in range(4))
        self.since = np.full(n, np.inf)
        sizes = {"input": network.n_in, "input_bias": 1, "recurrent": n}
        self.eps_v = {name: np.zeros((n, size)) for name, size in sizes.items()}
        self.eps_a = {name: np.zeros((n, size)) for name, size in sizes.items()}

    def step(self, x: np.ndarray) -> tuple[np.ndarray, Arrays]:
        """Spikes, and for each kind of weight the eligibility trace e (n, n_pre)."""
        p, sent = self.p, self.z
        current = self.w["input"] @ x + self.bias + self.w["recurrent"] @ sent
        self.a = p["rho"] * self.a + p["adaptation_gain"] * sent
        threshold = p["v_threshold"] + p["beta"] * self.a
        reset = np.where(p["adaptive_reset"] > 0, threshold, p["v_threshold"])
        self.v = p["alpha"] * self.v + p["input_gain"] * current - sent * reset
        self.since = self.since + 1
        may = self.since > p["refractory"]
        u = self.v - threshold
        self.z = ((u > 0) & may).astype(float)
        self.since[self.z > 0] = 0
        before, self.psi = (
            self.psi,
            pseudo_derivative(self.how[0], u, p["v_threshold"], self.how[1]) * may,
        )
        e = {}
        for name, pre in (("input", x), ("input_bias", np.ones(1)), ("recurrent", sent)):
            e[name] = self.eligibility(name, pre, before)
        return self.z, e

    def eligibility(self, name: str, pre: np.ndarray, psi_before: np.ndarray) -> np.ndarray:
        alpha, rho, beta, gain, taken, now = (
            value[:, None]
            for value in (
                *(self.p[key] for key in ("alpha", "rho", "beta", "adaptation_gain", "input_gain")),
                self.psi,
            )
        )
        eps_v, eps_a = self.eps_v[name], self.eps_a[name]
        new_v = alpha * eps_v + taken * pre
        if self.trace == "exact":
            eps_a = rho * eps_a + gain * psi_before[:, None] * (eps_v - beta * eps_a)
        else:
            eps_a = rho * eps_a + gain * now * (new_v - beta * eps_a)
        self.eps_v[name], self.eps_a[name] = new_v, eps_a
        return now * (new_v - beta * eps_a)


class Lif:
    """NIR's LIF: a spike empties the membrane, and with it (hard reset) its eligibility."""

    def __init__(self, network: Network, how: tuple[str, float], trace: str) -> None:
        self.w, self.p, self.how, self.reset = network.weights, network.neuron, how, network.reset
        n = network.n
        self.bias = network.get("input_bias", n)
        self.v, self.z, self.psi = np.zeros(n), np.zeros(n), np.zeros(n)
        sizes = {"input": network.n_in, "input_bias": 1, "recurrent": n}
        self.eps = {name: np.zeros((n, size)) for name, size in sizes.items()}

    def step(self, x: np.ndarray) -> tuple[np.ndarray, Arrays]:
        p, sent = self.p, self.z
        keep, take = 1 - 1 / p["tau"], p["r"] / p["tau"]
        current = self.w["input"] @ x + self.bias + self.w["recurrent"] @ sent
        h = keep * self.v + take * current + p["v_leak"] / p["tau"]
        u = h - p["v_threshold"]
        kept = keep * (1 - sent) if self.reset == "value" else keep
        self.z = (u > 0).astype(float)
        self.psi = pseudo_derivative(self.how[0], u, p["v_threshold"], self.how[1])
        kept_v = 0.0 if self.reset == "value" else h - p["v_threshold"]
        self.v = np.where(self.z > 0, kept_v + p["v_reset"], h)
        e = {}
        for name, pre in (("input", x), ("input_bias", np.ones(1)), ("recurrent", sent)):
            self.eps[name] = kept[:, None] * self.eps[name] + take[:, None] * pre
            e[name] = self.psi[:, None] * self.eps[name]
        return self.z, e


class Gpn:
    """docs/eprop.md, "The gated parametric neuron": e = psi (p eps + q in), eps <- D eps + d in."""

    def __init__(self, network: Network, how: tuple[str, float], trace: str) -> None:
        self.w, self.how, n = network.weights, how, network.n
        self.n, self.bias = n, network.get("input_bias", n)
        self.v, self.psi = np.zeros(n), np.zeros(n)
        self.eps = {"input": np.zeros((n, network.n_in)), "input_bias": np.zeros((n, 1))}
        self.eps |= {f"gates_{g}": np.zeros((n, 2 * n + 1)) for g in "FIBT"}
        self.own = {
            (gate, what): np.diagonal(network.weights["gates"][g * n : (g + 1) * n, at : at + n])
            for g, gate in enumerate("FIBT")
            for what, at in (("v", 0), ("x", n))
        }

    def step(self, x: np.ndarray) -> tuple[np.ndarray, Arrays]:
        current = self.w["input"] @ x + self.bias
        seen = np.concatenate([self.v, current])
        a_f, a_i, a_b, a_t = (self.w["gates"] @ seen + self.w["gates_bias"]).reshape(4, self.n)
        F, I, B, T = sigmoid(a_f), sigmoid(a_i), np.tanh(a_b), sigmoid(a_t)  # noqa: E741
        h = F * self.v + I * current
        z = (h >= T).astype(float)
        self.psi = pseudo_derivative(self.how[0], h - T, 1.0, self.how[1])
        slope_f, slope_i, slope_b, slope_t = F * (1 - F), I * (1 - I), 1 - B**2, T * (1 - T)
        own, rest = self.own, 1 - z
        # of h, T and the next v on the neuron's own v and x
        h_v = F + self.v * slope_f * own["F", "v"] + current * slope_i * own["I", "v"]
        h_x = I + self.v * slope_f * own["F", "x"] + current * slope_i * own["I", "x"]
        t_v, t_x = slope_t * own["T", "v"], slope_t * own["T", "x"]
        D = rest * h_v + slope_b * own["B", "v"]
        d_x = rest * h_x + slope_b * own["B", "x"]
        # kind of weight: presynaptic values, then how h - T, and the next v, depend on its sum
        full = np.append(seen, 1.0)
        nothing = np.zeros(self.n)
        kinds = {
            "input": (x, h_x - t_x, d_x),
            "input_bias": (np.ones(1), h_x - t_x, d_x),
            "gates_F": (full, self.v * slope_f, rest * self.v * slope_f),
            "gates_I": (full, current * slope_i, rest * current * slope_i),
            "gates_B": (full, nothing, slope_b),
            "gates_T": (full, -slope_t, nothing),
        }
        e = {}
        for name, (pre, q, d) in kinds.items():
            eps = self.eps[name]
            e[name] = self.psi[:, None] * ((h_v - t_v)[:, None] * eps + q[:, None] * pre)
            self.eps[name] = D[:, None] * eps + d[:, None] * pre
        self.v = rest * h + B
        return z, e


NEURONS = {"alif": Alif, "lif": Lif, "gpn": Gpn}


def eprop(
    network: Network,
    x: np.ndarray,
    y: int | np.ndarray,
    *,
    surrogate: str = "triangle",
    dampening: float = 0.3,
    trace: str = "exact",
    loss: str = "cross_entropy",
    error: str = "step",
    feedback: np.ndarray | None = None,
    rates: np.ndarray | None = None,
    rate_target: float = 0.0,
    rate_strength: float = 0.0,
) -> tuple[Arrays, float]:
    """Gradients of one sample and its loss, forwards in time; arguments as of ``reference``."""
    neuron = NEURONS[network.kind](network, (surrogate, dampening), trace)
    steps, kappa = len(x), network.kappa[0]
    back = network.weights["output"] if feedback is None else feedback
    out, filtered, filtered_one = np.zeros(network.n_out), np.zeros(network.n), 0.0
    ys, traces, outs = [], [], []
    for now in x:
        z, e = neuron.step(now)
        current = network.weights["output"] @ z + network.get("output_bias", network.n_out)
        out = network.kappa * out + network.gain * current + network.leak
        filtered, filtered_one = kappa * filtered + z, kappa * filtered_one + 1
        old = traces[-1][0] if traces else dict.fromkeys(e, 0.0)
        traces.append(({name: kappa * old[name] + e[name] for name in e}, e))
        ys.append(out)
        outs.append((filtered, filtered_one))
    if error == "sample":
        mean = np.mean(ys, axis=0)
        errors = [softmax(mean) - np.eye(network.n_out)[y]] * steps
        value = -float(np.log(softmax(mean)[y]))
    elif loss == "cross_entropy":
        errors = [softmax(now) - np.eye(network.n_out)[y] for now in ys]
        value = -float(np.mean([np.log(softmax(now)[y]) for now in ys]))
    else:
        errors = [now - target for now, target in zip(ys, np.asarray(y), strict=True)]
        value = float(np.mean([0.5 * (err**2).sum() for err in errors]))
    gradients: Arrays = {"output": 0.0, "output_bias": 0.0}
    for err, (bar, e), (bar_z, bar_one) in zip(errors, traces, outs, strict=True):
        scaled = network.gain * err / steps
        gradients["output"] += np.outer(scaled, bar_z)
        gradients["output_bias"] += scaled * bar_one
        signal = back.T @ scaled
        for name in bar:
            now = signal[:, None] * bar[name]
            if rates is not None:
                now = now + rate_strength * (rates - rate_target)[:, None] * e[name] / steps
            gradients[name] = gradients.get(name, 0.0) + now
    return collected(network, gradients), value


def learn_online(
    network: Network,
    x: np.ndarray,
    y: int,
    learning_rate: float,
    l2: float = 0.0,
    how: tuple[str, float] = ("triangle", 0.3),
) -> Arrays:
    """Weights after one sample with update="step": gradient descent after every step, on that
    step's share of the gradient, which the next step's forward pass and traces already see.
    Cross-entropy, symmetric feedback by the W_out that made the step's output."""
    w = {name: value.copy() for name, value in network.weights.items()}
    network = replace(network, weights=w)
    neuron = NEURONS[network.kind](network, how, "exact")
    kappa, out = network.kappa[0], np.zeros(network.n_out)
    bar: Arrays = {}
    bar_z, bar_one = np.zeros(network.n), 0.0
    for now in x:
        z, e = neuron.step(now)
        current = w["output"] @ z + network.get("output_bias", network.n_out)
        out = network.kappa * out + network.gain * current + network.leak
        bar_z, bar_one = kappa * bar_z + z, kappa * bar_one + 1
        bar = {name: kappa * bar.get(name, 0.0) + value for name, value in e.items()}
        err = network.gain * (softmax(out) - np.eye(network.n_out)[y]) / len(x)
        signal = w["output"].T @ err
        gradients = {name: signal[:, None] * value for name, value in bar.items()}
        gradients |= {"output": np.outer(err, bar_z), "output_bias": err * bar_one}
        for name, g in collected(network, gradients).items():
            w[name] -= learning_rate * (g + l2 * w[name])  # in place: the neuron reads them
    return w


def collected(network: Network, gradients: Arrays) -> Arrays:
    """Names and shapes of learner.gradients: no bias that is none, GPN's gates in one matrix."""
    if network.kind == "gpn":
        gates = np.concatenate([gradients.pop(f"gates_{g}") for g in "FIBT"])
        gradients |= {"gates": gates[:, :-1], "gates_bias": gates[:, -1]}
    else:
        np.fill_diagonal(gradients["recurrent"], 0.0)
    gradients["input_bias"] = gradients["input_bias"][:, 0]
    return {name: gradients[name] for name in network.weights}


F32 = np.float32


@dataclass
class Adam:
    """Kingma and Ba 2015, algorithm 1; epsilon is added to the root of the corrected moment."""

    learning_rate: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-5
    steps: int = 0
    m: Arrays = field(default_factory=dict)
    v: Arrays = field(default_factory=dict)

    def update(self, weights: Arrays, gradients: Arrays) -> None:
        """Changes the weights in place, float32."""
        self.steps += 1
        one = F32(1 - self.beta1**self.steps)
        two = F32(1 - self.beta2**self.steps)
        b1, b2 = F32(self.beta1), F32(self.beta2)
        for name, g in gradients.items():
            self.m[name] = b1 * self.m.get(name, F32(0)) + F32(1 - self.beta1) * g
            self.v[name] = b2 * self.v.get(name, F32(0)) + F32(1 - self.beta2) * g * g
            root = np.sqrt(self.v[name] / two) + F32(self.epsilon)
            weights[name] -= F32(self.learning_rate) * (self.m[name] / one) / root


@dataclass
class Rostami:
    """What Rostami et al. 2022 ran (their code, facts of section 2), in NumPy float32.

    weights: input (n, n_in), recurrent (n, n), output (n_out, n), no biases; the readout filters
    spikes without (1 - kappa). Adaptation's trace takes the pseudo-derivative of the same step.
    """

    weights: Arrays
    tau_m: float = 5.0
    tau_a: float = 150.0
    tau_out: float = 10.0
    v_threshold: float = 1.6
    beta: float = 0.184
    dampening: float = 0.5
    l2: float = 1e-5
    adam: Adam = field(default_factory=Adam)
    margin: float = np.inf
    spikes: int = 0

    def __post_init__(self) -> None:
        self.weights = {name: value.astype(F32) for name, value in self.weights.items()}
        self.alpha, self.rho, self.kappa = (
            F32(np.exp(-1 / tau)) for tau in (self.tau_m, self.tau_a, self.tau_out)
        )

    def sample(self, x: np.ndarray, label: int) -> tuple[float, Arrays, np.ndarray]:
        """Loss, gradients without L2, and the output's time mean. Nothing is learned.

        x: (T, n_in). ``margin`` keeps the smallest |v - A| seen: how far rounding may move v before
        another spike train comes out; ``spikes`` counts them.
        """
        w_in, w_rec, w_out = (self.weights[name] for name in ("input", "recurrent", "output"))
        alpha, rho, kappa = self.alpha, self.rho, self.kappa
        one, beta = F32(1), F32(self.beta)
        n, n_in, steps = len(w_in), w_in.shape[1], len(x)
        v, a, z, z_bar = (np.zeros(n, F32) for _ in range(4))
        eps_v = np.zeros(n_in + n, F32)
        eps_a, e_bar, total = (np.zeros((n, n_in + n), F32) for _ in range(3))
        total_z = np.zeros(n, F32)
        for now in x.astype(F32):
            current = w_in @ now + w_rec @ z
            a = rho * a + (one - rho) * z
            threshold = F32(self.v_threshold) + beta * a
            v = alpha * v + (one - alpha) * current - z * threshold
            eps_v = alpha * eps_v + np.concatenate([now, z])
            u = v - threshold
            self.margin = min(self.margin, float(np.abs(u).min()))
            z = (u > 0).astype(F32)
            self.spikes += int(z.sum())
            psi = pseudo_derivative("multi_gaussian", u, 1.0, self.dampening).astype(F32)[:, None]
            eps_a = (rho - (one - rho) * beta * psi) * eps_a + psi * eps_v * (one - rho) * (
                one - alpha
            )
            e = psi * ((one - alpha) * eps_v - beta * eps_a)
            e_bar = kappa * e_bar + e
            total += e_bar
            z_bar = kappa * z_bar + z
            total_z += z_bar
        mean = w_out @ (total_z / F32(steps))
        probability = softmax(mean)
        err = probability - np.eye(len(mean), dtype=F32)[label]
        signal = (w_out.T @ err) / F32(steps)
        both = signal[:, None] * total
        gradients = {
            "input": both[:, :n_in],
            "recurrent": both[:, n_in:] * (one - np.eye(n, dtype=F32)),
            "output": np.outer(err, total_z / F32(steps)),
        }
        return -float(np.log(probability[label])), gradients, mean

    def learn(self, x: np.ndarray, label: int) -> float:
        """One sample, then Adam on the gradients plus L2. Returns the loss."""
        loss, gradients, _ = self.sample(x, label)
        with_l2 = {name: g + F32(self.l2) * self.weights[name] for name, g in gradients.items()}
        self.adam.update(self.weights, with_l2)
        return loss
