"""The simulator against Intel's Lava: random networks at the limits, samples in a row, mutants."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import KINDS, random_network

from snn2hw.errors import BackendError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import with_weight
from snn2hw.passes.balance import balance
from snn2hw.simulator import simulate
from snn2hw.targets.lava import runner
from snn2hw.targets.lava.environment import LavaEnvironment
from snn2hw.targets.lava.plan import Records
from snn2hw.targets.lava.timing import WARM_UP_STEPS, time_lava
from snn2hw.targets.verify import Check, compare, recorded_names, verify, verify_many

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava")]

STRUCTURES, NETWORKS_EACH = 30, 7


def against(net: FixedPointNetwork, x: np.ndarray, records: Records) -> Check:
    return compare(net, simulate(net, x, record=recorded_names(net)), records)


def test_random_networks_agree_in_every_spike_message_and_state() -> None:
    rng = np.random.default_rng(20241201)
    items = [
        random_network(rng, KINDS[k % 3], steps=100, structure=np.random.default_rng(k))
        for k in range(STRUCTURES)
        for _ in range(NETWORKS_EACH)
    ]
    checks = verify_many(items)
    assert len(checks) >= 200
    assert [str(c.first_mismatch) for c in checks if not c.ok] == []
    for (net, x), check in zip(items, checks, strict=True):
        values = [len(n.model.states) + len(n.model.outputs) for n in net.layers]
        every = sum(v * n.n for v, n in zip(values, net.layers, strict=True))
        assert check.compared == every * x.shape[0] * x.shape[1]

    # The limits were not only near: registers wrapped and clipped, and neurons of all kinds fired.
    seen: Counter[str] = Counter()
    for net, x in items:
        run = simulate(net, x)
        for layer in net.layers:
            model = layer.model.name
            seen[f"{model} wraps"] += run.overflows[layer.name].wraps > 0
            seen[f"{model} clips"] += run.overflows[layer.name].clips > 0
            if layer.name in run.spikes:
                seen[f"{model} fires"] += 0 < run.spikes[layer.name].mean() < 1
    assert seen["lif wraps"] >= 30, seen
    assert min(seen[f"{model} clips"] for model in ("lif", "gpn", "readout")) >= 30, seen
    assert min(seen["lif fires"], seen["gpn fires"]) >= 100, seen


def test_samples_follow_each_other_without_a_trace() -> None:
    """Loops, delays up to 62 steps and biases, four samples in one Lava run."""
    rng = np.random.default_rng(5)
    items = []
    for k, kind in enumerate(KINDS * 2):
        net, x = random_network(rng, kind, steps=12, batch=4, structure=np.random.default_rng(k))
        if k >= len(KINDS):
            delayed = replace(net.synapses[0], delay=62 - int(rng.integers(30)))
            net = balance(replace(net, synapses=(delayed, *net.synapses[1:])))
            assert max(s.chip_delay for s in net.synapses) > 30
        items.append((net, x))
    loops = [s for net, _ in items for s in net.synapses if s.source == s.target]
    assert {s.target[:3] for s in loops} == {"lif", "gpn"}
    assert [str(c.first_mismatch) for c in verify_many(items) if not c.ok] == []


@pytest.fixture(scope="module")
def recorded(lava: LavaEnvironment) -> dict[str, tuple[FixedPointNetwork, np.ndarray, Records]]:
    """One network of each kind with its Lava records."""
    items = {
        kind: random_network(np.random.default_rng(0), kind, steps=60, batch=2) for kind in KINDS
    }
    records = runner.run_networks(list(items.values())).records
    return {kind: (*items[kind], records[k]) for k, kind in enumerate(KINDS)}


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_constant_is_noticed_and_named(
    recorded: dict[str, tuple[FixedPointNetwork, np.ndarray, Records]], kind: str
) -> None:
    net, x, records = recorded[kind]
    assert against(net, x, records).ok
    noticed = Counter[str]()
    for k, layer in enumerate(net.layers):
        for name in layer.params:
            changed = dict(layer.params)
            changed[name] = changed[name] // 2 + 1
            layers = list(net.layers)
            layers[k] = replace(layer, params=changed)
            check = against(replace(net, layers=tuple(layers)), x, records)
            noticed[name] += not check.ok
            # What differs first is the layer itself: what follows hears of it through its output.
            assert check.ok or check.first_mismatch.layer == layer.name
    for k, synapse in enumerate(net.synapses):
        mantissa = synapse.mantissa.copy()
        mantissa[np.abs(mantissa) > 1] += 1
        synapses = list(net.synapses)
        synapses[k] = replace(synapse, map=with_weight(synapse.map, mantissa))
        check = against(replace(net, synapses=tuple(synapses)), x, records)
        noticed["weight"] += not check.ok
        assert check.ok or check.first_mismatch.layer == synapse.target
    assert noticed["weight"] >= len(net.synapses) // 2
    assert [name for name, times in noticed.items() if not times] == []


def test_a_changed_table_in_the_worker_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The neuron inside Lava is what the bundle says: one point of the gates' table moved by 1."""
    write = runner.write_bundle

    def spoiled(folder: Path) -> None:
        write(folder)
        gpn = folder / "snn2hw" / "neurons" / "gpn.py"
        text = gpn.read_text()
        assert text.count("\ndef argument(") == 1
        gpn.write_text(text.replace("\ndef argument(", "\nSIGMOID[64] += 1\n\n\ndef argument("))

    monkeypatch.setattr(runner, "write_bundle", spoiled)
    net, x = random_network(np.random.default_rng(0), "gpn", steps=60)
    check = verify(net, x)
    assert not check.ok
    assert check.first_mismatch is not None
    assert check.first_mismatch.layer.startswith("gpn")
    assert check.first_mismatch.expected != check.first_mismatch.got


