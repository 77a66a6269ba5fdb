"""FixedPointNetwork files: one self-contained HDF5 file of integers and what they mean.

Layout, version 2: root attributes ``format`` ("snn2hw-fixed-point") and ``version``; dataset
``header`` (JSON: everything but the arrays); datasets ``layers/<k>/<param>`` (int32, (n,)) and
``start/<k>/<state>`` (int32, (n,), where not zero), ``units/<k>/<state>`` (float64, (n,), where
neurons differ) and
``synapses/<k>`` (int8, in the shape that its map keeps), k counting in the header's order. Names
live in the header, so any name will do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snn2hw.errors import DataError, FileFormatError, TargetError
from snn2hw.files import atomic
from snn2hw.graph import (
    INPUT_PORT,
    FixedPointNetwork,
    InputFormat,
    Layer,
    Node,
    OutputNode,
    Synapse,
)
from snn2hw.linear import KINDS, Convolution, LinearMap
from snn2hw.neurons import MODELS

FORMAT = "snn2hw-fixed-point"
VERSION = 2
LOOKAHEAD_MAX = 1 << 16
"""Steps; a file that looks further ahead is broken, and a run of it would not end."""

SCALARS = ("target", "dt_s", "method", "latency", "reset", "rounding", "decode", "source_hash")


def header(net: FixedPointNetwork) -> dict[str, Any]:
    """Everything but the arrays, ready for JSON."""
    return {
        **{key: getattr(net, key) for key in SCALARS},
        "notes": list(net.notes),
        "versions": dict(net.versions),
        "inputs": [vars(node) for node in net.inputs],
        "outputs": [vars(node) for node in net.outputs],
        "layers": [
            {
                "name": layer.name,
                "model": layer.model.name,
                "shape": layer.shape,
                # One for each neuron lie beside the parameters.
                "units": {
                    key: unit for key, unit in layer.units.items() if isinstance(unit, float)
                },
                "offset": layer.offset,
            }
            for layer in net.layers
        ],
        "synapses": [
            {key: value for key, value in vars(synapse).items() if key != "map"}
            | {"map": _geometry(synapse.map)}
            for synapse in net.synapses
        ],
    }


def _geometry(link: LinearMap) -> dict[str, Any]:
    """A map without its weights."""
    fields = {key: value for key, value in vars(link).items() if key != "weight"}
    return {"kind": link.kind, "shape": link.weight.shape, **fields}


def save(net: FixedPointNetwork, path: str | Path) -> None:
    """Write a network; the file appears whole or not at all."""
    with atomic(path) as part, h5py.File(part, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        # A dataset, not an attribute: attributes end at 64 KiB.
        file.create_dataset("header", data=json.dumps(header(net)), dtype=h5py.string_dtype())
        for k, layer in enumerate(net.layers):
            for name, values in layer.params.items():
                file.create_dataset(f"layers/{k}/{name}", data=np.asarray(values, dtype=np.int32))
            for name, values in layer.start.items():
                file.create_dataset(f"start/{k}/{name}", data=np.asarray(values, dtype=np.int32))
            for name, unit in layer.units.items():
                if isinstance(unit, np.ndarray):
                    file.create_dataset(f"units/{k}/{name}", data=unit.astype(np.float64))
        for k, synapse in enumerate(net.synapses):
            file.create_dataset(f"synapses/{k}", data=synapse.mantissa, compression="gzip")


def load(path: str | Path) -> FixedPointNetwork:
    """Read a network.

    Raises DataError if there is no such file, FileFormatError if it is truncated or foreign.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format", "")
            if found != FORMAT:
                raise FileFormatError(
                    f"{path}: not a network of snn2hw (no mark {FORMAT!r}); make one with "
                    "'snn2hw quantize'"
                )
            if int(file.attrs["version"]) != VERSION:
                remedy = "upgrade snn2hw"
                if int(file.attrs["version"]) < VERSION:
                    remedy = "write it again with 'snn2hw quantize'"
                raise FileFormatError(
                    f"{path}: version {file.attrs['version']}, and this snn2hw reads {VERSION}; "
                    f"{remedy}"
                )
            return _build(json.loads(file["header"][()]), file)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise FileFormatError(
            f"{path}: truncated or damaged ({reason}); write it again with 'snn2hw quantize'"
        ) from None


