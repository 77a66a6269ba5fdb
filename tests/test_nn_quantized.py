"""Quantisation-aware training: its forward pass is the simulator's, its export what it ran."""

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest
import torch
from torch.nn import Linear, Module, Sequential

import snn2hw
from snn2hw.demo_models import build_japanese_vowels
from snn2hw.errors import DataError, GraphError, ParameterError
from snn2hw.linear import Dense
from snn2hw.nn import (
    ALIF,
    GPN,
    LIF,
    AvgPool2d,
    Conv2d,
    CubaLIF,
    Delay,
    Flatten,
    LeakyReadout,
    QuantizedNetwork,
    Readout,
    Recurrent,
    SumPool2d,
    accuracy,
    train,
)
from snn2hw.nn.quantized_links import whole_sums
from snn2hw.passes import quantize_by
from snn2hw.passes.config import LayerConfig, QuantizeConfig, WeightConfig

TIME = 9


class Two(Module):
    """Two inputs, a delay, a sum of paths, two outputs."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.lif = Linear(6, 5), Linear(4, 5), LIF(5)
        self.late, self.mid, self.last = Delay(5, 2), Linear(5, 5), CubaLIF(5, 2.0, 4.0)
        self.out = Linear(5, 3)

    def forward(self, left, right):
        s = self.lif(self.a(left) + self.b(right))
        return {"first": self.out(self.last(self.mid(self.late(s)) + s)), "second": s}


CHAINS = {
    "lif": lambda: [Linear(10, 8), LIF(8), Linear(8, 7), LIF(7, v_reset=0.1), Readout(7, 3)],
    "gpn": lambda: [Linear(10, 8), GPN(8), Linear(8, 7), GPN(7), Readout(7, 3)],
    "recurrent": lambda: [
        Linear(10, 8),
        Recurrent(LIF(8, reset="subtract")),
        Readout(8, 3, "last"),
    ],
    "alif": lambda: [
        Linear(10, 8),
        Recurrent(ALIF(8, 0.8, 0.9, 0.6, 0.5, refractory=2, adaptive_reset=True)),
        Linear(8, 7),
        ALIF(7, 0.8, v_threshold=0.5),
        Readout(7, 3),
    ],
    "leaky": lambda: [Linear(10, 8), CubaLIF(8, v_leak=0.2), LeakyReadout(8, 3, 0.8)],
}


def chain(kind, strength=4.0):
    torch.manual_seed(1)
    model = Sequential(*CHAINS[kind]())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(strength if parameter.ndim > 1 else 1.0)
    return model


def image():
    torch.manual_seed(2)
    layers = (Conv2d(2, 4, 3, padding=1), LIF((4, 6, 6), 2.0, 0.1), SumPool2d(2), AvgPool2d(3))
    return Sequential(*layers, Flatten(), Linear(4, 6), LIF(6, 2.0, 0.1), Readout(6, 3))


def spikes(*shape, seed=0):
    return (np.random.default_rng(seed).random((5, TIME, *shape)) < 0.4).astype(np.float32)


def bits(number, **more):
    return QuantizeConfig(default=WeightConfig(bits=number), **more)


def assert_same(network, x):
    """Every integer of ``trace`` is the simulator's; some neuron of every layer fired."""
    net = network.export()
    states = tuple({s.name for layer in net.layers for s in layer.model.states})
    run = net.run(net.encode(x), record=states)
    tensors = {k: torch.tensor(v) for k, v in x.items()} if isinstance(x, dict) else torch.tensor(x)
    with torch.no_grad():
        found = network.trace(tensors)
    learned = network.trace(tensors)
    for outcome in (found, learned):
        assert set(outcome.outputs) == {o.name for o in net.outputs}
        assert set(outcome.spikes) == set(run.spikes)
        for name, values in outcome.outputs.items():
            np.testing.assert_array_equal(values, run.outputs[name])
        for name, values in outcome.spikes.items():
            assert int(values.sum()) > 0
            np.testing.assert_array_equal(values, run.spikes[name])
        for layer in net.layers:
            for state in layer.model.states:
                values = outcome.state[layer.name][state.name]
                np.testing.assert_array_equal(values, run.state[layer.name][state.name])
    scores = network(tensors).detach()
    np.testing.assert_allclose(scores, run.logits, rtol=1e-5, atol=1e-6)


