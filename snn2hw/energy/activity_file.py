"""Activities as files, so that a run need not be repeated to be priced again.

JSON: format and version, a digest of the network that ran, and the counts. The digest is over all
that a run depends on, so an activity is never priced as that of another network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from snn2hw.errors import DataError, FileFormatError
from snn2hw.files import atomic
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.activity import Activity, Counts, LayerActivity, SynapseActivity

FORMAT, VERSION = "snn2hw-activity", 1

Part = TypeVar("Part", LayerActivity, SynapseActivity)


def fingerprint(net: FixedPointNetwork) -> str:
    """SHA-256 of the network's integers and connections, in hexadecimal.

    Names, models, shapes, parameters, start values, weights, exponents, delays and input formats;
    not notes, units and versions, which change no count.
    """
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(repr(values).encode())

    def add_array(name: str, values: Any) -> None:
        array = np.ascontiguousarray(values)
        add(name, array.shape)
        digest.update(array.astype(np.int64).tobytes())

    for node in net.inputs:
        add("input", node.name, node.shape, node.bits, node.signed)
    for layer in net.layers:
        add("layer", layer.name, layer.model.name, layer.shape)
        for name in sorted(layer.params):
            add_array(name, layer.params[name])
        for name in sorted(layer.start):
            add_array(f"start {name}", layer.start[name])
    for s in net.synapses:
        add("synapses", s.name, s.source, s.source_port, s.target, s.target_ports, s.exponent)
        add(s.delay, s.map.kind, sorted((k, v) for k, v in vars(s.map).items() if k != "weight"))
        add_array("weight", s.mantissa)
    for output in net.outputs:
        add("output", output.name, output.source, output.source_port)
    return digest.hexdigest()


def write_activity(path: str | Path, activity: Activity, net: FixedPointNetwork) -> None:
    """Write an activity to a JSON file. net: the network that ran.

    Raises DataError where the file cannot be written or the activity is of another network.
    """
    check_network(activity, net)
    content = {"format": FORMAT, "version": VERSION, "network": fingerprint(net)}
    text = json.dumps(content | {"activity": _to_json(activity)})
    with atomic(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def read_activity(path: str | Path, net: FixedPointNetwork) -> Activity:
    """The activity in a file that ``write_activity`` made of this network.

    Raises DataError where it is of another network or cannot be read, FileFormatError where it is
    no such file.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read activity {path}: {error.strerror}; name a file") from None
    except ValueError as error:
        raise FileFormatError(f"{path}: not JSON ({error}); make it with --save-activity") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise FileFormatError(f"{path}: holds no activity; make it with --save-activity")
    if data.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: activity of version {data.get('version')}; this release reads {VERSION}"
        )
    if data.get("network") != fingerprint(net):
        raise DataError(f"{path}: the activity is of another network; name the network that ran")
    try:
        activity = _activity(data["activity"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(
            f"{path}: the activity is incomplete ({type(error).__name__}: {error}); make it again"
        ) from None
    check_network(activity, net)
    return activity


def check_network(activity: Activity, net: FixedPointNetwork) -> None:
    """Raise DataError, naming the first difference, where the activity is of another network."""
    ran = {f"layer {a.name!r}": f"{a.neurons} {a.model} neurons" for a in activity.layers}
    has = {f"layer {b.name!r}": f"{b.n} {b.model.name} neurons" for b in net.layers}
    ran |= {f"synapse group {a.name!r}": _connection(a, a.weights) for a in activity.synapses}
    has |= {f"synapse group {b.name!r}": _connection(b, b.mantissa.size) for b in net.synapses}
    if ran != has:
        name = next(n for n in (*ran, *has) if ran.get(n) != has.get(n))
        raise DataError(
            f"the activity is of another network: {name} is {ran.get(name, 'absent')} there and "
            f"{has.get(name, 'absent')} in the network; pass the network that ran"
        )


def _connection(group: Any, weights: int) -> str:
    return f"{weights} weights from {group.source!r} to {group.target!r}"


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, Activity | LayerActivity | SynapseActivity):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    return value


def _activity(data: Mapping[str, Any], *, by_step: bool = False) -> Activity:
    samples, steps = int(data["samples"]), int(data["steps"])
    shape = (samples, steps) if by_step else (samples,)

    def counts(values: Any) -> Counts:
        array = np.array(values, dtype=np.int64)
        if array.shape != shape or array.min(initial=0) < 0:
            raise ValueError(f"counts of shape {array.shape}, not {shape}, or below zero")
        return array

    def part(kind: type[Part], entry: Mapping[str, Any]) -> Part:
        made: dict[str, Any] = {}
        for field in fields(kind):
            value = entry[field.name]
            if field.type == "Counts":
                value = counts(value)
            elif field.name == "sent":
                value = {port: counts(each) for port, each in value.items()}
            made[field.name] = value
        return kind(**made)

    return Activity(
        samples=samples,
        steps=steps,
        input_messages={name: counts(v) for name, v in data["input_messages"].items()},
        layers=tuple(part(LayerActivity, entry) for entry in data["layers"]),
        synapses=tuple(part(SynapseActivity, entry) for entry in data["synapses"]),
        input_bits={name: int(bits) for name, bits in data["input_bits"].items()},
        by_step=None if data["by_step"] is None else _activity(data["by_step"], by_step=True),
    )
