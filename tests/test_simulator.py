"""The compiled simulator against the slow one in ``reference.py``, counts against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_networks import KINDS, random_network
from random_topologies import TOPOLOGIES, random_topology
from reference import simulate_reference

from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import with_weight
from snn2hw.neurons import MODELS


def recorded_names(net: FixedPointNetwork) -> tuple[str, ...]:
    """Every state and graded output that some layer has."""
    names = [s.name for layer in net.layers for s in layer.model.states]
    names += [o.name for layer in net.layers for o in layer.model.outputs if not o.is_spike]
    return tuple(dict.fromkeys(names))


def draw(
    rng: np.random.Generator, kind: str, *, steps: int, batch: int
) -> tuple[FixedPointNetwork, dict[str, np.ndarray]]:
    """A random network and the data of each input, (batch, steps, *shape)."""
    if kind in TOPOLOGIES:
        return random_topology(rng, kind, steps=steps, batch=batch)
    net, x = random_network(rng, kind, steps=steps, batch=batch)
    return net, {net.input.name: x}


@pytest.mark.parametrize("kind", [*KINDS, *TOPOLOGIES])
def test_every_spike_and_state_equals_the_reference(kind: str) -> None:
    rng = np.random.default_rng(11)
    wraps = clips = 0
    for number in range(40):
        net, x = draw(rng, kind, steps=30, batch=3)
        run, expected = net.run(x, record=recorded_names(net)), simulate_reference(net, x)
        for layer in net.layers:
            where = f"network {number}, layer {layer.name}"
            for name, values in expected.state[layer.name].items():
                got = run.state[layer.name][name].reshape(values.shape)
                np.testing.assert_array_equal(got, values, where)
            for output in layer.model.outputs:
                values = expected.sent[layer.name][output.name]
                spikes = output.is_spike
                got = run.spikes[layer.name] if spikes else run.state[layer.name][output.name]
                np.testing.assert_array_equal(got.reshape(values.shape), values, where)
            overflow = run.overflows[layer.name]
            assert overflow.wraps == expected.wraps[layer.name], where
            assert overflow.clips == expected.clips[layer.name], where
            wraps, clips = wraps + overflow.wraps, clips + overflow.clips
    assert clips > 0
    assert wraps > 0 or kind == "gpn"


def test_a_mutant_weight_is_seen() -> None:
    net, x = random_network(np.random.default_rng(5), "lif", steps=30, batch=3)
    group = max(net.synapses, key=lambda s: s.mantissa.size)
    mutated = group.mantissa.copy()
    mutated[np.unravel_index(np.argmax(np.abs(mutated)), mutated.shape)] ^= 1
    groups = tuple(
        replace(s, map=with_weight(s.map, mutated)) if s is group else s for s in net.synapses
    )
    mutant = replace(net, synapses=groups)
    names = recorded_names(net)
    run, expected = mutant.run(x, record=names), simulate_reference(net, x)
    assert any(
        not np.array_equal(run.state[layer.name][name], values)
        for layer in net.layers
        for name, values in expected.state[layer.name].items()
    )


@pytest.mark.parametrize("kind", [*KINDS, *TOPOLOGIES])
def test_counts_equal_brute_force(kind: str) -> None:
    rng = np.random.default_rng(23)
    for _ in range(15):
        net, x = draw(rng, kind, steps=20, batch=2)
        run, expected = net.run(x), simulate_reference(net, x)
        steps = 20
        assert run.activity.steps == steps
        sent = {(name, ""): values.reshape(2, steps, -1) for name, values in x.items()}
        for layer in net.layers:
            for name, values in expected.sent[layer.name].items():
                sent[layer.name, name] = values
        for group in run.activity.synapses:
            synapse = next(s for s in net.synapses if s.name == group.name)
            port = "" if synapse.source in x else synapse.source_port
            message = sent[synapse.source, port][:, : max(steps - synapse.delay, 0)] != 0
            per_source = np.count_nonzero(synapse.map.dense(), axis=0)
            ones = with_weight(synapse.map, np.ones_like(synapse.mantissa))
            taps = np.count_nonzero(ones.dense(), axis=0)
            np.testing.assert_array_equal(group.messages_in, message.sum(axis=(1, 2)))
            np.testing.assert_array_equal(group.synops, (message @ taps).sum(axis=1))
            np.testing.assert_array_equal(group.synops_nonzero, (message @ per_source).sum(axis=1))
        heard = {(s.source, s.source_port) for s in net.synapses}
        heard |= {(o.source, o.source_port) for o in net.outputs}
        for layer in net.layers:
            activity = run.activity.layer(layer.name)
            np.testing.assert_array_equal(activity.updates, [layer.n * steps] * 2)
            spikes, messages = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
            for output in layer.model.outputs:
                count = np.count_nonzero(sent[layer.name, output.name], axis=(1, 2))
                if output.is_spike:
                    spikes += count
                elif (layer.name, output.name) in heard:  # what nobody hears is not sent
                    messages += count
            np.testing.assert_array_equal(activity.spikes, spikes)
            np.testing.assert_array_equal(activity.messages, messages)


def test_idle_neurons_are_those_with_nothing_in_and_nothing_kept() -> None:
    net, x = random_network(np.random.default_rng(2), "lif", steps=20, batch=2)
    layers = tuple(
        replace(layer, params={**layer.params, "bias_mantissa": layer.params["decay_u"] * 0})
        for layer in net.layers
    )
    silent = replace(net, layers=layers).run(np.zeros_like(x))
    for layer in silent.activity.layers:
        np.testing.assert_array_equal(layer.idle_updates, layer.updates)


def test_samples_do_not_know_of_each_other() -> None:
    for kind in (*KINDS, *TOPOLOGIES):
        net, x = draw(np.random.default_rng(9), kind, steps=25, batch=4)
        names = recorded_names(net)
        together = net.run(x, record=names)
        for b in range(4):
            one = {name: values[b : b + 1] for name, values in x.items()}
            alone = net.run(one, record=names, threads=1)
            for layer, states in together.state.items():
                for name, values in states.items():
                    np.testing.assert_array_equal(values[b], alone.state[layer][name][0])


def test_raw_results_stand_at_the_step_of_the_chip() -> None:
    net, x = random_network(np.random.default_rng(4), "mixed", steps=15, batch=2)
    names = recorded_names(net)
    aligned, raw = net.run(x, record=names), net.run(x, record=names, aligned=False)
    extra = max(layer.offset for layer in net.layers)
    for layer in net.layers:
        for name, values in raw.state[layer.name].items():
            assert values.shape[1] == 15 + extra
            window = values[:, layer.offset : layer.offset + 15]
            np.testing.assert_array_equal(window, aligned.state[layer.name][name])


def test_every_model_takes_part_in_the_random_networks() -> None:
    rng = np.random.default_rng(0)
    seen = {
        layer.model.name
        for kind in (*KINDS, *TOPOLOGIES)
        for _ in range(20)
        for layer in draw(rng, kind, steps=1, batch=1)[0].layers
    }
    assert seen == set(MODELS)


BAD_DATA = [
    (lambda x: x[..., :-1], r"data have shape .*; the network takes \(batch, time, "),
    (lambda x: x[0], "data have shape"),
    (lambda x: x[:0], "no sample or no time step"),
    (lambda x: -1 - x, "spike counts cannot be negative"),
    (lambda x: x + 0.5, r"data hold fractions.*net\.encode"),
    (lambda x: x * np.nan, "data hold NaN or infinity"),
    (lambda x: x + 1000, "out of range"),
    (lambda x: x.astype(str), "dtype"),
]


@pytest.mark.parametrize(("damage", "message"), BAD_DATA)
def test_bad_data_are_refused(damage, message: str) -> None:
    rng = np.random.default_rng(0)
    net, x = random_network(rng, "lif", steps=5, batch=2)
    while net.input.signed or net.input.n < 2:
        net, x = random_network(rng, "lif", steps=5, batch=2)
    with pytest.raises(DataError, match=message):
        net.run(damage(x))


def test_recording_an_unknown_state_is_refused() -> None:
    net, x = random_network(np.random.default_rng(0), "lif", steps=5)
    with pytest.raises(DataError, match=r"no layer has a state 'w' to record; there are"):
        net.run(x, record=("w",))
