"""Ponghiran and Roy's layers against facts/ponghiran_roy.md, written here again in NumPy.

The whole road is held against it, in float64: the torch modules in evaluation, with statistics of
the quantisers and of batch normalisation that training left, and the exported network.
"""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import snn2hw
from snn2hw.errors import DataError, ParameterError
from snn2hw.executor import execute
from snn2hw.nn import (
    NormLinear,
    Readout,
    SparseEncoder,
    SparseGated,
    SparseLeaky,
    SparseQuantizer,
    load_checkpoint,
    save_checkpoint,
    train,
)
from snn2hw.nn.models import build
from snn2hw.passes import fold, lower

INPUTS, WIDTH, STEPS, CLASSES = 7, 12, 25, 3


# --- the equations of facts/ponghiran_roy.md, one sample, one step and one value at a time ------


def q_of(v, s, levels, theta, wrong=""):
    """Section 3: q = trunc(s clip(V, -M, M)); 0 where |q| <= theta. levels = s M."""
    scaled = min(max(v * s, -levels), levels)
    q = float(np.floor(scaled)) if wrong == "floor" else float(int(scaled))
    if abs(q) <= theta - (wrong == "theta"):
        return 0.0
    return q


def sent(current, s, levels, theta, wrong=""):
    """V <- V + I; Y = Q(V); V <- V - Y over time; current, Y: (time, n)."""
    y, v = np.zeros_like(current), np.zeros(current.shape[1])
    for t in range(len(current)):
        for k in range(current.shape[1]):
            v[k] += current[t, k]
            y[t, k] = q_of(v[k], s, levels, theta, wrong) / s
            v[k] = 0.0 if wrong == "reset" and y[t, k] else v[k] - y[t, k]
    return y


def normed(x, state, name):
    """BN(W x) with the running statistics."""
    p = {key: state[f"{name}.{key}"] for key in ("linear.weight", "gain", "bias")}
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    z = (x @ p["linear.weight"].T - mean) / np.sqrt(var + 1e-5)
    return z * p["gain"] + p["bias"]


def quantiser(state, name):
    """M of the running extremes, s and s M of 6 bits."""
    seen = 1 - state[f"{name}.quantizer.unseen"]
    largest = max(abs(state[f"{name}.quantizer.low"]), abs(state[f"{name}.quantizer.high"])) / seen
    s = 32 * (1 - 1e-4) / largest
    return s, s * largest


def gated(x, w, s, levels, theta, wrong=""):
    """Section 2, versions 1 (w None) and 2; x: (time, 2 n)."""
    n = x.shape[1] // 2
    y, i, v = np.zeros((len(x), n)), np.zeros(n), np.zeros(n)
    before = np.zeros(n)
    for t in range(len(x)):
        a = x[t] if w is None else x[t] + w @ before
        if wrong == "late" and t > 0 and w is not None:
            a = x[t] + w @ (y[t - 2] if t > 1 else 0 * before)
        f = 1 / (1 + np.exp(-a[:n]))
        c = np.array([max(value, 0.0) for value in a[n:]])
        if wrong == "rows":
            f, c = 1 / (1 + np.exp(-a[n:])), np.maximum(a[:n], 0)
        i = f * i + ((1 - f) if wrong != "gate" else 1.0) * c
        for k in range(n):
            v[k] += i[k]
            y[t, k] = q_of(v[k], s, levels, theta, wrong) / s
            v[k] = 0.0 if wrong == "reset" and y[t, k] else v[k] - y[t, k]
        before = y[t]
    return y


def network(x, state, version, wrong=""):
    """Values that the encoder and both layers send, each (batch, time, n)."""
    found = []
    for sample in x:
        y = sent(sample, *quantiser(state, "0"), 3, wrong)
        layers = [y]
        for linear, neuron in (("1", "2"), ("3", "4")):
            a = normed(y, state, linear)
            s, levels = quantiser(state, neuron)
            if version == "traditional":
                current = np.zeros_like(a)
                for t in range(len(a)):
                    current[t] = a[t] + state[f"{neuron}.tau"] * (current[t - 1] if t else 0)
                y = sent(current, s, levels, 3, wrong)
            else:
                y = gated(a, state.get(f"{neuron}.linear.weight"), s, levels, 3, wrong)
            layers.append(y)
        found.append(layers)
    return [np.stack(layer) for layer in zip(*found, strict=True)]


