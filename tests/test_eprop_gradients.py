"""E-prop's gradients: the recursions of docs/eprop.md, and the learner, against autograd.

The truth is ``eprop_autograd``: a plain forward pass in torch, float64, with what e-prop leaves out
detached. Sizes, constants for each neuron, data and rules are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from eprop_autograd import Reference, reference
from eprop_networks import DT, Arrays, Network, graph, random_data, random_network
from eprop_reference import eprop, learn_online
from hypothesis import given, settings
from hypothesis import strategies as st

from snn2hw.targets.spinnaker2.eprop import Learner, Rule

BOUND = 1e-10
DAMPENING = {"triangle": 0.3, "multi_gaussian": 0.5, "atan": 1.0}
"""Of a rule that says nothing: as the papers have it."""
LOSSES = (("cross_entropy", "step"), ("cross_entropy", "sample"), ("mean_squared_error", "step"))


@dataclass(frozen=True)
class Case:
    """A network, one sample, and the rule by the names that both references take."""

    network: Network
    x: np.ndarray
    y: int | np.ndarray
    rule: dict[str, Any]
    seed: int = 0

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints of a failure: the sizes and the seed, not a page of numbers."""
        w, sizes = self.network, f"{self.network.n_in}-{self.network.n}-{self.network.n_out}"
        printer.text(f"Case({w.kind} {sizes}, {len(self.x)} steps, {self.rule}, seed {self.seed})")

    def truth(self, **changes: Any) -> Reference:
        return reference(self.network, self.x, self.y, **{**self.rule, **changes})

    def learner(self, **changes: Any) -> Learner:
        rule = Rule(**{"arithmetic": "float64", **self.rule, **changes})
        return Learner(graph(self.network), rule, dt=DT)


@st.composite
def cases(draw: st.DrawFn, kind: str, min_steps: int = 8) -> Case:
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    sizes = [draw(st.integers(low, high)) for low, high in ((1, 7), (2, 9), (2, 4))]
    flag = st.booleans()
    network = random_network(
        rng,
        kind,
        *sizes,
        bellec=draw(flag),
        input_gain=draw(flag),
        refractory=draw(st.integers(0, 3)),
        beta=draw(st.sampled_from((0.0, 0.3, 1.5))),
        biases=draw(flag),
        leaky=draw(flag),
        reset=draw(st.sampled_from(("value", "subtract"))),
    )
    loss, error = draw(st.sampled_from(LOSSES))
    steps = draw(st.integers(min_steps, 40))
    x, y = random_data(rng, network, steps, loss == "mean_squared_error")
    rule = {
        "surrogate": draw(st.sampled_from(tuple(DAMPENING))),
        "dampening": draw(st.floats(0.1, 1.0)),
        "loss": loss,
        "error": error,
    }
    return Case(network, x, y, rule, seed)


def farthest(got: Arrays, wanted: Arrays) -> tuple[float, str]:
    """Largest relative difference, and where: of each array to its largest entry, and of each
    entry that is not tiny to itself."""
    worst = (0.0, "nowhere")
    for name, value in wanted.items():
        entry = np.asarray(got[name])
        assert entry.shape == value.shape, name
        scale = np.abs(value).max()
        difference = np.abs(entry - value)
        if scale == 0:
            worst = max(worst, (float(difference.max()), f"{name}, all zero"))
            continue
        large = np.abs(value) > 1e-4 * scale
        relative = np.maximum(
            difference / scale,
            np.where(large, difference / np.where(large, np.abs(value), 1), 0),
        )
        at = np.unravel_index(relative.argmax(), relative.shape)
        worst = max(worst, (float(relative[at]), f"{name}{[int(i) for i in at]}"))
    return worst


def assert_equal(got: Arrays, wanted: Arrays, bound: float = BOUND) -> None:
    assert set(got) >= set(wanted)
    for name in set(got) - set(wanted):  # a bias that the graph does not have
        assert name.endswith("bias"), name
    difference, where = farthest(got, wanted)
    assert difference < bound, f"{where} differs by {difference:.3g}"


def lively_examples(kind: str) -> Iterator[tuple[Case, Reference]]:
    """Drawn networks may be silent; in these it is certain that something is compared."""
    for seed in range(4):
        case = example(kind, seed)
        truth = case.truth()
        assert lively(truth)
        assert all(np.abs(value).max() > 1e-4 for value in truth.gradients.values())
        yield case, truth


