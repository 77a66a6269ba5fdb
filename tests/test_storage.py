"""Network files: what is written comes back, what is damaged is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from random_networks import KINDS, random_network
from random_topologies import random_topology

import snn2hw
from snn2hw.errors import DataError, FileFormatError, Snn2hwError, TargetError
from snn2hw.graph import FixedPointNetwork, Layer


def assert_same(a: FixedPointNetwork, b: FixedPointNetwork) -> None:
    for key in vars(a):
        if key not in ("layers", "synapses"):
            assert getattr(a, key) == getattr(b, key), key
    for left, right in zip(a.layers, b.layers, strict=True):
        assert (left.name, left.model, left.shape, left.offset) == (
            right.name,
            right.model,
            right.shape,
            right.offset,
        )
        for ours, theirs in (
            (left.params, right.params),
            (left.units, right.units),
            (left.start, right.start),
        ):
            assert ours.keys() == theirs.keys()
            for name, values in ours.items():
                assert np.shape(theirs[name]) == np.shape(values)
                np.testing.assert_array_equal(theirs[name], values)
    for one, other in zip(a.synapses, b.synapses, strict=True):
        assert type(one.map) is type(other.map)
        assert one.mantissa.dtype == other.mantissa.dtype == np.int8
        np.testing.assert_array_equal(other.mantissa, one.mantissa)
        for ours, theirs in ((one, other), (one.map, other.map)):
            fields = vars(ours).keys() - {"map", "weight"}
            assert {f: getattr(ours, f) for f in fields} == {f: getattr(theirs, f) for f in fields}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for k in range(10):
        net, x = random_network(rng, kind, steps=10)
        net.save(tmp_path / f"{k}.h5")
        back = snn2hw.load(tmp_path / f"{k}.h5")
        assert_same(net, back)
        for name, spikes in net.run(x).spikes.items():
            np.testing.assert_array_equal(back.run(x).spikes[name], spikes)


@pytest.mark.parametrize(("kind", "many"), [("convolution", 8), ("models", 12)])
def test_every_topology_comes_back_and_computes_the_same(
    kind: str, many: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    seen: set[str] = set()
    for k in range(many):
        net, x = random_topology(rng, kind, steps=12)
        net = replace(net, layers=tuple(with_units(rng, layer) for layer in net.layers))
        net.save(tmp_path / f"{k}.h5")
        back = snn2hw.load(tmp_path / f"{k}.h5")
        assert_same(net, back)
        ours, theirs = net.run(x), back.run(x)
        for name, values in ours.outputs.items():
            np.testing.assert_array_equal(theirs.outputs[name], values)
        for name, spikes in ours.spikes.items():
            np.testing.assert_array_equal(theirs.spikes[name], spikes)
        seen |= {synapse.map.kind for synapse in net.synapses}
        seen |= {layer.model.name for layer in net.layers}
        seen |= {"start" for layer in net.layers if layer.start}
        seen |= {f"{min(len(net.inputs), 2)} inputs", f"{min(len(net.outputs), 2)} outputs"}
    assert seen >= EVERYTHING[kind], EVERYTHING[kind] - seen


EVERYTHING = {
    "convolution": {"convolution", "dense", "one-to-one", "start"},
    "models": {
        *("dense", "one-to-one", "start", "2 inputs", "2 outputs"),
        *("lif", "lif_reset", "threshold", "integrator", "relay", "readout"),
    },
}
"""What the random networks must have held, lest the test be of nothing."""


def with_units(rng: np.random.Generator, layer: Layer) -> Layer:
    """The layer with a unit for each state, one for all neurons or one for each."""
    units: dict[str, float | np.ndarray] = {}
    for k, state in enumerate(layer.model.states):
        units[state.name] = rng.random(layer.n) if k % 2 == 0 else float(rng.random())
    return replace(layer, units=units)


def saved(folder: Path) -> Path:
    net, _ = random_network(np.random.default_rng(0), "lif", steps=5)
    net.save(folder / "net.h5")
    return folder / "net.h5"


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match=r"net.h5: truncated or damaged .* 'snn2hw quan"):
            snn2hw.load(path)


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        snn2hw.load(tmp_path / "absent.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(FileFormatError, match="not a network of snn2hw"):
        snn2hw.load(tmp_path / "other.h5")


@pytest.mark.parametrize(
    ("version", "remedy"), [(99, "upgrade snn2hw"), (1, "write it again with 'snn2hw quantize'")]
)
def test_files_of_another_version_are_refused(tmp_path: Path, version: int, remedy: str) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = version
    with pytest.raises(FileFormatError, match=f"version {version}, and this .* reads 2; {remedy}"):
        snn2hw.load(path)


def test_damage_within_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        shape = file["synapses/0"].shape
        del file["synapses/0"]
        file["synapses/0"] = np.zeros((shape[0] + 1, shape[1]), dtype=np.int8)
    with pytest.raises(FileFormatError, match=r"synapses/0 is int8\("):
        snn2hw.load(path)


def test_numbers_beyond_their_registers_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        file["layers/0/threshold"][0] = 1 << 20
    with pytest.raises(TargetError, match=r"threshold spans .* the register holds 0..131071"):
        snn2hw.load(path)


def test_unknown_neurons_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with h5py.File(path, "r+") as file:
        header = json.loads(file["header"][()])
        header["layers"][0]["model"] = "izhikevich"
        del file["header"]
        file["header"] = json.dumps(header)
    with pytest.raises(TargetError, match="neuron 'izhikevich'"):
        snn2hw.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    net = snn2hw.load(path)

    def broken(*arguments: object, **named: object) -> str:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr("snn2hw.storage.json.dumps", broken)
    with pytest.raises(RuntimeError):
        net.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.h5"]


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("start/0/v", np.zeros(1, np.int32), r"start/0/v is int32\(1,\)"),
        ("units/0/v", np.zeros(3), r"units/0/v is float64\(3,\)"),
        ("synapses/0", None, "object '0' doesn't exist"),
    ],
)
def test_damaged_states_units_and_kernels_are_named(
    tmp_path: Path, member: str, value: np.ndarray | None, message: str
) -> None:
    path = saved(tmp_path)
    net = snn2hw.load(path)
    assert net.layers[0].n not in (1, 3)
    with h5py.File(path, "r+") as file:
        if member in file:
            del file[member]
        if value is not None:
            file[member] = value
    with pytest.raises(FileFormatError, match=message):
        snn2hw.load(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stride", [3, 1, 1]),
        ("stride", [0, 1]),
        ("dilation", [-1, 1]),
        ("groups", 7),
        ("groups", 0),
        ("input_shape", [1, 2, 3]),
        ("padding", "same"),
        ("kind", "wavelet"),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(
    tmp_path: Path, field: str, value: object
) -> None:
    net, _ = random_topology(np.random.default_rng(2), "convolution", steps=2)
    net.save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        header = json.loads(file["header"][()])
        assert header["synapses"][0]["map"]["kind"] == "convolution"
        header["synapses"][0]["map"][field] = value
        del file["header"]
        file["header"] = json.dumps(header)
    with pytest.raises(Snn2hwError) as caught:
        snn2hw.load(tmp_path / "net.h5")
    assert "\n" not in str(caught.value)
