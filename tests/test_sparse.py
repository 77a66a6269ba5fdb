"""Ponghiran and Roy's neurons as nodes and as integers: what is refused, and what training on the
integers of a chip does with them."""

import nir
import numpy as np
import pytest
import torch
from conformance_case import build as network_of

import snn2hw
from snn2hw.converters.nodes import SparseGated, SparseLeaky
from snn2hw.errors import FileFormatError, GraphError, ParameterError, TargetError
from snn2hw.executor import execute
from snn2hw.nn import NormLinear, QuantizedNetwork, Readout, SparseEncoder
from snn2hw.nn import SparseGated as Gated
from snn2hw.nn import SparseLeaky as Leaky
from snn2hw.passes import fold, lower
from snn2hw.passes.check import check

QUANTISER = {"scale": 8.0, "threshold": 3, "bits": 6, "dt": 1e-3}


def graph(n=4, **changed):
    """Gated neurons behind a matrix."""
    rng = np.random.default_rng(0)
    node = SparseGated(**({"recurrent_weight": rng.normal(size=(2 * n, n))} | QUANTISER | changed))
    fc = nir.Linear(rng.normal(size=(2 * n, 5)))
    return network_of("input fc y output", {"fc": fc, "y": node}, (5,), (n,))


def spikes(n=5, steps=30):
    return (np.random.default_rng(1).random((3, steps, n)) < 0.4).astype(np.int64)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: graph(recurrent_weight=np.ones((4, 4))), "has shape (4, 4); it must be (2N, N)"),
        (lambda: graph(scale=np.ones(3)), "SparseGated: scale has shape (3,); give one value"),
        (lambda: SparseLeaky(np.ones(0), **QUANTISER), "tau has shape (0,); give one a neuron"),
    ],
)
def test_nodes_check_their_shapes(make, says):
    with pytest.raises(GraphError) as caught:
        make()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dt": 2e-3}, "node 'y': this neuron was trained at dt = 0.002 s"),
        ({"scale": 0.0}, "node 'y': scale is 0; give steps per unit of V, above 0"),
        ({"bits": 2.5}, "node 'y': bits is 2.5; give a whole number from 1 to 32"),
        ({"bits": 33}, "node 'y': bits is 33; give a whole number from 1 to 32"),
        ({"threshold": -1}, "node 'y': threshold is -1; give a whole number of steps from 0"),
        ({"threshold": 0.5}, "node 'y': threshold is 0.5; give a whole number of steps from 0"),
        ({"scale": np.nan}, "scale of node 'y' holds NaN or infinity"),
    ],
)
def test_numbers_are_checked(changed, says):
    with pytest.raises(ParameterError) as caught:
        lower(graph(**changed), 1e-3)
    assert says in str(caught.value)


def test_sizes_of_neighbours_are_checked():
    nodes = {"fc": nir.Linear(np.ones((4, 5))), "y": SparseGated(np.ones((8, 4)), **QUANTISER)}
    with pytest.raises(GraphError, match=r"node 'y': it takes 8 values \(shape \(8,\)\) and 'fc' "):
        lower(network_of("input fc y output", nodes, (5,), (4,)), 1e-3)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"bits": 13}, "layer 'y': it sends values of 13 bits and messages hold 12"),
        ({"scale": 4e6}, "steps of its quantiser, which leaves fewer than 4 bits"),
        (
            {"recurrent_weight": np.repeat([[5e5], [0.0]], 4, 0) * np.ones(4)},
            "weights into port f_rec are too large for",
        ),
    ],
)
def test_numbers_beyond_the_chip_are_refused(changed, says):
    with pytest.raises(TargetError) as caught:
        snn2hw.quantize(graph(**changed), calibration=spikes())
    assert says in str(caught.value)


@pytest.mark.parametrize("node", ["gated", "leaky"])
def test_check_sees_messages_that_are_too_wide(node):
    def made(bits):
        if node == "gated":
            return graph(bits=bits)
        leaky = SparseLeaky(np.full(5, 0.5), **(QUANTISER | {"bits": bits}))
        return network_of("input y output", {"y": leaky}, (5,), (5,))

    assert check(made(12)).ok
    snn2hw.quantize(made(12), calibration=spikes())
    (found,) = check(made(13)).violations
    assert (found.rule, found.node) == ("message width", "y")
    assert found.used == "layer 'y' sends values of 13 bits"
    assert (found.limit, found.hint) == ("messages of 12 bits", "train it with fewer bits")


