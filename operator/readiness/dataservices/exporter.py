"""What tells Prometheus of a data service: who may read its metrics, what reads members that have none, and how both are found.

An exporter is a Deployment of its own and no sidecar, so that an image which cannot be pulled, or a new one, is no
affair of the members. Pure; what one kind's exporter is given stands in that kind's own package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from readiness import naming
from readiness.dataservices.order import Order
from readiness.dataservices.parts import (
    CONFIG_HASH,
    CONTAINER_SECURITY,
    Part,
    build_service,
    build_ways,
    hash_of,
    pod_security,
)
from readiness.dataservices.tls import AUTHORITY
from readiness.model import Manifest

METRICS: Final = "metrics"
"""Name of the port that metrics are read at, in every Service that has one."""
LABEL: Final = "exporter"
_USER: Final = 65532
_DNS: Final[Manifest] = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}  # fmt: skip
_OWN: Final = (naming.POLICY_LABEL, naming.SERVICE_LABEL)


@dataclass(frozen=True, slots=True)
class Exporter:
    """What a kind's exporter is given. `asks` are the pods that it asks; `health` is a path where it answers without asking.

    `reads` is what it reads only when it starts.
    """

    port: int
    asks: tuple[Part, ...]
    health: str
    args: tuple[str, ...] = ()
    env: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()
    reads: str = ""
    encrypted: bool = False


def build_exporter(order: Order, exporter: Exporter) -> tuple[Manifest, ...]:
    """The pod that reads all members, what stands in front of it, and how far it may go."""
    part = Part(order, LABEL, order.name(LABEL), "", 1, {METRICS: exporter.port})
    return (
        _wall(part, exporter.asks),
        build_service(part, part.name),
        _deployment(part, exporter),
    )


def scrapers_of(order: Order) -> Manifest:
    """Who may read metrics, as a rule of a NetworkPolicy says it: where the settings name no namespaces, everybody."""
    if not order.scraping.namespaces:
        return {}
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [*order.scraping.namespaces]}  # fmt: skip
    return {"from": [{"podSelector": {}}, {"namespaceSelector": {"matchExpressions": [names]}}]}


def build_monitor(order: Order, endpoints: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """A ServiceMonitor, where one is asked for. Its series say whose they are."""
    if not getattr(order.service, order.kind).metrics.service_monitor:
        return ()
    return (
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": order.name(), "labels": dict(order.scraping.labels)},
            "spec": {
                "selector": {"matchLabels": order.selector()},
                "targetLabels": [*_OWN],
                "endpoints": [*endpoints],
            },
        },
    )


def endpoint_of(order: Order, name: str, path: str = "/metrics") -> Manifest:
    """How Prometheus reads a port. `name` is one that the certificate is for, where there is one."""
    plain = {"port": METRICS, "path": path}
    tls = getattr(getattr(order.service, order.kind), "tls", None)
    if tls is None:
        return plain
    authority = {"secret": {"name": tls.secret_ref.name, "key": AUTHORITY}}
    return {**plain, "scheme": "https", "tlsConfig": {"ca": authority, "serverName": name}}


def asked_for(host: str, target: str, endpoint: Manifest) -> Manifest:
    """How Prometheus reads one member through the exporter: the series are the member's."""
    own = {"instance": host, "pod": host.partition(".")[0]}
    said = [{"targetLabel": label, "replacement": value} for label, value in own.items()]
    return {**endpoint, "path": "/scrape", "params": {"target": [target]}, "relabelings": said}


def _wall(part: Part, asks: Sequence[Part]) -> Manifest:
    """An exporter has a login, and goes where it is told to: never further than to its members."""
    members = [
        {
            "to": [{"podSelector": {"matchLabels": each.selector}}],
            "ports": each.openings,
        }
        for each in asks
    ]
    readers = {**scrapers_of(part.order), "ports": part.openings}
    return build_ways(part.name, {"matchLabels": part.selector}, [readers], [*members, _DNS])


def _deployment(part: Part, exporter: Exporter) -> Manifest:
    meta = {"labels": part.order.labels(part.label), "annotations": {CONFIG_HASH: hash_of(exporter.reads)}}  # fmt: skip
    spec = {
        "serviceAccountName": part.order.name(),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(_USER),
        "containers": [_container(part, exporter)],
        "volumes": [*exporter.volumes],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": part.name},
        "spec": {
            "replicas": part.replicas,
            "selector": {"matchLabels": part.selector},
            "template": {"metadata": meta, "spec": spec},
        },
    }


def _container(part: Part, exporter: Exporter) -> Manifest:
    scheme = {"scheme": "HTTPS"} if exporter.encrypted else {}
    probe = {"httpGet": {"path": exporter.health, "port": METRICS, **scheme}, "timeoutSeconds": 5}
    mounts = ({"name": v["name"], "mountPath": f"/{v['name']}", "readOnly": True} for v in exporter.volumes)  # fmt: skip
    return {
        "name": LABEL,
        "image": part.order.exporter_image,
        "imagePullPolicy": "IfNotPresent",
        "args": [*exporter.args],
        "env": [*exporter.env],
        "ports": [{"name": METRICS, "containerPort": exporter.port, "protocol": "TCP"}],
        "readinessProbe": {**probe, "periodSeconds": 10},
        "livenessProbe": {**probe, "periodSeconds": 20, "failureThreshold": 6},
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts],
    }
