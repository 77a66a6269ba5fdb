"""How others round the same networks, to be held beside ours.

``nir_paper``: the Lava converter of the NIR paper (Pedersen et al. 2024, Nat. Commun. 15:8122):
weights times 256, decays times 4095, thresholds times 256. ``lava_dl``: lava-dl's SLAYER: weights
times 64 as even integers, decays in 4096ths, and the netx loader's choice of a weight exponent,
which changes how integers are stored, not which they are. Both saturate weights at Loihi's 8 bits
and know LIF neurons only; the linear readout is rounded by the same rule. Reimplemented from the
rules; biases and the registers' widths are ours. Real-valued data enter as our 8-bit messages, and
the layer that they enter counts in units of these, so that its weights keep their 256 or 64 steps.

Neither has a rule for fewer bits: with ``bits`` below 8 their weights keep their range, in steps
that are 2**(8 - bits) times as large, as if the chip dropped the last bits. PyTorch's dynamic
quantisation has 8 bits alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from snn2hw.data.base import Dataset
from snn2hw.graph import DiscreteGraph, FixedPointNetwork
from snn2hw.linear import with_weight

RULES = {"nir_paper": (256.0, 4095), "lava_dl": (64.0, 4096)}
"""Peer -> integer weight of 1.0, and integer decay of 1."""


def rounded(
    graph: DiscreteGraph, net: FixedPointNetwork, peer: str, bits: int = 8
) -> FixedPointNetwork:
    """Our network with the integers that the peer's rules give.

    graph: folded; net: our integers of it, LIF neurons and readouts only.
    """
    steps, unity = RULES[peer]
    units_of = {node.name: node.unit for node in net.inputs}
    layers, synapses = [], []
    for layer in net.layers:
        scale = steps / units_of.get(net.into(layer.name)[0].source, 1.0)
        params = graph.population(layer.name).params
        n = layer.n
        fine = 1 / (64 * scale)
        if layer.model.name == "lif":
            bias = np.broadcast_to(np.rint(params["bias"] / fine), (n,))
            exponent = np.zeros(n, dtype=int)
            for shift in range(1, 8):
                exponent[np.abs(bias) > 4095 << (shift - 1)] = shift
            made = {
                "decay_u": np.clip(np.rint(params["decay_u"] * unity), 1, 4096),
                "decay_v": np.clip(np.rint(params["decay_v"] * unity), 0, 4095),
                "threshold": np.rint(params["v_threshold"] * scale),
                "bias_mantissa": np.clip(np.rint(bias / 2.0**exponent), -4096, 4095),
                "bias_exponent": exponent,
            }
            units = {"u": fine, "v": fine, "s": 1.0}
        else:
            made = {"bias": np.rint(params["bias"] * scale)}
            units = {"y": 1 / scale}
        whole = {k: np.broadcast_to(v, (n,)).astype(np.int32) for k, v in made.items()}
        layers.append(replace(layer, params=whole, units=units))
    for synapse in net.synapses:
        real = next(p for p in graph.projections if p.name == synapse.name).map.weight
        # A mixed-sign matrix holds even integers from -256 to 254.
        exponent, most = 9 - bits, 1 << (bits - 1)
        scaled = np.rint(real * steps / 2**exponent)
        even = np.clip(scaled, -most, most - 1).astype(np.int8)
        synapses.append(replace(synapse, map=with_weight(synapse.map, even), exponent=exponent))
    return replace(net, layers=tuple(layers), synapses=tuple(synapses))


class GRU(nn.Module):
    """A GRU and a linear readout of its mean over time: (batch, time, n_in) -> (batch, classes)."""

    def __init__(self, n_in: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(n_in, hidden, batch_first=True), nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(x)[0].mean(dim=1))


def gru(train: Dataset, test: Dataset, seed: int, hidden: int = 48) -> tuple[float, float, float]:
    """Accuracy on the test split of a GRU in floats and after PyTorch's dynamic quantisation, and
    the share of equal answers."""
    torch.manual_seed(seed)
    x, y = (torch.as_tensor(np.asarray(v)) for v in (train.x, train.y))
    model = GRU(x.shape[2], hidden, int(y.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    for _ in range(40):
        for part in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(model(x[part].float()), y[part].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    small = torch.ao.quantization.quantize_dynamic(model, {nn.GRU, nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        seen = torch.as_tensor(np.asarray(test.x)).float()
        floats, fixed = (m(seen).argmax(1).numpy() for m in (model, small))
    right = [float(np.mean(found == test.y)) for found in (floats, fixed)]
    return right[0], right[1], float(np.mean(floats == fixed))
