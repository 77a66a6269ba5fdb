"""What one network of benchmarks/speech.py does on the test speakers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from energy import own_multiplications
from torch import nn

import snn2hw
from snn2hw.cli.report_parts import all_bills
from snn2hw.data import Dataset
from snn2hw.energy import Bill
from snn2hw.energy.baselines import Baseline, Signal, build, estimate_baseline, multiplications
from snn2hw.energy.baselines.charges import PROFILE
from snn2hw.energy.baselines.ponghiran import published_ratio
from snn2hw.energy.profile import profile_names
from snn2hw.errors import BackendError, Snn2hwError
from snn2hw.graph import FixedPointNetwork
from snn2hw.nn import predict
from snn2hw.simulator.activity import LayerActivity, SynapseActivity
from snn2hw.simulator.run import Run

CALIBRATION_CLIPS = 400
COUNTED_CLIPS = 400
"""Test clips, spread evenly, whose activity is counted; accuracy is of all."""

THEIRS = {"lif": "traditional", "sparse_leaky": "traditional", "sparse_gated": "gated"}
"""Model of the neurons -> kind of network in Ponghiran and Roy's formula."""


def measure(
    model: nn.Sequential,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    clips: int,
    steps: int | None,
) -> dict[str, Any]:
    """The figures of a row.

    clips, steps: of the test split, compared with Lava; no clips: nothing is, no steps: all.
    """
    floats = predict(model, test.x).argmax(1)
    found: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "float": float(np.mean(floats == test.y)),
        "samples": len(test),
        "steps": test.x.shape[1],
        "dt_s": test.dt_s,
        "classes": len(test.classes),
    }
    if any(isinstance(layer, nn.GRU | nn.LSTM) for layer in model):
        return {**found, "spiking": False, **dense(model, validation, test, floats)}
    rest = spiking(model, train, validation, test, floats, clips, steps)
    return {**found, "spiking": True, **rest}


