"""What ``compare`` finds: outcomes, layers, and one sample to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.analysis.measures import LayerErrors
from snn2hw.neurons.base import FloatArray


@dataclass(frozen=True)
class Outcome:
    """What a classifier reads, against floats. accuracy: fraction right, None without labels;
    agreement: fraction of samples with the answer of floats; error: RMS of the difference of the
    logits over the RMS of the float logits (NaN where those are zero and the others are not)."""

    accuracy: float | None
    agreement: float
    error: float


@dataclass(frozen=True)
class LayerComparison:
    """One layer.

    whole, own: how far it is from floats within the integer network, and as the only layer of
    integers, fed by floats; only, without: the answers with this layer alone as integers, and with
    all but this one; wraps, clips: of its registers in the integer network; by_step: there, the
    fraction of its main output's entries that agree at each step, (time,).
    """

    name: str
    model: str
    neurons: int
    whole: LayerErrors
    own: LayerErrors
    only: Outcome
    without: Outcome
    wraps: int
    clips: int
    by_step: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Portrait:
    """One sample of one layer, for a picture.

    neuron: the one that diverges first; spikes: whether the main output is; floats, integers: of
    that output, real, (time, n); trace: name of the neuron's potential, and that of both, (time,).
    """

    layer: str
    sample: int
    neuron: int
    spikes: bool
    floats: FloatArray
    integers: FloatArray
    trace: tuple[str, FloatArray, FloatArray] | None


@dataclass(frozen=True)
class Comparison:
    """Result of ``compare``.

    floats, fixed: the float network and the integer network; inputs: input -> what comes of floats
    when only its data are rounded, for inputs of real values; limited: input values beyond the
    range of calibration; portraits: of the sample that diverges first, every layer; notes: what
    the reader must know.
    """

    samples: int
    steps: int
    floats: Outcome
    fixed: Outcome
    layers: tuple[LayerComparison, ...]
    inputs: Mapping[str, Outcome]
    limited: int
    portraits: tuple[Portrait, ...]
    notes: tuple[str, ...]

    def layer(self, name: str) -> LayerComparison:
        """The comparison of that layer (KeyError if there is none)."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer named {name!r}")

    @property
    def culprit(self) -> LayerComparison | None:
        """The layer whose integers alone change the output most; None where none changes it."""
        worst = max(self.layers, key=lambda layer: _sortable(layer.only.error))
        return worst if worst.only.error != 0 else None

    @property
    def diverged(self) -> LayerComparison | None:
        """The layer that leaves the floats at the earliest step, the first in order of those."""
        found = [layer for layer in self.layers if layer.whole.first is not None]
        return min(found, key=lambda a: a.whole.first.step if a.whole.first else 0, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the portraits as JSON types; infinite and undefined numbers are None."""
        plain = {
            "samples": self.samples,
            "steps": self.steps,
            "floats": vars(self.floats),
            "fixed": vars(self.fixed),
            "culprit": None if self.culprit is None else self.culprit.name,
            "diverged_first": None if self.diverged is None else self.diverged.name,
            "limited_inputs": self.limited,
            "inputs": {name: vars(outcome) for name, outcome in self.inputs.items()},
            "layers": [_layer_dict(layer) for layer in self.layers],
            "notes": list(self.notes),
        }
        finite: dict[str, Any] = _finite(plain)
        return finite


def _sortable(error: float) -> float:
    """An error as a key: what cannot be measured counts as worst."""
    return float("inf") if np.isnan(error) else error


def _layer_dict(layer: LayerComparison) -> dict[str, Any]:
    def errors(found: LayerErrors) -> dict[str, Any]:
        return {
            "spikes": None if found.spikes is None else vars(found.spikes),
            "states": {name: vars(state) for name, state in found.states.items()},
            "first_divergence": None if found.first is None else vars(found.first),
        }

    return {
        "layer": layer.name,
        "model": layer.model,
        "neurons": layer.neurons,
        "in_the_integer_network": errors(layer.whole),
        "alone": errors(layer.own),
        "only_this_layer": vars(layer.only),
        "all_but_this_layer": vars(layer.without),
        "wraps": layer.wraps,
        "clips": layer.clips,
        "agreement_by_step": layer.by_step.tolist(),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
