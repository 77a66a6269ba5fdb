"""Tracing of arbitrary forwards: what is added, named, returned, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import snn2hw
from snn2hw.errors import GraphError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

torch = pytest.importorskip("torch")
from snn2hw import nn  # noqa: E402

DT = 1e-3


class Net(torch.nn.Module):
    """Three Linear and two LIF of four values, and whatever forward a test gives."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.fc1, self.fc2, self.fc3 = (torch.nn.Linear(4, 4) for _ in range(3))
        self.lif1, self.lif2 = nn.LIF(4, tau=2.0), nn.LIF(4, tau=3.0)
        self.drop, self.wide = nn.SequenceDropout(0.5), torch.nn.Linear(4, 5)
        self.readout = nn.Readout(4, 2)
        self.register_buffer("offset", torch.ones(4))
        with torch.no_grad():
            for linear in (self.fc1, self.fc2, self.fc3):
                linear.weight *= 4
        self.traced = forward
        self.double().eval()

    def forward(self, x: Any) -> Any:
        return self.traced(self, x)


def data(shape: tuple[int, ...] = (4,)) -> np.ndarray:
    return (np.random.default_rng(0).random((3, 30, *shape)) < 0.4).astype(np.float64)


def same(model: torch.nn.Module, shape: tuple[int, ...] = (4,)) -> Any:
    """The graph of a model, after a check that it computes the model's output."""
    graph = snn2hw.to_nir(model, shape, dt=DT)
    x = data(shape)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    assert len(np.unique(expected)) > 1
    got = execute(fold(lower(graph, DT)), x).outputs["output"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
    return graph


def residual(m: Any, x: Any) -> Any:
    h = m.lif1(m.fc1(x))
    return m.lif2(m.fc2(h) + m.fc3(x))


def test_a_sum_is_several_edges_into_one_node() -> None:
    graph = same(Net(residual))
    assert set(graph.edges) == {
        ("input", "fc1"),
        ("fc1", "lif1"),
        ("lif1", "fc2"),
        ("input", "fc3"),
        ("fc2", "lif2"),
        ("fc3", "lif2"),
        ("lif2", "output"),
    }


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.fc3(m.lif2(m.fc2(m.lif1(m.fc1(x)) + x)) + x),
        lambda m, x: torch.add(m.lif1(m.fc1(x)), m.fc2(x)),
        lambda m, x: torch.add(m.fc1(x), other=x, alpha=1) + m.lif1(m.fc2(x)),
        lambda m, x: m.lif1(m.fc1(x)).add(m.lif2(x)),
        lambda m, x: m.lif1(m.fc1(x)) + x,
        lambda m, x: m.lif2(m.fc2(m.drop(m.lif1(m.fc1(x))))),
    ],
    ids=["chain", "torch.add", "three", ".add", "input to output", "dropout"],
)
def test_ways_to_add(forward: Callable[..., Any]) -> None:
    same(Net(forward))


def test_additions_in_place() -> None:
    def block(m: Any, x: Any) -> Any:
        h = m.fc2(m.lif1(m.fc1(x)))
        h += m.fc3(x)
        return m.lif2(h)

    def method(m: Any, x: Any) -> Any:
        return m.lif2(m.fc2(m.lif1(m.fc1(x))).add_(m.fc3(x)))

    assert set(same(Net(block)).edges) == set(same(Net(method)).edges)


def test_a_residual_network_of_images() -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.lif1 = nn.Conv2d(3, 3, 3, padding=1), nn.LIF((3, 6, 6))
            self.conv2, self.lif2 = nn.Conv2d(3, 3, 3, padding=1), nn.LIF((3, 6, 6))

        def forward(self, x: Any) -> Any:
            return self.lif2(self.conv2(self.lif1(self.conv1(x))) + x)

    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(2, 3, 3, padding=1)
            self.blocks = torch.nn.ModuleList([Block(), Block()])
            self.pool, self.head = nn.SumPool2d(3), torch.nn.Linear(12, 4)

        def forward(self, x: Any) -> Any:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.head(self.pool(x).flatten(2))

    torch.manual_seed(0)
    model = Residual().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    graph = same(model, (2, 6, 6))
    block = ["conv1", "lif1", "conv2", "lif2"]
    names = [f"blocks_{k}_{name}" for k in (0, 1) for name in block]
    assert list(graph.nodes) == ["input", "stem", *names, "pool", "flatten", "head", "output"]
    assert ("stem", "blocks_0_lif2") in graph.edges
    assert ("blocks_0_lif2", "blocks_1_lif2") in graph.edges


