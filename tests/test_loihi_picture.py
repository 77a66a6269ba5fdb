"""The picture of the mesh: every core once, by its fill, and a bar for every link in use."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_chips import chip, lif, net, tiny, weights

import snn2hw
from snn2hw.errors import DataError
from snn2hw.linear import Dense
from snn2hw.targets.loihi.picture import picture, write_picture
from snn2hw.targets.loihi.placement import WORST, LoihiPlacement
from snn2hw.targets.spec import TargetSpec

SVG = "{http://www.w3.org/2000/svg}"
OVER = "#b3202a"


def placed(name: str = "hidden", spec: TargetSpec | None = None) -> LoihiPlacement:
    """20 inputs, 40 neurons, 7 neurons."""
    maps = [("in", name, Dense(weights(40, 20))), (name, "out", Dense(weights(7, 40)))]
    return snn2hw.place(net((20,), [lif(name, (40,)), lif("out", (7,))], maps), "loihi2", spec=spec)


def cells(svg: str) -> dict[int, ElementTree.Element]:
    found = ElementTree.fromstring(svg).iterfind(f".//{SVG}g[@class='core']")
    return {int(cell.attrib["data-core"]): cell for cell in found}


def words(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iterfind(f".//{SVG}text")]


def fill(cell: ElementTree.Element) -> str:
    return next(cell.iterfind(f"{SVG}rect")).attrib["fill"]


def test_every_core_is_there_with_its_layer_and_how_full_it_is() -> None:
    found = cells(picture(placed(), "net.h5"))
    assert sorted(found) == list(range(128))
    # 20 axons of 13 words, of 12,000; 40 and 20 axons of the memory's 15,000: 335 words.
    assert words(found[0]) == ["hidden", "2%"]
    assert words(found[2]) == ["2"]
    title = next(found[0].iterfind(f"{SVG}title")).text or ""
    assert title.startswith(
        "Core 0: hidden, neurons 0 to 39. 40 of 4,095 neurons; 260 of 12,000 synapse words; "
        "20 of 16,000 axons in; 40 of 16,000 axons out; "
    )
    said = words(ElementTree.fromstring(picture(placed(), "net.h5")))
    assert said[0] == "net.h5 on Loihi 2 (128 cores, Intel 4): 2 of 120 cores"
    assert "Fits." in said
    assert any(line.startswith("hidden: 40 neurons on 1 core, at most 2% full") for line in said)


def test_links_are_as_wide_as_they_are_busy() -> None:
    found = placed(spec=tiny("loihi2", 4))
    root = ElementTree.fromstring(picture(found))
    bars = {
        (bar.findtext(f"{SVG}title") or "").split(":")[0]: float(line.attrib["stroke-width"])
        for bar in root.iterfind(f".//{SVG}g[@class='link']")
        for line in bar.iterfind(f"{SVG}line")
    }
    assert len(bars) == len(found.links)
    busiest = found.busiest(WORST)
    assert busiest is not None
    assert bars[f"router {busiest.start} to {busiest.end}"] == max(bars.values()) == 7.0
    for link in found.links:
        wide = bars[f"router {link.start} to {link.end}"]
        share = link.messages(WORST) / busiest.messages(WORST)
        assert wide == pytest.approx(max(0.8, 7 * share), abs=0.051)


def test_what_does_not_fit_stands_out() -> None:
    svg = picture(placed(spec=chip(synapse_words=19)))
    assert OVER in {fill(cell) for cell in cells(svg).values()}
    assert any("Does not fit: core " in line for line in words(ElementTree.fromstring(svg)))


def test_what_the_chip_has_not_is_drawn_below() -> None:
    small = tiny("loihi2", 1, mesh_rows=4, cores_usable=9)
    svg = picture(placed(spec=small))
    assert max(cells(svg)) == 2 * 3 * 8 - 1
    assert svg.count("not there") == 4 * 3
    many = picture(placed(spec=tiny("loihi2", 1, mesh_rows=1, mesh_columns=1, cores_usable=1)))
    assert max(cells(many)) == 2 * 12 - 1
    assert "12 more rows of routers are not drawn" in many


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=80), st.text(max_size=20))
def test_any_name_gives_a_picture(layer: str, name: str) -> None:
    if layer in ("out", "in"):
        return
    assert ElementTree.fromstring(picture(placed(layer), name)).tag == f"{SVG}svg"


def test_it_is_written_or_an_error_says_why(tmp_path: Path) -> None:
    write_picture(tmp_path / "p.svg", placed())
    assert (tmp_path / "p.svg").read_text(encoding="utf-8") == picture(placed())
    with pytest.raises(DataError, match=r"cannot write .*none"):
        write_picture(tmp_path / "none" / "p.svg", placed())
