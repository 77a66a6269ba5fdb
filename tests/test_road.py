"""The whole road on real speech: the demo and the digits, as a user runs them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import snn2hw
from snn2hw.cli import main
from snn2hw.cli.road import walk
from snn2hw.data import arabic_speech_commands, japanese_vowels
from snn2hw.demo_models import build_japanese_vowels
from snn2hw.errors import DataError, MissingDependencyError
from snn2hw.targets.verify import Check, Mismatch

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parent.parent / "examples"
ROW = re.compile(r"^(\w+) +([\d.]+)% +([\d.]+)% .* (0 of [\d,]+|not verified)$", re.MULTILINE)


@pytest.mark.lava
def test_demo_on_japanese_vowels(lava, tmp_path: Path, capsys) -> None:
    assert main(["demo", "-o", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    rows = {name: rest for name, *rest in ROW.findall(text)}
    assert set(rows) == {"lif", "gpn"}
    test = japanese_vowels.load_spikes("test")
    for name, (floats, fixed, compared) in rows.items():
        assert float(floats) > 90
        assert float(floats) - float(fixed) <= 1.0
        # 20 utterances of 29 steps: u, v, s or v, m, s of 48 neurons, and 9 outputs
        assert compared == f"0 of {20 * 29 * (48 * 3 + 9):,}"
        net = snn2hw.load(tmp_path / f"{name}.h5")
        right = np.mean(net.run(test.x).predictions == test.y)
        assert f"{right:.2%}" == f"{fixed}%"
        assert snn2hw.read(tmp_path / f"{name}.nir").nodes
    page = tmp_path / "report.html"
    assert f"report: {page}" in text
    assert page.stat().st_size < 5_000_000


def test_demo_without_lava_says_so_loudly_at_its_end(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("SNN2HW_LAVA_PYTHON", str(tmp_path / "no-such-python"))
    monkeypatch.setattr(
        "snn2hw.demo_models.train_japanese_vowels",
        lambda neuron, data, seed: build_japanese_vowels(neuron, seed).eval(),
    )
    assert main(["demo", "-o", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("not verified") == 2
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("*** NOT VERIFIED: gpn was not compared with Lava: ")
    assert "SNN2HW_LAVA_PYTHON" in last
    assert "not verified" in (tmp_path / "out" / "report.html").read_text("utf-8").lower()


def test_a_mismatch_is_said_and_fails(tmp_path: Path, capsys, monkeypatch) -> None:
    first = Mismatch(3, "lif", "v", 7, 5, 100, 101)

    def broken(net: object, x: object, **named: object) -> Check:
        return Check("Lava (mutant)", 1000, 1, first, (), 0.1)

    monkeypatch.setattr("snn2hw.targets.verify.verify", broken)
    monkeypatch.setattr(
        "snn2hw.demo_models.train_japanese_vowels",
        lambda neuron, data, seed: build_japanese_vowels(neuron, seed).eval(),
    )
    assert main(["demo", "-o", str(tmp_path)]) == 1
    assert "*** MISMATCH: lif differs from Lava, first at sample 3, step 7" in (
        capsys.readouterr().err
    )
    np.save(tmp_path / "x.npy", japanese_vowels.load_spikes("test").x[:2])
    command = ["verify", str(tmp_path / "lif.h5"), "--data", str(tmp_path / "x.npy")]
    assert main(command) == 1
    assert "1 mismatches" in capsys.readouterr().out
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["first_mismatch"]["step"] == 7


@pytest.fixture(scope="module")
def digits() -> dict[str, object]:
    try:
        return {split: arabic_speech_commands.load_digits(split) for split in ("train", "test")}
    except (DataError, MissingDependencyError) as error:
        pytest.skip(str(error))


@pytest.mark.lava
def test_digits(lava, digits, tmp_path: Path) -> None:
    from snn2hw.nn import load_checkpoint

    journeys = {}
    for neuron in ("gpn", "lif"):
        model = load_checkpoint(EXAMPLES / "checkpoints" / f"speech_commands_{neuron}.pt")
        journeys[neuron] = walk(neuron, model, digits["train"], digits["test"], tmp_path, 4)
    for journey in journeys.values():
        assert journey.accuracy_float - journey.accuracy_fixed <= 0.01
        assert journey.check is not None
        assert journey.check.ok
        assert (journey.net.input.bits, journey.net.input.signed) == (8, True)
    assert journeys["gpn"].accuracy_float >= 0.91
    assert journeys["gpn"].accuracy_float > journeys["lif"].accuracy_float


def test_the_example_says_what_is_missing(tmp_path: Path, monkeypatch, capsys) -> None:
    pytest.importorskip("librosa", reason="log-mel features need the [audio] extra")
    monkeypatch.setenv("SNN2HW_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import speech_commands as example

    monkeypatch.setattr(sys, "argv", ["speech_commands.py", "-o", str(tmp_path / "out")])
    assert example.main() == 2
    assert "speech_commands: error: arabic_speech_commands: looked for" in capsys.readouterr().err
