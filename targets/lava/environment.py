"""The Python 3.10 environment in which Lava runs: found, made on first use, checked, repaired.

lava-nc 0.10.0 declares Python >=3.10,<3.11 and numpy <2, so it cannot live beside snn2hw. In order:

1. the interpreter that SNN2HW_LAVA_PYTHON names (one with Intel's Loihi extension, say);
2. an environment that an earlier call made in the user's cache, under a name that carries the
   versions;
3. a new one there: from a Python 3.10 of this machine if there is one, else from one that uv
   downloads; it is made under a temporary name, checked, and renamed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import findpython
import platformdirs
import uv

from snn2hw.errors import BackendError

VARIABLE = "SNN2HW_LAVA_PYTHON"
LAVA_VERSION = "0.10.0"
PYTHON_VERSION = (3, 10)
REQUIREMENTS = (f"lava-nc=={LAVA_VERSION}", "numpy<2")
NAME = f"lava-{LAVA_VERSION}-py{PYTHON_VERSION[0]}.{PYTHON_VERSION[1]}"

CHECK_TIMEOUT_S = 120.0
INSTALL_TIMEOUT_S = 900.0
LOCK_TIMEOUT_S = 1200.0

PROBE = """
import sys
from importlib.metadata import version
import numpy, lava.proc.lif.models, lava.proc.dense.models
print(*sys.version_info[:3], sep=".")
print(version("lava-nc"))
print(numpy.__version__)
"""

REMEDY = f"run `snn2hw doctor --repair`, or set {VARIABLE} to a Python with lava-nc {LAVA_VERSION}"


@dataclass(frozen=True)
class LavaEnvironment:
    """An interpreter that imports Lava. origin: where it comes from, for people to read."""

    python: Path
    lava: str
    python_version: str
    numpy: str
    origin: str


@dataclass(frozen=True)
class Diagnosis:
    """One line of ``snn2hw doctor``: remedy is empty where ``ok``."""

    check: str
    ok: bool
    detail: str
    remedy: str


def location() -> Path:
    """Folder of the environment that we make, in the user's cache."""
    return Path(platformdirs.user_cache_dir("snn2hw", appauthor=False)) / NAME


