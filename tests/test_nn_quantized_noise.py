"""Training on integers: what acts in training alone, and the trained weights as a NIR graph."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from test_nn_quantized import CHAINS, assert_same, bits, chain, image, spikes, steps
from torch.nn import Linear, Sequential

import snn2hw
from snn2hw.errors import GraphError, ParameterError
from snn2hw.nn import (
    GPN,
    LIF,
    Noise,
    QuantizedNetwork,
    Readout,
    Recurrent,
    SequenceDropout,
    noise_of,
)
from snn2hw.passes import fold, lower


@pytest.mark.parametrize("kind", CHAINS)
def test_trained_weights_return_to_the_nodes_of_the_graph(kind, tmp_path):
    x = spikes(10)
    network = QuantizedNetwork(snn2hw.to_nir(chain(kind), (10,)), x, config=bits(4))
    before = network.graph()
    steps(network, torch.tensor(x))
    network.refresh()
    snn2hw.write(tmp_path / "trained.nir", network.to_nir())
    again, wanted = fold(lower(snn2hw.read(tmp_path / "trained.nir"), 1e-3)), network.graph()
    for found, kept, old in zip(
        again.projections, wanted.projections, before.projections, strict=True
    ):
        np.testing.assert_allclose(found.map.weight, kept.map.weight, rtol=0, atol=1e-12)
        assert np.abs(kept.map.weight - old.map.weight).max() > 1e-3
    for found, kept in zip(again.populations, wanted.populations, strict=True):
        for name, values in kept.params.items():
            np.testing.assert_allclose(found.params[name], values, rtol=0, atol=1e-12)
    assert snn2hw.compare(network.to_nir(), network.export(), x).fixed.agreement > 0


def test_biases_of_convolutions_return_as_leaks_and_pools_are_refused():
    x = spikes(2, 6, 6)
    network = QuantizedNetwork(snn2hw.to_nir(image(), (2, 6, 6)), x, config=bits(8))
    with torch.no_grad():
        network.biases[0] += torch.linspace(0, 0.1, 144, dtype=torch.float64)
    found = fold(lower(network.to_nir(), 1e-3)).populations[0].params["bias"]
    np.testing.assert_allclose(found, network.graph().populations[0].params["bias"], atol=1e-12)
    with torch.no_grad():
        network.weights[1] += 0.1
    with pytest.raises(GraphError, match=r"'lif1->lif2' were trained as one matrix and come from"):
        network.to_nir()


def noisy(p=0.5, deviation=0.5):
    torch.manual_seed(0)
    layers = (Linear(10, 40), GPN(40, v_reset_std=deviation), SequenceDropout(p))
    last = (Linear(40, 30), Recurrent(LIF(30, 2.0, 0.2)), SequenceDropout(p), Readout(30, 3))
    return Sequential(*layers, *last)


def test_noise_acts_in_training_and_never_on_what_is_exported():
    x = spikes(10)
    model = noisy()
    graph = snn2hw.to_nir(model, (10,))
    found = noise_of(model, graph)
    assert found == Noise({"gpn": 0.5, "lif": 0.5}, {"gpn": 0.5})
    network = QuantizedNetwork(graph, x, config=bits(8), noise=found)
    torch.manual_seed(3)
    network.train()
    one, two = network(torch.tensor(x)), network(torch.tensor(x))
    assert not torch.equal(one, two)
    torch.manual_seed(3)
    assert torch.equal(one, network(torch.tensor(x)))
    one.square().sum().backward()
    assert all(w.grad.abs().sum() > 0 for w in network.weights)
    network.eval()
    assert_same(network, x)


def test_dropout_silences_neurons_for_others_and_makes_up_for_it():
    """A layer's listeners hear, on average over masks, what they hear without dropout."""
    x = np.repeat(spikes(10)[:1], 4000, axis=0)
    torch.manual_seed(0)
    model = Sequential(Linear(10, 6), LIF(6, 2.0, 0.1), SequenceDropout(0.4), Readout(6, 3))
    graph = snn2hw.to_nir(model, (10,))
    network = QuantizedNetwork(graph, x[:5], config=bits(8), noise=noise_of(model, graph))
    with torch.no_grad():
        wanted = network.eval()(torch.tensor(x[:1])).double()
        drawn = network.train()(torch.tensor(x)).double()
    assert len(drawn.unique(dim=0)) in range(2, 2**6 + 1)  # one mask a sample, for all steps
    error = drawn.std(dim=0) / len(drawn) ** 0.5
    assert torch.all((drawn.mean(dim=0) - wanted).abs() < 4 * error)


def test_reset_noise_is_what_the_potential_returns_to():
    """F is 1/2, I and B are 0, T nearly: who starts above 0 fires at every step and returns there;
    who starts below only decays."""
    graph = snn2hw.to_nir(Sequential(Linear(4, 200), GPN(200), Readout(200, 2)), (4,))
    gates = graph.nodes["gpn"]
    gates.gates_weight[:] = 0.0
    gates.gates_bias[:] = np.repeat([0.0, -20.0, 0.0, -20.0], 200)
    x = spikes(4)
    network = QuantizedNetwork(graph, x, config=bits(8), noise=Noise(reset={"gpn": 0.25}))
    torch.manual_seed(0)
    run = network.train().trace(torch.tensor(x))
    v, s = run.state["gpn"]["v"].double() / 2**14, run.spikes["gpn"]
    always = s.all(dim=1)
    assert 400 < int(always.sum()) < 600
    assert int(s.sum()) < 1.05 * x.shape[1] * int(always.sum())
    reset = v[:, -1][always]
    assert torch.equal(reset, v[:, 0][always])
    assert abs(float(reset.square().mean().sqrt()) - 0.25) < 0.03
    assert float(v[:, -1][~s.any(dim=1)].abs().max()) < 0.01


def test_noise_is_refused_where_it_cannot_be():
    graph = snn2hw.to_nir(chain("lif"), (10,))
    for noise, message in (
        (Noise({"lif9": 0.5}), "dropout of layer 'lif9' is 0.5"),
        (Noise({"lif1": 1.0}), "dropout of layer 'lif1' is 1.0"),
        (Noise(reset={"lif1": 0.1}), "reset noise of layer 'lif1' is 0.1; .* for a GPN"),
    ):
        with pytest.raises(ParameterError, match=message):
            QuantizedNetwork(graph, spikes(10), noise=noise)
    with pytest.raises(GraphError, match="the graph has 2 layers of neurons and the model 1"):
        noise_of(Sequential(Linear(10, 3), LIF(3)), graph)
    with pytest.raises(GraphError, match=r"reads nn.Sequential and the model is a Linear"):
        noise_of(Linear(2, 2), graph)
    assert isinstance(graph, nir.NIRGraph)