def steps(network, x, count=3, lr=1e-2):
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(count):
        optimizer.zero_grad()
        (network(x) - 2.0).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("width", [8, 4, 2])
@pytest.mark.parametrize("kind", CHAINS)
def test_integers_are_those_of_the_simulator(kind, width):
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain(kind), (10,)), x, config=bits(width))
    assert_same(network, x)
    before = network.export()
    steps(network, torch.tensor(x), lr=5e-2)
    assert_same(network, x)
    after = network.export()
    assert any(
        not np.array_equal(a.mantissa, b.mantissa)
        for a, b in zip(before.synapses, after.synapses, strict=True)
    )
    assert all(np.abs(s.mantissa.astype(int)).max() <= 2 ** (width - 1) - 1 for s in after.synapses)


def test_integers_of_images_real_values_and_several_inputs():
    x = spikes(2, 6, 6)
    network = QuantizedNetwork(snn2hw.to_nir(image(), (2, 6, 6)), x, config=bits(4))
    steps(network, torch.tensor(x), count=1)
    assert_same(network, x)
    real = np.random.default_rng(3).normal(size=(5, TIME, 10)).astype(np.float32)
    network = QuantizedNetwork(snn2hw.to_nir(chain("gpn"), (10,)), real, config=bits(4))
    steps(network, torch.tensor(real), count=1)
    assert_same(network, real)
    torch.manual_seed(4)
    two = {"left": spikes(6), "right": 2 * spikes(4, seed=1)}
    model = Two()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    graph = snn2hw.to_nir(model, {"left": (6,), "right": (4,)})
    network = QuantizedNetwork(graph, two, config=bits(3))
    steps(network, {k: torch.tensor(v) for k, v in two.items()}, count=1)
    assert_same(network, two)


@pytest.mark.parametrize("neuron", ["lif", "gpn"])
def test_integers_of_the_demo_networks(neuron):
    x = (np.random.default_rng(5).random((4, 12, 144)) < 0.3).astype(np.float32)
    graph = snn2hw.to_nir(build_japanese_vowels(neuron), (144,))
    network = QuantizedNetwork(graph, x, config=bits(4, search=False))
    steps(network, torch.tensor(x), count=2)
    assert_same(network, x)


@pytest.mark.parametrize("kind", ["lif", "gpn"])
def test_export_is_what_the_quantiser_makes_of_these_weights(kind):
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain(kind), (10,)), x, config=bits(4))
    steps(network, torch.tensor(x))
    network.refresh()
    ours, plain = network.export(), quantize_by(network.graph(), x, config=network.config).net
    for a, b in zip(ours.layers, plain.layers, strict=True):
        assert all(np.array_equal(a.params[name], b.params[name]) for name in b.params)
    for a, b in zip(ours.synapses, plain.synapses, strict=True):
        assert a.exponent == b.exponent
        np.testing.assert_array_equal(a.mantissa, b.mantissa)


@pytest.mark.parametrize("kind", ["recurrent", "gpn"])
def test_trained_integers_are_those_of_lava(kind, lava):
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain(kind), (10,)), x, config=bits(2))
    steps(network, torch.tensor(x))
    check = snn2hw.verify(network.export(), x[:2])
    assert check.ok
    assert check.compared > 0


