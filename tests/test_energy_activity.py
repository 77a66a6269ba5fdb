"""Every count of an activity, recounted one by one from the reference simulator's spike trains."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import KINDS, random_network
from random_topologies import TOPOLOGIES, random_topology
from reference import Reference, arriving, simulate_reference

from snn2hw.energy import fingerprint, memory_traffic, read_activity, write_activity
from snn2hw.errors import DataError, FileFormatError
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, with_weight
from snn2hw.neurons import MODELS
from snn2hw.simulator.activity import Activity, LayerActivity, SynapseActivity

Net = tuple[FixedPointNetwork, dict[str, np.ndarray]]
BATCH, STEPS = 2, 9


def network(kind: str, seed: int) -> Net:
    rng = np.random.default_rng(seed)
    if kind in TOPOLOGIES:
        return random_topology(rng, kind, steps=STEPS, batch=BATCH)
    net, x = random_network(rng, kind, steps=STEPS, batch=BATCH)
    return net, {"in": x}


def sent_by(net: FixedPointNetwork, x: dict[str, np.ndarray], ran: Reference, s: Synapse) -> Any:
    """Messages that leave the group's source, (batch, time, n)."""
    if s.source in x:
        return x[s.source].reshape(BATCH, STEPS, -1).astype(np.int64)
    return ran.sent[s.source][s.source_port]


def by_hand(s: Synapse, sent: np.ndarray) -> np.ndarray:
    """Messages, weights met and weights met that are not zero, (batch, time, 3), one by one."""
    ones = with_weight(s.map, np.ones(s.mantissa.shape, dtype=np.int64))
    taps, weights = ones.dense(), s.map.dense()
    counted = np.zeros((BATCH, STEPS, 3), dtype=np.int64)
    for b, t in product(range(BATCH), range(s.delay, STEPS)):
        for source in np.flatnonzero(sent[b, t - s.delay]):
            counted[b, t] += (
                1,
                sum(int(tap) for tap in taps[:, source]),
                sum(int(w != 0) for w in weights[:, source]),
            )
    return counted


def idle_by_hand(
    net: FixedPointNetwork, x: dict[str, np.ndarray], ran: Reference, layer: Layer
) -> np.ndarray:
    """Neurons whose states before the step and whose input sums are all zero, (batch, time)."""
    sums = {port: np.zeros((BATCH, STEPS, layer.n), np.int64) for port in layer.model.inputs}
    for s in net.into(layer.name):
        sent = sent_by(net, x, ran, s)
        for t in range(s.delay, STEPS):
            total = arriving(s, sent[:, t - s.delay])
            for k, port in enumerate(s.target_ports):
                sums[port][:, t] += total[:, k * layer.n : (k + 1) * layer.n]
    zero = np.ones((BATCH, STEPS, layer.n), dtype=bool)
    for values in sums.values():
        zero &= values == 0
    for state, after in ran.state[layer.name].items():
        first = np.zeros((BATCH, 1, layer.n), np.int64) + layer.start.get(state, 0)
        zero &= np.concatenate([first, after[:, :-1]], axis=1) == 0
    return zero.sum(axis=2)


