"""The samples of files of sound: all of them, or a refusal in one line that names the file.

libsndfile takes a file's word: it reads what there is of one that was broken off, and sets aside
memory for as many samples as a header claims. So files are read in blocks to their end, and
compared with what they say of their own length:

- .wav (RIFF, RIFX, RF64, BW64) and AIFF: the bytes that the header says;
- Ogg: whole pages, the last of which is marked as the end of the stream;
- all: the samples that the header says, unless it leaves that open, as a streamed FLAC does, or is
  that of an MP3 without a Xing or Info frame, whose length libsndfile guesses.

An MP3 without that frame, and a streamed FLAC broken off between two of its frames, cannot be told
from a shorter one; nor does libsndfile read such an MP3 further than it guessed.

It needs soundfile, the extra ``[audio]``, which is imported on first use.
"""

from __future__ import annotations

import importlib
import math
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from snn2hw.errors import DataError, FileFormatError, MissingDependencyError

BLOCK_SAMPLES = 1 << 16
RATES_HZ = (1000, 400_000)

LEFT_OPEN = 1 << 62
"""libsndfile says 2^63 - 1 samples of a file that does not say how many."""

PIPED_BYTES = 0x7F00_0000
"""Programs that write into a pipe say the most that they can: sox 2 GiB or so, ffmpeg all ones."""

OGG_END = 4
OGG_HEAD_BYTES = 27
ID3_HEAD_BYTES = 10
MP3_FRAME_HEAD_BYTES = 64


def read_samples(
    path: Path,
    start: int = 0,
    samples: int = -1,
    dtype: Literal["float32", "float64"] = "float32",
) -> tuple[NDArray[np.floating], int]:
    """Read a recording or a part of it.

    Args:
        path: a file that libsndfile reads.
        start: the first sample, from 0.
        samples: how many, fewer if it ends before; -1: all.
        dtype: of the result.

    Returns:
        (samples, channels) of that type, full scale at 1, and the sampling rate in Hz; no samples
        if it ends before `start`.

    Raises:
        MissingDependencyError: the [audio] extra is not installed.
        DataError: there is no such file.
        FileFormatError: it is not audio, ends before its header says, has a sampling rate beyond
            1 to 400 kHz, or more samples than fit into memory.
    """
    blocks: list[NDArray[np.floating]] = []
    with _open(path) as file:
        try:
            said = file.frames if _says_length(path, file) else None
            skip, left = start, math.inf if samples < 0 else start + samples
            if said is not None:
                file.seek(min(start, said))
                skip, left = 0, min(left, said) - min(start, said)
            while left > 0 and len(
                block := file.read(min(left, BLOCK_SAMPLES), dtype=dtype, always_2d=True)
            ):
                left -= len(block)
                blocks.append(block[skip:])
                skip = max(skip - len(block), 0)
            whole = np.concatenate(blocks) if blocks else np.zeros((0, file.channels), dtype)
        except (RuntimeError, ValueError, OSError) as error:
            raise unreadable(path, error) from error
        except MemoryError as error:
            raise FileFormatError(
                f"{path}: its samples do not fit into memory, cut it or leave it out"
            ) from error
        rate = int(file.samplerate)
    if said is not None and left:
        raise FileFormatError(
            f"{path}: is shorter than its header says ({start + len(whole)} of {said} samples), get"
            " it anew"
        )
    return whole, rate


def length(path: Path) -> tuple[int, int]:
    """Return the samples and the sampling rate, in Hz, that a recording's header says.

    Raises what `read_samples` raises, and FileFormatError for a header that leaves the length open.
    """
    with _open(path) as file:
        if not _says_length(path, file):
            raise FileFormatError(f"{path}: does not say its length, write it anew")
        return int(file.frames), int(file.samplerate)


def _open(path: Path) -> Any:
    """Open a recording whose length in bytes and sampling rate can be."""
    kind = _in_sequence(import_soundfile().SoundFile)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        torn = _is_torn(path)
        file = None if torn else kind(path)
    except (RuntimeError, ValueError, OSError) as error:
        raise unreadable(path, error) from error
    if file is None:
        raise FileFormatError(f"{path}: is shorter than its header says, get it anew")
    low, high = RATES_HZ
    if not low <= file.samplerate <= high:
        file.close()
        raise FileFormatError(
            f"{path}: has a sampling rate of {file.samplerate} Hz, give one of {low} to {high} Hz"
        )
    return file


def import_soundfile() -> Any:
    """Return the module soundfile. Raises MissingDependencyError where it is not installed."""
    try:
        return importlib.import_module("soundfile")
    except (ModuleNotFoundError, OSError) as error:  # OSError: there is no libsndfile
        raise MissingDependencyError(
            f"recordings need soundfile, not at hand ({error}): run pip install 'snn2hw[audio]'"
        ) from error


@cache
def _in_sequence(kind: Any) -> Any:
    """Return a SoundFile that reads on without a seek after each block.

    libsndfile cannot seek in a FLAC of unknown length, though it can read it.
    """
    return type("InSequence", (kind,), {"seekable": lambda _: False})


def _says_length(path: Path, file: Any) -> bool:
    return file.frames < LEFT_OPEN and (file.format != "MP3" or _has_xing(path))


def _has_xing(path: Path) -> bool:
    """Return whether the first frame of an MP3 is the one that counts them."""
    with path.open("rb") as file:
        head = file.read(ID3_HEAD_BYTES)
        tag = 0
        if head[:3] == b"ID3":  # its length has 7 bits a byte
            tag = ID3_HEAD_BYTES + sum(byte << 7 * k for k, byte in enumerate(head[:5:-1]))
        file.seek(tag)
        frame = file.read(MP3_FRAME_HEAD_BYTES)
    return b"Xing" in frame or b"Info" in frame


def _is_torn(path: Path) -> bool:
    """Return whether a file has fewer bytes than it says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(28)
        if head[:4] == b"OggS":
            return _is_torn_ogg(file, size)
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        said = int.from_bytes(head[20:28], "little")
        return said < LEFT_OPEN and size < said + 8
    if head[:4] not in (b"RIFF", b"RIFX", b"FORM") or len(head) < 8:
        return False
    said = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    return said < PIPED_BYTES and size < said + 8


def _is_torn_ogg(file: BinaryIO, size: int) -> bool:
    """Walk over the pages; what follows the last one is no matter."""
    place, last = 0, 0
    while place < size:
        file.seek(place)
        head = file.read(OGG_HEAD_BYTES)
        if head[:4] != b"OggS":
            break
        lengths = file.read(head[-1]) if len(head) == OGG_HEAD_BYTES else b""
        if len(head) < OGG_HEAD_BYTES or len(lengths) < head[-1]:
            return True
        place, last = place + len(head) + len(lengths) + sum(lengths), head[5]
    return place > size or not last & OGG_END


def unreadable(path: Path, error: Exception) -> FileFormatError:
    """Return the error for a recording that libsndfile refused, in one line."""
    reason = " ".join(str(error).split()) or repr(error)
    return FileFormatError(f"{path}: cannot be read as audio ({reason})")
