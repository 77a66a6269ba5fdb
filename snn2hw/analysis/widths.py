"""The search for widths of weights worth having: accuracy against memory and energy.

Few layers are searched exhaustively: every combination of widths. Many are searched greedily, from
the widest on: of all layers, the one is narrowed by a bit that leaves the best accuracy, then the
smallest output error, then the fewest bytes; until all are the narrowest. Equal widths everywhere
are looked at in either case. Everything is judged on validation data, and nothing is random: the
same call gives the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.analysis.width_nets import Assembler, Widths, weight_bytes
from snn2hw.energy import estimate
from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.files import atomic
from snn2hw.graph import Data, FixedPointNetwork

FORMAT, VERSION = "snn2hw-widths", 1
BITS_MIN, BITS_MAX = 2, 8
EXHAUSTIVE_MAX = 400
"""Combinations that are all tried unless told otherwise: three layers of seven widths."""

STRATEGIES = ("auto", "exhaustive", "greedy")
PROFILE = "cmos45-horowitz2014"
NUMBERS = ("score", "error", "memory_bytes", "energy_j")

Progress = Callable[[int, int, "Point"], None]
"""Told how many points are known, at most how many there will be, and the newest."""


@dataclass(frozen=True)
class Point:
    """One choice of widths on validation data.

    bits: layer -> bits of the weights into it; score: fraction right, or, without labels, of
    answers as in floats; error: RMS of the difference of the logits from floats over the RMS of the
    float logits; memory_bytes: of all weights; energy_j: per inference, by ``PROFILE``, to three
    digits, since an estimate's fourth decides nothing.
    """

    bits: Mapping[str, int]
    score: float
    error: float
    memory_bytes: int
    energy_j: float

    def beaten_by(self, other: Point) -> bool:
        """Whether the other is as good in everything and better in something."""
        pairs = (
            (-self.score, -other.score),
            (self.memory_bytes, other.memory_bytes),
            (self.energy_j, other.energy_j),
        )
        return all(b <= a for a, b in pairs) and any(b < a for a, b in pairs)


@dataclass(frozen=True)
class Judge:
    """Validation data: x, real; logits of the floats (samples, classes); labels or None."""

    x: Data
    float_logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.integer[Any]] | None

    @property
    def float_score(self) -> float:
        """The score of the float network."""
        return self._score(self.float_logits)

    def point(self, net: FixedPointNetwork, bits: Mapping[str, int]) -> Point:
        """Run a network and judge it."""
        run = net.run(net.encode(self.x))
        logits = run.logits.reshape(len(run.logits), -1)
        bill = estimate(run.activity, profile=PROFILE, net=net)
        signal = float(np.sqrt(np.mean(self.float_logits**2)))
        noise = float(np.sqrt(np.mean((logits - self.float_logits) ** 2)))
        return Point(
            bits=dict(bits),
            score=self._score(logits),
            error=noise / signal if signal else noise,
            memory_bytes=weight_bytes(net),
            energy_j=float(f"{bill.priced_j:.3g}"),
        )

    def _score(self, logits: npt.NDArray[np.float64]) -> float:
        wanted = self.float_logits.argmax(axis=1) if self.labels is None else self.labels
        return float(np.mean(logits.argmax(axis=1) == wanted))


@dataclass
class Search:
    """A search that can be stopped at any time and goes on from its file.

    assembler: makes the networks; judge: validation data; low, high: widths in bits; strategy: one
    of ``STRATEGIES``; identity: what the points depend on (hashes of model and data, and the like),
    JSON types; path: of its file, written after every point, or None; known: widths -> point.

    Raises ParameterError for impossible widths or an unknown strategy.
    """

    assembler: Assembler
    judge: Judge
    low: int = BITS_MIN
    high: int = BITS_MAX
    strategy: str = "auto"
    identity: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    known: dict[Widths, Point] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the settings and resolve the strategy."""
        if not BITS_MIN <= self.low <= self.high <= BITS_MAX:
            raise ParameterError(
                f"widths {self.low} to {self.high} are impossible; give {BITS_MIN} to {BITS_MAX} "
                "bits, the narrower first"
            )
        if self.strategy not in STRATEGIES:
            raise ParameterError(
                f"strategy {self.strategy!r} is unknown; use one of {', '.join(STRATEGIES)}"
            )
        if self.strategy == "auto":
            fits = self.combinations <= EXHAUSTIVE_MAX
            self.strategy = "exhaustive" if fits else "greedy"

    @property
    def combinations(self) -> int:
        """How many choices of widths there are."""
        return int((self.high - self.low + 1) ** len(self.assembler.layers))

    @property
    def most(self) -> int:
        """How many points the search looks at, at most."""
        if self.strategy == "exhaustive":
            return self.combinations
        layers, steps = len(self.assembler.layers), self.high - self.low
        return min(self.combinations, 1 + steps + layers * steps * layers)

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point that was looked at, the widest weights first."""
        return tuple(point for _, point in sorted(self.known.items(), reverse=True))

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other beats; see ``front``."""
        return front(self.points)

    @property
    def score(self) -> str:
        """What the points' score is, in words."""
        return "answers as in floats" if self.judge.labels is None else "accuracy"

    def smallest(self, loss: float = 0.01) -> Point:
        """Of the points that lose at most ``loss`` of the best score, the one of least memory."""
        best = max(point.score for point in self.points)
        fine = [point for point in self.points if point.score >= best - loss - 1e-12]
        return min(fine, key=lambda p: (p.memory_bytes, p.energy_j, -p.score))

    def resume(self) -> int:
        """Take what is known from the file, if there is one; returns the number of points.

        Raises FileFormatError for a file that is none of ours, DataError for one of another search.
        """
        if self.path is None or not self.path.exists():
            return 0
        found = read(self.path)
        mine = json.loads(json.dumps(self._head()))
        for key, value in mine.items():
            if found.get(key) != value:
                raise DataError(
                    f"{self.path} holds a search that differs in {key}; name another file, or give "
                    "--restart to begin anew"
                )
        for entry in found["points"]:
            point = Point(**{key: entry[key] for key in Point.__dataclass_fields__})
            if set(point.bits) != set(self.assembler.layers):
                raise _foreign(self.path)
            self.known[tuple(point.bits[name] for name in self.assembler.layers)] = point
        return len(self.known)

    def run(self, progress: Progress | None = None) -> tuple[Point, ...]:
        """Look at all points, in order; returns the front (see ``front``)."""
        steps = self._exhaustive() if self.strategy == "exhaustive" else self._greedy()
        for point in steps:
            if progress is not None:
                progress(len(self.known), self.most, point)
        self._write(complete=True)
        return self.front

    def to_dict(self, complete: bool = True) -> dict[str, Any]:
        """What the file holds: settings, and every point with whether it is on the front."""
        best = {id(point) for point in self.front}
        return self._head() | {
            "complete": complete,
            "floats": self.judge.float_score,
            "points": [asdict(point) | {"front": id(point) in best} for point in self.points],
        }

    def _head(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "layers": list(self.assembler.layers),
            "widths": [self.low, self.high],
            "strategy": self.strategy,
            "score": self.score,
            "energy_profile": PROFILE,
            "identity": dict(self.identity),
        }

    def _write(self, complete: bool) -> None:
        if self.path is None:
            return
        with atomic(self.path) as part:
            part.write_text(json.dumps(self.to_dict(complete), indent=1), encoding="utf-8")

    def _look(self, widths: Widths) -> Point:
        point = self.known.get(widths)
        if point is None:
            net = self.assembler.network(widths)
            point = self.judge.point(net, self.assembler.bits(widths))
            self.known[widths] = point
            self._write(complete=False)
        return point

    def _equal(self) -> Iterator[Point]:
        for width in range(self.high, self.low - 1, -1):
            yield self._look((width,) * len(self.assembler.layers))

    def _exhaustive(self) -> Iterator[Point]:
        yield from self._equal()
        widths = range(self.high, self.low - 1, -1)
        for choice in product(widths, repeat=len(self.assembler.layers)):
            yield self._look(choice)

    def _greedy(self) -> Iterator[Point]:
        yield from self._equal()
        now: Widths = (self.high,) * len(self.assembler.layers)
        while any(width > self.low for width in now):
            tried: dict[Widths, Point] = {}
            for k, width in enumerate(now):
                if width > self.low:
                    narrower = (*now[:k], width - 1, *now[k + 1 :])
                    tried[narrower] = self._look(narrower)
                    yield tried[narrower]
            now = max(
                tried, key=lambda w: (tried[w].score, -tried[w].error, -tried[w].memory_bytes)
            )


def front(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points that no other beats in score, memory and energy together; of equals the first.

    Smallest memory first.
    """
    kept: list[Point] = []
    for point in points:
        same = any(
            (p.score, p.memory_bytes, p.energy_j)
            == (point.score, point.memory_bytes, point.energy_j)
            for p in kept
        )
        if not same and not any(point.beaten_by(other) for other in points):
            kept.append(point)
    return tuple(sorted(kept, key=lambda p: (p.memory_bytes, p.energy_j)))


def read(path: str | Path) -> dict[str, Any]:
    """The file of a search. Raises FileFormatError where it is none."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _foreign(path) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _foreign(path)
    if found.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: version {found.get('version')!r}, and this snn2hw reads {VERSION}; give "
            "--restart to begin anew"
        )
    points = found.get("points")
    if not isinstance(points, list) or not all(map(_is_point, points)):
        raise _foreign(path)
    return found


def _is_point(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("bits"), dict):
        return False
    numbers = [*entry["bits"].values(), *(entry.get(key) for key in NUMBERS)]
    return all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)


def _foreign(path: str | Path) -> FileFormatError:
    return FileFormatError(f"{path} is no search of 'snn2hw widths'; name another file")
