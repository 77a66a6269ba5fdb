"""The profile lemaire2022 against SpikingJelly's own model, spike for spike the same networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exported import network

from snn2hw.energy import estimate

pytestmark = pytest.mark.tools


@pytest.mark.parametrize("name", ["integrators", "leaky", "biased", "convolution"])
def test_bills_are_those_of_spikingjelly(name: str, exports: Callable[[str], Path]) -> None:
    folder = exports("spikingjelly_energy")
    arrays = dict(np.load(folder / f"{name}.npz"))
    theirs = json.loads((folder / f"{name}.json").read_text())
    net = network(arrays)
    run = net.run(arrays["input"].astype(np.int32))
    np.testing.assert_array_equal(run.output, arrays["output"])
    assert 0 < run.activity.spikes < run.spikes["n0"].size
    bill = estimate(run, "lemaire2022", net)
    by_term = {what: pj * 1e12 for what, pj in bill.by_term().items()}
    found = {
        "inout_pj": by_term["message queue reads and writes"],
        "params_pj": by_term["weight reads"] + by_term.get("bias reads", 0.0),
        "potential_pj": by_term["potential reads and writes"],
        "addressing_pj": by_term["addressing"],
        "total_pj": bill.priced_j * 1e12,
    }
    assert found == pytest.approx({part: theirs[part] for part in found}, rel=1e-9)
