"""Bills as the page shows them: bars by layer and by term, every line, every price and source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from snn2hw.energy import Bill
from snn2hw.energy.profile import GRADES, TERMS, Price
from snn2hw.energy.terms import PER_SECOND, TIMES
from snn2hw.report import form
from snn2hw.report.data import ReportData

GROUPS = ("synapses", "neurons", "messages", "memory")
"""Groups of lines, in the order in which bars are stacked."""

AT_LEAST = "≥" + form.NARROW_SPACE

View = dict[str, Any]


def energy_text(bill: Bill) -> Markup:
    """The total, or why there is none."""
    if bill.total_j is None:
        # "neuron updates, active" and "..., idle" are one thing to say in a summary.
        without = dict.fromkeys(
            f"{item.what.partition(',')[0]} of {item.layer}" for item in bill.unpriced
        )
        return Markup("no total <small>{} without {}</small>").format(
            form.data(bill.priced_j, form.joules(bill.priced_j)), ", ".join(without)
        )
    sign = AT_LEAST if bill.at_least else ""
    return form.data(bill.total_j, sign + form.joules(bill.total_j))


def bill_view(bill: Bill, anchor: str) -> View:
    """One bill as bars and lines. anchor: its id on the page."""
    charged = {item.layer for item in bill.items}
    by_layer = {name: bill.by_group(name) for name in bill.layers if name in charged}
    widest = max((sum(groups.values()) for groups in by_layer.values()), default=0.0) or 1.0
    terms = sorted(bill.by_term().items(), key=lambda pair: -pair[1])
    unpriced = {item.what for item in bill.unpriced}
    longest = max((energy for _, energy in terms), default=0.0) or 1.0
    group_of = {item.what: item.group for item in bill.items}
    return {
        "anchor": anchor,
        "name": bill.profile.name,
        "title": bill.profile.title,
        "total": energy_text(bill),
        "layers": [
            {
                "name": name,
                "energy": form.data(sum(groups.values()), form.joules(sum(groups.values()))),
                "parts": [
                    (g, f"{100 * groups.get(g, 0.0) / widest:.4g}", form.joules(groups.get(g, 0.0)))
                    for g in GROUPS
                    if groups.get(g, 0.0) > 0
                ],
                "incomplete": any(item.layer == name for item in bill.unpriced),
            }
            for name, groups in by_layer.items()
        ],
        "terms": [
            {
                "name": what,
                "group": group_of[what],
                "energy": "no price"
                if what in unpriced and energy == 0
                else form.data(energy, form.joules(energy)),
                "width": f"{100 * energy / longest:.4g}",
            }
            for what, energy in terms
        ],
        "items": [
            [
                item.layer,
                item.what,
                form.data(item.count, form.count(item.count)),
                form.NONE
                if item.price_j is None
                else form.price(item.price_j, item.term in PER_SECOND),
                "no price"
                if item.energy_j is None
                else form.data(item.energy_j, form.joules(item.energy_j)),
                form.NONE if item.price is None else item.price.grade,
            ]
            for item in bill.items
        ],
        "unpriced": [
            Markup("{}: {} {} per inference ({})").format(
                item.layer,
                form.data(item.count, form.count(item.count)),
                item.what,
                item.why_unpriced,
            )
            for item in bill.unpriced
        ],
        "used": [group for group in GROUPS if bill.by_group().get(group, 0.0) > 0],
    }


def profile_view(data: ReportData, name: str) -> View:
    """Every price of the profile that any bill on the page used, and what it leaves out."""
    bills = [bill for s in data.sections for bill in s.bills if bill.profile.name == name]
    prices = {price.term: price for bill in bills for price in bill.prices}
    times = {time.term: time for bill in bills if bill.latency for time in bill.latency.times}
    profile = bills[0].profile
    known = TIMES.get(profile.account, {})
    return {
        "name": profile.name,
        "title": profile.title,
        "technology": profile.technology,
        "prices": [
            *(_price(p, TERMS[profile.account][p.term], _amount) for p in prices.values()),
            *(_price(t, f"time: {known.get(t.term, t.term)}", _time) for t in times.values()),
        ],
        "not_included": profile.not_included,
        "grades": [
            (grade, meaning)
            for grade, meaning in GRADES.items()
            if grade in {figure.grade for figure in (*prices.values(), *times.values())}
        ],
    }


def _amount(price: Price, value: float) -> str:
    return form.price(value, price.term in PER_SECOND)


def _time(_: Price, value: float) -> str:
    return form.seconds(value)


def _price(price: Price, what: str, text: Callable[[Price, float], str]) -> View:
    amounts = [
        text(price, value) + (f" at {form.size(capacity)}" if capacity else "")
        for capacity, value in price.points
    ]
    return {
        "what": what,
        "price": (AT_LEAST if price.at_least else "") + ", ".join(amounts),
        "range": f"× {price.low:g} to {price.high:g}" if price.low < price.high else "",
        "grade": price.grade,
        "source": price.source,
        "assumption": price.assumption,
    }
