"""Check values that come from a file against the signature or the fields that they are for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from snn2hw.errors import ParameterError

Limit = tuple[Callable[[Any], bool], str]
"""Whether a value is allowed, and what is, in words: the metadata "limit" of a field."""

ABOVE_ZERO: dict[str, Limit] = {"limit": (lambda value: value > 0, "a number above 0")}
NOT_NEGATIVE: dict[str, Limit] = {"limit": (lambda value: value >= 0, "0 or more")}
FRACTION: dict[str, Limit] = {"limit": (lambda value: 0 <= value < 1, "a number from 0 to below 1")}
COUNT: dict[str, Limit] = {"limit": (lambda value: value >= 1, "a whole number of at least 1")}
SEED_MAX = 2**63 - 1
SEED: dict[str, Limit] = {"limit": (lambda value: 0 <= value <= SEED_MAX, "0 or more, below 2**63")}


class FieldError(ParameterError):
    """A value that is refused, and the name that it was given by, from which a file's line follows.

    Attributes:
        name: of the argument or field.
        problem: what is wrong and what to do, without the name of the place.
    """

    def __init__(self, name: str, problem: str, where: str = "") -> None:
        """Say `problem`, after `where`."""
        super().__init__(f"{where}: {problem}" if where else problem)
        self.name = name
        self.problem = problem


def check_arguments(
    function: Callable[..., object], arguments: Mapping[str, object], where: str = ""
) -> dict[str, Any]:
    """Return the arguments, as the types that the function's keyword arguments are annotated with.

    A whole number serves as a float, and a list as a tuple. Annotations other than int, float,
    bool, str, None, Literal, tuple, list, Sequence and unions of those are left to the function.

    Args:
        function: its keyword-only arguments, or those with a default, may be given, and those
            without one must; a class stands for its constructor.
        arguments: name to value.
        where: what stands in front of an error.

    Raises:
        FieldError: a name that the function does not have, a value of another type, or nothing for
            an argument that needs it.
    """
    hints = get_type_hints(function)
    parameters = {
        name: p
        for name, p in inspect.signature(function).parameters.items()
        if p.kind is p.KEYWORD_ONLY or p.default is not p.empty
    }
    given = {}
    for name, value in arguments.items():
        if name not in parameters:
            known = ", ".join(sorted(parameters))
            hint = f"give one of {known}" if known else "leave it out"
            raise FieldError(name, f"there is no {name!r}, {hint}", where)
        try:
            given[name] = _as(hints.get(name, object), value)
        except ValueError as error:
            raise FieldError(name, f"{name} is {value!r}, give {error}", where) from error
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in given:
            raise FieldError(name, f"{name} is missing, give it", where)
    return given


def check_limits(item: Any, where: str = "") -> None:
    """Check a dataclass whose fields have limits in their metadata; None is always allowed.

    Raises:
        FieldError: a value beyond its limit, or a number that is not finite.
    """
    for field in fields(item):
        value = getattr(item, field.name)
        if value is None:
            continue
        allowed, wanted = field.metadata.get("limit", (lambda _: True, "a finite number"))
        if (isinstance(value, float) and not math.isfinite(value)) or not allowed(value):
            raise FieldError(field.name, f"{field.name} is {value!r}, give {wanted}", where)


def check_seed(seed: object, where: str = "", name: str = "seed") -> int:
    """Return the seed of random numbers, one that NumPy, torch and HDF5 all take.

    Raises:
        FieldError: it is not a whole number from 0 to 2**63 - 1.
    """
    allowed, wanted = SEED["limit"]
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not allowed(seed):
        raise FieldError(name, f"{name} is {seed!r}, give {wanted}", where)
    return int(seed)


def _as(kind: Any, value: Any) -> Any:
    """Return the value as the annotation says, or raise ValueError with what it wants."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        wanted = []
        for one in inner:
            try:
                return _as(one, value)
            except ValueError as error:
                wanted.append(str(error))
        raise ValueError(" or ".join(wanted))
    if origin is Literal:
        if not any(value == one and type(value) is type(one) for one in inner):
            raise ValueError(" or ".join(map(repr, inner)))
        return value
    if origin in (tuple, list, Sequence):
        return _sequence(origin, inner, value)
    if kind is type(None) or kind is None:
        if value is not None:
            raise ValueError("null")
    elif kind in (int, float, bool, str):
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
            # a word such as no
            quoted = " (in quotes: YAML has it as true or false)" if isinstance(value, bool) else ""
            raise ValueError(names[kind] + (quoted if kind is str else ""))
        return kind(value)
    return value


def _sequence(origin: Any, inner: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("a list")
    if origin is tuple and Ellipsis not in inner:
        if len(value) != len(inner):
            raise ValueError(f"a list of {len(inner)}")
        return tuple(_as(kind, one) for kind, one in zip(inner, value, strict=True))
    try:
        found = [_as(inner[0], one) for one in value]
    except ValueError as error:
        raise ValueError(f"{error} for each") from None
    return found if origin is Sequence else origin(found)
