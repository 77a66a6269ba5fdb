"""Messages over the mesh, against walking every message of every spike train on its way."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_strategies import convolutions
from loihi_chips import lif, net, tiny, weights
from random_networks import random_network
from random_topologies import random_topology

import snn2hw
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.linear import Convolution, Dense, OneToOne
from snn2hw.simulator.run import Run
from snn2hw.targets.loihi.mesh import Mesh, hops, way
from snn2hw.targets.loihi.placement import MEASURED, WORST, LoihiPlacement
from snn2hw.targets.loihi.routes import reaches
from snn2hw.targets.spec import TargetSpec

Place = tuple[int, int]
place_of = st.tuples(st.integers(0, 7), st.integers(0, 7))


@given(place_of, place_of)
def test_a_way_goes_east_or_west_first_and_no_further_than_it_must(
    start: Place, end: Place
) -> None:
    links = list(way(start, end))
    assert len(links) == sum(hops(start, end))
    if not links:
        assert start == end
        return
    assert links[0][0] == start
    assert links[-1][1] == end
    assert all(a[1] == b[0] for a, b in pairwise(links))
    vertical = [a[0] == b[0] for a, b in links]
    assert vertical == sorted(vertical)
    assert sum(not v for v in vertical) == hops(start, end)[0]


def test_neighbours_in_number_are_neighbours_on_the_mesh() -> None:
    mesh = Mesh.of(tiny())
    places = [mesh.router(core) for core in range(40)]
    assert places[:8] == [(0, 0), (0, 0), (1, 0), (1, 0), (2, 0), (2, 0), (2, 1), (2, 1)]
    assert all(sum(hops(a, b)) <= 1 for a, b in pairwise(places))


def walked(
    made: FixedPointNetwork, placed: LoihiPlacement, run: Run | None, spec: TargetSpec
) -> tuple[dict[tuple[Place, Place], float], dict[tuple[str, str], np.ndarray], float]:
    """Loads of links in a step, (copies, east-west, north-south) of all messages between layers in
    a step, and all copies; message by message, from the weights written out.

    run: None: everybody sends at every step. Graded messages and those of inputs are not recorded
    neuron by neuron; their total is shared out evenly.
    """
    columns, per_router = spec.integer("mesh_columns"), spec.integer("cores_per_router")

    def router(core: int) -> Place:
        row, column = divmod(core // per_router, columns)
        return (column if row % 2 == 0 else columns - 1 - column), row

    core_of: dict[tuple[str, int], int] = {}
    for core in placed.cores:
        for number in core.part.numbers():
            core_of[core.part.layer, int(number)] = core.core
    layers = {layer.name for layer in made.layers}
    loads: Counter[tuple[Place, Place]] = Counter()
    totals: dict[tuple[str, str], np.ndarray] = {}
    copies = 0.0
    ports = {(s.source, s.source_port) for s in made.synapses}
    for source, port in ports:
        n = made.size(source)
        rates = np.ones(n)
        if run is not None:
            steps = run.activity.steps * run.activity.samples
            rates = np.full(n, run.activity.sent(source, port).sum() / steps / n)
            if source in run.spikes and made.layer(source).model.output(port).is_spike:
                rates = run.spikes[source].reshape(-1, n).sum(axis=0, dtype=float) / steps
        listening: dict[int, set[tuple[str, int]]] = {}
        for synapse in made.synapses:
            if (synapse.source, synapse.source_port) != (source, port):
                continue
            matrix = synapse.map.dense()
            totals.setdefault((source, synapse.target), np.zeros(3))
            for out, into in np.argwhere(matrix):
                neuron = int(out) % made.size(synapse.target)
                core = core_of[synapse.target, neuron]
                listening.setdefault(int(into), set()).add((synapse.target, core))
        for neuron, cores in listening.items():
            for target, core in cores:
                x, y = router(core_of[source, neuron]) if source in layers else (0, 0)
                to_x, to_y = router(core)
                rate = rates[neuron]
                totals[source, target] += rate * np.array([1, abs(to_x - x), abs(to_y - y)])
                copies += rate
                while (x, y) != (to_x, to_y):
                    if x != to_x:
                        there = (x + (1 if to_x > x else -1), y)
                    else:
                        there = (x, y + (1 if to_y > y else -1))
                    loads[(x, y), there] += rate
                    x, y = there
    return dict(loads), totals, copies


def compare(made: FixedPointNetwork, run: Run | None, spec: TargetSpec) -> LoihiPlacement:
    placed = snn2hw.place(made, "loihi2", run=run, spec=spec)
    for case, given_run in ((WORST, None), (MEASURED, run)):
        if case not in placed.cases:
            continue
        loads, totals, copies = walked(made, placed, given_run, spec)
        found = {(link.start, link.end): link.messages(case) for link in placed.links}
        assert {key for key, load in loads.items() if load} <= set(found)
        for key, load in found.items():
            assert load == pytest.approx(loads.get(key, 0.0))
        assert placed.sent[case] == pytest.approx(copies)
        assert set(placed.hops_by_case[case]) == set(totals)
        for (source, target), total in totals.items():
            hop = placed.hops_by_case[case][source, target]
            ports = {
                s.source_port
                for s in made.synapses
                if (s.source, s.target) == (source, target) and np.any(s.mantissa)
            }
            if given_run is None:
                messages = float(made.size(source) * len(ports))
            else:
                activity = given_run.activity
                messages = sum(float(activity.sent(source, p).sum()) for p in ports)
                messages /= activity.steps * activity.samples
            each = np.array([hop.copies, hop.east_west, hop.north_south])
            assert each * messages == pytest.approx(total)
    return placed


@pytest.mark.parametrize("kind", ["lif", "gpn", "mixed"])
@pytest.mark.parametrize("seed", range(4))
def test_link_loads_of_random_networks(kind: str, seed: int) -> None:
    made, x = random_network(np.random.default_rng(seed), kind, steps=20, batch=2)
    compare(made, made.run(x), tiny(neurons=3, message_bits_most=24))


@pytest.mark.parametrize("kind", ["convolution", "models"])
@pytest.mark.parametrize("seed", range(6))
def test_link_loads_of_random_topologies(kind: str, seed: int) -> None:
    made, x = random_topology(np.random.default_rng(seed), kind, steps=12, batch=2)
    compare(made, made.run(x), tiny(neurons=17, message_bits_most=24))


@settings(max_examples=25, deadline=None)
@given(convolutions(integer=True), st.integers(1, 12), st.booleans())
def test_link_loads_of_convolutions(link: Convolution, neurons: int, power: bool) -> None:
    layers = [lif("a", link.input_shape), lif("b", link.output_shape)]
    one = OneToOne(np.ones(link.n_in, dtype=np.int8))
    made = net(link.input_shape, layers, [("in", "a", one), ("a", "b", link)])
    compare(made, None, tiny(neurons=neurons, columns_power_of_two=int(power)))


@settings(max_examples=40, deadline=None)
@given(convolutions(integer=True), st.data())
def test_who_reaches_a_stretch_of_a_convolution(link: Convolution, draw: st.DataObject) -> None:
    """Rows of neurons cut through the channels, where a layer hears other maps too."""
    neurons = draw.draw(st.integers(1, link.n_out))
    layer = lif("a", (link.n_out,))
    maps = [("in", "a", link), ("a", "a", Dense(weights(link.n_out, link.n_out)))]
    made = net((link.n_in,), [layer], maps, delays=[0, 1])
    placed = snn2hw.place(made, "loihi1", spec=tiny(neurons=neurons))
    matrix = link.dense()
    for part in placed.parts:
        heard = np.any(matrix[part.numbers()] != 0, axis=0)
        assert np.array_equal(reaches(made.synapses[0], link.n_out, part, False), heard)


def test_a_matrix_with_its_zeros_hears_everybody() -> None:
    matrix = np.eye(6, dtype=np.int8)
    made = net((6,), [lif("a", (6,))], [("in", "a", Dense(matrix))])
    without = snn2hw.place(made, "loihi2", spec=tiny(neurons=2))
    kept = snn2hw.place(made, "loihi2", spec=tiny(neurons=2, zero_weights_kept=1))
    assert without.hops["in", "a"].copies == 1
    assert kept.hops["in", "a"].copies == 3
    assert [core.used["axons in"] for core in kept.cores] == [6, 6, 6]


def test_what_has_no_weights_goes_nowhere() -> None:
    made = net((4,), [lif("a", (4,))], [("in", "a", Dense(np.zeros((4, 4), dtype=np.int8)))])
    placed = snn2hw.place(made, "loihi2")
    assert placed.hops["in", "a"].copies == 0
    assert placed.links == ()
    assert placed.busiest(WORST) is None
    assert placed.cores[0].used["synapse words"] == 0


def test_a_run_of_another_network() -> None:
    made = net((4,), [lif("a", (4,))], [("in", "a", Dense(weights(4, 4)))])
    other = net((4,), [lif("z", (4,))], [("in", "z", Dense(weights(4, 4)))])
    run = other.run(np.zeros((1, 2, 4), dtype=np.int32))
    with pytest.raises(DataError, match="the run is of another network: its layers are z; place"):
        snn2hw.place(made, "loihi2", run=run)


def test_ports_that_say_nothing_to_a_layer_still_share_its_mean() -> None:
    """Neuron 0 of two alone is heard, and never fires: copies are per message of both."""
    heard = np.zeros((3, 2), dtype=np.int8)
    heard[:, 0] = 5
    made = net((2,), [lif("a", (2,)), lif("b", (3,))], [
        ("in", "a", OneToOne(np.array([-1, 100], dtype=np.int8))), ("a", "b", Dense(heard)),
    ])  # fmt: skip
    run = made.run(np.ones((1, 9, 2), dtype=np.int32))
    assert run.activity.sent("a", "s").sum() > 0
    placed = snn2hw.place(made, "loihi1", run=run)
    assert placed.hops["a", "b"].copies == 0
    assert placed.hops_by_case[WORST]["a", "b"].copies == 0.5
