"""A data service as controls see it: how to ask it, and what Kubernetes shows of it. Ours and others' alike.

Hosts of an external store that name a Service of the policy's namespace become the pods behind it,
so that members are told apart. Pure; it knows no server and no control.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from readiness import naming
from readiness.inspection import Login, StoreRequest, Way
from readiness.model import Manifest
from readiness.ports import ADMINISTRATORS, CLIENTS, SENTINEL
from readiness.snapshot import Housed, Seen, Snapshot

if TYPE_CHECKING:
    from readiness.api.dataservice import DataService
    from readiness.api.external import Store as Declared
    from readiness.api.policy import PolicySpec

_OURS: Final = {
    "redis": ("admin", "admin"),
    "mongodb": ("operator", "operator"),
    "rabbitmq": ("readiness-operator", "readiness-operator-password"),
}
"""The operator's own user of each kind that it provides, and its key of the credentials."""


@dataclass(frozen=True, slots=True)
class Store:
    """One data service. `pods` are its members' (and Sentinels') in the namespace, `sets` their workloads;
    both are empty where it is somewhere else. `wanted` is how many members the policy asks for, 0 of others' stores.
    `backup` is what runs of its backups have told, `policy` the name of whose it is.
    """

    name: str
    kind: str
    request: StoreRequest
    declared: tuple[str, ...] = ()
    wanted: int = 0
    pods: tuple[Manifest, ...] = ()
    sets: tuple[Manifest, ...] = ()
    seen: Seen | None = None
    backup: Manifest = field(default_factory=dict)
    policy: str = ""
    text: str = field(default="", repr=False)

    @property
    def provided(self) -> bool:
        """Whether the operator runs it."""
        return self.request.own

    @property
    def bound_to(self) -> str:
        """What evidence about it is bound to: what is declared of it, and how its looks see it."""
        seen = (self.seen.primary, self.seen.reason, *self.seen.members) if self.seen else ()
        pods = sorted(str(pod["metadata"].get("uid", "")) for pod in self.pods)
        return f"{self.text} {seen} {pods}"


def stores_of(policy: str, spec: PolicySpec, snapshot: Snapshot) -> Mapping[str, Store]:
    """Every data service of a policy, by name."""
    if not spec.data_services:
        return {}
    way_in = {name: address for address, name in snapshot.pod_addresses.items()}
    found: dict[str, Store] = {}
    for service in spec.data_services:
        if service.external is None:
            found[service.name] = _provided(policy, service, snapshot, way_in)
        else:
            found[service.name] = _external(policy, service, snapshot, way_in)
    return found


def is_consented(secret: Manifest, request: StoreRequest) -> bool:
    """Whether a Secret may be used to log in to this service: it was made for it, or its owner says so."""
    labels = secret["metadata"].get("labels") or {}
    if labels.get(naming.PROBE_SECRET) == "allowed":
        return True
    made_for = {**naming.OURS, naming.SERVICE_LABEL: naming.label_value(request.service)}
    return request.own and made_for.items() <= labels.items()


def _provided(policy: str, service: DataService, snapshot: Snapshot, way_in: Mapping[str, str]) -> Store:  # fmt: skip
    kind = next(kind for kind in CLIENTS if getattr(service, kind) is not None)
    name, provided = service.name, snapshot.provided
    labels = naming.store_labels(policy, name)
    pods = provided.pods.get(name, ())
    sets = tuple(
        child for (of, _), child in provided.children.items()
        if of == "StatefulSet" and labels.items() <= child["metadata"]["labels"].items()
    )  # fmt: skip
    credentials = naming.store(policy, name, naming.CREDENTIALS)
    tls = bool(getattr(getattr(service, kind), "tls", None))
    request = StoreRequest(
        name, kind, Way(snapshot.namespace, way_in),
        hosts=tuple(_named(pods, sets, snapshot.namespace, sentinels=False)), port=CLIENTS[kind].of(tls=tls), tls=tls, own=True,
        login=Login(credentials, *_OURS[kind]), app=Login(naming.store(policy, name)),
        sentinels=tuple(_named(pods, sets, snapshot.namespace, sentinels=True)),
        sentinel_login=Login(credentials, "quorum", "quorum"),
        group=f"{snapshot.namespace}-{naming.store(policy, name)}",
        management=ADMINISTRATORS["rabbitmq"].of(tls=tls),
    )  # fmt: skip
    return Store(
        name, kind, request, request.hosts, getattr(service, kind).replicas, pods, sets,
        provided.seen.get(name), snapshot.saved.get(name, {}), policy, str(service),
    )  # fmt: skip


def _named(
    pods: tuple[Manifest, ...], sets: tuple[Manifest, ...], namespace: str, *, sentinels: bool
) -> Iterator[str]:
    """Full names, as certificates have them."""
    services = {each["metadata"]["name"]: each["spec"].get("serviceName") for each in sets}
    for pod in pods:
        meta = pod["metadata"]
        owners = (services.get(owner["name"]) for owner in meta.get("ownerReferences") or ())
        service = next(filter(None, owners), "")
        part = (meta.get("labels") or {}).get(naming.PART_LABEL, "")
        if (part == "sentinel") is sentinels:
            yield f"{meta['name']}.{service}.{namespace}.svc" if service else meta["name"]


def _external(policy: str, service: DataService, snapshot: Snapshot, way_in: Mapping[str, str]) -> Store:  # fmt: skip
    kind = next(kind for kind in CLIENTS if getattr(service.external, kind) is not None)
    declared: Declared = getattr(service.external, kind)
    housed = snapshot.housed.get(service.name, Housed())
    hosts = tuple(m for host in declared.hosts for m in housed.members.get(host, (host,)))
    sentinel = getattr(declared, "sentinel", None)
    looked = declared.probe_secret_ref or declared.secret_ref
    login = Login(looked.name) if looked else None
    request = StoreRequest(
        service.name, kind, Way(snapshot.namespace, way_in),
        hosts=() if sentinel else tuple(dict.fromkeys(hosts)),
        port=declared.port or CLIENTS[kind].of(tls=declared.tls), tls=declared.tls, login=login,
        app=Login(declared.secret_ref.name) if declared.secret_ref else None,
        sentinels=tuple(dict.fromkeys(hosts)) if sentinel else (),
        sentinel_port=sentinel.port if sentinel else SENTINEL,
        sentinel_login=login,
        group=sentinel.group if sentinel else "",
        management=getattr(declared, "management_port", ADMINISTRATORS["rabbitmq"].plain),
    )  # fmt: skip
    return Store(
        service.name, kind, request, declared.hosts, 0, housed.pods, housed.sets, None,
        snapshot.saved.get(service.name, {}), policy, str(service),
    )  # fmt: skip