@given(kind=st.sampled_from((*KINDS, *TOPOLOGIES)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_every_count_equals_a_recount_from_the_spike_trains(kind: str, seed: int) -> None:
    net, x = network(kind, seed)
    ran = simulate_reference(net, x)
    found = net.run(x, threads=1, per_step=True).activity
    steps = found.by_step
    assert steps is not None
    for node in net.inputs:
        entered = (x[node.name] != 0).reshape(BATCH, STEPS, -1).sum(axis=2)
        np.testing.assert_array_equal(steps.input_messages[node.name], entered)
        assert found.input_bits[node.name] == node.bits
    for group in net.synapses:
        counts = by_hand(group, sent_by(net, x, ran, group))
        one = next(s for s in steps.synapses if s.name == group.name)
        np.testing.assert_array_equal(one.messages_in, counts[..., 0])
        np.testing.assert_array_equal(one.synops, counts[..., 1])
        np.testing.assert_array_equal(one.synops_nonzero, counts[..., 2])
        np.testing.assert_array_equal(one.macs + one.acs, counts[..., 1])
        assert one.kind == group.map.kind
        assert not one.macs.any() if ran_spikes(net, group) else not one.acs.any()
    heard = {(s.source, s.source_port) for s in net.synapses}
    heard |= {(o.source, o.source_port) for o in net.outputs}
    for layer in net.layers:
        one_layer = steps.layer(layer.name)
        np.testing.assert_array_equal(one_layer.idle_updates, idle_by_hand(net, x, ran, layer))
        np.testing.assert_array_equal(
            one_layer.active_updates, layer.n - idle_by_hand(net, x, ran, layer)
        )
        bits, messages = np.zeros((2, BATCH, STEPS), dtype=np.int64)
        for output in layer.model.outputs:
            count = (ran.sent[layer.name][output.name] != 0).sum(axis=2)
            if output.is_spike:
                np.testing.assert_array_equal(one_layer.spikes, count)
            if output.is_spike or (layer.name, output.name) in heard:
                np.testing.assert_array_equal(one_layer.sent[output.name], count)
                width = output.bits
                if "limit" in layer.params:
                    # What never exceeds it needs no more digits, and a sign.
                    width = 1 + len(f"{max(1, layer.params['limit'].max()):b}")
                bits += 0 if output.is_spike else count * width
                messages += 0 if output.is_spike else count
        np.testing.assert_array_equal(one_layer.payload_bits, bits)
        np.testing.assert_array_equal(one_layer.messages, messages)
    for name, total in counts_of(found).items():
        np.testing.assert_array_equal(total, counts_of(steps)[name].sum(axis=1))


def ran_spikes(net: FixedPointNetwork, group: Synapse) -> bool:
    if any(node.name == group.source for node in net.inputs):
        return next(n for n in net.inputs if n.name == group.source).bits == 1
    return net.layer(group.source).model.output(group.source_port).is_spike


def counts_of(activity: Activity) -> dict[str, np.ndarray]:
    """Every array of counts in an activity, by a name of its own."""
    found: dict[str, np.ndarray] = {}
    parts: tuple[LayerActivity | SynapseActivity, ...] = (*activity.layers, *activity.synapses)
    for part in parts:
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, np.ndarray):
                found[f"{part.name}.{field.name}"] = value
    return found | {f"in {k}": v for k, v in activity.input_messages.items()}


@given(kind=st.sampled_from((*KINDS, *TOPOLOGIES)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_memory_traffic_word_by_word(kind: str, seed: int) -> None:
    """A circuit that moves one word at a time, with a tally for each of its memories."""
    net, x = network(kind, seed)
    ran = simulate_reference(net, x)
    activity = net.run(x, threads=1).activity
    models = {layer.name: layer.model for layer in net.layers}
    reads: dict[tuple[str, str], np.ndarray] = {}
    writes: dict[tuple[str, str], np.ndarray] = {}
    needed = {
        s.name: next(
            b for b in range(2, 9) if np.all(s.mantissa.astype(int) + (1 << b - 1) >> b == 0)
        )
        for s in net.synapses
    }
    for t in memory_traffic(activity, models):
        key = (t.layer, t.kind)
        reads[key] = reads.get(key, 0) + t.reads
        writes[key] = writes.get(key, 0) + t.writes
        assert t.word_bits == (needed[t.group] if t.kind == "weights" else 32)
        assert t.capacity_bytes >= 0
    for layer in net.layers:
        tally: dict[str, Any] = {"w": 0, "q": 0}
        for group in net.into(layer.name):
            counts = by_hand(group, sent_by(net, x, ran, group)).sum(axis=1)
            tally["q"] = tally["q"] + counts[:, 0]
            tally["w"] = tally["w"] + counts[:, 1]
        updates = layer.n * STEPS
        ports, states = len(layer.model.inputs), len(layer.model.states)
        expected = {
            "weights": (tally["w"], 0),
            "accumulators": (tally["w"] + updates * ports, tally["w"] + updates * ports),
            "states": (updates * states, updates * states),
            "parameters": (updates * len(layer.model.params), 0),
        }
        for kind_of, (read, written) in expected.items():
            assert np.all(reads.get((layer.name, kind_of), 0) == read), kind_of
            assert np.all(writes.get((layer.name, kind_of), 0) == written), kind_of
        one = activity.layer(layer.name)
        assert np.all(writes[layer.name, "queue"] == one.spikes + one.messages)
        assert np.all(reads[layer.name, "queue"] == tally["q"])


def one_group(link: LinearMap, delay: int = 0) -> FixedPointNetwork:
    """An input and a readout with one group of synapses between them."""
    source = InputFormat("in", (link.n_in,), 1, False, 1.0)
    params = {"bias": np.zeros(link.n_out, dtype=np.int32)}
    layer = Layer("out", MODELS["readout"], (link.n_out,), params, {})
    group = Synapse("group", "in", "", "out", ("a",), link, 0, delay, delay + 1)
    outputs = (OutputNode("y", "out", "y"),)
    return FixedPointNetwork("loihi2", 1e-3, "euler", (source,), (layer,), (group,), outputs)


def test_bursts_begin_with_a_new_access() -> None:
    """A column of 10 weights of 8 bits is 2 accesses of 64; 10 accumulators are 5 and 5."""
    net = one_group(Dense(np.full((10, 3), 127, dtype=np.int8)))
    activity = net.run(np.ones((1, 4, 3), dtype=np.int32), threads=1).activity
    traffic = memory_traffic(activity, {"out": MODELS["readout"]})
    weights, accumulators, queue = (t for t in traffic if t.group == "group")
    assert weights.accesses == pytest.approx(12 * 2)
    assert accumulators.accesses == pytest.approx(12 * (5 + 5))
    assert queue.accesses == pytest.approx(12)
    assert (weights.capacity_bytes, accumulators.capacity_bytes) == (30, 40)


def test_reach_of_a_convolution() -> None:
    """6 output channels in 2 groups, kernel 3 x 5, strides 2 and 3: 3 * ceil(3/2) * ceil(5/3)."""
    weight = np.ones((6, 2, 3, 5), dtype=np.int8)
    link = Convolution(weight, (4, 20, 30), (2, 3), groups=2)
    run = one_group(link).run(np.zeros((1, 1, link.n_in), dtype=np.int32), threads=1)
    (group,) = run.activity.synapses
    assert (group.fan_out, group.kernel) == (3 * 2 * 2, 3 * 3 * 5)
    assert link.fan_out().max() == group.fan_out


def test_files_keep_every_count(tmp_path: Path) -> None:
    net, x = network("mixed", 5)
    made = net.run(x, threads=1, per_step=True).activity
    path = tmp_path / "activity.json"
    write_activity(path, made, net)
    found = read_activity(path, net)
    assert [p.name for p in tmp_path.iterdir()] == ["activity.json"]
    assert (found.samples, found.steps, found.input_bits) == (BATCH, STEPS, made.input_bits)
    assert found.by_step is not None
    assert made.by_step is not None
    for one, other in ((found, made), (found.by_step, made.by_step)):
        assert counts_of(one).keys() == counts_of(other).keys()
        for name, counts in counts_of(other).items():
            np.testing.assert_array_equal(counts_of(one)[name], counts)
        for a, b in zip(one.layers, other.layers, strict=True):
            assert (a.name, a.model, a.neurons, a.port_bits) == (
                b.name, b.model, b.neurons, b.port_bits,
            )  # fmt: skip
            assert {p: n.tolist() for p, n in a.sent.items()} == {
                p: n.tolist() for p, n in b.sent.items()
            }
        for c, d in zip(one.synapses, other.synapses, strict=True):
            assert (c.kind, c.fan_out, c.source_port) == (d.kind, d.fan_out, d.source_port)


def test_a_file_of_another_network(tmp_path: Path) -> None:
    net, x = network("lif", 5)
    path = tmp_path / "activity.json"
    write_activity(path, net.run(x, threads=1).activity, net)
    group = net.synapses[0]
    changed = group.mantissa.copy()
    changed.flat[0] ^= 2
    groups = [
        replace(group, map=with_weight(group.map, changed)),
        replace(group, exponent=group.exponent + 1),
        replace(group, delay=group.delay + 1),
    ]
    mutants = [replace(net, synapses=(each, *net.synapses[1:])) for each in groups]
    layer = net.layers[0]
    params = dict(layer.params) | {"threshold": layer.params["threshold"] + 1}
    mutants.append(replace(net, layers=(replace(layer, params=params), *net.layers[1:])))
    for mutant in mutants:
        with pytest.raises(
            DataError, match=r"the activity is of another network; name the network"
        ):
            read_activity(path, mutant)
    assert fingerprint(replace(net, notes=("other words",))) == fingerprint(net)
    other, _ = network("gpn", 1)
    with pytest.raises(DataError, match=r"of another network: layer .* pass the network that ran"):
        write_activity(path, net.run(x, threads=1).activity, other)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("{", FileFormatError, "not JSON"),
        ("[]", FileFormatError, "holds no activity; make it with --save-activity"),
        ({"format": "other"}, FileFormatError, "holds no activity"),
        ({"version": 2}, FileFormatError, "activity of version 2; this release reads 1"),
        ({"network": "0"}, DataError, "of another network"),
        ({"activity": {}}, FileFormatError, r"incomplete \(KeyError"),
        ("negative", FileFormatError, "below zero"),
        ("short", FileFormatError, r"counts of shape \(1,\)"),
    ],
)
def test_bad_files(tmp_path: Path, change: Any, error: type[Exception], message: str) -> None:
    net, x = network("lif", 5)
    path = tmp_path / "activity.json"
    write_activity(path, net.run(x, threads=1).activity, net)
    data = json.loads(path.read_text())
    if change == "negative":
        data["activity"]["layers"][0]["spikes"][0] = -1
    elif change == "short":
        data["activity"]["layers"][0]["spikes"].pop()
    elif isinstance(change, dict):
        data |= change
    text = change if change in ("{", "[]") else json.dumps(data)
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        read_activity(path, net)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    net, _ = network("lif", 5)
    with pytest.raises(DataError, match=r"cannot read activity .*none\.json"):
        read_activity(tmp_path / "none.json", net)
