"""docs/comparison.md: a network is added by one line, and the page says what was computed."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from random_networks import random_network

from snn2hw.energy import estimate
from snn2hw.energy.baselines import Baseline, baselines_of, estimate_baseline

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
pytest.importorskip("torch")


def test_a_case_of_one_line_has_its_rows_and_its_panel() -> None:
    from energy import Case, Loaded, measure
    from energy_page import page
    from energy_plot import svg

    net, x = random_network(np.random.default_rng(3), "mixed", steps=20, batch=2)
    result = measure(Case("A & B", lambda: Loaded(net, x, np.array([0, 1])), None, "random"))
    run = net.run(x)
    gru: Baseline = baselines_of(net, run)[0]
    ours = estimate(run, "cmos45-horowitz2014").priced_j
    theirs = estimate_baseline(gru).priced_j
    text = page([result])
    (row,) = [line for line in text.splitlines() if line.startswith("| GRU |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["GRU", gru.shape, "", f"{gru.weights:,}", f"{gru.macs:,}"]
    value, unit = cells[5].split()
    assert float(value) * {"µJ": 1e-6, "mJ": 1e-3}[unit] == pytest.approx(theirs, rel=5e-3)
    assert float(cells[7]) == pytest.approx(theirs / ours, rel=5e-2)
    assert text.count("A & B") == 4  # networks, others, multiplications, metrics
    drawing = ElementTree.fromstring(svg({"A & B": (result.cost, result.same)}))
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("A & B") == words.count("this network") == 1
    assert sum(word.endswith(("dense", "sparse")) for word in words if word) == 8
