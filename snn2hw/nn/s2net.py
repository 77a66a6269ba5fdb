"""Spiking dense and convolutional layers over time and space, after s2net.

Source: Zimmer, Pellegrini, Singh and Masquelier, arXiv 1911.10124 and 2011.06846, and their code
(github.com/romainzimmer/s2net, models.py). With W_o the kernel of output channel o, n_o = |W_o|^2,
D = W W^T and J the convolution of the input with W over time and space, a step is::

    R_t = D S_{t-1}                      (lateral)   or   b n S_{t-1}
    V_t = beta (V_{t-1} - R_t) + (1 - beta) (J_t + U^T S_{t-1})      U: only if recurrent
    S_t = 1 where V_t / (n + 1e-8) - b > 0

D and U join channels of one place. The kernel's first axis is time; it looks ahead as far as back
(padding ceil((k - 1) dilation / 2) on both sides), and what comes out is cropped to the steps and
places that came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn._checks import check_real, check_sequence, check_size

EPSILON = 1e-8
SLOPE = 10.0
"""Of the sigmoid whose derivative (without this factor) stands for that of a spike."""

W_STD, BETA_INIT, B_INIT, INIT_STD = 0.15, 0.7, 1.0, 0.01
"""Of the authors' notebook: deviation of weights times sqrt(fan-in), means and deviation of beta
and b."""


CONVOLUTIONS = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)


class _Scan(torch.autograd.Function):
    """The steps in order: V_t = beta V_{t-1} + x_t + M S_{t-1}, S_t = (scale V_t - b > 0).

    x: (time, channels, n); M: (channels, channels) or its diagonal (channels,); scale, b:
    (channels,). Written as one function, since a graph of single steps takes most of the time of
    training on a CPU.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        beta: torch.Tensor,
        back: torch.Tensor,
        scale: torch.Tensor,
        b: torch.Tensor,
    ) -> torch.Tensor:
        """Return the spikes, of x's shape and dtype."""
        decay = float(beta.detach())
        v, s = torch.empty_like(x), torch.empty_like(x)
        gain, level = scale[:, None], b[:, None]
        for t in range(len(x)):
            if t == 0:
                v[0] = x[0]
            else:
                torch.add(x[t], v[t - 1], alpha=decay, out=v[t])
                if back.ndim == 2:
                    torch.addmm(v[t], back, s[t - 1], out=v[t])
                else:
                    v[t].addcmul_(back[:, None], s[t - 1])
            torch.gt(v[t] * gain, level, out=s[t])
        ctx.save_for_backward(v, s, beta, back, scale, b)
        return s

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, beta, M, scale and b."""
        v, s, beta, back, scale, b = ctx.saved_tensors
        (given,) = grad_outputs
        decay, gain, level = float(beta), scale[:, None], b[:, None]
        full = back.ndim == 2
        # Sums over time are taken step by step, while the step's numbers are in the cache.
        grad_v = torch.empty_like(v)
        by_beta, by_back = torch.zeros_like(b), torch.zeros_like(back)
        by_scale, by_b = torch.zeros_like(b), torch.zeros_like(b)
        later = None
        for t in range(len(v) - 1, -1, -1):
            p = torch.mul(v[t], gain).sub_(level).mul_(SLOPE).sigmoid_()
            grad_u = torch.addcmul(p, p, p, value=-1.0)
            if later is None:
                grad_u.mul_(given[t])
            elif full:
                grad_u.mul_(torch.addmm(given[t], back.T, later))
            else:
                grad_u.mul_(torch.addcmul(given[t], back[:, None], later))
            now = torch.mul(grad_u, gain, out=grad_v[t])
            by_b -= grad_u.sum(1)
            by_scale += grad_u.mul_(v[t]).sum(1)
            if later is not None:
                now.add_(later, alpha=decay)
                by_beta += torch.mul(later, v[t], out=grad_u).sum(1)
                if full:
                    by_back.addmm_(later, s[t].T)
                else:
                    by_back += torch.mul(later, s[t], out=grad_u).sum(1)
            later = now
        return grad_v, by_beta.sum(), by_back, by_scale, by_b


class _Spiking(nn.Module):
    """What the layers share: see `SpikingConv2d` for the arguments."""

    axes: ClassVar[tuple[str, ...]] = ()
    """Names of the axes of a place, those behind the channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int],
        stride: int | Sequence[int],
        lateral: bool,
        recurrent: bool,
        penalty_weight: float,
    ) -> None:
        """Check and keep what the subclass was given; see there for arguments and errors."""
        super().__init__()
        kind, rank = type(self).__name__, len(self.axes)
        self.in_channels = check_size(in_channels, "in_channels", kind)
        self.out_channels = check_size(out_channels, "out_channels", kind)
        self.kernel_size = _sizes(kernel_size, 1 + rank, "kernel_size", kind)
        self.dilation = _sizes(dilation, 1 + rank, "dilation", kind)
        self.stride = _sizes(stride, rank, "stride", kind)
        self.lateral, self.recurrent = bool(lateral), bool(recurrent)
        self.penalty_weight = check_real(penalty_weight, "penalty_weight", kind)
        if self.penalty_weight < 0:
            raise ParameterError(f"{kind}: penalty_weight is {penalty_weight!r}, give 0 or more")
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *self.kernel_size))
        self.beta = nn.Parameter(torch.empty(()))
        self.b = nn.Parameter(torch.empty(out_channels))
        self.recurrence = (
            nn.Parameter(torch.empty(out_channels, out_channels)) if self.recurrent else None
        )
        self._activity: torch.Tensor | None = None
        self.reset_parameters()

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros on both sides of time and of the axes of a place."""
        pairs = zip(self.kernel_size, self.dilation, strict=True)
        return tuple(-(-(k - 1) * d // 2) for k, d in pairs)

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as the authors' notebook does."""
        with torch.no_grad():
            fan_in = self.weight[0].numel()
            self.weight.normal_(0.0, W_STD / fan_in**0.5)
            self.beta.normal_(BETA_INIT, INIT_STD)
            self.b.normal_(B_INIT, INIT_STD)
            if self.recurrence is not None:
                self.recurrence.normal_(0.0, W_STD / self.out_channels**0.5)
        self.after_step()

    def after_step(self) -> None:
        """Bring beta back into [0, 1] and b to 0 or more; training calls it after each step."""
        with torch.no_grad():
            self.beta.clamp_(0.0, 1.0)
            self.b.clamp_(min=0.0)

    def penalty(self) -> torch.Tensor:
        """Return penalty_weight times half the mean squared spike of the last forward pass.

        It is handed out once; without a forward pass since, it is 0.
        """
        activity, self._activity = self._activity, None
        if activity is None:
            return torch.zeros((), dtype=self.weight.dtype, device=self.weight.device)
        return self.penalty_weight * activity

    def lateral_weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return n (channels,), and what spikes of the step before add to V.

        The latter is (channels, channels), row: to, column: from; or its diagonal (channels,).
        """
        rows = self.weight.flatten(1)
        if self.lateral:
            products = rows @ rows.T
            n = products.diagonal()
            back = -self.beta * products
        else:
            n = rows.square().sum(1)
            back = -self.beta * self.b * n
        if self.recurrence is not None:
            heard = (1 - self.beta) * self.recurrence.T
            back = (back if self.lateral else torch.diag(back)) + heard
        return n, back

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the spikes.

        Args:
            x: float (batch, time, in_channels, *places), real values or spikes.

        Returns:
            Spikes 0 or 1 in x's dtype, (batch, time, out_channels, *places).

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        places = tuple(x.shape[3:]) if x.ndim == 3 + len(self.axes) else self.axes
        check_sequence(x, (self.in_channels, *places), type(self).__name__)
        n, back = self.lateral_weights()
        drive = self.drive(x)
        batch, channels, time, *given = drive.shape
        # Time first, then channels: a step is one matrix product.
        order = (2, 1, 0, *range(3, drive.ndim))
        current = drive.permute(order).reshape(time, channels, -1)
        spikes = _Scan.apply(current.contiguous(), self.beta, back, 1 / (n + EPSILON), self.b)  # type: ignore[no-untyped-call]
        if self.training and self.penalty_weight > 0:
            self._activity = 0.5 * spikes.square().mean()
        shaped: torch.Tensor = spikes.reshape(time, channels, batch, *given)
        return shaped.permute(2, 0, 1, *range(3, shaped.ndim))

    def drive(self, x: torch.Tensor) -> torch.Tensor:
        """Return (1 - beta) J, (batch, out_channels, time, *places), for x as for `forward`."""
        wanted = (x.shape[1], *(-(-n // s) for n, s in zip(x.shape[3:], self.stride, strict=True)))
        convolve = CONVOLUTIONS[len(self.kernel_size) - 1]
        given: torch.Tensor = convolve(
            x.transpose(1, 2),
            (1 - self.beta) * self.weight,
            stride=(1, *self.stride),
            padding=self.padding,
            dilation=self.dilation,
        )
        return given[(slice(None), slice(None), *(slice(n) for n in wanted))]

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        names = ("in_channels", "out_channels", "kernel_size", "dilation", "stride")
        more = ("lateral", "recurrent", "penalty_weight")
        return {name: getattr(self, name) for name in (*names, *more)}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        said = self.arguments()
        first = [str(said.pop("in_channels")), str(said.pop("out_channels"))]
        return ", ".join([*first, *(f"{name}={value}" for name, value in said.items())])


class SpikingDense(_Spiking):
    """A layer without kernel: J_t = W x_t, for x (batch, time, channels); see `SpikingConv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        lateral: bool = True,
        recurrent: bool = False,
        penalty_weight: float = 0.0,
    ) -> None:
        """See `SpikingConv2d` for the arguments."""
        super().__init__(in_channels, out_channels, (1,), 1, (), lateral, recurrent, penalty_weight)

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        unsaid = ("kernel_size", "dilation", "stride")
        return {k: v for k, v in super().arguments().items() if k not in unsaid}


class SpikingConv1d(_Spiking):
    """A layer with a kernel over time alone: x (batch, time, channels); see `SpikingConv2d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int] = 1,
        lateral: bool = True,
        recurrent: bool = False,
        penalty_weight: float = 0.0,
    ) -> None:
        """See `SpikingConv2d` for the arguments; kernel_size and dilation: of time."""
        super().__init__(
            in_channels, out_channels, kernel_size, dilation, (), lateral, recurrent, penalty_weight
        )

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {k: v for k, v in super().arguments().items() if k != "stride"}


