"""One PyTorch layer as one NIR node, with the shapes of a time step that it takes and gives.

What NIR's node cannot hold is refused: padding with anything but zeros, an average over another
number than the window's, a pool that rounds its size up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch

from snn2hw import nn
from snn2hw.converters import nodes as extension
from snn2hw.converters.pytorch import s2net
from snn2hw.converters.pytorch.part import Array, Part, Place, Shape
from snn2hw.errors import GraphError, ParameterError

SATURATED = 40.0
"""sigmoid(40) is 1 to the last bit of a double: the bias of a gate that stands open."""


def export(module: torch.nn.Module, place: Place) -> Part:
    """The NIR node of a layer.

    Raises GraphError for a module that has no equivalent or does not fit its neighbour, and
    ParameterError for weights that are not finite.
    """
    for key, value in module.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise ParameterError(
                f"{key} of module {place.name!r} holds NaN or infinity; train to finite weights"
            )
    exporter = EXPORTERS.get(type(module))
    if exporter is not None:
        return exporter(module, place)
    kind = type(module).__name__
    if type(module) in WITHOUT_TIME:
        raise GraphError(
            f"module {place.name!r} is torch.nn.{kind}, which knows no time; use snn2hw.nn.{kind}, "
            "which has the same arguments and weights"
        )
    advice = ADVICE.get(kind, "use torch.nn.Linear and the layers of snn2hw.nn")
    raise GraphError(f"module {place.name!r} is a {kind}, which has no NIR node here; {advice}")


def flatten(place: Place, start_dim: int, end_dim: int) -> Part:
    """NIR's Flatten, from the dimensions of a tensor (batch, time, ...)."""
    rank = 2 + len(place.shape)
    first, last = (d + rank if d < 0 else d for d in (start_dim, end_dim))
    if first < 2 or not first <= last < rank:
        raise GraphError(
            f"{place.name!r} flattens dimensions {start_dim} to {end_dim} of (batch, time, "
            f"{', '.join(map(str, place.shape))}), and batch and time must stay; use "
            "snn2hw.nn.Flatten()"
        )
    shape = place.shape
    given = (*shape[: first - 2], math.prod(shape[first - 2 : last - 1]), *shape[last - 1 :])
    end = -1 if last == rank - 1 else last - 2
    node = nir.Flatten({"input": np.array(shape)}, start_dim=first - 2, end_dim=end)
    return _typed(node, shape, given)


def _linear(module: Any, place: Place) -> Part:
    if isinstance(module, nn.Readout):
        part = _linear(module.linear, place)
        return Part(part.node, part.shape, decode=module.mode)
    if isinstance(module, nn.LeakyReadout):
        part = _linear(module.linear, place)
        leak = _integrators(module.leak, place.dt)
        return Part(part.node, part.shape, leak=leak, decode=module.mode)
    place.expect((module.in_features,))
    folded = isinstance(module, nn.NormLinear)
    weight, bias = map(_numpy, module.folded()) if folded else _weights(module)
    node = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
    return Part(node, (weight.shape[0],))


def _neuron(module: Any, place: Place) -> Part:
    """LIF and CubaLIF, potentials relative to v_init.

    NIR does not say where v starts, and its readers (ours too) start at 0, so v - v_init is
    written, which starts there; for v_init = 0, the default, that is v itself.
    """
    place.expect(module.shape)

    start = _full(module, "v_init")
    taus = {name: _full(module, name) * place.dt for name in module.time_constants}
    others = {name: _full(module, name) for name in ("r", "w_in") if name in module.constants}
    node = (nir.CubaLIF if isinstance(module, nn.CubaLIF) else nir.LIF)(
        **taus,
        **others,
        v_leak=_full(module, "v_leak") - start,
        v_reset=_full(module, "v_reset") - start,
        # Layers fire at v >= v_threshold, NIR's neurons at v > v_threshold.
        v_threshold=np.nextafter(_full(module, "v_threshold") - start, -np.inf),
        metadata={"reset": "subtract"} if module.reset == "subtract" else {},
    )
    return Part(node, module.shape)