def test_export_is_a_file_that_runs_the_same(tmp_path):
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain("recurrent"), (10,)), x, config=bits(2))
    net = network.export()
    assert net.decode == "last"
    net.save(tmp_path / "net.h5")
    loaded = snn2hw.load(tmp_path / "net.h5")
    np.testing.assert_array_equal(loaded.run(net.encode(x)).output, net.run(net.encode(x)).output)
    with torch.no_grad():
        np.testing.assert_array_equal(
            network(torch.tensor(x)).argmax(1), loaded.run(net.encode(x)).predictions
        )


@pytest.mark.parametrize("kind", ["lif", "gpn", "alif"])
def test_gradients_are_nearly_those_of_the_float_model(kind):
    """At 8 bits, where the spikes agree: torch differentiates the layers that the model is of."""
    x = spikes(10)
    model = chain(kind, 1.5 if kind == "gpn" else 4.0).eval()
    if kind == "gpn":
        with torch.no_grad():
            model[3].gates.bias[-7:] -= 1.0  # lower thresholds: the second layer fires too
    model(torch.tensor(x)).square().sum().backward()
    network = QuantizedNetwork(snn2hw.to_nir(model, (10,)), x, config=bits(8))
    network(torch.tensor(x)).square().sum().backward()
    names = [p.name for p in network.graph().projections]
    found = {name: w.grad for name, w in zip(names, network.weights, strict=True)}
    bias = dict(zip(network.bias_names, network.biases, strict=True))
    assert_close(found[f"{kind}2->readout"], model[4].linear.weight.grad)
    assert_close(bias["readout", "bias"].grad, model[4].linear.bias.grad)
    if kind == "gpn":
        n, gates = 8, model[1].gates
        assert_close(found["gpn1.m->gpn1"], gates.weight.grad[:, :n])
        reached = torch.cat([bias["gpn1", f"{gate}_bias"].grad for gate in "fibt"]).float()
        assert_close(reached, gates.bias.grad)
        # What the gates see of the bias in front of the layer is in their own bias.
        of_bias = torch.outer(reached, model[0].bias)
        assert_close(network.inner[0].grad.float() + of_bias, gates.weight.grad[:, n:])
        assert_close(found["input->gpn1"], model[0].weight.grad)
        return
    gain = 1 / model[1].tau if kind == "lif" else 1.0
    assert_close(gain * found[f"input->{kind}1"], model[0].weight.grad)


def assert_close(found, wanted):
    """Direction and size of a gradient, within what 8 bits change."""
    found, wanted = found.detach().flatten().double(), wanted.detach().flatten().double()
    assert float(torch.nn.functional.cosine_similarity(found, wanted, dim=0)) > 0.98
    assert 0.95 < float(found.norm() / wanted.norm()) < 1.05


@pytest.mark.parametrize(("exponent", "wanted"), [(-1, [-2, 1]), (-2, [-1, 0]), (2, [-12, 12])])
def test_sums_of_negative_exponents_are_shifted_as_a_whole(exponent, wanted):
    link = Dense(np.array([[-2, -1], [1, 2]], dtype=np.int8))
    mantissa = torch.tensor(link.weight, dtype=torch.float64)
    sums = whole_sums(link, mantissa, exponent, torch.tensor([[1, 1]]))
    assert sums.tolist() == [wanted]


def task(seed, samples=240):
    """Four classes: which sum of a few strong and many weak channels is the largest."""
    rng = np.random.default_rng(seed)
    rates = rng.random((samples, 12)) * 0.8
    x = (rng.random((samples, 10, 12)) < rates[:, None]).astype(np.float32)
    return x, (x.sum(1) @ np.random.default_rng(77).normal(size=(12, 4)) ** 3).argmax(1)


def right(net, data):
    """Share of samples with the right class, and their cross-entropy, on the simulator."""
    x, y = data
    run = net.run(net.encode(x))
    loss = torch.nn.functional.cross_entropy(torch.tensor(run.logits), torch.tensor(y))
    return float(np.mean(run.predictions == y)), float(loss)


