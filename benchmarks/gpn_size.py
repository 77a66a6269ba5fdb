"""GPN at its paper's sizes: 9.1 million parameters for SHD, 28.0 million for SSC.

    python benchmarks/gpn_size.py [--utterances 50] [--threads 2] [--lava 2]

700-1024-20 in 20 steps and 700-3x1024-35 in 60 are exported, written and read, quantised to 8 bits,
saved and loaded, placed on Loihi 2 and simulated; printed is what each took, and the largest memory
of the process so far. The weights are random, as PyTorch draws them, but for those of the Linear
layers times 4, with which 12 to 19 % of the neurons spike in a step. The input is speech: clips of
Arabic Speech Commands through the cochlea encoder, in the bins of the paper's authors; without
that data (``SNN2HW_DATA``) as many Poisson spikes. --lava: steps of one utterance that Intel's Lava
computes too.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from common import Bench

import snn2hw
from snn2hw.errors import Snn2hwError
from snn2hw.nn.models import build

T = TypeVar("T")

CHANNELS = 700
SIZES = {
    "SHD": ((1024,), 20, 20, 9_131_028),
    "SSC": ((1024, 1024, 1024), 35, 60, 28_031_011),
}
"""Network -> widths, classes, steps, parameters."""
GAIN = 4.0
CALIBRATION = 32
SPIKES = 8000
"""Poisson spikes of an utterance, where there is no speech."""


def speech(utterances: int, steps: int) -> tuple[np.ndarray, str]:
    """Counts (utterances, steps, 700), and where they come from."""
    try:
        from snn2hw.data.base import find_data
        from snn2hw.data.binning import bin_events
        from snn2hw.data.cochlea import CochleaEncoder
        from snn2hw.data.cochlea.sounds import read_samples
        from snn2hw.data.events import Events

        root = find_data("arabic_speech_commands", "see docs/speech.md")
        files = sorted(root.glob("dataset/**/*.flac"))
        files = files[:: max(1, len(files) // utterances)][:utterances]
        encoder = CochleaEncoder(CHANNELS)
        made = [encoder.encode(*read_samples(file), stream=file.name) for file in files]
        events = Events(
            np.concatenate([one.times for one in made]),
            np.concatenate([one.units for one in made]),
            np.repeat(np.arange(len(made)), [len(one) for one in made]),
            len(made),
        )
        return bin_events(events, "gpn", steps, 1.0).astype(np.int32), "speech, cochlea encoder"
    except (Snn2hwError, ImportError) as error:
        print(f"no speech ({error}): Poisson spikes")
        rng = np.random.default_rng(0)
        mean = SPIKES / (steps * CHANNELS)
        return rng.poisson(mean, (utterances, steps, CHANNELS)).astype(np.int32), "Poisson"


class Clock:
    """Seconds of each stage, on the wall and of all cores, printed as they come."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        start, cpu = time.perf_counter(), time.process_time()
        made = work()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        self.row[f"{stage}_s"], self.row[f"{stage}_cpu_s"] = wall, cpu
        print(f"  {stage:<9} {wall:7.2f} s  {cpu:7.2f} CPU-s  {peak_gb():.2f} GB", flush=True)
        return made


def peak_gb() -> float:
    """Largest resident memory of this process until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(name: str, x: np.ndarray, threads: int, lava: int, folder: Path) -> dict[str, Any]:
    """One network, all the way."""
    widths, classes, steps, parameters = SIZES[name]
    print(f"{name}: {CHANNELS}-{'-'.join(map(str, widths))}-{classes}, {steps} steps")
    clock = Clock()
    model = build("gpn", (CHANNELS,), classes, 0, width=widths, dropout=0.25).eval()
    counted = sum(p.numel() for p in model.parameters())
    if counted != parameters:
        raise SystemExit(f"{name} has {counted} parameters, the paper's {parameters}")
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                layer.weight *= GAIN
    graph = clock("export", lambda: snn2hw.to_nir(model, (CHANNELS,)))
    clock("write", lambda: snn2hw.write(folder / "net.nir", graph))
    graph = clock("read", lambda: snn2hw.read(folder / "net.nir"))
    net = clock("quantize", lambda: snn2hw.quantize(graph, calibration=x[:CALIBRATION]))
    clock("save", lambda: net.save(folder / "net.h5"))
    net = clock("load", lambda: snn2hw.load(folder / "net.h5"))
    plan = clock("place", lambda: snn2hw.place(net, target="loihi2"))
    clock("prepare", lambda: net.run(x[:1, :1], threads=threads))  # its plan; compiles, once
    run = clock("simulate", lambda: net.run(x, threads=threads))
    rates = {layer: float(run.spikes[layer].mean()) for layer in run.spikes}
    with torch.no_grad():
        hidden = model[:2](torch.from_numpy(x[:CALIBRATION].astype(np.float32))).numpy()
    first = run.spikes[net.layers[0].name][:CALIBRATION]
    clock.row |= {
        "network": name,
        "parameters": counted,
        "utterances": len(x),
        "steps": steps,
        "spikes_per_utterance": float(x.sum() / len(x)),
        "threads": threads,
        "peak_gb": peak_gb(),
        "nir_mb": (folder / "net.nir").stat().st_size / 1e6,
        "h5_mb": (folder / "net.h5").stat().st_size / 1e6,
        "cores": len(plan.cores),
        "rates": rates,
        "differs_from_float_first_layer": float(np.mean(first != hidden)),
        "overflows": sum(o.wraps + o.clips for o in run.overflows.values()),
        "wide_macs_per_step": sum(
            s.mantissa.size for s in net.synapses if s.source_port == "m" and s.delay
        ),
    }
    if lava:
        check = clock("lava", lambda: snn2hw.verify(net, x[:1, :lava], backend="lava"))
        clock.row |= {"lava_steps": lava, "compared": check.compared}
        clock.row["mismatches"] = check.mismatches
    for key, value in clock.row.items():
        if isinstance(value, int | float) and not key.endswith("_s"):
            print(f"  {key:<32} {value:,.6g}")
    print("  neurons that spike in a step:", {k: f"{v:.1%}" for k, v in rates.items()}, flush=True)
    return clock.row


def main(arguments: list[str] | None = None) -> None:
    """Both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lava", type=int, default=0, metavar="STEPS")
    parser.add_argument("--networks", nargs="+", choices=SIZES, default=list(SIZES))
    options = parser.parse_args(arguments)
    bench = Bench("gpn_size", seed=0)
    for name in options.networks:
        x, source = speech(options.utterances, SIZES[name][2])
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, x, options.threads, options.lava, Path(folder))
        bench.add(row | {"input": source})
    bench.write()


if __name__ == "__main__":
    main()
