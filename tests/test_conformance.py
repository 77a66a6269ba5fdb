"""Every conformance network on every executor; docs/support.md says what this found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
from conformance import CASE_OF, CASES, CHECKS, EXCLUDED, EXECUTORS, expected, integers, network
from conformance_case import DT, Case
from float_reference import simulate_float
from support_table import PAGE, support_page

import snn2hw
from snn2hw.executor import execute
from snn2hw.linear import with_weight
from snn2hw.passes import lower
from snn2hw.targets.verify import Check, verify_many

LAVA_STEPS = 24

by_row = pytest.mark.parametrize("case", CASES, ids=str)


@by_row
@pytest.mark.parametrize("executor", list(CHECKS))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_network(case: Case, executor: str) -> None:
    excluded = EXCLUDED.get((case.row, executor))
    if excluded is None:
        for check in CHECKS[executor]:
            check(case)
        return
    with pytest.raises(excluded.error, match=excluded.message):
        CHECKS[executor][0](case)


@pytest.fixture(scope="module")
def against_lava(lava: object) -> dict[str, Check]:
    """One sample of every network in one start of Lava: starting is most of the time."""
    rows = [case.row for case in CASES if (case.row, "Lava") not in EXCLUDED]
    items = []
    for row in rows:
        x, _, _ = integers(CASE_OF[row])
        first = {name: values[:1, :LAVA_STEPS] for name, values in x.items()}
        items.append((network(CASE_OF[row]), first))
    return dict(zip(rows, verify_many(items), strict=True))


@pytest.mark.lava
@by_row
def test_network_on_lava(case: Case, against_lava: dict[str, Check]) -> None:
    excluded = EXCLUDED.get((case.row, "Lava"))
    if excluded is not None:
        with pytest.raises(excluded.error, match=excluded.message):
            network(case)
        return
    check = against_lava[case.row]
    assert check.first_mismatch is None
    layers = network(case).layers
    values = [layer.n * len(layer.model.states + layer.model.outputs) for layer in layers]
    assert check.compared == LAVA_STEPS * sum(values)


# NIR's layout has no place for a bias that is not there.
@pytest.mark.parametrize("case", [c for c in CASES if "no bias" not in c.row], ids=str)
def test_network_survives_its_files(case: Case, tmp_path: Path) -> None:
    """As .nir and, where it has integers, as .h5: what is read is what was written."""
    snn2hw.write(tmp_path / "graph.nir", case.graph())
    read = snn2hw.read(tmp_path / "graph.nir")
    assert lower(read, DT).source_hash == lower(case.graph(), DT).source_hash
    if (case.row, "integer") in EXCLUDED:
        return
    network(case).save(tmp_path / "network.h5")
    x, run, _ = integers(case)
    again = snn2hw.load(tmp_path / "network.h5").run(x, threads=1)
    assert {name: again.spikes[name].tobytes() for name in again.spikes} == {
        name: run.spikes[name].tobytes() for name in run.spikes
    }
    for name, values in run.outputs.items():
        np.testing.assert_array_equal(again.outputs[name], values)


def test_every_primitive_has_a_row_of_its_name() -> None:
    nodes = {cls.__name__ for cls in vars(nir).values() if isinstance(cls, type)}
    nodes &= {cls.__name__ for cls in nir.ir.NIRNode.__subclasses__()}
    assert len(nodes) == 19
    assert len(CASES) == len(CASE_OF), "two rows of one name"
    together = {"Input", "Output", "NIRGraph"}
    assert nodes - together <= set(CASE_OF)
    used = {type(n).__name__ for case in CASES for n in case.graph().nodes.values()}
    assert nodes <= used


def test_exclusions_name_rows_and_executors() -> None:
    assert {row for row, _ in EXCLUDED} <= set(CASE_OF)
    assert {executor for _, executor in EXCLUDED} <= set(EXECUTORS)


def test_support_page_is_that_of_the_suite() -> None:
    assert PAGE.read_text() == support_page(), "docs/support.md is stale: run `make support`"


@pytest.mark.parametrize("row", ["Conv2d: all at once", "Self-loop of CubaLIF through a Linear"])
def test_a_network_that_is_slightly_another_is_noticed(row: str) -> None:
    """The suite can fail: one weight, one constant, one step of delay."""
    case = CASE_OF[row]
    graph = lower(case.graph(), DT)
    want = expected(case).outputs["output"]
    for k, projection in enumerate(graph.projections):
        weight = projection.maps[0].weight.copy()
        weight.flat[np.argmax(np.abs(weight))] *= 1.5
        changed = replace(projection, maps=(with_weight(projection.maps[0], weight),))
        later = replace(projection, delay=projection.delay + 1)
        for other in (changed, later):
            projections = (*graph.projections[:k], other, *graph.projections[k + 1 :])
            run = execute(replace(graph, projections=projections), case.input())
            assert not np.array_equal(run.output, want)
    population = graph.populations[0]
    for name in ("decay_v", "v_threshold", "gain"):
        params = {**population.params, name: population.params[name] * 1.1}
        changed_one = replace(population, params=params)
        others = (changed_one, *graph.populations[1:])
        run = execute(replace(graph, populations=others), case.input())
        assert not np.array_equal(run.output, want)


@pytest.mark.parametrize("case", [c for c in CASES if c.late], ids=str)
def test_which_edge_closes_a_loop_matters(case: Case) -> None:
    """The reference is told the closing edge; without it the loop has no beginning."""
    with pytest.raises(RecursionError):
        simulate_float(case.graph(), case.input(), DT)
