"""Figures of Loihi 1 and 2: the files that come with snn2hw, or one of the user's own."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from snn2hw.errors import TargetError
from snn2hw.targets.spec import TargetSpec, load_spec, parse_spec

REQUIRED = {
    "cores": "1",
    "cores_usable": "1",
    "neurons_per_core": "1",
    "neurons_reserved": "1",
    "word_bits": "bit",
    "synapse_words": "1",
    "core_words": "1",
    "neuron_memory_shared": "1",
    "axon_bits": "bit",
    "axons_in": "1",
    "axons_out": "1",
    "axons_out_per_core": "1",
    "input_sum_bits": "bit",
    "synapse_header_bits": "bit",
    "synapses_per_header": "1",
    "synapse_index_bits": "bit",
    "zero_weights_kept": "1",
    "columns_power_of_two": "1",
    "message_bits_most": "bit",
    "delay_steps_most": "1",
    "mesh_columns": "1",
    "mesh_rows": "1",
    "cores_per_router": "1",
    "input_router": "1",
}
"""Figures that placement works with, and their units; every file must have them, whole numbers."""

_AT_LEAST_ONE = (
    "cores_usable", "word_bits", "synapse_words", "core_words", "axons_in", "axons_out",
    "synapses_per_header", "mesh_columns", "mesh_rows", "cores_per_router",
)  # fmt: skip


@cache
def loihi(name: str) -> TargetSpec:
    """The figures of "loihi1" or "loihi2" that come with snn2hw."""
    file = resources.files("snn2hw.targets.loihi") / f"{name}.json"
    return checked(parse_spec(file.read_text(encoding="utf-8"), file.name))


def load_loihi(path: str | Path) -> TargetSpec:
    """A file of one's own (another board, better figures). Raises TargetError."""
    return checked(load_spec(path))


def checked(spec: TargetSpec) -> TargetSpec:
    """The spec, if it has what placement needs in the right units. Raises TargetError."""
    for name, unit in REQUIRED.items():
        if spec[name].unit != unit:
            raise TargetError(
                f"{spec.name}: figure {name!r} is in {spec[name].unit!r}; write it in {unit!r}"
            )
        spec.integer(name)
    for name in _AT_LEAST_ONE:
        if spec.integer(name) < 1:
            raise TargetError(f"{spec.name}: figure {name!r} is 0; give 1 or more")
    if spec.integer("neurons_reserved") >= spec.integer("neurons_per_core"):
        raise TargetError(
            f"{spec.name}: neurons_reserved leaves nothing of neurons_per_core; give less"
        )
    places = spec.integer("mesh_columns") * spec.integer("mesh_rows")
    if not spec.integer("cores_usable") <= places * spec.integer("cores_per_router"):
        raise TargetError(
            f"{spec.name}: the mesh has fewer places than cores_usable; make it larger"
        )
    if spec.integer("input_router") >= places:
        raise TargetError(f"{spec.name}: input_router is not on the mesh; give 0 to {places - 1}")
    return spec