# ------------------------------------------------------------------------------------------------


def data(seed, samples=48):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, STEPS, INPUTS)).cumsum(1) * 0.4
    return x, (x.mean(1)[:, :CLASSES]).argmax(1)


@pytest.fixture(scope="module")
def trained():
    """version -> a network whose statistics training moved, float64, in evaluation."""
    made = {}
    for version in ("traditional", "v1", "v2"):
        model = build(
            "ponghiran_roy", (INPUTS,), CLASSES, 0, version=version, width=WIDTH, momentum=0.03
        )
        train(model, *data(0), epochs=4, lr=1e-2, batch_size=16, seed=0)
        made[version] = model.double().eval()
    return made


def state_of(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def sent_by(model, x):
    found, y = [], torch.tensor(x)
    with torch.no_grad():
        for layer in model:
            y = layer(y)
            if hasattr(layer, "quantizer"):
                found.append(y.numpy())
    return found


@pytest.mark.parametrize("version", ["traditional", "v1", "v2"])
def test_every_value_sent_is_that_of_the_equations(trained, version):
    model, x = trained[version], data(1, 3)[0]
    wanted = network(x, state_of(model), version)
    exported = execute(fold(lower(snn2hw.to_nir(model, (INPUTS,)), 1e-3)), x, record=("y",))
    for found in (sent_by(model, x), [state["y"] for state in exported.state.values()][:3]):
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)
    for layer in wanted:
        active = layer != 0
        assert 0.02 < active.mean() < 0.8
        assert np.unique(layer.round(9)).size > 8


ALWAYS = ("floor", "theta", "reset")
MUTANTS = {"traditional": ALWAYS, "v1": (*ALWAYS, "gate", "rows")}
MUTANTS["v2"] = (*MUTANTS["v1"], "late")


@pytest.mark.parametrize(("version", "wrong"), [(v, w) for v, ws in MUTANTS.items() for w in ws])
def test_another_equation_is_noticed(trained, version, wrong):
    model, x = trained[version], data(1, 2)[0]
    wanted, found = network(x, state_of(model), version, wrong), sent_by(model, x)
    assert any(np.abs(a - b).max() > 0.1 for a, b in zip(wanted, found, strict=True))


def test_levels_of_the_quantiser():
    # facts/ponghiran_roy.md, section 3, checked there numerically
    levels = {(2, 0): 1, (3, 0): 3, (5, 0): 15, (6, 3): 31, (1, 0): 0}
    for (bits, theta), largest in levels.items():
        quantizer = SparseQuantizer(bits, theta).double()
        quantizer.follow(torch.tensor([-1.0, 2.0]))
        quantizer.eval()
        y = quantizer(torch.linspace(-3, 3, 4001, dtype=torch.float64))
        q = sorted({round(float(value)) for value in y * quantizer.scale()[1]})
        positive = list(range(theta + 1, largest + 1))
        assert q == [-k for k in positive[::-1]] + [0] + positive, (bits, theta)


def test_range_is_an_average_that_starts_unbiased_and_stays_in_evaluation():
    quantizer = SparseQuantizer(momentum=0.1).double()
    quantizer(torch.tensor([-4.0, 1.0], dtype=torch.float64))
    assert quantizer.scale()[0] == pytest.approx(4.0)
    quantizer(torch.tensor([0.0, 10.0], dtype=torch.float64))
    # minimum (0.9 * 4 + 0.1 * 0) and maximum (0.9 * 1 + 0.1 * 10), over what was seen of them
    largest = max(0.9 * 0.1 * 4, 0.9 * 0.1 * 1 + 0.1 * 10) / (1 - 0.9**2)
    assert quantizer.scale()[0] == pytest.approx(largest)
    assert quantizer.scale()[1] == pytest.approx(32 * 0.9999 / largest)
    quantizer.eval()(torch.tensor([100.0], dtype=torch.float64))
    assert quantizer.scale()[0] == pytest.approx(largest)


def test_unused_quantiser_has_a_scale_as_the_authors_do():
    largest, scale = SparseQuantizer(6).scale()
    assert (float(largest), float(scale)) == (32.0, pytest.approx(0.9999))


