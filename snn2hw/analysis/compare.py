"""compare: which layer loses what between the float network and its integers.

Two questions for every layer. How far is it from floats within the integer network (``whole``: its
own rounding and everyone's before it)? And how far when it alone is of integers and hears floats
(``own``)? The same twice for the answers: with only this layer as integers (``only``), and with all
layers but this one (``without``). See ``mixed`` for what that means exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from snn2hw.analysis.measures import VISIBLE, Measure
from snn2hw.analysis.mixed import Records, execute_mixed, matched
from snn2hw.analysis.results import Comparison, LayerComparison, Outcome, Portrait
from snn2hw.errors import DataError
from snn2hw.executor import check_data, execute
from snn2hw.graph import Data, DiscreteGraph, FixedPointNetwork, Layer, by_input
from snn2hw.neurons.base import FloatArray
from snn2hw.passes import fold, lower
from snn2hw.simulator import Run

CHUNK_BYTES = 1 << 26
"""Records kept at once of one run, about."""

Labels = npt.NDArray[np.integer[Any]]

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""


def compare(
    graph: Any,
    net: FixedPointNetwork,
    x: Data,
    labels: Labels | None = None,
    reset: str = "value",
    progress: Progress | None = None,
) -> Comparison:
    """Hold a network of integers against the graph that it was made of, layer by layer.

    graph: nir.NIRGraph; reset: "value" or "subtract", as it was quantised; the rest as
    ``compare_layers``, which this calls. Public as ``snn2hw.compare``.
    """
    discrete = fold(lower(graph, net.dt_s, net.method, reset))
    return compare_layers(discrete, net, x, labels, progress)


def compare_layers(
    graph: DiscreteGraph,
    net: FixedPointNetwork,
    x: Data,
    labels: Labels | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Hold a network of integers against the floats that it was made of, layer by layer.

    graph: lowered and folded; x: real data or spikes, (samples, time, *input shape), or one such
    array for each input, by name; labels: int (samples,); progress: told runs done and of how many.

    Raises DataError where the network was not made of this graph, or data or labels do not fit.
    """
    matched(graph, net)
    data = {node.name: check_data(node.shape, values) for node, values in by_input(net.inputs, x)}
    samples, steps = next(iter(data.values())).shape[:2]
    if labels is not None and np.shape(labels) != (samples,):
        raise DataError(
            f"labels have shape {np.shape(labels)} for {samples} samples; give one for each"
        )
    chunks = _chunks(net, samples, steps)
    work = _Work(graph, net, {name: values[chunks[0]] for name, values in data.items()})
    for k, chunk in enumerate(chunks):
        part = {name: values[chunk] for name, values in data.items()}
        for j, _ in enumerate(work.runs(part)):
            if progress is not None:
                progress(k * work.number + j + 1, len(chunks) * work.number)
    logits = {key: np.concatenate(parts) for key, parts in work.logits.items()}

    def outcome(*key: str) -> Outcome:
        return _outcome(logits["floats",], logits[key], labels)

    layers = tuple(
        LayerComparison(
            name=layer.name,
            model=layer.model.name,
            neurons=layer.n,
            whole=work.whole[layer.name].errors(),
            own=work.own[layer.name].errors(),
            only=outcome("only", layer.name),
            without=outcome("without", layer.name),
            wraps=work.wraps[layer.name],
            clips=work.clips[layer.name],
            by_step=work.whole[layer.name].agreement_by_step(),
        )
        for layer in net.layers
    )
    return Comparison(
        samples=samples,
        steps=steps,
        floats=outcome("floats"),
        fixed=outcome("fixed"),
        layers=layers,
        inputs={name: outcome("only", name) for name in work.rounded},
        limited=net.limited(data),
        portraits=_portraits(graph, net, data, layers),
        notes=_notes(graph, net, samples, labels),
    )


class _Work:
    """What is summed up over the chunks of samples; logits: which run -> parts, in order."""

    def __init__(self, graph: DiscreteGraph, net: FixedPointNetwork, first: Data) -> None:
        self.graph, self.net = graph, net
        self.names = [layer.name for layer in net.layers]
        self.rounded = [node.name for node in net.inputs if node.signed]
        self.number = 2 + 2 * len(self.names) + len(self.rounded)
        self.logits: dict[tuple[str, ...], list[FloatArray]] = {}
        self.wraps, self.clips = dict.fromkeys(self.names, 0), dict.fromkeys(self.names, 0)
        ranges = execute(graph, first).ranges

        def measure(layer: Layer) -> Measure:
            return Measure(
                layer.model, VISIBLE * ranges[layer.name].of(layer.model.main_output.name)
            )

        self.whole = {layer.name: measure(layer) for layer in net.layers}
        self.own = {layer.name: measure(layer) for layer in net.layers}

    def runs(self, part: Mapping[str, FloatArray]) -> Iterator[None]:
        """Every run of one chunk, one after the other."""
        floats = self._mixed(("floats",), part, (), self.names)
        yield
        run = self.net.run(self.net.encode(part), _record(self.net))
        integers = real_records(self.net, run)
        self._answer(("fixed",), integers)
        for name in self.names:
            self.whole[name].add(floats[name], integers[name])
            self.wraps[name] += run.overflows[name].wraps
            self.clips[name] += run.overflows[name].clips
        yield
        for name in self.names:
            only = self._mixed(("only", name), part, (name,), (name,))
            self.own[name].add(floats[name], only[name])
            yield
            others = [*self.rounded, *(other for other in self.names if other != name)]
            self._mixed(("without", name), part, others)
            yield
        for name in self.rounded:
            self._mixed(("only", name), part, (name,))
            yield

    def _mixed(
        self,
        key: tuple[str, ...],
        part: Mapping[str, FloatArray],
        integers: Sequence[str],
        keep: Sequence[str] = (),
    ) -> Records:
        kept = {*keep, self.net.outputs[0].source}
        found = execute_mixed(self.graph, self.net, part, integers, kept)
        self._answer(key, found)
        return found

    def _answer(self, key: tuple[str, ...], found: Records) -> None:
        """Keep what a classifier reads of the first output."""
        output = self.net.outputs[0]
        values = found[output.source][output.source_port]
        last = self.net.decode == "last"
        self.logits.setdefault(key, []).append(values[:, -1] if last else values.mean(axis=1))


