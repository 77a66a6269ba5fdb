"""Operations of a neuron step, against counts made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snn2hw.arithmetic import interpolate, saturate, select, shift_toward_zero, wrap
from snn2hw.energy import operations
from snn2hw.energy.counting import KINDS, Counted, CountedTable, count
from snn2hw.neurons.gpn import GPN
from snn2hw.neurons.lif import LIF
from snn2hw.neurons.readout import READOUT


def number() -> Counted:
    return Counted(varies=True)


def counted(*results: object) -> dict[str, int]:
    return {kind: n for kind, n in count(results).items() if n}


def test_lif_by_hand() -> None:
    # u: product with the decay; shift towards zero (sign test, masked offset, add, shift); input
    #    shifted and added; wrap (two adds, one mask).
    # v: the same product and shift; u and bias added; clip on both sides (2 x compare, select).
    # s: one comparison; reset: one selection. UNITY - decay, threshold << 6 and the bias's shift
    #    are constants of the neuron; u != u_wide and v != v_wide only report overflows.
    assert operations(LIF) == {
        "adds": (1 + 1 + 2) + (1 + 2),
        "multiplies": 1 + 1,
        "shifts": 2 + 1,
        "compares": 1 + 1 + 2 + 1,
        "selects": 1 + 1 + 2 + 1,
        "logic": 1,
        "lookups": 0,
    }


def test_readout_by_hand() -> None:
    assert operations(READOUT) == dict.fromkeys(KINDS, 0) | {"adds": 1, "compares": 2, "selects": 2}


def test_gpn_products_and_lookups_by_hand() -> None:
    # Four gates: two gains and one line each, which is one read of the table. Then the gain of x,
    # F v and I x. Doubling for tanh is a shift.
    found = operations(GPN)
    assert found["multiplies"] == 4 * 3 + 3
    assert found["lookups"] == 4


def test_overflow_reports_are_not_charged() -> None:
    def step(v: object, bias: object) -> object:
        wide = v + bias  # type: ignore[operator]
        kept = wrap(wide, 24)
        return kept, 0, (kept != wide) + (wide > 5) * 3

    model = replace(READOUT, step=step)
    # wide is charged because kept depends on it; the comparisons are not.
    assert {k: n for k, n in operations(model).items() if n} == {"adds": 3, "logic": 1}


def test_primitives() -> None:
    x, y, c = number(), number(), number() > 0
    assert counted(select(c, x, y)) == {"compares": 1, "selects": 1}
    assert counted(select(c, 0, y)) == {"compares": 1, "selects": 1}
    assert counted(select(c, x, 3)) == {"compares": 1, "selects": 1}
    assert counted(select(c, 7, 3)) == {"compares": 1, "selects": 1}
    assert counted(saturate(x, 24)) == {"compares": 2, "selects": 2}
    assert counted(wrap(x, 24)) == {"adds": 2, "logic": 1}
    assert counted(shift_toward_zero(x, 12)) == {
        "adds": 1, "shifts": 1, "compares": 1, "selects": 1,
    }  # fmt: skip
    assert counted(interpolate(CountedTable(), x, 7)) == {
        # index, its line, the rise and the value in it, fraction, product, rounding and its shift,
        # sum
        "adds": 2, "multiplies": 1, "shifts": 3, "logic": 2, "lookups": 1,
    }  # fmt: skip


def test_every_operator() -> None:
    x, p = number(), Counted()
    assert counted(x - 1, 1 - x, -x, 1 + x, x + p) == {"adds": 5}
    assert counted(x * p, 3 * x, x * x) == {"multiplies": 3}
    assert counted(x * 4, 8 * x, x << 2, 1 << x, x >> p, p >> x) == {"shifts": 6}
    assert counted(x & 1, 1 & x, x | 1, 1 | x, x ^ 1, 1 ^ x) == {"logic": 6}
    assert counted(x < 1, x <= 1, x > 1, x >= 1, x == 1, x != 1) == {"compares": 6}


def test_a_shared_value_is_counted_once_and_parameters_never() -> None:
    x, p = number(), Counted()
    product = x * (p << 3)
    assert counted(product + product, product - (p * p + 1)) == {"multiplies": 1, "adds": 2}


def test_what_is_not_a_selection_is_charged_in_full() -> None:
    x, y, z, c = number(), number(), number(), number() > 0
    assert counted(z + c * (x - y)) == {"compares": 1, "selects": 1, "adds": 2}
    assert counted(x * 1) == {}


def test_a_step_that_branches_is_refused() -> None:
    def step(a: object, bias: object) -> object:
        return (a if a > bias else bias), 0, 0  # type: ignore[operator]

    with pytest.raises(TypeError, match=r"branches on a number; use snn2hw\.arithmetic\.select"):
        operations(replace(READOUT, step=step))
