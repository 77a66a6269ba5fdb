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


@dataclass(frozen=True)
class Rival:
    """One network in one circuit. break_even: spike rate, see ``SpikeCost.break_even``."""

    baseline: Baseline
    sparse: bool
    bill: Bill
    ratio: float
    break_even: float

    @property
    def verdict(self) -> str:
        """The break-even rate in words."""
        if self.break_even < 0:
            return "never"
        return "always" if self.break_even > 1 else f"{self.break_even:.3g}"


@dataclass(frozen=True)
class Comparison:
    """The bill of a run, what its spikes cost, and the others. ``ratio`` is theirs over ours."""

    bill: Bill
    cost: SpikeCost
    rivals: tuple[Rival, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON types; energies in joules per inference, rates per neuron and
        step; break_even is null where the spiking network costs less or more at every rate."""
        return {
            "profile": self.bill.profile.name,
            "energy_j": self.cost.counted_j,
            "silent_j": self.cost.silent_j,
            "per_rate_j": self.cost.per_rate_j,
            "rate": self.cost.rate,
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
                    "break_even": r.break_even if 0 <= r.break_even <= 1 else None,
                    "cheaper": r.verdict if not 0 <= r.break_even <= 1 else "below break_even",
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

    baselines: None: ``baselines_of(net, run)``. Raises DataError where no neuron fired and
    ProfileError for a profile that does not price operations.
    """
    others = baselines_of(net, run) if baselines is None else tuple(baselines)
    bills = [
        (other, sparse, estimate_baseline(other, profile, sparse=sparse))
        for other in others
        for sparse in (False, True)
    ]
    cost = spike_cost(run, profile, net)
    return Comparison(
        bill=estimate(run, profile, net),
        cost=cost,
        rivals=tuple(
            Rival(
                other,
                sparse,
                bill,
                bill.priced_j / cost.counted_j,
                cost.break_even(bill.priced_j),
            )
            for other, sparse, bill in bills
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
