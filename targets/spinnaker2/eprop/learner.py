"""Learner: a network on the PEs of a SpiNNaker2 that learns by e-prop, one sample at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.compiled import load
from snn2hw.errors import DataError, GraphError, ParameterError
from snn2hw.targets.spec import TargetSpec
from snn2hw.targets.spinnaker2.eprop import checkpoint, regions
from snn2hw.targets.spinnaker2.eprop.memory import UNIT, Words, lay_out, place, to_words
from snn2hw.targets.spinnaker2.eprop.network import Floats, network
from snn2hw.targets.spinnaker2.eprop.rule import Rule, default_rule
from snn2hw.targets.spinnaker2.eprop.tables import GRADIENT, LEARN, PREDICT, How, Net
from snn2hw.targets.spinnaker2.spec import spinnaker2


@dataclass(frozen=True)
class Learned:
    """What happened to samples while they were learned, each judged before its own update at its
    end. loss: (batch,); output: (batch, n_out), mean over time; correct: (batch,) bool, or None
    where targets are no labels."""

    loss: Floats
    output: Floats
    correct: npt.NDArray[np.bool_] | None


@cache
def kernels() -> ModuleType:
    """The compiled kernels (about a minute on first use, cached on disk)."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "exp_unit.py"]
    text = (here / "kernels.py").read_text(encoding="utf-8")
    return load("eprop", text, [file for file in files if file.name in COMPILED])


COMPILED = (
    "changes.py",
    "exp_unit.py",
    "gated.py",
    "leaky.py",
    "regions.py",
    "tables.py",
    "ticks.py",
    "traces.py",
    "words.py",
)
"""Files that the kernels are made of."""


