"""Vary recordings as speakers do, while a network learns them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from snn2hw.arguments import ABOVE_ZERO, FRACTION, NOT_NEGATIVE, check_limits


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Vary a batch as speakers do: later or earlier, higher, louder. Call it on the batch.

    Each clip moves by up to `shift_steps` steps and by up to `shift_bands` bands, the edge
    repeated, and all its values by one normal number of standard deviation `loudness`, limited to
    what the features are limited to; then up to `hidden_bands` neighbouring bands and
    `hidden_steps` neighbouring steps are set to 0, the mean of standardised features. Where a step
    is (deltas, bands), all deltas move alike, and the first alone becomes louder: the differences
    in time of a constant are 0; `tilt` does the same with a straight line over the bands, -1 at the
    lowest to 1 at the highest. Last, every value gets a normal number of its own of standard
    deviation `noise`.

    `stretch` and `warp` come first: time runs by a factor of 1 - stretch to 1 + stretch around the
    clip's middle, frequency by 1 - warp to 1 + warp around the lowest band, between two steps or
    bands on a straight line. Warped frequency stands for a longer or shorter vocal tract (Jaitly
    and Hinton 2013), hidden bands and steps are SpecAugment's (Park et al. 2019).

    `roll_channels` is for spikes: before all else, every step of every clip moves by a number of
    channels of its own, what leaves at one end coming in at the other, as Wang et al. (arXiv
    2412.01087) do with 15 on SHD; `limit` must then be above the counts.

    All numbers come from torch's global random state on the CPU.

    Attributes:
        shift_steps: steps of time, at most.
        shift_bands: bands, at most.
        loudness: standard deviation, in the features' units.
        hidden_bands: bands, at most.
        hidden_steps: steps of time, at most.
        noise: standard deviation, in the features' units.
        stretch: share of the clip's length.
        warp: share of a band's number.
        tilt: standard deviation, in the features' units at the ends.
        roll_channels: channels, at most.
        limit: magnitude to which the features were limited.
    """

    shift_steps: int = field(default=0, metadata=NOT_NEGATIVE)
    shift_bands: int = field(default=0, metadata=NOT_NEGATIVE)
    loudness: float = field(default=0.0, metadata=NOT_NEGATIVE)
    hidden_bands: int = field(default=0, metadata=NOT_NEGATIVE)
    hidden_steps: int = field(default=0, metadata=NOT_NEGATIVE)
    noise: float = field(default=0.0, metadata=NOT_NEGATIVE)
    stretch: float = field(default=0.0, metadata=FRACTION)
    warp: float = field(default=0.0, metadata=FRACTION)
    tilt: float = field(default=0.0, metadata=NOT_NEGATIVE)
    roll_channels: int = field(default=0, metadata=NOT_NEGATIVE)
    limit: float = field(default=4.0, metadata=ABOVE_ZERO)

    def __post_init__(self) -> None:
        """Refuse negative numbers."""
        check_limits(self, "augment")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return a varied copy of x, float32 (batch, time, bands) or (batch, time, deltas, bands).

        The draws for shifts, loudness and hidden bands are made whatever their sizes, so that a
        seed means the same numbers as one of them changes; those that came later are only made
        where asked for.
        """
        batch, steps, bands = x.shape[0], x.shape[1], x.shape[-1]
        parts = x.reshape(batch, steps, -1, bands)
        if self.roll_channels:
            places = torch.arange(bands) - torch.randint(
                -self.roll_channels, self.roll_channels + 1, (batch, steps, 1, 1)
            )
            parts = parts.gather(3, (places % bands).expand_as(parts))
        if self.stretch:
            parts = _resample(parts, self.stretch, 1, (steps - 1) / 2)
        if self.warp:
            parts = _resample(parts, self.warp, 3, 0.0)
        later = torch.randint(-self.shift_steps, self.shift_steps + 1, (batch, 1))
        higher = torch.randint(-self.shift_bands, self.shift_bands + 1, (batch, 1))
        step = (torch.arange(steps) - later).clamp(0, steps - 1)
        band = (torch.arange(bands) - higher).clamp(0, bands - 1)
        moved = parts.gather(1, step[:, :, None, None].expand_as(parts))
        moved = moved.gather(3, band[:, None, None, :].expand_as(parts))
        louder = torch.zeros(batch, 1, parts.shape[2], 1)
        louder[:, 0, 0] = self.loudness * torch.randn(batch, 1)
        if self.tilt:
            slope = torch.linspace(-1, 1, bands) * (self.tilt * torch.randn(batch, 1))
            louder = louder.repeat(1, 1, 1, bands)
            louder[:, 0, 0] += slope
        moved = (moved + louder).clamp(-self.limit, self.limit)
        moved = moved * ~_some(batch, bands, self.hidden_bands)[:, None, None, :]
        if self.hidden_steps:
            moved = moved * ~_some(batch, steps, self.hidden_steps)[:, :, None, None]
        if self.noise:
            moved = moved + self.noise * torch.randn(moved.shape)
        return moved.reshape(x.shape)


def _resample(x: torch.Tensor, most: float, axis: int, fixed: float) -> torch.Tensor:
    """Read each row of x (batch, ...) along an axis at another pace, up to 1 +- `most`.

    What lies beyond the ends is the end's value; `fixed` is the place that does not move.
    """
    size = x.shape[axis]
    pace = 1 + most * (2 * torch.rand(len(x), 1) - 1)
    place = ((torch.arange(size) - fixed) * pace + fixed).clamp(0, size - 1)
    below = place.long().clamp(max=max(0, size - 2))
    shape = [len(x), *(size if k == axis else 1 for k in range(1, x.ndim))]
    index, share = below.reshape(shape).expand_as(x), (place - below).reshape(shape)
    above = (index + 1).clamp(max=size - 1)
    return torch.lerp(x.gather(axis, index), x.gather(axis, above), share.expand_as(x))


def _some(batch: int, size: int, most: int) -> torch.Tensor:
    """Return a mask (batch, size) of up to `most` neighbours in each row."""
    first = torch.randint(0, size, (batch, 1))
    last = first + torch.randint(0, most + 1, (batch, 1))
    places = torch.arange(size)
    return (places >= first) & (places < last)
