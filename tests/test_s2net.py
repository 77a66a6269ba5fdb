"""s2net's trainable layers against its equations, in float64 and spike for spike."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import s2net_reference as reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn2hw
from snn2hw.errors import DataError, GraphError, ParameterError
from snn2hw.executor import execute
from snn2hw.nn import (
    LIF,
    Conv1d,
    Conv2d,
    Delay,
    NormalizedReadout,
    NormLinear,
    SpikingConv1d,
    SpikingConv2d,
    SpikingConv3d,
    SpikingDense,
    load_checkpoint,
    save_checkpoint,
)
from snn2hw.nn.models import build
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower

SIZE_OF_WEIGHTS, LEVEL = 3.0, 0.25
"""Weights and thresholds that let layers of a few channels fire."""


def lively(model: nn.Module, seed: int = 0) -> Any:
    """The model in float64, whose neurons fire now and then."""
    torch.manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "beta"):
            module.reset_parameters()
            with torch.no_grad():
                module.weight.mul_(SIZE_OF_WEIGHTS)
                module.b.mul_(LEVEL * (1 + 0.2 * torch.randn(module.b.shape)))
    return model.double().eval()


def by_reference(module: Any, x: Any, **more: Any) -> Any:
    """The layer's spikes from the reference; x (time, channels, *places)."""
    own = {name: value.detach().numpy() for name, value in module.named_parameters()}
    return reference.layer(
        x,
        own["weight"],
        float(own["beta"]),
        own["b"],
        module.dilation,
        module.stride,
        module.lateral,
        own.get("recurrence"),
        **more,
    )


def spikes_of(model: nn.Sequential, x: Any) -> list[Any]:
    """Spikes of every spiking layer, for x (time, channels, *places)."""
    found, values = [], torch.from_numpy(x)[None]
    with torch.no_grad():
        for module in model:
            values = module(values)
            if hasattr(module, "beta"):
                found.append(values[0].numpy())
    return found


@pytest.fixture(scope="module")
def stack() -> Any:
    """The paper's three layers, with its kernels and dilations, and 8 channels."""
    return lively(build("s2net", (3, 40), 4, 0, widths=(8, 8, 8)))


@pytest.fixture(scope="module")
def sound() -> Any:
    """30 steps of 10 ms; the last is silence, for the authors' layers add a step where a kernel's
    reach is even."""
    x = np.random.default_rng(0).normal(0, 2, (30, 3, 40))
    x[-1] = 0.0
    return x


@pytest.fixture(scope="module")
def expected(stack: Any, sound: Any) -> list[Any]:
    given, found = sound[:-1], []
    for module in stack[:3]:
        given = by_reference(module, given)
        found.append(given)
    return found


def test_three_dilated_layers_fire_as_the_equations_say(
    stack: Any, sound: Any, expected: list[Any]
) -> None:
    for own, other in zip(spikes_of(stack, sound), expected, strict=True):
        assert 0.02 < other.mean() < 0.5
        np.testing.assert_array_equal(own, other)
    scores = reference.readout(
        expected[-1], stack[4].weight.detach().numpy(), stack[4].b.detach().numpy()
    )
    own = stack(torch.from_numpy(sound)[None])[0].detach().numpy()
    np.testing.assert_allclose(own, scores, rtol=1e-12)


def test_the_lowered_graph_fires_as_the_equations_say(
    stack: Any, sound: Any, expected: list[Any]
) -> None:
    graph = fold(lower(snn2hw.to_nir(stack, (3, 40), dt=1e-2), 1e-2))
    run = execute(graph, sound[None])
    spikes = [run.spikes[p.name] for p in graph.populations if p.name in run.spikes]
    for own, other in zip(spikes, expected, strict=True):
        np.testing.assert_array_equal(own.reshape(other.shape), other)
    own = stack(torch.from_numpy(sound)[None])[0].detach().numpy()
    np.testing.assert_allclose(run.output[0].mean(0), own, rtol=1e-9)


@pytest.mark.parametrize("fault", reference.FAULTS)
def test_a_fault_is_found(stack: Any, sound: Any, expected: list[Any], fault: str) -> None:
    """What the test above would say if the equations were others, already in the first layer."""
    assert np.any(by_reference(stack[0], sound[:-1], fault=fault) != expected[0])


