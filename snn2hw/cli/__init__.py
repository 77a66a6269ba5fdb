"""The command line: ``snn2hw COMMAND``. One file a command; this one parses and reports errors.

Exit status: 0 success, 1 a check that failed (mismatches, something to mend), 2 bad input, or a
machine without enough memory or room.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import snn2hw
from snn2hw.cli import (
    check,
    compare,
    data,
    demo,
    doctor,
    encode,
    energy,
    info,
    learn,
    place,
    quantize,
    report,
    run,
    train,
    verify,
    widths,
)
from snn2hw.errors import Snn2hwError, out_of_memory

COMMANDS = {
    "info": info,
    "check": check,
    "quantize": quantize,
    "run": run,
    "verify": verify,
    "compare": compare,
    "widths": widths,
    "place": place,
    "train": train,
    "learn": learn,
    "energy": energy,
    "report": report,
    "encode": encode,
    "data": data,
    "demo": demo,
    "doctor": doctor,
}


def parser() -> argparse.ArgumentParser:
    """The parser with every command; each module adds its own arguments."""
    top = argparse.ArgumentParser(
        prog="snn2hw",
        description="From a trained spiking network to the integers a neuromorphic chip computes.",
    )
    top.add_argument("--version", action="version", version=f"snn2hw {snn2hw.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status; errors of ours become one line on stderr."""
    options = parser().parse_args(arguments)

    def say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        sys.stderr.write(f"snn2hw {options.command}: warning: {message}\n")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = say_warning
            return int(COMMANDS[options.command].main(options))
    except Snn2hwError as error:
        sys.stderr.write(f"snn2hw {options.command}: error: {error}\n")
        return 2
    except BrokenPipeError:
        return 0
    except (MemoryError, RuntimeError, OSError) as error:
        # the last net: what is foreseen has its own text
        problem = _surroundings(error)
        if problem is None:
            raise
        sys.stderr.write(f"snn2hw {options.command}: error: {problem}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"snn2hw {options.command}: interrupted\n")
        return 130


def _surroundings(error: MemoryError | RuntimeError | OSError) -> str | None:
    """What a machine lacks, in a line; None: the error is a bug of ours."""
    if isinstance(error, OSError):
        said = " ".join(str(error).split()) or type(error).__name__
        return f"{said}; see that the file can be read or written, and that there is room"
    if out_of_memory(error):
        return "there is not enough memory; give less at a time, or smaller sizes"
    return None