def test_tau_beyond_its_register_is_refused():
    nodes = {"y": SparseLeaky(np.full(5, 8.5), **(QUANTISER | {"scale": 1e-20}))}
    with pytest.raises(TargetError, match=r"tau spans 8\.5\.\.8\.5 and the register"):
        snn2hw.quantize(
            network_of("input y output", nodes, (5,), (5,)), calibration=spikes(steps=3)
        )


def test_loihi1_has_no_graded_spikes():
    with pytest.raises(TargetError, match="layer 'y': loihi1 has no neuron 'sparse_gated'"):
        snn2hw.quantize(graph(), target="loihi1", calibration=spikes())
    found = check(graph(), "loihi1", 1e-3).violations
    assert [(v.rule, v.node) for v in found] == [("neuron", "y")]


def test_a_damaged_file_is_refused(tmp_path):
    import h5py

    path = tmp_path / "net.nir"
    snn2hw.write(path, graph())
    with h5py.File(path, "r+") as file:
        del file["node/nodes/y/scale"]
    with pytest.raises(FileFormatError, match="node 'y' of type SparseGated is incomplete"):
        snn2hw.read(path)


def test_what_is_sent_and_held_is_what_arrived():
    """The residual is exact: sent and held add up to the sum of the currents, in integers."""
    net = snn2hw.quantize(graph(), calibration=spikes())
    run = net.run(spikes(), record=("i", "v", "y"))
    state, layer = run.state["y"], net.layer("y")
    steps = 1 << layer.params["step_shift"].astype(np.int64)
    current = state["i"].astype(np.int64).cumsum(axis=1)
    sent = (state["y"].astype(np.int64) * steps).cumsum(axis=1)
    np.testing.assert_array_equal(sent + state["v"], current)
    assert set(np.unique(np.abs(state["y"]))) & {1, 2, 3} == set()
    assert np.abs(state["y"]).max() <= 31
    assert 0.1 < (state["y"] != 0).mean() < 0.9


def test_messages_are_as_wide_as_the_quantiser_says():
    """Not 12 bits: what is priced, and whether a sum of 1,024 inputs fits 32 bits, hangs on it."""
    net = snn2hw.quantize(graph(), calibration=spikes())
    assert (net.message_range("y", "y"), net.layer("y").message_bits("y")) == (31, 6)
    found = net.run(spikes()).activity
    assert found.layer("y").port_bits == {"y": 6}


def test_two_bits_are_no_spike_to_any_chip():
    """They say -1, 0 and 1: a payload on SpiNNaker2, a sign bit and graded links on Loihi."""
    rng = np.random.default_rng(3)
    nodes = {"a": nir.Linear(rng.normal(size=(8, 5)))}
    nodes["y"] = SparseLeaky(np.full(8, 0.5), **(QUANTISER | {"bits": 2, "threshold": 0}))
    heard = [f"z{k}" for k in range(5)]  # a core each, more than a tile has
    for name in heard:
        nodes[f"to {name}"] = nir.Linear(rng.normal(size=(4, 8)))
        nodes[name] = SparseLeaky(np.full(4, 0.5), **QUANTISER)
    ends = {"input": nir.Input({"input": np.array([5])})}
    ends |= {f"out {name}": nir.Output({"output": np.array([4])}) for name in heard}
    edges = [("input", "a"), ("a", "y")]
    for name in heard:
        edges += [("y", f"to {name}"), (f"to {name}", name), (name, f"out {name}")]
    net = snn2hw.quantize(nir.NIRGraph(ends | nodes, edges), calibration=spikes())
    assert net.layer("y").message_bits("y") == 2
    assert not net.sends_spikes("y", "y")
    assert net.sends_spikes("input", "")

    demands = {d.layer: d for d in snn2hw.place(net).demands}
    assert demands["y"].per_part["packet FIFO"] == 4 * 5
    assert demands["z0"].per_part["packet FIFO"] == 8 * 8

    links = snn2hw.place(net, "loihi2").links
    assert sum(sum(link.graded.values()) for link in links) > 0
    assert sum(sum(link.spikes.values()) for link in links) == 0
    wide = [v for v in snn2hw.place(net, "loihi1").violations if v.rule == "message width"]
    assert [(v.node, v.used) for v in wide] == [("y", "'y' sends messages of 2 bits")]


