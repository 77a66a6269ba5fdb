"""The page of a network that learned: its numbers, its curves, and how it looks in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eprop_networks import graph, random_network
from test_report_browser import CHROMIUM, DRIVER, FLAGS
from test_report_page import HOSTILE, Page

import snn2hw
from snn2hw.cli import main
from snn2hw.errors import DataError
from snn2hw.report import LearningData, write_learning_report
from snn2hw.report.learning import cores_view, curve, render_learning, running

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="200"><rect width="9"/></svg>'


@pytest.fixture
def data() -> LearningData:
    rng = np.random.default_rng(0)
    return LearningData(
        title="model.nir learning data.npz",
        loss=rng.uniform(0.1, 3, 80),
        correct=rng.random(80) < np.linspace(0.1, 1, 80),
        epoch=40,
        validation=(0.25, 0.5, 0.875),
        classes=4,
        facts={"Inputs": "80"},
        rule={"trace": "exact"},
        memory={"weights": 1000, "optimizer moments": 2000},
        cores=[(0, "10 hidden", 1500), (1, "10 hidden", 1500)],
        limit=98304,
        timing=[("worst case", 150e6, 0.0012), ("worst case", 300e6, 0.0006)],
        dt_s=1e-3,
        picture=SVG,
        notes=("A note.",),
        commands=("snn2hw learn model.nir",),
        versions={"numpy": "2.0"},
        sources={"Data": "data.npz"},
    )


def test_numbers_are_the_datas(data: LearningData) -> None:
    page = Page(render_learning(data))
    for k in (slice(0, 40), slice(40, 80)):
        assert float(np.mean(data.loss[k])) in page.values
        assert float(np.mean(data.correct[k])) in page.values
    assert {*data.validation, 80, 3000, 1000, 2000, 1500, 0.0012, 0.0006} <= {*page.values}
    assert "62.5 points" in page.text
    assert re.search(r"150\s*MHz\s*1.2\s*ms\s*no", page.text)
    assert re.search(r"300\s*MHz\s*0.6\s*ms\s*yes", page.text)
    for words in ("A note.", "snn2hw learn model.nir", "trace", "exact", "chance, 25.0"):
        assert words in page.text


def test_without_validation_and_in_one_pass(data: LearningData) -> None:
    page = Page(render_learning(replace(data, validation=(), epoch=80)))
    assert "one pass" in page.text
    assert "on validation data" not in page.text


def test_nothing_comes_from_elsewhere_and_all_text_is_escaped(data: LearningData) -> None:
    hostile = replace(
        data, title=HOSTILE, notes=(HOSTILE,), commands=(HOSTILE,), facts={HOSTILE: HOSTILE},
        memory={HOSTILE: 5}, cores=[(0, HOSTILE, 5)],
    )  # fmt: skip
    text = render_learning(hostile)
    assert "http" not in text.replace("http-equiv", "")
    assert HOSTILE not in text
    assert sum(tag == "script" for tag, _ in Page(text).tags) == 1
    sources = [attrs["src"] for tag, attrs in Page(text).tags if tag == "img"]
    assert [str(source).split(",")[0] for source in sources] == ["data:image/svg+xml;base64"]


def test_running_mean_by_hand() -> None:
    values = running(np.array([1.0, 3.0, 5.0, 11.0]), 2)
    np.testing.assert_allclose(values, [1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(running(np.array([True, False]), 5), [1.0, 0.5])


def points(path: str) -> np.ndarray:
    return np.array([[float(v) for v in pair.split()] for pair in path.split("L")])


def test_curves_decoded_are_the_values() -> None:
    values = np.array([0.0, 0.25, 1.0])
    svg = curve("c", values, 2, [(0, 0.5), (2, 1.0)], 0.1)
    found = points(re.search(r'"strong" d="M([^"]+)"', svg)[1])
    np.testing.assert_allclose(found, [[0, 100], [1, 100], [2, 75], [3, 0]])
    assert re.findall(r'"dot" d="M([\d. ]+)h0"', svg) == ["0 50", "2 0"]
    assert re.search(r'"level" d="M0 90H3"', svg)
    assert re.search(r'"grid" d="M2 0V100"', svg)


def test_long_curves_stay_small_and_keep_their_ends() -> None:
    values = np.random.default_rng(0).random(100_000)
    svg = curve("c", values, 100_000)
    assert len(svg) < 20_000
    found = points(re.search(r'"strong" d="M([^"]+)"', svg)[1])
    assert found[-1][0] == 100_000
    assert found[-1][1] == pytest.approx(100 - 100 * values[-1], abs=0.1)


def test_like_pes_are_one_row() -> None:
    cores = [(0, "10 h", 50), (1, "10 h", 50), (3, "10 h", 50), (4, "9 h", 45)]
    rows = cores_view(cores, 100)
    assert [row[0] for row in rows] == ["0 to 1", "3", "4"]
    assert [row[3] for row in rows] == ["50.0\u202f%", "50.0\u202f%", "45.0\u202f%"]
    many = cores_view([(2 * k, "h", k) for k in range(20)], 100)
    assert len(many) == 9
    assert many[-1][0] == "12 more"
    assert "19" in many[-1][2]


@pytest.mark.parametrize("changes", [{"epoch": 30}, {"validation": (0.5,)}, {"loss": np.ones(3)}])
def test_parts_that_do_not_belong_together(data: LearningData, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="learning page"):
        replace(data, **changes)


def test_written_whole_or_not_at_all(data: LearningData, tmp_path: Path) -> None:
    assert write_learning_report(tmp_path / "r.html", data).read_text().startswith("<!doctype")
    with pytest.raises(DataError, match="cannot write"):
        write_learning_report(tmp_path / "no" / "r.html", data)
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


# --- the command's own page, in headless Chromium -------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("THE REPORT WAS NOT TESTED IN A BROWSER: install chromium and chromedriver")
    webdriver = pytest.importorskip("selenium.webdriver")
    folder = tmp_path_factory.mktemp("learned")
    model, samples, page = (str(folder / name) for name in ("m.nir", "d.npz", "r.html"))
    rng = np.random.default_rng(0)
    snn2hw.write(model, graph(random_network(rng, "alif")))
    np.savez(samples, x=rng.normal(0.3, 1, (30, 10, 5)), y=np.arange(30) % 3)
    other = str(folder / "v.npz")
    np.savez(other, x=rng.normal(0.3, 1, (30, 10, 5)), y=np.arange(30) % 3)
    command = ["learn", model, "--data", samples, "-o", str(folder / "a.nir"), "--report", page]
    assert main([*command, "--epochs", "2", "--validation", other]) == 0
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.get(Path(page).as_uri())
    yield driver
    driver.quit()


def resize(driver: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1100, 390])
def test_everything_is_drawn(browser: Any, width: int) -> None:
    resize(browser, width)
    assert browser.title == "m.nir learning d.npz"
    assert browser.get_log("browser") == []
    drawn = browser.execute_script(
        """return [...document.querySelectorAll("svg.curve")].map(s => {
        const ink = s.querySelector(".strong").getBoundingClientRect();
        return [ink.width / s.getBoundingClientRect().width, ink.height,
                s.querySelectorAll(".dot").length]; });"""
    )
    assert [dots for *_, dots in drawn] == [3, 0]
    for share, height, _ in drawn:
        assert share == pytest.approx(1, abs=0.02)
        assert height > 20
    image = 'const i = document.querySelector("img.placement"); return [i.complete, i.naturalWidth]'
    complete, natural = browser.execute_script(image)
    assert complete
    assert natural > 500
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_bars_are_as_long_as_their_bytes(browser: Any) -> None:
    resize(browser, 1100)
    bars = browser.execute_script(
        """return [...document.querySelectorAll("#memory .bar")].map(b =>
        [Number(b.querySelector("data").value),
         b.querySelector(".part").getBoundingClientRect().width])"""
    )
    longest = max(bars)
    assert len(bars) >= 6
    for size, pixels in bars:
        assert pixels == pytest.approx(longest[1] * size / longest[0], abs=2)
