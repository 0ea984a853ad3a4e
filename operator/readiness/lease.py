"""Leader election by a Lease: one of several replicas acts. It has its own way to the API server.

A Lease is not a fence: the leader acts only until a deadline counted from *before* its last
successful renewal, on its own monotonic clock; others wait out the duration from when they saw
the record change, so no two clocks are ever compared.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from readiness.model import Manifest

CREATED, OK, ABSENT, CONFLICT = 201, 200, 404, 409
NO_ANSWER: Final = 0
log = logging.getLogger(__name__)

Api = Callable[[str, str, Manifest | None], Awaitable[tuple[int, Manifest]]]
"""(method, path, body) → (status, object); status 0 when there was no answer."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed between replicas; seconds."""

    namespace: str
    name: str
    identity: str
    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0

    @property
    def folder(self) -> str:
        """Where Leases of the namespace are."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def path(self) -> str:
        """Where this Lease is."""
        return f"{self.folder}/{self.name}"


class Elector:
    """One replica's part in the election."""

    def __init__(self, api: Api, terms: Terms, wall: Callable[[], float]) -> None:
        self._api, self._terms, self._wall = api, terms, wall
        self._lease: Manifest | None = None
        self._seen: tuple[object, ...] = ()
        self._seen_at = 0.0
        self._until = 0.0

    def leads(self) -> bool:
        """Whether this replica may act right now."""
        return asyncio.get_running_loop().time() < self._until

    async def acquire(self) -> None:
        """Waits until this replica leads."""
        while True:
            if await self._turn():
                break
            await asyncio.sleep(self._terms.retry * random.uniform(1.0, 1.2))
        log.info("%s leads by Lease %s", self._terms.identity, self._terms.name)

    async def hold(self) -> None:
        """Renews until leadership is lost, then returns."""
        clock = asyncio.get_running_loop().time
        while self.leads():
            await asyncio.sleep(min(self._terms.retry, max(0.0, self._until - clock())))
            if not await self._turn() and self._holder() not in ("", self._terms.identity):
                break
        self._until = 0.0
        log.warning(
            "%s lost Lease %s to %r", self._terms.identity, self._terms.name, self._holder()
        )

    async def release(self) -> None:
        """Lets go, so that another replica leads at once. Best effort: the Lease expires anyway."""
        self._until = 0.0
        if self._lease is not None and self._holder() == self._terms.identity:
            spec = self._lease["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}
            await self._send("PUT", {**self._lease, "spec": spec | {"renewTime": self._now()}})

    async def _turn(self) -> bool:
        """One attempt to get or keep the Lease; whether it was granted."""
        sent = asyncio.get_running_loop().time()
        if self._lease is None or self._holder() != self._terms.identity:
            await self._read(sent)
        if self._lease is None:
            granted = await self._send("POST", self._record({}))
        elif self._may_take(sent):
            granted = await self._send("PUT", self._record(self._lease))
        else:
            granted = False
        if granted:
            self._until = sent + self._terms.renew_deadline
        return granted

    async def _read(self, now: float) -> None:
        status, lease = await self._ask("GET", self._terms.path, None)
        if status == ABSENT:
            self._lease, self._seen = None, ()
        elif status == OK:
            spec = lease.get("spec") or {}
            seen = (spec.get("holderIdentity"), spec.get("renewTime"), lease["metadata"]["uid"])
            if seen != self._seen:
                self._seen, self._seen_at = seen, now
            self._lease = lease

    def _may_take(self, now: float) -> bool:
        if self._holder() in ("", self._terms.identity):
            return True
        assert self._lease is not None
        duration = self._lease["spec"].get("leaseDurationSeconds") or self._terms.duration
        return now > self._seen_at + float(duration)

    async def _send(self, method: str, lease: Manifest) -> bool:
        path = self._terms.folder if method == "POST" else self._terms.path
        status, answer = await self._ask(method, path, lease)
        if status in (OK, CREATED):
            self._lease = answer
        elif status in (CONFLICT, ABSENT):
            self._lease = None
            await self._read(asyncio.get_running_loop().time())
        return status in (OK, CREATED)

    async def _ask(self, method: str, path: str, body: Manifest | None) -> tuple[int, Manifest]:
        try:
            async with asyncio.timeout(self._terms.renew_deadline / 2):
                return await self._api(method, path, body)
        except TimeoutError:
            return NO_ANSWER, {}

    def _record(self, old: Manifest) -> Manifest:
        spec, mine = old.get("spec") or {}, self._terms.identity
        moved = bool(old) and spec.get("holderIdentity") != mine
        fresh = not old or moved
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": old.get("metadata")
            or {"name": self._terms.name, "namespace": self._terms.namespace},
            "spec": {
                "holderIdentity": mine,
                "leaseDurationSeconds": max(1, round(self._terms.duration)),
                "acquireTime": self._now() if fresh else spec.get("acquireTime"),
                "renewTime": self._now(),
                "leaseTransitions": (spec.get("leaseTransitions") or 0) + moved,
            },
        }

    def _holder(self) -> str:
        spec = (self._lease or {}).get("spec") or {}
        return str(spec.get("holderIdentity") or "")

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
