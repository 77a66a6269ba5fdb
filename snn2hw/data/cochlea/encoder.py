"""Sound to spikes: RMS, ramp, basilar membrane, hair cells, their fibres, bushy cells."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from snn2hw.arguments import check_seed
from snn2hw.data.cochlea import kernels
from snn2hw.data.cochlea.kernels import LEVEL, REFRACTORY_S
from snn2hw.data.cochlea.membrane import BasilarMembrane
from snn2hw.errors import DataError, ParameterError

SHORTEST_S = 0.01
"""Shorter sounds hold not one period of the lowest place."""

LONGEST_S = 60.0
"""Of longer ones the motion of all places would fill the memory."""

RATES_HZ = (1000.0, 400_000.0)

LOWEST_OWN_HZ = 16_000.0
"""Sounds of a lower rate are resampled to this one, SSC's, unless told otherwise: the hair cell's
Euler step has the factor 1 - (l + r) dt with dt = 2 / rate, which is below -1 under 9080 Hz."""

KEEP_BYTES = 1 << 29


@dataclass(frozen=True, eq=False)
class Spikes:
    """What a sound became.

    Attributes:
        times: float64 (n,), seconds from the sound's start, ascending.
        units: int64 (n,), channels, 0 of the highest frequency; ascending where times are equal.
        channels: how many there are.
        duration_s: of the sound.
        silent: whether every sample was zero: all spikes are spontaneous.
    """

    times: NDArray[np.float64]
    units: NDArray[np.int64]
    channels: int
    duration_s: float
    silent: bool

    def __len__(self) -> int:
        """How many spikes."""
        return len(self.times)

    def counts(self, steps: int, dt_s: float) -> NDArray[np.uint16]:
        """Spikes in each step of dt_s, uint16 (steps, channels); those after the end left out."""
        step = np.floor(self.times / dt_s + 1e-9).astype(np.int64)
        inside = step < steps
        x = np.zeros((steps, self.channels), dtype=np.uint16)
        np.add.at(x, (step[inside], self.units[inside]), 1)
        return x


class CochleaEncoder:
    """Turns sounds into spikes as Lauscher did for SHD and SSC, the same ones for the same seed.

    Every sound has random numbers of its own, by seed, its `stream` and the channel, so that
    neither the order of sounds nor the number of threads matters. Threads may share an encoder.
    """

    def __init__(
        self,
        channels: int = 700,
        *,
        rate_hz: float | None = None,
        trains: int = 40,
        seed: int = 0,
        wrap: bool = False,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        """Set it up; nothing is computed yet.

        Args:
            channels: places on the membrane, evenly from 0 to 3.5; 1 to 65536.
            rate_hz: sounds of another sampling rate are resampled to this one first. None: only
                those below 16 kHz are, to 16 kHz: under 9.1 kHz the hair cell's steps diverge, and
                silence would give more spikes than speech does at 48 kHz.
            trains: fibres from a hair cell to its bushy cell, 40 in SHD.
            seed: of all random draws, 0 to 2**63 - 1.
            wrap: True: the membrane's FFT has exactly the sound's length, as Lauscher's, so that
                what rings on after the end comes back at the start, and lengths with large prime
                factors are slow. False: silence follows the sound up to a quick length.
            keep_bytes: memory for transfer functions, 16 bytes a channel and frequency.

        Raises:
            ParameterError: a number out of its range.
        """
        if not (1 <= channels <= 1 << 16 and 1 <= trains <= 10_000):
            raise ParameterError(
                f"cochlea: {channels} channels, {trains} trains; give 1 to 65536 and 1 to 10000"
            )
        check_seed(seed, "cochlea")
        if rate_hz is not None:
            _check_rate(rate_hz)
        self.channels, self.rate_hz, self.trains = channels, rate_hz, trains
        self.seed, self.wrap = seed, wrap
        self.membrane = BasilarMembrane(channels, keep_bytes)

    def inner_rate_hz(self, rate_hz: float) -> float:
        """The rate at which the chain takes a sound of this rate; the spikes' is half of it."""
        return self.rate_hz if self.rate_hz is not None else max(rate_hz, LOWEST_OWN_HZ)

    def encode(self, samples: npt.ArrayLike, rate_hz: float, stream: int | str = 0) -> Spikes:
        """Turn one sound into spikes.

        The sound is scaled to a root mean square of 0.3 (its loudness is thereby gone) and rises
        and falls with a Hann window over its whole length. A sound of zeros stays one.

        Args:
            samples: (n,), any unit, of one channel; 10 ms to 60 s.
            rate_hz: their sampling rate, 1000 to 400000.
            stream: which random numbers, of this seed: a number or a name, such as the file's.

        Returns:
            Spikes, their times multiples of 2 / rate of the chain.

        Raises:
            DataError: another shape or length, or samples that are not finite.
            ParameterError: a rate out of its range.
        """
        _check_rate(rate_hz)
        sound = _check_sound(samples, rate_hz)
        duration_s = len(sound) / rate_hz
        inner_hz = self.inner_rate_hz(rate_hz)
        if inner_hz != rate_hz:
            sound, rate_hz = resample(sound, rate_hz, inner_hz), inner_hz
        silent = not np.any(sound)
        seeds = stream_seeds(self.seed, stream, self.channels)
        half_hz = rate_hz / 2
        refractory = math.ceil(REFRACTORY_S * half_hz - 1e-9)
        steps, units = [], []
        for part, motion in self.membrane.move(prepare(sound), rate_hz, self.wrap):
            at = np.empty(motion.shape, dtype=np.int32)
            found = np.empty(len(motion), dtype=np.int64)
            kernels.cells(motion, half_hz, self.trains, refractory, seeds[part], at, found)
            steps += [row[:many] for row, many in zip(at, found, strict=True)]
            units.append(np.repeat(np.arange(part.start, part.stop), found))
        step, unit = np.concatenate(steps), np.concatenate(units)
        order = np.argsort(step, kind="stable")
        return Spikes(step[order] / half_hz, unit[order], self.channels, duration_s, silent)


