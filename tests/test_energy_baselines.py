"""Int8 networks: their arithmetic against float networks, their bills against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from snn2hw.energy import estimate, load_profile
from snn2hw.energy.baselines import (
    Baseline,
    Signal,
    baselines_of,
    build,
    compare,
    estimate_baseline,
    multiplications,
    published_ratio,
    spike_cost,
    twin,
)
from snn2hw.energy.baselines.break_even import silence
from snn2hw.energy.baselines.cells import (
    ARGUMENT_UNIT,
    GRU,
    LSTM,
    RELU,
    SCALE_SHIFT,
    gru_step,
    lstm_step,
    relu_step,
    table_of,
)
from snn2hw.energy.bill import Bill
from snn2hw.errors import DataError, ParameterError, ProfileError
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne
from snn2hw.neurons import MODELS
from snn2hw.simulator.run import Activity, Run

PJ = 1e-12
HOROWITZ = "cmos45-horowitz2014"


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


TABLES = (table_of(sigmoid).astype(np.int64), table_of(np.tanh).astype(np.int64))
ONE = 1 << SCALE_SHIFT
"""A scale of 1: the accumulators below are in units of the gates' arguments."""


def arguments(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Gate arguments of 50 units in float, and the accumulators that stand for them."""
    x = rng.uniform(-4, 4, (rows, 50))
    return x, np.rint(x / ARGUMENT_UNIT).astype(np.int64)


def test_a_gru_unit_computes_a_gru() -> None:
    rng = np.random.default_rng(0)
    h_int = np.zeros(50, dtype=np.int64)
    h = np.zeros(50)
    for _ in range(20):
        (r, z, n_x, n_h), sums = arguments(rng, 4)
        r, z = sigmoid(r), sigmoid(z)
        h = (1 - z) * np.tanh(n_x + r * n_h) + z * h
        (h_int,) = gru_step(h_int, *sums, [0] * 4, [ONE] * 4, *TABLES)
        # each argument is off by 1/32 at most, each table entry and rounding by 1/256
        np.testing.assert_allclose(h_int / 128, h, atol=0.08)


def test_an_lstm_unit_computes_an_lstm() -> None:
    rng = np.random.default_rng(1)
    c_int = np.zeros(50, dtype=np.int64)
    c = np.zeros(50)
    for _ in range(10):
        (i, f, g, o), sums = arguments(rng, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        c_int, h_int = lstm_step(c_int, *sums, [0] * 4, [ONE] * 4, *TABLES)
        np.testing.assert_allclose(c_int / 2048, c, atol=0.15)
        np.testing.assert_allclose(h_int / 128, sigmoid(o) * np.tanh(c), atol=0.1)


def test_a_relu_unit_adds_its_bias_scales_and_limits() -> None:
    sums = np.array([-10, -3, 0, 5, 300])
    (y,) = relu_step(sums, [2], [ONE // 2])
    np.testing.assert_array_equal(y, [0, 0, 1, 4, 127])  # halves go up


def test_operations_of_the_units_by_hand() -> None:
    # one scaled sum: bias, product, rounding add, shift, two limits; a table needs an offset
    scaled = {"adds": 2, "multiplies": 1, "shifts": 1, "compares": 2, "selects": 2}
    gru = {"adds": 3 + 4, "multiplies": 3, "shifts": 2, "compares": 4, "selects": 4}
    # adds: r n_h rounded, n_x + ., and 128 - z, sum of two products, rounding; three offsets
    gru["adds"] = 2 + 3 + 3
    for kind, extra in gru.items():
        assert GRU.operations[kind] == 4 * scaled[kind] + extra, kind
    assert GRU.operations["lookups"] == 3
    assert LSTM.operations["lookups"] == 5
    assert LSTM.operations["multiplies"] == 4 + 3
    assert RELU.operations == {
        "adds": 2, "multiplies": 1, "shifts": 1, "compares": 2, "selects": 2, "logic": 0,
        "lookups": 0,
    }  # fmt: skip


def amounts(bill: Bill, part: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in bill.items:
        if item.layer == part:
            found[item.what] = found.get(item.what, 0.0) + item.count
    return found


def small(kind: str, *, density: float = 0.25, binary: bool = False) -> Baseline:
    """12 channels, 10 units, 3 outputs, 100 steps."""
    return build(kind, Signal(12, density, binary), [10], 3, 100)


def test_a_dense_gru_by_hand() -> None:
    bill = estimate_baseline(small("gru"))
    found = amounts(bill, "gru 1")
    # 30 rows of 12 + 10 weights: 3 accesses of eight weights a row; four blocks of eight rows
    assert found["products"] == found["accumulates"] == 100 * 30 * 22
    assert found["weight reads"] == 100 * 30 * 3
    assert found["activation reads"] == 100 * (4 * 3 + 2)  # 2: h for its own update
    assert found["activation writes"] == 100 * 2
    assert found["parameter reads"] == 100 * 10 * 8 / 2  # four biases and scales, two an access
    assert found["table look-ups"] == 100 * 10 * 3
    assert "state reads and writes" not in found
    readout = amounts(bill, "readout")
    assert readout["products"] == 100 * 3 * 10
    assert readout["unit steps: adds"] == 100 * 3
    # all memories are below 8 KB: 10 pJ an access
    memory = sum(i.count for i in bill.items if i.group == "memory")
    assert bill.by_group()["memory"] == pytest.approx(10 * PJ * memory)
    assert bill.by_group()["synapses"] == pytest.approx(0.3 * PJ * 100 * (30 * 22 + 3 * 10))


def test_a_sparse_lstm_by_hand() -> None:
    found = amounts(estimate_baseline(small("lstm"), sparse=True), "lstm 1")
    # a quarter of 12 channels and all of 10 units fetch columns of 40 weights
    fetched = 100 * (3 + 10)
    assert found["products"] == found["accumulates"] == fetched * 40
    assert found["weight reads"] == fetched * 5
    assert found["accumulator reads and writes"] == 2 * fetched * 20 + 2 * 100 * 20
    assert found["message queue reads and writes"] == fetched + 100 * 10
    assert found["state reads and writes"] == 2 * 100 * 5


def test_spikes_are_added_and_not_multiplied_where_zeros_are_skipped() -> None:
    spikes = estimate_baseline(small("mlp", binary=True), sparse=True)
    assert "products" not in amounts(spikes, "mlp 1")
    assert amounts(spikes, "mlp 1")["accumulates"] == 100 * 3 * 10
    assert amounts(spikes, "readout")["products"] == 100 * 0.5 * 10 * 3


def test_a_cnn_sees_three_steps() -> None:
    found = amounts(estimate_baseline(small("cnn")), "cnn 1")
    assert found["products"] == 100 * 10 * 36
    assert small("cnn").shape == small("mlp").shape == "12-10-3"


@pytest.mark.parametrize("kind", ["gru", "lstm", "mlp", "cnn"])
def test_a_wholly_dense_network_has_as_many_products_in_either_circuit(kind: str) -> None:
    network = build(kind, Signal(7), [9, 5], 4, 11, densities=[1.0, 1.0])
    bills = [estimate_baseline(network, sparse=sparse) for sparse in (False, True)]
    dense, sparse = (sum(i.count for i in b.items if i.what == "products") for b in bills)
    assert dense == sparse == network.macs


def chain(*maps: LinearMap) -> FixedPointNetwork:
    """LIF layers behind each other."""
    shape = (maps[0].n_in,)
    layers = [Layer(f"l{k}", MODELS["lif"], (m.n_out,), {}, {}) for k, m in enumerate(maps)]
    names = ["in", *(layer.name for layer in layers)]
    synapses = [
        Synapse(f"w{k}", names[k], "s" if k else "", names[k + 1], ("a",), m, 0, 0, 1)
        for k, m in enumerate(maps)
    ]
    return FixedPointNetwork(
        "loihi2", 1e-3, "euler", (InputFormat("in", shape, 1, False, 1.0),), tuple(layers),
        tuple(synapses), (OutputNode("out", names[-1], "s"),),
    )  # fmt: skip


def test_a_twin_has_the_networks_own_products() -> None:
    ones = np.ones((4, 3, 3, 3), dtype=np.int8)
    convolution = Convolution(ones, (3, 9, 11), stride=(2, 2))
    dense = Dense(np.ones((7, 4 * 4 * 5), dtype=np.int8))
    found = twin(chain(convolution, dense))
    # without padding every tap lies within: the products are the synapses of all inputs
    assert found.macs == convolution.fan_out().sum() + dense.fan_out().sum()
    assert found.macs == 20 * 4 * 27 + 7 * 80
    assert found.shape == "297-80-7"
    assert found.weights == ones.size + 7 * 80
    first = amounts(estimate_baseline(found), "l0")
    # 4 rows of 27 weights are 4 accesses each; 20 positions go by 8; activations for 8 rows at once
    assert first["weight reads"] == 4 * 4 * 3
    assert first["activation reads"] == 20 * 4
    assert first["products"] == 20 * 4 * 27
    skipped = amounts(estimate_baseline(found, sparse=True), "l1")
    assert skipped["products"] == 0.5 * 80 * 7


def test_a_twin_is_of_a_chain() -> None:
    net = chain(Dense(np.ones((3, 2), np.int8)), Dense(np.ones((3, 3), np.int8)))
    loop = replace(net.synapses[1], name="loop", source="l1", target="l1")
    with pytest.raises(DataError, match="is no link of a chain"):
        twin(replace(net, synapses=(*net.synapses, loop)))
    with pytest.raises(DataError, match="synapses 'w0' are one-to-one; a twin has none such"):
        twin(chain(OneToOne(np.ones(3, np.int8))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnn", Signal(2), [3], 2, 5), "baseline 'rnn' is unknown; use one of gru, lstm, mlp"),
        (("gru", Signal(2), [], 2, 5), "5 steps, hidden layers () and 2 outputs; each must be"),
        (("gru", Signal(2), [3], 2, 5, [1.0, 1.0]), "2 densities for 1 hidden layers; give one"),
    ],
)
def test_baselines_that_cannot_be(arguments: tuple, message: str) -> None:
    with pytest.raises(ParameterError) as error:
        build(*arguments)
    assert message in str(error.value)


def test_a_density_is_a_fraction() -> None:
    with pytest.raises(ParameterError, match=r"density 1.5 is no fraction"):
        Signal(3, 1.5)


def test_a_chip_has_no_price_for_a_gru() -> None:
    with pytest.raises(ProfileError, match="prices events, which a network without spikes has"):
        estimate_baseline(small("gru"), "loihi1-davies2018")


def test_ponghiran_and_roy_by_their_own_sizes() -> None:
    # facts/ponghiran_roy.md: two layers of 550 on 40 dense features, without the 550 O at the end
    for kind, expected in (("gru", 2_801_700), ("lstm", 3_731_200)):
        assert multiplications(kind, 40, 550, 1000, [550, 550]) == expected + 550 * 1000
    # traditional: H nnz(x), then 6 H a layer, H for each spike of the first and O of the second
    assert multiplications("traditional", 5, 8, 3, [2, 4]) == 8 * 5 + 48 + 8 * 2 + 48 + 3 * 4
    assert multiplications("gated", 5, 8, 3, [2]) == 16 * 5 + 64 + 16 * 2 + 3 * 2
    # two layers by hand: 2 H nnz(x); 8 H + 2 H nnz(own) + 2 H nnz to the next; the last O nnz
    gated = 16 * 5 + (64 + 16 * 2 + 16 * 2) + (64 + 16 * 4 + 3 * 4)
    assert multiplications("gated", 5, 8, 3, [2, 4]) == gated
    assert multiplications("gated_v1", 5, 8, 3, [2, 4]) == gated - 16 * 2 - 16 * 4
    assert multiplications("gated", 5, 8, 3, np.array([2, 4], np.uint8)) == gated
    # as published: 2 H nnz(input of the layer) in the place of 2 H nnz(own), for both versions
    published = gated - 16 * (2 + 4) + 16 * (5 + 2)
    for kind in ("gated_v1", "gated"):
        assert multiplications(kind, 5, 8, 3, [2, 4], as_published=True) == published
    for kind in ("gru", "lstm", "traditional"):
        same = [multiplications(kind, 5, 8, 3, [2, 4], as_published=p) for p in (False, True)]
        assert same[0] == same[1]
    # a GRU on dense data, 3 H 10 + (3 H^2 + 12 H + 3 H H) + (3 H^2 + 12 H + O H), over that
    gru = 240 + (192 + 96 + 192) + (192 + 96 + 24)
    assert published_ratio("gated", 5, 10, 8, 3, [2, 4]) == gru / published
    with pytest.raises(ParameterError, match="network 'rnn' is unknown"):
        multiplications("rnn", 1, 1, 1, [1])
    for none in ([], np.array([])):
        with pytest.raises(ParameterError, match="no layers; give the non-zero activations"):
            multiplications("gru", 1, 1, 1, none)


def ran(kind: str, seed: int) -> tuple[FixedPointNetwork, Run]:
    net, x = random_network(np.random.default_rng(seed), kind, steps=20)
    return net, net.run(x)


def with_spikes(activity: Activity, factor: int) -> Activity:
    """The activity with every spike of a neuron, and what it caused, that many times."""
    layers = {layer.name for layer in activity.layers}
    return replace(
        activity,
        layers=tuple(
            replace(
                layer,
                spikes=factor * layer.spikes,
                sent={p: (factor if p == "s" else 1) * n for p, n in layer.sent.items()},
            )
            for layer in activity.layers
        ),
        synapses=tuple(
            replace(
                s,
                messages_in=factor * s.messages_in,
                synops=factor * s.synops,
                synops_nonzero=factor * s.synops_nonzero,
            )
            if s.source in layers and not s.graded
            else s
            for s in activity.synapses
        ),
    )


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["lif", "gpn", "mixed"]), st.integers(0, 10_000), st.integers(0, 4))
def test_the_bill_is_a_line_in_the_spike_rate(kind: str, seed: int, factor: int) -> None:
    net, run = ran(kind, seed)
    if not run.activity.spikes:
        with pytest.raises(DataError, match="no neuron fired in this run"):
            spike_cost(run, HOROWITZ)
        return
    cost = spike_cost(run, HOROWITZ, net)
    more = estimate(with_spikes(run.activity, factor), HOROWITZ).priced_j
    assert cost.at(factor * cost.rate) == pytest.approx(more, rel=1e-9)
    assert cost.break_even(more) == pytest.approx(factor * cost.rate, abs=1e-9)
    neurons = sum(layer.n for layer in net.layers if layer.model.name in ("lif", "gpn"))
    fired = sum(
        int(run.spikes[layer.name].sum()) for layer in net.layers if layer.model.name != "readout"
    )
    assert cost.rate == pytest.approx(fired / (neurons * 20))
    assert silence(run.activity).spikes == 0


def test_a_comparison_has_each_network_in_both_circuits() -> None:
    net, run = ran("mixed", 3)
    found = compare(net, run)
    assert [(r.baseline.kind, r.sparse) for r in found.rivals] == [
        (kind, sparse) for kind in ("gru", "lstm", "mlp", "cnn") for sparse in (False, True)
    ]
    ours = estimate(run, HOROWITZ).total_j
    assert found.cost is not None
    for rival, entry in zip(found.rivals, found.to_dict()["rivals"], strict=True):
        assert rival.ratio == pytest.approx(rival.bill.priced_j / ours)
        assert rival.break_even is not None
        even = found.cost.at(rival.break_even)
        assert even == pytest.approx(rival.bill.priced_j)
        assert (entry["break_even"] is None) == (rival.verdict in ("never", "always"))


def test_a_silent_network_is_compared_without_a_break_even() -> None:
    net, x = random_network(np.random.default_rng(3), "mixed", steps=20)
    net = replace(net, layers=tuple(mute(layer) for layer in net.layers))
    found = compare(net, net.run(0 * x))
    assert found.cost is None
    assert {r.verdict for r in found.rivals} == {"unknown"}
    assert found.to_dict()["rivals"][0]["ratio"] == found.rivals[0].ratio > 0


def mute(layer: Layer) -> Layer:
    """The layer with thresholds and gates so high that it cannot fire without input."""
    params = {name: 0 * values for name, values in layer.params.items()}
    if "threshold" in params:
        params["threshold"] += 1000
    return replace(layer, params=params, start={})


def test_baselines_take_their_sizes_and_densities_from_the_run() -> None:
    net, run = ran("mixed", 3)
    spiking = [layer.n for layer in net.layers if layer.model.name != "readout"]
    gru = baselines_of(net, run)[0]
    assert [part.units for part in gru.parts] == [*spiking, net.layers[-1].n]
    (messages,) = run.activity.input_messages.values()
    signal = gru.parts[0].signals[0]
    assert signal.density == pytest.approx(messages.mean() / (net.input.n * 20))
    assert signal.binary is (net.input.bits == 1)


def test_a_network_without_hidden_neurons_needs_to_be_told() -> None:
    net, x = random_network(np.random.default_rng(5), "lif", steps=5)
    net = replace(net, outputs=tuple(replace(net.outputs[0], source=n.name) for n in net.layers))
    with pytest.raises(DataError, match="no hidden layer that spikes"):
        baselines_of(net, net.run(x))


def test_prices_decide_the_bill() -> None:
    profile = load_profile(HOROWITZ)
    twice = {
        term: replace(p, points=tuple((b, 2 * e) for b, e in p.points))
        for term, p in profile.prices.items()
    }
    once, double = (
        estimate_baseline(small("gru"), p) for p in (profile, replace(profile, prices=twice))
    )
    assert double.total_j == pytest.approx(2 * once.priced_j)
