"""s2net's layers as NIR's own nodes: delayed spatial kernels, a LIF that never resets, and a
lateral map from its spikes.

A kernel over time is a sum of spatial kernels, each behind a delay. With the step of a layer
(``snn2hw.nn.s2net``) divided by 1 - beta::

    V_t = beta V_{t-1} + (1 - beta) (sum_k W_k x_{t - d_k} + L S_{t-1})
    L = U^T - beta / (1 - beta) D        (b n on the diagonal instead of D, if not lateral)

which is NIR's LIF with tau = dt / (1 - beta) and r = 1, whose reset subtracts v_threshold -
v_reset = 0. The spike S_t = 1 where V_t > b (n + 1e-8) is NIR's strict one.

NIR has no delay below zero, so a kernel that looks ahead is written as late as its last tap, and
the LIF's metadata say by how much (``snn2hw.passes.lookahead``): our lowering then handles
the layer's step t when that tap has arrived, and another reader's layer is late by that much.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snn2hw import nn
from snn2hw.converters.pytorch.part import Array, Part, Place, Shape
from snn2hw.errors import GraphError
from snn2hw.nn.s2net import EPSILON
from snn2hw.passes.lookahead import LOOKAHEAD


def spiking(module: Any, place: Place) -> Part:
    """A spiking layer of s2net.

    Raises GraphError where it does not fit its neighbour, or beta is 1 and nothing ever arrives.
    """
    place.expect_axes(("channels", *module.axes))
    place.expect((module.in_channels, *place.shape[1:]))
    beta = float(module.beta.detach())
    if not 0 <= beta < 1:
        raise GraphError(
            f"module {place.name!r} has beta = {beta:g}, with which nothing enters the neuron; "
            "train it to a beta of at least 0 and below 1"
        )
    spaces = zip(place.shape[1:], module.stride, strict=True)
    shape = (module.out_channels, *(-(-size // stride) for size, stride in spaces))
    weight = module.weight.detach().cpu().double().numpy()
    n = np.square(weight.reshape(len(weight), -1)).sum(1)
    b = module.b.detach().cpu().double().numpy()
    steps, dilation = module.kernel_size[0], module.dilation[0]
    tau = place.dt / (1 - beta)

    def full(values: Any) -> Array:
        wide = np.reshape(values, (-1, *(1,) * len(module.axes)))
        return np.broadcast_to(wide, shape).astype(np.float64)

    threshold = full(b * (n + EPSILON))
    neuron = nir.LIF(
        tau=full(tau),
        r=full(1.0),
        v_leak=full(0.0),
        v_reset=threshold.copy(),
        v_threshold=threshold,
        metadata={
            "reset": "subtract",
            "method": "euler",
            LOOKAHEAD: ((steps - 1) * dilation - module.padding[0]) * place.dt,
        },
    )
    taps = []
    for k in range(steps):
        kernel = _spatial(module, weight[:, :, k], place.shape, shape)
        late = (steps - 1 - k) * dilation * place.dt
        delay = nir.Delay(np.full(place.shape, late))
        taps.append((delay, kernel) if late else (kernel,))
    return Part(neuron, shape, feedback=_lateral(module, weight, beta, shape), taps=tuple(taps))


def _spatial(module: Any, weight: Array, taken: Shape, given: Shape) -> Any:
    """One tap of a kernel over time, (out, in, *spatial taps), cropped as the layer is."""
    if not module.axes:
        return nir.Linear(weight)
    rank = len(module.axes)
    stride, dilation = list(module.stride), list(module.dilation[1:])
    padding = list(module.padding[1:])
    for axis in range(rank):
        if (weight.shape[2 + axis] - 1) * dilation[axis] % 2:
            # The layer crops one place at the end; a last tap of zero does the same.
            spread = (weight.shape[2 + axis] - 1) * dilation[axis] + 2
            wide = np.zeros((*weight.shape[: 2 + axis], spread, *weight.shape[3 + axis :]))
            at = (slice(None),) * (2 + axis) + (slice(0, spread - 1, dilation[axis]),)
            wide[at] = weight
            weight, dilation[axis] = wide, 1
    return _convolution(weight, taken, given, stride, padding, dilation)


def _lateral(module: Any, weight: Array, beta: float, shape: Shape) -> Any:
    """What spikes of the step before add to the drive of their place's channels, or None."""
    rows = weight.reshape(len(weight), -1)
    products = rows @ rows.T
    if not module.lateral:
        b = module.b.detach().cpu().double().numpy()
        products = np.diag(b * products.diagonal())
    back = products * (-beta / (1 - beta))
    if module.recurrence is not None:
        back = back + module.recurrence.detach().cpu().double().numpy().T
    elif not module.lateral:
        diagonal = back.diagonal().reshape(-1, *(1,) * len(module.axes))
        return nir.Scale(np.broadcast_to(diagonal, shape).copy())
    if not module.axes:
        return nir.Linear(back)
    rank = len(module.axes)
    kernel = back.reshape(*back.shape, *(1,) * rank)
    return _convolution(kernel, shape, shape, [1] * rank, [0] * rank, [1] * rank)


def _convolution(
    weight: Array, taken: Shape, given: Shape, stride: Any, padding: Any, dilation: Any
) -> Any:
    one = len(stride) == 1
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    node = (nir.Conv1d if one else nir.Conv2d)(
        input_shape=taken[1] if one else taken[1:],
        weight=np.ascontiguousarray(weight),
        groups=1,
        bias=np.zeros(len(weight)),
        **{name: value[0] if one else tuple(value) for name, value in options.items()},
    )
    node.input_type = {"input": np.array(taken)}
    node.output_type = {"output": np.array(given)}
    return node


def readout(module: nn.NormalizedReadout, place: Place) -> Part:
    """The mean readout: its division and its threshold are a matrix and a bias."""
    place.expect((module.in_features,))
    weight = module.weight.detach().cpu().double().numpy()
    weight = weight / (np.square(weight).sum(1, keepdims=True) + EPSILON)
    bias = -module.b.detach().cpu().double().numpy()
    return Part(nir.Affine(weight, bias), (module.out_features,), decode="mean")
