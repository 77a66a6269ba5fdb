"""Go on learning by e-prop on simulated processing elements; the adapted network is NIR again."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from snn2hw.cli.common import (
    add_graph,
    add_json,
    check_labels,
    natural,
    say,
    show,
    show_json,
    table,
)
from snn2hw.data.files import load_data
from snn2hw.errors import DataError, ParameterError

if TYPE_CHECKING:
    from snn2hw.targets.spinnaker2.eprop import Learner, Rule
    from snn2hw.targets.spinnaker2.eprop.session import Samples, Session
    from snn2hw.targets.spinnaker2.placement import Placement

RECENT = 200
"""Samples that the running figures beside the progress bar are means of."""

LEFT_S = 60.0
"""Age from which a half-written checkpoint counts as left behind."""

NO_LABELS = "no labels in the file; give an .npz with y, or HDF5 in the layout of SHD"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_graph(command, dt=None)
    command.add_argument("--target", default="spinnaker2", choices=["spinnaker2"])
    command.add_argument("--rule", default="eprop", choices=["eprop"])
    command.add_argument(
        "--data", required=True, metavar="X", help="samples with labels: .npz (x, y) or SHD-layout"
    )
    command.add_argument("--validation", metavar="V", help="samples with labels that only judge")
    command.add_argument("-o", "--output", required=True, metavar="ADAPTED.nir")
    command.add_argument(
        "--variant", choices=["bellec", "rostami"], help="of e-prop (what the neuron goes with)"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a field of the rule"
    )
    command.add_argument("--epochs", type=positive, default=1, metavar="N", help="(1)")
    order = command.add_mutually_exclusive_group()
    order.add_argument(
        "--shuffle-seed", type=natural, default=0, metavar="S", help="of the samples' order (0)"
    )
    order.add_argument("--in-order", action="store_true", help="take samples as they stand")
    command.add_argument(
        "--pes", type=positive, metavar="N", help="processing elements (the fewest that fit)"
    )
    command.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="kept after success (ADAPTED.nir.checkpoint.h5, removed after success)",
    )
    command.add_argument(
        "--every", type=positive, metavar="N", help="samples between checkpoints (10 s of work)"
    )
    command.add_argument(
        "--restart", action="store_true", help="begin anew where there is a checkpoint"
    )
    command.add_argument("--report", metavar="REPORT.html", help="learning curve, memory, rule")
    add_json(command)


def positive(text: str) -> int:
    """An argument that is a number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1; give 1 or more")
    return value


def main(options: argparse.Namespace) -> int:
    """Learn, or go on learning; status 1 where the network does not fit, 130 after Ctrl-C."""
    from snn2hw.converters.nir_file import read, write
    from snn2hw.targets.spinnaker2.eprop import Learner
    from snn2hw.targets.spinnaker2.eprop.session import Session

    place = checkpoint_path(options)
    check_paths(options, place)
    graph = read(options.model)
    if options.dt is None:
        options.dt = own_dt(graph)
    rule = rule_for(graph, options.variant, options.set)
    learner = Learner(
        graph, rule, dt=options.dt, pes=options.pes, method=options.method, reset=options.reset
    )
    if not learner.placement.ok:
        for v in learner.placement.violations:
            say(f"{v.rule}: {v.used} (limit: {v.limit}); {v.hint}")
        say(f"{options.model}: does not fit on {learner.placement.spec.name}; nothing was learned")
        return 1
    session = Session(
        learner,
        samples_of(options.data, learner, graph),
        epochs=options.epochs,
        order_seed=None if options.in_order else options.shuffle_seed,
        validation=samples_of(options.validation, learner, graph) if options.validation else None,
        path=place,
        every=options.every,
    )
    began = time.time()
    begin(session, place, options.restart)
    caught = learn(session)
    if caught is not None:
        say(
            f"snn2hw learn: interrupted after {session.position} of {session.total} samples; "
            f"{place} holds them: give the same command again to go on"
        )
        return 128 + caught
    write(options.output, learner.graph())
    if options.report:
        from snn2hw.cli.learn_report import learning_data
        from snn2hw.report import write_learning_report

        write_learning_report(options.report, learning_data(options, session, command_of(options)))
        say(f"wrote {options.report}")
    clear(place, began)
    if options.checkpoint is None:
        place.unlink(missing_ok=True)
    if options.json:
        show_json(answer(session, options.output))
    else:
        for line in lines(session):
            show(line)
    say(f"wrote {options.output}")
    return 0


