"""The search of the quantiser: what the configuration leaves open, by what each layer emits.

For each layer, sources before listeners, candidates are made: weights rounded to the nearest or
compensated, their largest kept or clipped, biases corrected or not. The clipping of each row is the
one with the least error of the sums (as neurons see them, in traces); which candidate is taken
is decided by the error of what the layer emits on calibration data, against the float layer fed
with the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from snn2hw.graph import Population, Projection
from snn2hw.linear import with_weight
from snn2hw.neurons.base import FloatArray, Incoming, IntegerLayer
from snn2hw.passes.config import LayerConfig, WeightConfig
from snn2hw.passes.search_evidence import Evidence, emission_error, emitted, gram_of
from snn2hw.passes.search_rounding import Compensated, Gram
from snn2hw.passes.search_trim import best_trim, trimmed

CLIPS = tuple(float(np.round(c, 2)) for c in np.arange(1.0, 0.19, -0.05))
"""Shares of the largest weight that are tried, all of it first."""

NUDGES = (0.9, 1.1, 0.8, 1.25)
"""Factors by which the clipping of single neurons is then tried to be changed."""

GAIN = 0.98
"""A candidate replaces a simpler one if its error is below this share of the other's."""

COMPENSATIONS_MAX = 2e8
"""Operations of compensated rounding beyond which its clipping is that of nearest rounding."""

Integers = npt.NDArray[np.int64]
Make = Callable[[Sequence[Incoming]], IntegerLayer]


class Rounding:
    """How the weights of a projection are rounded as a configuration says, from the evidence."""

    def __init__(self, population: Population, projection: Projection, sent: FloatArray) -> None:
        """sent: real messages, (batch, time, n_in)."""
        self.projection = projection
        self.gram: Gram | None = gram_of(population, projection, sent)
        self.mean = sent.mean(axis=(0, 1))
        self._compensated: Compensated | None = None
        self._clips: dict[tuple[bool, bool], tuple[float, ...] | float] = {}

    @property
    def compensated(self) -> Compensated | None:
        """The rounder, made on first use; None where there is none for this map."""
        if self._compensated is None and self.gram is not None:
            self._compensated = Compensated(self.gram)
        return self._compensated

    def mean_of(self, errors: FloatArray) -> FloatArray:
        """What errors of the weights add to each sum on average."""
        return np.asarray(with_weight(self.projection.map, errors).apply(self.mean[None])[0])

    def best_clip(self, incoming: Incoming, shared: bool) -> tuple[float, ...] | float:
        """The clipping of each row (or of all, where they share a step) with the least error."""
        rounder = incoming.rounder
        key = (rounder is not None, shared)
        if key in self._clips:
            return self._clips[key]
        rows = len(incoming.weight)
        if rounder is not None and incoming.weight.size * rows_of(incoming) > COMPENSATIONS_MAX:
            rounder = None
        weight = (incoming.weight * incoming.message_unit).reshape(rows, -1)
        best, least = np.ones(rows), np.full(rows, np.inf)
        for clip in CLIPS:
            steps = replace(incoming, clip=clip).steps(shared=shared)[:, None]
            scaled = np.divide(weight, steps, out=np.zeros_like(weight), where=steps != 0)
            if rounder is None:
                mantissa = np.clip(np.rint(scaled), -incoming.limit, incoming.limit)
            else:
                mantissa = rounder(scaled, incoming.limit)
            errors = mantissa * steps - weight
            error = np.square(errors).sum(axis=1) if self.gram is None else self.gram.error(errors)
            if shared:
                error = np.full(rows, error.sum())
            better = error < least
            best[better], least[better] = clip, error[better]
        self._clips[key] = float(best[0]) if shared else tuple(float(c) for c in best)
        return self._clips[key]


def configure(
    incoming: Incoming, said: WeightConfig, corrected: bool, how: Rounding | None
) -> Incoming:
    """A projection with everything that a resolved configuration says about it.

    corrected: whether biases make up for its errors; how: from the evidence, which compensated
    rounding and corrected biases need.
    """
    clip = 1.0 if said.clip is None else said.clip
    return replace(
        incoming,
        bits=incoming.bits if said.bits is None else said.bits,
        scale=said.scale,
        clip=np.array(clip) if isinstance(clip, tuple) else clip,
        exponent=said.exponent,
        rounder=how.compensated if how and said.rounding == "compensated" else None,
        mean_of=how.mean_of if how and corrected else None,
    )


def rows_of(incoming: Incoming) -> int:
    """Number of inputs of each row."""
    return incoming.weight.size // max(len(incoming.weight), 1)


@dataclass(frozen=True)
class Choice:
    """What the search decides about a layer and the groups that arrive, and by which error."""

    layer: LayerConfig
    groups: tuple[WeightConfig, ...]
    error: float
    plain: float


