"""Reading and writing ``.nir`` files, with or without extension nodes.

The layout is nir's own (HDF5, ``node/type``, ``node/nodes/<name>/...``, ``node/edges``); ``write``
leaves it to nir, so a file without extension nodes is nir's file, bit for bit of meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
from nir.serialization import hdf2dict

from snn2hw.converters.nodes import EXTENSIONS
from snn2hw.errors import DataError, FileFormatError, GraphError
from snn2hw.files import atomic


def write(path: str | Path, graph: nir.NIRGraph) -> None:
    """Write a graph; the file appears whole or not at all.

    Raises DataError for a bad folder, GraphError for a node's name that HDF5 would take for a path.
    """
    for name in graph.nodes:
        if "/" in name or name in ("", "."):
            raise GraphError(f"node {name!r}: a name in a .nir file cannot hold '/'; rename it")
    with atomic(path) as part:
        nir.write(str(part), graph)


def read(path: str | Path) -> nir.NIRGraph:
    """Read a graph, extension nodes included.

    Raises DataError if there is no such file, FileFormatError if it is truncated or not a NIR file,
    GraphError for a node type that neither NIR nor snn2hw knows.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file or "version" not in file:
                raise FileFormatError(
                    f"{path}: an HDF5 file, but not a NIR graph (no 'node' and 'version'); "
                    "export the model with snn2hw.to_nir or nir.write"
                )
            content = hdf2dict(file["node"])
    except (OSError, RuntimeError, KeyError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: not a whole HDF5 file ({str(error).splitlines()[0]}); export it again"
        ) from None
    return _graph(content, str(path))


def _graph(content: dict[str, Any], where: str) -> nir.NIRGraph:
    nodes = {}
    if not isinstance(content.get("nodes"), dict) or "edges" not in content:
        raise FileFormatError(f"{where}: no nodes or no edges; export the model again")
    for name, entry in content["nodes"].items():
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "NIRGraph":
            nodes[name] = _graph(entry, f"{where}, subgraph {name!r}")
        elif kind in EXTENSIONS:
            nodes[name] = _node(EXTENSIONS[kind].from_dict, entry, name, where)
        elif isinstance(kind, str) and hasattr(nir, kind):
            nodes[name] = _node(nir.dict2NIRNode, entry, name, where)
        else:
            raise GraphError(
                f"{where}: node {name!r} is of type {kind!r}, which neither NIR "
                f"{nir.version} nor snn2hw knows; convert it to a known neuron"
            )
    try:
        edges = [(_text(source), _text(target)) for source, target in content["edges"]]
        # Unchecked: nir's check mends a disconnected graph by inventing inputs; lower refuses it.
        return nir.NIRGraph(nodes, edges, metadata=content.get("metadata", {}), type_check=False)
    except Exception as error:  # noqa: BLE001 - nir raises bare asserts and ValueErrors
        raise GraphError(f"{where}: {error or 'nir refuses the graph'}; check its edges") from None


def _node(build: Any, entry: dict[str, Any], name: str, where: str) -> nir.ir.NIRNode:
    try:
        return build(dict(entry))
    except GraphError as error:
        raise GraphError(f"{where}: node {name!r}: {error}") from None
    except Exception as error:  # noqa: BLE001 - nir raises whatever its dataclasses do
        reason = f"{type(error).__name__}: {error}"
        raise FileFormatError(
            f"{where}: node {name!r} of type {entry['type']} is incomplete ({reason}); export again"
        ) from None


def _text(value: Any) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)
