"""Runs ``.net`` files on lava-dl's own netx: ``python netx_worker.py FOLDER``, under Python 3.10.

Needs lava-nc, and what ``netx_data`` keeps: lava-dl's netx and h5py. Not torch, which netx imports
for a function of ``slayer`` that only resonate-and-fire neurons call.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np


def netx(lava_dl: str) -> Any:
    """The module lava.lib.dl.netx.hdf5."""
    sys.path += [lava_dl, f"{lava_dl}/site"]
    for name in ("slayer", "slayer.neuron", "slayer.neuron.rf"):
        module = types.ModuleType(f"lava.lib.dl.{name}")
        module.__path__ = []  # type: ignore[attr-defined]
        module.neuron_params = None  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
    return importlib.import_module("lava.lib.dl.netx.hdf5")


def run(hdf5: Any, job: dict[str, Any], folder: Path) -> None:
    """One file: the spikes of every layer, (*netx shape, steps), and the last v into NAME.npz."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    data = np.load(folder / f"{job['name']}-in.npy")
    net = hdf5.Network(str(folder / f"{job['name']}.net"), **job["options"])
    steps = data.shape[-1]
    source = Source(data=data)
    source.s_out.connect(net.inp)
    sinks = [Sink(shape=layer.out.shape, buffer=steps) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks):  # noqa: B905 (Python 3.10, made equal)
        layer.out.connect(sink.a_in)
    try:
        source.run(condition=RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        found = {str(k): sink.data.get().astype(np.int32) for k, sink in enumerate(sinks)}
        found["v"] = net.layers[-1].neuron.v.get()
    finally:
        source.stop()
    np.savez(folder / f"{job['name']}-out.npz", **found)


def main(folder: Path) -> None:
    """Run what job.json lists."""
    job = json.loads((folder / "job.json").read_text())
    hdf5 = netx(job["lava_dl"])
    for one in job["networks"]:
        run(hdf5, one, folder)


# Lava imports the started script again to look for process models.
if __name__ == "__main__":
    main(Path(sys.argv[1]))
