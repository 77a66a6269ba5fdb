"""Mixed execution: with all layers as integers the simulator, with none the float executor."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from conformance import CASES, EXCLUDED, network
from conformance_case import DT, Case

import snn2hw
from snn2hw.analysis.mixed import execute_mixed
from snn2hw.executor import execute
from snn2hw.passes import fold, lower
from snn2hw.targets.verify import recorded_names

WITH_INTEGERS = [case for case in CASES if (case.row, "integer") not in EXCLUDED]


@pytest.mark.parametrize("case", WITH_INTEGERS, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_its_two_ends_are_the_simulator_and_the_floats(case: Case) -> None:
    """Every spike, state and message of every conformance network."""
    net = network(case)
    graph = fold(lower(case.graph(), DT, **case.options))
    x = {name: values[:2, :25] for name, values in case.input().items()}
    names = [layer.name for layer in net.layers]
    everything = [*names, *(node.name for node in net.inputs)]

    integers = execute_mixed(graph, net, x, everything, names)
    run = net.run(net.encode(x), record=recorded_names(net), threads=1)
    for layer in net.layers:
        for name, values in integers[layer.name].items():
            spikes = name == "s" and layer.name in run.spikes
            want = run.spikes[layer.name] if spikes else run.state[layer.name][name]
            unit = layer.units.get(name, 1.0)
            np.testing.assert_array_equal(values, want.reshape(values.shape) * unit, layer.name)

    floats = execute_mixed(graph, net, x, (), names)
    states = {s.name for layer in net.layers for s in layer.model.states}
    direct = execute(graph, x, record=tuple(sorted(states)))
    for layer in net.layers:
        for name, values in floats[layer.name].items():
            if name in states:
                want = direct.state[layer.name][name]
                np.testing.assert_array_equal(values, want.reshape(values.shape), layer.name)
            elif layer.name in direct.spikes and name == "s":
                np.testing.assert_array_equal(values, direct.spikes[layer.name], layer.name)


def test_a_layer_alone_hears_floats_and_is_heard_as_integers() -> None:
    """An integrator of integers before a readout in floats, by hand."""
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([1])}),
            "li": nir.LI(tau=np.array([4e-3]), r=np.array([4.0]), v_leak=np.array([0.0])),
            "out": nir.Linear(np.array([[0.3]])),
            "output": nir.Output({"output": np.array([1])}),
        },
        [("input", "li"), ("li", "out"), ("out", "output")],
    )
    x = np.ones((1, 6, 1))
    net = snn2hw.quantize(graph, dt=1e-3, calibration=x)
    last = net.outputs[0].source
    found = execute_mixed(fold(lower(graph, 1e-3)), net, x, ("li",), ("li", last))
    step = net.layer("li").units["m"]
    message = found["li"]["m"]
    np.testing.assert_allclose(message / step, np.rint(message / step), rtol=0, atol=1e-9)
    exact = np.cumsum(0.75 ** np.arange(6))[None, :, None]
    np.testing.assert_allclose(message, exact, rtol=0, atol=20 * step)
    # The readout's own weight is not rounded: it stays 0.3 to the last bit or so.
    np.testing.assert_allclose(found[last]["y"], 0.3 * message, rtol=1e-12)
