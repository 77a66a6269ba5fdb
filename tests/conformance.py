"""The conformance suite: every network on every executor, and what is excluded, with the reason.

``test_conformance.py`` runs it, ``support_table.py`` writes docs/support.md from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import conformance_alif
import conformance_chains
import conformance_gated
import conformance_nodes
import conformance_sparse
import conformance_topology
import numpy as np
from conformance_case import DT, Case
from float_reference import FloatReference, simulate_float
from reference import Reference, simulate_reference

import snn2hw
from snn2hw.errors import GraphError, Snn2hwError
from snn2hw.executor import execute
from snn2hw.graph import FixedPointNetwork, Layer
from snn2hw.passes import fold, lower
from snn2hw.simulator import Run
from snn2hw.targets.verify import recorded_names

CASES = (
    *conformance_nodes.CASES,
    *conformance_alif.CASES,
    *conformance_gated.CASES,
    *conformance_sparse.CASES,
    *conformance_topology.CASES,
    *conformance_chains.CASES,
)
CASE_OF = {case.row: case for case in CASES}

EXECUTORS = {
    "float": "the discrete graph in float64 (`execute`, `snn2hw run --float`), lowered and folded, "
    "against a float simulator of NIR graphs that shares no code with snn2hw: all spikes equal, "
    "potentials and outputs to 1e-9",
    "integer": "the integers of Loihi 2 (`net.run`) against an integer simulator written anew from "
    "the equations: all spikes, states, messages and overflows equal; and against the floats: "
    "up to the first spike that differs, potentials within 2 % of the largest (where rounding adds "
    "up, 5 %), and at most 5 % of a layer's spikes differ (in loops and deep networks, 10 %)",
    "Lava": "Intel's Lava (`snn2hw verify`) against `net.run`: all spikes, states and messages "
    "equal",
}

FLOAT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Exclusion:
    """A network that an executor refuses: why, and the error that says so."""

    reason: str
    error: type[Snn2hwError]
    message: str


ON_CHIP = (
    "each synapse on the chip takes a step, and this loop has more synapses than steps of delay; "
    "a Delay in the loop makes room"
)
TOO_SHORT = Exclusion(ON_CHIP, GraphError, r"loop .* cannot run on the chip")

EXCLUDED: dict[tuple[str, str], Exclusion] = {
    ("Cycle through two neurons, one step in all", "integer"): TOO_SHORT,
    ("Cycle through two neurons, one step in all", "Lava"): TOO_SHORT,
    ("A loop around a convolution into neurons of different gain", "integer"): TOO_SHORT,
    ("A loop around a convolution into neurons of different gain", "Lava"): TOO_SHORT,
}
"""(row, executor) -> what it refuses. One that runs after all fails the suite."""


@cache
def expected(case: Case) -> FloatReference:
    """What NIR's equations give."""
    return simulate_float(case.graph(), case.input(), DT, late=case.late, **case.options)


@cache
def network(case: Case) -> FixedPointNetwork:
    """The integers, calibrated with the data that the case runs on."""
    return snn2hw.quantize(case.graph(), dt=DT, calibration=case.input(), **case.options)


@cache
def integers(case: Case) -> tuple[dict[str, np.ndarray], Run, Reference]:
    """The data as messages, the run of the simulator, and the reference's."""
    net = network(case)
    x = net.encode(case.input())
    return x, net.run(x, record=recorded_names(net), threads=1), simulate_reference(net, x)


def check_float(case: Case) -> None:
    """Both discrete graphs against the reference."""
    lowered = lower(case.graph(), DT, **case.options)
    want = expected(case)
    record = ("v",) if want.v else ()
    # Values of several bits are recorded; spikes are there without.
    graded = any(
        p.name in want.spiking and not p.model.main_output.is_spike for p in lowered.populations
    )
    record += ("y",) if graded else ()
    for graph, which in ((lowered, "lowered"), (fold(lowered), "folded")):
        run = execute(graph, case.input(), record=record)
        assert set(run.outputs) == set(want.outputs)
        for name, values in want.outputs.items():
            assert run.outputs[name].shape == values.shape, f"{which}, shape of {name}"
            limit = FLOAT_TOLERANCE * max(1.0, float(np.abs(values).max()))
            np.testing.assert_allclose(run.outputs[name], values, 0, limit, err_msg=which)
        for name in want.spiking - set(run.spikes):
            values = want.sent[name]
            sent = run.state[name]["y"].reshape(values.shape)
            np.testing.assert_allclose(sent, values, 0, FLOAT_TOLERANCE, err_msg=f"{which}, {name}")
        for name in want.spiking & set(run.spikes):
            spikes = want.sent[name].reshape(run.spikes[name].shape)
            np.testing.assert_array_equal(run.spikes[name], spikes, f"{which}, spikes of {name}")
        for name, values in want.v.items():
            v = run.state[name]["v"].reshape(values.shape)
            np.testing.assert_allclose(v, values, 0, FLOAT_TOLERANCE, err_msg=f"{which}, {name}")


