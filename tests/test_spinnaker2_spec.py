"""SpiNNaker2's figures: equal to the sources, derived ones recomputed, wrong files refused."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from snn2hw.errors import TargetError
from snn2hw.targets.spec import GRADES, parse_spec
from snn2hw.targets.spinnaker2.spec import REQUIRED, load_spinnaker2, spinnaker2

SOURCED: dict[str, tuple[float | str, str, str]] = {
    "pes": (152, "1", "primary"),
    "pes_usable": (148, "1", "secondary"),
    "pe_sram_bytes": (128 * 1024, "B", "primary"),
    "pe_code_bytes": (32 * 1024, "B", "secondary"),
    "pe_data_bytes": (96 * 1024, "B", "secondary"),
    "pe_stack_heap_bytes": (4 * 1024, "B", "secondary"),
    "clock_low_hz": (150e6, "Hz", "primary"),
    "clock_high_hz": (300e6, "Hz", "primary"),
    "voltage_low_v": (0.5, "V", "secondary"),
    "voltage_high_v": (0.8, "V", "secondary"),
    "mac_columns": (16, "1", "secondary"),
    "mac_rows": (4, "1", "secondary"),
    "mac_accumulator_bits": (24, "bit", "secondary"),
    "exp_formats": ("s16.15, s0.31, FP32", "format", "secondary"),
    "exp_cycles_least": (7, "cycle", "secondary"),
    "exp_cycles_most": (22, "cycle", "secondary"),
    "router_entries": (16384, "1", "primary"),
    "router_key_bits": (32, "bit", "secondary"),
    "noc_flit_bits": (192, "bit", "secondary"),
    "chip_links": (6, "1", "primary"),
    "synaptic_events_per_s": (12e6, "event/s", "secondary"),
    "power_pes_off_w": (0.0752, "W", "secondary"),
    "power_coremark_high_w": (1.2479, "W", "secondary"),
}
"""Typed again from the sources, not copied from the file."""

SCALES = {"MHz": (1e6, "Hz"), "ms": (1e-3, "s"), "mW": (1e-3, "W"), "pJ": (1e-12, "J/cycle")}


def good() -> dict[str, Any]:
    file = resources.files("snn2hw.targets.spinnaker2") / "spinnaker2.json"
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def written(folder: Path, data: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_figures_are_those_of_the_sources() -> None:
    spec = spinnaker2()
    for name, (value, unit, grade) in SOURCED.items():
        figure = spec[name]
        assert (figure.value, figure.unit, figure.grade) == (value, unit, grade), name


def test_every_figure_says_where_it_comes_from() -> None:
    figures = spinnaker2().figures.values()
    assert len(figures) > 50
    for figure in figures:
        assert figure.grade in GRADES
        assert len(figure.source) > 3
        assert not figure.source.startswith(("/", "http")), "a citation, not a place"
        assert figure.note or figure.grade in ("primary", "secondary"), figure.name


def test_derived_figures_follow_from_the_others() -> None:
    n = spinnaker2().number
    assert n("pes") == n("quad_pes") * n("pes_per_quad")
    assert n("pe_sram_bytes") == n("pe_code_bytes") + n("pe_data_bytes")
    assert n("quad_sram_bytes") == n("pes_per_quad") * n("pe_sram_bytes")
    assert n("cycles_per_synaptic_event") == n("clock_high_hz") / n("synaptic_events_per_s")
    assert n("mac_peak_ops") == pytest.approx(152 * 64 * 2 * 300e6, rel=1e-3)
    for level in ("low", "high"):
        awake, asleep = n(f"power_coremark_{level}_w"), n(f"power_pes_sleep_{level}_w")
        per_cycle = (awake - asleep) / n("pes") / n(f"clock_{level}_hz")
        assert n(f"energy_per_cycle_{level}_j") == pytest.approx(per_cycle, rel=0.01)
        sleeping = (asleep - n("power_pes_off_w")) / n("pes")
        assert n(f"pe_sleep_{level}_w") == pytest.approx(sleeping, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "other"), [("timers", 4, 3), ("dram_bytes", 2 * 2**30, 2**30)]
)
def test_sources_that_contradict_each_other_are_both_kept(
    name: str, value: float, other: float
) -> None:
    figure = spinnaker2()[name]
    assert figure.value == value
    assert [conflict.value for conflict in figure.conflicts] == [other]
    assert figure.conflicts[0].source != figure.source
    assert figure.conflicts[0].unit == figure.unit


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    data = good()
    data["figures"]["pes_usable"] |= {"value": 12}
    assert load_spinnaker2(written(tmp_path, data)).integer("pes_usable") == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": None}, r"mine\.json: figure 'pes': None is not a finite number; write one"),
        ({"value": "many"}, r"figure 'pes': 'many' is not a finite number"),
        ({"value": True}, r"True is not a finite number"),
        ({"value": float("inf")}, r"inf is not a finite number"),
        ({"value": -1}, r"figure 'pes': -1 is negative; a figure is at least 0"),
        ({"value": 2.5}, r"figure 'pes' is 2\.5; write a whole number"),
        ({"value": 100}, r"pes_usable is 148; give 1 to 100, the number of pes"),
        ({"unit": "furlong"}, r"figure 'pes': unit is 'furlong'; use one of 1, B, bit"),
        ({"unit": "Hz"}, r"figure 'pes' is in 'Hz'; write it in '1'"),
        ({"unit": "format", "value": "x"}, r"figure 'pes' is in 'format'; write it in '1'"),
        ({"unit": "format"}, r"figure 'pes': value is missing; write the format as text"),
        ({"grade": "hearsay"}, r"grade is 'hearsay'; use one of primary, secondary, derived"),
        ({"grade": None}, r"figure 'pes': grade is missing; write it as text"),
        ({"grade": "derived", "note": " "}, r"note is missing"),
        ({"source": "nobody"}, r"figure 'pes': source 'nobody' is not among sources; cite it"),
        ({"source": ""}, r"figure 'pes': source is missing"),
        ({"colour": "red"}, r"figure 'pes': unknown key 'colour'; the keys are conflicts, grade"),
        ({"conflicts": 4}, r"figure 'pes': conflicts is no list"),
        ({"conflicts": [{"value": 4}]}, r"figure 'pes': grade is missing"),
    ],
)
def test_wrong_figures_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = good()
    data["figures"]["pes"] |= change
    with pytest.raises(TargetError, match=message) as caught:
        load_spinnaker2(written(tmp_path, data))
    assert "\n" not in str(caught.value)


def test_an_assumption_says_why(tmp_path: Path) -> None:
    data = good()
    del data["figures"]["cycles_per_packet"]["note"]
    message = "'cycles_per_packet': grade assumption without a note"
    with pytest.raises(TargetError, match=message):
        load_spinnaker2(written(tmp_path, data))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_placement_needs_must_be_there(tmp_path: Path, name: str) -> None:
    data = good()
    del data["figures"][name]
    with pytest.raises(TargetError, match=rf"no figure '{name}'; add it to the chip's file"):
        load_spinnaker2(written(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", r"mine\.json: not JSON"),
        ([1], r"mine\.json: holds no JSON object"),
        ({"figures": {}}, "sources is missing or empty"),
        ({"sources": {"a": "b"}, "figures": {}}, "figures is missing or empty"),
        ({"sources": {"a": 1}, "figures": {}}, r"sources: a is missing; write it as text"),
        ({"name": 3}, "name is missing|sources is missing"),
        ({"extra": 1}, "unknown key 'extra'; the keys are figures, name, sources, title"),
    ],
)
def test_not_a_chip(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        load_spinnaker2(written(tmp_path, data))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"cannot read chip file .*none\.json: .*; name a JSON"):
        load_spinnaker2(tmp_path / "none.json")


def test_stack_that_leaves_no_room_is_refused(tmp_path: Path) -> None:
    data = good()
    data["figures"]["pe_stack_heap_bytes"]["value"] = 96 * 1024
    with pytest.raises(TargetError, match="pe_stack_heap_bytes leaves nothing of pe_data_bytes"):
        load_spinnaker2(written(tmp_path, data))


def test_a_text_is_no_number() -> None:
    spec = parse_spec(json.dumps(good()), "spinnaker2.json")
    with pytest.raises(TargetError, match=r"figure 'exp_formats' is 's16\.15.*; write it as"):
        spec.number("exp_formats")


def test_the_documentation_says_what_the_file_says() -> None:
    text = (Path(__file__).parent.parent / "docs" / "spinnaker2.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+)(?: ([A-Za-z/]+))? \| (\w+) \|", text, re.MULTILINE)
    assert {name for name, *_ in rows} >= set(REQUIRED)
    for name, value, unit, grade in rows:
        figure = spinnaker2()[name]
        scale, plain = SCALES.get(unit, (1.0, unit or "1"))
        assert float(value.replace(",", "")) * scale == pytest.approx(figure.value), name
        assert (plain, grade) == (figure.unit, figure.grade), name
