"""Where a dump is taken, and as whom: of a service that we run, or of one that somebody else does.

It knows no kind beyond the names of the API and its ports. Pure.
"""

from __future__ import annotations

from typing import Any, Final

from readiness import naming
from readiness.backups.destination import is_inside
from readiness.dataservices.destined import build_secret_volume
from readiness.dataservices.kind import Kind
from readiness.dataservices.order import Login, Order, Source
from readiness.dataservices.parts import Part, opening
from readiness.dataservices.tls import AUTHORITY, VOLUME, volume_of
from readiness.model import Manifest
from readiness.ports import ADMINISTRATORS

PASSWORDS: Final = "/passwords"
MEMORY: Final = "1Gi"
STORAGE: Final = "10Gi"
"""What is asked for where nobody says how large a service is that we do not run."""
_KEYS: Final = ("username", "password", AUTHORITY)


def own_source(members: Part, port: int, login: Login, memory: str) -> Source:
    """A service that we run: its own members, its own user, its own certificate."""
    order = members.order
    spec = getattr(order.service, order.kind)
    tls = getattr(spec, "tls", None)
    return Source(
        hosts=tuple(members.hosts),
        port=port,
        way=({"to": [{"podSelector": {"matchLabels": order.selector()}}], "ports": [opening(port)]},),
        passwords=build_secret_volume("passwords", order.name(naming.CREDENTIALS), login.key, "password"),
        memory=memory,
        storage=spec.storage,
        login=login.user,
        tls=f"/{VOLUME}" if tls else "",
        volumes=(volume_of(tls),) if tls else (),
        storage_class=spec.storage_class or "",
    )  # fmt: skip


def external_source(kind: Kind, order: Order) -> Source:
    """A service of others: the declared hosts, by the login that backups have, or else the application's."""
    declared = getattr(order.service.external, kind.name)
    secret = secret_of(order)
    sentinel = getattr(declared, "sentinel", None)
    port = (
        getattr(declared, "management_port", None)
        or declared.port
        or ADMINISTRATORS[kind.name].of(tls=declared.tls)
    )
    told = {"NEEDS": f"the user of {f'Secret {secret}' if secret else 'nobody'} needs {kind.needs}"}
    if sentinel:
        told |= {"SENTINEL": str(sentinel.port), "GROUP": sentinel.group}
    ports = (port, sentinel.port) if sentinel else (port,)
    return Source(
        hosts=declared.hosts,
        port=port,
        way=_way_to(declared.hosts, ports),
        passwords=_given(secret) if secret else None,
        memory=MEMORY,
        storage=STORAGE,
        tls=PASSWORDS if declared.tls else "",
        told=told,
    )


def secret_of(order: Order) -> str:
    """The Secret by which a service of others is dumped; empty: as anybody may."""
    external: Any = order.service.external
    own = order.service.backup.secret_ref if order.service.backup else None
    found = own or getattr(external, order.kind).secret_ref
    return found.name if found else ""


def _given(secret: str) -> Manifest:
    """Those of its keys that a login may have; which of them are there nobody knows here."""
    items = [{"key": key, "path": key} for key in _KEYS]
    return {"name": "passwords", "secret": {"secretName": secret, "defaultMode": 0o440, "optional": True, "items": items}}  # fmt: skip


def _way_to(hosts: tuple[str, ...], ports: tuple[int, ...]) -> tuple[Manifest, ...]:
    """Out to these ports; behind a Service of this cluster its pods may listen at any."""
    if any(map(is_inside, hosts)):
        return ({"to": [{"namespaceSelector": {}}]}, {"ports": [*map(opening, ports)]})
    return ({"ports": [*map(opening, ports)]},)
