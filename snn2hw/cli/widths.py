"""Search the widths of weights, layer by layer: accuracy against memory and energy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from snn2hw.analysis.search_widths import configured, prepare
from snn2hw.analysis.widths import BITS_MAX, BITS_MIN, PROFILE, STRATEGIES, Point, Search
from snn2hw.cli.common import (
    add_graph,
    add_json,
    check_labels,
    data_for,
    joules,
    say,
    show,
    show_json,
    table,
)
from snn2hw.errors import ParameterError
from snn2hw.files import atomic
from snn2hw.passes import fold, lower
from snn2hw.passes.config import TARGETS, QuantizeConfig
from snn2hw.report.fronts import draw_front


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    add_graph(command)
    command.add_argument("--calibration", required=True, metavar="C", help="sets the scales")
    command.add_argument(
        "--validation", required=True, metavar="V", help="judges the widths; with labels, if any"
    )
    command.add_argument(
        "-o", "--output", required=True, metavar="WIDTHS.json", help="a search goes on from it"
    )
    command.add_argument("--plot", metavar="WIDTHS.svg", help="draw the fronts")
    command.add_argument("--target", default="loihi2", choices=list(TARGETS))
    command.add_argument(
        "--bits", type=_bits, default=(BITS_MIN, BITS_MAX), metavar="2-8", help="widths to look at"
    )
    command.add_argument(
        "--strategy", default="auto", choices=STRATEGIES, help="auto: exhaustive where that is few"
    )
    command.add_argument(
        "--ranges", action="store_true", help="quantise by ranges alone: faster, and worse"
    )
    command.add_argument(
        "--loss", type=float, default=0.01, metavar="P", help="accuracy to give up at most (0.01)"
    )
    command.add_argument(
        "--plan", metavar="PLAN.yaml", help="write the smallest such for 'snn2hw quantize --config'"
    )
    command.add_argument("--restart", action="store_true", help="begin anew")
    add_json(command)


def main(options: argparse.Namespace) -> int:
    """Search, write, say."""
    from snn2hw.converters.nir_file import read

    if not 0 <= options.loss <= 1:
        raise ParameterError(f"--loss {options.loss} is impossible; give 0 to 1")
    graph = read(options.model)
    discrete = fold(lower(graph, options.dt, options.method, options.reset))
    calibration, _ = data_for(options.calibration, discrete.inputs, options.dt, None)
    x, labels = data_for(options.validation, discrete.inputs, options.dt, None)
    check_labels(options.validation, labels, discrete.population(discrete.outputs[0].source).n)
    config = QuantizeConfig(target=options.target, search=not options.ranges)
    search = prepare(
        graph, calibration, x, labels, dt=options.dt, method=options.method, reset=options.reset,
        config=config, bits=options.bits, strategy=options.strategy, path=options.output,
    )  # fmt: skip
    known = 0 if options.restart else search.resume()
    if known:
        say(f"{options.output}: going on from {known} of at most {search.most} networks")
    found = run_search(search)
    if options.plot:
        drawn = draw_front(search.points, search.judge.float_score, search.score)
        with atomic(options.plot) as part:
            part.write_text(drawn, encoding="utf-8")
    chosen = search.smallest(options.loss)
    if options.plan:
        configured(discrete, config, chosen.bits).to_yaml(options.plan)
    if options.json:
        show_json(search.to_dict())
        return 0
    for line in describe(search, found, chosen, options.loss):
        show(line)
    say("wrote " + ", ".join(p for p in (options.output, options.plot, options.plan) if p))
    return 0


def run_search(search: Search) -> tuple[Point, ...]:
    """Run it with a bar of its progress on a terminal."""
    from tqdm import tqdm

    with tqdm(
        desc="widths", unit="network", total=search.most, initial=len(search.known),
        disable=not sys.stderr.isatty(), leave=False,
    ) as bar:  # fmt: skip

        def progress(known: int, most: int, newest: Point) -> None:
            bar.set_postfix(score=f"{newest.score:.2%}", refresh=False)
            bar.update(known - bar.n)

        return search.run(progress)


def describe(search: Search, found: Sequence[Point], chosen: Point, loss: float) -> Sequence[str]:
    """The front as lines of text."""
    score = search.score
    lines = [
        f"{len(search.known)} of {search.combinations} networks looked at ({search.strategy}); "
        f"{score} in floats {search.judge.float_score:.2%}",
        f"those that no other beats in {score}, memory and energy ({PROFILE}):",
    ]
    rows = [
        (
            " ".join(f"{name}:{bits}" for name, bits in point.bits.items()),
            f"{point.score:.2%}",
            f"{point.error:.2%}",
            f"{point.memory_bytes:,}",
            joules(point.energy_j),
        )
        for point in found
    ]
    lines.append(table(("bits", score, "output error", "bytes", "energy"), rows))
    widths = ", ".join(f"{name} {bits}" for name, bits in chosen.bits.items())
    lines.append(
        f"smallest that loses at most {loss:.2%} of the best: {widths} bits, {chosen.score:.2%}, "
        f"{chosen.memory_bytes:,} bytes"
    )
    return lines


def _bits(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (low.isdigit() and (high.isdigit() or not dash)):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of widths; give 2-8, or one width")
    return int(low), int(high or low)
