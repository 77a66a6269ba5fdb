"""lower, fold, quantize, balance: each against an independent statement of what it must do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snn2hw
from snn2hw.converters.nodes import GPN
from snn2hw.errors import DataError, GraphError, ParameterError, TargetError
from snn2hw.executor import execute
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense
from snn2hw.neurons import MODELS
from snn2hw.passes import balance, fold, lower, quantize


def lif(n: int, **changed: float) -> nir.LIF:
    values = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.3} | changed
    return nir.LIF(**{key: np.full(n, value) for key, value in values.items()})


def chain(*nodes: tuple[str, nir.ir.NIRNode], n_in: int, n_out: int) -> nir.NIRGraph:
    named = {"input": nir.Input({"input": np.array([n_in])}), **dict(nodes)}
    named["output"] = nir.Output({"output": np.array([n_out])})
    names = list(named)
    return nir.NIRGraph(named, list(itertools.pairwise(names)), type_check=False)


def lif_graph(seed: int = 0, **changed: float) -> nir.NIRGraph:
    rng = np.random.default_rng(seed)
    return chain(
        ("fc", nir.Affine(rng.normal(0, 0.6, (12, 8)), rng.normal(0, 0.05, 12))),
        ("lif", lif(12, **changed)),
        ("out", nir.Affine(rng.normal(0, 1.0, (4, 12)), rng.normal(0, 1.0, 4))),
        n_in=8,
        n_out=4,
    )


def gpn_graph(seed: int = 0, n: int = 10) -> nir.NIRGraph:
    rng = np.random.default_rng(seed)
    return chain(
        ("fc", nir.Affine(rng.normal(0, 0.8, (n, 8)), rng.normal(0, 0.2, n))),
        ("gpn", GPN(rng.normal(0, 0.4, (4 * n, 2 * n)), rng.normal(0, 0.3, 4 * n), 1e-3)),
        ("out", nir.Linear(rng.normal(0, 1.0, (4, n)))),
        n_in=8,
        n_out=4,
    )


def spikes(seed: int = 1, batch: int = 6, time: int = 40, n: int = 8) -> np.ndarray:
    return (np.random.default_rng(seed).random((batch, time, n)) < 0.3).astype(np.int64)


def lif_by_hand(graph: nir.NIRGraph, x: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """NIR's equations with the given decay per step: output of the chain in ``lif_graph``."""
    fc, node, out = graph.nodes["fc"], graph.nodes["lif"], graph.nodes["out"]
    v = np.zeros((len(x), 12))
    result = []
    for t in range(x.shape[1]):
        current = x[:, t] @ fc.weight.T + fc.bias
        v = v + decay * (node.v_leak - v + node.r * current)
        s = v > node.v_threshold
        v = np.where(s, 0.0, v)
        result.append(s @ out.weight.T + out.bias)
    return np.stack(result, 1)


@pytest.mark.parametrize("method", ["euler", "exact"])
def test_lower_keeps_the_meaning_of_lif(method: str) -> None:
    graph = lif_graph(r=1.7, v_leak=0.1)
    tau, dt = 5e-3, 1e-3
    decay = dt / tau if method == "euler" else 1 - np.exp(-dt / tau)
    expected = lif_by_hand(graph, spikes(), decay)
    lowered = lower(graph, dt, method)
    got = execute(lowered, spikes()).outputs["output"]
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert lowered.dt_s == dt
    assert lowered.method == method


@given(seed=st.integers(0, 1000), n=st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_fold_changes_no_output(seed: int, n: int) -> None:
    graph = lower(gpn_graph(seed, n), 1e-3)
    folded = fold(graph)
    assert not any(p.port_maps for p in folded.populations)
    a, b = execute(graph, spikes(seed)), execute(folded, spikes(seed))
    np.testing.assert_allclose(a.outputs["output"], b.outputs["output"], atol=1e-9)
    np.testing.assert_array_equal(a.spikes["gpn"], b.spikes["gpn"])


def test_fold_makes_one_matrix_of_five_blocks() -> None:
    graph = gpn_graph()
    folded = fold(lower(graph, 1e-3))
    arriving = next(p for p in folded.projections if p.source == "input")
    w, gates = graph.nodes["fc"].weight, graph.nodes["gpn"].gates_weight
    assert arriving.target_ports == ("x", "f", "i", "b", "t")
    np.testing.assert_allclose(arriving.map.weight, np.vstack([w, gates[:, 10:] @ w]))


def test_a_chain_of_linear_nodes_is_their_product() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 8)), rng.normal(size=(4, 5))
    bias = rng.normal(size=5)
    graph = chain(
        ("a", nir.Affine(a, bias)), ("b", nir.Linear(b)), ("lif", lif(4)), n_in=8, n_out=4
    )
    lowered = lower(graph, 1e-3)
    # The LIF's input gain, dt / tau = 0.2, goes into the matrix too.
    np.testing.assert_allclose(fold(lowered).projections[0].map.weight, 0.2 * (b @ a))
    np.testing.assert_allclose(lowered.population("lif").params["bias"], 0.2 * (b @ bias))


