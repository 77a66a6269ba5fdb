"""What the page of a learning session shows, taken from the session."""

from __future__ import annotations

import argparse
import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from snn2hw.report import LearningData
from snn2hw.targets.spinnaker2.eprop.session import Session
from snn2hw.targets.spinnaker2.picture import picture


def learning_data(options: argparse.Namespace, session: Session, command: str) -> LearningData:
    """The page's data. command: that reproduces it."""
    learner, history = session.learner, session.history
    net, placed = learner.network, learner.placement
    name = Path(options.model).name
    rule = {field: str(value) for field, value in asdict(learner.rule).items()}
    rule["dampening"] = f"{learner.rule.height:g}"
    weights = sum(values.size for values in net.weights.values())
    kind = type(net.graph.nodes[net.nodes["neuron"]]).__name__
    recurs = ", recurrent" if "recurrent" in net.weights or net.gated else ""
    notes = []
    if learner.rule.arithmetic == "s16.15":
        notes.append(
            f"{history.saturated[-1]} words (weights, moments, sums) were at the limit of s16.15 "
            "after the last sample."
        )
    sources = {
        "Data": options.data,
        "SHA-256 of the data": session.data.digest,
        "SHA-256 of the float graph": net.digest,
        "SHA-256 of the adapted file": hashlib.sha256(
            Path(options.output).read_bytes()
        ).hexdigest(),
    }
    if session.validation:
        sources["SHA-256 of the validation data"] = session.validation.digest
    return LearningData(
        title=f"{name} learning {Path(options.data).name}",
        loss=history.loss,
        correct=history.correct,
        epoch=len(session.data),
        validation=tuple(history.validation),
        classes=net.n_out,
        facts={
            "Inputs": f"{net.n_in:,}",
            "Neurons": f"{net.n:,} {kind}{recurs}",
            "Readout": f"{net.n_out:,}{' leaky' if 'readout' in net.nodes else ''}",
            "Weights and biases that learn": f"{weights:,}",
            "Bytes for each, all purposes": f"{placed.total_bytes / weights:.1f}",
            "Time step": f"{net.dt_s * 1e3:g} ms",
            "Steps of a sample": f"{session.data.x.shape[1]:,}",
            "Order of samples": "as they stand"
            if session.order_seed is None
            else f"shuffled by epoch, seed {session.order_seed}",
        },
        rule=rule,
        memory=placed.totals,
        cores=[
            (
                core.pe,
                ", ".join(f"{part.neurons:,} {part.layer}" for part in core.parts),
                core.bytes,
            )
            for core in placed.cores
        ],
        limit=placed.limit,
        timing=[(t.case, t.clock_hz, t.step_s) for t in placed.timing],
        dt_s=placed.dt_s,
        picture=picture(placed, name),
        notes=notes,
        commands=(command,),
        versions={what: version(what) for what in ("nir", "numpy", "numba")}
        | {"python": platform.python_version()},
        sources=sources,
    )