def test_at_its_threshold_a_neuron_is_silent() -> None:
    layer = lively(SpikingDense(2, 3))
    with torch.no_grad():
        layer.b.zero_()
    assert not spikes_of(nn.Sequential(layer), np.zeros((4, 2)))[0].any()
    graph = fold(lower(snn2hw.to_nir(layer, (2,)), 1e-3))
    assert not execute(graph, np.zeros((1, 4, 2))).output.any()


@st.composite
def layers(draw: st.DrawFn) -> tuple[Any, Any]:
    """A layer of any rank, and data (time, channels, *places) for it."""
    rank = draw(st.integers(0, 2))
    few = st.integers(1, 3)
    taps = [draw(few) for _ in range(1 + rank)]
    dilation = [draw(few) for _ in range(1 + rank)]
    flags = {"lateral": draw(st.booleans()), "recurrent": draw(st.booleans())}
    ends = (draw(few), draw(few))
    seed = draw(st.integers(0, 999))
    places = [draw(st.integers(1, 5)) for _ in range(rank)]
    if rank == 0 and taps == [1]:
        layer: nn.Module = SpikingDense(*ends, **flags)
    elif rank == 0:
        layer = SpikingConv1d(*ends, taps, dilation, **flags)
    else:
        kind = SpikingConv2d if rank == 1 else SpikingConv3d
        stride = [draw(st.integers(1, 2)) for _ in range(rank)]
        layer = kind(*ends, taps, dilation, stride, **flags)
    data = np.random.default_rng(seed).normal(0, 2, (draw(st.integers(1, 7)), ends[0], *places))
    return lively(layer, seed), data


@st.composite
def behind_biases(draw: st.DrawFn) -> tuple[Any, Any]:
    """A layer of any rank behind one with a bias, and data for the two."""
    layer, x = draw(layers())
    seed = draw(st.integers(0, 999))
    channels, places = x.shape[1], x.shape[2:]
    torch.manual_seed(seed)
    if len(places) == 2:
        front: nn.Module = Conv2d(channels, channels, 3, padding=1)
    elif len(places) == 1:
        front = Conv1d(channels, channels, 3, padding=1)
    elif draw(st.booleans()):
        front = NormLinear(channels, channels)
        front.running_mean.normal_()
    else:
        front = nn.Linear(channels, channels)
    nn.init.normal_(front.bias, std=2.0)
    return nn.Sequential(front, layer).double().eval(), x


@given(behind_biases())
@settings(max_examples=40, deadline=None)
def test_any_geometry_behind_a_bias_fires_as_the_equations_say(drawn: tuple[Any, Any]) -> None:
    """The zeros beside the sequence hold no bias, neither before its first step nor behind the
    last."""
    model, x = drawn
    front, layer = model
    with torch.no_grad():
        given = front(torch.from_numpy(x)[None])[0].numpy()
    wanted = by_reference(layer, given)[: len(x)]
    run = execute(fold(lower(snn2hw.to_nir(model, x.shape[1:]), 1e-3)), x[None])
    np.testing.assert_array_equal(run.output[0].reshape(wanted.shape), wanted)


def delayed(first: nn.Module, *between: nn.Module) -> nn.Sequential:
    return nn.Sequential(first, *between, lively(SpikingConv1d(3, 4, 3))).double().eval()


@pytest.mark.parametrize("between", [[], [nn.Linear(3, 3)]])
def test_a_delay_before_a_kernel_that_looks_ahead_is_refused(between: list[nn.Module]) -> None:
    """A sum of the delay and the kernel's own would hear what the delay holds at the end."""
    message = r"'spikingconv1d' looks ahead in time, and Delay 'delay' stands before it"
    with pytest.raises(GraphError, match=message):
        snn2hw.to_nir(delayed(Delay(3, 2), *between), (3,))
    # As another tool would write it: not refused by the exporter.
    graph = snn2hw.to_nir(delayed(nn.Linear(3, 3, bias=False), *between), (3,))
    name = next(name for name in graph.nodes if name not in ("input", "output"))
    late = nir.Delay(np.full(3, 2e-3))
    with pytest.raises(GraphError, match=f"looks ahead in time, and Delay '{name}'"):
        lower(nir.NIRGraph(graph.nodes | {name: late}, graph.edges, type_check=False), 1e-3)


