"""All watches of the foreign kinds: one reflector per kind and namespace, feeding the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from readiness.cluster.connection import Connection
from readiness.cluster.project import KINDS, WORKLOADS, Kind
from readiness.cluster.store import Change, Store
from readiness.cluster.watch import Pace, Reflector
from readiness.model import Manifest

WORKLOADS_KEY = "workloads"


@dataclass(slots=True)
class Unreadable:
    """What the API server does not let us read, by plural, in its own words."""

    messages: dict[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    """Kinds that may be missing from a cluster, and are."""

    def note(self, plural: str, message: str | None) -> bool:
        """Remembers (or with None forgets) a refusal; whether that is news."""
        before = dict(self.messages)
        if message is None:
            self.messages.pop(plural, None)
        else:
            self.messages[plural] = message
        self.messages.pop(WORKLOADS_KEY, None)
        refused = [self.messages[k.plural] for k in WORKLOADS if k.plural in self.messages]
        if refused:
            self.messages[WORKLOADS_KEY] = refused[0]
        return self.messages != before

    def served(self, kind: str, *, is_served: bool) -> bool:
        """Remembers whether a cluster has a kind at all; whether that is news."""
        before = self.absent
        self.absent = before - {kind} if is_served else before | {kind}
        return self.absent != before

    def view(self) -> Mapping[str, str]:
        """A copy that stays as it is."""
        return dict(self.messages)


@dataclass(slots=True)
class KindSink:
    """Projects objects of one kind into the store and tells what changed."""

    kind: Kind
    namespace: str
    store: Store
    unreadable: Unreadable
    changed: Callable[[list[Change]], None]
    refusal: Callable[[], None]

    def projected(self, found: Manifest) -> Manifest | None:
        """The part of a listed object that is kept."""
        return self.kind.project(found)

    def replaced(self, objects: Iterable[Manifest], *, is_served: bool = True) -> None:
        """These are all objects there are."""
        allowed = self.unreadable.note(self.kind.plural, None)
        if self.unreadable.served(self.kind.name, is_served=is_served) or allowed:
            self.refusal()
        self.changed(self.store.replace(self.kind.name, self.namespace, objects))

    def saw(self, event: str, found: Manifest) -> None:
        """One object came, changed or went."""
        kept = None if event == "DELETED" else self.kind.project(found)
        if kept is None:
            meta = found["metadata"]
            gone = self.store.drop(self.kind.name, meta.get("namespace", ""), meta["name"])
            self.changed(gone)
        else:
            self.changed(self.store.put(kept))

    def refused(self, status: int, message: str) -> None:
        """Forbidden, or not served at all; an optional kind may be absent."""
        absent = status == 404 and self.kind.optional
        if absent:
            self.replaced((), is_served=False)
        elif self.unreadable.note(self.kind.plural, message):
            self.refusal()


class Informers:
    """Every foreign kind, in the given namespaces or the whole cluster."""

    def __init__(self, connection: Connection, namespaces: tuple[str, ...], pace: Pace) -> None:
        self._connection, self._pace = connection, pace
        self._scopes = [
            (kind, namespace)
            for kind in KINDS
            for namespace in ((namespaces or ("",)) if kind.namespaced else ("",))
        ]
        self._reflectors: list[Reflector] = []

    def start(self, group: asyncio.TaskGroup, sink: Callable[[Kind, str], KindSink]) -> None:
        """Starts every watch as a task of `group`."""
        for kind, namespace in self._scopes:
            path = kind.path(namespace)
            reflector = Reflector(self._connection, path, sink(kind, namespace), self._pace)
            self._reflectors.append(reflector)
            group.create_task(reflector.run(), name=f"watch {path}")

    async def synced(self) -> None:
        """Waits until every kind has been listed once, or is known to be unreadable."""
        await asyncio.gather(*(reflector.synced.wait() for reflector in self._reflectors))

    def waiting_for(self) -> list[str]:
        """Paths that have not been listed yet."""
        pairs = zip(self._scopes, self._reflectors, strict=False)
        return [kind.path(ns) for (kind, ns), r in pairs if not r.synced.is_set()]
