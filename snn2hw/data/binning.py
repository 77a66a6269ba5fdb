"""From events to steps: how the authors of SHD networks count spikes, and what they vary.

- ``gpn``: steps over one second, step i takes what came by i / steps and was not taken before, so
  that step 0 holds spikes at time 0 alone and those after (steps - 1) / steps are lost; channels
  upside down, unit u in channel 700 - u, unit 0 lost. Wang et al., arXiv 2412.01087, by their code
  hrje123/hr-GPN-SNN, `core/audio_dataset.py`.
- ``digitize``: step ``numpy.digitize(time, numpy.linspace(0, window, steps))``: steps of
  window / (steps - 1), the first of which, number 1, follows an empty step 0; spikes from the
  window's end on are lost. Zenke's spytorch and idiap's sparch, with 100 steps and 1.4 s.
- ``floor``: step floor(time / dt) with dt = window / steps, as ``snn2hw run --data`` counts; a time
  that rounding has put just below a boundary counts as on it (`in_steps`).

All count: two spikes in a step and channel give 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from snn2hw.data.events import CHANNELS, Events
from snn2hw.errors import DataError

EDGE = 1e-6
"""A time this fraction of a step below a boundary counts as on it: times are rounded decimals."""

EDGE_SPACINGS = 2
"""So does one this many spacings of its type below: k dt computed in float32 is up to 1.5 off."""

EDGE_MAX = 0.1
"""But none further below than this fraction of a step, however coarse its type."""

STEPS_MAX = 10_000

Steps = NDArray[np.int64]


def bin_events(
    events: Events, binning: str, steps: int, window_s: float, channels: int = CHANNELS
) -> NDArray[np.uint16]:
    """Count spikes by step and channel.

    Args:
        events: spikes of some samples.
        binning: "gpn", "digitize" or "floor", as the module's text says.
        steps: how many.
        window_s: what they cover, in seconds ("digitize": all but the first).
        channels: how many.

    Returns:
        (samples, steps, channels).

    Raises:
        DataError: an argument out of its range, or more than 65,535 spikes in one place.
    """
    check_binning(binning, steps, window_s)
    step = _STEP[binning](events.times, steps, window_s)
    channel = channels - events.units if binning == "gpn" else events.units
    kept = (step < steps) & (channel < channels)
    place = (events.sample[kept] * steps + step[kept]) * channels + channel[kept]
    counts = np.bincount(place, minlength=events.samples * steps * channels)
    if counts.max(initial=0) > np.iinfo(np.uint16).max:
        raise DataError(
            f"binning: {counts.max()} spikes in one step of one channel, give more steps"
        )
    return counts.astype(np.uint16).reshape(events.samples, steps, channels)


def step_s(binning: str, steps: int, window_s: float) -> float:
    """Return the time between two steps, in seconds; raises what `bin_events` raises."""
    check_binning(binning, steps, window_s)
    return window_s / (steps - 1 if binning == "digitize" else steps)


def in_steps(times: NDArray[np.generic], dt_s: float) -> NDArray[np.float64]:
    """Return times in units of steps, whose floor is the step, those just below a boundary on it.

    Just below is what rounding does: EDGE of a step, or EDGE_SPACINGS spacings of the times' own
    type if that is more (2.4e-4 of a 1 ms step at 1 s in float32), but never more than EDGE_MAX.
    float16, which SHD has, gets EDGE alone: its spacing is a good part of a step (1 ms at 1 s), so
    a time near a boundary is no sign of one on it.

    Args:
        times: of any shape and real type, in seconds, in the type they are stored in.
        dt_s: a step, in seconds.

    Returns:
        float64 of the same shape; not finite where the times are not.
    """
    steps = times.astype(np.float64) / dt_s
    if times.dtype.kind != "f" or times.dtype == np.float16:
        return steps + EDGE
    finite = np.where(np.isfinite(times), times, times.dtype.type(0))
    rounding = EDGE_SPACINGS * np.spacing(np.abs(finite)).astype(np.float64) / dt_s
    return steps + np.clip(rounding, EDGE, EDGE_MAX)


def check_binning(binning: str, steps: int, window_s: float) -> None:
    """Raise DataError unless the arguments of `bin_events` are in their ranges."""
    if binning not in _STEP:
        names = ", ".join(f'"{name}"' for name in _STEP)
        raise DataError(f"binning: there is no {binning!r}, give one of {names}")
    if not isinstance(steps, int) or not 2 <= steps <= STEPS_MAX:
        raise DataError(f"binning: steps is {steps!r}, give a whole number from 2 to {STEPS_MAX}")
    if not 0 < window_s < np.inf:
        raise DataError(f"binning: window_s is {window_s!r}, give seconds above 0")


def roll_channels(
    x: NDArray[np.number], rng: np.random.Generator, limit: int = 15
) -> NDArray[np.number]:
    """Roll each step of each sample along the channels, as GPN's authors vary SHD for training.

    Every row x[sample, step] moves by its own whole number, uniform in -limit ... limit; what
    leaves at one end comes in at the other. Wang et al. do so once, before training
    (`F_AUDIO_aug`); here it can be done for each batch.

    Args:
        x: (samples, steps, channels).
        rng: where the numbers come from.
        limit: largest shift, in channels.

    Returns:
        An array of x's shape and type.

    Raises:
        DataError: x has other axes, or limit is negative.
    """
    if x.ndim != 3 or limit < 0:
        raise DataError(
            f"roll_channels: x has shape {x.shape} and limit is {limit}, give (samples, steps,"
            " channels) and 0 or more"
        )
    shift = rng.integers(-limit, limit + 1, x.shape[:2])
    source = (np.arange(x.shape[2]) - shift[..., None]) % x.shape[2]
    return np.take_along_axis(x, source, axis=2)


def _gpn(times: NDArray[np.floating], steps: int, window_s: float) -> Steps:
    # NumPy compares an array of float16 with a Python float in float16, so theirs did too
    bounds = (np.arange(steps) * (window_s / steps)).astype(times.dtype)
    return np.searchsorted(bounds, times, side="left")


def _digitize(times: NDArray[np.floating], steps: int, window_s: float) -> Steps:
    bounds = np.linspace(0, window_s, steps)
    return np.searchsorted(bounds, times.astype(np.float64), side="right")


def _floor(times: NDArray[np.floating], steps: int, window_s: float) -> Steps:
    return np.floor(in_steps(times, window_s / steps)).astype(np.int64)


_STEP: dict[str, Callable[[NDArray[np.floating], int, float], Steps]] = {
    "gpn": _gpn,
    "digitize": _digitize,
    "floor": _floor,
}
