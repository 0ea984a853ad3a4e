"""The cluster as a pass sees it: the policy, its snapshot, and one way to write.

The only package that imports `kubernetes`. Reading is from watches and costs no call; every kind
is listed before the first look. What is true and what follows is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from readiness.cluster.act import NotLeadingError, Writer, owned_by
from readiness.cluster.children import Children
from readiness.cluster.connection import ApiError, Connection, connect
from readiness.cluster.follow import Follower, Watch
from readiness.cluster.informers import Informers, KindSink, Unreadable
from readiness.cluster.interest import Interest
from readiness.cluster.look import look
from readiness.cluster.own import POLICY, REPORTS, WAIVER, Key, Own, key_of, path_of
from readiness.cluster.project import WORKLOADS, Kind
from readiness.cluster.provide import Provider
from readiness.cluster.record import Record
from readiness.cluster.secret import Secrets
from readiness.cluster.store import Change, Store
from readiness.cluster.watch import Pace
from readiness.events import EventLimits
from readiness.model import Manifest
from readiness.naming import DRILL_RUNNER
from readiness.passages import Passage
from readiness.plan import Plan
from readiness.redact import Redactor
from readiness.snapshot import Provided, Snapshot


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds every pass: who we are, where we look, what we may."""

    namespaces: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()
    drill_settle: float = 120.0
    operator_namespace: str = ""
    identity: str = ""
    provided: Provided = field(default_factory=Provided)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Rim:
    """What the cluster needs from the process: a clock, leadership, the redactor, a wake-up."""

    clock: Callable[[], float]
    leads: Callable[[], bool]
    redactor: Redactor
    wake: Callable[[Key, float], None]


