"""s2net: dilated spiking convolutions over time and frequency, and the normalised readout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_size
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.s2net import NormalizedReadout, SpikingConv1d, SpikingConv2d
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

    inputs: (channels, bands), such as (3, 40) for log-mel, delta and delta-delta, or (channels,),
    for kernels over time alone; widths: channels of each layer; kernel_size, dilations: (time,
    frequency), the latter of each layer; stride: of the first layer, over frequency, 1 where there
    are no bands; penalty: weight of the last layer's activity, the l-th of n has l / n of it.

    Raises ParameterError for an argument out of its range.
    """
    if len(inputs) > 2 or len(kernel_size) != 2 or any(len(each) != 2 for each in dilations):
        raise ParameterError(
            f"model s2net: inputs {inputs}, kernel_size {tuple(kernel_size)}, dilations"
            f" {dilations}: give (channels, bands) or (channels,), and pairs of time and frequency"
        )
    if not widths or len(widths) != len(dilations):
        raise ParameterError(
            f"model s2net: {len(widths)} widths and {len(dilations)} dilations, give one of each a"
            " layer"
        )
    check_size(stride, "stride", "model s2net")
    if stride != 1 and len(inputs) == 1:
        raise ParameterError(
            f"model s2net: stride is {stride} and inputs {inputs} have no frequencies to stride"
            " over, give 1, or inputs (channels, bands)"
        )
    channels = (inputs[0], *widths)
    modules: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(channels)):
        kind: dict[str, Any] = {
            "lateral": lateral,
            "recurrent": recurrent,
            "penalty_weight": penalty * (number + 1) / len(widths),
        }
        taps, spread = kernel_size, dilations[number]
        if len(inputs) == 1:
            modules.append(SpikingConv1d(before, after, taps[0], spread[0], **kind))
        else:
            step = 1 if number else stride
            modules.append(SpikingConv2d(before, after, taps, spread, step, **kind))
        modules += [SequenceDropout(dropout)] if dropout else []
    bands = -(-inputs[1] // stride) if len(inputs) == 2 else 1
    flat: list[nn.Module] = [Flatten()] if len(inputs) == 2 else []
    return nn.Sequential(*modules, *flat, NormalizedReadout(widths[-1] * bands, classes))