def test_a_layer_called_twice_is_two_nodes() -> None:
    graph = same(Net(lambda m, x: m.lif1(m.fc1(m.lif1(m.fc1(x)) + x))))
    assert list(graph.nodes) == ["input", "fc1", "lif1", "fc1_2", "lif1_2", "output"]


def test_names_that_sequences_would_share_are_told_apart() -> None:
    two = [torch.nn.Sequential(torch.nn.Linear(4, 4), nn.LIF(4)) for _ in range(2)]
    model = torch.nn.Sequential()
    model.add_module("a", two[0])
    model.add_module("fc2", nn.LIF(4))
    model.add_module("b", two[1])
    names = list(snn2hw.to_nir(model, (4,)).nodes)
    assert names == ["input", "fc1", "lif1", "fc2", "fc2_", "lif3", "output"]


def test_several_inputs_and_outputs() -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.lif = (
                torch.nn.Linear(4, 3),
                torch.nn.Linear(2, 3),
                nn.LIF(3),
            )
            self.readout = nn.Readout(3, 2, mode="last")

        def forward(self, a: Any, b: Any, gain: Any = None) -> Any:
            if gain is not None:
                a = a * gain
            s = self.lif(self.left(a) + self.right(b))
            return {"scores": self.readout(s), "spikes": s}

    torch.manual_seed(0)
    model = Two().double().eval()
    with torch.no_grad():
        model.left.weight *= 12
    graph = snn2hw.to_nir(model, {"a": (4,), "b": (2,)}, dt=DT)
    assert set(graph.inputs) == {"a", "b"}
    assert graph.nodes["scores"].metadata == {"decode": "last"}
    assert graph.nodes["spikes"].metadata == {}
    x = {"a": data((4,)), "b": data((2,))}
    outputs = execute(fold(lower(graph, DT)), x).outputs
    with torch.no_grad():
        expected = model(torch.from_numpy(x["a"]), torch.from_numpy(x["b"]))
    assert 0.02 < expected["spikes"].mean() < 0.98
    np.testing.assert_array_equal(outputs["spikes"], expected["spikes"].numpy())
    np.testing.assert_allclose(outputs["scores"][:, -1], expected["scores"].numpy(), atol=1e-9)


def test_a_tuple_of_outputs_is_numbered() -> None:
    graph = snn2hw.to_nir(Net(lambda m, x: (m.lif1(m.fc1(x)), m.lif2(x))), (4,))
    assert set(graph.outputs) == {"output_0", "output_1"}
    assert ("lif2", "output_1") in graph.edges


def test_layers_that_lead_nowhere_are_left_out() -> None:
    def forward(m: Any, x: Any) -> Any:
        m.lif2(m.fc2(x))
        return m.lif1(m.fc1(x))

    assert list(same(Net(forward)).nodes) == ["input", "fc1", "lif1", "output"]


# --- refused -----------------------------------------------------------------------------------


def used_again(m: Any, x: Any) -> Any:
    h = m.fc1(x)
    kept = m.drop(h)
    h += x
    return m.fc2(h) + m.fc3(kept)


def unseen(m: Any, x: Any) -> Any:
    h = m.fc1(x)
    h.mul_(2)
    return m.fc2(h)


def added_unseen(m: Any, x: Any) -> Any:
    h = m.fc1(x)
    h.add_(x)
    return m.fc2(h)


def stepwise(m: Any, x: Any) -> Any:
    return torch.stack([m.fc1(x[:, t]) for t in range(x.shape[1])], 1)


