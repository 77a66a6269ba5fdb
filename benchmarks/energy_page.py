"""docs/comparison.md from the results of energy.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from snn2hw.energy.baselines import Comparison, Rival

if TYPE_CHECKING:
    from energy import Result

HEAD = """# Against what one would use instead

Written by `python benchmarks/energy.py`; do not edit. Each spiking network stands beside a GRU, an
LSTM, an MLP and a CNN of the same widths on the same data, all in 8-bit integers and under one
technology profile, `cmos45-horowitz2014` (45 nm, memory included; prices, sources and grades in
[energy.md](energy.md)). It is an estimate by a technology table, not a measurement, and no chip's.

```python
from snn2hw.energy.baselines import compare

comparison = compare(net, run)  # GRU, LSTM, MLP and CNN of the network's widths
comparison.rivals[0].ratio, comparison.rivals[0].verdict
```

## How it is counted

- **This network**: the event-driven circuit of [energy.md](energy.md), counted in a run over the
  test data.
- **The others** see the same data step by step (a CNN the last three steps) and read out at every
  step. Their arithmetic is that of an integer step that the tests run against float networks;
  products inside a cell are taken as 32 bits wide, as those of a neuron are.
- **Dense**: eight rows at a time, their accumulators in registers; each weight is read once a step.
  Nothing is skipped.
- **Sparse**: activations of zero are skipped, in the same event-driven circuit as the spiking
  network's, accumulators in memory. A spike as input is added, not multiplied.
- An **ANN** is the network itself with ReLUs, which sees a picture once instead of step by step.
- Memories are priced by the capacity that each layer needs, in both alike. Registers, control,
  wires and leakage are in neither.
- **Densities** (activations that are not zero) were measured on trained networks where an accuracy
  is given; elsewhere a GRU and an LSTM have no zeros and a ReLU is zero half the time, which is an
  assumption.
