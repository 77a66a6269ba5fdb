"""The same run by several profiles, and beside the networks one would use instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from snn2hw.energy import Bill
from snn2hw.energy.baselines import Comparison
from snn2hw.energy.profile import GRADES
from snn2hw.report import form
from snn2hw.report.bills import AT_LEAST, energy_text

View = dict[str, Any]

CURVE = 60
"""Points of a curve."""

TWIN = "ann"
"""Kind of a network's own twin with ReLUs."""

KINDS = ("gru", "lstm", "mlp", "cnn")
"""Kinds of networks in the order of their colours."""


def profiles_view(bills: Sequence[Bill]) -> View:
    """One row a profile, and a bar from its lowest to its highest on one logarithmic axis."""
    amounts = [v for b in bills for v in (b.low_j, b.priced_j, b.high_j) if v > 0]
    low = math.floor(math.log10(min(amounts))) if amounts else -12
    high = max(math.ceil(math.log10(max(amounts))), low + 1) if amounts else 0

    def at(value: float) -> float:
        return 100 * (math.log10(value) - low) / (high - low) if value > 0 else 0.0

    return {
        "axis": (form.joules(10.0**low), form.joules(10.0**high)),
        "rows": [
            {
                "name": bill.profile.name,
                "title": bill.profile.title,
                "grades": _grades(bill),
                "total": energy_text(bill),
                "range": _range(bill),
                "latency": _latency(bill),
                "placed": "yes" if bill.placed else "no",
                "left": f"{at(bill.low_j):.4g}",
                "width": f"{max(0.0, at(bill.high_j) - at(bill.low_j)):.4g}",
                "dot": f"{at(bill.priced_j):.4g}",
                "amount": _amount(bill),
            }
            for bill in bills
        ],
        "grades": [
            (grade, meaning)
            for grade, meaning in GRADES.items()
            if any(price.grade == grade for bill in bills for price in bill.prices)
        ],
        "how": [
            (bill.profile.name, bill.latency.how) for bill in bills if bill.latency is not None
        ],
    }


def _amount(bill: Bill) -> str:
    sign = AT_LEAST if bill.at_least or bill.unpriced else ""
    return sign + form.joules(bill.priced_j) + (" *" if bill.unpriced else "")


def _grades(bill: Bill) -> str:
    return ", ".join(dict.fromkeys(price.grade for price in bill.prices)) or form.NONE


def _range(bill: Bill) -> Any:
    if not bill.low_j < bill.high_j:
        return form.NONE
    low, high = (form.data(v, form.joules(v)) for v in (bill.low_j, bill.high_j))
    return Markup("{} to {}").format(low, high)


def _latency(bill: Bill) -> Any:
    if bill.latency is None:
        return form.NONE
    step, whole = bill.latency.step_s, bill.latency.inference_s
    return Markup("{} <small>{} a step</small>").format(
        form.data(whole, form.seconds(whole)), form.seconds(step)
    )


def rivals_view(comparison: Comparison) -> View:
    """This network and the others as rows, and its energy over the spike rate as a figure."""
    own = comparison.bill.priced_j
    cost = comparison.cost
    longest = max([own, *(rival.bill.priced_j for rival in comparison.rivals)])
    rows = [
        {
            "kind": form.model(rival.baseline.kind),
            "circuit": "sparse" if rival.sparse else "dense",
            "shape": rival.baseline.shape,
            "weights": form.data(rival.baseline.weights, form.count(rival.baseline.weights)),
            "macs": form.data(rival.baseline.macs, form.count(rival.baseline.macs)),
            "energy": form.data(rival.bill.priced_j, form.joules(rival.bill.priced_j)),
            "ratio": form.data(rival.ratio, f"{rival.ratio:.3g}"),
            "break_even": rival.verdict,
            "width": f"{100 * rival.bill.priced_j / longest:.4g}",
        }
        for rival in comparison.rivals
    ]
    return {
        "profile": comparison.bill.profile.name,
        "own": form.data(own, form.joules(own)),
        "own_width": f"{100 * own / longest:.4g}",
        "rate": form.NONE if cost is None else form.data(cost.rate, f"{cost.rate:.3g}"),
        "silent": form.NONE
        if cost is None
        else form.data(cost.silent_j, form.joules(cost.silent_j)),
        "rows": rows,
        "is_twin": all(rival.baseline.kind == TWIN for rival in comparison.rivals),
        "chart": None if cost is None else _chart(comparison),
    }


def cheaper_than(comparison: Comparison) -> str:
    """Kinds of the dense circuits that cost more than this network."""
    kinds = [form.model(r.baseline.kind) for r in comparison.rivals if not r.sparse and r.ratio > 1]
    return ", ".join(kinds) or "none"


def _chart(comparison: Comparison) -> View:
    """Energy over spike rate, energies on a logarithmic axis: this network a curve, each other
    network a line across, broken for a sparse circuit."""
    cost = comparison.cost
    if cost is None or not comparison.rivals:
        return {}
    evens = [r.break_even for r in comparison.rivals if r.break_even and 0 < r.break_even <= 1]
    most = min(1.0, 1.15 * max([2 * cost.rate, *evens]))
    rates = [most * k / CURVE for k in range(CURVE + 1)]
    others = [rival.bill.priced_j for rival in comparison.rivals]
    values = [v for v in (*map(cost.at, rates), *others) if v > 0]
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1

    def y(joules: float) -> str:
        share = (high - math.log10(max(joules, 10**low))) / (high - low)
        return f"{100 * share:.4g}"

    parts = [
        Markup('<path class="rival k{} {}" d="M0 {}H100"><title>{} {}: {}</title></path>').format(
            _colour(rival.baseline.kind),
            "sparse" if rival.sparse else "dense",
            y(rival.bill.priced_j),
            form.model(rival.baseline.kind),
            "sparse" if rival.sparse else "dense",
            form.joules(rival.bill.priced_j),
        )
        for rival in comparison.rivals
    ]
    points = "L".join(f"{100 * r / most:.4g} {y(cost.at(r))}" for r in rates)
    here = f"{100 * cost.rate / most:.4g} {y(cost.counted_j)}"
    parts.append(Markup('<path class="strong" d="M{}"/>').format(points))
    parts.append(Markup('<path class="dot" d="M{}h0"/>').format(here))
    svg = Markup(
        '<svg class="lines curve breakeven" viewBox="0 0 100 100" preserveAspectRatio="none" '
        'role="img" aria-label="Energy over spike rate">{}</svg>'
    ).format(Markup("").join(parts))
    kinds = dict.fromkeys(rival.baseline.kind for rival in comparison.rivals)
    return {
        "svg": svg,
        "top": form.joules(10**high),
        "bottom": form.joules(10**low),
        "right": f"{most:.2g}",
        "legend": [(form.model(kind), f"k{_colour(kind)}") for kind in kinds],
    }


def _colour(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)
