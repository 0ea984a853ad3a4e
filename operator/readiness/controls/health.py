"""HLT-001 and HLT-002: the application says how it is, truthfully and to anyone.

Clocks and uptimes are compared here and never shown: a text that moves would cause a write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from readiness.api.durations import seconds
from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.model import Safety, Severity, Verdict
from readiness.probing import MAX_AGE, Case, Probe, across, innermost
from readiness.reading import is_json, json_of, media_type, shown
from readiness.request import Hop, HopKind, HttpAnswer, HttpRequest

OK: Final = frozenset({"ok", "up", "pass", "healthy", "true"})
CLOCK_SECONDS: Final = 60.0
GAP_SECONDS: Final = 2.0
_ACCEPT: Final = ("accept", "application/json")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,12})?")
_STAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?([Zz]|[+-]\d\d:\d\d)"
)


def _get(hop: Hop, path: str, *headers: tuple[str, str], nth: int = 0) -> HttpRequest:
    after = GAP_SECONDS if nth else 0.0
    return HttpRequest(hop, hop.prefix + path, "GET", (_ACCEPT, *headers), nth, after)


def _every_way(subject: Subject) -> tuple[Hop, ...]:
    """Each chosen pod and the Service, which proves the wiring; the edge when there is only that."""
    return tuple(h for h in subject.hops if h.kind is not HopKind.EDGE) or subject.hops


def _path(subject: Subject) -> str:
    return subject.target.health.path if subject.target.health else "/"


def _shape_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    looks = 2 if hop.kind is HopKind.POD else 1
    requests = tuple(_get(hop, _path(subject), nth=n) for n in range(looks))
    yield Case(requests, partial(_judge_shape, subject, hop))


def _judge_shape(subject: Subject, hop: Hop, answers: tuple[HttpAnswer, ...]) -> Verdict:
    """Two looks at one pod: each well formed, and the second later than the first."""
    for answer in answers:
        wrong = _not_healthy(subject, answer) or _unreadable_clock(subject, answer)
        if wrong is not None:
            return wrong
    wrong = None
    if len(answers) > 1 and answers[1].at - answers[0].at >= GAP_SECONDS / 2:
        wrong = _not_moving(subject, hop, answers[0], answers[1])
    # a clock that stands still is far off before long: what is said of it must not change with its age
    wrong = wrong or next((w for a in answers if (w := _clock_off(subject, a))), None)
    if wrong is not None:
        return wrong
    limit = subject.target.health.max_latency if subject.target.health else "1s"
    if min(a.elapsed for a in answers) > seconds(limit):
        return failed(
            "SlowHealth", f"GET {_path(subject)} takes longer than {limit}",
            expected=f"an answer within {limit}", observed=f"slower than {limit}",
            fix="answer from memory: a shallow health endpoint touches no dependency",
        )  # fmt: skip
    return passed(
        "HealthEndpoint",
        f"GET {_path(subject)} answers 200 with {', '.join(subject.params['fields'])}",
    )


def _not_healthy(subject: Subject, answer: HttpAnswer) -> Verdict | None:
    path = _path(subject)
    if answer.status != 200:
        return failed("HealthStatus", f"GET {path} is answered {answer.status}",
                      expected="200", observed=str(answer.status),
                      fix=f"serve {path} without redirect or login, or correct health.path")  # fmt: skip
    body = json_of(answer)
    if not is_json(answer) or not isinstance(body, dict):
        return failed("HealthNotJSON", f"GET {path} does not answer with a JSON object",
                      expected="content type application/json and an object",
                      observed=f"content type {shown(media_type(answer) or 'none')}, {_sort_of(body)}",
                      fix='answer {"status": "ok", "timestamp": "…", "uptime": 12.3} as application/json')  # fmt: skip
    if answer.header("age") is not None:
        return failed("HealthCached", f"GET {path} is answered from a cache",
                      expected="no Age header", observed="an Age header",
                      fix="send Cache-Control: no-store on the health endpoint")  # fmt: skip
    word = _field(body, "status")
    accepted = OK | {
        s.lower() for s in (subject.target.health.ok_statuses if subject.target.health else ())
    }
    if str(word).lower() not in accepted:
        seen = (
            f"status {shown(str(word))!r}"
            if isinstance(word, str | bool | int)
            else "no status word"
        )
        return failed("NotHealthy", f"GET {path} reports no healthy status",
                      expected=f"status one of {', '.join(sorted(accepted))}", observed=seen,
                      fix="see what the endpoint complains about, or add the word to health.okStatuses")  # fmt: skip
    return None


def _unreadable_clock(subject: Subject, answer: HttpAnswer) -> Verdict | None:
    path, body = _path(subject), json_of(answer)
    stamp, uptime = epoch_of(_field(body, "timestamp")), _number(_field(body, "uptime"))
    if stamp is None and _wants(subject, "timestamp"):
        return failed("NoTimestamp", f"GET {path} has no usable timestamp",
                      expected="timestamp as RFC 3339, or epoch seconds or milliseconds",
                      observed=_sort_of(_field(body, "timestamp")), fix='add "timestamp": the current time')  # fmt: skip
    if (uptime is None or uptime < 0) and _wants(subject, "uptime"):
        return failed("NoUptime", f"GET {path} has no usable uptime",
                      expected="uptime as a number, 0 or more",
                      observed="a negative number" if uptime is not None else _sort_of(_field(body, "uptime")),
                      fix='add "uptime": seconds since the process started')  # fmt: skip
    return None


def _clock_off(subject: Subject, answer: HttpAnswer) -> Verdict | None:
    stamp = epoch_of(_field(json_of(answer), "timestamp"))
    if not _wants(subject, "timestamp") or (
        stamp is not None and abs(stamp - answer.at) <= CLOCK_SECONDS
    ):
        return None
    return failed("ClockOff", f"the timestamp of GET {_path(subject)} is not the current time",
                  expected="within 60 s of the operator's clock",
                  observed="more than 60 s away: a constant, a cached answer, or a wrong clock",
                  fix="compute the timestamp in UTC for every answer; check the node's time synchronisation")  # fmt: skip


def _not_moving(
    subject: Subject, hop: Hop, first: HttpAnswer, second: HttpAnswer
) -> Verdict | None:
    """Frozen values. Under a pre-forking server uptime is per worker: a decrease fails only when
    no worker of this pod can be that old."""
    path = _path(subject)
    one, two = json_of(first), json_of(second)
    stamps = [epoch_of(_field(body, "timestamp")) for body in (one, two)]
    if _wants(subject, "timestamp") and stamps[0] == stamps[1]:
        return failed("TimestampFrozen", f"two looks at GET {path} show the same timestamp",
                      expected="a later timestamp 2 s later", observed="the same timestamp",
                      fix="compute the timestamp for every answer, and cache none")  # fmt: skip
    before, after = _number(_field(one, "uptime")) or 0.0, _number(_field(two, "uptime")) or 0.0
    started = _started(subject, hop)
    too_old = started is not None and second.at - after < started - CLOCK_SECONDS
    if _wants(subject, "uptime") and (after == before or (after < before and too_old)):
        return failed("UptimeNotRising", f"uptime of GET {path} does not rise on the same pod",
                      expected="a larger uptime 2 s later",
                      observed="the same uptime" if after == before else "a smaller uptime",
                      fix="report seconds since the process started, computed for every answer")  # fmt: skip
    return None


def _wants(subject: Subject, field: str) -> bool:
    return field in subject.params["fields"]


def _started(subject: Subject, hop: Hop) -> float | None:
    pod = next((p for p in subject.pods if p["metadata"]["name"] == hop.name), {})
    return epoch_of((pod.get("status") or {}).get("startTime"))


def epoch_of(value: Any) -> float | None:
    """RFC 3339, epoch seconds or epoch milliseconds as epoch seconds; None for anything else."""
    number = _number(value)
    if number is not None:
        return number / 1000 if number >= 1e11 else number if number >= 1e8 else None
    match = _STAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{time}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return whole.timestamp() + float(f"0.{fraction or 0}")


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e20 else None


def _field(body: Any, name: str) -> Any:
    return next((v for k, v in body.items() if k.lower() == name), None)


def _sort_of(value: Any) -> str:
    """What kind of value stands there, without showing it."""
    names = {
        type(None): "none",
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
    }
    return names.get(type(value), "a number")


def _anonymous_cases(subject: Subject, hop: Hop) -> Iterator[Case]:
    session = (subject.target.cookies and subject.target.cookies.session) or "session"
    garbage = (
        ("authorization", "Bearer readiness-probe"),
        ("cookie", f"{session}=readiness-probe"),
    )
    plain = _get(hop, _path(subject))
    yield Case((plain, _get(hop, _path(subject), *garbage)), partial(_judge_anonymous, subject))


def _judge_anonymous(subject: Subject, answers: tuple[HttpAnswer, ...]) -> Verdict:
    path = _path(subject)
    for answer, how in zip(
        answers, ("without credentials", "with invalid credentials"), strict=True
    ):
        if answer.status in (500, 502, 503, 504):
            return unknown("ControlArmFailed", f"GET {path} is answered {answer.status} {how}: it is not healthy now",
                           fix="see HLT-001")  # fmt: skip
        if answer.status != 200:
            return failed("HealthNotAnonymous", f"GET {path} {how} is answered {answer.status}",
                          expected="200 whatever credentials are sent", observed=str(answer.status),
                          fix=f"exempt {path} from authentication; load balancers and probes send no credentials")  # fmt: skip
        if answer.header("set-cookie") is not None:
            name = shown((answer.header("set-cookie") or "").partition("=")[0])
            return failed("HealthSetsCookie", f"GET {path} {how} sets a cookie",
                          expected="no Set-Cookie", observed=f"Set-Cookie: {name}=…",
                          fix="start no session on the health endpoint")  # fmt: skip
    return passed("HealthAnonymous", f"GET {path} answers 200 without and with invalid credentials")


_SHAPE: Final = Probe(_every_way, _shape_cases, across)
_ANONYMOUS: Final = Probe(innermost, _anonymous_cases, across)

PLUGINS: Final = (
    Control(
        id="HLT-001",
        title="Health endpoint tells the truth",
        severity=Severity.P1,
        criterion="GET health.path answers 200 within health.maxLatency with JSON {status, timestamp, uptime}: a healthy "
        "status word, a timestamp within 60 s of now, an uptime that rises on the same pod, and no cache in between",
        fix='answer {"status": "ok", "timestamp": <now>, "uptime": <seconds>} as application/json, computed per request',
        ask=_SHAPE.ask,
        judge=_SHAPE.judge,
        safety=Safety.BENIGN,
        needs=("health",),
        params=(
            Param(
                "fields",
                ["status", "timestamp", "uptime"],
                "What the answer must carry; a status word is always wanted.",
                "superset",
            ),
        ),
        max_age=MAX_AGE,
        checklists=("000/5.1", "000/5.4"),
    ),
    Control(
        id="HLT-002",
        title="Health endpoint needs no credentials",
        severity=Severity.P1,
        criterion="GET health.path answers 200 without credentials and with invalid ones, and sets no cookie",
        fix="exempt the health endpoint from authentication and sessions",
        ask=_ANONYMOUS.ask,
        judge=_ANONYMOUS.judge,
        safety=Safety.BENIGN,
        needs=("health",),
        max_age=MAX_AGE,
        checklists=("000/5.3",),
    ),
)
