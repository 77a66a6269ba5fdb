"""How long Lava takes for a network: start-up and time per step, measured apart.

Nothing is recorded. The worker runs a few steps first, which include Lava's compilation and the
start of its processes, and then the rest, whose time per step is that of Lava alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from snn2hw.errors import DataError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.targets.lava.plan import build_block, prepare
from snn2hw.targets.lava.runner import run_blocks

WARM_UP_STEPS = 5


@dataclass(frozen=True)
class LavaTiming:
    """startup_s: import of Lava, building, compiling, starting, and the first ``WARM_UP_STEPS``;
    steps: chip steps in the measured run; run_s: its seconds; processes: of the operating system,
    one a layer, a synapse group and an input."""

    startup_s: float
    steps: int
    run_s: float
    processes: int
    lava: str

    @property
    def step_s(self) -> float:
        """Seconds per chip step of one sample, start-up excluded."""
        return self.run_s / self.steps


def time_lava(net: FixedPointNetwork, x: Data, *, timeout_s: float = 600.0) -> LavaTiming:
    """Time a balanced network on data, samples one after the other.

    x: integers (batch, time, *input shape) with more than ``WARM_UP_STEPS`` steps in all, or one
    such array for each input, by name.

    Raises BackendError where Lava cannot be had, hangs or dies; DataError for too few steps.
    """
    item = prepare(net, x)
    total = build_block("t", [item]).job["runs"][0]
    if total <= WARM_UP_STEPS:
        raise DataError(
            f"{total} chip steps are too few to time; give more than {WARM_UP_STEPS} "
            "(samples times steps)"
        )
    block = build_block("t", [item], runs=(WARM_UP_STEPS, total - WARM_UP_STEPS))
    with run_blocks([block], record=False, timeout_s=timeout_s) as (_, report):
        seconds = report["blocks"][0]
        return LavaTiming(
            startup_s=report["import_s"] + seconds["build_s"] + seconds["run_s"][0],
            steps=total - WARM_UP_STEPS,
            run_s=seconds["run_s"][1],
            processes=block.job["inputs"] + len(block.job["layers"]) + len(block.job["synapses"]),
            lava=report["lava"],
        )
