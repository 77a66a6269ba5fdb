"""The integer arithmetic of one unit of an int8 GRU, LSTM or ReLU layer, in one step.

As with the neurons (``snn2hw.energy.counting``), the operations are counted from the step itself,
so the figures in a bill are those of a step that runs. Scheme: weights and activations 8 bits,
accumulators 32 bits, per-row scales (Jacob et al. 2018, arXiv 1712.05877), gates from tables of 256
bytes, LSTM's c in 16 bits. Fixed points: gates and h in units of 1/128, arguments of the tables in
1/16, c in 1/2048. Equations: torch.nn.GRU and torch.nn.LSTM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.arithmetic import saturate, select, shift_rounded
from snn2hw.energy.counting import Counted, CountedTable, count

SCALE_SHIFT = 24
"""Accumulators are multiplied by their row's scale and shifted by this."""

TABLE_BYTES = 256
ARGUMENT_UNIT = 1 / 16
GATE_UNIT = 1 / 128
CELL_UNIT = 1 / 2048

Int8 = npt.NDArray[np.int8]


def table_of(function: Callable[[Any], Any]) -> Int8:
    """256 entries of a gate function over [-8, 8), in units of 1/128, limited to 127."""
    values = function(np.arange(-128, 128) * ARGUMENT_UNIT) / GATE_UNIT
    limited: Int8 = np.clip(np.rint(values), -127, 127).astype(np.int8)
    return limited


def scaled(sum_: Any, bias: Any, scale: Any) -> Any:
    """An accumulator (int32) as an int8 in the unit of what reads it."""
    return saturate(shift_rounded((sum_ + bias) * scale, SCALE_SHIFT), 8)


def gru_step(
    h: Any,
    sum_r: Any,
    sum_z: Any,
    sum_nx: Any,
    sum_nh: Any,
    biases: Any,
    scales: Any,
    sigmoid: Any,
    tanh: Any,
) -> tuple[Any, ...]:
    """``r, z = sigmoid(.); n = tanh(n_x + r n_h); h = (1 - z) n + z h``. biases, scales: four."""
    r = sigmoid[scaled(sum_r, biases[0], scales[0]) + 128]
    z = sigmoid[scaled(sum_z, biases[1], scales[1]) + 128]
    n_x = scaled(sum_nx, biases[2], scales[2])
    n_h = scaled(sum_nh, biases[3], scales[3])
    n = tanh[saturate(n_x + shift_rounded(r * n_h, 7), 8) + 128]
    return (saturate(shift_rounded((128 - z) * n + z * h, 7), 8),)


def lstm_step(
    c: Any,
    sum_i: Any,
    sum_f: Any,
    sum_g: Any,
    sum_o: Any,
    biases: Any,
    scales: Any,
    sigmoid: Any,
    tanh: Any,
) -> tuple[Any, ...]:
    """``c = f c + i g; h = o tanh(c)``; returns c (16 bits) and h. biases, scales: four."""
    i = sigmoid[scaled(sum_i, biases[0], scales[0]) + 128]
    f = sigmoid[scaled(sum_f, biases[1], scales[1]) + 128]
    g = tanh[scaled(sum_g, biases[2], scales[2]) + 128]
    o = sigmoid[scaled(sum_o, biases[3], scales[3]) + 128]
    c = saturate(shift_rounded(f * c, 7) + shift_rounded(i * g, 3), 16)
    return c, shift_rounded(o * tanh[saturate(shift_rounded(c, 7), 8) + 128], 7)


def relu_step(sum_: Any, biases: Any, scales: Any) -> tuple[Any, ...]:
    """``max(0, W x + b)`` as an int8."""
    y = shift_rounded((sum_ + biases[0]) * scales[0], SCALE_SHIFT)
    y = select(y > 127, 127, y)
    return (select(y < 0, 0, y),)


def linear_step(sum_: Any, biases: Any) -> tuple[Any, ...]:
    """``W x + b`` as an int32 for the host, who averages it over the steps."""
    return (sum_ + biases[0],)


@dataclass(frozen=True)
class Cell:
    """What stands between the weights of a layer and its activations.

    rows: rows of weights a unit; sums: accumulators a unit (GRU keeps the two parts of n apart);
    states: 32-bit words a unit that persist; parameters: words a unit; tables: of 256 bytes each;
    rereads: whether the step reads the unit's own last activation.
    """

    name: str
    rows: int
    sums: int
    states: int
    parameters: int
    tables: int
    rereads: bool
    step: Callable[..., tuple[Any, ...]]

    @cached_property
    def operations(self) -> dict[str, int]:
        """Operations of one step of one unit: kind (see ``counting.KINDS``) -> how many."""
        own = self.states + self.rereads
        given = [Counted(varies=True) for _ in range(own + self.sums)]
        scales = self.parameters - self.sums
        fixed = [[Counted() for _ in range(n)] for n in (self.sums, scales) if n]
        tables = [CountedTable() for _ in range(self.tables)]
        return count(self.step(*given, *fixed, *tables))


GRU = Cell("gru", 3, 4, 0, 8, 2, True, gru_step)
LSTM = Cell("lstm", 4, 4, 1, 8, 2, False, lstm_step)
RELU = Cell("relu", 1, 1, 0, 2, 0, False, relu_step)
LINEAR = Cell("linear", 1, 1, 0, 1, 0, False, linear_step)
