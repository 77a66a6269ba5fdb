"""Intel's own recordings of lava-dl networks, replayed: every value of every step."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import netx_data
import numpy as np
import pytest
from netx_data import AT_SPIKE, RECORDED, RESET, PilotNet, compare
from netx_replay import replay

import snn2hw
from snn2hw.converters.netx import from_netx

VALUES = 8_561_376


@pytest.fixture(scope="module")
def folder() -> Path:
    try:
        return netx_data.lava_dl()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pilotnet(folder: Path) -> PilotNet:
    return netx_data.pilotnet()


def test_pilotnet_end_to_end_equals_the_recording(pilotnet: PilotNet) -> None:
    found = compare(pilotnet.simulated(), pilotnet.recorded())
    assert found == (VALUES, 0, "")


def test_the_recorded_arithmetic_without_snn2hw(pilotnet: PilotNet) -> None:
    """Settles what belongs to the recording: a plain replay with its lag, resets and register."""
    trace = replay(pilotnet.path, pilotnet.x[0], hop=1, reset=RESET)
    for layer in trace.values():
        layer["v"] = np.where(layer["s"], AT_SPIKE, layer["v"])
    assert compare(trace, pilotnet.recorded()) == (VALUES, 0, "")


@pytest.mark.parametrize("layer", ["conv1", "conv5", "dense9"])
def test_one_weight_changed_by_one_is_found(pilotnet: PilotNet, layer: str, tmp_path: Path) -> None:
    mutant = tmp_path / "mutant.net"
    shutil.copy(pilotnet.path, mutant)
    recorded = pilotnet.recorded()
    with h5py.File(mutant, "r+") as file:
        weight = file["layer"][layer[-1]]["weight"]
        names = list(RECORDED)
        if layer == "conv1":
            heard = pilotnet.x[0].mean(axis=(0, 2, 3))
        else:
            source = recorded[names[names.index(layer) - 1]]["s"]
            heard = source.mean(axis=0).reshape(len(source[0]), -1).mean(axis=1)
        # The channel or neuron that is heard most, so that the weight counts.
        weight[(0, int(np.argmax(heard)), 1, 1)[: weight.ndim]] += 1
    compared, mismatches, first = compare(pilotnet.simulated(mutant), recorded)
    assert compared == VALUES
    assert mismatches > 0
    assert first.startswith(f"{layer}.")


def test_a_tiny_convolutional_network_with_its_input_neurons(folder: Path) -> None:
    """Image in, spikes out; lava-dl's spikes leave a step later."""
    tests = folder / netx_data.TESTS
    net = from_netx(tests / "tiny.net")
    current = np.load(tests / "gts" / "tinynet" / "input_bias.npy").T
    # The recorded bias is 36 times the image plus 34.
    image = (current - 34) / 36
    x = net.encode(np.broadcast_to(image, (1, 16, *image.shape)))
    expected = np.load(tests / "gts" / "tinynet" / "output.npy")[0]
    assert expected.sum() > 50
    found = net.run(x).spikes["conv2"][0].transpose(1, 2, 3, 0)
    np.testing.assert_array_equal(found[..., :-1], expected[..., 1:])


def test_axonal_delays_of_up_to_62_steps(folder: Path) -> None:
    """3000 steps of NTIDIGITS: 64-256-256-242, every neuron with a delay of its own."""
    tests = folder / netx_data.TESTS / "gts" / "ntidigits"
    net = from_netx(tests / "ntidigits.net")
    x = np.load(tests / "input.npy").T[None].astype(np.uint8)
    expected = np.load(tests / "output.npy").T
    assert expected.shape == (3000, 242)
    assert expected.sum() == 22572
    run = net.run(x, threads=2)
    # Recorded behind four hops.
    late = 4
    np.testing.assert_array_equal(run.spikes["dense4"][0, :-late], expected[late:])
    # The last block averages 11 groups of 22 neurons.
    groups = run.spikes["dense4"][0].reshape(3000, 11, 22).mean(axis=2)
    np.testing.assert_allclose(run.output[0] * net.output_unit, groups, atol=1e-12)


def test_a_readout_without_neurons_adds_up(folder: Path) -> None:
    path = folder / netx_data.TESTS / "mnist.net"
    net = from_netx(path)
    assert net.layer("dense3").model.name == "integrator"
    rng = np.random.default_rng(3)
    x = net.encode(rng.random((2, 10, 784)))
    run = net.run(x)
    with h5py.File(path) as file:
        weight = file["layer/3/weight"][()]
    expected = np.cumsum(run.spikes["dense2"] @ weight.T, axis=1) * 64
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(run.output, expected)


def test_what_cannot_be_expressed_names_its_layer(folder: Path) -> None:
    path = folder / netx_data.TESTS / "gts" / "pilotnet_sdnn" / "network.net"
    with pytest.raises(snn2hw.Snn2hwError, match=r"layer 0 \(input\) has neurons of type 'SDNN'"):
        from_netx(path)
