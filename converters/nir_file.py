"""Reading and writing ``.nir`` files, with or without extension nodes.

The layout is nir's own (HDF5, ``node/type``, ``node/nodes/<name>/...``, ``node/edges``); ``write``
leaves it to nir, so a file without extension nodes is nir's file, bit for bit of meaning. ``read``
takes nothing on trust (``snn2hw.converters.hdf5``) and mends what older releases and other tools
wrote otherwise (``snn2hw.converters.nir_repair``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snn2hw.converters.hdf5 import Tree, read_tree
from snn2hw.converters.nir_repair import (
    FIELDS,
    Repairs,
    repair_edges,
    repair_node,
    repair_shapes,
)
from snn2hw.converters.nodes import EXTENSIONS
from snn2hw.errors import DataError, FileFormatError, GraphError, RepairWarning
from snn2hw.files import atomic

MAX_NESTING = 16
"""Most subgraphs within subgraphs."""


def write(path: str | Path, graph: nir.NIRGraph) -> None:
    """Write a graph; the file appears whole or not at all.

    A bias or v_reset of None is written as zeros and an input shape of None is left out, as the
    readers of NIR files expect; the graph itself stays as it is.

    Raises DataError for a bad folder, GraphError for a node's name that HDF5 would take for a path
    and for a parameter that is missing or not numbers.
    """
    ready = _Ready(_complete(graph.to_dict(), ""))
    with atomic(path) as part:
        nir.write(str(part), ready)


@dataclass(frozen=True)
class _Ready:
    """What nir.write asks of a graph."""

    tree: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.tree


_LEFT_OUT = ("input_shape", "input_type")
"""Parameters that nir's files lack where they are not known."""


def _complete(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A node as nir's to_dict gives it (a graph: with its nodes), without any None."""
    whole = dict(entry)
    if "nodes" in whole:
        for key in whole["nodes"]:
            if "/" in key or key in ("", "."):
                raise GraphError(f"node {key!r}: a name in a .nir file cannot hold '/'; rename it")
        whole["nodes"] = {
            key: _complete(node, f"{name}/{key}".lstrip("/"))
            for key, node in whole["nodes"].items()
        }
        return whole
    where = f"node {name!r} of type {whole['type']}"
    for key, value in entry.items():
        if value is None and key in _LEFT_OUT:
            del whole[key]
        elif value is None and key == "bias" and whole["weight"] is not None:
            weight = np.asarray(whole["weight"])
            size = weight.shape[-2:-1] if whole["type"] == "Affine" else weight.shape[:1]
            whole[key] = np.zeros(size, weight.dtype)
        elif value is None and key == "v_reset" and whole["v_threshold"] is not None:
            whole[key] = np.zeros_like(whole["v_threshold"])
        elif value is None:
            raise GraphError(f"{where} has no {key}; give it numbers")
        elif key not in ("type", "metadata", "padding") and np.asarray(value).dtype.kind in "OUS":
            raise GraphError(
                f"{key} of {where} holds {np.asarray(value).dtype}, not numbers; give it numbers"
            )
    for key, value in whole.get("metadata", {}).items():
        if value is None or (np.asarray(value).dtype.kind == "O" and not isinstance(value, dict)):
            raise GraphError(
                f"metadata {key!r} of {where} is {value!r}, which a .nir file cannot hold; take "
                "it out or give it text or numbers"
            )
    return whole


def read(path: str | Path) -> nir.NIRGraph:
    """Read a graph, extension nodes and subgraphs included; its types are left unchecked.

    A file of an older layout or of a tool that writes otherwise is repaired; each repair is a
    RepairWarning that names the file and the nodes.

    Raises DataError if there is no such file, FileFormatError if it is damaged, hostile (see
    ``snn2hw.converters.hdf5``), not a NIR file, or holds a parameter that is missing or of a wrong
    type, GraphError for an edge between unknown nodes or a node type that neither NIR nor snn2hw
    knows.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    tree = read_tree(path, ("node", "version"))
    node = tree.get("node")
    if not isinstance(node, dict):
        raise FileFormatError(
            f"{path}: an HDF5 file, but not a NIR graph (no group 'node'); "
            "export the model with snn2hw.to_nir or nir.write"
        )
    repairs = Repairs(str(path))
    if "version" not in tree:
        repairs.note("", f"no version of nir is named; read as {nir.version}")
    kind = node.get("type")
    if isinstance(kind, str) and kind in FIELDS:
        raise FileFormatError(
            f"{path}: holds a single {kind} and no graph; put it into a nir.NIRGraph"
        )
    graph = _graph(node, "", repairs)
    for text in repairs.texts():
        warnings.warn(text, RepairWarning, stacklevel=2)
    return graph


def _graph(content: Tree, name: str, repairs: Repairs, depth: int = 0) -> nir.NIRGraph:
    where = f"{repairs.file}, subgraph {name!r}" if name else repairs.file
    if depth > MAX_NESTING:
        raise GraphError(f"{where}: deeper than {MAX_NESTING} subgraphs; flatten the graph")
    entries = content.get("nodes")
    if not isinstance(entries, dict) or "edges" not in content:
        raise FileFormatError(f"{where}: no nodes or no edges; export the model again")
    nodes: dict[str, dict[str, Any]] = {}
    built: dict[str, nir.ir.NIRNode] = {}
    for key, entry in entries.items():
        inner = f"{name}/{key}".lstrip("/")
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(kind, str):
            raise GraphError(f"{where}: node {key!r} has no type; export the model again")
        if kind == "NIRGraph":
            built[key] = _graph(entry, inner, repairs, depth + 1)
            nodes[key] = {"type": kind}
        elif kind in FIELDS:
            nodes[key] = repair_node(kind, entry, inner, repairs)
        else:
            raise GraphError(
                f"{where}: node {key!r} is of type {kind!r}, which neither NIR "
                f"{nir.version} nor snn2hw knows; convert it to a known neuron"
            )
    edges = repair_edges(nodes, content["edges"], name, repairs)
    repair_shapes(nodes, edges, name, repairs)
    for key, parameters in nodes.items():
        if key not in built:
            built[key] = _node(parameters, f"{where}: node {key!r} of type {parameters['type']}")
    metadata = content.get("metadata", {})
    # Unchecked: nir's check mends a disconnected graph by inventing inputs; lower refuses it.
    return nir.NIRGraph(
        {key: built[key] for key in nodes},
        edges,
        metadata=metadata if isinstance(metadata, dict) else {},
        type_check=False,
    )


def _node(parameters: dict[str, Any], where: str) -> nir.ir.NIRNode:
    kind = parameters["type"]
    build = EXTENSIONS[kind].from_dict if kind in EXTENSIONS else nir.dict2NIRNode
    try:
        return build(parameters)
    except GraphError as error:
        raise GraphError(f"{where}: {error}") from None
    except Exception as error:  # noqa: BLE001 - nir raises whatever its dataclasses do
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(f"{where} is refused by nir ({reason}); export it again") from None