def test_gradient_passes_straight_through_and_not_where_clipped():
    quantizer = SparseQuantizer(6, 3).double()
    quantizer.follow(torch.tensor([-2.0, 1.0], dtype=torch.float64))
    quantizer.eval()
    v = torch.tensor([-2.5, -1.9, -0.1, 0.0, 0.3, 1.99, 2.01], dtype=torch.float64)
    v.requires_grad_()
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], dtype=torch.float64)
    (quantizer(v) * weight).sum().backward()
    assert v.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]


def test_gradients_equal_those_of_the_equations_without_quantiser(trained):
    """Straight through: dY/dV = 1 and d(V - Y)/dV = 0, so that, where nothing is clipped,
    gradients are those of Y = V with nothing held, at the values that the quantiser gave."""
    torch.manual_seed(3)
    layer = SparseGated(5, momentum=0.5, dropout=0.0).double().train()
    x = torch.randn(2, 6, 10, dtype=torch.float64) * 2
    layer(x)  # the range
    layer.eval()
    layer.quantizer.low *= 4
    layer.quantizer.high *= 4
    probe = torch.randn(2, 6, 5, dtype=torch.float64)
    given = x.clone().requires_grad_()
    out, states = layer.trace(given)
    (out * probe).sum().backward()

    plain, weight = x.clone().requires_grad_(), layer.linear.weight.detach().requires_grad_()
    i = y = held = torch.zeros(2, 5, dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for t in range(6):
        f, c = (plain[:, t] + y @ weight.T).chunk(2, 1)
        f = torch.sigmoid(f)
        i = f * i + (1 - f) * torch.relu(c)
        soft = held + i
        y = out[:, t].detach() + soft - soft.detach()
        held = states["v"][:, t].detach()
        total = total + (y * probe[:, t]).sum()
    total.backward()
    torch.testing.assert_close(given.grad, plain.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(layer.linear.weight.grad, weight.grad, rtol=1e-9, atol=1e-12)


def test_dropout_is_one_mask_a_sequence_of_the_candidates():
    torch.manual_seed(0)
    layer = SparseGated(200, recurrent=False, dropout=0.25, bits=16, threshold=0).train()
    x = torch.cat([torch.full((1, 8, 200), -30.0), torch.ones(1, 8, 200)], 2)
    _, states = layer.trace(x)
    i = states["i"][0]
    # F = 0: the current is the candidate, 0 or 1 / (1 - p), the same at every step
    assert torch.equal(i, i[:1].expand_as(i))
    assert sorted(i.unique().tolist()) == [0.0, pytest.approx(4 / 3)]
    assert 0.6 < float((i > 0).float().mean()) < 0.9
    assert torch.equal(layer.eval().trace(x)[1]["i"][0], torch.ones(8, 200))


def test_penalty_is_of_the_last_forward_pass_in_training():
    torch.manual_seed(0)
    layer = SparseGated(6, penalty_weight=0.5)
    assert float(layer.penalty()) == 0
    x = torch.randn(3, 5, 12, requires_grad=True)
    i = layer.trace(x)[1]["i"].detach()
    wanted = 0.5 * float(i.mean() / i.square().mean().sqrt())
    assert float(layer.penalty().detach()) == pytest.approx(wanted)
    assert float(layer.penalty()) == 0  # once
    layer(x)
    layer.penalty().backward()
    assert bool(x.grad.abs().sum() > 0)
    layer.eval()(x)
    assert float(layer.penalty()) == 0
    assert float(SparseGated(6).penalty()) == 0


def test_a_trained_layer_can_be_copied():
    """What the penalty is made of is a tensor of the graph, which deepcopy refuses."""
    layer = SparseGated(3, penalty_weight=0.5)
    layer(torch.randn(2, 4, 6))
    layer.penalty().backward()
    assert torch.equal(copy.deepcopy(layer).linear.weight, layer.linear.weight)


def test_training_without_samples_moves_nothing():
    torch.manual_seed(0)
    model = build("ponghiran_roy", (4,), 2, 0, width=3, penalty_weight=0.5)
    model(torch.randn(5, 6, 4))
    sum(layer.penalty() for layer in model if hasattr(layer, "penalty"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert model(torch.zeros(0, 6, 4)).shape == (0, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [float(layer.penalty()) for layer in model if hasattr(layer, "penalty")] == [0, 0]


def test_one_step_of_one_sample_cannot_be_normalised():
    layer = NormLinear(4, 3)
    with pytest.raises(DataError, match=r"NormLinear\(4, 3\): one step of one sample has no var"):
        layer(torch.zeros(1, 1, 4))
    assert layer(torch.zeros(1, 2, 4)).shape == (1, 2, 3)
    assert layer.eval()(torch.zeros(1, 1, 4)).shape == (1, 1, 3)


def test_initial_weights():
    torch.manual_seed(0)
    weight = SparseGated(16).linear.weight.detach()
    torch.testing.assert_close(weight.T @ weight, 2 * torch.eye(16), atol=1e-5, rtol=0)
    bound = np.sqrt(3 / 50)
    start = build("ponghiran_roy", (50,), 2, 0, width=200)[1].linear.weight.detach().abs()
    assert 0.99 * bound < float(start.max()) <= bound
    assert SparseLeaky(3).tau.tolist() == [1.0, 1.0, 1.0]


def test_checkpoint_keeps_ranges_and_statistics(trained, tmp_path):
    x = torch.tensor(data(2, 2)[0], dtype=torch.float32)
    for version, model in trained.items():
        model = model.float()
        save_checkpoint(tmp_path / "a.pt", model)
        loaded = load_checkpoint(tmp_path / "a.pt")
        assert torch.equal(loaded(x), model(x)), version
        save_checkpoint(tmp_path / "b.pt", model, half=True)
        half = load_checkpoint(tmp_path / "b.pt")
        torch.testing.assert_close(half(x), model(x), atol=0.15, rtol=0)
        model.double()


def test_an_exported_network_comes_back(trained, tmp_path):
    x = torch.tensor(data(2, 2)[0])
    for version, model in trained.items():
        snn2hw.write(tmp_path / "net.nir", snn2hw.to_nir(model, (INPUTS,)))
        back = snn2hw.from_nir(snn2hw.read(tmp_path / "net.nir"))
        kinds = [type(layer) for layer in back]
        assert kinds[0] is SparseEncoder
        assert kinds[2] is (SparseLeaky if version == "traditional" else SparseGated)
        with torch.no_grad():
            torch.testing.assert_close(back(x), model(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SparseQuantizer(0), "bits is 0, give a whole number of at least 1"),
        (lambda: SparseQuantizer(33), "SparseQuantizer: bits is 33, give 32 or fewer"),
        (lambda: SparseQuantizer(6, -1), "threshold is -1, give a whole number of steps from 0"),
        (lambda: SparseQuantizer(6, 3, 0.0), "momentum is 0.0, give above 0 and up to 1"),
        (lambda: SparseGated(4, dropout=1.0), "SparseGated: dropout is 1.0, give 0 or more"),
        (lambda: SparseGated(4, penalty_weight=-1.0), "penalty_weight is -1.0, give 0 or more"),
        (lambda: SparseGated(4, recurrent=1), "SparseGated: recurrent is 1, give True or False"),
        (lambda: SparseLeaky(0), "SparseLeaky: n_neurons is 0"),
        (lambda: build("ponghiran_roy", (4,), 2, 0, version="v3"), "version is 'v3', give one of"),
        (
            lambda: build("ponghiran_roy", (4,), 2, 0, version="traditional", penalty_weight=0.1),
            "ponghiran_roy: penalty_weight is 0.1 and the traditional neurons have no penalty, give"
            " 0, or version v1 or v2",
        ),
    ],
)
def test_errors_say_what_is_wrong(make, says):
    with pytest.raises(ParameterError) as caught:
        make()
    assert says in str(caught.value)


def test_shapes_are_checked():
    with pytest.raises(DataError, match=r"SparseGated\(4\): input has shape \(2, 3, 4\), give"):
        SparseGated(4)(torch.zeros(2, 3, 4))


def test_the_example_of_the_page_runs_as_it_stands():
    page = Path(__file__).resolve().parents[1] / "docs" / "ponghiran_roy.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(compile(block, page.name, "exec"), {})


def test_readout_is_the_projects():
    model = build("ponghiran_roy", (4,), 2, 0)
    assert [type(layer) for layer in model][-1] is Readout
