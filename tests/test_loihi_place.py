"""Networks on Loihi's cores: PilotNet beside Intel's compiler, what does not fit, the command."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import netx_data
import numpy as np
import pytest
from conformance import CASES, EXCLUDED, network
from loihi_chips import chip, lif, net, tiny, weights

import snn2hw
from snn2hw.cli import main
from snn2hw.converters.netx import from_netx
from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Dense
from snn2hw.neurons import MODELS
from snn2hw.targets.loihi.placement import MEASURED, WORST, LoihiPlacement

COMPILER = {
    # lava-dl's pilotnet_snn/benchmark.ipynb: cores, AxonIn (of matrices), largest part, synapses
    "input0": ("input", 13, None, 3168, 0),
    "conv1": ("conv-0", 25, None, 3072, 81),
    "conv2": ("conv-1", 13, None, 2160, 864),
    "conv3": ("conv-2", 3, None, 2688, 1620),
    "conv4": ("conv-3", 3, None, 2048, 2160),
    "conv5": ("conv-4", 2, None, 2048, 2880),
    "dense7": ("fc-0", 12, 2560, 8, 7253),
    "dense8": ("fc-1", 1, 100, 50, 1300),
    "dense9": ("fc-2", 1, 50, 10, 150),
    "dense10": ("fc-3", 1, 10, 1, 10),
}
AXON_MAP = {"input0": 1015, "conv4": 29, "conv5": 1280, "dense7": 8, "dense8": 50, "dense9": 10}
"""Of the layers of which the old table has one entry a place or neuron, not two."""

DOCS = Path(__file__).resolve().parents[1] / "docs" / "loihi.md"


@pytest.fixture(scope="module")
def pilotnet() -> FixedPointNetwork:
    try:
        recorded = netx_data.pilotnet()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return from_netx(recorded.path, keep_input=True)


def test_pilotnet_is_cut_as_intels_compiler_cuts_it(pilotnet: FixedPointNetwork) -> None:
    placed = snn2hw.place(pilotnet, target="loihi2")
    assert placed.ok
    assert len(placed.cores) == 74
    assert {name: len(placed.of(name)) for name in placed.layers} == {
        name: row[1] for name, row in COMPILER.items()
    }
    for name, (_, _, axons, largest, synapses) in COMPILER.items():
        cores = placed.of(name)
        image = cores[0].part.grid[0] > 1
        # The compiler prints boxes at their largest, and averages of everything else.
        held = [core.part.neurons for core in cores]
        size = max(held) if image else int(np.mean(held))
        assert size == largest
        if axons is not None:
            assert {core.used["axons in"] for core in cores} == {axons}
        words = np.mean([core.used["synapse words"] for core in cores])
        # Our input neurons have a synapse from outside.
        assert int(words) == (synapses if name != "input0" else 1)
    for name, entries in AXON_MAP.items():
        cores = placed.of(name)
        assert int(np.mean([core.used["axons out"] for core in cores])) == entries


def test_the_documentation_has_the_table(pilotnet: FixedPointNetwork) -> None:
    placed, text = snn2hw.place(pilotnet, target="loihi2"), DOCS.read_text(encoding="utf-8")
    for name, (theirs, cores, *_) in COMPILER.items():
        ours = len(placed.of(name))
        assert re.search(rf"^\| {theirs} \(`{name}`\) \| {cores} \| {ours} \|", text, re.MULTILINE)


def test_pilotnet_does_not_fit_on_loihi1(pilotnet: FixedPointNetwork) -> None:
    placed = snn2hw.place(pilotnet, target="loihi1")
    assert [v.rule for v in placed.violations] == ["neuron", "message width", "cores"]
    # 158,509 neurons would fill 155 cores at best.
    assert 155 <= len(placed.cores) <= 180
    assert placed.violations[2].node == "conv1"
    assert placed.violations[2].hint == "make 'conv1' smaller, or use 2 chips"


@pytest.mark.parametrize(("neuron", "cores"), [("lif", [1, 1]), ("gpn", [2, 1])])
def test_the_demos_networks(neuron: str, cores: list[int]) -> None:
    """144-48-9: 144 axons of 48 weights, or (144 + 48) of up to 240."""
    torch = pytest.importorskip("torch")
    from snn2hw.demo_models import build_japanese_vowels

    x = (np.random.default_rng(0).random((2, 20, 144)) < 0.2).astype(np.uint8)
    with torch.no_grad():
        model = build_japanese_vowels(neuron).eval()
        graph = snn2hw.to_nir(model, input_shape=(144,))
    made = snn2hw.quantize(graph, calibration=x)
    run = made.run(made.encode(x))
    placed = snn2hw.place(made, target="loihi2", run=run)
    assert placed.ok
    assert [len(placed.of(name)) for name in placed.layers] == cores
    hidden, n = placed.cores[0], 48 // cores[0]
    states = {"lif": 2 * 24, "gpn": sum(s.bits for s in MODELS["gpn"].states) + 8 * 24}[neuron]
    axons = 144 + (48 if neuron == "gpn" else 0)
    assert hidden.used["axons in"] == axons
    memory = hidden.used["synapse words"] + -(-(n * states + 48 * (axons + n * cores[0])) // 64)
    if neuron == "lif":
        assert hidden.used["core words"] == memory
    spikes = run.activity.layers[0].spikes.sum() / run.activity.steps / run.activity.samples
    given = run.activity.input_messages["input"].sum() / 40
    graded = run.activity.layers[0].messages.sum() / 40
    wanted = spikes + cores[0] * (given + graded)
    assert placed.sent[MEASURED] == pytest.approx(wanted)
    assert placed.sent[MEASURED] < placed.sent[WORST]
    if neuron == "gpn":
        assert [v.rule for v in snn2hw.place(made, target="loihi1").violations[:2]] == [
            "neuron", "neuron",
        ]  # fmt: skip


@pytest.mark.parametrize("case", CASES[::9], ids=str)
@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
def test_conformance_networks_are_placed(case, target: str) -> None:
    if (case.row, "integer") in EXCLUDED:
        pytest.skip("no network of integers")
    made = network(case)
    for spec in (None, tiny(target, 7, message_bits_most=24)):
        placed = snn2hw.place(made, target, spec=spec)
        assert {v.rule for v in placed.violations} <= {"neuron", "message width"}
        for layer in made.layers:
            held = np.concatenate([core.part.numbers() for core in placed.of(layer.name)])
            assert sorted(held) == list(range(layer.n))


def small() -> FixedPointNetwork:
    """20 inputs, 40 LIF, 7 LIF."""
    maps = [("in", "a", Dense(weights(40, 20))), ("a", "b", Dense(weights(7, 40)))]
    return net((20,), [lif("a", (40,)), lif("b", (7,))], maps)


def found(placed: LoihiPlacement) -> list[tuple[str, str, str, str]]:
    return [(v.rule, v.node, v.used, v.hint) for v in placed.violations]


def test_more_cores_than_there_are() -> None:
    placed = snn2hw.place(small(), "loihi2", spec=tiny("loihi2", 4, cores_usable=11))
    assert found(placed) == [
        (
            "cores",
            "a",
            "12 cores, 1 over; 'a' takes 10 of them",
            "make 'a' smaller, or use 2 chips",
        )
    ]
    assert placed.violations[0].limit == "11 cores for applications"


def test_a_neuron_that_no_core_holds() -> None:
    """20 axons take a word each, whatever the number of neurons."""
    placed = snn2hw.place(small(), "loihi2", spec=chip(synapse_words=19))
    first, second = found(placed)
    assert first[:2] == ("synapse words", "a")
    assert re.fullmatch(
        r"core \d+ takes \d+ synapse words for \d+ neurons? of 'a', \d+ over"
        r"(, and \d+ more of its cores too many)?",
        first[2],
    )
    assert first[3] == "give its neurons fewer inputs, or a convolution fewer channels"
    assert second[:2] == ("synapse words", "b")


def test_too_many_axons_arrive() -> None:
    placed = snn2hw.place(small(), "loihi1", spec=chip("loihi1", axons_in=39))
    ((rule, node, used, hint),) = found(placed)
    assert (rule, node, hint) == ("axons in", "b", "let it hear fewer sources")
    assert used == "core 1 takes 40 axons in for 7 neurons of 'b', 1 over"


def test_delays_and_messages_beyond_the_chip() -> None:
    made = small()
    late = replace(made.synapses[0], chip_delay=63)
    placed = snn2hw.place(replace(made, synapses=(late, made.synapses[1])), "loihi2")
    assert found(placed) == [
        (
            "delay",
            "a",
            "synapses '0:in->a' have a delay of 63 steps",
            "use a longer time step, or a shorter delay",
        )
    ]
    assert "delays of up to 63 steps" in placed.notes[0]
    graded = replace(made, inputs=(replace(made.inputs[0], bits=8, signed=True),))
    assert snn2hw.place(graded, "loihi2").ok
    ((rule, node, used, _),) = found(snn2hw.place(graded, "loihi1"))
    assert (rule, node, used) == ("message width", "in", "'in' sends messages of 8 bits")


def test_processing_elements_are_not_loihis() -> None:
    with pytest.raises(TargetError, match="loihi2 has no processing elements to choose from"):
        snn2hw.place(small(), target="loihi2", pes=3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    small().save("net.h5")
    x = (np.random.default_rng(3).random((4, 30, 20)) < 0.3).astype(np.uint8)
    np.savez("data.npz", x=x, y=np.arange(4))
    return tmp_path


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
def test_command_prints_tables_and_verdict(folder: Path, capsys, target: str) -> None:
    command = ["place", "net.h5", "--target", target, "--data", "data.npz", "--picture", "p.svg"]
    assert main(command) == 0
    text = capsys.readouterr().out
    placed = snn2hw.place(small(), target)
    assert re.search(r"^a +1 +0 +40 ", text, re.MULTILINE)
    assert f"messages a step between cores, worst case: {placed.sent[WORST]:g}\n" in text
    assert "messages a step between cores, measured: " in text
    usable = {"loihi1": 128, "loihi2": 120}[target]
    assert text.endswith(f"net.h5: fits on {target}, 2 of {usable} cores\n")
    assert Path("p.svg").read_text(encoding="utf-8").startswith("<svg")


def test_command_as_json(folder: Path, capsys) -> None:
    command = ["place", "net.h5", "--target", "loihi2", "--data", "data.npz", "--samples", "2"]
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    run = small().run(np.load("data.npz")["x"][:2].astype(np.int32))
    placed = snn2hw.place(small(), "loihi2", run=run)
    assert answer["ok"] is True
    assert answer["layers"] == {"a": 1, "b": 1}
    assert answer["messages"] == dict(placed.sent)
    assert answer["utilization"]["cores"] == {"used": 2, "limit": 120}
    assert answer["cores"][1]["used"] == dict(placed.cores[1].used)
    assert {
        "source": "a", "target": "b", "case": "measured",
        "copies": 1.0, "east_west": 0.0, "north_south": 0.0,
    } in answer["hops"]  # fmt: skip


def test_command_says_what_does_not_fit(folder: Path, capsys) -> None:
    file = Path(snn2hw.__file__).parents[1] / "targets" / "loihi" / "loihi2.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    data["figures"]["synapse_words"]["value"] = 30
    Path("small.json").write_text(json.dumps(data), encoding="utf-8")
    command = ["place", "net.h5", "--target", "loihi2", "--chip", "small.json"]
    assert main(command) == 1
    text = capsys.readouterr().out
    assert "synapse words: core " in text
    assert "net.h5: does not fit on loihi2" in text
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["violations"][0]["rule"] == "synapse words"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.h5"], "none.h5"),
        (["net.h5", "--pes", "4"], "no processing elements to choose from"),
        (["net.h5", "--chip", "none.json"], "cannot read chip file none.json"),
        (["net.h5", "--picture", "no/folder/p.svg"], "cannot write no/folder/p.svg"),
    ],
)
def test_bad_arguments_are_one_line(
    folder: Path, capsys, arguments: list[str], message: str
) -> None:
    assert main(["place", "--target", "loihi2", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


MESSAGES = r"^\| {} \| (\d+) \| ([\d,]+)[ ;]"


def test_the_documentation_has_the_networks() -> None:
    """Untrained: cores and the worst case depend on shapes alone."""
    torch = pytest.importorskip("torch")
    from snn2hw.demo_models import build_japanese_vowels
    from snn2hw.nn import GPN, Readout

    digits = torch.nn.Sequential(
        torch.nn.Linear(40, 128), GPN(128), torch.nn.Linear(128, 128), GPN(128), Readout(128, 10)
    )
    rng, text = np.random.default_rng(0), DOCS.read_text(encoding="utf-8")
    for name, model, n in (
        ("demo LIF, 144-48-9", build_japanese_vowels("lif"), 144),
        ("demo GPN, 144-48-9", build_japanese_vowels("gpn"), 144),
        ("digits GPN, 40-128-128-10", digits, 40),
    ):
        x = (rng.random((2, 10, n)) < 0.2).astype(np.uint8)
        with torch.no_grad():
            graph = snn2hw.to_nir(model.eval(), input_shape=(n,))
        placed = snn2hw.place(snn2hw.quantize(graph, calibration=x), "loihi2")
        row = re.search(MESSAGES.format(re.escape(name)), text, re.MULTILINE)
        assert row is not None
        assert (int(row[1]), row[2]) == (len(placed.cores), f"{placed.sent[WORST]:,.0f}")
