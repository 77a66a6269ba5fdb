"""The NIR paper's own models and recorded traces (neuromorphs/NIR at 7232ada, BSD-3)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import snn2hw
from snn2hw.data.base import find_data
from snn2hw.errors import DataError, RepairWarning
from snn2hw.executor import execute
from snn2hw.graph import DiscreteGraph, FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.linear import Dense, with_weight
from snn2hw.neurons import MODELS
from snn2hw.passes import fold, lower

ALIGN = 64
"""A weight of 1 adds 2^6 to u, and a threshold of 1 is 2^6 of v (facts of Loihi's arithmetic)."""


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return find_data("nir_paper", "the folder paper of neuromorphs/NIR at 7232ada")
    except DataError as error:
        pytest.skip(str(error))


def load(folder: Path, name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)
        return snn2hw.read(folder / f"{name}.nir")


def random_spikes(*shape: int, rate: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.int64)


MODELS_OF_THE_PAPER = {
    # name: (dt in seconds, batch and steps of the input, its rate)
    "lif_norse": (1e-4, (4, 400), 0.2),
    "lif_rockpool": (1e-4, (4, 400), 0.2),
    "cnn_sinabs": (1.0, (2, 20), 0.1),  # r = 1: the integrator counts steps
    "braille_noDelay_bias_zero": (1e-4, (4, 100), 0.05),
    "braille_noDelay_bias_zero_subgraph": (1e-4, (4, 100), 0.05),
}


@pytest.mark.parametrize("name", MODELS_OF_THE_PAPER)
def test_every_model_loads_runs_and_quantises(name: str, folder: Path) -> None:
    dt, size, rate = MODELS_OF_THE_PAPER[name]
    graph = load(folder, name)
    x = random_spikes(*size, *graph.nodes["input"].input_type["input"], rate=rate)
    lowered = fold(lower(graph, dt))
    floats = execute(lowered, x)
    assert all(spikes.any() for spikes in floats.spikes.values())  # every layer is at work
    net = snn2hw.quantize(graph, dt=dt, calibration=x)
    run = net.run(x)
    assert run.output.shape == floats.output.shape
    assert not any(layer.wraps or layer.clips for layer in run.overflows.values())
    same = execute(with_the_integers(lowered, net), x)
    for layer, spikes in same.spikes.items():
        differing = np.count_nonzero(spikes != run.spikes[layer].reshape(spikes.shape))
        # Integrators do not decay, so no state is rounded.
        assert differing <= (name != "cnn_sinabs") * 0.01 * np.count_nonzero(spikes), layer


def with_the_integers(graph: DiscreteGraph, net: FixedPointNetwork) -> DiscreteGraph:
    """The float graph with every number as the integers hold it, in their units. LIF layers alone.

    What it differs in from the integers is the rounding of states towards zero, nothing else.
    """
    populations = []
    for population in graph.populations:
        layer = net.layer(population.name)
        p: Mapping[str, np.ndarray] = layer.params
        params = {
            "gain": np.ones(layer.n),
            "decay_u": p["decay_u"] / 4096,
            "decay_v": p["decay_v"] / 4096,
            "bias": p["bias_mantissa"] * 2.0 ** p["bias_exponent"],
            "v_threshold": p["threshold"] * ALIGN,
        }
        start = {name: np.asarray(value, float) for name, value in layer.start.items()}
        populations.append(replace(population, params=population.params | params, start=start))
    synapses = {(s.source, s.target): s for s in net.synapses}
    assert len(synapses) == len(net.synapses)
    projections = []
    for projection in graph.projections:
        synapse = synapses[projection.source, projection.target]
        weight = synapse.map.weight * 2.0**synapse.exponent * ALIGN
        projections.append(replace(projection, maps=(with_weight(synapse.map, weight),)))
    return replace(graph, populations=tuple(populations), projections=tuple(projections))


@pytest.mark.parametrize(
    ("name", "repairs"),
    [
        ("lif_norse", ["node '1': v_reset is missing; taken as 0"]),
        (
            "lif_rockpool",
            [
                "node '1_LIFNeuronTorch': v_reset is missing; taken as 0",
                "node 'output': shape [1, 1, 1] taken as [1], as its neighbour has",
            ],
        ),
        (
            "braille_noDelay_bias_zero_subgraph",
            [
                "nodes 'lif1/lif1', 'lif2': v_reset is missing; taken as 0",
                "node 'lif1/lif1': edges call it 'lif', which is no node, and it has no edges; "
                "joined",
            ],
        ),
    ],
)
def test_older_files_are_repaired_aloud(name: str, repairs: list[str], folder: Path) -> None:
    path = folder / f"{name}.nir"
    with pytest.warns(RepairWarning) as caught:
        snn2hw.read(path)
    assert {str(w.message) for w in caught} == {f"{path}: {repair}" for repair in repairs}


def test_the_subgraph_file_is_the_same_network(folder: Path) -> None:
    x = random_spikes(4, 100, 12, rate=0.05)
    runs = [
        execute(lower(load(folder, f"braille_noDelay_bias_zero{suffix}"), 1e-4), x)
        for suffix in ("", "_subgraph")
    ]
    assert runs[0].output.any()
    np.testing.assert_array_equal(runs[0].output, runs[1].output)


# --- one LIF, 1000 steps of 0.1 ms, as platforms answered -----------------------------------


def recorded(folder: Path, platform: str) -> np.ndarray:
    """Columns input spike, v, spike; one row a step."""
    return np.loadtxt(folder / f"lif_{platform}.csv", delimiter=",")


def test_every_step_of_lavas_fixed_point_trace(folder: Path) -> None:
    x, v, spikes = recorded(folder, "lava_cpu_fixed").T
    # decay, weight and threshold of the recording; du = 4095 in Lava is a decay of 4096: no memory
    params = {
        "decay_u": 4096, "decay_v": 163, "threshold": 25, "bias_mantissa": 0, "bias_exponent": 0
    }  # fmt: skip
    arrays = {name: np.array([value], np.int32) for name, value in params.items()}
    weight = Dense(np.array([[10]], np.int8))
    net = FixedPointNetwork(
        target="loihi2",
        dt_s=1e-4,
        method="euler",
        inputs=(InputFormat("in", (1,), 1, False, 1.0),),
        layers=(Layer("lif", MODELS["lif"], (1,), arrays, {}, offset=1),),
        synapses=(Synapse("in->lif", "in", "", "lif", ("a",), weight, 0, 0, chip_delay=1),),
        outputs=(OutputNode("out", "lif", "s"),),
        latency=1,
    )
    run = net.run(x.astype(np.int64)[None, :, None], record=("v",))
    # The recording is one step late: Lava's Dense passes spikes on in the next step.
    assert v[0] == spikes[0] == 0
    np.testing.assert_array_equal(run.state["lif"]["v"][0, :-1, 0], v[1:])
    np.testing.assert_array_equal(run.output[0, :-1, 0], spikes[1:])
    assert np.flatnonzero(spikes).tolist() == [461, 511, 711, 761]
    assert len(np.unique(v)) > 100


@pytest.mark.parametrize("platform", ["spinnaker2", "exact"])
def test_the_spike_steps_of_the_chip_and_of_the_exact_solution(folder: Path, platform: str) -> None:
    x, _, spikes = recorded(folder, platform).T
    steps = np.flatnonzero(spikes).tolist()
    assert steps == [460, 510, 710, 760]
    data = x.astype(np.int64)[None, :, None]
    graph = load(folder, "lif_norse")
    assert np.flatnonzero(execute(lower(graph, 1e-4), data).output).tolist() == steps
    net = snn2hw.quantize(graph, dt=1e-4, calibration=data)
    assert np.flatnonzero(net.run(data).output).tolist() == steps


# --- Braille reading: a recurrent CubaLIF layer, then 7 more ---------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_braille_integers_against_floats(folder: Path, rate: float) -> None:
    """At most 2 % of the recurrent layer's entries (step, neuron), and of each layer's spikes.

    Trains compared spike by spike drift apart: the network is sensitive, and rounding the float
    weights to 8 bits alone moves a third of its spikes by steps. What the integers add to that is
    the last assertion.
    """
    graph = load(folder, "braille_noDelay_bias_zero")
    x = random_spikes(16, 256, 12, rate=rate)
    lowered = fold(lower(graph, 1e-4))
    floats = execute(lowered, x)
    net = snn2hw.quantize(graph, dt=1e-4, calibration=random_spikes(16, 256, 12, rate=rate, seed=1))
    assert {int(np.abs(s.mantissa.astype(int)).max()) for s in net.synapses} == {127}
    run = net.run(x)
    recurrent = floats.spikes["lif1.lif"]
    assert np.count_nonzero(recurrent) > 300
    assert np.mean(recurrent != run.spikes["lif1.lif"]) <= 0.02
    for layer, spikes in floats.spikes.items():
        fired = np.count_nonzero(spikes)
        assert abs(np.count_nonzero(run.spikes[layer]) - fired) <= 0.02 * fired, layer
    same = execute(with_the_integers(lowered, net), x)
    for layer, spikes in same.spikes.items():
        differing = np.count_nonzero(spikes != run.spikes[layer])
        assert differing <= 0.01 * np.count_nonzero(spikes), layer
