"""4 bits and ternary: floats, post-training, quantisation-aware training.

    SNN2HW_DATA=/path/to/data python benchmarks/qat.py [--task vowels|digits] [--neuron lif|gpn]

LIF and GPN, seeds 0, 1, 2 (``trained``); post-training quantisation with its search, and training
on the integers from the same floats (5 epochs of Japanese Vowels, 3 of the digits), with the
dropout, noise and augmentation that they were trained with. The learning rate is chosen without
test data, for each network and width with seed 0: Japanese Vowels, the rate with the most of a
third of the utterances right that its network never saw; digits, of the validation speakers, after
one epoch (the lower of equals). Accuracies are of the test split.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from common import Bench
from trained import SEEDS, Task, chosen, found

import snn2hw
from snn2hw.graph import FixedPointNetwork
from snn2hw.nn import QuantizedNetwork, accuracy, noise_of, train
from snn2hw.passes.config import QuantizeConfig, WeightConfig

BITS = (4, 2)
RATES = {"Japanese Vowels": (3e-4, 1e-3, 3e-3), "digits": (1e-4, 3e-4, 1e-3)}
EPOCHS = {"Japanese Vowels": 5, "digits": 3}
CHOOSING_EPOCHS = {"Japanese Vowels": 5, "digits": 1}


def right(net: FixedPointNetwork, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(net.run(net.encode(x)).predictions == y))


def trained(
    task: Task, model: torch.nn.Module, bits: int, rate: float, seed: int, epochs: int, x, y
) -> FixedPointNetwork:
    dt = task.test.dt_s
    graph = snn2hw.to_nir(model, x.shape[2:], dt=dt)
    config = QuantizeConfig(default=WeightConfig(bits=bits))
    noise = noise_of(model, graph)
    calibration = task.calibration if len(x) == len(task.train.x) else x
    network = QuantizedNetwork(graph, calibration, dt=dt, config=config, noise=noise)
    train(network, x, y, epochs=epochs, lr=rate, seed=seed, **task.training)
    network.refresh()
    return network.export()


def chosen_rate(task: Task, neuron: str, bits: int) -> float:
    model, epochs = task.first_floats(neuron), CHOOSING_EPOCHS[task.name]
    nets = {
        rate: trained(task, model, bits, rate, 0, epochs, *task.first) for rate in RATES[task.name]
    }
    scores = {rate: right(net, *task.held) for rate, net in nets.items()}
    print(task.name, neuron, bits, {r: f"{s:.4f}" for r, s in scores.items()}, flush=True)
    return max(RATES[task.name], key=lambda rate: (scores[rate], -rate))


def row(task: Task, neuron: str, bits: int, rate: float, seed: int) -> dict[str, object]:
    model, test = task.floats(neuron, seed), task.test
    graph = snn2hw.to_nir(model, test.x.shape[2:], dt=test.dt_s)
    config = QuantizeConfig(default=WeightConfig(bits=bits))
    post = snn2hw.quantize(graph, dt=test.dt_s, calibration=task.calibration, config=config)
    start = time.perf_counter()
    net = trained(task, model, bits, rate, seed, EPOCHS[task.name], task.train.x, task.train.y)
    return {
        "task": task.name,
        "neuron": neuron,
        "seed": seed,
        "bits": bits,
        "rate": rate,
        "float": accuracy(model, test.x, test.y),
        "post_training": right(post, test.x, test.y),
        "trained": right(net, test.x, test.y),
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    name, tasks, neurons = chosen(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    bench = Bench(f"qat{name}", seeds=SEEDS, epochs=EPOCHS)
    for task in found(tasks):
        for neuron in neurons:
            rates = {bits: chosen_rate(task, neuron, bits) for bits in BITS}
            for seed in SEEDS:
                for bits in BITS:
                    bench.add(row(task, neuron, bits, rates[bits], seed))
                    print(bench.rows[-1], flush=True)
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for one in bench.rows:
        groups.setdefault((one["task"], one["neuron"], one["bits"]), []).append(one)
    for key, rows in groups.items():
        means = {
            way: statistics.mean(100 * r[way] for r in rows)
            for way in ("float", "post_training", "trained")
        }
        print(*key, {way: f"{value:.2f} %" for way, value in means.items()})
    bench.write()


if __name__ == "__main__":
    main()
