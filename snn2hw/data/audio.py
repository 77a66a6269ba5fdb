"""Log-mel features of one-second clips: the front end of the spoken-word examples.

Definition, for a clip y at 8 kHz, cut or padded with zeros at its end to 8000 samples:

1. 100 frames, frame k centred on sample 80 k (10 ms apart), zeros outside the clip; each is 256
   samples under a periodic Hann window of 200 samples (25 ms) in its middle.
2. Power spectrum |DFT|^2, 129 bins.
3. 40 triangular filters, centres equidistant on Slaney's mel scale between 0 and 4000 Hz, each of
   unit area (librosa's default filters).
4. Natural logarithm of (power + 1e-6).
5. Mean of each two neighbouring frames: 50 steps of 20 ms.

`log_mel_with_deltas` is the front end of the e-prop experiments, `log_mel_deltas` that of s2net;
both are defined there.

It needs librosa and soundfile, the extra ``[audio]``, which are imported on first use.
"""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn2hw.data.recordings import read_samples
from snn2hw.errors import DataError, FileFormatError, MissingDependencyError

RATE_HZ = 8000
CLIP_SAMPLES = RATE_HZ
WINDOW_SAMPLES = 200
FFT_SAMPLES = 256
HOP_SAMPLES = 80
BANDS = 40
FRAMES_PER_STEP = 2
STEPS = CLIP_SAMPLES // (HOP_SAMPLES * FRAMES_PER_STEP)
DT_S = HOP_SAMPLES * FRAMES_PER_STEP / RATE_HZ
POWER_FLOOR = 1e-6

DELTA_WINDOW_SAMPLES = 240
DELTA_LOW_HZ = 20.0
DELTA_FRAMES = 9
DELTA_STEPS = CLIP_SAMPLES // HOP_SAMPLES
DELTA_DT_S = HOP_SAMPLES / RATE_HZ
DELTA_ORDERS = 3


@dataclass(frozen=True)
class Cut:
    """A piece of a longer recording: its file, and first sample and samples at the file's rate."""

    path: Path
    start: int
    samples: int


def read_clip(source: Path | Cut, repairs: Counter[str] | None = None) -> NDArray[np.float32]:
    """Read a clip, mixed to one channel, at 8 kHz, cut or padded at its end to one second.

    Args:
        source: a file that libsndfile reads (.flac, .wav), of any sampling rate, or a part of one.
        repairs: counts what was done to the clip, by what it was.

    Returns:
        (8000,) float32, full scale at 1; all zero where the recording is.

    Raises:
        MissingDependencyError: the [audio] extra is not installed.
        DataError: there is no such file.
        FileFormatError: the file is not audio, ends before its header says, has a sampling rate
            beyond 1 to 400 kHz, holds no samples, or a sample is not finite.
    """
    part = source if isinstance(source, Cut) else Cut(source, 0, -1)
    path = part.path
    samples, rate = read_samples(path, part.start, part.samples)
    if not len(samples):
        raise FileFormatError(f"{path}: holds no samples, leave it out or get it anew")
    finite = np.isfinite(samples).all(1)
    if not finite.all():
        raise FileFormatError(
            f"{path}: sample {int(np.argmin(finite))} is not a finite number, mend or leave it out"
        )
    done: list[str] = []
    if samples.shape[1] > 1:
        done.append(f"mixed from {samples.shape[1]} channels to one")
    signal = samples.mean(1)
    if rate != RATE_HZ:
        done.append(f"resampled from {rate} to {RATE_HZ} Hz")
        # the same resampler as that of the 8 kHz copies of Arabic Speech Commands
        signal = _import("librosa").resample(
            signal, orig_sr=rate, target_sr=RATE_HZ, res_type="polyphase"
        )
    if len(signal) < CLIP_SAMPLES:
        done.append("padded with silence to 1 s")
    elif len(signal) > CLIP_SAMPLES:
        done.append("cut to 1 s")
    clip = np.zeros(CLIP_SAMPLES, dtype=np.float32)
    clip[: len(signal)] = signal[:CLIP_SAMPLES]
    if not clip.any():
        done.append("silent, and kept so")
    if repairs is not None:
        repairs.update(done)
    return clip


def log_mel(clip: NDArray[np.floating], dt_s: float = DT_S) -> NDArray[np.float32]:
    """Compute the features that the module's text defines.

    Args:
        clip: (8000,) float, full scale at 1, 8 kHz.
        dt_s: 0.02, or 0.01 to leave out the mean of two frames.

    Returns:
        (50 or 100, 40) float32, natural logarithm of power.

    Raises:
        DataError: the clip has another shape, or dt_s is neither of the two.
        MissingDependencyError: the [audio] extra is not installed.
    """
    _check_clip(clip, "log_mel")
    bands = _bands(clip, FFT_SAMPLES, WINDOW_SAMPLES, 0.0)
    frames = np.log(bands + POWER_FLOOR).T.reshape(-1, frames_per_step(dt_s), BANDS)
    return np.asarray(frames.mean(1), dtype=np.float32)


