"""Graphs that other tools export: they run here as in their tool, or the difference is named.

Where an exporter writes something else than its tool computes, the test asserts the difference as
it is, then puts the one thing right that is wrong and asserts exact agreement: the diagnosis is
tested, not only the failure. docs/other_tools.md is this in words.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.errors import ParameterError, RepairWarning
from snn2hw.executor import execute
from snn2hw.graph import DiscreteGraph
from snn2hw.passes import lower

pytestmark = pytest.mark.tools

Mend = Callable[[nir.NIRGraph], None]
Start = Callable[[nir.NIRGraph, DiscreteGraph], DiscreteGraph]


@dataclass(frozen=True)
class Case:
    """An export, the options that it must be run with, and how far integers may differ."""

    tool: str
    name: str
    dt: float
    method: str = "euler"
    reset: str = "value"
    bound: float = 0.05

    def __str__(self) -> str:
        return f"{self.tool}-{self.name}"

    def load(self, folder: Path) -> tuple[nir.NIRGraph, np.ndarray, np.ndarray]:
        content = np.load(folder / f"{self.name}.npz")
        assert "error" not in content, str(content["error"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)
            graph = snn2hw.read(folder / f"{self.name}.nir")
        return graph, content["input"], content["output"]

    def run(self, graph: nir.NIRGraph, x: np.ndarray, start: Start | None = None) -> np.ndarray:
        lowered = lower(graph, self.dt, self.method, self.reset)
        return execute(start(graph, lowered) if start else lowered, x).output


def first_difference(a: np.ndarray, b: np.ndarray) -> int | None:
    """The first step at which (batch, time, ...) arrays differ by more than rounding."""
    steps = np.flatnonzero((np.abs(a - b) > 1e-9).any(axis=(0, *range(2, a.ndim))))
    return int(steps[0]) if steps.size else None


AGREE = [
    # beta and alpha are the factors of an Euler step, dt = 1e-4 s is written into the exporter
    Case("snntorch", "zero", 1e-4),
    Case("snntorch", "synaptic", 1e-4),
    Case("snntorch", "rleaky", 1e-4, bound=0.1),
    Case("snntorch", "rleaky_one_to_one", 1e-4),
    Case("snntorch", "convolution", 1e-4),
    # NIR has no word for reset by subtraction: the reader must be told
    Case("snntorch", "subtract", 1e-4, reset="subtract"),
    Case("spikingjelly", "lif", 1e-4),
    Case("spikingjelly", "parametric_and_if", 1e-4),
    Case("spikingjelly", "cuba", 1e-4),
    Case("spikingjelly", "convolution", 1e-4),
    Case("spikingjelly", "residual", 1e-4),
    # with dt=1.0 given to norse's exporter, or its time constants are off (below)
    Case("norse", "lif_box", 1e-3),
    # time constants count steps, decay is exp(-1/tau), reset is by subtraction unless told
    Case("sinabs", "lif", 1.0, "exact", "subtract"),
    Case("sinabs", "lif_reset", 1.0, "exact"),
    Case("sinabs", "iaf", 1.0, "exact", "subtract"),
]


@pytest.mark.parametrize("case", AGREE, ids=str)
def test_the_float_graph_is_the_tools_forward_pass(
    case: Case, exports: Callable[[str], Path]
) -> None:
    graph, x, expected = case.load(exports(case.tool))
    assert 0.01 < expected.mean() < 0.9  # there is something to compare
    np.testing.assert_array_equal(case.run(graph, x), expected)


@pytest.mark.parametrize("case", AGREE, ids=str)
def test_integers_stay_close_to_floats(
    case: Case, exports: Callable[[str], Path], figure: Callable[[str], None]
) -> None:
    graph, x, expected = case.load(exports(case.tool))
    options = {"method": case.method, "reset": case.reset}
    net = snn2hw.quantize(graph, dt=case.dt, calibration=x, **options)
    run = net.run(x.astype(np.int64))
    spikes = np.reshape(run.output, expected.shape)
    differing = float(np.mean(spikes != expected))
    figure(
        f"{case}: {differing:.2%} of {expected.size} outputs differ ({expected.mean():.1%} fire)"
    )
    assert not any(layer.wraps or layer.clips for layer in run.overflows.values())
    assert differing <= case.bound


# --- what exporters get wrong, or NIR cannot say ---------------------------------------------


def lag_the_subtraction(graph: nir.NIRGraph) -> None:
    """No reset, but a loop that takes the threshold off one step later."""
    for name in [n for n, node in graph.nodes.items() if isinstance(node, nir.LIF)]:
        node = graph.nodes[name]
        node.v_reset = node.v_threshold.copy()  # by "subtract", v - threshold + reset is v
        graph.nodes[f"{name}_reset"] = nir.Linear(-np.diag(node.v_threshold))
        graph.edges += [(name, f"{name}_reset"), (f"{name}_reset", name)]


def unit_input_weight(graph: nir.NIRGraph) -> None:
    """Each input adds its whole value to the current, whatever its time constant."""
    for node in graph.nodes.values():
        if isinstance(node, nir.CubaLIF):
            node.w_in = node.tau_syn / 1e-3


def unit_gain(*kinds: type[nir.NIRNode]) -> Mend:
    """Each input adds its whole value to v, whatever the time constant of an exact step."""

    def mend(graph: nir.NIRGraph) -> None:
        for node in graph.nodes.values():
            if isinstance(node, kinds):
                node.r = 1 / (1 - np.exp(-1 / node.tau))

    return mend


def start_at(parameter: str) -> Start:
    """v begins at a parameter of its node instead of at 0."""

    def start(graph: nir.NIRGraph, lowered: DiscreteGraph) -> DiscreteGraph:
        populations = []
        for population in lowered.populations:
            value = getattr(graph.nodes.get(population.name), parameter, None)
            begin = {} if value is None else {"v": np.zeros(population.n) + value}
            populations.append(replace(population, start=population.start | begin))
        return replace(lowered, populations=tuple(populations))

    return start


WRONG: list[tuple[Case, int, Mend | None, Start | None]] = [
    # snnTorch's default: `mem = beta * mem + input - reset * threshold` with `reset` of the step
    # before (snntorch/_neurons/leaky.py, forward and _base_sub), so the threshold goes after the
    # decay and a step late. The exporter writes `v_reset=np.zeros_like(vthr)` (export_nir.py).
    (Case("snntorch", "default_reset", 1e-4, reset="subtract"), 3, lag_the_subtraction, None),
    # norse: `i_new = state.i + input_spikes` (functional/lif.py, lif_feed_forward_step), and the
    # exporter leaves w_in at NIR's default of 1 (utils/export_nir.py), where the equation that
    # jumps by the whole input has w_in = tau_syn / dt.
    (Case("norse", "lif", 1e-3), 3, unit_input_weight, None),
    # norse: v starts at v_leak (module/leaky_integrator_box.py, initial_state); NIR has no start.
    (Case("norse", "li", 1e-3), 0, None, start_at("v_leak")),
    # SpikingJelly: v starts at v_reset (neuron/base_node.py, register_memory("v", v_reset)).
    (Case("spikingjelly", "reset_value", 1e-4), 1, None, start_at("v_reset")),
    # sinabs: with norm_input=False the input is not weighted by 1 - alpha
    # (layers/functional/lif.py), but the exporter writes r = 1 either way (sinabs/nir.py).
    (Case("sinabs", "lif_unnormed", 1.0, "exact", "subtract"), 0, unit_gain(nir.LIF), None),
    # sinabs: the same for ExpLeak, where norm_input=False is the default (layers/exp_leak.py).
    (Case("sinabs", "leaky_readout", 1.0, "exact", "subtract"), 0, unit_gain(nir.LI), None),
]


@pytest.mark.parametrize(("case", "step", "mend", "start"), WRONG, ids=lambda v: str(v)[:40])
def test_what_is_exported_differs_and_one_correction_makes_it_exact(
    case: Case, step: int, mend: Mend | None, start: Start | None, exports: Callable[[str], Path]
) -> None:
    graph, x, expected = case.load(exports(case.tool))
    assert first_difference(case.run(graph, x), expected) == step
    if mend is not None:
        mend(graph)
    np.testing.assert_allclose(case.run(graph, x, start), expected, rtol=0, atol=1e-12)


def test_norse_time_constants_are_off_by_dt_unless_told_otherwise(
    exports: Callable[[str], Path],
) -> None:
    # `tau=dt / module.p.tau_mem_inv` (utils/export_nir.py) where tau is 1 / tau_mem_inv: at the
    # default dt = 0.001 every time constant is a thousandth of what norse computes with.
    case = Case("norse", "lif_box_default_dt", 1e-3)
    graph, x, expected = case.load(exports("norse"))
    taus = np.concatenate([n.tau for n in graph.nodes.values() if isinstance(n, nir.LIF)])
    np.testing.assert_allclose(taus, 1e-3 / 150, rtol=1e-12)
    with pytest.raises(ParameterError, match="is not above dt/2"):
        case.run(graph, x)
    np.testing.assert_array_equal(replace(case, dt=1e-6).run(graph, x), expected)


def test_norse_integrators_ignore_dt(exports: Callable[[str], Path]) -> None:
    # `v_new = state.v + input_spikes`, "dt unused" (functional/iaf.py), but NIR's IF integrates
    # dt * r * input and the exporter writes r = 1: right at dt = 1 s alone, wrong beside a LIF.
    case = Case("norse", "iaf", 1e-3)
    graph, x, expected = case.load(exports("norse"))
    assert first_difference(case.run(graph, x), expected) == 0
    np.testing.assert_array_equal(replace(case, dt=1.0).run(graph, x), expected)


def test_sinabs_spikes_may_count_more_than_one(exports: Callable[[str], Path]) -> None:
    # MultiSpike, the default, sends v / threshold spikes at once (activation/spike_generation.py);
    # a NIR neuron sends one.
    case = Case("sinabs", "iaf_default", 1.0, "exact", "subtract")
    graph, x, expected = case.load(exports("sinabs"))
    assert expected.max() > 1
    found = case.run(graph, x)
    assert found.max() == 1
    assert first_difference(found, expected) == 0


def test_sinabs_decays_exactly_not_by_euler(exports: Callable[[str], Path]) -> None:
    case = Case("sinabs", "lif", 1.0, "euler", "subtract")  # method="exact" agrees, above
    graph, x, expected = case.load(exports("sinabs"))
    assert first_difference(case.run(graph, x), expected) == 4


def test_sinabs_says_nothing_of_its_reset(exports: Callable[[str], Path]) -> None:
    subtracting, x, a = Case("sinabs", "lif", 1.0).load(exports("sinabs"))
    to_zero, same_x, b = Case("sinabs", "lif_reset", 1.0).load(exports("sinabs"))
    np.testing.assert_array_equal(x, same_x)
    assert first_difference(a, b) is not None
    for name, node in subtracting.nodes.items():
        for key, value in node.to_dict().items():
            np.testing.assert_array_equal(value, to_zero.nodes[name].to_dict()[key])


def test_snntorch_subtracts_before_the_threshold_where_v_stays_above(
    exports: Callable[[str], Path],
) -> None:
    # With reset_delay=False and v above twice the threshold, the next step subtracts first and
    # compares then (leaky.py: reset of the step before, then `do_reset = spk - reset`).
    case = Case("snntorch", "subtract_twice", 1e-4, reset="subtract")
    graph, x, expected = case.load(exports("snntorch"))
    assert first_difference(case.run(graph, x), expected) == 3


def delayed_zero(graph: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
    """One recurrent layer of snnTorch as its code has it: v is 0 in the step after a spike."""
    w_in, lif, w_rec = (graph.nodes[name] for name in ("0", "1.lif", "1.w_rec"))
    cuba = isinstance(lif, nir.CubaLIF)
    alpha = 1 - 1e-4 / lif.tau_syn if cuba else 0.0
    beta = 1 - 1e-4 / (lif.tau_mem if cuba else lif.tau)
    u = v = s = np.zeros((x.shape[0], len(w_rec.bias)))
    spikes = []
    for t in range(x.shape[1]):
        u = alpha * u + x[:, t] @ w_in.weight.T + w_in.bias + s @ w_rec.weight.T + w_rec.bias
        v = (beta * v + u) * (1 - s)
        s = (v > lif.v_threshold).astype(float)
        spikes.append(s)
    return np.stack(spikes, axis=1)


@pytest.mark.parametrize("name", ["rleaky_delayed", "rsynaptic"])
def test_snntorch_loses_a_step_after_a_delayed_reset_to_zero(
    name: str, exports: Callable[[str], Path]
) -> None:
    # reset_delay=True, the default: `mem = f(input) - reset * f(input)` with `reset` of the step
    # before (rleaky.py, rsynaptic.py: _base_zero): the step after a spike is lost, its input too.
    # Leaky alone zeroes v before it integrates (leaky.py), which is NIR's reset.
    case = Case("snntorch", name, 1e-4)
    graph, x, expected = case.load(exports("snntorch"))
    assert first_difference(case.run(graph, x), expected) == 1
    np.testing.assert_array_equal(delayed_zero(graph, x), expected)


def test_snntorch_synaptic_too_loses_a_step(exports: Callable[[str], Path]) -> None:
    case = Case("snntorch", "synaptic_delayed", 1e-4)
    graph, x, expected = case.load(exports("snntorch"))
    assert first_difference(case.run(graph, x), expected) == 2


@pytest.mark.parametrize(
    ("tool", "name", "error"),
    [
        # one beta for a layer: a LIF of shape () behind an Affine of 5
        ("snntorch", "one_for_all", "ValueError: Type inference error: type mismatch"),
        # RSynaptic(reset_delay=False) divides its argument `spk`, which is None (rsynaptic.py)
        ("snntorch", "rsynaptic_undelayed", "ValueError: Cannot find the input of an empty graph"),
        ("spikingjelly", "soft_reset", "NotImplementedError: NIR does not distinguish soft reset"),
        # norse's default parameters are scalars, which nir.write compresses and h5py refuses
        ("norse", "defaults", "TypeError: Scalar datasets don't support chunk/filter options"),
        ("norse", "recurrent", "AttributeError: 'NoneType' object has no attribute 'to_dict'"),
        ("sinabs", "recurrent", "NotImplementedError: Module <class 'sinabs.layers.lif.LIFRecu"),
        # Conv2d is exported with input_shape None; graph.infer_types() fills it
        ("sinabs", "unwritable", "TypeError: One of data, shape or dtype must be specified"),
    ],
)
def test_what_tools_cannot_export(
    tool: str, name: str, error: str, exports: Callable[[str], Path]
) -> None:
    assert str(np.load(exports(tool) / f"{name}.npz")["error"]).startswith(error)
