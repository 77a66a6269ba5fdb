"""An interrupted training as a file: plain values and tensors, nothing that runs on loading."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from snn2hw.errors import FileFormatError, ParameterError
from snn2hw.files import atomic

FORMAT = "snn2hw-training"
VERSION = 1


def save_state(path: Path, content: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write the state, whole or not at all. Raises DataError where the folder cannot be written."""
    head = {"format": FORMAT, "version": VERSION, "about": json.dumps(about, sort_keys=True)}
    with atomic(path) as part, part.open("wb") as file:
        torch.save(head | dict(content), file)


def load_state(path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Read the state of a training of the same things.

    Raises:
        FileFormatError: not such a file, or a broken one.
        ParameterError: a state of another config or of other data; the first difference is named.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise FileFormatError(f"{path}: cannot be read, remove it and train anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(f"{path}: is no {FORMAT}, name another output")
    if content.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: is of version {content.get('version')!r}, this release reads {VERSION};"
            " remove it and train anew"
        )
    there, here = json.loads(content["about"]), json.loads(json.dumps(about))
    if there != here:
        name, old, new = _difference(there, here, "")
        raise ParameterError(
            f"{path}: is of another training ({name} was {old!r} and is {new!r}), change it back or"
            " train anew"
        )
    return content


def _difference(there: Any, here: Any, name: str) -> tuple[str, Any, Any]:
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), f"{name}.{key}".lstrip("."))
    return name, there, here
