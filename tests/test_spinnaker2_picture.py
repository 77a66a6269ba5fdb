"""The picture of a placement: every PE once, coloured by its bytes, whatever layers are called."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn2hw.errors import DataError
from snn2hw.targets.spinnaker2.picture import picture, write_picture
from snn2hw.targets.spinnaker2.placement import Demand, Placement, place_demands
from snn2hw.targets.spinnaker2.spec import spinnaker2

SVG = "{http://www.w3.org/2000/svg}"
OVER = "#b3202a"


def placed(layer: str = "hidden", neurons: int = 300, pes: int | None = None) -> Placement:
    """Neurons of 30,000 bytes, of which a PE holds 3, and 5 of 5,000."""
    wanted = [
        Demand(layer, neurons, {"weights": 30_000}, {}, 1.0, 1.0, 1.0, False),
        Demand("out", 5, {"weights": 5000}, {}, 1.0, 1.0, 1.0, False),
    ]
    return place_demands(wanted, spinnaker2(), pes)


def cells(svg: str) -> dict[int, ElementTree.Element]:
    found = ElementTree.fromstring(svg).iterfind(f".//{SVG}g[@class='pe']")
    return {int(cell.attrib["data-pe"]): cell for cell in found}


def words(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iterfind(f".//{SVG}text")]


def fill(cell: ElementTree.Element) -> str:
    return next(cell.iterfind(f"{SVG}rect")).attrib["fill"]


def test_every_pe_is_there_with_its_layers_and_how_full_it_is() -> None:
    found = cells(picture(placed()))
    assert sorted(found) == list(range(152))
    # 90,000 + 4,096 of 98,304 bytes.
    assert words(found[0]) == ["hidden", "96%"]
    assert words(found[100]) == ["out", "30%"]
    assert words(found[101]) == ["101"]
    assert len({fill(found[pe]) for pe in (0, 100, 101)}) == 3
    assert fill(found[0]) == fill(found[99]) != OVER
    title = next(found[0].iterfind(f"{SVG}title")).text
    assert title == (
        "PE 0: hidden 0 to 2. 94,096 of 98,304 bytes: stack and heap 4,096; weights 90,000"
    )


def test_title_and_legend_say_what_is_shown() -> None:
    said = words(ElementTree.fromstring(picture(placed(), "net.h5")))
    assert said[0] == "net.h5 on SpiNNaker2 (152 ARM Cortex-M4F, 22FDX): 101 of 148 PEs"
    assert said[1].startswith("9,438,696 bytes in all; the fullest PE holds 94,096 of 98,304")
    assert said[2].startswith("Fits. Estimated step at 300 MHz: worst case 0.00335 ms")
    assert "hidden: 300 neurons on 100 PEs, 9,000,000 bytes" in said
    assert "out: 5 neurons on 1 PE, 25,000 bytes" in said
    assert "over the limit" in said


def test_pes_over_the_limit_stand_out() -> None:
    # 4 neurons on each of 75 PEs: 124,096 bytes.
    svg = picture(placed(pes=99))
    found = cells(svg)
    assert fill(found[0]) == fill(found[74]) == OVER
    assert words(found[0])[1] == "126%"
    assert OVER not in (fill(found[75]), fill(found[76]))
    said = words(ElementTree.fromstring(svg))
    assert said[2].startswith("Does not fit: PE ")
    assert any("give at least 101 PEs" in line for line in said[2:4])


def test_what_the_chip_has_not_is_drawn_apart() -> None:
    said = picture(placed(neurons=600))
    assert sorted(cells(said)) == [*range(152), *range(152, 201)]
    assert "Beyond the chip: these PEs are not there<" in said
    many = picture(placed(neurons=3000))
    assert max(cells(many)) == 152 + 160 - 1
    assert f"(and {1001 - 312:,} more, not drawn)" in many


def test_shared_pes_name_the_larger_layer_and_count_the_others() -> None:
    found = cells(picture(placed(neurons=1)))
    assert words(found[0])[0] == "hidden+1"


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=80), st.text(max_size=20))
def test_any_name_gives_a_picture(layer: str, name: str) -> None:
    if layer == "out":
        return
    root = ElementTree.fromstring(picture(placed(layer, 4), name))
    assert root.tag == f"{SVG}svg"


def test_nothing_is_drawn_outside() -> None:
    for shown in (placed(), placed(pes=2), placed(neurons=900), placed("x" * 60)):
        root = ElementTree.fromstring(picture(shown, "n" * 30))
        wide, high = (float(root.attrib[side]) for side in ("width", "height"))
        for rect in root.iterfind(f".//{SVG}rect"):
            at = {key: float(rect.attrib.get(key, 0)) for key in ("x", "y", "width", "height")}
            assert 0 <= at["x"] <= at["x"] + at["width"] <= wide
            assert 0 <= at["y"] <= at["y"] + at["height"] <= high
        for text in root.iterfind(f".//{SVG}text"):
            assert 0 < float(text.attrib["y"]) < high


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "p.svg", placed())
    assert (tmp_path / "p.svg").read_text(encoding="utf-8") == picture(placed())
    with pytest.raises(DataError, match="cannot write"):
        write_picture(tmp_path / "no" / "p.svg", placed())
