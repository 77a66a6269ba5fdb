"""Networks on SpiNNaker2: bytes, packets and cycles by hand, and the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conformance import CASES, EXCLUDED, network

import snn2hw
from snn2hw.cli import main
from snn2hw.errors import DataError, TargetError
from snn2hw.graph import INPUT_PORT, FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap, OneToOne
from snn2hw.neurons import MODELS
from snn2hw.passes import balance
from snn2hw.targets.spinnaker2.placement import MEASURED, WORST, Placement

STACK, FIFO_MOST = 4_096, 2_048
LIF_UPDATE = 23 + 2 * (2 * 2 + 2 * 1 + 5)
"""Cycles of LIF: 23 operations (docs/energy.md), 2 for each access: 2 states and 1 sum read and
written, 5 parameters read."""


def lif(name: str, shape: tuple[int, ...], own: Sequence[str] = ()) -> Layer:
    """LIF neurons; the parameters in ``own`` differ from neuron to neuron."""
    n = int(np.prod(shape))
    params = {p.name: np.ones(n, dtype=np.int32) for p in MODELS["lif"].params}
    params |= {name: np.arange(n, dtype=np.int32) for name in own}
    return Layer(name, MODELS["lif"], shape, params, {})


def synapse(source: str, target: str, link: LinearMap, delay: int = 0, port: str = "s") -> Synapse:
    port = INPUT_PORT if source == "in" else port
    return Synapse(f"{source}->{target}", source, port, target, ("a_in",), link, 0, delay)


def net(
    shape: tuple[int, ...],
    layers: Sequence[Layer],
    synapses: Sequence[Synapse],
    *,
    bits: int = 1,
) -> FixedPointNetwork:
    """A balanced network; the last layer leaves it."""
    ports = {layer.name: layer.model.inputs[0] for layer in layers}
    named = [
        Synapse(s.name, s.source, s.source_port, s.target, (ports[s.target],), s.map, 0, s.delay)
        for s in synapses
    ]
    source = InputFormat("in", shape, bits, False, 1.0)
    outputs = (OutputNode("output", layers[-1].name, "s"),)
    return balance(
        FixedPointNetwork("loihi2", 1e-3, "euler", (source,), tuple(layers), tuple(named), outputs)
    )


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.int8)


def small() -> FixedPointNetwork:
    """20 inputs, 40 LIF that hear themselves 3 steps later, one-to-one onto 40 LIF."""
    layers = [lif("a", (40,), own=("threshold",)), lif("b", (40,))]
    synapses = [
        synapse("in", "a", Dense(ones(40, 20))),
        synapse("a", "a", Dense(ones(40, 40)), delay=3),
        synapse("a", "b", OneToOne(ones(40))),
    ]
    return net((20,), layers, synapses)


def test_bytes_of_a_small_network_by_hand() -> None:
    placed = snn2hw.place(small())
    assert placed.ok
    assert placed.pes == 1
    assert placed.bytes_of(0) == {
        "stack and heap": STACK,
        "weights": 40 * (20 + 40) + 40,
        # u and v; one sum.
        "states": 2 * 40 * 8,
        "input sums": 2 * 40 * 4,
        # Thresholds of a's neurons; 4 parameters equal in a, 5 in b.
        "parameters": 40 * 4 + 4 * 4 + 5 * 4,
        "synapse headers": 3 * 32,
        # 40 bits are two words, for the two steps beyond the packets' own.
        "delay buffers": 2 * 8,
        "packet FIFO": 4 * (20 + 40) + 4 * 40,
    }
    assert placed.packets == 80
    assert placed.entering == {"in": 20}
    assert placed.router_entries == 1 + 2
    events = 40 * (20 + 40) + 40
    cycles = 1000 + 80 * (LIF_UPDATE + 20) + 25 * events + 50 * (20 + 40 + 40)
    assert placed.cores[0].cycles == {WORST: cycles}


def test_delays_of_graded_messages_take_words() -> None:
    layers, link = [lif("a", (4,))], Dense(ones(4, 6))
    placed = snn2hw.place(net((6,), layers, [synapse("in", "a", link, delay=2)], bits=4))
    spikes = snn2hw.place(net((6,), layers, [synapse("in", "a", link, delay=2)]))
    # The layer handles step 0 at once: delay 2 is one slot beyond the packets' own way.
    assert placed.totals["delay buffers"] == 6 * 4
    assert spikes.totals["delay buffers"] == 4
    assert placed.totals["packet FIFO"] == 6 * 8
    assert spikes.totals["packet FIFO"] == 6 * 4


def test_gpn_by_hand() -> None:
    """The demo's GPN network: 144 inputs, 48 GPN, 9 readouts; its gates hear [W; W_gx W] and v."""
    torch = pytest.importorskip("torch")
    from snn2hw.demo_models import build_japanese_vowels

    model = build_japanese_vowels("gpn").eval()
    x = (np.random.default_rng(0).random((2, 20, 144)) < 0.2).astype(np.uint8)
    with torch.no_grad():
        graph = snn2hw.to_nir(model, input_shape=(144,))
    placed = snn2hw.place(snn2hw.quantize(graph, calibration=x))
    hidden, readout = placed.demands
    assert (hidden.neurons, readout.neurons) == (48, 9)
    assert dict(hidden.per_neuron) | {"parameters": 0} == {
        "weights": 5 * 144 + 4 * 48,
        "states": 4,
        "input sums": 9 * 4,
        "parameters": 0,
    }
    # All 15 parameters, be they kept with the neuron or once.
    kept = hidden.per_neuron.get("parameters", 0) + hidden.per_part.get("parameters", 0)
    assert kept == 15 * 4
    # 128 lines of the sigmoid; packets of 8 bytes since v comes as a payload.
    assert hidden.per_part["tables"] == 512
    assert hidden.per_part["packet FIFO"] == 8 * (144 + 48)
    assert hidden.packets_per_neuron == 2
    update = 32 + 15 + 28 + 24 + 24 + 8 + 2 * (4 + 2 + 2 * 9 + 15)
    assert hidden.cycles_per_neuron == update + 25 * (5 * 144 + 4 * 48) + 20 * 2
    assert hidden.cycles_per_part == 50 * (144 + 48)
    assert readout.per_neuron["weights"] == 48
    assert readout.per_part["packet FIFO"] == 4 * 48


