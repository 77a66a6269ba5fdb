"""Files of others: older layouts are repaired aloud, wrong contents are one clear error."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from nir_files import graph, lif, one_of_each, refused, repaired, replace, same

import snn2hw
from snn2hw.errors import GraphError, RepairWarning


@pytest.fixture
def path(tmp_path: Path) -> Path:
    snn2hw.write(tmp_path / "m.nir", graph())
    return tmp_path / "m.nir"


# --- what is sound comes back as it was, without a word ------------------------------------------


@pytest.mark.parametrize("name", one_of_each())
def test_every_primitive_comes_back_as_nir_reads_it(name: str, tmp_path: Path) -> None:
    node = one_of_each()[name]
    node.metadata["reset"] = "subtract"
    ends = {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([4]))}
    whole = nir.NIRGraph(
        {**ends, name: node}, [("input", name), (name, "output")], type_check=False
    )
    snn2hw.write(tmp_path / "m.nir", whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = snn2hw.read(tmp_path / "m.nir")
    same(back, nir.read(tmp_path / "m.nir", type_check=False))
    assert back.nodes[name].metadata["reset"] == "subtract"


def test_a_file_of_the_newest_hdf5_layout_is_read(path: Path, tmp_path: Path) -> None:
    with (
        h5py.File(path) as old,
        h5py.File(tmp_path / "new.nir", "w", libver="latest", track_order=True) as new,
    ):
        for name in old:
            old.copy(name, new)
    same(snn2hw.read(tmp_path / "new.nir"), graph())


def test_text_of_fixed_length_and_foreign_byte_order_are_read(path: Path) -> None:
    edges = np.array([[a, b] for a, b in graph().edges], "S12")
    replace(path, "node/edges", edges)
    replace(path, "node/nodes/fc/type", np.array(b"Affine", "S6"))
    replace(path, "node/nodes/fc/bias", np.array([1.0, 2.0], ">f8"))
    back = snn2hw.read(path)
    same(back, graph())
    assert back.nodes["fc"].bias.dtype.isnative


# --- repairs -------------------------------------------------------------------------------------


def test_missing_reset_and_input_weight_are_the_values_that_older_nir_meant(path: Path) -> None:
    replace(path, "node/nodes/inner/nodes/lif/v_reset", None)
    back = repaired(path, r"node 'inner/lif': v_reset is missing; taken as 0")
    np.testing.assert_array_equal(back.nodes["inner"].nodes["lif"].v_reset, [0, 0])
    cuba = {k: np.ones(2) for k in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset")}
    with h5py.File(path, "r+") as file:
        del file["node/nodes/inner/nodes/lif"]
        for key, value in cuba.items():
            file[f"node/nodes/inner/nodes/lif/{key}"] = value
        file["node/nodes/inner/nodes/lif/type"] = "CubaLIF"
    back = repaired(path, r"node 'inner/lif': w_in is missing; taken as 1")
    np.testing.assert_array_equal(back.nodes["inner"].nodes["lif"].w_in, [1, 1])


def test_missing_bias_is_zero(path: Path) -> None:
    replace(path, "node/nodes/fc/bias", None)
    back = repaired(path, "node 'fc': bias is missing; taken as 0")
    np.testing.assert_array_equal(back.nodes["fc"].bias, [0, 0])


@pytest.mark.parametrize("member", ["input_type", "output_type", "input_type/input"])
def test_shapes_under_other_names_are_taken(path: Path, member: str) -> None:
    replace(path, "node/nodes/output/shape", None)
    replace(path, f"node/nodes/output/{member}", np.array([2]))
    with pytest.warns(RepairWarning, match="node 'output': .* taken"):
        back = snn2hw.read(path)
    np.testing.assert_array_equal(back.nodes["output"].output_type["output"], [2])


def test_shapes_that_neurons_carry_are_left_out(path: Path) -> None:
    replace(path, "node/nodes/fc/input_type", np.array([3]))
    same(repaired(path, "node 'fc': input_type is no parameter; left out"), graph())


def test_leading_ones_of_input_and_output_go_where_the_neighbour_has_none(path: Path) -> None:
    replace(path, "node/nodes/input/shape", np.array([1, 3]))
    same(repaired(path, r"node 'input': shape \[1, 3\] taken as \[3\]"), graph())
    replace(path, "node/nodes/input/shape", np.array([2, 3]))  # not ones: not ours to judge
    assert snn2hw.read(path).nodes["input"].input_type["input"].tolist() == [2, 3]


def test_ports_in_edges_are_their_nodes(path: Path) -> None:
    edges = [("input", "fc.input"), ("fc.output", "inner"), ("inner", "output")]
    replace(path, "node/edges", edges)
    with pytest.warns(RepairWarning, match=r"node 'fc': edges name its port 'fc.(in|out)put'"):
        same(snn2hw.read(path), graph())


def test_the_one_unknown_name_is_the_one_node_without_edges(path: Path) -> None:
    edges = [("input", "neuron"), ("neuron", "w_rec"), ("w_rec", "neuron"), ("neuron", "output")]
    replace(path, "node/nodes/inner/edges", edges)
    same(repaired(path, "node 'inner/lif': edges call it 'neuron', which is no node"), graph())


def test_an_unknown_name_with_two_meanings_is_refused(path: Path) -> None:
    replace(path, "node/edges", [("input", "elsewhere"), ("elsewhere", "output")])
    refused(path, "an edge names 'elsewhere', which is no node; nodes: fc, inner", GraphError)


def test_edges_written_twice_count_once(path: Path) -> None:
    replace(path, "node/edges", [*graph().edges, graph().edges[0]])
    same(repaired(path, "1 edges stood twice; each counts once"), graph())


def test_single_values_among_arrays_are_repeated(path: Path) -> None:
    for value in (1.5, np.array([1.5])):
        replace(path, "node/nodes/inner/nodes/lif/v_threshold", value)
        back = repaired(path, "node 'inner/lif': v_threshold had one value for all neurons")
        np.testing.assert_array_equal(back.nodes["inner"].nodes["lif"].v_threshold, [1.5, 1.5])


def test_a_file_without_version_is_read(path: Path) -> None:
    replace(path, "version", None)
    same(repaired(path, "no version of nir is named"), graph())


def test_one_warning_names_all_nodes_of_a_repair(tmp_path: Path) -> None:
    chain = nir.NIRGraph.from_list(nir.Linear(np.eye(2)), lif(2), nir.Linear(np.eye(2)), lif(2))
    snn2hw.write(tmp_path / "m.nir", chain)
    for name in ("lif", "lif_1"):
        replace(tmp_path / "m.nir", f"node/nodes/{name}/v_reset", None)
    repaired(tmp_path / "m.nir", "nodes 'lif', 'lif_1': v_reset is missing")


# --- wrong contents ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "value", "match"),
    [
        ("fc/weight", "heavy", "weight is the text 'heavy', not numbers"),
        ("fc/weight", np.ones((2, 3), complex), "of type complex128, neither real numbers nor"),
        ("fc/weight", np.zeros(2, "i4,f4"), "neither real numbers nor text"),
        ("fc/weight", [[b"a", b"b"]], "weight holds a group or text, not numbers"),
        ("fc/weight", np.zeros((0, 3)), r"weight has shape \(0, 3\): it is empty"),
        ("fc/weight", h5py.Empty("f4"), "is declared without a value"),
        ("fc/weight", np.ones(3), "refused by nir .*at least 2D"),
        ("fc/weight", None, "'fc' of type Affine is incomplete: weight is missing"),
        ("fc/colour", np.ones(3), "'fc' of type Affine has the unknown parameter 'colour'"),
        ("input/shape", np.array([1.5]), r"shape is \[1.5\], not whole numbers"),
        ("input/shape", np.array([-3]), r"shape is \[-3\], and sizes are >= 1"),
        ("input/shape", np.array([1e300]), "shape is no size"),
        ("input/shape", np.ones(40, int), "shape is no size"),
        ("input/shape", np.array([[3]]), "shape is no size"),
        ("inner/nodes/lif/tau", np.ones(3), "parameters of different shapes"),
        ("inner/edges", None, "subgraph 'inner': no nodes or no edges"),
    ],
)
def test_wrong_values_are_named(path: Path, member: str, value: Any, match: str) -> None:
    replace(path, f"node/nodes/{member}", value)
    refused(path, match)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.ones((3, 2)), "edges are not pairs of names"),
        ("input-fc", "edges are not pairs of names"),
        ([b"input", b"fc"], "edges are not pairs of names"),
        ([[b"input", b"fc", b"output"]], "edges have 3 columns, not 2"),
        (np.array([[b"\xff\xfe", b"fc"]], "S2"), "holds text that is not UTF-8"),
    ],
)
def test_wrong_edges_are_named(path: Path, value: Any, match: str) -> None:
    replace(path, "node/edges", value)
    refused(path, match)


def test_nodes_of_unknown_or_no_type(path: Path) -> None:
    replace(path, "node/nodes/fc/type", "NIRNode")  # a name in nir, but no node
    refused(path, "node 'fc' is of type 'NIRNode', which neither NIR", GraphError)
    for value in (None, np.ones(3), 7):
        replace(path, "node/nodes/fc/type", value)
        refused(path, "node 'fc' has no type", GraphError)
    replace(path, "node/nodes/fc", 3.0)
    refused(path, "node 'fc' has no type", GraphError)


def test_a_single_node_is_no_graph(tmp_path: Path) -> None:
    nir.write(str(tmp_path / "m.nir"), lif(2))
    refused(tmp_path / "m.nir", "holds a single LIF and no graph; put it into a nir.NIRGraph")


def test_kernels_of_wrong_dimensions(tmp_path: Path) -> None:
    node = nir.Conv2d(None, np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.ones(2))
    ends = {"input": nir.Input(np.array([1, 8, 8])), "output": nir.Output(np.array([2, 6, 6]))}
    whole = nir.NIRGraph({**ends, "c": node}, [("input", "c"), ("c", "output")], type_check=False)
    node.input_shape = (8, 8)
    snn2hw.write(tmp_path / "m.nir", whole)
    replace(tmp_path / "m.nir", "node/nodes/c/weight", np.ones((2, 1, 3)))
    refused(tmp_path / "m.nir", r"weight has shape \(2, 1, 3\), not 4 dimensions")
