"""The YAML of configs and options: plain values, and 5e-3 is a number."""

from __future__ import annotations

import re
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """YAML, where 5e-3 is a number: YAML 1.1 wants 5.0e-3 and takes the other for a text."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse(text: str) -> Any:
    """Return the value that a text says. Nothing in it is run.

    Raises:
        ValueError: it is no YAML.
    """
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
