"""Smoke test of an installed wheel: without torch, from a graph to its report."""

import json
import subprocess
import sys

import nir
import numpy as np

import snn2hw


def snn2hw_command(*arguments: str) -> str:
    done = subprocess.run(["snn2hw", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    if "torch" in sys.modules:
        sys.exit("importing snn2hw imported torch")
    rng = np.random.default_rng(0)
    n = 16
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([8])}),
            "fc": nir.Affine(rng.normal(0, 1.0, (n, 8)), np.zeros(n)),
            "lif": nir.LIF(
                tau=np.full(n, 5e-3),
                r=np.ones(n),
                v_leak=np.zeros(n),
                v_threshold=np.full(n, 0.1),
            ),
            "readout": nir.Affine(rng.normal(0, 1.0, (3, n)), np.zeros(3)),
            "output": nir.Output({"output": np.array([3])}),
        },
        [("input", "fc"), ("fc", "lif"), ("lif", "readout"), ("readout", "output")],
    )
    snn2hw.write("model.nir", graph)
    x = (rng.random((4, 20, 8)) < 0.3).astype(np.uint8)
    np.savez("data.npz", x=x, y=np.zeros(4, dtype=np.int64))
    snn2hw_command("quantize", "model.nir", "--calibration", "data.npz", "-o", "net.h5")
    run = json.loads(snn2hw_command("run", "net.h5", "--data", "data.npz", "--json"))
    bills = json.loads(snn2hw_command("energy", "net.h5", "--data", "data.npz", "--json"))
    snn2hw_command("report", "net.h5", "--data", "data.npz", "-o", "report.html")
    if run["spikes"]["lif"] <= 0 or run["samples"] != 4 or len(bills) < 2:
        sys.exit(f"the installed wheel does not work: {run}")
    expected = snn2hw.load("net.h5").run(x)
    if run["predictions"] != expected.predictions.tolist():
        sys.exit("command line and Python disagree")
    print(f"wheel works: {run['spikes']['lif']} spikes, {run['synaptic_operations']} synops")


main()