class SpikingConv2d(_Spiking):
    """s2net's layer with a kernel over time and frequency: x (batch, time, channels, frequencies).

    Equations and source: the module's docstring. Trained are the kernel `weight`, (out_channels,
    in_channels, *kernel_size), one `beta` a layer, a threshold `b` a channel and, if recurrent,
    `recurrence`, (from, to). Initial values are the authors' notebook's: weights of deviation
    0.15 / sqrt(fan-in), beta about 0.7 and b about 1. The spike's derivative is sigmoid(10 u)
    sigmoid(-10 u), and gradients pass through the spikes of the step before and through W into D.

    A kernel looks as many steps ahead as back, so a chip gives the layer's spikes later by half its
    reach. Steps before the first and behind the last are zeros. Where (k - 1) dilation is odd, the
    authors' layer gives one step more than it is given; append a step of zeros to have it too.

    Args:
        in_channels: channels of x.
        out_channels: channels of the spikes, neurons at each place.
        kernel_size: taps over time, then over each axis of the place.
        dilation: steps or places between taps, one number or one an axis.
        stride: places from one neuron to the next, over each axis but time.
        lateral: a spike takes its kernel's projection off all channels of its place (D S), not
            only its own threshold off its own (b n S).
        recurrent: add spikes of the step before to the drive, by a trained matrix.
        penalty_weight: weight of half the mean squared spike in `penalty`.

    Raises:
        ParameterError: an argument out of its range.
    """

    axes: ClassVar[tuple[str, ...]] = ("frequencies",)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        dilation: int | Sequence[int] = 1,
        stride: int | Sequence[int] = 1,
        lateral: bool = True,
        recurrent: bool = False,
        penalty_weight: float = 0.0,
    ) -> None:
        """See the class for the arguments."""
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            dilation,
            stride,
            lateral,
            recurrent,
            penalty_weight,
        )


