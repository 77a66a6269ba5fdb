"""Sounds to spikes of 700 channels, as in SHD and SSC, by a model of the cochlea."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn2hw.cli.common import add_json, natural, say, show, show_json

if TYPE_CHECKING:
    from snn2hw.data.cochlea.dataset import Summary

NAMED = 5
"""So many sounds are named where something is said of many."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument(
        "sounds",
        nargs="+",
        metavar="SOUNDS",
        help="sound files, folders of them (WORD/SPEAKER_... or WORD_SPEAKER_TAKE), or lists (.csv "
        "with the columns file and class)",
    )
    command.add_argument("-o", "--output", required=True, metavar="SPIKES.h5")
    command.add_argument("--seed", type=natural, default=0, help="of the random draws (0)")
    command.add_argument("--channels", type=natural, default=700, help="places (700)")
    command.add_argument("--trains", type=natural, default=40, help="fibres a place (40)")
    command.add_argument(
        "--rate", type=float, metavar="HZ", help="resample to this (16000 where it is lower)"
    )
    command.add_argument(
        "--words", metavar="A,B,...", help="only these, in the order of their labels (all, sorted)"
    )
    command.add_argument(
        "--wrap", action="store_true", help="what rings on after the end comes back at the start"
    )
    command.add_argument("--jobs", type=natural, metavar="N", help="threads (one a core)")
    command.add_argument("--restart", action="store_true", help="forget what an earlier run made")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Encode, or go on with it."""
    from snn2hw.data.cochlea import CochleaEncoder
    from snn2hw.data.cochlea.dataset import check_output, encode_set
    from snn2hw.data.cochlea.sounds import find_sounds

    words = None if options.words is None else [w.strip() for w in options.words.split(",")]
    sources, output = [Path(source) for source in options.sounds], Path(options.output)
    check_output(output, sources)
    sounds = find_sounds(sources, words)
    encoder = CochleaEncoder(
        options.channels,
        rate_hz=options.rate,
        trains=options.trains,
        seed=options.seed,
        wrap=options.wrap,
    )
    with _Bar() as bar:
        summary = encode_set(
            sounds,
            output,
            encoder,
            words=words,
            jobs=options.jobs or cores(),
            restart=options.restart,
            progress=bar.show,
        )
    if options.json:
        show_json(answer(summary, output))
        return 0
    for line in lines(summary, options.channels):
        show(line)
    say(f"wrote {output}")
    return 0


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Bar:
    """A progress bar where stderr is a terminal, a line of what an earlier run made elsewhere."""

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self.bar = tqdm(desc="encoding", unit="sound", disable=not sys.stderr.isatty())
        self.begun = False
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, done: int, total: int) -> None:
        if not self.begun:
            self.begun, self.bar.initial, self.bar.n, self.bar.total = True, done, done, total
            if done:
                say(f"an earlier run made {done} of {total} sounds; going on")
            self.bar.refresh()
        self.bar.update(done - self.bar.n)


def lines(summary: Summary, channels: int) -> list[str]:
    """What happened, as a person reads it."""

    def some(names: tuple[str, ...]) -> str:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more

    def rates(found: dict[float, int]) -> str:
        return ", ".join(f"{rate:g} Hz ({many})" for rate, many in found.items())

    said = [
        f"{summary.sounds:,} sounds, {summary.seconds:,.1f} s, {summary.spikes:,} spikes:"
        f" {summary.spikes / summary.seconds / channels:.1f} a second and channel",
        f"sampling rates: {rates(summary.rates_hz)}",
    ]
    if summary.inner_hz != summary.rates_hz:
        said.append(f"resampled, so that the model ran at {rates(summary.inner_hz)}")
    if summary.words:
        said.append(f"{len(summary.words)} words: {', '.join(summary.words)}")
    else:
        said.append("no labels: not every sound has a word")
    if summary.mixed:
        said.append(f"several channels, mixed to their mean: {some(summary.mixed)}")
    if summary.silent:
        said.append(f"silent, spontaneous spikes alone: {some(summary.silent)}")
    return said


def answer(summary: Summary, output: Path) -> dict[str, Any]:
    """What happened, as a program reads it."""
    return {"output": str(output), **asdict(summary)}
