"""A NIR graph as a network that learns: one hidden layer and a readout, taken out and put back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from snn2hw.errors import GraphError, ParameterError
from snn2hw.graph import DiscreteGraph, Population
from snn2hw.passes.lower import graph_hash, lower

Floats: TypeAlias = npt.NDArray[np.float64]

LINEAR = ("Linear", "Affine")
NEURONS = ("LIF", "ALIF", "GPN")
EXPECTED = (
    "e-prop takes Input -> Linear or Affine -> LIF, ALIF or GPN -> Linear or Affine [-> LI] -> "
    "Output, LIF and ALIF with a Linear or Affine from the neurons to themselves if they recur"
)


@dataclass(frozen=True)
class Network:
    """What a graph means to e-prop.

    nodes: role ("input", "neuron", "recurrent", "output", "readout") -> name in the graph; weights:
    float64 by name: "input" (n, n_in), "recurrent" (n, n), "output" (n_out, n), and where the graph
    has them "input_bias" (n,), "output_bias" (n_out,), of a GPN "gates" (4n, 2n) and "gates_bias"
    (4n,); constants: of the neuron, (n,) each (see ``leaky``; refractory too); kappa: decay of the
    readout's memory, 0 without one; gain, leak: of each readout neuron.
    """

    graph: Any
    dt_s: float
    nodes: Mapping[str, str]
    weights: Mapping[str, Floats]
    constants: Mapping[str, Floats]
    kappa: float
    gain: Floats
    leak: Floats
    digest: str

    @property
    def n(self) -> int:
        """Hidden neurons."""
        return len(self.weights["input"])

    @property
    def n_in(self) -> int:
        """Inputs."""
        return int(self.weights["input"].shape[1])

    @property
    def n_out(self) -> int:
        """Readout neurons."""
        return len(self.weights["output"])

    @property
    def gated(self) -> bool:
        """Whether the neurons are GPN."""
        return "gates" in self.weights

    @property
    def adapts(self) -> bool:
        """Whether thresholds adapt."""
        return not self.gated and bool(np.any(self.constants["beta"] != 0))

    @property
    def shares_traces(self) -> bool:
        """Whether one filtered input serves all neurons: equal decays, and no spike wipes v out."""
        if self.gated:
            return True
        alpha, keep = self.constants["alpha"], self.constants["keep"]
        return bool(np.all(alpha == alpha[0]) and np.all(keep == 1))

    def with_weights(self, weights: Mapping[str, Floats]) -> Any:
        """The graph (nir.NIRGraph) with these weights; everything else as it was."""
        graph = copy.deepcopy(self.graph)
        node = {role: graph.nodes[name] for role, name in self.nodes.items()}

        def put(role: str, field: str, values: Floats) -> None:
            old = np.asarray(getattr(node[role], field))
            kind = old.dtype if old.dtype.kind == "f" else np.dtype(np.float64)
            setattr(node[role], field, values.reshape(old.shape).astype(kind))

        for role in ("input", "recurrent", "output"):
            if role in weights:
                put(role, "weight", weights[role])
            if f"{role}_bias" in weights:
                put(role, "bias", weights[f"{role}_bias"])
        if self.gated:
            put("neuron", "gates_weight", weights["gates"])
            put("neuron", "gates_bias", weights["gates_bias"])
        return graph


def network(graph: Any, dt_s: float, method: str = "euler", reset: str = "value") -> Network:
    """The network that a graph (nir.NIRGraph) holds; dt_s, method, reset: as for ``lower``.

    Raises GraphError for a graph of another form, naming the node, and ParameterError for constants
    that e-prop has no traces for.
    """
    lowered = lower(graph, dt_s, method, reset)
    nodes = _roles(graph)
    node = {role: graph.nodes[name] for role, name in nodes.items()}
    weights: dict[str, Floats] = {
        role: np.asarray(node[role].weight, dtype=np.float64)
        for role in ("input", "recurrent", "output")
        if role in node
    }
    for role in ("input", "output"):
        if type(node[role]).__name__ == "Affine":
            weights[f"{role}_bias"] = np.asarray(node[role].bias, dtype=np.float64).ravel()
    hidden = lowered.population(nodes["neuron"])
    if type(node["neuron"]).__name__ == "GPN":
        gates = node["neuron"]
        weights["gates"] = np.asarray(gates.gates_weight, dtype=np.float64)
        weights["gates_bias"] = np.asarray(gates.gates_bias, dtype=np.float64).ravel()
        constants: dict[str, Floats] = {}
    else:
        constants = _constants(hidden, weights.get("input_bias"))
    kappa, gain, leak = _readout(lowered, nodes, len(weights["output"]), weights)
    return Network(
        graph=graph,
        dt_s=dt_s,
        nodes=nodes,
        weights=weights,
        constants=constants,
        kappa=kappa,
        gain=gain,
        leak=leak,
        digest=graph_hash(dict(graph.nodes), list(graph.edges)),
    )


def _roles(graph: Any) -> dict[str, str]:
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    known = (*LINEAR, *NEURONS, "LI", "Input", "Output")
    for name, kind in kinds.items():
        if kind not in known:
            raise GraphError(f"node {name!r} is a {kind}; {EXPECTED}")
    edges = [(str(a), str(b)) for a, b in graph.edges]
    neurons = [name for name, kind in kinds.items() if kind in NEURONS]
    if len(neurons) != 1:
        found = ", ".join(neurons) or "none"
        raise GraphError(f"the graph has {len(neurons)} layers of neurons ({found}); {EXPECTED}")
    roles = {"neuron": neurons[0]}

    def only(names: list[str], what: str) -> str:
        if len(names) != 1:
            raise GraphError(f"{what}: {', '.join(names) or 'none'}; {EXPECTED}")
        return names[0]

    def after(name: str) -> list[str]:
        return [b for a, b in edges if a == name]

    def before(name: str) -> list[str]:
        return [a for a, b in edges if b == name]

    around = [name for name in after(neurons[0]) if neurons[0] in after(name)]
    if around:
        roles["recurrent"] = only(around, f"loops around {neurons[0]!r}")
    ahead = [name for name in before(neurons[0]) if name not in around]
    roles["input"] = only(ahead, f"nodes before {neurons[0]!r}")
    behind = [name for name in after(neurons[0]) if name not in around]
    roles["output"] = only(behind, f"nodes after {neurons[0]!r}")
    end = only(after(roles["output"]), f"nodes after {roles['output']!r}")
    if kinds[end] == "LI":
        roles["readout"] = end
        end = only(after(end), f"nodes after {end!r}")
    first = only(before(roles["input"]), f"nodes before {roles['input']!r}")
    for role, name, wanted in (
        *((r, roles[r], LINEAR) for r in ("input", "recurrent", "output") if r in roles),
        ("first node", first, ("Input",)),
        ("last node", end, ("Output",)),
    ):
        if kinds[name] not in wanted:
            raise GraphError(
                f"node {name!r} ({role}) is a {kinds[name]}, not {' or '.join(wanted)}; {EXPECTED}"
            )
    if kinds[neurons[0]] == "GPN" and "recurrent" in roles:
        raise GraphError(
            f"node {roles['recurrent']!r} feeds a GPN its own spikes, for which e-prop here has no "
            "traces; a GPN's gates hear the layer's potentials already"
        )
    if len(kinds) != len(roles) + 2:
        extra = set(kinds) - set(roles.values()) - {first, end}
        raise GraphError(f"nodes {', '.join(sorted(extra))} are left over; {EXPECTED}")
    return roles


def _constants(hidden: Population, input_bias: Floats | None) -> dict[str, Floats]:
    """Constants of LIF or ALIF neurons in the terms of ``leaky``."""
    given, n = hidden.params, hidden.n
    p = {name: np.broadcast_to(value, n).astype(np.float64) for name, value in given.items()}
    zeros, ones = np.zeros(n), np.ones(n)
    if hidden.model.name == "alif":
        found = {name: p[name] for name in ("alpha", "rho", "beta", "v_threshold", "refractory")}
        found |= {"jump": p["adaptation_gain"], "gain": p["input_gain"]}
        found |= {"keep": ones, "added": zeros, "adaptive": p["adaptive_reset"]}
        found["reset"] = p["v_threshold"]
    elif hidden.model.name in ("lif", "lif_reset"):
        if np.any(p["decay_u"] != 1):
            raise ParameterError(
                f"layer {hidden.name!r} has a synaptic current with a memory; e-prop here has "
                "traces for LIF, ALIF and GPN"
            )
        found = {"alpha": 1 - p["decay_v"], "gain": p["gain"], "v_threshold": p["v_threshold"]}
        found |= dict.fromkeys(("rho", "beta", "jump", "refractory", "adaptive", "reset"), zeros)
        found |= {"keep": p.get("keep", zeros), "added": p.get("added", zeros)}
    else:
        raise GraphError(f"layer {hidden.name!r} has neurons {hidden.model.name!r}; {EXPECTED}")
    # The bias of the input's weights is learned, so it is no constant.
    learned = zeros if input_bias is None else found["gain"] * input_bias
    found["bias"] = p["bias"] - learned
    found["start"] = np.broadcast_to(hidden.start.get("v", zeros), n).astype(np.float64)
    if np.any(found["v_threshold"] <= 0):
        raise ParameterError(
            f"layer {hidden.name!r}: v_threshold is not above 0 everywhere, and the surrogate's "
            "width is v_threshold; shift the threshold"
        )
    return found


def _readout(
    lowered: DiscreteGraph, nodes: Mapping[str, str], n_out: int, weights: Mapping[str, Floats]
) -> tuple[float, Floats, Floats]:
    """kappa, gain and leak of the readout."""
    if "readout" not in nodes:
        return 0.0, np.ones(n_out), np.zeros(n_out)
    population = lowered.population(nodes["readout"])
    p = {
        name: np.broadcast_to(v, n_out).astype(np.float64) for name, v in population.params.items()
    }
    kappa = 1 - p["decay_v"]
    if np.any(kappa != kappa[0]):
        raise ParameterError(
            f"layer {nodes['readout']!r}: the readout's time constants differ between neurons "
            f"({kappa.min():g} to {kappa.max():g} is kept per step), and traces are filtered by "
            "one; make them equal"
        )
    bias = weights.get("output_bias", np.zeros(n_out))
    return float(kappa[0]), p["gain"], p["bias"] - p["gain"] * bias
