"""The lanes of a drill's picture: requests as bars, strokes or lines, by what was sent.

Draws; where a lane stands and what else is in the picture is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from readiness.drills.arms import FAST, HELD, KNOCK, SLOW, STUCK
from readiness.drills.canvas import Scale, glyph, num, rows_of, tag, ticks, titled, words
from readiness.drills.faulting import BACK, CALL, CALM, GUARD, ILL, PHASE, SHALLOW, WELL
from readiness.drills.reading import Kind, Span, kind_of
from readiness.model import Outcome
from readiness.timeline import NEVER, Call, Check, Exchange, Timeline

PITCH: Final = 15.0
FLAT: Final = 8.0
"""The pitch of lanes whose bars need no words."""
MOST_ROWS: Final = 14
LANES: Final = {
    FAST: "control", "measure": "side by side", SLOW: "slow requests", STUCK: "endless request",
    HELD: "idle connections", KNOCK: "new requests", CALM: "health before", CALL: "call", GUARD: "call, no fault",
    PHASE: "call, at fault", WELL: "deep health before", ILL: "deep health, at fault", SHALLOW: "health, at fault",
    BACK: "deep health after",
}  # fmt: skip
CLASS: Final = {
    Kind.SERVED: "served", Kind.AWAY: "away", Kind.ERROR: "error", Kind.REFUSED: "refused",
    Kind.BROKEN: "reset", Kind.STALLED: "stalled", Kind.VANISHED: "lost",
}  # fmt: skip
SAID: Final = {Kind.SERVED: "answered", Kind.AWAY: "turned away (429, 503)", Kind.ERROR: "server error",
                Kind.REFUSED: "refused", Kind.BROKEN: "reset", Kind.STALLED: "hung", Kind.VANISHED: "no connection"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lane:
    """One band of the picture: `draw(y)` fills its height."""

    name: str
    height: float
    draw: Callable[[float], str]


def lanes_of(timeline: Timeline, scale: Scale, signal: Span | None) -> Iterator[Lane]:
    """A lane for each kind of request that was sent; those in flight at the signal are stronger."""
    for label, name in LANES.items():
        exchanges = timeline.labelled(label)
        if not exchanges:
            continue
        if label == KNOCK:
            yield _strip(name, exchanges, scale)
        elif label == HELD:
            yield _held(name, timeline, exchanges, scale)
        else:
            yield _bars(name, exchanges, scale, signal)
    if timeline.calls:
        yield _bars("calls of upstreams", tuple(map(_called, timeline.calls)), scale, None)
    if timeline.checks:
        yield _scenes(timeline.checks, scale)


def _called(call: Call) -> Exchange:
    """A call of the fault sink, as a request of the application's."""
    outcome = Outcome.RESPONSE if call.outcome == "answered" else Outcome.RESET
    end = max(call.end, call.at)
    whole = outcome is Outcome.RESPONSE
    return Exchange(call.method, 0, 0, call.at, call.at, call.at if whole else NEVER, end, outcome, call.status, call.size, whole)  # fmt: skip


def _scenes(checks: tuple[Check, ...], scale: Scale) -> Lane:
    """The scenes of a scenario: how long each was tried, and whether it held in the end."""
    pixel = (scale.end - scale.start) / (scale.right - scale.left)
    rows = rows_of([(c.start, c.end + pixel * (16 + 7 * len(c.scene))) for c in checks])

    def draw(y: float) -> str:
        return "".join(
            _scene(c, scale, y + row * PITCH) for row, c in zip(rows, checks, strict=True)
        )

    return Lane("scenario", PITCH * (max(rows) + 1), draw)


def _scene(check: Check, scale: Scale, y: float) -> str:
    kind, begin, end = (
        "error" if check.unmet else "served",
        scale.x(check.start),
        scale.x(check.end),
    )
    within = end - begin > 10 + 7 * len(check.scene)
    return tag(
        "g", titled(f"{check.label}: {check.scene} {'does not hold' if check.unmet else 'holds'}"),
        tag("rect", x=begin, y=y, width=max(end - begin, 1.0), height=10, class_=f"{kind} bar"),
        words(check.scene, begin + 5 if within else end + 8, y + 8.5, "on" if within else "dim"),
        glyph(kind, end, y + 5),
    )  # fmt: skip


