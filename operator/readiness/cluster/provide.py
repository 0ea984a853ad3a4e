"""Carrying out what was decided about data services: create, adopt, apply, delete, evict.

A child is created first, so that what is there without our labels is never touched. Then it is
ours alone: server-side apply with its uid. What a write met becomes an Obstacle; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from readiness import naming
from readiness.cluster.children import Case, Children, path_of
from readiness.cluster.connection import APPLY, ApiError, Connection
from readiness.cluster.own import Key, key_of
from readiness.cluster.refusal import refusal_of
from readiness.dataservices.children import belongs_to, hash_of, is_create_only
from readiness.dataservices.drift import difference
from readiness.dataservices.ordering import RETRY_SECONDS
from readiness.dataservices.provision import Act, Provision, Write
from readiness.model import Manifest
from readiness.snapshot import Obstacle
from readiness.status import Note

MERGE: Final = "application/merge-patch+json"
ADOPT_TRIES: Final = 5
_PROPAGATION: Final = {Act.DELETE: "Background", Act.RENEW: "Orphan"}
_KEY: Final = (naming.POLICY_LABEL, naming.SERVICE_LABEL, *naming.OURS)


class NameTakenError(Exception):
    """An object of this name is there and is not ours."""


class Provider:
    """The hand that writes children. `ask` raises where this replica does not lead."""

    def __init__(
        self, connection: Connection, children: Children, ask: Callable[[], None],
        clock: Callable[[], float], wake: Callable[[Key], None],
    ) -> None:  # fmt: skip
        self._connection, self._children = connection, children
        self._ask, self._clock, self._wake = ask, clock, wake

    async def provide(self, policy: Manifest, decided: Provision) -> tuple[Note, ...]:
        """Writes; returns what to tell. A service that meets an obstacle is left for this pass.

        Raises ApiError for what time or another look heals.
        """
        if decided == Provision():
            self._children.forget(key_of(policy))
            return ()
        case = self._children.case(policy)
        notes: list[Note] = []
        met: dict[str, tuple[Obstacle, ...]] = {}
        for write in decided.writes:
            if write.service in met:
                continue
            if (obstacle := await self._tried(write, case)) is not None:
                met[write.service] = (obstacle,)
            else:
                if write.drift:
                    case.repaired[_place(write.child)] = self._clock()
                notes += _told(write)
        if self._remember(policy, decided, met):
            self._wake(key_of(policy))
        return tuple(notes)

    async def _tried(self, write: Write, case: Case) -> Obstacle | None:
        meta = write.child["metadata"]
        try:
            await self._carry_out(write, case)
        except NameTakenError as error:
            fix = "remove it, or rename the data service; nothing of it was touched"
            return Obstacle("NameTaken", str(error), fix, self._clock())
        except ApiError as error:
            if error.status not in (400, 403, 422):
                raise
            return refusal_of(error, meta["name"], meta["namespace"], self._clock())
        return None

    def _remember(
        self, policy: Manifest, decided: Provision, met: dict[str, tuple[Obstacle, ...]]
    ) -> bool:
        """Obstacles of services that were tried; those of others stand until it is time to try and nothing is left to.

        Returns whether that is news.
        """
        case, tried = self._children.case(policy), {write.service for write in decided.writes}
        before, told = case.obstacles, {service.name for service in decided.services}
        late = self._clock() - RETRY_SECONDS
        standing = {k: v for k, v in before.items() if any(each.at > late for each in v)}
        case.obstacles = {k: v for k, v in standing.items() if k not in tried and k in told} | met
        case.curious = any(not service.ready for service in decided.services)
        case.grows = tuple(service.name for service in decided.services if service.grows)
        recent = self._clock() - 60
        case.repaired = {place: at for place, at in case.repaired.items() if at > recent}
        return _words(before) != _words(case.obstacles)

    async def _carry_out(self, write: Write, case: Case) -> None:
        if write.act in _PROPAGATION:
            await self._delete(write.child, _PROPAGATION[write.act])
        elif write.act in (Act.GROW, Act.OWN):
            answer = await self._patch(write.child, write.child, MERGE)
            if write.act is Act.OWN:
                self._children.answered(answer)
        elif write.act in (Act.EVICT, Act.START):
            await (self._evict if write.act is Act.EVICT else self._start)(write.child)
        elif write.act is Act.AMEND and write.live is not None:
            await self._amend(write, write.live, case)
        elif write.live is not None:
            await self._apply(write.child, write.live)
        elif write.child["kind"] != "Secret":
            await self._create(write.child)
        else:
            await self._create_secret(write, case)

    async def _start(self, job: Manifest) -> None:
        """Its name says what it is for: one that is there already does the same."""
        self._ask()
        try:
            await self._connection.request("POST", path_of(job, named=False), job)
        except ApiError as error:
            if error.status != 409:
                raise

    async def _create_secret(self, write: Write, case: Case) -> None:
        """No watch tells whether it is there."""
        found = await self._children.find(write.child)
        await (self._create(write.child) if found is None else self._meet(write.child, found))
        if is_create_only(write.child):
            self._children.keep_credentials(case, write.service, write.child)

    async def _amend(self, write: Write, live: Manifest, case: Case) -> None:
        """Only onto the version that was decided on; another one is read first."""
        gone = dict.fromkeys(live.get("data") or {}, None)
        body = {"metadata": write.child["metadata"], "data": gone | write.child["data"]}
        case.asked.pop(write.service, None)
        answer = await self._patch(write.child, body, MERGE)
        self._children.answered(answer)
        self._children.keep_credentials(case, write.service, answer)

    async def _create(self, child: Manifest) -> None:
        """Created, then adopted: its fields become those of the apply that later passes repeat."""
        body = child if is_create_only(child) else _without_hash(child)
        query = {"fieldManager": naming.STORE_MANAGER}
        self._ask()
        try:
            made = await self._connection.request("POST", path_of(child, named=False), body, query=query)  # fmt: skip
        except ApiError as error:
            if error.status != 409:
                raise
            found = await self._children.find(child)
            if found is not None:
                await self._meet(child, found)
            return
        self._children.answered(made if is_create_only(child) else await self._adopt(child, made))

    async def _meet(self, child: Manifest, found: Manifest) -> None:
        """It is there already: ours to bring up to date, or somebody else's and not touched."""
        key = {label: child["metadata"]["labels"][label] for label in _KEY}
        if not belongs_to(found, key):
            raise NameTakenError(
                f"{child['kind']}/{child['metadata']['name']} exists and is not of this policy"
            )
        self._children.answered(found)
        drift = difference(child, found)
        if is_create_only(child) and drift:  # what was decided rests on values that never were
            raise ApiError(409, f"{child['kind']}/{child['metadata']['name']} is there, look again")
        if not is_create_only(child) and (drift or hash_of(found) != hash_of(child)):
            await self._apply(child, found)

    async def _apply(self, child: Manifest, live: Manifest) -> None:
        try:
            if not hash_of(live):
                live = await self._adopt(child, await self._children.find(child) or live)
            body = child | {"metadata": child["metadata"] | {"uid": live["metadata"]["uid"]}}
            answer = await self._patch(child, body, APPLY)
        except ApiError as error:
            other = error.status == 422 and "metadata.uid" in error.message
            if other or error.status in (404, 409):  # by now it is another object, or none
                self._children.gone(child)
                raise ApiError(409, error.message) from None
            raise
        self._children.answered(answer)

    async def _adopt(self, child: Manifest, made: Manifest) -> Manifest:
        """Turns our creation into an apply, or fields left out later would never go; then marks it done.

        Created but not adopted, it has no hash, and whoever comes next adopts it. Its controller
        writes at the same time.
        """
        for _ in range(ADOPT_TRIES):
            try:
                return await self._patch(child, _adoption(child, made), MERGE)
            except ApiError as error:
                if error.status != 409 or (found := await self._children.find(child)) is None:
                    raise
                if found["metadata"]["uid"] != made["metadata"]["uid"]:
                    raise
                made = found
        raise ApiError(409, f"{child['kind']}/{child['metadata']['name']} changes too fast")

    async def _patch(self, child: Manifest, body: Manifest, content: str) -> Manifest:
        query = {"fieldManager": naming.STORE_MANAGER} | (
            {"force": "true"} if content == APPLY else {}
        )
        self._ask()
        return await self._connection.request(
            "PATCH", path_of(child), body, query=query, content=content
        )

    async def _delete(self, child: Manifest, propagation: str) -> None:
        """Only this very object, as it was seen, and only if it is ours. Orphan: what it has made stays."""
        found, seen = await self._children.find(child), child["metadata"].get("uid")
        self._children.gone(child)
        if found is None or not belongs_to(found, naming.OURS):
            return
        meta = found["metadata"]
        if seen not in (None, meta["uid"]) or meta.get("deletionTimestamp"):
            return
        fence = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        body = {"preconditions": fence, "propagationPolicy": propagation}
        self._ask()
        await self._connection.request("DELETE", path_of(child), body)

    async def _evict(self, child: Manifest) -> None:
        """Only this very pod, and only if its budget allows it: else another pass tries."""
        pod = child["metadata"]
        path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/eviction"
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod["name"], "namespace": pod["namespace"]},
            "deleteOptions": {"preconditions": {"uid": pod["uid"]}},
        }
        self._ask()
        try:
            await self._connection.request("POST", path, body)
        except ApiError as error:
            if error.status not in (404, 409, 429):
                raise


