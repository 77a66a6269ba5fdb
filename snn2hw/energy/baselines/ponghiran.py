"""Multiplications as Ponghiran and Roy count them (AAAI 2022, arXiv 2109.01905).

Per frame, summed over layers, from the authors' published code (wponghiran/imp-snns-for-sl at
9125ccd): a product is counted where the activation is not zero, and the multiplications inside the
cell are a constant a unit. H is the width, O the number of outputs, nnz the non-zero activations::

    GRU          3 H nnz(x) + sum [3 H^2 + 12 H + (3 H, or O in the last layer) nnz(y)]
    LSTM         4 H nnz(x) + sum [4 H^2 + 12 H + (4 H, or O) nnz(y)]
    traditional    H nnz(x) + sum [6 H + (H, or O) nnz(y)]
    gated        2 H nnz(x) + sum [8 H + 2 H nnz(y of the step before) + (2 H, or O) nnz(y)]

The code takes the layer's input for the "step before" of the gated network, which has no such
product in version 1 and another one in version 2; here it is what version 2 computes. A product
with a binary spike counts as one too, although an accumulate would do. Layers are of one width.
"""

from __future__ import annotations

from collections.abc import Sequence

from snn2hw.errors import ParameterError

_GATES = {"gru": 3, "lstm": 4, "traditional": 1, "gated": 2}
_CELL = {"gru": 12, "lstm": 12, "traditional": 6, "gated": 8}
KINDS = tuple(_GATES)


def multiplications(
    kind: str, nnz_in: float, hidden: int, outputs: int, nnz: Sequence[float]
) -> float:
    """Multiplications of one step.

    kind: "gru", "lstm", "traditional" or "gated" (their improved SNN, version 2); nnz_in: non-zero
    data a step; hidden: width; nnz: non-zero activations a step of each layer. Raises
    ParameterError for an unknown kind or no layers.
    """
    if kind not in _GATES:
        raise ParameterError(f"network {kind!r} is unknown; use one of {', '.join(KINDS)}")
    if not nnz:
        raise ParameterError("no layers; give the non-zero activations of at least one")
    gates = _GATES[kind]
    total = gates * hidden * nnz_in
    for number, active in enumerate(nnz, start=1):
        total += _CELL[kind] * hidden
        total += (gates * hidden if number < len(nnz) else outputs) * active
        if kind in ("gru", "lstm"):
            total += gates * hidden**2
        elif kind == "gated":
            total += gates * hidden * active
    return total