def _bars(name: str, exchanges: tuple[Exchange, ...], scale: Scale, signal: Span | None) -> Lane:
    gap = 7 * (scale.end - scale.start) / (scale.right - scale.left)
    rows = rows_of([(x.start, x.end + gap) for x in exchanges])
    pitch = PITCH if any(x.seconds > 1 for x in exchanges) else FLAT
    pitch = min(pitch, PITCH * MOST_ROWS / (max(rows) + 1))
    at = signal.lo if signal else NEVER

    def draw(y: float) -> str:
        return "".join(
            _bar(x, scale, (y + row * pitch, pitch - 3), now=x.start < at < x.end)
            for x, row in zip(exchanges, rows, strict=True)
        )

    return Lane(name, max(PITCH, (max(rows) + 1) * pitch), draw)


def _bar(x: Exchange, scale: Scale, place: tuple[float, float], *, now: bool = False) -> str:
    """Connecting is a line, waiting a pale bar, the body a full one, the outcome a shape at its end."""
    y, height = place
    kind = CLASS[kind_of(x)]
    begin, end = scale.x(x.connected if x.connected != NEVER else x.start), scale.x(x.end)
    first = scale.x(x.first) if x.first != NEVER else end
    middle = y + height / 2
    parts = [
        tag("path", d=f"M{num(scale.x(x.start))} {num(middle)}H{num(begin)}", class_=f"{kind} thin")
    ]
    if first - begin > 0.5:
        parts.append(
            tag(
                "rect",
                x=begin,
                y=y,
                width=first - begin,
                height=height,
                class_=f"{kind} {'now' if now else 'bar'}",
            )
        )
    if end - first > 0.5:
        parts.append(
            tag("rect", x=first, y=y, width=end - first, height=height, class_=f"{kind} body")
        )
    if end - begin > 26 and height >= 10:
        parts.append(
            words(
                f"{x.seconds:g} s" if x.seconds else f"{x.status}",
                begin + 5,
                middle + 3.5,
                "on",
            )
        )
    parts.append(glyph(kind, end, middle))
    return tag("g", titled(_told(x)), *parts)


def _told(x: Exchange) -> str:
    outcome = f"{x.status} in {x.size} bytes" if x.answered else SAID[kind_of(x)]
    asked = f", asked to take {x.seconds:g} s" if x.seconds else ""
    return f"{x.label} {x.nth}{asked}: {outcome} after {x.end - x.start:.2f} s"


def _strip(name: str, exchanges: tuple[Exchange, ...], scale: Scale) -> Lane:
    """Hundreds of short requests: a row for each outcome, a stroke for each request."""
    kinds = [k for k in Kind if any(kind_of(x) is k for x in exchanges)]

    def draw(y: float) -> str:
        return "".join(_strokes(k, exchanges, scale, y + 14 + n * 14) for n, k in enumerate(kinds))

    return Lane(name, 14.0 * len(kinds) + 14, draw)


def _strokes(kind: Kind, exchanges: tuple[Exchange, ...], scale: Scale, y: float) -> str:
    mine = [x for x in exchanges if kind_of(x) is kind]
    name = CLASS[kind]
    long = (x for x in mine if scale.x(x.end) - scale.x(x.start) > 3)
    spans = "".join(f"M{num(scale.x(x.start))} {num(y + 5)}H{num(scale.x(x.end))}" for x in long)
    return tag(
        "g", titled(f"{len(mine)} {SAID[kind]}"), words(f"{SAID[kind].partition(' (')[0]} {len(mine)}", 24, y + 9, "dim"),
        tag("path", d=ticks((scale.x(x.start) for x in mine), y, 10), class_=f"{name} thin"),
        tag("path", d=spans, class_=f"{name} thin") if spans else "",
    )  # fmt: skip


def _held(name: str, timeline: Timeline, exchanges: tuple[Exchange, ...], scale: Scale) -> Lane:
    """Connections: a dotted line while idle, a shape where they were closed or used again."""
    lines = sorted({x.nth for x in exchanges})
    closed = {m.detail: m.at for m in timeline.moments if m.name == "closed"}
    over = timeline.ending.at if timeline.ending else scale.end

    def draw(y: float) -> str:
        parts = []
        for row, nth in enumerate(lines):
            mine, middle = [x for x in exchanges if x.nth == nth], y + row * PITCH + 5
            begin = min(x.end for x in mine)
            again = [x.start for x in mine if x.held]
            ended = min([closed.get(f"{HELD} {nth}", over), *again])
            parts.append(
                tag(
                    "path",
                    d=f"M{num(scale.x(begin))} {num(middle)}H{num(scale.x(ended))}",
                    class_="idle",
                )
            )
            parts += [_bar(x, scale, (middle - 5, 10)) for x in mine]
            if not again and f"{HELD} {nth}" in closed:
                parts.append(
                    tag(
                        "g",
                        titled("closed by the application"),
                        glyph("refused", scale.x(ended), middle),
                    )
                )
        return "".join(parts)

    return Lane(name, len(lines) * PITCH, draw)
