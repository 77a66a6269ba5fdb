"""What a .nir or .h5 file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn2hw.cli.common import add_json, show, show_json, table
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.storage import FORMAT, load


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("file", help=".nir graph or .h5 network")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Describe the file."""
    path = Path(options.file)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    facts = _network(load(path)) if _is_network(path) else _graph(path)
    if options.json:
        show_json(facts)
        return 0
    show(f"{path}: {facts['kind']}")
    for key, value in facts["facts"].items():
        show(f"  {key}: {value}")
    for title, rows in facts["tables"].items():
        show(f"\n{title}")
        if rows:
            show(table(list(rows[0]), [list(row.values()) for row in rows]))
    for note in facts.get("notes", ()):
        show(f"  {note}")
    return 0


def _is_network(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return "node" not in file and bool(
                file.attrs.get("format") == FORMAT or path.suffix == ".h5"
            )
    except OSError:
        # Truncated or no HDF5 at all: the reader that the name asks for says so.
        return path.suffix == ".h5"


def _network(net: FixedPointNetwork) -> dict[str, Any]:
    weights = sum(s.mantissa.size for s in net.synapses)
    return {
        "kind": "fixed-point network",
        "facts": {
            "target": net.target,
            "dt": f"{net.dt_s:g} s ({net.method} steps)",
            "latency": f"{net.latency} steps",
            "neurons": sum(layer.n for layer in net.layers),
            "weights": f"{weights} of 8 bits",
            "decode": net.decode,
            "source": net.source_hash[:16],
            "made by": ", ".join(f"{k} {v}" for k, v in net.versions.items()),
        },
        "tables": {
            "Inputs": [
                {"name": n.name, "shape": n.shape, "bits": n.bits, "unit": f"{n.unit:.4g}"}
                for n in net.inputs
            ],
            "Layers": [
                {"name": n.name, "neuron": n.model.name, "shape": n.shape, "chip offset": n.offset}
                for n in net.layers
            ],
            "Synapses": [
                {
                    "name": s.name,
                    "map": s.map.kind,
                    "weights": "x".join(map(str, s.mantissa.shape)),
                    "non-zero": f"{np.count_nonzero(s.mantissa) / max(s.mantissa.size, 1):.0%}",
                    "exponent": s.exponent,
                    "chip delay": s.chip_delay,
                }
                for s in net.synapses
            ],
            "Outputs": [
                {"name": n.name, "layer": n.source, "port": n.source_port} for n in net.outputs
            ],
        },
        "notes": list(net.notes),
    }


def _graph(path: Path) -> dict[str, Any]:
    from snn2hw.converters.nir_file import read

    graph = read(path)
    nodes = []
    for name, node in graph.nodes.items():
        skipped = {"input_type", "output_type", "metadata"}
        values = {k: v for k, v in vars(node).items() if k not in skipped and v is not None}
        nodes.append(
            {
                "name": name,
                "type": type(node).__name__,
                "shape": tuple(np.atleast_1d(next(iter(node.output_type.values()))).tolist()),
                "parameters": sum(np.size(v) for v in values.values()),
            }
        )
    return {
        "kind": "NIR graph",
        "facts": {"nodes": len(graph.nodes), "edges": len(graph.edges)},
        "tables": {
            "Nodes": nodes,
            "Edges": [{"from": source, "to": target} for source, target in graph.edges],
        },
    }
