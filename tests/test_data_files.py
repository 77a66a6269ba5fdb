"""Data files: the same spikes in every format give the same array."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from snn2hw.data.files import load_data, load_inputs
from snn2hw.errors import DataError, FileFormatError
from snn2hw.graph import InputNode

DT = 1e-3


def counts() -> np.ndarray:
    x = np.random.default_rng(0).poisson(0.2, (3, 20, 5))
    x[:, -1, 0] = 1  # the last step holds a spike, so the length is known from the times
    return x


def events(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times in seconds (within their steps) and units of every sample."""
    result = []
    for sample in x:
        step, unit = np.nonzero(sample)
        repeat = sample[step, unit]
        step, unit = np.repeat(step, repeat), np.repeat(unit, repeat)
        result.append((step * DT, unit))
    return result


def test_arrays(tmp_path: Path) -> None:
    x, y = counts(), np.array([2, 0, 1])
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    got, labels = load_data(tmp_path / "a.npy", (5,), DT)
    np.testing.assert_array_equal(got, x)
    assert labels is None
    got, labels = load_data(tmp_path / "a.npz", (5,), DT)
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(labels, y)


def test_shd_layout(tmp_path: Path) -> None:
    x = counts()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, part, kind in (("times", 0, "f8"), ("units", 1, "u2")):
            data = file.create_dataset(f"spikes/{name}", (3,), dtype=h5py.vlen_dtype(kind))
            for k, sample in enumerate(events(x)):
                data[k] = sample[part]
        file["labels"] = np.array([1, 1, 0])
    got, labels = load_data(tmp_path / "a.h5", (5,), DT)
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(labels, [1, 1, 0])


def nir_data(path: Path, observable: object) -> Path:
    node = nir.NIRNodeData(observables={"spikes": observable})
    nir.write_data(path, nir.NIRGraphData(nodes={"input": node}))
    return path


@pytest.mark.parametrize("dt", [1e-3, 10e-3, 20e-3])
def test_times_in_single_precision_stay_in_their_steps(tmp_path: Path, dt: float) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values, kind in (
            ("times", np.arange(2001) * dt, "f4"),
            ("units", np.zeros(2001), "u2"),
        ):
            file.create_dataset(f"spikes/{name}", (1,), dtype=h5py.vlen_dtype(kind))[0] = values
    got, _ = load_data(tmp_path / "a.h5", (1,), dt)
    np.testing.assert_array_equal(got, np.ones((1, 2001, 1)))


def test_nir_data(tmp_path: Path) -> None:
    x = np.minimum(counts(), 1)
    gridded = nir.TimeGriddedData(x, DT)
    got, _ = load_data(nir_data(tmp_path / "g.h5", gridded), (5,), DT)
    np.testing.assert_array_equal(got, x)
    longest = max(len(t) for t, _ in events(x))
    idx, time = np.full((3, longest), -1), np.full((3, longest), np.inf)
    for k, (t, unit) in enumerate(events(x)):
        idx[k, : len(t)], time[k, : len(t)] = unit, t
    spikes = nir.EventData(idx, time, n_neurons=5, t_max=20 * DT)
    got, _ = load_data(nir_data(tmp_path / "e.h5", spikes), (5,), DT)
    np.testing.assert_array_equal(got, x)


def test_a_shaped_input_is_reshaped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 8)))
    assert load_data(tmp_path / "a.npy", (2, 4), DT)[0].shape == (2, 3, 2, 4)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_data(tmp_path / "absent.npy", (5,), DT)
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(FileFormatError, match=r"not .npy, .npz or HDF5"):
        load_data(tmp_path / "a.txt", (5,), DT)
    np.savez(tmp_path / "a.npz", z=np.zeros(3))
    with pytest.raises(DataError, match="no array 'x' in it, only z"):
        load_data(tmp_path / "a.npz", (5,), DT)
    np.save(tmp_path / "a.npy", counts())
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="truncated or foreign"):
        load_data(tmp_path / "a.npy", (5,), DT)
    np.savez(tmp_path / "b.npz", x=counts(), y=np.zeros(7))
    with pytest.raises(DataError, match="3 samples and labels of shape"):
        load_data(tmp_path / "b.npz", (5,), DT)
    with h5py.File(tmp_path / "o.h5", "w") as file:
        file["z"] = 1
    with pytest.raises(FileFormatError, match="neither NIRData nor the layout of SHD"):
        load_data(tmp_path / "o.h5", (5,), DT)
    x = np.minimum(counts(), 1)
    path = nir_data(tmp_path / "g.h5", nir.TimeGriddedData(x, 2 * DT))
    with pytest.raises(DataError, match="resample"):
        load_data(path, (5,), DT)
    with pytest.raises(DataError, match="no data for node 'ears', only for input"):
        load_data(path, (5,), DT, node="ears")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="pickle"):
        load_data(tmp_path / "p.npy", (5,), DT)


