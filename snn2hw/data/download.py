"""Data sets from the network: only when asked, checked, complete or not there at all.

A data set lies in ``$SNN2HW_DATA/NAME``, or in the folder ``data/NAME`` of the user's cache; the
first that has what is wanted counts, and a download goes to the first (the second where the
variable is unset). A download is written to ``.ARCHIVE.part``, which a later call continues, is
checked, and is unpacked beside its place and moved there; then the archive is deleted. An archive
that was put there by hand is checked and unpacked without a download, and kept.

Where no checksum is published, the SHA-256 of the first download that can be unpacked is written to
``ARCHIVE.sha256``, a warning says so, and a later download must have it.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import platformdirs
from tqdm import tqdm

from snn2hw.data.base import DATA_VARIABLE, data_folder
from snn2hw.data.sources import Archive, Source
from snn2hw.errors import ChecksumWarning, DataError, FileFormatError, MissingDependencyError

TIMEOUT_S = 60
CHUNK_BYTES = 1 << 18
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError)


def folders(name: str) -> list[Path]:
    """Return the folders where a data set is looked for, first the one that downloads go to."""
    own = data_folder()
    cache = Path(platformdirs.user_cache_dir("snn2hw", appauthor=False)) / "data" / name
    return [cache] if own is None else [own / name, cache]


def locate(source: Source, wanted: str, *, download: bool = False) -> Path:
    """Return the folder of a data set that has what is wanted.

    Args:
        source: the data set.
        wanted: a file or folder in it, among what its archives give.
        download: whether to get it from the network, if it is not at hand.

    Returns:
        The folder; ``wanted`` is in it.

    Raises:
        DataError: it is not at hand and not to be downloaded, or the network or disk refuses.
        FileFormatError: what came has another checksum, or cannot be unpacked.
        MissingDependencyError: pooch is not installed.
    """
    places = folders(source.name)
    for place in places:
        if (place / wanted).exists():
            return place
    archive = next(a for a in source.archives if wanted in (name.rstrip("/") for name in a.gives))
    if not download:
        looked = " and in ".join(str(place) for place in places)
        unset = "" if data_folder() else f" ({DATA_VARIABLE} is not set)"
        raise DataError(
            f"{source.name}: looked for {wanted} in {looked}{unset} and found none, run"
            f" `snn2hw data {source.name} --part {archive.part} --download`"
            f" ({archive.megabytes} MB from {archive.url}), load with download=True, or put it"
            " there"
        )
    fetch(archive, places[0])
    return places[0]


def fetch(archive: Archive, folder: Path) -> None:
    """Download, check and unpack an archive; what its `gives` names is then in the folder.

    Args:
        archive: what to get.
        folder: of the data set; it is made.

    Raises:
        As `locate`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / archive.url.rsplit("/", 1)[-1]
        by_hand = path.is_file()
        if by_hand:
            found = _check(path, archive, f"{path}: damaged", "delete it and download it again")
        else:
            found = _download(archive, path)
        try:
            _unpack(path, archive, folder)
        except FileFormatError as error:
            if by_hand:
                raise FileFormatError(f"{error}, delete it and download it again") from error
            path.unlink()
            _record(path).unlink(missing_ok=True)
            raise FileFormatError(
                f"{error}, it was deleted: download it again, or put a good copy there"
            ) from error
        _keep_record(path, archive, found)
        if not by_hand:
            path.unlink()
    except OSError as error:
        raise DataError(
            f"{archive.url}: cannot be put into {folder} ({error.strerror or _line(error)}),"
            f" mend that or set {DATA_VARIABLE} to another folder"
        ) from error


def _download(archive: Archive, path: Path) -> str:
    """Bring a checked archive to its path, and return its checksum; a .part is continued."""
    part = path.with_name(f".{path.name}.part")
    while True:
        continued = _get(archive, path, part)
        try:
            found = _check(part, archive, f"{archive.url}: damaged download", "")
        except FileFormatError as error:
            part.unlink()
            if continued:  # what was there may have been of another file
                continue
            raise FileFormatError(
                f"{error} it was deleted; download it again, or put a good copy at {path}"
            ) from error
        part.replace(path)
        return found