- **Break-even**: the spikes per neuron and step at which this network's bill equals the other's,
  all its layers scaled alike; data and graded messages (GPN's potentials) stay as counted. "never":
  it costs more even with no spikes. "always": it costs less even if every neuron fires at every
  step.
- Widths are equal, accuracies are not: the smallest GRU at least as accurate on the test data, of
  a few that were trained, is listed as well. Accuracies of the others are those of their floats,
  ours that of the integers; one seed, nothing tuned for the others (`benchmarks/energy_rivals.py`).
"""

LITERATURE = """
For orientation: Dampfhoffer et al. 2023 (IEEE TETCI 7(3)) find that networks of integrate-and-fire
neurons compete below 0.15 to 1.38 spikes per synapse and inference, memory included; Yan et al.
(arXiv 2409.08290) need a spike rate below 5.7 % at five steps.
"""

MULTIPLICATIONS = """
## Multiplications as Ponghiran and Roy count them

Per inference, by the formulas of their published code (AAAI 2022, arXiv 2109.01905;
`snn2hw.energy.baselines.multiplications`): products with activations that are not zero, and a
constant for each unit. "traditional" and "gated" are their spiking networks at this network's
sizes and counted spike rates; a product with a spike counts as one. The last columns are ours:
what the network's own run multiplies, products with graded messages and those of neuron steps.
"""

METRICS = """
## NeuroBench's metrics

`snn2hw.metrics(net, run)`, per inference; equal to the package's own (2.3.0) where it can handle
the network (`tests/tools/test_neurobench.py`). Footprint counts weights of 8 bits, parameters,
states and tables of 32.
"""


def page(results: Sequence[Result]) -> str:
    """The whole page."""
    parts = [HEAD, "## The networks\n", _networks(results)]
    parts.append(
        "\nEnergies are per inference, one sample of all its steps. The input rates of the\n"
        "untrained networks are ours: no published mean of SHD was at hand."
    )
    parts.append("\n## The others\n")
    for result in results:
        parts += [f"### {result.case.name}\n", _rivals(result), ""]
    parts.append("![Energy over spike rate](comparison.svg)\n")
    parts.append(
        "Lines across are the others (broken: sparse), the curve is this network at other spike\n"
        "rates, the large dot is where it runs, small dots are break-evens."
    )
    parts += [LITERATURE, MULTIPLICATIONS, _multiplications(results)]
    parts += [METRICS, _metrics(results)]
    return "\n".join(parts)


def _networks(results: Sequence[Result]) -> str:
    head = (
        "network", "data", "shape", "steps", "accuracy", "spikes per neuron and step",
        "energy", "synapses, neurons, memory", "with no spikes", "costs less than (dense)",
    )  # fmt: skip
    rows = []
    for r in results:
        cost = r.cost
        shares = ", ".join(
            f"{r.groups_j.get(group, 0.0) / cost.counted_j:.0%}"
            for group in ("synapses", "neurons", "memory")
        )
        rows.append(
            (
                r.case.name, r.case.about, r.shape, str(r.steps), percent(r.accuracy),
                f"{cost.rate:.3f}", joules(cost.counted_j), shares, joules(cost.silent_j),
                ", ".join(
                    rival.baseline.kind.upper()
                    for rival in r.same.rivals
                    if rival.ratio > 1 and not rival.sparse
                ) or "none",
            )
        )  # fmt: skip
    return table(head, rows)


def _rivals(result: Result) -> str:
    head = (
        "network", "shape", "accuracy", "weights", "MACs", "dense", "sparse",
        "dense / this", "sparse / this", "break-even, dense", "break-even, sparse",
    )  # fmt: skip
    cost = result.cost
    ours = ("**this**", result.shape, percent(result.accuracy), "", "", "",
            f"**{joules(cost.counted_j)}**", "", "1", "", "")  # fmt: skip
    rows = [ours, *_pairs(result.same, "")]
    if result.equal is not None:
        rows += _pairs(result.equal, ", smallest as accurate")
    return table(head, rows)


def _pairs(comparison: Comparison, remark: str) -> list[tuple[str, ...]]:
    """One row for each network, of its dense and its sparse bill."""
    pairs: Iterable[tuple[Rival, Rival]] = zip(
        comparison.rivals[::2], comparison.rivals[1::2], strict=True
    )
    return [
        (
            dense.baseline.kind.upper() + remark, dense.baseline.shape,
            percent(dense.baseline.accuracy), f"{dense.baseline.weights:,}",
            f"{dense.baseline.macs:,}", joules(dense.bill.priced_j), joules(sparse.bill.priced_j),
            f"{dense.ratio:.3g}", f"{sparse.ratio:.3g}", dense.verdict, sparse.verdict,
        )
        for dense, sparse in pairs
    ]  # fmt: skip


def _multiplications(results: Sequence[Result]) -> str:
    kinds = ("gru", "lstm", "traditional", "gated", "messages", "neurons")
    rows = [
        (
            r.case.name,
            *(
                f"{r.multiplications[kind]:,.0f}" if kind in r.multiplications else ""
                for kind in kinds
            ),
        )
        for r in results
    ]
    head = ("network", "GRU", "LSTM", "traditional", "gated", "own: messages", "own: neurons")
    return table(head, rows)


def _metrics(results: Sequence[Result]) -> str:
    head = (
        "network", "Footprint (bytes)", "ConnectionSparsity", "ActivationSparsity",
        "Effective_MACs", "Effective_ACs", "Dense", "MembraneUpdates",
    )  # fmt: skip
    rows = []
    for r in results:
        m = r.metrics
        updates = "" if m.membrane_updates is None else f"{m.membrane_updates:,.0f}"
        rows.append(
            (
                r.case.name, f"{sum(m.footprint_bytes.values()):,}", f"{m.connection_sparsity:.4f}",
                f"{m.activation_sparsity:.4f}", f"{m.effective_macs:,.0f}",
                f"{m.effective_acs:,.0f}", f"{m.dense:,.0f}", updates,
            )
        )  # fmt: skip
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def joules(energy_j: float) -> str:
    unit, scale = ("mJ", 1e3) if energy_j >= 1e-3 else ("µJ", 1e6)
    return f"{energy_j * scale:#.3g} {unit}".replace(". ", " ")


def percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"
