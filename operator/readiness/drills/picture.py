"""The picture of a drill: every request as a bar, with the deletion, the signal and the end.

Pure text in, text out: equal timelines give equal pictures. It judges nothing; findings are printed as
they were told. Time 0 is the deletion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final, Protocol

from readiness.drills.canvas import STYLE, Scale, glyph, num, tag, titled, words
from readiness.drills.lanes import CLASS, LANES, SAID, lanes_of
from readiness.drills.reading import Kind, Seen, Span, kind_of, read
from readiness.timeline import NEVER, Timeline

WIDTH, LEFT, RIGHT = 1080.0, 132.0, 1056.0
BEFORE: Final = 8.5
"""Seconds before the first request that are shown: it has just become Ready, and settles."""
_BADGE: Final = {"Pass": "✓", "Fail": "✗", "NotApplicable": "–", "Waived": "–"}


_PAGE: Final = (
    "body{margin:0;line-height:1.45}main{max-width:1120px;margin:0 auto;padding:24px 16px}h1{font-size:22px;margin:0 0 16px}"
    "ul{list-style:none;padding:0;margin:0 0 24px}li{padding:8px 0 8px 30px;border-top:1px solid #8884;position:relative}"
    "li>b:first-child{position:absolute;left:4px;font-size:15px}li p{margin:2px 0 0}.rd .dim{font-size:12px}"
    "figure{margin:0 0 28px;overflow-x:auto}figure svg{min-width:720px}.pass{color:#2a9d74}.fail{color:#e5484d}.open{color:#c07f0d}"
)


class Told(Protocol):
    """What is printed of a finding; the rows of the command line are such."""

    @property
    def id(self) -> str:
        """The control."""

    @property
    def result(self) -> str:
        """Pass, Fail and so on."""

    @property
    def reason(self) -> str:
        """Why, in one word."""

    @property
    def message(self) -> str:
        """Why, in a sentence."""

    @property
    def fix(self) -> str:
        """What to do."""


def svg_of(timeline: Timeline, verdicts: Sequence[Told] = ()) -> str:
    """The timeline of one arm as a document of its own."""
    return f"{_svg(timeline, verdicts, STYLE)}\n"


def html_of(timelines: Iterable[Timeline], findings: Sequence[Told], title: str) -> str:
    """A page with every finding and every arm, by its looks; no script, nothing from elsewhere."""
    figures = "".join(
        tag("figure", _svg(each, (), ""), tag("figcaption", escape(f"{look}{_summary(each)}"), class_="dim"))
        for look, each in _numbered(tuple(timelines))
    )  # fmt: skip
    rows = "".join(_row(each) for each in findings)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    page = f"{tag('h1', escape(title))}{tag('ul', rows) if rows else ''}{figures}"
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}{_PAGE}</style></head>'
        f'<body class="rd"><main>{page}</main></body></html>\n'
    )


def _numbered(timelines: Sequence[Timeline]) -> Iterator[tuple[str, Timeline]]:
    """Each with what tells it from others of its arm."""
    of = Counter(each.arm for each in timelines)
    seen = Counter[str]()
    for each in timelines:
        seen[each.arm] += 1
        yield (
            (
                f"Arm {each.arm}, look {seen[each.arm]} of {of[each.arm]}: "
                if of[each.arm] > 1
                else ""
            ),
            each,
        )


def _row(told: Told) -> str:
    tone = {"Pass": "pass", "Fail": "fail"}.get(told.result, "open")
    fix = (
        tag("p", f"Remedy: {escape(told.fix)}", class_="dim") if told.fix and tone != "pass" else ""
    )
    badge = tag("b", _BADGE.get(told.result, "?"), class_=tone, aria_hidden="true")
    name = tag("b", escape(f"{told.id} {told.result}/{told.reason}"))
    return tag("li", badge, name, f" {escape(told.message)}", fix)


def _svg(timeline: Timeline, verdicts: Sequence[Told], style: str) -> str:
    seen, scale = _seen(timeline), _scale(timeline)
    top = 30.0 + 17 * len(verdicts)
    lanes = tuple(lanes_of(timeline, scale, seen.signal if seen else None))
    shades, bars, y = list[str](), list[str](), top + 46
    for nth, lane in enumerate(lanes):
        if nth % 2 == 0:
            shades.append(tag("rect", x=0, y=y - 4, width=WIDTH, height=lane.height + 8, class_="band"))  # fmt: skip
        bars += [words(lane.name, 12, y + 10, "lane"), lane.draw(y)]
        y += lane.height + 8
    bottom, summary = y, _summary(timeline)
    legend = _legend(timeline, bottom + 42)
    name = f"Drill arm {timeline.arm}"
    return tag(
        "svg", titled(name), tag("desc", escape(summary)), tag("style", style) if style else "",
        tag("rect", width=WIDTH, height=bottom + 56, class_="paper"),
        words(f"{name}: {_heading(timeline, seen)}", 12, 22, "big"),
        *(words(_line(v), 12, 42 + 17 * n) for n, v in enumerate(verdicts)),
        *shades, _axis(timeline, scale, top + 40, bottom), *bars, *_marks(timeline, seen, scale, (top + 40, bottom)),
        legend, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {num(WIDTH)} {num(bottom + 56)}",
        class_="rd", role="img", aria_label=f"{name}. {summary}",
    )  # fmt: skip


def _seen(timeline: Timeline) -> Seen | None:
    found = read(timeline, interrupted=_signalled(timeline))
    return found if isinstance(found, Seen) else None


def _scale(timeline: Timeline) -> Scale:
    created = max(timeline.moment("created"), 0.0)
    first = min((x.start for x in timeline.exchanges), default=created)
    last = (
        [x.end for x in timeline.exchanges]
        + [e.at for e in timeline.endings]
        + [m.at for m in timeline.moments]
        + [check.end for check in timeline.checks]
        + [call.end for call in timeline.calls]
    )
    start = max(created, first - BEFORE) if timeline.exchanges else created
    return Scale(start, max([start + 1, *last]) + 0.5, LEFT, RIGHT)


def _heading(timeline: Timeline, seen: Seen | None) -> str:
    if seen is not None:
        took = seen.took
        return f"exit code {seen.ending.code}, {max(took.lo, 0):.1f} to {took.hi:.1f} s after the signal"
    problem = timeline.problem
    if problem is None:
        return "never told to end" if timeline.stopped == NEVER else "proves nothing"
    return f"{problem.reason}, {problem.words}"[:110]


def _line(told: Told) -> str:
    return f"{_BADGE.get(told.result, '?')} {told.id} {told.result}/{told.reason}: {told.message}"[
        :170
    ]


def _summary(timeline: Timeline) -> str:
    """The picture in a sentence, for whoever does not see it."""
    parts = []
    for label, name in LANES.items():
        kinds = [kind_of(x) for x in timeline.labelled(label)]
        counted = ", ".join(f"{kinds.count(k)} {SAID[k]}" for k in Kind if k in kinds)
        parts += [f"{name}: {counted}"] if kinds else []
    return f"{_heading(timeline, _seen(timeline))}. {'; '.join(parts)}".rstrip(". ") + "."


def _zero(timeline: Timeline) -> float:
    """Where the axis has its 0: at the deletion, or where a signal was asked for."""
    return max(timeline.stopped, 0.0)


def _signalled(timeline: Timeline) -> bool:
    return timeline.arm == "sigint" or timeline.moment("sent") != NEVER


def _signal(timeline: Timeline) -> str:
    return "SIGINT" if timeline.arm == "sigint" else "SIGTERM"


def _axis(timeline: Timeline, scale: Scale, top: float, bottom: float) -> str:
    """Seconds since the deletion, or since the drill began where there was none."""
    zero, step = _zero(timeline), scale.step
    first, last = -int((zero - scale.start) // step), int((scale.end - zero) // step)
    marks = []
    for n in range(first, last + 1):
        x = scale.x(zero + n * step)
        marks += [
            tag("path", d=f"M{num(x)} {num(top)}V{num(bottom)}", class_="grid"),
            words(f"{n * step} s", x, bottom + 14, "dim", "middle"),
        ]
    return "".join(marks)


def _marks(
    timeline: Timeline, seen: Seen | None, scale: Scale, edges: tuple[float, float]
) -> Iterator[str]:
    """Upright lines and zones: ready, the deletion, the signal, the end, the kubelet's patience."""
    rows: list[float] = []
    for class_, name, span in _events(timeline, seen):
        if span.hi == NEVER or not scale.start <= span.hi <= scale.end:
            continue
        lo, hi, wide = scale.x(span.lo), scale.x(span.hi), 7.2 * len(name) + 8
        leftwards = (class_ == "mark" and name != "ready") or hi + wide > WIDTH
        begin = hi - wide if leftwards else hi
        row = next((n for n, end in enumerate(rows) if end <= begin), len(rows))
        rows[row : row + 1] = [begin + wide]
        top = edges[0] - 4 - 13 * row
        if hi - lo > 1.5:
            yield tag("rect", x=lo, y=edges[0], width=hi - lo, height=edges[1] - edges[0], class_=f"{class_} zone")  # fmt: skip
        yield tag("path", d=f"M{num(hi)} {num(top)}V{num(edges[1])}", class_=f"{class_} thin")
        yield words(name, hi - 4 if leftwards else hi + 4, top + 8, class_, "end" if leftwards else "start")  # fmt: skip


