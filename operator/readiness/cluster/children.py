"""The children of data services as far as they are known: watched ones, answered writes, Secrets.

The answer to a write stands until the watch has caught up, so that no pass repairs what it has
just written. Secrets are read by name, now and then. Nothing is written here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from readiness import naming
from readiness.cluster.asked import read_absent, read_warnings
from readiness.cluster.certificates import certificate_of
from readiness.cluster.connection import ApiError, Connection
from readiness.cluster.own import key_of, services_of, tls_secrets_of, version_of
from readiness.cluster.project import WHOLE
from readiness.cluster.refusal import refusal_of
from readiness.cluster.store import Change, Store
from readiness.dataservices.backed import is_run
from readiness.dataservices.children import KINDS, belongs_to
from readiness.dataservices.order import NOTE
from readiness.dataservices.ordering import RETRY_SECONDS
from readiness.model import Manifest
from readiness.snapshot import Certificate, Obstacle, Provided

FRESH_SECONDS: Final = 30.0
SECRET_SECONDS: Final = 300.0
EVENT_SECONDS: Final = 5.0
BACKUPS: Final = "/backups"
"""In the place of a data service: when Secrets of backups were last looked for."""
Key = tuple[str, str]
Place = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(slots=True)
class Case:
    """What is remembered of one policy's data services between passes."""

    credentials: dict[str, Mapping[str, str]] = field(default_factory=dict)
    certificates: dict[str, Certificate] = field(default_factory=dict)
    obstacles: dict[str, tuple[Obstacle, ...]] = field(default_factory=dict)
    repaired: dict[tuple[str, str], float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Manifest, ...] = ()
    claims: dict[str, tuple[Manifest, ...]] = field(default_factory=dict)
    grows: tuple[str, ...] = ()
    curious: bool = False
    looked_at: float = 0.0


