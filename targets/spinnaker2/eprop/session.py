"""A session: a learner, its data in order, and a checkpoint from which a killed run goes on.

Position, history and memory are one file, renamed into place, so no sample is lost or learned
twice: what came after the last checkpoint comes again, and is the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.targets.spinnaker2.eprop import checkpoint
from snn2hw.targets.spinnaker2.eprop.checkpoint import Checkpoint, differences
from snn2hw.targets.spinnaker2.eprop.learner import Learner
from snn2hw.targets.spinnaker2.eprop.network import Floats

Labels: TypeAlias = npt.NDArray[np.int64]

CHUNK_S = 0.25
"""Work between two looks at progress and interruption."""

SAVE_S = 10.0
"""Work between two checkpoints, unless so many samples are asked for."""


@dataclass(frozen=True)
class Samples:
    """Labelled samples. x: (batch, time, n_in); y: int64 (batch,)."""

    x: npt.NDArray[Any]
    y: Labels

    def __len__(self) -> int:
        """Samples."""
        return len(self.y)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(repr((self.x.dtype.str, self.x.shape)).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        digest.update(np.ascontiguousarray(self.y).data)
        return digest.hexdigest()


@dataclass
class History:
    """What happened. loss, correct: of each sample in the order of learning, judged before it was
    learned; validation: accuracy before the first epoch and after each, empty without such data;
    saturated: after each epoch, see ``Learner.saturated``."""

    loss: Floats = field(default_factory=lambda: np.zeros(0))
    correct: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    validation: list[float] = field(default_factory=list)
    saturated: list[int] = field(default_factory=list)


class Session:
    """Learning of all samples in so many epochs.

    learner: fresh; order_seed: epoch e learns the permutation that NumPy's generator of
    [order_seed, e] draws, or the samples as they stand if None; validation: judged before, and
    after each epoch; path: of the checkpoint, None for none; every: samples from one checkpoint to
    the next, None for about ``SAVE_S`` of work.
    """

    def __init__(
        self,
        learner: Learner,
        data: Samples,
        *,
        epochs: int = 1,
        order_seed: int | None = 0,
        validation: Samples | None = None,
        path: str | Path | None = None,
        every: int | None = None,
    ) -> None:
        """See the class."""
        self.learner, self.data, self.epochs = learner, data, epochs
        self.order_seed, self.validation = order_seed, validation
        self.path, self.every = path, every
        self.history = History()
        self._identity = {
            "data": data.digest,
            "validation": validation.digest if validation else "",
            "order": "as it stands" if order_seed is None else f"shuffled, seed {order_seed}",
        }

    @property
    def total(self) -> int:
        """Samples to learn, each epoch's counted."""
        return self.epochs * len(self.data)

    @property
    def position(self) -> int:
        """Samples learned."""
        return self.learner.samples

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Indices of the samples of an epoch."""
        if self.order_seed is None:
            return np.arange(len(self.data))
        return np.random.default_rng([self.order_seed, epoch]).permutation(len(self.data))

    def resume(self, remedy: str = "begin anew") -> None:
        """Go on from the checkpoint. remedy: what to do if it is not this session's.

        Raises DataError for one of another network, rule, data or order, FileFormatError for a
        damaged or foreign file.
        """
        if self.path is None:
            raise DataError("this session has no checkpoint; name a path")
        found = checkpoint.read(self.path)
        told = differences(found, self.learner.network, self.learner.rule)
        if found.session:
            told += self._other(found.session)
        else:
            told.append("it is a learner's own, without data and order")
        if told:
            raise DataError(
                f"{self.path} is the checkpoint of another run: {'; '.join(told)}; {remedy}"
            )
        history = self._history(found)
        checkpoint.restore(found, self.learner, self.path)
        self.history = history

    def _other(self, said: Mapping[str, Any]) -> list[str]:
        told = []
        for key, what in (("data", "data"), ("validation", "validation data")):
            if said.get(key) != self._identity[key]:
                told.append(f"it has other {what}")
        if said.get("order") != self._identity["order"]:
            told.append(f"its order is {said.get('order')}, not {self._identity['order']}")
        return told

    def _history(self, found: Checkpoint) -> History:
        learned, epochs = found.clock[0], found.clock[0] // len(self.data)
        if learned > self.total:
            raise DataError(
                f"{self.path} has learned {learned} samples, and {self.total} are asked for; ask "
                f"for at least {-(-learned // len(self.data))} epochs, or begin anew"
            )
        try:
            history = History(
                loss=found.arrays["loss"].astype(np.float64),
                correct=found.arrays["correct"].astype(bool),
                validation=[float(value) for value in found.arrays["validation"]],
                saturated=[int(value) for value in found.arrays["saturated"]],
            )
        except (LookupError, ValueError, TypeError) as error:
            raise FileFormatError(f"{self.path}: damaged ({error}); begin anew") from None
        judged = epochs + 1 if self.validation else 0
        lengths = [len(v) for v in vars(history).values()]
        if lengths != [learned, learned, judged, epochs]:
            raise FileFormatError(
                f"{self.path}: damaged (a history of {lengths} for {learned} samples); begin anew"
            )
        return history

    def save(self) -> None:
        """Write the checkpoint, if there is a path. Raises DataError where that cannot be."""
        if self.path is not None:
            arrays = {name: np.asarray(values) for name, values in vars(self.history).items()}
            checkpoint.save(self.learner, self.path, self._identity, arrays)

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> bool:
        """Learn what is left; whether all of it was.

        progress: called with the number of samples just learned; stopped: asked between chunks of
        ``CHUNK_S``; if it says so, a checkpoint is written and False returned. Raises
        ParameterError where learning diverges, leaving the last checkpoint.
        """
        if self.validation and not self.history.validation:
            self._validate()
        chunk, saved, saved_at = 1, self.position, time.monotonic()
        while self.position < self.total:
            epoch, first = divmod(self.position, len(self.data))
            last = min(first + chunk, len(self.data))
            if self.every is not None:
                last = min(last, first + saved + self.every - self.position)
            began = time.monotonic()
            self._learn(self.order(epoch)[first:last])
            took = max(time.monotonic() - began, 1e-6)
            chunk = max(1, min(2 * chunk, int((last - first) * CHUNK_S / took)))
            if last == len(self.data):
                self.history.saturated.append(self.learner.saturated)
                if self.validation:
                    self._validate()
            if progress is not None:
                progress(last - first)
            stop = stopped is not None and stopped()
            since = self.position - saved
            late = time.monotonic() - saved_at >= SAVE_S
            if stop or (late if self.every is None else since >= self.every):
                self.save()
                saved, saved_at = self.position, time.monotonic()
            if stop and self.position < self.total:
                return False
        self.save()
        return True

    def _learn(self, picked: npt.NDArray[np.int64]) -> None:
        position = self.position
        learned = self.learner.learn(self.data.x[picked], self.data.y[picked])
        bad = np.flatnonzero(~np.isfinite(learned.loss))
        finite = all(np.all(np.isfinite(values)) for values in self.learner.weights.values())
        if len(bad) or not finite:
            what = f"the loss of sample {position + int(bad[0])} is" if len(bad) else "weights are"
            raise ParameterError(
                f"{what} not finite: learning diverged; "
                f"lower learning_rate ({self.learner.rule.learning_rate:g})"
            )
        if learned.correct is None:
            raise DataError("samples have no labels; a session learns classes")
        self.history.loss = np.concatenate([self.history.loss, learned.loss])
        self.history.correct = np.concatenate([self.history.correct, learned.correct])

    def _validate(self) -> None:
        if self.validation:
            answers = self.learner.predict(self.validation.x).argmax(1)
            self.history.validation.append(float(np.mean(answers == self.validation.y)))