def own_dt(graph: Any) -> float:
    """The time step that neurons of discrete time have, else 1e-3; in seconds."""
    found = [float(node.dt) for node in graph.nodes.values() if hasattr(node, "dt")]
    return found[0] if found else 1e-3


def checkpoint_path(options: argparse.Namespace) -> Path:
    """Where the checkpoint is."""
    return Path(options.checkpoint or f"{options.output}.checkpoint.h5")


def check_paths(options: argparse.Namespace, place: Path) -> None:
    """Raise DataError for outputs that cannot be written, before anything is learned."""
    read = [options.model, options.data, options.validation]
    inputs = {Path(path).resolve(): path for path in read if path}
    outputs: set[Path] = set()
    for path in filter(None, (options.output, place, options.report)):
        full = Path(path).resolve()
        if full in inputs:
            raise DataError(f"{path} is also read; name another output")
        if full in outputs:
            raise DataError(f"{path} is named for two outputs; name another")
        outputs.add(full)
        if full.is_dir():
            raise DataError(f"cannot write {path}: it is a folder; name a file")
        if not (full.parent.is_dir() and os.access(full.parent, os.W_OK)):
            raise DataError(
                f"cannot write {path}: its folder is not there or not writable; name another"
            )


def rule_for(graph: Any, variant: str | None, settings: Sequence[str]) -> Rule:
    """The rule: a variant, or what goes with the graph's neurons, with NAME=VALUE changes.

    Raises ParameterError for unknown names and values.
    """
    from snn2hw.targets.spinnaker2.eprop import Rule
    from snn2hw.targets.spinnaker2.eprop.rule import CHOICES, default_rule

    known = [entry.name for entry in fields(Rule)]
    changes: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise ParameterError(f"--set {setting}: no value; give NAME=VALUE")
        if name not in known:
            raise ParameterError(f"--set {setting}: the rule has {', '.join(known)}; give one")
        try:
            if name in CHOICES:
                changes[name] = text
            elif name == "seed":
                changes[name] = int(text)
                if not 0 <= changes[name] < 2**63:
                    raise ValueError
            else:
                changes[name] = float(text)
        except ValueError:
            number = "a whole number below 2**63" if name == "seed" else "a number"
            raise ParameterError(f"--set {setting}: not {number}; give {name}=NUMBER") from None
    bases = {"bellec": Rule.bellec, "rostami": Rule.rostami}
    return replace(bases[variant]() if variant else default_rule(graph), **changes)


def samples_of(path: str, learner: Learner, graph: Any) -> Samples:
    """The samples of a file. Raises DataError, naming it, where they do not fit the network."""
    from snn2hw.targets.spinnaker2.eprop.session import Samples

    net = learner.network
    name = next(n for n, node in graph.nodes.items() if type(node).__name__ == "Input")
    x, y = load_data(path, (net.n_in,), net.dt_s, name)
    if y is None:
        raise DataError(f"{path}: {NO_LABELS}")
    check_labels(path, y, net.n_out)
    try:
        learner.check(x)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return Samples(x, y)


def begin(session: Session, place: Path, restart: bool) -> None:
    """Go on from a checkpoint that is there, or, asked to, remove it."""
    clear(place, time.time() - LEFT_S)
    if restart:
        place.unlink(missing_ok=True)
    if place.exists():
        session.resume("give --restart to begin anew, or --checkpoint to name another file")
        say(f"{place}: going on after {session.position} of {session.total} samples")


def clear(place: Path, before: float) -> None:
    """Remove what killed runs left half-written; a run that lives writes after ``before``."""
    for part in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        if part.stat().st_mtime < before:
            part.unlink(missing_ok=True)


def learn(session: Session) -> int | None:
    """Learn with a progress bar. Returns the signal that ended it too early, else None."""
    from tqdm import tqdm

    caught: list[int] = []
    with (
        tqdm(
            total=session.total,
            initial=session.position,
            unit=" samples",
            desc="compiling (first use: a minute or two)",
            file=sys.stderr,
        ) as bar,
        interruptible(caught),
    ):

        def progress(count: int) -> None:
            history = session.history
            bar.set_description("learning", refresh=False)
            bar.set_postfix(
                loss=f"{np.mean(history.loss[-RECENT:]):.3f}",
                right=f"{np.mean(history.correct[-RECENT:]):.1%}",
                refresh=False,
            )
            bar.update(count)

        done = session.run(progress, lambda: bool(caught))
    return None if done else caught[0]