@pytest.mark.parametrize("make", [lif_graph, gpn_graph])
def test_integers_stay_close_to_floats(make) -> None:
    differing, error, size = [], [], []
    for seed in range(20):
        graph, x = make(seed), spikes(seed)
        net = snn2hw.quantize(graph, calibration=x)
        run, floats = net.run(x), execute(lower(graph, 1e-3), x)
        assert not any(run.overflows.values())
        name = net.layers[0].name
        differing.append((run.spikes[name] != floats.spikes[name]).mean())
        logits = floats.outputs["output"].mean(axis=1)
        error.append(np.square(run.logits - logits).mean())
        size.append(np.square(logits).mean())
    # A spike that falls the other way changes what follows, so single networks may part ways.
    assert np.mean(differing) < 0.01
    assert np.mean(error) < 5e-3 * np.mean(size)


def test_quantize_is_deterministic_and_says_what_it_did() -> None:
    graph, x = gpn_graph(), spikes()
    one, two = (snn2hw.quantize(graph, calibration=x) for _ in range(2))
    for a, b in zip(one.synapses, two.synapses, strict=True):
        np.testing.assert_array_equal(a.mantissa, b.mantissa)
    assert one.notes == two.notes
    text = "\n".join(one.notes)
    for said in ("dt = 0.001", "port maps of gpn.x", "messages of v: 12 bits", "latency 2"):
        assert said in text


def test_real_values_become_signed_messages_of_eight_bits() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 30, 8))
    net = snn2hw.quantize(gpn_graph(), calibration=x)
    assert (net.input.bits, net.input.signed) == (8, True)
    messages = net.encode(x)
    assert np.abs(messages).max() == 127
    np.testing.assert_allclose(messages * net.input.unit, x, atol=net.input.unit * 0.5001)


def test_counts_keep_their_values() -> None:
    x = np.random.default_rng(0).integers(0, 6, (5, 30, 8))
    net = snn2hw.quantize(lif_graph(), calibration=x)
    assert (net.input.bits, net.input.signed, net.input.unit) == (3, False, 1.0)
    np.testing.assert_array_equal(net.encode(x), x)


def test_encode_passes_spikes_and_refuses_what_is_none() -> None:
    net = snn2hw.quantize(lif_graph(), calibration=spikes())
    np.testing.assert_array_equal(net.encode(spikes().astype(float)), spikes())
    for bad in (np.full((1, 2, 8), -1), np.full((1, 2, 8), 0.4), np.full((1, 2, 8), 7)):
        with pytest.raises(DataError):
            net.encode(bad)
    real = snn2hw.quantize(lif_graph(), calibration=spikes() - 0.5)
    with pytest.raises(DataError, match="NaN or infinity"):
        real.encode(np.full((1, 2, 8), np.nan))
    assert real.limited(np.array([0.5, 0.6, -9.0])) == 2


def two_outputs() -> nir.NIRGraph:
    graph = lif_graph()
    nodes = {**graph.nodes, "second": nir.Output({"output": np.array([4])})}
    return nir.NIRGraph(nodes, [*graph.edges, ("out", "second")], type_check=False)


def test_a_linear_node_may_feed_two_outputs() -> None:
    one, two = (lower(graph, 1e-3) for graph in (lif_graph(), two_outputs()))
    expected = execute(one, spikes()).outputs["output"]
    for values in execute(two, spikes()).outputs.values():
        np.testing.assert_allclose(values, expected)
    run = snn2hw.quantize(two_outputs(), calibration=spikes()).run(spikes())
    single = snn2hw.quantize(lif_graph(), calibration=spikes()).run(spikes())
    for values in run.outputs.values():
        np.testing.assert_array_equal(values, single.output)


def test_an_input_may_lead_straight_to_an_output() -> None:
    graph = chain(n_in=8, n_out=8)
    net = snn2hw.quantize(graph, calibration=spikes())
    np.testing.assert_allclose(net.run(spikes()).output * net.output_unit, spikes(), atol=0.01)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("bias", [0.0, 1e-3, 1.0, 1e3, 1e6])
