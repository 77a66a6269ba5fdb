"""The account of a chip of processors by power states: asleep at a voltage, busy for some cycles.

Each processing element (PE) works at the low voltage and clock if the sample's average step is done
within the time step there, else at the high ones, and sleeps at the voltage that it works at. The
chip's own power runs for as long as the inference takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.energy.bill import Charge, Latency
from snn2hw.errors import DataError
from snn2hw.simulator.activity import Activity

CHIP = "(chip)"
"""The layer that is charged for what no layer does."""

NOT_PLACED = (
    "busy cycles need a placement of this run; pass placement=snn2hw.place(net, 'spinnaker2', "
    "run=run), on the command line --target spinnaker2"
)

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Busy:
    """One PE in a run, per sample: cycles of a step by layer (``CHIP``: the step's own), and
    whether it works at the high voltage."""

    cycles: dict[str, Seconds]
    high: npt.NDArray[np.bool_]
    seconds: Seconds


def power_charges(activity: Activity, placement: Any) -> Iterator[Charge]:
    """Seconds of power states and busy cycles per inference."""
    if not getattr(placement, "loads", None):
        yield Charge(CHIP, "neurons", "busy cycles", "pe_cycle_low", activity.steps, why=NOT_PLACED)
        return
    elements = busy_elements(activity, placement)
    seconds = _step_seconds(elements, placement.dt_s) * activity.steps
    for layer in (*(layer.name for layer in activity.layers), CHIP):
        for level in ("low", "high"):
            cycles = sum(
                (
                    float(np.where(e.high == (level == "high"), e.cycles[layer], 0.0).mean())
                    for e in elements
                    if layer in e.cycles
                ),
                start=0.0,
            )
            what = f"busy cycles, {level} voltage"
            yield Charge(layer, "neurons", what, f"pe_cycle_{level}", cycles * activity.steps)
    for level in ("low", "high"):
        asleep = sum(
            (float(np.where(e.high == (level == "high"), seconds, 0.0).mean()) for e in elements),
            start=0.0,
        )
        what = f"seconds of elements in use, {level} voltage"
        yield Charge(CHIP, "memory", what, f"pe_sleep_{level}", asleep)
    what = "seconds of the chip"
    yield Charge(CHIP, "memory", what, "chip_base", float(seconds.mean()))


def power_latency(activity: Activity, placement: Any) -> Latency | None:
    """Busy time of the slowest PE in a step, and steps that follow the timer, or the slowest PE
    where that is slower; None without a placement of the run."""
    if not getattr(placement, "loads", None):
        return None
    elements = busy_elements(activity, placement)
    slowest = float(max(e.seconds.max() for e in elements))
    step = _step_seconds(elements, placement.dt_s)
    return Latency(
        step_s=slowest,
        inference_s=float(step.max()) * activity.steps,
        how=(
            f"busy cycles of the slowest PE at its clock; steps begin every {placement.dt_s:g} s, "
            "or later where a PE is not done"
        ),
    )


def busy_elements(activity: Activity, placement: Any) -> tuple[Busy, ...]:
    """What each PE in use did. Raises DataError where the placement is of another run."""
    own = placement.spec.number("cycles_per_step")
    clocks = [placement.spec.number(f"clock_{level}_hz") for level in ("low", "high")]
    found = []
    for core in placement.cores:
        cycles = {CHIP: np.full(activity.samples, own)}
        for part in core.parts:
            load = placement.loads.get(part.layer)
            if load is None or load.cycles_per_neuron.shape != (activity.samples,):
                raise DataError(
                    f"the placement is of another run: it has no load of layer {part.layer!r} for "
                    f"{activity.samples} samples; place with run= of this run"
                )
            done = load.cycles_per_part + load.cycles_per_neuron * part.neurons
            cycles[part.layer] = cycles.get(part.layer, 0.0) + done
        total = np.sum(list(cycles.values()), axis=0)
        high = total > placement.dt_s * clocks[0]
        found.append(Busy(cycles, high, total / np.where(high, clocks[1], clocks[0])))
    return tuple(found)


def _step_seconds(elements: tuple[Busy, ...], dt_s: float) -> Seconds:
    """Seconds from one step to the next, per sample."""
    slowest: Seconds = np.max([e.seconds for e in elements], axis=0)
    return np.maximum(slowest, dt_s)
