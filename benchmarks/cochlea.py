"""The cochlea encoder: seconds of one core for a second of sound, and what it is made of.

    SNN2HW_DATA=/path/to/data python benchmarks/cochlea.py [--plot docs/cochlea.svg]

The sound is a spoken word of Arabic Speech Commands (8 kHz), resampled to each rate: what is drawn
depends on how much fires. Times are those of the processor, best of some runs on one core; the
first run of a length computes its transfer functions, which is told apart, and Numba compiles
before. "A draw in each sample" is what drawing 40 trains sample by sample would take alone.
With --plot, the word's spikes as a picture.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cochlea_plot import svg
from common import Bench, one_core

from snn2hw.data import arabic_speech_commands, find_data
from snn2hw.data.cochlea import CochleaEncoder
from snn2hw.data.cochlea.encoder import prepare, resample
from snn2hw.data.cochlea.membrane import transfer_functions
from snn2hw.data.cochlea.sounds import read_samples
from snn2hw.files import atomic

RUNS = 5
CHANNELS, TRAINS = 700, 40
WORD = "dataset/seven/00000002_NO_02.flac"


def seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Processor time of the quickest of some runs."""
    best = float("inf")
    for _ in range(runs):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def word() -> tuple[np.ndarray, int]:
    folder = find_data(arabic_speech_commands.FOLDER, arabic_speech_commands.HOW)
    return read_samples(folder / WORD)


def measure(bench: Bench, sound: np.ndarray, rate_hz: int, wrap: bool) -> None:
    encoder = CochleaEncoder(CHANNELS, wrap=wrap)
    long = len(sound) / rate_hz
    first = seconds(lambda: encoder.encode(sound, rate_hz), 1)
    each = seconds(lambda: encoder.encode(sound, rate_hz))
    membrane = encoder.membrane
    prepared = prepare(sound)
    moved = seconds(lambda: [None for _ in membrane.move(prepared, rate_hz, wrap)])
    samples = len(sound) // 2 + 1
    rng = np.random.default_rng(0)
    plain = seconds(lambda: rng.random((TRAINS, samples)) < 0.01, 3) * CHANNELS
    spikes = encoder.encode(sound, rate_hz)
    row = {
        "rate_hz": rate_hz,
        "wrap": wrap,
        "sound_s": long,
        "spikes": len(spikes),
        "first_s": first,
        "each_s": each,
        "membrane_s": moved,
        "cells_s": each - moved,
        "times_real_time": long / each,
        "draw_in_each_sample_s": plain,
    }
    bench.add(row)
    print(
        f"{rate_hz:6d} Hz{', wrap' if wrap else '      '}: {each:6.3f} s for {long:.2f} s, "
        f"{long / each:5.2f} times real time (membrane {moved:.3f}, cells {each - moved:.3f}); "
        f"first of its length {first:.2f} s; a draw in each sample {plain:.1f} s; "
        f"{len(spikes)} spikes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", metavar="PICTURE.svg", type=Path)
    options = parser.parse_args()
    sound, rate_hz = word()
    if options.plot:
        encoder = CochleaEncoder(CHANNELS, rate_hz=48_000)
        with atomic(options.plot) as part:
            part.write_text(svg(sound, rate_hz, encoder.encode(sound, rate_hz)), encoding="utf-8")
        print(f"wrote {options.plot}")
        return
    bench = Bench("cochlea", word=WORD, channels=CHANNELS, trains=TRAINS, runs=RUNS)
    CochleaEncoder(4).encode(np.ones(1600), 16_000)
    with one_core():
        table = seconds(lambda: transfer_functions(16_000.0, 1000, np.linspace(0, 3.5, 100)))
        print(f"transfer functions: {table / 1e5 * 1e9:.0f} ns for a channel and frequency")
        for to_hz in (16_000, 22_050, 48_000):
            for wrap in (False, True):
                at = resample(sound, rate_hz, to_hz)
                measure(bench, at, to_hz, wrap)
    bench.write()


if __name__ == "__main__":
    main()
