"""Multiplications as Ponghiran and Roy count them (AAAI 2022, arXiv 2109.01905).

Per frame, summed over layers, from the authors' published code (wponghiran/imp-snns-for-sl at
9125ccd): a product is counted where the activation is not zero, and the multiplications inside the
cell are a constant a unit. H is the width, O the number of outputs, nnz the non-zero activations,
x the data, y what a layer sends::

    GRU          3 H nnz(x) + sum [3 H^2 + 12 H + (3 H, or O in the last layer) nnz(y)]
    LSTM         4 H nnz(x) + sum [4 H^2 + 12 H + (4 H, or O) nnz(y)]
    traditional    H nnz(x) + sum [6 H + (H, or O) nnz(y)]
    version 1    2 H nnz(x) + sum [8 H + (2 H, or O) nnz(y)]
    version 2    2 H nnz(x) + sum [8 H + 2 H nnz(y of the step before) + (2 H, or O) nnz(y)]

That is the clean count. Their code has for both versions a term 2 H nnz(input of the layer) in the
place of the recurrent one: version 1 has no such product, and version 2 multiplies what it sent
itself. With ``as_published`` that is counted, which their figures rest on. A product with a
binary spike counts as one too, although an accumulate would do. Layers are of one width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.errors import ParameterError

_GATES = {"gru": 3, "lstm": 4, "traditional": 1, "gated_v1": 2, "gated": 2}
_CELL = {"gru": 12, "lstm": 12, "traditional": 6, "gated_v1": 8, "gated": 8}
KINDS = tuple(_GATES)


def multiplications(
    kind: str,
    nnz_in: float,
    hidden: int,
    outputs: int,
    nnz: Sequence[float] | npt.NDArray[Any],
    *,
    as_published: bool = False,
) -> float:
    """Multiplications of one step.

    kind: "gru", "lstm", "traditional", or their improved SNN: "gated_v1" (version 1), "gated"
    (version 2); nnz_in: non-zero data a step (behind the encoder, where there is one); hidden:
    width; nnz: non-zero activations a step of each layer; as_published: as their code counts the
    improved SNN. Raises ParameterError for an unknown kind or no layers.
    """
    if kind not in _GATES:
        raise ParameterError(f"network {kind!r} is unknown; use one of {', '.join(KINDS)}")
    # Plain numbers: an array's own may be of few bits.
    sent: list[float] = np.ravel(nnz).tolist()
    if not sent:
        raise ParameterError("no layers; give the non-zero activations of at least one")
    gates = _GATES[kind]
    total = gates * hidden * nnz_in
    heard = [nnz_in, *sent]
    for number, active in enumerate(sent, start=1):
        total += _CELL[kind] * hidden
        total += (gates * hidden if number < len(sent) else outputs) * active
        if kind in ("gru", "lstm"):
            total += gates * hidden**2
        elif kind.startswith("gated") and as_published:
            total += gates * hidden * heard[number - 1]
        elif kind == "gated":
            total += gates * hidden * active
    return total


def published_ratio(
    kind: str,
    nnz_in: float,
    inputs: int,
    hidden: int,
    outputs: int,
    nnz: Sequence[float] | npt.NDArray[Any],
) -> float:
    """How many times fewer multiplications a spiking network needs than a GRU of its size on dense
    data, by the authors' code.

    inputs: data a step, all non-zero for the GRU; the others as of ``multiplications``, which
    raises the same.
    """
    gru = multiplications("gru", inputs, hidden, outputs, [hidden] * len(nnz))
    return gru / multiplications(kind, nnz_in, hidden, outputs, nnz, as_published=True)
