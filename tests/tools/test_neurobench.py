"""snn2hw.metrics against the neurobench package itself, spike for spike the same networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exported import network

import snn2hw
from snn2hw.energy.baselines import Signal, build

pytestmark = pytest.mark.tools


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