RUNS = ("snn2hw/neurons/gpn.py", "    forget = sigmoid(")
IS_MADE = ("processes.py", '        self.model = MODELS[proc_params["model"]]')


@pytest.mark.parametrize(
    ("where", "failure", "message"),
    [
        (RUNS, "raise ValueError('boom')", r"one of its processes died .*ValueError: boom"),
        (IS_MADE, "    raise ValueError('boom')", r"one of its processes died .*ValueError: boom"),
        (RUNS, "import os; os.kill(os.getpid(), 9)", r"died with status 70 .*ended with -9"),
    ],
)
def test_a_lava_process_that_dies_is_an_error_soon(
    monkeypatch: pytest.MonkeyPatch, where: tuple[str, str], failure: str, message: str
) -> None:
    """Lava itself waits for ever for a process that raised or was killed."""
    write = runner.write_bundle

    def spoiled(folder: Path) -> None:
        write(folder)
        file, line = folder / where[0], where[1]
        assert line in file.read_text()
        file.write_text(file.read_text().replace(line, f"    {failure}\n{line}"))

    monkeypatch.setattr(runner, "write_bundle", spoiled)
    monkeypatch.setattr(runner, "GRACE_S", 0.5)
    net, x = random_network(np.random.default_rng(0), "gpn", steps=20)
    with pytest.raises(BackendError, match=message):
        verify(net, x, timeout_s=300.0)


def test_weights_beyond_the_limits_become_what_our_mantissas_hold(lava: LavaEnvironment) -> None:
    script = """
import json, numpy as np
from lava.utils.weightutils import SignMode, clip_weights, truncate_weights
w = np.arange(-600, 600)[None]
clipped = clip_weights(w, SignMode.MIXED, num_bits=8)
print(json.dumps(truncate_weights(clipped, SignMode.MIXED, 8)[0].tolist()))
"""
    command = [str(lava.python), "-E", "-s", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    held = np.array(json.loads(done.stdout))
    raw = np.arange(-600, 600)
    assert np.array_equal(held, 2 * np.clip(raw // 2, -128, 127))
    int8 = np.arange(-128, 128)
    assert np.array_equal(held[2 * int8 + 600], 2 * int8)


def test_timing_separates_start_up_from_steps() -> None:
    net, x = random_network(np.random.default_rng(4), "lif", steps=40)
    timing = time_lava(net, x)
    window = 40 + max(s.delay for s in net.synapses)
    assert timing.steps == window + max(layer.offset for layer in net.layers) - WARM_UP_STEPS
    assert timing.processes == 1 + len(net.layers) + len(net.synapses)
    assert timing.startup_s > 0
    assert timing.step_s == timing.run_s / timing.steps > 0
