"""Random NIR graphs of neurons, linear nodes, branches and delayed loops: what the conformance
networks show one at a time, all at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import nir
import numpy as np
from conformance import close, equal
from conformance_case import DT, neuron, pool
from float_reference import simulate_float
from reference import simulate_reference

import snn2hw
from snn2hw.errors import GraphError
from snn2hw.executor import execute
from snn2hw.passes import fold, lower
from snn2hw.targets.verify import recorded_names

GRAPHS = 60

Shape = tuple[int, ...]
NEURONS = (nir.LIF, nir.CubaLIF, nir.IF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)


def node_for(rng: np.random.Generator, shape: Shape) -> tuple[Any, Shape]:
    """Some node that takes that shape, and the shape of its output."""
    kinds = ["neuron"] * 4 + ["affine", "scale", "delay"]
    kinds += ["conv"] * 3 + ["pool"] * 2 if len(shape) == 3 else []
    kind = kinds[rng.integers(len(kinds))]
    if kind == "neuron":
        which = NEURONS[rng.integers(len(NEURONS))]
        options: dict[str, Any] = {}
        if which in (nir.LIF, nir.CubaLIF, nir.IF):
            options["v_reset"] = rng.choice([0.0, 0.0, 0.3, -0.5])
            options["metadata"] = {"reset": str(rng.choice(["value", "value", "subtract"]))}
        if which is nir.I:
            options["r"] = 60.0
        return neuron(rng, which, shape, spread=float(rng.choice([0.0, 0.2])), **options), shape
    if kind == "scale":
        return nir.Scale(rng.uniform(0.5, 1.5, shape)), shape
    if kind == "delay":
        return nir.Delay(rng.integers(0, 4, shape if rng.random() < 0.3 else 1) * DT), shape
    if kind == "affine":
        out, n = int(rng.integers(3, 7)), int(np.prod(shape))
        weight = rng.normal(0.4, 1.0, (out, n)) * 2 / np.sqrt(n)
        return nir.Affine(weight, rng.normal(0, 0.2, out)), (out,)
    if kind == "pool":
        cls = nir.SumPool2d if rng.random() < 0.5 else nir.AvgPool2d
        size, stride, pad = (int(rng.integers(1, k)) for k in (4, 3, 2))
        size = min(size, min(shape[1:]) + 2 * pad)
        rows, columns = ((k + 2 * pad - size) // stride + 1 for k in shape[1:])
        return pool(cls, size, stride, pad), (shape[0], rows, columns)
    pads = rng.integers(0, 2, 2)
    size = np.minimum(rng.integers(1, 4, 2), np.array(shape[1:]) + 2 * pads)
    stride = rng.integers(1, 3, 2)
    rows, columns = (int(k) for k in (np.array(shape[1:]) + 2 * pads - size) // stride + 1)
    out = int(rng.integers(1, 4))
    weight = rng.normal(0.4, 1.0, (out, shape[0], *size)) * 2 / np.sqrt(shape[0] * size.prod())
    bias = rng.normal(0, 0.2, out) * (rng.random() < 0.7)
    whole = [tuple(int(k) for k in values) for values in (stride, pads)]
    return nir.Conv2d(shape[1:], weight, *whole, 1, 1, bias), (out, rows, columns)


def random_graph(rng: np.random.Generator) -> nir.NIRGraph:
    """Nodes that take the sum of one or two earlier ones; neurons that hear later ones, delayed;
    every end is an output."""
    shapes: dict[str, Shape] = {"in_image": (2, 5, 4), "in_flat": (5,)}
    nodes: dict[str, Any] = {
        name: nir.Input({"input": np.array(shape)}) for name, shape in shapes.items()
    }
    edges = []
    for _ in range(int(rng.integers(4, 12))):
        names = list(shapes)
        first = names[max(0, len(names) - 1 - int(rng.integers(4)))]
        alike = [n for n in names if np.prod(shapes[n]) == np.prod(shapes[first]) and n != first]
        # Names in an order of their own: nothing may follow from it.
        name = f"{rng.integers(10**6):06d}"
        nodes[name], shapes[name] = node_for(rng, shapes[first])
        edges.append((first, name))
        spatial = isinstance(nodes[name], nir.Conv2d | nir.SumPool2d | nir.AvgPool2d)
        if alike and rng.random() < 0.4 and not spatial:
            edges.append((alike[rng.integers(len(alike))], name))
    neurons = [name for name, node in nodes.items() if isinstance(node, NEURONS)]
    if len(neurons) >= 2 and rng.random() < 0.6:
        a, b = sorted(rng.choice(len(neurons), 2, replace=False))
        early, late = neurons[a], neurons[b]
        size = (int(np.prod(shapes[early])), int(np.prod(shapes[late])))
        nodes["wait"] = nir.Delay(np.full(size[1], int(rng.integers(5, 9)) * DT))
        nodes["back"] = nir.Linear(rng.normal(0, 0.2, size))
        edges += [(late, "wait"), ("wait", "back"), ("back", early)]
    for name in list(shapes):
        if name not in {source for source, target in edges if target != "wait"}:
            nodes[f"out_{name}"] = nir.Output({"output": np.array(shapes[name])})
            edges.append((name, f"out_{name}"))
    return nir.NIRGraph(nodes, edges, type_check=False)


def test_random_graphs() -> None:
    rng = np.random.default_rng(11)
    seen: Counter[str] = Counter()
    compared = 0
    for number in range(GRAPHS):
        graph = random_graph(rng)
        x = {
            "in_image": (rng.random((2, 20, 2, 5, 4)) < 0.3).astype(np.int64),
            "in_flat": (rng.random((2, 20, 5)) < 0.3).astype(np.int64),
        }
        want = simulate_float(graph, x, DT)
        lowered = lower(graph, DT)
        folded = fold(lowered)
        for which in (lowered, folded):
            run = execute(which, x)
            for name, values in want.outputs.items():
                got = run.outputs[name].reshape(values.shape)
                limit = 1e-9 * max(1.0, float(np.abs(values).max()))
                np.testing.assert_allclose(got, values, 0, limit, err_msg=f"{number}: {name}")
            for name in want.spiking:
                got = run.spikes[name].reshape(want.sent[name].shape)
                np.testing.assert_array_equal(got, want.sent[name], f"{number}: {name}")
        seen["loops"] += "wait" in graph.nodes
        seen["relays"] += any(p.model.name == "relay" for p in folded.populations)
        seen["convolutions"] += any(p.map.kind == "convolution" for p in folded.projections)
        seen["biases with a delay"] += any(p.name == "constant" for p in folded.populations)
        try:
            net = snn2hw.quantize(graph, dt=DT, calibration=x)
        except GraphError as error:
            # Relays lengthen a loop beyond its delay: said, and rare.
            assert "cannot run on the chip" in str(error), number  # noqa: PT017
            seen["loops too short"] += 1
            continue
        messages = net.encode(x)
        run_of = net.run(messages, record=recorded_names(net), threads=1)
        equal(net, run_of, simulate_reference(net, messages))
        compared += close(net, run_of, want, apart=0.1, near=0.08)
        for layer in net.layers:
            seen[layer.model.name] += 1
    assert compared > 1000 * GRAPHS
    assert seen.pop("loops too short", 0) <= GRAPHS // 5, seen
    assert min(seen.values()) >= GRAPHS // 16, seen
