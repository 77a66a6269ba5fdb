"""Checkpoints: a learner that stops and goes on elsewhere is the one that never stopped."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from eprop_networks import graph, random_network

from snn2hw.errors import DataError, FileFormatError, ParameterError
from snn2hw.targets.spinnaker2.eprop import Learner, Rule
from snn2hw.targets.spinnaker2.eprop.session import Samples, Session

N_IN, N, N_OUT, STEPS, COUNT = 5, 7, 3, 12, 20
ALL = Rule(feedback="adaptive", feedback_decay=0.01, rate_strength=0.5, learning_rate=0.01)
"""A rule with which every region that outlives a sample bears on what follows."""


def data(count: int = COUNT, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0.3, 1.0, (count, STEPS, N_IN)), rng.integers(0, N_OUT, count)


def model(kind: str = "alif", seed: int = 0, **changes: Any) -> Any:
    return graph(random_network(np.random.default_rng(seed), kind, N_IN, N, N_OUT, **changes))


def same(a: Learner, b: Learner) -> bool:
    """Whether they hold the same and do the same with the next samples."""
    x, y = data(4, seed=9)
    now = all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)
    now = now and np.array_equal(a.feedback, b.feedback) and np.array_equal(a.rates, b.rates)
    first, second = a.learn(x, y), b.learn(x, y)
    later = all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)
    return now and later and np.array_equal(first.loss, second.loss) and a.clock == b.clock


@pytest.mark.parametrize("arithmetic", ["float32", "s16.15"])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("alif", ALL),
        ("alif", Rule.rostami()),
        ("lif", Rule(optimizer="sgd", update="step", feedback="random")),
        ("gpn", Rule(surrogate="atan")),
    ],
)
def test_goes_on_to_the_bit_on_other_pes(
    tmp_path: Path, kind: str, rule: Rule, arithmetic: str
) -> None:
    rule = replace(rule, arithmetic=arithmetic, seed=5)
    x, y = data()
    whole = Learner(model(kind), rule, pes=1)
    loss = whole.learn(x, y).loss
    half = Learner(model(kind), rule, pes=3)
    before = half.learn(x[:10], y[:10]).loss
    half.save(tmp_path / "c.h5")
    other = Learner.resume(tmp_path / "c.h5", model(kind), pes=7)
    assert other.samples == 10
    np.testing.assert_array_equal(np.append(before, other.learn(x[10:], y[10:]).loss), loss)
    assert same(whole, other)
    assert not same(whole, half)


def test_constants_come_from_the_file(tmp_path: Path) -> None:
    given = {"dt": 2e-3, "method": "exact", "reset": "subtract"}
    learner = Learner(model("lif"), Rule(), **given)
    learner.learn(*data(3))
    learner.save(tmp_path / "c.h5")
    assert same(Learner.resume(tmp_path / "c.h5", model("lif")), learner)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    learner = Learner(model(), ALL)
    learner.learn(*data(5))
    learner.save(tmp_path / "c.h5")
    return tmp_path / "c.h5"


@pytest.mark.parametrize(
    "name",
    ["weights", "moments_1", "moments_2", "feedback", "rate", "readout_weights",
     "readout_moments_1", "readout_moments_2"],
)  # fmt: skip
def test_nothing_in_it_is_idle(saved: Path, name: str) -> None:
    sound = Learner.resume(saved, model())
    with h5py.File(saved, "r+") as file:
        file[f"memory/{name}"][...] = file[f"memory/{name}"][()] * 0.5 + 0.01
    assert not same(Learner.resume(saved, model()), sound)


def test_refuses_another_network_or_rule(saved: Path) -> None:
    with pytest.raises(DataError, match="another network"):
        Learner.resume(saved, model(seed=1))
    with pytest.raises(DataError, match=r"learning_rate 0\.01, not 0\.02"):
        Learner.resume(saved, model(), replace(ALL, learning_rate=0.02))
    assert Learner.resume(saved, model(), ALL).samples == 5


def test_refuses_other_constants(tmp_path: Path) -> None:
    subtract = random_network(np.random.default_rng(0), "lif", N_IN, N, N_OUT, reset="subtract")
    Learner(graph(subtract), Rule()).save(tmp_path / "c.h5")
    with pytest.raises(DataError, match="reset"):
        Learner.resume(tmp_path / "c.h5", graph(replace(subtract, reset="value")))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"no checkpoint " * 100)


def foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


def newer(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2


def lacking(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["memory/moments_2"]


def reshaped(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        values = file["memory/rate"][()]
        del file["memory/rate"]
        file["memory/rate"] = values[:-1]


def retyped(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        values = file["memory/rate"][()]
        del file["memory/rate"]
        file["memory/rate"] = values.astype(np.float64)


def flipped(path: Path) -> None:
    with h5py.File(path, "r") as file:
        block = file["memory/weights"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[block.byte_offset + block.size // 2] ^= 1
    path.write_bytes(content)


def headless(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["header"]
        file["header"] = np.frombuffer(b'{"rule": {"surrogat": 1}}', dtype=np.uint8)


@pytest.mark.parametrize(
    "harm", [cut, garbage, foreign, newer, lacking, reshaped, retyped, flipped, headless]
)
def test_damaged_and_foreign_files_are_one_clear_error(saved: Path, harm: Any) -> None:
    harm(saved)
    with pytest.raises(FileFormatError, match=r"c\.h5") as error:
        Learner.resume(saved, model())
    text = str(error.value)
    assert "\n" not in text
    assert "begin anew" in text or "name another file" in text


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Learner.resume(tmp_path / "none.h5", model())
    with pytest.raises(DataError, match="cannot write"):
        Learner(model(), Rule()).save(tmp_path / "none" / "c.h5")


# --- sessions: data in order, position, history --------------------------------------------------


def session(path: Path | None = None, rule: Rule = ALL, **changes: Any) -> Session:
    given: dict[str, Any] = {"epochs": 2, "validation": Samples(*data(6, seed=4)), "every": 3}
    return Session(Learner(model(), rule), Samples(*data(11)), path=path, **{**given, **changes})


def test_a_session_is_the_samples_one_after_the_other() -> None:
    ours = session()
    order = np.concatenate([ours.order(0), ours.order(1)])
    assert ours.run()
    assert not np.array_equal(order[:11], order[11:])
    for epoch in (order[:11], order[11:]):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(11))
    plain, (x, y), (x_new, y_new) = Learner(model(), ALL), data(11), data(6, seed=4)
    judged = [np.mean(plain.predict(x_new).argmax(1) == y_new)]
    losses, right = [], []
    for k, i in enumerate(order, 1):
        learned = plain.learn(x[i : i + 1], y[i : i + 1])
        losses.append(learned.loss[0])
        right.append(learned.correct[0])
        if k % 11 == 0:
            judged.append(np.mean(plain.predict(x_new).argmax(1) == y_new))
    np.testing.assert_array_equal(ours.history.loss, losses)
    np.testing.assert_array_equal(ours.history.correct, right)
    assert ours.history.validation == judged
    assert ours.history.saturated == [0, 0]
    assert same(ours.learner, plain)


def test_in_order_is_as_they_stand() -> None:
    ours = session(order_seed=None, epochs=1)
    ours.run()
    plain = Learner(model(), ALL)
    np.testing.assert_array_equal(plain.learn(*data(11)).loss, ours.history.loss)


class KilledError(Exception):
    """Stands for a kill: nothing after it is done."""


def until(limit: int, found: Session) -> None:
    """Run a session and end it without a word once it has learned so many samples."""

    def progress(_: int) -> None:
        if found.position >= limit:
            raise KilledError

    with contextlib.suppress(KilledError):
        found.run(progress)


def test_killed_anywhere_it_ends_alike(tmp_path: Path) -> None:
    whole = session()
    whole.run()
    kept = []
    for limit in (1, 2, 8, 11, 12, 19, 22):
        path = tmp_path / "c.h5"
        until(limit, session(path))
        after = session(path)
        if path.exists():
            after.resume()
            kept.append(after.position)
        assert after.run()
        for name, values in vars(whole.history).items():
            np.testing.assert_array_equal(getattr(after.history, name), values, name)
        assert all(
            np.array_equal(whole.learner.weights[k], v) for k, v in after.learner.weights.items()
        )
        path.unlink()
    assert len(set(kept)) >= 3


def test_stopping_saves_and_says_so(tmp_path: Path) -> None:
    first = session(tmp_path / "c.h5", every=None)
    assert not first.run(stopped=lambda: True)
    assert first.position == 1
    second = session(tmp_path / "c.h5")
    second.resume()
    assert second.position == 1
    assert second.run()


def test_more_epochs_go_on_and_fewer_are_refused(tmp_path: Path) -> None:
    session(tmp_path / "c.h5").run()
    more = session(tmp_path / "c.h5", epochs=3)
    more.resume()
    assert more.position == 22
    assert more.run()
    straight = session(epochs=3)
    straight.run()
    np.testing.assert_array_equal(more.history.loss, straight.history.loss)
    fewer = session(tmp_path / "c.h5", epochs=2)
    with pytest.raises(DataError, match="at least 3 epochs"):
        fewer.resume()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order_seed": 1}, "shuffled, seed 0, not shuffled, seed 1"),
        ({"order_seed": None}, "not as it stands"),
        ({"validation": None}, "other validation data"),
        ({"validation": Samples(*data(6, seed=5))}, "other validation data"),
        ({"rule": replace(ALL, seed=1)}, "seed 0, not 1"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    session(tmp_path / "c.h5").run()
    with pytest.raises(DataError, match=words):
        session(tmp_path / "c.h5", **changes).resume()


def test_other_data_are_refused(tmp_path: Path) -> None:
    session(tmp_path / "c.h5").run()
    x, y = data(11)
    for other in (Samples(x, (y + 1) % N_OUT), Samples(x + 1, y), Samples(x.astype("f4"), y)):
        with pytest.raises(DataError, match="other data"):
            Session(Learner(model(), ALL), other, path=tmp_path / "c.h5").resume()


def test_a_learners_own_file_is_no_sessions(saved: Path) -> None:
    with pytest.raises(DataError, match="without data and order"):
        session(saved).resume()


def test_a_history_that_does_not_fit_is_damage(tmp_path: Path) -> None:
    session(tmp_path / "c.h5").run()
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        values = file["session/loss"][()]
        del file["session/loss"]
        file["session/loss"] = values[:-1]
    with pytest.raises(FileFormatError, match="damaged"):
        session(tmp_path / "c.h5").resume()


def test_divergence_stops_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    rule = Rule(learning_rate=1e20, optimizer="sgd", l2=1.0)
    ours = session(tmp_path / "c.h5", rule, every=1)
    with pytest.raises(ParameterError, match="diverged; lower learning_rate"):
        ours.run()
    after = session(tmp_path / "c.h5", rule)
    after.resume()
    assert 0 < after.position <= ours.position
    assert all(np.all(np.isfinite(values)) for values in after.learner.weights.values())


def test_weights_that_diverge_with_the_last_sample_are_no_result() -> None:
    ours = session(rule=Rule(learning_rate=1e38, optimizer="sgd", l2=1e5), epochs=1, every=None)
    ours.data = Samples(*data(1))
    with pytest.raises(ParameterError, match="diverged"):
        ours.run()