def check_integer(case: Case) -> None:
    """The simulator against the reference, value for value."""
    net = network(case)
    _, run, want = integers(case)
    equal(net, run, want)
    assert not any(run.overflows.values()), "data that calibrated a network overflow its registers"


def check_close(case: Case) -> None:
    """The integers against the floats: what quantisation may change."""
    _, run, _ = integers(case)
    assert close(network(case), run, expected(case), case.apart, case.near) > 0


def equal(net: FixedPointNetwork, run: Run, want: Reference) -> None:
    """Every spike, state, message and overflow of a run is the reference's."""
    for layer in net.layers:
        for name, values in (want.state[layer.name] | want.sent[layer.name]).items():
            got = run.spikes[layer.name] if name == "s" else run.state[layer.name][name]
            where = f"{name} of {layer.name}"
            np.testing.assert_array_equal(got.reshape(values.shape), values, where)
        overflow = run.overflows[layer.name]
        assert (overflow.wraps, overflow.clips) == (want.wraps[layer.name], want.clips[layer.name])


def close(net: FixedPointNetwork, run: Run, want: FloatReference, apart: float, near: float) -> int:
    """No layer has more than ``apart`` of its spikes different from the floats', and before the
    first of those in a sample potentials and outputs are as ``near``; number of values compared."""
    batch, time = next(iter(want.outputs.values())).shape[:2]
    same = np.ones((batch, time), dtype=bool)
    for name in want.spiking:
        spikes = want.sent[name].reshape(batch, time, -1)
        if name in run.spikes:
            differ = run.spikes[name].reshape(batch, time, -1) != spikes
            far = differ
        else:
            differ, far = _differ(net.layer(name), run.state[name]["y"], spikes, near)
        assert far.mean() <= apart, f"{far.mean():.3%} of the spikes of {name} differ"
        same &= ~differ.any(axis=2)
    before = np.logical_and.accumulate(same, axis=1)
    pairs = [
        (run.state[layer.name]["v"], layer.units["v"], want.v[layer.name])
        for layer in net.layers
        if layer.name in want.v and "v" in run.state[layer.name]
    ]
    for output in net.outputs:
        unit = net.layer(output.source).units.get(output.source_port, 1.0)
        pairs.append((run.outputs[output.name], unit, want.outputs[output.name]))
    compared = 0
    for got, unit, values in pairs:
        flat = values.reshape(batch, time, -1)
        real = got.reshape(flat.shape) * np.broadcast_to(unit, flat.shape[2:])
        error = float(np.abs(real - flat)[before].max(initial=0.0))
        largest = float(np.abs(flat).max())
        assert error <= near * largest, f"off by {error:.4g} of {largest:.4g}"
        compared += flat[before].size
    return compared


def _differ(
    layer: Layer, got: np.ndarray, want: np.ndarray, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of values of several bits: which are not equal, and where their sum up to that step is
    further off than what a neuron may hold back, or ``near`` of it."""
    unit, real = layer.units["y"], got.reshape(want.shape) * layer.units["y"]
    held = unit * (layer.params["threshold"] + 2)
    given, due = real.cumsum(axis=1), want.cumsum(axis=1)
    return np.abs(real - want) > unit / 2, np.abs(given - due) > held + near * np.abs(due).max()


def check_worth(case: Case) -> None:
    """A network in which nothing happens shows nothing: neurons fire, and not all the time."""
    want = expected(case)
    for name in want.spiking:
        rate = (want.sent[name] != 0).mean(axis=(0, 1))
        assert 0.02 < rate.mean() < 0.95, f"{name} fires at {rate.mean():.1%} of the steps"
        assert np.count_nonzero((rate > 0) & (rate < 1)) >= min(3, rate.size), name
    for name, values in want.outputs.items():
        assert np.any(values), name


CHECKS = {"float": (check_worth, check_float), "integer": (check_integer, check_close)}
"""Executor -> its checks of one case; Lava runs all networks at once."""
