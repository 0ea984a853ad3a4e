"""Writing what a pass decided: reports, then the status, then events. Nothing else is written.

Everything is server-side apply of whole objects, so repeating it after a lost answer is harmless.
A Lease is not a fence: the status carries the resourceVersion it was decided on, deletes carry
uid and resourceVersion, and a stale writer gets 409.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from readiness import naming
from readiness.cluster.connection import APPLY, ApiError, Connection
from readiness.cluster.own import PLURALS, POLICY, REPORTS, Own, key_of, path_of
from readiness.events import EventLimits, Posting
from readiness.model import Manifest
from readiness.plan import Plan
from readiness.redact import Redactor
from readiness.status import Note

EVENT_TRIES: Final = (0.5, 2.0, None)
EVENTS: Final = "events.k8s.io/v1"
log = logging.getLogger(__name__)


class NotLeadingError(Exception):
    """The Lease was not renewed in time: nothing may be written any more."""

    expected = True


@dataclass(slots=True)
class Writer:
    """The only hand that writes. `leads` is asked before every single write."""

    connection: Connection
    own: Own
    redactor: Redactor
    limits: EventLimits
    identity: str
    leads: Callable[[], bool]
    clock: Callable[[], float]
    unnamed: dict[str, set[str]] = field(default_factory=dict)
    """By uid of the policy: reports that were applied, and no status names yet."""

    async def write(self, policy: Manifest, decided: Plan) -> None:
        """Writes what differs. Raises ApiError; 409 means: look again, then decide again."""
        uid, fresh = policy["metadata"]["uid"], {r["metadata"]["name"] for r in decided.reports}
        lost = self.unnamed.pop(uid, set()) - fresh
        if fresh or lost:
            self.unnamed[uid] = fresh | lost
        for report in decided.reports:
            await self._apply_report(policy, report)
        for name in {*decided.stale, *lost - _named_in(decided.status or policy.get("status"))}:
            await self._delete_report(policy, name)
        if decided.status is not None:
            await self._apply_status(policy, decided.status)
        self.unnamed.pop(uid, None)
        for note in decided.notes:
            await self.tell(policy, note)

    async def _apply_report(self, policy: Manifest, report: Manifest) -> None:
        namespace, name = policy["metadata"]["namespace"], report["metadata"]["name"]
        meta = report["metadata"] | {
            "namespace": namespace,
            "ownerReferences": [
                naming.owner(policy["metadata"]["name"], policy["metadata"]["uid"])
            ],
        }
        body = self.redactor.tree(report) | {"metadata": meta}
        await self._apply(path_of(REPORTS, namespace, name), body, naming.MANAGER)

    async def _apply_status(self, policy: Manifest, status: Manifest) -> None:
        meta = {k: policy["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
        told: Manifest = self.redactor.tree(status)
        body = {
            "apiVersion": naming.API_VERSION,
            "kind": POLICY,
            "metadata": meta,
            "status": told,
        }
        path = path_of(PLURALS[POLICY], meta["namespace"], meta["name"], "status")
        with self.own.writing(POLICY, key_of(policy)):
            try:
                answer = await self._apply(path, body, naming.STATUS_MANAGER)
            except ApiError as error:
                if not await self._landed(policy, told, error):
                    raise
            else:
                self.own.answered(POLICY, answer)

    async def _landed(self, policy: Manifest, status: Manifest, error: ApiError) -> bool:
        """Whether a write that was answered with an error happened all the same.

        The answer may be lost after the commit, or our watch far behind: the object tells.
        """
        if error.status == 404:
            self.own.gone(POLICY, policy)
        if error.status not in (0, 409) and error.status < 500:
            return False
        path = path_of(PLURALS[POLICY], *key_of(policy))
        found = await self.connection.request("GET", path)
        self.own.offer(POLICY, found)
        return bool(found.get("status") == status)

    async def _delete_report(self, policy: Manifest, name: str) -> None:
        path = path_of(REPORTS, policy["metadata"]["namespace"], name)
        try:
            meta = (await self.connection.request("GET", path))["metadata"]
            if not owned_by(meta, policy):
                return
            fence = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
            self.ask()
            await self.connection.request("DELETE", path, {"preconditions": fence})
        except ApiError as error:
            if error.status != 404:
                raise

    async def _apply(self, path: str, body: Manifest, owner: str) -> Manifest:
        self.ask()
        query = {"fieldManager": owner, "force": "true"}
        return await self.connection.request("PATCH", path, body, query=query, content=APPLY)

    def ask(self) -> None:
        """Raises NotLeadingError where this replica may not write."""
        if not self.leads():
            raise NotLeadingError(
                "this replica does not lead, or could not renew its Lease in time"
            )

    async def tell(self, policy: Manifest, note: Note) -> None:
        """Events are told at most once and never fail a pass; a fixed name makes retries safe."""
        text = self.redactor.hide(note.message)
        uid = policy["metadata"]["uid"]
        posting = self.limits.admit(uid, note.type, note.reason, text, self.clock())
        if posting is None:
            return None
        for pause in EVENT_TRIES:
            try:
                self.ask()
                return await self._post(policy, note, posting)
            except ApiError as error:
                if not error.status or error.status >= 500:
                    if pause is not None:
                        await asyncio.sleep(pause)
                        continue
                elif error.status == 409:
                    return None
                log.warning("event %s of %s: %s", note.reason, "/".join(key_of(policy)), error)
                return None
        return None

    async def _post(self, policy: Manifest, note: Note, posting: Posting) -> None:
        namespace = policy["metadata"]["namespace"]
        path = f"/apis/{EVENTS}/namespaces/{namespace}/events"
        now = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if posting.count > 1:
            series = {"series": {"count": posting.count, "lastObservedTime": now}}
            merge = "application/merge-patch+json"
            where = f"{path}/{posting.name}"
            await self.connection.request("PATCH", where, series, content=merge)
            return
        await self.connection.request("POST", path, {
            "apiVersion": EVENTS, "kind": "Event",
            "metadata": {"name": posting.name, "namespace": namespace},
            "type": note.type, "reason": note.reason, "note": posting.note,
            "action": "Judge", "eventTime": now,
            "reportingController": naming.COMPONENT, "reportingInstance": self.identity,
            "regarding": {"apiVersion": naming.API_VERSION, "kind": POLICY, **{
                k: policy["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}},
        })  # fmt: skip


def _named_in(status: Manifest | None) -> set[str]:
    return {row.get("report", "") for row in (status or {}).get("targets") or ()}


def owned_by(meta: Manifest, policy: Manifest) -> bool:
    """Whether an object's controller is this very policy; a name or label proves nothing."""
    uid = policy["metadata"]["uid"]
    owners = meta.get("ownerReferences") or ()
    return any(o.get("uid") == uid and o.get("controller") for o in owners)