class Cluster:
    """Everything that is known of the cluster, and the only writer."""

    def __init__(self, connection: Connection, frame: Frame, rim: Rim) -> None:
        self._connection, self._frame = connection, frame
        self._store, self._unreadable = Store(), Unreadable()
        self._interest = Interest(rim.wake)
        self._record = Record(self._interest.named)
        self._children = Children(
            connection, self._store, frame.provided, rim.clock, rim.redactor.learn
        )
        self._own = Own(self._store, self._interest.changed)
        self._follower = Follower(
            connection, self._own, self._unreadable, frame.namespaces, frame.pace
        )
        self._informers = Informers(connection, frame.namespaces, frame.pace)
        self._writer = Writer(
            connection, self._own, rim.redactor, EventLimits(), frame.identity, rim.leads, rim.clock
        )
        self._provider = Provider(
            connection, self._children, self._writer.ask, rim.clock, self._interest.wake
        )
        self.secrets = Secrets(connection, rim.redactor.learn)
        """Read by name, for looks at data services."""
        self._snapshot_frame = Snapshot(
            egress=frame.egress,
            operator_namespace=frame.operator_namespace,
            drill_settle=frame.drill_settle,
        )
        self.ready = False
        """Whether every kind has been listed, so that a look would be true."""

    async def start(self, group: asyncio.TaskGroup, watch: Watch) -> None:
        """Lists every kind that is read, and goes on following all of them in `group`.

        `watch` follows our own kinds and tells `saw_own`.
        """
        self._informers.start(group, self._sink)
        group.create_task(self._follower.run(watch), name="our own kinds")
        await self._informers.synced()
        await self._follower.listed.wait()

    def begin(self) -> None:
        """From now on changes wake policies; every policy there is gets its first look."""
        self.ready = self._interest.awake = True
        for policy in self._store.everywhere(POLICY):
            self._interest.wake(key_of(policy))

    def policies_with_drills(self) -> frozenset[Key]:
        """Policies that allow drills."""
        return frozenset(
            key_of(policy)
            for policy in self._store.everywhere(POLICY)
            if _may_drill((policy.get("spec") or {}).get("safety") or {})
        )

    def drilled_in(self) -> frozenset[str]:
        """Namespaces in which drills may be under way: by their policies, or by pods of drills that no policy allows any more."""
        pods = (pod["metadata"] for pod in self._store.everywhere("Pod"))
        found = {meta["namespace"] for meta in pods if DRILL_RUNNER in (meta.get("labels") or {})}
        return frozenset(found | {namespace for namespace, _ in self.policies_with_drills()})

    def wake_drilled(self) -> None:
        """Every policy that allows drills gets a look."""
        for key in self.policies_with_drills():
            self._interest.wake(key)

    def saw_own(self, plural: str, event: str | None, found: Manifest) -> None:
        """An event of the watch on our own kinds."""
        self._follower.saw(plural, event, found)

    def policy(self, key: Key) -> Manifest | None:
        """The newest known version of a policy."""
        return self._own.get(POLICY, key)

    def snapshot(self, policy: Manifest) -> Snapshot:
        """What this policy's controls may see, as of now."""
        frame = replace(
            self._snapshot_frame,
            covered=self._interest.covered(policy["metadata"]["namespace"]),
            terminations=self._record.terminations(policy),
            passages=self._record.passages(policy),
            unreadable=self._unreadable.view(),
            provided=replace(self._children.view(policy), unserved=self._unreadable.absent),
        )
        return look(self._store, policy, frame)

    def note(self, policy: Manifest, target: str, seen: Passage) -> None:
        """Keeps what was seen of a rollout of a target."""
        self._record.note(policy, target, seen)

    async def recall(self, policy: Manifest) -> list[Manifest]:
        """The reports the policy's status names, as far as they are truly its own."""
        found = []
        for row in (policy.get("status") or {}).get("targets") or ():
            path = path_of(REPORTS, policy["metadata"]["namespace"], row.get("report", ""))
            try:
                report = await self._connection.request("GET", path) if row.get("report") else None
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            if report and owned_by(report["metadata"], policy):
                found.append(report)
                self._record.recall(report)
        return found

    async def execute(self, policy: Manifest, decided: Plan) -> None:
        """Writes what a pass decided. ApiError 409: the policy has changed, look again."""
        await self._writer.write(policy, decided)
        for note in await self._provider.provide(policy, decided.provision):
            await self._writer.tell(policy, note)

    def ask(self) -> None:
        """Raises NotLeadingError unless something may be done to the world now."""
        self._writer.ask()

    async def refresh(self, policy: Manifest) -> None:
        """Reads what no watch tells: credentials of data services, and what keeps them from running."""
        await self._children.refresh(policy)

    def forget(self, key: Key) -> None:
        """Drops what is remembered for a policy that is gone."""
        self._children.forget(key)

    def uncovered(self) -> Mapping[str, int]:
        """Namespaces that have workloads and no policy, with the number of their workloads."""
        covered = self._interest.namespaces()
        found = (
            w["metadata"]["namespace"] for k in WORKLOADS for w in self._store.everywhere(k.name)
        )
        return Counter(namespace for namespace in found if namespace not in covered)

    def waivers(self) -> Iterator[Manifest]:
        """Every waiver."""
        return self._store.everywhere(WAIVER)

    def infrastructure(self) -> frozenset[str]:
        """Addresses of nodes and of the API server, which no probe may reach."""

        def build() -> frozenset[str]:
            nodes = (n["status"].get("addresses") or () for n in self._store.everywhere("Node"))
            found = {address["address"] for addresses in nodes for address in addresses}
            service = self._store.of("Service", "default").get("kubernetes", {})
            found.update(service.get("spec", {}).get("clusterIPs") or ())
            owner = ("Service", "kubernetes")
            for piece in self._store.belonging("EndpointSlice", "default", owner):
                found.update(a for e in piece.get("endpoints") or () for a in e["addresses"])
            return frozenset(found | {self._connection.host})

        kinds = ("Node", "Service", "EndpointSlice")
        return self._store.derived("infrastructure", "default", kinds, build)

    def waiting_for(self) -> list[str]:
        """What has not been listed yet."""
        return self._informers.waiting_for()

    def _sink(self, kind: Kind, namespace: str) -> KindSink:
        refusal = self._interest.wake_all
        return KindSink(kind, namespace, self._store, self._unreadable, self._changed, refusal)

    def _changed(self, changes: list[Change]) -> None:
        """What a pod's end shows is kept before anybody is woken to read it."""
        self._record.saw(changes)
        self._children.changed(changes)
        self._interest.changed(changes)


def _may_drill(safety: Manifest) -> bool:
    return "drill" in safety.get("allow", ()) or "disruptive" in safety


__all__ = [
    "ApiError", "Cluster", "Connection", "Frame", "NotLeadingError", "Pace", "Rim", "connect",
]  # fmt: skip
