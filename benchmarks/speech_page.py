"""docs/speech.md from the rows of speech.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from energy_page import joules, percent, table

from snn2hw.energy.profile import profile_names

Row = dict[str, Any]

NAMES = {
    "lif": "LIF",
    "rlif": "recurrent LIF",
    "gpn": "GPN",
    "gpn_no_f": "GPN without F and I",
    "gpn_no_i": "GPN without I",
    "gpn_no_t": "GPN without T",
    "gpn_no_b": "GPN without B",
    "gpn_from_words": "GPN, begun with 40 words",
    "s2net": "s2net",
    "roy_v2": "Ponghiran and Roy, v2",
    "gru": "GRU",
    "lstm": "LSTM",
    "lstm_192": "LSTM of 192",
}
TITLES = {"digits": "Ten digits", "words": "40 words"}

HEAD = """# The networks of the field on real speech

Written by `make bench-speech` (`benchmarks/speech.py`); do not edit. Arabic Speech Commands
(Ghandoura, Hjabo and Al Dakkak 2021, CC BY 4.0): one-second clips of 28 speakers, 18 to train, 6 to
validate, 4 to test, nobody in two of them. Each network was trained by `snn2hw train` from its file
in `examples/speech/`, with seed 0; its checkpoint (float16) is in `examples/checkpoints/speech/`.
All but s2net, which has its authors' deltas, hear the same log-mel bands ([data.md](data.md)).
"Begun with 40 words": the network of the 40 words learned on with the ten digits and a new readout;
its hidden layers have heard four times as many clips of the same training speakers as the others.
"""

HOW = """## How to read it

- **validation**, **test**: accuracy of the stored weights in PyTorch. **8-bit**: test accuracy of
  the integers that Loihi 2 computes, from post-training quantisation (8-bit weights, data as 8-bit
  messages, scales from 400 training clips); of a GRU and an LSTM that of PyTorch's dynamic int8
  quantisation. **lost**: points that the integers lose, on the test speakers and (**lost there**)
  on the validation speakers. **same**: test clips that both give the same answer. Every clip
  counts.
- The test speakers are four: a binomial standard error of one accuracy is {errors}, and speakers
  differ by more than that. Rows that are closer than two of these are not told apart.
- **rate**: spikes per hidden neuron and second; of Ponghiran and Roy's network values that are not
  zero, its encoder left out. **active**: the same per step.
- **operations**: an inference is one clip. *synaptic*: weights that met a spike or a message;
  *products*: those among them that multiply, since the message has several bits (data, GPN's
  potentials); *neuron steps*: updates of a neuron. Of a GRU and an LSTM all weights at all steps.
- **multiplications**: *formula* is Ponghiran and Roy's count from their published code, where it is
  made for such a network: a product with any activation that is not zero counts, with binary ones
  too, and a constant a unit ([comparison.md](comparison.md)). *own* is what the integers multiply:
  products above and multiplications inside a neuron's or a unit's step. **GRU / this**: how many
  times more the GRU of `examples/speech/` does, by the same count; *as published*: a GRU of its
  widths on dense data, by their code as it stands, the count that their claim rests on.
- **Lava**: values (spikes, messages and states of every neuron at every step) that differ from
  Intel's Lava, of so many compared, on clips spread over the test split{frames}.
