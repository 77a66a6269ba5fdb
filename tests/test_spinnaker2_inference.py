"""Processing elements against the simulator, value for value, and faults that must be found."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import conformance
import netx_data
import numpy as np
import pytest
from conformance_case import Case
from random_networks import KINDS, random_network

import snn2hw
from snn2hw.cli import main
from snn2hw.data import arabic_speech_commands
from snn2hw.errors import BackendError, DataError, GraphError, ParameterError, TargetError
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense, with_weight
from snn2hw.neurons import MODELS
from snn2hw.nn import load_checkpoint
from snn2hw.passes.balance import balance
from snn2hw.simulator import Run, simulate
from snn2hw.targets.spinnaker2.inference import PeRun, run_machine, run_on_pes
from snn2hw.targets.spinnaker2.placement import Part
from snn2hw.targets.spinnaker2.programs import Machine, load
from snn2hw.targets.verify import Check, compare, recorded_names, verify

PES = (1, 2, 7, 12, 152)
REFUSED = {row for row, executor in conformance.EXCLUDED if executor == "integer"}


@dataclass(frozen=True)
class Placed:
    """A placement of one's own: what ``run_on_pes`` needs of one."""

    pes: int
    parts: Sequence[Part]


def assert_equal(net: FixedPointNetwork, run: Run, found: PeRun) -> None:
    """Every spike, state, message and overflow, and the synaptic events in all."""
    for layer in net.layers:
        for name, values in run.state.get(layer.name, {}).items():
            where = f"{name} of {layer.name}"
            np.testing.assert_array_equal(found.state[layer.name][name], values, where)
        if layer.name in run.spikes:
            np.testing.assert_array_equal(found.spikes[layer.name], run.spikes[layer.name])
        assert found.overflows[layer.name] == run.overflows[layer.name]
    for name, values in run.outputs.items():
        np.testing.assert_array_equal(found.outputs[name], values, name)
    np.testing.assert_array_equal(found.predictions, run.predictions)
    assert found.pes.synaptic_events.sum() == run.activity.synops
    assert found.pes.dropped.sum() == 0
    assert found.pes.wraps.sum() == sum(o.wraps for o in run.overflows.values())
    assert found.pes.clips.sum() == sum(o.clips for o in run.overflows.values())


@pytest.mark.parametrize("case", [c for c in conformance.CASES if c.row not in REFUSED], ids=str)
def test_conformance_whatever_the_number_of_elements(case: Case) -> None:
    net = conformance.network(case)
    x = net.encode(case.input())
    record = recorded_names(net)
    run = net.run(x, record, threads=1)
    for pes in PES:
        placement = snn2hw.place(net, pes=pes)
        found = run_on_pes(net, x, placement, record, threads=1)
        assert_equal(net, run, found)
        assert found.pes.sent.shape == (len(run.predictions), pes)
        assert found.pes.sent.sum(axis=1).max() <= placement.packets * run.activity.steps


def test_nothing_but_the_output_is_recorded_unless_asked_for() -> None:
    """The first layer sends values, which leave no record by themselves."""
    case = conformance.CASE_OF["SparseGated: two layers behind an encoder, and a readout"]
    net = conformance.network(case)
    x = {name: values[:, :9] for name, values in net.encode(case.input()).items()}
    found = run_on_pes(net, x, snn2hw.place(net, pes=3), threads=1)
    np.testing.assert_array_equal(found.output, net.run(x).output)
    assert found.state == {}
    # Nine steps, and one on the way to each layer: the encoder, two behind it, the readout.
    assert found.ticks == 9 + 4


def dealt(rng: np.random.Generator, net: FixedPointNetwork, pes: int) -> Placed:
    """Neurons in random parts on random elements, several parts of a layer on one too."""
    parts = []
    for layer in net.layers:
        inner = np.flatnonzero(rng.random(layer.n - 1) < rng.choice([0.1, 0.5, 1.0])) + 1
        cuts = [0, *(int(k) for k in inner), layer.n]
        for first, last in itertools.pairwise(cuts):
            parts.append(Part(layer.name, int(rng.integers(pes)), first, last))
    return Placed(pes, [parts[k] for k in rng.permutation(len(parts))])


