"""Networks to train, by name: what a training config's `model:` and the benchmarks build.

A model is a function ``f(inputs, classes, **arguments) -> Sequential`` in the file of its family,
and one line in `MODELS`. Its arguments are keyword-only, annotated and have defaults, for configs
are checked against its signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from snn2hw.arguments import check_arguments, check_seed
from snn2hw.errors import ParameterError, out_of_memory
from snn2hw.nn._checks import check_size
from snn2hw.nn.models import dense, feedforward, s2net
from snn2hw.nn.models.ponghiran_roy import ponghiran_roy

MODELS: dict[str, Callable[..., nn.Sequential]] = {
    "glif": feedforward.glif,
    "gpn": feedforward.gpn,
    "gru": dense.gru,
    "lif": feedforward.lif,
    "lstm": dense.lstm,
    "plif": feedforward.plif,
    "rcuba": feedforward.rcuba,
    "rlif": feedforward.rlif,
    "s2net": s2net.s2net,
    "ponghiran_roy": ponghiran_roy,
}


def build(
    name: str, inputs: tuple[int, ...], classes: int, seed: int, **arguments: object
) -> nn.Sequential:
    """Make an untrained network whose initial weights follow from the seed alone.

    Args:
        name: one of `MODELS`.
        inputs: shape of one step of the input: (channels,), (deltas, bands) ...
        classes: number of scores.
        seed: seed of the initial weights; torch's global random state is left as it was.
        arguments: those of the model's function.

    Returns:
        The network: float32 (batch, time, *inputs) to scores (batch, classes).

    Raises:
        ParameterError: no such model, an argument it does not have, a value it refuses, a seed out
            of its range, or more neurons than fit the memory.
    """
    if name not in MODELS:
        raise ParameterError(f"model {name!r} is unknown, give one of {', '.join(sorted(MODELS))}")
    for size in inputs:
        check_size(size, "inputs", f"model {name}")
    check_size(classes, "classes", f"model {name}")
    given = check_arguments(MODELS[name], arguments, f"model {name}")
    check_seed(seed, f"model {name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return MODELS[name](inputs, classes, **given)
        except (MemoryError, RuntimeError, TypeError) as error:
            if not out_of_memory(error) and "Overflow" not in str(error):
                raise
            sizes = ", ".join(f"{key} {value!r}" for key, value in given.items())
            raise ParameterError(
                f"model {name}: does not fit the memory ({sizes or 'as it is by default'}), give"
                " fewer neurons"
            ) from None


def check_model(name: str, arguments: Mapping[str, object]) -> None:
    """Raise ParameterError for arguments that a model refuses, whatever its input.

    Networks of few inputs are made and thrown away: one axis of channels, then two.
    """
    refused: list[ParameterError] = []
    for inputs in ((4,), (2, 4)):
        try:
            build(name, inputs, 2, 0, **arguments)
        except ParameterError as error:
            refused.append(error)
        else:
            return
    raise refused[0]
