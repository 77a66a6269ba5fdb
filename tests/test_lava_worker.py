"""The runner and workers that hang, die, or lose a process: one line, and nothing left behind."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

import snn2hw.neurons
from snn2hw.errors import BackendError
from snn2hw.targets.lava import runner
from snn2hw.targets.lava.environment import LavaEnvironment
from snn2hw.targets.verify import verify

HERE = LavaEnvironment(Path(sys.executable), "0.10.0", "3.10.0", "1.26.4", "this interpreter")

HANGS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path(sys.argv[1], "child").write_text(str(child.pid))
print("waiting for a message")
sys.stdout.flush()
time.sleep(300)
"""
DIES = "raise ValueError('no shared memory')"
LOSES_A_PROCESS = """
import sys, time
print("Traceback (most recent call last):\\n  in process 7\\nMemoryError: out", file=sys.stderr)
sys.stderr.flush()
time.sleep(300)
"""
ENDS_EARLY = "print('goodbye')"


@pytest.fixture
def worker(tmp_path: Path) -> Callable[[str], Path]:
    def write(script: str) -> Path:
        (tmp_path / "worker.py").write_text(script)
        return tmp_path

    return write


def gone(pid: int) -> bool:
    """Whether the process ended (a zombie that nobody has asked after has)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc").exists() or not Path(f"/proc/{pid}").exists()
    return state == "Z"


def test_a_worker_that_hangs_is_stopped_with_its_children(worker: Callable[[str], Path]) -> None:
    folder = worker(HANGS)
    with pytest.raises(BackendError) as caught:
        runner.run_worker(HERE, folder, 3.0)
    message = str(caught.value)
    assert "no answer within 3 s" in message
    assert "waiting for a message" in message
    assert "\n" not in message
    child = int((folder / "child").read_text())
    end = time.monotonic() + 5
    while not gone(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert gone(child)


def test_a_worker_that_dies_is_quoted(worker: Callable[[str], Path]) -> None:
    with pytest.raises(BackendError, match=r"died with status 1 .*no shared memory.*doctor") as e:
        runner.run_worker(HERE, worker(DIES), 60.0)
    assert "\n" not in str(e.value)


def test_a_lost_process_does_not_hang_until_the_limit(
    worker: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lava waits for ever for a process of its own that died."""
    monkeypatch.setattr(runner, "GRACE_S", 0.2)
    with pytest.raises(BackendError, match=r"one of its processes died .*MemoryError: out"):
        runner.run_worker(HERE, worker(LOSES_A_PROCESS), 3600.0)


def test_a_worker_without_a_result_is_an_error(worker: Callable[[str], Path]) -> None:
    with pytest.raises(BackendError, match=r"died with status 0 .*goodbye"):
        runner.run_worker(HERE, worker(ENDS_EARLY), 60.0)


def test_an_interpreter_that_does_not_start(worker: Callable[[str], Path], tmp_path: Path) -> None:
    missing = LavaEnvironment(tmp_path / "none" / "python", "", "", "", "")
    with pytest.raises(BackendError, match=r"cannot start the Lava worker with .*none/python"):
        runner.run_worker(missing, worker(DIES), 60.0)


def test_verify_reports_a_worker_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(folder: Path) -> None:
        (folder / "worker.py").write_text(HANGS)

    monkeypatch.setattr(runner, "ensure", lambda: HERE)
    monkeypatch.setattr(runner, "write_bundle", hanging)
    net, x = random_network(np.random.default_rng(0), "lif", steps=3)
    with pytest.raises(BackendError, match=r"no answer within 1 s.*raise timeout_s"):
        verify(net, x, timeout_s=1.0)


def test_the_bundle_is_small_and_complete(tmp_path: Path) -> None:
    runner.write_bundle(tmp_path)
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    neurons = [p.name for p in Path(snn2hw.neurons.__file__).parent.glob("*.py")]
    expected = {"processes.py", "worker.py", "snn2hw/__init__.py", "snn2hw/arithmetic.py"}
    expected |= {"snn2hw/errors.py", *(f"snn2hw/neurons/{name}" for name in neurons)}
    assert found == expected
    assert (tmp_path / "snn2hw" / "__init__.py").read_text() == ""