@contextlib.contextmanager
def interruptible(caught: list[int]) -> Iterator[None]:
    """Note the first Ctrl-C or SIGTERM in ``caught``, to stop between samples; the second acts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        for each in numbers:
            signal.signal(each, before[each])

    for number in numbers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def command_of(options: argparse.Namespace) -> str:
    """The command line that does the same, but for where checkpoints lie."""
    words = ["snn2hw", "learn", options.model, "--target", options.target, "--rule", options.rule]
    words += ["--data", options.data]
    if options.validation:
        words += ["--validation", options.validation]
    words += ["-o", options.output]
    if options.variant:
        words += ["--variant", options.variant]
    for setting in options.set:
        words += ["--set", setting]
    words += ["--epochs", str(options.epochs)]
    words += ["--in-order"] if options.in_order else ["--shuffle-seed", str(options.shuffle_seed)]
    words += ["--dt", repr(options.dt), "--method", options.method, "--reset", options.reset]
    if options.pes:
        words += ["--pes", str(options.pes)]
    if options.report:
        words += ["--report", options.report]
    return shlex.join(words)


def epochs_of(session: Session) -> list[dict[str, Any]]:
    """Mean loss, accuracy (each sample judged before it was learned) and validation by epoch."""
    history, n = session.history, len(session.data)
    return [
        {
            "epoch": epoch + 1,
            "samples": n,
            "loss": float(np.mean(history.loss[epoch * n : (epoch + 1) * n])),
            "accuracy": float(np.mean(history.correct[epoch * n : (epoch + 1) * n])),
            "validation": history.validation[epoch + 1] if session.validation else None,
            "saturated": history.saturated[epoch],
        }
        for epoch in range(session.epochs)
    ]


def ends_of(session: Session) -> tuple[int, float, float]:
    """So many samples, a tenth up to 200, and the accuracy on the first and on the last of them."""
    correct = session.history.correct
    few = min(RECENT, max(1, len(correct) // 10))
    return few, float(np.mean(correct[:few])), float(np.mean(correct[-few:]))


def answer(session: Session, output: str) -> dict[str, Any]:
    """What happened, as a program reads it."""
    from snn2hw.cli.place import answer as placement_answer

    few, before, after = ends_of(session)
    return {
        "output": output,
        "samples": session.total,
        "rule": asdict(session.learner.rule),
        "epochs": epochs_of(session),
        "validation_before": session.history.validation[0] if session.validation else None,
        "validation_after": session.history.validation[-1] if session.validation else None,
        "first": {"samples": few, "accuracy": before},
        "last": {"samples": few, "accuracy": after},
        "saturated": session.history.saturated[-1],
        "placement": placement_answer(session.learner.placement),
    }


def lines(session: Session) -> Iterator[str]:
    """What happened, as a person reads it."""
    history = session.history

    def judged(accuracy: float | None) -> str:
        return "" if accuracy is None else f"{accuracy:.1%}"

    rows = []
    if session.validation:
        rows.append(["before", "", "", "", judged(history.validation[0])])
    rows += [
        [row["epoch"], f"{row['samples']:,}", f"{row['loss']:.4f}", judged(row["accuracy"]),
         judged(row["validation"])]
        for row in epochs_of(session)
    ]  # fmt: skip
    shown = 5 if session.validation else 4
    head = ("epoch", "samples", "loss", "right*", "validation")
    yield table(head[:shown], [row[:shown] for row in rows])
    few, before, after = ends_of(session)
    yield (
        f"* each sample judged before it was learned; {before:.1%} of the first {few} samples, "
        f"{after:.1%} of the last {few}"
    )
    yield from placement_lines(session.learner.placement)
    if session.learner.rule.arithmetic == "s16.15":
        words = history.saturated[-1]
        yield (
            f"words at the limit of s16.15 after the last sample: {words:,}"
            + (" (weights, moments and sums; lower learning_rate)" if words else "")
        )


def placement_lines(placed: Placement) -> Iterator[str]:
    """Where it learned, in two lines."""
    used, limit = placed.utilization["PEs"]
    fullest, room = placed.utilization["data bytes of the fullest PE"]
    yield (
        f"memory: {placed.total_bytes:,} bytes on {used} of {limit} PEs of {placed.spec.name}, the "
        f"fullest {fullest:,} of {room:,}"
    )
    fast = max(placed.timing, key=lambda timing: timing.clock_hz)
    yield (
        f"a step of {fast.dt_s * 1e3:g} ms {'holds' if fast.holds else 'does not hold'} at "
        f"{fast.clock_hz / 1e6:g} MHz (estimated {fast.step_s * 1e3:.3g} ms)"
    )
