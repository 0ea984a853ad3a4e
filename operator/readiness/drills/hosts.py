"""Names of stores and upstreams, and how a clone is led to throw-away ones under the same names.

The hosts file of a pod comes before any DNS server, so an alias per spelling is enough; no URL is
rewritten. An address that is no name cannot be led away.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from readiness.drills.place import Place
from readiness.model import Manifest
from readiness.script import DrillSubject, Store
from readiness.timeline import Problem

_NAME: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\.)*(?!0x)(?=[-0-9]*[a-z])[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
)
_SERVICE: Final = re.compile(r"(.+?\..+?)\.svc(?:\..+)?")
_LOCAL: Final = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def is_local(host: str) -> bool:
    """Whether a host is the pod itself: a sidecar's address, or one to listen on."""
    if host in _LOCAL or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def spellings(host: str, namespace: str) -> tuple[str, ...]:
    """Every name by which a pod of the namespace may call what `host` names, itself first.

    `cache`, `cache.shop` and `cache.shop.svc` may be one Service. Whether a short name is one of
    the cluster's cannot be told, so it is spelled as if it were: an alias too many leads nowhere
    that is real.
    """
    found = _SERVICE.fullmatch(host)
    stem = found[1] if found else host
    dots = stem.count(".")
    full = [f"{stem}.{namespace}"] if dots < 2 and not found else []
    full += [stem] if found or 0 < dots < 3 else []
    names = [host]
    for each in full:
        names += [each.removesuffix(f".{namespace}"), each]
        names += [f"{each}.svc", f"{each}.svc.cluster.local"]
    return tuple(dict.fromkeys(names))


def known_hosts(subject: DrillSubject) -> frozenset[str]:
    """Every spelling of every host that the policy declares."""
    declared = (host for store in subject.stores for host in store.hosts)
    return frozenset(s for host in declared for s in spellings(host.lower(), subject.namespace))


def build_aliases(
    subject: DrillSubject, place: Place, own: list[Manifest]
) -> list[Manifest] | Problem:
    """The template's own hostAliases, and ours, which win."""
    ours: dict[str, str] = {}
    for store in subject.stores:
        for host in _remote(store):
            if problem := _astray(store, host, place):
                return problem
            ours |= dict.fromkeys(spellings(host, subject.namespace), place.stores[store.name])
    for upstream in subject.upstreams:
        address = place.sinks.get(upstream.name, "").rpartition(":")[0].strip("[]")
        for host in upstream.hosts if address else ():
            ours |= dict.fromkeys(spellings(host.lower(), subject.namespace), address)
    kept = [(a["ip"], [h for h in a.get("hostnames") or () if not _taken(h, ours)]) for a in own]
    led = [(ip, sorted(h for h in ours if ours[h] == ip)) for ip in sorted(set(ours.values()))]
    return [{"ip": ip, "hostnames": names} for ip, names in (*led, *kept) if names]


def _taken(host: str, ours: dict[str, str]) -> bool:
    return host.lower() in ours or is_local(host.lower())


def _remote(store: Store) -> Iterator[str]:
    return (host.lower() for host in store.hosts if not is_local(host.lower()))


def _astray(store: Store, host: str, place: Place) -> Problem | None:
    """Why a clone would reach the real store."""
    if not _NAME.fullmatch(host):
        return Problem(
            "Refused",
            f"store {store.name} is known by {host}, which is no name: a clone cannot be led to another",
            f"let the application reach {store.name} by the name of a Service, and declare that one",
        )
    if not place.stores.get(store.name):
        return Problem("StoreUnavailable", f"there is no throw-away store for {store.name}")
    return None
