"""Neurons that NIR does not have, as NIR nodes of ours.

They follow NIR's own HDF5 layout, one group a node with all its parameters, so a file that holds
one stays readable to others except for that node.
"""

from __future__ import annotations

from dataclasses import dataclass

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


EXTENSIONS: dict[str, type[nir.ir.NIRNode]] = {"GPN": GPN}
"""Type name in the file -> node class."""
