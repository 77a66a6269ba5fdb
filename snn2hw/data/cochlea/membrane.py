"""Basilar membrane: how each place moves with a sound, by its transfer function.

Sieroka, Dosch and Rupp 2006 as Lauscher computes it: X = FFT(sound), its first n // 2 + 1 bins
times v(omega, c) of each place c, and the real part of the inverse FFT of as many bins. The motion
has half the sound's rate; what moves above a quarter of that rate is folded down, as it is there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import scipy.fft
import scipy.special
from numpy.typing import NDArray

from snn2hw.data.cochlea import kernels
from snn2hw.data.cochlea.kernels import ALPHA, C0, PLACE_END, H

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

BLOCK = 1 << 21
"""Channels times bins that are in memory at once, 100 MB, beside the tables kept."""


def places(channels: int) -> Real:
    """Places of the channels, float64 (channels,): 0, stiff, of high tones, to 3.5, of low ones."""
    return np.linspace(0.0, PLACE_END, channels)


def best_frequency_hz(place: Real | float) -> Real:
    """About where a place moves most: 20 kHz exp(-1.5 c), within 6 % for c from 0.5 to 3.5."""
    return np.asarray(20e3 * np.exp(-ALPHA / 2 * np.asarray(place, dtype=np.float64)))


def transfer_functions(rate_hz: float, bins: int, at: Real) -> Complex:
    """v(omega, c), the velocity of each place for a unit spectrum, in the model's units.

    Args:
        rate_hz: sampling rate of the sound.
        bins: number of frequencies, evenly from 1 Hz (0 would divide by 0) to half the rate.
        at: float64 (channels,), places from 0 to 3.5.

    Returns:
        complex128 (channels, bins). Half a microsecond each.
    """
    omega = 2 * np.pi * np.linspace(1.0, rate_hz / 2, bins)
    kappa = 2 * omega / ALPHA * np.sqrt(2 / (H * C0))
    j0, y0 = scipy.special.j0(kappa), scipy.special.y0(kappa)
    j1, y1 = scipy.special.j1(kappa), scipy.special.y1(kappa)
    impedance = np.sqrt(2 * C0 / H) * (1j * j0 + y0) / (j1 - 1j * y1)
    out = np.empty((len(at), bins), dtype=np.complex128)
    kernels.transfer(omega, np.ascontiguousarray(at, dtype=np.float64), impedance, out)
    return out


def padded_bins(samples: int) -> int:
    """Bins of a sound with silence after it: the next of 8 ... 15 times a power of two.

    Quick to transform, and few, so that sounds of all lengths share some tables.
    """
    need = max(samples // 2 + 1, 8)
    power = 1 << (need.bit_length() - 4)
    return -(-need // power) * power


class BasilarMembrane:
    """The membrane at some places, with the transfer functions that it computed last.

    Threads may share it. Tables of one rate and number of bins take 16 bytes times channels times
    bins (92 MB for 700 channels and a second at 16 kHz); those beyond `keep_bytes` are dropped,
    those used least recently first, and larger ones never kept.
    """

    def __init__(self, channels: int, keep_bytes: int) -> None:
        """Make it; nothing is computed yet."""
        self.places = places(channels)
        self.keep_bytes = keep_bytes
        self._tables: OrderedDict[tuple[float, int], Complex] = OrderedDict()
        self._lock = threading.Lock()

    def move(self, samples: Real, rate_hz: float, wrap: bool) -> Iterator[tuple[slice, Real]]:
        """The motion of the places, some channels at a time.

        Args:
            samples: float64 (n,), the sound.
            rate_hz: its sampling rate.
            wrap: whether what rings on after the sound's end comes back at its start, as in
                Lauscher; else silence follows the sound.

        Yields:
            The channels and float64 (channels, n // 2 + 1), at half the sound's rate.
        """
        kept = len(samples) // 2 + 1
        bins = kept if wrap else padded_bins(len(samples))
        length = len(samples) if wrap else 2 * (bins - 1)
        spectrum = np.asarray(scipy.fft.rfft(samples, n=length), dtype=np.complex128)
        table = self._table(rate_hz, bins)
        many = max(1, BLOCK // bins)
        for begin in range(0, len(self.places), many):
            part = slice(begin, min(begin + many, len(self.places)))
            rows = (
                table[part]
                if table is not None
                else transfer_functions(rate_hz, bins, self.places[part])
            )
            half = np.empty((len(rows), bins // 2 + 1), dtype=np.complex128)
            kernels.fold(rows, spectrum, half)
            motion = scipy.fft.irfft(half, n=bins, overwrite_x=True)
            yield part, np.ascontiguousarray(motion[:, :kept])

    def _table(self, rate_hz: float, bins: int) -> Complex | None:
        """The transfer functions, or None where they are too large to keep."""
        size = 16 * len(self.places) * bins
        if size > self.keep_bytes:
            return None
        key = (rate_hz, bins)
        with self._lock:
            if key not in self._tables:
                room = self.keep_bytes - size
                while sum(table.nbytes for table in self._tables.values()) > room:
                    self._tables.popitem(last=False)
                self._tables[key] = transfer_functions(rate_hz, bins, self.places)
            self._tables.move_to_end(key)
            return self._tables[key]
