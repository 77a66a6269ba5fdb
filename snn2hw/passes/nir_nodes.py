"""NIR nodes as this release takes them: which types, and which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn2hw.errors import GraphError, ParameterError
from snn2hw.neurons import NIR_TYPES
from snn2hw.passes.linear_nodes import LINEAR_NODES

KNOWN_TYPES = ("Input", "Output", *LINEAR_NODES, *NIR_TYPES)

MAX_PARAMETERS = 1 << 30
"""Most values of one parameter: 8 GiB, and passes over the graph copy it."""

WORDS = ("padding",)
"""Parameters that may be text."""


def node_parameters(node: Any) -> dict[str, Any]:
    """What a node holds beside its types and metadata."""
    skipped = {"input_type", "output_type", "metadata"}
    return {k: v for k, v in vars(node).items() if k not in skipped and v is not None}


def check_nodes(nodes: Mapping[str, Any]) -> None:
    """GraphError for no nodes, one of an unknown type or one too large, ParameterError for what is
    no finite real number."""
    if not nodes:
        raise GraphError("the graph is empty; export a model with at least one layer")
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind not in KNOWN_TYPES:
            raise GraphError(
                f"node {name!r} is of type {kind}, which this release does not run; "
                f"it runs {', '.join(KNOWN_TYPES)}"
            )
        for key, value in node_parameters(node).items():
            if key in WORDS and isinstance(value, str):
                continue
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise ParameterError(
                    f"{key} of node {name!r} has dtype {array.dtype}; give real numbers"
                )
            if array.size > MAX_PARAMETERS:
                raise GraphError(
                    f"{key} of node {name!r} has {array.size} values (shape {array.shape}); "
                    f"{MAX_PARAMETERS} are the most"
                )
            if not np.all(np.isfinite(array)):
                raise ParameterError(
                    f"{key} of node {name!r} holds NaN or infinity; "
                    "the model was not trained to finite numbers"
                )
