"""The whole road for one trained model: export, quantise, simulate, verify, price, report.

The demo and the examples walk it; every step writes its file, so that the other commands can go on
from there.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn2hw.cli.common import dimensions, encode, joules, say, show, table
from snn2hw.cli.report_parts import all_bills, extras, recorded
from snn2hw.data.base import Dataset
from snn2hw.energy import Bill
from snn2hw.errors import BackendError
from snn2hw.graph import FixedPointNetwork
from snn2hw.passes import quantize_graph
from snn2hw.report import ReportData, Section, write_json, write_report
from snn2hw.simulator.run import Run

if TYPE_CHECKING:
    from torch.nn import Module

    from snn2hw.targets.verify import Check


@dataclass(frozen=True)
class Journey:
    """What came of one model; where Lava was not at hand ``check`` is None and ``why`` says why."""

    name: str
    net: FixedPointNetwork
    run: Run
    test: Dataset
    messages: np.ndarray[Any, Any]
    accuracy_float: float
    accuracy_fixed: float
    bills: tuple[Bill, ...]
    check: Check | None
    why: str


def walk(
    name: str,
    model: Module,
    calibration: Dataset,
    test: Dataset,
    folder: Path,
    verify_samples: int = 20,
) -> Journey:
    """Walk the road with one model; writes NAME.nir and NAME.h5 into the folder.

    calibration: sets the scales (training data, never the test's); verify_samples: so many test
    samples, the first ones, are compared with Lava.
    """
    from snn2hw.converters.nir_file import read, write
    from snn2hw.converters.pytorch import to_nir
    from snn2hw.nn import accuracy

    path = folder / f"{name}.nir"
    write(path, to_nir(model, test.x.shape[2:], dt=test.dt_s))
    net = quantize_graph(read(path), dt=test.dt_s, calibration=calibration.x)
    net.save(folder / f"{name}.h5")
    messages = encode(net, test.x)
    run = net.run(messages, record=recorded(net, *dimensions(messages)))
    check, why = _verify(name, net, messages[:verify_samples])
    return Journey(
        name=name,
        net=net,
        run=run,
        test=test,
        messages=messages,
        accuracy_float=accuracy(model, test.x, test.y),
        accuracy_fixed=float(np.mean(run.predictions == test.y)),
        bills=all_bills(net, run),
        check=check,
        why=why,
    )


def _verify(
    name: str, net: FixedPointNetwork, messages: np.ndarray[Any, Any]
) -> tuple[Check | None, str]:
    from snn2hw.targets.verify import verify

    if len(messages) == 0:
        return None, "not asked for; use --verify 20"
    say(f"{name}: comparing {len(messages)} samples with Lava, spike for spike ...")
    try:
        return verify(net, messages), ""
    except BackendError as error:
        return None, str(error)


def summary(journeys: Sequence[Journey]) -> str:
    """One row a model: accuracies, activity and energy per inference, mismatches."""
    rows = []
    for j in journeys:
        activity = j.run.activity
        energies = [
            (">= " if b.at_least else "") + joules(b.priced_j) + ("*" if b.total_j is None else "")
            for b in j.bills
        ]
        rows.append(
            (
                j.name,
                f"{j.accuracy_float:.2%}",
                f"{j.accuracy_fixed:.2%}",
                f"{activity.spikes / activity.samples:.1f}",
                f"{activity.synops / activity.samples:.0f}",
                *energies,
                "not verified"
                if j.check is None
                else f"{j.check.mismatches} of {j.check.compared:,}",
            )
        )
    profiles = [bill.profile.name for bill in journeys[0].bills]
    head = ("network", "float", "fixed", "spikes", "synops", *profiles, "mismatches (Lava)")
    text = table(head, rows)
    missing = {item.what for j in journeys for bill in j.bills for item in bill.unpriced}
    if missing:
        text += f"\n* without what the profile has no price for: {', '.join(sorted(missing))}"
    return text


def report(
    path: Path,
    title: str,
    journeys: Sequence[Journey],
    description: str,
    command: str,
    seed: int,
) -> None:
    """The HTML page of all journeys, and the same as JSON beside it."""
    sections = tuple(
        Section(
            title=j.name,
            net=j.net,
            run=j.run,
            bills=j.bills,
            check=j.check,
            not_verified=j.why,
            accuracy_float=j.accuracy_float,
            labels=j.test.y,
            class_names=j.test.classes,
            x=j.messages,
            **extras(j.net, j.run, name=j.name),
        )
        for j in journeys
    )
    names = ("nir", "numpy", "numba", "torch")
    data = ReportData(
        title=title,
        sections=sections,
        description=description,
        commands=(command,),
        versions={name: version(name) for name in names} | {"python": platform.python_version()},
        seeds={"training": seed},
        sources={journeys[0].test.name: f"sha256 {journeys[0].test.sha256()}"},
    )
    write_report(path, data)
    write_json(path.with_suffix(".json"), data)


def conclude(journeys: Sequence[Journey], page: Path) -> int:
    """Print the table and where the report lies; status 1 where anything differs from Lava.

    What was not verified is said last and loudly: it is the point of the exercise.
    """
    show("")
    show(summary(journeys))
    show("")
    show(f"report: {page}")
    sys.stdout.flush()
    for j in journeys:
        if j.check is None:
            say(f"\n*** NOT VERIFIED: {j.name} was not compared with Lava: {j.why}")
        elif not j.check.ok:
            say(f"\n*** MISMATCH: {j.name} differs from Lava, first at {j.check.first_mismatch}")
    return 1 if any(j.check is not None and not j.check.ok for j in journeys) else 0
