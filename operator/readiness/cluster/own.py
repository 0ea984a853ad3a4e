"""Our own objects: the newest version wins, from wherever it comes.

They arrive from three sides (our first list, kopf's watch, the answers to our own writes). Without
this rule a verdict that was just written is compared with an older one, and lost for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from readiness.cluster.project import compact
from readiness.cluster.store import Change, Store
from readiness.model import Manifest
from readiness.naming import API_VERSION

POLICY: Final = "ReadinessPolicy"
WAIVER: Final = "ReadinessWaiver"
PROFILE: Final = "ReadinessProfile"
PLURALS: Final[Mapping[str, str]] = {
    POLICY: "readinesspolicies",
    WAIVER: "readinesswaivers",
    PROFILE: "readinessprofiles",
}
REPORTS: Final = "readinessreports"
Key = tuple[str, str]


def path_of(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Where the API serves our own objects. Namespace and name come from metadata only."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    last = "".join(f"/{part}" for part in (name, subresource) if part)
    return f"/apis/{API_VERSION}{inside}/{plural}{last}"


def key_of(found: Manifest) -> Key:
    """(namespace, name); the namespace is empty for a cluster-scoped object."""
    meta = found["metadata"]
    return meta.get("namespace", ""), meta["name"]


def version_of(found: Manifest) -> int:
    """The resource version as a number: so Kubernetes orders the versions of one object."""
    text = found["metadata"].get("resourceVersion", "")
    return int(text) if text.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Named:
    """A target by the names in it; empty where an old or broken spec says nothing usable."""

    target: str
    kind: str
    workload: str
    service: str


def targets_of(policy: Manifest) -> Iterator[Named]:
    """What a policy's targets name. Never raises: a spec may be older than its schema."""
    for target in _list(_dict(policy.get("spec")).get("targets")):
        ref = _dict(_dict(target).get("workloadRef"))
        service = _dict(_dict(target).get("service"))
        names = (_dict(target).get("name"), ref.get("kind"), ref.get("name"), service.get("name"))
        yield Named(*(name if isinstance(name, str) else "" for name in names))


def services_of(policy: Manifest) -> Iterator[str]:
    """Names of the data services that a policy asks the operator to provide."""
    for service in _list(_dict(policy.get("spec")).get("dataServices")):
        name = _dict(service).get("name")
        if isinstance(name, str) and "external" not in _dict(service):
            yield name


def tls_secrets_of(policy: Manifest) -> dict[str, str]:
    """Names of the Secrets that data services are given for TLS, by service."""
    found = {}
    for service in map(_dict, _list(_dict(policy.get("spec")).get("dataServices"))):
        for kind in map(_dict, service.values()):
            name = _dict(_dict(kind.get("tls")).get("secretRef")).get("name")
            if isinstance(name, str):
                found[str(service.get("name"))] = name
    return found


def external_of(policy: Manifest) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Data services that others run, with their hosts."""
    for service in _list(_dict(policy.get("spec")).get("dataServices")):
        for store in _dict(_dict(service).get("external")).values():
            hosts = (host for host in _list(_dict(store).get("hosts")) if isinstance(host, str))
            yield str(_dict(service).get("name", "")), tuple(hosts)


def exempt_in(policy: Manifest) -> Iterator[str]:
    """`Kind/name` of the workloads a policy exempts."""
    for exemption in _list(_dict(policy.get("spec")).get("exempt")):
        yield str(_dict(exemption).get("ref", ""))


def _dict(value: object) -> Manifest:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class Own:
    """The rule in front of the store. `changed` hears what was kept or forgotten."""

    def __init__(self, store: Store, changed: Callable[[list[Change]], None]) -> None:
        self._store, self._changed = store, changed
        self._held: dict[tuple[str, Key], Manifest | None] = {}

    @contextmanager
    def writing(self, kind: str, key: Key) -> Iterator[None]:
        """Holds news of an object back while we write it: most often it is our own echo."""
        self._held[kind, key] = None
        try:
            yield
        finally:
            news = self._held.pop((kind, key))
            if news is not None:
                self.offer(kind, news)

    def get(self, kind: str, key: Key) -> Manifest | None:
        """One object, or None."""
        return self._store.of(kind, key[0]).get(key[1])

    def offer(self, kind: str, found: Manifest) -> None:
        """Keeps `found` unless something at least as new is known."""
        if (kind, key_of(found)) in self._held:
            self._held[kind, key_of(found)] = found
        else:
            self._changed(self._keep(kind, found))

    def answered(self, kind: str, found: Manifest) -> None:
        """Takes the answer to a write of ours, which nobody needs to be told about.

        Not when the object has been deleted meanwhile: the answer would bring it back.
        """
        old = self.get(kind, key_of(found))
        if old is not None and old["metadata"]["uid"] == found["metadata"]["uid"]:
            self._keep(kind, found)

    def gone(self, kind: str, found: Manifest) -> None:
        """Forgets an object that was deleted, unless it has been created anew since."""
        old = self.get(kind, key_of(found))
        if old is not None and version_of(old) <= version_of(found):
            self._changed(self._store.drop(kind, *key_of(found)))

    def keep_only(self, kind: str, keys: set[Key], version: int, namespace: str) -> None:
        """Forgets what a list of `version` did not hold, in one namespace or (empty) in all."""
        for old in self._store.everywhere(kind):
            place = key_of(old)
            unlisted = place not in keys and namespace in ("", place[0])
            if unlisted and version_of(old) <= version:
                self._changed(self._store.drop(kind, *place))

    def _keep(self, kind: str, found: Manifest) -> list[Change]:
        old = self.get(kind, key_of(found))
        if old is not None and version_of(found) <= version_of(old):
            return []
        found["metadata"].pop("managedFields", None)
        return self._store.put({**compact(found), "kind": kind})
