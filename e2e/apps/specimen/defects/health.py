"""Health that lies, hides, or tells too much (HLT-001, HLT-002, HLT-003)."""

from datetime import datetime, timedelta
from typing import Any

from specimen.defects.plants import Defect, Memory, Plant, at, body, header, late, said, status
from specimen.http import Request, Response


def shallow(request: Request, response: Response) -> bool:
    return request.path == "/health" and "deep" not in request.query


def deep(request: Request, response: Response) -> bool:
    return request.path == "/health" and "deep" in request.query


def carries(name: str) -> Any:
    return lambda request, response: shallow(request, response) and name in request.headers


def fields(**changes: Any) -> Plant:
    """The shallow answer with these fields; None removes one."""
    return at(
        shallow, said(lambda body, _: {k: v for k, v in (body | changes).items() if v is not None})
    )


def components(change: dict[str, Any]) -> Plant:
    return at(deep, said(lambda body, _: body | {"components": {**body["components"], **change}}))


def moved(hours: float) -> Plant:
    def change(body: dict[str, Any], _: Memory) -> dict[str, Any]:
        stamp = datetime.fromisoformat(body["timestamp"]) + timedelta(hours=hours)
        return body | {"timestamp": stamp.isoformat()}

    return at(shallow, said(change))


def frozen(name: str) -> Plant:
    """The first value, again and again."""
    return at(
        shallow, said(lambda body, memory: body | {name: memory.setdefault(name, body[name])})
    )


def counting_down(body: dict[str, Any], _: Memory) -> dict[str, Any]:
    return body | {"uptime": 1_000_000 - body["uptime"]}


def without_zone(body: dict[str, Any], _: Memory) -> dict[str, Any]:
    return body | {"timestamp": body["timestamp"].partition("+")[0]}


DEFECTS = (
    Defect("HLT-001/not-200", "health answers 200", {"HLT-001": "HealthStatus"}, at(shallow, status(503)),
           unproven={"HLT-002": "ControlArmFailed"}),
    Defect("HLT-001/slow", "health answers within health.maxLatency", {"HLT-001": "SlowHealth"}, at(shallow, late(1.3))),
    Defect("HLT-001/plain-text", "health answers JSON", {"HLT-001": "HealthNotJSON"}, at(shallow, body("ok", "text/plain"))),
    Defect("HLT-001/wrong-type", "health says that it is JSON", {"HLT-001": "HealthNotJSON"}, at(shallow, header("Content-Type", "text/html"))),
    Defect("HLT-001/list", "health answers an object", {"HLT-001": "HealthNotJSON"}, at(shallow, said(lambda body, _: [body]))),
    Defect("HLT-001/no-status", "health has a status", {"HLT-001": "NotHealthy"}, fields(status=None)),
    Defect("HLT-001/unhealthy-word", "the status is a healthy word", {"HLT-001": "NotHealthy"}, fields(status="DOWN")),
    Defect("HLT-001/no-timestamp", "health has a timestamp", {"HLT-001": "NoTimestamp"}, fields(timestamp=None)),
    Defect("HLT-001/no-zone", "the timestamp says its zone", {"HLT-001": "NoTimestamp"}, at(shallow, said(without_zone))),
    Defect("HLT-001/clock-behind", "the timestamp is within 60 s of now", {"HLT-001": "ClockOff"}, moved(-2)),
    Defect("HLT-001/clock-ahead", "the timestamp is within 60 s of now", {"HLT-001": "ClockOff"}, moved(2)),
    Defect("HLT-001/frozen-clock", "the timestamp moves", {"HLT-001": "TimestampFrozen"}, frozen("timestamp")),
    Defect("HLT-001/no-uptime", "health has an uptime", {"HLT-001": "NoUptime"}, fields(uptime=None)),
    Defect("HLT-001/negative-uptime", "uptime is 0 or more", {"HLT-001": "NoUptime"}, fields(uptime=-5)),
    Defect("HLT-001/frozen-uptime", "uptime rises on the same pod", {"HLT-001": "UptimeNotRising"}, frozen("uptime")),
    Defect("HLT-001/falling-uptime", "uptime rises on the same pod", {"HLT-001": "UptimeNotRising"}, at(shallow, said(counting_down))),
    Defect("HLT-001/cached", "health comes from no cache", {"HLT-001": "HealthCached"}, at(shallow, header("Age", "7"))),
    Defect("HLT-002/needs-login", "health needs no credentials", {"HLT-001": "HealthStatus", "HLT-002": "HealthNotAnonymous"},
           at(shallow, status(401))),
    Defect("HLT-002/redirects", "health does not lead to a login", {"HLT-001": "HealthStatus", "HLT-002": "HealthNotAnonymous"},
           at(shallow, status(302), header("Location", "/login"))),
    Defect("HLT-002/invalid-token", "health answers 200 with an invalid token", {"HLT-002": "HealthNotAnonymous"},
           at(carries("authorization"), status(401))),
    Defect("HLT-002/invalid-cookie", "health answers 200 with an invalid session", {"HLT-002": "HealthNotAnonymous"},
           at(carries("cookie"), status(403))),
    Defect("HLT-002/sets-cookie", "health starts no session", {"HLT-002": "HealthSetsCookie"}, at(shallow, header("Set-Cookie", "sid=1; Path=/"))),
    Defect("HLT-003/missing-route", "deep health is there", {"HLT-003": "DeepHealthMissing"}, at(deep, status(404))),
    Defect("HLT-003/plain-text", "deep health answers JSON", {"HLT-003": "DeepHealthMissing"}, at(deep, body("ok", "text/plain"))),
    Defect("HLT-003/missing-component", "each declared component is listed", {"HLT-003": "ComponentMissing"},
           at(deep, said(lambda body, _: body | {"components": {"cache": {"status": "ok"}}}))),
    Defect("HLT-003/leaks-uri", "no connection URI stands in it", {"HLT-003": "HealthLeaks"},
           components({"cache": {"status": "ok", "detail": "redis://cache.internal"}})),
    Defect("HLT-003/leaks-address", "no host with its port stands in it", {"HLT-003": "HealthLeaks"},
           components({"cache": {"status": "ok", "detail": "connected to cache.internal:6379"}})),
)  # fmt: skip
