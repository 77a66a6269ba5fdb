"""What pictures of placements have in common: colours, texts, the SVG around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

LAYER_COLOURS = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#994f00",
)  # fmt: skip
EMPTY, OVER, LOW, HIGH = "#f1f0ec", "#b3202a", (226, 238, 247), (16, 66, 118)

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  fill: #1c2126; }
.title { font-size: 19px; font-weight: 600; }
.soft { fill: #5d666f; }
.bad { fill: #b3202a; font-weight: 600; }
.cell { font-size: 10.5px; text-anchor: middle; }
.several { font-size: 9px; }
.quad { fill: none; stroke: #b9b4a6; }
"""


def document(title: str, width: int, height: int, body: Iterable[str]) -> str:
    """A whole SVG."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img">\n<title>{safe(title)}</title>\n'
        f'<style>{STYLE}</style>\n<rect width="{width}" height="{height}" fill="#fcfbf8"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def layer_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each layer; they come again after eight."""
    return {name: LAYER_COLOURS[k % len(LAYER_COLOURS)] for k, name in enumerate(names)}


def short_labels(names: Sequence[str]) -> dict[str, str]:
    """Names that fit a cell; long ones become L1, L2, ..."""
    return {name: name if len(name) <= 6 else f"L{k}" for k, name in enumerate(names, 1)}


def shade(share: float) -> str:
    """The colour of a memory that is so full; another one beyond 1."""
    if share > 1:
        return OVER
    mixed = (round(a + (b - a) * share) for a, b in zip(LOW, HIGH, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def text(x: float, y: float, words: str, kind: str = "", fill: str = "") -> str:
    """Words at a place. kind: classes of the style sheet."""
    kind = f' class="{kind}"' if kind else ""
    # A style, since the style sheet's fill comes before the attribute's.
    fill = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x}" y="{y}"{kind}{fill}>{safe(words)}</text>'


def safe(words: str) -> str:
    """Text that XML can hold, whatever a layer is called."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in words))
