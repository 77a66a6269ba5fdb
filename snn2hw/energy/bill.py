"""The bill: what was counted, at what price, by whose word, and what could not be priced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snn2hw.energy.profile import Price, Profile


@dataclass(frozen=True)
class Charge:
    """A count before it meets a price: what the accounts in ``events`` and ``logic`` make.

    layer: layer (or input) that is charged; group: "synapses", "neurons", "messages" or "memory";
    what: in words; term: which price of the profile; count: per inference; capacity_bytes: size of
    the memory that is accessed; model: neuron model, where the price depends on it; why: why no
    price can be put to it, "" where one can.
    """

    layer: str
    group: str
    what: str
    term: str
    count: float
    capacity_bytes: float = 0.0
    model: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Latency:
    """How long a step takes on the busiest core, and an inference, in seconds.

    step_s: average over the steps of the slowest sample; how: what was added up; times: whose word
    it is.
    """

    step_s: float
    inference_s: float
    how: str
    times: tuple[Price, ...] = ()


@dataclass(frozen=True)
class Item:
    """One line of the bill.

    count: per inference; price_j: joules each, None where the profile has no price for it, and
    then ``why_unpriced`` says why. price: whose word it is.
    """

    layer: str
    group: str
    what: str
    term: str
    count: float
    price_j: float | None
    price: Price | None
    why_unpriced: str = ""

    @property
    def energy_j(self) -> float | None:
        """Joules per inference; None where there is no price."""
        return None if self.price_j is None else self.count * self.price_j

    @property
    def low_j(self) -> float | None:
        """The same at the lowest price that the sources allow."""
        return self._times(None if self.price is None else self.price.low)

    @property
    def high_j(self) -> float | None:
        """The same at the highest one."""
        return self._times(None if self.price is None else self.price.high)

    def _times(self, factor: float | None) -> float | None:
        return None if self.energy_j is None or factor is None else self.energy_j * factor


@dataclass(frozen=True)
class Bill:
    """Energy of one inference, averaged over the samples of a run.

    samples: number of them; steps: time steps of each; layers: in the network's order; items: the
    lines; placed: whether a placement gave hops and copies (or elements); latency: where the
    profile has times and a placement was given. An inference is one sample of the run.
    """

    profile: Profile
    samples: int
    steps: int
    layers: tuple[str, ...]
    items: tuple[Item, ...]
    placed: bool = False
    latency: Latency | None = None

    @property
    def priced_j(self) -> float:
        """Joules per inference of everything that the profile prices."""
        return _sum(self.items)

    @property
    def low_j(self) -> float:
        """The same at the lowest prices that the sources allow."""
        return float(sum(item.low_j for item in self.items if item.low_j is not None))

    @property
    def high_j(self) -> float:
        """The same at the highest ones; no bound where ``at_least``."""
        return float(sum(item.high_j for item in self.items if item.high_j is not None))

    @property
    def total_j(self) -> float | None:
        """Joules per inference; None where any line has no price (see ``unpriced``)."""
        return None if self.unpriced else self.priced_j

    @property
    def unpriced(self) -> tuple[Item, ...]:
        """The lines without a price."""
        return tuple(item for item in self.items if item.price_j is None)

    @property
    def at_least(self) -> bool:
        """Whether a price among the lines is a lower bound, so that the sum is one too."""
        return any(item.price is not None and item.price.at_least for item in self.items)

    @property
    def prices(self) -> tuple[Price, ...]:
        """The prices that were used, each once, in order of use."""
        return tuple({i.price.term: i.price for i in self.items if i.price is not None}.values())

    def by_layer(self) -> dict[str, float]:
        """Layer -> joules per inference of its priced lines."""
        return {name: _sum(i for i in self.items if i.layer == name) for name in self.layers}

    def by_term(self) -> dict[str, float]:
        """What was done, in words -> joules per inference of its priced lines."""
        return {
            what: _sum(i for i in self.items if i.what == what)
            for what in dict.fromkeys(i.what for i in self.items)
        }

    def by_group(self, layer: str | None = None) -> dict[str, float]:
        """Group -> joules per inference of the priced lines, of one layer or of all."""
        return {
            group: _sum(i for i in self.items if i.group == group and layer in (None, i.layer))
            for group in dict.fromkeys(i.group for i in self.items)
        }

    def to_dict(self) -> dict[str, Any]:
        """The whole bill as JSON types; energies in joules per inference."""
        return {
            "profile": self.profile.name,
            "title": self.profile.title,
            "technology": self.profile.technology,
            "samples": self.samples,
            "steps": self.steps,
            "total_j": self.total_j,
            "priced_j": self.priced_j,
            "low_j": self.low_j,
            "high_j": self.high_j,
            "placed": self.placed,
            "latency": None if self.latency is None else _latency(self.latency),
            "at_least": self.at_least,
            "layers_j": self.by_layer(),
            "terms_j": self.by_term(),
            "groups_j": self.by_group(),
            "items": [_item(item) for item in self.items],
            "unpriced": [
                {"layer": i.layer, "what": i.what, "count": i.count, "why": i.why_unpriced}
                for i in self.unpriced
            ],
            "prices": [_price(price) for price in self.prices],
            "not_included": list(self.profile.not_included),
        }


def price_charges(charges: Iterable[Charge], profile: Profile) -> tuple[Item, ...]:
    """Put the profile's prices to the counts. Counts of zero are left out."""
    return tuple(_priced(charge, profile) for charge in charges if charge.count > 0)


def _priced(charge: Charge, profile: Profile) -> Item:
    price = profile.prices.get(charge.term)
    why = ""
    if charge.why:
        why, price = charge.why, None
    elif price is None:
        why = f"{profile.name} has no price for {charge.term}"
    elif price.models is not None and charge.model not in price.models:
        why = (
            f"{profile.name} prices {charge.term} for {', '.join(price.models)} only, "
            f"not for {charge.model}"
        )
        price = None
    each = None if price is None else price.joules(charge.capacity_bytes)
    return Item(
        charge.layer, charge.group, charge.what, charge.term, charge.count, each, price, why
    )


def _sum(items: Iterable[Item]) -> float:
    return float(sum(item.energy_j for item in items if item.energy_j is not None))


def _item(item: Item) -> Mapping[str, Any]:
    return {
        "layer": item.layer,
        "group": item.group,
        "what": item.what,
        "term": item.term,
        "count": item.count,
        "price_j": item.price_j,
        "energy_j": item.energy_j,
        "low_j": item.low_j,
        "high_j": item.high_j,
        "source": None if item.price is None else item.price.source,
        "grade": None if item.price is None else item.price.grade,
    }


def _price(price: Price) -> Mapping[str, Any]:
    return {
        "term": price.term,
        "points": [list(point) for point in price.points],
        "unit": "J",
        "source": price.source,
        "grade": price.grade,
        "at_least": price.at_least,
        "range": [price.low, price.high],
        "assumption": price.assumption,
    }


def _latency(latency: Latency) -> Mapping[str, Any]:
    return {
        "step_s": latency.step_s,
        "inference_s": latency.inference_s,
        "how": latency.how,
        "times": [{**_price(time), "unit": "s"} for time in latency.times],
    }