- Activity, operations and energy are means over {counted} test clips spread evenly.
"""

ENERGY = """
Energy of a clip by each profile of [energy.md](energy.md); estimates from published prices, no
measurement. ≥: a price among them is a lower bound. *: the profile has no price for a part of the
network, and the sum is of the rest, so it is no total; what is missing stands below. A GRU and an
LSTM are priced by `cmos45-horowitz2014` alone, which prices operations, in a dense and in a sparse
circuit; a chip for spikes has no price for them.
"""


def page(
    rows: Sequence[Row],
    missing: Sequence[str] = (),
    grus: Mapping[str, Row] | None = None,
    others: Sequence[Row] = (),
) -> str:
    """The whole page; missing: rows that were not measured, by name; grus: task -> multiplications
    of the GRU that the others are counted against; others: rows of further seeds."""
    grus = grus or {}
    parts = [HEAD]
    for task, title in TITLES.items():
        if mine := [row for row in rows if row["task"] == task]:
            parts += [f"## {title}\n", _accuracies(mine), "", f"![{title}](speech_{task}.svg)\n"]
            parts += _seeds(mine, [row for row in others if row["task"] == task])
            parts += ["### Operations of a clip\n", _operations(mine, grus.get(task)), ""]
            parts += ["### Energy\n" + ENERGY, _energies(mine), _unpriced(mine)]
    if missing:
        parts.append(f"Not measured: {', '.join(missing)}.\n")
    return "\n".join([*parts, HOW.format(**_facts(rows))])


def _facts(rows: Sequence[Row]) -> dict[str, Any]:
    errors = []
    for task, title in TITLES.items():
        if mine := [row for row in rows if row["task"] == task]:
            worst = max((row["fixed"] * (1 - row["fixed"]) / row["samples"]) ** 0.5 for row in mine)
            best = min((row["fixed"] * (1 - row["fixed"]) / row["samples"]) ** 0.5 for row in mine)
            errors.append(f"{100 * best:.1f} to {100 * worst:.1f} points ({title.lower()})")
    counted = {row["counted_samples"] for row in rows if row["spiking"]}
    short = {
        NAMES[row["row"]]: row["lava"]["steps"]
        for row in rows
        if row["spiking"] and row["lava"]["steps"] < row["steps"]
    }
    frames = ", ".join(f"of {name} the first {steps} steps" for name, steps in short.items())
    return {
        "errors": " and ".join(errors) or "not known",
        "counted": " or ".join(map(str, sorted(counted))) or "no",
        "frames": f"; {frames}" if frames else "",
    }


def _accuracies(rows: Sequence[Row]) -> str:
    head = (
        "network", "layers", "parameters", "epochs", "validation", "lost there", "test",
        "8-bit", "lost", "same", "rate, Hz", "active", "Lava: mismatches of compared",
    )  # fmt: skip
    return table(head, [_accuracy(row) for row in rows])


def _accuracy(row: Row) -> tuple[str, ...]:
    spiking = row["spiking"]
    return (
        NAMES[row["row"]], _layers(row), f"{row['parameters']:,}", str(row["epochs"]),
        percent(row["validation"]), _lost(row["validation"], row["validation_fixed"]),
        percent(row["float"]), percent(row["fixed"]), _lost(row["float"], row["fixed"]),
        percent(row["agree"]),
        f"{row['rate_hz']:.2f}" if spiking else "", percent(row.get("active")),
        _lava(row["lava"]) if spiking else "",
    )  # fmt: skip


def _seeds(rows: Sequence[Row], others: Sequence[Row]) -> list[str]:
    """Mean, least and most of the rows that were trained more than once."""
    lines = []
    for first in rows:
        same = [first, *(row for row in others if row["row"] == first["row"])]
        if len(same) == 1:
            continue
        line = [NAMES[first["row"]], ", ".join(str(row["seed"]) for row in same)]
        for what in ("validation", "validation_fixed", "float", "fixed"):
            values = [row[what] for row in same]
            mean = sum(values) / len(values)
            line.append(f"{mean:.2%} ({min(values):.1%} to {max(values):.1%})")
        lines.append(line)
    head = ("network", "seeds", "validation", "validation, 8-bit", "test", "test, 8-bit")
    return ["### More than one seed\n", table(head, lines), ""] if lines else []


def _lost(floats: float, fixed: float) -> str:
    """Points of accuracy."""
    return f"{100 * (floats - fixed):+.2f}"


def _layers(row: Row) -> str:
    """The arguments of the model that say its size."""
    model = row["model"]
    widths = model.get("widths", model.get("width", ""))
    if isinstance(widths, int):
        return f"{model.get('layers', 2)} x {widths}"
    return "-".join(map(str, widths))


def _lava(check: dict[str, Any]) -> str:
    if not check["compared"]:
        return f"not verified: {check['why']}"
    return f"{check['mismatches']:,} of {check['compared']:,} ({check['samples']} clips)"


def _operations(rows: Sequence[Row], gru: Row | None) -> str:
    head = (
        "network", "synaptic", "products", "neuron steps", "multiplications, formula", "GRU / this",
        "GRU of its size / this, as published", "multiplications, own", "GRU / this",
    )  # fmt: skip
    lines = []
    for row in rows:
        line = [NAMES[row["row"]]]
        line += [f"{row[what]:,.0f}" for what in ("synops", "macs", "updates")]
        for count in (formula, own):
            mine = count(row)
            theirs = None if gru is None else count(gru)
            line.append("" if mine is None else f"{mine:,.0f}")
            line.append("" if mine is None or theirs is None else f"{theirs / mine:.1f}")
            if count is formula:
                ratio = row.get("published_ratio")
                line.append("" if ratio is None else f"{ratio:.1f}")
        lines.append(line)
    return table(head, lines)


def formula(row: Row) -> float | None:
    """Multiplications of an inference by Ponghiran and Roy's formula."""
    value: float | None = row["multiplications_formula"]
    return value


def own(row: Row) -> float:
    """Multiplications of an inference that the integers do."""
    return float(sum(row["multiplications"].values()))


def _energies(rows: Sequence[Row]) -> str:
    names = profile_names()
    lines = []
    for row in rows:
        if row["spiking"]:
            found = {bill["profile"]: bill for bill in row["energy"]}
            lines.append([NAMES[row["row"]], *(_bill(found[name]) for name in names)])
            continue
        for bill in row["energy"]:
            cells = [_bill(bill) if bill["profile"] == name else "" for name in names]
            lines.append([f"{NAMES[row['row']]}, {bill['circuit']}", *cells])
    return table(("network", *names), lines)


def _bill(bill: dict[str, Any]) -> str:
    if bill["priced_j"] is None:
        return "none*"
    least = "≥ " if bill.get("at_least") else ""
    return least + joules(bill["priced_j"]) + "*" * (not bill["total"])


def _unpriced(rows: Sequence[Row]) -> str:
    """Why bills are no totals, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for bill in row["energy"]:
            if not bill["total"]:
                reasons.setdefault(bill["why"], []).append(row["row"])
    lines = [f"- {why} ({', '.join(NAMES[n] for n in names)})" for why, names in reasons.items()]
    return "\n" + "\n".join(lines) + "\n" if lines else ""
