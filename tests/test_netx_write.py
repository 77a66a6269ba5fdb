"""to_netx and fit_netx: what is written is what was read, and lava-dl's netx runs it so."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import netx_data
import nir
import numpy as np
import pytest
from netx_files import Fields, dense, neuron, random_layers, write_file

import snn2hw
from snn2hw.converters.netx import fit_netx, from_netx, to_netx
from snn2hw.errors import DataError, GraphError, TargetError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Convolution, Dense, OneToOne
from snn2hw.targets.lava.environment import LavaEnvironment

TIMEOUT_S = 300.0
WRITTEN = ("dense", "delays", "recurrent", "conv", "edges")


def made(kind: str, folder: Path, seed: int = 7) -> FixedPointNetwork:
    """A random network; a last layer without a threshold is an integrator."""
    layers, _ = random_layers(np.random.default_rng(seed), kind)
    return from_netx(write_file(folder / f"{kind}-original.net", layers))


def spikes_for(net: FixedPointNetwork, samples: int, steps: int) -> Any:
    rng = np.random.default_rng(8)
    return (rng.random((samples, steps, *net.input.shape)) < 0.4).astype(np.int32)


def quantized(calibration: Any) -> FixedPointNetwork:
    """Two LIF layers with biases, as our own road makes them: fine thresholds and exponents."""
    rng = np.random.default_rng(9)

    def lif(n: int) -> nir.LIF:
        one = np.ones(n)
        return nir.LIF(tau=one * 5e-3, r=one * 5, v_leak=one * 0, v_threshold=one)

    def affine(n: int, inputs: int) -> nir.Affine:
        return nir.Affine(weight=rng.normal(0, 0.5, (n, inputs)), bias=rng.normal(0, 0.1, n))

    graph = nir.NIRGraph.from_list(
        nir.Input({"input": np.array([9])}),
        affine(12, 9),
        lif(12),
        affine(5, 12),
        lif(5),
        nir.Output({"output": np.array([5])}),
    )
    return snn2hw.quantize(graph, target="loihi2", dt=1e-3, calibration=calibration)


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_reads_as_the_same_network(kind: str, tmp_path: Path) -> None:
    net = made(kind, tmp_path)
    to_netx(net, tmp_path / "again.net")
    again = from_netx(tmp_path / "again.net")
    x = spikes_for(net, 2, 20)
    first, second = (n.run(x, record=("u", "v")) for n in (net, again))
    for one, other in zip(net.layers, again.layers, strict=True):
        for state in ("u", "v"):
            np.testing.assert_array_equal(
                first.state[one.name][state], second.state[other.name][state]
            )
        assert one.model is other.model


def test_an_input_block_and_its_real_values_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    block = {"type": "input", "shape": [2, 5, 5], "weight": 40.0, "bias": 36.0}
    own = neuron(rng, iDecay=4096)
    layers: list[Fields] = [{**block, "neuron": own}, dense(rng, 50, 8)]
    net = from_netx(write_file(tmp_path / "a.net", layers))
    assert (net.input.signed, net.input.unit) == (True, 1 / 40)
    to_netx(net, tmp_path / "b.net")
    again = from_netx(tmp_path / "b.net")
    assert again.input == net.input
    x = net.encode(rng.random((1, 20, 2, 5, 5)))
    assert net.run(x).output.sum() > 0
    np.testing.assert_array_equal(net.run(x).output, again.run(x).output)


def test_fitting_rounds_to_what_a_file_holds_and_says_so(tmp_path: Path) -> None:
    x = (np.random.default_rng(2).random((4, 40, 9)) < 0.3).astype(np.uint8)
    net = quantized(x)
    with pytest.raises(TargetError, match="see fit_netx"):
        to_netx(net, tmp_path / "a.net")
    fitted = fit_netx(net)
    for before, after in zip(net.layers, fitted.layers, strict=True):
        (old,), (new,) = net.into(before.name), fitted.into(after.name)
        assert np.unique(after.params["threshold"]).size == 1
        # Real values: weights, thresholds and biases within half a step of the file's.
        coarse = np.broadcast_to(after.units["v"], after.n) * 64
        fine = np.broadcast_to(before.units["v"], before.n) * 64
        weights = new.mantissa * 2.0 * coarse[:, None]
        exact = old.mantissa * 2.0**old.exponent * fine[:, None]
        assert np.all(np.abs(weights - exact) <= coarse[:, None] * 1.0001)
        real = after.params["threshold"] * coarse
        assert np.all(np.abs(real - before.params["threshold"] * fine) <= coarse * 0.5001)
        assert np.abs(new.mantissa).max() >= 125
    assert sum(note.startswith("fit_netx: ") for note in fitted.notes) == len(net.layers)
    assert all(a is b for a, b in zip(fit_netx(fitted).layers, fitted.layers, strict=True))
    to_netx(fitted, tmp_path / "a.net")
    again = from_netx(tmp_path / "a.net").run(x)
    np.testing.assert_array_equal(again.output, fitted.run(x).output)
    spikes = net.run(x).output
    assert np.abs(spikes - again.output).mean() < 0.05 * spikes.mean() + 0.01


def changed(net: FixedPointNetwork, layer: int = 0, **params: Any) -> FixedPointNetwork:
    """The network with other parameters of one layer."""
    layers = list(net.layers)
    values = {name: np.asarray(value, dtype=np.int32) for name, value in params.items()}
    layers[layer] = replace(layers[layer], params={**layers[layer].params, **values})
    return replace(net, layers=tuple(layers))


def rewired(net: FixedPointNetwork, k: int, **fields: Any) -> FixedPointNetwork:
    """The network with other fields of one synapse group."""
    synapses = list(net.synapses)
    synapses[k] = replace(synapses[k], **fields)
    return replace(net, synapses=tuple(synapses))


def test_what_a_file_cannot_hold_is_refused_with_the_layer_named(tmp_path: Path) -> None:
    net = made("dense", tmp_path)
    n = net.layers[0].n
    weight = net.synapses[0].mantissa
    odd = dense(np.random.default_rng(0), 9, 4, weight=np.arange(36).reshape(4, 9) * 7.0 - 100)
    wide = from_netx(write_file(tmp_path / "odd.net", [odd]))
    cases: list[tuple[FixedPointNetwork, type[Exception], str]] = [
        (changed(net, threshold=np.arange(n) + 1), TargetError, "12 values of threshold"),
        (changed(net, decay_u=np.arange(n) + 1), TargetError, "12 values of decay_u"),
        (changed(net, bias_exponent=np.zeros(n)), TargetError, "not multiples of 64"),
        (
            rewired(net, 0, map=Dense(weight | 1), exponent=-1),
            TargetError,
            "exponent -1, fractions in netx",
        ),
        (rewired(net, 0, exponent=4), TargetError, "netx takes -256..254"),
        (rewired(net, 0, map=Dense(-np.abs(weight))), TargetError, "no weight above zero"),
        (wide, TargetError, "odd weights beside some above 127"),
        (rewired(net, 0, delay=63), TargetError, "delay of 63 steps"),
        (rewired(net, 1, source="input"), GraphError, "'input' feeds 2 further"),
        (rewired(net, 2, source="dense0"), GraphError, "feeds 2 further ones"),
        (replace(net, outputs=net.outputs * 2), GraphError, "one input and one output"),
        (
            replace(net, outputs=(replace(net.outputs[0], source="dense0"),)),
            GraphError,
            "its last layer, 'dense2'",
        ),
    ]
    for number, (case, error, words) in enumerate(cases):
        path = tmp_path / f"{number}.net"
        with pytest.raises(error, match=words) as caught:
            to_netx(case, path)
        assert "\n" not in str(caught.value)
        assert not path.exists()
    with pytest.raises(DataError, match="cannot write"):
        to_netx(net, tmp_path / "absent" / "a.net")


def test_convolutions_that_netx_has_not(tmp_path: Path) -> None:
    net = made("conv", tmp_path)
    first = net.synapses[0].map
    assert isinstance(first, Convolution)
    (above, below), sides = first.padding
    lopsided = replace(first, padding=((above + 1, below), sides))
    with pytest.raises(TargetError, match="same on both sides"):
        to_netx(rewired(net, 0, map=lopsided), tmp_path / "a.net")
    with pytest.raises(TargetError, match="odd weights"):
        to_netx(rewired(net, 0, map=replace(first, weight=first.weight | 1)), tmp_path / "a.net")
    with pytest.raises(TargetError, match="convolution with delays"):
        to_netx(rewired(net, 0, delay=1), tmp_path / "a.net")


# On lava-dl's own netx.


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return netx_data.lava_dl()
    except FileNotFoundError as error:
        pytest.skip(str(error))


STEPS = 12
SAMPLES = 2


@pytest.fixture(scope="module")
def ran(
    lava: LavaEnvironment, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[FixedPointNetwork, Any, dict[str, Any]]]:
    """Every network on netx in one process: name -> network, input, what netx gave."""
    place = tmp_path_factory.mktemp("netx")
    counts = (np.random.default_rng(3).random((SAMPLES, STEPS, 9)) < 0.4).astype(np.int32)
    nets = {kind: made(kind, place) for kind in WRITTEN}
    nets["quantized"] = fit_netx(quantized(counts))
    nets["one to one"] = one_to_one(place)
    nets["tiny"] = from_netx(folder / netx_data.TESTS / "tiny.net", keep_input=False)
    jobs = []
    inputs = {}
    for name, net in nets.items():
        to_netx(net, place / f"{name}.net")
        inputs[name] = spikes_for(net, SAMPLES, STEPS)
        jobs.append(job(place, name, net, inputs[name]))
    nets["graded"] = from_netx(write_file(place / "graded.net", [heavy()]), input_bits=8)
    inputs["graded"] = np.random.default_rng(4).integers(0, 256, (SAMPLES, STEPS, 9))
    jobs.append(job(place, "graded", nets["graded"], inputs["graded"]))
    jobs[-1]["options"]["input_message_bits"] = 8
    # One weight of the dense network changed by two.
    to_netx(nets["dense"], place / "mutant.net")
    with h5py.File(place / "mutant.net", "r+") as file:
        file["layer/1/weight"][0, 0] += 2
    jobs.append(job(place, "mutant", nets["dense"], inputs["dense"]))
    nets["mutant"], inputs["mutant"] = nets["dense"], inputs["dense"]
    (place / "job.json").write_text(json.dumps({"lava_dl": str(folder), "networks": jobs}))
    worker = Path(__file__).with_name("netx_worker.py")
    done = subprocess.run(
        [str(lava.python), "-E", "-s", str(worker), str(place)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {
        name: (net, inputs[name], dict(np.load(place / f"{name}-out.npz")))
        for name, net in nets.items()
    }


def heavy() -> Fields:
    rng = np.random.default_rng(6)
    return dense(rng, 9, 6, neuron=neuron(rng, vThMant=9000))


def one_to_one(place: Path) -> FixedPointNetwork:
    """Neurons that each hear one channel, which netx holds as a matrix."""
    net = made("dense", place, seed=9)
    layer = replace(net.layers[1], shape=(12,), params=net.layers[0].params)
    each = OneToOne(np.random.default_rng(5).integers(30, 100, 12).astype(np.int8))
    last = np.random.default_rng(6).integers(-60, 60, (4, 12)).astype(np.int8)
    net = replace(net, layers=(net.layers[0], layer, net.layers[2]))
    return rewired(rewired(net, 1, map=each), 2, map=Dense(last))


def job(place: Path, name: str, net: FixedPointNetwork, x: Any) -> dict[str, Any]:
    """Samples back to back, in netx's order (columns, rows, channels, steps)."""
    delayed = any(s.delay for s in net.synapses)
    # Spikes that are on the way at a reset arrive in netx; such networks run one sample.
    data = np.concatenate(x[:1] if delayed else x)
    tail = np.zeros((len(net.layers), *data.shape[1:]), dtype=data.dtype)
    np.save(place / f"{name}-in.npy", np.concatenate([data, tail]).T)
    options = {} if delayed else {"reset_interval": STEPS, "reset_offset": 1}
    return {"name": name, "options": options}


