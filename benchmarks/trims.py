"""What moving rounded parameters of single neurons does to the error of what their layer emits.

    SNN2HW_DATA=/path/to/data python benchmarks/trims.py [--task vowels|digits] [--neuron lif|gpn]

For each layer of neurons of the networks of seed 0 (``trained``), at 8, 4 and 2 bits, after the
search: thresholds (LIF) or the bias of the current (GPN), as the search itself trims them, with and
without its third set of samples; and, likewise without it, decays, and the biases of the gates.
Moves are chosen on calibration data; errors, over those without moves, are of the test split.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from common import Bench
from trained import Task, chosen, found

import snn2hw
from snn2hw.neurons.base import Trim
from snn2hw.passes import QuantizeConfig, fold, lower, search_trim
from snn2hw.passes.config import WeightConfig
from snn2hw.passes.quantize import Quantizer
from snn2hw.passes.search_evidence import emission_error, emitted, find_evidence

BITS = (8, 4, 2)
OTHERS = {
    "lif": (Trim("decay_v", 0.01, 1),),
    "gpn": tuple(Trim(f"{gate}_bias", 0.0, 8) for gate in "fibt"),
}
LAYER_GAIN = search_trim.LAYER_GAIN


def rows(task: Task, neuron: str, bits: int):
    graph = snn2hw.to_nir(task.floats(neuron, 0), task.test.x.shape[2:], dt=task.test.dt_s)
    folded = fold(lower(graph, task.test.dt_s))
    config = QuantizeConfig(default=WeightConfig(bits=bits), search=True)
    config = replace(
        config, layers={p.name: replace(config.layer(p.name), trim=0) for p in folded.populations}
    )
    quantizer = Quantizer(folded, task.calibration, config)
    quantizer.search()
    quantizer.build()
    evidence = [find_evidence(folded, x) for x in (task.calibration, task.test.x)]
    for population in folded.populations:
        if population.model.trim is None:
            continue
        arriving = folded.into(population.name)
        made = quantizer.layer(population)
        output = (population.name, population.model.main_output.name)
        data = [[(p, quantizer.integers(p, one.arriving(p))) for p in arriving] for one in evidence]
        wanted = [one.messages[output] for one in evidence]

        def error(layer, population=population, data=data, wanted=wanted) -> float:
            got = emitted(population, layer, data[1])
            return float(emission_error(population, got, wanted[1]).sum())

        before = error(made)
        trims = (population.model.trim, *OTHERS[population.model.name])
        for trim, gain in [(trims[0], LAYER_GAIN), *((t, np.inf) for t in trims)]:
            search_trim.LAYER_GAIN = gain
            moved = replace(population, model=replace(population.model, trim=trim))

            def emit(layer, population=population, data=data):
                return emitted(population, layer, data[0])

            moves = search_trim.best_trim(moved, made, emit, wanted[0])
            after = error(search_trim.trimmed(moved, made, moves))
            yield {
                "task": task.name,
                "layer": population.name,
                "bits": bits,
                "param": trim.param,
                "third_set": gain == LAYER_GAIN,
                "moved": float(np.mean(np.broadcast_to(moves, (population.n,)) != 0)),
                "error_share": after / before,
            }


def main() -> None:
    name, tasks, neurons = chosen(__doc__.splitlines()[0])
    bench = Bench(f"trims{name}")
    for task in found(tasks):
        for neuron in neurons:
            for bits in BITS:
                for row in rows(task, neuron, bits):
                    bench.add(row)
                    print(row, flush=True)
    bench.write()


if __name__ == "__main__":
    main()
