"""What a report shows: plain data, from which the page follows without computing anything anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from snn2hw.analysis.results import Comparison
from snn2hw.energy import Bill
from snn2hw.energy.baselines import Comparison as Rivals
from snn2hw.energy.metrics import Metrics
from snn2hw.errors import DataError
from snn2hw.graph import Data, FixedPointNetwork, by_input
from snn2hw.report.chip import Chip
from snn2hw.simulator.run import Run


class CheckResult(Protocol):
    """Outcome of a comparison with a backend, as ``snn2hw.verify`` returns it.

    compared: how many numbers; first_mismatch: the first that differs, None if none does.
    """

    @property
    def ok(self) -> bool:
        """Whether every number agreed."""

    @property
    def compared(self) -> int:
        """How many numbers were compared."""

    @property
    def mismatches(self) -> int:
        """How many of them differed."""

    @property
    def first_mismatch(self) -> Any:
        """The first that differed; None if none did."""

    @property
    def backend(self) -> str:
        """What the simulation was compared with."""

    @property
    def seconds(self) -> float:
        """How long that took."""


@dataclass(frozen=True)
class Section:
    """One network on the page.

    title: heading; run: of ``net`` on the data; bills: one per profile; check: comparison with a
    backend, or None with ``not_verified`` saying why there is none and how to get one.
    accuracy_float: fraction right of the float model; labels: true class per sample, int (batch,);
    accuracy_fixed: fraction right of the integers, computed from ``labels`` if not given.
    class_names: by class index; x: the integers that went in, (batch, time, *input shape), for the
    raster; samples: indices of the samples to draw, the first three if not given; comparison:
    with the float network, layer by layer (``snn2hw.compare``); metrics: under NeuroBench's names;
    against: the bills of other networks, or None with ``not_compared`` saying why there is none;
    chips: where the network is on chips.

    Raises DataError if labels, x or samples do not fit the run.
    """

    title: str
    net: FixedPointNetwork
    run: Run
    bills: tuple[Bill, ...] = ()
    description: str = ""
    check: CheckResult | None = None
    not_verified: str = ""
    accuracy_float: float | None = None
    accuracy_fixed: float | None = None
    labels: npt.NDArray[np.integer[Any]] | None = None
    class_names: tuple[str, ...] = ()
    x: Data | None = None
    samples: tuple[int, ...] | None = None
    comparison: Comparison | None = None
    metrics: Metrics | None = None
    against: Rivals | None = None
    not_compared: str = ""
    chips: tuple[Chip, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        n = self.run.activity.samples
        given = [] if self.labels is None else [("labels", len(self.labels))]
        if self.x is not None:
            given += [("x", len(np.asarray(v))) for _, v in by_input(self.net.inputs, self.x)]
        for name, samples in given:
            if samples != n:
                raise DataError(
                    f"report section {self.title!r}: {name} has {samples} samples and the run "
                    f"{n}; pass the {name} of the samples that ran"
                )
        for sample in self.shown:
            if not 0 <= sample < n:
                raise DataError(
                    f"report section {self.title!r}: sample {sample} is not among the run's {n}; "
                    f"use 0 to {n - 1}"
                )

    @property
    def shown(self) -> tuple[int, ...]:
        """Indices of the samples to draw."""
        if self.samples is None:
            return tuple(range(min(3, self.run.activity.samples)))
        return self.samples

    @property
    def accuracy(self) -> float | None:
        """Fraction right of the integers: as given, else from the labels, else None."""
        if self.accuracy_fixed is not None or self.labels is None:
            return self.accuracy_fixed
        return float(np.mean(self.run.predictions == self.labels))

    def class_name(self, index: int) -> str:
        """The name of a class, or its index where it has none."""
        return self.class_names[index] if index < len(self.class_names) else str(index)


@dataclass(frozen=True)
class ReportData:
    """A whole page: one section a network, side by side in its summary.

    description: a paragraph under the title; commands: shell lines that reproduce the page;
    versions: software -> version; seeds: what -> seed; sources: data -> where from, with checksum;
    made: when, as text (left out if empty, so that equal data make equal pages).
    """

    title: str
    sections: tuple[Section, ...]
    description: str = ""
    commands: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
