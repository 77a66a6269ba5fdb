"""Japanese Vowels at 4 bits and ternary: floats, post-training, quantisation-aware training.

    python benchmarks/qat.py

The demo's LIF and GPN, seeds 0, 1, 2; post-training quantisation with its search, and training on
the integers from the same floats. Its learning rate is chosen on training data alone: for each
network and width, on a model of seed 0 trained on two thirds of the utterances, the rate with the
most of the other third right (the lower of equals). Accuracies are of the test split.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from common import Bench

import snn2hw
from snn2hw.data import japanese_vowels
from snn2hw.demo_models import NEURONS, RECIPES, build_japanese_vowels
from snn2hw.graph import FixedPointNetwork
from snn2hw.nn import QuantizedNetwork, accuracy, train
from snn2hw.passes.config import QuantizeConfig, WeightConfig

SEEDS = (0, 1, 2)
BITS = (4, 2)
RATES = (3e-4, 1e-3, 3e-3)
EPOCHS = 5
DT_S = japanese_vowels.load_spikes("train").dt_s


def floats(neuron: str, x: np.ndarray, y: np.ndarray, seed: int) -> torch.nn.Module:
    model = build_japanese_vowels(neuron, seed)
    train(model, x, y, **vars(RECIPES[neuron]), seed=seed)
    return model


def right(net: FixedPointNetwork, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(net.run(net.encode(x)).predictions == y))


def trained(graph, config: QuantizeConfig, x, y, rate: float, seed: int) -> FixedPointNetwork:
    network = QuantizedNetwork(graph, x, dt=DT_S, config=config)
    train(network, x, y, epochs=EPOCHS, lr=rate, batch_size=32, seed=seed)
    network.refresh()
    return network.export()


def chosen_rates(neuron: str, x: np.ndarray, y: np.ndarray) -> dict[int, float]:
    held = np.arange(len(x)) % 3 == 0
    model = floats(neuron, x[~held], y[~held], seed=0)
    graph = snn2hw.to_nir(model, x.shape[2:], dt=DT_S)
    rates = {}
    for bits in BITS:
        config = QuantizeConfig(default=WeightConfig(bits=bits))
        nets = {rate: trained(graph, config, x[~held], y[~held], rate, 0) for rate in RATES}
        rates[bits] = max(RATES, key=lambda rate: (right(nets[rate], x[held], y[held]), -rate))
    return rates


def main() -> None:
    data, test = japanese_vowels.load_spikes("train"), japanese_vowels.load_spikes("test")
    bench = Bench("qat", seeds=SEEDS, epochs=EPOCHS, data={test.name: test.sha256()})
    for neuron in NEURONS:
        rates = chosen_rates(neuron, data.x, data.y)
        for seed in SEEDS:
            model = floats(neuron, data.x, data.y, seed)
            graph = snn2hw.to_nir(model, data.x.shape[2:], dt=DT_S)
            for bits in BITS:
                config = QuantizeConfig(default=WeightConfig(bits=bits))
                post = snn2hw.quantize(graph, dt=DT_S, calibration=data.x, config=config)
                start = time.perf_counter()
                net = trained(graph, config, data.x, data.y, rates[bits], seed)
                row = {
                    "neuron": neuron,
                    "seed": seed,
                    "bits": bits,
                    "rate": rates[bits],
                    "float": accuracy(model, test.x, test.y),
                    "post_training": right(post, test.x, test.y),
                    "trained": right(net, test.x, test.y),
                    "seconds": time.perf_counter() - start,
                }
                bench.add(row)
                print(row, flush=True)
    for neuron in NEURONS:
        for bits in BITS:
            rows = [r for r in bench.rows if (r["neuron"], r["bits"]) == (neuron, bits)]
            means = {
                way: statistics.mean(100 * r[way] for r in rows)
                for way in ("float", "post_training", "trained")
            }
            print(neuron, bits, {way: f"{value:.2f} %" for way, value in means.items()})
    bench.write()


if __name__ == "__main__":
    main()
