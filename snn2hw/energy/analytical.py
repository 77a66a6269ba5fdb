"""The analytical account of Lemaire et al. 2022, with the run's own counts, and extended.

As SpikingJelly 2.0 computes it, a layer that S messages reach, of N_out sums, C output channels a
group and a kernel of k taps; words of 4 bytes; a multiply-accumulate (MAC) is both operations:

=========== ========================================================================================
synapses    S * N_out additions; convolution S * C * prod(ceil(k / stride))
bias        an addition and a read for each neuron and step, where the layer has one
leak        a MAC for each neuron and step, where the layer has one
reset       an addition for each spike
inputs      S words read from a queue; outputs: one written for each spike
weights     S * N_out words read; convolution S * C * prod(k)
potentials  read and written as often as weights are read, and once each for every neuron and step
addressing  S * N_out additions; convolution S * C * prod(k) additions and 2 * S MACs
=========== ========================================================================================

The border of a convolution is not seen: that is the model. Ours beyond it, for the sake of networks
that it refuses:

- CubaLIF: a current that decays is a second state, with a MAC of its own, one addition into the
  potential, and a read and a write; what arrives adds to the current.
- Recurrent synapses are synapses like any other.
- Graded messages: a MAC at each synapse instead of an addition.
- Any other neuron: its float step's multiplications are MACs, the additions that these do not
  contain are additions, a function (tanh) is a look-up in a table, a MAC and an addition. Each
  state is read and written once. Sums of several input ports (GPN's gates) are words of their own,
  read and cleared once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snn2hw.energy.bill import Charge
from snn2hw.energy.counting import float_operations
from snn2hw.energy.events import mean
from snn2hw.energy.floats import TABLE_WORDS
from snn2hw.graph import FixedPointNetwork, Layer
from snn2hw.linear import Convolution
from snn2hw.neurons.base import NeuronModel
from snn2hw.neurons.membrane import UNITY
from snn2hw.simulator.activity import Activity, LayerActivity

WORD_BYTES = 4
QUEUE_MESSAGES = 1000
"""Messages that a queue holds, as in SpikingJelly 2.0."""

LIF_MODELS = ("lif", "lif_reset")


@dataclass(frozen=True)
class Step:
    """One neuron's step. macs, adds: operations; biased: one of the additions is a bias, read from
    memory; states: words read and written; sums: input ports that keep sums of their own;
    functions: look-ups; biases: distinct words of bias in memory."""

    macs: int
    adds: int
    biased: bool
    states: int
    sums: int = 0
    functions: int = 0
    biases: int = 0


def step_of(model: NeuronModel, layer: Layer | None, shared: int = 1) -> Step:
    """What a neuron does. layer: its integers, by which a decay or bias that does nothing is known;
    None: the model with all it may have. shared: neurons that have a bias in common."""
    if model.name not in LIF_MODELS:
        found, _ = float_operations(model)
        functions, macs = found["functions"], found["multiplies"] + found["functions"]
        adds = max(found["adds"] - found["multiplies"], 0) + functions
        ports = len(model.inputs) if len(model.inputs) > 1 else 0
        return Step(macs, adds, False, len(model.states), ports, functions)
    current = leaks = biased = True
    neurons = 0
    if layer is not None:
        current = bool(np.any(layer.params["decay_u"] != UNITY))
        leaks = bool(np.any(layer.params["decay_v"] != 0))
        bias = "bias_mantissa" if model.name == "lif" else "bias"
        biased = bool(np.any(layer.params[bias] != 0))
        neurons = layer.n
    return Step(
        macs=current + leaks,
        adds=current + biased,
        biased=biased,
        states=1 + current,
        biases=biased * neurons // shared,
    )


def analytical_charges(
    activity: Activity, models: Mapping[str, NeuronModel], net: FixedPointNetwork | None
) -> Iterator[Charge]:
    """Operations and words moved, per inference. models: layer -> neuron model."""
    steps = {
        layer.name: step_of(
            models[layer.name], None if net is None else net.layer(layer.name), _shared(net, layer)
        )
        for layer in activity.layers
    }
    return layer_charges(activity, steps)


def layer_charges(activity: Activity, steps: Mapping[str, Step]) -> Iterator[Charge]:
    """The same for neurons of which it is known what they do. steps: layer -> step."""
    for layer in activity.layers:
        yield from _synapses(activity, layer, steps[layer.name])
        yield from _neurons(activity, layer, steps[layer.name])


def _shared(net: FixedPointNetwork | None, layer: LayerActivity) -> int:
    """Neurons of a feature map, which have their bias in common."""
    if net is None:
        return 1
    maps = [s.map for s in net.into(layer.name) if isinstance(s.map, Convolution)]
    return layer.neurons // maps[0].output_shape[0] if maps else 1


def _synapses(activity: Activity, layer: LayerActivity, step: Step) -> Iterator[Charge]:
    sums = WORD_BYTES * layer.neurons * max(step.sums, 1)
    for synapse in activity.into(layer.name):
        messages = mean(synapse.messages_in)
        met, moved = messages * synapse.fan_out, messages * synapse.kernel
        kind = "graded messages" if synapse.graded else "spikes"
        yield Charge(layer.name, "synapses", f"accumulates of {kind}", "add", met)
        if synapse.graded:
            what = "products with graded messages"
            yield Charge(layer.name, "synapses", what, "multiply", met)
        yield Charge(layer.name, "messages", "addressing", "add", moved)
        if synapse.kind == "convolution":
            for term in ("add", "multiply"):
                yield Charge(layer.name, "messages", "addressing", term, 2 * messages)
        held = WORD_BYTES * (synapse.weights + step.biases)
        yield _words(layer, "message queue reads and writes", messages, _queue())
        yield _words(layer, "weight reads", moved, held)
        yield _words(layer, "potential reads and writes", 2 * moved, sums)


def _neurons(activity: Activity, layer: LayerActivity, step: Step) -> Iterator[Charge]:
    updates, spikes = mean(layer.updates), mean(layer.spikes)
    group = "neurons"
    adds = updates * (step.adds + step.macs) + spikes
    yield Charge(layer.name, group, "neuron steps: adds", "add", adds)
    multiplies = updates * step.macs
    yield Charge(layer.name, group, "neuron steps: multiplies", "multiply", multiplies)
    each = WORD_BYTES * layer.neurons
    for words in [1] * step.states:
        yield _words(layer, "potential reads and writes", 2 * words * updates, each)
    if step.sums:
        moved = 2 * step.sums * updates
        yield _words(layer, "potential reads and writes", moved, each * step.sums)
    if step.biased:
        weights = max((s.weights for s in activity.into(layer.name)), default=0)
        yield _words(layer, "bias reads", updates, WORD_BYTES * (weights + step.biases))
    if step.functions:
        lookups = updates * step.functions
        yield _words(layer, "table look-ups", lookups, WORD_BYTES * TABLE_WORDS)
    sent = spikes + mean(layer.messages)
    yield _words(layer, "message queue reads and writes", sent, _queue())


def _queue() -> int:
    return WORD_BYTES * QUEUE_MESSAGES


def _words(layer: LayerActivity, what: str, words: float, capacity_bytes: float) -> Charge:
    return Charge(layer.name, "memory", what, "sram_word", words, capacity_bytes)
