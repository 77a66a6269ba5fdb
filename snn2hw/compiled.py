"""Compiled code that is cached on disk and never stale.

Numba's cache knows the file of a function, not those of the functions that it calls. So the module
that holds the compiled entry points is written to the user's cache under a name that is a digest of
all it is made from; the functions that it calls are not cached themselves.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
import platformdirs

from snn2hw.errors import DataError
from snn2hw.files import atomic


def load(name: str, text: str, files: Iterable[Path]) -> ModuleType:
    """The module with this text, from the cache where it has been compiled before.

    name: what it is for, part of the file's name; files: whatever the text imports and compiles
    with. Raises ImportError where Python cannot load the file.
    """
    digest = hashlib.sha256(text.encode())
    for file in files:
        digest.update(file.read_bytes())
    for part in (numba.__version__, np.__version__, platform.python_version(), platform.node()):
        digest.update(part.encode())
    name = f"snn2hw_{name}_{digest.hexdigest()[:16]}"
    folder = Path(platformdirs.user_cache_dir("snn2hw")) / "engines"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _write(folder / f"{name}.py", text)
    except (OSError, DataError):
        # A read-only home: compile again in every process.
        path = _write(Path(tempfile.mkdtemp(prefix="snn2hw-")) / f"{name}.py", text)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the generated module {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _write(path: Path, text: str) -> Path:
    if not path.is_file():
        with atomic(path) as part:
            part.write_text(text, encoding="utf-8")
    return path
