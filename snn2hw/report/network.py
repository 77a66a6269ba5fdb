"""The network as a drawing: input, layers and output from top to bottom, synapses between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from snn2hw.graph import FixedPointNetwork, InputFormat, Layer, Synapse
from snn2hw.report.form import model

WIDTH = 360
LEFT, RIGHT = 26, 246
CENTRE = (LEFT + RIGHT) // 2
BOX, LINE, GAP = 46, 15, 34


@dataclass(frozen=True)
class _Box:
    name: str
    detail: str
    kind: str


def draw_network(net: FixedPointNetwork, key: str = "net") -> Markup:
    """An SVG figure, 360 units wide, readable at the width of a phone.

    key: tells the drawings of one page apart.
    """
    order = [i.name for i in net.inputs] + [layer.name for layer in net.layers]
    boxes = [_input(node) for node in net.inputs] + [_layer(node) for node in net.layers]
    tops: list[int] = []
    parts: list[Markup] = []
    y = 4
    for k, box in enumerate(boxes):
        if k:
            y += GAP + LINE * max(0, len(_between(net, order, k - 1)) * 2 - 1)
        tops.append(y)
        parts.append(_draw_box(box, y))
        y += BOX
    for k in range(len(boxes) - 1):
        groups = _between(net, order, k)
        if groups:
            parts.append(_arrow(groups, net, tops[k] + BOX, tops[k + 1]))
    for k in range(len(order)):
        loops = [s for s in net.synapses if s.source == s.target == order[k]]
        if loops:
            parts.append(_loop(loops, tops[k]))
    far = [
        (order.index(s.source), order.index(s.target), s)
        for s in net.synapses
        if order.index(s.target) not in (order.index(s.source), order.index(s.source) + 1)
    ]
    for lane, (source, target, synapse) in enumerate(far):
        parts.append(_far(synapse, tops[source], tops[target], lane))
    parts.append(_draw_output(net, [tops[order.index(o.source)] for o in net.outputs], y))
    return Markup(
        '<svg class="network" viewBox="0 0 {} {}" style="--tip: url(#{}-tip)" '
        'role="img" aria-label="Drawing of the network">'
        '<defs><marker id="{}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0.5L8 4L0 7.5z"/></marker></defs>'
        "{}</svg>"
    ).format(WIDTH, y + GAP + 30, key, key, Markup("").join(parts))


def describe_weights(synapse: Synapse) -> str:
    """Shape and kind of a group's weights: "640 × 12 weights", "8 × 2 × 3 × 3 convolution"."""
    kinds = {"dense": "weights", "one-to-one": "weights, one to one"}
    return f"{_sizes(synapse)} {kinds.get(synapse.map.kind, synapse.map.kind)}"


def _sizes(synapse: Synapse) -> str:
    return " × ".join(map(str, synapse.mantissa.shape))


def describe_delay(synapse: Synapse) -> str:
    """Delay in the network and on the chip: "delay 1, on chip 1"."""
    return f"delay {synapse.delay}, on chip {synapse.chip_delay}"


def _input(node: InputFormat) -> _Box:
    what = "spikes" if node.bits == 1 else f"{node.bits}-bit messages"
    return _Box(node.name, f"input · {node.n} channels · {what}", "input")


def _layer(layer: Layer) -> _Box:
    return _Box(layer.name, f"{model(layer.model.name)} · {layer.n} neurons", "layer")


def _between(net: FixedPointNetwork, order: list[str], k: int) -> list[Synapse]:
    """Synapse groups from node k to node k + 1."""
    if k + 1 >= len(order):
        return []
    return [s for s in net.synapses if (s.source, s.target) == (order[k], order[k + 1])]


def _text(x: float, y: float, text: str, style: str, limit: int) -> Markup:
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(x, y, style, shown)


def _draw_box(box: _Box, y: int) -> Markup:
    return Markup('<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="7"').format(
        box.name, LEFT, y, RIGHT - LEFT, BOX
    ) + Markup(' class="{}"/>{}{}</g>').format(
        box.kind,
        _text(CENTRE, y + 19, box.name, "name", 24),
        _text(CENTRE, y + 36, box.detail, "detail", 40),
    )


def _labels(x: float, y: float, lines: Iterable[str], limit: int) -> Markup:
    return Markup("").join(
        _text(x, y + LINE * k, line, "label", limit) for k, line in enumerate(lines)
    )


def _arrow(groups: list[Synapse], net: FixedPointNetwork, top: int, bottom: int) -> Markup:
    lines = [line for s in groups for line in (describe_weights(s), describe_delay(s))]
    first = (top + bottom) / 2 - LINE * (len(lines) - 1) / 2 + 3
    names = ", ".join(s.name for s in groups)
    path = Markup('<g><title>{}</title><path class="wire" d="M{} {}V{}"/>{}</g>')
    return path.format(names, CENTRE, top, bottom - 1, _labels(CENTRE + 12, first, lines, 36))


def _loop(groups: list[Synapse], top: int) -> Markup:
    lines = [line for s in groups for line in (*_short(s),)]
    names = ", ".join(s.name for s in groups)
    path = Markup('<g><title>{}</title><path class="wire" d="M{} {}h10q9 0 9 9v8q0 9 -9 9h-9"/>')
    start = path.format(names, RIGHT, top + 10)
    return start + _labels(RIGHT + 25, top + 16, lines, 15) + Markup("</g>")


def _short(synapse: Synapse) -> tuple[str, str]:
    return _sizes(synapse), f"delay {synapse.delay}, chip {synapse.chip_delay}"


def _far(synapse: Synapse, source: int, target: int, lane: int) -> Markup:
    """A connection past other layers: along the left side, one lane each."""
    x = LEFT - 8 - 4 * (lane % 4)
    y1, y2 = source + BOX - 12, target + 12
    path = Markup('<g><title>{}: {}, {}</title><path class="wire" d="M{} {}H{}V{}H{}"/></g>')
    return path.format(
        synapse.name, describe_weights(synapse), describe_delay(synapse), LEFT, y1, x, y2, LEFT - 1
    )


def _draw_output(net: FixedPointNetwork, tops: list[int], y: int) -> Markup:
    text = f"output · latency {net.latency} step{'s' * (net.latency != 1)} on chip"
    parts = [Markup('<path class="wire" d="M{} {}V{}"/>').format(CENTRE, y, y + GAP - 1)]
    # An output of a layer other than the last one leaves at the right side.
    for top in sorted({top for top in tops if top + BOX != y}):
        parts.append(
            Markup('<path class="wire" d="M{} {}H{}V{}H{}"/>').format(
                RIGHT, top + BOX - 6, RIGHT + 12, y + GAP + 13, RIGHT + 1
            )
        )
    if all(top + BOX != y for top in tops):
        parts = parts[1:]
    box = Markup('<rect x="{}" y="{}" width="{}" height="26" rx="13" class="output"/>').format(
        LEFT, y + GAP, RIGHT - LEFT
    )
    return Markup("").join((*parts, box, _text(CENTRE, y + GAP + 17, text, "detail", 40)))
