"""Energy profiles: prices with unit, source and grade, from JSON files that are checked on loading.

A profile says how it accounts (``terms.TERMS``: by events of a neuromorphic chip, by operations
and memory accesses of digital logic, ...), gives a price to each term that it knows, and lists what
it leaves out. Format: docs/energy.md.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from snn2hw.energy.terms import GRADES, PER_SECOND, POWER_UNITS, TERMS, TIME_UNITS, TIMES, UNITS
from snn2hw.errors import ProfileError

__all__ = [
    "GRADES",
    "TERMS",
    "UNITS",
    "Price",
    "Profile",
    "load_profile",
    "parse_profile",
    "profile_names",
]

_PROFILE_KEYS = {"name", "title", "technology", "account", "terms", "times", "not_included"}
_TERM_KEYS = {
    "value", "points", "unit", "source", "grade", "range", "at_least", "assumption", "models",
}  # fmt: skip


@dataclass(frozen=True)
class Price:
    """What one term costs, and who says so.

    points: (capacity in bytes, price in joules) in rising order of capacity; a single point with
    capacity 0 where the price is one number. at_least: the source gives a lower bound. models: the
    neuron models that the price holds for, None for all. low, high: factors between which the price
    lies, where sources differ or give an error. A power is in joules per second, and a time of
    ``Profile.times`` in seconds.
    """

    term: str
    points: tuple[tuple[float, float], ...]
    source: str
    grade: str
    at_least: bool = False
    assumption: str = ""
    models: tuple[str, ...] | None = None
    low: float = 1.0
    high: float = 1.0

    def joules(self, capacity_bytes: float = 0.0) -> float:
        """Price in joules: linear between the points, the outermost ones beyond them."""
        low = self.points[0]
        if capacity_bytes <= low[0]:
            return low[1]
        for high in self.points[1:]:
            if capacity_bytes <= high[0]:
                part = (capacity_bytes - low[0]) / (high[0] - low[0])
                return low[1] + part * (high[1] - low[1])
            low = high
        return low[1]


@dataclass(frozen=True)
class Profile:
    """Prices of one technology. account: see ``terms.TERMS``; times: seconds by term, if known."""

    name: str
    title: str
    technology: str
    account: str
    prices: Mapping[str, Price]
    not_included: tuple[str, ...]
    times: Mapping[str, Price] = field(default_factory=dict)


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with snn2hw."""
    folder = resources.files("snn2hw.energy.profiles")
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))


def load_profile(name_or_path: str | Path) -> Profile:
    """A profile that comes with snn2hw, by name, or a file of one's own, by path (``*.json``).

    Raises ProfileError, naming file, term and remedy, for a profile that is unknown, is not JSON,
    or lacks anything that a price needs.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or name.endswith(".json"):
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"cannot read energy profile {path}: {error}") from error
        return parse_profile(text, path.name)
    if name not in profile_names():
        raise ProfileError(
            f"unknown energy profile {name!r}; use one of {', '.join(profile_names())}, "
            "or the path of a .json file"
        )
    file = resources.files("snn2hw.energy.profiles") / f"{name}.json"
    return parse_profile(file.read_text(encoding="utf-8"), f"{name}.json")


def parse_profile(text: str, file: str) -> Profile:
    """A profile from JSON text; ``file`` names it in messages. Raises ProfileError."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ProfileError(f"{file}: not JSON ({error}); see docs/energy.md") from error
    if not isinstance(data, dict):
        raise ProfileError(f"{file}: holds no JSON object; see docs/energy.md")
    _only(data, _PROFILE_KEYS, file)
    account = _text(data, "account", file)
    if account not in TERMS:
        raise ProfileError(f"{file}: account is {account!r}; use one of {', '.join(TERMS)}")
    terms = data.get("terms")
    if not isinstance(terms, dict) or not terms:
        raise ProfileError(f"{file}: terms is missing or empty; price at least one term")
    prices = {term: _price(term, entry, account, file) for term, entry in terms.items()}
    times = data.get("times", {})
    if not isinstance(times, dict):
        raise ProfileError(f"{file}: times is no JSON object; write term -> time")
    for price in prices.values():
        if price.grade == "A" and len(prices) > 1:
            raise ProfileError(
                f"{file}: term {price.term!r} is an all-in figure (grade A), which nothing may be "
                "added to; make it the only term of the profile"
            )
    return Profile(
        name=_text(data, "name", file),
        title=_text(data, "title", file),
        technology=_text(data, "technology", file),
        account=account,
        prices=prices,
        not_included=_texts(data, "not_included", file),
        times={term: _time(term, entry, account, file) for term, entry in times.items()},
    )


