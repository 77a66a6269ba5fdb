"""``snn2hw learn``: learn, be killed, go on, hand the adapted network on; and what it refuses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from eprop_networks import graph, random_network

import snn2hw
from snn2hw.cli import main
from snn2hw.converters.nodes import ALIF

N_IN, N, N_OUT, STEPS = 5, 7, 3, 12
OUTPUT, CHECKPOINT = "adapted.nir", "adapted.nir.checkpoint.h5"
COMMAND = ["learn", "model.nir", "--data", "data.npz", "-o", OUTPUT]


def samples(count: int, seed: int) -> dict[str, np.ndarray]:
    """Three classes that a network can tell apart: each drives its own inputs."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, N_OUT, count)
    drive = np.random.default_rng(0).normal(0, 1, (N_OUT, N_IN))
    return {"x": rng.normal(0.3, 0.5, (count, STEPS, N_IN)) + drive[y][:, None], "y": y}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a graph of each neuron, and data."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, kind, bellec in (
        ("model.nir", "alif", True), ("rostami.nir", "alif", False), ("lif.nir", "lif", True),
        ("gpn.nir", "gpn", True),
    ):  # fmt: skip
        snn2hw.write(name, graph(random_network(rng, kind, N_IN, N, N_OUT, bellec=bellec)))
    np.savez("data.npz", **samples(60, 1))
    np.savez("validation.npz", **samples(30, 2))
    return tmp_path


def learned(capsys: Any, *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*COMMAND, "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


# --- what it does --------------------------------------------------------------------------------


def test_learns_and_says_how_well(folder: Path, capsys: Any) -> None:
    more = ("--validation", "validation.npz", "--epochs", "4", "--set", "learning_rate=0.02")
    answer = learned(capsys, *more)
    assert [row["epoch"] for row in answer["epochs"]] == [1, 2, 3, 4]
    assert answer["samples"] == 240
    assert answer["rule"]["learning_rate"] == 0.02
    # The classes are easy; an untrained network does not know them.
    assert answer["validation_before"] < 0.7
    assert answer["validation_after"] > 0.9
    assert answer["validation_after"] == answer["epochs"][-1]["validation"]
    assert answer["epochs"][-1]["loss"] < 0.5 * answer["epochs"][0]["loss"]
    assert answer["last"]["accuracy"] > answer["first"]["accuracy"]
    assert answer["placement"]["ok"]
    assert sum(answer["placement"]["bytes"].values()) == sum(
        sum(core["bytes"].values()) for core in answer["placement"]["cores"]
    )
    assert not Path(CHECKPOINT).exists()
    first = Path(OUTPUT).read_bytes()
    capsys.readouterr()
    assert main([*COMMAND, *more, "--pes", "3"]) == 0
    told = capsys.readouterr()
    assert Path(OUTPUT).read_bytes() == first
    for words in ("validation", "before", "judged before it was learned", "bytes on 3 of 148 PEs"):
        assert words in told.out
    assert f"wrote {OUTPUT}" in told.err


def test_equals_python(folder: Path) -> None:
    from snn2hw.targets.spinnaker2.eprop import Learner, Rule

    assert main([*COMMAND, "--in-order", "--set", "seed=3", "--set", "arithmetic=s16.15"]) == 0
    learner = Learner(snn2hw.read("model.nir"), Rule(seed=3, arithmetic="s16.15"))
    with np.load("data.npz") as data:
        learner.learn(data["x"], data["y"])
    snn2hw.write("python.nir", learner.graph())
    assert Path("python.nir").read_bytes() == Path(OUTPUT).read_bytes()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("model.nir", {"trace": "exact", "surrogate": "triangle", "error": "step"}),
        ("rostami.nir", {"trace": "current", "surrogate": "multi_gaussian", "error": "sample"}),
        ("lif.nir", {"trace": "exact", "surrogate": "triangle", "error": "step"}),
        ("gpn.nir", {"trace": "exact", "surrogate": "atan", "error": "step"}),
    ],
)
def test_the_rule_goes_with_the_neuron(
    folder: Path, capsys: Any, model: str, told: dict[str, str]
) -> None:
    Path(model).replace("model.nir")
    rule = learned(capsys)["rule"]
    assert {name: rule[name] for name in told} == told


