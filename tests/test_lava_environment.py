"""Finding, making, repairing and diagnosing the Lava environment, with a pretended uv."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from snn2hw.errors import BackendError
from snn2hw.targets.lava import environment
from snn2hw.targets.lava.environment import VARIABLE


class PretendedUv:
    """Stands in for every subprocess: makes folders and answers the probe."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.fail_on = ""
        self.answer = "3.10.13\n0.10.0\n1.26.4\n"

    def __call__(self, command: list[str], timeout_s: float) -> str:
        self.commands.append(command)
        if self.fail_on and self.fail_on in command:
            raise BackendError(f"{Path(command[0]).name} ended with status 2: no such thing")
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text("")
        return self.answer if "-c" in command else ""

    @property
    def made(self) -> int:
        return sum("venv" in command for command in self.commands)


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedUv:
    pretended = PretendedUv()
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(environment, "location", lambda: tmp_path / "cache" / environment.NAME)
    monkeypatch.setattr(environment, "_run", pretended)
    monkeypatch.setattr(environment, "base_python", lambda: Path("/usr/bin/python3.10"))
    return pretended


def test_it_is_made_once_and_found_afterwards(uv: PretendedUv) -> None:
    assert environment.find() is None
    made = environment.ensure()
    assert made.python == environment.location() / "bin" / "python"
    assert (made.lava, made.python_version, made.numpy) == ("0.10.0", "3.10.13", "1.26.4")
    again = environment.ensure()
    assert again.python == made.python
    assert uv.made == 1
    venv, install = uv.commands[0], uv.commands[1]
    assert "/usr/bin/python3.10" in venv
    assert install[-2:] == ["lava-nc==0.10.0", "numpy<2"]
    # It was built beside its place, so a reader never sees half of it.
    assert Path(venv[-1]) != environment.location()
    assert Path(venv[-1]).parent == environment.location().parent
    names = {p.name for p in environment.location().parent.iterdir()}
    assert names == {environment.NAME, environment.location().with_suffix(".lock").name}


def test_a_broken_one_is_made_again(uv: PretendedUv, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.ensure()
    marker = environment.location() / "marker"
    marker.write_text("old")
    probe = environment.probe

    def broken_while_old(python: Path, origin: str) -> environment.LavaEnvironment:
        if marker.exists() and python.is_relative_to(environment.location()):
            raise BackendError("cannot import")
        return probe(python, origin)

    monkeypatch.setattr(environment, "probe", broken_while_old)
    assert [line.ok for line in environment.diagnose()] == [True, False]
    assert "does not import Lava" in environment.diagnose()[1].detail
    environment.ensure()
    assert not marker.exists()
    assert uv.made == 2


def test_without_python_310_the_error_says_how_to_mend_it(
    uv: PretendedUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "base_python", lambda: None)
    uv.fail_on = "venv"
    with pytest.raises(BackendError) as caught:
        environment.ensure()
    message = str(caught.value)
    assert "no Python 3.10 here and none could be downloaded" in message
    assert "status 2: no such thing" in message
    assert "snn2hw doctor --repair" in message
    assert VARIABLE in message
    assert "\n" not in message
    # uv was asked for any 3.10, which it would have downloaded.
    assert "3.10" in uv.commands[0]
    python, lava = environment.diagnose()
    assert (python.ok, python.detail) == (False, "none on this machine")
    assert VARIABLE in python.remedy
    assert (lava.ok, lava.detail) == (False, "not made yet")


def test_a_failed_installation_leaves_nothing(uv: PretendedUv) -> None:
    uv.fail_on = "install"
    with pytest.raises(BackendError, match=r"cannot make the Python 3\.10 environment for Lava"):
        environment.ensure()
    left = [p.name for p in environment.location().parent.iterdir()]
    assert left == [environment.location().with_suffix(".lock").name]


def test_two_at_once_make_it_once(uv: PretendedUv) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(environment.ensure().python)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert uv.made == 1
    assert len(found) == 4


def test_repair_makes_it_anew(uv: PretendedUv) -> None:
    environment.ensure()
    environment.repair()
    assert uv.made == 2
    assert all(line.ok and not line.remedy for line in environment.diagnose())


def test_a_named_interpreter_comes_first(uv: PretendedUv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/opt/loihi/python")
    assert environment.ensure().python == Path("/opt/loihi/python")
    assert environment.repair().origin == f"named by {VARIABLE}"
    assert uv.made == 0
    uv.answer = "3.10.2\n0.9.0\n1.24.0\n"
    lava, version = environment.diagnose()
    assert lava.ok
    assert not version.ok
    assert "verified against lava-nc 0.10.0" in version.remedy


def test_a_named_interpreter_without_lava_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real subprocess: the interpreter of this test has no Lava."""
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(BackendError, match=rf"named by {VARIABLE}.*does not import Lava.*lava"):
        environment.ensure()
    (line,) = environment.diagnose()
    assert not line.ok
    assert VARIABLE in line.remedy
    monkeypatch.setenv(VARIABLE, "/nowhere/python")
    with pytest.raises(BackendError, match=r"/nowhere/python .*does not start"):
        environment.find()


def test_a_command_that_gives_no_answer_is_ended() -> None:
    with pytest.raises(BackendError, match=r"gave no answer within 0\.2 s"):
        environment._run([sys.executable, "-c", "import time; time.sleep(60)"], 0.2)
