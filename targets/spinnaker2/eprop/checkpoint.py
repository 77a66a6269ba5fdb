"""Checkpoints: what the PEs hold that outlives a sample, in one HDF5 file.

Layout, version 1: root attributes ``format`` ("snn2hw-learner") and ``version``; dataset ``header``
(JSON: rule, time step, digests, clock, and what a session adds); ``memory/<name>``, the regions of
``LASTING`` as words of the rule's arithmetic, (neurons, words), in the order of the layers, so that
nothing depends on how many PEs held them; ``session/<name>``, arrays that a session adds. Every
array has checksums: a damaged file is found out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from snn2hw import __version__
from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.files import atomic
from snn2hw.targets.spinnaker2.eprop import regions
from snn2hw.targets.spinnaker2.eprop.memory import DTYPES
from snn2hw.targets.spinnaker2.eprop.network import Network
from snn2hw.targets.spinnaker2.eprop.rule import Rule

if TYPE_CHECKING:
    from snn2hw.targets.spinnaker2.eprop.learner import Learner

FORMAT, VERSION = "snn2hw-learner", 1

LASTING = {
    "weights": regions.W,
    "moments_1": regions.M1,
    "moments_2": regions.M2,
    "feedback": regions.FEEDBACK,
    "rate": regions.RATE,
    "readout_weights": regions.OW,
    "readout_moments_1": regions.OM1,
    "readout_moments_2": regions.OM2,
}
"""Regions that a sample leaves to the next; all others are cleared or set at its start."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    identity: of the network, see ``identity``; dt_s, method, reset: how it became steps; clock:
    samples learned, steps of the optimiser, seed; memory: words by name in ``LASTING``; session,
    arrays: what ``session`` adds, empty for a learner's own file.
    """

    rule: Rule
    identity: Mapping[str, str]
    dt_s: float
    method: str
    reset: str
    clock: tuple[int, int, int]
    memory: Arrays
    session: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


def identity(net: Network) -> dict[str, str]:
    """Digests of a network: of its graph with the weights that learning began with, and of its
    constants in steps, on which the time step, method and reset act."""
    digest = hashlib.sha256(repr((net.dt_s, net.kappa, sorted(net.nodes.items()))).encode())
    constants = {**net.constants, "readout gain": net.gain, "readout leak": net.leak}
    for name in sorted(constants):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(constants[name]).tobytes())
    return {"graph": net.digest, "constants": digest.hexdigest()}


def save(
    learner: Learner,
    path: str | Path,
    session: Mapping[str, Any] | None = None,
    arrays: Arrays | None = None,
) -> None:
    """Write a checkpoint; it appears whole or not at all. session: anything that JSON can hold.

    Raises DataError where it cannot be written.
    """
    memory = learner.memory
    header = {
        "rule": asdict(learner.rule),
        "identity": identity(learner.network),
        "dt_s": learner.network.dt_s,
        "method": learner.method,
        "reset": learner.reset,
        "clock": learner.clock,
        "session": dict(session or {}),
        "snn2hw": __version__,
    }
    with atomic(path) as part:
        try:
            with h5py.File(part, "w") as file:
                file.attrs["format"] = FORMAT
                file.attrs["version"] = VERSION
                text = json.dumps(header).encode()
                _put(file, "header", np.frombuffer(text, dtype=np.uint8))
                for name, (place, width, readout) in _lasting(memory.shape).items():
                    _put(file, f"memory/{name}", memory.rows(place, width, readout))
                for name, values in (arrays or {}).items():
                    _put(file, f"session/{name}", values)
            # Without this, a power cut after the renaming may leave an empty file in place of the
            # checkpoint before.
            with part.open("rb") as written:
                os.fsync(written.fileno())
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise DataError(f"cannot write {path}: {reason}; free some space") from None


def _put(file: h5py.File, name: str, values: npt.NDArray[Any]) -> None:
    # Checksums go with chunks, and an empty array has none.
    file.create_dataset(name, data=values, fletcher32=True if values.size else None)


def _lasting(shape: regions.Shape) -> dict[str, tuple[int, int, bool]]:
    """Name -> place, words a neuron, and whether it is the readout's; what the rule does not need
    is not there."""
    there = {region.place: region for region in shape.regions()}
    return {
        name: (place, there[place].per_neuron, there[place].layer == regions.READOUT)
        for name, place in LASTING.items()
        if place in there and there[place].per_neuron
    }


def read(path: str | Path) -> Checkpoint:
    """What a checkpoint holds.

    Raises DataError if there is no such file, FileFormatError if it is truncated, foreign, or of
    another version.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; name a checkpoint")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format", "") != FORMAT:
                raise FileFormatError(
                    f"{path}: not a checkpoint of snn2hw (no mark {FORMAT!r}); name another file"
                )
            if int(file.attrs["version"]) != VERSION:
                raise FileFormatError(
                    f"{path}: a checkpoint of version {file.attrs['version']}, and this snn2hw "
                    f"reads {VERSION}; go on with the snn2hw that wrote it, or begin anew"
                )
            return _checkpoint(file)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise FileFormatError(
            f"{path}: truncated, damaged or foreign ({reason}); begin anew or name another file"
        ) from None


