"""SVG in small pieces: tags with escaped content, a time scale, rows for bars that overlap, one style.

Knows no drill. Nothing here is a script or leads out of the document; colours follow the reader's
light or dark setting, and every colour has a shape of its own beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_COLOURS: Final = {
    "served": ("#1b7f5c", "#4cc79a"), "away": ("#a86a00", "#e6a93c"), "error": ("#b3261e", "#ff8278"),
    "refused": ("#5b6675", "#9aa5b4"), "reset": ("#b3261e", "#ff8278"), "stalled": ("#7a3fb0", "#c49af0"),
    "lost": ("#8a94a3", "#6d7785"), "mark": ("#2563b0", "#7db4ff"), "signal": ("#a86a00", "#e6a93c"),
    "exit": ("#1c2430", "#e6eaf0"), "limit": ("#b3261e", "#ff8278"),
}  # fmt: skip
PAPER: Final = {"ink": ("#1c2430", "#e6eaf0"), "dim": ("#5b6675", "#9aa5b4"), "grid": ("#e4e8ee", "#28303a"),
                "band": ("#f4f6f9", "#1a2028"), "paper": ("#ffffff", "#12161c")}  # fmt: skip


def _coloured(nth: int) -> str:
    """One setting's colours, spelled out: variables are unknown to viewers that are no browsers."""
    rules = [f".rd .{name}{{fill:{c[nth]};stroke:{c[nth]}}}" for name, c in _COLOURS.items()]
    ink, dim, grid, band, paper = (
        PAPER[name][nth] for name in ("ink", "dim", "grid", "band", "paper")
    )
    rules += [
        f".rd{{background:{paper};color:{ink}}}", f".rd text{{fill:{ink}}}",
        f".rd .dim{{fill:{dim};color:{dim}}}", f".rd .idle,.rd .grid{{stroke:{grid}}}", f".rd .idle{{stroke:{dim}}}",
        f".rd .band{{fill:{band}}}", f".rd .paper,.rd .hollow{{fill:{paper}}}",
    ]  # fmt: skip
    return "".join(rules)


_SHAPES: Final = (
    '.rd{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}'
    ".rd .dim{font-size:11px}.rd .big{font-size:16px;font-weight:600}.rd .lane{font-weight:600}"
    ".rd .on{font-size:10px}.rd .bar{fill-opacity:.28}.rd .now{fill-opacity:.62}.rd .body{fill-opacity:.9}"
    ".rd text,.rd text[class]{stroke:none}"
    ".rd .thin,.rd .cross,.rd .idle{fill:none;stroke-width:1.5}.rd .cross{stroke-width:2}"
    ".rd .idle{stroke-dasharray:2 3}.rd .limit{stroke-dasharray:5 4}.rd .zone{fill-opacity:.16;stroke:none}"
)
STYLE: Final = f"{_coloured(0)}@media(prefers-color-scheme:dark){{{_coloured(1)}}}{_SHAPES}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Seconds to pixels, between two edges."""

    start: float
    end: float
    left: float
    right: float

    def x(self, at: float) -> float:
        """Where a time lies; outside the picture it lies on its edge."""
        share = (at - self.start) / max(self.end - self.start, 0.001)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    @property
    def step(self) -> int:
        """Seconds between two marks of the axis, so that they stand about 80 pixels apart."""
        wanted = 80 * (self.end - self.start) / (self.right - self.left)
        return next((n for n in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600) if n >= wanted), 1200)


def tag(name: str, *children: str, **attributes: str | float) -> str:
    """One element. Children are markup; `class_` is class, `_` in names is `-`."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()
    )  # fmt: skip
    return f"<{name}{told}>{''.join(children)}</{name}>" if children else f"<{name}{told}/>"


def words(text: str, x: float, y: float, class_: str = "", anchor: str = "start") -> str:
    """A line of text."""
    return tag("text", escape(text), x=x, y=y, class_=class_, text_anchor=anchor)


def titled(text: str) -> str:
    """What a reader is told about the element around it."""
    return tag("title", escape(text))


def rows_of(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The first free row for each span, so that none overlap: starts in order."""
    ends: list[float] = []
    rows = []
    for start, end in spans:
        row = next((n for n, free in enumerate(ends) if free <= start), len(ends))
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows


def glyph(kind: str, x: float, y: float) -> str:
    """The shape that stands for an outcome, so that no reader depends on its colour."""
    match kind:
        case "served":
            return tag("circle", cx=x, cy=y, r=3.2, class_=kind)
        case "away":
            return tag("path", d=f"M{num(x)} {num(y - 4)}l4 4-4 4-4-4z", class_=kind)
        case "refused":
            return tag("path", d=f"M{num(x)} {num(y - 4)}v8", class_=f"{kind} cross")
        case "lost":
            return tag("circle", cx=x, cy=y, r=3, class_=f"{kind} hollow")
        case "stalled":
            return tag(
                "path", d=f"M{num(x - 4)} {num(y - 3)}l4 3-4 3m4-6l4 3-4 3", class_=f"{kind} cross"
            )
    return tag("path", d=f"M{num(x - 3.5)} {num(y - 3.5)}l7 7m0-7l-7 7", class_=f"{kind} cross")


def ticks(xs: Iterable[float], y: float, height: float) -> str:
    """A path of vertical strokes: hundreds of requests in a few bytes each."""
    return "".join(f"M{num(x)} {num(y)}v{num(height)}" for x in xs)


def num(value: float) -> str:
    """To a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else num(value)