def _get(archive: Archive, path: Path, part: Path) -> bool:
    """Write what the server sends to the .part; return whether it went on from what was there."""
    pooch, requests = _import("pooch"), _import("requests")
    done = part.stat().st_size if part.is_file() else 0
    status = 0

    def answered(response: Any, **_: Any) -> None:
        nonlocal status
        status = response.status_code
        if status == requests.codes.ok:
            file.truncate(0)  # all of it comes, for the server knows no ranges

    get = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK_BYTES,
        timeout=TIMEOUT_S,
        headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {}),
        hooks={"response": answered},
    )
    try:
        with part.open("ab") as file:
            get(archive.url, file, None)
    except requests.RequestException as error:
        left = part.stat().st_size
        if not left:
            part.unlink()
        elif status == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # there is nothing behind what is there: it is of another file
            return _get(archive, path, part)
        goes_on = f": it goes on from {part}" if left else ""
        if not isinstance(error, requests.HTTPError):
            raise DataError(
                f"{archive.url}: the download broke off ({type(error).__name__}), run it"
                f" again{goes_on}"
            ) from error
        raise DataError(
            f"{archive.url}: the server refuses ({_line(error)}), run it again later{goes_on}, or"
            f" get the file by hand and put it at {path}"
        ) from error
    return done > 0 and status == requests.codes.partial_content


def _check(path: Path, archive: Archive, what: str, remedy: str) -> str:
    """Compare a file with its checksum, published or recorded, if there is one; return its own."""
    if archive.checksum is not None:
        kind, _, expected = archive.checksum.partition(":")
        origin, other = "published", ""
    else:
        kind, expected = "sha256", _recorded(path)
        origin = f"recorded in {_record(path)}"
        other = " (delete that record if the publisher has another file now)"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if expected not in ("", found):
        raise FileFormatError(
            f"{what}: its {kind} is {found}, {origin} is {expected}{other};" + f" {remedy}".rstrip()
        )
    return found


def _record(path: Path) -> Path:
    """Return where the checksum of an archive, or of its .part, is written."""
    return path.with_name(path.name.removeprefix(".").removesuffix(".part") + ".sha256")


def _recorded(path: Path) -> str:
    record = _record(path)
    text = record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""
    return text.split(" ")[0].strip()


def _keep_record(path: Path, archive: Archive, found: str) -> None:
    """Record the checksum of an archive that could be unpacked, where none is known."""
    if archive.checksum is not None or _recorded(path):
        return
    record = _record(path)
    part = record.with_name(f".{record.name}.part")
    part.write_text(f"{found}  {record.stem}\n", encoding="utf-8")
    part.replace(record)
    warnings.warn(
        f"{archive.url}: no checksum is published; its SHA-256, {found}, is written to"
        f" {record} and a later download must have it",
        ChecksumWarning,
        stacklevel=5,
    )


def _unpack(path: Path, archive: Archive, folder: Path) -> None:
    in_the_way = [name for name in archive.gives if (folder / name).exists()]
    if in_the_way:
        raise DataError(
            f"{path}: {folder / in_the_way[0]} is in the way of unpacking it, move it away"
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as temporary:
        root = Path(temporary) / "all"
        try:
            _extract(path, root)
        except BROKEN as error:
            raise FileFormatError(f"{path}: cannot be unpacked ({_line(error)})") from error
        tops = list(root.iterdir())
        if archive.top and len(tops) == 1:
            root = tops[0]
        if archive.gives[0].endswith("/"):
            root.replace(folder / archive.gives[0].rstrip("/"))
            return
        for name in archive.gives:
            if not (root / name).exists():
                raise FileFormatError(f"{path}: has no {name} in it")
        for name in reversed(archive.gives):
            shutil.move(root / name, folder / name)


def _extract(path: Path, root: Path) -> None:
    """Unpack a .zip or .tar.gz; members that would leave the folder are refused or renamed."""
    bar: Any = tqdm(desc=f"unpacking {path.name}", unit="file", leave=False, disable=None)
    root.mkdir()
    with bar:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    packed.extract(name, root)
                    bar.update()
        else:
            with tarfile.open(path) as tar:
                for member in tar:
                    tar.extract(member, root, filter="data")
                    bar.update()


def _line(error: Exception) -> str:
    """Return what an error says in one line; those of tarfile take five."""
    return " ".join(str(error).split()) or repr(error)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"downloads need {name}, which is not installed: run pip install 'snn2hw[data]'"
        ) from error


__all__ = ["fetch", "folders", "locate"]
