"""One PyTorch framework's forward passes, timed on request; runs in an environment with that tool.

    python torch_worker.py TOOL NETWORK.npz

NETWORK.npz holds the stages that ``frameworks.describe`` wrote. Each line on stdin is a request in
JSON; each reply on stdout is a line {"seconds": ...} or {"error": ...}. The network is built from
torch.nn layers and the tool's own neurons, in float32, in inference mode, on one thread.
"layers" as tool means the same layers without any neurons: what no framework can be faster than.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch._dynamo
from torch import nn

Stage = tuple[bool, Any]
"""Whether it is a neuron, and the module."""


def layer(kind: str, get: Callable[[str], np.ndarray]) -> nn.Module:
    if kind == "flatten":
        return nn.Flatten()
    if kind == "pool":
        size, stride = (tuple(int(i) for i in get(key)) for key in ("kernel", "stride"))
        return nn.AvgPool2d(size, stride, divisor_override=1)
    weight, bias = torch.from_numpy(get("weight")), torch.from_numpy(get("bias"))
    if kind == "conv":
        options = {k: tuple(int(i) for i in get(k)) for k in ("stride", "padding", "dilation")}
        groups = int(get("groups"))
        n_in = weight.shape[1] * groups
        made = nn.Conv2d(n_in, weight.shape[0], weight.shape[2:], groups=groups, **options)
    else:
        made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight, made.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return made


class Snntorch:
    """``Leaky`` keeps its state itself; reset_delay=False resets in the step of the spike."""

    def __init__(self, beta: float, threshold: float) -> None:
        import snntorch

        self.cell = snntorch.Leaky(
            beta,
            threshold=threshold,
            init_hidden=True,
            reset_mechanism="zero",
            reset_delay=False,
        )

    def compile(self) -> None:
        """Let torch.compile make one loop over memory of the neuron's operations."""
        self.cell = torch.compile(self.cell)

    def reset(self) -> None:
        self.cell.reset_mem()

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)

    def all_steps(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.step(now) for now in x])


class Norse(Snntorch):
    """IAF where nothing leaks; else LIFBox, whose input is scaled by dt / tau_mem."""

    def __init__(self, beta: float, threshold: float) -> None:
        import norse.torch as norse

        if beta == 1:
            parameters = norse.IAFParameters(
                v_th=torch.tensor(threshold), v_reset=torch.tensor(0.0)
            )
            self.cell, self.gain = norse.IAFCell(parameters), 1.0
        else:
            parameters = norse.LIFBoxParameters(
                tau_mem_inv=torch.tensor((1 - beta) / 1e-3),
                v_leak=torch.tensor(0.0),
                v_th=torch.tensor(threshold),
                v_reset=torch.tensor(0.0),
            )
            self.cell, self.gain = norse.LIFBoxCell(parameters, dt=1e-3), 1 / (1 - beta)
        self.state = None

    def reset(self) -> None:
        self.state = None

    def step(self, x: torch.Tensor) -> torch.Tensor:
        spikes, self.state = self.cell(x, self.state)
        return spikes


class Spikingjelly(Snntorch):
    def __init__(self, beta: float, threshold: float) -> None:
        from spikingjelly.activation_based import functional, neuron

        if beta == 1:
            self.cell = neuron.IFNode(threshold, 0.0, step_mode="s")
        else:
            self.cell = neuron.LIFNode(
                1 / (1 - beta), decay_input=False, v_threshold=threshold, v_reset=0.0
            )
        self.cell.eval()
        self.set_mode = functional.set_step_mode

    def reset(self) -> None:
        self.cell.reset()

    def step(self, x: torch.Tensor) -> torch.Tensor:
        if self.cell.step_mode != "s":
            self.set_mode(self.cell, "s")
        return self.cell(x)

    def all_steps(self, x: torch.Tensor) -> torch.Tensor:
        if self.cell.step_mode != "m":
            self.set_mode(self.cell, "m")
        return self.cell(x)


