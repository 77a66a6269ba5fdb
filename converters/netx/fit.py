"""fit_netx: the nearest network whose numbers a ``.net`` file holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snn2hw.errors import TargetError
from snn2hw.graph import FixedPointNetwork, Layer, Synapse
from snn2hw.linear import with_weight
from snn2hw.neurons.base import IntArray

ALIGN = 6
"""netx takes biases in steps of 2**6."""


def fit_netx(net: FixedPointNetwork) -> FixedPointNetwork:
    """A network for ``to_netx``: weights without an exponent of their own, biases in steps of 64.

    ``quantize`` uses the exponent of Loihi's synapses (up to 8) for fine thresholds; netx stores
    the whole weight in 9 bits. So the unit of each layer becomes coarser by a power of two: its
    largest mantissas stay, thresholds and biases are rounded, as are the weights of synapse groups
    with a smaller exponent than the layer's largest. The notes say by how much. The result is a
    network of its own: run it to see what the rounding costs.

    Raises TargetError where a threshold or bias does not fit the new unit.
    """
    layers: list[Layer] = []
    synapses: list[Synapse] = []
    notes: list[str] = []
    for layer in net.layers:
        groups = net.into(layer.name)
        top = max((s.exponent for s in groups if np.any(s.mantissa)), default=1)
        if all(s.exponent == 1 for s in groups) and _whole(layer):
            layers.append(layer)
            synapses += groups
            continue
        fitted, note = _layer(layer, top - 1)
        layers.append(fitted)
        synapses += [_group(s, top) for s in groups]
        notes.append(f"fit_netx: {layer.name}: {note}")
    order = {s.name: k for k, s in enumerate(net.synapses)}
    synapses.sort(key=lambda s: order[s.name])
    return replace(net, layers=tuple(layers), synapses=tuple(synapses), notes=(*net.notes, *notes))


def bias_of(layer: Layer) -> IntArray:
    """What is added to v every step, (n,); zero for a layer without a bias."""
    if "bias_mantissa" in layer.params:
        return layer.params["bias_mantissa"] << layer.params["bias_exponent"]
    return layer.params.get("bias", np.zeros(layer.n, dtype=np.int32))


def _whole(layer: Layer) -> bool:
    return not np.any(bias_of(layer) % (1 << ALIGN))


def _group(synapse: Synapse, top: int) -> Synapse:
    mantissa = np.rint(synapse.mantissa * 2.0 ** (synapse.exponent - top))
    # A group of zeros may have a larger exponent; it stays zero.
    return replace(synapse, map=with_weight(synapse.map, mantissa.astype(np.int8)), exponent=1)


def _layer(layer: Layer, shift: int) -> tuple[Layer, str]:
    """The layer in a unit 2**shift coarser."""
    params = dict(layer.params)
    said = [f"unit {2.0**shift:g} times as coarse"]
    bias = np.rint(bias_of(layer) * 2.0 ** -(shift + ALIGN)).astype(np.int64)
    if np.any(np.abs(bias) > 4095):
        raise TargetError(
            f"layer {layer.name!r}: a bias of {np.abs(bias).max()} steps of 64 does not fit the 13 "
            "bits of netx; the layer's weights are too small beside it"
        )
    if "bias_mantissa" in params:
        params["bias_mantissa"] = bias.astype(np.int32)
        params["bias_exponent"] = np.full(layer.n, ALIGN, dtype=np.int32)
    elif "bias" in params:
        params["bias"] = (bias << ALIGN).astype(np.int32)
    moved = np.abs((bias << ALIGN) * 2.0**shift - bias_of(layer)).max(initial=0)
    if moved:
        said.append(f"largest change of a bias {moved:g}")
    if "threshold" in params:
        exact = params["threshold"] * 2.0**-shift
        threshold = np.rint(exact)
        highest = next(p.high for p in layer.model.params if p.name == "threshold")
        if threshold.max() > highest:
            raise TargetError(
                f"layer {layer.name!r}: the threshold {int(threshold.max())} does not fit "
                f"{highest}; the layer's weights are too small beside it"
            )
        params["threshold"] = threshold.astype(np.int32)
        error = np.abs(threshold - exact).max() / max(float(exact.max()), 1.0)
        if error:
            said.append(f"thresholds off by up to {error:.2%}")
    if "message_shift" in params:
        params["message_shift"] = np.maximum(params["message_shift"] - shift, 0)
    # Spikes and the messages to other layers keep their unit.
    units = {name: unit if name == "s" else unit * 2.0**shift for name, unit in layer.units.items()}
    if "message_shift" in params and "m" in units:
        units["m"] = units["y"] * 2.0 ** int(params["message_shift"].max())
    return replace(layer, params=params, units=units), ", ".join(said)
