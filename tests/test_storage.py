"""Network files: what is written comes back, what is damaged is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from random_networks import KINDS, random_network

import snn2hw
from snn2hw.errors import DataError, FileFormatError, TargetError
from snn2hw.graph import FixedPointNetwork


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
        assert dict(left.units) == dict(right.units)
        for name, values in left.params.items():
            np.testing.assert_array_equal(right.params[name], values)
    for left, right in zip(a.synapses, b.synapses, strict=True):
        assert left.map.kind == right.map.kind
        for ours, theirs in ((vars(left), vars(right)), (vars(left.map), vars(right.map))):
            for key in ours.keys() - {"map"}:
                np.testing.assert_array_equal(theirs[key], ours[key])


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