def test_a_readout_keeps_biases_and_weights_of_any_size(scale: float, bias: float) -> None:
    rng = np.random.default_rng(0)
    weight, biases = rng.normal(0, scale, (4, 8)), bias * np.arange(1, 5)
    graph = chain(("out", nir.Affine(weight, biases)), n_in=8, n_out=4)
    net = snn2hw.quantize(graph, calibration=spikes())
    expected = spikes() @ weight.T + biases
    got = net.run(spikes()).output * net.output_unit
    largest = np.abs(expected).max()
    assert np.abs(got - expected).max() < 0.02 * largest
    assert not any(net.run(spikes()).overflows.values())


def test_two_projections_of_unequal_size_both_survive() -> None:
    rng = np.random.default_rng(0)
    weak = nir.Linear(rng.normal(0, 1e-3, (4, 12)))
    graph = lif_graph()
    nodes = {**graph.nodes, "weak": weak}
    edges = [*graph.edges, ("lif", "weak"), ("weak", "output")]
    del nodes["out"]
    nodes["direct"] = nir.Linear(rng.normal(0, 1.0, (4, 8)))
    edges = [e for e in edges if "out" not in e] + [("input", "direct"), ("direct", "output")]
    net = snn2hw.quantize(nir.NIRGraph(nodes, edges, type_check=False), calibration=spikes())
    group = next(s for s in net.synapses if s.source == "lif" and s.target != "lif")
    assert np.abs(group.mantissa).max() > 60


# --- balance ---------------------------------------------------------------------------------


def net_of(edges: list[tuple[str, str, int]], names: str, outputs: str) -> FixedPointNetwork:
    """Layers of one readout neuron each; an edge is (source, target, logical delay)."""
    model = MODELS["readout"]
    layers = tuple(Layer(n, model, (1,), {"bias": np.zeros(1, np.int32)}, {}) for n in names)
    weight = np.ones((1, 1), dtype=np.int8)
    synapses = tuple(
        Synapse(f"{a}{b}", a, "" if a == "in" else "y", b, ("a",), Dense(weight), 0, delay)
        for a, b, delay in edges
    )
    ends = tuple(OutputNode(f"out_{n}", n, "y") for n in outputs)
    inputs = (InputFormat("in", (1,), 1, False, 1.0),)
    return FixedPointNetwork("loihi2", 1e-3, "euler", inputs, layers, synapses, ends)


