"""What a PyTorch layer becomes, and where it stands: what every exporter takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from snn2hw.errors import GraphError

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """What a module becomes. shape: of its output at a time step; feedback: the node that leads
    from the spikes of the step before back into it; leak: the node behind it, of a LeakyReadout;
    decode: mode of a Readout; taps: what leads to it side by side, nodes one behind the other, the
    last one's output summed."""

    node: Any
    shape: Shape
    feedback: Any = None
    leak: Any = None
    decode: str | None = None
    taps: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a module stands: its name, the shape that it is given and by whom, and the step."""

    name: str
    shape: Shape
    giver: str
    dt: float

    def expect(self, wanted: Shape) -> None:
        """Raise GraphError unless the module is given what it takes."""
        if self.shape == wanted:
            return
        advice = "check input_shape and the layers' sizes"
        if len(wanted) == 1 and len(self.shape) > 1:
            advice = "put snn2hw.nn.Flatten between them, to flatten it"
        raise GraphError(
            f"module {self.name!r} takes {_say(wanted)} and {self.giver!r} gives "
            f"{_say(self.shape)}; {advice}"
        )

    def expect_axes(self, axes: tuple[str, ...]) -> None:
        """Raise GraphError unless there are so many axes."""
        if len(self.shape) != len(axes):
            raise GraphError(
                f"module {self.name!r} takes ({', '.join(axes)}) and {self.giver!r} gives shape "
                f"{self.shape}; check input_shape and the layers before"
            )


def _say(shape: Shape) -> str:
    return f"{shape[0]} values" if len(shape) == 1 else f"values of shape {shape}"