def _plif(module: Any, place: Place) -> Part:
    """NIR's LIF with tau = dt / sigmoid(w), of which an Euler step is that of the layer."""
    place.expect(module.shape)
    kept = torch.sigmoid(module.w.detach().double()).cpu().numpy()
    lost = np.full(module.shape, kept)
    node = nir.LIF(
        tau=_nearest(place.dt / lost, lost, lambda tau: place.dt / tau),
        r=np.ones(module.shape),
        v_leak=np.zeros(module.shape),
        v_reset=np.zeros(module.shape),
        v_threshold=np.nextafter(_full(module, "v_threshold"), -np.inf),
    )
    return Part(node, module.shape)


def _glif(module: Any, place: Place) -> Part:
    place.expect(module.shape)
    values = {name: _numpy(value) for name, value in module.values(torch.float64).items()}
    return Part(extension.GLIF(**values, dt=place.dt), module.shape)


def _alif(module: Any, place: Place) -> Part:
    place.expect(module.shape)
    values = {name: _full(module, name) for name in module.constants}
    node = extension.ALIF(**values, adaptive_reset=module.adaptive_reset, dt=place.dt)
    return Part(node, module.shape)


def _leaky(module: Any, place: Place) -> Part:
    place.expect(module.shape)
    return Part(_integrators(module, place.dt), module.shape)


def _integrators(module: nn.LI, dt: float) -> nir.LI:
    """y <- kappa y + input_gain x as the Euler step of NIR's LI. The node says that it is one, for
    the exact solution of the same equation keeps exp(kappa - 1) of y."""
    lost, gain = 1.0 - _full(module, "kappa"), _full(module, "input_gain")
    tau = _nearest(dt / lost, lost, lambda tau: dt / tau)
    return nir.LI(
        tau=tau,
        r=_nearest(gain / lost, gain, lambda r: dt / tau * r),
        v_leak=np.zeros(module.shape),
        metadata={"method": "euler"},
    )


def _nearest(guess: Array, wanted: Array, of: Callable[[Array], Array]) -> Array:
    """Of a guess and the numbers next to it, that of which ``of`` makes what is nearest."""
    near = [guess, np.nextafter(guess, np.inf), np.nextafter(guess, -np.inf)]
    off = np.abs([of(value) - wanted for value in near])
    return np.asarray(np.choose(off.argmin(axis=0), near))


def _recurrent(module: Any, place: Place) -> Part:
    part = export(module.neuron, place)
    weight, bias = _weights(module.linear)
    return Part(
        part.node, part.shape, nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
    )


def _gpn(module: Any, place: Place) -> Part:
    place.expect((module.n_neurons,))
    weight, bias = _four_gates(module)
    return Part(extension.GPN(weight, bias, place.dt), place.shape)


def _sparse(module: nn.SparseEncoder | nn.SparseLeaky, place: Place) -> Part:
    place.expect((module.n_neurons,))
    tau = _numpy(module.tau) if isinstance(module, nn.SparseLeaky) else np.zeros(module.n_neurons)
    return Part(extension.SparseLeaky(tau, **_sending(module, place)), place.shape)


def _sparse_gated(module: nn.SparseGated, place: Place) -> Part:
    n = module.n_neurons
    place.expect((2 * n,))
    weight = np.zeros((2 * n, n)) if module.linear is None else _numpy(module.linear.weight)
    return Part(extension.SparseGated(weight, **_sending(module, place)), (n,))


def _sending(module: Any, place: Place) -> dict[str, Any]:
    quantizer = module.quantizer
    scale = quantizer.scale()[1]
    own = {"threshold": quantizer.threshold, "bits": quantizer.bits}
    return {"scale": scale, **own, "dt": place.dt}


