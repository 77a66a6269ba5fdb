"""Ponghiran and Roy's networks: an encoder, layers of sparse multi-bit neurons, a readout."""

from __future__ import annotations

from math import prod

from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_size
from snn2hw.nn.dense import NormLinear
from snn2hw.nn.ponghiran_roy import SparseEncoder, SparseGated, SparseLeaky
from snn2hw.nn.readout import Readout
from snn2hw.nn.spatial import Flatten

VERSIONS = ("traditional", "v1", "v2")


def ponghiran_roy(
    inputs: tuple[int, ...],
    classes: int,
    *,
    version: str = "v2",
    width: int = 128,
    layers: int = 2,
    bits: int = 6,
    threshold: int = 3,
    encoder_threshold: int = 3,
    dropout: float = 0.2,
    momentum: float = 0.1,
    penalty_weight: float = 0.0,
) -> nn.Sequential:
    """Make the network of a version, untrained.

    Every layer is a Linear with batch normalisation and its neurons; the readout is ours, the mean
    over time of a Linear with bias, for their output is a label a frame, from a Linear without bias
    and batch normalisation.

    Args:
        inputs: shape of one step of the input; more than one axis is flattened.
        classes: number of scores.
        version: "traditional", "v1" (gates see the input) or "v2" (and what was sent before).
        width: neurons a layer.
        layers: layers of neurons behind the encoder.
        bits, threshold: of the values sent; see `SparseQuantizer`. The authors use one threshold.
        encoder_threshold: of the encoder, whose values every unit of the first layer hears.
        dropout: probability of dropping a neuron's input, once a sequence.
        momentum: of the quantisers' ranges, a step.
        penalty_weight: of the improved neurons' `penalty`, which makes them sparser; 0 for the
            traditional ones, which have none.

    Raises:
        ParameterError: an unknown version, an argument that a layer refuses, or a penalty_weight
            for traditional neurons.
    """
    if version not in VERSIONS:
        raise ParameterError(
            f"ponghiran_roy: version is {version!r}, give one of {', '.join(VERSIONS)}"
        )
    if version == "traditional" and penalty_weight != 0:
        raise ParameterError(
            f"ponghiran_roy: penalty_weight is {penalty_weight!r} and the traditional neurons have"
            " no penalty, give 0, or version v1 or v2"
        )
    check_size(layers, "layers", "ponghiran_roy")
    n = prod(inputs)
    made: list[nn.Module] = [Flatten()] if len(inputs) > 1 else []
    made.append(SparseEncoder(n, bits, encoder_threshold, momentum))
    for _ in range(layers):
        if version == "traditional":
            made.append(_linear(n, width))
            made.append(SparseLeaky(width, bits, threshold, momentum, dropout))
        else:
            made.append(_linear(n, 2 * width))
            made.append(
                SparseGated(
                    width, version == "v2", bits, threshold, momentum, dropout, penalty_weight
                )
            )
        n = width
    return nn.Sequential(*made, Readout(n, classes))


def _linear(n: int, rows: int) -> NormLinear:
    """A Linear with batch normalisation, with the initial weights of the authors."""
    made = NormLinear(n, rows)
    nn.init.kaiming_uniform_(made.linear.weight, nonlinearity="sigmoid")
    return made
