"""From report data to what the template fills in: rows, bars and figures, numbers already text."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from snn2hw.energy.metrics import Metrics
from snn2hw.report import form
from snn2hw.report.bills import GROUPS, bill_view, energy_text, profile_view
from snn2hw.report.chip import Chip, chip_view, figures_view
from snn2hw.report.comparing import comparison_view
from snn2hw.report.comparisons import cheaper_than, profiles_view, rivals_view
from snn2hw.report.data import ReportData, Section
from snn2hw.report.network import describe_delay, draw_network
from snn2hw.report.samples import sample_view

MARKS = 250_000
"""Spikes drawn on the whole page at most, so that it stays well below 5 MB."""


BILL_CARDS = 3
"""Bills on cards at the top of a section, the first ones; all stand in its comparison."""

View = dict[str, Any]


def page_view(data: ReportData, version: str) -> View:
    """The template's variables for a whole page. version: of snn2hw."""
    bands = sum(len(s.shown) * (len(s.net.layers) + 1) for s in data.sections)
    marks = MARKS // max(1, bands)
    bills = {bill.profile.name: bill for s in data.sections for bill in s.bills}
    chips = {chip.name: chip for s in data.sections for chip in s.chips}
    return {
        "data": data,
        "version": version,
        "sections": [section_view(s, f"net{k}", marks) for k, s in enumerate(data.sections)],
        "summary": _summary(data, tuple(bills)),
        "profiles": [profile_view(data, name) for name in bills],
        "chips": [figures_view(chip) for chip in chips.values() if chip.figures],
        "groups": GROUPS,
    }


def section_view(section: Section, anchor: str, marks: int) -> View:
    """The template's variables for one network. marks: spikes to draw in a band at most."""
    net, activity = section.net, section.run.activity
    return {
        "anchor": anchor,
        "title": section.title,
        "description": section.description,
        "drawing": draw_network(net, anchor),
        "facts": _facts(section),
        "cards": _cards(section),
        "verdict": verdict(section),
        "overflows": [
            (name, form.count(o.wraps), form.count(o.clips))
            for name, o in section.run.overflows.items()
            if o
        ],
        "samples": [sample_view(section, sample, marks) for sample in section.shown],
        "layers": _layers(section),
        "synapses": [_synapse(section, k) for k in range(len(activity.synapses))],
        "bills": [bill_view(bill, f"{anchor}-{bill.profile.name}") for bill in section.bills],
        "profiles": profiles_view(section.bills) if section.bills else None,
        "rivals": None if section.against is None else rivals_view(section.against),
        "not_compared": section.not_compared,
        "metrics": [] if section.metrics is None else _metrics(section.metrics),
        "chips": [chip_view(chip) for chip in section.chips],
        "notes": net.notes,
        "has_accuracy": section.accuracy is not None or section.accuracy_float is not None,
        "accuracy": _accuracy(section),
        "comparison": comparison_view(section.comparison) if section.comparison else None,
    }


def verdict(section: Section) -> View:
    """Whether the integers were verified: kind "good", "bad" or "none", a headline and a detail."""
    check = section.check
    if check is None:
        reason = section.not_verified or "no comparison was asked for; run snn2hw verify"
        return {"kind": "none", "headline": "Not verified", "short": "not verified",
                "detail": reason}  # fmt: skip
    took = f"{check.seconds:.1f}{form.NARROW_SPACE}s"
    compared = form.data(check.compared, form.count(check.compared))
    if check.ok:
        return {
            "kind": "good",
            "headline": f"Bit-exact against {check.backend}",
            "short": form.data(check.mismatches, form.count(check.mismatches)),
            "detail": Markup("{} values compared, {} mismatches, in {}.").format(
                compared, form.data(check.mismatches, form.count(check.mismatches)), took
            ),
        }
    wrong = form.data(check.mismatches, form.count(check.mismatches))
    return {
        "kind": "bad",
        "headline": f"Differs from {check.backend}",
        "short": wrong,
        "detail": Markup("{} of {} values differ. First: {}").format(
            wrong, compared, check.first_mismatch
        ),
    }