def _build(said: Mapping[str, Any], file: h5py.File) -> FixedPointNetwork:
    from snn2hw.passes.registers import check_registers

    layers = []
    for k, entry in enumerate(said["layers"]):
        if entry["model"] not in MODELS:
            raise TargetError(
                f"layer {entry['name']!r} has neuron {entry['model']!r}, unknown here"
            )
        model = MODELS[entry["model"]]
        n = int(np.prod(entry["shape"]))
        params = {p.name: _array(file, f"layers/{k}/{p.name}", (n,), "i4") for p in model.params}
        units: dict[str, Any] = {key: float(value) for key, value in entry["units"].items()}
        for key in file.get(f"units/{k}", {}):
            units[key] = _array(file, f"units/{k}/{key}", (n,), "f8")
        start = {
            key: _array(file, f"start/{k}/{key}", (n,), "i4") for key in file.get(f"start/{k}", {})
        }
        shape = tuple(entry["shape"])
        layers.append(Layer(entry["name"], model, shape, params, units, entry["offset"], start))
    inputs = tuple(
        InputFormat(**{**entry, "shape": tuple(entry["shape"])}) for entry in said["inputs"]
    )
    nodes: tuple[Node, ...] = (*inputs, *layers)
    sizes = {node.name: node.n for node in nodes}
    synapses = []
    for k, entry in enumerate(said["synapses"]):
        rows = len(entry["target_ports"]) * sizes[entry["target"]]
        geometry = {key: _tuples(value) for key, value in entry["map"].items()}
        mantissa = _array(file, f"synapses/{k}", geometry.pop("shape"), "i1")
        link = KINDS[geometry.pop("kind")](mantissa, **geometry)
        if isinstance(link, Convolution) and (
            min(*link.stride, *link.dilation, link.groups) < 1 or np.min(link.padding) < 0
        ):
            raise ValueError(f"synapses {entry['name']!r} have a convolution of no such geometry")
        if (link.n_out, link.n_in) != (rows, sizes[entry["source"]]):
            raise ValueError(f"synapses {entry['name']!r} do not fit their layers")
        entry = {**entry, "target_ports": tuple(entry["target_ports"]), "map": link}
        synapses.append(Synapse(**entry))
    net = FixedPointNetwork(
        **{key: said[key] for key in SCALARS},
        versions=said["versions"],
        inputs=inputs,
        layers=tuple(layers),
        synapses=tuple(synapses),
        outputs=tuple(OutputNode(**entry) for entry in said["outputs"]),
        notes=tuple(said["notes"]),
    )
    _check_references(net)
    check_registers(net)
    return net


def _check_references(net: FixedPointNetwork) -> None:
    """ValueError where a synapse or an output names something that is not there."""
    ports = {node.name: {INPUT_PORT} for node in net.inputs}
    ports |= {layer.name: {o.name for o in layer.model.outputs} for layer in net.layers}
    if not net.outputs or not net.inputs or len(ports) != len(net.inputs) + len(net.layers):
        raise ValueError("no input, no output, or two nodes of one name")
    for output in net.outputs:
        if output.source_port not in ports[output.source]:
            raise ValueError(f"output {output.name!r} names port {output.source_port!r}")
    for synapse in net.synapses:
        unknown = set(synapse.target_ports) - set(net.layer(synapse.target).model.inputs)
        if synapse.source_port not in ports[synapse.source] or unknown:
            raise ValueError(f"synapses {synapse.name!r} name no such port")
        if synapse.delay < -LOOKAHEAD_MAX:
            raise ValueError(f"synapses {synapse.name!r} look {-synapse.delay} steps ahead")


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def _array(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    dataset = file[name]
    if dataset.shape != shape or dataset.dtype != np.dtype(dtype):
        raise ValueError(f"{name} is {dataset.dtype}{dataset.shape}, not {dtype}{shape}")
    return dataset[()]
