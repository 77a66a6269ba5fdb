"""What must hold of learning whatever the numbers: order of neurons, PEs, seeds, steps."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eprop_networks import DT, Arrays, Network, graph, random_data, random_network
from eprop_reference import eprop

from snn2hw.errors import Snn2hwError
from snn2hw.executor import execute
from snn2hw.passes.lower import lower
from snn2hw.targets.spinnaker2.eprop import Learner, Rule

KINDS = ("alif", "lif", "gpn")
ARITHMETIC = ("float32", "float64", "s16.15")


def problem(
    kind: str, seed: int = 0, samples: int = 4, steps: int = 30, **how: Any
) -> tuple[Network, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, kind, **how)
    pairs = [random_data(rng, network, steps) for _ in range(samples)]
    return network, np.stack([x for x, _ in pairs]), np.array([y for _, y in pairs])


def learner_of(network: Network, pes: int | None = None, **rule: Any) -> Learner:
    return Learner(graph(network), Rule(**rule), dt=DT, pes=pes)


def assert_same(one: Arrays, other: Arrays) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def same(one: Arrays, other: Arrays) -> bool:
    return all(np.array_equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
@pytest.mark.parametrize("kind", KINDS)
def test_number_of_pes_changes_no_bit(kind: str, arithmetic: str) -> None:
    network, x, y = problem(kind, n=160, n_in=9, samples=2, steps=15)
    learned = []
    for pes in (1, 12, 152):
        learner = learner_of(network, pes, arithmetic=arithmetic)
        got = learner.learn(x, y)
        learned.append((learner.weights, {"loss": got.loss, "y": learner.predict(x)}))
    for weights, rest in learned[1:]:
        assert_same(weights, learned[0][0])
        assert_same(rest, learned[0][1])
    assert not same(learned[0][0], learner_of(network, 1, arithmetic=arithmetic).weights)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_every_rounding(kind: str) -> None:
    network, x, y = problem(kind)

    def learned(seed: int, rounding: str) -> Arrays:
        learner = learner_of(network, arithmetic="s16.15", rounding=rounding, seed=seed)
        learner.learn(x, y)
        return learner.weights

    assert_same(learned(1, "stochastic"), learned(1, "stochastic"))
    assert not same(learned(1, "stochastic"), learned(2, "stochastic"))
    assert_same(learned(1, "nearest"), learned(2, "nearest"))


@pytest.mark.parametrize("kind", KINDS)
def test_relabelled_neurons_have_relabelled_gradients(kind: str) -> None:
    network, x, y = problem(kind, refractory=1)
    order = np.random.default_rng(5).permutation(network.n)
    both = np.concatenate([order + k * network.n for k in range(4)])
    w, moved = network.weights, {}
    for name, value in w.items():
        if name == "gates":
            moved[name] = value[both][:, both[: 2 * network.n]]
        elif name == "gates_bias":
            moved[name] = value[both]
        elif name == "recurrent":
            moved[name] = value[order][:, order]
        elif name == "output":
            moved[name] = value[:, order]
        else:
            moved[name] = value if name == "output_bias" else value[order]
    neuron = {name: value[order] for name, value in network.neuron.items()}
    other = Network(
        kind, moved, neuron, network.kappa, network.gain, network.leak, network.reset, network.leaky
    )
    one = learner_of(network, arithmetic="float64").gradients(x[0], y[0])
    two = learner_of(other, arithmetic="float64").gradients(x[0], y[0])
    np.testing.assert_allclose(two["input"], one["input"][order], rtol=0, atol=1e-12)
    np.testing.assert_allclose(two["output"], one["output"][:, order], rtol=0, atol=1e-12)
    if kind == "gpn":
        wanted = one["gates"][both][:, both[: 2 * network.n]]
        np.testing.assert_allclose(two["gates"], wanted, rtol=0, atol=1e-12)
    else:
        wanted = one["recurrent"][order][:, order]
        np.testing.assert_allclose(two["recurrent"], wanted, rtol=0, atol=1e-12)
    assert np.abs(one["input"] - one["input"][order]).max() > 1e-3


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
def test_without_a_rate_nothing_is_learned(arithmetic: str) -> None:
    network, x, y = problem("alif")
    learner = learner_of(network, learning_rate=0.0, arithmetic=arithmetic)
    before = {name: value.copy() for name, value in learner.weights.items()}
    learner.learn(x, y)
    assert_same(learner.weights, before)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_predictions_leave_no_trace(kind: str) -> None:
    network, x, y = problem(kind)
    rule: dict[str, Any] = {"arithmetic": "s16.15", "feedback": "adaptive", "rate_strength": 1.0}
    plain, asked = learner_of(network, **rule), learner_of(network, **rule)
    for k in range(len(x)):
        asked.gradients(x[k], int(y[k]))
        asked.predict(x)
        got = asked.learn(x[k : k + 1], y[k : k + 1]).loss
        np.testing.assert_array_equal(got, plain.learn(x[k : k + 1], y[k : k + 1]).loss)
    assert_same(asked.weights, plain.weights)


@pytest.mark.parametrize("error", ["step", "sample"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_descent_takes_the_gradient(kind: str, error: str) -> None:
    network, x, y = problem(kind)
    rate, l2 = 0.05, 0.01
    plain = learner_of(network, arithmetic="float64", error=error)
    learner = learner_of(
        network, arithmetic="float64", error=error, optimizer="sgd", learning_rate=rate, l2=l2
    )
    gradients = plain.gradients(x[0], int(y[0]))
    learner.learn(x[:1], y[:1])
    for name in ("input", "recurrent", "output", "gates"):
        if name in network.weights:
            before = network.weights[name]
            wanted = before - rate * (gradients[name] + l2 * before)
            np.testing.assert_allclose(learner.weights[name], wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_adam_follows_its_equations(kind: str) -> None:
    network, x, y = problem(kind)
    rate, beta1, beta2, epsilon = 0.02, 0.8, 0.95, 1e-4
    rule: dict[str, Any] = {
        "arithmetic": "float64",
        "optimizer": "adam",
        "learning_rate": rate,
        "beta1": beta1,
        "beta2": beta2,
        "epsilon": epsilon,
    }
    learner = learner_of(network, **rule)
    w = {name: value.copy() for name, value in network.weights.items()}
    m, v = ({name: np.zeros_like(value) for name, value in w.items()} for _ in range(2))
    for step in range(1, len(x) + 1):
        gradients = learner.gradients(x[step - 1], int(y[step - 1]))
        learner.learn(x[step - 1 : step], y[step - 1 : step])
        for name in w:
            m[name] = beta1 * m[name] + (1 - beta1) * gradients[name]
            v[name] = beta2 * v[name] + (1 - beta2) * gradients[name] ** 2
            root = np.sqrt(v[name] / (1 - beta2**step)) + epsilon
            w[name] -= rate * (m[name] / (1 - beta1**step)) / root
            np.testing.assert_allclose(learner.weights[name], w[name], rtol=0, atol=1e-12)
    assert np.abs(w["input"] - network.weights["input"]).max() > rate


@pytest.mark.parametrize("kind", KINDS)
def test_online_learning_changes_weights_within_the_sample(kind: str) -> None:
    network, x, y = problem(kind, steps=60)
    losses = {
        update: learner_of(
            network, arithmetic="float64", update=update, optimizer="sgd", learning_rate=0.5
        )
        .learn(x[:1], y[:1])
        .loss[0]
        for update in ("step", "sample")
    }
    assert losses["step"] < losses["sample"]  # what it learned in the first steps helps in the last


@pytest.mark.parametrize("kind", KINDS)
def test_prediction_is_the_executors(kind: str) -> None:
    network, x, _ = problem(kind, refractory=2, bellec=False)
    wanted = execute(lower(graph(network), DT), x).output.mean(1)
    got = learner_of(network, arithmetic="float64").predict(x)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    assert np.ptp(wanted) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_adapted_graph_is_the_learned_network(kind: str) -> None:
    network, x, y = problem(kind)
    learner = learner_of(network, arithmetic="float64", learning_rate=0.05)
    learner.learn(x, y)
    adapted = learner.graph()
    wanted = learner.predict(x)
    got = execute(lower(adapted, DT), x).output.mean(1)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    untouched = execute(lower(graph(network), DT), x).output.mean(1)
    assert np.abs(got - untouched).max() > 1e-3
    assert {name: type(node) for name, node in adapted.nodes.items()} == {
        name: type(node) for name, node in graph(network).nodes.items()
    }


@pytest.mark.parametrize("arithmetic", ARITHMETIC)
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_learning_is_learning_without_a_break(
    kind: str, arithmetic: str, tmp_path: Path
) -> None:
    network, x, y = problem(kind, samples=6)
    rule: dict[str, Any] = {
        "arithmetic": arithmetic,
        "feedback": "adaptive",
        "feedback_decay": 1e-3,
        "rate_strength": 0.5,
        "seed": 3,
    }
    whole, first = learner_of(network, **rule), learner_of(network, **rule)
    wanted = whole.learn(x, y).loss
    first.learn(x[:3], y[:3])
    first.save(tmp_path / "learned.h5")
    second = Learner.resume(tmp_path / "learned.h5", graph(network))
    np.testing.assert_array_equal(second.learn(x[3:], y[3:]).loss, wanted[3:])
    assert_same(second.weights, whole.weights)


@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("arithmetic", ARITHMETIC)
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_learned(kind: str, arithmetic: str, feedback: str) -> None:
    """Which of two groups of inputs is active: well above chance within 60 samples."""
    rng = np.random.default_rng(0)
    network = random_network(rng, kind, 8, 20, 2, beta=0.2)
    y = rng.integers(2, size=100)
    x = rng.normal(0, 0.5, (100, 25, 8))
    x[:, :, :4] += y[:, None, None]
    x[:, :, 4:] += 1 - y[:, None, None]
    learner = learner_of(
        network, arithmetic=arithmetic, feedback=feedback, learning_rate=0.01, feedback_decay=1e-3
    )
    got = learner.learn(x, y)
    assert got.correct[60:].mean() >= 0.9
    assert got.loss[60:].mean() < 0.6 * np.log(2)


def test_memory_does_not_grow_with_the_steps() -> None:
    network, _, _ = problem("alif", n=60, n_in=20)
    learner = learner_of(network, arithmetic="float32")
    rng = np.random.default_rng(0)
    y = np.array([1])

    def peak(steps: int) -> int:
        x = rng.normal(size=(1, steps, 20)).astype(np.float32)
        learner.learn(x, y)
        tracemalloc.start()
        learner.learn(x, y)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most - x.nbytes

    few, many = peak(50), peak(5000)
    # A copy of the data is allowed, a word a neuron and step (1.2 MB) is not.
    assert many - few < 2 * 5000 * 20 * 4 + 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_point_gradients_are_near(kind: str) -> None:
    network, x, y = problem(kind)
    wanted, _ = eprop(network, x[0], int(y[0]), surrogate="triangle", dampening=0.3)
    got = learner_of(network, arithmetic="s16.15", surrogate="triangle").gradients(x[0], int(y[0]))
    for name in ("input", "output"):
        cosine = (got[name] * wanted[name]).sum() / np.sqrt(
            np.square(got[name]).sum() * np.square(wanted[name]).sum()
        )
        assert cosine > 0.99, name


def test_refusals(tmp_path: Path) -> None:
    network, x, y = problem("alif")
    learner = learner_of(network)
    bad = x.copy()
    bad[1, 2, 3] = np.nan
    with pytest.raises(Snn2hwError, match=r"NaN|finite"):
        learner.learn(bad, y)
    with pytest.raises(Snn2hwError, match="label"):
        learner.learn(x, np.full(len(x), network.n_out))
    with pytest.raises(Snn2hwError, match="label"):
        learner.learn(x, np.full(len(x), -1))
    with pytest.raises(Snn2hwError):
        learner.learn(x[:, :, 1:], y)
    with pytest.raises(Snn2hwError):
        learner.learn(x, y[1:])
    learner.save(tmp_path / "learned.h5")
    other = graph(problem("alif", n=8)[0])
    with pytest.raises(Snn2hwError):
        Learner.resume(tmp_path / "learned.h5", other)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "learned.h5").read_bytes()[:200])
    with pytest.raises(Snn2hwError):
        Learner.resume(tmp_path / "cut.h5", graph(network))
    with pytest.raises(Snn2hwError):
        learner_of(network, surrogate="triangular")
    with pytest.raises(Snn2hwError):
        learner_of(network, error="sample", update="step")
    with pytest.raises(Snn2hwError):
        learner_of(problem("gpn")[0], trace="current")