def per_inference(total: float, section: Section) -> Markup:
    """A count over the run as a count per inference."""
    value = total / section.run.activity.samples
    return form.data(value, form.count(value))


def _accuracy_text(fraction: float | None) -> Any:
    return form.NONE if fraction is None else form.data(fraction, form.percent(fraction))


def _loss(section: Section) -> str:
    if section.accuracy is None or section.accuracy_float is None:
        return ""
    return form.points(section.accuracy - section.accuracy_float)


def _accuracy(section: Section) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("Float model", _accuracy_text(section.accuracy_float)),
        ("Fixed point", _accuracy_text(section.accuracy)),
        ("Difference", _loss(section) or form.NONE),
    ]
    if section.labels is not None and section.accuracy_fixed is None:
        right = int(np.sum(section.run.predictions == section.labels))
        rows.append(("Right, of all samples", f"{right} of {len(section.labels)}"))
    return rows


def _cards(section: Section) -> list[View]:
    activity, said = section.run.activity, verdict(section)
    loss = _loss(section)
    cards: list[View] = []
    if section.accuracy is not None:
        note = (
            f"{form.percent(section.accuracy_float)} in float, {loss}"
            if section.accuracy_float is not None
            else "on these samples"
        )
        cards.append(_card("Accuracy in integers", _accuracy_text(section.accuracy), note))
    if section.check is None:
        cards.append(_card("Mismatches", "not verified", "see below", "none"))
    else:
        note = f"against {section.check.backend}"
        cards.append(_card("Mismatches", said["short"], note, said["kind"]))
    cards += [
        _card("Energy per inference", energy_text(bill), bill.profile.name)
        for bill in section.bills[:BILL_CARDS]
    ]
    cards.append(
        _card("Spikes per inference", per_inference(activity.spikes, section), "of all layers")
    )
    cards.append(
        _card(
            "Synaptic operations",
            per_inference(activity.synops, section),
            "per inference, zero weights included",
        )
    )
    if section.against is not None:
        note = f"of the same task's dense int8 networks, {section.against.bill.profile.name}"
        cards.append(_card("Costs less than", cheaper_than(section.against), note))
    if section.chips:
        chip = section.chips[0]
        note = f"of {chip.name}" if chip.ok else f"of {chip.name}: does not fit"
        cards.append(_card("Cores", _cores(chip), note, "" if chip.ok else "bad"))
    return cards


def _unfit(chip: Chip) -> str:
    return "" if chip.ok else ", does not fit"


def _cores(chip: Chip) -> str:
    """The first resource of a placement is its cores."""
    used, limit = next(iter(chip.utilization.values()), (0, 0))
    return f"{form.count(used)} of {form.count(limit)}"


def _card(name: str, value: Any, note: str, kind: str = "") -> View:
    return {"name": name, "value": value, "note": note, "kind": kind}


def _summary(data: ReportData, profiles: tuple[str, ...]) -> list[tuple[str, list[Any]]]:
    sections = data.sections
    rows: list[tuple[str, list[Any]]] = [
        ("Accuracy, float", [_accuracy_text(s.accuracy_float) for s in sections]),
        ("Accuracy, fixed point", [_accuracy_text(s.accuracy) for s in sections]),
        ("Mismatches", [verdict(s)["short"] for s in sections]),
    ]
    for name in profiles:
        found = [next((b for b in s.bills if b.profile.name == name), None) for s in sections]
        texts = [form.NONE if bill is None else energy_text(bill) for bill in found]
        rows.append((f"Energy per inference, {name}", texts))
    if any(s.against is not None for s in sections):
        texts = [form.NONE if (c := s.against) is None else cheaper_than(c) for s in sections]
        rows.append(("Costs less than, of dense int8 networks", texts))
    for name in dict.fromkeys(chip.name for s in sections for chip in s.chips):
        on = [next((c for c in s.chips if c.name == name), None) for s in sections]
        texts = [form.NONE if c is None else _cores(c) + _unfit(c) for c in on]
        rows.append((f"Cores of {name}", texts))
    rows += [
        ("Spikes per inference", [per_inference(s.run.activity.spikes, s) for s in sections]),
        (
            "Synaptic operations per inference",
            [per_inference(s.run.activity.synops, s) for s in sections],
        ),
        (
            "Samples × steps",
            [f"{s.run.activity.samples} × {s.run.activity.steps}" for s in sections],
        ),
        ("Latency on chip, steps", [str(s.net.latency) for s in sections]),
    ]
    return rows


