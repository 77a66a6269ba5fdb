"""Runs networks on Lava: ``python worker.py FOLDER``, under Python 3.10 with lava-nc and NumPy.

FOLDER holds job.json, arrays.npz (see ``snn2hw.targets.lava.plan``) and a copy of the neuron
models. The worker writes one log a layer into it, and result.json last: software versions and the
seconds spent. Nothing in the package imports this file.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

WATCH_S = 0.5


def watch_over_processes() -> list[Any]:
    """Make failures of Lava's processes heard: Lava waits for ever for one that failed.

    A model that raises, when it is made or when it runs, prints its traceback, which Lava keeps to
    itself. Returns the list of processes that Lava starts from now on, for ``watched``.
    """
    from lava.magma.core.model.py.model import AbstractPyProcessModel
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    join, start = AbstractPyProcessModel.join, SystemProcess.start
    started: list[Any] = []

    def join_and_report(self: Any) -> None:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
            sys.stderr.flush()
        join(self)

    def reporting(target: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                target(*args, **kwargs)
            except Exception:
                traceback.print_exc()
                sys.stderr.flush()
                raise

        return run

    def start_and_remember(self: Any) -> None:
        self._target = reporting(self._target)
        start(self)
        started.append(self)

    AbstractPyProcessModel.join = join_and_report
    SystemProcess.start = start_and_remember
    return started


@contextlib.contextmanager
def watched(processes: list[Any]) -> Iterator[None]:
    """End the worker if one of Lava's processes is killed (for want of memory, say)."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_S):
            for process in list(processes):
                if process.exitcode:
                    sys.stderr.write(f"process {process.name} ended with {process.exitcode}\n")
                    sys.stderr.flush()
                    os._exit(70)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def build(block: dict[str, Any], arrays: Any, folder: Path, record: bool) -> Any:
    """The processes of one block, connected. Returns one of them and the run configuration."""
    import processes as ours  # type: ignore[import-not-found]
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer

    prefix = f"{block['name']}/"
    sources = [
        RingBuffer(data=arrays[f"{prefix}input{k}"].astype(np.int32))
        for k in range(block["inputs"])
    ]
    layers = []
    for k, layer in enumerate(block["layers"]):
        params = arrays[f"{prefix}params{k}"]
        window = {name: block[name] for name in ("window", "steps", "samples")}
        window |= {"offset": layer["offset"], "log": None}
        if record:
            path = folder / layer["log"]
            shape = (block["samples"] * block["steps"], layer["quantities"], layer["n"])
            np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=shape)
            window["log"] = str(path)
        if layer["process"] == "lif":
            named = dict(zip(layer["params"], params))  # noqa: B905 (Python 3.10, made equal)
            start = arrays[f"{prefix}start{k}"]
            layers.append(ours.Lif(n=layer["n"], window=window, start=start, **named))
        elif layer["process"] == "graded":
            layers.append(ours.Graded(n=layer["n"], window=window))
        else:
            made = {name: layer[name] for name in ("model", "n", "groups")}
            made["start"] = arrays[f"{prefix}start{k}"]
            layers.append(ours.Neuron(params=params, window=window, **made))
    for k, synapse in enumerate(block["synapses"]):
        source = synapse["source"]
        sent = sources[-1 - source].s_out if source < 0 else layers[source].sent(synapse["output"])
        heard = layers[synapse["target"]].heard(synapse["group"])
        named = {name: arrays.get(f"{prefix}{name}{k}") for name in ("weights", "at")}
        connect(synapse, sent, heard, **named)
    models = {
        ours.Lif: ours.LifModel,
        ours.Graded: ours.GradedModel,
        ours.Neuron: ours.NeuronFixed,
        ours.Delayed: ours.DelayedModel,
        ours.DelayedSparse: ours.DelayedSparseModel,
        ours.Convolved: ours.ConvolvedModel,
    }
    return layers[0], Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)


def connect(synapse: dict[str, Any], sent: Any, heard: Any, weights: Any, at: Any) -> None:
    """Put Lava's process for a synapse group between two ports."""
    import processes as ours
    from lava.proc.dense.process import Dense
    from lava.proc.sparse.process import Sparse
    from lava.utils.weightutils import SignMode
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped,unused-ignore]

    delay = synapse["chip_delay"] - 1
    if synapse["kind"] == "conv":
        shape = synapse["input_shape"]
        names = ("stride", "padding", "dilation", "groups", "message_bits")
        convolved = ours.Convolved(
            weight=weights.astype(np.int32),
            weight_exp=synapse["exponent"],
            # (channel, row, column) is (channel, y, x); Lava wants (x, y, channel).
            input_shape=tuple(shape[::-1]),
            delay=delay,
            **{name: synapse[name] for name in names},
        )
        sent.reshape(tuple(shape)).transpose((2, 1, 0)).connect(convolved.s_in)
        convolved.a_out.transpose((2, 1, 0)).flatten().connect(heard)
        return
    mixed = {
        # Loihi keeps mixed-sign weights as even numbers: twice the mantissa, one exponent less.
        "weight_exp": synapse["exponent"] - 1,
        "sign_mode": SignMode.MIXED,
        "num_message_bits": synapse["message_bits"],
    }
    doubled = 2 * weights.astype(np.int32)
    if synapse["kind"] == "dense":
        process = (
            ours.Delayed(weights=doubled, delays=delay, **mixed)
            if delay
            else (Dense(weights=doubled, **mixed))
        )
    else:
        matrix = csr_matrix((doubled, tuple(at)), shape=synapse["shape"])
        if delay:
            # As a matrix, whose entries are where those of the weights are.
            delays = csr_matrix((np.full(doubled.size, delay), tuple(at)), shape=synapse["shape"])
            process = ours.DelayedSparse(weights=matrix, delays=delays, **mixed)
        else:
            process = Sparse(weights=matrix, **mixed)
    sent.connect(process.s_in)
    process.a_out.connect(heard)


def run(
    block: dict[str, Any], arrays: Any, folder: Path, record: bool, started: list[Any]
) -> dict[str, Any]:
    """Run one block; ``block["runs"]`` are the numbers of chip steps of the runs, in order.

    Returns the seconds of start-up (compilation and the first run's start are part of the first
    run) and of each run.
    """
    from lava.magma.core.run_conditions import RunSteps

    before_build = time.perf_counter()
    process, config = build(block, arrays, folder, record)
    built = time.perf_counter()
    seconds = []
    try:
        for steps in block["runs"]:
            before = time.perf_counter()
            with watched(started):
                process.run(condition=RunSteps(num_steps=steps), run_cfg=config)
            seconds.append(time.perf_counter() - before)
    finally:
        process.stop()
        started.clear()
    return {"build_s": built - before_build, "run_s": seconds, "runs": block["runs"]}


def main(folder: Path) -> None:
    """Run the job in ``folder``."""
    began = time.perf_counter()
    job = json.loads((folder / "job.json").read_text())
    arrays = np.load(folder / "arrays.npz")
    import lava.proc.lif.models  # noqa: F401 (its import is part of the start-up time)

    started = watch_over_processes()
    imported = time.perf_counter()
    blocks = [run(block, arrays, folder, job["record"], started) for block in job["blocks"]]
    result = {
        "lava": version("lava-nc"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "import_s": imported - began,
        "blocks": blocks,
        "total_s": time.perf_counter() - began,
    }
    unfinished = folder / "result.json.part"
    unfinished.write_text(json.dumps(result))
    unfinished.rename(folder / "result.json")


# Lava imports the started script again to look for process models.
if __name__ == "__main__":
    main(Path(sys.argv[1]))
