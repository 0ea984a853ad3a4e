"""Defects of the end: what a process does wrong after its signal. They show on clones that are stopped, and where real pods end."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from specimen.config import Config
from specimen.defects.starting import Environment, Parts, Pod, StartDefect, container
from specimen.http import Application, Request, Response

FOREVER = 3600.0
DRAIN = 10.0
"""What the matrix declares, in seconds; it lets a pod live for six more."""


def ending(**change: object) -> Callable[[Parts], Parts]:
    """Ends otherwise."""
    return lambda parts: replace(parts, end=replace(parts.end, **change))


def truncating(application: Application, stopping: asyncio.Event) -> Application:
    """Leaves out what would be said after the signal, and ends the answer in good order when it was due."""

    async def answer(request: Request) -> Response:
        response = await application(request)
        stream = response.stream
        if stream is None:
            return response

        async def parts() -> AsyncIterator[bytes]:
            async for part in stream():
                if not stopping.is_set():
                    yield part

        return replace(response, stream=parts)

    return answer


def blaming(application: Application, stopping: asyncio.Event) -> Application:
    """Answers when all is ready, and with an error when the signal has come meanwhile."""

    async def answer(request: Request) -> Response:
        response = await application(request)
        if response.stream is None:
            return response
        body = b"".join([part async for part in response.stream()])
        status = 500 if stopping.is_set() else response.status
        return replace(response, status=status, body=body, stream=None)

    return answer


def without(name: str) -> Callable[[Pod], Pod]:
    """Its container lacks a field."""
    return container(lambda app: {key: value for key, value in app.items() if key != name})


def slowly(parts: Parts) -> Parts:
    """Takes its time before it listens."""

    def read(environ: Environment) -> Config:
        time.sleep(5)
        return parts.read(environ)

    return replace(parts, read=read)


CUT = {"SHD-004": "InFlightLost", "SHD-001": "NotDrained", "SHD-002": "NotDrained"}
DEFECTS: dict[str, StartDefect] = {
    defect.id: defect
    for defect in (
        StartDefect("SHD-001/exit-code", "after SIGTERM it ends with 0 or 143", {"SHD-001": "ExitCode", "SHD-002": "ExitCode"}, ending(code=1)),
        StartDefect("SHD-001/deaf", "SIGTERM ends it", {"SHD-001": "KilledAtGrace", "SHD-003": "AcceptsNewWork", "SHD-005": "KilledAtGrace", "SHD-006": "KilledAtGrace"}, ending(signals=(signal.SIGINT,))),
        StartDefect("SHD-001/late", "it ends within its drain, also when all is finished", {"SHD-001": "DrainExceeded", "SHD-002": "DrainExceeded"}, ending(lasts=lambda open_: DRAIN + 4 if open_.busy > 2 else 0.0)),
        StartDefect("SHD-002/deaf", "SIGINT ends it", {"SHD-002": "SignalIgnored"}, ending(signals=(signal.SIGTERM,))),
        StartDefect("SHD-003/accepts", "it takes no new request", {"SHD-003": "AcceptsNewWork"}, ending(accepts=True)),
        StartDefect("SHD-003/keeps-alive", "nor one on a connection that was open before", {"SHD-003": "KeepAliveServed"}, ending(keeps=True)),
        StartDefect("SHD-004/cuts", "requests under way are finished", {**CUT, "SHD-005": "DrainTooShort"}, ending(drain=lambda _: 0.0), unproven={"SHD-003": "EndsFirst"}),
        StartDefect("SHD-004/truncates", "they get the whole body", CUT, ending(under=truncating)),
        StartDefect("SHD-004/blames", "and the status that they get without a signal", CUT, ending(under=blaming)),
        StartDefect("SHD-005/endless", "the drain has a limit", {"SHD-005": "KilledAtGrace"}, ending(drain=lambda _: FOREVER)),
        StartDefect("SHD-005/too-long", "which is the declared one", {"SHD-005": "DrainTooLong"}, ending(drain=lambda seconds: seconds + 4)),
        StartDefect("SHD-005/not-a-setting", "and shutdown.drainEnv sets it", {"SHD-005": "DrainNotConfigurable"}, ending(drain=lambda _: DRAIN)),
        StartDefect("SHD-006/lingers", "with nothing open it ends at once", {"SHD-006": "LingersWhenIdle"}, ending(lasts=lambda open_: 0.0 if open_.busy else 6.0)),
        StartDefect("SHD-006/waits", "idle connections do not hold it", {"SHD-006": "WaitsForConnections"}, ending(lasts=lambda open_: DRAIN if open_.idle else 0.0)),
        StartDefect("SHD-010/no-hook", "it serves while proxies still send", {"SHD-010": "RefusedTooEarly"}, template=without("lifecycle")),
    )
}  # fmt: skip
TWIN_DEFECTS: dict[str, StartDefect] = {
    defect.id: defect
    for defect in (
        StartDefect("SHD-001p/deaf", "SIGTERM ends real pods", {"SHD-001p": "KilledAtGrace"}, ending(signals=())),
        StartDefect("SHD-001p/exit-code", "with 0 or 143", {"SHD-001p": "ExitCode"}, ending(code=1)),
        StartDefect("SHD-010p/no-hook", "rollouts lose no request: old pods serve while proxies still send", {"SHD-010p": "RequestsLost"}, template=without("lifecycle")),
        StartDefect("SHD-010p/not-probed", "and new ones are sent none before they listen", {"SHD-010p": "RequestsLost"}, slowly, template=without("readinessProbe")),
    )
}  # fmt: skip
"""What no drill is needed for: rollouts that happen anyway show it."""