def _facts(section: Section) -> list[tuple[str, str]]:
    net = section.net
    facts = [
        ("Target", net.target),
        ("Time step", f"{net.dt_s * 1e3:g} ms"),
        ("Decays from time constants", net.method),
        ("Latency", f"{net.latency} chip steps"),
        ("Answer read from", {"mean": "mean over time", "last": "last step"}.get(
            net.decode, net.decode)),
        ("Rounding", net.rounding),
    ]  # fmt: skip
    if net.source_hash:
        facts.append(("SHA-256 of the float graph", net.source_hash))
    return facts


def _metrics(found: Metrics) -> list[tuple[str, Any, str]]:
    """NeuroBench's metrics: name, value, what it is."""
    footprint = sum(found.footprint_bytes.values())
    parts = ", ".join(f"{what} {form.count(n)}" for what, n in found.footprint_bytes.items())
    updates = found.membrane_updates

    def number(value: float) -> Markup:
        return form.data(value, form.count(value))

    return [
        ("Footprint", number(footprint), f"bytes: {parts}"),
        (
            "ConnectionSparsity",
            form.data(found.connection_sparsity, f"{found.connection_sparsity:.4f}"),
            "weights that are zero, of all",
        ),
        (
            "ActivationSparsity",
            form.data(found.activation_sparsity, f"{found.activation_sparsity:.4f}"),
            "outputs of spiking layers that are zero, of all",
        ),
        (
            "SynapticOperations, Effective_ACs",
            number(found.effective_acs),
            "additions of non-zero weights that met a spike, per inference",
        ),
        (
            "SynapticOperations, Effective_MACs",
            number(found.effective_macs),
            "products of non-zero weights with graded messages, per inference",
        ),
        (
            "SynapticOperations, Dense",
            number(found.dense),
            "every weight at every step, per inference",
        ),
        (
            "MembraneUpdates",
            "not recorded" if updates is None else number(updates),
            "neuron steps in which the potential changed, per inference",
        ),
    ]


def _layers(section: Section) -> list[list[Any]]:
    rows = []
    activity = section.run.activity
    for layer in activity.layers:
        updates, idle = float(layer.updates.sum()), float(layer.idle_updates.sum())
        groups = activity.into(layer.name)
        rows.append(
            [
                layer.name,
                form.model(layer.model),
                form.count(layer.neurons),
                per_inference(updates, section),
                form.percent(idle / updates) if updates else form.NONE,
                per_inference(float(layer.spikes.sum()), section),
                per_inference(float(layer.messages.sum()), section),
                per_inference(float(sum(s.synops.sum() for s in groups)), section),
                per_inference(float(sum(s.synops_nonzero.sum() for s in groups)), section),
                form.count(float(layer.wraps.sum() + layer.clips.sum())),
            ]
        )
    return rows


def _synapse(section: Section, index: int) -> list[Any]:
    done = section.run.activity.synapses[index]
    held = next((s for s in section.net.synapses if s.name == done.name), None)
    zeros = 1 - done.weights_nonzero / done.weights if done.weights else 0.0
    return [
        done.name,
        f"graded, {done.message_bits} bits" if done.graded else "spikes",
        form.count(done.weights),
        form.percent(zeros),
        form.NONE if held is None else str(held.exponent),
        form.NONE if held is None else describe_delay(held),
        per_inference(float(done.messages_in.sum()), section),
        per_inference(float(done.synops.sum()), section),
    ]
