"""The page as text: self-contained, escaped, complete, equal to its data, written in one piece."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_example import Check, example, lif_network, section

from snn2hw.energy import estimate
from snn2hw.errors import DataError
from snn2hw.report import ReportData, render, write_report
from snn2hw.simulator.run import Overflows

HOSTILE = '<script>alert("x")</script>&amp;'


class Page(HTMLParser):
    """Tags with their attributes, the values of ``<data>``, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.values: list[float] = []
        self.text = ""
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("script", "style")
        if tag == "data":
            self.values.append(float(dict(attrs)["value"] or "nan"))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


@pytest.fixture(scope="module")
def data() -> ReportData:
    return example()


@pytest.fixture(scope="module")
def page(data: ReportData) -> Page:
    return Page(render(data))


def test_nothing_comes_from_elsewhere(data: ReportData) -> None:
    text = render(data)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    for tag, attributes in Page(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert (attributes.get("src") or "data:image/svg+xml;base64,").startswith(
            "data:image/svg+xml;base64,"
        )
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))


def test_small_and_the_same_every_time(data: ReportData) -> None:
    assert render(data) == render(data)
    assert len(render(data).encode()) < 1_000_000


def test_links_and_ids(page: Page) -> None:
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {(a["href"] or "")[1:] for t, a in page.tags if t == "a"}
    assert targets <= set(ids)


def test_numbers_are_those_of_the_data(data: ReportData, page: Page) -> None:
    for each in data.sections:
        run = each.run
        right = float(np.mean(run.predictions == each.labels))
        assert each.accuracy == right
        expected = [right, each.accuracy_float]
        expected += [run.activity.spikes / 6, run.activity.synops / 6]
        expected += [bill.priced_j for bill in each.bills]
        expected += [i.energy_j for bill in each.bills for i in bill.items if i.energy_j]
        for number in expected:
            assert number in page.values, number
        assert each.check is None or each.check.compared in page.values


def test_every_source_note_and_command_is_there(data: ReportData, page: Page) -> None:
    wanted = [*data.commands, *data.versions, *data.seeds, *data.sources.values(), data.title]
    for each in data.sections:
        wanted += [each.title, each.net.source_hash, *each.net.notes]
        wanted += [layer.name for layer in each.net.layers]
        for bill in each.bills:
            wanted += [price.source for price in bill.prices]
            wanted += [price.assumption for price in bill.prices]
            wanted += [*bill.profile.not_included, bill.profile.name]
            wanted += [item.why_unpriced for item in bill.unpriced]
    for text in wanted:
        assert text in page.text, text


def test_verdicts(data: ReportData) -> None:
    lif, gpn = data.sections
    text = Page(render(data)).text
    assert "Bit-exact against lava. 123\u202f456 values compared, 0 mismatches" in text
    assert "Not verified. no Python 3.10 was found; run snn2hw doctor --repair" in text
    wrong = Check(
        ok=False, mismatches=3, first_mismatch="step 4, neuron 7 of hidden: v is 5, not 6"
    )
    text = Page(render(replace(data, sections=(replace(lif, check=wrong),)))).text
    assert "Differs from lava. 3 of 123\u202f456 values differ. First: step 4, neuron 7" in text
    assert "Bit-exact" not in text
    silent = replace(gpn, not_verified="")
    assert "no comparison was asked for" in Page(render(replace(data, sections=(silent,)))).text


def test_a_bill_without_a_total_says_so(data: ReportData, page: Page) -> None:
    bill = data.sections[1].bills[0]
    assert bill.total_j is None
    assert "no total" in page.text
    assert "Not everything has a price, so there is no total." in page.text
    priced = replace(data.sections[0], bills=data.sections[0].bills[:1])
    assert "no total" not in Page(render(replace(data, sections=(priced,)))).text


def test_overflows_are_loud(data: ReportData) -> None:
    lif = data.sections[0]
    assert not any(lif.run.overflows.values())
    assert "No register overflowed" in Page(render(replace(data, sections=(lif,)))).text
    run = replace(lif.run, overflows={"hidden": Overflows(12, 3456)})
    text = Page(render(replace(data, sections=(replace(lif, run=run),)))).text
    assert "Registers overflowed." in text
    assert "No register overflowed" not in text
    assert re.search(r"hidden\s*12\s*3\u202f456", text)