def _adoption(child: Manifest, made: Manifest) -> Manifest:
    meta = made["metadata"]
    entries: list[Manifest] = meta.get("managedFields") or []
    ours = [entry for entry in entries if entry.get("manager") == naming.STORE_MANAGER]
    if not any(entry["operation"] == "Apply" for entry in ours):
        entries = [e | {"operation": "Apply"} if e in ours else e for e in entries]
    return {"metadata": {
        "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
        "managedFields": entries, "annotations": {naming.DESIRED_HASH: hash_of(child)},
    }}  # fmt: skip


def _without_hash(child: Manifest) -> Manifest:
    meta = child["metadata"]
    kept = {k: v for k, v in meta["annotations"].items() if k != naming.DESIRED_HASH}
    return child | {"metadata": meta | {"annotations": kept}}


def _words(obstacles: Mapping[str, tuple[Obstacle, ...]]) -> dict[str, list[str]]:
    return {service: [each.message for each in met] for service, met in obstacles.items()}


def _told(write: Write) -> tuple[Note, ...]:
    """An event about what was written, where it is not the policy's own doing."""
    child = f"{write.child['kind']}/{write.child['metadata']['name']}"
    if write.drift:
        return (Note("Warning", "DriftRepaired", f"{child}: {write.drift} was changed and is as declared again"),)  # fmt: skip
    told = {Act.AMEND: ("Normal", "Rotating"), Act.START: ("Warning", "BackupMissed")}
    if not write.does or write.act not in told:
        return ()
    return (Note(*told[write.act], f"{write.service}: {write.does}"),)


def _place(child: Manifest) -> tuple[str, str]:
    return child["kind"], child["metadata"]["name"]
