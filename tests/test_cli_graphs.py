"""The command line on graphs: check, run --float, several inputs and outputs, warnings."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from graphs import given, graph, li, lif, taken

import snn2hw
from snn2hw.cli import main

RNG = np.random.default_rng(0)
FC, BACK, OUT = RNG.normal(0, 1, (4, 3)), RNG.normal(0, 1, (4, 2)), RNG.normal(0, 1, (2, 4))


def two_by_two() -> nir.NIRGraph:
    """left and right -> a; a -> b -> spikes, a -> sums -> values."""
    nodes = {
        "left": given(3),
        "right": given(2),
        "from_left": nir.Linear(FC),
        "from_right": nir.Linear(BACK),
        "a": lif(4, v_reset=0.02),
        "b": lif(4, tau=8e-3),
        "sums": nir.Linear(OUT),
        "spikes": taken(4),
        "values": taken(2),
    }
    return graph(nodes, "left from_left a b spikes", "right from_right a sums values")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """two.nir and its data as .npz and NIRData; one.nir (LIF alone, from 3 to 4) and its data."""
    monkeypatch.chdir(tmp_path)
    snn2hw.write("two.nir", two_by_two())
    nodes = {"input": given(3), "fc": nir.Linear(FC), "lif": lif(4), "output": taken(4)}
    snn2hw.write("one.nir", graph(nodes, "input fc lif output"))
    rng = np.random.default_rng(1)
    x = {name: (rng.random((5, 20, n)) < 0.4).astype(np.int64) for name, n in SIZES.items()}
    np.savez("two.npz", y=np.arange(5) % 4, **x)
    np.savez("one.npz", x=x["left"], y=np.arange(5) % 4)
    observed = {
        name: nir.NIRNodeData(observables={"spikes": nir.TimeGriddedData(values, 1e-3)})
        for name, values in x.items()
    }
    nir.write_data("two.h5", nir.NIRGraphData(nodes=observed))
    return tmp_path


SIZES = {"left": 3, "right": 2}


def data() -> dict[str, np.ndarray]:
    with np.load("two.npz") as file:
        return {name: file[name] for name in SIZES}


def answer(capsys, *command: str, status: int = 0) -> dict:
    capsys.readouterr()
    assert main([*command, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def error(capsys, *command: str) -> str:
    """The one line of a command that ends with status 2."""
    capsys.readouterr()
    assert main(list(command)) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"snn2hw {command[0]}: error: ")
    return captured.err


# --- check ------------------------------------------------------------------------------------


def test_check_of_a_graph_that_runs(folder: Path, capsys) -> None:
    assert main(["check", "two.nir"]) == 0
    text = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["a"][1:4] == ["LIF", "yes", "snn2hw's"]
    assert lines["b"][1:4] == ["LIF", "yes", "LIFReset"]
    assert lines["from_left"][1:4] == ["Linear", "yes", "-"]
    assert lines["from_left"][-1] == "left->a"
    assert text.endswith("two.nir: runs on loihi2\n")
    said = answer(capsys, "check", "two.nir")
    assert said["ok"] is True
    assert said["target"] == "loihi2"
    assert said["violations"] == []
    nodes = {node["name"]: node for node in said["nodes"]}
    assert set(nodes) == set(two_by_two().nodes)
    assert nodes["from_right"]["synapses"] == ["right->a"]
    assert (nodes["b"]["neuron"], nodes["b"]["lava"]) == ("lif", "LIFReset")


def test_check_of_a_graph_that_does_not(folder: Path, capsys) -> None:
    assert main(["check", "two.nir", "--target", "loihi1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines}
    assert (rows["a"][2], rows["b"][2], rows["sums"][2]) == ("no", "yes", "no")
    assert lines[-1] == "two.nir: does not run on loihi1"
    (reset,) = (line for line in lines if line.startswith("neuron: layer 'a'"))
    assert "(limit: neurons of loihi1: lif); reset to zero" in reset
    assert reset.endswith("or use --target loihi2")
    said = answer(capsys, "check", "two.nir", "--target", "loihi1", status=1)
    assert said["ok"] is False
    assert [v["node"] for v in said["violations"]] == ["a", "sums"]
    assert answer(capsys, "check", "one.nir", "--target", "loihi1")["ok"] is True


def test_check_takes_the_step_and_the_reset(folder: Path, capsys) -> None:
    one = ("check", "one.nir")
    assert answer(capsys, *one, "--dt", "0.02", status=1)["violations"][0]["node"] == "lif"
    loihi1 = (*one, "--target", "loihi1", "--reset")
    assert answer(capsys, *loihi1, "value")["ok"]
    assert answer(capsys, *loihi1, "subtract", status=1)["violations"][0]["node"] == "lif"
    # 1 / 0.8 is no decay; 1 - exp(-1 / 0.8) is one.
    near = (*one, "--dt", "6.25e-3")
    assert answer(capsys, *near, status=1)["violations"][0]["rule"] == "time constant"
    assert answer(capsys, *near, "--method", "exact")["ok"]


def test_check_of_broken_files(folder: Path, capsys) -> None:
    assert "absent.nir: no such file" in error(capsys, "check", "absent.nir")
    assert "not a whole HDF5 file" in error(capsys, "check", "one.npz")
    assert "HDF5 file, but not a NIR graph" in error(capsys, "check", "two.h5")
    with h5py.File("one.nir", "r+") as file:
        file["node/nodes/lif/type"][()] = "Hodgkin"
    assert "node 'lif' is of type 'Hodgkin'" in error(capsys, "check", "one.nir")


# --- run --float ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--reset", "subtract"), ("--method", "exact")])
def test_floats_are_those_of_execute(folder: Path, capsys, options: tuple[str, ...]) -> None:
    chosen = {"reset": "value", "method": "euler"} | dict(
        zip((o[2:] for o in options[::2]), options[1::2], strict=True)
    )
    lowered = snn2hw.lower(two_by_two(), 1e-3, **chosen)
    want = snn2hw.execute(lowered, data(), record=("v",))
    run = ("run", "two.nir", "--float", "--data")
    said = answer(capsys, *run, "two.npz", "-o", "out.npz", "--record", "v", *options)
    with np.load("out.npz") as out:
        expected = {
            "output": want.outputs["spikes"],
            "logits": want.outputs["spikes"].mean(axis=1),
            **{f"output/{name}": values for name, values in want.outputs.items()},
            **{f"spikes/{name}": values for name, values in want.spikes.items()},
            **{f"state/{name}/v": states["v"] for name, states in want.state.items()},
        }
        assert set(out) == set(expected)
        assert {"output/spikes", "output/values", "spikes/b", "state/a/v"} <= set(out)
        for name, values in expected.items():
            np.testing.assert_array_equal(out[name], values)
    assert want.spikes["a"].any()
    guess = want.outputs["spikes"].mean(axis=1).argmax(axis=1)
    assert said["predictions"] == guess.tolist()
    assert said["accuracy"] == np.mean(guess == np.arange(5) % 4)
    assert said["spikes_per_sample"]["b"] == want.spikes["b"].sum() / 5
    assert (said["samples"], said["steps"]) == (5, 20)


def test_the_options_change_what_is_computed(folder: Path, capsys) -> None:
    totals = [
        sum(answer(capsys, *command)["spikes_per_sample"].values())
        for options in ((), ("--reset", "subtract"), ("--method", "exact"), ("--dt", "2e-3"))
        for command in [("run", "one.nir", "--float", "--data", "one.npz", *options)]
    ]
    assert len(set(totals)) == 4


def test_floats_as_text(folder: Path, capsys) -> None:
    command = ["run", "two.nir", "--float", "--data", "two.npz", "--samples", "2"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text.startswith("2 samples of 20 steps, float64, dt = 0.001 s\naccuracy ")
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    assert rows["a"][1:3] == ["lif_reset", "4"]
    assert rows["sums"][1:] == ["readout", "2", "-"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("two.nir --data two.npz", "two.nir: not a network of snn2hw but a graph of floats; give"),
        ("net.h5 --data one.npz --float", "net.h5: a network of integers; leave --float out"),
        ("two.nir --data two.npz --float --raw", "--raw is for networks of integers"),
        ("net.h5 --data one.npz --dt 1e-3", "--dt: for graphs with --float"),
        ("net.h5 --data one.npz --method exact", "--method: for graphs with --float"),
        ("net.h5 --data one.npz --reset subtract --dt 1", "--dt, --reset: for graphs with --f"),
        ("two.nir --data two.npz --float --record v,w", "no layer has a state 'w' to record"),
        ("two.nir --data two.npz --float --samples 0", "--samples 0 leaves no sample"),
        ("two.nir --data two.npz --float --dt 0.1", "node 'a': tau = 0.005 s is not above dt/2"),
        ("two.nir --data two.npz --float -o no/out.npz", "cannot write no/out.npz"),
        ("two.nir --data one.npz --float", "one.npz: no array 'left' in it, only x, y; name it so"),
        ("two.nir --data left.npy --float", "one array; give an .npz with one for each input"),
        ("two.nir --data short.npz --float", "the inputs' data differ in samples or steps"),
        ("two.nir --data text.npz --float", "data have dtype <U1; give numbers"),
        ("two.nir --data nan.npz --float", "data hold NaN or infinity"),
        ("two.nir --data label.npz --float", "labels run from 0 to 4 and the network has 4"),
        ("two.nir --data words.npz --float", "labels are not whole numbers"),
        ("absent.nir --data two.npz --float", "absent.nir: no such file"),
        ("absent.h5 --data two.npz --float", "absent.h5: no such file"),
        (". --data two.npz --float", ".: no such file"),
    ],
)
def test_wrong_runs_get_one_line(folder: Path, capsys, command: str, message: str) -> None:
    assert main(["quantize", "one.nir", "--calibration", "one.npz", "-o", "net.h5"]) == 0
    x = data()
    np.save("left.npy", x["left"])
    np.savez("short.npz", left=x["left"], right=x["right"][:, :7])
    np.savez("text.npz", left=np.full((5, 20, 3), "a"), right=x["right"])
    np.savez("nan.npz", left=np.full((5, 20, 3), np.nan), right=x["right"])
    np.savez("label.npz", y=np.arange(5), **x)
    np.savez("words.npz", y=np.array(list("abcde")), **x)
    assert message in error(capsys, "run", *command.split())


@pytest.mark.parametrize("value", ["0", "-1e-3", "nan", "inf", "soon"])
def test_a_step_that_is_no_time_is_refused(folder: Path, capsys, value: str) -> None:
    for command in (
        ["run", "one.nir", "--float", "--data", "one.npz"],
        ["check", "one.nir"],
        ["quantize", "one.nir", "--calibration", "one.npz", "-o", "net.h5"],
    ):
        with pytest.raises(SystemExit) as stop:
            main([*command, f"--dt={value}"])
        assert stop.value.code == 2
        assert "argument --dt: " in capsys.readouterr().err


# --- several inputs and outputs, as integers --------------------------------------------------


def test_several_inputs_and_outputs_as_integers(folder: Path, capsys) -> None:
    command = ("quantize", "two.nir", "--calibration", "two.npz", "-o", "net.h5")
    answer(capsys, *command)
    net = snn2hw.quantize(two_by_two(), calibration=data())
    want = net.run(data(), record=("v",))
    for source in ("two.npz", "two.h5"):
        run = ("run", "net.h5", "--data", source, "--record", "v", "-o", "out.npz")
        said = answer(capsys, *run)
        assert said["predictions"] == want.predictions.tolist()
        assert (said["accuracy"] is None) == (source == "two.h5")
        with np.load("out.npz") as out:
            assert {"output/spikes", "output/values", "spikes/a", "state/a/v"} <= set(out)
            for name, values in want.outputs.items():
                np.testing.assert_array_equal(out[f"output/{name}"], values)
            for name, states in want.state.items():
                np.testing.assert_array_equal(out[f"state/{name}/v"], states["v"])
    outputs = answer(capsys, "info", "net.h5")["tables"]["Outputs"]
    assert [(o["name"], o["layer"], o["port"]) for o in outputs] == [
        ("spikes", "b", "s"),
        ("values", "sums", "y"),
    ]


def test_subtraction_reaches_the_integers(folder: Path, capsys) -> None:
    for reset, model in (("value", "lif"), ("subtract", "lif_reset")):
        command = ("quantize", "one.nir", "--calibration", "one.npz", "-o", "net.h5")
        answer(capsys, *command, "--reset", reset)
        assert snn2hw.load("net.h5").layer("lif").model.name == model


def test_loihi1_refuses_graded_data(folder: Path, capsys) -> None:
    np.save("graded.npy", np.full((2, 20, 3), 0.5))
    np.save("counts.npy", np.full((2, 20, 3), 3))
    for name in ("graded.npy", "counts.npy"):
        command = ("quantize", "one.nir", "--calibration", name, "-o", "net.h5")
        message = error(capsys, *command, "--target", "loihi1")
        assert "input 'input' has messages of" in message
        assert "encode the data as spikes" in message
        assert not Path("net.h5").exists()
        assert main([*command, "--target", "loihi2"]) == 0
        Path("net.h5").unlink()
    nodes = {"input": given(3), "li": li(3), "output": taken(3)}
    snn2hw.write("li.nir", graph(nodes, "input li output"))
    command = ("quantize", "li.nir", "--calibration", "one.npz", "-o", "net.h5")
    assert "loihi1 has no neuron 'integrator'" in error(capsys, *command, "--target", "loihi1")


# --- warnings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "check old.nir",
        "info old.nir",
        "run old.nir --float --data one.npz",
        "quantize old.nir --calibration one.npz -o net.h5",
    ],
)
def test_a_repair_is_one_line_of_warning(folder: Path, capsys, command: str) -> None:
    Path("one.nir").rename("old.nir")
    with h5py.File("old.nir", "r+") as file:
        del file["node/nodes/lif/v_reset"]
    assert main(command.split()) == 0
    (line,) = (t for t in capsys.readouterr().err.splitlines() if not t.startswith("wrote "))
    assert line.startswith(f"snn2hw {command.split()[0]}: warning: old.nir")
    assert line.endswith("v_reset is missing; taken as 0")
