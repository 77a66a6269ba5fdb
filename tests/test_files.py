"""Outputs appear whole or not at all, and a machine without room or memory gives one line."""

import errno
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

from snn2hw import cli
from snn2hw.cli import main
from snn2hw.errors import DataError, out_of_memory
from snn2hw.files import atomic

ROOM = 100 * 1024
"""Bytes that a file may have in the process of these tests."""


def npz(part):
    with part.open("wb") as file:
        np.savez(file, x=np.zeros(ROOM))


def hdf5(part):
    with h5py.File(part, "w") as file:
        file["x"] = np.zeros(ROOM)


def hdf5_of_rows(part):
    with h5py.File(part, "w") as file:
        rows = file.create_dataset("x", (2000,), h5py.vlen_dtype(np.float32))
        for k in range(len(rows)):
            rows[k] = np.arange(100)


def checkpoint(part):
    torch = pytest.importorskip("torch", reason="needs the [torch] extra")
    torch.save(torch.zeros(ROOM), part)


WRITERS = {
    "text": lambda part: part.write_text("x" * 2 * ROOM),
    "npy": lambda part: np.save(part.open("wb"), np.zeros(ROOM)),
    "npz": npz,
    "hdf5": hdf5,
    "hdf5_of_rows": hdf5_of_rows,
    "checkpoint": checkpoint,
}


def overfill(path, name):
    """What a process does that may write no more than ROOM: one line of error, or a traceback."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    try:
        with atomic(path) as part:
            WRITERS[name](part)
    except DataError as error:
        sys.stderr.write(f"said: {error}\n")


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, name):
    path = tmp_path / "out.file"
    path.write_text("before")
    code = f"import test_files; test_files.overfill({str(path)!r}, {name!r})"
    here = os.path.dirname(__file__)  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"said: cannot write {path}: ")
    assert line.endswith("; make room and run it again")
    assert [p.name for p in tmp_path.iterdir()] == ["out.file"]
    assert path.read_text() == "before"


def test_other_errors_are_left_as_they_are(tmp_path):
    for error in (RuntimeError("a bug"), ValueError("file write failed"), KeyboardInterrupt()):
        with pytest.raises(type(error)), atomic(tmp_path / "x"):
            raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "there is not enough memory; give less at a time, or smaller sizes"),
        (MemoryError("Unable to allocate\n9 TiB"), "there is not enough memory; give less at a"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "there is not enough memory"),
        (OSError(errno.ENOSPC, "No space left\non device"), "[Errno 28] No space left on device;"),
        (OSError(), "OSError; see that"),
    ],
)
def test_the_last_net(monkeypatch, capsys, error, says):
    def fail(_):
        raise error

    monkeypatch.setattr(cli.COMMANDS["doctor"], "main", fail)
    assert main(["doctor"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"snn2hw doctor: error: {says}")


def test_a_bug_is_not_caught(monkeypatch):
    def fail(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli.COMMANDS["doctor"], "main", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["doctor"])
    assert not out_of_memory(ValueError("out of memory"))
