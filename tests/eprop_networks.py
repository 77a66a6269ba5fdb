"""Random networks that learn: their arrays, and the NIR graph that says the same.

``Network`` is what the references of e-prop (``eprop_autograd``, ``eprop_reference``) take; the
learner gets ``graph(network)``. Constants are drawn for each neuron, so that nothing passes by
taking the first one for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import nir
import numpy as np

DT = 1e-3
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Network:
    """kind: "alif", "lif" or "gpn"; weights: as learner.weights names them, float64, without the
    biases that there are none of; neuron: constants by name, (n,) each; kappa, gain, leak: of the
    readout y <- kappa y + gain (W z + b) + leak, (n_out,) each; reset: of lif, value or subtract.
    """

    kind: str
    weights: Arrays
    neuron: Arrays
    kappa: np.ndarray
    gain: np.ndarray
    leak: np.ndarray
    reset: str = "value"
    leaky: bool = True
    n: int = field(init=False)
    n_in: int = field(init=False)
    n_out: int = field(init=False)

    def __post_init__(self) -> None:
        n, n_in = self.weights["input"].shape
        for name, value in (("n", n), ("n_in", n_in), ("n_out", len(self.weights["output"]))):
            object.__setattr__(self, name, value)

    def get(self, name: str, size: int) -> np.ndarray:
        """A bias, or the zeros that stand for it."""
        return self.weights.get(name, np.zeros(size))


def random_network(
    rng: np.random.Generator,
    kind: str = "alif",
    n_in: int = 5,
    n: int = 7,
    n_out: int = 3,
    *,
    bellec: bool = True,
    input_gain: bool = True,
    refractory: int = 0,
    beta: float = 1.0,
    biases: bool = True,
    leaky: bool = True,
    leak: float = 0.0,
    reset: str = "value",
) -> Network:
    """Weights large enough that neurons fire in a tenth to a half of the steps.

    bellec: of alif, gains 1 and reset by the base threshold, else Rostami's; input_gain: whether
    the input is multiplied by 1 - alpha; beta: largest strength of adaptation; leak: largest
    v_leak of the readout.
    """

    def around(low: float, high: float, size: int = n) -> np.ndarray:
        return rng.uniform(low, high, size)

    weights = {
        "input": rng.normal(0.2, 1.0, (n, n_in)) / np.sqrt(n_in) * 2.0,
        "output": rng.normal(0, 1.0, (n_out, n)) / np.sqrt(n),
    }
    if kind == "gpn":
        neuron: Arrays = {}
        weights["gates"] = rng.normal(0, 1.2, (4 * n, 2 * n)) / np.sqrt(n)
        weights["gates_bias"] = rng.normal(0, 0.5, 4 * n)
    else:
        weights["recurrent"] = rng.normal(0, 0.8, (n, n)) / np.sqrt(n)
        neuron = {"v_threshold": around(0.4, 0.9)}
    if kind == "lif":
        neuron |= {"tau": around(2, 12), "r": around(1.5, 5)}
        neuron |= {"v_leak": around(-0.1, 0.1), "v_reset": around(-0.2, 0.1)}
    elif kind == "alif":
        alpha, rho = around(0.6, 0.95), around(0.8, 0.99)
        neuron |= {
            "alpha": alpha,
            "rho": rho,
            "beta": around(0.2 * beta, beta),
            "input_gain": 1 - alpha if input_gain else np.ones(n),
            "adaptation_gain": np.ones(n) if bellec else 1 - rho,
            "refractory": np.full(n, float(refractory)),
            "adaptive_reset": np.full(n, float(not bellec)),
        }
        if input_gain:
            weights["input"] /= 0.4
            weights["recurrent"] /= 0.4
    if biases:
        weights["input_bias"] = rng.normal(0.1, 0.3, n)
        weights["output_bias"] = rng.normal(0, 0.3, n_out)
    kappa = np.full(n_out, rng.uniform(0.5, 0.95) if leaky else 0.0)  # one filter of traces
    gain = around(0.3, 1.5, n_out) if leaky else np.ones(n_out)
    v_leak = around(-leak, leak, n_out) * (1 - kappa) * leaky
    return Network(kind, weights, neuron, kappa, gain, v_leak, reset, leaky)


def graph(network: Network, dt: float = DT) -> nir.NIRGraph:
    """Input -> Affine -> neuron (-> Linear -> neuron) -> Affine [-> LI] -> Output."""
    w = network.weights
    nodes = {"input": nir.Input({"input": np.array([network.n_in])})}
    nodes["fc"] = linear(w["input"], w.get("input_bias"))
    nodes["hidden"] = hidden_node(network, dt)
    edges = [("input", "fc"), ("fc", "hidden")]
    if "recurrent" in w:
        nodes["rec"] = nir.Linear(w["recurrent"].copy())
        edges += [("hidden", "rec"), ("rec", "hidden")]
    nodes["out"] = linear(w["output"], w.get("output_bias"))
    edges.append(("hidden", "out"))
    last = "out"
    if network.leaky:
        decay = 1 - network.kappa
        nodes["li"] = nir.LI(tau=dt / decay, r=network.gain / decay, v_leak=network.leak / decay)
        edges.append((last, "li"))
        last = "li"
    nodes["output"] = nir.Output({"output": np.array([network.n_out])})
    edges.append((last, "output"))
    return nir.NIRGraph(nodes, edges)


def linear(weight: np.ndarray, bias: np.ndarray | None) -> nir.NIRNode:
    return nir.Linear(weight.copy()) if bias is None else nir.Affine(weight.copy(), bias.copy())


def hidden_node(network: Network, dt: float) -> nir.NIRNode:
    from snn2hw.converters import nodes

    p = {key: value.copy() for key, value in network.neuron.items()}
    if network.kind == "gpn":
        w = network.weights
        return nodes.GPN(w["gates"].copy(), w["gates_bias"].copy(), dt)
    if network.kind == "lif":
        node = nir.LIF(**{**p, "tau": p["tau"] * dt})
        if network.reset == "subtract":
            node.metadata = {"reset": "subtract"}
        return node
    p["adaptive_reset"] = p["adaptive_reset"][0]
    return nodes.ALIF(**p, dt=dt)


def random_data(
    rng: np.random.Generator, network: Network, steps: int, targets: bool = False
) -> tuple[np.ndarray, int | np.ndarray]:
    """Real values (steps, n_in), and a label, or values to follow (steps, n_out)."""
    x = rng.normal(0.3, 1.0, (steps, network.n_in))
    if targets:
        return x, rng.normal(0, 1.0, (steps, network.n_out))
    return x, int(rng.integers(network.n_out))
