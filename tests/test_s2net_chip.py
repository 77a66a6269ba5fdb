"""s2net as integers: what looks ahead, in every runtime; and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

import snn2hw
from snn2hw.analysis.mixed import execute_mixed
from snn2hw.errors import FileFormatError, GraphError, ParameterError, TargetError
from snn2hw.executor import execute
from snn2hw.nn import (
    NormLinear,
    QuantizedNetwork,
    Readout,
    SpikingConv1d,
    SpikingConv3d,
    SpikingDense,
)
from snn2hw.nn.models import build
from snn2hw.passes.balance import MAX_DELAY
from snn2hw.passes.fold import fold
from snn2hw.passes.lower import lower
from snn2hw.targets.spinnaker2.inference import run_on_pes

STEPS = 16


def network(**more: Any) -> Any:
    torch.manual_seed(0)
    dilations = ((1, 1), (2, 3), (5, 1))
    model = build("s2net", (3, 7), 3, 0, widths=(4, 5, 4), dilations=dilations, stride=2, **more)
    with torch.no_grad():
        for module in model[:3]:
            module.weight.mul_(3.0)
            module.b.mul_(0.2)
    return snn2hw.to_nir(model.eval(), (3, 7)), model


@pytest.fixture(scope="module")
def data() -> Any:
    return np.random.default_rng(0).normal(0, 2, (3, STEPS, 3, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def net(data: Any) -> Any:
    return snn2hw.quantize(network()[0], target="loihi2", calibration=data)


def test_lookahead_becomes_latency(net: Any, data: Any) -> None:
    """Reaches of 3, 6 and 15 steps, of which 1, 3 and 7 are ahead; a step for each of 4 hops."""
    assert [s.delay for s in net.synapses if s.source == "input"] == [2, 1, 0, -1]
    assert net.latency == 1 + 3 + 7 + 4
    assert max(s.chip_delay for s in net.synapses) == 15 + 1
    x = net.encode(data)
    aligned, raw = net.run(x), net.run(x, aligned=False)
    assert aligned.output.shape[1] == STEPS
    np.testing.assert_array_equal(raw.output[:, net.latency :], aligned.output)
    assert not raw.output[:, : net.latency].any()


def test_integers_follow_the_floats(net: Any, data: Any) -> None:
    graph, model = network()
    run = net.run(net.encode(data), threads=1)
    real = execute(fold(lower(graph, 1e-3)), data)
    for name, spikes in real.spikes.items():
        found = run.spikes[name].reshape(spikes.shape)
        assert 0.02 < spikes.mean() < 0.5
        assert np.mean(found != spikes) < 0.08
    scores = model(torch.from_numpy(data)).detach().numpy()
    np.testing.assert_allclose(run.logits, scores, atol=0.2 * np.abs(scores).max())


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_lava_agrees_in_every_spike_and_state(net: Any, data: Any) -> None:
    """Samples in a row, so that neither hears the other, early or late."""
    check = snn2hw.verify(net, net.encode(data), backend="lava")
    assert check.mismatches == 0, str(check.first_mismatch)
    assert check.compared > 7_000


def test_torch_integers_and_spinnaker2_agree(data: Any) -> None:
    network_of = QuantizedNetwork(network(recurrent=True)[0], data)
    net = network_of.export()
    x = net.encode(data)
    run = net.run(x, record=("v",))
    with torch.no_grad():
        found = network_of.trace(torch.from_numpy(data))
    elements = run_on_pes(net, x, snn2hw.place(net, pes=3))
    assert elements.pes.synaptic_events.sum() == run.activity.synops
    for layer in net.layers:
        if layer.name in run.spikes:
            np.testing.assert_array_equal(found.spikes[layer.name], run.spikes[layer.name])
            np.testing.assert_array_equal(found.state[layer.name]["v"], run.state[layer.name]["v"])
            np.testing.assert_array_equal(elements.spikes[layer.name], run.spikes[layer.name])
    np.testing.assert_array_equal(found.outputs["output"], run.output)
    scores = network_of(torch.from_numpy(data))
    scores.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in network_of.parameters())


def test_every_step_of_activity_is_counted_once(net: Any, data: Any) -> None:
    run = net.run(net.encode(data), per_step=True)
    for whole, by_step in zip(run.activity.layers, run.activity.by_step.layers, strict=True):
        np.testing.assert_array_equal(by_step.spikes.sum(1), whole.spikes)
        if whole.name in run.spikes:
            own = run.spikes[whole.name].reshape(len(data), STEPS, -1).sum(2)
            np.testing.assert_array_equal(by_step.spikes, own)


def test_a_mixed_run_looks_ahead_too(net: Any, data: Any) -> None:
    graph = fold(lower(network()[0], 1e-3))
    names = [layer.name for layer in net.layers]
    mixed = execute_mixed(graph, net, data, [*names, "input"], names)
    for name, spikes in net.run(net.encode(data)).spikes.items():
        np.testing.assert_array_equal(mixed[name]["s"].reshape(spikes.shape), spikes)
    first = graph.populations[0].name
    mixed = execute_mixed(graph, net, data, names[1:], names)
    spikes = execute(graph, data).spikes[first]
    np.testing.assert_array_equal(mixed[first]["s"], spikes)


def test_files_keep_it(net: Any, data: Any, tmp_path: Any) -> None:
    net.save(tmp_path / "net.h5")
    x = net.encode(data)
    np.testing.assert_array_equal(snn2hw.load(tmp_path / "net.h5").run(x).output, net.run(x).output)
    graph = network()[0]
    snn2hw.write(tmp_path / "net.nir", graph)
    read = fold(lower(snn2hw.read(tmp_path / "net.nir"), 1e-3))
    own = execute(fold(lower(graph, 1e-3)), data)
    np.testing.assert_array_equal(execute(read, data).output, own.output)
    first = replace(net.synapses[0], delay=-(1 << 20))
    replace(net, synapses=(first, *net.synapses[1:])).save(tmp_path / "far.h5")
    with pytest.raises(FileFormatError, match="steps ahead"):
        snn2hw.load(tmp_path / "far.h5")


@pytest.mark.parametrize("rank", [0, 2])
def test_other_ranks_become_integers(rank: int) -> None:
    torch.manual_seed(1)
    if rank == 0:
        layers: list[Any] = [SpikingConv1d(3, 6, 3, 2), SpikingDense(6, 5, lateral=False)]
        shape: tuple[int, ...] = (3,)
    else:
        layers = [SpikingConv3d(2, 3, (2, 3, 2), 1, (2, 1), recurrent=True)]
        shape = (2, 5, 4)
    for layer in layers:
        with torch.no_grad():
            layer.weight.mul_(3.0)
            layer.b.mul_(0.2)
    x = np.random.default_rng(3).normal(0, 2, (4, 12, *shape)).astype(np.float32)
    net = snn2hw.quantize(snn2hw.to_nir(nn.Sequential(*layers).eval(), shape), calibration=x)
    run = net.run(net.encode(x))
    wanted = nn.Sequential(*layers)(torch.from_numpy(x)).detach().numpy()
    assert 0.02 < wanted.mean() < 0.6
    assert np.mean(run.output != wanted) < 0.06


@pytest.fixture(scope="module")
def biased() -> Any:
    """Kernels that look ahead, behind biases, as PyTorch and as integers; and data."""
    torch.manual_seed(1)
    norm = NormLinear(5, 4)
    model = nn.Sequential(
        nn.Linear(3, 4), SpikingConv1d(4, 5, 5, 2), norm, SpikingConv1d(4, 3, 3), Readout(3, 2)
    ).double()
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([1.0, -1.0, 2.0, 0.5]))
        norm.bias.copy_(torch.tensor([1.0, -1.0, 2.0, 0.5]))
        for layer in (model[1], model[3]):
            layer.weight.mul_(3.0)
            layer.b.mul_(0.2)
    x = np.random.default_rng(0).normal(0, 2, (4, 12, 3))
    net = snn2hw.quantize(snn2hw.to_nir(model.eval(), (3,)), calibration=x)
    return model, net, x


def test_integers_hear_no_bias_behind_the_last_step(biased: Any) -> None:
    model, net, x = biased
    run = net.run(net.encode(x))
    values = torch.from_numpy(x)
    names = [layer.name for layer in net.layers if "spikingconv1d" in layer.name]
    for number, name in zip((2, 4), names, strict=True):
        wanted = model[:number](values).detach().numpy()
        assert 0.05 < wanted.mean() < 0.6
        assert np.mean(run.spikes[name] != wanted) < 0.03
        # With the bias there, half of these would be others.
        assert np.mean(run.spikes[name][:, -4:] != wanted[:, -4:]) < 0.05
    elements = run_on_pes(net, net.encode(x), snn2hw.place(net, pes=3))
    for name, spikes in run.spikes.items():
        np.testing.assert_array_equal(elements.spikes[name], spikes)


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_lava_hears_no_bias_behind_the_last_step(biased: Any) -> None:
    _, net, x = biased
    check = snn2hw.verify(net, net.encode(x[:3]), backend="lava")
    assert check.mismatches == 0, str(check.first_mismatch)
    assert check.compared > 500


def test_delays_beyond_the_chips_are_refused() -> None:
    """Three taps, 31 steps apart, reach over 62: the most; at 32 the first needs 65."""
    x = np.random.default_rng(0).normal(0, 1, (2, 5, 2))
    for dilation, fits in ((31, True), (32, False)):
        graph = snn2hw.to_nir(SpikingConv1d(2, 2, 3, dilation), (2,))
        if fits:
            net = snn2hw.quantize(graph, calibration=x)
            assert max(s.chip_delay for s in net.synapses) == MAX_DELAY
        else:
            with pytest.raises(TargetError, match="need a delay of 65 steps and the chip holds 63"):
                snn2hw.quantize(graph, calibration=x)


def test_a_beta_of_one_is_refused() -> None:
    layer = SpikingDense(2, 2)
    with torch.no_grad():
        layer.beta.fill_(1.0)
    with pytest.raises(GraphError, match="beta = 1, with which nothing enters"):
        snn2hw.to_nir(layer, (2,))


def looking_ahead(seconds: Any, delay: float = 0.0) -> nir.NIRGraph:
    """A LIF that looks ahead, with a loop over another one."""

    def lif(**metadata: Any) -> nir.LIF:
        ones = np.ones(2)
        return nir.LIF(ones * 2e-3, ones, 0 * ones, ones * 0.1, metadata=metadata)

    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "ahead": lif(lookahead_s=seconds),
        "other": lif(),
        "late": nir.Delay(np.full(2, delay)),
        "output": nir.Output({"output": np.array([2])}),
    }
    path = ["input", "ahead", "other", "output"]
    edges = [*pairwise(path), ("other", "late"), ("late", "ahead")]
    return nir.NIRGraph(nodes, edges)


def test_loops_that_look_ahead_too_far_are_refused() -> None:
    x = np.ones((1, 5, 2))
    execute(lower(looking_ahead(2e-3, delay=3e-3), 1e-3), x)
    with pytest.raises(GraphError, match=r"loop .*ahead.* looks ahead further than it is late"):
        execute(lower(looking_ahead(4e-3, delay=3e-3), 1e-3), x)
    for wrong in (-1e-3, "soon", np.nan):
        with pytest.raises(ParameterError, match="node 'ahead': lookahead_s in its metadata"):
            lower(looking_ahead(wrong), 1e-3)


@pytest.mark.parametrize(
    ("late", "drive"),
    [
        (3, [0, 1.5, 2.5, 3.5, 4.5, 5.5]),
        (2, np.arange(1, 7) + 0.5),
        (0, [3.5, 4.5, 5.5, 6.5, 0, 0]),
    ],
)
def test_biases_on_the_way_come_earlier_too(late: int, drive: Any) -> None:
    """A bias behind a delay of 3 steps, of which 2 are taken back, enters from step 1 on, and what
    comes with x of two steps later ends with it. One from the neuron's own spikes always enters."""
    ones = np.ones(1)
    lif = nir.LIF(ones * 1e-3, ones, 0 * ones, ones * 9, metadata={"lookahead_s": 2e-3})
    nodes = {
        "input": nir.Input({"input": np.array([1])}),
        "map": nir.Affine(np.eye(1), ones * 0.5),
        "late": nir.Delay(ones * late * 1e-3),
        "lif": lif,
        "output": nir.Output({"output": np.array([1])}),
    }
    path = list(nodes)
    graph = lower(nir.NIRGraph(nodes, list(pairwise(path))), 1e-3)
    x = np.arange(1.0, 7.0).reshape(1, 6, 1)
    v = execute(graph, x, record=("v",)).state["lif"]["v"].ravel()
    np.testing.assert_allclose(v, drive)
    back = nir.Affine(np.eye(1), ones * 0.25)
    nodes, edges = nodes | {"own": back}, [*pairwise(path), ("lif", "own"), ("own", "lif")]
    graph = lower(nir.NIRGraph(nodes, edges), 1e-3)
    v = execute(graph, x, record=("v",)).state["lif"]["v"].ravel()
    np.testing.assert_allclose(v, np.asarray(drive) + 0.25)