CONVOLUTIONS = [
    # name, shape, input maps, stride, padding
    ("conv1", (24, 32, 99), 3, (2, 2), 0),
    ("conv2", (36, 15, 49), 24, (2, 2), 0),
    ("conv3", (48, 7, 24), 36, (2, 2), 0),
    ("conv4", (64, 4, 22), 48, (2, 1), 1),
    ("conv5", (64, 2, 20), 64, (1, 1), 0),
]


@pytest.fixture(scope="module")
def pilotnet() -> FixedPointNetwork:
    """PilotNet-LIF's geometry: 3 x 66 x 200 inputs, five convolutions of 3 x 3, four matrices."""
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    before, given = "in", (3, 66, 200)
    for name, shape, maps, stride, above in CONVOLUTIONS:
        kernels = ones(shape[0], maps, 3, 3)
        link = Convolution(kernels, given, stride, ((above, above), (0, 0)))
        assert link.output_shape == shape
        layers.append(lif(name, shape))
        synapses.append(synapse(before, name, link))
        before, given = name, shape
    inputs = 64 * 2 * 20
    for name, n in (("fc1", 100), ("fc2", 50), ("fc3", 10), ("fc4", 1)):
        layers.append(lif(name, (n,)))
        synapses.append(synapse(before, name, Dense(ones(n, inputs))))
        before, inputs = name, n
    return net((3, 66, 200), layers, synapses)


