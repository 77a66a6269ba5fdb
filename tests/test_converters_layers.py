"""Every layer: the graph computes what the model does, in memory, through a file, and back."""

from __future__ import annotations

import math
import re
from pathlib import Path

import nir
import numpy as np
import pytest

import snn2hw
from snn2hw.errors import GraphError, ParameterError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower

torch = pytest.importorskip("torch")
from snn2hw import nn  # noqa: E402

N = 6
DT = 1e-3
TAUS = np.linspace(1.5, 7.0, N)
THRESHOLDS = np.linspace(0.2, 0.6, N)


def seeded(*layers: torch.nn.Module, scale: float = 3.0) -> torch.nn.Sequential:
    """Layers with weights of a known seed, large enough for spikes."""
    model = torch.nn.Sequential(*layers).double().eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape) / math.sqrt(parameter[0].numel()))
    return model


def spikes_in(shape: tuple[int, ...], steps: int = 25) -> np.ndarray:
    return (np.random.default_rng(0).random((3, steps, *shape)) < 0.3).astype(np.float64)


def answer(model: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(x)).numpy()


MODELS = {
    # name: (input shape, layers)
    "lif, values for each neuron": (
        (4,),
        lambda: (
            torch.nn.Linear(4, N),
            nn.LIF(N, tau=TAUS, v_threshold=THRESHOLDS, v_reset=-0.1, r=1.5, v_leak=0.05),
        ),
    ),
    "lif, subtractive": (
        (4,),
        lambda: (torch.nn.Linear(4, N), nn.LIF(N, tau=3.0, reset="subtract")),
    ),
    "lif, subtractive, to a value": (
        (4,),
        lambda: (torch.nn.Linear(4, N), nn.LIF(N, v_reset=0.1, v_init=-0.3, reset="subtract")),
    ),
    "cuba": (
        (4,),
        lambda: (torch.nn.Linear(4, N, bias=False), nn.CubaLIF(N, v_reset=0.1, v_leak=0.0)),
    ),
    "cuba, values for each neuron": (
        (4,),
        lambda: (
            torch.nn.Linear(4, N, bias=False),
            nn.CubaLIF(N, TAUS, TAUS[::-1].copy(), THRESHOLDS, -THRESHOLDS / 4, "subtract", 2.0),
        ),
    ),
    "recurrent lif": ((4,), lambda: (torch.nn.Linear(4, N), nn.Recurrent(nn.LIF(N)))),
    "recurrent cuba": (
        (4,),
        lambda: (
            torch.nn.Linear(4, N, bias=False),
            nn.Recurrent(nn.CubaLIF(N, v_reset=-0.2, reset="subtract"), bias=False),
            torch.nn.Linear(N, N, bias=False),
            nn.Recurrent(nn.CubaLIF(N, tau_syn=TAUS), bias=False),
        ),
    ),
    "delay": (
        (4,),
        lambda: (nn.Delay(4, [0, 3, 1, 24]), torch.nn.Linear(4, N), nn.LIF(N), nn.Delay(N, 2)),
    ),
    "conv1d": (
        (2, 9),
        lambda: (
            nn.Conv1d(2, 4, 3, stride=2, padding=2, groups=2),
            nn.LIF((4, 6), tau=np.array([[2.0], [3.0], [4.0], [5.0]])),
            nn.Conv1d(4, 3, 2, padding="same", dilation=3, bias=False),
            nn.CubaLIF((3, 6), v_threshold=0.05),
        ),
    ),
    "conv2d": (
        (2, 7, 6),
        lambda: (
            nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2),
            nn.LIF((4, 4, 4), reset="subtract"),
            nn.Conv2d(4, 3, (2, 3), padding="same"),
            nn.LIF((3, 4, 4)),
            nn.Conv2d(3, 2, 2, padding="valid"),
            nn.LIF((2, 3, 3)),
        ),
    ),
    "pools": (
        (2, 7, 8),
        lambda: (
            nn.SumPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
            nn.LIF((2, 4, 7), tau=4.0),
            nn.AvgPool2d(2, padding=1),
            nn.LIF((2, 3, 4), tau=1.5),
        ),
    ),
    "a pool that divides by its window, said in words": (
        (1, 6, 4),
        lambda: (
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False, divisor_override=4),
            nn.LIF((1, 3, 2), tau=1.5),
        ),
    ),
    "flatten": (
        (2, 4, 4),
        lambda: (
            nn.Conv2d(2, 3, 3),
            nn.LIF((3, 2, 2)),
            nn.Flatten(),
            torch.nn.Linear(12, N),
            nn.LIF(N),
        ),
    ),
    "flatten in part": (
        (2, 3, 4),
        lambda: (torch.nn.Flatten(3), nn.LIF((2, 12)), torch.nn.Flatten(2, 3), nn.LIF(24, 1.5)),
    ),
}


