"""The mesh of routers: where cores are, and the way of a message from one to another.

Cores are numbered router by router along rows that turn at their ends, so that neighbours in number
are neighbours on the mesh. A message goes east or west first, then north or south.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snn2hw.targets.spec import TargetSpec

Router = tuple[int, int]
"""Column and row, counted from 0."""


@dataclass(frozen=True)
class Mesh:
    """The routers of a chip; numbers beyond its rows go on below, where no chip is."""

    columns: int
    rows: int
    per_router: int
    entry: Router
    """Where messages from outside enter."""

    @classmethod
    def of(cls, spec: TargetSpec) -> Mesh:
        """The mesh of a chip."""
        columns = spec.integer("mesh_columns")
        bare = cls(columns, spec.integer("mesh_rows"), spec.integer("cores_per_router"), (0, 0))
        entry = bare.place(spec.integer("input_router"))
        return cls(columns, bare.rows, bare.per_router, entry)

    def place(self, router: int) -> Router:
        """Column and row of a router, by number."""
        row, column = divmod(router, self.columns)
        return (self.columns - 1 - column if row % 2 else column), row

    def router(self, core: int) -> Router:
        """The router of a core, by the core's number."""
        return self.place(core // self.per_router)


def hops(start: Router, end: Router) -> tuple[int, int]:
    """Hops east or west, and north or south."""
    return abs(end[0] - start[0]), abs(end[1] - start[1])


def way(start: Router, end: Router) -> Iterator[tuple[Router, Router]]:
    """The links of a message's way, in order; none within a tile."""
    (x, y), (to_x, to_y) = start, end
    while x != to_x:
        step = 1 if to_x > x else -1
        yield (x, y), (x + step, y)
        x += step
    while y != to_y:
        step = 1 if to_y > y else -1
        yield (x, y), (x, y + step)
        y += step
