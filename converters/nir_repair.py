"""Brings what a NIR file holds to the layout of nir 1.0.8, or says why that cannot be.

Files of older releases and of some tools lack parameters, keep shapes under other names or with
leading ones, and name nodes that are called otherwise. Each repair is noted, to be warned about;
what has more than one reading is refused instead. Works on the trees of ``snn2hw.converters.hdf5``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from snn2hw.converters.hdf5 import Tree, Value
from snn2hw.converters.nodes import EXTENSIONS
from snn2hw.errors import FileFormatError, GraphError

# Every parameter of every primitive of nir 1.0.8 (nir/ir/*.py); what an entry must hold:
#   real: numbers;  size: whole numbers;  padding: whole numbers or a word;  shape: sizes >= 1
_CONV = {
    "weight": "real", "bias": "real", "stride": "size", "padding": "padding",
    "dilation": "size", "groups": "size", "input_shape": "shape",
}  # fmt: skip
_POOL = {"kernel_size": "size", "stride": "size", "padding": "size"}
FIELDS: dict[str, dict[str, str]] = {
    "Affine": {"weight": "real", "bias": "real"},
    "AvgPool2d": _POOL,
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "CubaLI": dict.fromkeys(("tau_syn", "tau_mem", "r", "v_leak", "w_in"), "real"),
    "CubaLIF": dict.fromkeys(
        ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"), "real"
    ),
    "Delay": {"delay": "real"},
    "Flatten": {"start_dim": "size", "end_dim": "size", "input_type": "shape"},
    "I": {"r": "real"},
    "IF": dict.fromkeys(("r", "v_threshold", "v_reset"), "real"),
    "Input": {"shape": "shape"},
    "LI": dict.fromkeys(("tau", "r", "v_leak"), "real"),
    "LIF": dict.fromkeys(("tau", "r", "v_leak", "v_threshold", "v_reset"), "real"),
    "Linear": {"weight": "real"},
    "Output": {"shape": "shape"},
    "Scale": {"scale": "real"},
    "SumPool2d": _POOL,
    "Threshold": {"threshold": "real"},
    **{
        name: {f: "real" for f in node.__dataclass_fields__ if not f.endswith(("_type", "data"))}
        for name, node in EXTENSIONS.items()
    },
}
NEURONS = ("CubaLI", "CubaLIF", "I", "IF", "LI", "LIF")
_SHAPE_KEYS = ("shape", "input_type", "output_type", "input_shape", "output_shape")
_DIMENSIONS = {"Conv1d": 3, "Conv2d": 4}


class Repairs:
    """The repairs of one file: what was done -> the nodes that it was done to."""

    def __init__(self, file: str) -> None:
        """``file`` opens every line."""
        self.file = file
        self._nodes: dict[str, list[str]] = {}

    def note(self, node: str, what: str) -> None:
        """Remember a repair of a node (its path: ``sub/node``; '' for the file itself)."""
        self._nodes.setdefault(what, []).append(node)

    def texts(self) -> list[str]:
        """One line for each kind of repair, with the file and the nodes."""
        lines = []
        for what, nodes in self._nodes.items():
            named = ", ".join(repr(node) for node in nodes if node)
            where = f"node{'s' * (len(nodes) > 1)} {named}: " if named else ""
            lines.append(f"{self.file}: {where}{what}")
        return lines


def repair_node(kind: str, entry: Tree, name: str, repairs: Repairs) -> dict[str, Any]:
    """The parameters of a node as nir's ``from_dict`` takes them, type and metadata included.

    Raises FileFormatError for a parameter that is missing, unknown, empty or of a wrong type.
    """
    where = f"{repairs.file}: node {name!r} of type {kind}"
    fields = FIELDS[kind]
    raw = {key: value for key, value in entry.items() if key not in ("type", "metadata")}
    if kind in ("Input", "Output", "Flatten"):
        _unify_shape_key(raw, "input_type" if kind == "Flatten" else "shape", name, repairs)
    else:
        for key in _SHAPE_KEYS:
            if key in raw and key not in fields:
                del raw[key]
                repairs.note(name, f"{key} is no parameter; left out, shapes are inferred")
    for key in raw:
        if key not in fields:
            raise FileFormatError(
                f"{where} has the unknown parameter {key!r}; take it out or export the model again"
            )
    parameters = {
        key: _parameter(value, fields[key], f"{where}: {key}") for key, value in raw.items()
    }
    _add_missing(kind, parameters, name, repairs)
    missing = [key for key in fields if key not in parameters]
    if missing:
        raise FileFormatError(
            f"{where} is incomplete: {', '.join(missing)} is missing; export the model again"
        )
    dimensions = _DIMENSIONS.get(kind)
    if dimensions and parameters["weight"].ndim != dimensions:
        raise FileFormatError(
            f"{where}: weight has shape {parameters['weight'].shape}, not {dimensions} dimensions; "
            "export the model again"
        )
    if kind in NEURONS:
        _one_shape(parameters, name, where, repairs)
    if kind in ("Input", "Output"):
        parameters["shape"] = np.atleast_1d(parameters["shape"])
    if kind == "Conv1d" and parameters["input_shape"] is not None:
        parameters["input_shape"] = int(np.ravel(parameters["input_shape"])[-1])
    metadata = entry.get("metadata", {})
    return {**parameters, "type": kind, "metadata": metadata if isinstance(metadata, dict) else {}}


def _unify_shape_key(raw: dict[str, Any], wanted: str, name: str, repairs: Repairs) -> None:
    """Older layouts keep the shape of Input, Output and Flatten under other names or in a group."""
    for key in (wanted, *_SHAPE_KEYS):
        value = raw.get(key)
        if isinstance(value, dict) and len(value) == 1:  # {"input": shape}, as nir holds it itself
            (value,) = value.values()
            repairs.note(name, f"the shape in {key!r} was in a group of its own; taken out of it")
        if value is not None:
            if key != wanted:
                repairs.note(name, f"{key!r} taken as {wanted!r}")
            for other in _SHAPE_KEYS:
                raw.pop(other, None)
            raw[wanted] = value
            return


def _parameter(value: Value | Tree, wanted: str, where: str) -> Any:
    if isinstance(value, str):
        if wanted == "padding" and value in ("same", "valid"):
            return value
        raise FileFormatError(f"{where} is the text {value[:40]!r}, not numbers; export it again")
    if isinstance(value, dict) or value.dtype.kind not in "fiub":
        raise FileFormatError(f"{where} holds a group or text, not numbers; export it again")
    if value.size == 0:
        raise FileFormatError(f"{where} has shape {value.shape}: it is empty; export it again")
    if wanted == "real":
        return value
    if value.dtype.kind == "f" and not np.array_equal(value, np.trunc(value)):
        raise FileFormatError(f"{where} is {value.ravel()[:4]}, not whole numbers; export it again")
    if value.ndim > 1 or value.size > 32 or np.any(np.abs(value.astype(np.float64)) >= 2**62):
        raise FileFormatError(f"{where} is no size ({value.ravel()[:4]} ...); export it again")
    whole = value.astype(np.int64)
    if wanted == "shape" and np.any(whole < 1):
        raise FileFormatError(f"{where} is {whole.tolist()}, and sizes are >= 1; export it again")
    return int(whole) if whole.ndim == 0 and wanted != "shape" else whole


def _add_missing(kind: str, parameters: dict[str, Any], name: str, repairs: Repairs) -> None:
    """Parameters that older layouts lack, with the value that those layouts meant."""
    fields = FIELDS[kind]
    if kind in ("Conv1d", "Conv2d", "Flatten"):
        # nir leaves these shapes out when they are not known; they are inferred.
        parameters.setdefault("input_type" if kind == "Flatten" else "input_shape", None)
    if "v_reset" in fields and "v_reset" not in parameters and "v_threshold" in parameters:
        parameters["v_reset"] = np.zeros_like(parameters["v_threshold"])
        repairs.note(name, "v_reset is missing; taken as 0")
    if "w_in" in fields and "w_in" not in parameters and "v_leak" in parameters:
        parameters["w_in"] = np.ones_like(parameters["v_leak"])
        repairs.note(name, "w_in is missing; taken as 1")
    if "bias" in fields and "bias" not in parameters and "weight" in parameters:
        weight = parameters["weight"]
        size = weight.shape[-2:-1] if kind == "Affine" else weight.shape[:1]
        parameters["bias"] = np.zeros(size, weight.dtype)
        repairs.note(name, "bias is missing; taken as 0")


def _one_shape(parameters: dict[str, Any], name: str, where: str, repairs: Repairs) -> None:
    """nir wants one shape for all parameters of a neuron; some tools write scalars among them."""
    shapes = {key: value.shape for key, value in parameters.items()}
    if len(set(shapes.values())) == 1:
        return
    whole = max(shapes.values(), key=lambda shape: (int(np.prod(shape)), len(shape)))
    small = [key for key, value in parameters.items() if value.shape != whole]
    if any(parameters[key].size > 1 for key in small):
        raise FileFormatError(f"{where}: parameters of different shapes {shapes}; export it again")
    for key in small:
        parameters[key] = np.full(whole, parameters[key].ravel()[0])
    repairs.note(name, f"{', '.join(sorted(small))} had one value for all neurons; repeated")


def repair_edges(
    nodes: dict[str, dict[str, Any]], value: Any, graph: str, repairs: Repairs
) -> list[tuple[str, str]]:
    """The edges of a graph whose nodes these are, in the file's order.

    ``graph`` is the path of the subgraph, '' for the whole.
    Raises FileFormatError for edges that are not pairs of names, GraphError for an edge that names
    no node and has no single likely meaning.
    """
    where = f"{repairs.file}, subgraph {graph!r}" if graph else repairs.file
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    if not isinstance(value, np.ndarray) or value.dtype != object or value.ndim != 2:
        raise FileFormatError(f"{where}: edges are not pairs of names; export the model again")
    if value.shape[1] != 2:
        raise FileFormatError(
            f"{where}: edges have {value.shape[1]} columns, not 2; export the model again"
        )
    edges = [(str(source), str(target)) for source, target in value]
    renamed = _meant(nodes, edges, graph, where, repairs)
    edges = [(renamed[source], renamed[target]) for source, target in edges]
    unique = list(dict.fromkeys(edges))
    if len(unique) < len(edges):
        # Releases of nir before 1.0 kept the edges as a set.
        repairs.note(graph, f"{len(edges) - len(unique)} edges stood twice; each counts once")
    return unique


def _meant(
    nodes: dict[str, Any],
    edges: list[tuple[str, str]],
    graph: str,
    where: str,
    repairs: Repairs,
) -> dict[str, str]:
    """Name in an edge -> the node that it means."""
    named = dict.fromkeys(name for edge in edges for name in edge)
    meant = {name: name for name in named if name in nodes}
    for name in named:
        node, _, port = name.rpartition(".")
        if name not in nodes and port in ("input", "output") and node in nodes:
            meant[name] = node
            repairs.note(
                f"{graph}/{node}".lstrip("/"), f"edges name its port {name!r}; taken as the node"
            )
    unknown = [name for name in named if name not in meant]
    idle = [name for name in nodes if name not in meant.values()]
    if len(unknown) == 1 and len(idle) == 1:
        # As in the NIR paper's subgraph files: the one node without edges is the one not found.
        meant[unknown[0]] = idle[0]
        repairs.note(
            f"{graph}/{idle[0]}".lstrip("/"),
            f"edges call it {unknown[0]!r}, which is no node, and it has no edges; joined",
        )
    elif unknown:
        raise GraphError(
            f"{where}: an edge names {unknown[0]!r}, which is no node; nodes: "
            f"{', '.join(list(nodes)[:20])}"
        )
    return meant


def repair_shapes(
    nodes: dict[str, dict[str, Any]],
    edges: list[tuple[str, str]],
    graph: str,
    repairs: Repairs,
) -> None:
    """Takes leading ones (batch, time) off Input and Output where the neighbour has none."""
    for name, node in nodes.items():
        if node["type"] not in ("Input", "Output"):
            continue
        if node["type"] == "Input":
            shapes = {_shape(nodes[target], "input") for source, target in edges if source == name}
        else:
            shapes = {_shape(nodes[source], "output") for source, target in edges if target == name}
        if len(shapes) != 1:
            continue
        (wanted,) = shapes
        shape = tuple(int(n) for n in node["shape"])
        if (
            wanted
            and len(shape) > len(wanted)
            and shape == (1,) * (len(shape) - len(wanted)) + wanted
        ):
            node["shape"] = np.array(wanted)
            path = f"{graph}/{name}".lstrip("/")
            repairs.note(path, f"shape {list(shape)} taken as {list(wanted)}, as its neighbour has")


def _shape(node: dict[str, Any], side: str) -> tuple[int, ...] | None:
    """The shape that a node takes or gives, where its parameters alone tell it."""
    kind = node["type"]
    if kind in ("Affine", "Linear") and node["weight"].ndim == 2:
        return (int(node["weight"].shape[1 if side == "input" else 0]),)
    if kind in ("Input", "Output"):
        return tuple(int(n) for n in node["shape"])
    key = {"Scale": "scale", "Delay": "delay", "Threshold": "threshold"}.get(kind)
    key = "r" if kind in NEURONS else key
    return tuple(int(n) for n in node[key].shape) if key else None
