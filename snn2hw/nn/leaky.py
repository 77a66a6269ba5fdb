"""Leaky readouts: an output that remembers, as in e-prop."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import Values, check_sequence, check_shape, check_size, check_values
from snn2hw.nn.neuron import like, said, scaled
from snn2hw.nn.readout import READOUT_MODES


class LI(nn.Module):
    """A layer of leaky integrators without a threshold.

    Per step, for input x::

        y = kappa y + input_gain x

    y starts at 0 and does not outlive the call. No trainable parameters. Source: the readout of
    Bellec et al. 2020 (Nat. Commun. 11:3625), who use input_gain 1 or 1 - kappa; it is NIR's LI in
    Euler steps.

    Args:
        n_neurons: neurons of the layer, a number or a shape such as (channels, rows, columns).
        kappa: what a step keeps of y, exp(-1 / tau) for a time constant in steps; from 0, below 1.
        input_gain: a factor on x.

        kappa and input_gain may be arrays that broadcast to the layer's shape: a value for each
        neuron. They are no part of the state_dict.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self, n_neurons: int | tuple[int, ...], kappa: Values = 0.95, input_gain: Values = 1.0
    ) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.shape = check_shape(n_neurons, "n_neurons", "LI")
        self.kappa = check_values(kappa, self.shape, "kappa", "LI")
        self.input_gain = check_values(input_gain, self.shape, "input_gain", "LI")
        kept = torch.as_tensor(self.kappa)
        if bool(((kept < 0) | (kept >= 1)).any()):
            raise ParameterError(f"LI: kappa is {said(self.kappa)}, give from 0 to below 1")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y of every step.

        Args:
            x: float (batch, time, *shape).

        Returns:
            y in x's dtype and shape.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        check_sequence(x, self.shape, f"LI({self._shape_text()})")
        kappa = like(self.kappa, x)
        y = torch.zeros_like(x[:, 0])
        values = []
        for current in scaled(like(self.input_gain, x), x).unbind(1):
            y = kappa * y + current
            values.append(y)
        return torch.stack(values, 1)

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"n_neurons": self.shape, "kappa": self.kappa, "input_gain": self.input_gain}

    def _shape_text(self) -> str:
        return str(self.shape if len(self.shape) > 1 else self.shape[0])

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        constants = f"kappa={said(self.kappa)}, input_gain={said(self.input_gain)}"
        return f"{self._shape_text()}, {constants}"


class LeakyReadout(nn.Module):
    """A Linear into leaky integrators at every step, then the mean over time or the last step.

    Args:
        in_features: neurons of the last spiking layer.
        out_features: classes.
        kappa: what a step keeps of the output; see `LI`. 0 gives a `Readout`.
        input_gain: a factor on what the Linear gives; see `LI`.
        mode: "mean" or "last".
        bias: give the Linear a bias.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kappa: Values = 0.95,
        input_gain: Values = 1.0,
        mode: str = "mean",
        bias: bool = True,
    ) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.in_features = check_size(in_features, "in_features", "LeakyReadout")
        self.out_features = check_size(out_features, "out_features", "LeakyReadout")
        if mode not in READOUT_MODES:
            raise ParameterError(f'LeakyReadout: mode is {mode!r}, give "mean" or "last"')
        self.mode = mode
        self.linear = nn.Linear(in_features, out_features, bias)
        self.leak = LI(out_features, kappa, input_gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores.

        Args:
            x: spikes, float (batch, time, in_features).

        Returns:
            Scores (batch, out_features) in x's dtype.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        scores = self.per_step(x)
        return scores.mean(1) if self.mode == "mean" else scores[:, -1]

    def per_step(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of every step, (batch, time, out_features); x as for `forward`."""
        where = f"LeakyReadout({self.in_features}, {self.out_features})"
        check_sequence(x, self.in_features, where)
        scores: torch.Tensor = self.leak(self.linear(x))
        return scores

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "kappa": self.leak.kappa,
            "input_gain": self.leak.input_gain,
            "mode": self.mode,
            "bias": self.linear.bias is not None,
        }

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f'{self.in_features}, {self.out_features}, mode="{self.mode}"'
