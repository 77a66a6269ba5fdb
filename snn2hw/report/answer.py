"""What the page shows, as JSON: the schema is ``report.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw import __version__
from snn2hw.errors import DataError
from snn2hw.files import atomic
from snn2hw.graph import FixedPointNetwork
from snn2hw.report.chip import Chip, Figure
from snn2hw.report.data import ReportData, Section

EVENTS = 50_000
"""Events of a layer and sample that are written one by one at most; beyond, counts stand alone."""

VERSION = 1
"""Of the format; a change that breaks readers raises it."""


def write_json(path: str | Path, data: ReportData) -> Path:
    """Write the report as JSON. Appears whole or not at all; returns the path.

    Raises DataError where it cannot be written.
    """
    text = json.dumps(report_dict(data), indent=1, allow_nan=False, default=_plain)
    with atomic(path) as part:
        part.write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _plain(value: Any) -> Any:
    """Numbers of NumPy as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise DataError(f"the report holds a {type(value).__name__}, which JSON has not; give numbers")


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of ``report_dict``."""
    file = resources.files("snn2hw.report") / "report.schema.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def report_dict(data: ReportData) -> dict[str, Any]:
    """The report as JSON types. Energies in joules, times in seconds, counts per inference."""
    chips = {chip.name: chip for section in data.sections for chip in section.chips}
    return {
        "format": "snn2hw report",
        "format_version": VERSION,
        "snn2hw": __version__,
        "title": data.title,
        "description": data.description,
        "networks": [_section(section) for section in data.sections],
        "chips": [_chip(chip) for chip in chips.values()],
        "reproduce": {
            "commands": list(data.commands),
            "versions": dict(data.versions),
            "seeds": dict(data.seeds),
            "sources": dict(data.sources),
            "made": data.made,
        },
    }


def _section(section: Section) -> dict[str, Any]:
    run, comparison, metrics = section.run, section.against, section.metrics
    return {
        "title": section.title,
        "description": section.description,
        "network": _network(section.net),
        "samples": run.activity.samples,
        "steps": run.activity.steps,
        "accuracy": {"float": section.accuracy_float, "fixed": section.accuracy},
        "verification": _verification(section),
        "overflows": {
            name: {"wraps": int(o.wraps), "clips": int(o.clips)}
            for name, o in run.overflows.items()
        },
        "activity": _activity(section),
        "metrics": None if metrics is None else metrics.to_dict(),
        "bills": [bill.to_dict() for bill in section.bills],
        "comparison": None if comparison is None else comparison.to_dict(),
        "not_compared": section.not_compared,
        "placements": [chip.to_dict() for chip in section.chips],
        "shown": [_sample(section, sample) for sample in section.shown],
    }


def _network(net: FixedPointNetwork) -> dict[str, Any]:
    return {
        "target": net.target,
        "dt_s": float(net.dt_s),
        "method": net.method,
        "latency_steps": int(net.latency),
        "decode": net.decode,
        "rounding": net.rounding,
        "source_sha256": net.source_hash,
        "inputs": [
            {"name": node.name, "shape": _ints(node.shape), "bits": int(node.bits)}
            for node in net.inputs
        ],
        "layers": [
            {"name": layer.name, "neuron": layer.model.name, "shape": _ints(layer.shape)}
            for layer in net.layers
        ],
        "synapses": [
            {
                "name": synapse.name,
                "source": synapse.source,
                "target": synapse.target,
                "kind": synapse.map.kind,
                "weights": _ints(synapse.mantissa.shape),
                "exponent": int(synapse.exponent),
                "delay_steps": int(synapse.delay),
                "chip_delay_steps": int(synapse.chip_delay),
            }
            for synapse in net.synapses
        ],
        "rounded": list(net.notes),
    }


def _ints(shape: tuple[int, ...]) -> list[int]:
    return [int(n) for n in shape]


def _verification(section: Section) -> dict[str, Any]:
    check = section.check
    if check is None:
        return {"done": False, "why_not": section.not_verified}
    return {
        "done": True,
        "ok": bool(check.ok),
        "backend": check.backend,
        "compared": int(check.compared),
        "mismatches": int(check.mismatches),
        "first_mismatch": None if check.first_mismatch is None else str(check.first_mismatch),
        "seconds": float(check.seconds),
    }


def _activity(section: Section) -> dict[str, Any]:
    """Counts per inference, by layer and by group of synapses."""
    activity = section.run.activity
    return {
        "spikes": activity.spikes / activity.samples,
        "synaptic_operations": activity.synops / activity.samples,
        "layers": [
            {
                "name": layer.name,
                "neuron": layer.model,
                "neurons": int(layer.neurons),
                "updates": float(layer.updates.mean()),
                "idle_updates": float(layer.idle_updates.mean()),
                "spikes": float(layer.spikes.mean()),
                "messages": float(layer.messages.mean()),
                "overflows_in_run": int(layer.wraps.sum() + layer.clips.sum()),
            }
            for layer in activity.layers
        ],
        "synapses": [
            {
                "name": group.name,
                "graded": bool(group.graded),
                "message_bits": int(group.message_bits),
                "weights": int(group.weights),
                "weights_nonzero": int(group.weights_nonzero),
                "messages_in": float(group.messages_in.mean()),
                "synaptic_operations": float(group.synops.mean()),
                "synaptic_operations_nonzero": float(group.synops_nonzero.mean()),
            }
            for group in activity.synapses
        ],
    }


def _sample(section: Section, sample: int) -> dict[str, Any]:
    run = section.run
    return {
        "sample": sample,
        "answer": int(run.predictions[sample]),
        "label": None if section.labels is None else int(section.labels[sample]),
        "events": {
            layer.name: _events(run.spikes.sample(layer.name, sample))
            for layer in section.net.layers
            if layer.name in run.spikes
        },
    }


def _events(sent: npt.NDArray[Any]) -> dict[str, Any]:
    """How many in each step, and which (step and neuron) where they are not too many."""
    steps, neurons = np.nonzero(sent)
    few = len(steps) <= EVENTS
    return {
        "per_step": np.count_nonzero(sent, axis=1).tolist(),
        "steps": steps.tolist() if few else None,
        "neurons": neurons.tolist() if few else None,
    }


def _chip(chip: Chip) -> dict[str, Any]:
    return {
        "name": chip.name,
        "title": chip.title,
        "grades": dict(chip.grades or {}),
        "figures": [_figure(figure) for figure in chip.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {
        key: getattr(figure, key) for key in ("name", "value", "unit", "grade", "source", "note")
    }
    found["conflicts"] = [_figure(other) for other in figure.others]
    return found