class LayerSearch:
    """The candidates of one layer, held against what the float layer emits."""

    def __init__(
        self,
        population: Population,
        incoming: Sequence[Incoming],
        messages: Sequence[Integers],
        roundings: Sequence[Rounding],
        evidence: Evidence,
        make: Make,
    ) -> None:
        """incoming: the projections, in order, as ``quantize`` of the model takes them; messages:
        the integers that each carries, (batch, time, n_in); make: from configured projections to
        the layer's integers."""
        self.population, self.incoming, self.roundings = population, incoming, roundings
        self.make = make
        projections = [rounding.projection for rounding in roundings]
        self.arriving = list(zip(projections, messages, strict=True))
        output = population.model.main_output.name
        self.wanted = evidence.messages[population.name, output]
        # Where all share a unit, rows cannot be clipped one by one.
        self.shared = population.model.shares_unit

    def best(self, layer: LayerConfig, groups: Sequence[WeightConfig]) -> Choice:
        """The best candidate of those that the configuration leaves open."""
        first = self._candidate(groups, "nearest", False, clipped=False)
        corrections = [False, True] if layer.bias_correction is None else [layer.bias_correction]
        best, best_corrected = first, corrections[0]
        least = self._errors(first, best_corrected)
        plain = float(least.sum())
        for rounding in ("nearest", "compensated"):
            for corrected in corrections:
                for clipped in (False, True):
                    tried = self._candidate(groups, rounding, corrected, clipped)
                    errors = self._errors(tried, corrected)
                    if errors.sum() < GAIN * least.sum():
                        best, best_corrected, least = tried, corrected, errors
        if not self.shared:
            best, least = self._nudged(groups, best, best_corrected, least)
        decided = replace(layer, bias_correction=best_corrected)
        if layer.trim is None:
            made = self._made(best, best_corrected)
            trim = best_trim(self.population, made, self._emitted, self.wanted)
            decided = replace(decided, trim=trim)
            if trim != 0:
                got = self._emitted(trimmed(self.population, made, trim))
                least = emission_error(self.population, got, self.wanted)
        return Choice(decided, best, float(least.sum()), plain)

    def _candidate(
        self, groups: Sequence[WeightConfig], rounding: str, corrected: bool, clipped: bool
    ) -> tuple[WeightConfig, ...]:
        found = []
        for p, how, said in zip(self.incoming, self.roundings, groups, strict=True):
            named = said.rounding or (rounding if how.gram is not None else "nearest")
            group = replace(said, rounding=named)
            if said.clip is None:
                group = replace(group, clip=1.0)
                if clipped:
                    own = not self.shared and said.scale != "layer"
                    given = configure(p, group, corrected, how)
                    group = replace(group, clip=how.best_clip(given, shared=not own))
            found.append(group)
        return tuple(found)

    def _made(self, groups: Sequence[WeightConfig], corrected: bool) -> IntegerLayer:
        configured = [
            configure(p, group, corrected, how)
            for p, how, group in zip(self.incoming, self.roundings, groups, strict=True)
        ]
        return self.make(configured)

    def _emitted(self, made: IntegerLayer) -> FloatArray:
        return emitted(self.population, made, self.arriving)

    def _errors(self, groups: Sequence[WeightConfig], corrected: bool) -> FloatArray:
        got = self._emitted(self._made(groups, corrected))
        return emission_error(self.population, got, self.wanted)

    def _nudged(
        self,
        groups: Sequence[WeightConfig],
        best: tuple[WeightConfig, ...],
        corrected: bool,
        least: FloatArray,
    ) -> tuple[tuple[WeightConfig, ...], FloatArray]:
        """Neuron by neuron, a clipping that lets it emit what it should still better."""
        open_rows = [said.clip is None and said.scale != "layer" for said in groups]
        if not any(open_rows):
            return best, least
        start = [self._rows(k, group) for k, group in enumerate(best)]
        now = [rows.copy() for rows in start]
        kept, before = least, least.sum()
        for factor in NUDGES:
            tried = [
                np.minimum(rows * factor, 1.0) if free else rows
                for rows, free in zip(start, open_rows, strict=True)
            ]
            errors = self._errors(self._clipped(best, tried, open_rows), corrected)
            for k, free in enumerate(open_rows):
                if free:
                    better = self._by_row(k, errors) < GAIN * self._by_row(k, least)
                    now[k][better] = tried[k][better]
            least = np.where(errors < GAIN * least, errors, least)
        final = self._clipped(best, now, open_rows)
        errors = self._errors(final, corrected)
        return (final, errors) if errors.sum() < before else (best, kept)

    def _rows(self, k: int, group: WeightConfig) -> FloatArray:
        rows = len(self.incoming[k].weight)
        return np.broadcast_to(np.array(group.clip, dtype=np.float64), (rows,)).copy()

    def _by_row(self, k: int, errors: FloatArray) -> FloatArray:
        """Errors of neurons for each row of a projection: its channel's, or its neuron's."""
        rows, n = len(self.incoming[k].weight), errors.size
        if rows < n:
            return np.asarray(errors.reshape(rows, -1).sum(axis=1))
        return np.tile(errors, rows // n)

    @staticmethod
    def _clipped(
        groups: Sequence[WeightConfig], rows: Sequence[FloatArray], free: Sequence[bool]
    ) -> tuple[WeightConfig, ...]:
        return tuple(
            replace(group, clip=tuple(float(np.round(c, 4)) for c in clip)) if is_free else group
            for group, clip, is_free in zip(groups, rows, free, strict=True)
        )
