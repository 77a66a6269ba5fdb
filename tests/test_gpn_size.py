"""GPN in the paper's shape, where sums of messages need all 32 bits: the engine's wide kernel."""

from __future__ import annotations

import numpy as np
import pytest
from reference import simulate_reference

import snn2hw
from snn2hw.linear import Dense
from snn2hw.simulator.plan import WIDE

torch = pytest.importorskip("torch")
from snn2hw.nn.models import build  # noqa: E402

WIDTHS = (150, 151, 153)


@pytest.fixture(scope="module")
def net():
    """Three layers of widths that no block of messages or vector divides."""
    model = build("gpn", (70,), 5, 0, width=WIDTHS, dropout=0.0).eval()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                layer.weight *= 4
    x = np.random.default_rng(0).poisson(0.3, (4, 12, 70))
    return snn2hw.quantize(snn2hw.to_nir(model, (70,)), calibration=x), x


def test_three_layers_equal_the_reference_message_for_message(net) -> None:
    made, x = net
    wide = [s for s in made.synapses if s.source_port == "m" and isinstance(s.map, Dense)]
    assert [s.map.n_in for s in wide] == list(WIDTHS)
    assert (made.plan.synapses[:, 7] == WIDE).sum() >= 3, "sums fit single precision: not wide"
    run = made.run(x, record=("v", "m"), threads=1)
    want = simulate_reference(made, x)
    for name in (layer.name for layer in made.layers[:3]):
        assert 0.05 < want.spikes[name].mean() < 0.5
        counts = np.count_nonzero(want.sent[name]["m"], axis=2)
        assert np.any(counts % 4), "no step in which messages are left over"
        np.testing.assert_array_equal(run.spikes[name], want.spikes[name])
        np.testing.assert_array_equal(run.state[name]["v"], want.state[name]["v"])
        np.testing.assert_array_equal(run.state[name]["m"], want.sent[name]["m"])
    assert not any(run.overflows.values())


def test_its_files_hold_all_of_it(net, tmp_path) -> None:
    made, x = net
    made.save(tmp_path / "net.h5")
    again = snn2hw.load(tmp_path / "net.h5").run(x)
    np.testing.assert_array_equal(again.output, made.run(x).output)
    plan = snn2hw.place(made, target="loihi2")
    held = dict.fromkeys(("gpn1", "gpn2", "gpn3"), 0)
    for core in plan.cores:
        held |= {core.part.layer: held.get(core.part.layer, 0) + core.used["neurons"]}
    assert [held[name] for name in ("gpn1", "gpn2", "gpn3")] == list(WIDTHS)
    assert not plan.violations