def test_random_networks_at_their_limits_on_parts_dealt_at_random() -> None:
    rng = np.random.default_rng(20261122)
    seen = {"wraps": 0, "clips": 0, "delayed": 0, "shifted right": 0}
    for k in range(60):
        net, x = random_network(rng, KINDS[k % 3], steps=30, batch=2)
        record = recorded_names(net)
        run = simulate(net, x, record)
        assert_equal(net, run, run_on_pes(net, x, dealt(rng, net, 1 + k % 9), record))
        seen["wraps"] += any(o.wraps for o in run.overflows.values())
        seen["clips"] += any(o.clips for o in run.overflows.values())
        seen["delayed"] += any(s.chip_delay > 2 for s in net.synapses)
        seen["shifted right"] += any(s.exponent < 0 for s in net.synapses)
    assert min(seen.values()) >= 10, seen


def chain(weights: Sequence[np.ndarray], threshold: int = 100) -> FixedPointNetwork:
    """Spikes through layers of LIF neurons that forget at once: v is 64 times the sum."""
    source = InputFormat("in", (weights[0].shape[1],), 1, False, 1.0)
    layers, synapses, before = [], [], "in"
    for k, weight in enumerate(weights):
        n = len(weight)
        params = {p.name: np.zeros(n, np.int32) for p in MODELS["lif"].params}
        params |= {"decay_u": np.full(n, 4096, np.int32), "decay_v": np.full(n, 4095, np.int32)}
        params["threshold"] = np.full(n, threshold, np.int32)
        layers.append(Layer(f"lif{k}", MODELS["lif"], (n,), params, {}))
        ends = (f"s{k}", before, "s" if k else "", f"lif{k}", ("a",))
        synapses.append(Synapse(*ends, Dense(weight.astype(np.int8)), 0, 0))
        before = f"lif{k}"
    net = FixedPointNetwork(
        *("loihi2", 1e-3, "euler", (source,), tuple(layers), tuple(synapses)),
        (OutputNode("out", before, "s"),),
    )
    return balance(net)


