"""Begin a training with what another one learned."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from snn2hw.errors import ParameterError
from snn2hw.nn.checkpoint import load_checkpoint


def start_from(model: nn.Module, path: str | Path) -> list[str]:
    """Take over the weights of a checkpoint, where name and shape are those of the model's.

    A readout of another number of classes stays as it is, and so does all that the other network
    has not.

    Args:
        model: changed in place.
        path: a checkpoint, as `save_checkpoint` writes it.

    Returns:
        Names of the model's tensors, as in its state_dict, that were not in the checkpoint.

    Raises:
        FileFormatError: the checkpoint cannot be read.
        ParameterError: no tensor of it has a place in the model.
    """
    theirs, mine = load_checkpoint(path).state_dict(), model.state_dict()
    taken = {
        name: theirs[name]
        for name, value in mine.items()
        if name in theirs and theirs[name].shape == value.shape
    }
    if not taken:
        raise ParameterError(
            f"{path}: none of its {len(theirs)} tensors has a name and shape of this network, give"
            " a checkpoint of the same layers"
        )
    model.load_state_dict(mine | taken)
    return [name for name in mine if name not in taken]
