"""List and watch of one kind: an endless loop that keeps a sink equal to the API server.

Pages of 100 (the heap never shrinks below the largest), bookmarks, watches of about five minutes.
After 410 one list; after anything else a back-off. It knows no kind and keeps no object.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from readiness.cluster.connection import ApiError, Connection
from readiness.model import Manifest

PAGE: Final = 100
FIRST_BACKOFF: Final = 0.2
LONGEST_BACKOFF: Final = 10.0
SHORT_LIVED: Final = 1.0
GONE: Final = 410
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a reflector is, in seconds.

    `watch` is how long one watch may last, `inactivity` how long a stream may be silent (the API
    server sends a bookmark every minute), `resync` the age at which everything is listed anew.
    `refused` and `absent` are the waits before a kind that may not be read (403) or is not
    served (404) is tried again.
    """

    watch: float = 300.0
    inactivity: float = 70.0
    resync: float = 21600.0
    refused: float = 30.0
    absent: float = 300.0


class Sink(Protocol):
    """Who is told. Calls are short and never wait."""

    def projected(self, found: Manifest) -> Manifest | None:
        """The part of a listed object that is kept; None when nothing of it matters."""

    def replaced(self, objects: Iterable[Manifest]) -> None:
        """These, projected, are all objects; whatever else was known is gone."""

    def saw(self, event: str, found: Manifest) -> None:
        """ADDED, MODIFIED or DELETED, with the whole object."""

    def refused(self, status: int, message: str) -> None:
        """The API server does not let us read it (403) or does not serve the kind (404)."""


class BrokenError(Exception):
    """The watch ended by itself; `gone` when it can only be taken up by a new list."""

    def __init__(self, message: str, *, gone: bool) -> None:
        super().__init__(message)
        self.gone = gone


class Reflector:
    """Keeps `sink` equal to what is served under `path`."""

    def __init__(self, connection: Connection, path: str, sink: Sink, pace: Pace) -> None:
        self._connection, self._path, self._sink, self._pace = connection, path, sink, pace
        self._version, self._failures, self._listed = "", 0, 0.0
        self.synced = asyncio.Event()
        """Set once the sink knows all objects, or knows that it may not."""

    async def run(self) -> None:
        """Lists and watches until cancelled; no failure ends it."""
        while True:
            try:
                if not self._version or _now() - self._listed > self._pace.resync:
                    await self._list()
                began = _now()
                await self._watch()
                if _now() - began < SHORT_LIVED:
                    raise BrokenError("it ended at once", gone=False)
            except BrokenError as broken:
                self._version = "" if broken.gone else self._version
                log.info("watch of %s broke: %s", self._path, broken)
                await self._pause()
            except ApiError as error:
                await self._refused(error)

    async def _list(self) -> None:
        objects: list[Manifest] = []
        version = ""
        async for page in pages(self._connection, self._path):
            objects += filter(None, map(self._sink.projected, page.get("items") or ()))
            version = page["metadata"]["resourceVersion"]
            del page
        self._sink.replaced(objects)
        self._version, self._listed = version, _now() - _about(self._pace.resync / 10)
        self.synced.set()

    async def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(_about(min(self._pace.watch, self._pace.resync))) + 1),
        }
        timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=self._pace.inactivity)
        async with self._connection.stream("GET", self._path, query, timeout=timeout) as answer:
            async for event in events(answer.content):
                self._take(event)

    def _take(self, event: Manifest) -> None:
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            gone = found.get("code") == GONE or self._failures > 2
            raise BrokenError(str(found.get("message", found)), gone=gone)
        self._version, self._failures = found["metadata"]["resourceVersion"], 0
        if kind != "BOOKMARK":
            self._sink.saw(kind, found)

    async def _refused(self, error: ApiError) -> None:
        if error.status in (403, 404):
            self._version = ""
            self._sink.refused(error.status, error.message)
            self.synced.set()
            wait = self._pace.absent if error.status == 404 else self._pace.refused
            await asyncio.sleep(_about(wait))
        else:
            self._version = "" if error.status == GONE else self._version
            log.info("%s: %s", self._path, error)
            await self._pause(error.retry_after)

    async def _pause(self, at_least: float = 0.0) -> None:
        delay = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self._failures, 10))
        self._failures += 1
        await asyncio.sleep(max(at_least, _about(delay)))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _about(seconds: float) -> float:
    """A little less than `seconds`, so that many waits do not end together."""
    return seconds * random.uniform(0.8, 1.0)


async def pages(connection: Connection, path: str) -> AsyncIterator[Manifest]:
    """Everything under `path`, in pages of PAGE objects. Whoever drops a page never holds two."""
    token = ""
    while True:
        query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
        page = await connection.request("GET", path, query=query)
        token = page["metadata"].get("continue")
        yield page
        del page
        if not token:
            return


async def events(content: aiohttp.StreamReader) -> AsyncIterator[Manifest]:
    """The events of a watch. A line that is cut off by the end of the stream is dropped."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                try:
                    yield json.loads(line)
                except ValueError:
                    raise BrokenError("an event that is not JSON", gone=False) from None