def test_packets_and_events_counted_by_hand() -> None:
    """Two inputs, four neurons on elements 0 and 1, one on element 2; element 3 is empty."""
    strong = np.array([[127, 0], [127, 127], [1, 127], [1, 1]])
    net = chain([strong, np.full((1, 4), 60)])
    parts = [Part("lif0", 0, 0, 2), Part("lif0", 1, 2, 4), Part("lif1", 2, 0, 1)]
    x = np.array([[[1, 0], [0, 0], [1, 1], [0, 0], [0, 0]]])
    run = run_on_pes(net, x, Placed(4, parts))
    # After input 0: neurons 0 and 1 fire. After both: 0, 1 and 2.
    spikes = [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(run.spikes["lif0"][0], spikes)
    # Two packets of 60 exceed 100, and so do three.
    np.testing.assert_array_equal(run.output[0, :, 0], [1, 0, 1, 0, 0])
    np.testing.assert_array_equal(run.spikes["lif1"][0, :, 0], [1, 0, 1, 0, 0])
    np.testing.assert_array_equal(run.pes.sent[0], [4, 1, 2, 0])
    np.testing.assert_array_equal(run.pes.received[0], [3, 3, 5, 0])
    np.testing.assert_array_equal(run.pes.fifo_high_water[0], [2, 2, 3, 0])
    np.testing.assert_array_equal(run.pes.synaptic_events[0], [6, 6, 5, 0])
    # The input takes a tick to the first layer, and that one to the second.
    assert run.ticks == 5 + 2


def busy() -> tuple[FixedPointNetwork, np.ndarray, Run, list[Part]]:
    """Two layers whose every weight counts, on three elements; data at every step."""
    rng = np.random.default_rng(3)
    net = chain([rng.integers(20, 60, (20, 10)), rng.integers(20, 60, (6, 20))], threshold=150)
    x = (rng.random((2, 12, 10)) < 0.4).astype(np.int8)
    parts = [Part("lif0", 0, 0, 9), Part("lif0", 1, 9, 20), Part("lif1", 2, 0, 6)]
    return net, x, simulate(net, x, recorded_names(net)), parts


def checked(
    net: FixedPointNetwork, x: np.ndarray, run: Run, machine: Machine, lose: int = -1
) -> Check:
    return compare(net, run, run_machine(net, machine, x, lose=lose)[0])


def test_any_lost_packet_is_found() -> None:
    net, x, run, parts = busy()
    machine = load(net, parts, 3, recorded_names(net))
    assert checked(net, x, run, machine).ok
    received = run_machine(net, machine, x)[1][:, :, 1].sum(axis=1).min()
    # What is sent in the last tick is not read any more.
    for lose in range(int(received * 0.9)):
        check = checked(net, x, run, machine, lose)
        assert check.mismatches > 0, lose
    assert check.first_mismatch is not None


def test_any_weight_changed_in_one_element_is_found() -> None:
    net, x, run, parts = busy()
    machine = load(net, parts, 3, recorded_names(net))
    assert machine.weights.size == 20 * 10 + 6 * 20
    for k in range(machine.weights.size):
        weights = machine.weights.copy()
        weights[k] ^= 1
        assert checked(net, x, run, replace(machine, weights=weights)).mismatches > 0, k


@pytest.mark.parametrize(("end", "begin"), [(8, 9), (10, 9), (9, 8), (9, 10)])
def test_a_boundary_off_by_one_is_found(end: int, begin: int) -> None:
    """A neuron on two elements, or on none."""
    net, x, run, parts = busy()
    wrong = [Part("lif0", 0, 0, end), Part("lif0", 1, begin, 20), parts[2]]
    check = checked(net, x, run, load(net, wrong, 3, recorded_names(net)))
    assert check.mismatches > 0
    with pytest.raises(TargetError, match=r"'lif0': neuron \d+ is not held exactly once"):
        run_on_pes(net, x, Placed(3, wrong))


def test_rows_of_the_next_neuron_are_found() -> None:
    """The same boundary, but weights cut one neuron further than states."""
    net, x, run, parts = busy()
    rolled = with_weight(net.synapses[0].map, np.roll(net.synapses[0].mantissa, -1, axis=0))
    other = replace(net, synapses=(replace(net.synapses[0], map=rolled), net.synapses[1]))
    assert not checked(net, x, run, load(other, parts, 3, recorded_names(net))).ok


def test_elements_hold_the_bytes_that_the_placement_counts() -> None:
    """Of weights and states, of networks with matrices."""
    rng = np.random.default_rng(11)
    for kind in KINDS:
        net, _ = random_network(rng, kind)
        placement = snn2hw.place(net, pes=5)
        machine = load(net, placement.parts, 5)
        for pe in range(5):
            row, held = machine.elements[pe], placement.bytes_of(pe)
            assert row[3] - row[2] == held.get("weights", 0)
            assert 4 * (row[7] - row[6]) == held.get("states", 0)


@pytest.mark.parametrize("neuron", ["lif", "gpn"])
def test_trained_networks_on_recorded_speech(neuron: str) -> None:
    """The checkpoints of the digits example, two layers of 128 neurons, real-valued input."""
    try:
        test = arabic_speech_commands.load_digits("test")
    except DataError as error:
        pytest.skip(str(error))
    folder = Path(__file__).parent.parent / "examples" / "checkpoints"
    model = load_checkpoint(folder / f"speech_commands_{neuron}.pt")
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=test.x[::8])
    x = net.encode(test.x[::25])
    record = recorded_names(net)
    run = net.run(x, record)
    assert 0.01 < np.mean([spikes.mean() for spikes in run.spikes.values()]) < 0.6
    for pes in PES:
        assert_equal(net, run, run_on_pes(net, x, snn2hw.place(net, pes=pes), record))