def find() -> LavaEnvironment | None:
    """The environment that would be used, if there is one already; makes nothing.

    Raises BackendError where SNN2HW_LAVA_PYTHON names an interpreter that does not import Lava.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return probe(Path(named), f"named by {VARIABLE}")
    python = _python_in(location())
    if not python.exists():
        return None
    try:
        return probe(python, f"made earlier in {location()}")
    except BackendError:
        return None


def ensure() -> LavaEnvironment:
    """The environment, made first if need be (a minute, mostly download).

    Raises BackendError where it cannot be made or does not import Lava.
    """
    environment = find()
    if environment is not None:
        return environment
    with _lock():
        # Another process may have made it while this one waited.
        return find() or _make()


def repair() -> LavaEnvironment:
    """Throw away the environment in the cache and make it again; returns a named one as it is."""
    if os.environ.get(VARIABLE):
        return ensure()
    with _lock():
        return _make()


def diagnose() -> list[Diagnosis]:
    """What ``snn2hw doctor`` says about Lava, in order; makes nothing and raises nothing."""
    lines: list[Diagnosis] = []
    named = os.environ.get(VARIABLE)
    try:
        environment = find()
    except BackendError as error:
        return [Diagnosis("Lava environment", False, str(error), f"correct or unset {VARIABLE}")]
    if not named:
        python = base_python() or (environment and environment.python)
        remedy = f"`snn2hw doctor --repair` downloads one; offline, install it or set {VARIABLE}"
        detail = str(python or "none on this machine")
        lines.append(Diagnosis("Python 3.10", bool(python), detail, "" if python else remedy))
    if environment is None:
        broken = location().exists()
        detail = f"{location()} does not import Lava" if broken else "not made yet"
        lines.append(Diagnosis("Lava environment", False, detail, REMEDY))
        return lines
    lines.append(Diagnosis("Lava environment", True, environment.origin, ""))
    fits = environment.lava == LAVA_VERSION
    detail = f"lava-nc {environment.lava}, Python {environment.python_version}, " + (
        f"NumPy {environment.numpy}"
    )
    remedy = "" if fits else f"snn2hw is verified against lava-nc {LAVA_VERSION}: {REMEDY}"
    lines.append(Diagnosis("Lava version", fits, detail, remedy))
    return lines


def base_python() -> Path | None:
    """A Python 3.10 of this machine (pyenv, conda, system), or None."""
    # findpython looks behind the shims of pyenv, where `uv python find` fails.
    found = findpython.find(*PYTHON_VERSION)
    return None if found is None else Path(found.executable)


def probe(python: Path, origin: str) -> LavaEnvironment:
    """What an interpreter has. Raises BackendError where it does not import Lava."""
    try:
        answer = _run([str(python), "-E", "-s", "-c", PROBE], CHECK_TIMEOUT_S)
    except BackendError as error:
        raise BackendError(
            f"{python} ({origin}) does not import Lava: {error}; {REMEDY}"
        ) from error
    version, lava, numpy = answer.split()[-3:]
    return LavaEnvironment(python, lava, version, numpy, origin)


def _make() -> LavaEnvironment:
    """Make the environment anew under a temporary name and put it in its place."""
    place = location()
    building = place.with_name(f".{NAME}-{uuid4().hex[:8]}")
    base = base_python()
    tool = _uv()
    try:
        # A virtual environment holds its own path in scripts that we do not use (we call its
        # interpreter), so it may be renamed.
        wanted = str(base) if base else "{}.{}".format(*PYTHON_VERSION)
        _run([tool, "venv", "--no-project", "--python", wanted, str(building)], INSTALL_TIMEOUT_S)
        install = [tool, "pip", "install", "--python", str(_python_in(building)), *REQUIREMENTS]
        _run(install, INSTALL_TIMEOUT_S)
        probe(_python_in(building), "just made")
        if place.exists():
            shutil.rmtree(place)
        building.rename(place)
    except BackendError as error:
        source = f"from {base}" if base else "no Python 3.10 here and none could be downloaded"
        raise BackendError(
            f"cannot make the Python 3.10 environment for Lava ({source}): {error}; {REMEDY}"
        ) from error
    except OSError as error:
        raise BackendError(
            f"cannot write the Lava environment at {place}: {error.strerror}; {REMEDY}"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return probe(_python_in(place), f"made in {place}")


def _python_in(environment: Path) -> Path:
    if os.name == "nt":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def _uv() -> str:
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise BackendError(
            "the uv executable, which makes the Lava environment, is missing; reinstall the "
            f"`uv` package, or set {VARIABLE}"
        ) from error


def _run(command: list[str], timeout_s: float) -> str:
    """Standard output of a command; BackendError with the end of what it said where it fails."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{name} gave no answer within {timeout_s:g} s") from error
    except OSError as error:
        raise BackendError(f"{name} does not start ({error.strerror})") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise BackendError(f"{name} ended with status {done.returncode}: {said[-300:]}")
    return done.stdout


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """One process at a time; the lock ends with its holder, however that ends."""
    place = location().with_suffix(".lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        file = place.open("a")
    except OSError as error:
        raise BackendError(
            f"cannot write the Lava environment's lock {place}: {error.strerror}; set {VARIABLE} "
            "to a Python with lava-nc instead"
        ) from error
    with file:
        try:
            import fcntl
        except ImportError:  # Windows: two first calls at once may both build; a rename decides.
            yield
            return
        end = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise BackendError(
                        f"another process has held {place} for {LOCK_TIMEOUT_S:g} s; end it, or "
                        f"set {VARIABLE}"
                    ) from error
                time.sleep(0.2)
        yield
