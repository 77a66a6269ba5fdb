"""Run a fixed-point network on the processing elements of SpiNNaker2, packet by packet.

Each element has its own memory and hears of the others only by packets, one tick after they were
sent; layers therefore run behind each other as ``balance`` has laid them out, and results are given
in logical time. They are those of the simulator, bit for bit, whatever the number of elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, ParameterError
from snn2hw.graph import Data, FixedPointNetwork, by_input
from snn2hw.simulator.messages import check_messages
from snn2hw.simulator.run import Outputs, Overflows, SpikeRecord
from snn2hw.targets.spinnaker2.machine import elements
from snn2hw.targets.spinnaker2.placement import Part
from snn2hw.targets.spinnaker2.programs import GATES, Machine, check_parts, load

Records = dict[str, dict[str, npt.NDArray[np.int32]]]
"""layer -> state or output -> int32 (batch, time, n), in logical time."""


class Placed(Protocol):
    """What of a placement a run needs."""

    @property
    def pes(self) -> int:
        """Number of processing elements."""

    @property
    def parts(self) -> Sequence[Part]:
        """Which of them holds which neurons."""


@dataclass(frozen=True)
class PeCounts:
    """What each element did, int64 (batch, pes).

    sent: packets, one for each spike or message that an element or the host hears, however many
    do; received: packets that arrived; synaptic_events: weights that packets met, zeros included;
    fifo_high_water: the most packets that arrived in a tick; dropped: packets that found the queue
    full (there is room for one of every source, so none do); wraps, clips: of the neurons'
    registers.
    """

    sent: npt.NDArray[np.int64]
    received: npt.NDArray[np.int64]
    synaptic_events: npt.NDArray[np.int64]
    fifo_high_water: npt.NDArray[np.int64]
    dropped: npt.NDArray[np.int64]
    wraps: npt.NDArray[np.int64]
    clips: npt.NDArray[np.int64]


@dataclass(frozen=True)
class PeRun:
    """Result of a run on processing elements; outputs, spikes, state, overflows, decode and
    output_unit as ``snn2hw.Run``'s. pes: counts of each element; ticks: of the chip, for a sample.
    """

    outputs: Mapping[str, npt.NDArray[np.int32]]
    spikes: SpikeRecord
    state: Mapping[str, Mapping[str, npt.NDArray[np.int32]]]
    overflows: Mapping[str, Overflows]
    pes: PeCounts
    ticks: int
    decode: str
    output_unit: float

    @property
    def output(self) -> npt.NDArray[np.int32]:
        """The first output."""
        return next(iter(self.outputs.values()))

    @property
    def logits(self) -> npt.NDArray[np.float64]:
        """What a classifier reads: output averaged over time, or its last step; real values."""
        output: npt.NDArray[np.float64] = self.output.astype(np.float64) * self.output_unit
        return output[:, -1] if self.decode == "last" else np.asarray(output.mean(axis=1))

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """Index of the largest logit per sample, the first of equals; shape (batch,)."""
        flat = self.logits.reshape(len(self.output), -1)
        return np.asarray(np.argmax(flat, axis=1), dtype=np.int64)


def run_on_pes(
    net: FixedPointNetwork,
    x: Data,
    placement: Placed,
    record: tuple[str, ...] = (),
    *,
    gates: str = "table",
    threads: int | None = None,
) -> PeRun:
    """Run every sample on the processing elements of a placement.

    x: integers (batch, time, *input shape), or one such array for each input, by name; record:
    names of states and graded outputs to keep, of every layer that has them; gates: of GPN, "table"
    as in the simulator or "exp_unit" in s16.15 (see ``gates``), which differs from it; threads:
    number of threads over the samples, all cores if not given.

    Raises DataError for data of another shape, fractional or out of range, or a name that nothing
    has; ParameterError for other gates or threads; TargetError for a placement of another network;
    GraphError for a network that is not balanced.
    """
    if gates not in GATES:
        raise ParameterError(f"gates are {gates!r}; give one of {', '.join(GATES)}")
    known = {s.name for layer in net.layers for s in layer.model.states}
    known |= {o.name for layer in net.layers for o in layer.model.outputs if not o.is_spike}
    for name in record:
        if name not in known:
            raise DataError(
                f"no layer has a state {name!r} to record; there are {', '.join(sorted(known))}"
            )
    check_parts(net, placement.parts, placement.pes)
    machine = load(net, placement.parts, placement.pes, record, gates)
    records, act, overflows = run_machine(net, machine, x, threads=threads)
    shapes = {layer.name: layer.shape for layer in net.layers}
    spikes: dict[str, npt.NDArray[np.uint8]] = {}
    state: dict[str, dict[str, npt.NDArray[np.int32]]] = {}
    graded: dict[tuple[str, str], npt.NDArray[np.int32]] = {}
    for copy in machine.records:
        values = records[copy.layer][copy.name]
        if copy.is_spike:
            packed = np.packbits(values.astype(np.uint8), axis=-1, bitorder="little")
            spikes[copy.layer] = packed
            continue
        shaped = values.reshape(*values.shape[:2], *shapes[copy.layer])
        graded[copy.layer, copy.name] = shaped
        if copy.name in record:
            state.setdefault(copy.layer, {})[copy.name] = shaped
    trains = SpikeRecord(spikes, shapes, {})
    messages = {o.name: graded.get((o.source, o.source_port)) for o in net.outputs}
    # Not of a record: a layer of graded messages that nobody asked for has none.
    _, first = next(by_input(net.inputs, x))
    return PeRun(
        outputs=Outputs(messages, {o.name: o.source for o in net.outputs}, trains),
        spikes=trains,
        state=state,
        overflows={
            layer.name: Overflows(*(int(n) for n in overflows[:, k].sum(axis=0)))
            for k, layer in enumerate(net.layers)
        },
        pes=PeCounts(*np.moveaxis(act, 2, 0)),
        ticks=machine.ticks - 1 + np.shape(first)[1],
        decode=net.decode,
        output_unit=net.output_unit,
    )


def run_machine(
    net: FixedPointNetwork,
    machine: Machine,
    x: Data,
    *,
    lose: int = -1,
    threads: int | None = None,
) -> tuple[Records, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Run programs on data: records, counts (batch, pes, 7), wraps and clips (batch, layers, 2).

    lose: a fault to inject, to see that comparisons find it: of every sample's packets the router
    loses the copy of this number, counted from 0 (-1: none).
    """
    if threads is not None and threads < 1:
        raise ParameterError(f"threads is {threads}; give at least 1")
    data = np.concatenate(
        [check_messages(node, values).astype(np.int32) for node, values in by_input(net.inputs, x)],
        axis=2,
    )
    batch, time = data.shape[:2]
    width = {
        kind: sum(copy.n for copy in machine.records if copy.is_spike is kind)
        for kind in (True, False)
    }
    spikes = np.zeros((batch, time, width[True]), dtype=np.int8)
    recorded = np.zeros((batch, time, width[False]), dtype=np.int32)
    act = np.zeros((batch, machine.pes, 7), dtype=np.int64)
    overflows = np.zeros((batch, len(net.layers), 2), dtype=np.int64)
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads or before, before))
    try:
        elements().run_batch(
            data,
            time + machine.ticks - 1,
            machine.elements,
            machine.queues,
            machine.parts,
            machine.groups,
            machine.ports,
            machine.input_ports,
            machine.routes,
            machine.copies,
            machine.weights,
            machine.shapes,
            machine.params,
            machine.blocks,
            machine.start,
            machine.sizes,
            lose,
            spikes,
            recorded,
            act,
            overflows,
        )
    finally:
        numba.set_num_threads(before)
    records: Records = {layer.name: {} for layer in net.layers}
    for copy in machine.records:
        kept: Any = spikes if copy.is_spike else recorded
        values = kept[:, :, copy.first : copy.first + copy.n]
        records[copy.layer][copy.name] = values.astype(np.int32, copy=False)
    return records, act, overflows
