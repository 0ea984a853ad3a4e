"""The picture of a drill: well formed, equal for equal timelines, small, and nothing in it but text and shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree as ET

import pytest

from readiness.drills.arms import arms_of
from readiness.drills.picture import html_of, svg_of
from readiness.model import Outcome
from readiness.scenario import Unmet
from readiness.timeline import NEVER, Call, Check, Exchange, Moment, Problem, Timeline

from .simulated import Pod, Server, simulate
from .test_shapes import SHAPES, TABLE
from .worlds import subject_of

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</text><script>alert("1")</script>&amp;'


@dataclass(frozen=True)
class Told:
    id: str = "SHD-004"
    result: str = "Fail"
    reason: str = "InFlightLost"
    message: str = "requests are lost"
    fix: str = "wait for them"


def drilled(server: Server, pod: Pod = Pod()) -> dict[str, Timeline]:  # noqa: B008 (frozen)
    arms = arms_of(subject_of(TABLE["target"], pod))
    return {name: simulate(server, pod, arm) for name, arm in arms.items()}


SEEN = drilled(Server(limit=3, listener="backlog", keepalive="tell"), Pod(hook=5))


@pytest.mark.parametrize("name", SEEN)
def test_every_arm_is_a_document_that_says_what_it_shows(name: str) -> None:
    picture = svg_of(SEEN[name], [Told()])
    root = ET.fromstring(picture)
    texts = [t.text or "" for t in root.iter(f"{SVG}text")]
    signal = "SIGINT" if name == "sigint" else "SIGTERM"

    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith(f"Drill arm {name}. exit code 0")
    assert {"ready", signal, "exit 0", "control"} <= set(texts)
    assert "✗ SHD-004 Fail/InFlightLost: requests are lost" in texts
    assert picture == svg_of(SEEN[name], [Told()])


def test_every_request_is_there() -> None:
    seen = SEEN["waves"]
    root = ET.fromstring(svg_of(seen))
    titles = [t.text or "" for t in root.iter(f"{SVG}title")]
    strokes = sum(len(re.findall("v10", p.attrib["d"])) for p in root.iter(f"{SVG}path"))

    assert sum(t.startswith("slow ") for t in titles) == len(seen.labelled("slow"))
    assert strokes == len(seen.labelled("knock"))
    assert "slow 0, asked to take 12 s: 200 in 100 bytes after 12.00 s" in titles
    assert any("reset after" in t for t in titles)


def test_what_is_not_there_is_not_drawn() -> None:
    nothing = Timeline("idle", problem=Problem("Unschedulable", NASTY))
    root = ET.fromstring(svg_of(nothing, [Told(message=NASTY)]))

    assert f"Drill arm idle: Unschedulable, {NASTY}" in [t.text for t in root.iter(f"{SVG}text")]
    assert not list(root.iter(f"{SVG}script"))


@pytest.mark.parametrize("shape", SHAPES, ids=[s["name"] for s in SHAPES])
def test_pages_lead_nowhere_and_are_well_formed(shape: dict[str, dict[str, object]]) -> None:
    found = drilled(Server(**shape["server"]), Pod(**shape.get("pod", {})))
    page = html_of(found.values(), [Told(message=NASTY, fix=NASTY)], NASTY)
    body = page.partition("<body")[2].rpartition("</body>")[0]

    ET.fromstring(f"<body{body}</body>")
    assert "<script" not in page
    assert not re.search(r"(href|src|url\(|@import)", page)
    assert page.count("http") == page.count("http://www.w3.org/2000/svg") == len(found)
    assert page.count("<style>") == 1


def test_five_hundred_requests_stay_small() -> None:
    many = tuple(
        Exchange(
            label, n, n, n / 20, n / 20 + 0.123456, NEVER, n / 20 + 3.14159, Outcome.RESET,
            seconds=12.0 if label == "slow" else 0.0,
        )
        for n in range(250) for label in ("slow", "knock")
    )  # fmt: skip
    seen = replace(SEEN["waves"], exchanges=SEEN["waves"].labelled("fast") + many)

    assert len(seen.exchanges) > 500
    assert len(svg_of(seen).encode()) < 120_000


def test_a_scenario_is_drawn_with_what_did_not_hold_and_the_other_clone():
    checks = (
        Check("start", "working", 4, 5, 200),
        Check("done", "done", 20, 45, 200, (Unmet("state"),)),
    )
    moments = (
        Moment(0, "created"),
        Moment(3, "ready"),
        Moment(13, "stopping"),
        Moment(19, "ready", "", 1),
    )
    drawn = svg_of(Timeline("job", stopped=14.0, container="app", moments=moments, checks=checks))

    assert "another is ready" in drawn
    assert "start: working holds" in drawn
    assert "done: done does not hold" in drawn


def test_calls_of_an_upstream_are_drawn_with_what_was_switched():
    calls = tuple(Call(at, at + 0.1, 8080, method="GET", status=503, outcome="answered", label="phase") for at in (5.0, 6.0, 8.0))  # fmt: skip
    left = Call(8.5, -1.0, 8080, method="GET", outcome="left", label="phase")
    sent = Exchange("phase", 0, 0, 5.0, 5.0, 8.3, 8.3, Outcome.RESPONSE, 502, 2, whole=True)
    moments = (Moment(1.0, "created"), Moment(3.0, "ready"), Moment(4.5, "switched", "llm 503"))
    picture = svg_of(Timeline("exhaust-llm", exchanges=(sent,), calls=(*calls, left), moments=moments))  # fmt: skip

    assert "call, at fault" in picture
    assert "calls of upstreams" in picture
    assert "llm 503" in picture
    assert picture.count("GET 0") == 4
    assert "never told to end" in picture
