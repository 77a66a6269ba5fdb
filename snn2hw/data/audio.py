"""Log-mel features of one-second clips: the front end of the spoken-word examples.

Definition, for a clip y at 8 kHz, cut or padded with zeros at its end to 8000 samples:

1. 100 frames, frame k centred on sample 80 k (10 ms apart), zeros outside the clip; each is 256
   samples under a periodic Hann window of 200 samples (25 ms) in its middle.
2. Power spectrum |DFT|^2, 129 bins.
3. 40 triangular filters, centres equidistant on Slaney's mel scale between 0 and 4000 Hz, each of
   unit area (librosa's default filters).
4. Natural logarithm of (power + 1e-6).
5. Mean of each two neighbouring frames: 50 steps of 20 ms.

It needs librosa and soundfile, the extra ``[audio]``, which are imported on first use.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def read_clip(path: Path) -> NDArray[np.float32]:
    """Read a clip, mixed to one channel, at 8 kHz, cut or padded at its end to one second.

    Args:
        path: a file that libsndfile reads (.flac, .wav), of any sampling rate.

    Returns:
        (8000,) float32, full scale at 1.

    Raises:
        MissingDependencyError: the [audio] extra is not installed.
        FileFormatError: the file is not audio.
    """
    soundfile = _import("soundfile")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise FileFormatError(f"{path}: cannot be read as audio ({error})") from error
    signal = samples.mean(1)
    if rate != RATE_HZ:
        # the same resampler as that of the 8 kHz copies of Arabic Speech Commands
        signal = _import("librosa").resample(
            signal, orig_sr=rate, target_sr=RATE_HZ, res_type="polyphase"
        )
    clip = np.zeros(CLIP_SAMPLES, dtype=np.float32)
    clip[: len(signal)] = signal[:CLIP_SAMPLES]
    return clip


def log_mel(clip: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the features that the module's text defines.

    Args:
        clip: (8000,) float, full scale at 1, 8 kHz.

    Returns:
        (50, 40) float32, natural logarithm of power.

    Raises:
        DataError: the clip has another shape.
        MissingDependencyError: the [audio] extra is not installed.
    """
    if clip.shape != (CLIP_SAMPLES,):
        raise DataError(
            f"log_mel: the clip has shape {clip.shape}, give ({CLIP_SAMPLES},) at {RATE_HZ} Hz"
        )
    power = _import("librosa").stft(
        np.asarray(clip, dtype=np.float32),
        n_fft=FFT_SAMPLES,
        win_length=WINDOW_SAMPLES,
        hop_length=HOP_SAMPLES,
        window="hann",
        center=True,
        pad_mode="constant",
    )[:, : STEPS * FRAMES_PER_STEP]
    bands = _filters() @ (np.abs(power) ** 2)
    steps = np.log(bands + POWER_FLOOR).T.reshape(STEPS, FRAMES_PER_STEP, BANDS).mean(1)
    return np.asarray(steps, dtype=np.float32)


@cache
def _filters() -> NDArray[np.float32]:
    matrix: NDArray[np.float32] = _import("librosa").filters.mel(
        sr=RATE_HZ, n_fft=FFT_SAMPLES, n_mels=BANDS, fmin=0.0, fmax=RATE_HZ / 2
    )
    return matrix


def _import(name: str) -> Any:
    """Import an optional package; type Any, for neither of the two ships types."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"audio features need {name}, which is not installed: run pip install 'snn2hw[audio]'"
        ) from error
