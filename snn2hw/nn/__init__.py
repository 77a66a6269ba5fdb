"""Trainable spiking layers for PyTorch.

Every layer maps a whole sequence (batch, time, features) to a sequence (batch, time, neurons), and
the readout maps a sequence to class scores (batch, classes), so that a network is a plain
``torch.nn.Sequential``::

    Sequential(Linear(96, 32), GPN(32), SequenceDropout(0.25), Readout(32, 9))

Importing this package needs torch (``pip install 'snn2hw[torch]'``); importing ``snn2hw`` does not.
"""

from snn2hw.errors import MissingDependencyError

try:
    import torch as _torch  # noqa: F401  (here so that its absence gets a message of ours)
except ModuleNotFoundError as error:  # pragma: no cover - needs an environment without torch
    if error.name != "torch":
        raise
    raise MissingDependencyError(
        "snn2hw.nn needs torch, which is not installed: run pip install 'snn2hw[torch]'"
    ) from error

from snn2hw.nn.checkpoint import load_checkpoint, save_checkpoint
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.gpn import GPN
from snn2hw.nn.lif import LIF
from snn2hw.nn.readout import Readout
from snn2hw.nn.surrogate import ATan, spike
from snn2hw.nn.training import accuracy, predict, train

__all__ = [
    "GPN",
    "LIF",
    "ATan",
    "Readout",
    "SequenceDropout",
    "accuracy",
    "load_checkpoint",
    "predict",
    "save_checkpoint",
    "spike",
    "train",
]
