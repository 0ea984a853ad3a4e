"""Defects of the way in which dependencies are treated: what an application does wrong when something else fails.

Seen on clones only, where an upstream or a store can be made to fail.
"""

import asyncio
import http.client
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from specimen.config import Config
from specimen.defects.starting import Environment, Parts, StartDefect
from specimen.http import Application, Request, Response
from specimen.upstream import Headers, fetch

SHALLOW, DEEP = Request(path="/health"), Request(path="/health", query={"deep": "true"})


def treating(**changes: Any) -> Callable[[Parts], Parts]:
    """Treats dependencies otherwise."""
    return lambda parts: replace(parts, manners=replace(parts.manners, **changes))


def saying(change: Callable[[Application], Application]) -> Callable[[Parts], Parts]:
    """Answers otherwise."""
    return lambda parts: replace(parts, wrap=change)


def hard_coded(parts: Parts) -> Parts:
    """Calls what is written in the code, whatever the environment says, and has an answer of its own when that fails."""

    def read(environ: Environment) -> Config:
        config = parts.read(environ)
        return replace(config, upstreams=dict.fromkeys(config.upstreams, "http://127.0.0.1:9"))

    return replace(parts, read=read, manners=replace(parts.manners, unreachable=200))


async def blocking(method: str, url: str, headers: Headers) -> int:
    """Calls as a thread would, on the loop that serves everybody."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=4)
    try:
        line.request(method, parts.path or "/", headers=dict(headers))
        return line.getresponse().status
    finally:
        line.close()


async def fatal(method: str, url: str, headers: Headers) -> int:
    """Lets nobody catch what happens when the answer does not come."""
    try:
        return await asyncio.wait_for(fetch(method, url, headers), 0.9)
    except TimeoutError:
        os._exit(1)


async def connects(host: str, port: int) -> bool:
    """Takes an open connection for an answer."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True


def is_deep(request: Request) -> bool:
    return request.path == "/health" and "deep" in request.query


def lying(application: Application) -> Application:
    """Says what it says when all is well."""
    usual: list[Response] = []

    async def answer(request: Request) -> Response:
        response = await application(request)
        if is_deep(request) and response.status == 200:
            usual[:] = [response]
        return usual[0] if is_deep(request) and usual else response

    return answer


def depending(application: Application) -> Application:
    """Is shallow in nothing but its name."""

    async def answer(request: Request) -> Response:
        response = await application(request)
        if request.path != "/health" or is_deep(request):
            return response
        return replace(response, status=(await application(DEEP)).status)

    return answer


def remembering(application: Application) -> Application:
    """Once ill, always ill."""
    worst: list[Response] = []

    async def answer(request: Request) -> Response:
        response = await application(request)
        if is_deep(request) and response.status == 503:
            worst[:] = [response]
        return worst[0] if is_deep(request) and worst else response

    return answer


def is_note(request: Request) -> bool:
    return (request.method, request.path) == ("POST", "/notes")


def noting(change: Callable[[Response], Response], seconds: float = 0.0) -> Callable[[Application], Application]:  # fmt: skip
    """Answers otherwise, or later, where a note could not be kept."""

    def wrap(application: Application) -> Application:
        async def answer(request: Request) -> Response:
            response = await application(request)
            if not is_note(request) or response.status != 503:
                return response
            await asyncio.sleep(seconds)
            return change(response)

        return answer

    return wrap


def giving_up(application: Application) -> Application:
    """Once a note could not be kept, none is."""
    worst: list[Response] = []

    async def answer(request: Request) -> Response:
        response = await application(request)
        if is_note(request) and response.status == 503:
            worst[:] = [response]
        return worst[0] if is_note(request) and worst else response

    return answer


def cached(application: Application) -> Application:
    """Looks at its dependencies once in half a minute."""
    kept: dict[str, Any] = {"until": 0.0}

    async def answer(request: Request) -> Response:
        if not is_deep(request):
            return await application(request)
        if time.monotonic() > kept["until"]:
            kept.update(until=time.monotonic() + 30, response=await application(request))
        response: Response = kept["response"]
        return response

    return answer