class Sinabs(Snntorch):
    """Its layers take (batch, time, ...); the loop over time is theirs."""

    def __init__(self, beta: float, threshold: float) -> None:
        import sinabs.layers as sl
        from sinabs.activation import MembraneReset, SingleSpike

        options = {
            "spike_threshold": torch.tensor(threshold),
            "spike_fn": SingleSpike,
            "reset_fn": MembraneReset(),
        }
        if beta == 1:
            self.cell = sl.IAF(**options)
        else:
            tau = torch.tensor(-1 / math.log(beta))
            self.cell = sl.LIF(tau_mem=tau, norm_input=False, **options)

    def reset(self) -> None:
        self.cell.reset_states()

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x.unsqueeze(1)).squeeze(1)

    def all_steps(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x.transpose(0, 1)).transpose(0, 1)


class Nothing(Snntorch):
    """In a neuron's place: what comes in goes out."""

    def __init__(self, beta: float, threshold: float) -> None:
        self.cell = nn.Identity()

    def reset(self) -> None:
        pass

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def all_steps(self, x: torch.Tensor) -> torch.Tensor:
        return x


NEURONS = {
    "snntorch": Snntorch,
    "norse": Norse,
    "spikingjelly": Spikingjelly,
    "sinabs": Sinabs,
    "layers": Nothing,
}


def build(tool: str, content: Any) -> list[Stage]:
    stages: list[Stage] = []
    for k, kind in enumerate(content["kinds"]):
        if kind != "neuron":
            stages.append((False, layer(kind, lambda key, k=k: content[f"{k}_{key}"])))
            continue
        cell = NEURONS[tool](float(content[f"{k}_beta"]), float(content[f"{k}_threshold"]))
        gain = getattr(cell, "gain", 1.0)
        if gain != 1:
            before = stages[-1][1]
            before.weight.data *= gain
            before.bias.data *= gain
        stages.append((True, cell))
    return stages


def forward(stages: list[Stage], x: torch.Tensor, by_layer: bool) -> torch.Tensor:
    """x: (time, batch, ...). Layer by layer over all steps, or step by step over all layers."""
    for is_neuron, stage in stages:
        if is_neuron:
            stage.reset()
    if not by_layer:
        outputs = []
        for now in x:
            for is_neuron, stage in stages:
                now = stage.step(now) if is_neuron else stage(now)
            outputs.append(now)
        return torch.stack(outputs)
    for is_neuron, stage in stages:
        x = stage.all_steps(x) if is_neuron else stage(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return x


def run(
    stages: list[Stage], x: torch.Tensor, batch: int, by_layer: bool
) -> tuple[float, torch.Tensor]:
    """x: (samples, time, ...). Seconds of all batches, and the output (samples, time, ...)."""
    # Data lie ready, steps first, before the clock starts.
    parts = [part.transpose(0, 1).contiguous() for part in x.split(batch)]
    begin = time.perf_counter()
    outputs = [forward(stages, part, by_layer) for part in parts]
    seconds = time.perf_counter() - begin
    return seconds, torch.cat(outputs, dim=1).transpose(0, 1)


def main() -> None:
    torch.set_num_threads(1)
    torch._dynamo.config.recompile_limit = 64  # one version a layer's shape
    logging.disable(logging.WARNING)
    tool, path = sys.argv[1:]
    content = dict(np.load(path))
    networks: dict[tuple[bool, bool], list[Stage]] = {}
    for channels_last, compiled in itertools.product((False, True), repeat=2):
        stages = networks[channels_last, compiled] = build(tool, content)
        for is_neuron, stage in stages:
            if channels_last and not is_neuron:
                stage.to(memory_format=torch.channels_last)
            if compiled and is_neuron:
                stage.compile()
    data: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for line in sys.stdin:
            request = json.loads(line)
            try:
                if request["x"] not in data:
                    data[request["x"]] = torch.from_numpy(np.load(request["x"])).float()
                x = data[request["x"]][: request.get("samples")]
                stages = networks[request["channels_last"], request["compiled"]]
                seconds, output = run(stages, x, request["batch"], request["by_layer"])
                if "output" in request:
                    np.save(request["output"], output.numpy())
                reply = {"seconds": seconds, "torch": torch.__version__}
            except Exception as error:  # noqa: BLE001 - of whatever kind: the tools' own code raises it
                reply = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