def test_only_weights_change(folder: Path) -> None:
    assert main(COMMAND) == 0
    before, after = {}, {}
    for path, found in (("model.nir", before), (OUTPUT, after)):
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item, found=found: (
                    found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
    assert before.keys() == after.keys()
    changed = {k for k in before if not np.array_equal(before[k], after[k])}
    assert {name.split("/")[2] for name in changed} == {"fc", "rec", "out"}
    assert {name.split("/")[-1] for name in changed} == {"weight", "bias"}
    assert type(snn2hw.read(OUTPUT).nodes["hidden"]) is ALIF


def test_the_time_step_is_the_neurons_own(folder: Path, capsys: Any) -> None:
    network = random_network(np.random.default_rng(0), "alif", N_IN, N, N_OUT)
    snn2hw.write("model.nir", graph(network, dt=0.01))
    assert main(COMMAND) == 0
    assert "a step of 10 ms holds" in capsys.readouterr().out
    refused(capsys, [*COMMAND, "--dt", "0.001"], "dt = 0.01")
    Path("lif.nir").replace("model.nir")
    assert learned(capsys)["placement"]["timing"][0]["dt_s"] == 1e-3
    assert learned(capsys, "--dt", "0.002")["placement"]["timing"][0]["dt_s"] == 2e-3


@pytest.mark.parametrize("model", ["model.nir", "lif.nir", "gpn.nir"])
def test_the_adapted_network_goes_on_to_loihi(folder: Path, capsys: Any, model: str) -> None:
    Path(model).replace("model.nir")
    more = ("--epochs", "4", "--set", "learning_rate=0.02", "--validation", "validation.npz")
    floats = learned(capsys, *more)["validation_after"]
    assert main(["quantize", OUTPUT, "--calibration", "data.npz", "-o", "net.h5"]) == 0
    capsys.readouterr()
    assert main(["run", "net.h5", "--data", "validation.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(floats, abs=0.15)


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
@pytest.mark.parametrize("model", ["model.nir", "lif.nir", "gpn.nir"])
def test_the_adapted_network_is_exact_on_lava(folder: Path, model: str) -> None:
    Path(model).replace("model.nir")
    assert main(COMMAND) == 0
    assert main(["quantize", OUTPUT, "--calibration", "data.npz", "-o", "net.h5"]) == 0
    assert main(["verify", "net.h5", "--data", "validation.npz", "--samples", "2"]) == 0


def test_the_published_size_goes_on_to_loihi(folder: Path, capsys: Any) -> None:
    rng = np.random.default_rng(1)
    network = random_network(rng, "alif", 80, 120, 12, bellec=False, biases=False)
    for values in network.neuron.values():
        values[:] = values[0]  # as published, and so held once
    snn2hw.write("model.nir", graph(network))
    y = rng.integers(0, 12, 24)
    np.savez("data.npz", x=rng.normal(0.3, 1, (24, 30, 80)) + 2 * np.eye(12, 80)[y][:, None], y=y)
    answer = learned(capsys)
    assert sum(answer["placement"]["bytes"].values()) <= 680_000
    assert main(["quantize", OUTPUT, "--calibration", "data.npz", "-o", "net.h5"]) == 0
    assert main(["run", "net.h5", "--data", "data.npz", "--samples", "2"]) == 0


def test_a_named_checkpoint_is_kept_and_more_epochs_go_on(folder: Path, capsys: Any) -> None:
    named = ("--checkpoint", "c.h5")
    learned(capsys, *named)
    capsys.readouterr()
    assert main([*COMMAND, *named, "--epochs", "2"]) == 0
    assert "c.h5: going on after 60 of 120 samples" in capsys.readouterr().err
    two = Path(OUTPUT).read_bytes()
    assert main([*COMMAND, "--epochs", "2"]) == 0
    assert Path(OUTPUT).read_bytes() == two


# --- killed and interrupted ----------------------------------------------------------------------


def start(*more: str) -> subprocess.Popen[str]:
    program = "import sys; from snn2hw.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *COMMAND, *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str], than: int = 0) -> int:
    """Until the file is there, and another than one of that inode; its inode."""
    limit = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < limit:
        if path.exists() and path.stat().st_ino != than:
            return path.stat().st_ino
        time.sleep(0.001)
    return than


LONG = ("--epochs", "40", "--every", "7", "--validation", "validation.npz")


def test_killed_again_and_again_it_ends_alike(folder: Path) -> None:
    assert main([*COMMAND, *LONG]) == 0
    whole = Path(OUTPUT).read_bytes()
    Path(OUTPUT).unlink()
    draw, place, resumed, killed = random.Random(0), Path(CHECKPOINT), 0, 0
    for _ in range(4):
        process = start(*LONG)
        seen = place.stat().st_ino if place.exists() else 0
        wait_for(place, process, seen)
        time.sleep(draw.uniform(0, 0.03))
        process.kill()
        resumed += "going on after" in process.communicate()[1]
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 2
    assert not Path(OUTPUT).exists() or killed < 4
    assert resumed >= 1
    assert main([*COMMAND, *LONG]) == 0
    assert Path(OUTPUT).read_bytes() == whole
    assert not place.exists()
    assert not list(folder.glob(f".{CHECKPOINT}.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on(folder: Path, number: signal.Signals) -> None:
    more = ("--epochs", "400", "--every", "7")
    process = start(*more)
    wait_for(Path(CHECKPOINT), process)
    process.send_signal(number)
    told = process.communicate()[1]
    assert process.returncode == 128 + number
    assert "give the same command again to go on" in told
    assert "Traceback" not in told
    assert not Path(OUTPUT).exists()
    with h5py.File(CHECKPOINT) as file:
        position = len(file["session/loss"])
    assert f"interrupted after {position} of 24000 samples" in told


def test_half_a_checkpoint_of_a_killed_run_is_cleared_away(folder: Path) -> None:
    ahead = time.time() + 1000
    old, others = (folder / f".{CHECKPOINT}.{name}.part" for name in ("old", "others"))
    for part, made in ((old, 0.0), (others, ahead)):
        part.write_bytes(b"half")
        os.utime(part, (made, made))
    assert main(COMMAND) == 0
    assert not old.exists()
    assert others.exists()


def test_restart_begins_anew(folder: Path, capsys: Any) -> None:
    named = ("--checkpoint", "c.h5")
    learned(capsys, *named, "--set", "seed=1")
    assert main([*COMMAND, *named]) == 2
    assert "seed 1, not 0" in capsys.readouterr().err
    assert main([*COMMAND, *named, "--restart"]) == 0
    assert "going on" not in capsys.readouterr().err


# --- what it refuses -----------------------------------------------------------------------------


def other(**changes: Any) -> None:
    """Data that differ from what goes with the network."""
    found: dict[str, Any] = {**samples(60, 1), **changes}
    np.savez("bad.npz", **{name: values for name, values in found.items() if values is not None})


def high() -> None:
    other(y=np.arange(60) % 4)


def negative() -> None:
    other(y=np.arange(60) % 4 - 1)


def nan() -> None:
    x = samples(60, 1)["x"]
    x[17, 3, 2] = np.nan
    other(x=x)


def wide() -> None:
    other(x=np.zeros((60, STEPS, N_IN + 1)))


def flat() -> None:
    other(x=np.zeros(60))


def unlabelled() -> None:
    other(y=None)


def few_labels() -> None:
    other(y=np.zeros(59, dtype=int))


def fractions() -> None:
    other(y=np.full(60, 0.5))


def none() -> None:
    other(x=np.zeros((0, STEPS, N_IN)), y=np.zeros(0, dtype=int))


def empty() -> None:
    Path("bad.npz").write_bytes(b"")


def words() -> None:
    other(x=np.full((60, STEPS, N_IN), "a"))


BAD_DATA = [
    (high, "labels run from 0 to 3"), (negative, "labels run from -1"), (nan, "NaN"),
    (wide, f"takes (batch, time, {N_IN})"), (flat, "give (batch, time, channels)"),
    (unlabelled, "no labels in the file"), (few_labels, "give one each"),
    (fractions, "whole numbers"), (none, "give (batch, time, channels)"),
    (empty, "truncated or foreign"), (words, "give numbers"),
]  # fmt: skip


def refused(capsys: Any, command: list[str], *told: str) -> None:
    """Exit status 2, one line with these words, output as it was."""
    Path(OUTPUT).write_bytes(b"as it was")
    capsys.readouterr()
    assert main(command) == 2
    error = capsys.readouterr().err
    before, mark, line = error.rpartition("snn2hw learn: error: ")
    assert mark
    assert line.count("\n") == 1
    # Learning that diverges has begun; all else is refused before that.
    assert before == "" or "diverged" in line
    for text in told:
        assert text in line
    assert Path(OUTPUT).read_bytes() == b"as it was"


@pytest.mark.parametrize(("make", "told"), BAD_DATA)
@pytest.mark.parametrize("option", ["--data", "--validation"])
def test_bad_data(folder: Path, capsys: Any, make: Any, told: str, option: str) -> None:
    make()
    refused(capsys, [*COMMAND, option, "bad.npz"], told, "bad.npz")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--set", "speed=1"], "the rule has trace, surrogate"),
        (["--set", "trace"], "give NAME=VALUE"),
        (["--set", "trace=fast"], "give one of exact, current"),
        (["--set", "learning_rate=quick"], "not a number"),
        (["--set", "learning_rate=nan"], "give a number from 0"),
        (["--set", "learning_rate=-1"], "give a number from 0"),
        (["--set", "seed=1.5"], "not a whole number"),
        (["--set", f"seed={2**64}"], "below 2**63"),
        (["--set", "beta1=1"], "give less than 1"),
        (["--set", "update=step", "--set", "error=sample"], "change one of them"),
        (["--set", "learning_rate=1e38", "--set", "optimizer=sgd"], "lower learning_rate"),
        (["--data", "none.npz"], "no such file"),
        (["--checkpoint", "nowhere/c.h5"], "cannot write nowhere/c.h5"),
        (["--checkpoint", OUTPUT], "named for two outputs"),
        (["--report", "nowhere/r.html"], "cannot write nowhere/r.html"),
        (["--report", "."], "it is a folder"),
        (["--report", "data.npz"], "also read"),
    ],
)
def test_bad_options(folder: Path, capsys: Any, more: list[str], told: str) -> None:
    refused(capsys, [*COMMAND, *more], told)


@pytest.mark.parametrize("model", ["gpn.nir", "lif.nir"])
@pytest.mark.parametrize("more", [["--set", "trace=current"], ["--variant", "rostami"]])
def test_rules_that_do_not_go_with_the_neuron(
    folder: Path, capsys: Any, model: str, more: list[str]
) -> None:
    Path(model).replace("model.nir")
    refused(capsys, [*COMMAND, *more], "is one of ALIF neurons", "use trace 'exact'")


def test_outputs_that_cannot_be(folder: Path, capsys: Any) -> None:
    for output, told in (("no/a.nir", "cannot write no/a.nir"), (".", "it is a folder"),
                         ("model.nir", "also read"), ("data.npz", "also read")):  # fmt: skip
        refused(capsys, ["learn", "model.nir", "--data", "data.npz", "-o", output], told)


def test_a_graph_of_another_form(folder: Path, capsys: Any) -> None:
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    nodes = {**ends, "fc": nir.Linear(np.eye(3))}
    snn2hw.write("model.nir", nir.NIRGraph(nodes, [("input", "fc"), ("fc", "output")]))
    refused(capsys, COMMAND, "0 layers of neurons")


def test_checkpoints_of_another_run(folder: Path, capsys: Any) -> None:
    learned(capsys, "--checkpoint", "c.h5")
    command = [*COMMAND, "--checkpoint", "c.h5"]
    remedy = "give --restart to begin anew, or --checkpoint to name another file"
    refused(capsys, [*command, "--shuffle-seed", "1"], "its order is", remedy)
    refused(capsys, [*command, "--set", "l2=0.5"], "l2 0.0, not 0.5", remedy)
    refused(capsys, [*command, "--validation", "validation.npz"], "other validation data", remedy)
    refused(capsys, [*command, "--data", "validation.npz"], "other data", remedy)
    snn2hw.write("model.nir", graph(random_network(np.random.default_rng(9), "alif", N_IN, N)))
    refused(capsys, command, "another network", remedy)
    Path("c.h5").write_bytes(b"something else")
    refused(capsys, command, "c.h5", "begin anew")


def test_a_network_that_does_not_fit(folder: Path, capsys: Any) -> None:
    network = random_network(np.random.default_rng(0), "alif", 60, 80, N_OUT)
    snn2hw.write("model.nir", graph(network))
    np.savez("data.npz", x=np.zeros((3, 4, 60)), y=np.zeros(3, dtype=int))
    assert main([*COMMAND, "--pes", "1"]) == 1
    told = capsys.readouterr().err
    assert "bytes" in told
    assert "does not fit on spinnaker2; nothing was learned" in told
    assert not Path(OUTPUT).exists()
    assert main([*COMMAND]) == 0
