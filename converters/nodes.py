"""Neurons that NIR does not have, as NIR nodes of ours.

They follow NIR's own HDF5 layout, one group a node with all its parameters, so a file that holds
one stays readable to others except for that node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from snn2hw.errors import GraphError


@dataclass(eq=False)
class GPN(nir.ir.NIRNode):  # type: ignore[misc]
    """Gated parametric neuron (arXiv 2412.01087), a model in discrete time.

    gates_weight: (4N, 2N), rows F, I, B, T of N each, columns v then x; gates_bias: (4N,);
    dt: seconds, the time step that the neuron was trained at. Per step::

        F, I, T = sigmoid(.),  B = tanh(.)   of   gates_weight [v; x] + gates_bias
        h = F v + I x;   s = (h >= T);   v <- (1 - s) h + B

    Raises GraphError if the shapes do not fit each other.
    """

    gates_weight: npt.NDArray[np.floating]
    gates_bias: npt.NDArray[np.floating]
    dt: float

    def __post_init__(self) -> None:
        """Check the shapes and set the node's input and output type."""
        self.gates_weight = np.asarray(self.gates_weight)
        self.gates_bias = np.asarray(self.gates_bias)
        self.dt = float(self.dt)
        rows, columns = self.gates_weight.shape if self.gates_weight.ndim == 2 else (0, 0)
        if rows == 0 or rows != 2 * columns or self.gates_bias.shape != (rows,):
            raise GraphError(
                f"GPN: gates_weight has shape {self.gates_weight.shape}, gates_bias "
                f"{self.gates_bias.shape}; they must be (4N, 2N) and (4N,)"
            )
        self.input_type = {"input": np.array([columns // 2])}
        self.output_type = {"output": np.array([columns // 2])}


@dataclass(eq=False)
class ALIF(nir.ir.NIRNode):  # type: ignore[misc]
    """Adaptive leaky integrate-and-fire neuron of e-prop, a model in discrete time.

    One value for all neurons or an array of the layer's shape, float64: alpha and rho (what a step
    keeps of v and of a), v_threshold, beta, input_gain, adaptation_gain, refractory (whole steps).
    One for the node: adaptive_reset (0 or 1), dt (seconds of a step). Per step, for input x::

        a <- rho a + adaptation_gain z;    A = v_threshold + beta a       z of the step before
        v <- alpha v + input_gain x - z R;    R = A if adaptive_reset else v_threshold
        z <- v > A, and no spike in the last ``refractory`` steps

    Sources: Bellec et al. 2020 (Nat. Commun. 11:3625): input_gain 1 or 1 - alpha, adaptation_gain
    1, adaptive_reset 0, and beta 0 for a LIF; Rostami et al. 2022 (Front. Neurosci. 16:1018006):
    1 - alpha, 1 - rho and 1. Raises GraphError if the shapes do not fit each other.
    """

    alpha: npt.NDArray[np.floating]
    rho: npt.NDArray[np.floating]
    v_threshold: npt.NDArray[np.floating]
    beta: npt.NDArray[np.floating]
    input_gain: npt.NDArray[np.floating]
    adaptation_gain: npt.NDArray[np.floating]
    refractory: npt.NDArray[np.floating]
    adaptive_reset: float
    dt: float

    def __post_init__(self) -> None:
        """Check the shapes and set the node's input and output type."""
        shape: tuple[int, ...] = ()
        for name in (*_EACH, *_ONE):
            value = np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64))
            fits = value.size > 0 and name not in _ONE and value.shape == (shape or value.shape)
            if value.size != 1 and not fits:
                wanted = "one value" if name in _ONE else f"{shape} as others, or one value"
                raise GraphError(f"ALIF: {name} has shape {value.shape}; give {wanted}")
            shape = shape if value.size == 1 else value.shape
            setattr(self, name, float(value.ravel()[0]) if name in _ONE else value)
        self.input_type = {"input": np.array(shape or (1,))}
        self.output_type = {"output": np.array(shape or (1,))}


@dataclass(eq=False)
class GLIF(nir.ir.NIRNode):  # type: ignore[misc]
    """Gated leaky integrate-and-fire neuron (arXiv 2210.13768), a model in discrete time.

    Arrays of the layer's shape, float64: gates alpha, beta, gamma (0 or 1), tau (what a step keeps
    of v), v_threshold, leak, conductance, v_subtract. One for the node: dt (seconds of a step). Per
    step, for input x, s of the step before::

        v <- (1 - alpha (1 - tau)) v (1 - gamma s) - (1 - alpha) leak
             + (1 - beta (1 - conductance)) x - (1 - gamma) v_subtract s
        s <- v >= v_threshold

    Source: the authors' code (github.com/Ikarosy/Gated-LIF, channel-wise, hard gates), with one
    conductance for all steps. Raises GraphError if the shapes do not fit each other.
    """

    alpha: npt.NDArray[np.floating]
    beta: npt.NDArray[np.floating]
    gamma: npt.NDArray[np.floating]
    tau: npt.NDArray[np.floating]
    v_threshold: npt.NDArray[np.floating]
    leak: npt.NDArray[np.floating]
    conductance: npt.NDArray[np.floating]
    v_subtract: npt.NDArray[np.floating]
    dt: float

    def __post_init__(self) -> None:
        """Check the shapes and set the node's input and output type."""
        shape = np.shape(self.alpha)
        for name in _GLIF:
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape or value.size == 0:
                raise GraphError(
                    f"GLIF: {name} has shape {value.shape}, alpha {shape}; give all the layer's"
                )
            setattr(self, name, value)
        self.dt = float(self.dt)
        self.input_type = {"input": np.array(shape)}
        self.output_type = {"output": np.array(shape)}


_GLIF = ("alpha", "beta", "gamma", "tau", "v_threshold", "leak", "conductance", "v_subtract")
_EACH = ("alpha", "rho", "v_threshold", "beta", "input_gain", "adaptation_gain", "refractory")
_ONE = ("adaptive_reset", "dt")


@dataclass(eq=False)
class SparseLeaky(nir.ir.NIRNode):  # type: ignore[misc]
    """Ponghiran and Roy's traditional neuron (arXiv 2109.01905), their encoder where tau is 0; a
    model in discrete time.

    tau: (N,); one for the node: scale (steps of the quantiser per unit of V), threshold (largest
    |q| that is not sent), bits (of q, sign included), dt (seconds of a step). Per step, for input
    x, with n = 2^(bits - 1) and all 0 at the start::

        I <- tau I + x;    V <- V + I
        q = trunc(clip(scale V, +-n (1 - 1e-4))),  0 where |q| <= threshold
        V <- V - q / scale;    q / scale is sent

    Raises GraphError if the shapes do not fit.
    """

    tau: npt.NDArray[np.floating]
    scale: float
    threshold: float
    bits: float
    dt: float

    def __post_init__(self) -> None:
        """Check the shapes and set the node's input and output type."""
        self.tau = np.asarray(self.tau)
        if self.tau.ndim == 0 or self.tau.size == 0:
            raise GraphError(f"SparseLeaky: tau has shape {self.tau.shape}; give one a neuron")
        _quantizer(self)
        self.input_type = {"input": np.array(self.tau.shape)}
        self.output_type = {"output": np.array(self.tau.shape)}


@dataclass(eq=False)
class SparseGated(nir.ir.NIRNode):  # type: ignore[misc]
    """Ponghiran and Roy's improved neuron (arXiv 2109.01905), a model in discrete time.

    recurrent_weight: (2N, N), rows F then C; zeros are their version 1, others version 2; scale,
    threshold, bits and dt as of ``SparseLeaky``. The node takes 2N values [x_F; x_C], gives N, and
    is per step, for Y that it gave in the one before::

        F = sigmoid(x_F + W_F Y);    C = max(0, x_C + W_C Y);    I <- F I + (1 - F) C
        V <- V + I,  and on as ``SparseLeaky``

    Raises GraphError if the shapes do not fit.
    """

    recurrent_weight: npt.NDArray[np.floating]
    scale: float
    threshold: float
    bits: float
    dt: float

    def __post_init__(self) -> None:
        """Check the shapes and set the node's input and output type."""
        self.recurrent_weight = np.asarray(self.recurrent_weight)
        shape = self.recurrent_weight.shape
        if len(shape) != 2 or shape[0] != 2 * shape[1] or not shape[1]:
            raise GraphError(f"SparseGated: recurrent_weight has shape {shape}; it must be (2N, N)")
        _quantizer(self)
        self.input_type = {"input": np.array([shape[0]])}
        self.output_type = {"output": np.array([shape[1]])}


def _quantizer(node: Any) -> None:
    """The numbers of a node's quantiser and its dt as floats."""
    for name in ("scale", "threshold", "bits", "dt"):
        value = np.asarray(getattr(node, name), dtype=np.float64)
        if value.size != 1:
            raise GraphError(
                f"{type(node).__name__}: {name} has shape {value.shape}; give one value"
            )
        setattr(node, name, float(value.ravel()[0]))


EXTENSIONS: dict[str, type[nir.ir.NIRNode]] = {
    "GPN": GPN,
    "ALIF": ALIF,
    "GLIF": GLIF,
    "SparseLeaky": SparseLeaky,
    "SparseGated": SparseGated,
}
"""Type name in the file -> node class."""
