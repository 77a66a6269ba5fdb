"""Starts the Lava worker in a process group of its own, with a time limit, and reads its records.

The worker gets a folder that holds all it needs: the job, the worker and its processes, and a
package ``snn2hw`` of the arithmetic and neuron models alone, copied from the installed one. So the
neurons that run inside Lava are the very files that the simulator compiles.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from snn2hw.errors import BackendError
from snn2hw.graph import Data, FixedPointNetwork
from snn2hw.targets.lava.environment import LavaEnvironment, ensure
from snn2hw.targets.lava.plan import Block, Records, blocks_of, build_block, prepare

BUNDLED = ("arithmetic.py", "errors.py", "neurons")
"""What the worker imports of snn2hw; these files run on Python 3.10 with NumPy alone."""

POLL_S = 0.05
GRACE_S = 10.0
"""A traceback in the worker's output means that one of its processes died. Lava then waits for it
for ever, so the worker gets this long to end by itself."""

TERM_S = 2.0

TAIL_CHARACTERS = 500


@dataclass(frozen=True)
class LavaRun:
    """records: one per network, in order; report: what result.json says (versions, seconds)."""

    records: tuple[Records, ...]
    report: dict[str, Any]
    seconds: float


def run_networks(
    networks: Sequence[tuple[FixedPointNetwork, Data]],
    *,
    timeout_s: float = 600.0,
    environment: LavaEnvironment | None = None,
) -> LavaRun:
    """Run networks on Lava, many side by side in one start, and return every state and output.

    networks: each with its integers (batch, time, *input shape), or one such array for each input,
    by name. Raises BackendError where Lava cannot be had, hangs or dies; GraphError for a network
    that is not balanced; DataError for data that are empty or not the network's.
    """
    items = [prepare(net, x) for net, x in networks]
    indices = list(blocks_of(items))
    blocks = [build_block(f"b{k}", [items[i] for i in part]) for k, part in enumerate(indices)]
    started = time.perf_counter()
    with run_blocks(blocks, record=True, timeout_s=timeout_s, environment=environment) as (
        folder,
        report,
    ):
        records: list[Records] = [{} for _ in items]
        for block, part in zip(blocks, indices, strict=True):
            logs = [np.load(folder / layer["log"]) for layer in block.job["layers"]]
            for position, i in enumerate(part):
                records[i] = block.records(logs, position)
    return LavaRun(tuple(records), report, time.perf_counter() - started)


@contextlib.contextmanager
def run_blocks(
    blocks: Sequence[Block],
    *,
    record: bool,
    timeout_s: float,
    environment: LavaEnvironment | None = None,
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Run blocks one after the other in one worker; yields its folder and its report."""
    environment = environment or ensure()
    with tempfile.TemporaryDirectory(prefix="snn2hw-lava-") as name:
        folder = Path(name)
        write_bundle(folder)
        arrays = {key: value for block in blocks for key, value in block.arrays.items()}
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        job = {"record": record, "blocks": [block.job for block in blocks]}
        (folder / "job.json").write_text(json.dumps(job))
        run_worker(environment, folder, timeout_s)
        yield folder, json.loads((folder / "result.json").read_text())


def write_bundle(folder: Path) -> None:
    """The worker, its processes, and the part of snn2hw that they import."""
    package = folder / "snn2hw"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in BUNDLED:
        _copy(files("snn2hw") / name, package / name)
    for name in ("worker.py", "processes.py"):
        _copy(files("snn2hw.targets.lava") / name, folder / name)


def _copy(source: Any, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for entry in source.iterdir():
            if entry.name.endswith(".py"):
                _copy(entry, target / entry.name)
    else:
        target.write_bytes(source.read_bytes())


def run_worker(environment: LavaEnvironment, folder: Path, timeout_s: float) -> None:
    """Run worker.py on a folder until it ends, hangs or dies; leaves no process behind.

    Raises BackendError with the tail of what the worker said.
    """
    output = folder / "output.txt"
    # Lava starts dozens of processes, which would each start threads for linear algebra.
    surroundings = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    command = [str(environment.python), "-E", "-s", str(folder / "worker.py"), str(folder)]
    with output.open("wb") as sink:
        try:
            worker = subprocess.Popen(
                command,
                cwd=folder,
                env=surroundings,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BackendError(
                f"cannot start the Lava worker with {environment.python}: {error.strerror}; "
                "run `snn2hw doctor --repair`"
            ) from error
    started = time.monotonic()
    failed_at: float | None = None
    try:
        while worker.poll() is None:
            now = time.monotonic()
            if now - started > timeout_s:
                raise BackendError(
                    f"Lava worker: no answer within {timeout_s:g} s, stopped{_tail(output)}; "
                    "raise timeout_s, or give it fewer samples or steps"
                )
            if failed_at is None and b"Traceback (most recent" in output.read_bytes():
                failed_at = now
            if failed_at is not None and now - failed_at > GRACE_S:
                raise BackendError(
                    f"Lava worker: one of its processes died{_tail(output)}; "
                    "run `snn2hw doctor` to check the Lava environment"
                )
            time.sleep(POLL_S)
    finally:
        _end_group(worker)
    if worker.returncode != 0 or not (folder / "result.json").exists():
        raise BackendError(
            f"Lava worker: died with status {worker.returncode}{_tail(output)}; "
            "run `snn2hw doctor` to check the Lava environment"
        )


def _end_group(worker: subprocess.Popen[bytes]) -> None:
    """End the worker and all that it started: first by SIGTERM, since Lava's resource tracker
    outlives that and frees the shared memory, then by force."""
    if not hasattr(os, "killpg"):
        worker.kill()
        worker.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGTERM)
        if worker.returncode == 0:
            return
        end = time.monotonic() + TERM_S
        while time.monotonic() < end:
            worker.poll()
            os.killpg(worker.pid, 0)
            time.sleep(POLL_S)
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _tail(output: Path) -> str:
    """The last words of the worker, on one line."""
    words = " ".join(output.read_text(errors="replace").split())
    return f" (it said: ...{words[-TAIL_CHARACTERS:]})" if words else " (it said nothing)"