def _checkpoint(file: h5py.File) -> Checkpoint:
    said = json.loads(bytes(file["header"][()]))
    try:
        rule = Rule(**said["rule"])
    except ParameterError as error:
        raise ValueError(str(error)) from None
    samples, updates, seed = (int(value) for value in said["clock"])
    if min(samples, updates) < 0 or seed != rule.seed:
        raise ValueError(f"a clock at {samples}, {updates}, {seed}")
    kind = np.dtype(DTYPES[rule.arithmetic])
    memory = {name: values[()] for name, values in file["memory"].items()}
    for name, values in memory.items():
        if values.dtype != kind or values.ndim != 2:
            raise ValueError(f"{name} is {values.dtype} of {values.ndim} dimensions")
    return Checkpoint(
        rule=rule,
        identity={key: str(said["identity"][key]) for key in ("graph", "constants")},
        dt_s=float(said["dt_s"]),
        method=str(said["method"]),
        reset=str(said["reset"]),
        clock=(samples, updates, seed),
        memory=memory,
        session=dict(said["session"]),
        arrays={name: values[()] for name, values in file.get("session", {}).items()},
    )


def differences(found: Checkpoint, net: Network, rule: Rule) -> list[str]:
    """What a checkpoint has otherwise than a network and a rule, for a person; empty: nothing."""
    told = []
    own = identity(net)
    if found.identity["graph"] != own["graph"]:
        told.append("it is of another network (or of this one with other weights)")
    elif found.dt_s != net.dt_s:
        told.append(f"its time step is {found.dt_s:g} s, not {net.dt_s:g} s")
    elif found.identity["constants"] != own["constants"]:
        told.append(f"its neurons have method {found.method!r} and reset {found.reset!r}")
    for entry in fields(Rule):
        there, here = getattr(found.rule, entry.name), getattr(rule, entry.name)
        if there != here:
            told.append(f"its rule has {entry.name} {there!r}, not {here!r}")
    return told


def restore(found: Checkpoint, learner: Learner, path: str | Path) -> None:
    """Put a checkpoint into a learner, however many PEs it has. path: for messages.

    Raises DataError where they do not belong together, FileFormatError where an array is missing.
    """
    told = differences(found, learner.network, learner.rule)
    if told:
        raise DataError(f"{path} does not go with this network and rule: {'; '.join(told)}")
    memory = learner.memory
    wanted = _lasting(memory.shape)
    rows = {False: memory.shape.neurons, True: memory.shape.outputs}
    for name, (_, width, readout) in wanted.items():
        values = found.memory.get(name)
        if values is None or values.shape != (rows[readout], width):
            raise FileFormatError(
                f"{path}: truncated or damaged ({name} is not there, or of another shape); begin "
                "anew or name another file"
            )
    for name, (place, _, readout) in wanted.items():
        memory.put(place, found.memory[name], readout)
    learner.set_clock(found.clock)
