"""The page in headless Chromium: opens from a file, draws everything, fits a phone."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_example import example

from snn2hw.report import ReportData, write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
)  # fmt: skip
VISIBLE_FIGURES = """
return [...document.querySelectorAll("svg")].filter(s => !s.closest("[hidden]")).map(s => {
  const ink = [...s.querySelectorAll("path, rect, text")].filter(e => !e.closest("defs"));
  const boxes = ink.map(e => e.getBoundingClientRect());
  const own = s.getBoundingClientRect();
  return [s.getAttribute("class"), own.width, own.height, Math.max(...boxes.map(b => b.width))];
});"""
CHOOSE_BILL = """const list = document.querySelector(arguments[0] + " select.bills");
list.selectedIndex = arguments[1];
list.dispatchEvent(new Event("change"));"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="THE REPORT WAS NOT TESTED IN A BROWSER: no chromium with chromedriver; "
        "mend it with: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def data() -> ReportData:
    return example()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, data: ReportData) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    path: Path = write_report(tmp_path_factory.mktemp("page") / "report.html", data)
    _resize(driver, 1100)
    driver.get(path.as_uri())
    yield driver
    driver.quit()


def _resize(driver: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def test_opens_without_a_complaint_and_asks_nobody(browser: Any, data: ReportData) -> None:
    assert browser.title == data.title
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.startswith("file://") for url in asked)
    assert [url for url in asked if url.startswith(("http", "ws"))] == []


@pytest.mark.parametrize("width", [1100, 390])
def test_every_figure_is_drawn(browser: Any, width: int) -> None:
    _resize(browser, width)
    figures = browser.execute_script(VISIBLE_FIGURES)
    # Per network: the drawing, two rasters (input, hidden), the answer, the state, break-even.
    assert sorted(kind for kind, *_ in figures) == sorted(
        2 * ["network", "raster", "raster", "lines", "lines", "lines curve breakeven"]
    )
    for kind, own_width, height, ink in figures:
        assert min(own_width, height) > 30, kind
        assert ink > 0.3 * own_width or kind == "raster", kind
        assert ink > 0, kind


@pytest.mark.parametrize("width", [1100, 390])
def test_pictures_of_chips_are_drawn(browser: Any, width: int) -> None:
    _resize(browser, width)
    sizes = browser.execute_script(
        """return [...document.querySelectorAll("img")].map(
        i => [i.complete, i.naturalWidth, i.getBoundingClientRect().width])"""
    )
    assert len(sizes) == 4
    assert all(complete and min(natural, shown) > 300 for complete, natural, shown in sizes)


def test_bars_are_as_long_as_their_energies(browser: Any, data: ReportData) -> None:
    _resize(browser, 1100)
    for network in ("#net0", "#net1"):
        browser.execute_script(CHOOSE_BILL, network, len(data.sections[0].bills))
    bars = browser.execute_script(
        """return [...document.querySelectorAll(".bill")].map(b =>
        [...b.querySelector(".bars").querySelectorAll(".bar")].map(r =>
        [Number(r.querySelector("data").value),
         [...r.querySelectorAll(".part")].reduce((s, p) => s + p.getBoundingClientRect().width, 0)
        ]));"""
    )
    track = browser.execute_script(
        'return document.querySelector(".bars .track").getBoundingClientRect().width'
    )
    bills = [bill for section in data.sections for bill in section.bills]
    assert len(bars) == len(bills)
    for rows, bill in zip(bars, bills, strict=True):
        assert sum(energy for energy, _ in rows) == pytest.approx(bill.priced_j)
        longest = max(rows)
        assert longest[1] == pytest.approx(track, abs=1)
        for energy, pixels in rows:
            assert pixels == pytest.approx(longest[1] * energy / longest[0], abs=4)


@pytest.mark.parametrize("width", [390, 320])
def test_fits_a_phone(browser: Any, width: int) -> None:
    _resize(browser, width)
    browser.execute_script('document.querySelectorAll("details").forEach(d => { d.open = true; })')
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    smallest = browser.execute_script(
        """return Math.min(...[...document.querySelectorAll("svg.network text")].map(
        t => t.getBoundingClientRect().height))"""
    )
    assert smallest >= 9


