"""The report as JSON: it keeps its schema, says what the page says, and comes from the command."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_example import example, lif_network

from snn2hw.cli import main
from snn2hw.cli.report_parts import all_bills, extras
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Convolution, Dense
from snn2hw.passes.check import Violation
from snn2hw.report import ReportData, Section, render, write_json
from snn2hw.report.answer import schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def data() -> ReportData:
    return example()


@pytest.fixture(scope="module")
def written(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = write_json(tmp_path_factory.mktemp("json") / "report.json", data)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def complaints(document: Any) -> list[str]:
    return [e.message for e in jsonschema.Draft202012Validator(schema()).iter_errors(document)]


def test_keeps_its_schema(written: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert complaints(written) == []


def _each_object(node: Any) -> list[Any]:
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [node, *(found for part in below for found in _each_object(part))]


def test_schema_says_what_every_object_holds() -> None:
    for node in _each_object(schema()):
        if isinstance(node, dict) and node.get("type") == "object":
            assert "additionalProperties" in node
            assert set(node.get("required", ())) == set(node.get("properties", ()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("chips"),
        lambda d: d["networks"].clear(),
        lambda d: d["networks"][0].update(samples=0),
        lambda d: d["networks"][0]["bills"][0].pop("low_j"),
        lambda d: d["networks"][0]["bills"][0]["prices"][0].update(grade="U"),
        lambda d: d["networks"][0]["bills"][0]["prices"][0].update(source=""),
        lambda d: d["networks"][0]["bills"][0]["items"][0].update(energy_j=-1.0),
        lambda d: d["networks"][0]["metrics"].update(Footprint=1.5),
        lambda d: d["networks"][0]["verification"].pop("mismatches"),
        lambda d: d["networks"][0]["comparison"]["rivals"][0].update(circuit="analog"),
        lambda d: d["networks"][0]["placements"][0].update(ok="yes"),
        lambda d: d["networks"][0].update(more=1),
    ],
)
def test_schema_refuses(written: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]) -> None:
    document = copy.deepcopy(written)
    spoil(document)
    assert complaints(document)


def test_says_what_ran(data: ReportData, written: dict[str, Any]) -> None:
    for section, found in zip(data.sections, written["networks"], strict=True):
        run, net = section.run, section.net
        assert found["accuracy"]["fixed"] == np.mean(run.predictions == section.labels)
        assert found["network"]["rounded"] == list(net.notes)
        totals = {bill["profile"]: bill["total_j"] for bill in found["bills"]}
        assert totals == {bill.profile.name: bill.total_j for bill in section.bills}
        for sample in found["shown"]:
            hidden = net.layers[0].name
            events = sample["events"][hidden]
            sent = np.zeros((60, 40), dtype=bool)
            sent[events["steps"], events["neurons"]] = True
            real = run.spikes.sample(hidden, sample["sample"]) != 0
            np.testing.assert_array_equal(sent, real)
            np.testing.assert_array_equal(events["per_step"], real.sum(axis=1))
    assert written["networks"][0]["verification"]["compared"] == 123456
    assert written["networks"][1]["verification"]["done"] is False


def test_page_and_json_say_the_same(data: ReportData, written: dict[str, Any]) -> None:
    page = render(data)
    values = {float(value) for value in re.findall(r'<data value="([^"]+)"', page)}
    for found in written["networks"]:
        assert found["metrics"]["Footprint"] in values
        assert found["metrics"]["SynapticOperations"]["Dense"] in values
        assert found["metrics"]["MembraneUpdates"] in values
        for bill in found["bills"]:
            assert bill["priced_j"] in values
            if bill["low_j"] < bill["high_j"]:
                assert {bill["low_j"], bill["high_j"]} <= values
            if bill["latency"] is not None:
                assert bill["latency"]["inference_s"] in values
        for rival in found["comparison"]["rivals"]:
            assert {rival["energy_j"], rival["ratio"], rival["macs"]} <= values
        for placement in found["placements"]:
            for use in placement["utilization"].values():
                assert {float(use["used"]), float(use["limit"])} <= values
    assert {chip["name"] for chip in written["chips"]} == {"loihi2", "spinnaker2"}
    for chip in written["chips"]:
        for figure in chip["figures"]:
            assert figure["name"] in page
    grades = {p["grade"] for n in written["networks"] for b in n["bills"] for p in b["prices"]}
    assert {"S", "C", "T", "M"} <= grades


def test_curve_of_break_even_goes_where_the_bills_are(data: ReportData) -> None:
    section = data.sections[0]
    comparison = section.against
    assert comparison is not None
    assert comparison.cost is not None
    page = render(replace(data, sections=(section,)))
    svg = re.search(r'<svg class="lines curve breakeven".*?</svg>', page, re.DOTALL)
    assert svg is not None
    heights = [float(y) for y in re.findall(r'class="rival [^"]*" d="M0 ([\d.-]+)H100"', svg[0])]
    energies = [rival.bill.priced_j for rival in comparison.rivals]
    slope, start = np.polyfit(np.log10(energies), heights, 1)
    np.testing.assert_allclose(heights, slope * np.log10(energies) + start, atol=0.1)
    dot = re.search(r'class="dot" d="M([\d.]+) ([\d.]+)h0"', svg[0])
    assert dot is not None
    own = slope * np.log10(comparison.bill.priced_j) + start
    assert float(dot[2]) == pytest.approx(own, abs=0.1)


def test_what_does_not_fit_and_is_not_compared_says_why(data: ReportData) -> None:
    lif = data.sections[0]
    trouble = Violation("cores", "fc", "130 cores", "120", "use two chips")
    chip = replace(lif.chips[0], violations=(trouble,))
    spoiled = replace(lif, chips=(chip,), against=None, not_compared="no hidden layer spikes")
    page = render(replace(data, sections=(spoiled,)))
    assert "Does not fit." in page
    assert "cores, fc: 130 cores (limit: 120); use two chips" in page
    assert "Not compared: no hidden layer spikes." in page
    assert "does not fit" in page
    fitting = render(replace(data, sections=(lif,)))
    assert "does not fit" not in fitting.lower()
    assert "2 of 120" in fitting


def test_summary_names_what_costs_more(data: ReportData) -> None:
    for section in data.sections:
        assert section.against is not None
        own = section.against.bill.priced_j
        dense = [rival for rival in section.against.rivals if not rival.sparse]
        dearer = [r.baseline.kind.upper() for r in dense if r.bill.priced_j > own]
        page = render(replace(data, sections=(section,)))
        card = re.search(r'<h3>Costs less than</h3><p class="value">([^<]*)</p>', page)
        assert card is not None
        assert card[1] == (", ".join(dearer) or "none")


def test_command_writes_page_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    lif_network(rng).save("net.h5")
    np.savez("data.npz", x=(rng.random((3, 20, 24)) < 0.2).astype(np.uint8), y=np.arange(3))
    command = ["report", "net.h5", "--data", "data.npz", "-o", "r.html", "--json-output", "r.json"]
    assert main(command) == 0
    found = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert complaints(found) == []
    (network,) = found["networks"]
    assert len(network["bills"]) == 6
    assert network["bills"][0]["profile"] == "loihi1-davies2018"
    assert {bill["profile"] for bill in network["bills"] if bill["placed"]} == {
        "loihi1-davies2018", "loihi1-sanafe2025", "spinnaker2",
    }  # fmt: skip
    assert [placement["target"] for placement in network["placements"]] == ["loihi2", "spinnaker2"]
    assert found["reproduce"]["commands"] == [
        " ".join(["snn2hw", *command[:4], *command[6:], *command[4:6]])
    ]
    assert "SHA-256 of data.npz" in found["reproduce"]["sources"]
    assert main([*command, "--profile", "lemaire2022", "--target", "loihi1"]) == 0
    (network,) = json.loads(Path("r.json").read_text(encoding="utf-8"))["networks"]
    assert [bill["profile"] for bill in network["bills"]] == ["lemaire2022"]
    assert network["placements"][0]["target"] == "loihi1"


def test_json_that_cannot_be_written(tmp_path: Path, data: ReportData) -> None:
    with pytest.raises(DataError, match=r"cannot write .*r\.json: .*; name a folder that exists"):
        write_json(tmp_path / "nowhere" / "r.json", data)


def test_a_network_with_convolutions_is_compared_with_its_twin() -> None:
    rng = np.random.default_rng(5)
    net = image_network(rng)
    run = net.run((rng.random((2, 5, 2, 6, 6)) < 0.3).astype(np.int32), record=("v",))
    found = extras(net, run)
    assert [rival.baseline.kind for rival in found["against"].rivals] == ["ann", "ann"]
    made = Section("image", net, run, bills=all_bills(net, run), **found)
    page = render(ReportData("Image", (made,)))
    assert "The network itself with ReLUs for its neurons" in page
    assert "Networks of the same widths" not in page


def image_network(rng: np.random.Generator) -> FixedPointNetwork:
    """Two pictures of 6 x 6 to four of 4 x 4 to three classes."""
    plain = lif_network(rng)
    link = Convolution(rng.integers(-40, 90, (4, 2, 3, 3), dtype=np.int8), (2, 6, 6))
    lif, readout = plain.layers
    params = {name: np.resize(value, 64) for name, value in lif.params.items()}
    full = Dense(rng.integers(-40, 60, (9, 64), dtype=np.int8))
    return replace(
        plain,
        inputs=(replace(plain.inputs[0], shape=(2, 6, 6)),),
        layers=(replace(lif, shape=(4, 4, 4), params=params), readout),
        synapses=(replace(plain.synapses[0], map=link), replace(plain.synapses[2], map=full)),
    )
