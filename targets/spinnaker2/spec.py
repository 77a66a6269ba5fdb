"""SpiNNaker2's figures: the file that comes with snn2hw, or one of the user's own."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from snn2hw.errors import TargetError
from snn2hw.targets.spec import TargetSpec, load_spec, parse_spec

REQUIRED = {
    "pes": "1",
    "pes_usable": "1",
    "pes_per_quad": "1",
    "pe_data_bytes": "B",
    "pe_stack_heap_bytes": "B",
    "clock_low_hz": "Hz",
    "clock_high_hz": "Hz",
    "router_entries": "1",
    "fifo_packets_most": "1",
    "packet_key_bytes": "B",
    "packet_payload_bytes": "B",
    "synapse_header_bytes": "B",
    "cycles_per_synaptic_event": "cycle/event",
    "cycles_per_packet": "cycle/packet",
    "cycles_per_packet_sent": "cycle/packet",
    "cycles_per_operation": "cycle",
    "cycles_per_memory_access": "cycle",
    "cycles_per_step": "cycle",
}
"""Figures that placement works with, and their units; every file must have them."""


@cache
def spinnaker2() -> TargetSpec:
    """The figures that come with snn2hw."""
    file = resources.files("snn2hw.targets.spinnaker2") / "spinnaker2.json"
    return checked(parse_spec(file.read_text(encoding="utf-8"), file.name))


def load_spinnaker2(path: str | Path) -> TargetSpec:
    """A file of one's own (a board with other limits, say). Raises TargetError."""
    return checked(load_spec(path))


def checked(spec: TargetSpec) -> TargetSpec:
    """The spec, if it has what placement needs in the right units. Raises TargetError."""
    for name, unit in REQUIRED.items():
        if spec[name].unit != unit:
            raise TargetError(
                f"{spec.name}: figure {name!r} is in {spec[name].unit!r}; write it in {unit!r}"
            )
        spec.number(name)
    if not 1 <= spec.integer("pes_usable") <= spec.integer("pes"):
        raise TargetError(
            f"{spec.name}: pes_usable is {spec.number('pes_usable'):g}; "
            f"give 1 to {spec.integer('pes')}, the number of pes"
        )
    if spec.integer("pe_stack_heap_bytes") >= spec.integer("pe_data_bytes"):
        raise TargetError(
            f"{spec.name}: pe_stack_heap_bytes leaves nothing of pe_data_bytes; give less"
        )
    return spec
