"""Floats against integers on the page: which layer loses what, and one sample to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from snn2hw.analysis.measures import LayerErrors
from snn2hw.analysis.results import Comparison, LayerComparison, Outcome, Portrait
from snn2hw.report import form
from snn2hw.report.traces import lines, marks_of

MARKS = 20_000
"""Spikes drawn in the raster of one layer at most."""

View = dict[str, Any]


def comparison_view(found: Comparison) -> View:
    """The template's variables of a comparison."""
    labelled = found.fixed.accuracy is not None
    finite = [_number(o.error) for layer in found.layers for o in (layer.only, layer.without)]
    widest = max([*finite, _number(found.fixed.error)], default=0.0) or 1.0
    culprit, first = found.culprit, found.diverged
    return {
        "labelled": labelled,
        "samples": form.count(found.samples),
        "fixed": _percent(found.fixed.error),
        "agreement": _percent(found.fixed.agreement),
        "verdict": None
        if culprit is None
        else {
            "layer": culprit.name,
            "only": _percent(culprit.only.error),
            "without": _percent(culprit.without.error),
        },
        "rounded": [(name, _percent(outcome.error)) for name, outcome in found.inputs.items()],
        "first": None if first is None else f"{first.name}: {first.whole.first}",
        "layers": [_layer(layer) for layer in found.layers],
        "outcomes": [
            (f"{name} (input)", [*_outcome(outcome, labelled), *[form.NONE] * (2 + labelled)])
            for name, outcome in found.inputs.items()
        ]
        + [
            (layer.name, [*_outcome(layer.only, labelled), *_outcome(layer.without, labelled)])
            for layer in found.layers
        ],
        "bars": [
            {
                "name": layer.name,
                "only": _percent(layer.only.error),
                "only_width": f"{100 * _number(layer.only.error) / widest:.4g}",
                "without": _percent(layer.without.error),
                "without_width": f"{100 * _number(layer.without.error) / widest:.4g}",
            }
            for layer in found.layers
        ],
        "states": [row for layer in found.layers for row in _states(layer)],
        "sample": found.portraits[0].sample if found.portraits else 0,
        "pictures": [
            _picture(portrait, found.layer(portrait.layer)) for portrait in found.portraits
        ],
        "limited": form.count(found.limited) if found.limited else "",
        "notes": found.notes,
    }


def _layer(layer: LayerComparison) -> list[Any]:
    spikes, first = layer.whole.spikes, layer.whole.first
    cells: list[Any] = [layer.name, form.model(layer.model)]
    if spikes is None:
        cells += [form.NONE] * 4
    else:
        cells += [
            _percent(spikes.agreement),
            _percent(spikes.matched),
            _percent(spikes.rate_error),
            f"{form.count(spikes.floats)} → {form.count(spikes.integers)}",
        ]
    cells += [form.count(layer.wraps), form.count(layer.clips)]
    where = "" if first is None else f"step {first.step}, sample {first.sample}, neuron "
    return [*cells, form.NONE if first is None else f"{where}{first.neuron}"]


def _outcome(outcome: Outcome, labelled: bool) -> list[Any]:
    cells = [_percent(outcome.agreement), _percent(outcome.error)]
    return [_percent(outcome.accuracy or 0.0), *cells] if labelled else cells


def _states(layer: LayerComparison) -> list[tuple[str, str, Any, Any, str, str]]:
    def ratio(errors: LayerErrors, name: str) -> Any:
        value = errors.states[name].snr_db
        if np.isinf(value):
            return "exact"
        return form.NONE if np.isnan(value) else form.data(value, f"{value:.1f}")

    return [
        (
            layer.name,
            name,
            ratio(layer.own, name),
            ratio(layer.whole, name),
            f"{errors.rms:.3g}",
            f"{errors.largest:.3g}",
        )
        for name, errors in layer.whole.states.items()
    ]


def _picture(portrait: Portrait, layer: LayerComparison) -> View:
    apart = 1 - layer.by_step
    peak = float(apart.max(initial=0.0))
    figures: list[tuple[str, Markup]] = []
    if portrait.spikes:
        figures.append(_raster(portrait))
    if peak:
        label = (
            f"Entries of {layer.name} that differ at each step, all samples: "
            f"at most {form.percent(peak)}"
        )
        figures.append((label, lines(label, apart[:, None], strong=(0,))))
    name, floats, integers = portrait.trace or (
        layer.name,
        portrait.floats[:, portrait.neuron],
        portrait.integers[:, portrait.neuron],
    )
    what = name if portrait.trace else "output"
    label = f"{what} of neuron {portrait.neuron} in integers, and dashed in floats"
    both = np.stack([integers, floats], axis=1)
    figures.append((label, lines(label, both, strong=(0,), dashed=(1,))))
    return {"layer": layer.name, "figures": figures}


def _raster(portrait: Portrait) -> tuple[str, Markup]:
    """Spikes of both in one raster, those of one alone in colours of their own."""
    floats, integers = portrait.floats != 0, portrait.integers != 0
    total = int(np.count_nonzero(floats | integers))
    stride = max(1, -(-total // MARKS))
    lost, gained = floats & ~integers, integers & ~floats
    paths = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(kind, marks_of(_rows(events, stride)))
        for kind, events in (("both", floats & integers), ("lost", lost), ("gained", gained))
    )
    steps, n = floats.shape
    rows = len(range(0, n, stride))
    svg = Markup(
        '<svg class="raster" viewBox="0 0 {} {}" preserveAspectRatio="none" style="height:{}px" '
        'role="img" aria-label="Spikes of {} in floats and in integers">{}</svg>'
    ).format(max(1, steps), max(1, rows), min(180, max(36, 5 * rows)), portrait.layer, paths)
    both, left, new = (form.count(int(a.sum())) for a in (floats & integers, lost, gained))
    label = f"{both} spikes in both, {left} in floats alone, {new} in integers alone"
    return label + (f" (every {stride}th neuron drawn)" if stride > 1 else ""), svg


def _rows(events: npt.NDArray[np.bool_], stride: int) -> npt.NDArray[np.bool_]:
    return events[:, ::stride]


def _number(error: float) -> float:
    return error if np.isfinite(error) else 0.0


def _percent(fraction: float) -> Any:
    if not np.isfinite(fraction):
        return form.NONE
    digits = 2 if abs(fraction) < 0.0995 or 0.99 <= fraction < 1 else 1
    text = f"{100 * fraction:.{digits}f}{form.NARROW_SPACE}%"
    return form.data(fraction, text)
