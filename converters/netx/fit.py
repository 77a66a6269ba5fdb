"""fit_netx: the nearest network whose numbers a ``.net`` file holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork, Layer, Synapse
from snn2hw.linear import Convolution, with_weight
from snn2hw.neurons.base import IntArray

ALIGN = 6
"""netx takes biases in steps of 2**6."""

WEIGHT_MAX = 254
BIAS_MAX = 4095

Scale = npt.NDArray[np.float64]


def fit_netx(net: FixedPointNetwork) -> FixedPointNetwork:
    """A network for ``to_netx``: whole weights of 9 bits, one threshold a layer, biases by 64.

    ``quantize`` gives each neuron a unit of its own and uses the exponent of Loihi's synapses (up
    to 8) for fine thresholds. netx stores the whole weight and one threshold for a layer, so each
    neuron gets a coarser unit: its weights (to even numbers), threshold and bias are divided by one
    factor and rounded. The notes say by how much they change. The result is a network of its own:
    run it to see what the rounding costs. A layer that fits already stays as it is.

    Raises TargetError, with the layer's name, where that cannot be.
    """
    layers: list[Layer] = []
    groups: dict[str, Synapse] = {}
    notes: list[str] = []
    for layer in net.layers:
        into = net.into(layer.name)
        if _fits(layer, into):
            layers.append(layer)
            groups |= {s.name: s for s in into}
            continue
        factor = _factor(layer, into)
        fitted, said = _layer(layer, factor)
        layers.append(fitted)
        for s in into:
            groups[s.name], error = _group(s, factor)
            said.append(f"weights of {s.name} off by up to {error:.2g} of 254")
        notes.append(f"fit_netx: {layer.name}: {', '.join(said)}")
    return replace(
        net,
        layers=tuple(layers),
        synapses=tuple(groups[s.name] for s in net.synapses),
        notes=(*net.notes, *notes),
    )


def bias_of(layer: Layer) -> IntArray:
    """What is added to v every step, (n,); zero for a layer without a bias."""
    if "bias_mantissa" in layer.params:
        return layer.params["bias_mantissa"] << layer.params["bias_exponent"]
    return layer.params.get("bias", np.zeros(layer.n, dtype=np.int32))


def _fits(layer: Layer, into: Sequence[Synapse]) -> bool:
    thresholds = np.unique(layer.params.get("threshold", 0))
    whole = not np.any(bias_of(layer) % (1 << ALIGN))
    return whole and thresholds.size == 1 and all(s.exponent == 1 for s in into)


def _factor(layer: Layer, into: Sequence[Synapse]) -> Scale:
    """What each neuron's numbers are divided by, (n,).

    A power of two where all have one threshold, so that the largest weights stay; else what makes
    the thresholds equal.
    """
    top = max((s.exponent for s in into if np.any(s.mantissa)), default=1)
    thresholds = layer.params.get("threshold", np.ones(1, dtype=np.int32))
    if np.all(thresholds == thresholds[0]):
        return np.full(layer.n, 2.0 ** (top - 1))
    if np.any(thresholds == 0):
        raise TargetError(
            f"layer {layer.name!r}: some thresholds are zero and some are not, and netx holds one "
            "threshold a layer; make them equal"
        )
    largest = np.full(layer.n, 1e-9)
    for s in into:
        rows = np.abs(s.mantissa.astype(np.int64)).reshape(len(s.mantissa), -1).max(axis=1)
        each = np.repeat(rows, layer.n // len(rows))
        largest = np.maximum(largest, each * 2.0**s.exponent)
    common = min(np.floor((WEIGHT_MAX * thresholds / largest).min()), _highest(layer))
    return np.asarray(thresholds / max(common, 1.0), dtype=np.float64)


def _highest(layer: Layer) -> int:
    return next(p.high for p in layer.model.params if p.name == "threshold")


def _group(synapse: Synapse, factor: Scale) -> tuple[Synapse, float]:
    """The group with even weights, and the largest error made."""
    mantissa = synapse.mantissa
    rows = factor.reshape(len(mantissa), -1)
    if isinstance(synapse.map, Convolution) and np.any(rows != rows[:, :1]):
        raise TargetError(
            f"layer {synapse.target!r}: thresholds differ within a channel, whose weights are "
            "shared; make them equal"
        )
    each = rows[:, 0].reshape(-1, *(1,) * (mantissa.ndim - 1))
    exact = mantissa * 2.0**synapse.exponent / each
    half = np.clip(np.rint(exact / 2), -WEIGHT_MAX // 2, WEIGHT_MAX // 2)
    error = float(np.abs(2 * half - exact).max(initial=0.0))
    fitted = with_weight(synapse.map, half.astype(np.int8))
    return replace(synapse, map=fitted, exponent=1), error


def _layer(layer: Layer, factor: Scale) -> tuple[Layer, list[str]]:
    """The layer in units that are ``factor`` times as coarse, and what was rounded."""
    params = dict(layer.params)
    said = [f"units {factor.min():.4g}..{factor.max():.4g} times as coarse"]
    bias = np.rint(bias_of(layer) / factor / (1 << ALIGN)).astype(np.int64)
    if np.any(np.abs(bias) > BIAS_MAX):
        raise TargetError(
            f"layer {layer.name!r}: a bias of {np.abs(bias).max()} steps of 64 does not fit the 13 "
            "bits of netx; the layer's weights are too small beside it"
        )
    if "bias_mantissa" in params:
        params["bias_mantissa"] = bias.astype(np.int32)
        params["bias_exponent"] = np.full(layer.n, ALIGN, dtype=np.int32)
    elif "bias" in params:
        params["bias"] = (bias << ALIGN).astype(np.int32)
    moved = float(np.abs((bias << ALIGN) - bias_of(layer) / factor).max(initial=0.0))
    said.append(f"biases off by up to {moved:.2g}")
    if "threshold" in params:
        exact = params["threshold"] / factor
        threshold = np.rint(exact)
        if threshold.max() > _highest(layer):
            raise TargetError(
                f"layer {layer.name!r}: the threshold {int(threshold.max())} does not fit "
                f"{_highest(layer)}; the layer's weights are too small beside it"
            )
        params["threshold"] = threshold.astype(np.int32)
        error = float(np.abs(threshold - exact).max())
        said.append(f"threshold {int(threshold[0])}, off by up to {error:.2g}")
    scale = float(factor[0]) if np.all(factor == factor[0]) else factor
    units = {name: unit if name == "s" else unit * scale for name, unit in layer.units.items()}
    return replace(layer, params=params, units=units), said