def lively(truth: Reference) -> bool:
    """Enough happens: spikes, silence, and pseudo-derivatives on a tenth of the entries."""
    return 0.02 < truth.spikes.mean() < 0.9 and (np.abs(truth.psi) > 1e-3).mean() > 0.1


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_recursions_of_the_document_equal_autograd(kind: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(cases(kind), st.booleans(), st.floats(0, 3))
    def check(case: Case, random_feedback: bool, strength: float) -> None:
        rng = np.random.default_rng(0)
        more: dict[str, Any] = {"rates": rng.random(case.network.n), "rate_strength": strength}
        if random_feedback:
            more["feedback"] = rng.normal(size=case.network.weights["output"].shape)
        truth = case.truth(**more)
        got, loss = eprop(case.network, case.x, case.y, **case.rule, **more)
        assert loss == pytest.approx(truth.loss, rel=1e-12)
        assert_equal(got, truth.gradients)

    check()
    for case, truth in lively_examples(kind):
        assert_equal(eprop(case.network, case.x, case.y, **case.rule)[0], truth.gradients)


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_learner_equals_autograd(kind: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(cases(kind))
    def check(case: Case) -> None:
        truth = case.truth()
        assert_equal(case.learner().gradients(case.x, case.y), truth.gradients)

    check()
    for case, truth in lively_examples(kind):
        assert_equal(case.learner().gradients(case.x, case.y), truth.gradients)


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_random_feedback_stands_for_the_readouts_weights(kind: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(cases(kind, 30), st.sampled_from(("random", "adaptive")), st.integers(0, 9))
    def check(case: Case, feedback: str, seed: int) -> None:
        learner = case.learner(feedback=feedback, seed=seed)
        truth = case.truth(feedback=learner.feedback.T)
        got = learner.gradients(case.x, case.y)
        assert_equal(got, truth.gradients)
        np.testing.assert_array_equal(
            got["output"], case.learner().gradients(case.x, case.y)["output"]
        )

    check()
    drawn = [example(kind, 5).learner(feedback="random", seed=s).feedback for s in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.1


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_regulariser_pulls_rates_to_their_target(kind: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(cases(kind, 20), st.floats(0.1, 50), st.floats(1, 100), st.integers(0, 2**32 - 1))
    def check(case: Case, strength: float, target_hz: float, seed: int) -> None:
        learner = case.learner(rate_strength=strength, rate_target_hz=target_hz)
        rates = np.random.default_rng(seed).uniform(0, 0.3, case.network.n)
        learner.rates = rates
        truth = case.truth(rates=rates, rate_target=target_hz * DT, rate_strength=strength)
        assert_equal(learner.gradients(case.x, case.y), truth.gradients)

    check()
    # Its sign: a neuron that fires too often loses weight.
    case = example(kind, 0)
    plain = case.learner().gradients(case.x, case.y)["input_bias"]
    learner = case.learner(rate_strength=5.0, rate_target_hz=10.0)
    learner.rates = np.full(case.network.n, 0.5)
    assert (learner.gradients(case.x, case.y)["input_bias"] - plain).sum() > 0


def example(kind: str, seed: int) -> Case:
    """A case in which every part of the gradient matters."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, kind, refractory=1, beta=1.5)
    x, y = random_data(rng, network, 60)
    surrogate = "atan" if kind == "gpn" else "triangle"
    rule = {"surrogate": surrogate, "dampening": DAMPENING[surrogate]}
    return Case(network, x, y, rule | {"loss": "cross_entropy", "error": "step"})


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_other_gradients_are_told_apart(kind: str) -> None:
    """The comparison fails for what it should fail for: the whole gradient through time (nothing
    cut), another height, feedback, loss or error."""
    case = example(kind, 0)
    truth = case.truth()
    assert lively(truth)
    got = case.learner().gradients(case.x, case.y)
    assert farthest(got, truth.gradients)[0] < BOUND
    assert farthest(got, case.truth(cut=False).gradients)[0] > 1e-2
    assert farthest(got, case.truth(error="sample").gradients)[0] > 1e-2
    assert farthest(got, case.truth(feedback=np.ones((3, 7))).gradients)[0] > 1e-2
    more = 1.03 * case.rule["dampening"]
    assert farthest(got, case.truth(dampening=more).gradients)[0] > 1e-2


@pytest.mark.parametrize(("surrogate", "dampening"), DAMPENING.items())
def test_heights_of_the_papers(surrogate: str, dampening: float) -> None:
    case = example("alif", 2)
    got = case.learner(surrogate=surrogate, dampening=None).gradients(case.x, case.y)
    truth = case.truth(surrogate=surrogate, dampening=dampening)
    assert_equal(got, truth.gradients)


@pytest.mark.parametrize("bellec", [True, False])
def test_current_trace_is_the_variant_and_not_the_gradient(bellec: bool) -> None:
    @settings(max_examples=20, deadline=None)
    @given(cases("alif", 30))
    def check(case: Case) -> None:
        got = case.learner(trace="current").gradients(case.x, case.y)
        wanted, _ = eprop(case.network, case.x, case.y, trace="current", **case.rule)
        assert_equal(got, wanted)

    check()
    rng = np.random.default_rng(3)
    network = random_network(rng, "alif", bellec=bellec, beta=1.5)
    x, y = random_data(rng, network, 60)
    case = Case(network, x, y, example("alif", 0).rule)
    got = case.learner(trace="current").gradients(x, y)
    assert farthest(got, case.truth().gradients)[0] > 1e-3


@pytest.mark.parametrize("kind", ["alif", "lif", "gpn"])
def test_online_learning_equals_its_reference(kind: str) -> None:
    """update="step" at a rate that moves the weights visibly within the sample."""
    rate, l2 = 0.2, 1e-3
    for seed in range(3):
        case = example(kind, seed)
        learner = case.learner(update="step", optimizer="sgd", learning_rate=rate, l2=l2)
        learner.learn(case.x[None], np.array([case.y]))
        how = (case.rule["surrogate"], case.rule["dampening"])
        wanted = learn_online(case.network, case.x, int(case.y), rate, l2, how)
        assert_equal(learner.weights, wanted)
        gradients = case.truth().gradients
        at_end = {k: w - rate * (gradients[k] + l2 * w) for k, w in case.network.weights.items()}
        assert farthest(at_end, wanted)[0] > 1e-3