@pytest.fixture(params=MODELS, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def case(request: pytest.FixtureRequest) -> tuple[torch.nn.Sequential, tuple[int, ...]]:
    shape, layers = MODELS[request.param]
    return seeded(*layers()), shape


def test_the_graph_computes_what_the_model_does(case, tmp_path: Path) -> None:
    model, shape = case
    x = spikes_in(shape)
    expected = answer(model, x)
    assert 0.02 < expected.mean() < 0.98  # silence or saturation would prove nothing
    graph = snn2hw.to_nir(model, shape, dt=DT)
    graph.check_types()
    got = execute(fold(lower(graph, DT)), x).outputs["output"]
    np.testing.assert_array_equal(got, expected)
    snn2hw.write(tmp_path / "m.nir", graph)
    read = snn2hw.read(tmp_path / "m.nir")
    np.testing.assert_array_equal(execute(fold(lower(read, DT)), x).outputs["output"], expected)
    back = snn2hw.from_nir(read, dt=DT)
    np.testing.assert_array_equal(answer(back, x), expected)
    again = snn2hw.to_nir(back, shape, dt=DT)
    assert list(again.nodes) == list(graph.nodes)
    np.testing.assert_array_equal(execute(fold(lower(again, DT)), x).outputs["output"], expected)


def test_a_bias_passes_the_synapse() -> None:
    model = seeded(torch.nn.Linear(4, N), nn.CubaLIF(N))
    x = spikes_in((4,))
    got = execute(lower(snn2hw.to_nir(model, (4,)), DT), x).outputs["output"]
    np.testing.assert_array_equal(got, answer(model, x))


def test_a_bias_is_delayed_with_its_values() -> None:
    model = seeded(torch.nn.Linear(4, N), nn.Delay(N, 4), nn.LIF(N))
    x = np.zeros((1, 25, 4))
    assert answer(model, x).any()
    got = execute(lower(snn2hw.to_nir(model, (4,)), DT), x).outputs["output"]
    np.testing.assert_array_equal(got, answer(model, x))


def test_single_precision_comes_back_as_it_went() -> None:
    shape, layers = MODELS["conv2d"]
    model = seeded(*layers()).float()
    back = snn2hw.from_nir(snn2hw.to_nir(model, shape))
    x = spikes_in(shape).astype(np.float32)
    assert answer(model, x).any()
    np.testing.assert_array_equal(answer(back, x), answer(model, x))


def test_the_reset_is_in_the_metadata_where_it_subtracts() -> None:
    graph = snn2hw.to_nir(torch.nn.Sequential(nn.LIF(2), nn.LIF(2, reset="subtract")), (2,))
    assert graph.nodes["lif1"].metadata == {}
    assert graph.nodes["lif2"].metadata == {"reset": "subtract"}


def test_potentials_are_relative_to_where_they_start() -> None:
    node = snn2hw.to_nir(nn.LIF(2, v_reset=-0.25, v_leak=0.5, v_threshold=1.0), (2,)).nodes["lif"]
    assert node.v_reset.tolist() == [0.0, 0.0]
    assert node.v_leak.tolist() == [0.75, 0.75]
    assert np.all(node.v_threshold < 1.25)
    np.testing.assert_allclose(node.v_threshold, 1.25, rtol=1e-15)


def test_a_recurrent_layer_is_a_neuron_and_a_linear_node_in_a_loop() -> None:
    graph = snn2hw.to_nir(torch.nn.Sequential(nn.Recurrent(nn.CubaLIF(3), bias=False)), (3,))
    assert {n: type(node).__name__ for n, node in graph.nodes.items()} == {
        "input": "Input",
        "cubalif": "CubaLIF",
        "cubalif_recurrent": "Linear",
        "output": "Output",
    }
    loop = {("cubalif", "cubalif_recurrent"), ("cubalif_recurrent", "cubalif")}
    assert set(graph.edges) == {("input", "cubalif"), *loop, ("cubalif", "output")}


def test_nir_reads_what_is_written(tmp_path: Path) -> None:
    model = seeded(nn.Conv2d(2, 3, 3, padding=1), nn.LIF((3, 4, 4)), nn.SumPool2d(2), nn.Flatten())
    snn2hw.write(tmp_path / "m.nir", snn2hw.to_nir(model, (2, 4, 4)))
    theirs = nir.read(tmp_path / "m.nir")
    x = spikes_in((2, 4, 4))
    run = execute(fold(lower(theirs, DT)), x)
    np.testing.assert_array_equal(run.outputs["output"], answer(model, x))


def test_a_foreign_threshold_is_passed_strictly() -> None:
    """In NIR v = v_threshold fires no spike, in the layers it does."""
    ones = np.ones(1)
    lif = nir.LIF(tau=DT * ones, r=ones, v_leak=0 * ones, v_threshold=ones)
    graph = nir.NIRGraph.from_list(nir.Linear(np.ones((1, 1), dtype=np.float32)), lif)
    model = snn2hw.from_nir(graph, dt=DT)
    x = np.array([[[1.0], [np.nextafter(np.float32(1), np.float32(2))]]], dtype=np.float32)
    assert answer(model, x).ravel().tolist() == [0.0, 1.0]


def test_subgraphs_are_inlined_and_names_made_to_fit() -> None:
    inner = snn2hw.to_nir(seeded(nn.Recurrent(nn.CubaLIF(N, v_threshold=0.1), bias=False)), (N,))
    chain = snn2hw.to_nir(seeded(torch.nn.Linear(4, N)), (4,))
    nodes = {"input": chain.nodes["input"], "train": chain.nodes["fc"], "sub": inner}
    nodes["output"] = inner.nodes["output"]
    edges = [("input", "train"), ("train", "sub"), ("sub", "output")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    back = snn2hw.from_nir(graph, dt=DT)
    assert [name for name, _ in back.named_children()] == ["train_", "sub_cubalif"]
    x = spikes_in((4,))
    flat = seeded(torch.nn.Linear(4, N), nn.Recurrent(nn.CubaLIF(N, v_threshold=0.1), bias=False))
    flat[0].load_state_dict(back[0].state_dict())
    flat[1].linear.load_state_dict(back[1].linear.state_dict())
    assert 0.02 < answer(flat, x).mean() < 0.98
    np.testing.assert_array_equal(answer(back, x), answer(flat, x))


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"),
            (1, 4, 4),
            "module 'conv2d' has padding_mode 'circular', and NIR pads with zeros only",
        ),
        (nn.Conv2d(2, 1, 3), (1, 4, 4), "takes values of shape (2, 4, 4) and 'input' gives values"),
        (nn.Conv2d(1, 1, 5), (1, 4, 4), "has a window of (5, 5), and 'input' gives only (4, 4)"),
        (nn.Conv2d(1, 1, 3), (4, 4), "takes (channels, rows, columns) and 'input' gives shape"),
        (nn.Conv1d(1, 1, 3), (4,), "takes (channels, places) and 'input' gives shape (4,)"),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 4), "ceil_mode=True, and NIR's AvgPool2d rounds"),
        (
            nn.AvgPool2d(2, padding=1, count_include_pad=False),
            (1, 4, 4),
            "count_include_pad=False, and NIR's AvgPool2d counts the zeros around",
        ),
        (
            nn.AvgPool2d(2, divisor_override=1),
            (1, 4, 4),
            "divisor_override=1, and NIR's AvgPool2d divides by its window's 4; use snn2hw.nn.Sum",
        ),
        (nn.LIF(4), (2, 2), "module 'lif' takes 4 values and 'input' gives values of shape (2, 2)"),
        (nn.Delay((2, 1), 1), (2, 2), "takes values of shape (2, 1) and 'input' gives values of"),
        (torch.nn.Linear(2, 1), (2, 2), "put snn2hw.nn.Flatten between them, to flatten it"),
        (torch.nn.Flatten(), (2, 2), "flattens dimensions 1 to -1 of (batch, time, 2, 2), and"),
        (torch.nn.Flatten(2, 4), (2, 2), "flattens dimensions 2 to 4 of (batch, time, 2, 2)"),
        (torch.nn.Conv2d(1, 1, 1), (1, 2, 2), "is torch.nn.Conv2d, which knows no time; use snn2h"),
        (torch.nn.AvgPool2d(2), (1, 2, 2), "is torch.nn.AvgPool2d, which knows no time; use snn2"),
        (torch.nn.BatchNorm2d(2), (2, 2, 2), "is a BatchNorm2d, which has no NIR node here; fold"),
        (torch.nn.ReLU(), (2,), "is a ReLU, which has no NIR node here; use a spiking neuron"),
        (
            torch.nn.GRU(2, 2),
            (2,),
            "is a GRU, which has no NIR node here; it computes on floats; use a spiking",
        ),
    ],
)
def test_what_nir_cannot_hold_is_refused(
    layer: torch.nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(GraphError, match=re.escape(message)):
        snn2hw.to_nir(torch.nn.Sequential(layer), shape)


def test_a_subclass_may_compute_something_else() -> None:
    class Mine(nn.LIF):
        pass

    with pytest.raises(GraphError, match="module 'mine' is a Mine, which has no NIR node here"):
        snn2hw.to_nir(torch.nn.Sequential(Mine(2)), (2,))


def test_recurrent_weights_that_are_not_finite_are_named() -> None:
    model = torch.nn.Sequential(nn.Recurrent(nn.LIF(2)))
    with torch.no_grad():
        model[0].linear.weight[1, 0] = math.nan
    with pytest.raises(ParameterError, match=r"linear.weight of module 'lif' holds NaN"):
        snn2hw.to_nir(model, (2,))


@pytest.mark.parametrize("shape", [(), 4, (0,), (2, -1), (2.0,), (True,), "ab"])
def test_an_input_shape_is_a_tuple_of_sizes(shape: object) -> None:
    with pytest.raises(GraphError, match="give the sizes of one time step, such as"):
        snn2hw.to_nir(torch.nn.Sequential(nn.LIF(4)), shape)


@pytest.mark.parametrize("dt", [0.0, -1e-3, math.nan, math.inf])
def test_a_time_step_is_a_positive_time(dt: float) -> None:
    with pytest.raises(ParameterError, match="is not a positive time"):
        snn2hw.to_nir(nn.LIF(4), (4,), dt=dt)


def test_nodes_without_a_layer_are_named() -> None:
    graph = nir.NIRGraph.from_list(nir.IF(r=np.ones(2), v_threshold=np.ones(2)))
    with pytest.raises(GraphError, match=r"node 'if' of type IF has no layer in snn2hw\.nn"):
        snn2hw.from_nir(graph)
    short = nir.LIF(tau=np.full(2, 1e-3), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2))
    with pytest.raises(ParameterError, match=r"node 'lif': LIF: tau is 0.2 steps, give more"):
        snn2hw.from_nir(nir.NIRGraph.from_list(short), dt=5e-3)