def test_names_cannot_inject_anything() -> None:
    rng = np.random.default_rng(0)
    net = lif_network(rng, name=HOSTILE)
    net = replace(net, notes=(HOSTILE,), target=HOSTILE, source_hash=HOSTILE)
    hostile = section(
        HOSTILE, net, rng, class_names=(HOSTILE,) * 9, description=HOSTILE,
        check=Check(ok=False, mismatches=1, first_mismatch=HOSTILE, backend=HOSTILE),
    )  # fmt: skip
    unchecked = replace(hostile, check=None, not_verified=HOSTILE)
    page = ReportData(
        HOSTILE, (hostile, unchecked), HOSTILE, (HOSTILE,), {HOSTILE: HOSTILE}, {HOSTILE: 1},
        {HOSTILE: HOSTILE}, HOSTILE,
    )  # fmt: skip
    text = render(page)
    assert len(re.findall("<script", text)) == 1
    parsed = Page(text)
    assert parsed.text.count(HOSTILE) > 20
    assert [a for _, a in parsed.tags if any(name.startswith("on") for name in a)] == []


def test_bare_section() -> None:
    rng = np.random.default_rng(1)
    bare = section(
        "bare", lif_network(rng), rng, bills=(), check=None, labels=None, accuracy_float=None,
        x=None, class_names=(), samples=(), metrics=None, against=None, chips=(),
    )  # fmt: skip
    text = Page(render(ReportData("Bare", (bare,)))).text
    assert "Accuracy" not in text
    assert "Prices and sources" not in text
    assert "At a glance" not in text
    for heading in ("NeuroBench", "Energy by every profile", "one would use instead", "Placed on"):
        assert heading not in text
    assert "Figures of the chips" not in text


def test_written_under_a_temporary_name_and_renamed(
    tmp_path: Path, data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    assert write_report(target, data) == target
    assert target.read_text(encoding="utf-8") == render(data)
    assert target.stat().st_mode & 0o777 == 0o644

    def fail(self: Path, other: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="disk full"):
        write_report(target, replace(data, title="never seen"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert "never seen" not in target.read_text(encoding="utf-8")


def test_parts_that_do_not_belong_together(data: ReportData) -> None:
    lif = data.sections[0]
    with pytest.raises(DataError, match=r"'LIF, 40 neurons': labels has 2 samples and the run 6;"):
        replace(lif, labels=np.array([1, 2]))
    with pytest.raises(
        DataError, match=r"x has 1 samples and the run 6; pass the x of the samples"
    ):
        replace(lif, x=np.zeros((1, 60, 24), dtype=np.int32))
    with pytest.raises(DataError, match=r"sample 6 is not among the run's 6; use 0 to 5"):
        replace(lif, samples=(0, 6))


def test_the_first_three_samples_are_drawn_unless_said(data: ReportData) -> None:
    three = replace(data.sections[0], samples=None)
    assert three.shown == (0, 1, 2)
    text = render(replace(data, sections=(three,)))
    assert text.count('<figure class="sample"') == 3


def test_given_accuracy_goes_before_labels(data: ReportData) -> None:
    assert replace(data.sections[0], accuracy_fixed=0.5).accuracy == 0.5
    assert replace(data.sections[0], labels=None).accuracy is None


def test_class_names_fall_back_to_numbers(data: ReportData) -> None:
    assert data.sections[0].class_name(2) == "speaker 3"
    assert replace(data.sections[0], class_names=()).class_name(2) == "2"


def test_prices_of_one_profile_are_listed_once(data: ReportData) -> None:
    bill = estimate(data.sections[0].run, "cmos45-horowitz2014")
    lif = replace(data.sections[0], bills=(bill,))
    twice = (lif, replace(lif, title="again"))
    source = bill.prices[-1].assumption
    assert render(replace(data, sections=twice)).count(source) == 1