def test_parallel_paths_of_different_depth_arrive_together() -> None:
    net = balance(
        net_of([("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("in", "c", 0)], "abc", "c")
    )
    assert [layer.offset for layer in net.layers] == [1, 2, 3]
    assert {s.name: s.chip_delay for s in net.synapses} == {"ina": 1, "ab": 1, "bc": 1, "inc": 3}
    assert net.latency == 3


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_every_path_keeps_its_relative_timing(data: st.DataObject) -> None:
    names = "abcdef"[: data.draw(st.integers(1, 6))]
    edges = [("in", names[0], 0)]
    for k, target in enumerate(names[1:], start=1):
        for source in {names[k - 1], data.draw(st.sampled_from(names[:k]))}:
            edges.append((source, target, data.draw(st.integers(0, 3))))
    net = balance(net_of(edges, names, names[-1]))
    offset = {"in": 0} | {layer.name: layer.offset for layer in net.layers}
    for synapse in net.synapses:
        assert 1 <= synapse.chip_delay <= 63
        assert synapse.chip_delay == synapse.delay + offset[synapse.target] - offset[synapse.source]
    assert net.latency == offset[names[-1]]


def test_a_loop_that_fits_keeps_its_delay() -> None:
    net = balance(net_of([("in", "a", 0), ("a", "b", 0), ("b", "a", 2)], "ab", "b"))
    assert {s.name: s.chip_delay for s in net.synapses} == {"ina": 1, "ab": 1, "ba": 1}


def test_a_loop_that_cannot_fit_is_named() -> None:
    net = net_of([("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "b", 1)], "abc", "c")
    with pytest.raises(GraphError, match=r"loop (b -> c -> b|c -> b -> c) cannot run on the chip"):
        balance(net)


def test_a_delay_beyond_the_chip_is_refused() -> None:
    with pytest.raises(TargetError, match="need a delay of 64 steps and the chip holds 63"):
        balance(net_of([("in", "a", 64)], "a", "a"))


# --- bad input -------------------------------------------------------------------------------


def without(graph: nir.NIRGraph, *edges: tuple[str, str]) -> nir.NIRGraph:
    kept = [edge for edge in graph.edges if edge not in edges]
    return nir.NIRGraph(graph.nodes, kept, type_check=False)


def poisoned(value: float) -> nir.NIRGraph:
    graph = lif_graph()
    graph.nodes["fc"].weight[2, 3] = value
    return graph


class Foreign(nir.ir.NIRNode):  # type: ignore[misc]
    """A node that nobody knows."""

    def __init__(self) -> None:
        self.input_type = self.output_type = {"input": np.array([8])}
        self.metadata = {}


BAD_GRAPHS = [
    (lambda: nir.NIRGraph({}, []), GraphError, "the graph is empty"),
    (
        lambda: without(lif_graph(), ("fc", "lif")),
        GraphError,
        r"node 'input' is not connected: no path from it leads to an output",
    ),
    (lambda: without(lif_graph(), ("lif", "out")), GraphError, "is not connected"),
    (lambda: poisoned(np.nan), ParameterError, "weight of node 'fc' holds NaN or infinity"),
    (lambda: poisoned(np.inf), ParameterError, "weight of node 'fc' holds NaN or infinity"),
    (lambda: lif_graph(tau=5e-4), ParameterError, r"node 'lif': tau = 0.0005 s is not above dt/2"),
    (lambda: lif_graph(tau=8e-4), TargetError, "layer 'lif': a time constant is below dt"),
    (
        lambda: chain(("fc", nir.Affine(np.ones((4, 8)), np.ones(3))), n_in=8, n_out=4),
        GraphError,
        r"node 'fc': its bias has shape \(3,\)",
    ),
    (
        lambda: chain(("fc", nir.Linear(np.ones((4, 8), dtype=complex))), n_in=8, n_out=4),
        ParameterError,
        "weight of node 'fc' has dtype complex128",
    ),
    (lambda: chain(n_in=0, n_out=0), GraphError, "node 'input': it has no neurons or channels"),
    (
        lambda: chain(("s", Foreign()), ("l", lif(8)), n_in=8, n_out=8),
        GraphError,
        "node 's' is of type Foreign, which this release does not run; it runs Input",
    ),
    (
        lambda: chain(("fc", nir.Linear(np.ones((4, 7)))), ("l", lif(4)), n_in=8, n_out=4),
        GraphError,
        r"node 'fc': it takes 7 values \(weight \(4, 7\)\) and gets 8",
    ),
    (
        lambda: chain(("fc", nir.Linear(np.ones((5, 8)))), ("l", lif(4)), n_in=8, n_out=4),
        GraphError,
        r"node 'l': it takes 4 values \(shape \(4,\)\) and 'fc' gives 5",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_GRAPHS)
def test_bad_graphs_are_refused_by_name(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        snn2hw.quantize(make(), calibration=spikes())


def test_a_loop_of_linear_nodes_is_refused() -> None:
    square = nir.Linear(np.eye(8))
    graph = chain(("a", square), ("b", nir.Linear(np.eye(8))), ("l", lif(8)), n_in=8, n_out=8)
    looped = nir.NIRGraph(graph.nodes, [*graph.edges, ("b", "a")], type_check=False)
    with pytest.raises(GraphError, match=r"loop a -> b -> a has no neuron in it"):
        lower(looped, 1e-3)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "needs calibration data"),
        (np.zeros((0, 5, 8)), "no sample or no time step"),
        (np.zeros((2, 5, 9)), "data have shape"),
        (np.full((2, 5, 8), np.nan), "NaN or infinity"),
        (np.full((2, 5, 8), 300), "spike counts reach 300"),
    ],
)
def test_bad_calibration_is_refused(calibration, message: str) -> None:
    with pytest.raises(DataError, match=message):
        snn2hw.quantize(lif_graph(), calibration=calibration)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(TargetError, match="target 'loihi9' is unknown; known: loihi1, loihi2"):
        snn2hw.quantize(lif_graph(), target="loihi9", calibration=spikes())
    with pytest.raises(ParameterError, match="method 'heun' is unknown; use one of euler, exact"):
        lower(lif_graph(), 1e-3, "heun")
    for dt in (0.0, -1.0, np.nan):
        with pytest.raises(ParameterError, match="is not a positive time"):
            lower(lif_graph(), dt)
    with pytest.raises(TargetError, match="run the pass fold first"):
        quantize(lower(gpn_graph(), 1e-3), spikes())


def test_a_recurrent_edge_gets_a_step_of_delay() -> None:
    rng = np.random.default_rng(0)
    graph = chain(("fc", nir.Linear(rng.normal(0, 1, (6, 8)))), ("l", lif(6)), n_in=8, n_out=6)
    nodes = {**graph.nodes, "rec": nir.Linear(rng.normal(0, 0.3, (6, 6)))}
    looped = nir.NIRGraph(nodes, [*graph.edges, ("l", "rec"), ("rec", "l")], type_check=False)
    lowered = lower(looped, 1e-3)
    assert {(p.source, p.delay) for p in lowered.projections} == {("input", 0), ("l", 1)}
    net = snn2hw.quantize(looped, calibration=spikes())
    floats = execute(lowered, spikes())
    assert (net.run(spikes()).spikes["l"] != floats.spikes["l"]).mean() < 0.02
    assert replace(net, notes=()).latency == 1
