"""The configuration of the quantiser: every choice it makes, which can be written, edited, obeyed.

A field that is None (in YAML: null, or left out) is chosen by the quantiser. ``quantize`` takes a
configuration with some choices, and ``quantized_config`` gives one with all of them, which makes
the same integers again from the same data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from snn2hw.arithmetic import STATE_BITS
from snn2hw.errors import FileFormatError, ParameterError
from snn2hw.files import atomic
from snn2hw.neurons.base import (
    MESSAGE_BITS,
    ROUNDINGS,
    SCALES,
    WEIGHT_BITS,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
)

CONFIG_VERSION = 1
WEIGHT_BITS_MIN = 2
INPUT_BITS = 8
CLIP_MAX = 128.0
TRIM_MAX = (1 << (STATE_BITS - 1)) - 1

LOIHI2_NEURONS = (
    *("lif", "lif_reset", "alif", "integrator", "threshold", "gpn", "sparse_leaky", "sparse_gated"),
    *("readout", "relay"),
)

TARGETS: Mapping[str, tuple[str, ...]] = {
    "loihi1": ("lif",),
    "loihi2": LOIHI2_NEURONS,
    "generic": LOIHI2_NEURONS,
}
"""Target -> neuron models that it runs. Loihi 1 has CUBA-LIF neurons and plain spikes alone (Davies
et al. 2018); Loihi 2 runs neuron programs and sends graded spikes; "generic" computes as Loihi 2
and has the widths that its configuration says."""


@dataclass(frozen=True)
class Widths:
    """Widths of the target "generic", in bits, sign included: what calibration data, with headroom,
    may fill of registers that count with 24 bits and of messages of 12. Loihi's are the largest.
    """

    weights: int = WEIGHT_BITS
    inputs: int = INPUT_BITS
    states: int = STATE_BITS
    messages: int = MESSAGE_BITS


WIDTH_MIN = Widths(weights=WEIGHT_BITS_MIN, inputs=2, states=12, messages=4)
WIDTH_MAX = Widths()


@dataclass(frozen=True)
class InputConfig:
    """An input. bits: of the signed messages that real values become; spikes and counts need what
    they need, and None is the target's width."""

    bits: int | None = None


@dataclass(frozen=True)
class WeightConfig:
    """One group of synapses (a projection of the folded graph).

    bits: 2 (-1, 0, 1) to 8, limited to +-(2**(bits-1) - 1); None: the target's width.
    scale: "neuron" (a step of the weights for each neuron, or channel of a convolution) or "layer";
    rounding: "nearest", or "compensated": the error of each weight is made up for by the weights of
    the same neuron that are rounded after it, as inputs occur together in calibration;
    clip: what the largest mantissa stands for, over the largest weight there is, above 0 to 128
    (above 1, mantissas are left unused), one or one for each row of the weights (output channel of
    a convolution); exponent: weight = mantissa << exponent.
    """

    bits: int | None = None
    scale: str | None = None
    rounding: str | None = None
    clip: float | tuple[float, ...] | None = None
    exponent: int | None = None


@dataclass(frozen=True)
class LayerConfig:
    """A layer of neurons.

    headroom: registers and messages hold this many times what calibration saw, at least 1;
    bias_correction: whether biases make up for the mean of what rounding the weights changed;
    trim: integers added to the rounded thresholds (GPN: to the bias of the current), one or one for
    each neuron; they belong to the weights that they were chosen with.
    """

    headroom: float | None = None
    bias_correction: bool | None = None
    trim: int | tuple[int, ...] | None = None


