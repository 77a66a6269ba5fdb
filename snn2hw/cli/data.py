"""Data sets: what there is, where it is, get it, write a split for the other commands.

Without a name: a table of all. With one: where it is looked for and what is at hand. --download
gets what is not there, checked by its checksum. --split S -o X.npz writes a split as x and y, with
the options of its loader: snn2hw data arabic_speech_commands --split test --option words=all -o
test.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from snn2hw import plain_yaml
from snn2hw.arguments import check_arguments
from snn2hw.cli.common import add_json, say, show, show_json, table
from snn2hw.data import DATASETS, Dataset
from snn2hw.data.download import fetch, folders
from snn2hw.data.sources import SOURCES, Archive, Source
from snn2hw.errors import DataError
from snn2hw.files import atomic


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("name", nargs="?", choices=sorted(DATASETS), help="of the data set")
    command.add_argument("--download", action="store_true", help="get what is not at hand")
    command.add_argument("--part", metavar="P", help="this archive alone, as the table names it")
    command.add_argument("--split", metavar="S", help="load this split: train, val, test")
    command.add_argument(
        "--option", metavar="KEY=VALUE", action="append", default=[],
        help="an option of its loader, may be repeated",
    )  # fmt: skip
    command.add_argument("-o", "--output", metavar="X.npz", help="write the split here")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """List, download, load."""
    if options.name is None:
        return _all(options)
    source = SOURCES.get(options.name)
    if options.download or options.part:
        if source is None:
            raise DataError(f"{options.name}: has nothing to download, leave --download out")
        parts = _parts(source, options.part)
        if options.download:
            for archive in parts:
                _get(source, archive)
    if options.split is None:
        if options.output or options.option:
            raise DataError("-o and --option are for a split, give --split")
        return _one(options, source)
    return _split(options)


def _all(options: argparse.Namespace) -> int:
    if options.download or options.part or options.split or options.output or options.option:
        raise DataError("give the name of a data set; `snn2hw data` lists them")
    facts: list[dict[str, Any]] = [
        {
            "name": name,
            "parts": {a.part: _place(source, a) for a in source.archives},
            "megabytes": sum(a.megabytes for a in source.archives),
            "licence": source.licence,
            "what": source.what,
        }
        for name, source in sorted(SOURCES.items())
    ]
    if options.json:
        show_json(facts)
        return 0
    rows = []
    for fact in facts:
        parts: dict[str, Path | None] = fact["parts"]
        there = [part for part, place in parts.items() if place is not None]
        at_hand = "yes" if len(there) == len(parts) else ", ".join(there) or "no"
        rows.append((fact["name"], at_hand, f"{fact['megabytes']}", fact["licence"], fact["what"]))
    show(table(("data set", "at hand", "about MB", "licence", "what"), rows, left=5))
    show("japanese_vowels comes with the package sktime; spike_files are files of your own")
    return 0


def _one(options: argparse.Namespace, source: Source | None) -> int:
    if source is None:
        what = (DATASETS[options.name].__doc__ or "").splitlines()[0]
        show_json({"name": options.name, "what": what}) if options.json else show(
            f"{options.name}: {what} Nothing to download."
        )
        return 0
    places = {archive.part: _place(source, archive) for archive in source.archives}
    if options.json:
        show_json({"name": source.name, "parts": places, "folders": folders(source.name)})
        return 0
    show(f"{source.name}: {source.what}\n{source.licence}, {source.home}")
    rows = [
        (a.part, "no" if places[a.part] is None else str(places[a.part]), f"{a.megabytes}", a.url)
        for a in source.archives
    ]
    show(table(("part", "at hand", "about MB", "from"), rows, left=4))
    return 0


def _split(options: argparse.Namespace) -> int:
    load = DATASETS[options.name]
    given: dict[str, Any] = {}
    for option in options.option:
        key, equals, value = option.partition("=")
        if not equals:
            raise DataError(f"--option {option}: give KEY=VALUE")
        try:
            given[key] = plain_yaml.parse(value)
        except ValueError:
            raise DataError(f"--option {option}: the value is not YAML, quote it") from None
    data = load(options.split, **check_arguments(load, given, f"--option of {options.name}"))
    if options.output:
        if Path(options.output).suffix != ".npz":
            raise DataError(f"{options.output}: a split is written as .npz, name it so")
        with atomic(options.output) as part, part.open("wb") as file:
            np.savez_compressed(file, x=data.x, y=data.y, classes=np.array(data.classes))
        say(f"wrote {options.output}")
    facts = _facts(data)
    if options.json:
        show_json(facts)
        return 0
    for key, value in facts.items():
        for line in value if key == "notes" else [value]:
            show(f"  {key}: {line}")
    return 0


def _facts(data: Dataset) -> dict[str, Any]:
    speakers = None if data.speaker is None else len(set(data.speaker.tolist()))
    return {
        "name": data.name,
        "shape": "x".join(map(str, data.x.shape)),
        "type": str(data.x.dtype),
        "step_s": data.dt_s,
        "classes": ", ".join(data.classes),
        "speakers": speakers,
        "sha256": data.sha256(),
        "notes": list(data.notes),
    }


def _parts(source: Source, name: str | None) -> list[Archive]:
    chosen = [archive for archive in source.archives if name in (None, archive.part)]
    if not chosen:
        known = ", ".join(archive.part for archive in source.archives)
        raise DataError(f"{source.name}: there is no part {name!r}, give one of {known}")
    return chosen


def _place(source: Source, archive: Archive) -> Path | None:
    """Where what an archive gives is; None: nowhere."""
    for folder in folders(source.name):
        if all((folder / name).exists() for name in archive.gives):
            return folder
    return None


def _get(source: Source, archive: Archive) -> None:
    place = _place(source, archive)
    if place is not None:
        say(f"{source.name}/{archive.part}: is at hand in {place}")
        return
    folder = folders(source.name)[0]
    say(f"{archive.url}: {archive.megabytes} MB, {source.licence}, to {folder}")
    fetch(archive, folder)
