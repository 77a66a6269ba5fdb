"""Variable-length text of an HDF5 file, read from its bytes.

HDF5 2.0 itself never comes back from a damaged heap (an object of size 0 leads to itself), and it
takes as much memory as a text says it is long, up to 4 GiB, before it looks whether that is so.
Here both are checked first. Layout: HDF5 File Format Specification 3.0, III.E "Global Heap" and
VIII "Reference and variable-length encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from struct import error as StructError  # noqa: N812 - struct names its error in lower case
from struct import unpack_from

_HEADER = 16
"""Bytes before the first object of a collection, and in front of each object's data."""


class TextHeaps:
    """The collections of variable-length values of one file, each read once, when first asked."""

    def __init__(self, raw: mmap) -> None:
        """``raw`` is the whole file, with addresses and lengths of 8 bytes and no user block."""
        self._raw = raw
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}

    def texts(self, start: int, count: int) -> Iterator[bytes]:
        """``count`` texts whose references (length, collection, index) begin at byte ``start``.

        Raises ValueError for a reference that leads nowhere.
        """
        for k in range(count):
            try:
                length, address, index = unpack_from("<IQI", self._raw, start + 16 * k)
            except StructError:
                raise ValueError("text beyond the end of the file") from None
            if length == 0:
                yield b""
                continue
            begin, size = self._objects(address).get(index, (0, 0))
            if length > size:
                raise ValueError("a text is longer than what is stored of it")
            # h5py stores it with or without the closing NUL of C.
            yield self._raw[begin : begin + length].split(b"\0", 1)[0]

    def _objects(self, address: int) -> dict[int, tuple[int, int]]:
        """Index -> (first byte, size) of the objects of the collection at an address.

        A collection is "GCOL", version, 3 bytes, its size; an object is its index (2 bytes), a
        reference count (2), 4 bytes, its size (8), and data padded to 8. Index 0 ends the list.
        """
        if address in self._collections:
            return self._collections[address]
        if address + _HEADER > len(self._raw) or self._raw[address : address + 4] != b"GCOL":
            raise ValueError("a text lies in no heap")
        (size,) = unpack_from("<Q", self._raw, address + 8)
        end = min(address + size, len(self._raw))
        objects: dict[int, tuple[int, int]] = {}
        at = address + _HEADER
        while at + _HEADER <= end:
            index, size = unpack_from("<H6xQ", self._raw, at)
            if index == 0:  # the free space
                break
            if at + _HEADER + size > end:
                raise ValueError("a heap holds more than its size")
            objects[index] = (at + _HEADER, size)
            at += _HEADER + -(-size // 8) * 8
        self._collections[address] = objects
        return objects
