"""Bills against sums made by hand and against counts made from the spikes themselves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from snn2hw.energy import Bill, estimate, load_profile
from snn2hw.energy.profile import Profile, parse_profile
from snn2hw.errors import DataError
from snn2hw.graph import FixedPointNetwork
from snn2hw.simulator.activity import Activity, LayerActivity, SynapseActivity

PJ = 1e-12


def counts(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def layer(name: str = "hid", model: str = "lif", **changes: object) -> LayerActivity:
    """Ten neurons, 100 steps in each of two samples, a tenth of the updates idle."""
    zero = counts(0, 0)
    made = LayerActivity(
        name, model, 10, counts(1000, 1000), counts(100, 100), counts(30, 50), zero, 1, zero, zero
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def synapse(target: str = "hid", **changes: object) -> SynapseActivity:
    """Three channels onto ten neurons; 40 spikes a sample on average; a third of it is zeros."""
    made = SynapseActivity(
        "in_to_hid", "in", target, False, 1, 30, 20, counts(30, 50), counts(300, 500),
        counts(200, 320),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def activity(*layers: LayerActivity, synapses: tuple[SynapseActivity, ...]) -> Activity:
    return Activity(2, 100, {"in": counts(30, 50)}, layers, synapses)


def amounts(bill: Bill) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for item in bill.items:
        key = (item.layer, item.what)
        found[key] = found.get(key, 0.0) + item.count
    return found


def test_davies_by_hand() -> None:
    bill = estimate(activity(layer(), synapses=(synapse(),)))
    assert amounts(bill) == {
        ("in", "messages sent"): 40,
        ("hid", "synaptic operations of spikes"): 260,
        ("hid", "neuron updates, active"): 900,
        ("hid", "neuron updates, idle"): 100,
        ("hid", "messages sent"): 40,
    }
    expected = 260 * 23.6 + 900 * 81 + 100 * 52 + 40 * 1.7
    assert bill.total_j == pytest.approx((expected + 40 * 1.7) * PJ)
    assert bill.by_layer() == pytest.approx({"in": 40 * 1.7 * PJ, "hid": expected * PJ})
    assert bill.by_group("hid") == pytest.approx(
        {
            "messages": 40 * 1.7 * PJ,
            "synapses": 260 * 23.6 * PJ,
            "neurons": (900 * 81 + 100 * 52) * PJ,
        }
    )
    assert bill.by_term()["messages sent"] == pytest.approx(80 * 1.7 * PJ)
    assert bill.at_least
    assert {price.term for price in bill.prices} == {
        "synaptic_operation", "neuron_update_active", "neuron_update_idle", "spike_in_tile",
    }  # fmt: skip


@pytest.mark.parametrize(("synops", "millijoules"), [(41_000_000, 1.17), (42_000_000, 1.20)])
def test_davies_prices_of_pilotnet(synops: int, millijoules: float) -> None:
    """facts: 41.0 to 42.0 M non-zero synaptic operations and 2.536 M updates, 1.17 to 1.20 mJ."""
    run = Activity(
        1,
        16,
        {"in": counts(0)},
        (layer(updates=counts(2_536_000), idle_updates=counts(0), spikes=counts(0)),),
        (synapse(synops=counts(2 * synops), synops_nonzero=counts(synops)),),
    )
    total = estimate(run).total_j
    assert total is not None
    assert total * 1e3 == pytest.approx(millijoules, abs=0.005)


def test_loihi1_has_no_price_for_a_gated_neuron_and_says_so() -> None:
    run = activity(layer(model="gpn"), synapses=(synapse(graded=True, message_bits=12),))
    bill = estimate(run)
    assert bill.total_j is None
    assert [(i.what, i.count) for i in bill.unpriced] == [
        ("neuron updates, active", 900),
        ("neuron updates, idle", 100),
    ]
    assert bill.unpriced[0].why_unpriced == (
        "loihi1-davies2018 prices neuron_update_active for lif, readout, integrator only, "
        "not for gpn"
    )
    assert bill.unpriced[0].energy_j is None
    assert bill.priced_j == pytest.approx((260 * 23.6 + 80 * 1.7) * PJ)
    assert ("hid", "synaptic operations of graded messages") in amounts(bill)


def test_a_count_of_zero_needs_no_price() -> None:
    silent = layer(model="gpn", updates=counts(0, 0), idle_updates=counts(0, 0))
    assert estimate(activity(silent, synapses=(synapse(),))).total_j is not None


def test_a_term_without_a_price_is_named() -> None:
    davies = load_profile("loihi1-davies2018")
    prices = {term: p for term, p in davies.prices.items() if term != "spike_in_tile"}
    bill = estimate(activity(layer(), synapses=(synapse(),)), replace(davies, prices=prices))
    assert bill.total_j is None
    assert {i.why_unpriced for i in bill.unpriced} == {
        "loihi1-davies2018 has no price for spike_in_tile"
    }


def test_horowitz_by_hand() -> None:
    bill = estimate(activity(layer(), synapses=(synapse(),)), "cmos45-horowitz2014")
    # A message brings a column of 10 weights: 2 accesses of 8, and 5 accesses of two words to
    # read, 5 to write the accumulators. A sweep (100 a sample) is over 10 neurons: 10 words of
    # accumulators, 20 of states (both read and written), 50 of parameters.
    assert amounts(bill) == {
        ("hid", "accumulates of spikes"): 400,
        ("hid", "weight reads"): 40 * 2,
        ("hid", "accumulator reads and writes"): 40 * 2 * 5 + 100 * 2 * 5,
        ("hid", "message queue reads and writes"): 40 + 40,
        ("hid", "neuron steps: adds"): 7000,
        ("hid", "neuron steps: multiplies"): 2000,
        ("hid", "neuron steps: shifts"): 3000,
        ("hid", "neuron steps: compares"): 5000,
        ("hid", "neuron steps: selects"): 5000,
        ("hid", "neuron steps: logic"): 1000,
        ("hid", "state reads and writes"): 100 * 2 * 10,
        ("hid", "parameter reads"): 100 * 25,
    }
    logic = 0.1 * (400 + 7000 + 3000 + 5000 + 5000 + 1000) + 3.1 * 2000
    memory = 10 * (80 + 400 + 1000 + 80 + 2000 + 2500)
    assert bill.total_j == pytest.approx((logic + memory) * PJ)
    assert bill.by_group()["memory"] == pytest.approx(memory * PJ)
    assert not bill.at_least


@pytest.mark.parametrize(("bits", "picojoules"), [(8, 0.2), (9, 3.1), (24, 3.1)])
def test_products_with_graded_messages(bits: int, picojoules: float) -> None:
    run = activity(layer(), synapses=(synapse(graded=True, message_bits=bits),))
    terms = estimate(run, "cmos45-horowitz2014").by_term()
    assert terms["products with graded messages"] == pytest.approx(400 * picojoules * PJ)
    assert terms["accumulates of graded messages"] == pytest.approx(400 * 0.1 * PJ)


def test_memory_is_priced_by_its_size() -> None:
    """1 MB of weights: 100 pJ an access; the accumulators of 16384 neurons, 64 KB: between."""
    big = synapse(
        weights=2**20, messages_in=counts(1, 1), synops=counts(2**14, 2**14),
        synops_nonzero=counts(0, 0),
    )  # fmt: skip
    run = activity(layer(neurons=2**14, updates=counts(0, 0)), synapses=(big,))
    terms = estimate(run, "cmos45-horowitz2014").by_term()
    assert terms["weight reads"] == pytest.approx(2**11 * 100 * PJ)
    each = 20 + 80 * (2**16 - 2**15) / (2**20 - 2**15)
    assert terms["accumulator reads and writes"] == pytest.approx(2 * 2**13 * each * PJ)


def test_gpn_table_lookups_are_memory() -> None:
    bill = estimate(activity(layer(model="gpn"), synapses=()), "cmos45-horowitz2014")
    assert bill.total_j is not None
    assert bill.by_term()["table look-ups"] == pytest.approx(1000 * 4 * 10 * PJ)


def test_json_says_the_same() -> None:
    bill = estimate(activity(layer(model="gpn"), synapses=(synapse(),)))
    data = json.loads(json.dumps(bill.to_dict()))
    assert data["total_j"] is None
    assert data["priced_j"] == bill.priced_j
    assert [u["what"] for u in data["unpriced"]] == [i.what for i in bill.unpriced]
    assert sum(i["energy_j"] or 0.0 for i in data["items"]) == pytest.approx(bill.priced_j)
    assert all(i["source"] and i["grade"] == "S" for i in data["items"] if i["energy_j"])


def test_bills_add_up_on_runs_and_equal_counts_from_spikes() -> None:
    """Synaptic operations from the spike trains themselves, on random networks with loops."""
    rng = np.random.default_rng(5)
    unit = _unit_profile()
    for kind in ("lif", "mixed", "gpn", "lif"):
        net, x = random_network(rng, kind, steps=20, batch=3)
        graded = {g.source_port for g in net.synapses if g.source != "in"} - {"s"}
        run = net.run(x, record=tuple(graded), threads=1)
        bill = estimate(run, unit, net=net)
        assert bill.priced_j == pytest.approx(sum(bill.by_layer().values()))
        assert bill.priced_j == pytest.approx(sum(bill.by_term().values()))
        for each in net.layers:
            assert bill.by_layer()[each.name] == pytest.approx(_synops(net, x, run, each.name) / 3)


def _unit_profile() -> Profile:
    return parse_profile(
        json.dumps(
            {
                "name": "unit", "title": "one joule a synaptic operation", "technology": "none",
                "account": "events", "not_included": ["everything else"],
                "terms": {"synaptic_operation":
                          {"value": 1, "unit": "J", "source": "test", "grade": "M"}},
            }
        ),
        "unit.json",
    )  # fmt: skip


def _synops(net: FixedPointNetwork, x: np.ndarray, run: object, target: str) -> int:
    """Non-zero weights met by non-zero messages that arrive within the run."""
    total = 0
    for group in net.into(target):
        if group.source == "in":
            sent = x != 0
        elif group.source_port == "s":
            sent = run.spikes[group.source] != 0  # type: ignore[attr-defined]
        else:
            sent = run.state[group.source][group.source_port] != 0  # type: ignore[attr-defined]
        arriving = sent[:, : sent.shape[1] - group.delay].reshape(-1, sent.shape[-1])
        total += int((arriving.sum(axis=0) * np.count_nonzero(group.mantissa, axis=0)).sum())
    return total


def test_activity_of_another_network() -> None:
    net, _ = random_network(np.random.default_rng(1), "lif", steps=2)
    with pytest.raises(DataError, match=r"of another network: layer 'hid' is 10 lif neurons there"):
        estimate(activity(layer(), synapses=(synapse(),)), net=net)


def test_empty_activity_and_unknown_model() -> None:
    with pytest.raises(DataError, match="holds no samples or no steps; run the network"):
        estimate(Activity(0, 0, {}, (), ()))
    with pytest.raises(DataError, match=r"unknown model 'mine'; pass the network that ran as net="):
        estimate(activity(layer(model="mine"), synapses=()))


def test_an_activity_by_step_is_no_inference() -> None:
    net, x = random_network(np.random.default_rng(1), "lif", steps=2)
    steps = net.run(x, threads=1, per_step=True).activity.by_step
    assert steps is not None
    with pytest.raises(DataError, match="the activity is by step; pass the run's own"):
        estimate(steps, net=net)