def mismatches(net: FixedPointNetwork, x: Any, found: dict[str, Any]) -> tuple[int, int]:
    """Differing spikes and all our spikes, over every layer; layer k's come k + 1 steps late."""
    delayed = any(s.delay for s in net.synapses)
    run = net.run(x[:1] if delayed else x)
    wrong = fired = 0
    for k, layer in enumerate(net.layers):
        if layer.name not in run.spikes:
            continue
        ours = np.concatenate(run.spikes[layer.name])
        theirs = found[str(k)].T[k + 1 : k + 1 + len(ours)]
        wrong += int(np.count_nonzero(ours != theirs.reshape(ours.shape)))
        fired += int(ours.sum())
    return wrong, fired


@pytest.mark.lava
@pytest.mark.parametrize("name", [*WRITTEN, "quantized", "one to one", "tiny", "graded"])
def test_netx_gives_the_same_spikes(name: str, ran: dict[str, Any]) -> None:
    net, x, found = ran[name]
    wrong, fired = mismatches(net, x, found)
    assert wrong == 0
    assert fired > 20


@pytest.mark.lava
def test_netx_keeps_the_potential_of_a_layer_without_threshold(ran: dict[str, Any]) -> None:
    net, x, found = ran["edges"]
    assert net.layers[-1].model.name == "integrator"
    last = net.run(x).output[-1, -1]
    assert np.abs(last).max() > 0
    np.testing.assert_array_equal(found["v"], last)


@pytest.mark.lava
def test_a_changed_weight_is_found_on_netx(ran: dict[str, Any]) -> None:
    wrong, _ = mismatches(*ran["mutant"])
    assert wrong > 0