def _four_gates(module: nn.GPN) -> tuple[Array, Array]:
    """All four gates, those that an ablation removed as constants or mirror images.

    Without F and I both are sigmoid(0) = 1/2; without one of them it is
    1 - sigmoid(a) = sigmoid(-a) of the other; without T the threshold is sigmoid(40) = 1; without
    B the bypass is tanh(0) = 0.
    """
    n, kept = module.n_neurons, module.gate_names
    weight = np.zeros((4 * n, 2 * n), dtype=np.float32)
    bias = np.zeros(4 * n, dtype=np.float32)
    rows = {gate: slice(k * n, (k + 1) * n) for k, gate in enumerate("FIBT")}
    if module.gates is not None:
        own_weight, own_bias = _numpy(module.gates.weight), _numpy(module.gates.bias)
        weight, bias = weight.astype(own_weight.dtype), bias.astype(own_bias.dtype)
        for k, gate in enumerate(kept):
            weight[rows[gate]] = own_weight[k * n : (k + 1) * n]
            bias[rows[gate]] = own_bias[k * n : (k + 1) * n]
    for missing, other in (("F", "I"), ("I", "F")):
        if missing not in kept and other in kept:
            weight[rows[missing]], bias[rows[missing]] = -weight[rows[other]], -bias[rows[other]]
    if "T" not in kept:
        bias[rows["T"]] = SATURATED
    return weight, bias


def _convolution(module: Any, place: Place) -> Part:
    axes = ("channels", "places") if isinstance(module, nn.Conv1d) else AXES
    place.expect_axes(axes)
    place.expect((module.in_channels, *place.shape[1:]))
    mode = module.padding_mode
    if mode != "zeros":
        raise GraphError(
            f"module {place.name!r} has padding_mode {mode!r}, and NIR pads with zeros only; train "
            "it with zeros"
        )
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    padding = module.padding
    given = place.shape[1:]
    if padding != "same":
        around = (0,) * len(kernel) if padding == "valid" else padding
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        given = _windows(place, given, reach, stride, around)
    weight, bias = _weights(module)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    if len(kernel) == 1:
        options = {k: v[0] if isinstance(v, tuple) else v for k, v in options.items()}
    node = (nir.Conv1d if len(kernel) == 1 else nir.Conv2d)(
        input_shape=place.shape[1] if len(kernel) == 1 else place.shape[1:],
        weight=weight,
        groups=module.groups,
        bias=np.zeros(weight.shape[0], dtype=weight.dtype) if bias is None else bias,
        **options,
    )
    # nir 1.0.8 takes the kernel for square and the groups for one in the types that it infers.
    return _typed(node, place.shape, (weight.shape[0], *given))


def _pool(module: Any, place: Place) -> Part:
    place.expect_axes(AXES)
    kernel, stride, padding = (
        _pair(value) for value in (module.kernel_size, module.stride, module.padding)
    )
    given = _windows(place, place.shape[1:], kernel, stride, padding)
    if isinstance(module, nn.AvgPool2d):
        _check_average(module, place, kernel, stride, padding, given)
    kind = nir.SumPool2d if isinstance(module, nn.SumPool2d) else nir.AvgPool2d
    node = kind(kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))
    return _typed(node, place.shape, (place.shape[0], *given))


def _check_average(
    module: nn.AvgPool2d, place: Place, kernel: Shape, stride: Shape, padding: Shape, given: Shape
) -> None:
    """Refuse what NIR's AvgPool2d does not hold, where it makes a difference."""
    if module.ceil_mode:
        left = [
            (size + 2 * p - k) % s
            for size, k, s, p in zip(place.shape[1:], kernel, stride, padding, strict=True)
        ]
        if any(left):
            raise GraphError(
                f"module {place.name!r} has ceil_mode=True, and NIR's AvgPool2d rounds its size "
                f"down, to {given}; train it with ceil_mode=False"
            )
    if any(padding) and not module.count_include_pad:
        raise GraphError(
            f"module {place.name!r} has count_include_pad=False, and NIR's AvgPool2d counts the "
            "zeros around the edges; train it with count_include_pad=True or padding=0"
        )
    divisor = module.divisor_override
    if divisor is not None and divisor != math.prod(kernel):
        raise GraphError(
            f"module {place.name!r} has divisor_override={divisor}, and NIR's AvgPool2d divides by "
            f"its window's {math.prod(kernel)}; use snn2hw.nn.SumPool2d and scale the weights after"
        )