def every(number: int, most: int) -> slice:
    """About so many of a number of samples, spread evenly, for speakers and classes are sorted."""
    return slice(None, None, max(1, number // most))


def spiking(
    model: nn.Sequential,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    floats: np.ndarray,
    clips: int,
    steps: int | None,
) -> dict[str, Any]:
    """A network on the chip's integers."""
    start = time.perf_counter()
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    typical = train.x[every(len(train), CALIBRATION_CLIPS)]
    net = snn2hw.quantize(graph, dt=test.dt_s, calibration=typical)
    quantized = time.perf_counter()
    messages = net.encode(test.x)
    parts = _run(net, messages)
    fixed = np.concatenate([part.predictions for part in parts])
    overflows = sum(o.wraps + o.clips for part in parts for o in part.overflows.values())
    simulated = time.perf_counter()
    heard = np.concatenate([p.predictions for p in _run(net, net.encode(validation.x))])
    picked = every(len(test), COUNTED_CLIPS)
    run = parts[0] if len(parts) == 1 else net.run(messages[picked], threads=1)
    return {
        "fixed": float(np.mean(fixed == test.y)),
        "agree": float(np.mean(fixed == floats)),
        "validation_fixed": float(np.mean(heard == validation.y)),
        "overflows": overflows,
        "latency_steps": net.latency,
        "quantize_s": round(quantized - start, 1),
        "simulate_s": round(simulated - quantized, 1),
        **counts(net, run, test.dt_s),
        "energy": [bill_of(bill) for bill in bills(net, run)],
        "lava": compared(net, messages[_sample(len(test), clips)][:, :steps]),
    }


def _run(net: FixedPointNetwork, messages: np.ndarray) -> list[Run]:
    """All of them, in parts, which need less memory."""
    return [
        net.run(messages[first : first + COUNTED_CLIPS], threads=1)
        for first in range(0, len(messages), COUNTED_CLIPS)
    ]


def _sample(number: int, clips: int) -> np.ndarray:
    return np.linspace(0, number - 1, clips).astype(int) if clips else np.arange(0)


def counts(net: FixedPointNetwork, run: Run, dt_s: float) -> dict[str, Any]:
    """Operations of an inference, and how busy the hidden neurons are."""
    activity, steps = run.activity, run.activity.steps
    ends = {output.source for output in net.outputs}
    encoders = {s.target for s in activity.synapses if _encodes(s, net)}
    aside = {*ends, *encoders}
    hidden = [a for a in activity.layers if a.name not in aside and a.model != "relay"]
    sent = {layer.name: float(_sent(layer).mean()) for layer in hidden}
    neurons = sum(layer.neurons for layer in hidden)
    shares = {layer.name: sent[layer.name] / (layer.neurons * steps) for layer in hidden}
    return {
        "layers": [[a.name, a.model, a.neurons] for a in activity.layers],
        "neurons": neurons,
        "counted_samples": activity.samples,
        "active": sum(sent.values()) / (neurons * steps),
        "active_by_layer": shares,
        "rate_hz": sum(sent.values()) / (neurons * steps * dt_s),
        "synops": activity.synops / activity.samples,
        "macs": activity.macs / activity.samples,
        "updates": sum(float(a.updates.mean()) for a in activity.layers),
        "multiplications": own_multiplications(net, run),
        **by_formula(net, run, hidden, sent),
    }


def _encodes(synapse: SynapseActivity, net: FixedPointNetwork) -> bool:
    """Whether these synapses give each neuron a datum of its own."""
    entry = synapse.source in {node.name for node in net.inputs}
    return entry and synapse.kind == "one-to-one"


def _sent(layer: LayerActivity) -> np.ndarray:
    """What the neurons of a layer fire: spikes, and where they have none values that are not 0."""
    return layer.spikes if 1 in layer.port_bits.values() else layer.messages


def by_formula(
    net: FixedPointNetwork, run: Run, hidden: list[LayerActivity], sent: dict[str, float]
) -> dict[str, float | None]:
    """Ponghiran and Roy's count of multiplications, an inference, and how many times more a GRU of
    the same widths does on dense data as their code counts it; None where it does not apply."""
    kinds = {THEIRS.get(layer.model) for layer in hidden}
    widths = {layer.neurons for layer in hidden}
    kind = kinds.pop() if len(kinds) == len(widths) == 1 else None
    recurrent = any(s.source == s.target for s in net.synapses)
    if kind is None or (kind == "traditional" and recurrent):
        return {"multiplications_formula": None, "published_ratio": None}
    kind = "gated_v1" if kind == "gated" and not recurrent else kind
    steps, width = run.activity.steps, widths.pop()
    into = [s for s in run.activity.into(hidden[0].name) if s.source != hidden[0].name]
    entered = sum(float(s.messages_in.mean()) for s in into) / steps
    nnz = [sent[layer.name] / steps for layer in hidden]
    outputs = net.size(net.outputs[0].source)
    inputs = sum(node.n for node in net.inputs)
    return {
        "multiplications_formula": steps * multiplications(kind, entered, width, outputs, nnz),
        "published_ratio": published_ratio(kind, entered, inputs, width, outputs, nnz),
    }


def bills(net: FixedPointNetwork, run: Run) -> list[Bill | tuple[str, str]]:
    """A bill by each profile, or the profile's name and why there is none."""
    found: list[Bill | tuple[str, str]] = []
    for name in profile_names():
        try:
            found += all_bills(net, run, [name])
        except Snn2hwError as error:
            found.append((name, str(error)))
    return found


def bill_of(bill: Bill | tuple[str, str]) -> dict[str, Any]:
    """A bill as JSON: its sum, and why it is no total where it is none."""
    if isinstance(bill, tuple):
        return {"profile": bill[0], "priced_j": None, "total": False, "why": bill[1]}
    why = sorted({item.why_unpriced for item in bill.unpriced})
    return {
        "profile": bill.profile.name,
        "priced_j": bill.priced_j,
        "total": bill.total_j is not None,
        "at_least": bill.at_least,
        "groups_j": bill.by_group(),
        "why": "; ".join(why),
    }


def compared(net: FixedPointNetwork, messages: np.ndarray) -> dict[str, Any]:
    """Every spike, message and state of these clips in Lava and here."""
    about = {"samples": len(messages), "steps": messages.shape[1]}
    if not len(messages):
        return {**about, "compared": 0, "why": "not asked for"}
    try:
        check = snn2hw.verify(net, messages)
    except BackendError as error:
        return {**about, "compared": 0, "why": str(error)}
    first = check.first_mismatch
    return {
        **about,
        "backend": check.backend,
        "compared": check.compared,
        "mismatches": check.mismatches,
        "why": "" if first is None else str(first),
        "seconds": round(check.seconds, 1),
    }


class Plain(nn.Module):
    """torch's own GRU or LSTM of a layer of ours, for its quantisation goes by exact types."""

    def __init__(self, layer: nn.GRU | nn.LSTM) -> None:
        super().__init__()
        kind = nn.GRU if isinstance(layer, nn.GRU) else nn.LSTM
        self.cell = kind(layer.input_size, layer.hidden_size, batch_first=True)
        self.cell.load_state_dict(layer.state_dict())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, time, channels) to (batch, time, units)."""
        states: torch.Tensor = self.cell(x)[0]
        return states


def dense(
    model: nn.Sequential, validation: Dataset, test: Dataset, floats: np.ndarray
) -> dict[str, Any]:
    """A network without spikes: floats, torch's dynamic int8, operations as they are written."""
    cells = [layer for layer in model if isinstance(layer, nn.GRU | nn.LSTM)]
    plain = nn.Sequential(*[Plain(a) if a in cells else a for a in model]).eval()
    kinds = {nn.GRU, nn.LSTM, nn.Linear}
    small = torch.ao.quantization.quantize_dynamic(plain, kinds, dtype=torch.qint8)
    fixed, heard = predict(small, test.x).argmax(1), predict(small, validation.x).argmax(1)
    kind = "gru" if isinstance(cells[0], nn.GRU) else "lstm"
    steps, widths = test.x.shape[1], [cell.hidden_size for cell in cells]
    channels = int(np.prod(test.x.shape[2:]))
    density = float(np.count_nonzero(test.x)) / test.x.size
    signal = Signal(channels, density)
    baseline = build(kind, signal, widths, len(test.classes), steps)
    circuits = {"dense": False, "sparse": True}
    priced = {name: estimate_baseline(baseline, sparse=on) for name, on in circuits.items()}
    return {
        "kind": kind,
        "fixed": float(np.mean(fixed == test.y)),
        "agree": float(np.mean(fixed == floats)),
        "validation_fixed": float(np.mean(heard == validation.y)),
        "macs": baseline.macs,
        "synops": baseline.macs,
        "updates": steps * sum(part.neurons for part in baseline.parts),
        **dense_multiplications(baseline),
        "energy": [
            {"profile": PROFILE, "circuit": name, "priced_j": bill.priced_j, "total": True}
            for name, bill in priced.items()
        ],
    }


def dense_multiplications(baseline: Baseline) -> dict[str, Any]:
    """An inference's: all weights at all steps and those of the cells, and by the formula, which
    wants layers of one width."""
    inside = sum(
        baseline.steps * part.neurons * part.cell.operations["multiplies"]
        for part in baseline.parts
    )
    *hidden, readout = baseline.parts
    widths = [part.units for part in hidden]
    data = hidden[0].signals[0]
    theirs = None
    if len(set(widths)) == 1:
        theirs = baseline.steps * multiplications(
            baseline.kind, data.channels * data.density, widths[0], readout.units, widths
        )
    return {
        "multiplications": {"messages": float(baseline.macs), "neurons": float(inside)},
        "multiplications_formula": theirs,
    }
