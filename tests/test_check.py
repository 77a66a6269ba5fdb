"""check: what runs on a target, what does not and why, node by node."""

from __future__ import annotations

import re

import nir
import numpy as np
import pytest
from conformance import CASES, EXCLUDED
from conformance_case import DT, Case
from graphs import given, graph, li, lif, taken

import snn2hw
from snn2hw.cli.check import lava_process
from snn2hw.neurons import MODELS
from snn2hw.passes import fold
from snn2hw.passes.check import GraphCheck, NodeCheck, Violation, check
from snn2hw.passes.linear_nodes import LINEAR_NODES
from snn2hw.targets.lava.plan import process_of


def violation(result: GraphCheck, node: str) -> Violation:
    """The only violation of a node."""
    (row,) = [row for row in result.nodes if row.name == node]
    (found,) = row.violations
    assert found in result.violations
    assert not row.runs_as
    assert not result.ok
    return found


def rows(result: GraphCheck) -> dict[str, NodeCheck]:
    return {row.name: row for row in (*result.nodes, *result.added)}


def spiking() -> nir.NIRGraph:
    """input -> fc -> lif -> output: what Loihi 1 can hold."""
    nodes = {"input": given(3), "fc": nir.Linear(np.ones((2, 3))), "lif": lif(2)}
    return graph(nodes | {"output": taken(2)}, "input fc lif output")


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
def test_a_spiking_graph_runs_everywhere(target: str) -> None:
    result = check(spiking(), target)
    assert result.ok
    assert result.target == target
    assert not result.violations
    assert [row.name for row in result.nodes] == ["input", "fc", "lif", "output"]
    assert rows(result)["fc"].runs_as == "part of the synapses input->lif"
    assert rows(result)["fc"].synapses == ("input->lif",)
    assert rows(result)["lif"].runs_as == "layer of 2 lif neurons"
    assert rows(result)["lif"].neuron == "lif"
    assert rows(result)["output"].runs_as == "output of layer 'lif'"


@pytest.mark.parametrize(
    ("node", "model", "hint"),
    [
        (lif(2, v_reset=0.05), "lif_reset", "reset to zero (v_reset = 0, --reset value)"),
        (lif(2, threshold=-0.1), "lif_reset", "thresholds of at least 0"),
        (li(2), "integrator", "use neurons that spike (LIF, CubaLIF, IF)"),
        (nir.Threshold(np.ones(2)), "threshold", "use neurons that spike and reset"),
        (nir.Linear(np.eye(2)), "readout", "end in neurons that spike and count their spikes"),
    ],
)
def test_loihi1_lacks_what_is_not_its_neuron(node, model: str, hint: str) -> None:
    held = spiking()
    held.nodes["last"] = node
    held.edges = [("input", "fc"), ("fc", "lif"), ("lif", "last"), ("last", "output")]
    assert check(held, "loihi2").ok
    found = violation(check(held, "loihi1"), "last")
    assert found.rule == "neuron"
    assert found.used.startswith(f"layer 'last' is a {model}: ")
    assert found.limit == "neurons of loihi1: lif"
    assert hint in found.hint
    assert found.hint.endswith(", or use --target loihi2")
    assert rows(check(held, "loihi1"))["lif"].runs_as  # the others do run


def test_loihi1_lacks_the_subtractive_reset_that_the_caller_asks_for() -> None:
    assert check(spiking(), "loihi1", reset="value").ok
    found = violation(check(spiking(), "loihi1", reset="subtract"), "lif")
    assert "is a lif_reset" in found.used
    assert "--reset value" in found.hint
    assert check(spiking(), "loihi2", reset="subtract").ok


def convolutions() -> nir.NIRGraph:
    """Two convolutions that padding keeps from being one, into neurons; the sum of two outputs."""
    kernel = np.ones((1, 1, 3, 3))
    conv = nir.Conv2d((6, 6), kernel, 1, 1, 1, 1, np.zeros(1))
    nodes = {
        "input": given(1, 6, 6),
        "c1": conv,
        "c2": nir.Conv2d((6, 6), kernel, 1, 1, 1, 1, np.zeros(1)),
        "a": lif(1, 6, 6),
        "skip": nir.Scale(np.full((1, 6, 6), 0.5)),
        "output": taken(1, 6, 6),
    }
    return graph(nodes, "input c1 c2 a output", "a skip output")


