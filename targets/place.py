"""place: where a network's neurons go on a chip, what that takes of it, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Run
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.demands import entering, fifo_notes, network_demands, network_loads
from snn2hw.targets.spinnaker2.placement import Placement, place_demands
from snn2hw.targets.spinnaker2.spec import spinnaker2

CHIPS = {"spinnaker2": spinnaker2}
"""Target -> its figures, for targets that networks are placed on."""


def place(
    net: FixedPointNetwork,
    target: str = "spinnaker2",
    pes: int | None = None,
    run: Run | None = None,
    spec: TargetSpec | None = None,
) -> Placement:
    """Place a network on a chip's processing elements. Public as ``snn2hw.place``.

    Layers follow each other over the PEs, split between neurons, so that the fullest PE holds as
    little as can be. pes: how many to use; None: the fewest that fit. run: of this network, for
    measured packets and cycles beside the worst case. spec: figures of one's own
    (``spinnaker2.spec.load_spinnaker2``).

    What does not fit is in ``Placement.violations``. Raises TargetError for a target that nothing
    is placed on and a number of PEs below 1, DataError for a run of another network.
    """
    if target not in CHIPS:
        known = ", ".join(CHIPS)
        raise TargetError(f"target {target!r} has no placement; choose one of {known}")
    chip = spec if spec is not None else CHIPS[target]()
    placed = place_demands(
        network_demands(net, chip),
        chip,
        pes,
        dt_s=net.dt_s,
        balance=True,
        entering=entering(net),
        loads=network_loads(net, chip, run) if run is not None else None,
    )
    return replace(placed, notes=fifo_notes(net, chip))
