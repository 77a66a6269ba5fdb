"""Names of nodes: a module's own where it has one, else its kind and position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from snn2hw import nn
from snn2hw.converters.pytorch.modules import TRANSPARENT


class Names:
    """Hands out names, each once."""

    def __init__(self, names: dict[str, str], taken: Iterable[str]) -> None:
        """names: path of a module -> the name it would have; taken: names of other nodes."""
        self._names, self._given = names, set(taken)
        self._calls: Counter[str] = Counter()
        self._reserved = set(names.values())

    def fresh(self, path: str) -> str:
        """The name for the next call of the module at a path: its own, then name_2, name_3..."""
        self._calls[path] += 1
        number = self._calls[path]
        name = self._names[path]
        if number == 1:
            self._given.add(name)
            return name
        return self.unique(f"{name}_{number}")

    def unique(self, wanted: str) -> str:
        """The wanted name, or one like it where it is taken."""
        name = wanted
        while name in self._given or name in self._reserved:
            name += "_"
        self._given.add(name)
        return name


def module_names(calls: Sequence[tuple[str, torch.nn.Module]], taken: Sequence[str]) -> Names:
    """Names for the modules that are called, by path such as "blocks.0.conv".

    The words of the path since its last number, joined by "_" ("conv"), where no other module has
    them, else the whole path ("blocks_0_conv"); a module whose path ends in a number is called
    after its kind, and numbered where there are several. taken: names of inputs and outputs.
    """
    modules = {path: module for path, module in calls if not isinstance(module, TRANSPARENT)}
    own = {path: _own(path) for path in modules}
    shared = Counter(own.values())
    kinds = {path: _kind(module) for path, module in modules.items()}
    total, count = Counter(kinds.values()), Counter[str]()
    names: dict[str, str] = {}
    for path, kind in kinds.items():
        count[kind] += 1
        name = own[path] or (kind if total[kind] == 1 else f"{kind}{count[kind]}")
        if own[path] and shared[own[path]] > 1:
            name = path.replace(".", "_")
        # The graph's own ends are called so.
        name = f"{name}_layer" if name in taken else name
        while name in taken or name in names.values():
            name += "_"
        names[path] = name
    return Names(names, taken)


def _own(path: str) -> str:
    words: list[str] = []
    for word in path.split("."):
        words = [] if word.isdigit() else [*words, word]
    return "_".join(words)


def _kind(module: torch.nn.Module) -> str:
    if isinstance(module, nn.Recurrent):
        return _kind(module.neuron)
    if isinstance(module, nn.LeakyReadout):
        return "readout"
    return "fc" if isinstance(module, torch.nn.Linear) else type(module).__name__.lower()