def test_events_outside_the_network_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in (("times", [0.001]), ("units", [9])):
            data = file.create_dataset(f"spikes/{name}", (1,), dtype=h5py.vlen_dtype("f8"))
            data[0] = values
    with pytest.raises(DataError, match=r"channels up to 9.* and the network has 5"):
        load_data(tmp_path / "a.h5", (5,), DT)


SEVERAL = (InputNode("ear", (5,)), InputNode("eye", (2, 2)))


def several() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"ear": rng.integers(0, 2, (3, 20, 5)), "eye": rng.integers(0, 2, (3, 20, 2, 2))}


def assert_several(found: object) -> None:
    assert isinstance(found, dict)
    assert set(found) == {"ear", "eye"}
    for name, values in several().items():
        np.testing.assert_array_equal(found[name], values)


def test_several_inputs_by_name(tmp_path: Path) -> None:
    x = several()
    np.savez(tmp_path / "a.npz", y=np.array([1, 0, 2]), other=np.zeros(7), **x)
    found, labels = load_inputs(tmp_path / "a.npz", SEVERAL, DT)
    assert_several(found)
    np.testing.assert_array_equal(labels, [1, 0, 2])
    flat = x | {"eye": x["eye"].reshape(3, 20, 4)}
    np.savez(tmp_path / "b.npz", **flat)
    found, labels = load_inputs(tmp_path / "b.npz", SEVERAL, DT)
    assert_several(found)
    assert labels is None
    nodes = {
        name: nir.NIRNodeData(observables={"spikes": nir.TimeGriddedData(values, DT)})
        for name, values in flat.items()
    }
    nir.write_data(tmp_path / "n.h5", nir.NIRGraphData(nodes=nodes))
    found, labels = load_inputs(tmp_path / "n.h5", SEVERAL, DT)
    assert_several(found)
    assert labels is None


def test_an_input_called_y_is_no_label(tmp_path: Path) -> None:
    x, y = several()["ear"] + 0.5, several()["ear"][..., :2] + 0.5
    np.savez(tmp_path / "a.npz", x=x, y=y)
    found, labels = load_inputs(
        tmp_path / "a.npz", [InputNode("x", (5,)), InputNode("y", (2,))], DT
    )
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["y"], y)
    assert labels is None


def test_files_that_lack_an_input_are_refused(tmp_path: Path) -> None:
    x = several()
    np.savez(tmp_path / "a.npz", ear=x["ear"])
    with pytest.raises(DataError, match="no array 'eye' in it, only ear; name it so"):
        load_inputs(tmp_path / "a.npz", SEVERAL, DT)
    np.save(tmp_path / "a.npy", x["ear"])
    with pytest.raises(DataError, match=r"one array; give an \.npz with one for each input"):
        load_inputs(tmp_path / "a.npy", SEVERAL, DT)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name in ("times", "units"):
            file.create_dataset(f"spikes/{name}", (1,), dtype=h5py.vlen_dtype("f8"))
    with pytest.raises(FileFormatError, match="one recording, and the network has several inputs"):
        load_inputs(tmp_path / "s.h5", SEVERAL, DT)
    other = nir_data(tmp_path / "g.h5", nir.TimeGriddedData(x["ear"], DT))
    with pytest.raises(DataError, match="no data for node 'ear', only for input"):
        load_inputs(other, SEVERAL, DT)


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"]), np.array([0.5, 1, 2])])
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", x=counts(), y=labels)
    with pytest.raises(DataError, match="labels are not whole numbers; give class indices"):
        load_data(tmp_path / "a.npz", (5,), DT)