def log_mel_with_deltas(clip: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute 40 compressed mel bands and their rate of change, the inputs of e-prop.

    The front end of Rostami et al. 2022 (doi 10.3389/fnins.2022.1018006, their code
    e-prop-on-gsc), whose clips have 16 kHz, at 8 kHz:

    1. 100 frames, frame k centred on sample 80 k (10 ms apart), zeros outside the clip; 240
       samples (30 ms) under a periodic Hann window; power spectrum, 121 bins.
    2. 40 triangular filters as above, between 20 and 4000 Hz, give S.
    3. m = ln(1 + S / max S), the maximum of the clip; S itself where the clip is silent.
    4. d_k, slope in frame k of a straight line fitted to the 9 frames around k, in units of m per
       frame; in the first and last 4 frames that of the first and last 9.
    5. Each of the 80 channels divided by its standard deviation over the clip's frames, where
       that is not 0.

    Args:
        clip: (8000,) float, full scale at 1, 8 kHz.

    Returns:
        (100, 80) float32, dimensionless: m in the first 40 channels, d in the last 40.

    Raises:
        DataError: the clip has another shape.
        MissingDependencyError: the [audio] extra is not installed.
    """
    _check_clip(clip, "log_mel_with_deltas")
    # not by _slopes: checkpoints hold the hash of these to the last bit
    bands = _compressed(clip)
    slope = _import("librosa").feature.delta(bands, width=DELTA_FRAMES, order=1)
    return _by_spread(np.concatenate([bands, slope]).T)


def log_mel_deltas(clip: NDArray[np.floating], dt_s: float = DT_S) -> NDArray[np.float32]:
    """Compute compressed mel bands with first and second differences, the inputs of s2net.

    The front end of Zimmer et al. (arXiv 1911.10124 and 2011.06846, their code romainzimmer/s2net),
    whose clips have 16 kHz and steps of 10 ms, at 8 kHz:

    1. m and its slope d as in 1 to 4 of `log_mel_with_deltas`; and the second derivative of the
       parabola fitted to the same 9 frames, in units of m per frame squared.
    2. At 20 ms the mean of each two neighbouring frames, of all three.
    3. Each of the 3 x 40 divided by its standard deviation over the clip's steps, where that is
       not 0; no mean is removed. Dividing by the spread over many clips, the last step of
       theirs, is left to `features.load`, which takes the training clips for a batch.

    Their clips are divided by their largest sample first, which m = ln(1 + S / max S) undoes.

    Args:
        clip: (8000,) float, full scale at 1, 8 kHz.
        dt_s: 0.02 or 0.01.

    Returns:
        (50 or 100, 3, 40) float32, dimensionless: m, first, second derivative.

    Raises:
        DataError: the clip has another shape, or dt_s is neither of the two.
        MissingDependencyError: the [audio] extra is not installed.
    """
    _check_clip(clip, "log_mel_deltas")
    bands = _compressed(clip)
    maps = np.stack([bands, bands @ _slopes(1), bands @ _slopes(2)]).transpose(2, 0, 1)
    return _by_spread(maps.reshape(-1, frames_per_step(dt_s), DELTA_ORDERS, BANDS).mean(1))


def frames_per_step(dt_s: float) -> int:
    """Return how many frames of 10 ms a step has; raise DataError unless 0.01 or 0.02 s."""
    for frames in (1, FRAMES_PER_STEP):
        if abs(dt_s * RATE_HZ - frames * HOP_SAMPLES) < 1e-6 * HOP_SAMPLES:
            return frames
    raise DataError(f"audio features: steps of {dt_s:g} s cannot be had, give dt_s 0.01 or 0.02")


def _compressed(clip: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return m of `log_mel_with_deltas`, (40, 100)."""
    power = _bands(clip, DELTA_WINDOW_SAMPLES, DELTA_WINDOW_SAMPLES, DELTA_LOW_HZ)
    top = power.max()
    return np.log1p(power / top) if top > 0 else power


@cache
def _slopes(order: int) -> NDArray[np.float32]:
    """Return the derivative, which is linear, as a matrix (100, 100): four times faster."""
    unit = np.eye(DELTA_STEPS, dtype=np.float32)
    matrix: NDArray[np.float32] = _import("librosa").feature.delta(
        unit, width=DELTA_FRAMES, order=order
    )
    return matrix


def _by_spread(steps: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide each channel by its standard deviation over the steps, where that is not 0."""
    spread = steps.std(0)
    return np.asarray(steps / np.where(spread > 0, spread, 1), dtype=np.float32)


def _check_clip(clip: NDArray[np.floating], where: str) -> None:
    if clip.shape != (CLIP_SAMPLES,):
        raise DataError(
            f"{where}: the clip has shape {clip.shape}, give ({CLIP_SAMPLES},) at {RATE_HZ} Hz"
        )


def _bands(
    clip: NDArray[np.floating], fft_samples: int, window_samples: int, low_hz: float
) -> NDArray[np.float32]:
    """Return the power in each band, (40, 100)."""
    spectrum = _import("librosa").stft(
        np.asarray(clip, dtype=np.float32),
        n_fft=fft_samples,
        win_length=window_samples,
        hop_length=HOP_SAMPLES,
        window="hann",
        center=True,
        pad_mode="constant",
    )[:, : CLIP_SAMPLES // HOP_SAMPLES]
    bands: NDArray[np.float32] = _filters(fft_samples, low_hz) @ (np.abs(spectrum) ** 2)
    return bands


@cache
def _filters(fft_samples: int, low_hz: float) -> NDArray[np.float32]:
    matrix: NDArray[np.float32] = _import("librosa").filters.mel(
        sr=RATE_HZ, n_fft=fft_samples, n_mels=BANDS, fmin=low_hz, fmax=RATE_HZ / 2
    )
    return matrix


def _import(name: str) -> Any:
    """Import an optional package; type Any, for it ships no types."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"audio features need {name}, which is not installed: run pip install 'snn2hw[audio]'"
        ) from error