def undecided(m: Any, x: Any) -> Any:
    return m.fc1(x) if x.sum() > 0 else m.fc2(x)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda m, x: torch.cat([m.fc1(x), m.fc2(x)], 2),
            "forward of Net uses torch.cat on 'fc1', 'fc2', which NIR does not have; give each "
            "part a Linear of its own and add what they give",
        ),
        (
            lambda m, x: m.fc1(x) * m.fc2(x),
            "forward of Net uses * on 'fc1', 'fc2', which NIR does not have; put the factor into",
        ),
        (lambda m, x: 0.5 * m.fc1(x), "uses * on 'fc1', which NIR does not have; put the factor"),
        (lambda m, x: m.fc1(x) - x, "uses - on 'fc1', 'input', which NIR does not have; negate a"),
        (lambda m, x: -m.fc1(x), "uses - on 'fc1', which NIR does not have; negate a layer's"),
        (lambda m, x: m.fc1(x)[..., :2], "uses [...] on 'fc1', which NIR does not have; pick"),
        (
            lambda m, x: m.fc1(x).view(1, 2, 4),
            "uses .view() on 'fc1', which NIR does not have; use",
        ),
        (lambda m, x: m.fc1(x).mean(1), "uses .mean() on 'fc1', which NIR does not have; use snn2"),
        (
            lambda m, x: torch.relu(m.fc1(x)),
            "uses torch.relu on 'fc1', which NIR does not have; use",
        ),
        (
            lambda m, x: torch.nn.functional.softmax(m.fc1(x), 2),
            "uses torch.nn.functional.softmax on 'fc1', which NIR does not have; forward may call",
        ),
        (lambda m, x: m.fc1(x) + 1.0, "uses + on 1.0, which is no layer's output; put it into a"),
        (
            lambda m, x: m.fc1(x) + m.offset,
            "uses + on the tensor 'offset', which no node of NIR holds by itself; put it into a",
        ),
        (
            lambda m, x: m.fc1(x).add(x, alpha=2),
            "uses .add() on 'fc1', 'input', which NIR does not",
        ),
        (
            lambda m, x: m.fc1(x) + m.wide(x),
            "uses + on 'fc1' of shape (4,) and 'wide' of shape (5,); they must be the same",
        ),
        (lambda m, x: m.fc2(x + x), "uses + on 'input' twice, and NIR has one edge from a node to"),
        (lambda m, x: m.fc2(x + m.drop(x)), "uses + on 'input' twice, and NIR has one edge"),
        (used_again, "uses +=, which changes a value that is used again later; write x = x + y"),
        (added_unseen, "uses .add_(), which changes a value that is used again later; write x ="),
        (unseen, "uses .mul_() on 'fc1', which NIR does not have; put the factor into"),
        (stepwise, "forward of Net cannot be traced (TypeError: "),
        (undecided, "forward of Net cannot be traced (TraceError: "),
        (lambda m, x: m.fc1(x) + m.readout(x), "uses + on 'fc1' of shape (4,) and 'readout' of sh"),
        (lambda m, x: m.fc1(m.readout(x)), "module 'fc1' comes after a Readout, which must be the"),
        (lambda m, x: m.fc1(m.offset), "module 'fc1' is given the tensor 'offset', which no node"),
        (lambda m, x: (m.fc1(x), None), "forward of Net returns None, which is no layer's output"),
        (lambda m, x: {"input": m.fc1(x)}, "'input' is an input and an output; rename the output"),
        (lambda m, x: m.lif1(input=m.fc1(x)), "module 'lif1' is called with other than one value"),
        (lambda m, x: x + m.drop.p, "uses + on 0.5, which is no layer's output; put it into"),
        (lambda m, x: x, "the model has no layer to export; give at least one"),
        (lambda m, x: m.fc1(x).flatten(), "flattens dimensions 0 to -1 of (batch, time, 4), and"),
    ],
)
def test_what_is_no_layer_and_no_sum_is_named(forward: Callable[..., Any], message: str) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        snn2hw.to_nir(Net(forward), (4,))


class Pair(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, a: Any, b: Any) -> Any:
        return self.fc(a)


def test_inputs_are_given_by_name_and_lead_somewhere() -> None:
    with pytest.raises(GraphError, match=r"takes 2 inputs \('a', 'b'\); give input_shape as a map"):
        snn2hw.to_nir(Pair(), (2,))
    with pytest.raises(GraphError, match="input_shape names 'a', 'c', and forward of Pair takes"):
        snn2hw.to_nir(Pair(), {"a": (2,), "c": (2,)})
    with pytest.raises(GraphError, match="input 'b' of Pair leads to no output; remove it"):
        snn2hw.to_nir(Pair(), {"a": (2,), "b": (2,)})