class Learner:
    """A network that predicts and learns.

    graph: nir.NIRGraph (see ``network``); rule: None for that of ``default_rule``;
    dt: time step in seconds; pes: PEs to use, None for the fewest that fit; method,
    reset: as for ``snn2hw.lower``. What does not fit is in ``placement.violations``; it runs all
    the same.

    Raises GraphError and ParameterError for graphs and rules that do not go together.
    """

    def __init__(
        self,
        graph: Any,
        rule: Rule | None = None,
        *,
        dt: float = 1e-3,
        pes: int | None = None,
        method: str = "euler",
        reset: str = "value",
        spec: TargetSpec | None = None,
    ) -> None:
        """See the class."""
        if type(graph).__name__ != "NIRGraph":
            raise GraphError(
                f"a {type(graph).__name__} is no graph; give a nir.NIRGraph, as snn2hw.read gives"
            )
        self.network = network(graph, dt, method, reset)
        if rule is None:
            rule = default_rule(graph)
        kind = type(graph.nodes[self.network.nodes["neuron"]]).__name__
        if rule.trace == "current" and kind != "ALIF":
            raise ParameterError(
                f"rule: trace 'current' (Rostami et al. 2022) is one of ALIF neurons, and "
                f"{self.network.nodes['neuron']!r} is a {kind}; use trace 'exact'"
            )
        self.rule, self.method, self.reset = rule, method, reset
        self.placement = place(self.network, rule, spec or spinnaker2(), pes)
        self.memory = lay_out(self.network, rule, self.placement)
        self._unit = UNIT[rule.arithmetic]
        self._clock = np.array([0, 0, rule.seed], dtype=np.int64)
        self._net, self._how, self._real = self._tables()
        self._packets = np.zeros(self.network.n + 1, dtype=np.int32)
        self._set_weights(self.network.weights)
        self._set_feedback()
        self.rates = np.full(self.network.n, rule.rate_target_hz * dt)

    # What is known and asked for.

    @property
    def samples(self) -> int:
        """Samples learned so far."""
        return int(self._clock[0])

    @property
    def clock(self) -> tuple[int, int, int]:
        """Samples learned, steps of the optimiser, seed."""
        samples, updates, seed = self._clock.tolist()
        return samples, updates, seed

    def set_clock(self, clock: tuple[int, int, int]) -> None:
        """Go on from there; for checkpoints."""
        self._clock[:] = clock

    @property
    def weights(self) -> dict[str, Floats]:
        """Weights as the PEs hold them, float64, by the names of ``Network.weights``."""
        return self._by_name(self.memory.words)

    @property
    def feedback(self) -> Floats:
        """Feedback weights, (n, n_out)."""
        return self.memory.rows(regions.FEEDBACK, self.network.n_out) * self._unit

    @property
    def rates(self) -> Floats:
        """Running mean of each neuron's spikes per step, (n,), for the rate regulariser."""
        return self.memory.rows(regions.RATE, 1)[:, 0] * self._unit

    @rates.setter
    def rates(self, values: npt.ArrayLike) -> None:
        rates = np.asarray(values, dtype=np.float64)
        if rates.shape != (self.network.n,) or not np.all(np.isfinite(rates)):
            raise DataError(f"rates have shape {rates.shape}; give {self.network.n} finite numbers")
        self.memory.put(regions.RATE, self._words(rates[:, None]))

    @property
    def saturated(self) -> int:
        """Weights, moments and sums of the last sample that are at the limit of s16.15."""
        if self.rule.arithmetic != "s16.15":
            return 0
        shape = self.memory.shape
        hidden = [regions.W, regions.TOTAL] + [regions.M1, regions.M2] * bool(shape.moments)
        readout = [regions.OW] + [regions.OM1, regions.OM2] * bool(shape.moments)
        if shape.online:
            hidden.remove(regions.TOTAL)
        found = [self.memory.rows(place, shape.row) for place in hidden]
        found += [self.memory.rows(place, shape.readout_row, readout=True) for place in readout]
        top = np.iinfo(np.int32).max
        return sum(int(np.count_nonzero(np.abs(words) >= top)) for words in found)

    def graph(self) -> Any:
        """The graph (nir.NIRGraph) with the weights as they are now."""
        return self.network.with_weights(self.weights)

    def predict(self, x: npt.ArrayLike) -> Floats:
        """Mean output of each sample, (batch, n_out); x: (batch, time, n_in). Nothing is learned.

        Raises DataError for data that do not fit.
        """
        data = self._data(x)
        labels = np.zeros(len(data), dtype=np.int64)
        return self._run(data, labels, self._no_targets(), PREDICT)[0]

    def learn(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Learned:
        """Learn samples, one after the other.

        x: (batch, time, n_in); y: (batch,) labels from 0, or for the squared error also
        (batch, time, n_out) targets. Raises DataError for data that do not fit.
        """
        data = self._data(x)
        labels, targets = self._goals(y, data)
        output, loss = self._run(data, labels, targets, LEARN)
        correct = None if np.ndim(y) > 1 else output.argmax(1) == labels
        return Learned(loss, output, correct)

    def gradients(self, x: npt.ArrayLike, y: npt.ArrayLike) -> dict[str, Floats]:
        """The gradient of one sample, by the names of ``weights``; nothing is learned.

        x: (time, n_in); y: a label, or (time, n_out) targets. Raises DataError for data that do not
        fit, and ParameterError for a rule without one gradient for the sample.
        """
        if self.rule.update == "step":
            raise ParameterError(
                "rule: with update 'step' there is no one gradient of a sample; use 'sample'"
            )
        data = self._data(np.asarray(x)[None])
        labels, targets = self._goals(np.asarray(y)[None], data)
        grads = np.zeros_like(self.memory.words)
        self._run(data, labels, targets, GRADIENT, grads)
        scale = 2.0**-8 if self.rule.arithmetic == "s16.15" else 1.0
        return {name: values * scale for name, values in self._by_name(grads).items()}

    def check(self, x: npt.ArrayLike) -> None:
        """Raise DataError for data, (batch, time, n_in), that do not fit, before any are used."""
        self._data(x)

    # Kept for another day.

    def save(self, path: str | Path) -> None:
        """Write a checkpoint (see ``checkpoint``). Raises DataError where that cannot be."""
        checkpoint.save(self, path)

    @classmethod
    def resume(
        cls,
        path: str | Path,
        graph: Any,
        rule: Rule | None = None,
        *,
        pes: int | None = None,
        spec: TargetSpec | None = None,
    ) -> Learner:
        """The learner of a checkpoint, to the bit, on as many PEs as are asked for.

        graph: the one that learning began with; rule: None for the checkpoint's own. Raises
        DataError for another network or rule, FileFormatError for a damaged or foreign file.
        """
        found = checkpoint.read(path)
        learner = cls(
            graph,
            found.rule if rule is None else rule,
            dt=found.dt_s,
            pes=pes,
            method=found.method,
            reset=found.reset,
            spec=spec,
        )
        checkpoint.restore(found, learner, path)
        return learner

    # What the kernels need.

    def _run(
        self,
        x: Words,
        labels: npt.NDArray[np.int64],
        targets: Words,
        mode: int,
        grads: Words | None = None,
    ) -> tuple[Floats, Floats]:
        memory = self.memory
        out = np.zeros((len(x), self.network.n_out))
        loss = np.zeros(len(x))
        if grads is None:
            grads = np.zeros(1, dtype=memory.words.dtype)
        kernels().run_samples(
            memory.words,
            memory.ints,
            memory.at,
            memory.parts,
            memory.strides,
            self._net,
            self._how,
            self._real,
            self._clock,
            x,
            labels,
            targets,
            mode,
            out,
            loss,
            self._packets,
            grads,
        )
        return out, loss

    def _tables(self) -> tuple[Net, How, Floats]:
        net, rule, shape = self.network, self.rule, self.memory.shape
        bias = int("input_bias" in net.weights)
        sizes = Net(
            n_in=net.n_in,
            n=net.n,
            n_out=net.n_out,
            row=shape.row,
            sensitive=shape.sensitive,
            inputs=shape.inputs,
            readout_row=shape.readout_row,
            coefficients=shape.coefficients,
            block=shape.block,
            recurrent=net.n_in + bias if "recurrent" in net.weights else -1,
            bias=bias,
            bias_out=int("output_bias" in net.weights),
            surrogate=rule.number("surrogate"),
            gated=net.gated,
            adapts=shape.adapts,
            each=shape.each,
            current=rule.trace == "current",
            filters=shape.filters,
            weighted=shape.at_end and not shape.filters,
            online=shape.online,
            at_end=shape.at_end,
        )
        how = How(
            feedback=rule.number("feedback"),
            adam=rule.optimizer == "adam",
            squared=rule.loss == "mean_squared_error",
            stochastic=rule.rounding == "stochastic",
        )
        real = np.array(
            [
                rule.learning_rate,
                rule.beta1,
                rule.beta2,
                rule.epsilon,
                rule.l2,
                rule.feedback_decay,
                rule.rate_strength,
                rule.rate_target_hz * net.dt_s,
                rule.rate_horizon,
                net.kappa,
                rule.height,
            ]
        )
        return sizes, how, real

    def _words(self, values: npt.ArrayLike) -> Words:
        return to_words(values, self.memory.words.dtype, self._unit)

    def _set_weights(self, weights: Any) -> None:
        net = self.network
        parts = [weights["input"]]
        if "input_bias" in weights:
            parts.append(weights["input_bias"][:, None])
        if net.gated:
            gates = weights["gates"].reshape(4, net.n, 2 * net.n)
            biases = weights["gates_bias"].reshape(4, net.n, 1)
            for gate, gate_bias in zip(gates, biases, strict=True):
                parts += [gate, gate_bias]
        elif "recurrent" in weights:
            parts.append(weights["recurrent"])
        self.memory.put(regions.W, self._words(np.concatenate(parts, axis=1)))
        out = [weights["output"]]
        if "output_bias" in weights:
            out.append(weights["output_bias"][:, None])
        self.memory.put(regions.OW, self._words(np.concatenate(out, axis=1)), readout=True)

    def _set_feedback(self) -> None:
        if self.rule.feedback == "symmetric":
            values = self.network.weights["output"].T
        else:
            rng = np.random.default_rng(self.rule.seed)
            values = rng.standard_normal((self.network.n, self.network.n_out))
        self.memory.put(regions.FEEDBACK, self._words(values))

    def _by_name(self, words: Words) -> dict[str, Floats]:
        """Rows of weights, or of their gradients, taken apart."""
        net, shape, memory = self.network, self.memory.shape, self.memory
        kept, memory.words = memory.words, words
        hidden = memory.rows(regions.W, shape.row) * self._unit
        readout = memory.rows(regions.OW, shape.readout_row, readout=True) * self._unit
        memory.words = kept
        found = {"input": hidden[:, : net.n_in]}
        at = net.n_in
        if "input_bias" in net.weights:
            found["input_bias"] = hidden[:, at]
            at += 1
        if net.gated:
            gates = hidden[:, at:].reshape(net.n, 4, 2 * net.n + 1).transpose(1, 0, 2)
            found["gates"] = gates[:, :, :-1].reshape(4 * net.n, 2 * net.n)
            found["gates_bias"] = gates[:, :, -1].ravel()
        elif "recurrent" in net.weights:
            found["recurrent"] = hidden[:, at:]
        found["output"] = readout[:, : net.n]
        if "output_bias" in net.weights:
            found["output_bias"] = readout[:, net.n]
        return {name: np.ascontiguousarray(values) for name, values in found.items()}

    # Data.

    def _data(self, x: npt.ArrayLike) -> Words:
        data = np.asarray(x)
        if data.dtype.kind not in "biuf":
            raise DataError(f"data have dtype {data.dtype}; give numbers")
        if data.ndim != 3 or data.shape[2] != self.network.n_in or data.shape[1] == 0:
            raise DataError(
                f"data have shape {data.shape}; the network takes (batch, time, "
                f"{self.network.n_in}) with at least one step"
            )
        if not np.all(np.isfinite(data)):
            sample = int(np.argwhere(~np.isfinite(data))[0, 0])
            raise DataError(f"data hold NaN or infinity, first in sample {sample}; clean them")
        return self._words(data)

    def _no_targets(self) -> Words:
        return np.zeros((1, 1, self.network.n_out), dtype=self.memory.words.dtype)

    def _goals(self, y: npt.ArrayLike, x: Words) -> tuple[npt.NDArray[np.int64], Words]:
        goals, k = np.asarray(y), self.network.n_out
        if self.rule.loss == "mean_squared_error" and goals.ndim == 3:
            if goals.shape != (*x.shape[:2], k):
                raise DataError(
                    f"targets have shape {goals.shape}; give labels or {(*x.shape[:2], k)}"
                )
            if not np.all(np.isfinite(goals)):
                raise DataError("targets hold NaN or infinity; clean them")
            if self.rule.error == "sample":
                goals = goals.mean(axis=1, keepdims=True)
            return np.zeros(len(x), dtype=np.int64), self._words(goals)
        if goals.shape != (len(x),) or goals.dtype.kind not in "iu":
            raise DataError(
                f"labels have shape {goals.shape} and type {goals.dtype}; give {len(x)} integers"
            )
        if len(goals) and not (goals.min() >= 0 and goals.max() < k):
            bad = int(np.flatnonzero((goals < 0) | (goals >= k))[0])
            raise DataError(
                f"the label of sample {bad} is {goals[bad]} and the network has {k} outputs; give "
                f"0 to {k - 1}"
            )
        labels = goals.astype(np.int64)
        if self.rule.loss == "cross_entropy":
            return labels, self._no_targets()
        return labels, self._words(np.eye(k)[labels][:, None])
