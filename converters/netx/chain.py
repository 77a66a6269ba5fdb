"""The chain of layers that reading a ``.net`` file builds up, block after block."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snn2hw.converters.netx.blocks import NO_THRESHOLD, Block, Neuron, Whole
from snn2hw.converters.netx.weights import Group
from snn2hw.errors import GraphError
from snn2hw.graph import INPUT_PORT, FixedPointNetwork, InputFormat, Layer, OutputNode, Synapse
from snn2hw.neurons import MODELS

BIAS_EXPONENT = 6
BIAS_LOW, BIAS_HIGH = -4096, 4095
STATE_UNIT = 1 / 4096
"""lava-dl's weights and thresholds are in steps of 1/64, and registers 2**6 finer."""


WEIGHTED = ("conv", "pool", "dense", "dense_rec")
SPATIAL = ("conv", "pool")


@dataclass(frozen=True)
class Options:
    """The arguments of ``from_netx`` that are about the network."""

    input_shape: tuple[int, ...] | None
    input_bits: int
    keep_input: bool
    hop_delay: int


class Chain:
    """What was read so far; ``here`` is the node that the next block listens to.

    shape: of ``here``; last: number of the last block with weights; flat: whether the first one
    takes channels alone; ends: whether nothing more can listen, because ``here`` sends potentials
    or means.
    """

    def __init__(self, blocks: Sequence[Block], options: Options) -> None:
        """An empty chain for these blocks."""
        weighted = [block for block in blocks if block.kind in WEIGHTED]
        self.options = options
        self.last = weighted[-1].index if weighted else -1
        self.flat = not weighted or weighted[0].kind not in SPATIAL
        self.input: InputFormat | None = None
        self.layers: list[Layer] = []
        self.synapses: list[Synapse] = []
        self.notes: list[str] = []
        self.here, self.port = "", ""
        self.shape: tuple[int, ...] = ()
        self.ends = False

    def network(self, path: Path, dt: float) -> FixedPointNetwork:
        """What was read."""
        if self.input is None or not self.layers:
            raise GraphError(f"{path}: no layer with weights; export the whole network")
        last = self.layers[-1]
        return FixedPointNetwork(
            target="loihi2",
            dt_s=dt,
            method="lava-dl",
            inputs=(self.input,),
            layers=tuple(self.layers),
            synapses=tuple(self.synapses),
            outputs=(OutputNode("output", last.name, last.model.main_output.name),),
            rounding="integers of the file, states toward zero",
            decode="last" if last.model.name == "integrator" else "mean",
            source_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
            versions={name: version(name) for name in ("snn2hw", "numpy")}
            | {"python": platform.python_version()},
            notes=(f"from_netx: {path.name}", *(f"from_netx: {note}" for note in self.notes)),
        )

    def start(self, shape: tuple[int, ...], bits: int, signed: bool, unit: float) -> None:
        """Put the network's input."""
        self.input = InputFormat("input", shape, bits, signed, unit)
        self.here, self.port, self.shape = "input", INPUT_PORT, shape

    def add(
        self,
        block: Block,
        neuron: Neuron,
        shape: tuple[int, ...],
        bias: Whole,
        found: list[Group],
        hop: int | None = None,
    ) -> None:
        """Add a layer that listens to ``here``, and go on from it.

        bias: in netx's steps of 2**6, and like the decays one for all, for each channel or for
        each neuron; hop: steps from ``here``, the chain's where None.
        """
        n = int(np.prod(shape))

        def full(values: Whole, what: str) -> npt.NDArray[np.int32]:
            flat = values.ravel()
            if flat.size not in (1, shape[0], n):
                raise block.damaged(f"has {flat.size} values in {what!r} for shape {shape}")
            if np.any(np.abs(flat) > np.iinfo(np.int32).max):
                raise block.error(f"has a {what!r} beyond 32 bits")
            # One value, one for each channel, or one for each neuron.
            return np.repeat(flat, n // flat.size).astype(np.int32)

        if bias.min() < BIAS_LOW or bias.max() > BIAS_HIGH:
            raise block.error(
                f"has a bias {bias.min()}..{bias.max()}, and the mantissa holds {BIAS_LOW}.."
                f"{BIAS_HIGH}"
            )
        params = {
            "decay_u": full(neuron.decay_u, "iDecay"),
            "decay_v": full(neuron.decay_v, "vDecay"),
        }
        units = {"u": STATE_UNIT, "v": STATE_UNIT}
        silent = neuron.threshold >= NO_THRESHOLD and block.kind != "dense_rec"
        if silent and block.index == self.last:
            model, self.ends = MODELS["integrator"], True
            params["bias"] = full(bias << BIAS_EXPONENT, "bias")
            # Nobody hears it: 12 bits of 24 never clip.
            params["message_shift"] = np.full(n, 12, dtype=np.int32)
            units |= {"y": STATE_UNIT, "m": STATE_UNIT * 2**12}
            self.notes.append(f"{block.name}: no threshold, the output is its potential")
        else:
            model = MODELS["lif"]
            params["threshold"] = full(np.array([neuron.threshold]), "vThMant")
            params["bias_mantissa"] = full(bias, "bias")
            params["bias_exponent"] = np.full(n, BIAS_EXPONENT, dtype=np.int32)
            units["s"] = 1.0
        self.layers.append(Layer(block.name, model, shape, params, units))
        delay = self.options.hop_delay if hop is None else hop
        self.connect(self.here, self.port, block.name, found, delay)
        self.here, self.port, self.shape = block.name, model.main_output.name, shape

    def connect(self, source: str, port: str, target: str, found: list[Group], delay: int) -> None:
        """Add groups of synapses between two nodes; delay: steps beside each group's own."""
        pair = f"{source}->{target}"
        for k, group in enumerate(found):
            self.synapses.append(
                Synapse(
                    name=pair if k == 0 else f"{pair} #{k + 1}",
                    source=source,
                    source_port=port,
                    target=target,
                    target_ports=("a",),
                    map=group.map,
                    exponent=group.exponent,
                    delay=delay + group.delay,
                )
            )
        if len(found) > 1:
            self.notes.append(
                f"{pair}: {len(found)} groups of synapses, for its delays and odd weights"
            )

    def spatial(self, block: Block) -> tuple[int, int, int]:
        """Channels, rows and columns of ``here``. Raises GraphError where it has no such shape."""
        if len(self.shape) != 3:
            raise block.error(
                f"listens to a shape of {self.shape}, not (channels, rows, columns); "
                "give input_shape or drop the flatten before it"
            )
        return self.shape[0], self.shape[1], self.shape[2]

    def expect(self, block: Block, inputs: int) -> None:
        """Raise GraphError where ``here`` has not that many neurons."""
        before = int(np.prod(self.shape))
        if inputs != before:
            raise block.error(f"has weights for {inputs} inputs, and {self.here!r} has {before}")