def _events(timeline: Timeline, seen: Seen | None) -> Iterator[tuple[str, str, Span]]:
    """(class, name, when), in the order of time."""
    signalled, stopped = _signalled(timeline), timeline.stopped
    yield "mark", "ready", _point(timeline.moment("ready"))
    yield (
        "mark",
        f"{_signal(timeline)} asked for" if signalled else "deleted",
        _point(_zero(timeline) or NEVER),
    )
    if seen is not None:
        yield "signal", _signal(timeline), seen.signal
        yield "exit", f"exit {seen.ending.code}", seen.exit
    elif timeline.ending is not None:
        yield "exit", f"exit {timeline.ending.code}", _point(timeline.ending.at)
    if stopped != NEVER and not signalled:
        yield "limit", "grace is over", _point(stopped + timeline.grace)
    for each in timeline.moments:
        if each.name == "switched":
            yield "mark", each.detail, _point(each.at)
    yield "mark", "another is ready", _point(timeline.moment("ready", 1))


def _point(at: float) -> Span:
    return Span(at, at)


def _legend(timeline: Timeline, y: float) -> str:
    """The shapes that occur, and what the lines mean."""
    kinds = [k for k in Kind if any(kind_of(x) is k for x in timeline.exchanges)]
    parts, x = [], 16.0
    for kind in kinds:
        parts += [glyph(CLASS[kind], x, y - 4), words(SAID[kind], x + 9, y, "dim")]
        x += 30 + 6.2 * len(SAID[kind])
    zero = f"{_signal(timeline)} was asked for" if _signalled(timeline) else "the pod was deleted"
    note = f"at 0 s {zero}; stronger bars were open at the signal; a zone is a time known no closer"
    parts.append(words(note, x + 4, y, "dim"))
    return "".join(parts)
