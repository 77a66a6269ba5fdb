"""snn2hw compare: its answer as text and JSON, its page, and its errors of one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_compare import CHANNELS, HARMS, LAYERS, SAMPLES, STEPS, damaged, graph, spikes
from test_report_page import Page

import snn2hw
from snn2hw.cli import main
from snn2hw.report import ReportData, Section, render

COMMAND = ["compare", "model.nir", "net.h5", "--data", "data.npz"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A graph, labelled data, and a network whose second LIF layer is damaged."""
    monkeypatch.chdir(tmp_path)
    snn2hw.write("model.nir", graph())
    np.savez("data.npz", x=spikes(), y=np.arange(SAMPLES) % 4)
    net = snn2hw.quantize(graph(), dt=1e-3, calibration=spikes())
    damaged(net, "second", HARMS["shuffled"]).save("net.h5")
    return tmp_path


def test_json_is_the_comparison(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    with np.load("data.npz") as data:
        found = snn2hw.compare(graph(), snn2hw.load("net.h5"), data["x"], data["y"])
    assert answer == json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert answer["culprit"] == "second"
    assert [layer["layer"] for layer in answer["layers"]] == list(LAYERS)


def test_text_names_the_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--samples", "6"]) == 0
    text = capsys.readouterr().out
    assert "6 samples of 30 steps" in text
    assert "most of the error comes from second" in text
    assert re.search(r"accuracy \d+\.\d\d% in floats, \d+\.\d\d% in integers", text)
    for name in LAYERS:
        assert len(re.findall(rf"^{name} ", text, re.MULTILINE)) == 2


def test_page_shows_what_the_comparison_found(folder: Path) -> None:
    assert main([*COMMAND, "-o", "page.html"]) == 0
    text = Path("page.html").read_text(encoding="utf-8")
    page = Page(text)
    with np.load("data.npz") as data:
        found = snn2hw.compare(graph(), snn2hw.load("net.h5"), data["x"], data["y"])
    assert "Most of the error comes from second." in page.text
    for layer in found.layers:
        assert layer.only.error in page.values
        assert layer.without.error in page.values
        if layer.whole.spikes is not None:
            assert layer.whole.spikes.agreement in page.values
    assert text.count('class="portrait"') == len(LAYERS)
    assert "http:" not in text
    assert "https:" not in text


def test_rasters_hold_every_spike_once(folder: Path) -> None:
    assert main([*COMMAND, "-o", "page.html"]) == 0
    text = Path("page.html").read_text(encoding="utf-8")
    found = snn2hw.compare(graph(), snn2hw.load("net.h5"), spikes())
    portraits = [p for p in found.portraits if p.spikes]
    for portrait in portraits:
        floats, integers = portrait.floats != 0, portrait.integers != 0
        figure = re.search(rf"Spikes of {portrait.layer} in floats[^>]*>(.*?)</svg>", text)
        assert figure is not None
        for kind, events in (
            ("both", floats & integers),
            ("lost", floats & ~integers),
            ("gained", integers & ~floats),
        ):
            path = re.search(rf'class="{kind}" d="([^"]*)"', figure[1])
            assert path is not None
            drawn = sum(int(run) for run in re.findall(r"h(\d+)", path[1]))
            assert drawn == events.sum()


def test_the_page_of_a_network_has_no_comparison(folder: Path) -> None:
    assert main(["report", "net.h5", "--data", "data.npz", "-o", "page.html"]) == 0
    assert "Floats against integers" not in Path("page.html").read_text(encoding="utf-8")


def test_layer_names_are_text_on_the_page(folder: Path) -> None:
    hostile = '<b id="x">'
    model = snn2hw.read("model.nir")
    nodes = {hostile if name == "lif" else name: node for name, node in model.nodes.items()}
    edges = [tuple(hostile if end == "lif" else end for end in edge) for edge in model.edges]
    renamed = type(model)(nodes, edges)
    net = snn2hw.quantize(renamed, dt=1e-3, calibration=spikes())
    found = snn2hw.compare(renamed, net, spikes())
    run = net.run(spikes())
    page = render(ReportData("t", (Section("net", net, run, comparison=found),)))
    assert hostile not in page
    assert "&lt;b id=" in page


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["compare", "absent.nir", "net.h5", "--data", "data.npz"], "absent.nir"),
        (["compare", "model.nir", "absent.h5", "--data", "data.npz"], "absent.h5: no such file"),
        (["compare", "other.nir", "net.h5", "--data", "data.npz"], "graph and network differ in"),
        (["compare", "model.nir", "net.h5", "--data", "wide.npy"], "the network takes"),
        ([*COMMAND, "--samples", "0"], "--samples 0 leaves no sample"),
        ([*COMMAND, "-o", "nowhere/page.html"], "cannot write nowhere/page.html"),
    ],
)
def test_errors_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    other = graph()
    del other.nodes["loop"]
    other.edges = [edge for edge in other.edges if "loop" not in edge]
    snn2hw.write("other.nir", other)
    np.save("wide.npy", np.zeros((2, STEPS, CHANNELS + 1)))
    capsys.readouterr()
    assert main(command) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