def test_relays_and_readouts_that_are_added_are_listed() -> None:
    result = check(convolutions(), "loihi2")
    found = rows(result)
    assert [row.name for row in result.added] == ["a_relay", "output_readout"]
    for name in ("c1", "c2"):
        assert found[name].synapses == ("input->a_relay", "a_relay->a")
    assert found["skip"].runs_as == "part of the synapses a->output_readout"
    assert found["a_relay"].runs_as.endswith("on the way to 'a'")
    assert found["a_relay"].runs_as.startswith("layer of 36 relay neurons")
    assert found["output"].runs_as == "output of layer 'output_readout'"


def test_what_is_added_counts_on_loihi1() -> None:
    result = check(convolutions(), "loihi1")
    assert "layer 'a_relay' is a relay" in violation(result, "a").used
    assert "put neurons that spike between" in violation(result, "a").hint
    assert "layer 'output_readout' is a readout" in violation(result, "output").used
    for row in result.added:
        assert row.violations
        assert not row.runs_as


def test_groups_named_are_groups_of_the_network() -> None:
    data = np.random.default_rng(0).integers(0, 2, (2, 20, 1, 6, 6))
    net = snn2hw.quantize(convolutions(), calibration=data)
    groups = {name for row in check(convolutions()).nodes for name in row.synapses}
    assert groups == {synapse.name for synapse in net.synapses}
    for row in rows(check(convolutions())).values():
        if row.neuron:
            assert net.layer(row.name).model.name == row.neuron
            said, chosen = lava_process(row.neuron), process_of(net, net.layer(row.name))
            name = {"lif": "LIFReset", "graded": "GradedVec", "neuron": "snn2hw's"}[chosen]
            assert name in said


def test_lava_process_of_every_model() -> None:
    said = {name: lava_process(name) for name in MODELS}
    assert said.pop("lif") == "LIFReset"
    assert said.pop("relay") == said.pop("readout") == "GradedVec or snn2hw's"
    assert set(said.values()) == {"snn2hw's"}


def test_nodes_of_subgraphs_and_delayed_biases() -> None:
    inner = graph({"in": given(2), "w": nir.Linear(np.eye(2)), "lif": lif(2), "out": taken(2)})
    inner.edges = [("in", "w"), ("w", "lif"), ("lif", "out")]
    nodes = {
        "input": given(2),
        "fc": nir.Affine(np.eye(2), np.ones(2)),
        "late": nir.Delay(np.full(2, 3e-3)),
        "sub": inner,
        "output": taken(2),
    }
    found = rows(check(graph(nodes, "input fc late sub output")))
    assert found["sub.w"].synapses == ("input->sub.lif (3)",)
    assert found["fc"].synapses == found["late"].synapses == found["sub.w"].synapses
    assert found["constant"].runs_as == (
        "layer of 1 lif neurons: fires at every step, for the delayed bias of 'sub.lif'"
    )


def test_every_time_constant_that_dt_cannot_follow_is_named() -> None:
    nodes = {"input": given(2), "a": lif(2, tau=1e-4), "b": lif(2, tau=2e-4), "c": lif(2)}
    result = check(graph(nodes | {"output": taken(2)}, "input a b c output"))
    for name, tau in (("a", "0.0001"), ("b", "0.0002")):
        found = violation(result, name)
        assert found.used == (
            f"node '{name}': tau = {tau} s is not above dt/2 = 0.0005 s, so the steps do not "
            "follow it"
        )
        assert found.hint == "use a smaller dt"
    assert len(result.violations) == 2
    assert check(graph(nodes | {"output": taken(2)}, "input a b c output"), dt=1e-5).ok


def test_a_decay_above_one_is_named() -> None:
    nodes = {"input": given(2), "a": lif(2, tau=0.8e-3), "output": taken(2)}
    found = violation(check(graph(nodes, "input a output")), "a")
    assert (found.rule, found.limit) == ("time constant", "1")
    assert found.used == "decay_v is 1.25: dt is longer than a time constant"
    assert found.hint == "use --method exact or a smaller dt"
    assert check(graph(nodes, "input a output"), method="exact").ok


def test_a_loop_too_short_for_the_chip_is_named() -> None:
    nodes = {"input": given(2), "a": lif(2), "w": nir.Linear(np.eye(2)), "b": lif(2)}
    result = check(graph(nodes | {"output": taken(2)}, "input a w b output", "b a"))
    found = violation(result, "a")
    assert found.rule == "timing"
    assert found.used.startswith("loop a -> b -> a cannot run on the chip: 2 synapses")
    assert found.hint == "give its synapses 2 steps of delay in all"