def prepare(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to a root mean square of 0.3, then ramp up over the first half and down over the last.

    The ramp is half of NumPy's (symmetric) Hann window of 2 (n // 2) samples; with an odd number,
    the sample in the middle stays as it is. Zeros stay zeros. float64 (n,) to float64 (n,).
    """
    peak = np.max(np.abs(sound))
    if peak == 0.0:
        return sound
    # by the peak first, lest squares of tiny samples vanish
    out: NDArray[np.float64] = sound / peak
    out *= LEVEL / np.sqrt(np.mean(out**2))
    half = len(out) // 2
    ramp = np.hanning(2 * half)[:half]
    out[:half] *= ramp
    out[len(out) - half :] *= ramp[::-1]
    return out


def resample(sound: NDArray[np.float64], rate_hz: float, to_hz: float) -> NDArray[np.float64]:
    """Resample by SciPy's polyphase filter; rates are whole numbers of Hz. float64 to float64."""
    from scipy.signal import resample_poly

    up, down = round(to_hz), round(rate_hz)
    common = math.gcd(up, down)
    return np.asarray(resample_poly(sound, up // common, down // common), dtype=np.float64)


def stream_seeds(seed: int, stream: int | str, channels: int) -> NDArray[np.uint64]:
    """Start of each channel's random numbers; names are hashed, numbers taken as they are."""
    if isinstance(stream, str):
        digest = hashlib.sha256(stream.encode("utf-8", "surrogateescape")).digest()
        key = (1, *np.frombuffer(digest[:16], dtype="<u4").tolist())
    else:
        key = (0, stream)
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return sequence.generate_state(channels, np.uint64).astype(np.uint64)


def _check_rate(rate_hz: float) -> None:
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise ParameterError(
            f"cochlea: a sampling rate of {rate_hz:g} Hz; give {low:g} to {high:g} Hz"
        )


def _check_sound(samples: Any, rate_hz: float) -> NDArray[np.float64]:
    sound = np.asarray(samples, dtype=np.float64)
    if sound.ndim != 1:
        raise DataError(
            f"cochlea: samples of shape {sound.shape}; give one channel, (n,), such as their mean"
        )
    seconds = len(sound) / rate_hz
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise DataError(
            f"cochlea: a sound of {seconds:.3g} s; give {SHORTEST_S:g} to {LONGEST_S:g} s, cut it"
        )
    if not np.all(np.isfinite(sound)):
        raise DataError("cochlea: samples that are not finite; mend the sound")
    return sound
