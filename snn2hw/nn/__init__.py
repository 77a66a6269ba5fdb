"""Trainable spiking layers for PyTorch.

Every layer maps a whole sequence (batch, time, features) to a sequence (batch, time, neurons), and
the readout maps a sequence to class scores (batch, classes), so that a network is a plain
``torch.nn.Sequential``, or any module whose ``forward`` calls layers and adds what they give::

    Sequential(Linear(96, 32), GPN(32), SequenceDropout(0.25), Readout(32, 9))

Where a step is an image, a sequence is (batch, time, channels, rows, columns), and the layers that
work on it (Conv1d, Conv2d, AvgPool2d, SumPool2d, Flatten) are ours, for torch's know no time;
torch's own Linear acts on the last axis and serves as it is.

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

from snn2hw.nn.alif import ALIF
from snn2hw.nn.augment import Augment
from snn2hw.nn.checkpoint import load_checkpoint, save_checkpoint
from snn2hw.nn.cuba_lif import CubaLIF
from snn2hw.nn.delay import Delay
from snn2hw.nn.dense import GRU, LSTM, NormLinear
from snn2hw.nn.dropout import SequenceDropout
from snn2hw.nn.glif import GLIF
from snn2hw.nn.gpn import GPN
from snn2hw.nn.leaky import LI, LeakyReadout
from snn2hw.nn.lif import LIF
from snn2hw.nn.neuron import Neuron
from snn2hw.nn.plif import PLIF
from snn2hw.nn.ponghiran_roy import SparseEncoder, SparseGated, SparseLeaky, SparseQuantizer
from snn2hw.nn.quantized import QuantizedNetwork
from snn2hw.nn.quantized_noise import Noise, noise_of
from snn2hw.nn.quantized_run import IntegerRun
from snn2hw.nn.readout import Readout
from snn2hw.nn.recipe import Recipe, Schedule
from snn2hw.nn.recurrent import Recurrent
from snn2hw.nn.s2net import (
    NormalizedReadout,
    SpikingConv1d,
    SpikingConv2d,
    SpikingConv3d,
    SpikingDense,
)
from snn2hw.nn.scoring import accuracy, predict
from snn2hw.nn.spatial import AvgPool2d, Conv1d, Conv2d, Flatten, SumPool2d
from snn2hw.nn.surrogate import ATan, spike
from snn2hw.nn.training import Epoch, fit, train

__all__ = [
    "ALIF",
    "GLIF",
    "GPN",
    "GRU",
    "LI",
    "LIF",
    "LSTM",
    "PLIF",
    "ATan",
    "Augment",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "CubaLIF",
    "Delay",
    "Epoch",
    "Flatten",
    "IntegerRun",
    "LeakyReadout",
    "Neuron",
    "Noise",
    "NormLinear",
    "NormalizedReadout",
    "QuantizedNetwork",
    "Readout",
    "Recipe",
    "Recurrent",
    "Schedule",
    "SequenceDropout",
    "SparseEncoder",
    "SparseGated",
    "SparseLeaky",
    "SparseQuantizer",
    "SpikingConv1d",
    "SpikingConv2d",
    "SpikingConv3d",
    "SpikingDense",
    "SumPool2d",
    "accuracy",
    "fit",
    "load_checkpoint",
    "noise_of",
    "predict",
    "save_checkpoint",
    "spike",
    "train",
]
