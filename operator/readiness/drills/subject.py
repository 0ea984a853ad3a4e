"""Whose clone a drill makes, from what the policy declares and the workload shows.

The address inside the clone is the one that probes use on live pods, so that both ask the same
server. Pure; it knows no arm and no manifest of a clone.
"""

from __future__ import annotations

from collections.abc import Iterator

from readiness.control import Subject
from readiness.hops import container_port, host_of
from readiness.naming import SERVICE_LABEL
from readiness.ports import CLIENTS
from readiness.script import DrillSubject, Store, Upstream
from readiness.snapshot import Snapshot
from readiness.workload import app_container, template_hash


def drill_subject(subject: Subject) -> DrillSubject:
    """The workload of a subject as a drill knows it. Port 0: it listens on none that is known.

    Raises ValueError without a workload: there is nothing to clone.
    """
    if subject.workload is None:
        raise ValueError(f"{subject.where} has no workload to clone")
    target, snapshot = subject.target, subject.snapshot
    port, tls = container_port(target, snapshot, subject.workload)
    container = app_container(subject.workload, target.container) or {}
    ref = target.workload_ref
    return DrillSubject(
        namespace=snapshot.namespace, target=target.name,
        api_version=ref.api_version, kind=ref.kind, name=ref.name,
        template=template_hash(subject.workload), container=container.get("name", ""),
        port=port or 0, tls=tls, host=host_of(target, snapshot),
        standalone=target.shutdown.standalone, unisolated=subject.policy.safety.unisolated,
        stores=tuple(_stores(subject)),
        upstreams=tuple(Upstream(u.name, u.url_env, u.path or "", u.hosts) for u in target.upstreams),
        declared=tuple(each.name for each in target.config.env) if target.config else (),
    )  # fmt: skip


def _stores(subject: Subject) -> Iterator[Store]:
    """The stores that the target uses, in the order in which it names them."""
    services = {service.name: service for service in subject.policy.data_services}
    for name in subject.target.uses:
        for kind, ports in CLIENTS.items():
            store, own = getattr(services[name].external, kind, None), getattr(services[name], kind)
            if store is not None:
                secret = store.secret_ref.name if store.secret_ref else ""
                yield Store(name, kind, store.hosts, store.port or ports.of(tls=store.tls), secret)
            elif own is not None:
                port = ports.of(tls=bool(getattr(own, "tls", None)))
                yield from _provided(subject.snapshot, name, kind, port)


def _provided(snapshot: Snapshot, name: str, kind: str, port: int) -> Iterator[Store]:
    """A store of ours, by every name that it has; its Secret has the name of its first StatefulSet.

    Before it is there nobody can have been told a name.
    """
    ours = [
        child
        for child in snapshot.provided.children.values()
        if child["metadata"]["labels"].get(SERVICE_LABEL) == name
    ]
    sets = {c["metadata"]["name"]: c["spec"] for c in ours if c["kind"] == "StatefulSet"}
    services = (c["metadata"]["name"] for c in ours if c["kind"] == "Service")
    members = (
        f"{pods}-{number}.{spec['serviceName']}"
        for pods, spec in sets.items()
        for number in range(spec["replicas"])
    )
    hosts = tuple(f"{each}.{snapshot.namespace}.svc" for each in (*services, *members))
    if hosts and sets:
        yield Store(name, kind, hosts, port, min(sets, key=len))