class Children:
    """What a pass may know of them. `frame` holds the settings' images."""

    def __init__(
        self, connection: Connection, store: Store, frame: Provided, clock: Callable[[], float],
        learn: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._connection, self._store, self._frame = connection, store, frame
        self._clock, self._learn = clock, learn
        self._answers: dict[Place, tuple[Manifest, float]] = {}
        self._cases: dict[Key, Case] = {}

    def case(self, policy: Manifest) -> Case:
        """What is remembered for a policy."""
        return self._cases.setdefault(key_of(policy), Case())

    def forget(self, key: Key) -> None:
        """Drops what is remembered for a policy that is gone."""
        self._cases.pop(key, None)

    def answered(self, found: Manifest) -> None:
        """The answer to a write: the newest version there is."""
        meta = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
        self._answers[_place(found)] = (found | {"metadata": meta}, self._clock())

    def gone(self, child: Manifest) -> None:
        """A child that is not there any more, whatever the watch still says."""
        self._answers.pop(_place(child), None)

    def changed(self, changes: Iterable[Change]) -> None:
        """Forgets the answers about children that were deleted since."""
        for old, new in changes:
            if old is not None and new is None and WHOLE in old:
                known = self._answers.get(_place(old))
                if known and known[0]["metadata"]["uid"] == old[WHOLE]["metadata"]["uid"]:
                    del self._answers[_place(old)]

    async def refresh(self, policy: Manifest) -> None:
        """Reads what no watch tells, as far as it is due: credentials, and warnings where something is stuck."""
        names = list(services_of(policy))
        if not names and key_of(policy) not in self._cases:
            return
        case, now = self.case(policy), self._clock()
        for name in names:
            pause = SECRET_SECONDS if name in case.credentials else RETRY_SECONDS
            if name not in case.asked or now - case.asked[name] >= pause:
                await self._read_credentials(policy, name, case)
                case.asked[name] = now
        await self._read_certificates(policy, case)
        if now - case.asked.get(BACKUPS, 0.0) >= (RETRY_SECONDS if case.absent else SECRET_SECONDS):
            case.absent = await read_absent(self._connection, policy)
            case.asked[BACKUPS] = now
        case.claims = {name: await self._claims(policy, name, case) for name in case.grows}
        if case.curious and now - case.looked_at >= EVENT_SECONDS:
            warnings = await read_warnings(self._connection, key_of(policy)[0])
            case.events, case.looked_at = warnings, now
        elif not case.curious:
            case.events = ()

    def view(self, policy: Manifest) -> Provided:
        """What the decision is made on."""
        namespace, name = key_of(policy)
        label = naming.label_value(name)
        children = dict(self._labelled(namespace, label))
        if not children and key_of(policy) not in self._cases:
            return self._frame
        case = self.case(policy)
        return replace(
            self._frame,
            children=children,
            pods=self._pods(namespace, children.values()),
            runs=self._runs(namespace, label),
            credentials=dict(case.credentials),
            certificates=dict(case.certificates),
            absent=dict(case.absent),
            obstacles=dict(case.obstacles),
            events=case.events,
            claims=dict(case.claims),
            repaired=dict(case.repaired),
        )

    async def find(self, child: Manifest) -> Manifest | None:
        """The object as it stands now, or None. Raises ApiError."""
        try:
            return await self._connection.request("GET", path_of(child))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def keep_credentials(self, case: Case, service: str, secret: Manifest) -> None:
        """From now on these are the service's, and no text may hold them."""
        data = (secret.get("data") or {}).items()
        case.credentials[service] = {key: base64.b64decode(text).decode() for key, text in data}
        for key, value in case.credentials[service].items():
            if not key.startswith(NOTE):
                self._learn(value)

    async def _read_credentials(self, policy: Manifest, service: str, case: Case) -> None:
        """What cannot be read is told instead; what was lost is known here and made again."""
        namespace, name = key_of(policy)
        meta = {"namespace": namespace, "name": naming.store(name, service, naming.CREDENTIALS)}
        try:
            found = await self.find({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
        except ApiError as error:
            if error.status != 403:
                raise
            case.obstacles[service] = (refusal_of(error, meta["name"], namespace, self._clock()),)
            return
        _permitted(case, service)
        if found is None or not belongs_to(found, naming.store_labels(name, service)):
            self._answers.pop(("Secret", namespace, meta["name"]), None)
            case.credentials.setdefault(service, {})
        else:
            self.answered(found)
            self.keep_credentials(case, service, found)

    async def _read_certificates(self, policy: Manifest, case: Case) -> None:
        """A certificate that serves is looked at now and then, another one until it does."""
        wanted, now = tls_secrets_of(policy), self._clock()
        pause = RETRY_SECONDS if case.curious else SECRET_SECONDS
        for service in case.certificates.keys() - wanted.keys():
            del case.certificates[service]
        for service, name in wanted.items():
            known, due = case.certificates.get(service), f"{service}/tls"
            if known is None or known.secret != name or now - case.asked[due] >= pause:
                case.certificates[service] = await self._certificate(policy, name)
                case.asked[due] = now

    async def _certificate(self, policy: Manifest, name: str) -> Certificate:
        meta = {"namespace": policy["metadata"]["namespace"], "name": name}
        try:
            found = await self.find({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
        except ApiError as error:
            if error.status != 403:
                raise
            return Certificate(name, problem="may not be read by the operator")
        return certificate_of(name, found)

    async def _claims(self, policy: Manifest, service: str, case: Case) -> tuple[Manifest, ...]:
        """The volumes' claims, of a service whose volumes grow. Nothing where they may not be read, which is told."""
        namespace, name = key_of(policy)
        labels = naming.store_labels(name, service).items()
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels)}
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        try:
            found = await self._connection.request("GET", path, query=query)
        except ApiError as error:
            if error.status != 403:
                raise
            case.obstacles[service] = (refusal_of(error, name, namespace, self._clock()),)
            return ()
        _permitted(case, service)
        return tuple(found.get("items") or ())

    def _labelled(self, namespace: str, label: str) -> Iterator[tuple[tuple[str, str], Manifest]]:
        """Children of one policy by its label, each in its newest known version."""
        watched = self._store.derived(
            "children", namespace, KINDS, lambda: self._watched(namespace)
        )
        found = {(c["kind"], namespace, c["metadata"]["name"]): c for c in watched.get(label, ())}
        for place, (answer, at) in list(self._answers.items()):
            late = found.get(place)
            caught_up = late is not None and version_of(late) >= version_of(answer)
            lasting = SECRET_SECONDS if place[0] == "Secret" else FRESH_SECONDS
            if caught_up or self._clock() - at > lasting:
                del self._answers[place]
            elif place[1] == namespace and _label(answer) == label:
                found[place] = answer
        for (kind, _, name), child in found.items():
            yield (kind, name), child

    def _watched(self, namespace: str) -> Mapping[str, tuple[Manifest, ...]]:
        found: dict[str, list[Manifest]] = {}
        for kind in KINDS:
            for projected in self._store.of(kind, namespace).values():
                if whole := projected.get(WHOLE):
                    found.setdefault(_label(whole), []).append(whole)
        return {label: tuple(children) for label, children in found.items()}

    def _pods(
        self, namespace: str, children: Iterable[Manifest]
    ) -> dict[str, tuple[Manifest, ...]]:
        found: dict[str, tuple[Manifest, ...]] = {}
        for child in children:
            if child["kind"] == "StatefulSet":
                service = child["metadata"]["labels"][naming.SERVICE_LABEL]
                owner = ("StatefulSet", child["metadata"]["name"])
                pods = self._store.belonging("Pod", namespace, owner)
                found[service] = (*found.get(service, ()), *pods)
        return found

    def _runs(self, namespace: str, label: str) -> dict[str, tuple[Manifest, ...]]:
        """Pods of Jobs that were made for data services, by service."""
        found = self._store.derived("runs", namespace, ("Pod",), lambda: self._ran(namespace))
        return {service: tuple(pods) for (policy, service), pods in found.items() if policy == label}  # fmt: skip

    def _ran(self, namespace: str) -> Mapping[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], list[Manifest]] = {}
        for pod in self._store.of("Pod", namespace).values():
            labels = pod["metadata"].get("labels") or {}
            if naming.SERVICE_LABEL in labels and is_run(pod):
                place = labels.get(naming.POLICY_LABEL, ""), labels[naming.SERVICE_LABEL]
                found.setdefault(place, []).append(pod)
        return found


def _permitted(case: Case, service: str) -> None:
    """What could not be read has been read."""
    if any(each.reason == "NotPermitted" for each in case.obstacles.get(service, ())):
        del case.obstacles[service]


PLURALS: Final[Mapping[str, str]] = {
    "Secret": "secrets", "ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps",
    "Service": "services", "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets", "StatefulSet": "statefulsets",
    "Deployment": "deployments", "CronJob": "cronjobs", "Job": "jobs", "ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules",
}  # fmt: skip
CLAIMS: Final[Mapping[str, str]] = {"PersistentVolumeClaim": "persistentvolumeclaims"}
"""Claims are made by StatefulSets; here they are read and changed."""


def path_of(child: Manifest, *, named: bool = True) -> str:
    """Where a child or a claim is served, or its collection. Raises KeyError for a kind that no service has."""
    api, meta = child["apiVersion"], child["metadata"]
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    last = f"/{meta['name']}" if named else ""
    plural = {**PLURALS, **CLAIMS}[child["kind"]]
    return f"{root}/namespaces/{meta['namespace']}/{plural}{last}"


def _label(child: Manifest) -> str:
    return str((child["metadata"].get("labels") or {}).get(naming.POLICY_LABEL, ""))


def _place(child: Manifest) -> Place:
    return child["kind"], child["metadata"].get("namespace", ""), child["metadata"]["name"]