def real_records(net: FixedPointNetwork, run: Run) -> Records:
    """A simulation's records in real units; ``run`` kept all states and graded outputs."""
    records: Records = {}
    for layer in net.layers:
        kept = {
            k: np.asarray(v, dtype=np.float64) for k, v in run.state.get(layer.name, {}).items()
        }
        if layer.name in run.spikes:
            kept[layer.model.main_output.name] = run.spikes[layer.name].astype(np.float64)
        records[layer.name] = {
            name: values.reshape(*values.shape[:2], layer.n)
            * np.asarray(layer.units.get(name, 1.0), dtype=np.float64)
            for name, values in kept.items()
        }
    return records


def _record(net: FixedPointNetwork) -> tuple[str, ...]:
    """Names of all states and graded outputs in the network."""
    names = [s.name for layer in net.layers for s in layer.model.states]
    names += [o.name for layer in net.layers for o in layer.model.outputs if not o.is_spike]
    return tuple(dict.fromkeys(names))


def _chunks(net: FixedPointNetwork, samples: int, steps: int) -> list[slice]:
    values = sum(
        layer.n * (len(layer.model.states) + len(layer.model.outputs)) for layer in net.layers
    )
    size = max(1, CHUNK_BYTES // (8 * steps * values))
    return [slice(a, min(a + size, samples)) for a in range(0, samples, size)]


def _outcome(floats: FloatArray, found: FloatArray, labels: Labels | None) -> Outcome:
    signal = float(np.sqrt(np.mean(floats**2)))
    noise = float(np.sqrt(np.mean((found - floats) ** 2)))
    answers = found.argmax(axis=1)
    return Outcome(
        accuracy=None if labels is None else float(np.mean(answers == labels)),
        agreement=float(np.mean(answers == floats.argmax(axis=1))),
        error=noise / signal if signal else (0.0 if noise == 0 else float("nan")),
    )


def _portraits(
    graph: DiscreteGraph,
    net: FixedPointNetwork,
    data: Mapping[str, FloatArray],
    layers: Sequence[LayerComparison],
) -> tuple[Portrait, ...]:
    """The sample that diverges first, run once more."""
    firsts = [a.whole.first for a in layers if a.whole.first is not None]
    sample = min(firsts, key=lambda f: (f.step, f.sample)).sample if firsts else 0
    part = {name: values[sample : sample + 1] for name, values in data.items()}
    floats = execute_mixed(graph, net, part, (), [layer.name for layer in layers])
    integers = real_records(net, net.run(net.encode(part), _record(net)))
    made = []
    for layer in layers:
        model = net.layer(layer.name).model
        main = model.main_output
        a, b = floats[layer.name], integers[layer.name]
        key = "v" if any(s.name == "v" for s in model.states) else None
        neuron = _neuron(a, b, main.name, key)
        trace = None if key is None else (key, a[key][0, :, neuron], b[key][0, :, neuron])
        made.append(
            Portrait(
                layer.name, sample, neuron, main.is_spike, a[main.name][0], b[main.name][0], trace
            )
        )
    return tuple(made)


def _neuron(
    floats: Mapping[str, FloatArray], integers: Mapping[str, FloatArray], main: str, key: str | None
) -> int:
    """The neuron whose spikes differ first; without such, the one furthest off. One sample each."""
    apart = np.abs(floats[main][0] - integers[main][0])
    if key is not None and not apart.any():
        apart = np.abs(floats[key][0] - integers[key][0])
    elif np.all((apart == 0) | (apart == 1)):
        late = np.where(apart.any(axis=0), apart.argmax(axis=0), len(apart))
        return int(late.argmin())
    return int(apart.sum(axis=0).argmax())


def _notes(
    graph: DiscreteGraph, net: FixedPointNetwork, samples: int, labels: Labels | None
) -> tuple[str, ...]:
    notes = []
    if graph.source_hash and net.source_hash and graph.source_hash != net.source_hash:
        notes.append(
            "the network was made of another graph (their hashes differ): what is said of rounding "
            "holds the difference of the two graphs too"
        )
    if labels is None:
        notes.append("no labels: answers are held against those of the floats")
    if samples < 20:
        notes.append(f"{samples} samples say little about accuracy; give more")
    return tuple(notes)
