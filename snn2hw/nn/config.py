"""The file that says what is trained on what and how: YAML, checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from snn2hw.arguments import (
    ABOVE_ZERO,
    COUNT,
    SEED,
    FieldError,
    Limit,
    check_arguments,
    check_limits,
)
from snn2hw.data import DATASETS
from snn2hw.errors import FileFormatError, ParameterError
from snn2hw.nn.augment import Augment
from snn2hw.nn.models import MODELS, check_model
from snn2hw.nn.recipe import Recipe, Schedule
from snn2hw.plain_yaml import Loader

KEYS = ("data", "model", "quantize", "seed", "start", "store", "training")
ROLES = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the things that have a name, and the arguments for it."""

    name: str
    arguments: dict[str, Any]


BITS: dict[str, Limit] = {"limit": (lambda bits: 2 <= bits <= 8, "2 to 8")}


@dataclass(frozen=True, kw_only=True)
class IntegerTraining:
    """Training on the integers of a chip, after that in floats and on the same data.

    Dropout, reset noise, augmentation and batches are those of the training in floats.

    Attributes:
        bits: of all weights.
        epochs: passes over the training data.
        lr: peak of the one-cycle rate.
        calibration: training samples, evenly spaced, that set the ranges.
    """

    bits: int = field(default=8, metadata=BITS)
    epochs: int = field(metadata=COUNT)
    lr: float = field(metadata=ABOVE_ZERO)
    calibration: int = field(default=400, metadata=COUNT)

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class Start:
    """The checkpoint whose weights a training begins with.

    Attributes:
        said: its path as the config says it.
        path: where that is, seen from the config's folder.
    """

    said: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What is trained on what and how.

    Attributes:
        data: name in `snn2hw.data.DATASETS` and what its load function takes besides the split.
        splits: "train", and where there are such "validation" and "test", to the split's name.
        model: name in `snn2hw.nn.models.MODELS` and its arguments.
        training: the recipe.
        seed: of the initial weights and of training.
        store: type of the weights in the checkpoint; every accuracy is that of the stored ones.
        quantize: training on integers that follows; None: none does.
        start: weights to begin with; None: those that the seed draws.
    """

    data: Choice
    splits: dict[str, str]
    model: Choice
    training: Recipe
    seed: int = field(default=0, metadata=SEED)
    store: Literal["float32", "float16"] = "float32"
    quantize: IntegerTraining | None = None
    start: Start | None = None

    def __post_init__(self) -> None:
        """Refuse a seed out of its range."""
        check_limits(self)

    def plain(self) -> dict[str, Any]:
        """Return every choice, defaults included, as the file would say it."""
        return {
            "data": {"name": self.data.name, **self.splits, **self.data.arguments},
            "model": {"name": self.model.name, **self.model.arguments},
            "training": asdict(self.training),
            "seed": self.seed,
            "store": self.store,
            **({} if self.quantize is None else {"quantize": asdict(self.quantize)}),
            **({} if self.start is None else {"start": self.start.said}),
        }


def without_defaults(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `TrainingConfig.plain` gave, as JSON has it, without what is usual.

    Two of these are equal where the configs are, even if one is of a release that knew fewer
    choices.
    """
    usual = asdict(Recipe(epochs=1, lr=1.0, batch_size=1, augment=Augment()))
    found: dict[str, Any] = json.loads(json.dumps(plain))
    training = found["training"]
    for part in ("schedule", "augment"):
        if training.get(part):
            training[part] = _unusual(training[part], usual[part])
    needed = {key: training[key] for key in ("epochs", "lr", "batch_size")}
    found["training"] = needed | _unusual(training, usual | {"augment": None, "schedule": {}})
    return found


def _unusual(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != usual.get(key)}


