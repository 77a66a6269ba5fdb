"""Blocks of a lava-dl ``.net`` file, checked field by field.

The layout (facts from lava-dl 0.6.0, ``slayer.block.base`` and ``netx.hdf5``): HDF5, one group a
block at ``layer/<k>`` with ``type``, ``shape`` (channels, rows, columns), weights and a group
``neuron``. Numbers are whole but stored as floats; a scalar may stand as an array of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw.converters.hdf5 import Tree, read_tree
from snn2hw.errors import FileFormatError, GraphError

Whole = npt.NDArray[np.int64]

NEURONS = ("CUBA", "LOIHI")
DEFAULT_WEIGHT = 64
"""What lava-dl gives an input block without a weight: one in steps of 1/64."""

NO_THRESHOLD = (1 << 17) - 1
"""The largest threshold: potentials clip just above it, so a neuron that has it accumulates."""

MAX_NODE = 1 << 26
"""Most channels of one node; a file that declares more is refused before memory is taken."""


@dataclass(frozen=True)
class Neuron:
    """What ``layer/<k>/neuron`` says, as Loihi's registers have it; decays per neuron or shared."""

    decay_u: Whole
    decay_v: Whole
    threshold: int
    exponent: int


@dataclass(frozen=True)
class Block:
    """One ``layer/<k>``: its number, its type and its fields."""

    index: int
    kind: str
    fields: Mapping[str, Any]
    path: Path

    @property
    def name(self) -> str:
        """The name of its neurons in the network, as ``conv1``."""
        return f"{self.kind}{self.index}"

    def error(self, what: str) -> GraphError:
        """A network that cannot be expressed, with the block's name."""
        return GraphError(f"{self.path}: layer {self.index} ({self.kind}) {what}")

    def damaged(self, what: str) -> FileFormatError:
        """A block that no release of lava-dl writes."""
        return FileFormatError(
            f"{self.path}: layer {self.index} ({self.kind}) {what}; export it again with lava-dl"
        )

    def has(self, field: str) -> bool:
        """Whether the block has that field."""
        return field in self.fields

    def whole(self, field: str, inside: Mapping[str, Any] | None = None) -> Whole:
        """A field as whole numbers, of the shape it has in the file."""
        fields = self.fields if inside is None else inside
        if field not in fields:
            raise self.damaged(f"has no {field!r}")
        values = fields[field]
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise self.damaged(f"has a {field!r} that is no array of numbers")
        if values.dtype.kind == "f":
            # The second bound keeps the conversion to 64 bits defined; no field comes near it.
            if not np.all(np.isfinite(values)) or np.any(np.abs(values) > 2.0**53):
                raise self.damaged(f"has a {field!r} that is not finite")
            if np.any(values != np.rint(values)):
                raise self.error(
                    f"has fractions in {field!r}, where netx reads whole numbers; "
                    "export it with lava-dl's quantisation (pre_hook_fx) on"
                )
        elif values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
            raise self.damaged(f"has a {field!r} beyond 64 bits")
        return values.astype(np.int64)

    def scalar(self, field: str, inside: Mapping[str, Any] | None = None) -> int:
        """A field of one whole number."""
        values = self.whole(field, inside)
        if values.size != 1:
            raise self.damaged(f"has {values.size} values in {field!r} where one is meant")
        return int(values.ravel()[0])

    def pair(self, field: str, default: int) -> tuple[int, int]:
        """Rows and columns; one number holds for both."""
        if not self.has(field):
            return default, default
        values = self.whole(field).ravel()
        if values.size not in (1, 2):
            raise self.damaged(f"has {values.size} values in {field!r} where one or two are meant")
        return int(values[0]), int(values[-1])

    def shape(self) -> tuple[int, ...]:
        """(channels, rows, columns), or (n,)."""
        values = self.whole("shape").ravel()
        if values.size not in (1, 2, 3) or np.any(values < 1):
            raise self.damaged(f"has the shape {values.tolist()}")
        shape = tuple(int(value) for value in values)
        # Python's integers: the product may be beyond 64 bits.
        if int(np.prod(np.array(shape, dtype=object))) > MAX_NODE:
            raise self.error(f"has the shape {shape}, more than the {MAX_NODE} channels taken here")
        return shape

    def neuron(self) -> Neuron | None:
        """The block's neuron, or None where it has none.

        Raises GraphError for a neuron or an option that our LIF does not have.
        """
        fields = self.fields.get("neuron")
        if fields is None:
            return None
        if not isinstance(fields, Mapping):
            raise self.damaged("has a 'neuron' that is no group")
        kind = text(fields.get("type"))
        if kind not in NEURONS:
            raise self.error(
                f"has neurons of type {kind!r}, and {' and '.join(NEURONS)} are read; "
                "replace them before export"
            )
        if "gradedSpike" in fields and self.scalar("gradedSpike", fields):
            raise self.error(
                "has LIF neurons with graded spikes, which Loihi's LIF does not send; "
                "train with graded_spike=False"
            )
        if "refDelay" in fields and self.scalar("refDelay", fields) > 1:
            raise self.error(
                f"has a refractory delay of {self.scalar('refDelay', fields)} steps, and our LIF "
                "has none; export with refDelay 1"
            )
        if "weight_exp" in fields and np.any(np.asarray(fields["weight_exp"]) != 0):
            raise self.error(
                "has a batch norm with a weight exponent, which lava-dl's netx drops and which "
                "is not exact in integers; train with the norm 'MeanOnlyBatchNorm'"
            )
        threshold = self.scalar("vThMant", fields)
        if threshold < 0:
            raise self.damaged(f"has the threshold {threshold}")
        return Neuron(
            decay_u=self.whole("iDecay", fields),
            decay_v=self.whole("vDecay", fields),
            threshold=threshold,
            exponent=self.scalar("wgtExp", fields) if "wgtExp" in fields else 0,
        )


def text(value: Any) -> str | None:
    """A string, or an array of one (as lava-dl writes types), or None."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    return value if isinstance(value, str) else None


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a file in order.

    Raises FileFormatError for a file that is no HDF5 file, is damaged, or is not lava-dl's.
    """
    layers = read_tree(path, ("layer",)).get("layer")
    if not isinstance(layers, dict) or not layers:
        raise FileFormatError(
            f"{path}: no network of lava-dl (no group 'layer'); export one with export_hdf5"
        )
    if set(layers) != {str(k) for k in range(len(layers))}:
        raise FileFormatError(
            f"{path}: layers are named {', '.join(sorted(layers)[:5])}..., not 0 to "
            f"{len(layers) - 1}; export it again with lava-dl"
        )
    return [_block(path, k, layers[str(k)]) for k in range(len(layers))]


def _block(path: Path, index: int, fields: Tree | Any) -> Block:
    kind = text(fields.get("type")) if isinstance(fields, dict) else None
    if kind is None:
        raise FileFormatError(f"{path}: layer {index} has no 'type'; export it again with lava-dl")
    return Block(index, kind, fields, path)