def test_pilotnet_on_the_fewest_elements_and_on_all() -> None:
    """118,909 neurons behind convolutions, lava-dl's own network on its recorded input."""
    try:
        recorded = netx_data.pilotnet()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    net, x = recorded.network(), recorded.x[:, :12]
    run = net.run(x, ("v",))
    for pes in (None, 152):
        placement = snn2hw.place(net, pes=pes)
        assert placement.pes == (pes or 22)
        assert_equal(net, run, run_on_pes(net, x, placement, ("v",)))


def test_threads_and_samples_do_not_touch_each_other() -> None:
    net, x = random_network(np.random.default_rng(8), "mixed", steps=20, batch=6)
    placement = snn2hw.place(net, pes=3)
    record = recorded_names(net)
    whole = run_on_pes(net, x, placement, record, threads=2)
    for k in (0, 5):
        alone = run_on_pes(net, x[k : k + 1], placement, record, threads=1)
        np.testing.assert_array_equal(whole.output[k], alone.output[0])
        np.testing.assert_array_equal(whole.pes.sent[k], alone.pes.sent[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"parts": [Part("x", 0, 0, 1)]}, TargetError, "a layer 'x' that the network lacks"),
        ({"pes": 2}, TargetError, "'lif1': a part is on PE 2 of 2; place it anew"),
        (
            {"parts": [Part("lif0", 0, 0, 20)]},
            TargetError,
            "'lif1': the placement ends at neuron 0",
        ),
        ({"gates": "tables"}, ParameterError, "gates are 'tables'; give one of table, exp_unit"),
        ({"threads": 0}, ParameterError, "threads is 0; give at least 1"),
        ({"record": ("w",)}, DataError, "no layer has a state 'w' to record; there are u, v"),
        ({"x": np.zeros((1, 3, 9))}, DataError, r"data have shape \(1, 3, 9\)"),
        ({"x": np.full((1, 3, 10), np.nan)}, DataError, "data hold NaN"),
    ],
)
def test_what_does_not_go_together_is_refused(change, error, message: str) -> None:
    net, x, _, parts = busy()
    given = {"x": x, "pes": 3, "parts": parts, "record": ()} | change
    placed = Placed(given.pop("pes"), given.pop("parts"))
    with pytest.raises(error, match=message):
        run_on_pes(net, given.pop("x"), placed, **given)


def test_a_network_that_is_not_balanced_is_refused() -> None:
    net, x, _, parts = busy()
    late = replace(net, layers=tuple(replace(layer, offset=1) for layer in net.layers))
    with pytest.raises(GraphError, match=r"synapses 's1': chip delay 1 does not fit"):
        run_on_pes(late, x, Placed(3, parts))


def test_verify_takes_elements_for_this_backend_only() -> None:
    net, x, _, _ = busy()
    check = verify(net, x, backend="spinnaker2", pes=4)
    assert (check.ok, check.backend) == (True, "SpiNNaker2, 4 processing elements")
    assert check.compared == 2 * 12 * 26 * 3
    assert verify(net, x, backend="spinnaker2").backend == "SpiNNaker2, 1 processing element"
    with pytest.raises(BackendError, match="'lava' has no processing elements"):
        verify(net, x, pes=4)
    with pytest.raises(BackendError, match="there is lava, spinnaker2"):
        verify(net, x, backend="loihi")
    with pytest.raises(TargetError, match="0 PEs hold nothing"):
        verify(net, x, backend="spinnaker2", pes=0)


def test_command_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    net, x, _, _ = busy()
    net.save("net.h5")
    np.save("x.npy", x)
    command = ["verify", "net.h5", "--data", "x.npy", "--backend", "spinnaker2"]
    assert main([*command, "--pes", "7", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "ok": True,
        "backend": "SpiNNaker2, 7 processing elements",
        "compared": 2 * 12 * 26 * 3,
        "mismatches": 0,
        "first_mismatch": None,
    }
    assert main([*command, "--pes", "0"]) == 2
    assert "0 PEs hold nothing" in capsys.readouterr().err
    assert main(["verify", "net.h5", "--data", "x.npy", "--pes", "2"]) == 2
    assert "leave pes out" in capsys.readouterr().err