@pytest.mark.parametrize(("neuron", "width"), [(LIF, 2), (GPN, 2), (LIF, 4)])
def test_training_recovers_what_rounding_lost(neuron, width):
    seen, fresh, config = task(0), task(9), bits(width)
    torch.manual_seed(0)
    model = Sequential(Linear(12, 16), neuron(16), Readout(16, 4))
    train(model, *seen, epochs=40, lr=2e-2, batch_size=40, seed=0)
    graph = snn2hw.to_nir(model, (12,))
    post = snn2hw.quantize(graph, calibration=seen[0], config=config)
    network = QuantizedNetwork(graph, seen[0], config=config)
    train(network, *seen, epochs=10, lr=5e-3, batch_size=40, seed=0)
    network.refresh()
    net = network.export()
    assert right(net, seen)[0] == accuracy(network, *seen)
    (before, loss_before), (after, loss_after) = right(post, seen), right(net, seen)
    assert loss_after < loss_before
    assert after >= before + (0.02 if width == 2 else 0.0)
    assert right(net, fresh)[0] >= right(post, fresh)[0] - 0.02


def test_structural_zeros_stay():
    x = spikes(10)
    model = chain("lif")
    with torch.no_grad():
        model[2].weight[:, ::2] = 0.0
    network = QuantizedNetwork(snn2hw.to_nir(model, (10,)), x, config=bits(8))
    steps(network, torch.tensor(x))
    middle = next(s for s in network.export().synapses if s.name == "lif1->lif2")
    assert not middle.mantissa[:, ::2].any()
    assert middle.mantissa[:, 1::2].all()


def test_refresh_keeps_the_plan_or_searches_anew():
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain("lif"), (10,)), x, config=bits(2))
    clips = [group.clip for group in network.config.synapses.values()]
    with torch.no_grad():
        for weight in network.weights:
            weight.mul_(2 * weight.abs() / weight.abs().mean())
    network.refresh()
    assert [group.clip for group in network.config.synapses.values()] == clips
    network.refresh(search=True)
    assert [group.clip for group in network.config.synapses.values()] != clips
    assert_same(network, x)


def test_what_is_asked_for_is_obeyed():
    x = spikes(10)
    graph = snn2hw.to_nir(chain("lif"), (10,))
    asked = QuantizeConfig(
        layers={"lif1": LayerConfig(headroom=4.0)},
        synapses={"input->lif1": WeightConfig(bits=5, scale="layer", clip=0.5)},
    )
    network = QuantizedNetwork(graph, x, config=asked)
    steps(network, torch.tensor(x), count=1)
    network.refresh()
    assert network.config.layers["lif1"].headroom == 4.0
    group = network.config.synapses["input->lif1"]
    assert (group.bits, group.scale, group.clip) == (5, "layer", 0.5)
    first = next(s for s in network.export().synapses if s.name == "input->lif1")
    assert np.abs(first.mantissa).max() == 15
    with pytest.raises(ParameterError, match="names layer 'nobody'"):
        QuantizedNetwork(graph, x, config=replace(asked, layers={"nobody": LayerConfig()}))


def test_refusals():
    x = spikes(10)
    nodes = {
        "input": nir.Input({"input": np.array([10])}),
        "linear": nir.Linear(np.ones((4, 10))),
        "sharp": nir.Threshold(np.ones(4)),
        "output": nir.Output({"output": np.array([4])}),
    }
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)))
    with pytest.raises(GraphError, match="layer 'sharp' is of the neuron 'threshold', which cann"):
        QuantizedNetwork(graph, x)
    network = QuantizedNetwork(snn2hw.to_nir(chain("lif"), (10,)), x)
    with pytest.raises(DataError, match="give a torch tensor"):
        network(x)
    with pytest.raises(DataError, match="data hold fractions"):
        network(torch.tensor(x) / 2)
    with pytest.raises(DataError):
        network(torch.zeros(2, TIME, 11))