def test_a_delay_where_nothing_looks_ahead_or_a_neuron_lies_between_is_exact() -> None:
    x = np.random.default_rng(0).normal(0, 2, (2, 12, 3))
    causal = lively(nn.Sequential(Delay(3, 2), SpikingConv1d(3, 4, 2)))
    for model in (delayed(Delay(3, 2), LIF(3, 2.0, 0.3)).double(), causal):
        wanted = model(torch.from_numpy(x)).detach().numpy()
        assert 0.02 < wanted.mean() < 0.6
        run = execute(lower(snn2hw.to_nir(model, (3,)), 1e-3), x)
        np.testing.assert_array_equal(run.output, wanted)


@given(layers())
@settings(max_examples=40, deadline=None)
def test_any_geometry_fires_as_the_equations_say(drawn: tuple[Any, Any]) -> None:
    layer, x = drawn
    (own,) = spikes_of(nn.Sequential(layer), x)
    np.testing.assert_array_equal(own, by_reference(layer, x)[: len(x)])
    graph = fold(lower(snn2hw.to_nir(layer, x.shape[1:]), 1e-3))
    run = execute(graph, x[None])
    np.testing.assert_array_equal(run.output[0].reshape(own.shape), own)


class _Fire(torch.autograd.Function):
    """A spike, and the derivative that the authors give it."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        (u,) = ctx.saved_tensors
        return grad_outputs[0] * torch.sigmoid(10 * u) * torch.sigmoid(-10 * u)


def step_by_step(layer: Any, x: torch.Tensor, *, detach: bool = False) -> torch.Tensor:
    """A layer over time and frequency as a plain graph of steps; detach: no gradient through D."""
    rows = layer.weight.flatten(1)
    n = rows.square().sum(1)
    d = rows @ rows.T
    d = d.detach() if detach else d
    j = nn.functional.conv2d(
        x.transpose(1, 2), layer.weight, padding=layer.padding, dilation=layer.dilation
    )[:, :, : x.shape[1], : x.shape[3]]
    v = s = torch.zeros_like(j[:, :, 0])
    spikes = []
    for t in range(x.shape[1]):
        r = torch.einsum("op,bpf->bof", d, s) if layer.lateral else (layer.b * n)[:, None] * s
        now = j[:, :, t]
        if layer.recurrence is not None:
            now = now + torch.einsum("po,bpf->bof", layer.recurrence, s)
        v = layer.beta * (v - r) + (1 - layer.beta) * now
        s = _Fire.apply(v / (n + 1e-8)[:, None] - layer.b[:, None])  # type: ignore[no-untyped-call]
        spikes.append(s)
    return torch.stack(spikes, 1)


def gradients(layer: Any, x: torch.Tensor, given: torch.Tensor, spikes: Any) -> dict[str, Any]:
    layer.zero_grad()
    x.grad = None
    (spikes(x) * given).sum().backward()
    return {name: p.grad.clone() for name, p in layer.named_parameters()} | {"x": x.grad.clone()}


@pytest.mark.parametrize("lateral", [True, False])
@pytest.mark.parametrize("recurrent", [True, False])
def test_gradients_are_those_of_the_steps(lateral: bool, recurrent: bool) -> None:
    layer = lively(SpikingConv2d(3, 5, (4, 3), (2, 3), lateral=lateral, recurrent=recurrent))
    x = torch.randn(2, 12, 3, 7, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 12, 5, 7, dtype=torch.double)
    own = gradients(layer, x, weight, layer)
    wanted = gradients(layer, x, weight, lambda x: step_by_step(layer, x))
    for name, gradient in wanted.items():
        torch.testing.assert_close(own[name], gradient, rtol=1e-9, atol=1e-12)
    if lateral:
        other = gradients(layer, x, weight, lambda x: step_by_step(layer, x, detach=True))
        assert not torch.allclose(own["weight"], other["weight"], rtol=1e-3)


def test_initial_values_are_the_notebooks() -> None:
    torch.manual_seed(0)
    layer = SpikingConv2d(64, 64, (4, 3), recurrent=True)
    assert float(layer.weight.detach().std()) == pytest.approx(0.15 / (64 * 12) ** 0.5, rel=0.02)
    assert layer.recurrence is not None
    assert float(layer.recurrence.detach().std()) == pytest.approx(0.15 / 8, rel=0.05)
    assert float(layer.beta.detach()) == pytest.approx(0.7, abs=0.05)
    assert float(layer.b.detach().mean()) == pytest.approx(1.0, abs=0.01)
    authors = build("s2net", (3, 40), 12, 0)
    assert sum(p.numel() for p in authors.parameters()) == 131_535


def test_penalty_is_half_the_mean_squared_spike_with_its_weight() -> None:
    layer = lively(SpikingDense(3, 4, penalty_weight=0.3))
    x = torch.randn(2, 9, 3, dtype=torch.double) * 3
    layer.train()
    spikes = layer(x)
    assert spikes.sum() > 0
    assert float(layer.penalty().detach()) == pytest.approx(0.15 * float(spikes.detach().mean()))
    assert float(layer.penalty()) == 0.0  # once
    layer(x)
    layer.penalty().backward()
    assert layer.weight.grad.abs().sum() > 0
    layers = build("s2net", (3, 40), 4, 0, penalty=0.1)[:3]
    assert [m.penalty_weight for m in layers] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1])


def test_after_step_clamps() -> None:
    layer = SpikingDense(2, 3)
    with torch.no_grad():
        layer.beta.fill_(1.5)
        layer.b.copy_(torch.tensor([-1.0, 0.0, 2.0]))
    layer.after_step()
    assert float(layer.beta) == 1.0
    assert layer.b.tolist() == [0.0, 0.0, 2.0]


def test_checkpoint_holds_every_layer(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        SpikingConv3d(1, 2, (2, 3, 1), 2, (1, 2), recurrent=True, penalty_weight=0.1),
        nn.Flatten(2),
    )
    flat = nn.Sequential(
        SpikingConv1d(3, 4, 3, 2, lateral=False), SpikingDense(4, 5), NormalizedReadout(5, 2)
    )
    save_checkpoint(tmp_path / "flat.pt", flat)
    save_checkpoint(tmp_path / "deep.pt", model[:1])
    for name, made, shape in (("flat", flat, (1, 6, 3)), ("deep", model[:1], (1, 6, 1, 4, 4))):
        read = load_checkpoint(tmp_path / f"{name}.pt")
        x = torch.randn(shape)
        assert torch.equal(read(x), made(x))
        assert [m.arguments() for m in read] == [m.arguments() for m in made]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpikingConv2d(3, 4, (4,)), "kernel_size is (4,), give 2 numbers"),
        (lambda: SpikingConv2d(3, 4, (4, 0)), "kernel_size is 0"),
        (lambda: SpikingConv1d(3, 4, 2, dilation=-1), "dilation is -1"),
        (lambda: SpikingDense(0, 4), "in_channels is 0"),
        (lambda: SpikingDense(3, 4, penalty_weight=-1.0), "penalty_weight is -1.0"),
        (lambda: NormalizedReadout(3, 0), "out_features is 0"),
        (lambda: build("s2net", (3, 4, 4), 4, 0), "give (channels, bands) or (channels,)"),
        (lambda: build("s2net", (3, 40), 4, 0, widths=(8,)), "1 widths and 3 dilations"),
        (
            lambda: build("s2net", (3,), 4, 0, stride=2),
            "model s2net: stride is 2 and inputs (3,) have no frequencies to stride over, give 1",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        make()
    assert message in str(caught.value)


def test_data_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"SpikingConv2d.*give \(batch, time, 3, frequencies\)"):
        SpikingConv2d(3, 4, (2, 2))(torch.zeros(1, 5, 3))
    with pytest.raises(DataError, match="SpikingDense"):
        SpikingDense(3, 4)(torch.zeros(1, 5, 2))
