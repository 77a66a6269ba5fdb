"""snn2hw widths: table, file, picture, plan, and errors of one line."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from test_compare_widths import LABELS, data, graph

import snn2hw
from snn2hw.cli import main
from snn2hw.passes.config import QuantizeConfig

COMMAND = ["widths", "model.nir", "--calibration", "c.npy", "--validation", "v.npz"]
SHORT = [*COMMAND, "-o", "w.json", "--bits", "2-4", "--ranges"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph, calibration data, and labelled validation data."""
    monkeypatch.chdir(tmp_path)
    snn2hw.write("model.nir", graph())
    np.save("c.npy", data())
    np.savez("v.npz", x=data(1), y=LABELS)
    return tmp_path


def test_table_file_picture_and_plan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--plot", "w.svg", "--plan", "plan.yaml", "--loss", "0.2"]) == 0
    text = capsys.readouterr().out
    found = json.loads(Path("w.json").read_text())
    best = [p for p in found["points"] if p["front"]]
    assert found["complete"]
    assert "9 of 9 networks looked at (exhaustive); accuracy in floats" in text
    for point in best:
        name = " ".join(f"{layer}:{bits}" for layer, bits in point["bits"].items())
        assert f"{name}  " in text
    scores = [p["score"] for p in found["points"]]
    fine = [p for p in found["points"] if p["score"] >= max(scores) - 0.2]
    least = min(p["memory_bytes"] for p in fine)
    assert f"{least:,} bytes" in text.splitlines()[-1]

    plan = QuantizeConfig.from_yaml("plan.yaml")
    net = snn2hw.quantize(graph(), dt=1e-3, calibration=data(), config=plan)
    chosen = next(p for p in fine if p["memory_bytes"] == least)
    run = net.run(data(1))
    assert np.mean(run.predictions == LABELS) == chosen["score"]


def test_picture_shows_every_point_twice(folder: Path) -> None:
    assert main([*SHORT, "--plot", "w.svg"]) == 0
    tree = ElementTree.parse("w.svg")
    circles = tree.findall(".//{http://www.w3.org/2000/svg}circle")
    titles = [circle[0].text or "" for circle in circles]
    points = json.loads(Path("w.json").read_text())["points"]
    assert len(circles) == 2 * len(points)
    for point in points:
        name = ", ".join(f"{layer} {bits}" for layer, bits in point["bits"].items())
        assert sum(f"bits: {name};" in title for title in titles) == 2
    for circle in circles:
        assert 0 <= float(circle.get("cx", "nan")) <= 460
        assert 0 <= float(circle.get("cy", "nan")) <= 340


def test_json_is_the_file_and_a_second_call_runs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SHORT, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(Path("w.json").read_text())
    assert main([*SHORT, "--json"]) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == answer
    assert "w.json: going on from 9 of at most 9 networks" in again.err


def test_restart_begins_anew(folder: Path) -> None:
    assert main(SHORT) == 0
    assert main([*SHORT, "--reset", "subtract"]) == 2
    assert main([*SHORT, "--reset", "subtract", "--restart"]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--bits", "1-8"], "widths 1 to 8 are impossible; give 2 to 8 bits"),
        (["--loss", "2"], "--loss 2.0 is impossible; give 0 to 1"),
        (["--calibration", "absent.npy"], "absent.npy: no such file"),
        (["--validation", "labels.npz"], "labels.npz: labels run from 0 to 7 and the network has"),
        (["-o", "nowhere/w.json"], "cannot write nowhere/w.json"),
        (["-o", "c.npy"], "c.npy is no search of 'snn2hw widths'"),
    ],
)
def test_errors_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    np.savez("labels.npz", x=data(1), y=np.arange(16) % 8)
    assert main([*SHORT, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_widths_that_are_no_range_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*COMMAND, "-o", "w.json", "--bits", "few"])
    assert end.value.code == 2
    assert "'few' is no range of widths; give 2-8, or one width" in capsys.readouterr().err
