"""All objects of one highly available Redis: members, sentinels, and what both read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from readiness import naming
from readiness.dataservices.order import Order, Refusal
from readiness.dataservices.parts import (
    CONFIG_HASH,
    CONTAINER_SECURITY,
    Part,
    build_account,
    build_budget,
    build_claim,
    build_config,
    build_formed,
    build_headless,
    build_service,
    build_set,
    build_wall,
    hash_of,
    pod_security,
    resources_of,
    spread,
)
from readiness.dataservices.redis.access import build_access, build_binding
from readiness.dataservices.redis.exporter import exporter_of
from readiness.dataservices.redis.settings import (
    DOWN_AFTER,
    FAILOVER_TIMEOUT,
    MEMORY,
    config_of,
    redis_of,
    refused_settings,
)
from readiness.dataservices.tls import VOLUME, problems_of, volume_of
from readiness.model import Manifest
from readiness.ports import SENTINEL

USER: Final = 999
SENTINELS: Final = 3
MAJORITY: Final = SENTINELS // 2 + 1
GRACE: Final = 60
PAUSE: Final = 20
CATCH_UP: Final = 5
STAY: Final = 10
_IMPATIENT: Final[Manifest] = {"options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "2"}]}  # fmt: skip
"""Sentinels stand still while they look up a name: a DNS server that is gone must not hold up a failover."""
_SCRIPTS: Final = Path(__file__).with_name("scripts")
SCRIPTS: Final = {each.name: each.read_text() for each in _SCRIPTS.iterdir() if each.name.endswith(".sh")}  # fmt: skip


def build(order: Order) -> tuple[Manifest, ...]:
    """Every child; what pods read comes before the pods."""
    members, sentinels = members_of(order), sentinels_of(order)
    return (
        build_account(order),
        build_access(order, (members, sentinels)),
        build_binding(order, sentinels, group_of(order)),
        build_config(order.name("config"), {**SCRIPTS, "redis.conf": config_of(order)}),
        *([build_formed(order)] if order.formed else ()),
        *(each(part) for part in (members, sentinels) for each in (build_wall, build_headless, build_budget)),
        build_service(sentinels, sentinels.name),
        _member_set(members, sentinels),
        _sentinel_set(members, sentinels),
        *exporter_of(order, (members, sentinels), order.host(sentinels.name)),
    )  # fmt: skip


def problems(order: Order) -> tuple[Refusal, ...]:
    """What this Redis asks for and is not built."""
    parts = members_of(order), sentinels_of(order)
    service = order.host(parts[1].name)
    tls = problems_of(order, redis_of(order).tls, parts, (service,), mutual=False)
    return (*refused_settings(order), *tls)


def members_of(order: Order) -> Part:
    """The servers with the data."""
    replicas = redis_of(order).replicas
    return Part(order, "redis", order.name(), order.name("members"), replicas, {"redis": 6379})


def sentinels_of(order: Order) -> Part:
    """The servers that agree on the primary."""
    name, headless = order.name("sentinel"), order.name("sentinels")
    return Part(order, "sentinel", name, headless, SENTINELS, {"sentinel": SENTINEL})


def group_of(order: Order) -> str:
    """What sentinels call the set. No other set has this name, so two that meet never merge."""
    return f"{order.namespace}-{order.name()}"


def _member_set(members: Part, sentinels: Part) -> Manifest:
    order = members.order
    spec = redis_of(order)
    server = {
        "name": "redis",
        "command": ["sh", "/config/start.sh"],
        "env": [
            *_environment(members, members, sentinels),
            {"name": "FORMED", "value": order.name(naming.FORMED)},
            {"name": "PAUSE_SECONDS", "value": str(PAUSE)},
            {"name": "CATCH_UP_SECONDS", "value": str(CATCH_UP)},
        ],
        "startupProbe": _probe("probe.sh", "alive", every=5, failures=120),
        "livenessProbe": _probe("probe.sh", "alive", every=10, failures=6),
        "readinessProbe": _probe("probe.sh", "ready", every=5, failures=3),
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "/config/handover.sh"]}}},
        "resources": resources_of(
            spec.resources,
            {"cpu": "100m", "memory": spec.resources.limits.memory or MEMORY},
            {"memory": MEMORY},
        ),
    }
    volumes = [
        _secret("secret", order.name("access"), ("member.acl", "member.conf")),
        _secret("passwords", order.name(naming.CREDENTIALS), ("keeper", "probe", "quorum")),
        {
            "name": "formed",
            "configMap": {
                "name": order.name(naming.FORMED),
                "optional": True,
                "defaultMode": 0o444,
            },
        },
    ]
    template = _template(members, server, volumes)
    return build_set(members, template, build_claim(spec.storage, spec.storage_class))


def _sentinel_set(members: Part, sentinels: Part) -> Manifest:
    order = members.order
    server = {
        "name": "sentinel",
        "command": ["sh", "/config/sentinel.sh"],
        "env": [
            *_environment(sentinels, members, sentinels),
            {"name": "DOWN_AFTER", "value": str(DOWN_AFTER)},
            {"name": "FAILOVER_TIMEOUT", "value": str(FAILOVER_TIMEOUT)},
            {"name": "STAY_SECONDS", "value": str(STAY)},
        ],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "/config/stay.sh"]}}},
        "startupProbe": _probe("quorum.sh", "alive", every=5, failures=120),
        "livenessProbe": _probe("quorum.sh", "alive", every=10, failures=6),
        "readinessProbe": _probe("quorum.sh", "ready", every=5, failures=3),
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"memory": "64Mi"},
        },
    }
    volumes = [
        _secret("secret", order.name("access"), ("sentinel.acl",)),
        _secret("passwords", order.name(naming.CREDENTIALS), ("keeper", "quorum", "sentinel")),
    ]
    template = _template(sentinels, server, volumes)
    return build_set(sentinels, template, build_claim("64Mi", redis_of(order).storage_class))


def _template(part: Part, server: Manifest, volumes: list[Manifest]) -> Manifest:
    order = part.order
    tls = redis_of(order).tls
    found = [
        {"name": "config", "configMap": {"name": order.name("config"), "defaultMode": 0o444}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        *volumes,
        *([volume_of(tls)] if tls else ()),
    ]  # fmt: skip
    mounts: list[Manifest] = [
        {"name": each["name"], "mountPath": f"/{each['name']}"}
        | ({} if "emptyDir" in each else {"readOnly": True})
        for each in found
    ]
    container = {
        **server,
        "image": order.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": key, "containerPort": number, "protocol": "TCP"} for key, number in part.ports.items()],
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts, {"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    return {
        "metadata": {
            "labels": order.labels(part.label),
            "annotations": {CONFIG_HASH: hash_of(config_of(order), *SCRIPTS.values())},
        },
        "spec": {
            "serviceAccountName": order.name(),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE,
            "dnsConfig": _IMPATIENT,
            "securityContext": pod_security(USER),
            **spread(part),
            "containers": [container],
            "volumes": found,
        },
    }


def _environment(part: Part, members: Part, sentinels: Part) -> list[Manifest]:
    values = {
        "POD_DOMAIN": part.domain,
        "MEMBER_DOMAIN": members.domain,
        "MEMBERS": " ".join(members.hosts),
        "SENTINELS": " ".join(sentinels.hosts),
        "MAJORITY": str(MAJORITY),
        "GROUP": group_of(part.order),
        **({"TLS": f"/{VOLUME}"} if redis_of(part.order).tls else {}),
    }
    return [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        *({"name": key, "value": value} for key, value in values.items()),
    ]  # fmt: skip


def _secret(volume: str, name: str, keys: tuple[str, ...]) -> Manifest:
    items = [{"key": key, "path": key} for key in keys]
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440, "items": items}}


def _probe(script: str, what: str, *, every: int, failures: int) -> Manifest:
    return {
        "exec": {"command": ["sh", f"/config/{script}", what]},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }
