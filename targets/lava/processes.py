"""Lava processes of a verification run: Intel's with what they lack, and our neurons.

Intel's keep their arithmetic: LIFReset gets a parameter for each neuron, Conv an exponent and a
delay, and DelayDense and DelaySparse build their matrix once. GradedVec sends as it does.

Runs under Python 3.10 with lava-nc 0.10.0, beside a copy of ``snn2hw.neurons``; nothing in the
package imports it. Lava looks for process models in this file, so it must stay importable.

Samples follow each other in windows. A layer handles logical step 0 of sample k at chip step
``k * window + offset``; its states are zero there, and outside of the ``steps`` steps of a sample
it sends nothing, so no sample hears another and no layer starts before its data arrive. With a
``log`` the model writes what it computed into a memory-mapped .npy file of shape
(samples * steps, quantities, n), int32: the states, then the outputs.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc
from lava.proc.dense.process import DelayDense
from lava.proc.graded.models import PyGradedVecModelFixed
from lava.proc.graded.process import GradedVec
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.models import PyDelaySparseModelBitAcc
from lava.proc.sparse.process import DelaySparse

from snn2hw.neurons import MODELS

IN_PORTS = 8
"""Most groups of input ports that a process of ours has; unused ones stay unconnected."""

OUT_PORTS = 4

SILENT = 2**31 - 1
"""A threshold that no message exceeds."""


class Window:
    """Where in its sample a layer is: ``row`` of the log, or None between samples."""

    def __init__(self, params: dict[str, Any]) -> None:
        """params: window, steps, samples, offset (all in chip steps), log (a path or None)."""
        self.window, self.steps = params["window"], params["steps"]
        self.samples, self.offset = params["samples"], params["offset"]
        self._path = params["log"]
        self._log: Any = None

    def row(self, time_step: int) -> int | None:
        """Row of the log for Lava's time step (which counts from 1)."""
        sample, step = divmod(time_step - 1 - self.offset, self.window)
        if 0 <= sample < self.samples and step < self.steps:
            return int(sample * self.steps + step)
        return None

    def write(self, row: int, *quantities: Any) -> None:
        """One row of the log, if one is kept."""
        if self._path is None:
            return
        if self._log is None:
            self._log = np.load(self._path, mmap_mode="r+")
        for k, quantity in enumerate(quantities):
            self._log[row, k] = quantity


class Lif(LIFReset):  # type: ignore[misc]
    """Intel's LIFReset with a decay and a threshold for each neuron instead of one for all."""

    def __init__(
        self,
        *,
        n: int,
        decay_u: Any,
        decay_v: Any,
        threshold: Any,
        bias_mantissa: Any,
        bias_exponent: Any,
        window: dict[str, Any],
        start: Any,
    ) -> None:
        """Parameters as ``snn2hw.neurons.lif``; Lava's ``du`` is ``decay_u`` minus 1; start: u
        and v before the first step of a sample, (2, n)."""
        super().__init__(
            shape=(n,),
            bias_mant=bias_mantissa,
            bias_exp=bias_exponent,
            reset_interval=window["window"],
            # Lava resets before the step for which time_step % interval == offset.
            reset_offset=(window["offset"] + 1) % window["window"],
        )
        self.du = Var(shape=(n,), init=decay_u - 1)
        self.dv = Var(shape=(n,), init=decay_v)
        self.vth = Var(shape=(n,), init=threshold)
        self.proc_params["window"] = window
        self.proc_params["start"] = start

    def heard(self, group: int) -> Any:
        """The port at which a group of synapses ends."""
        return self.a_in

    def sent(self, output: int) -> Any:
        """The port of an output of the model."""
        return self.s_out


@implements(proc=Lif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LifModel(PyLifResetModelBitAcc):  # type: ignore[misc]
    """Intel's bit-accurate model, its arithmetic untouched: arrays for scalars, a log, silence."""

    # Lava's decorator refuses a class that inherits the process of its base.
    implements_process = None

    du: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=17)

    def __init__(self, proc_params: Any) -> None:
        """proc_params: Intel's, ``window`` and ``start``."""
        super().__init__(proc_params)
        self.window = Window(proc_params["window"])
        self.initial = proc_params["start"]
        self.row: int | None = None
        self.spiked: Any = None

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Intel's dynamics, from the states that a sample starts with."""
        if self.row is not None and self.row % self.window.steps == 0:
            self.u[:], self.v[:] = self.initial
        super().subthr_dynamics(activation_in)

    def spiking_activation(self) -> Any:
        """Intel's spikes, held back between samples."""
        self.spiked = super().spiking_activation() & (self.row is not None)
        return self.spiked

    def run_spk(self) -> None:
        """Intel's step, then a row of the log."""
        self.row = self.window.row(self.time_step)
        super().run_spk()
        if self.row is not None:
            self.window.write(self.row, self.u, self.v, self.spiked)