class SpikingConv3d(SpikingConv2d):
    """A kernel over time and images: x (batch, time, channels, rows, columns); `SpikingConv2d`."""

    axes: ClassVar[tuple[str, ...]] = ("rows", "columns")


class NormalizedReadout(nn.Module):
    """s2net's readout: the mean over time of w_k s_t / (|w_k|^2 + 1e-8), minus b_k.

    No bias enters before the division, and there is neither leak nor spike. Source: the authors'
    code, readout "mean".

    Args:
        in_features: neurons of the last spiking layer, flattened.
        out_features: classes.

    Raises:
        ParameterError: an argument out of its range.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        """See the class for the arguments."""
        super().__init__()
        self.in_features = check_size(in_features, "in_features", "NormalizedReadout")
        self.out_features = check_size(out_features, "out_features", "NormalizedReadout")
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.b = nn.Parameter(torch.empty(out_features))
        with torch.no_grad():
            self.weight.normal_(0.0, W_STD / in_features**0.5)
            self.b.normal_(B_INIT, INIT_STD)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weight (out_features, in_features) and bias that every step is given."""
        return self.weight / (self.weight.square().sum(1, keepdim=True) + EPSILON), -self.b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores.

        Args:
            x: spikes, float (batch, time, in_features).

        Returns:
            Scores (batch, out_features) in x's dtype.

        Raises:
            DataError: x has another shape or is not of a float type.
        """
        check_sequence(x, self.in_features, "NormalizedReadout")
        return nn.functional.linear(x.mean(1), *self.affine())

    def arguments(self) -> dict[str, object]:
        """Return the constructor's arguments that make such a layer."""
        return {"in_features": self.in_features, "out_features": self.out_features}

    def extra_repr(self) -> str:
        """Return the arguments, for printing the module."""
        return f"{self.in_features}, {self.out_features}"


def _sizes(given: int | Sequence[int], rank: int, name: str, where: str) -> tuple[int, ...]:
    values = tuple(given) if isinstance(given, list | tuple) else (given,) * rank
    if len(values) != rank:
        raise ParameterError(f"{where}: {name} is {given!r}, give {rank} numbers")
    return tuple(check_size(value, name, where) for value in values)
