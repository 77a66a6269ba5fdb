"""What one sample looks like: spikes layer by layer, the answer as it forms, recorded states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from snn2hw.graph import by_input
from snn2hw.report.data import Section
from snn2hw.report.form import count, model
from snn2hw.report.traces import Band, lines, raster, running_mean

STATE_CURVES = 3
"""Neurons whose recorded state is drawn, the most active ones of a layer."""


def sample_view(section: Section, sample: int, marks: int) -> dict[str, Any]:
    """The template's variables for one sample. marks: events to draw in a band at most."""
    steps = section.run.activity.steps
    caption, outcome = _outcome(section, sample)
    return {
        "index": sample,
        "caption": caption,
        "outcome": outcome,
        "steps": steps,
        "bands": _bands(section, sample, marks),
        "answer": _answer(section, sample),
        "decode": "mean over time up to each step"
        if section.run.decode == "mean"
        else "output at each step",
        "states": _states(section, sample),
    }


def _bands(section: Section, sample: int, marks: int) -> list[Band]:
    run, bands = section.run, []
    if section.x is not None:
        for node, values in by_input(section.net.inputs, section.x):
            events = np.asarray(values)[sample]
            bands.append(_band(node.name, "input", events.reshape(len(events), -1), marks))
    for layer in section.net.layers:
        if layer.name in run.spikes:
            events = run.spikes.sample(layer.name, sample)
            bands.append(_band(layer.name, model(layer.model.name), events, marks))
    return bands


def _band(name: str, what: str, events: npt.NDArray[Any], marks: int) -> Band:
    n, total = events.shape[1], int(np.count_nonzero(events))
    unit = "channels" if what == "input" else "neurons"
    return raster(name, f"{what}, {n} {unit}, {count(total)} events", events, marks)


def _outcome(section: Section, sample: int) -> tuple[str, str]:
    """Name of the sample, and whether its answer is right ("" where no labels are known)."""
    if section.labels is None:
        return f"Sample {sample}", ""
    answer, truth = int(section.run.predictions[sample]), int(section.labels[sample])
    caption = f"Sample {sample}: answer {section.class_name(answer)}"
    if answer == truth:
        return f"{caption}, right", "good"
    return f"{caption}, true {section.class_name(truth)}", "bad"


def _answer(section: Section, sample: int) -> Markup:
    run = section.run
    values = run.output[sample].reshape(run.output.shape[1], -1) * run.output_unit
    shown = running_mean(values) if run.decode == "mean" else values
    answer = int(run.predictions[sample])
    truth = () if section.labels is None else (int(section.labels[sample]),)
    return lines("Answer over time", shown, strong=(answer,), dashed=truth)


def _states(section: Section, sample: int) -> list[tuple[str, Markup]]:
    figures = []
    for layer, states in section.run.state.items():
        for name, record in states.items():
            values = record[sample].reshape(record.shape[1], -1)
            busiest = np.argsort(-np.abs(values.astype(np.int64)).sum(axis=0), kind="stable")
            chosen = np.sort(busiest[:STATE_CURVES])
            unit = np.broadcast_to(section.net.layer(layer).units.get(name, 1.0), values.shape[1:])[
                chosen
            ]
            numbers = ", ".join(map(str, chosen.tolist()))
            label = f"{name} of {layer}, neurons {numbers} (the first in colour)"
            figures.append((label, lines(label, values[:, chosen] * unit, strong=(0,))))
    return figures
