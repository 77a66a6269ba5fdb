"""A report made by hand: an LIF and a GPN network with random weights, run for real."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snn2hw.cli.report_parts import all_bills, extras
from snn2hw.graph import INPUT_PORT, FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense
from snn2hw.neurons import MODELS
from snn2hw.neurons.gpn import GATES
from snn2hw.report import ReportData, Section

CHANNELS, HIDDEN, CLASSES, STEPS, SAMPLES = 24, 40, 9, 60, 6


@dataclass(frozen=True)
class Check:
    ok: bool = True
    compared: int = 123456
    mismatches: int = 0
    first_mismatch: str | None = None
    backend: str = "lava"
    seconds: float = 7.25


def lif_network(rng: np.random.Generator, name: str = "hidden") -> FixedPointNetwork:
    def full(value: int, n: int) -> np.ndarray:
        return np.full(n, value, dtype=np.int32)

    params = {
        "decay_u": full(4096, HIDDEN), "decay_v": full(300, HIDDEN),
        "threshold": full(9000, HIDDEN), "bias_mantissa": full(0, HIDDEN),
        "bias_exponent": full(0, HIDDEN),
    }  # fmt: skip
    hidden = Layer(name, MODELS["lif"], (HIDDEN,), params, {"v": 1 / 64 / 9000}, 1)
    into, loop = _weights(rng, HIDDEN, CHANNELS), _weights(rng, HIDDEN, HIDDEN)
    return _network(
        rng,
        hidden,
        (
            Synapse(f"in->{name}", "in", INPUT_PORT, name, ("a",), Dense(into), 5, 0, 1),
            Synapse(f"{name}->{name}", name, "s", name, ("a",), Dense(loop), 2, 1, 1),
        ),
    )


def gpn_network(rng: np.random.Generator) -> FixedPointNetwork:
    params = {}
    for param in MODELS["gpn"].params:
        value = {"x_gain": 300_000, "message_shift": 4}.get(param.name, 0)
        if param.name.endswith("_gain") and param.name != "x_gain":
            value = 400_000
        params[param.name] = np.full(HIDDEN, value, dtype=np.int32)
    hidden = Layer("gated", MODELS["gpn"], (HIDDEN,), params, {"v": 2.0**-14}, 1)
    recurrent = tuple(f"{gate}_rec" for gate in GATES)
    into = _weights(rng, 5 * HIDDEN, CHANNELS)
    loop = (_weights(rng, 4 * HIDDEN, HIDDEN) // 16).astype(np.int8)
    return _network(
        rng,
        hidden,
        (
            Synapse("in->gated", "in", INPUT_PORT, "gated", ("x", *GATES), Dense(into), 0, 0, 1),
            Synapse("gated.m->gated", "gated", "m", "gated", recurrent, Dense(loop), 0, 1, 1),
        ),
    )


def _weights(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.clip(np.rint(rng.normal(8, 40, (rows, columns))), -127, 127).astype(np.int8)


def _network(
    rng: np.random.Generator, hidden: Layer, synapses: tuple[Synapse, ...]
) -> FixedPointNetwork:
    bias = {"bias": np.zeros(CLASSES, dtype=np.int32)}
    readout = Layer("readout", MODELS["readout"], (CLASSES,), bias, {"y": 1e-3}, 2)
    last = Synapse(
        f"{hidden.name}->readout", hidden.name, "s", "readout", ("a",),
        Dense(_weights(rng, CLASSES, HIDDEN)), 0, 0, 1,
    )  # fmt: skip
    return FixedPointNetwork(
        target="loihi2",
        dt_s=1e-3,
        method="euler",
        inputs=(InputFormat("in", (CHANNELS,), 1, False, 1.0),),
        layers=(hidden, readout),
        synapses=(*synapses, last),
        outputs=(OutputNode("out", "readout", "y"),),
        latency=2,
        source_hash="5f" * 32,
        notes=(f"quantize {hidden.name}: weights of in->{hidden.name}: 8 bits, exponent 5",),
    )


def section(
    title: str, net: FixedPointNetwork, rng: np.random.Generator, **changes: object
) -> Section:
    x = (rng.random((SAMPLES, STEPS, CHANNELS)) < 0.12).astype(np.int32)
    run = net.run(x, record=("v",), threads=1)
    labels = run.predictions.copy()
    labels[1] = (labels[1] + 1) % CLASSES
    made = Section(
        title=title,
        net=net,
        run=run,
        bills=all_bills(net, run),
        check=Check(),
        accuracy_float=0.9375,
        labels=labels,
        class_names=tuple(f"speaker {k + 1}" for k in range(CLASSES)),
        x=x,
        samples=(0, 1),
        **extras(net, run, name=title),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def example() -> ReportData:
    rng = np.random.default_rng(3)
    lif = section("LIF, 40 neurons", lif_network(rng), rng)
    gpn = section(
        "GPN, 40 neurons", gpn_network(rng), rng, check=None,
        not_verified="no Python 3.10 was found; run snn2hw doctor --repair, then verify again",
    )  # fmt: skip
    return ReportData(
        title="Japanese Vowels on integers",
        description="Two spiking networks, converted to what Loihi 2 computes, side by side.",
        sections=(lif, gpn),
        commands=("git clone …/snn2hw && cd snn2hw", "make demo"),
        versions={"Python": "3.11.9", "numpy": "2.3.0"},
        seeds={"training": 1},
        sources={"Japanese Vowels": "sktime, sha256 0123…"},
    )