def test_choosing_a_sample_shows_it_alone(browser: Any) -> None:
    shown = """return [...document.querySelectorAll("#net0 .sample")].map(s => !s.hidden)"""
    choose = """const list = document.querySelector("#net0 select"); list.selectedIndex = {};
    list.dispatchEvent(new Event("change"));"""
    assert browser.execute_script(shown) == [True, False]
    browser.execute_script(choose.format(1))
    assert browser.execute_script(shown) == [False, True]
    browser.execute_script(choose.format(0))
    assert browser.execute_script(shown) == [True, False]


def test_prints_with_every_table_open(browser: Any) -> None:
    count = 'return document.querySelectorAll("details[open]").length'
    browser.execute_script('document.querySelectorAll("details").forEach(d => { d.open = false; })')
    browser.execute_script('dispatchEvent(new Event("beforeprint"))')
    folded = browser.execute_script('return document.querySelectorAll("details").length')
    assert folded > 20
    assert browser.execute_script(count) == folded
    browser.execute_script('dispatchEvent(new Event("afterprint"))')
    assert browser.execute_script(count) == 0


def test_choosing_a_profile_shows_its_bill_alone(browser: Any, data: ReportData) -> None:
    shown = """return [...document.querySelectorAll("#net0 .bill")].map(
    b => b.getBoundingClientRect().height > 0)"""
    n = len(data.sections[0].bills)
    for chosen in (2, 0):
        browser.execute_script(CHOOSE_BILL, "#net0", chosen)
        assert browser.execute_script(shown) == [k == chosen for k in range(n)]
    browser.execute_script(CHOOSE_BILL, "#net0", n)
    assert browser.execute_script(shown) == n * [True]


def test_a_click_on_a_heading_sorts(browser: Any, data: ReportData) -> None:
    _resize(browser, 1100)
    column = """return [...document.querySelectorAll("#net0 table.rivals tbody tr")].map(
    r => Number(r.cells[5].querySelector("data").value))"""
    click = 'document.querySelectorAll("#net0 table.rivals thead button")[5].click()'
    rivals = data.sections[0].against
    assert rivals is not None
    energies = [rival.bill.priced_j for rival in rivals.rivals]
    assert browser.execute_script(column) == energies
    browser.execute_script(click)
    assert browser.execute_script(column) == sorted(energies, reverse=True)
    browser.execute_script(click)
    assert browser.execute_script(column) == sorted(energies)


def test_marks_of_profiles_stand_at_their_energies(browser: Any, data: ReportData) -> None:
    _resize(browser, 1100)
    places = browser.execute_script(
        """return [...document.querySelectorAll("#net0 .ranges .bar")].map(b => {
        const t = b.querySelector(".track").getBoundingClientRect();
        const m = b.querySelector(".mark").getBoundingClientRect();
        const s = b.querySelector(".span").getBoundingClientRect();
        return [(m.left + m.right) / 2, s.left, s.right].map(x => (x - t.left) / t.width); });"""
    )
    bills = data.sections[0].bills
    marks = np.array([mark for mark, _, _ in places])
    logs = np.log10([bill.priced_j for bill in bills])
    slope, start = np.polyfit(logs, marks, 1)
    np.testing.assert_allclose(marks, slope * logs + start, atol=0.005)
    assert 1 / slope == pytest.approx(round(1 / slope), abs=0.05), "the axis spans whole decades"
    wide = next(k for k, bill in enumerate(bills) if bill.low_j < bill.high_j)
    ends = slope * np.log10([bills[wide].low_j, bills[wide].high_j]) + start
    np.testing.assert_allclose(places[wide][1:], ends, atol=0.005)


def test_dark_where_the_reader_wants_it(browser: Any) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    for scheme, dark in (("dark", True), ("light", False)):
        wanted = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})
        assert (sum(browser.execute_script(paper)) < 3 * 128) is dark


def test_prints_to_pdf_with_every_bill(browser: Any) -> None:
    browser.execute_script(CHOOSE_BILL, "#net0", 0)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = """return [...document.querySelectorAll(".bill, .sample")].filter(
    b => b.getBoundingClientRect().height === 0).length"""
    assert browser.execute_script(hidden) == 0
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    made = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(made["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") >= 4


def test_still_no_complaint_after_all_that(browser: Any) -> None:
    assert browser.get_log("browser") == []