def test_pilotnet_by_hand(pilotnet: FixedPointNetwork) -> None:
    placed = snn2hw.place(pilotnet)
    assert placed.ok
    neurons = 118_909
    assert sum(demand.neurons for demand in placed.demands) == neurons
    total = placed.totals
    assert total["states"] == 8 * neurons
    assert total["input sums"] == 4 * neurons
    # Kernels once for each feature map that a part touches; matrices once.
    maps = {name: (shape[1] * shape[2], 9 * held) for name, shape, held, _, _ in CONVOLUTIONS}
    kernels = 0
    for part in placed.parts:
        if part.layer in maps:
            size, kernel = maps[part.layer]
            kernels += len({neuron // size for neuron in range(part.first, part.last)}) * kernel
    assert total["weights"] == kernels + 2560 * 100 + 100 * 50 + 50 * 10 + 10
    # A FIFO of 4 bytes a packet, for 2,048 of the many that may come.
    heard = {"fc2": 100, "fc3": 50, "fc4": 10}
    fifo = sum(4 * heard.get(part.layer, FIFO_MOST) for part in placed.parts)
    assert total["packet FIFO"] == fifo
    assert total["stack and heap"] == STACK * placed.pes
    assert sum(total.values()) == placed.total_bytes
    assert not snn2hw.place(pilotnet, pes=placed.pes - 1).ok
    # 64 x 2 x 20 neurons hear 64 x 3 x 3 taps each; the convolution before has its input padded.
    assert placed.demands[4].cycles_per_neuron == LIF_UPDATE + 20 + 25 * 64 * 9
    assert placed.demands[3].cycles_per_neuron < LIF_UPDATE + 20 + 25 * 48 * 9
    assert placed.packets == neurons
    assert placed.router_entries == 1 + len(placed.parts)
    (note,) = placed.notes
    assert "up to 76,032 to 'conv2'" in note
    assert "fc2" not in note


def test_pilotnet_on_too_few(pilotnet: FixedPointNetwork) -> None:
    placed = snn2hw.place(pilotnet, pes=4)
    (violation, *_) = placed.violations
    assert violation.rule == "PE memory"
    assert violation.hint == f"give at least {snn2hw.place(pilotnet).pes} PEs"


def test_parameters_of_feature_maps_are_kept_with_them() -> None:
    link = Convolution(ones(3, 1, 2, 2), (1, 5, 5))
    layer = lif("a", (3, 4, 4))
    layer.params["bias_mantissa"][:] = np.repeat([1, 2, 3], 16)
    layer.params["threshold"][:] = np.arange(48)
    (demand,) = snn2hw.place(net((1, 5, 5), [layer], [synapse("in", "a", link)])).demands
    assert demand.block == 16
    assert dict(demand.per_block) == {"weights": 4, "parameters": 4}
    assert demand.per_neuron["parameters"] == 4
    assert demand.per_part["parameters"] == 3 * 4


def test_convolutions_of_different_maps_keep_whole_kernels() -> None:
    links = Convolution(ones(3, 1, 2, 2), (1, 5, 5)), Convolution(ones(4, 1, 2, 2), (1, 3, 7))
    synapses = [synapse("in", "a", links[0]), synapse("b", "a", links[1])]
    feeder = lif("b", (21,))
    synapses.append(synapse("in", "b", Dense(ones(21, 25))))
    placed = snn2hw.place(net((1, 5, 5), [feeder, lif("a", (3, 4, 4))], synapses))
    assert placed.demands[1].per_part["weights"] == 12 + 16
    assert placed.demands[1].block == 1


def test_measured_packets_and_cycles_from_the_spikes() -> None:
    placed_net, steps = small(), 30
    x = (np.random.default_rng(3).random((4, steps, 20)) < 0.3).astype(np.int32)
    run = placed_net.run(x)
    a, b = (run.spikes[name].astype(int).sum(axis=2) for name in "ab")
    late = a[:, :-3].sum(axis=1)
    assert late.min() > 0
    placed = snn2hw.place(placed_net, pes=1, run=run)
    sent = (a + b).sum(axis=1)
    assert placed.measured_packets == pytest.approx(sent.mean() / steps)
    given = x.sum(axis=(1, 2))
    events = 40 * given + 40 * late + a.sum(axis=1)
    packets = given + late + a.sum(axis=1)
    cycles = 1000 + 80 * LIF_UPDATE + (20 * sent + 25 * events + 50 * packets) / steps
    (core,) = placed.cores
    assert core.cycles[MEASURED] == pytest.approx(cycles.max())
    assert core.packets[MEASURED] == pytest.approx(sent.max() / steps)
    assert core.cycles[MEASURED] < core.cycles[WORST]
    assert [t.case for t in placed.timing] == [WORST, WORST, MEASURED, MEASURED]


def test_two_groups_from_one_port_hear_its_packets_once() -> None:
    links = Dense(ones(5, 8)), Dense(2 * ones(5, 8))
    groups = [synapse("in", "a", links[0]), synapse("in", "a", links[1], delay=1)]
    second = Synapse("late", *(getattr(groups[1], k) for k in list(vars(groups[1]))[1:]))
    (demand,) = snn2hw.place(net((8,), [lif("a", (5,))], [groups[0], second])).demands
    assert demand.cycles_per_part == 50 * 8
    assert demand.per_part["packet FIFO"] == 4 * 8
    assert demand.per_part["delay buffers"] == 4


@pytest.mark.parametrize("case", CASES[::9], ids=str)
def test_conformance_networks_are_placed(case) -> None:
    if (case.row, "integer") in EXCLUDED:
        pytest.skip("no network of integers")
    placed_net = network(case)
    for pes in (None, 1, 7):
        placed = snn2hw.place(placed_net, pes=pes)
        assert placed.ok
        weights = sum(s.mantissa.size for s in placed_net.synapses)
        dense = all(not isinstance(s.map, Convolution) for s in placed_net.synapses)
        held = placed.totals.get("weights", 0)
        assert held == weights if dense else held >= weights
        words = sum(layer.n * len(layer.model.states) for layer in placed_net.layers)
        assert placed.totals.get("states", 0) == 4 * words


def test_more_pes_never_fill_the_fullest_more(pilotnet: FixedPointNetwork) -> None:
    def fullest(placed: Placement) -> int:
        return max(core.bytes for core in placed.cores)

    sizes = [fullest(snn2hw.place(pilotnet, pes=pes)) for pes in (1, 2, 5, 21, 22, 23, 60, 148)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_target_that_nothing_is_placed_on() -> None:
    with pytest.raises(TargetError, match="target 'loihi3' has no placement; choose one of spinna"):
        snn2hw.place(small(), target="loihi3")


def test_a_run_of_another_network() -> None:
    other = net((20,), [lif("z", (3,))], [synapse("in", "z", Dense(ones(3, 20)))])
    run = other.run(np.zeros((1, 2, 20), dtype=np.int32))
    with pytest.raises(DataError, match="the run is of another network: its layers are z; place"):
        snn2hw.place(small(), run=run)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    small().save("net.h5")
    x = (np.random.default_rng(3).random((4, 30, 20)) < 0.3).astype(np.uint8)
    np.savez("data.npz", x=x, y=np.arange(4))
    return tmp_path


def test_command_prints_tables_and_verdict(folder: Path, capsys) -> None:
    assert main(["place", "net.h5", "--data", "data.npz", "--picture", "p.svg"]) == 0
    text = capsys.readouterr().out
    placed = snn2hw.place(small())
    assert f"{placed.total_bytes:,}" in text
    assert "0    40 a, 40 b" in text
    assert "delay buffers" in text
    assert "packets a step: 80 if every neuron sends, " in text
    assert "multicast router: 3 of 16,384 entries" in text
    assert "a step of 1 ms holds at 300 MHz, measured" in text
    assert text.endswith("net.h5: fits on spinnaker2, 1 of 148 PEs\n")
    assert Path("p.svg").read_text(encoding="utf-8").startswith("<svg")


def test_command_groups_equal_pes(folder: Path, capsys) -> None:
    assert main(["place", "net.h5", "--pes", "10"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    rows = rows[: rows.index("")]
    placed = snn2hw.place(small(), pes=10)
    assert len(rows) < len(placed.cores)
    counted = 0
    for row in rows:
        first, _, last = row.split()[0].partition("-")
        counted += int(last or first) - int(first) + 1
    assert counted == len(placed.cores)


def test_command_as_json(folder: Path, capsys) -> None:
    assert main(["place", "net.h5", "--data", "data.npz", "--samples", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    run = small().run(np.load("data.npz")["x"][:2].astype(np.int32))
    placed = snn2hw.place(small(), run=run)
    assert answer["ok"] is True
    assert answer["bytes"] == placed.totals
    assert answer["packets_measured"] == placed.measured_packets
    assert answer["utilization"]["PEs"] == {"used": 1, "limit": 148}
    assert [part["layer"] for part in answer["cores"][0]["parts"]] == ["a", "b"]
    assert {t["case"] for t in answer["timing"]} == {WORST, MEASURED}


def test_command_says_what_does_not_fit(folder: Path, capsys) -> None:
    data = json.loads(_chip_file().read_text(encoding="utf-8"))
    data["figures"]["pe_data_bytes"]["value"] = STACK + 2500
    Path("tiny.json").write_text(json.dumps(data), encoding="utf-8")
    command = ["place", "net.h5", "--pes", "1", "--chip", "tiny.json"]
    assert main(command) == 1
    text = capsys.readouterr().out
    need = snn2hw.place(small()).cores[0].bytes
    assert f"PE memory: PE 0 holds {need:,} bytes, {need - STACK - 2500:,} over" in text
    assert "net.h5: does not fit on spinnaker2" in text
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["violations"][0]["node"] == "a"


def _chip_file() -> Path:
    return Path(snn2hw.__file__).parents[1] / "targets" / "spinnaker2" / "spinnaker2.json"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.h5"], "none.h5"),
        (["net.h5", "--pes", "0"], "0 PEs hold nothing; give a whole number from 1"),
        (["net.h5", "--chip", "none.json"], "cannot read chip file none.json"),
        (["net.h5", "--data", "none.npz"], "none.npz"),
        (["net.h5", "--picture", "no/folder/p.svg"], "cannot write no/folder/p.svg"),
    ],
)
def test_bad_arguments_are_one_line(
    folder: Path, capsys, arguments: list[str], message: str
) -> None:
    assert main(["place", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
