"""The command line: answers, files, exit statuses and one-line errors."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.cli import COMMANDS, main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a graph, spikes with labels, and a quantised network."""
    rng = np.random.default_rng(0)
    n = 12
    lif = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.1}
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "fc": nir.Affine(rng.normal(0, 1, (n, 6)), np.zeros(n)),
        "lif": nir.LIF(**{key: np.full(n, value) for key, value in lif.items()}),
        "readout": nir.Affine(rng.normal(0, 1, (3, n)), np.zeros(3)),
        "output": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    edges = [(a, b) for a, b in itertools.pairwise(names)]
    monkeypatch.chdir(tmp_path)
    snn2hw.write("model.nir", nir.NIRGraph(nodes, edges))
    x = (rng.random((9, 25, 6)) < 0.3).astype(np.uint8)
    np.savez("data.npz", x=x, y=np.arange(9) % 3)
    assert main(["quantize", "model.nir", "--calibration", "data.npz", "-o", "net.h5"]) == 0
    return tmp_path


def test_quantize_says_what_was_rounded(folder: Path, capsys) -> None:
    capsys.readouterr()
    command = ["quantize", "model.nir", "--calibration", "data.npz", "-o", "b.h5", "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["latency"] == 2
    assert any("weights of input->lif: 8 bits" in note for note in answer["notes"])


@pytest.mark.parametrize(("file", "kind"), [("model.nir", "NIR graph"), ("net.h5", "fixed-point")])
def test_info(folder: Path, capsys, file: str, kind: str) -> None:
    capsys.readouterr()
    assert main(["info", file]) == 0
    text = capsys.readouterr().out
    assert kind in text
    assert "lif" in text
    assert main(["info", file, "--json"]) == 0
    assert kind in json.loads(capsys.readouterr().out)["kind"]


def test_run_equals_python(folder: Path, capsys) -> None:
    capsys.readouterr()
    command = ["run", "net.h5", "--data", "data.npz", "--record", "v", "-o", "out.npz", "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    with np.load("data.npz") as data:
        x, y = data["x"], data["y"]
    run = snn2hw.load("net.h5").run(x, record=("v",))
    assert answer["predictions"] == run.predictions.tolist()
    assert answer["accuracy"] == pytest.approx(float(np.mean(run.predictions == y)))
    assert answer["synaptic_operations"] == run.activity.synops
    with np.load("out.npz") as out:
        np.testing.assert_array_equal(out["output"], run.output)
        np.testing.assert_array_equal(out["spikes/lif"], run.spikes["lif"])
        np.testing.assert_array_equal(out["state/lif/v"], run.state["lif"]["v"])


def test_run_in_chip_time_is_longer_by_the_latency(folder: Path) -> None:
    assert main(["run", "net.h5", "--data", "data.npz", "-o", "out.npz", "--raw"]) == 0
    with np.load("out.npz") as out:
        assert out["output"].shape == (9, 25 + 2, 3)


def test_energy_names_sources_and_grades(folder: Path, capsys) -> None:
    capsys.readouterr()
    assert main(["energy", "net.h5", "--data", "data.npz", "--profile", "loihi1-davies2018"]) == 0
    text = capsys.readouterr().out
    assert "Davies" in text
    assert "grade S" in text
    assert main(["energy", "net.h5", "--data", "data.npz", "--json"]) == 0
    names = {bill["profile"] for bill in json.loads(capsys.readouterr().out)}
    assert {"loihi1-davies2018", "cmos45-horowitz2014"} <= names


def test_report_is_written(folder: Path) -> None:
    assert main(["report", "net.h5", "--data", "data.npz", "-o", "report.html"]) == 0
    assert "<html" in Path("report.html").read_text(encoding="utf-8")


def test_real_valued_networks_scale_data_of_any_type(folder: Path, capsys) -> None:
    x = np.random.default_rng(0).integers(-3, 4, (4, 25, 6))
    np.save("whole.npy", x)
    np.save("real.npy", x.astype(np.float64))
    assert main(["quantize", "model.nir", "--calibration", "whole.npy", "-o", "s.h5"]) == 0
    answers = []
    for name in ("whole.npy", "real.npy"):
        capsys.readouterr()
        assert main(["run", "s.h5", "--data", name, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert answers[0]["spikes"]["lif"] > 0


@pytest.mark.parametrize("bad", [["report", "--verify", "-1"], ["verify", "--timeout", "nan"]])
def test_bad_numbers_are_refused_by_the_parser(capsys, bad: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([bad[0], "net.h5", "--data", "x.npy", *(["-o", "r"] * (bad[0] == "report")), *bad[1:]])
    assert stop.value.code == 2
    assert "give" in capsys.readouterr().err


def test_every_command_has_help(capsys) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0
        assert len(capsys.readouterr().out) > 100


BAD = [
    (["info", "absent.nir"], "absent.nir: no such file"),
    (["run", "absent.h5", "--data", "data.npz"], "absent.h5: no such file"),
    (["run", "net.h5", "--data", "absent.npy"], "absent.npy: no such file"),
    (["run", "model.nir", "--data", "data.npz"], "model.nir: not a network of snn2hw"),
    (["run", "net.h5", "--data", "wide.npy"], "data have shape (2, 5, 7); the network takes"),
    (["run", "net.h5", "--data", "negative.npy"], "spike counts cannot be negative"),
    (["run", "net.h5", "--data", "fraction.npy"], "data hold fractions"),
    (["run", "net.h5", "--data", "data.npz", "--record", "w"], "no layer has a state 'w'"),
    (["run", "net.h5", "--data", "data.npz", "--samples", "0"], "--samples 0 leaves no sample"),
    (["run", "net.h5", "--data", "data.npz", "-o", "no/out.npz"], "cannot write no/out.npz"),
    (["energy", "net.h5", "--data", "data.npz", "--profile", "free"], "free"),
    (
        ["quantize", "model.nir", "--calibration", "data.npz", "-o", "b.h5", "--dt", "0.02"],
        "node 'lif': tau = 0.005 s is not above dt/2",
    ),
    (["quantize", "net.h5", "--calibration", "data.npz", "-o", "b.h5"], "not a NIR graph"),
    (["quantize", "model.nir", "--calibration", "data.npz", "-o", "adir"], "cannot write adir"),
    (["report", "net.h5", "--data", "data.npz", "-o", "no/r.html"], "cannot write no/r.html"),
    (["demo", "-o", "data.npz"], "cannot make the folder data.npz"),
    (["info", "half.h5"], "half.h5: truncated or damaged"),
    (["info", "half.nir"], "half.nir: not a whole HDF5 file"),
    (["run", "net.h5", "--data", "half.npz"], "half.npz: truncated or foreign"),
    (["run", "net.h5", "--data", "nothing.npy"], "an array of shape (0, 0)"),
    (["run", "net.h5", "--data", "labels.npz"], "labels run from 0 to 3 and the network has 3"),
    (["run", "net.h5", "--data", "nan-labels.npz"], "labels are not whole numbers"),
]


@pytest.mark.parametrize(("command", "message"), BAD)
def test_bad_input_gets_one_line_and_status_2(folder: Path, capsys, command, message) -> None:
    np.save("wide.npy", np.zeros((2, 5, 7)))
    np.save("negative.npy", np.full((2, 5, 6), -1))
    np.save("fraction.npy", np.full((2, 5, 6), 0.5))
    np.save("nothing.npy", np.zeros((0, 0)))
    np.savez("labels.npz", x=np.zeros((4, 5, 6)), y=np.arange(4))
    np.savez("nan-labels.npz", x=np.zeros((2, 5, 6)), y=np.array([0, np.nan]))
    (folder / "adir").mkdir()
    for name in ("net.h5", "model.nir", "data.npz"):
        whole = Path(name).read_bytes()
        half = {"net.h5": "half.h5", "model.nir": "half.nir", "data.npz": "half.npz"}[name]
        Path(half).write_bytes(whole[: len(whole) // 2])
    before = sorted(p.name for p in folder.iterdir())
    capsys.readouterr()
    assert main(command) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"snn2hw {command[0]}: error: ")
    assert message in captured.err
    assert sorted(p.name for p in folder.iterdir()) == before


def damaged(folder: Path, kind: str) -> None:
    """Write bad.nir: the good graph with one thing wrong."""
    graph = snn2hw.read(folder / "model.nir")
    nodes, edges = dict(graph.nodes), list(graph.edges)
    if kind == "truncated":
        whole = (folder / "model.nir").read_bytes()
        (folder / "bad.nir").write_bytes(whole[: len(whole) // 2])
        return
    if kind == "empty":
        nodes, edges = {}, []
    elif kind == "disconnected":
        edges.remove(("fc", "lif"))
    elif kind in ("nan", "inf"):
        nodes["fc"].weight[0, 0] = float(kind)
    nir.write("bad.nir", nir.NIRGraph(nodes, edges, type_check=False))
    if kind == "foreign":
        with h5py.File("bad.nir", "r+") as file:
            del file["node/nodes/lif/type"]
            file["node/nodes/lif/type"] = "HodgkinHuxley"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "bad.nir: not a whole HDF5 file"),
        ("empty", "the graph is empty"),
        ("disconnected", "is not connected"),
        ("nan", "weight of node 'fc' holds NaN or infinity"),
        ("inf", "weight of node 'fc' holds NaN or infinity"),
        ("foreign", "node 'lif' is of type 'HodgkinHuxley', which neither NIR"),
    ],
)
def test_bad_graphs_end_with_status_2(folder: Path, capsys, kind: str, message: str) -> None:
    damaged(folder, kind)
    capsys.readouterr()
    assert main(["quantize", "bad.nir", "--calibration", "data.npz", "-o", "b.h5"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (folder / "b.h5").exists()


def test_no_python_for_lava_ends_with_status_2(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("SNN2HW_LAVA_PYTHON", str(folder / "none"))
    assert main(["verify", "net.h5", "--data", "data.npz"]) == 2
    assert "verify: error:" in (error := capsys.readouterr().err)
    assert "set SNN2HW_LAVA_PYTHON" in error
    assert main(["doctor"]) == 1
    assert "FAIL  Lava environment" in capsys.readouterr().out


@pytest.mark.parametrize(("require", "status"), [("", 0), ("lava", 1)])
def test_tests_without_lava_say_so_loudly_and_fail_in_ci(tmp_path: Path, require, status) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        [*command, "-k", "doctor_finds_lava"],
        env=os.environ | {"SNN2HW_LAVA_PYTHON": str(tmp_path / "none"), "SNN2HW_REQUIRE": require},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == status, done.stdout
    assert ("NOT VERIFIED AGAINST LAVA: 1 tests skipped" in done.stdout) == (status == 0)
    assert ("SNN2HW_REQUIRE=lava, but" in done.stdout) == (status == 1)


@pytest.mark.lava
def test_doctor_finds_lava(lava, capsys) -> None:
    assert main(["doctor", "--json"]) == 0
    assert all(line["ok"] for line in json.loads(capsys.readouterr().out))


@pytest.mark.lava
@pytest.mark.parametrize(
    ("code", "timeout", "message"),
    [
        ("import time; time.sleep(60)", "5", "no answer within 5 s"),
        ("import os; os._exit(3)", "60", "died with status 3"),
    ],
)
def test_a_worker_that_hangs_or_dies_ends_with_status_2(
    lava, folder: Path, capsys, monkeypatch, code: str, timeout: str, message: str
) -> None:
    from snn2hw.targets.lava import runner

    write = runner.write_bundle

    def sabotaged(place: Path) -> None:
        write(place)
        (place / "worker.py").write_text(code, "utf-8")

    monkeypatch.setattr(runner, "write_bundle", sabotaged)
    assert main(["verify", "net.h5", "--data", "data.npz", "--timeout", timeout]) == 2
    assert message in capsys.readouterr().err


def test_the_installed_command_exits_with_the_status(folder: Path) -> None:
    command = [sys.executable, "-c", "from snn2hw.cli import main; raise SystemExit(main())"]
    done = subprocess.run([*command, "info", "absent"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "snn2hw info: error: absent: no such file\n"


def test_importing_snn2hw_imports_neither_torch_nor_numba() -> None:
    code = "import sys, snn2hw; print([m for m in ('torch', 'numba', 'nir') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_what_the_documents_say() -> None:
    functions = ("estimate", "from_nir", "load", "quantize", "read", "to_nir", "verify", "write")
    names = (*functions, "FixedPointNetwork", "Run")
    for name in names:
        assert callable(getattr(snn2hw, name))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        snn2hw.nonsense  # noqa: B018
