"""kopf, and nothing else of it: it watches our own kinds and hands every event over.

The only importer of kopf. No finalizers, no annotations, no state on objects, no Events of its
own. kopf runs in a thread with its own loop, because it takes over signals and, when it ends,
cancels every task of the loop it runs in; a watch error ends kopf but not the operator.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import kopf

from readiness.naming import GROUP, VERSION

STOP_SECONDS: Final = 3.0
AGAIN_SECONDS: Final = 0.05
"""A task of kopf's that lives on so long after it was cancelled is cancelled again."""
Credentials = Callable[[], dict[str, Any]]
Saw = Callable[[str, str | None, dict[str, Any]], None]
"""Told plural, event type (None: from a list) and the raw object, on the caller's loop."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to watch (none: the whole cluster), and after how many silent seconds to try anew."""

    namespaces: tuple[str, ...] = ()
    inactivity: float = 70.0


def register(registry: kopf.OperatorRegistry, plurals: Iterable[str], saw: Saw) -> None:
    """One raw handler for each kind of ours."""
    for plural in plurals:
        kopf.on.event(GROUP, VERSION, plural, id=plural, registry=registry)(_forward(plural, saw))


def _forward(plural: str, saw: Saw) -> Callable[..., Any]:
    async def forward(event: Mapping[str, Any], **_: Any) -> None:
        saw(plural, event["type"], event["object"])

    return forward


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf remembers and compares nothing: a copy of every object for each event would be waste."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Raw event handlers have no progress."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def _settings(scope: Scope) -> kopf.OperatorSettings:
    """Everything that kopf would write or look up by itself is off."""
    settings = kopf.OperatorSettings()
    settings.watching.inactivity_timeout = scope.inactivity
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.reconnect_backoff = 2 * AGAIN_SECONDS  # cancelled again before it opens again
    settings.watching.chunk_size = 100
    settings.queueing.idle_timeout = 0.1  # as long, kopf holds an object's last event, whole
    return settings


async def watch_own(
    plurals: Iterable[str], scope: Scope, credentials: Credentials, saw: Saw
) -> None:
    """Watches until cancelled; raises what ended kopf otherwise."""
    home = asyncio.get_running_loop()
    ended: asyncio.Future[None] = home.create_future()
    stop = threading.Event()

    def deliver(plural: str, event: str | None, found: dict[str, Any]) -> None:
        home.call_soon_threadsafe(saw, plural, event, found)

    registry = kopf.OperatorRegistry()
    register(registry, plurals, deliver)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**credentials())

    def host() -> None:
        failure = asyncio.run(_operate(registry, scope, stop))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            home.call_soon_threadsafe(_tell, ended, failure)

    threading.Thread(target=host, name="kopf", daemon=True).start()
    try:
        await asyncio.wait((ended,))  # not `await ended`: a cancelled wait must not cancel it
    finally:
        stop.set()
        await asyncio.wait((ended,), timeout=STOP_SECONDS)
    ended.result()


async def _operate(
    registry: kopf.OperatorRegistry, scope: Scope, stop: threading.Event
) -> BaseException | None:
    """Runs kopf to its end and returns what ended it."""
    identity: Any = "readiness-operator"  # else kopf asks for a user name; a number has none
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=_settings(scope),
        identity=identity,
        stop_flag=stop,
        standalone=True,
        clusterwide=not scope.namespaces,
        namespaces=scope.namespaces,
    )
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()  # a thread of kopf's waits for it, and asyncio.run for that thread
    await _cancel(tasks, STOP_SECONDS / 2)
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        await _cancel(left, AGAIN_SECONDS)
    return next((task.exception() for task in done if not task.cancelled()), None)


async def _cancel(tasks: Collection[asyncio.Task[Any]], seconds: float) -> None:
    """Cancels tasks of kopf's once. It does so itself, but once for all, and then waits without end.

    A watcher that is just sending its request swallows that one (kopf's issue 1168 looks alike):
    kopf then neither ended nor watched, and nobody was told.
    """
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=seconds)


def _tell(ended: asyncio.Future[None], failure: BaseException | None) -> None:
    if not ended.done():
        ended.set_exception(failure or ConnectionError("kopf ended by itself"))
        ended.exception()  # nobody asks after a stop
