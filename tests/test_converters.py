"""NIR both ways: outputs preserved exactly, nir reads what it can, bad files are refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.converters import nodes
from snn2hw.errors import DataError, FileFormatError, GraphError, ParameterError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

torch = pytest.importorskip("torch")
from snn2hw import nn  # noqa: E402


def model_of(*layers: torch.nn.Module, scale: float = 3.0) -> torch.nn.Sequential:
    """Layers with weights large enough for spikes."""
    model = torch.nn.Sequential(*layers).eval()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                layer.weight *= scale
    return model


def stack(kind: str, depth: int, readout: str = "mean") -> torch.nn.Sequential:
    torch.manual_seed(depth)
    layers: list[torch.nn.Module] = []
    size = 9
    for k in range(depth):
        width = 14 - 2 * k
        neuron = nn.GPN(width) if kind == "gpn" or (kind == "mixed" and k % 2) else nn.LIF(width)
        layers += [torch.nn.Linear(size, width), neuron, nn.SequenceDropout(0.3)]
        size = width
    return model_of(*layers, nn.Readout(size, 5, mode=readout))


def data(seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((7, 30, 9)) < 0.3).astype(np.float32)


def outputs(model: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("kind", ["lif", "gpn", "mixed"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_round_trip_through_a_file_preserves_outputs(kind: str, depth: int, tmp_path: Path) -> None:
    model = stack(kind, depth, readout="last" if depth == 2 else "mean")
    snn2hw.write(tmp_path / "m.nir", snn2hw.to_nir(model, (9,)))
    back = snn2hw.from_nir(snn2hw.read(tmp_path / "m.nir"))
    expected = outputs(model, data())
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(outputs(back, data()), expected)


@pytest.mark.parametrize("kind", ["lif", "gpn", "mixed"])
def test_the_graph_means_what_the_model_computes(kind: str) -> None:
    model = stack(kind, 2).double()
    graph = fold(lower(snn2hw.to_nir(model, (9,)), 1e-3))
    run = execute(graph, data())
    with torch.no_grad():
        expected = model(torch.from_numpy(data()).double()).numpy()
    np.testing.assert_allclose(run.outputs["output"].mean(axis=1), expected, atol=1e-9)


@pytest.mark.parametrize(
    "gates", ["", "F", "I", "B", "T", "FI", "BT", "FBT", "IBT", "FIT", "FIB", "FIBT"]
)
def test_every_ablation_exports_as_four_gates(gates: str) -> None:
    torch.manual_seed(1)
    model = model_of(torch.nn.Linear(9, 8), nn.GPN(8, gates=gates), nn.Readout(8, 3)).double()
    run = execute(lower(snn2hw.to_nir(model, (9,)), 1e-3), data())
    with torch.no_grad():
        expected = model(torch.from_numpy(data()).double()).numpy()
    np.testing.assert_allclose(run.outputs["output"].mean(axis=1), expected, atol=1e-9)


def test_threshold_is_reached_with_equality_in_layers_and_in_the_graph() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), nn.LIF(1, tau=1.0)).eval()
    with torch.no_grad():
        model[0].weight.fill_(0.5)
    graph = snn2hw.to_nir(model, (1,))
    x = np.ones((1, 3, 1))
    assert execute(lower(graph, 1e-3), x).spikes["lif"].tolist() == [[[1], [1], [1]]]
    assert snn2hw.from_nir(graph)[1].v_threshold == 0.5


def test_time_constants_scale_with_dt() -> None:
    graph = snn2hw.to_nir(stack("lif", 1), (9,), dt=2e-3)
    np.testing.assert_allclose(graph.nodes["lif"].tau, 5 * 2e-3)
    back = snn2hw.from_nir(graph, dt=2e-3)
    np.testing.assert_array_equal(outputs(back, data()), outputs(stack("lif", 1), data()))


def test_a_file_without_extension_nodes_is_nirs_own(tmp_path: Path) -> None:
    graph = snn2hw.to_nir(stack("lif", 2), (9,))
    snn2hw.write(tmp_path / "a.nir", graph)
    theirs = nir.read(tmp_path / "a.nir")
    assert {n: type(node).__name__ for n, node in theirs.nodes.items()} == {
        n: type(node).__name__ for n, node in graph.nodes.items()
    }
    for name, node in graph.nodes.items():
        for key, value in node.to_dict().items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(getattr(theirs.nodes[name], key, value), value)
    np.testing.assert_array_equal(
        outputs(snn2hw.from_nir(theirs), data()), outputs(stack("lif", 2), data())
    )


def test_a_file_with_gpn_fails_elsewhere_only_at_that_node(tmp_path: Path) -> None:
    snn2hw.write(tmp_path / "g.nir", snn2hw.to_nir(stack("gpn", 1), (9,)))
    with h5py.File(tmp_path / "g.nir") as file:
        node = file["node/nodes/gpn"]
        assert node["type"][()] == b"GPN"
        assert set(node) == {"type", "gates_weight", "gates_bias", "dt"}
        others = [n for n in file["node/nodes"] if n != "gpn"]
        for name in others:
            assert nir.serialization.read_node(file["node/nodes"][name]) is not None


def test_names_of_modules_are_kept() -> None:
    model = torch.nn.Sequential()
    model.add_module("encoder", torch.nn.Linear(9, 4))
    model.add_module("cells", nn.LIF(4))
    assert list(snn2hw.to_nir(model, (9,)).nodes) == ["input", "encoder", "cells", "output"]


def test_a_model_that_ends_in_linear_comes_back_as_one() -> None:
    model = model_of(torch.nn.Linear(9, 6), nn.LIF(6), torch.nn.Linear(6, 3))
    back = snn2hw.from_nir(snn2hw.to_nir(model, (9,)))
    assert outputs(model, data()).shape == (7, 30, 3)
    np.testing.assert_array_equal(outputs(back, data()), outputs(model, data()))


def test_modules_may_be_called_input_and_output() -> None:
    model = torch.nn.Sequential()
    model.add_module("input", torch.nn.Linear(9, 4))
    model.add_module("output", nn.Readout(4, 2))
    nodes_made = list(snn2hw.to_nir(model, (9,)).nodes)
    assert nodes_made == ["input", "input_layer", "output_layer", "output"]


# --- bad input -------------------------------------------------------------------------------


def test_unknown_modules_and_wrong_sizes_are_named() -> None:
    with pytest.raises(GraphError, match="module 'gelu' is a GELU, which has no NIR node"):
        snn2hw.to_nir(torch.nn.Sequential(torch.nn.GELU()), (9,))
    with pytest.raises(GraphError, match="module 'fc' takes 8 values and 'input' gives 9"):
        snn2hw.to_nir(torch.nn.Sequential(torch.nn.Linear(8, 4)), (9,))
    early = torch.nn.Sequential(nn.Readout(9, 4), torch.nn.Linear(4, 2))
    with pytest.raises(GraphError, match="comes after a Readout, which must be the last"):
        snn2hw.to_nir(early, (9,))
    with pytest.raises(GraphError, match="flatten it"):
        snn2hw.to_nir(stack("lif", 1), (3, 3))
    with pytest.raises(GraphError, match=r"trained at dt = 0.002 s; give dt=0.002"):
        snn2hw.from_nir(snn2hw.to_nir(stack("gpn", 1), (9,), dt=2e-3))
    with pytest.raises(GraphError, match="no layer to export"):
        snn2hw.to_nir(torch.nn.Sequential(), (9,))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    model = stack("gpn", 1)
    with torch.no_grad():
        model[1].gates.weight[0, 0] = value
    with pytest.raises(ParameterError, match=r"gates.weight of module 'gpn' holds NaN or infinity"):
        snn2hw.to_nir(model, (9,))


def test_branches_are_no_sequential() -> None:
    graph = snn2hw.to_nir(stack("lif", 2), (9,))
    branched = nir.NIRGraph(graph.nodes, [*graph.edges, ("lif1", "output")], type_check=False)
    with pytest.raises(GraphError, match="'lif1' feeds"):
        snn2hw.from_nir(branched)


def test_gpn_node_checks_its_shapes() -> None:
    with pytest.raises(GraphError, match=r"must be \(4N, 2N\) and \(4N,\)"):
        nodes.GPN(np.zeros((4, 4)), np.zeros(4), 1e-3)


def good_file(folder: Path) -> Path:
    path = folder / "m.nir"
    snn2hw.write(path, snn2hw.to_nir(stack("gpn", 1), (9,)))
    return path


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        snn2hw.read(tmp_path / "absent.nir")
    path = good_file(tmp_path)
    whole = path.read_bytes()
    for size in (0, 10, 600, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match="not a whole HDF5 file"):
            snn2hw.read(path)
    path.write_text("not HDF5 at all, but some text that somebody named .nir")
    with pytest.raises(FileFormatError, match="not a whole HDF5 file"):
        snn2hw.read(path)
    with h5py.File(path, "w") as file:
        file["something"] = 1
    with pytest.raises(FileFormatError, match="not a NIR graph"):
        snn2hw.read(path)


def test_unknown_and_incomplete_nodes_are_named(tmp_path: Path) -> None:
    path = good_file(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/gpn/dt"]
    with pytest.raises(FileFormatError, match="node 'gpn' of type GPN is incomplete"):
        snn2hw.read(path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/gpn/type"]
        file["node/nodes/gpn/type"] = "HodgkinHuxley"
    with pytest.raises(
        GraphError, match="node 'gpn' is of type 'HodgkinHuxley', which neither NIR"
    ):
        snn2hw.read(path)


@pytest.mark.parametrize("name", ["a/b", "."])
def test_names_that_hdf5_takes_for_paths_are_refused(tmp_path: Path, name: str) -> None:
    graph = snn2hw.to_nir(stack("lif", 1), (9,))
    renamed = {name if n == "lif" else n: node for n, node in graph.nodes.items()}
    edges = [tuple(name if n == "lif" else n for n in edge) for edge in graph.edges]
    with pytest.raises(GraphError, match=r"a name in a .nir file cannot hold"):
        snn2hw.write(tmp_path / "m.nir", nir.NIRGraph(renamed, edges, type_check=False))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = good_file(tmp_path)
    before = path.read_bytes()
    graph = snn2hw.to_nir(stack("lif", 1), (9,))

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk on fire")

    with monkeypatch.context() as patched:
        patched.setattr("h5py.Group.create_dataset", broken)
        with pytest.raises((OSError, DataError), match="disk on fire"):
            snn2hw.write(path, graph)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.nir"]
    with pytest.raises(DataError, match="cannot write"):
        snn2hw.write(tmp_path / "absent" / "m.nir", snn2hw.to_nir(stack("lif", 1), (9,)))