def defect(id_: str, clause: str, reason: str, plant: Callable[[Parts], Parts], unproven: Mapping[str, str] = {}, **more: str) -> StartDefect:  # fmt: skip
    """One row: the control that the id names fails for this reason; `more` are others."""
    fails = {id_.partition("/")[0]: reason} | {
        name.replace("_", "-"): why for name, why in more.items()
    }
    return StartDefect(id_, clause, fails, plant, unproven)


UNCALLED = {"REL-002": "NotCalled", "REL-003": "NotCalled", "HLT-004": "ControlArmFailed"}
DEFECTS: dict[str, StartDefect] = {
    row.id: row
    for row in (
        defect("CFG-012/hard-coded", "an upstream is called where its variable says", "NotOverridable", hard_coded, UNCALLED),
        defect("REL-002/no-timeout", "a request ends although the upstream does not answer", "NoTimeout", treating(timeout=3600.0)),
        defect("REL-002/late", "it ends within upstreams[].timeout + 2 s", "NoTimeout", treating(timeout=11.0)),
        defect("REL-002/all-is-well", "it ends with 5xx", "WrongStatus", treating(too_late=200)),
        defect("REL-002/blocks", "health answers meanwhile", "HealthSuffers", treating(fetch=blocking)),
        defect("REL-002/crashes", "the process lives on", "HealthSuffers", treating(fetch=fatal), HLT_004="ShallowDepends"),
        defect("REL-003/never", "what fails for a moment is asked for again", "NotRetried", treating(attempts=1)),
        defect("REL-003/gives-up", "a request survives two failures", "NotRecovered", treating(attempts=2)),
        defect("REL-003/twice", "a POST is sent once, or with one key", "PostDuplicated", treating(keyed=False)),
        defect("REL-003/too-often", "attempts are no more than declared", "Unbounded", treating(attempts=6, wait=lambda n: 0.5 * 1.6**n)),
        defect("REL-003/too-long", "attempts end within the budget", "Unbounded", treating(wait=lambda n: 3.0 * 2**n)),
        defect("REL-003/at-once", "gaps grow", "GapsDoNotGrow", treating(wait=lambda n: 0.0)),
        defect("REL-003/one-pace", "gaps grow", "GapsDoNotGrow", treating(wait=lambda n: 1.0)),
        defect("REL-003/no-jitter", "gaps differ from clone to clone", "NoJitter", treating(wait=lambda n: 2.0 * 2**n)),
        defect("HLT-004/lies", "deep health is ill while a dependency is silent", "DeepHealthLies", saying(lying)),
        defect("HLT-004/connects", "an open connection is no answer", "DeepHealthLies", treating(ping=connects), HA_010="WriteAccepted"),
        defect("HLT-004/cached", "deep health is ill within 10 s", "DeepHealthLies", saying(cached)),
        defect("HLT-004/hangs", "deep health answers although a dependency does not", "DeepHealthHangs", treating(patience=3600.0), HA_010="WriteHangs"),
        defect("HLT-004/slow", "it answers within 10 s", "DeepHealthHangs", treating(patience=12.0), HA_010="WriteHangs"),
        defect("HLT-004/shallow-depends", "shallow health needs no dependency", "ShallowDepends", saying(depending), REL_002="HealthSuffers"),
        defect("HLT-004/no-recovery", "deep health is well again within 30 s", "NoRecovery", saying(remembering)),
        defect("HA-010/accepts", "a write that no store has taken is refused", "WriteAccepted", saying(noting(lambda said: replace(said, status=202)))),
        defect("HA-010/hangs", "it is refused within 10 s", "WriteHangs", saying(noting(lambda said: said, seconds=3600))),
        defect("HA-010/blames", "it is refused with 5xx", "WrongStatus", saying(noting(lambda said: replace(said, status=409)))),
        defect("HA-010/no-recovery", "writes hold again within 30 s", "NoRecovery", saying(giving_up)),
    )
}  # fmt: skip