@dataclass(frozen=True)
class QuantizeConfig:
    """All choices of the quantiser; what is not said is chosen.

    inputs, layers, synapses: by the names of the folded graph (``--auto-config`` writes them);
    default: for the synapse groups that ``synapses`` does not name; widths: of the target
    "generic"; search: whether what is left open is chosen by the error of what each layer emits on
    calibration data, or (false) by ranges alone; None: searched where weights have fewer than 8
    bits, which ranges alone place well.

    Raises ParameterError for a value that is impossible, naming where it is and what it breaks.
    """

    target: str = "loihi2"
    inputs: Mapping[str, InputConfig] = field(default_factory=dict)
    layers: Mapping[str, LayerConfig] = field(default_factory=dict)
    synapses: Mapping[str, WeightConfig] = field(default_factory=dict)
    default: WeightConfig = field(default_factory=WeightConfig)
    widths: Widths = field(default_factory=Widths)
    search: bool | None = None

    def __post_init__(self) -> None:
        """Check every value against its limits."""
        if self.target not in TARGETS:
            raise ParameterError(f"target {self.target!r} is unknown; known: {', '.join(TARGETS)}")
        if self.search not in (None, True, False):
            raise ParameterError(f"search is {self.search!r}; give true or false")
        self._check_widths()
        for name, node in self.inputs.items():
            _integer(
                f"input {name!r}: bits", node.bits, 2, self.widths.inputs, self._whose("inputs")
            )
        for name, layer in self.layers.items():
            _check_layer(f"layer {name!r}", layer)
        self._check_weights("default of synapses", self.default)
        for name, group in self.synapses.items():
            self._check_weights(f"synapses {name!r}", group)

    def input(self, name: str) -> InputConfig:
        """What is said about an input."""
        return self.inputs.get(name, InputConfig())

    def layer(self, name: str) -> LayerConfig:
        """What is said about a layer."""
        return self.layers.get(name, LayerConfig())

    def synapse(self, name: str) -> WeightConfig:
        """What is said about a synapse group, by name or as the default; the bits are resolved."""
        found = self.synapses.get(name, self.default)
        return replace(found, bits=self.widths.weights) if found.bits is None else found

    def check_names(
        self, inputs: Iterable[str], layers: Iterable[str], synapses: Iterable[str]
    ) -> None:
        """ParameterError for a name that the network does not have."""
        for kind, said, known in (
            ("input", self.inputs, list(inputs)),
            ("layer", self.layers, list(layers)),
            ("synapses", self.synapses, list(synapses)),
        ):
            for name in said:
                if name not in known:
                    raise ParameterError(
                        f"the configuration names {kind} {name!r}, which the network does not "
                        f"have; it has {', '.join(known)}"
                    )

    def to_yaml(self, path: str | Path) -> None:
        """Write the configuration; see ``text``. Raises DataError where that cannot be."""
        with atomic(path) as part:
            part.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """The configuration in YAML, without what is left open."""
        content = {"snn2hw_quantize": CONFIG_VERSION, **_plain(asdict(self))}
        if self.target != "generic":
            content.pop("widths", None)
        return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)

    @classmethod
    def from_yaml(cls, path: str | Path) -> QuantizeConfig:
        """Read a configuration. Nothing in the file is run.

        Raises FileFormatError for a file that is not one, ParameterError for what it says.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileFormatError(f"cannot read {path}: {error}") from None
        try:
            return cls.from_text(text)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from None
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from None

    @classmethod
    def from_text(cls, text: str) -> QuantizeConfig:
        """The configuration that ``text`` gave."""
        try:
            content = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise FileFormatError(f"it is no YAML: {reason}") from None
        if not isinstance(content, dict) or "snn2hw_quantize" not in content:
            raise FileFormatError(
                "it is no configuration of 'snn2hw quantize'; --auto-config writes one"
            )
        release = content.pop("snn2hw_quantize")
        if release != CONFIG_VERSION:
            raise FileFormatError(
                f"its version is {release!r} and this release reads {CONFIG_VERSION}; write it "
                "anew with --auto-config"
            )
        known = {f.name for f in fields(cls)}
        for key in content:
            if key not in known:
                raise ParameterError(f"{key!r} is unknown; known: {', '.join(sorted(known))}")
        made: dict[str, Any] = {}
        for key, kind in (("inputs", InputConfig), ("layers", LayerConfig)):
            made[key] = _entries(kind, key, content.get(key))
        made["synapses"] = _entries(WeightConfig, "synapses", content.get("synapses"))
        made["default"] = _one(WeightConfig, "default", content.get("default"))
        made["widths"] = _one(Widths, "widths", content.get("widths"))
        made |= {key: content[key] for key in ("target", "search") if key in content}
        if not isinstance(made.get("target", ""), str):
            raise ParameterError(f"target is {made['target']!r}; give one of {', '.join(TARGETS)}")
        return cls(**made)

    def _whose(self, width: str) -> str:
        return f"{self.target}'s {width} hold"

    def _check_widths(self) -> None:
        for item in fields(Widths):
            low, high = (getattr(limit, item.name) for limit in (WIDTH_MIN, WIDTH_MAX))
            value = getattr(self.widths, item.name)
            _integer(f"widths: {item.name}", value, low, high, "this release has")
            if value is None:
                raise ParameterError(f"widths: {item.name} is left open; give {low} to {high}")
            if self.target != "generic" and value != high:
                raise ParameterError(
                    f"widths: {item.name} is {value} and those of {self.target} are {high} bits; "
                    "use the target 'generic'"
                )

    def _check_weights(self, where: str, group: WeightConfig) -> None:
        _integer(
            f"{where}: bits",
            group.bits,
            WEIGHT_BITS_MIN,
            self.widths.weights,
            self._whose("weights"),
        )
        low, high = WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX
        _integer(f"{where}: exponent", group.exponent, low, high, self._whose("synapses"))
        for name, value, known in (
            ("scale", group.scale, SCALES),
            ("rounding", group.rounding, ROUNDINGS),
        ):
            if value is not None and value not in known:
                raise ParameterError(f"{where}: {name} is {value!r}; use one of {', '.join(known)}")
        if group.clip is None:
            return
        for clip in group.clip if isinstance(group.clip, tuple) else (group.clip,):
            if not (_is_number(clip) and 0 < clip <= CLIP_MAX):
                raise ParameterError(f"{where}: clip is {clip!r}; give above 0 to 128")


def _check_layer(where: str, layer: LayerConfig) -> None:
    headroom = layer.headroom
    if headroom is not None and not (_is_number(headroom) and 1 <= headroom <= 1024):
        raise ParameterError(f"{where}: headroom is {headroom!r}; give 1 to 1024")
    if layer.bias_correction not in (None, True, False):
        raise ParameterError(
            f"{where}: bias_correction is {layer.bias_correction!r}; give true or false"
        )
    for trim in layer.trim if isinstance(layer.trim, tuple) else (layer.trim,):
        _integer(f"{where}: trim", trim, -TRIM_MAX, TRIM_MAX, "registers move by")
        if trim is None and layer.trim is not None:
            raise ParameterError(f"{where}: trim holds None; give integers")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _integer(what: str, value: object, low: int, high: int, limit: str) -> None:
    """Check an integer that may be left open."""
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ParameterError(f"{what} is {value!r} and {limit} {low} to {high}")


Entry = TypeVar("Entry", InputConfig, LayerConfig, WeightConfig, Widths)


def _entries(kind: type[Entry], key: str, content: object) -> dict[str, Entry]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ParameterError(f"{key} is {content!r}; give a mapping of names")
    return {str(name): _one(kind, f"{key} {str(name)!r}", said) for name, said in content.items()}


def _one(kind: type[Entry], where: str, content: object) -> Entry:
    if content is None:
        return kind()
    if not isinstance(content, dict):
        raise ParameterError(f"{where} is {content!r}; give a mapping")
    known = {f.name for f in fields(kind)}
    for name in content:
        if name not in known:
            raise ParameterError(f"{where}: {name!r} is unknown; known: {', '.join(sorted(known))}")
    values: dict[str, Any] = {
        name: tuple(said) if isinstance(said, list) else said for name, said in content.items()
    }
    return kind(**values)


def _plain(value: Any) -> Any:
    """Mappings without what is None, and lists for tuples, as YAML has them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return list(value) if isinstance(value, tuple) else value
