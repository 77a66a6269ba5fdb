"""PLIF, GLIF, recurrent CubaLIF and GPN's ablations from their equations to the exported network,
and the layers of the baselines."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from neurons_reference import numpy_glif, numpy_gpn, numpy_plif, numpy_rcuba

import snn2hw
from snn2hw.errors import DataError, GraphError, ParameterError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

torch = pytest.importorskip("torch")
from snn2hw import nn  # noqa: E402
from snn2hw.nn.config import read_config  # noqa: E402
from snn2hw.nn.models import MODELS, build  # noqa: E402

N, STEPS = 6, 60
RECIPES = Path(__file__).parents[1] / "examples" / "speech"
ABLATIONS = {"F,I": "BT", "I": "FBT", "T": "FIB", "B": "FIT", "all": "", "nothing": "FIBT"}


def currents(seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.4, 1.2, (3, STEPS, N))


def glif_params(gates: dict[str, float] | None) -> dict[str, np.ndarray]:
    """Numbers between 0 and 1, gates mixed unless given."""
    rng = np.random.default_rng(7)
    names = ("tau", "v_threshold", "leak", "conductance", "v_subtract")
    p = {name: rng.uniform(0.05, 0.9, N) for name in names}
    mixed = {"alpha": [0, 1] * 3, "beta": [0, 0, 1, 1, 0, 1], "gamma": [0, 0, 0, 1, 1, 1]}
    given = mixed if gates is None else gates
    return p | {name: np.broadcast_to(np.array(v, float), N) for name, v in given.items()}


def glif_of(p: dict[str, np.ndarray], train_gates: bool = False) -> torch.nn.Module:
    gates = {name: p[name] for name in ("alpha", "beta", "gamma")}
    layer = nn.GLIF(N, **gates, train_gates=train_gates).double()
    for name in set(p) - set(gates):
        getattr(layer, name).data = torch.logit(torch.from_numpy(p[name]))
    return layer


def made(kind: str):
    """A layer, and what the equations give for x; mutant: with one number that is another."""
    rng = np.random.default_rng(3)
    if kind.startswith("GPN"):
        kept = ABLATIONS[kind.partition(" without ")[2]]
        layer = nn.GPN(N, gates=kept).double().eval()
        weight = rng.normal(0, 0.6, (len(kept) * N, 2 * N))
        bias = rng.normal(0, 0.4, len(kept) * N)
        if kept:
            layer.gates.weight.data = torch.from_numpy(weight)
            layer.gates.bias.data = torch.from_numpy(bias)

        def gpn(x, mutant):
            if mutant and not kept:
                return numpy_gpn(1.02 * x, weight, bias, kept)
            return numpy_gpn(x, weight, bias + 0.05 * mutant, kept)

        return layer, gpn
    if kind == "PLIF":
        layer = nn.PLIF(N, tau=3.0).double()
        layer.w.data = torch.tensor(-0.3, dtype=torch.float64)
        return layer, lambda x, mutant: numpy_plif(x, -0.3 + 0.02 * mutant, 0.5)
    if kind == "recurrent CubaLIF":
        layer = build("rcuba", (N,), 2, 0, width=N, layers=1, dropout=0.0)[1].double()
        layer.linear.weight.data *= 3
        weight, bias = (p.detach().numpy() for p in layer.linear.parameters())
        return layer, lambda x, mutant: numpy_rcuba(x, weight, bias, alpha=0.2 + 0.02 * mutant)
    gates = {"GLIF of the GPN paper": dict.fromkeys(("alpha", "beta", "gamma"), 1.0)}.get(kind)
    p = glif_params(gates)

    def glif(x, mutant):
        return numpy_glif(x, p | {"tau": p["tau"] + 0.02 * mutant})

    return glif_of(p), glif


KINDS = [
    "PLIF",
    "GLIF of the GPN paper",
    "GLIF, mixed gates",
    "recurrent CubaLIF",
    *(f"GPN without {name}" for name in ABLATIONS),
]


@pytest.mark.parametrize("kind", KINDS)
def test_layer_and_exported_network_equal_numpy_spike_for_spike(kind: str, tmp_path: Path) -> None:
    """The layer in double precision, and the network as it comes back from its file."""
    torch.manual_seed(7)
    layer, reference = made(kind)
    x = currents()
    wanted, states = reference(x, 0)
    spikes, trace = layer.trace(torch.from_numpy(x))
    assert 0.05 < wanted.mean() < 0.95
    assert not np.array_equal(reference(x, 1)[0], wanted), "the reference is blind"
    np.testing.assert_array_equal(spikes.detach().numpy(), wanted)
    np.testing.assert_allclose(trace["v"].detach().numpy(), states, rtol=0, atol=1e-11)

    first = torch.nn.Linear(N, N).double()
    model = torch.nn.Sequential(first, layer).eval()
    snn2hw.write(tmp_path / "net.nir", snn2hw.to_nir(model, (N,)))
    graph = snn2hw.read(tmp_path / "net.nir")
    weight, bias = (p.detach().numpy() for p in first.parameters())
    x = 2 * x
    wanted, _ = reference(x @ weight.T + bias, 0)
    lowered = lower(graph, 1e-3)
    for net in (lowered, fold(lowered)):
        run = execute(net, x)
        (name,) = run.spikes
        np.testing.assert_array_equal(run.spikes[name], wanted)
    back = snn2hw.from_nir(graph)
    np.testing.assert_array_equal(back(torch.from_numpy(x)).detach().numpy(), wanted)


@pytest.mark.parametrize("kind", ["plif", "glif", "rcuba", "rlif"])
def test_networks_become_integers_that_do_the_same(kind: str) -> None:
    model = build(kind, (9,), 4, 3, width=16, dropout=0.0)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, torch.nn.Linear):
                layer.weight *= 3
    x = (np.random.default_rng(2).random((12, 40, 9)) < 0.4).astype(np.float32)
    net = snn2hw.quantize(snn2hw.to_nir(model.eval(), (9,)), calibration=x)
    assert {layer.model.name for layer in net.layers} == {"lif", "readout"}
    run = net.run(net.encode(x))
    assert not any(run.overflows.values())
    hidden = model[:2](torch.from_numpy(x)).detach().numpy()
    first = run.spikes[net.layers[0].name]
    assert 0.02 < hidden.mean() < 0.9
    assert (first != hidden).mean() < 0.05
    want = nn.predict(model, x)
    got = run.output.mean(axis=1) * net.output_unit
    assert np.abs(got - want).max() < 0.1 * np.ptp(want)


@pytest.mark.parametrize("trained", [False, True])
def test_glif_gradients_equal_autograd_of_the_plain_equations(trained: bool) -> None:
    p = glif_params(None)
    layer = glif_of(p, train_gates=trained)
    x = torch.from_numpy(currents(1)[:, :30])
    probe = torch.from_numpy(np.random.default_rng(1).normal(size=x.shape))
    (layer(x) * probe).sum().backward()
    logits = {name: value.detach().clone().requires_grad_() for name, value in all_of(layer)}
    q = {name: torch.sigmoid(value) for name, value in logits.items()}
    for name in ("alpha", "beta", "gamma"):
        q[name] = Step.apply(q[name])
    v = s = torch.zeros_like(x[:, 0])
    total = torch.zeros(())
    for t in range(x.shape[1]):
        kept, leak = 1 - q["alpha"] * (1 - q["tau"]), (1 - q["alpha"]) * q["leak"]
        current = x[:, t] * (1 - q["beta"] * (1 - q["conductance"]))
        reset = (1 - q["gamma"]) * q["v_subtract"] * s
        v = kept * v * (1 - q["gamma"] * s) - leak + current - reset
        s = nn.spike(v - q["v_threshold"])
        total = total + (s * probe[:, t]).sum()
    total.backward()
    names = {name for name, _ in layer.named_parameters()}
    assert len(names) == (8 if trained else 5)
    for name in names:
        got = getattr(layer, name).grad
        assert got.abs().max() > 1e-4, name
        torch.testing.assert_close(got, logits[name].grad, rtol=1e-9, atol=1e-11)


class Step(torch.autograd.Function):
    """1 above 1/2, the gradient unchanged."""

    @staticmethod
    def forward(ctx, value):
        return (value > 0.5).to(value.dtype)

    @staticmethod
    def backward(ctx, grad):
        return grad


def all_of(layer: torch.nn.Module):
    return [*layer.named_parameters(), *layer.named_buffers()]


def test_plif_trains_its_time_constant() -> None:
    layer = nn.PLIF(N).double()
    assert float(layer.w.detach()) == pytest.approx(-math.log(4.0))
    x = torch.from_numpy(currents())
    layer(x).sum().backward()
    got = float(layer.w.grad)
    assert got != 0
    half = torch.sigmoid(layer.w.detach()).requires_grad_()
    v, total = torch.zeros_like(x[:, 0]), torch.zeros(())
    for t in range(STEPS):
        h = v + (x[:, t] - v) * half
        s = nn.spike(h - 0.5)
        v = (1 - s.detach()) * h
        total = total + s.sum()
    total.backward()
    slope = float((half * (1 - half)).detach())
    assert got == pytest.approx(float(half.grad) * slope, rel=1e-9)


def test_norm_linear_is_linear_and_batch_norm_and_one_linear_afterwards() -> None:
    torch.manual_seed(0)
    own, plain = nn.NormLinear(5, N).double(), torch.nn.Linear(5, N, bias=False).double()
    norm = torch.nn.BatchNorm1d(N).double()
    plain.weight.data = own.linear.weight.detach().clone()
    with torch.no_grad():
        for gain in (own.gain, norm.weight):
            gain.copy_(torch.linspace(0.5, 2, N))
    x = torch.randn(7, 11, 5, dtype=torch.float64)

    def theirs() -> torch.Tensor:
        return norm(plain(x).flatten(0, 1)).view(7, 11, N)

    for _ in range(3):
        torch.testing.assert_close(own(x), theirs())
    own.eval(), norm.eval()
    torch.testing.assert_close(own(x), theirs())
    node = snn2hw.to_nir(torch.nn.Sequential(own), (5,)).nodes["normlinear"]
    got = x.numpy() @ node.weight.T + node.bias
    np.testing.assert_allclose(got, theirs().detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_dense_baselines_are_torchs_and_are_not_exported(kind: str) -> None:
    model = build(kind, (3,), 4, 1, width=N, dropout=0.5).eval()
    x = torch.randn(2, 8, 3)
    theirs = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](3, N, 2, batch_first=True)
    layers = [layer for layer in model if isinstance(layer, type(theirs))]
    state = {}
    for number, layer in enumerate(layers):
        state |= {
            key.replace("l0", f"l{number}"): value for key, value in layer.state_dict().items()
        }
    theirs.load_state_dict(state)
    torch.testing.assert_close(model(x), model[-1](theirs(x)[0]))
    message = rf"is a {kind.upper()}, which has no NIR node here; it computes on floats"
    with pytest.raises(GraphError, match=message):
        snn2hw.to_nir(model, (3,))
    with pytest.raises(DataError, match=rf"{kind.upper()}\(3, 6\): input has shape \(2, 8, 4\)"):
        model(torch.randn(2, 8, 4))


@pytest.mark.parametrize("name", sorted(MODELS.keys() & {"plif", "glif", "rcuba", "rlif", "gpn"}))
def test_models_survive_their_checkpoint(name: str, tmp_path: Path) -> None:
    more = {"gpn": {"gates": "FBT", "width": (8, 5)}, "glif": {"train_gates": True}}
    more = {"norm": True, **more.get(name, {})} if name != "gpn" else more[name]
    model = build(name, (3, 4), 5, 2, **({"width": 8} | more))
    x = 3 * torch.randn(4, 20, 3, 4)
    model(x)  # moves what the norms remember
    model.eval()
    nn.save_checkpoint(tmp_path / "m.pt", model)
    again = nn.load_checkpoint(tmp_path / "m.pt")
    assert str(again) == str(model)
    assert torch.equal(again(x), model(x))
    assert not torch.equal(build(name, (3, 4), 5, 3, **({"width": 8} | more)).eval()(x), model(x))


@pytest.mark.parametrize(
    ("name", "width", "classes", "parameters"),
    [
        ("gpn", (1024,), 20, 9_131_028),
        ("gpn", (1024,) * 3, 35, 28_031_011),
        ("lif", (1024,), 20, 738_324),
        ("lif", (1024,) * 3, 35, 2_852_899),
        ("gpn", (128,), 20, 223_892),
        ("gpn", (512, 256, 128), 35, 3_283_747),
    ],
)
def test_networks_of_the_papers_have_their_parameters(
    name: str, width: tuple[int, ...], classes: int, parameters: int
) -> None:
    """SHD and SSC, 700 channels; no memory is needed to count."""
    with torch.device("meta"):
        model = MODELS[name]((700,), classes, width=width)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.PLIF(2, tau=1.0), "PLIF: tau is 1.0 steps, give more than 1 step"),
        (lambda: nn.GLIF(2, alpha=0.5), "GLIF: alpha holds numbers other than 0 and 1"),
        (lambda: nn.GLIF(2, gamma=[0, 1, 1]), "GLIF: gamma has shape (3,)"),
        (lambda: nn.GLIF(2, leak=0.0), "GLIF: leak is 0.0, give above 0 and below 1"),
        (lambda: nn.GLIF(2, train_gates=1), "GLIF: train_gates is 1, give True or False"),
        (lambda: nn.GRU(0, 2), "GRU: in_features is 0"),
        (lambda: nn.NormLinear(2, 0), "NormLinear: out_features is 0"),
        (lambda: build("lif", (2,), 2, 0, width=()), "model: width is empty"),
        (lambda: build("rcuba", (2,), 2, 0, beta=1.0), "model: beta is 1.0, give from 0 to below"),
    ],
)
def test_arguments_out_of_range(make, message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("config", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_of_the_speech_benchmark_build_their_network(config: Path) -> None:
    """The row's name says the model; ablations are the GPN's recipe, but for the gates."""
    recipe = read_config(config)
    shape = (3, 40) if "deltas" in str(recipe.data.arguments.get("features")) else (40,)
    classes = 10 if recipe.data.arguments["words"] == "digits" else 40
    model = build(recipe.model.name, shape, classes, recipe.seed, **recipe.model.arguments)
    task, _, row = config.stem.partition("_")
    assert (task == "digits") == (classes == 10)
    assert recipe.model.name.startswith({"roy": "ponghiran"}.get(row[:3], row.partition("_")[0]))
    if "_no_" in row:
        whole = read_config(RECIPES / f"{task}_gpn.yaml")
        assert recipe.training == whole.training
        kept = {"f": "BT", "i": "FBT", "t": "FIB", "b": "FIT"}[row[-1]]
        assert recipe.model.arguments == whole.model.arguments | {"gates": kept}
        assert next(m for m in model if isinstance(m, nn.GPN)).gate_names == kept
