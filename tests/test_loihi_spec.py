"""Loihi's figures: as their sources have them, derived ones recomputed, wrong files refused."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from snn2hw.errors import TargetError
from snn2hw.targets.loihi.spec import REQUIRED, load_loihi, loihi
from snn2hw.targets.spec import GRADES

SOURCED = {
    "loihi1": {
        "cores": (128, "primary"),
        "neurons_per_core": (1024, "primary"),
        "synapse_words": (128 * 1024 * 8 // 64, "primary"),
        "axons_in": (4096, "secondary"),
        "axons_out": (4096, "secondary"),
        "message_bits_most": (1, "primary"),
        "delay_steps_most": (62, "primary"),
    },
    "loihi2": {
        "cores": (128, "secondary"),
        "cores_usable": (120, "secondary"),
        "neurons_per_core": (4096, "derived"),
        "synapse_words": (12000, "primary"),
        "axons_in": (16000, "derived"),
        "message_bits_most": (24, "primary"),
        "delay_steps_most": (62, "primary"),
    },
}
"""Typed again from the sources, not copied from the files."""

TABLE = [
    # Of mnist and yolo_kp, in percent: AxonIn, Neurons, Synapses, AxonMap, AxonMem, Total.
    (0.40, 0.24, 1.60, 0.06, 0.00, 1.71),
    (0.80, 1.56, 16.80, 0.40, 0.00, 14.72),
    (4.90, 1.22, 78.40, 0.31, 0.00, 67.14),
    (0.01, 65.64, 19.20, 16.80, 0.00, 42.26),
    (0.01, 87.52, 86.40, 0.35, 0.17, 87.47),
    (0.01, 87.52, 67.20, 0.09, 0.35, 72.04),
    (0.01, 87.52, 72.00, 0.35, 2.80, 78.05),
    (0.01, 87.52, 0.34, 1.40, 0.70, 19.88),
]


@pytest.mark.parametrize("name", SOURCED)
def test_figures_are_those_of_the_sources(name: str) -> None:
    spec = loihi(name)
    for figure, (value, grade) in SOURCED[name].items():
        assert (spec[figure].value, spec[figure].grade) == (value, grade)
    assert all(figure.source and figure.grade in GRADES for figure in spec.figures.values())


def test_what_the_compilers_column_total_says() -> None:
    """A core's words, and those of neurons of 48 bits and axons of 48 bits, give the column."""
    spec = loihi("loihi2")
    word, core = spec.number("word_bits"), spec.number("core_words")
    axon = spec.number("axon_bits") / word / core
    assert spec.number("axons_in") == spec.number("axons_out")
    for into, neurons, synapses, out, more, total in TABLE:
        words = neurons * spec.number("neurons_per_core") * 48 / word / core
        words += synapses * spec.number("synapse_words") / core
        words += (into + out + more) * spec.number("axons_in") * axon
        assert words == pytest.approx(total, abs=0.02)


def data(name: str = "loihi2") -> dict[str, Any]:
    file = resources.files("snn2hw.targets.loihi") / f"{name}.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("figure", "changes", "message"),
    [
        ("synapse_words", None, "no figure 'synapse_words'"),
        ("synapse_words", {"unit": "B"}, "'synapse_words' is in 'B'; write it in '1'"),
        ("synapse_words", {"value": 0}, "'synapse_words' is 0; give 1 or more"),
        ("word_bits", {"value": 6.5}, "'word_bits' is 6.5; write a whole number"),
        ("axons_in", {"grade": "hearsay"}, "grade is 'hearsay'"),
        ("axons_in", {"source": "nobody"}, "source 'nobody' is not among sources"),
        ("axons_in", {"note": " "}, "note is missing"),
        ("neurons_reserved", {"value": 4096}, "neurons_reserved leaves nothing"),
        ("mesh_rows", {"value": 3}, "the mesh has fewer places than cores_usable"),
        ("input_router", {"value": 32}, "input_router is not on the mesh; give 0 to 31"),
    ],
)
def test_wrong_files(tmp_path: Path, figure: str, changes: Any, message: str) -> None:
    wrong = data()
    if changes is None:
        del wrong["figures"][figure]
    else:
        wrong["figures"][figure] |= changes
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(TargetError, match=re.escape(message)):
        load_loihi(path)


@pytest.mark.parametrize("name", SOURCED)
def test_every_required_figure_is_used_and_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data(name)), encoding="utf-8")
    spec = load_loihi(path)
    assert {figure: spec[figure].unit for figure in REQUIRED} == REQUIRED
