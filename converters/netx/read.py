"""from_netx: a lava-dl ``.net`` file as a fixed-point network, integer for integer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.converters.netx.blocks import read_blocks
from snn2hw.converters.netx.chain import Chain, Options
from snn2hw.converters.netx.kinds import TAKE
from snn2hw.errors import DataError, ParameterError
from snn2hw.graph import FixedPointNetwork
from snn2hw.passes.balance import balance
from snn2hw.passes.registers import check_registers


def from_netx(
    path: str | Path,
    *,
    input_shape: tuple[int, ...] | None = None,
    input_bits: int = 1,
    keep_input: bool = True,
    hop_delay: int = 0,
    dt: float = 1e-3,
) -> FixedPointNetwork:
    """Read a network that lava-dl exported; needs neither lava-dl nor torch.

    input_shape: (channels, rows, columns) or (n,), where the file does not say it (or to reshape
    what it says); input_bits: 1 for spikes, more for unsigned graded messages; keep_input: whether
    an input block's neurons are part of the network (data are real values then) or left out (data
    are their spikes, as with netx's ``skip_layers=1``); hop_delay: logical steps from a layer to
    the next: 0 as in PyTorch, 1 as netx counts them; dt: time step in seconds, which a file does
    not hold.

    Layers are called after type and number in the file: ``conv1``, ``dense7``. A last layer that
    has no threshold (131071 or more, or no neuron) becomes an integrator, whose output is its
    potential. Resets at an interval are samples: see ``windows``.

    Raises DataError if there is no such file, FileFormatError for a foreign or damaged one,
    GraphError or TargetError, with the layer's name, for what cannot be expressed, ParameterError
    for bad arguments.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if hop_delay < 0 or not 1 <= input_bits <= 24 or not dt > 0:
        raise ParameterError(
            f"hop_delay {hop_delay}, input_bits {input_bits}, dt {dt}: give at least 0, 1 to 24, "
            "and a positive time step"
        )
    blocks = read_blocks(path)
    if input_shape is not None and (not input_shape or min(input_shape) < 1):
        raise ParameterError(
            f"input_shape is {input_shape}; give channels or (channels, rows, columns)"
        )
    chain = Chain(blocks, Options(input_shape, input_bits, keep_input, hop_delay))
    for block in blocks:
        if block.kind not in TAKE:
            raise block.error(f"cannot be expressed; the types read are {', '.join(TAKE)}")
        if chain.ends and block.kind != "flatten":
            raise block.error("comes after the network's output; nothing can listen to that")
        TAKE[block.kind](chain, block)
    net = chain.network(path, dt)
    check_registers(net)
    return balance(net)


def windows(x: npt.ArrayLike, reset_interval: int) -> npt.NDArray[Any]:
    """A recording as one sample for each reset interval, the last one filled up with zeros.

    x: (batch, time, *input shape). Returns (batch * intervals, reset_interval, *input shape). The
    simulator starts each sample from zero, as netx does every ``reset_interval`` steps, layer after
    layer. (A spike that a synaptic delay holds back beyond the reset arrives in netx, not here.)

    Raises DataError for data without time, ParameterError for an interval below 1.
    """
    data = np.asarray(x)
    if data.ndim < 2:
        raise DataError(f"data have shape {data.shape}; give (batch, time, *input shape)")
    if reset_interval < 1:
        raise ParameterError(f"reset_interval is {reset_interval}; give at least 1")
    batch, time = data.shape[:2]
    count = -(-time // reset_interval)
    padding = [(0, 0), (0, count * reset_interval - time)] + [(0, 0)] * (data.ndim - 2)
    return np.pad(data, padding).reshape(batch * count, reset_interval, *data.shape[2:])
