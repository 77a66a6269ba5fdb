"""Groups of synapses of very different units that meet in one port of a neuron with gains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import snn2hw
from snn2hw.executor import execute
from snn2hw.neurons.base import Incoming
from snn2hw.neurons.rows import group_exponents, row_scales
from snn2hw.nn import GPN, LIF, Delay, Readout, SparseGated, SparseLeaky
from snn2hw.nn.ponghiran_roy import SparseNeuron
from snn2hw.passes import fold, lower
from snn2hw.targets.spinnaker2.inference import run_on_pes

NEURONS = {"gpn": GPN, "sparse_gated": SparseGated, "sparse_leaky": SparseLeaky}
N = 12


class Skip(nn.Module):
    """A neuron that hears data, in steps of 0.03, and spikes of another one."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        rows = N * (1 + (kind == "sparse_gated"))
        self.a, self.lif = nn.Linear(5, 16), LIF(16, 3.0, 0.3)
        self.b, self.c = nn.Linear(5, rows), nn.Linear(16, rows)
        self.n, self.r = NEURONS[kind](N), Readout(N, 3)
        with torch.no_grad():
            self.c.weight.mul_(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.r(self.n(self.b(x) + self.c(self.lif(self.a(x)))))


def late_bias(kind: str) -> nn.Module:
    """A bias that enters from the third step on: a neuron that always fires, beside data."""
    rows = N * (1 + (kind == "sparse_gated"))
    first = nn.Linear(5, rows)
    nn.init.normal_(first.bias)
    return nn.Sequential(first, Delay(rows, 2), NEURONS[kind](N), Readout(N, 3))


def made(kind: str, which: str) -> tuple[Any, Any, Any]:
    """The folded graph, the integers and data."""
    torch.manual_seed(0)
    model = (Skip(kind) if which == "skip" else late_bias(kind)).double()
    x = np.random.default_rng(0).normal(0, 1, (16, 30, 5))
    for module in model.modules():
        if isinstance(module, SparseNeuron):
            module.quantizer.train()
    with torch.no_grad():
        model(torch.from_numpy(x))
    graph = snn2hw.to_nir(model.eval(), (5,))
    return fold(lower(graph, 1e-3)), snn2hw.quantize(graph, calibration=x), x


def unit_of_sum(layer: Any, port: str) -> Any:
    """Real value of a sum of 1, as the neurons' equations undo it."""
    gain = layer.params[f"{port}_gain"]
    if layer.model.name == "gpn":
        return gain / 2.0**24
    return gain * (2.0**-24 if port == "f" else layer.units["v"] / 2.0**8)


@pytest.mark.parametrize("which", ["skip", "late bias"])
@pytest.mark.parametrize("kind", NEURONS)
def test_weights_of_each_source_keep_their_bits(kind: str, which: str) -> None:
    graph, net, _ = made(kind, which)
    (name,) = [layer.name for layer in net.layers if layer.model.name == kind]
    arriving = [s for s in net.into(name) if s.source != name]
    assert len(arriving) == 2
    units = {node.name: node.unit for node in net.inputs}
    exponents = [s.exponent for s in arriving]
    assert min(exponents) == 0
    assert max(exponents) >= 3
    for s in arriving:
        (projection,) = [p for p in graph.projections if p.name == s.name]
        wanted = projection.map.weight * units.get(s.source, 1.0)
        scale = np.concatenate([unit_of_sum(net.layer(name), port) for port in s.target_ports])
        error = np.abs(s.mantissa * scale[:, None] * 2.0**s.exponent - wanted).max()
        assert error < 0.01 * np.abs(wanted).max()
        assert np.abs(s.mantissa).max() >= 64


def test_a_gated_neuron_that_hears_data_and_spikes_follows_the_floats() -> None:
    graph, net, x = made("gpn", "skip")
    data = net.encode(x)
    wanted = execute(graph, data * net.input.unit).spikes["n"]
    found = net.run(data).spikes["n"].reshape(wanted.shape)
    assert 0.05 < wanted.mean() < 0.5
    assert np.mean(found != wanted) < 0.01


@pytest.mark.parametrize("kind", ["gpn", "sparse_gated"])
def test_spinnaker2_adds_groups_of_other_exponents_up(kind: str) -> None:
    _, net, x = made(kind, "skip")
    data = net.encode(x[:3])
    found, run = run_on_pes(net, data, snn2hw.place(net, pes=3)), net.run(data)
    np.testing.assert_array_equal(found.output, run.output)
    assert np.any(run.output)


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
@pytest.mark.parametrize("kind", ["gpn", "sparse_gated"])
def test_lava_adds_groups_of_other_exponents_up(kind: str) -> None:
    _, net, x = made(kind, "skip")
    check = snn2hw.verify(net, net.encode(x[:2]), backend="lava")
    assert check.mismatches == 0, str(check.first_mismatch)
    assert check.compared > 2_000


def group(name: str, size: float, inputs: int = 1, most: int = 1, **more: Any) -> Incoming:
    ports = more.pop("ports", ("a",))
    weight = np.full((2 * len(ports), inputs), size)
    return Incoming(name, ports, weight, 1.0, most, **more)


@pytest.mark.parametrize(
    ("groups", "exponents"),
    [
        # One in a port, whatever its size: what its bits say.
        ([group("p", 1e-3), group("q", 1.0, bits=4, ports=("b",))], {"p": 0, "q": 4}),
        # Equal ones share a step; 32 times as large is five doublings.
        ([group("p", 1.0), group("q", 0.8)], {"p": 0, "q": 0}),
        ([group("p", 1.0), group("q", 1 / 32)], {"p": 5, "q": 0}),
        # Eight at most; further down sums are rounded, at -7 at most.
        ([group("p", 1.0), group("q", 2.0**-11)], {"p": 8, "q": -3}),
        ([group("p", 1.0), group("q", 2.0**-20)], {"p": 8, "q": -7}),
        # Sums of 2047 * 127 * 500 have a bit left below 2^28, and of 2000 none.
        ([group("p", 1.0, 500, 2047), group("q", 1 / 32)], {"p": 1, "q": -4}),
        ([group("p", 1.0, 2000, 2047), group("q", 1 / 32)], {"p": 0, "q": -5}),
        # What the configuration asks for stays, and the other follows.
        ([group("p", 1.0), group("q", 1 / 32, exponent=1)], {"p": 6, "q": 1}),
        ([group("p", 1.0, exponent=3), group("q", 1 / 32, exponent=3)], {"p": 3, "q": 3}),
        # Nothing arrives.
        ([group("p", 0.0), group("q", 1 / 32)], {"p": 0, "q": 0}),
        ([group("p", 0.0), group("q", 0.0)], {"p": 0, "q": 0}),
    ],
)
def test_exponents_are_what_steps_differ_by(groups: Any, exponents: Any) -> None:
    found = group_exponents(groups, 2)
    assert found == exponents
    scales = row_scales(groups, found, 2)
    for p in groups:
        step = scales[p.target_ports[0]] * 2.0 ** found[p.name]
        assert np.all(np.abs(p.weight).max(1) <= p.limit * step * (1 + 1e-12))