@pytest.mark.parametrize("loop", [False, True])
def test_a_neuron_that_is_inhibited_has_room_for_its_weights(loop):
    """Calibration sees the drive behind its rectifier: 14 bits below a step would leave no room for
    the gain of weights that are many steps large and all but silence it."""
    n = 4
    rng = np.random.default_rng(0)
    inhibition = -100.0 - rng.random((n, 5))
    weight = np.vstack([rng.normal(size=(n, 5)), 0.003 * inhibition if loop else inhibition])
    back = np.vstack([np.zeros((n, n)), 20 * inhibition[:, :n]]) if loop else np.zeros((2 * n, n))
    nodes = {
        "fc": nir.Affine(weight, np.concatenate([np.zeros(n), np.full(n, 0.8)])),
        "y": SparseGated(back, **QUANTISER),
    }
    network = network_of("input fc y output", nodes, (5,), (n,))
    x = spikes(steps=60)
    if not loop:
        x = x * (rng.random((3, 60, 1)) < 0.2)
    net = snn2hw.quantize(network, calibration=x)
    layer = net.layer("y")
    assert 4 <= layer.params["step_shift"].max() < 14
    wanted = execute(fold(lower(network, 1e-3)), x).output
    assert 0.05 < np.mean(wanted != 0) < 0.9
    found = net.run(x, record=("y",))
    got = found.state["y"]["y"].reshape(wanted.shape) * layer.units["y"]
    if loop:
        assert np.abs(got.mean(1) - wanted.mean(1)).max() < 0.05
    else:
        # A step more now is a step less soon.
        assert np.abs(got.cumsum(1) - wanted.cumsum(1)).max() <= layer.units["y"]
    assert found.overflows["y"].clips + found.overflows["y"].wraps == 0


def test_silence_stays_silent():
    net = snn2hw.quantize(graph(), calibration=np.zeros((1, 5, 5)))
    assert not net.run(np.zeros((1, 5, 5), dtype=np.int64), record=("y",)).state["y"]["y"].any()


def model(version):
    torch.manual_seed(0)
    neurons = {"v2": lambda: Gated(8), "v1": lambda: Gated(8, False), "old": lambda: Leaky(8)}
    rows = 8 if version == "old" else 16
    made = torch.nn.Sequential(
        SparseEncoder(5), NormLinear(5, rows), neurons[version](), Readout(8, 3)
    )
    x = torch.tensor(np.random.default_rng(2).normal(size=(20, 12, 5)), dtype=torch.float32)
    if version == "old":
        made[2].tau.data.fill_(0.7)
    if version == "v2":
        # Weak, for a loop of strong ones makes another run of a small difference.
        made[2].linear.weight.data *= 0.3
    for _ in range(20):
        made(x)
    return made.eval(), x[:6]


@pytest.mark.parametrize("version", ["old", "v1", "v2"])
def test_training_on_integers_runs_the_simulator_and_has_the_layers_gradients(version):
    made, x = model(version)
    network = QuantizedNetwork(snn2hw.to_nir(made, (5,)), x.numpy())
    scores = network(x)
    net = network.export()
    run = net.run(net.encode(x.numpy()))
    np.testing.assert_array_equal(scores.argmax(1).numpy(), run.predictions)
    np.testing.assert_allclose(
        scores.detach().numpy(), run.output.mean(1) * net.layer("readout").units["y"], atol=1e-12
    )
    scores.square().sum().backward()
    made(x).square().sum().backward()
    names = [p.name for p in network.graph().projections]
    found = {name: w.grad for name, w in zip(names, network.weights, strict=True)}
    hidden = next(name.split("->")[1] for name in names if name.startswith("sparseencoder"))
    wanted = {f"{hidden}->readout": made[3].linear.weight.grad}
    if version == "v2":
        wanted[f"{hidden}.y->{hidden}"] = made[2].linear.weight.grad
    gain = made[1].gain / torch.sqrt(made[1].running_var + made[1].EPS)
    # d/dW of gain * W is gain times that of the folded weight.
    wanted[f"sparseencoder->{hidden}"] = made[1].linear.weight.grad / gain[:, None]
    for name, gradient in wanted.items():
        a, b = found[name].flatten().double(), gradient.flatten().double()
        assert float(torch.nn.functional.cosine_similarity(a, b, dim=0)) > 0.97, name
        assert 0.9 < float(a.norm() / b.norm()) < 1.1, name