def _price(term: str, entry: Any, account: str, file: str) -> Price:
    if term not in TERMS[account]:
        raise ProfileError(
            f"{file}: unknown term {term!r}; a profile of {account} prices "
            f"{', '.join(TERMS[account])}"
        )
    units = POWER_UNITS if term in PER_SECOND else UNITS
    return _figure(term, entry, units, f"{file}: term {term!r}")


def _time(term: str, entry: Any, account: str, file: str) -> Price:
    known = TIMES.get(account, {})
    if term not in known:
        raise ProfileError(
            f"{file}: unknown time {term!r}; a profile of {account} gives "
            f"{', '.join(known) or 'no times'}"
        )
    return _figure(term, entry, TIME_UNITS, f"{file}: time {term!r}")


def _figure(term: str, entry: Any, units: Mapping[str, float], where: str) -> Price:
    if not isinstance(entry, dict):
        raise ProfileError(f"{where} is no JSON object; give it value, unit, source and grade")
    _only(entry, _TERM_KEYS, where)
    unit = _text(entry, "unit", where)
    if unit not in units:
        raise ProfileError(f"{where}: unit is {unit!r}; use one of {', '.join(units)}")
    grade = _text(entry, "grade", where)
    if grade == "U":
        raise ProfileError(
            f"{where}: grade U, unsourced; find a source for the figure or leave the term out"
        )
    if grade not in GRADES:
        raise ProfileError(f"{where}: grade is {grade!r}; use one of {', '.join(GRADES)}")
    at_least = entry.get("at_least", False)
    if not isinstance(at_least, bool):
        raise ProfileError(f"{where}: at_least is not true or false; write one of them")
    low, high = _range(entry, where)
    return Price(
        term=term,
        points=_points(entry, units[unit], where),
        source=_text(entry, "source", where),
        grade=grade,
        at_least=at_least,
        assumption=_text(entry, "assumption", where) if "assumption" in entry else "",
        models=_texts(entry, "models", where) if "models" in entry else None,
        low=low,
        high=high,
    )


def _range(entry: Mapping[str, Any], where: str) -> tuple[float, float]:
    """Factors between which the price lies."""
    pair = entry.get("range", [1, 1])
    if not isinstance(pair, list) or len(pair) != 2:
        raise ProfileError(f"{where}: range {pair!r} is not a pair; write [lowest, highest factor]")
    low, high = (_number(factor, where) for factor in pair)
    if not low <= 1 <= high:
        raise ProfileError(f"{where}: range {pair!r} leaves the price out; write factors around 1")
    return low, high


def _points(entry: Mapping[str, Any], scale: float, where: str) -> tuple[tuple[float, float], ...]:
    """The price, or the prices by memory capacity, in joules."""
    if ("value" in entry) == ("points" in entry):
        raise ProfileError(f"{where}: give either a value or points [[bytes, price], ...]")
    if "value" in entry:
        return ((0.0, _number(entry["value"], where) * scale),)
    pairs = entry["points"]
    if not isinstance(pairs, list) or not pairs:
        raise ProfileError(f"{where}: points is empty; write [[bytes, price], ...]")
    points = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ProfileError(f"{where}: point {pair!r} is not a pair; write [bytes, price]")
        points.append((_number(pair[0], where), _number(pair[1], where) * scale))
    capacities = [capacity for capacity, _ in points]
    if any(b <= a for a, b in itertools.pairwise(capacities)):
        raise ProfileError(f"{where}: capacities do not rise; put the points in order of bytes")
    return tuple(points)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ProfileError(f"{where}: {value!r} is not a finite number; write one")
    if value < 0:
        raise ProfileError(f"{where}: {value!r} is negative; a price is at least 0")
    return float(value)


def _text(data: Mapping[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ProfileError(f"{where}: {key} is missing; write it as text")
    return value


def _texts(data: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = data.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise ProfileError(f"{where}: {key} is missing or empty; write it as a list of texts")
    return tuple(value)


def _only(data: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise ProfileError(
            f"{where}: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}"
        )
