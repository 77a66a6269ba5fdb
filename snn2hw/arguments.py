"""Check keyword arguments that come from a file against the signature of what they are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from snn2hw.errors import ParameterError


def check_arguments(
    function: Callable[..., object], arguments: Mapping[str, object], where: str
) -> dict[str, Any]:
    """Return the arguments, as the types that the function's keyword arguments are annotated with.

    A whole number serves as a float, and a list as a tuple. Annotations other than int, float,
    bool, str, None, Literal, tuple, list and unions of those are left to the function.

    Args:
        function: its keyword-only arguments, or those with a default, may be given.
        arguments: name to value.
        where: what stands in front of an error, the place in a file say.

    Raises:
        ParameterError: a name that the function does not have, or a value of another type.
    """
    hints = get_type_hints(function)
    allowed = [
        name
        for name, p in inspect.signature(function).parameters.items()
        if p.kind is p.KEYWORD_ONLY or p.default is not p.empty
    ]
    given = {}
    for name, value in arguments.items():
        if name not in allowed:
            known = f"give one of {', '.join(sorted(allowed))}" if allowed else "leave it out"
            raise ParameterError(f"{where}: there is no {name!r}, {known}")
        try:
            given[name] = _as(hints.get(name, object), value)
        except ValueError as error:
            raise ParameterError(f"{where}: {name} is {value!r}, give {error}") from error
    return given


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
    if origin in (tuple, list):
        return _sequence(origin, inner, value)
    if kind is type(None) or kind is None:
        if value is not None:
            raise ValueError("null")
    elif kind in (int, float, bool, str):
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
            raise ValueError(names[kind])
        return kind(value)
    return value


def _sequence(origin: Any, inner: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("a list")
    if origin is tuple and Ellipsis not in inner:
        if len(value) != len(inner):
            raise ValueError(f"a list of {len(inner)}")
        return tuple(_as(kind, one) for kind, one in zip(inner, value, strict=True))
    return origin(_as(inner[0], one) for one in value)