def test_a_delay_too_long_for_the_chip_is_the_delays() -> None:
    nodes = {"input": given(2), "a": lif(2), "w": nir.Linear(np.eye(2)), "b": lif(2)}
    nodes |= {"late": nir.Delay(np.full(2, 0.1)), "output": taken(2)}
    found = violation(check(graph(nodes, "input a w late b output")), "late")
    assert found.rule == "timing"
    # b is handled at step 0 and a at step 1, so 100 logical steps are 99 of the chip.
    assert found.used == "synapses 'a->b (100)' need a delay of 99 steps and the chip holds 63"


def test_edges_to_nowhere_and_nodes_apart_are_all_named() -> None:
    held = spiking()
    held.edges += [("lif", "nowhere"), ("ghost", "lif")]
    result = check(held)
    assert [(v.rule, v.node, v.hint) for v in result.violations] == [
        ("edge", "lif", "remove the edge or add the node")
    ] * 2
    assert [v.used for v in result.violations] == [
        "edge 'lif' -> 'nowhere' names node 'nowhere'",
        "edge 'ghost' -> 'lif' names node 'ghost'",
    ]
    assert {row.name for row in result.nodes} == {"input", "fc", "lif", "output"}
    held = spiking()
    held.nodes |= {"x": lif(2), "y": nir.Linear(np.eye(2))}
    held.edges.append(("lif", "y"))
    result = check(held)
    assert "no path from an input leads to it" in violation(result, "x").used
    assert "no path from it leads to an output" in violation(result, "y").used
    assert violation(result, "y").hint == "connect or remove it"


def test_dangling_edges_of_subgraphs_are_named() -> None:
    inner = graph({"in": given(2), "lif": lif(2), "out": taken(2)}, "in lif out", "lif gone")
    result = check(graph({"input": given(2), "s": inner, "output": taken(2)}, "input s output"))
    (found,) = result.violations
    assert found.used == "edge 's.lif' -> 's.gone' names node 's.gone'"


class Izhikevich:
    """A node that nobody knows."""

    metadata: dict[str, object] = {}  # noqa: RUF012


def test_unknown_and_broken_nodes_are_all_named() -> None:
    held = spiking()
    held.nodes["fc"].weight = np.full((2, 3), np.nan)
    held.nodes["lif"] = Izhikevich()
    result = check(held)
    found = violation(result, "lif")
    assert found.used.startswith("node 'lif' is of type Izhikevich, which this release does not")
    assert "CubaLIF" in found.hint
    assert violation(result, "fc").used == "weight of node 'fc' holds NaN or infinity"


def test_shapes_that_differ_are_the_nodes() -> None:
    held = spiking()
    held.nodes["lif"] = lif(5)
    found = violation(check(held), "lif")
    assert "it takes 5 values (shape (5,)) and 'fc' gives 2" in found.used
    assert found.hint == "their shapes must agree"


@pytest.mark.parametrize(
    ("arguments", "used"),
    [
        ({"target": "abacus"}, "target 'abacus'"),
        ({"dt": 0.0}, "dt = 0.0 s is not a positive time"),
        ({"method": "magic"}, "method 'magic' is unknown"),
        ({"reset": "never"}, "reset 'never' is unknown"),
    ],
)
def test_wrong_arguments_are_the_whole_graphs(arguments: dict[str, object], used: str) -> None:
    result = check(spiking(), **arguments)
    assert not result.ok
    (found,) = result.violations
    assert found.node == ""
    assert found.used == used
    assert found.hint


def test_no_input_or_output_and_no_nodes() -> None:
    held = spiking()
    del held.nodes["input"]
    held.edges = held.edges[1:]
    (found,) = check(held).violations
    assert found.used == "the graph has no Input node, so no data can pass"
    (found,) = check(graph({})).violations
    assert found.used == "the graph is empty"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_case_of_the_suite_is_judged_as_quantize_does(case: Case) -> None:
    held = case.graph()
    result = check(held, "loihi2", DT, **case.options)
    excluded = EXCLUDED.get((case.row, "integer"))
    assert result.ok == (excluded is None)
    if excluded is not None:
        assert re.search(excluded.message, result.violations[0].used)
        assert result.violations[0].node
        return
    folded = fold(snn2hw.lower(held, DT, **case.options))
    groups = {projection.name: projection for projection in folded.projections}
    layers = {population.name: population.model.name for population in folded.populations}
    assert {row.name: row.neuron for row in rows(result).values() if row.neuron} == layers
    for row in rows(result).values():
        assert row.runs_as
        assert set(row.synapses) <= set(groups)
        if row.type in LINEAR_NODES:
            assert row.synapses
