"""A set of sounds to one file of spikes in the layout of SHD, in parts that outlive a kill.

Each sound becomes a part in a folder beside the output, written whole or not at all; when all are
there, they become the output and the folder goes. Started again with the same settings, the work
goes on where it stopped, but for sounds that have changed since; other settings are refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from snn2hw.data.cochlea.encoder import CochleaEncoder
from snn2hw.data.cochlea.membrane import padded_bins
from snn2hw.data.cochlea.sounds import Header, Sound, check_words, read_header, read_samples
from snn2hw.errors import DataError, Snn2hwError
from snn2hw.files import atomic

VERSION = 1
"""Of the parts; another one means that they are not used."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What was made.

    Attributes:
        sounds: how many.
        resumed: of these, how many an earlier run had made.
        seconds: of sound.
        spikes: how many.
        rates_hz: of the sounds: rate to number of sounds.
        inner_hz: the chain's: rate to number of sounds.
        mixed: names of sounds of several channels, which were mixed to their mean.
        silent: names of sounds all of whose samples are 0: spontaneous spikes alone.
        words: of the labels; none: the output has no labels.
    """

    sounds: int
    resumed: int
    seconds: float
    spikes: int
    rates_hz: dict[float, int]
    inner_hz: dict[float, int]
    mixed: tuple[str, ...]
    silent: tuple[str, ...]
    words: tuple[str, ...]


def encode_set(
    sounds: Sequence[Sound],
    output: Path,
    encoder: CochleaEncoder,
    *,
    words: Sequence[str] | None = None,
    jobs: int = 1,
    restart: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Encode sounds into a file in the layout of SHD.

    ``spikes/times`` (float32, seconds) and ``spikes/units`` (uint16), an array a sound;
    ``labels`` and ``extra/keys`` where every sound has a word; ``extra/speaker`` and
    ``extra/meta_info/speaker``, the name of each number, where every sound has a speaker;
    ``extra/files``, and the settings as attributes. The same sounds, settings and seed give the
    same spikes, whatever `jobs`.

    Args:
        sounds: in the order of the output.
        output: .h5 to write.
        encoder: settings and seed; the name of a sound is its stream.
        words: in the order of their labels; None: sorted.
        jobs: threads.
        restart: forget what an earlier run made.
        progress: told how many sounds of how many are done.

    Raises:
        FileFormatError: a file that is not sound; names it.
        DataError: a sound that is too short, too long or not finite, two sounds of one name, a word
            that is not among `words`, or there twice; an output that is one of the sounds, or whose
            folder is not there; an earlier run with other settings, while `restart` is False.
    """
    check_output(output, [sound.path for sound in sounds])
    names = [sound.name for sound in sounds]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two sounds are called {twice!r}; give folders that hold both")
    labels, keys = _labels(sounds, words)
    headers = [read_header(sound.path) for sound in sounds]
    folder = output.parent / f".{output.name}.parts"
    begin(folder, encoder, restart)
    parts = [_part(folder, sound) for sound in sounds]
    # like lengths follow each other: they share transfer functions
    order = sorted(
        range(len(sounds)),
        key=lambda k: (headers[k].rate_hz, padded_bins(headers[k].samples), k),
    )
    todo = [k for k in order if not parts[k].is_file()]
    resumed = len(sounds) - len(todo)
    if progress:
        progress(resumed, len(sounds))
    for done, _ in enumerate(_work(jobs, todo, lambda k: _encode(sounds[k], encoder, parts[k])), 1):
        if progress:
            progress(resumed + done, len(sounds))
    summary = _assemble(sounds, headers, parts, output, encoder, labels, keys)
    shutil.rmtree(folder, ignore_errors=True)
    return replace(summary, resumed=resumed)


def check_output(output: Path, read: Sequence[Path]) -> None:
    """Raise DataError for an output that is also read."""
    if output.exists() and any(path.exists() and output.samefile(path) for path in read):
        raise DataError(f"{output} is also read; name another output")


def begin(folder: Path, encoder: CochleaEncoder, restart: bool) -> None:
    """Make the folder of the parts, or empty it where asked or where nothing is in it.

    Raises DataError where parts of other settings are there, or where it cannot be written.
    """
    note = folder / "settings.json"
    wanted = {"version": VERSION, **settings(encoder)}
    try:
        if not restart and any(folder.glob("*.npz")):
            _check_settings(note, wanted)
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with atomic(note) as part:
            part.write_text(json.dumps(wanted), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {folder}: {error.strerror}; name an output in a folder that exists"
        ) from error