def _flatten(module: Any, place: Place) -> Part:
    return flatten(place, module.start_dim, module.end_dim)


def _delay(module: Any, place: Place) -> Part:
    place.expect(module.shape)
    steps = np.broadcast_to(np.asarray(module.steps, dtype=np.float64), module.shape)
    return Part(nir.Delay(steps * place.dt), module.shape)


def _windows(place: Place, sizes: Shape, reach: Any, stride: Any, padding: Any) -> Shape:
    """Places of a window along each axis."""
    columns = zip(sizes, reach, stride, padding, strict=True)
    given = tuple((size + 2 * p - r) // s + 1 for size, r, s, p in columns)
    if min(given) < 1:
        raise GraphError(
            f"module {place.name!r} has a window of {tuple(reach)}, and {place.giver!r} gives only "
            f"{sizes}; give it a smaller kernel"
        )
    return given


def _typed(node: Any, taken: Shape, given: Shape) -> Part:
    node.input_type = {"input": np.array(taken)}
    node.output_type = {"output": np.array(given)}
    return Part(node, given)


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return int(rows), int(columns)


def _full(module: Any, name: str) -> Array:
    """A constant of a layer as a value for each of its neurons, float64."""
    values = np.asarray(getattr(module, name), dtype=np.float64)
    return np.broadcast_to(values, module.shape).copy()


def _weights(module: Any) -> tuple[Array, Array | None]:
    return _numpy(module.weight), None if module.bias is None else _numpy(module.bias)


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()


AXES = ("channels", "rows", "columns")

EXPORTERS: dict[type[torch.nn.Module], Callable[[Any, Place], Part]] = {
    torch.nn.Linear: _linear,
    torch.nn.Flatten: _flatten,
    nn.Readout: _linear,
    nn.LeakyReadout: _linear,
    nn.NormLinear: _linear,
    nn.LIF: _neuron,
    nn.CubaLIF: _neuron,
    nn.PLIF: _plif,
    nn.GLIF: _glif,
    nn.ALIF: _alif,
    nn.LI: _leaky,
    nn.Recurrent: _recurrent,
    nn.GPN: _gpn,
    nn.SparseEncoder: _sparse,
    nn.SparseLeaky: _sparse,
    nn.SparseGated: _sparse_gated,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.AvgPool2d: _pool,
    nn.SumPool2d: _pool,
    nn.Flatten: _flatten,
    nn.Delay: _delay,
    nn.SpikingDense: s2net.spiking,
    nn.SpikingConv1d: s2net.spiking,
    nn.SpikingConv2d: s2net.spiking,
    nn.SpikingConv3d: s2net.spiking,
    nn.NormalizedReadout: s2net.readout,
}
"""Layer type -> how it is exported; by the very type, for a subclass may compute something else."""

TRANSPARENT = (nn.SequenceDropout, torch.nn.Dropout, torch.nn.Identity)
"""The identity in evaluation."""

WITHOUT_TIME = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.AvgPool2d)

_FUSE = "fold it into the layer before, with torch.nn.utils.fusion"
ADVICE = {
    "BatchNorm1d": "use snn2hw.nn.NormLinear, which has the Linear and the normalisation",
    "BatchNorm2d": _FUSE,
    "MaxPool2d": "use snn2hw.nn.AvgPool2d or SumPool2d",
    "GRU": "it computes on floats; use a spiking neuron, such as snn2hw.nn.GPN",
    "LSTM": "it computes on floats; use a spiking neuron, such as snn2hw.nn.GPN",
    "ReLU": "use a spiking neuron, such as snn2hw.nn.LIF",
}
"""Name of a module's type -> what to use instead."""
