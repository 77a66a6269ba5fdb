"""Train a network as a config says; killed, it goes on where it was."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn2hw.cli.common import add_json, make_folder, natural, say, show, show_json, table
from snn2hw.cli.learn import positive

if TYPE_CHECKING:
    from snn2hw.nn.training import Epoch

SAY_EVERY_S = 30.0
"""Seconds between two lines where stderr is no terminal and so has no bar."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("config", metavar="CONFIG.yaml", help="see docs/training.md")
    command.add_argument(
        "-o",
        "--output",
        default="out/train",
        metavar="FOLDER",
        help="where CONFIG.pt and CONFIG.json go (out/train)",
    )
    command.add_argument(
        "--seed", type=natural, metavar="N", help="instead of the config's; CONFIG_seedN.pt then"
    )
    command.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    command.add_argument("--threads", type=positive, default=1, metavar="N", help="of torch (1)")
    command.add_argument(
        "--every", type=positive, default=1, metavar="N", help="epochs between two states (1)"
    )
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume", action="store_true", help="go on from an interruption, if there was one"
    )
    existing.add_argument("--restart", action="store_true", help="forget an interruption")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Train, write, and say how good it is."""
    from snn2hw.cli.train_integers import train_integers
    from snn2hw.nn.config import read_config
    from snn2hw.nn.experiment import Outputs, run_config

    config, name = read_config(options.config), Path(options.config).stem
    if options.seed is not None:
        config, name = replace(config, seed=options.seed), f"{name}_seed{options.seed}"
    outputs = Outputs.of(make_folder(options.output), name)
    try:
        result = run_config(
            config,
            outputs,
            resume=options.resume,
            restart=options.restart,
            device=options.device,
            threads=options.threads,
            every=options.every,
            on_epoch=_talker(config.training.epochs),
        )
        result = train_integers(config, outputs, result, options.threads)
    except KeyboardInterrupt:
        if outputs.state.exists():
            say(f"{outputs.state} holds what was learned; add --resume to the command to go on")
        raise
    if options.json:
        show_json(result)
    else:
        _show(result)
    say(f"wrote {outputs.checkpoint} and {outputs.result.name}")
    if "integers" in result:
        said = result["integers"]
        names = " and ".join(filter(None, (said["network"], said["trained_floats"])))
        say(f"wrote {names} beside them, trained as integers")
    return 0


def _talker(epochs: int) -> Any:
    """A line now and then where there is no bar."""
    last = time.monotonic()

    def talk(epoch: Epoch) -> None:
        nonlocal last
        if sys.stderr.isatty() or time.monotonic() - last < SAY_EVERY_S:
            return
        last = time.monotonic()
        judged = epoch.validation_accuracy
        more = "" if judged is None else f", validation {judged:.2%}"
        say(f"epoch {epoch.epoch} of {epochs}: loss {epoch.loss_nat:.4f} nat{more}")

    return talk


def _show(result: dict[str, Any]) -> None:
    rows = [
        [role, part["name"], f"{part['samples']:,}", f"{result['accuracy'][role]:.2%}"]
        for role, part in result["data"].items()
    ]
    show(table(("split", "data", "samples", "accuracy"), rows, left=2))
    for role, notes in result.get("notes", {}).items():
        for note in notes:
            say(f"note: {role}: {note}")
    if "new" in result:
        new = ", ".join(result["new"]) or "none"
        say(f"note: began with {result['config']['start']}; tensors that it did not have: {new}")
    if "integers" in result:
        said = result["integers"]
        judged = ", ".join(f"{role} {right:.2%}" for role, right in said["accuracy"].items())
        show(f"weights of {said['bits']} bits, on the simulator: {judged}")
    epochs = len(result["history"])
    show(
        f"{result['parameters']:,} parameters, epoch {result['kept_epoch']} of {epochs} kept, "
        f"{result['training_s']:g} s of training, stored as {result['config']['store']}"
    )
