"""Figures and number formats: what is drawn, decoded again, is what was given."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from report_example import lif_network

from snn2hw.graph import Synapse
from snn2hw.linear import Dense
from snn2hw.report.form import count, data, joules, model, percent, points, size
from snn2hw.report.network import draw_network
from snn2hw.report.traces import lines, raster, running_mean


def decoded(svg: str, time: int, rows: int) -> np.ndarray:
    """Events from the strokes of a raster."""
    events = np.zeros((time, rows), dtype=bool)
    for start, row, length in re.findall(r"M(\d+) (\d+)\.5h(\d+)", svg):
        events[int(start) : int(start) + int(length), int(row)] = True
    return events


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.9, 1.0])
def test_raster_shows_every_event(rate: float) -> None:
    events = np.random.default_rng(2).random((37, 11)) < rate
    band = raster("hid", "LIF", events, 10_000)
    assert 'viewBox="0 0 37 11"' in band.svg
    np.testing.assert_array_equal(decoded(band.svg, 37, 11), events)
    assert band.note == ""


def test_crowded_raster_is_thinned_and_says_so() -> None:
    events = np.random.default_rng(2).random((1000, 1024)) < 0.5
    band = raster("hid", "LIF", events, 10_000)
    stride = int(re.fullmatch(r"every (\d+)th neuron shown", band.note).group(1))  # type: ignore[union-attr]
    np.testing.assert_array_equal(decoded(band.svg, 1000, -(-1024 // stride)), events[:, ::stride])
    assert len(band.svg) < 10_000 * 16


def test_graded_events_of_either_sign_are_drawn() -> None:
    events = np.array([[0, 5], [-3, 0]])
    np.testing.assert_array_equal(decoded(raster("a", "", events, 9).svg, 2, 2), events != 0)


def test_lines_keep_the_order_of_values() -> None:
    values = np.array([[0.0, 4.0], [1.0, -4.0], [2.0, 0.0]])
    svg = lines("v", values, strong=(1,))
    path = re.search(r'class="strong" d="M([^"]+)"', svg)
    assert path is not None
    heights = [float(point.split()[1]) for point in path.group(1).split("L")]
    # Larger values are higher on the page, where y grows downwards: 4, -4, 0 at 3, 97, 50.
    assert heights == [3, 97, 50]
    assert svg.count('class="faint"') == 1


def test_constant_lines_are_finite() -> None:
    assert "nan" not in lines("v", np.zeros((4, 2)))


def test_running_mean() -> None:
    values = np.array([[1, 0], [3, 0], [5, 9]])
    np.testing.assert_allclose(running_mean(values), [[1, 0], [2, 0], [3, 3]])


def test_network_names_sizes_and_delays() -> None:
    net = replace(lif_network(np.random.default_rng(0)), latency=2)
    svg = draw_network(net)
    for text in ("in", "hidden", "readout", "LIF · 40 neurons", "input · 24 channels · spikes"):
        assert f">{text}</text>" in svg
    assert ">40 × 24 weights</text>" in svg
    assert ">delay 1, chip 1</text>" in svg
    assert ">output · latency 2 steps on chip</text>" in svg


def test_network_draws_each_group_once() -> None:
    net = lif_network(np.random.default_rng(0))
    ahead, behind = (Dense(np.ones(shape, np.int8)) for shape in ((9, 24), (40, 9)))
    skip = Synapse("skip", "in", "", "readout", ("a",), ahead, 0, 2, 3)
    back = Synapse("back", "readout", "y", "hidden", ("a",), behind, 0, 1, 2)
    svg = draw_network(replace(net, synapses=(*net.synapses, skip, back)))
    # in->hidden, hidden->hidden, hidden->readout, skip, back, and the output.
    assert svg.count('class="wire"') == 6
    assert "<title>skip: 9 × 24 weights, delay 2, on chip 3</title>" in svg
    assert "<title>back: 40 × 9 weights, delay 1, on chip 2</title>" in svg


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 J"), (1.17e-3, "1.17 mJ"), (23.6e-12, "23.6 pJ"), (81e-12, "81.0 pJ"),
        (999.4e-9, "999 nJ"), (999.6e-9, "1.00 µJ"), (9.996e-9, "10.0 nJ"), (1e-13, "100 fJ"),
        (2.5, "2.50 J"), (1e-17, "0.0100 fJ"),
    ],
)  # fmt: skip
def test_joules(value: float, text: str) -> None:
    assert joules(value).replace("\u202f", " ") == text


def test_other_formats() -> None:
    assert count(1234567).replace("\u202f", " ") == "1 234 567"
    assert (count(0), count(7), count(7.25), count(0.0625)) == ("0", "7", "7.2", "0.062")
    assert percent(0.9375) == "93.8\u202f%"
    assert (points(-0.0104), points(0.003)) == ("\u22121.0 points", "+0.3 points")
    assert (points(0.0), points(-1e-5)) == ("±0.0 points", "±0.0 points")
    assert (size(8192), size(2**20)) == ("8\u202fKB", "1\u202fMB")
    assert (model("lif"), model("readout")) == ("LIF", "readout")
    assert str(data(0.5, "<b>")) == '<data value="0.5">&lt;b&gt;</data>'
