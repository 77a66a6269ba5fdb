"""Compare the simulator with a backend: every spike, message and state, at every step.

"lava" is Intel's; it computes on its own, and only the neurons that it lacks come from us (see
``lava``). "spinnaker2" is our model of that chip's processing elements, which shares the neurons'
steps with the simulator and nothing that has to do with messages (see ``spinnaker2``). Both records
are in logical time, so the comparison is of whole arrays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snn2hw.errors import BackendError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.simulator import Run, simulate
from snn2hw.targets.lava.plan import Records
from snn2hw.targets.lava.runner import run_networks
from snn2hw.targets.place import place
from snn2hw.targets.spinnaker2.inference import run_machine
from snn2hw.targets.spinnaker2.programs import load

BACKENDS = ("lava", "spinnaker2")


@dataclass(frozen=True)
class Mismatch:
    """Where two records differ: logical step, and the values of the simulator and the backend."""

    sample: int
    layer: str
    quantity: str
    step: int
    neuron: int
    expected: int
    got: int

    def __str__(self) -> str:
        """In words."""
        return (
            f"sample {self.sample}, step {self.step}, layer {self.layer!r}, {self.quantity} of "
            f"neuron {self.neuron}: {self.expected} in the simulator, {self.got} in the backend"
        )


@dataclass(frozen=True)
class LayerComparison:
    """Values compared and different in one layer; quantities: what they were."""

    layer: str
    quantities: tuple[str, ...]
    compared: int
    mismatches: int


@dataclass(frozen=True)
class Check:
    """Result of ``verify``. first_mismatch: the earliest in time, of the first sample at that time;
    seconds: the backend's, start-up included, for all networks that ran with this one."""

    backend: str
    compared: int
    mismatches: int
    first_mismatch: Mismatch | None
    per_layer: tuple[LayerComparison, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.compared > 0 and self.mismatches == 0


def verify(
    net: FixedPointNetwork,
    x: Data,
    backend: str = "lava",
    *,
    timeout_s: float = 600.0,
    pes: int | None = None,
) -> Check:
    """Run a network on a backend ("lava" or "spinnaker2") and in the simulator; compare everything.

    x: integers (batch, time, *input shape), or one such array for each input, by name, as
    ``simulate`` takes them; timeout_s: of Lava; pes: processing elements of SpiNNaker2, the fewest
    that hold the network if not given. A network that does not fit runs all the same: ``place``
    says what does not.

    Raises BackendError where the backend is unknown, cannot be had, hangs or dies; DataError for
    wrong data; TargetError for a number of elements below 1.
    """
    return verify_many([(net, x)], backend, timeout_s=timeout_s, pes=pes)[0]


def verify_many(
    items: Sequence[tuple[FixedPointNetwork, Data]],
    backend: str = "lava",
    *,
    timeout_s: float = 600.0,
    pes: int | None = None,
) -> tuple[Check, ...]:
    """``verify`` for many networks in one start of the backend; one Check each, in order."""
    if backend not in BACKENDS:
        raise BackendError(f"no backend named {backend!r}; there is {', '.join(BACKENDS)}")
    if backend == "spinnaker2":
        return tuple(_on_pes(net, x, pes) for net, x in items)
    if pes is not None:
        raise BackendError(f"backend {backend!r} has no processing elements; leave pes out")
    # First the simulator, which also says what is wrong with the data, then the slow backend.
    runs = [simulate(net, x, record=recorded_names(net)) for net, x in items]
    result = run_networks(items, timeout_s=timeout_s)
    name = f"Lava {result.report['lava']} (Python {result.report['python']})"
    return tuple(
        compare(net, run, records, backend=name, seconds=result.seconds)
        for (net, _), run, records in zip(items, runs, result.records, strict=True)
    )


def _on_pes(net: FixedPointNetwork, x: Data, pes: int | None) -> Check:
    """One network on processing elements."""
    record = recorded_names(net)
    run = simulate(net, x, record=record)
    started = time.monotonic()
    placement = place(net, "spinnaker2", pes)
    machine = load(net, placement.parts, placement.pes, record)
    records, _, _ = run_machine(net, machine, x)
    held = f"{placement.pes} processing element" + "s" * (placement.pes > 1)
    return compare(
        net, run, records, backend=f"SpiNNaker2, {held}", seconds=time.monotonic() - started
    )


def recorded_names(net: FixedPointNetwork) -> tuple[str, ...]:
    """Names of all states and graded outputs in the network: what ``compare`` needs recorded."""
    names: list[str] = []
    for layer in net.layers:
        names += [state.name for state in layer.model.states]
        names += [output.name for output in layer.model.outputs if not output.is_spike]
    return tuple(dict.fromkeys(names))


def compare(
    net: FixedPointNetwork, run: Run, records: Records, *, backend: str = "", seconds: float = 0.0
) -> Check:
    """Compare a simulation with a backend's records: a pure function.

    run: of ``simulate(net, x, record=recorded_names(net))``; records: layer -> state or output ->
    int32 (batch, time, n). Raises BackendError where the records lack something or differ in shape.
    """
    layers = []
    first: Mismatch | None = None
    for layer in net.layers:
        names = [*(s.name for s in layer.model.states), *(o.name for o in layer.model.outputs)]
        compared = mismatches = 0
        for quantity in names:
            expected = _expected(net, run, layer.name, quantity)
            got = records.get(layer.name, {}).get(quantity)
            if got is None or got.shape != expected.shape:
                shape = "nothing" if got is None else f"shape {got.shape}"
                raise BackendError(
                    f"the backend's record of {quantity} of layer {layer.name!r} is {shape} and "
                    f"not of shape {expected.shape}; the worker's copy of snn2hw is another version"
                )
            different = expected != got
            compared += different.size
            mismatches += int(np.count_nonzero(different))
            if different.any():
                found = _first(different, expected, got, layer.name, quantity)
                if first is None or (found.step, found.sample) < (first.step, first.sample):
                    first = found
        layers.append(LayerComparison(layer.name, tuple(names), compared, mismatches))
    return Check(
        backend=backend,
        compared=sum(layer.compared for layer in layers),
        mismatches=sum(layer.mismatches for layer in layers),
        first_mismatch=first,
        per_layer=tuple(layers),
        seconds=seconds,
    )


def _expected(net: FixedPointNetwork, run: Run, layer: str, name: str) -> npt.NDArray[np.int64]:
    """The simulator's record of one quantity, (batch, time, n)."""
    model = net.layer(layer).model
    spikes = any(output.name == name and output.is_spike for output in model.outputs)
    values = run.spikes[layer] if spikes else run.state[layer][name]
    return values.reshape(*values.shape[:2], -1).astype(np.int64)


def _first(
    different: npt.NDArray[np.bool_],
    expected: npt.NDArray[np.int64],
    got: npt.NDArray[np.int32],
    layer: str,
    quantity: str,
) -> Mismatch:
    """The earliest difference, of the first sample, then the first neuron."""
    step, sample, neuron = (int(k) for k in np.argwhere(different.transpose(1, 0, 2))[0])
    at = (sample, step, neuron)
    return Mismatch(sample, layer, quantity, step, neuron, int(expected[at]), int(got[at]))
