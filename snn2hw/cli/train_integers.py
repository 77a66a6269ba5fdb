"""Training on integers after `snn2hw train`: the config's `quantize`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn2hw.files import atomic
from snn2hw.nn.config import TrainingConfig
from snn2hw.nn.experiment import Outputs, load_data

if TYPE_CHECKING:
    from snn2hw.data import Dataset
    from snn2hw.graph import FixedPointNetwork


def train_integers(
    config: TrainingConfig, outputs: Outputs, result: dict[str, Any], threads: int = 1
) -> dict[str, Any]:
    """Train the stored network on as integers, and write these beside it.

    NAME.h5 is the network of integers and NAME.nir what was trained, in floats, where its nodes can
    hold it. Returns the result with "integers", as the .json then has it; one that has them of the
    files that are there comes back as it is.

    Raises GraphError for a network that cannot be exported or trained so, as ``QuantizedNetwork``.
    """
    from snn2hw.converters.nir_file import write
    from snn2hw.converters.pytorch import to_nir
    from snn2hw.errors import GraphError
    from snn2hw.nn import QuantizedNetwork, load_checkpoint, noise_of, train
    from snn2hw.passes.config import QuantizeConfig, WeightConfig

    said = config.quantize
    if said is None:
        return result
    path = outputs.checkpoint.with_suffix(".h5")
    if "integers" in result and path.exists():
        return result
    data = load_data(config)
    seen = data["train"]
    model = load_checkpoint(outputs.checkpoint)
    graph = to_nir(model, seen.x.shape[2:], dt=seen.dt_s)
    chosen = np.unique(np.linspace(0, len(seen) - 1, min(said.calibration, len(seen))).astype(int))
    network = QuantizedNetwork(
        graph,
        seen.x[chosen],
        dt=seen.dt_s,
        config=QuantizeConfig(default=WeightConfig(bits=said.bits)),
        noise=noise_of(model, graph),
    )
    losses = train(
        network,
        seen.x,
        seen.y,
        epochs=said.epochs,
        lr=said.lr,
        batch_size=config.training.batch_size,
        seed=config.seed,
        augment=config.training.augment,
        label=f"{outputs.checkpoint.stem}, {said.bits} bits",
        threads=threads,
    )
    network.refresh()
    net = network.export()
    net.save(path)
    trained = outputs.checkpoint.with_suffix(".nir")
    try:
        write(trained, network.to_nir())
        in_floats: str | None = trained.name
    except GraphError:
        in_floats = None
    integers = {
        **asdict(said),
        "accuracy": {role: _right(net, part) for role, part in data.items()},
        "loss_nat": losses,
        "network": path.name,
        "trained_floats": in_floats,
    }
    result = {**result, "integers": integers}
    with atomic(Path(outputs.result)) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _right(net: FixedPointNetwork, part: Dataset) -> float:
    return float(np.mean(net.run(net.encode(part.x)).predictions == part.y))
