"""Outputs appear whole or not at all: written to a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snn2hw.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

UNWRITTEN = ("file write failed", "inline_container", "PytorchStreamWriter")
"""What h5py and torch say in a RuntimeError where they could not write."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    Raises DataError if the folder does not exist or cannot be written to, or if the block, which
    only writes, runs out of room (an OSError, or what h5py and torch make of one).
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        wanted = (
            "make room and run it again" if error.errno in FULL else "name a folder that exists"
        )
        raise DataError(f"cannot write {path}: {error.strerror}; {wanted}") from None
    os.close(handle)
    part = Path(name)
    try:
        try:
            yield part
        except (OSError, RuntimeError) as error:
            reason = _reason(error)
            if reason is None:
                raise
            raise DataError(f"cannot write {path}: {reason}; make room and run it again") from error
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        try:
            part.replace(path)
        except OSError as error:
            raise DataError(
                f"cannot write {path}: {error.strerror or error}; name a file"
            ) from None
    finally:
        part.unlink(missing_ok=True)


def _reason(error: OSError | RuntimeError) -> str | None:
    """Why something could not be written, in a line; None: the error says nothing of that."""
    if isinstance(error, OSError):
        # h5py's has a text of many lines
        return os.strerror(error.errno) if error.errno else " ".join(str(error).split())
    said = " ".join(str(error).split())
    return "the file breaks off" if any(part in said for part in UNWRITTEN) else None
