"""The quantiser's configuration: what is said is obeyed, or refused with the limit it breaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import conformance
import numpy as np
import pytest
from conformance_case import DT, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import simulate_reference
from test_passes import gpn_graph, lif_graph, spikes

import snn2hw
from snn2hw.cli import main
from snn2hw.errors import DataError, FileFormatError, ParameterError, TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.passes import quantize_graph_by
from snn2hw.passes.config import InputConfig, LayerConfig, QuantizeConfig, WeightConfig, Widths
from snn2hw.targets.verify import recorded_names

clips = st.floats(0.01, 128.0) | st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4).map(tuple)
groups = st.builds(
    WeightConfig,
    bits=st.none() | st.integers(2, 8),
    scale=st.sampled_from((None, "neuron", "layer")),
    rounding=st.sampled_from((None, "nearest", "compensated")),
    clip=st.none() | clips,
    exponent=st.none() | st.integers(-7, 8),
)
layers = st.builds(
    LayerConfig,
    st.none() | st.floats(1.0, 1024.0),
    st.sampled_from((None, True, False)),
    st.none() | st.integers(-9, 9) | st.lists(st.integers(-9, 9), min_size=1).map(tuple),
)
configs = st.builds(
    QuantizeConfig,
    target=st.sampled_from(("loihi1", "loihi2", "generic")),
    inputs=st.dictionaries(st.text(max_size=5), st.builds(InputConfig, st.integers(2, 8))),
    layers=st.dictionaries(st.text(max_size=5), layers, max_size=3),
    synapses=st.dictionaries(st.text(max_size=5), groups, max_size=3),
    default=groups,
    search=st.sampled_from((None, True, False)),
)


@given(configs)
@settings(max_examples=60, deadline=None)
def test_a_configuration_survives_its_yaml(config: QuantizeConfig) -> None:
    assert QuantizeConfig.from_text(config.text()) == config


def test_a_generic_target_keeps_its_widths() -> None:
    config = QuantizeConfig("generic", widths=Widths(weights=4, inputs=6, states=20, messages=8))
    assert QuantizeConfig.from_text(config.text()) == config
    assert config.synapse("any").bits == 4


HEAD = "snn2hw_quantize: 1\n"
BAD_TEXTS = [
    ("{", FileFormatError, "it is no YAML"),
    ("- 1\n", FileFormatError, "no configuration of 'snn2hw quantize'"),
    ("snn2hw_quantize: 9\n", FileFormatError, "its version is 9 and this release reads 1"),
    (
        HEAD + "target: !!python/object/apply:os.getcwd []\n",
        FileFormatError,
        "could not determine a constructor",
    ),
    (HEAD + "colour: red\n", ParameterError, "'colour' is unknown; known: default, inputs"),
    (HEAD + "target: [1]\n", ParameterError, r"target is \(?\[1"),
    (HEAD + "target: loihi9\n", ParameterError, "target 'loihi9' is unknown"),
    (HEAD + "search: 3\n", ParameterError, "search is 3; give true or false"),
    (HEAD + "layers: 3\n", ParameterError, "layers is 3; give a mapping of names"),
    (HEAD + "layers: {a: 3}\n", ParameterError, "layers 'a' is 3; give a mapping"),
    (HEAD + "layers: {a: {b: 3}}\n", ParameterError, "layers 'a': 'b' is unknown; known: bias"),
    (HEAD + "layers: {a: {headroom: 0.5}}\n", ParameterError, "layer 'a': headroom is 0.5"),
    (HEAD + "layers: {a: {headroom: .nan}}\n", ParameterError, "layer 'a': headroom is nan"),
    (
        HEAD + "layers: {a: {bias_correction: 2}}\n",
        ParameterError,
        "layer 'a': bias_correction is 2; give true or false",
    ),
    (
        HEAD + "synapses: {a->b: {bits: 9}}\n",
        ParameterError,
        "synapses 'a->b': bits is 9 and loihi2's weights hold 2 to 8",
    ),
    (HEAD + "synapses: {a->b: {bits: 1}}\n", ParameterError, "bits is 1 and"),
    (HEAD + "synapses: {a->b: {bits: 4.5}}\n", ParameterError, "bits is 4.5 and"),
    (HEAD + "default: {bits: true}\n", ParameterError, "default of synapses: bits is True"),
    (
        HEAD + "synapses: {a->b: {exponent: 9}}\n",
        ParameterError,
        "synapses 'a->b': exponent is 9 and loihi2's synapses hold -7 to 8",
    ),
    (HEAD + "synapses: {a: {rounding: up}}\n", ParameterError, "use one of nearest, compensated"),
    (HEAD + "synapses: {a: {scale: row}}\n", ParameterError, "use one of neuron, layer"),
    (HEAD + "synapses: {a: {clip: [1.0, 0]}}\n", ParameterError, "clip is 0; give above 0 to 128"),
    (HEAD + "inputs: {x: {bits: 9}}\n", ParameterError, "input 'x': bits is 9 and loihi2's"),
    (
        HEAD + "widths: {states: 16}\n",
        ParameterError,
        "widths: states is 16 and those of loihi2 are 24 bits; use the target 'generic'",
    ),
    (
        HEAD + "target: generic\nwidths: {states: 25}\n",
        ParameterError,
        "widths: states is 25 and this release has 12 to 24",
    ),
    (
        HEAD + "target: generic\nwidths: {weights: 4}\ndefault: {bits: 5}\n",
        ParameterError,
        "bits is 5 and generic's weights hold 2 to 4",
    ),
]


@pytest.mark.parametrize(("text", "error", "message"), BAD_TEXTS)
def test_impossible_configurations_are_refused(text: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        QuantizeConfig.from_text(text)


FOREIGN = [
    ({"layers": {"hidden": LayerConfig()}}, "names layer 'hidden', which .* has; it has lif, out"),
    ({"inputs": {"x": InputConfig()}}, "names input 'x', which .* it has input"),
    ({"synapses": {"lif": WeightConfig()}}, "names synapses 'lif', which .* input->lif, lif->out"),
    (
        {"synapses": {"input->lif": WeightConfig(clip=(0.5, 0.5))}},
        "synapses 'input->lif': clip has 2 values and the weights have 12 rows",
    ),
]


@pytest.mark.parametrize(("said", "message"), FOREIGN)
def test_configurations_of_another_network_are_refused(said: dict, message: str) -> None:
    message = message.replace("which .* has", "which the network does not have")
    with pytest.raises(ParameterError, match=message):
        snn2hw.quantize(lif_graph(), calibration=spikes(), config=QuantizeConfig(**said))


def test_what_registers_or_neurons_cannot_hold_is_refused() -> None:
    def quantize(group: WeightConfig, name: str = "input->lif") -> None:
        config = QuantizeConfig(synapses={name: group})
        snn2hw.quantize(lif_graph(v_threshold=100.0), calibration=spikes(), config=config)

    # 24 bits hold twice the threshold in units of 2**-6; the largest weight says the rest.
    step = np.abs(lif_graph().nodes["fc"].weight).max() * 0.2 / 127
    most = int(np.floor(np.log2(step / (2 * 100 * 64 / (2**23 - 1)))))
    with pytest.raises(TargetError, match=rf"layer 'lif': .*exponent 8 .*they allow {most}$"):
        quantize(WeightConfig(exponent=8))
    quantize(WeightConfig(exponent=most))
    with pytest.raises(TargetError, match="share the unit of their sums; use 'layer'"):
        quantize(WeightConfig(scale="neuron"), "lif->out")
    config = QuantizeConfig("loihi1")
    with pytest.raises(ParameterError, match="for loihi1 and the target is loihi2; name one"):
        snn2hw.quantize(lif_graph(), "loihi2", calibration=spikes(), config=config)


def same(a: FixedPointNetwork, b: FixedPointNetwork) -> bool:
    pairs = zip(a.layers, b.layers, strict=True)
    return all(
        np.array_equal(one.mantissa, two.mantissa) and one.exponent == two.exponent
        for one, two in zip(a.synapses, b.synapses, strict=True)
    ) and all(np.array_equal(x.params[name], y.params[name]) for x, y in pairs for name in x.params)


@pytest.mark.parametrize("make", [lif_graph, gpn_graph])
@pytest.mark.parametrize("bits", [3, 8])
def test_the_written_plan_makes_the_same_integers(make, bits: int) -> None:
    open_config = QuantizeConfig(default=WeightConfig(bits=bits), search=True)
    made = quantize_graph_by(make(), calibration=spikes(), config=open_config)
    for group in made.config.synapses.values():
        assert None not in (group.bits, group.scale, group.rounding, group.clip, group.exponent)
    for layer in made.config.layers.values():
        assert None not in (layer.headroom, layer.bias_correction, layer.trim)
    plan = QuantizeConfig.from_text(made.config.text())
    again = quantize_graph_by(make(), calibration=spikes(), config=plan)
    assert same(made.net, again.net)
    assert again.config == made.config


INTEGER = [case for case in conformance.CASES if (case.row, "integer") not in conformance.EXCLUDED]


@pytest.mark.parametrize("case", INTEGER[::8], ids=lambda case: case.row)
def test_narrow_weights_and_their_plans_on_networks_of_all_kinds(case: Case) -> None:
    said = {"dt": DT, "calibration": case.input(), **case.options}
    config = QuantizeConfig(default=WeightConfig(bits=3))
    made = quantize_graph_by(case.graph(), config=config, **said)
    plan = QuantizeConfig.from_text(made.config.text())
    again = quantize_graph_by(case.graph(), config=plan, **said)
    assert same(made.net, again.net)
    x = made.net.encode(case.input())
    run = made.net.run(x, record=recorded_names(made.net), threads=1)
    conformance.equal(made.net, run, simulate_reference(made.net, x))
    assert not any(run.overflows.values())


def test_an_edited_plan_changes_what_was_edited_and_nothing_else() -> None:
    made = quantize_graph_by(lif_graph(), calibration=spikes())
    wide = made.config.synapses["lif->out"]
    narrow = {**made.config.synapses, "lif->out": replace(wide, bits=4, exponent=None)}
    config = replace(made.config, synapses=narrow)
    edited = quantize_graph_by(lif_graph(), calibration=spikes(), config=config)
    assert edited.net.layer("lif").params["threshold"].tolist() == (
        made.net.layer("lif").params["threshold"].tolist()
    )
    before, after = ({s.name: s.mantissa for s in q.net.synapses} for q in (made, edited))
    np.testing.assert_array_equal(before["input->lif"], after["input->lif"])
    assert np.abs(after["lif->out"]).max() == 7


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    snn2hw.write("model.nir", lif_graph())
    np.save("x.npy", spikes())
    return tmp_path


def test_the_command_writes_a_plan_and_obeys_it(folder: Path, capsys) -> None:
    command = ["quantize", "model.nir", "--calibration", "x.npy"]
    assert main([*command, "--bits", "3", "--auto-config", "a.yaml", "-o", "a.h5"]) == 0
    assert "search: rounding" in capsys.readouterr().out
    assert main([*command, "--config", "a.yaml", "--auto-config", "b.yaml", "-o", "b.h5"]) == 0
    assert (folder / "a.yaml").read_text() == (folder / "b.yaml").read_text()
    assert same(snn2hw.load("a.h5"), snn2hw.load("b.h5"))
    text = (folder / "a.yaml").read_text().replace("bits: 3", "bits: 9")
    (folder / "c.yaml").write_text(text)
    capsys.readouterr()
    assert main([*command, "--config", "c.yaml", "-o", "c.h5"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "c.yaml: default of synapses: bits is 9 and loihi2's weights hold 2 to 8" in said
    assert not (folder / "c.h5").exists()


def test_the_command_refuses_half_a_wish(folder: Path, capsys) -> None:
    command = ["quantize", "model.nir", "--calibration", "x.npy"]
    assert main(command) == 2
    assert "nothing to write; give -o NET.h5" in capsys.readouterr().err
    (folder / "p.yaml").write_text(QuantizeConfig(default=WeightConfig(bits=4)).text())
    assert main([*command, "--config", "p.yaml", "--bits", "5", "-o", "n.h5"]) == 2
    assert "--bits 5 contradicts p.yaml, whose default is 4" in capsys.readouterr().err
    assert main([*command, "--config", "none.yaml", "-o", "n.h5"]) == 2
    assert "cannot read none.yaml" in capsys.readouterr().err


PLANS = {
    "layers: {ghost: {headroom: 2}}": "names layer 'ghost', which the network does not have; it",
    "synapses: {a->b: {bits: 4}}": "names synapses 'a->b', which the network does not have; it has",
    "inputs: {ghost: {bits: 4}}": "names input 'ghost', which the network does not have; it has",
    "default: {bits: 1}": "plan.yaml: default of synapses: bits is 1 and loihi2's weights hold 2",
    "layers: {lif: {trim: [1, x]}}": "plan.yaml: layer 'lif': trim is 'x' and registers move by",
    "{target: generic, widths: {states: 40}}": "plan.yaml: widths: states is 40 and this release",
}
DATA = {
    "empty": (np.zeros((0, 5, 8)), "x.npy: an array of shape (0, 5, 8); give (batch, time"),
    "shape": (np.zeros((2, 5, 7)), "data have shape (2, 5, 7); the network takes (batch, time, 8)"),
    "nan": (np.full((2, 5, 8), np.nan), "data hold NaN or infinity; clean them first"),
    "counts": (np.full((2, 5, 8), 999), "spike counts reach 999 and messages of 8 bits hold 255"),
}


def test_the_command_refuses_in_one_line(folder: Path, capsys) -> None:
    command = ["quantize", "model.nir", "--calibration", "x.npy", "-o", "n.h5"]

    def refused(more: list[str], message: str) -> None:
        assert main([*command, *more]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert not (folder / "n.h5").exists()

    for text, message in PLANS.items():
        lines = text[1:-1].replace(", widths", "\nwidths") if text.startswith("{") else text
        (folder / "plan.yaml").write_text(HEAD + lines + "\n")
        refused(["--config", "plan.yaml"], message)
    for x, message in DATA.values():
        np.save("x.npy", x)
        refused(["--bits", "4"], message)


def test_the_command_says_what_it_assumed(folder: Path, capsys) -> None:
    """Calibration data that are constant, and silent in a layer, are used and said."""
    np.save("x.npy", np.zeros((2, 10, 8), dtype=int))
    assert main(["quantize", "model.nir", "--calibration", "x.npy", "-o", "n.h5"]) == 0
    said = capsys.readouterr().out
    assert "input input: calibration data are 0 throughout, so ranges follow from" in said
    assert "lif: silent on calibration data; its ranges are those of what arrives" in said
    assert (folder / "n.h5").exists()


def test_a_plan_goes_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write"):
        QuantizeConfig().to_yaml(tmp_path / "no" / "plan.yaml")
