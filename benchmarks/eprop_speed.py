"""Learning by e-prop: milliseconds a sample, and memory, against plain C and PyTorch autograd.

    python benchmarks/eprop_speed.py

The network of Rostami et al. 2022: 80 inputs, 120 ALIF neurons with recurrence, 12 leaky readouts,
samples of 100 steps, batch 1, Adam at the end of each sample, float32. Contestants: snn2hw's
``Learner``; ``eprop_plain.c``, the same algorithm with one loop an equation, compiled here with
cc -O3 -march=native (and, beside it, with -ffast-math, which the learner does not need);
``eprop_torch.py``, PyTorch's autograd through time. Each runs in a process of its own on one and
the same core, in turns; figures are medians over the turns. That learner and C learn the same is
checked first. Memory is the peak resident set while a sample of T steps is learned, above what the
process held before (its libraries, the network and the data).
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Bench, one_core

HERE = Path(__file__).parent
N_IN, N, N_OUT, STEPS = 80, 120, 12, 100
DT = 1e-3
TAU_M, TAU_A, TAU_OUT = 5.0, 150.0, 10.0
LEARNING_RATE, L2 = 1e-2, 1e-5
SAMPLES, TURNS, AGREE_SAMPLES, AGREE = 20, 15, 20, 1e-3
LENGTHS = (100, 1000, 10_000)
FLAGS = {"c": "", "c_fast_math": "-ffast-math"}
CONTESTANTS = ("learner", "c", "c_fast_math", "torch")

Weights = dict[str, np.ndarray]
Learn = Callable[[np.ndarray, np.ndarray], None]
"""x (samples, T, N_IN) float32 and labels: one sample after the other."""


def decays() -> tuple[float, float, float]:
    """alpha, rho, kappa."""
    return tuple(float(np.exp(-1 / tau)) for tau in (TAU_M, TAU_A, TAU_OUT))  # type: ignore[return-value]


def problem(samples: int, steps: int) -> tuple[Weights, np.ndarray, np.ndarray]:
    """Weights drawn as published, inputs that make a good part of the neurons fire."""
    rng = np.random.default_rng(0)
    weights = {
        "input": rng.normal(0, N_IN**-0.5, (N, N_IN)),
        "recurrent": rng.normal(0, N**-0.5, (N, N)),
        "output": rng.normal(0, N**-0.5, (N_OUT, N)),
    }
    x = rng.normal(0, 3, (samples, steps, N_IN)).astype(np.float32)
    return (
        {k: v.astype(np.float32) for k, v in weights.items()},
        x,
        rng.integers(N_OUT, size=samples),
    )


def graph(weights: Weights) -> Any:
    """The network as a nir.NIRGraph."""
    import nir

    from snn2hw.converters.nodes import ALIF

    alpha, rho, kappa = decays()
    tau = DT / (1 - kappa)
    nodes = {
        "input": nir.Input({"input": np.array([N_IN])}),
        "fc": nir.Linear(weights["input"].astype(float)),
        "hidden": ALIF(
            alpha=np.full(N, alpha),
            rho=np.full(N, rho),
            v_threshold=np.full(N, 1.6),
            beta=np.full(N, 0.184),
            input_gain=np.full(N, 1 - alpha),
            adaptation_gain=np.full(N, 1 - rho),
            refractory=np.zeros(N),
            adaptive_reset=1,
            dt=DT,
        ),
        "rec": nir.Linear(weights["recurrent"].astype(float)),
        "out": nir.Linear(weights["output"].astype(float)),
        "li": nir.LI(np.full(N_OUT, tau), np.full(N_OUT, 1 / (1 - kappa)), np.zeros(N_OUT)),
        "output": nir.Output({"output": np.array([N_OUT])}),
    }
    path = ("input", "fc", "hidden", "out", "li", "output")
    edges = [*itertools.pairwise(path), ("hidden", "rec"), ("rec", "hidden")]
    return nir.NIRGraph(nodes, edges)


def learner(weights: Weights) -> tuple[Learn, Callable[[], Weights]]:
    from snn2hw.targets.spinnaker2.eprop import Learner, Rule

    rule = Rule.rostami(learning_rate=LEARNING_RATE, l2=L2, arithmetic="float32")
    made = Learner(graph(weights), rule, dt=DT, pes=1)

    def learn(x: np.ndarray, y: np.ndarray) -> None:
        made.learn(x, y)

    return learn, lambda: {name: np.asarray(made.weights[name]) for name in weights}


def plain_c(weights: Weights, flags: str) -> tuple[Learn, Callable[[], Weights]]:
    folder = tempfile.mkdtemp(prefix="eprop_plain_")
    library = Path(folder) / "eprop_plain.so"
    command = ["cc", "-O3", "-march=native", *flags.split(), "-shared", "-fPIC"]
    sizes = [f"-DN_IN={N_IN}", f"-DN={N}", f"-DN_OUT={N_OUT}"]
    subprocess.run([*command, *sizes, HERE / "eprop_plain.c", "-o", library, "-lm"], check=True)
    code = ctypes.CDLL(str(library))
    code.learn.restype = ctypes.c_float
    library.unlink()
    Path(folder).rmdir()

    def pointers(arrays: Weights) -> list[ctypes.c_void_p]:
        return [arrays[name].ctypes.data_as(ctypes.c_void_p) for name in weights]

    constants = np.array([*decays(), LEARNING_RATE, L2], np.float32)
    code.setup(*pointers(weights), constants.ctypes.data_as(ctypes.c_void_p))

    def learn(x: np.ndarray, y: np.ndarray) -> None:
        for sample, label in zip(x, y, strict=True):
            code.learn(sample.ctypes.data_as(ctypes.c_void_p), len(sample), int(label))

    def read() -> Weights:
        arrays = {name: np.empty_like(value) for name, value in weights.items()}
        code.weights(*pointers(arrays))
        return arrays

    return learn, read


def pytorch(weights: Weights) -> tuple[Learn, Callable[[], Weights]]:
    import torch
    from eprop_torch import Network

    torch.set_num_threads(1)
    network = Network(weights, decays(), LEARNING_RATE, L2)

    def learn(x: np.ndarray, y: np.ndarray) -> None:
        for sample, label in zip(x, y, strict=True):
            network.learn(sample, int(label))

    def read() -> Weights:
        tensors = (network.w_in, network.w_rec, network.w_out)
        return dict(zip(weights, (t.detach().numpy() for t in tensors), strict=True))

    return learn, read


def make(who: str, weights: Weights) -> tuple[Learn, Callable[[], Weights]]:
    if who == "learner":
        return learner(weights)
    return pytorch(weights) if who == "torch" else plain_c(weights, FLAGS[who])


def serve(who: str) -> None:
    """Worker: each line on stdin is one turn of that many samples; replies are seconds."""
    weights, x, y = problem(SAMPLES, STEPS)
    learn, read = make(who, weights)
    learn(x[:AGREE_SAMPLES], y[:AGREE_SAMPLES])
    learned = {name: value.tolist() for name, value in read().items()}
    print(json.dumps(learned), flush=True)
    for line in sys.stdin:
        samples = int(line)
        begin = time.perf_counter()
        learn(x[:samples], y[:samples])
        print(json.dumps(time.perf_counter() - begin), flush=True)


def peak_kib() -> int:
    """Largest resident set since the mark was last cleared, or ever where it cannot be."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))


