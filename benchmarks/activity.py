"""What counting costs: the simulator as it is against itself without the counters, in one run.

    SNN2HW_DATA=/path/to/data python benchmarks/activity.py

The engine's source is compiled a second time without the lines that count activity (the overflow
counters stay: they are part of the result). Both run the same data in turn, on one core, and must
give the same spikes; the figure is the median over pairs of runs, of processor time, which other
work on the machine disturbs less. Networks: an LIF network of 700-256-20 and a GPN of 700-128-20 on
random spikes at 2 %, and PilotNet-LIF on its recorded input.
"""

from __future__ import annotations

import gc
import importlib
import re
import sys
import time
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from common import Bench, one_core
from networks import random_spikes
from pilotnet import pilotnet

from snn2hw.compiled import load
from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense
from snn2hw.neurons import MODELS
from snn2hw.simulator.generate import engine, source

# The package gives its function the same name.
simulator = importlib.import_module("snn2hw.simulator.simulate")
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

PAIRS = 25

COUNTING = (
    r" +act_inputs\[row, k\] \+= c\n",
    r" +act_synapses\[row, s, 0\] \+= count\n +met = weights_met\(.*\n"
    r" +act_synapses\[row, s, 1\].*\n +act_synapses\[row, s, 2\].*\n",
    r" +act_layers\[row, j, 0\] \+= idle\n",
    r" +act_ports\[row, p\] \+= c\n",
)
"""Lines of the engine that count, as patterns; each must be there."""

IDLE = r" +idle = np\.int32\(idle \+ .*\n"
"""The same in each neuron's layer."""


def uncounted() -> ModuleType:
    """The engine without counters. Raises ValueError where it no longer looks as expected."""
    text = source()
    for pattern in COUNTING:
        text, found = re.subn(pattern, "", text)
        if found != 1:
            raise ValueError(f"the engine has {found} lines {pattern!r}; mend COUNTING")
    text, found = re.subn(IDLE, "", text)
    if found != len(MODELS):
        raise ValueError(f"{found} layers count idle neurons, not {len(MODELS)}; mend IDLE")
    package = Path(str(simulator.__file__)).parents[1]
    files = [package / "simulator" / "vectors.py", package / "arithmetic.py"]
    return load("uncounted", text, [*files, *sorted((package / "neurons").glob("*.py"))])


def dense(model: str, sizes: tuple[int, int, int]) -> FixedPointNetwork:
    """A network of random integers: input, layer of neurons with its loop, readout."""
    from random_values import random_params

    rng = np.random.default_rng(0)
    n_in, n, n_out = sizes
    hidden, ports = MODELS[model], MODELS[model].inputs[:5] if model == "gpn" else ("a",)
    params = random_params(rng, model, n)
    if model == "lif":
        params |= {"threshold": np.full(n, 4000), "bias_mantissa": np.zeros(n, dtype=np.int32)}
        params |= {"decay_u": np.full(n, 1024), "decay_v": np.full(n, 128)}
    zero = {"bias": np.zeros(n_out, dtype=np.int32)}
    layers = (
        Layer("hid", hidden, (n,), params, {}),
        Layer("out", MODELS["readout"], (n_out,), zero, {}),
    )

    def weights(rows: int, columns: int) -> Dense:
        return Dense(rng.integers(-127, 128, (rows, columns)).astype(np.int8))

    loop = ("m", hidden.inputs[5:], 4) if model == "gpn" else ("s", ports, 1)
    synapses = (
        Synapse("in", "in", "", "hid", ports, weights(len(ports) * n, n_in), 0, 0, 1),
        Synapse("loop", "hid", loop[0], "hid", loop[1], weights(loop[2] * n, n), 0, 1, 1),
        Synapse("out", "hid", "s", "out", ("a",), weights(n_out, n), 0, 0, 1),
    )
    source_node = InputFormat("in", (n_in,), 1, False, 1.0)
    outputs = (OutputNode("y", "out", "y"),)
    return FixedPointNetwork("loihi2", 1e-3, "euler", (source_node,), layers, synapses, outputs)


def cases() -> list[tuple[str, FixedPointNetwork, Any]]:
    """Name, network, data."""
    spikes = random_spikes((8, 100, 700), 0.02)
    found: list[tuple[str, FixedPointNetwork, Any]] = [
        ("LIF 700-256-20", dense("lif", (700, 256, 20)), spikes),
        ("GPN 700-128-20", dense("gpn", (700, 128, 20)), spikes),
    ]
    try:
        found.append(("PilotNet-LIF", *pilotnet()))
    except FileNotFoundError as error:
        print(f"PilotNet-LIF left out: {error}")
    return found


def seconds(net: FixedPointNetwork, x: Any, module: ModuleType) -> tuple[float, Any]:
    """Seconds of processor time of one run with that engine, and its spikes, packed."""
    vars(simulator)["engine"] = lambda: module
    gc.collect()
    begin = time.process_time()
    run = net.run(x, threads=1)
    return time.process_time() - begin, run.spikes.packed


def main() -> None:
    bench = Bench("activity", pairs=PAIRS)
    modules = {"with": engine(), "without": uncounted()}
    with one_core():
        for name, net, x in cases():
            pairs = 15 if net.layers[0].n > 10_000 else PAIRS
            found = {which: seconds(net, x, module) for which, module in modules.items()}
            for layer, spikes in found["with"][1].items():
                np.testing.assert_array_equal(spikes, found["without"][1][layer])
            ratios, times = [], []
            for k in range(pairs):
                order = list(modules) if k % 2 else list(modules)[::-1]
                took = {which: seconds(net, x, modules[which])[0] for which in order}
                ratios.append(took["with"] / took["without"])
                times.append(took["with"])
            row = {
                "network": name,
                "seconds": median(times),
                "cost": median(ratios) - 1,
                "spikes_per_sample": net.run(x, threads=1).activity.spikes / len(x),
            }
            bench.add(row)
            print(f"{name}: {row['seconds'] * 1e3:.1f} ms a run, counting {row['cost']:+.1%}")
    bench.write()


if __name__ == "__main__":
    main()
