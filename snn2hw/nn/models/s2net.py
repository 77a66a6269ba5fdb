"""s2net: dilated spiking convolutions over time and frequency, and the normalised readout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.s2net import NormalizedReadout, SpikingConv2d
from snn2hw.nn.spatial import Flatten


def s2net(
    inputs: tuple[int, ...],
    classes: int,
    *,
    widths: Sequence[int] = (64, 64, 64),
    kernel_size: Sequence[int] = (4, 3),
    dilations: Sequence[Sequence[int]] = ((1, 1), (4, 3), (16, 9)),
    stride: int = 1,
    lateral: bool = True,
    recurrent: bool = False,
    penalty: float = 0.1,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Make the authors' network; the defaults are theirs, for frames of 10 ms.

    inputs: (channels, bands), such as (3, 40) for log-mel, delta and delta-delta; widths: channels
    of each layer; dilations: (time, frequency) of each; stride: of the first layer, over
    frequency; penalty: weight of the last layer's activity, the l-th of n has l / n of it.
    """
    if len(inputs) != 2:
        raise ParameterError(f"model s2net: inputs are {inputs}, give (channels, bands)")
    if not widths or len(widths) != len(dilations):
        raise ParameterError(
            f"model s2net: {len(widths)} widths and {len(dilations)} dilations, give one of each a"
            " layer"
        )
    channels = (inputs[0], *widths)
    modules: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(channels)):
        modules.append(
            SpikingConv2d(
                before,
                after,
                kernel_size,
                dilations[number],
                1 if number else stride,
                lateral=lateral,
                recurrent=recurrent,
                penalty_weight=penalty * (number + 1) / len(widths),
            )
        )
        modules += [SequenceDropout(dropout)] if dropout else []
    bands = -(-inputs[1] // stride)
    return nn.Sequential(*modules, Flatten(), NormalizedReadout(widths[-1] * bands, classes))
