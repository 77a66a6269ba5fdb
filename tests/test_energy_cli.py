"""``snn2hw energy``: bills of a run and of an activity file, with placements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import random_network

from snn2hw.cli import main
from snn2hw.energy import estimate, profile_names
from snn2hw.targets.place import place


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """net.h5 and x.npy, of LIF neurons, in the current folder."""
    monkeypatch.chdir(tmp_path)
    net, x = random_network(np.random.default_rng(4), "lif", steps=15, batch=4)
    net.save("net.h5")
    np.save("x.npy", x)
    return tmp_path


def bills(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["energy", "net.h5", "--json", *arguments]) == 0
    return {bill["profile"]: bill for bill in json.loads(capsys.readouterr().out)}


def test_an_activity_file_gives_the_same_bills(folder: Path, capsys: Any) -> None:
    ran = bills(capsys, "--data", "x.npy", "--save-activity", "a.json")
    assert ran.keys() == set(profile_names())
    assert bills(capsys, "--activity", "a.json") == ran
    assert all(bill["total_j"] > 0 for bill in ran.values())
    assert ran["spinnaker2"]["placed"]
    assert ran["spinnaker2"]["latency"]["step_s"] > 0
    assert ran["loihi1-sanafe2025"]["low_j"] < ran["loihi1-sanafe2025"]["high_j"]


def test_a_target_adds_hops_and_latency(folder: Path, capsys: Any) -> None:
    davies = ("--profile", "loihi1-davies2018")
    without = bills(capsys, "--data", "x.npy", *davies)["loihi1-davies2018"]
    placed = bills(capsys, "--data", "x.npy", "--target", "loihi1", *davies)["loihi1-davies2018"]
    assert not without["placed"]
    assert without["latency"] is None
    assert placed["placed"]
    assert placed["latency"]["step_s"] >= 113e-9
    net, x = random_network(np.random.default_rng(4), "lif", steps=15, batch=4)
    run = net.run(x, threads=1)
    bill = estimate(run, "loihi1-davies2018", net, place(net, "loihi1", run=run))
    assert placed["total_j"] == pytest.approx(bill.total_j)


def test_text_says_range_latency_and_what_has_no_price(folder: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["energy", "net.h5", "--data", "x.npy", "--target", "loihi1"]) == 0
    text = capsys.readouterr().out
    assert "as sources differ" in text
    assert "us a step" in text
    assert "barrier: grade S, Davies et al. 2018" in text
    net, x = random_network(np.random.default_rng(4), "gpn", steps=5, batch=1)
    net.save("net.h5")
    np.save("x.npy", x)
    assert main(["energy", "net.h5", "--data", "x.npy", "--profile", "loihi1-davies2018"]) == 0
    text = capsys.readouterr().out
    assert "no total" in text
    assert "readout, integrator only, not for gpn" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--activity", "a.json"], "the activity is of another network; name the network that ran"),
        (["--activity", "none.json"], "cannot read activity none.json"),
        (["--activity", "x.npy"], "not JSON"),
        (["--activity", "a.json", "--samples", "1"], "leave --samples and --save-activity out"),
        (["--data", "x.npy", "--save-activity", "no/a.json"], "cannot write no/a.json"),
        (["--data", "x.npy", "--profile", "none.json"], "cannot read energy profile none.json"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: Any, arguments: list[str], message: str
) -> None:
    other, y = random_network(np.random.default_rng(5), "lif", steps=5, batch=1)
    other.save("other.h5")
    np.save("y.npy", y)
    assert main(["energy", "other.h5", "--data", "y.npy", "--save-activity", "a.json"]) == 0
    capsys.readouterr()
    assert main(["energy", "net.h5", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_data_or_activity_but_one(folder: Path, capsys: Any) -> None:
    for arguments in ([], ["--data", "x.npy", "--activity", "a.json"]):
        with pytest.raises(SystemExit) as stop:
            main(["energy", "net.h5", *arguments])
        assert stop.value.code == 2