def measure_memory(who: str, steps: int) -> None:
    """Worker: one short sample, then one of ``steps`` steps; prints KiB before and at the peak."""
    weights, x, y = problem(1, steps)
    learn, _ = make(who, weights)
    learn(x[:, : min(steps, 50)].copy(), y)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")  # the peak counts from here
    before = peak_kib()
    learn(x, y)
    print(json.dumps({"before_kib": before, "peak_kib": peak_kib()}))


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | threads)


def ask(worker: subprocess.Popen[str], line: str = "") -> Any:
    if worker.stdin is None or worker.stdout is None:
        raise RuntimeError("the worker was started without pipes")
    if line:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    reply = worker.stdout.readline()
    if not reply:
        raise RuntimeError(f"{worker.args} ended with {worker.wait()} before it replied")
    return json.loads(reply)


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Largest difference of a weight, relative to the largest of its kind."""
    pairs = [(np.array(one[name]), np.array(other[name])) for name in one]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def measure_speed() -> dict[str, Any]:
    workers = {who: start("--serve", who) for who in CONTESTANTS}
    try:
        learned = {who: ask(worker) for who, worker in workers.items()}
        agree = difference(learned["learner"], learned["c"])
        if not agree < AGREE:
            raise SystemExit(
                f"learner and plain C differ by {agree:.3g} after {AGREE_SAMPLES} samples"
            )
        turns: dict[str, list[float]] = {who: [] for who in CONTESTANTS}
        for _ in range(TURNS):
            for who, worker in workers.items():
                samples = 2 if who == "torch" else SAMPLES
                turns[who].append(ask(worker, str(samples)) / samples * 1e3)
    finally:
        for worker in workers.values():
            worker.communicate()
    row: dict[str, Any] = {"what": "speed", "steps": STEPS, "agreement_with_c": agree}
    for who, values in turns.items():
        row[f"{who}_ms"] = float(np.median(values))
        row[f"{who}_best_ms"] = min(values)
    for who in CONTESTANTS[1:]:
        # Turn by turn, so that a slow moment of the machine counts for both.
        ratios = [theirs / ours for theirs, ours in zip(turns[who], turns["learner"], strict=True)]
        row[f"{who}_ratio"] = float(np.median(ratios))
    return row


def memory_rows() -> list[dict[str, Any]]:
    rows = []
    for who in ("learner", "torch"):
        for steps in LENGTHS:
            worker = start("--memory", who, str(steps))
            row = ask(worker)
            worker.communicate()
            grown = row["peak_kib"] - row["before_kib"]
            rows.append({"what": "memory", "who": who, "steps": steps, "grown_kib": grown, **row})
    return rows


def chip_rows() -> list[dict[str, Any]]:
    """Bytes by purpose on 12 PEs, of the two published variants."""
    from snn2hw.targets.spinnaker2.eprop import Learner, Rule

    network = graph(problem(1, 1)[0])
    return [
        {"what": "chip", "rule": name, "bytes": placed.total_bytes, "by_purpose": placed.totals}
        for name, rule in (("rostami", Rule.rostami()), ("bellec", Rule.bellec()))
        for placed in [Learner(network, rule, dt=DT, pes=12).placement]
    ]


def main() -> None:
    if shutil.which("cc") is None:
        print("eprop_speed: left out, for there is no C compiler (cc); install gcc or clang")
        return
    bench = Bench(
        "eprop_speed", network=f"{N_IN}-{N}-{N_OUT}", samples=SAMPLES, turns=TURNS, seed=0
    )
    with one_core():
        row = measure_speed()
        bench.add(row)
        print(
            f"e-prop, {STEPS} steps: {row['learner_ms']:.2f} ms a sample; plain C "
            f"{row['c_ms']:.2f} ms ({row['c_ratio']:.2f} times), with -ffast-math "
            f"{row['c_fast_math_ms']:.2f} ms ({row['c_fast_math_ratio']:.2f} times); PyTorch "
            f"{row['torch_ms']:.1f} ms ({row['torch_ratio']:.1f} times); learner and C agree to "
            f"{row['agreement_with_c']:.1g}"
        )
        for row in memory_rows():
            bench.add(row)
            print(
                f"{row['who']}: {row['steps']} steps take {row['grown_kib']} KiB above "
                f"{row['before_kib'] / 1024:.0f} MiB"
            )
    for row in chip_rows():
        bench.add(row)
        print(f"{row['rule']} on 12 PEs: {row['bytes']:,} bytes, {row['by_purpose']}")
    bench.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", metavar="WHO", choices=CONTESTANTS, help="(a worker) take turns")
    parser.add_argument("--memory", nargs=2, metavar=("WHO", "T"), help="(a worker) measure memory")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.memory:
        measure_memory(options.memory[0], int(options.memory[1]))
    else:
        main()
