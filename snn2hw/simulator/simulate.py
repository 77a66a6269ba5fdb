"""Run a fixed-point network on data: integer for integer as the chip."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, ParameterError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.simulator.counts import Counted, count_activity
from snn2hw.simulator.generate import engine
from snn2hw.simulator.messages import gather
from snn2hw.simulator.plan import Copy, Plan
from snn2hw.simulator.run import Outputs, Overflows, Run, SpikeRecord


def simulate(
    net: FixedPointNetwork,
    x: Data,
    record: tuple[str, ...] = (),
    *,
    aligned: bool = True,
    threads: int | None = None,
    per_step: bool = False,
) -> Run:
    """Simulate every sample, from the states that the network starts with.

    x: integers of shape (batch, time, *input shape) within the input's range (``net.encode`` makes
    them from real values), or one such array for each input, by name; record: names of states and
    graded outputs to keep, of every layer that has them; aligned: results in logical time, or
    (false) at the step they appear on the chip; threads: number of threads, all cores if not given;
    per_step: keep the activity of every step too (``Activity.by_step``).

    Raises DataError for data of another shape, fractional or out of range, ParameterError for
    threads below 1.
    """
    if threads is not None and threads < 1:
        raise ParameterError(f"threads is {threads}; give at least 1")
    plan = net.plan
    data = gather(net.inputs, x, plan.channels)
    copies = _copies(net, plan, record)
    batch, time = data.shape[:2]
    width = max((copy.to + copy.n for copy in copies), default=0)
    spikes = np.zeros((batch, time, plan.spike_bytes), dtype=np.uint8)
    recorded = np.zeros((batch, time, width), dtype=np.int32)
    counted = Counted.empty(net, plan, batch, time if per_step else 1)
    table = [(int(c.from_out), c.first, c.n, c.to, c.start) for c in copies]
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads or before, before))
    try:
        engine().run_batch(
            data,
            plan.inputs,
            plan.layers,
            plan.synapses,
            plan.ports,
            plan.sources,
            plan.weights,
            plan.singles,
            plan.tables,
            plan.geometry,
            plan.met_by,
            plan.params,
            plan.blocks,
            plan.start,
            np.array(table, dtype=np.int64).reshape(-1, 5),
            plan.sizes,
            spikes,
            recorded,
            counted.inputs,
            counted.layers,
            counted.ports,
            counted.synapses,
        )
    finally:
        numba.set_num_threads(before)
    offsets = {layer.name: 0 if aligned else layer.offset for layer in net.layers}
    extra = 0 if aligned else max(offsets.values(), default=0)

    def shifted(values: npt.NDArray[Any], layer: str) -> npt.NDArray[Any]:
        before_it, after_it = offsets[layer], extra - offsets[layer]
        return np.pad(values, ((0, 0), (before_it, after_it), (0, 0))) if extra else values

    state: dict[str, dict[str, npt.NDArray[np.int32]]] = {}
    kept: dict[tuple[str, str], npt.NDArray[np.int32]] = {}
    for copy in copies:
        values = recorded[:, :, copy.to : copy.to + copy.n]
        if copy.layer in plan.places:
            values = values[:, :, plan.places[copy.layer]]
        values = shifted(values, copy.layer)
        values = values.reshape(batch, time + extra, *net.layer(copy.layer).shape)
        kept[copy.layer, copy.name] = values.astype(np.int32, copy=False)
        if copy.name in record:
            state.setdefault(copy.layer, {})[copy.name] = kept[copy.layer, copy.name]
    packed = {
        name: shifted(spikes[:, :, first : first + n], name).astype(np.uint8, copy=False)
        for name, (first, n) in plan.bytes_of.items()
    }
    shapes = {layer.name: layer.shape for layer in net.layers}
    record_of_spikes = SpikeRecord(packed, shapes, plan.places)
    messages = {o.name: kept.get((o.source, o.source_port)) for o in net.outputs}
    return Run(
        outputs=Outputs(messages, {o.name: o.source for o in net.outputs}, record_of_spikes),
        spikes=record_of_spikes,
        state=state,
        activity=count_activity(net, plan, time, counted, per_step=per_step),
        overflows={
            layer.name: Overflows(*(int(n) for n in counted.layers[:, :, k, 1:].sum(axis=(0, 1))))
            for k, layer in enumerate(plan.order)
        },
        decode=net.decode,
        output_unit=net.output_unit,
        aligned=aligned,
        output_start=offsets[net.outputs[0].source],
    )


def _copies(net: FixedPointNetwork, plan: Plan, record: tuple[str, ...]) -> list[Copy]:
    """What to keep of every step: the states asked for, and graded outputs of the network."""
    known = {s.name for layer in net.layers for s in layer.model.states}
    known |= {o.name for layer in net.layers for o in layer.model.outputs if not o.is_spike}
    for name in record:
        if name not in known:
            raise DataError(
                f"no layer has a state {name!r} to record; there are {', '.join(sorted(known))}"
            )
    wanted = {(output.source, output.source_port) for output in net.outputs}
    copies: list[Copy] = []
    to = 0
    for layer in net.layers:
        places = [(s.name, False, plan.state_at[layer.name, s.name]) for s in layer.model.states]
        places += [
            (o.name, True, plan.out_at[layer.name, o.name])
            for o in layer.model.outputs
            if not o.is_spike
        ]
        for name, from_out, first in places:
            if name in record or (layer.name, name) in wanted:
                start = net.starts[layer.name]
                copies.append(Copy(layer.name, name, from_out, first, layer.n, to, start))
                to += layer.n
    return copies
