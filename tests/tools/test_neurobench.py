"""snn2hw.metrics against the neurobench package itself, spike for spike the same networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import snn2hw
from snn2hw.energy.baselines import Signal, build
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Convolution, Dense, LinearMap
from snn2hw.neurons import MODELS

pytestmark = pytest.mark.tools


def integrators(name: str, n: int, shape: tuple[int, ...], threshold: int, offset: int) -> Layer:
    """Neurons without leak or synaptic memory: decay of u 4096 / 4096, of v 0."""
    values = {"decay_u": 4096, "decay_v": 0, "threshold": threshold}
    values |= {"bias_mantissa": 0, "bias_exponent": 0}
    params = {key: np.full(n, value, dtype=np.int32) for key, value in values.items()}
    return Layer(name, MODELS["lif"], shape, params, {}, offset)


def network(arrays: dict[str, np.ndarray]) -> FixedPointNetwork:
    """The chain that the arrays describe."""
    shape = arrays["input"].shape[2:]
    bits = 1 if arrays["input"].max() == 1 else 3
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    source = "in"
    for k, threshold in enumerate(arrays["thresholds"]):
        weight = arrays[f"weight{k}"].astype(np.int8)
        link: LinearMap = Dense(weight)
        after: tuple[int, ...] = (len(weight),)
        if weight.ndim == 4:
            link = Convolution(weight, shape, stride=(2, 2), padding=((1, 1), (1, 1)))
            after = link.output_shape
        layers.append(integrators(f"n{k}", link.n_out, after, int(threshold), k + 1))
        synapses.append(Synapse(f"w{k}", source, "s" if k else "", f"n{k}", ("a",), link, 0, 0, 1))
        source, shape = f"n{k}", after
    return FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=(InputFormat("in", arrays["input"].shape[2:], bits, False, 1.0),),
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=(OutputNode("out", source, "s"),),
        latency=len(layers),
    )


@pytest.mark.parametrize("name", ["dense", "convolution", "graded"])
def test_metrics_are_those_of_neurobench(name: str, exports: Callable[[str], Path]) -> None:
    folder = exports("neurobench")
    arrays = dict(np.load(folder / f"{name}.npz"))
    theirs = json.loads((folder / f"{name}.json").read_text())
    net = network(arrays)
    run = net.run(arrays["input"].astype(np.int32), record=("v",))
    np.testing.assert_array_equal(run.output, arrays["output"])
    assert 0 < run.activity.spikes < run.spikes["n0"].size
    ours = snn2hw.metrics(net, run).to_dict()
    assert set(ours) == set(theirs)
    assert round(ours.pop("ConnectionSparsity"), 4) == theirs.pop("ConnectionSparsity")
    operations = theirs.pop("SynapticOperations")
    assert ours.pop("SynapticOperations") == pytest.approx(operations, rel=1e-12)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert (operations["Effective_MACs"] > 0) == (name == "graded")


@pytest.mark.parametrize(("kind", "elementwise"), [("gru", 3), ("lstm", 3)])
def test_dense_operations_of_cells_are_those_of_neurobench(
    kind: str, elementwise: int, exports: Callable[[str], Path]
) -> None:
    # NeuroBench counts the products inside the cell too: r n_h, (1 - z) n, z h, or f c, i g, o c
    theirs = json.loads((exports("neurobench") / f"{kind}.json").read_text())
    cell = build(kind, Signal(7), [5], 1, 1).parts[0]
    assert cell.weights + elementwise * 5 == theirs["SynapticOperations"]["Dense"]