class Graded(GradedVec):  # type: ignore[misc]
    """Intel's GradedVec: sends the sum that arrives, unless it is zero."""

    def __init__(self, *, n: int, window: dict[str, Any]) -> None:
        """n: number of neurons."""
        super().__init__(shape=(n,), vth=0)
        self.proc_params["window"] = window

    def heard(self, group: int) -> Any:
        """The port at which a group of synapses ends."""
        return self.a_in

    def sent(self, output: int) -> Any:
        """The port of an output of the model."""
        return self.s_out


@implements(proc=Graded, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GradedModel(PyGradedVecModelFixed):  # type: ignore[misc]
    """Intel's model, its arithmetic untouched: a log, silence between samples."""

    implements_process = None

    def __init__(self, proc_params: Any) -> None:
        """proc_params: Intel's, and ``window``."""
        super().__init__(proc_params)
        self.window = Window(proc_params["window"])
        self.row: int | None = None
        self.send: Any = None

    def run_spk(self) -> None:
        """Intel's step; a row of the log on its way out."""
        self.row = self.window.row(self.time_step)
        self.vth[:] = SILENT if self.row is None else 0
        if self.send is None:
            self.send = self.s_out.send
            self.s_out.send = self.log_and_send
        super().run_spk()

    def log_and_send(self, message: Any) -> None:
        """What Intel's step sends, which it keeps nowhere."""
        if self.row is not None:
            self.window.write(self.row, message)
        self.send(message)


class Delayed(DelayDense):  # type: ignore[misc]
    """Intel's DelayDense, whose model builds its matrix once and not in every step."""


@implements(proc=Delayed, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayedModel(PyDelayDenseModelBitAcc):  # type: ignore[misc]
    """Intel's bit-accurate model, its arithmetic untouched; weights and delays never change."""

    implements_process = None

    def __init__(self, proc_params: Any) -> None:
        """proc_params: Intel's."""
        super().__init__(proc_params)
        self.matrix: Any = None

    def get_delay_wgts_mat(self, weights: Any, delays: Any, max_delay: int) -> Any:
        """Intel's matrix of weights by delay, kept."""
        if self.matrix is None:
            self.matrix = PyDelayDenseModelBitAcc.get_delay_wgts_mat(weights, delays, max_delay)
        return self.matrix


class DelayedSparse(DelaySparse):  # type: ignore[misc]
    """Intel's DelaySparse, whose model builds its matrix once and not in every step."""


@implements(proc=DelayedSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayedSparseModel(PyDelaySparseModelBitAcc):  # type: ignore[misc]
    """Intel's bit-accurate model, its arithmetic untouched; weights and delays never change."""

    implements_process = None

    def __init__(self, proc_params: Any) -> None:
        """proc_params: Intel's."""
        super().__init__(proc_params)
        self.matrix: Any = None

    def get_delay_wgts_mat(self, weights: Any, delays: Any, max_delay: int) -> Any:
        """Intel's matrix of weights by delay, kept."""
        if self.matrix is None:
            self.matrix = PyDelaySparseModelBitAcc.get_delay_wgts_mat(weights, delays, max_delay)
        return self.matrix


class Convolved(Conv):  # type: ignore[misc]
    """Intel's Conv with an exponent that counts, and a delay."""

    def __init__(self, *, delay: int, message_bits: int, **conv: Any) -> None:
        """delay: steps beyond the one that every synapse takes; conv: Intel's arguments."""
        super().__init__(num_message_bits=message_bits, **conv)
        self.proc_params["delay"] = delay


@implements(proc=Convolved, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ConvolvedModel(PyConvModelFixed):  # type: ignore[misc]
    """Intel's model, its convolution untouched.

    Intel's ignores ``weight_exp``; here the sum is shifted as Dense and Sparse shift theirs.
    Intel's keeps the geometry in 8 bits, so that 128 groups become -128; here it has 32.
    """

    implements_process = None

    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int32)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int32)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int32)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        """proc_params: Intel's, and ``delay``."""
        super().__init__(proc_params)
        self.delay = proc_params["delay"]
        self.waiting: deque[Any] = deque()

    def clamp_precision(self, x: Any) -> Any:
        """What Intel's step sends at the next step: the sum of ``delay`` steps ago."""
        exponent = int(self.weight_exp[0])
        x = np.left_shift(x, exponent) if exponent > 0 else np.right_shift(x, -exponent)
        if not self.waiting:
            self.waiting.extend(np.zeros_like(x) for _ in range(self.delay))
        self.waiting.append(super().clamp_precision(x))
        return self.waiting.popleft()


class Neuron(AbstractProcess):  # type: ignore[misc]
    """Neurons of any model in ``snn2hw.neurons``, for those that Lava does not have.

    groups: tuples of input ports; port ``in_k`` takes one vector for group k, port by port. Lava
    adds up what several synapse processes send into one port.
    """

    def __init__(
        self,
        *,
        model: str,
        n: int,
        groups: list[list[str]],
        params: Any,
        window: dict[str, Any],
        start: Any,
    ) -> None:
        """params: int32 (number of parameters, n), in the model's order; start: the states before
        the first step of a sample, int32 (number of states, n)."""
        super().__init__(model=model, n=n, groups=groups, window=window, start=start)
        for k in range(IN_PORTS):
            rows = len(groups[k]) * n if k < len(groups) else 1
            setattr(self, f"in_{k}", InPort(shape=(rows,)))
        for k in range(OUT_PORTS):
            setattr(self, f"out_{k}", OutPort(shape=(n,)))
        self.state = Var(shape=(max(1, len(MODELS[model].states)), n), init=0)
        self.params = Var(shape=params.shape, init=params)

    def heard(self, group: int) -> Any:
        """The port at which a group of synapses ends."""
        return getattr(self, f"in_{group}")

    def sent(self, output: int) -> Any:
        """The port of an output of the model."""
        return getattr(self, f"out_{output}")


@implements(proc=Neuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NeuronFixed(PyLoihiProcessModel):  # type: ignore[misc]
    """The model's own integer step, on int64 so that no product overflows."""

    in_0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_4: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_5: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_6: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    in_7: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    out_0: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out_1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out_2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    out_3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state: np.ndarray = LavaPyType(np.ndarray, np.int64)
    params: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        """proc_params: what ``Neuron`` was made with."""
        super().__init__(proc_params)
        self.model = MODELS[proc_params["model"]]
        self.n, self.groups = proc_params["n"], proc_params["groups"]
        self.initial = proc_params["start"]
        self.window = Window(proc_params["window"])
        self.tables = tuple(table.astype(np.int64) for table in self.model.tables.values())
        self.silence = np.zeros(self.n, dtype=np.int32)

    def receive(self) -> list[Any]:
        """What arrived at each input port of the model, int64 (n,)."""
        ports = {name: np.zeros(self.n, dtype=np.int64) for name in self.model.inputs}
        for k, names in enumerate(self.groups):
            arrived = getattr(self, f"in_{k}").recv().reshape(len(names), self.n)
            for name, values in zip(names, arrived):  # noqa: B905 (equal by the reshape)
                ports[name] += values
        return [ports[name] for name in self.model.inputs]

    def run_spk(self) -> None:
        """One step of the model within a sample, silence between samples."""
        inputs = self.receive()
        row = self.window.row(self.time_step)
        sent: tuple[Any, ...] = (self.silence,) * len(self.model.outputs)
        if row is not None:
            if row % self.window.steps == 0:
                self.state[: len(self.initial)] = self.initial
            n_states = len(self.model.states)
            new = self.model.step(*self.state[:n_states], *inputs, *self.params, *self.tables)
            for k in range(n_states):
                self.state[k] = new[k]
            sent = new[n_states : n_states + len(self.model.outputs)]
            self.window.write(row, *self.state[:n_states], *sent)
        for k, values in enumerate(sent):
            getattr(self, f"out_{k}").send(np.asarray(values, dtype=np.int32))
