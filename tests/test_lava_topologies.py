"""The simulator against Intel's Lava: convolutions, sparse maps, every model, several inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from random_topologies import TOPOLOGIES, random_topology

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne, with_weight
from snn2hw.neurons import MODELS
from snn2hw.passes.balance import MAX_DELAY, balance
from snn2hw.simulator import simulate
from snn2hw.targets.lava.plan import build_block, prepare
from snn2hw.targets.lava.runner import run_networks
from snn2hw.targets.verify import compare, recorded_names, verify_many

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava")]

NETWORKS, STEPS = 40, 50


def test_random_topologies_agree_in_every_spike_message_and_state() -> None:
    rng = np.random.default_rng(20261125)
    items = [random_topology(rng, TOPOLOGIES[k % 2], steps=STEPS) for k in range(NETWORKS)]
    checks = verify_many(items)
    assert [str(c.first_mismatch) for c in checks if not c.ok] == []

    seen: Counter[str] = Counter()
    for (net, x), check in zip(items, checks, strict=True):
        values = [len(n.model.states) + len(n.model.outputs) for n in net.layers]
        every = sum(v * n.n for v, n in zip(values, net.layers, strict=True))
        assert check.compared == every * STEPS
        job = build_block("b", [prepare(net, x)]).job
        for s in job["synapses"]:
            seen[f"{s['kind']}{' delayed' if s['chip_delay'] > 1 else ''}"] += 1
            seen[f"{s['kind']} rounded"] += s["exponent"] < 0
        seen.update(layer["process"] for layer in job["layers"])
        seen["states to start with"] += any(layer.start for layer in net.layers)
        seen["several inputs"] += len(net.inputs) > 1
        seen["several outputs"] += len(net.outputs) > 1
        run = simulate(net, x)
        for layer in net.layers:
            if layer.name in run.spikes:
                seen[f"{layer.model.name} fires"] += 0 < run.spikes[layer.name].mean() < 1
            seen[f"{layer.model.name} clips"] += run.overflows[layer.name].clips > 0
    kinds = ("dense", "sparse", "conv")
    processes = [f"{kind}{what}" for kind in kinds for what in ("", " delayed", " rounded")]
    fires = [f"{model} fires" for model in ("lif", "lif_reset", "alif", "threshold")]
    clips = [f"{model} clips" for model in ("lif_reset", "alif", "integrator", "relay")]
    others = ["graded", "several inputs", "several outputs", "states to start with"]
    wanted = [*processes, *fires, *clips, *others]
    assert min(seen[name] for name in wanted) >= 5, seen


def layer(name: str, model: str, n: int, **params: int) -> Layer:
    """Parameters are zero unless given."""
    given = {p.name: np.full(n, params.get(p.name, 0)) for p in MODELS[model].params}
    return Layer(name, MODELS[model], (n,), given, {})


def chain(links: list[LinearMap], delays: list[int], bits: int, exponent: int) -> FixedPointNetwork:
    """Maps one after the other into readouts without bias; relays, which shift by 4, between."""
    source = InputFormat("in", (links[0].n_in,), bits, True, 1.0)
    layers, synapses, before = [], [], ("in", "")
    for k, (link, delay) in enumerate(zip(links, delays, strict=True)):
        model = "readout" if link is links[-1] else "relay"
        layers.append(layer(f"l{k}", model, link.n_out, message_shift=4))
        synapses.append(Synapse(f"s{k}", *before, f"l{k}", ("a",), link, exponent, delay))
        before = (f"l{k}", "m")
    output = (OutputNode("out", layers[-1].name, "y"),)
    net = FixedPointNetwork(
        "loihi2", 1e-3, "euler", (source,), tuple(layers), tuple(synapses), output
    )
    return balance(net)


def test_limits_of_intels_processes() -> None:
    """Delays of 63 steps, more groups than 8 bits count, sums beyond 24 bits, what stands alone."""
    rng = np.random.default_rng(3)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-128, 128, shape).astype(np.int8)

    square = Convolution(weights(2, 2, 2, 2), (2, 3, 4), padding=((0, 1), (0, 1)))
    many = Convolution(weights(130, 1, 1, 2), (130, 1, 3), groups=130)
    heavy = Convolution(np.full((1, 2, 1, 2), 127, dtype=np.int8), (2, 1, 3))
    nets = [
        chain([square, OneToOne(weights(24)), Dense(weights(2, 24))], [63, 63, 62], 4, -3),
        chain([many], [0], 8, 1),
        chain([heavy], [0], 12, 4),
    ]
    alone = layer("alone", "lif", 3, decay_u=4096, decay_v=100, bias_mantissa=900, threshold=60)
    nets.append(replace(nets[1], layers=(*nets[1].layers, alone)))
    kinds = []
    items = []
    for net in nets:
        node = net.input
        items.append((net, rng.integers(node.low, node.high + 1, (2, 40, node.n))))
        kinds.append([s["kind"] for s in build_block("b", [prepare(*items[-1])]).job["synapses"]])
    items[0] = (nets[0], np.concatenate([items[0][1]] * 5, axis=1))
    assert kinds == [["conv", "sparse", "dense"], ["conv"], ["sparse"], ["conv", "sparse"]]
    assert max(s.chip_delay for s in nets[0].synapses) == MAX_DELAY == 63
    checks = verify_many(items)
    assert [str(c.first_mismatch) for c in checks if not c.ok] == []
    # Where Lava's Conv would have wrapped, and where the last of the delays arrives.
    assert np.abs(simulate(*items[2]).output).max() > 2**23 - 2
    arrived = np.any(simulate(*items[0]).output, axis=(0, 2))
    assert not arrived[:188].any()
    assert arrived[188:].any()
    assert 0 < simulate(*items[3]).spikes["alone"].mean() < 1


def test_one_changed_tap_is_noticed_where_it_arrives() -> None:
    rng = np.random.default_rng(8)
    items = [random_topology(rng, "convolution", steps=30) for _ in range(6)]
    records = run_networks(items).records
    noticed = 0
    for (net, x), record in zip(items, records, strict=True):
        for k, s in enumerate(net.synapses):
            if not isinstance(s.map, Convolution):
                continue
            at = np.unravel_index(np.argmax(np.abs(s.mantissa.astype(int))), s.mantissa.shape)
            weight = s.mantissa.copy()
            weight[at] = -(weight[at] // 2)
            changed = list(net.synapses)
            changed[k] = replace(s, map=with_weight(s.map, weight))
            mutant = replace(net, synapses=tuple(changed))
            run = simulate(mutant, x, record=recorded_names(mutant))
            check = compare(mutant, run, record)
            assert compare(net, simulate(net, x, record=recorded_names(net)), record).ok
            noticed += not check.ok
            assert check.ok or check.first_mismatch.layer == s.target
    # Some hide: a message shifted by 23 bits says little of the sum that it was.
    assert noticed >= 6
