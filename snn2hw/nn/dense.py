"""GRU and LSTM, the non-spiking baselines, and a Linear with batch norm."""

from __future__ import annotations

import torch
from torch import nn

from snn2hw.errors import DataError
from snn2hw.nn._checks import check_sequence, check_size


class GRU(nn.GRU):
    """One layer of torch.nn.GRU as a layer of a Sequential: (batch, time, features) in and out.

    A baseline that computes on floats: no chip of ours runs it. The state starts at 0 and does not
    outlive the call.

    Args:
        in_features: values of a step.
        n_neurons: units of the layer.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, in_features: int, n_neurons: int) -> None:
        """See the class for the arguments."""
        check_size(in_features, "in_features", "GRU")
        check_size(n_neurons, "n_neurons", "GRU")
        super().__init__(in_features, n_neurons, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the state of every step, (batch, time, n_neurons); x: (batch, time, in_features).

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        check_sequence(x, self.input_size, f"GRU({self.input_size}, {self.hidden_size})")
        states: torch.Tensor = super().forward(x)[0]
        return states

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"in_features": self.input_size, "n_neurons": self.hidden_size}


class LSTM(nn.LSTM):
    """One layer of torch.nn.LSTM as a layer of a Sequential; as `GRU`.

    Args:
        in_features: values of a step.
        n_neurons: units of the layer.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, in_features: int, n_neurons: int) -> None:
        """See the class for the arguments."""
        check_size(in_features, "in_features", "LSTM")
        check_size(n_neurons, "n_neurons", "LSTM")
        super().__init__(in_features, n_neurons, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the output of every step, (batch, time, n_neurons); x: (batch, time, in_features).

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        check_sequence(x, self.input_size, f"LSTM({self.input_size}, {self.hidden_size})")
        states: torch.Tensor = super().forward(x)[0]
        return states

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"in_features": self.input_size, "n_neurons": self.hidden_size}


class NormLinear(nn.Module):
    """A Linear whose outputs are normalised, each over batch and time, in training.

    Training: y = gain (W x - mean) / sqrt(var + eps) + bias with mean and var of the batch and all
    its steps, which also move the running ones by a tenth. Evaluation: the same with the running
    ones, which is the one Linear of `folded`, and exported as that. `gain` starts at 1, `bias` at
    0: by itself, half of what a neuron hears is above zero and its deviation is 1.

    Args:
        in_features: values of a step.
        out_features: neurons behind it.

    Raises:
        ParameterError: an argument out of its range.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    EPS = 1e-5
    MOMENTUM = 0.1

    def __init__(self, in_features: int, out_features: int) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.in_features = check_size(in_features, "in_features", "NormLinear")
        self.out_features = check_size(out_features, "out_features", "NormLinear")
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.gain = nn.Parameter(torch.ones(out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.register_buffer("running_mean", torch.zeros(out_features))
        self.register_buffer("running_var", torch.ones(out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised sums, (batch, time, out_features).

        Args:
            x: float (batch, time, in_features).

        Raises:
            DataError: x has another shape or is not of a float type, or it is one step of one
                sample in training.
        """
        where = f"NormLinear({self.in_features}, {self.out_features})"
        check_sequence(x, self.in_features, where)
        if self.training and x.shape[:2] == (1, 1):
            raise DataError(
                f"{where}: one step of one sample has no variance to train with, give more steps or"
                " samples, or call eval() first"
            )
        if not self.training:
            return nn.functional.linear(x, *self.folded())
        sums = self.linear(x)
        normed: torch.Tensor = nn.functional.batch_norm(
            sums.flatten(0, 1),
            self.running_mean,
            self.running_var,
            self.gain,
            self.bias,
            True,
            self.MOMENTUM,
            self.EPS,
        )
        return normed.view_as(sums)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (out, in) and bias (out,) of the Linear that this is in evaluation."""
        factor = self.gain / torch.sqrt(self.running_var + self.EPS)
        return self.linear.weight * factor[:, None], self.bias - self.running_mean * factor

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"in_features": self.in_features, "out_features": self.out_features}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f"{self.in_features}, {self.out_features}"
