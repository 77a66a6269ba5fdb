"""place: where a network's neurons go on a chip, what that takes of it, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias, overload

from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.run import Run
from snn2hw.targets.loihi.placement import LoihiPlacement, place_network
from snn2hw.targets.loihi.spec import loihi
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.demands import entering, fifo_notes, network_demands, network_loads
from snn2hw.targets.spinnaker2.placement import Placement, place_demands
from snn2hw.targets.spinnaker2.spec import spinnaker2

CHIPS: dict[str, Callable[[], TargetSpec]] = {
    "spinnaker2": spinnaker2,
    "loihi1": partial(loihi, "loihi1"),
    "loihi2": partial(loihi, "loihi2"),
}
"""Target -> its figures, for targets that networks are placed on."""

AnyPlacement: TypeAlias = Placement | LoihiPlacement
"""What ``place`` returns; both have ok, violations, cores, parts, utilization, totals and notes."""


@overload
def place(
    net: FixedPointNetwork,
    target: Literal["spinnaker2"] = ...,
    pes: int | None = ...,
    run: Run | None = ...,
    spec: TargetSpec | None = ...,
) -> Placement: ...
@overload
def place(
    net: FixedPointNetwork,
    target: Literal["loihi1", "loihi2"],
    pes: None = ...,
    run: Run | None = ...,
    spec: TargetSpec | None = ...,
) -> LoihiPlacement: ...
@overload
def place(
    net: FixedPointNetwork,
    target: str,
    pes: int | None = ...,
    run: Run | None = ...,
    spec: TargetSpec | None = ...,
) -> AnyPlacement: ...
def place(
    net: FixedPointNetwork,
    target: str = "spinnaker2",
    pes: int | None = None,
    run: Run | None = None,
    spec: TargetSpec | None = None,
) -> AnyPlacement:
    """Place a network on a chip's cores. Public as ``snn2hw.place``.

    "spinnaker2": layers follow each other over the processing elements, split between neurons, so
    that the fullest holds as little as can be. "loihi1", "loihi2": a core holds neurons of one
    layer, cut as Intel's compiler cuts it, and messages are routed over the mesh.

    pes: how many elements of SpiNNaker2 to use; None: the fewest that fit. run: of this network,
    for measured messages beside the worst case. spec: figures of one's own
    (``spinnaker2.spec.load_spinnaker2``, ``loihi.spec.load_loihi``).

    What does not fit is in ``violations`` of the result. Raises TargetError for a target that
    nothing is placed on, a number of PEs below 1 or for Loihi; DataError for a run of another
    network.
    """
    if target not in CHIPS:
        known = ", ".join(CHIPS)
        raise TargetError(f"target {target!r} has no placement; choose one of {known}")
    chip = spec if spec is not None else CHIPS[target]()
    if target != "spinnaker2":
        if pes is not None:
            raise TargetError(
                f"{target} has no processing elements to choose from: layers are cut as its "
                "compiler does it; leave pes out"
            )
        return place_network(net, chip, run)
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
