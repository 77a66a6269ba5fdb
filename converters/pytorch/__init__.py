"""PyTorch models of snn2hw's layers to NIR, and back.

A model is a ``torch.nn.Sequential``, or any module whose ``forward`` calls layers and adds what
they give (residual and skip connections); see ``trace``. The layers are those of ``snn2hw.nn`` and
torch's Linear; dropout is the identity in evaluation and leaves no node.
"""

from __future__ import annotations

from snn2hw.errors import MissingDependencyError

try:
    import torch as _torch  # noqa: F401  (here so that its absence gets a message of ours)
except ImportError as error:
    raise MissingDependencyError(
        "converting PyTorch models needs torch; install it with: pip install 'snn2hw[torch]'"
    ) from error

from snn2hw.converters.pytorch.load import from_nir
from snn2hw.converters.pytorch.trace import to_nir

__all__ = ["from_nir", "to_nir"]
