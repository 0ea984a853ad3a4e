"""Our own kinds: listed by us before the first look, then followed by whoever watches them.

The watch (kopf's) may fail, stop or list anew; a list of ours then finds what was deleted in
between, which no watch tells. Knows nothing about what is watched with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.informers import Unreadable
from readiness.cluster.own import PLURALS, POLICY, PROFILE, Own, key_of, path_of
from readiness.cluster.watch import Pace, pages
from readiness.model import Manifest

FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 15.0
RELIST_DELAY: Final = 3.0
KINDS: Final = {plural: kind for kind, plural in PLURALS.items()}
log = logging.getLogger(__name__)

Watch = Callable[[Iterable[str]], Awaitable[None]]
"""Watches these plurals and calls `saw`; ends only by failing or being cancelled."""


class Follower:
    """Keeps our own objects as they are on the server."""

    def __init__(
        self,
        connection: Connection,
        own: Own,
        unreadable: Unreadable,
        namespaces: tuple[str, ...],
        pace: Pace,
    ) -> None:
        self._connection, self._own, self._unreadable = connection, own, unreadable
        self._namespaces, self._pace = namespaces or ("",), pace
        self._relisting: dict[str, asyncio.Task[None]] = {}
        self.listed = asyncio.Event()
        """Set once every kind has been listed, or is known to be unreadable."""

    async def run(self, watch: Watch) -> None:
        """Lists and follows until cancelled; no failure ends it."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            following = asyncio.create_task(self._follow(watch), name="follow our own kinds")
            try:
                await asyncio.wait((following,))
            finally:
                following.cancel()
                await asyncio.wait((following,))
            if error := following.exception():  # whatever ended it, it is started again
                log.warning("the watch of our own kinds ended: %s", error)
            lasted = asyncio.get_running_loop().time() - began
            failures = 0 if lasted > LONGEST_BACKOFF else failures + 1
            await asyncio.sleep(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 10) / 2))

    def saw(self, plural: str, event: str | None, found: Manifest) -> None:
        """An event of the watch; None is an object from a list of its own."""
        if event == "DELETED":
            self._own.gone(KINDS[plural], found)
            return
        self._own.offer(KINDS[plural], found)
        if event is None and plural not in self._relisting:
            self._relisting[plural] = asyncio.create_task(self._relist(plural))

    async def _follow(self, watch: Watch) -> None:
        readable = [plural for plural in KINDS if await self._list(plural)]
        if PLURALS[POLICY] not in readable:
            log.warning("policies cannot be read: %s", self._unreadable.view()[PLURALS[POLICY]])
            await asyncio.sleep(LONGEST_BACKOFF / 3)
            return
        self.listed.set()
        clock = asyncio.get_running_loop().time
        resync = clock() + self._pace.resync
        watching = asyncio.ensure_future(watch(readable))
        try:
            while not watching.done():
                await asyncio.wait((watching,), timeout=min(self._pace.refused, self._pace.resync))
                others = [plural for plural in KINDS if plural not in readable]
                if any([await self._list(plural) for plural in others]):
                    log.info("one more of our own kinds can be read; watching anew")
                    return
                if clock() >= resync:  # a list of the watch's own that is empty tells nothing
                    _ = [await self._list(plural) for plural in readable]
                    resync = clock() + self._pace.resync
            await watching
        finally:
            watching.cancel()
            await asyncio.wait((watching,))

    async def _relist(self, plural: str) -> None:
        """The watch lists anew, but does not tell what is gone: compare, once it has settled."""
        try:
            await asyncio.sleep(RELIST_DELAY)
            await self._list(plural)
        except ApiError as error:
            log.warning("list of %s: %s", plural, error)
        finally:
            del self._relisting[plural]

    async def _list(self, plural: str) -> bool:
        """Lists one kind and forgets what is gone; False when it may not be read."""
        try:
            for namespace in ("",) if KINDS[plural] == PROFILE else self._namespaces:
                await self._list_in(plural, namespace)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            self._unreadable.note(plural, error.message)
            return False
        self._unreadable.note(plural, None)
        return True

    async def _list_in(self, plural: str, namespace: str) -> None:
        keys, version, kind = set(), 0, KINDS[plural]
        async for page in pages(self._connection, path_of(plural, namespace)):
            version = int(page["metadata"]["resourceVersion"])
            for found in page["items"]:
                keys.add(key_of(found))
                self._own.offer(kind, found)
            del page
        self._own.keep_only(kind, keys, version, namespace)
