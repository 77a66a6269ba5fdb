"""Profiles: what ships is complete and equal to the sources; what is wrong is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from snn2hw.energy import float_operations, load_profile, operations, profile_names
from snn2hw.energy.profile import TERMS, parse_profile
from snn2hw.errors import ProfileError
from snn2hw.neurons import MODELS


def good() -> dict[str, Any]:
    return {
        "name": "mine",
        "title": "My chip",
        "technology": "7 nm",
        "account": "events",
        "terms": {
            "synaptic_operation": {
                "value": 5, "unit": "pJ", "source": "my lab, 2026", "grade": "M",
            },
            "spike_in_tile": {"value": 2, "unit": "fJ", "source": "my lab, 2026", "grade": "M"},
        },
        "not_included": ["the host"],
    }  # fmt: skip


def write(folder: Path, data: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_what_ships() -> None:
    assert profile_names() == (
        "cmos45-horowitz2014",
        "cmos45-horowitz2014-fp32",
        "lemaire2022",
        "loihi1-davies2018",
        "loihi1-sanafe2025",
        "spinnaker2",
    )
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.not_included
        for price in (*profile.prices.values(), *profile.times.values()):
            assert price.source
            assert price.grade in "SMTC"


def test_davies_prices() -> None:
    prices = load_profile("loihi1-davies2018").prices
    picojoules = {term: price.joules() * 1e12 for term, price in prices.items()}
    assert picojoules == pytest.approx(
        {
            "synaptic_operation": 23.6,
            "neuron_update_active": 81,
            "neuron_update_idle": 52,
            "spike_in_tile": 1.7,
            "hop_east_west": 3.0,
            "hop_north_south": 4.0,
            "stdp_pair_update": 120,
        }
    )
    assert {price.grade for price in prices.values()} == {"S"}
    assert prices["synaptic_operation"].at_least


def test_davies_times() -> None:
    times = load_profile("loihi1-davies2018").times
    nanoseconds = {term: time.joules() * 1e9 for term, time in times.items()}
    assert nanoseconds == pytest.approx(
        {
            "synaptic_operation": 3.5,
            "neuron_update_active": 8.4,
            "neuron_update_idle": 5.3,
            "barrier": 113,
        }
    )
    assert times["barrier"].joules(32) * 1e9 == pytest.approx(465)


def test_sanafe_prices() -> None:
    prices = load_profile("loihi1-sanafe2025").prices
    picojoules = {term: price.joules() * 1e12 for term, price in prices.items()}
    assert picojoules == pytest.approx(
        {
            "synapse_dense": 35.5,
            "synapse_sparse": 33.6,
            "synapse_convolution": 24.0,
            "neuron_access": 51.2,
            "neuron_update": 21.6,
            "spike_out": 69.3,
            "message_out": 111.0,
            "hop_east_west": 3.0,
            "hop_north_south": 4.2,
        }
    )
    assert {(price.low, price.high) for price in prices.values()} == {(0.88, 1.12)}


def test_float_prices_of_horowitz() -> None:
    prices = load_profile("cmos45-horowitz2014-fp32").prices
    assert prices["add"].joules() == pytest.approx(0.9e-12)
    assert prices["multiply"].joules() == pytest.approx(3.7e-12)
    assert (
        prices["sram_access"].points
        == load_profile("cmos45-horowitz2014").prices["sram_access"].points
    )


@pytest.mark.parametrize(
    ("capacity", "picojoules"), [(0, 0), (4096, 5), (8192, 10), (20480, 15), (2**24, 100)]
)
def test_lemaire_memory_falls_to_nothing(capacity: float, picojoules: float) -> None:
    price = load_profile("lemaire2022").prices["sram_word"]
    assert price.joules(capacity) * 1e12 == pytest.approx(picojoules)


@pytest.mark.parametrize(
    ("capacity", "picojoules"),
    [(0, 10), (512, 10), (8192, 10), (20480, 15), (32768, 20), (540672, 60), (2**20, 100),
     (2**24, 100)],
)  # fmt: skip
def test_horowitz_memory_is_linear_between_published_sizes(
    capacity: float, picojoules: float
) -> None:
    price = load_profile("cmos45-horowitz2014").prices["sram_access"]
    assert price.joules(capacity) * 1e12 == pytest.approx(picojoules)


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path, good())
    for where in (path, str(path)):
        profile = load_profile(where)
        assert profile.prices["synaptic_operation"].joules() == pytest.approx(5e-12)
        assert profile.prices["spike_in_tile"].joules() == pytest.approx(2e-15)


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ProfileError, match=r"unknown energy profile 'loihi3'; .*loihi1-davies2018"):
        load_profile("loihi3")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"cannot read energy profile .*none\.json"):
        load_profile(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": None}, r"mine\.json: term 'synaptic_operation': unit is missing; write it"),
        ({"source": ""}, r"mine\.json: term 'synaptic_operation': source is missing; write it"),
        ({"grade": None}, r"mine\.json: term 'synaptic_operation': grade is missing; write it"),
        ({"grade": "U"}, r"term 'synaptic_operation': grade U, unsourced; find a source"),
        ({"grade": "Z"}, r"term 'synaptic_operation': grade is 'Z'; use one of M, S, A, T"),
        ({"grade": "A"}, r"all-in figure \(grade A\), which nothing may be added to; make it the"),
        ({"unit": "eV"}, r"term 'synaptic_operation': unit is 'eV'; use one of J, nJ, pJ, fJ"),
        ({"value": -1}, r"term 'synaptic_operation': -1 is negative; a price is at least 0"),
        ({"value": "5"}, r"'5' is not a finite number"),
        ({"value": float("nan")}, r"nan is not a finite number"),
        ({"value": True}, r"True is not a finite number"),
        ({"value": None}, r"None is not a finite number"),
        ({"points": [[1, 2]]}, r"give either a value or points"),
        ({"at_least": 1}, r"at_least is not true or false"),
        ({"unit": "mW"}, r"term 'synaptic_operation': unit is 'mW'; use one of J"),
        ({"range": [0.5]}, r"range \[0.5\] is not a pair; write \[lowest, highest factor\]"),
        ({"range": [1.1, 1.2]}, r"range \[1.1, 1.2\] leaves the price out; write factors around 1"),
        ({"range": [-1, 2]}, r"-1 is negative"),
        ({"models": []}, r"models is missing or empty; write it as a list of texts"),
        ({"volts": 1}, r"term 'synaptic_operation': unknown key 'volts'; the keys are assumption"),
    ],
)
def test_bad_terms(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = good()
    data["terms"]["synaptic_operation"] |= change
    with pytest.raises(ProfileError, match=message) as caught:
        load_profile(write(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "points is empty"),
        ([[1, 2, 3]], r"point \[1, 2, 3\] is not a pair"),
        ([[1, -2]], "-2 is negative"),
        ([[8, 1], [8, 2]], "capacities do not rise"),
    ],
)
def test_bad_points(tmp_path: Path, points: Any, message: str) -> None:
    data = good()
    term = data["terms"]["synaptic_operation"]
    del term["value"]
    term["points"] = points
    with pytest.raises(ProfileError, match=message):
        load_profile(write(tmp_path, data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"terms": {}}, r"mine\.json: terms is missing or empty"),
        ({"terms": {"warp": {}}}, r"mine\.json: unknown term 'warp'; a profile of events prices"),
        ({"terms": {"spike_in_tile": 5}}, r"term 'spike_in_tile' is no JSON object; give it value"),
        (
            {"account": "guess"},
            r"mine\.json: account is 'guess'; use one of events, stages, op",
        ),
        ({"account": "operations"}, r"unknown term 'synaptic_operation'; a profile of operations"),
        ({"not_included": []}, r"mine\.json: not_included is missing or empty"),
        ({"title": 3}, r"mine\.json: title is missing"),
        ({"extra": 3}, r"mine\.json: unknown key 'extra'"),
    ],
)
def test_bad_profiles(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile(write(tmp_path, good() | change))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([], r"mine\.json: times is no JSON object"),
        ({"nap": {}}, r"unknown time 'nap'; a profile of events gives synaptic_operation"),
        ({"barrier": 3}, r"time 'barrier' is no JSON object"),
        ({"barrier": {"value": 3, "unit": "pJ", "source": "x", "grade": "M"}},
         r"time 'barrier': unit is 'pJ'; use one of s, us, ns"),
        ({"barrier": {"value": 3, "unit": "ns", "grade": "M"}}, r"source is missing"),
    ],
)  # fmt: skip
def test_bad_times(tmp_path: Path, times: Any, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile(write(tmp_path, good() | {"times": times}))


def test_powers_have_units_of_power(tmp_path: Path) -> None:
    entry = {"value": 2, "unit": "mW", "source": "my lab, 2026", "grade": "M"}
    data = good() | {"account": "power-states", "terms": {"chip_base": entry}}
    assert load_profile(write(tmp_path, data)).prices["chip_base"].joules() == pytest.approx(2e-3)
    data["terms"] = {"chip_base": entry | {"unit": "pJ"}}
    with pytest.raises(ProfileError, match=r"unit is 'pJ'; use one of W, mW, uW"):
        load_profile(write(tmp_path, data))


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[1]", "holds no JSON object")])
def test_not_a_profile(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=rf"mine\.json: {message}"):
        load_profile(write(tmp_path, text))


def test_an_all_in_figure_may_stand_alone(tmp_path: Path) -> None:
    data = good()
    del data["terms"]["spike_in_tile"]
    data["terms"]["synaptic_operation"]["grade"] = "A"
    assert load_profile(write(tmp_path, data)).prices["synaptic_operation"].grade == "A"


def test_the_documentation_says_what_the_code_does() -> None:
    text = (Path(__file__).parent.parent / "docs" / "energy.md").read_text(encoding="utf-8")
    example = text.split("```json\n")[1].split("```")[0]
    assert parse_profile(example, "docs/energy.md").name == "my-chip"
    rows = re.findall(r"^\| (\w+) \|((?: \d+ \|){7})$", text, re.MULTILINE)
    said = {name.lower(): [int(n) for n in re.findall(r"\d+", counts)] for name, counts in rows}
    assert said == {name: list(operations(model).values()) for name, model in MODELS.items()}
    rows = re.findall(r"^\| (\w+) \|((?: \d+ \|){6})$", text, re.MULTILINE)
    floats = {name.lower(): [int(n) for n in re.findall(r"\d+", counts)] for name, counts in rows}
    assert floats == {
        name: list(float_operations(model)[0].values()) for name, model in MODELS.items()
    }
    for account, terms in TERMS.items():
        assert f"`{account}`" in text
        assert all(f"`{term}`" in text for term in terms)
    assert all(f"| `{name}` |" in text for name in profile_names())
