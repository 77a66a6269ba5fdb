"""Numbers as text. Each is written beside its exact value: ``<data value="...">text</data>``."""

from __future__ import annotations

import math

from markupsafe import Markup

NARROW_SPACE = "\u202f"
NONE = "\u2014"
"""Stands where there is no number."""

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def joules(value: float) -> str:
    """Three digits and an SI prefix: 1.17e-3 is "1.17 mJ"."""
    return _prefixed(value, "J")


def seconds(value: float) -> str:
    """The same of a time: 6e-2 is "60.0 ms"."""
    return _prefixed(value, "s")


def price(value: float, per_second: bool) -> str:
    """A price of an event in joules, or a power in watts."""
    return _prefixed(value, "W" if per_second else "J")


def _prefixed(value: float, unit: str) -> str:
    if value == 0:
        return f"0{NARROW_SPACE}{unit}"
    for scale, prefix in _PREFIXES:
        # 0.9995 rounds to 1.00, which belongs to this prefix and not to the next.
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale)}{NARROW_SPACE}{prefix}{unit}"
    return f"{_digits(value / 1e-15)}{NARROW_SPACE}f{unit}"


def count(value: float) -> str:
    """A count, averaged over samples or not: "1 234", "12.5" (one decimal below 1000)."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", NARROW_SPACE)
    return f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.2g}"


def size(n_bytes: float) -> str:
    """Bytes in KB or MB of 1024: "32 KB", "1 MB"."""
    kilo = n_bytes / 1024
    value, unit = (kilo / 1024, "MB") if kilo >= 1024 else (kilo, "KB")
    return f"{value:g}{NARROW_SPACE}{unit}"


def model(name: str) -> str:
    """Name of a neuron model as readers know it: abbreviations in capitals."""
    return name.upper() if len(name) <= 4 else name


def percent(fraction: float) -> str:
    """A fraction as percent with one decimal."""
    return f"{100 * fraction:.1f}{NARROW_SPACE}%"


def points(difference: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}"
    text = "±0.0" if float(text) == 0 else text.replace("-", "\u2212")
    return f"{text} points"


def data(value: float, text: str) -> Markup:
    """The text, with the exact value for whoever reads the page by program."""
    return Markup('<data value="{}">{}</data>').format(repr(value), text)


def _digits(value: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(abs(value) * 1.0005)))
    return f"{value:.{decimals}f}"
