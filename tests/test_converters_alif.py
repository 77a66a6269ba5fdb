"""ALIF and leaky readouts from PyTorch to NIR, back, to integers and to Lava."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.converters.nodes import ALIF
from snn2hw.errors import GraphError, ParameterError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

torch = pytest.importorskip("torch")
from snn2hw import nn  # noqa: E402

KAPPAS = np.array([0.95, 0.3, 0.0, np.exp(-1 / 7)])


def model_of(
    readout: torch.nn.Module, sizes: tuple[int, int] = (9, 14), **given: object
) -> torch.nn.Sequential:
    """Input, recurrent ALIF with constants of their own, readout; weights large enough to fire."""
    torch.manual_seed(0)
    n = sizes[1]
    arguments = {"beta": np.linspace(0.2, 1.0, n), "refractory": np.arange(n) % 3} | given
    model = torch.nn.Sequential(
        torch.nn.Linear(*sizes), nn.Recurrent(nn.ALIF(n, **arguments)), readout
    )
    with torch.no_grad():
        model[0].weight *= 3
        model[1].linear.weight *= 2
    return model.eval()


def data(channels: int = 9, batch: int = 5, steps: int = 40) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.random((batch, steps, channels)) < 0.3).astype(np.float32)


def outputs(model: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


READOUTS = {
    "mean": lambda: nn.LeakyReadout(14, 4, KAPPAS, 1 - KAPPAS),
    "last": lambda: nn.LeakyReadout(14, 4, 0.9, mode="last", bias=False),
    "integrators alone": lambda: nn.LI(14, 0.8, np.linspace(0.5, 2, 14)),
    "no leak": lambda: nn.Readout(14, 4),
}


@pytest.mark.parametrize("kind", READOUTS)
@pytest.mark.parametrize("adaptive", [False, True])
def test_round_trip_through_a_file_preserves_outputs(
    kind: str, adaptive: bool, tmp_path: Path
) -> None:
    model = model_of(READOUTS[kind](), adaptive_reset=adaptive)
    snn2hw.write(tmp_path / "m.nir", snn2hw.to_nir(model, (9,)))
    back = snn2hw.from_nir(snn2hw.read(tmp_path / "m.nir"))
    expected = outputs(model, data())
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(outputs(back, data()), expected)
    assert [type(layer) for layer in back] == [type(layer) for layer in model]
    assert getattr(back[2], "mode", "") == getattr(model[2], "mode", "")


@pytest.mark.parametrize("method", ["euler", "exact"])
@pytest.mark.parametrize("kind", ["mean", "integrators alone"])
@pytest.mark.parametrize("dt", [1e-3, 0.7e-3])
def test_the_graph_means_what_the_model_computes(kind: str, method: str, dt: float) -> None:
    model = model_of(READOUTS[kind](), adaptive_reset=True).double()
    graph = fold(lower(snn2hw.to_nir(model, (9,), dt=dt), dt, method))
    run = execute(graph, data())
    with torch.no_grad():
        hidden = model[:2](torch.from_numpy(data()).double()).numpy()
        scores = model[2].per_step if hasattr(model[2], "per_step") else model[2]
        expected = scores(torch.from_numpy(hidden)).numpy()
    assert 0.02 < hidden.mean() < 0.6
    np.testing.assert_array_equal(run.spikes["alif"], hidden)
    np.testing.assert_allclose(run.output, expected, atol=1e-12)


def test_kappa_survives_lowering() -> None:
    """To the last bit from 1/2 on; below, the decay 1 - kappa has fewer bits than kappa."""
    model = model_of(READOUTS["mean"]())
    for dt in (1e-3, 0.7e-3):
        lowered = lower(snn2hw.to_nir(model, (9,), dt=dt), dt, "exact")
        params = lowered.population("readout_leak").params
        off = np.abs(1.0 - params["decay_v"] - KAPPAS)
        assert np.all(off <= np.where(KAPPAS >= 0.5, 0.0, 2.0**-53)), off
        np.testing.assert_allclose(params["gain"], 1 - KAPPAS, rtol=3e-16)


def test_steps_that_a_node_says_win_over_those_of_the_graph() -> None:
    def lowered(method: str, said: dict[str, str]) -> float:
        node = nir.LI(tau=np.array([4e-3]), r=np.ones(1), v_leak=np.zeros(1), metadata=said)
        ends = {
            "input": nir.Input({"input": np.array([1])}),
            "output": nir.Output({"output": np.array([1])}),
        }
        edges = [("input", "li"), ("li", "output")]
        graph = nir.NIRGraph({**ends, "li": node}, edges, type_check=False)
        return float(lower(graph, 1e-3, method).population("li").params["decay_v"][0])

    assert lowered("euler", {}) == lowered("exact", {"method": "euler"}) == 0.25
    assert lowered("exact", {}) == lowered("euler", {"method": "exact"}) == -np.expm1(-0.25)
    with pytest.raises(ParameterError, match=r"node 'li': method 'heun' is unknown; use one of"):
        lowered("euler", {"method": "heun"})


def test_a_foreign_file_with_one_value_of_each_constant_loads() -> None:
    """The number of neurons is then that of the rows of the matrix before."""
    rng = np.random.default_rng(2)
    node = ALIF(0.9, 0.98, 0.5, 0.3, 0.6, 1.0, 2, 1, 1e-3)
    li = nir.LI(tau=np.full(3, 5e-3), r=np.full(3, 2.0), v_leak=np.zeros(3))
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "fc": nir.Affine(rng.normal(0.3, 1.5, (8, 6)), rng.normal(0, 0.1, 8)),
        "alif": node,
        "rec": nir.Linear(rng.normal(0, 0.5, (8, 8))),
        "out": nir.Linear(rng.normal(0, 1, (3, 8))),
        "li": li,
        "output": nir.Output({"output": np.array([3])}),
    }
    edges = [("input", "fc"), ("fc", "alif"), ("alif", "rec"), ("rec", "alif")]
    edges += [("alif", "out"), ("out", "li"), ("li", "output")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    run = execute(lower(graph, 1e-3), data(6))
    model = snn2hw.from_nir(graph)
    assert [name for name, _ in model.named_children()] == ["fc", "alif", "out", "li"]
    assert 0.02 < run.spikes["alif"].mean() < 0.6
    np.testing.assert_allclose(
        run.output, outputs(model.double(), data(6).astype(float)), atol=1e-9
    )
    li.v_leak = np.array([0.0, 0.1, 0.0])
    with pytest.raises(GraphError, match=r"node 'li' has v_leak, and snn2hw\.nn\.LI rests at 0"):
        snn2hw.from_nir(graph)


def test_another_dt_is_refused() -> None:
    graph = snn2hw.to_nir(model_of(nn.Readout(14, 4)), (9,), dt=2e-3)
    with pytest.raises(GraphError, match=r"node 'alif' was trained at dt = 0\.002 s; give dt=0\.0"):
        snn2hw.from_nir(graph)
    with pytest.raises(ParameterError, match=r"node 'alif': this ALIF has steps of dt = 0\.002 s"):
        lower(graph, 1e-3)


@pytest.fixture(scope="module")
def published() -> tuple[snn2hw.FixedPointNetwork, np.ndarray, np.ndarray]:
    """The published shape, 80 real values -> 120 recurrent ALIF -> 12 leaky readouts, as integers;
    its input as messages, and what PyTorch's hidden neurons do."""
    torch.manual_seed(5)
    kappa = float(np.exp(-1 / 10))
    model = torch.nn.Sequential(
        torch.nn.Linear(80, 120),
        nn.Recurrent(nn.ALIF.rostami(120), bias=False),
        nn.LeakyReadout(120, 12, kappa, bias=False),
    ).eval()
    with torch.no_grad():
        model[0].weight.normal_(0, 80**-0.5)
        model[1].linear.weight.normal_(0, 120**-0.5)
    x = np.random.default_rng(6).normal(0, 4.0, (3, 60, 80)).astype(np.float32)
    net = snn2hw.quantize(snn2hw.to_nir(model, (80,)), dt=1e-3, calibration=x)
    with torch.no_grad():
        hidden = model[:2](torch.from_numpy(x)).numpy()
    return net, net.encode(x), hidden


def test_the_published_network_in_integers(
    published: tuple[snn2hw.FixedPointNetwork, np.ndarray, np.ndarray],
) -> None:
    net, x, hidden = published
    run = net.run(x, threads=1)
    assert 0.01 < hidden.mean() < 0.5
    assert not any(run.overflows.values())
    assert np.mean(run.spikes["alif"] != hidden) < hidden.mean() / 3
    assert run.output.shape == (3, 60, 12)
    assert np.any(run.output)


@pytest.mark.lava
@pytest.mark.usefixtures("lava")
def test_the_published_network_on_lava(
    published: tuple[snn2hw.FixedPointNetwork, np.ndarray, np.ndarray],
) -> None:
    net, x, _ = published
    check = snn2hw.verify(net, x[:2, :30])
    assert check.mismatches == 0
    assert check.compared == 2 * 30 * (120 * 4 + 12 * 4)
