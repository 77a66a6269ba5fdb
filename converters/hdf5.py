"""Reads a group of an HDF5 file into plain dictionaries, and takes nothing on trust.

A file from elsewhere may point at other files (external links, virtual datasets, raw data kept
outside), contain itself, declare more values than memory holds, or be damaged anywhere. Each of
these ends in one FileFormatError here; nothing of h5py's own errors passes.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from snn2hw.converters.hdf5_text import TextHeaps
from snn2hw.errors import FileFormatError

Value: TypeAlias = "str | npt.NDArray[Any]"
Tree: TypeAlias = "dict[str, Value | Tree]"

MAX_BYTES = 4 * 2**30
"""Most bytes that all values of a file may take once they are unpacked."""

HOLLOW_BYTES = 64 * 2**20
PACKING = 1100
"""A file of S bytes may declare HOLLOW_BYTES + PACKING * S: deflate packs at most 1032 : 1, so
what declares more holds values that were never written."""

MAX_ENTRIES = 100_000
"""Most groups and datasets in a file."""

MAX_DEPTH = 64
"""Most groups within groups."""

MAX_TEXT_BYTES = 64 * 2**20
"""Most bytes of text in a file; many entries may share one stored string, so text is counted."""

# What h5py raises on damaged files, measured by flipping bytes (tests/test_nir_hostile.py).
# KeyError and UnicodeError are among LookupError and ValueError, NotImplementedError and
# RecursionError among RuntimeError.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
)


def read_tree(path: Path, names: tuple[str, ...]) -> Tree:
    """The named members of the file's root that exist: a group as a dict, a dataset as its value.

    Numbers come as arrays of the file's type in native byte order (0-d for a scalar), single
    strings as str, arrays of strings as object arrays of str. Attributes are not read.

    Raises FileFormatError for a file that is no HDF5 file, is damaged, holds a link other than a
    hard one, a group that is reached twice, a type that is neither real numbers nor text, a name
    or text that is not UTF-8, values outside the file, or more than the limits of this module.
    """
    try:
        with h5py.File(path, "r") as file:
            layout = file.id.get_create_plist()
            if layout.get_sizes() != (8, 8) or layout.get_userblock() != 0:
                raise FileFormatError(
                    f"{path}: a user block or addresses other than of 8 bytes; export it again"
                )
            with path.open("rb") as raw, mmap(raw.fileno(), 0, access=ACCESS_READ) as memory:
                return _Walker(path, memory).members(file, "", names)
    except FileFormatError:
        raise
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(
            f"{path}: not a whole HDF5 file ({reason}); export it again"
        ) from None


class _Walker:
    """One reading of one file: counts what was read, remembers which groups were seen."""

    def __init__(self, path: Path, raw: mmap) -> None:
        self._path = path
        self._heaps = TextHeaps(raw)
        self._limit = min(MAX_BYTES, HOLLOW_BYTES + PACKING * len(raw))
        self._bytes = self._text_bytes = self._entries = 0
        self._seen: set[tuple[int, int]] = set()

    def members(
        self, group: h5py.Group, where: str, names: tuple[str, ...] | None = None, depth: int = 0
    ) -> Tree:
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in self._seen:
            raise self._bad(where, "is linked a second time or contains itself")
        self._seen.add((info.fileno, info.addr))
        if depth > MAX_DEPTH:
            raise self._bad(where, f"lies deeper than {MAX_DEPTH} groups")
        tree: Tree = {}
        for name in group:
            if not isinstance(name, str):
                raise self._bad(where, f"has a member whose name {name!r} is not UTF-8")
            if names is None or name in names:
                tree[name] = self._member(group, name, f"{where}/{name}".lstrip("/"), depth)
        return tree

    def _member(self, group: h5py.Group, name: str, where: str, depth: int) -> Value | Tree:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise self._bad(where, f"comes after {MAX_ENTRIES} others, the most that are read")
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            target = getattr(link, "filename", "this file")
            raise self._bad(where, f"is a {type(link).__name__} into {target}, which is not read")
        item = group[name]
        if isinstance(item, h5py.Group):
            return self.members(item, where, None, depth + 1)
        if isinstance(item, h5py.Dataset):
            return self._value(item, where)
        raise self._bad(where, f"is a {type(item).__name__}, neither group nor dataset")

    def _value(self, dataset: h5py.Dataset, where: str) -> Value:
        if dataset.is_virtual or dataset.external:
            raise self._bad(where, "keeps its values in other files, which are not read")
        if dataset.shape is None:
            raise self._bad(where, "is declared without a value")
        text = h5py.check_string_dtype(dataset.dtype) is not None
        if not text and dataset.dtype.kind not in "fiub":
            raise self._bad(where, f"is of type {dataset.dtype}, neither real numbers nor text")
        # Python's integers: the declared size may be beyond 64 bits.
        declared = int(dataset.dtype.itemsize)
        chunk = declared
        for length in dataset.shape:
            declared *= int(length)
        for length in dataset.chunks or ():  # HDF5 unpacks a chunk as a whole
            chunk *= int(length)
        self._bytes += max(declared, chunk)
        if self._bytes > self._limit:
            raise self._bad(
                where,
                f"of shape {dataset.shape} brings the file to {self._bytes:.3g} bytes; "
                f"the limit for this file is {self._limit:.3g}",
            )
        if text:
            return self._text(dataset, where)
        value: npt.NDArray[Any] = np.asarray(dataset[()])
        return value.astype(value.dtype.newbyteorder("="), copy=False)

    def _text(self, dataset: h5py.Dataset, where: str) -> Value:
        variable = h5py.check_string_dtype(dataset.dtype).length is None
        if not variable:
            raw = np.asarray(dataset[()], object)
        else:
            start = None if dataset.chunks else dataset.id.get_offset()
            if start is None:
                raise self._bad(where, "keeps text in chunks or nowhere, which is not read")
            raw = np.empty(dataset.shape, object)
            for k, text in enumerate(self._heaps.texts(start, raw.size)):
                self._text_bytes += len(text)
                if self._text_bytes > MAX_TEXT_BYTES:
                    raise self._bad(
                        where, f"brings the text to over {MAX_TEXT_BYTES} bytes, the limit"
                    )
                raw.flat[k] = text
        try:
            for k, text in enumerate(raw.flat):
                raw.flat[k] = text.decode("utf8")
        except UnicodeDecodeError:
            raise self._bad(where, "holds text that is not UTF-8") from None
        return str(raw[()]) if raw.ndim == 0 else raw

    def _bad(self, where: str, what: str) -> FileFormatError:
        return FileFormatError(
            f"{self._path}: {where or 'the root'!r} {what}; export the model again"
        )
