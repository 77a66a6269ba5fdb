"""The layers of Ponghiran and Roy: neurons that send sparse values of several bits.

A neuron integrates a synaptic current, sends a quantised value of what it holds, and keeps the
rest, so that over time it sends all that it was given; the current of the improved neurons is gated
as in a GRU::

    Sequential(SparseEncoder(40), NormLinear(40, 256), SparseGated(128), Readout(128, 10))

Sources: Ponghiran and Roy, Spiking Neural Networks with Improved Inherent Recurrence Dynamics for
Sequential Learning, AAAI 2022 (arXiv 2109.01905), and their code (wponghiran/imp-snns-for-sl at
9125ccd), whose feed-forward product with batch normalisation is `NormLinear` here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_real, check_sequence, check_size

MOST_BITS = 32
"""With so many bits a value is as good as not quantised; the authors use 2 to 6 for spikes."""

MARGIN = 1e-4
"""A value of M is this much below the level that the bits do not hold."""


class Truncate(torch.autograd.Function):
    """q / s of V, s, M and theta: q = trunc(s clip(V, -M, M)), 0 where |q| <= theta.

    Backwards the gradient passes as it is, and not where V was clipped.
    """

    @staticmethod
    def forward(
        ctx: Any, v: torch.Tensor, scale: float, largest: float, threshold: int
    ) -> torch.Tensor:
        """Return the values sent, of v's shape and dtype."""
        clipped = torch.clamp(v, -largest, largest)
        ctx.save_for_backward(clipped == v)
        # hardshrink: what is not above the threshold becomes 0.
        return nn.functional.hardshrink(clipped.mul_(scale).trunc_(), threshold).div_(scale)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Return the straight-through gradient with respect to v."""
        (inside,) = ctx.saved_tensors
        return grad_outputs[0] * inside, None, None, None


class SparseQuantizer(nn.Module):
    """The multi-bit spike function, with a scale that follows what it sees in training.

    With n = 2^(bits - 1) and M the larger absolute value of a running minimum and maximum of V::

        s = n (1 - 1e-4) / M;    q = trunc(s clip(V, -M, M));    Y = q / s if |q| > threshold else 0

    The gradient passes straight through, and not where V was clipped. In training each call moves
    the running values by `momentum` (exponential, corrected for their start at 0) before it uses
    them; in evaluation they stay. While M is 0, n stands for it, as in the authors' code. One bit
    leaves zeros only, for trunc(1 - 1e-4) is 0; so it does in their code.

    Args:
        bits: of q, sign included, 1 to 32.
        threshold: the largest |q| that is not sent, a whole number of steps from 0.
        momentum: above 0, up to 1; theirs is 0.1, which forgets all but the last steps of a
            sequence when it is called once a step.

    Raises:
        ParameterError: an argument out of its range.
    """

    low: torch.Tensor
    high: torch.Tensor
    unseen: torch.Tensor

    def __init__(self, bits: int = 6, threshold: int = 3, momentum: float = 0.1) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.bits = check_size(bits, "bits", "SparseQuantizer")
        if self.bits > MOST_BITS:
            raise ParameterError(f"SparseQuantizer: bits is {bits}, give {MOST_BITS} or fewer")
        if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < 0:
            raise ParameterError(
                f"SparseQuantizer: threshold is {threshold!r}, give a whole number of steps from 0"
            )
        self.threshold = threshold
        self.momentum = check_real(momentum, "momentum", "SparseQuantizer")
        if not 0 < self.momentum <= 1:
            raise ParameterError(
                f"SparseQuantizer: momentum is {momentum!r}, give above 0 and up to 1"
            )
        # Running minimum and maximum, and how much of them is still the 0 that they started from.
        for name, value in (("low", 0.0), ("high", 0.0), ("unseen", 1.0)):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Return the values sent, of v's shape and dtype; in training, follow v's range first."""
        if self.training:
            self.follow(v)
        largest, scale = self.scale()
        sent: torch.Tensor = Truncate.apply(v, scale, largest, self.threshold)  # type: ignore[no-untyped-call]
        return sent

    @torch.no_grad()
    def follow(self, v: torch.Tensor) -> None:
        """Move the running minimum and maximum towards those of v; nothing where v has no value."""
        if v.numel() == 0:
            return
        kept = 1 - self.momentum
        for buffer, extreme in zip((self.low, self.high), torch.aminmax(v.detach()), strict=True):
            buffer.fill_(kept * float(buffer) + self.momentum * float(extreme))
        self.unseen.mul_(kept)

    def scale(self) -> tuple[float, float]:
        """Return M and s."""
        levels = 2 ** (self.bits - 1)
        extreme = max(abs(float(self.low)), abs(float(self.high)))
        largest = extreme / (1 - float(self.unseen)) if extreme > 0 else float(levels)
        return largest, levels * (1 - MARGIN) / largest

    def set_scale(self, scale: float) -> None:
        """Take the M that has this s, as if it had always been seen; float64."""
        largest = torch.tensor(2 ** (self.bits - 1) * (1 - MARGIN) / scale, dtype=torch.float64)
        self.low, self.high = -largest, largest
        self.unseen = torch.zeros((), dtype=torch.float64)

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f"bits={self.bits}, threshold={self.threshold}, momentum={self.momentum}"