def read_config(path: str | Path) -> TrainingConfig:
    """Read a config. Nothing in the file is run.

    Args:
        path: YAML with the mappings data, model and training, and with seed and store where those
            are not to be 0 and float32; quantize, a mapping, and start, the path of a checkpoint
            from the config's folder, may be there.

    Raises:
        FileFormatError: the file cannot be read, or is no YAML.
        ParameterError: an unknown key, a value of another type or an impossible one; with file,
            line and key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot read {path}: {error}") from None
    reader = _Reader(str(path), text)
    top = reader.mapping(reader.content, ())
    for key in ("data", "model", "training"):
        if key not in top:
            raise ParameterError(f"{path}: {key} is missing, give a mapping")
    for key in top:
        if key not in KEYS:
            raise reader.error((key,), f"there is no {key!r}, give one of {', '.join(KEYS)}")
    data = reader.mapping(top["data"], ("data",))
    splits = {role: data.pop(role) for role in ROLES if role in data}
    for role, split in splits.items():
        if not isinstance(split, str):
            raise reader.error(("data", role), f"{role} is {split!r}, give the name of a split")
    if "train" not in splits:
        raise reader.error(("data",), "train is missing, give the name of a split")
    training = reader.mapping(top["training"], ("training",))
    recipe = reader.recipe(training)
    with reader.at("training"):
        recipe.check_validation("validation" in splits)
    quantize = None
    if top.get("quantize") is not None:
        with reader.at("quantize"):
            said = reader.mapping(top["quantize"], ("quantize",))
            quantize = IntegerTraining(**check_arguments(IntegerTraining, said))
    start = None
    if (where := top.get("start")) is not None:
        if not isinstance(where, str):
            raise reader.error(("start",), f"start is {_short(where)}, give a checkpoint's path")
        start = Start(said=where, path=Path(path).parent / where)
    rest = {key: value for key, value in top.items() if key in ("seed", "store")}
    with reader.at():
        return TrainingConfig(
            data=reader.choice(data, "data", DATASETS),
            splits=splits,
            model=reader.model(reader.mapping(top["model"], ("model",))),
            training=recipe,
            quantize=quantize,
            start=start,
            **check_arguments(_Rest, rest),
        )


@dataclass(frozen=True, kw_only=True)
class _Rest:
    seed: int = 0
    store: Literal["float32", "float16"] = "float32"


class _Reader:
    """The content of a file and the line of each of its keys."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines: dict[tuple[str, ...], int] = {}
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            self._number(node, ())
            self.content = None if node is None else loader.construct_document(node)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise FileFormatError(f"{path}: is no YAML ({reason}), mend it") from None
        finally:
            loader.dispose()

    def _number(self, node: yaml.Node | None, place: tuple[str, ...]) -> None:
        if not isinstance(node, yaml.MappingNode) or len(place) > 3:
            return
        for key, value in node.value:
            here = (*place, str(key.value))
            if here in self.lines:
                self.lines[here] = key.start_mark.line + 1
                raise self.error(here, f"{key.value} is there twice, remove one")
            self.lines[here] = key.start_mark.line + 1
            self._number(value, here)

    def error(self, place: tuple[str, ...], problem: str) -> ParameterError:
        """Return the error, with the file, the nearest line that is known, and the section."""
        near = place
        while near and near not in self.lines:
            near = near[:-1]
        line = f" line {self.lines[near]}" if near else ""
        section = place[:-1] if place in self.lines or len(place) > 1 else place
        inside = f", {'.'.join(section)}" if section else ""
        return ParameterError(f"{self.path}{line}{inside}: {problem}")

    def at(self, *place: str) -> _At:
        """A context in which refused fields get their line."""
        return _At(self, place)

    def mapping(self, value: object, place: tuple[str, ...]) -> dict[str, Any]:
        """Return a copy of a mapping whose keys are texts."""
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            what = place[-1] if place else "the file"
            raise self.error(place, f"{what} is {_short(value)}, give a mapping of names to values")
        return dict(value)

    def choice(
        self, content: dict[str, Any], section: str, known: Mapping[str, Callable[..., Any]]
    ) -> Choice:
        """Return a name and its arguments, checked against the function of that name."""
        name = content.pop("name", None)
        if not isinstance(name, str) or name not in known:
            names = ", ".join(sorted(known))
            what = "is missing" if name is None else f"is {_short(name)}"
            raise self.error((section, "name"), f"name {what}, give one of {names}")
        with self.at(section):
            return Choice(name=name, arguments=check_arguments(known[name], content))

    def model(self, content: dict[str, Any]) -> Choice:
        """Return a model and its arguments, which it was found to take."""
        choice = self.choice(content, "model", MODELS)
        try:
            check_model(choice.name, choice.arguments)
        except ParameterError as error:
            said = str(error)
            about = next((key for key in choice.arguments if f"{key} is " in said), "name")
            raise self.error(("model", about), said.removeprefix("model: ")) from None
        return choice

    def recipe(self, content: dict[str, Any]) -> Recipe:
        """Return the recipe that a mapping says."""
        parts: dict[str, Any] = {}
        said = content.get("schedule")
        if isinstance(said, str):
            content["schedule"] = {"name": said}
        for key, kind in (("schedule", Schedule), ("augment", Augment)):
            if content.get(key) is not None:
                inner = self.mapping(content.pop(key), ("training", key))
                with self.at("training", key):
                    parts[key] = kind(**check_arguments(kind, inner))
        with self.at("training"):
            return Recipe(**parts, **check_arguments(Recipe, content))


class _At:
    def __init__(self, reader: _Reader, place: tuple[str, ...]) -> None:
        self.reader = reader
        self.place = place

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Give a refused field its line."""
        if isinstance(error, FieldError):
            raise self.reader.error((*self.place, error.name), error.problem) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:56]} ..."