def _check_settings(note: Path, wanted: dict[str, Any]) -> None:
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        there = {name: said[name] for name in wanted}
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        raise DataError(
            f"{note.parent}: holds parts of an interrupted run whose settings cannot be read, give"
            " --restart to begin anew"
        ) from None
    other = [f"{k} was {there[k]} and is {wanted[k]}" for k in wanted if there[k] != wanted[k]]
    if other:
        raise DataError(
            f"{note.parent}: holds parts of an interrupted run with other settings"
            f" ({', '.join(other)}); change them back to go on, or give --restart to begin anew"
        )


def settings(encoder: CochleaEncoder) -> dict[str, Any]:
    """What was asked of an encoder; rate_hz 0: at each sound's own rate."""
    return {
        "channels": encoder.channels,
        "rate_hz": encoder.rate_hz or 0.0,
        "trains": encoder.trains,
        "seed": encoder.seed,
        "wrap": encoder.wrap,
    }


def _part(folder: Path, sound: Sound) -> Path:
    """Where its spikes are kept, by all that tells it from other sounds and from what it was."""
    state = sound.path.stat()
    place = str(sound.path.resolve())
    key = json.dumps([sound.name, place, state.st_size, state.st_mtime_ns])
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def _encode(sound: Sound, encoder: CochleaEncoder, part: Path) -> None:
    samples, rate_hz = read_samples(sound.path)
    try:
        spikes = encoder.encode(samples, rate_hz, sound.name)
    except Snn2hwError as error:
        raise type(error)(f"{sound.path}: {error}") from error
    with atomic(part) as path, path.open("wb") as file:
        np.savez(
            file,
            times=spikes.times.astype(np.float32),
            units=spikes.units.astype(np.uint16),
            silent=spikes.silent,
        )


def _work(jobs: int, todo: Sequence[int], task: Callable[[int], None]) -> Iterator[None]:
    """Do tasks in some threads, yielding after each; the first error ends it."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting: set[Future[None]] = set()
        left = iter(todo)
        try:
            for k in left:
                waiting.add(pool.submit(task, k))
                if len(waiting) > 2 * jobs:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            for future in waiting:
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _labels(
    sounds: Sequence[Sound], words: Sequence[str] | None
) -> tuple[NDArray[np.uint16] | None, tuple[str, ...]]:
    check_words(words)
    said = [sound.word for sound in sounds if sound.word is not None]
    if len(said) < len(sounds):
        return None, ()
    keys = tuple(words) if words is not None else tuple(sorted(set(said)))
    number = {word: k for k, word in enumerate(keys)}
    unknown = sorted(set(said) - set(number))
    if unknown:
        raise DataError(f"the word {unknown[0]!r} is not among those given; add it")
    return np.array([number[word] for word in said], dtype=np.uint16), keys


def _assemble(
    sounds: Sequence[Sound],
    headers: Sequence[Header],
    parts: Sequence[Path],
    output: Path,
    encoder: CochleaEncoder,
    labels: NDArray[np.uint16] | None,
    keys: tuple[str, ...],
) -> Summary:
    silent, spikes, text = [], 0, h5py.string_dtype()
    with atomic(output) as path, h5py.File(path, "w") as file:
        shape = (len(sounds),)
        times = file.create_dataset("spikes/times", shape, h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", shape, h5py.vlen_dtype(np.uint16))
        for k, sound in enumerate(sounds):
            with np.load(parts[k]) as part:
                times[k], units[k] = part["times"], part["units"]
                spikes += part["times"].size
                if part["silent"]:
                    silent.append(sound.name)
        if labels is not None:
            file["labels"] = labels
            file.create_dataset("extra/keys", data=list(keys), dtype=text)
        speakers = [sound.speaker for sound in sounds]
        if None not in speakers:
            who = sorted({str(speaker) for speaker in speakers})
            index = {speaker: k for k, speaker in enumerate(who)}
            numbers = [index[str(speaker)] for speaker in speakers]
            file["extra/speaker"] = np.array(numbers, dtype=np.uint16)
            file.create_dataset("extra/meta_info/speaker", data=who, dtype=text)
        file.create_dataset("extra/files", data=[sound.name for sound in sounds], dtype=text)
        for name, value in settings(encoder).items():
            file.attrs[name] = value
    return Summary(
        sounds=len(sounds),
        resumed=0,
        seconds=sum(header.samples / header.rate_hz for header in headers),
        spikes=spikes,
        rates_hz=_tally(float(header.rate_hz) for header in headers),
        inner_hz=_tally(encoder.inner_rate_hz(header.rate_hz) for header in headers),
        mixed=tuple(
            sound.name for sound, header in zip(sounds, headers, strict=True) if header.channels > 1
        ),
        silent=tuple(silent),
        words=keys,
    )


def _tally(rates: Iterator[float]) -> dict[float, int]:
    counted: dict[float, int] = {}
    for rate in rates:
        counted[rate] = counted.get(rate, 0) + 1
    return dict(sorted(counted.items()))
