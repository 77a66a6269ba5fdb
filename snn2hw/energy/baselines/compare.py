"""A run beside the networks one would use instead, under one technology profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn2hw.energy.baselines.break_even import SpikeCost, spike_cost
from snn2hw.energy.baselines.charges import PROFILE, estimate_baseline
from snn2hw.energy.baselines.networks import KINDS, Baseline, Signal, build
from snn2hw.energy.bill import Bill
from snn2hw.energy.estimate import estimate
from snn2hw.energy.profile import Profile
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Run

_WORDS = ("never", "always", "unknown")


@dataclass(frozen=True)
class Rival:
    """One network in one circuit. break_even: spike rate, see ``SpikeCost.break_even``; None where
    the run had no spikes to scale."""

    baseline: Baseline
    sparse: bool
    bill: Bill
    ratio: float
    break_even: float | None

    @property
    def verdict(self) -> str:
        """The break-even rate in words: "never" cheaper, "always", up to that rate, or unknown."""
        if self.break_even is None:
            return "unknown"
        if self.break_even < 0:
            return "never"
        return "always" if self.break_even > 1 else f"{self.break_even:.3g}"


@dataclass(frozen=True)
class Comparison:
    """The bill of a run, what its spikes cost (None: it had none), and the others.

    A rival's ``ratio`` is its bill over this one.
    """

    bill: Bill
    cost: SpikeCost | None
    rivals: tuple[Rival, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON types; energies in joules per inference, rates per neuron and
        step. break_even is null where the spiking network is "never" or "always" cheaper."""
        cost = self.cost
        return {
            "profile": self.bill.profile.name,
            "energy_j": self.bill.priced_j,
            "silent_j": self.bill.priced_j if cost is None else cost.silent_j,
            "per_rate_j": None if cost is None else cost.per_rate_j,
            "rate": 0.0 if cost is None else cost.rate,
            "rivals": [
                {
                    "kind": r.baseline.kind,
                    "shape": r.baseline.shape,
                    "circuit": "sparse" if r.sparse else "dense",
                    "weights": r.baseline.weights,
                    "macs": r.baseline.macs,
                    "accuracy": r.baseline.accuracy,
                    "energy_j": r.bill.priced_j,
                    "groups_j": r.bill.by_group(),
                    "ratio": r.ratio,
                    "break_even": None if r.verdict in _WORDS else r.break_even,
                    "cheaper": r.verdict if r.verdict in _WORDS else "below break_even",
                }
                for r in self.rivals
            ],
        }


def compare(
    net: FixedPointNetwork,
    run: Run,
    baselines: Iterable[Baseline] | None = None,
    profile: str | Path | Profile = PROFILE,
) -> Comparison:
    """The run's bill beside those of ``baselines``, each dense and sparse.

    baselines: None: ``baselines_of(net, run)``. Raises ProfileError for a profile that does not
    price operations, and DataError where it leaves a part of the run unpriced, or as
    ``baselines_of`` and ``estimate``.
    """
    others = baselines_of(net, run) if baselines is None else tuple(baselines)
    bills = [
        (other, sparse, estimate_baseline(other, profile, sparse=sparse))
        for other in others
        for sparse in (False, True)
    ]
    bill = estimate(run, profile, net)
    if bill.total_j is None:
        raise DataError(
            f"{bill.profile.name} has no price for a part of this run "
            f"({bill.unpriced[0].why_unpriced}); use a profile that has"
        )
    cost = spike_cost(run, profile, net) if run.activity.spikes else None
    return Comparison(
        bill=bill,
        cost=cost,
        rivals=tuple(
            Rival(
                other,
                sparse,
                theirs,
                theirs.priced_j / bill.priced_j,
                None if cost is None else cost.break_even(theirs.priced_j),
            )
            for other, sparse, theirs in bills
        ),
    )


def baselines_of(net: FixedPointNetwork, run: Run) -> tuple[Baseline, ...]:
    """GRU, LSTM, MLP and CNN of the network's widths, on its data.

    One hidden layer for each layer that spikes and is no output. Raises DataError where there is
    none.
    """
    signal, hidden, outputs = sizes(net, run)
    return tuple(build(kind, signal, hidden, outputs, run.activity.steps) for kind in KINDS)


def sizes(net: FixedPointNetwork, run: Run) -> tuple[Signal, tuple[int, ...], int]:
    """What the data are, widths of the hidden layers, and number of outputs."""
    ends = {output.source for output in net.outputs}
    hidden = tuple(
        layer.n
        for layer in net.layers
        if layer.name not in ends and any(output.is_spike for output in layer.model.outputs)
    )
    if not hidden:
        raise DataError(
            "the network has no hidden layer that spikes; say which networks to compare it with"
        )
    channels = sum(node.n for node in net.inputs)
    messages = sum(float(counts.mean()) for counts in run.activity.input_messages.values())
    binary = all(node.bits == 1 for node in net.inputs)
    signal = Signal(channels, messages / (channels * run.activity.steps), binary)
    return signal, hidden, net.layer(net.outputs[0].source).n