class SparseNeuron(nn.Module):
    """Base of the layers: a current, what is held of it, and what is sent.

    Per step::

        I = current(x, I, Y);    V <- V + I;    Y = Q(V);    V <- V - Y

    All start at 0. Q is a `SparseQuantizer` named `quantizer`.
    """

    rows = 1
    """Inputs a neuron."""

    def __init__(
        self, n_neurons: int, bits: int, threshold: int, momentum: float, dropout: float
    ) -> None:
        """See the subclasses for arguments and errors."""
        super().__init__()
        kind = type(self).__name__
        self.n_neurons = check_size(n_neurons, "n_neurons", kind)
        self.quantizer = SparseQuantizer(bits, threshold, momentum)
        self.dropout = check_real(dropout, "dropout", kind)
        if not 0 <= self.dropout < 1:
            raise ParameterError(f"{kind}: dropout is {dropout!r}, give 0 or more and less than 1")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the neurons send.

        Args:
            x: float (batch, time, n_neurons), or twice as many for `SparseGated`.

        Returns:
            Multiples of the quantiser's step, mostly 0, (batch, time, n_neurons) in x's dtype.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        return self.trace(x)[0]

    def trace(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return what the neurons send and the states of every step.

        Args:
            x: as for `forward`.

        Returns:
            Values as from `forward`, and {"i": current, "v": what is held after sending}, of the
            same shape.

        Raises:
            DataError: as for `forward`.
        """
        kind = type(self).__name__
        check_sequence(x, self.rows * self.n_neurons, f"{kind}({self.n_neurons})")
        i = x.new_zeros(x.shape[0], self.n_neurons)
        v, y, mask = i, i, self._mask(i)
        sent, currents, held = [], [], []
        for now in x.unbind(1):
            i = self.current(now, i, y, mask)
            v = v + i
            y = self.quantizer(v)
            v = v - y
            sent.append(y)
            currents.append(i)
            held.append(v)
        return torch.stack(sent, 1), {"i": torch.stack(currents, 1), "v": torch.stack(held, 1)}

    def _mask(self, like: torch.Tensor) -> torch.Tensor | None:
        """What stays of the input in training, drawn once a sequence for each neuron."""
        if not self.training or self.dropout == 0:
            return None
        keep = torch.rand_like(like) >= self.dropout
        return keep.to(like.dtype) / (1 - self.dropout)

    @abstractmethod
    def current(
        self, x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the current of a step, (batch, n_neurons).

        x: input of the step; i, y: current and values sent of the step before; mask: factors of
        the dropout or None.
        """

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        names = ("bits", "threshold", "momentum")
        quantizer = {name: getattr(self.quantizer, name) for name in names}
        return {"n_neurons": self.n_neurons, **quantizer, "dropout": self.dropout}

    def extra_repr(self) -> str:
        """Return the number of neurons, for printing the module."""
        return f"{self.n_neurons}, dropout={self.dropout}"


class SparseEncoder(SparseNeuron):
    """Real values as sparse ones: I = x, what is held and sent as in `SparseNeuron`.

    Args:
        n_neurons: values a step.
        bits, threshold, momentum: of the quantiser; see `SparseQuantizer`.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self, n_neurons: int, bits: int = 6, threshold: int = 3, momentum: float = 0.1
    ) -> None:
        """See the class for the arguments."""
        super().__init__(n_neurons, bits, threshold, momentum, 0.0)

    def current(
        self, x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the current of a step; see `SparseNeuron.current`."""
        return x

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {name: value for name, value in super().arguments().items() if name != "dropout"}


class SparseLeaky(SparseNeuron):
    """The traditional neuron of the comparison: I = m x + tau I, the rest as in `SparseNeuron`.

    tau, a parameter for each neuron, starts at 1. m is the dropout, drawn once a sequence.

    Args:
        n_neurons: neurons of the layer.
        bits, threshold, momentum: of the quantiser; see `SparseQuantizer`.
        dropout: probability of dropping a neuron's input, 0 <= dropout < 1.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(
        self,
        n_neurons: int,
        bits: int = 6,
        threshold: int = 3,
        momentum: float = 0.1,
        dropout: float = 0.2,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(n_neurons, bits, threshold, momentum, dropout)
        self.tau = nn.Parameter(torch.ones(self.n_neurons))

    def current(
        self, x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the current of a step; see `SparseNeuron.current`."""
        return torch.addcmul(x if mask is None else x * mask, self.tau, i)


class SparseGated(SparseNeuron):
    """The improved neuron: a gated current, the rest as in `SparseNeuron`.

    Per step, for the inputs x = [x_F; x_C] and the values Y sent in the step before::

        F = sigmoid(x_F + W_F Y);    C = max(0, x_C + W_C Y);    I <- F I + (1 - F) m C

    m is the dropout, drawn once a sequence. With recurrent=False, W Y is left out: the authors'
    version 1, and with it version 2. W = [W_F; W_C] is `linear`, without bias, and starts as an
    orthogonal matrix times sqrt(2).

    Args:
        n_neurons: neurons of the layer, half as many as it has inputs.
        recurrent: the neurons hear what they sent.
        bits, threshold, momentum: of the quantiser; see `SparseQuantizer`.
        dropout: probability of dropping a neuron's C, 0 <= dropout < 1.
        penalty_weight: of `penalty`; ours, the authors have none.

    Raises:
        ParameterError: an argument out of its range.
    """

    rows = 2

    def __init__(
        self,
        n_neurons: int,
        recurrent: bool = True,
        bits: int = 6,
        threshold: int = 3,
        momentum: float = 0.1,
        dropout: float = 0.2,
        penalty_weight: float = 0.0,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(n_neurons, bits, threshold, momentum, dropout)
        self.penalty_weight = check_real(penalty_weight, "penalty_weight", "SparseGated")
        if self.penalty_weight < 0:
            raise ParameterError(
                f"SparseGated: penalty_weight is {penalty_weight!r}, give 0 or more"
            )
        self._currents: torch.Tensor | None = None
        if not isinstance(recurrent, bool):
            raise ParameterError(f"SparseGated: recurrent is {recurrent!r}, give True or False")
        self.linear = nn.Linear(n_neurons, 2 * n_neurons, bias=False) if recurrent else None
        if self.linear is not None:
            nn.init.orthogonal_(self.linear.weight, gain=nn.init.calculate_gain("relu"))

    def current(
        self, x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the current of a step; see `SparseNeuron.current`."""
        a = x if self.linear is None else torch.addmm(x, y, self.linear.weight.t())
        forget, candidate = a.chunk(2, 1)
        candidate = torch.relu(candidate)
        if mask is not None:
            candidate = candidate * mask
        return torch.lerp(candidate, i, torch.sigmoid(forget))

    def trace(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return what the neurons send and the states of every step; see `SparseNeuron.trace`."""
        sent, states = super().trace(x)
        wanted = self.training and self.penalty_weight and len(x) > 0
        self._currents = states["i"] if wanted else None
        return sent, states

    def penalty(self) -> torch.Tensor:
        """Return penalty_weight mean(I) / sqrt(mean(I^2)) over the last forward pass of training.

        It is handed out once; without a forward pass since, it is 0.

        Few neurons with much to send make it small, and the scale of I does not matter: what is
        sent in a step is I over M, which follows the largest V.
        """
        # Kept, it would hold the graph of a whole batch, and copy.deepcopy refuses such tensors.
        currents, self._currents = self._currents, None
        if currents is None:
            return self.quantizer.high.new_zeros(())
        square = currents.square().mean()
        return self.penalty_weight * currents.mean() / torch.sqrt(square + 1e-12)

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        named = {"recurrent": self.linear is not None, "penalty_weight": self.penalty_weight}
        return {**super().arguments(), **named}
