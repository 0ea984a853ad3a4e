"""The StatefulSet of a RabbitMQ: what its pods run, with how much, where, and how they stop.

It needs of the image only RabbitMQ's own programs and a shell, so every image that has them will do.
"""

from __future__ import annotations

from typing import Final

from readiness.dataservices.order import Order
from readiness.dataservices.parts import (
    CONFIG_HASH,
    CONTAINER_SECURITY,
    build_claim,
    build_set,
    hash_of,
    pod_security,
    resources_of,
    spread,
)
from readiness.dataservices.rabbitmq.conf import (
    PLUGINS,
    memory_of,
    node_name,
    operator_conf,
    part_of,
    ports_of,
    spec_of,
    user_conf,
)
from readiness.dataservices.rabbitmq.objects import CLUSTER_PORTS, DISTRIBUTION
from readiness.dataservices.tls import VOLUME, volume_of
from readiness.model import Manifest
from readiness.naming import FORMED, SKIP_STOP

HOME: Final = "/var/lib/rabbitmq"
DATA: Final = f"{HOME}/mnesia"
FILES: Final = "/etc/rabbitmq"
USER: Final = 999
GRACE: Final = 900
STOP_WAIT, STOP_ROUND, STOP_CHECK, STOP_DRAIN, STOP_LEAVE = 380, 35, 20, 120, 75
"""Seconds: until when a round of waiting may begin, and the longest that each command may take."""
_MOUNTED: Final = {
    "scripts": "scripts", "plugins": "plugins", "conf": "conf.d", "cookie": "cookie",
    "definitions": "definitions", "pod": "pod", FORMED: "formed",
}  # fmt: skip
_DISTRIBUTION: Final = f"-proto_dist inet_tls -ssl_dist_optfile {FILES}/scripts/{DISTRIBUTION}"
_ENCRYPTED: Final = {
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _DISTRIBUTION,
    "RABBITMQ_CTL_ERL_ARGS": _DISTRIBUTION,
}


def build_members(order: Order) -> Manifest:
    """Members start together, because they wait for each other, and are replaced by the operator only."""
    part, spec = part_of(order), spec_of(order)
    started_with = hash_of(operator_conf(order), user_conf(order), *PLUGINS)
    meta = {"labels": order.labels(part.label), "annotations": {CONFIG_HASH: started_with}}
    claim = build_claim(spec.storage, spec.storage_class)
    return build_set(part, {"metadata": meta, "spec": _pod(order)}, claim)


def _pod(order: Order) -> Manifest:
    return {
        "serviceAccountName": order.name(),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": pod_security(USER),
        **spread(part_of(order)),
        "initContainers": [_container(order, "prepare")],
        "containers": [_server(order)],
        "volumes": _volumes(order),
    }


def _container(order: Order, script: str) -> Manifest:
    """What both containers are. Memory is reserved whole: a broker that is evicted is an outage."""
    memory = {"memory": memory_of(order)}
    given = resources_of(spec_of(order).resources, {"cpu": "200m", **memory}, memory)
    mounted = {**_MOUNTED, **({VOLUME: VOLUME} if spec_of(order).tls else {})}
    mounts = ({"name": n, "mountPath": f"{FILES}/{at}", "readOnly": True} for n, at in mounted.items())  # fmt: skip
    return {
        "name": script,
        "image": order.image,
        "imagePullPolicy": "IfNotPresent",
        "command": _run(script),
        "env": _environment(order),
        "resources": given,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "home", "mountPath": HOME},
            {"name": "data", "mountPath": DATA},
            *mounts,
        ],
    }


def _server(order: Order) -> Manifest:
    listens = {"tcpSocket": {"port": "amqp"}, "periodSeconds": 5, "timeoutSeconds": 2}
    ports = {**ports_of(order), **CLUSTER_PORTS}
    return {
        **_container(order, "start"),
        "name": "rabbitmq",
        "ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in ports.items()],
        # no probe asks how many there are: a lone member would be killed while it waits for the others
        "startupProbe": {**listens, "failureThreshold": 62},
        "readinessProbe": {**listens, "failureThreshold": 2},
        "livenessProbe": {
            "exec": {"command": _run("alive")},
            "periodSeconds": 60, "timeoutSeconds": 30, "failureThreshold": 5,
        },
        "lifecycle": {"preStop": {"exec": {"command": _run("stop")}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }  # fmt: skip


def _run(script: str) -> list[str]:
    return ["sh", f"{FILES}/scripts/{script}.sh"]


def _environment(order: Order) -> list[Manifest]:
    part = part_of(order)
    given = {
        "HOME": HOME,
        "TMPDIR": HOME,
        "MEMBERS": " ".join(map(node_name, part.hosts)),
        "REPLICAS": str(part.replicas),
        "STOP_WAIT": str(STOP_WAIT),
        "STOP_ROUND": str(STOP_ROUND),
        "STOP_CHECK": str(STOP_CHECK),
        "STOP_DRAIN": str(STOP_DRAIN),
        "STOP_LEAVE": str(STOP_LEAVE),
        "ERL_CRASH_DUMP_SECONDS": "0",  # a dump holds what passes through
        "RABBITMQ_USE_LONGNAME": "true",
        "RABBITMQ_NODENAME": node_name(f"$(POD_NAME).{part.domain}"),
        "RABBITMQ_MNESIA_BASE": DATA,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": f"{HOME}/log",
        "RABBITMQ_PID_FILE": f"{HOME}/pid",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILES": f"{FILES}/conf.d",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{HOME}/enabled_plugins",
        "RABBITMQ_GENERATED_CONFIG_DIR": f"{HOME}/config",
        "RABBITMQ_SCHEMA_DIR": f"{HOME}/schema",
        **(_ENCRYPTED if spec_of(order).tls else {}),
    }
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return [name, *({"name": key, "value": value} for key, value in given.items())]


def _volumes(order: Order) -> list[Manifest]:
    skip = {"path": "skip-stop", "fieldRef": {"fieldPath": f"metadata.annotations['{SKIP_STOP}']"}}
    return [
        {"name": "home", "emptyDir": {"sizeLimit": "256Mi"}},
        *({"name": n, "configMap": {"name": order.name(n)}} for n in ("scripts", "plugins", "conf")),
        *(
            {"name": n, "secret": {"secretName": order.name(n), "defaultMode": 0o440}}
            for n in ("cookie", "definitions")
        ),
        {"name": FORMED, "configMap": {"name": order.name(FORMED), "optional": True}},
        {"name": "pod", "downwardAPI": {"items": [skip]}},
        *([volume_of(tls)] if (tls := spec_of(order).tls) else ()),
    ]  # fmt: skip
