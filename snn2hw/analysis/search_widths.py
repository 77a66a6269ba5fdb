"""search_widths: from a graph and data to a search for widths of weights (see ``widths``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn2hw import __version__
from snn2hw.analysis.width_nets import Assembler
from snn2hw.analysis.widths import BITS_MAX, BITS_MIN, Judge, Progress, Search
from snn2hw.errors import DataError
from snn2hw.executor import execute
from snn2hw.graph import Data, DiscreteGraph, FixedPointNetwork
from snn2hw.passes import balance, fold, lower, quantize
from snn2hw.passes.config import QuantizeConfig

Labels = npt.NDArray[np.integer[Any]]


def search_widths(
    graph: Any,
    calibration: Data,
    validation: Data,
    labels: Labels | None = None,
    *,
    dt: float = 1e-3,
    method: str = "euler",
    reset: str = "value",
    config: QuantizeConfig | None = None,
    bits: tuple[int, int] = (BITS_MIN, BITS_MAX),
    strategy: str = "auto",
    path: str | Path | None = None,
    progress: Progress | None = None,
) -> Search:
    """Search the widths of a graph's weights, layer by layer. Public as ``snn2hw.search_widths``.

    graph: nir.NIRGraph; dt, method, reset: as for ``snn2hw.quantize``; calibration: sets the
    scales; validation, labels: judge the widths, (samples, time, *input shape) or one such array
    for each input, and int (samples,) or None; config: what is to be kept whatever the widths, the
    target among it; bits: narrowest and widest; strategy: "auto", "exhaustive" or "greedy"; path: a
    JSON file that is written after every network, and gone on from if it is there. Returns the
    finished search: ``front``, ``points``, ``smallest(loss)``.

    Raises ParameterError for impossible widths, DataError for data that do not fit, or a file that
    holds another search.
    """
    search = prepare(
        graph, calibration, validation, labels, dt=dt, method=method, reset=reset, config=config,
        bits=bits, strategy=strategy, path=path,
    )  # fmt: skip
    search.resume()
    search.run(progress)
    return search


def prepare(
    graph: Any,
    calibration: Data,
    validation: Data,
    labels: Labels | None = None,
    *,
    dt: float = 1e-3,
    method: str = "euler",
    reset: str = "value",
    config: QuantizeConfig | None = None,
    bits: tuple[int, int] = (BITS_MIN, BITS_MAX),
    strategy: str = "auto",
    path: str | Path | None = None,
) -> Search:
    """The search that ``search_widths`` runs, not begun; arguments and errors are the same."""
    discrete = fold(lower(graph, dt, method, reset))
    base = config or QuantizeConfig()
    metadata = graph.nodes[discrete.outputs[0].name].metadata or {}
    said = metadata.get("decode", "mean")
    decode = said.decode() if isinstance(said, bytes) else str(said)
    layers = tuple(p.name for p in discrete.populations if discrete.into(p.name))
    if not layers:
        raise DataError("the network has no weights whose widths could be searched")

    def make(widths: Mapping[str, int]) -> FixedPointNetwork:
        made = quantize(discrete, calibration, base.target, configured(discrete, base, widths))
        return replace(balance(made), decode=decode)

    output = next(iter(execute(discrete, validation).outputs.values()))
    flat = output.reshape(*output.shape[:2], -1)
    if labels is not None and np.shape(labels) != (len(flat),):
        raise DataError(
            f"labels have shape {np.shape(labels)} for {len(flat)} samples; give one for each"
        )
    return Search(
        assembler=Assembler(make, layers),
        judge=Judge(validation, flat[:, -1] if decode == "last" else flat.mean(axis=1), labels),
        low=bits[0],
        high=bits[1],
        strategy=strategy,
        identity={
            "model": discrete.source_hash,
            "calibration": _hash(calibration),
            "validation": _hash(validation),
            "labels": None if labels is None else _hash(labels),
            "dt_s": dt,
            "method": method,
            "reset": reset,
            "configuration": base.text(),
            "snn2hw": __version__,
        },
        path=None if path is None else Path(path),
    )


def configured(
    graph: DiscreteGraph, base: QuantizeConfig, bits: Mapping[str, int]
) -> QuantizeConfig:
    """``base`` with these widths; bits: layer -> bits of the weights into it."""
    groups = {
        p.name: replace(base.synapses.get(p.name, base.default), bits=bits[p.target])
        for p in graph.projections
    }
    return replace(base, synapses=groups)


def _hash(data: Data) -> str:
    """SHA-256 of arrays, their types and their shapes."""
    digest = hashlib.sha256()
    parts = data if isinstance(data, Mapping) else {"": data}
    for name in sorted(parts):
        values = np.ascontiguousarray(parts[name])
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
