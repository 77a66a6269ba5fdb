"""Neurons that look ahead in time, as a NIR graph writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn2hw.errors import GraphError, ParameterError
from snn2hw.passes.linear_nodes import LINEAR_NODES, MAX_STEPS, steps_of
from snn2hw.topology import reachable

LOOKAHEAD = "lookahead_s"
"""In a neuron's metadata: seconds by which what arrives there is late. NIR knows delays alone, so a
kernel that looks ahead is written late, and this says by how much."""


def lookahead(name: str, node: Any, dt_s: float) -> int:
    """Steps by which a neuron's input is late, as its metadata say: it fires for the logical step
    that so many steps ago was the last to arrive. Its own spikes are not late.

    Raises ParameterError, which names the node, for what is no time.
    """
    said = (getattr(node, "metadata", None) or {}).get(LOOKAHEAD, 0.0)
    try:
        seconds = float(np.asarray(said).item())
    except (TypeError, ValueError):
        seconds = np.nan
    if not 0 <= seconds <= dt_s * MAX_STEPS:
        raise ParameterError(
            f"node {name!r}: {LOOKAHEAD} in its metadata is {said!r}; give seconds, 0 or more"
        )
    return int(steps_of(seconds, dt_s))


def check_delays(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]], dt_s: float) -> None:
    """GraphError where what a neuron that looks ahead hears passes two Delays.

    The one next to the neuron is its kernel's. Were another taken together with it, the neuron
    would hear behind the last step what that one still holds, and in PyTorch the sequence ends
    there.
    """
    linear = {name for name, node in nodes.items() if type(node).__name__ in LINEAR_NODES}
    before: dict[str, list[str]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)
    for name, node in nodes.items():
        if name in linear or not lookahead(name, node, dt_s):
            continue
        # What comes from the neuron's own spikes alone is not late.
        inside = [(a, b) for a, b in edges if b in linear]
        others = reachable([n for n in nodes if n not in linear and n != name], inside)
        waiting = [(source, "") for source in before.get(name, [])]
        seen = set(waiting)
        while waiting:
            at, passed = waiting.pop()
            if at not in linear or at not in others:
                continue
            if type(nodes[at]).__name__ == "Delay" and np.any(steps_of(nodes[at].delay, dt_s) > 0):
                if passed:
                    raise GraphError(
                        f"node {name!r} looks ahead in time, and Delay {at!r} stands before it "
                        f"with only linear nodes between (up to {passed!r}): what it holds back at "
                        f"the last step would be heard; put {at!r} behind {name!r}, or delay the "
                        "data instead"
                    )
                passed = at
            more = [(source, passed) for source in before.get(at, [])]
            waiting += [link for link in more if link not in seen]
            seen.update(more)
