"""All objects of one replica set: its pods with a resident each, and what both read.

Pure. No script is among them: the keyfile is copied by a program of the image, and everything that
needs to speak to mongod is done by the resident, which is our own image.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from readiness import naming
from readiness.dataservices.mongodb.exporter import exporter_of
from readiness.dataservices.mongodb.members import SET
from readiness.dataservices.mongodb.reconfigure import Wanted
from readiness.dataservices.mongodb.settings import (
    DATA,
    KEYFILE,
    MEMORY,
    PORT,
    config_of,
    mongodb_of,
)
from readiness.dataservices.mongodb.users import OPERATOR, app_user, key_of, users_of
from readiness.dataservices.order import Order
from readiness.dataservices.parts import (
    CONFIG_HASH,
    CONTAINER_SECURITY,
    Part,
    build_account,
    build_budget,
    build_claim,
    build_config,
    build_headless,
    build_secret,
    build_set,
    build_wall,
    hash_of,
    pod_security,
    resources_of,
    spread,
)
from readiness.model import Manifest

USER: Final = 999
GRACE: Final = 90
RESIDENT: Final = "mongod-resident"
RESIDENT_PORT: Final = 27000
READY: Final = "/ready"
STEP_DOWN: Final = "/step-down"
MEMBERS: Final = "members"
"""Key of the ConfigMap with the hosts by ordinal, which only the founding of the set reads."""
_MIN_READY_SECONDS: Final = 20


def build(order: Order) -> tuple[Manifest, ...]:
    """Every child; what pods read comes before the pods."""
    members = members_of(order)
    contents = {"mongod.conf": config_of(order), MEMBERS: "\n".join([*hosts_of(order), ""])}
    return (
        build_account(order),
        _binding(order),
        build_config(order.name("config"), contents),
        build_wall(members),
        _headless(members),
        build_budget(members),
        _stateful_set(members),
        *exporter_of(order, members, hosts_of(order)),
    )


def members_of(order: Order) -> Part:
    """The members of the set."""
    name, headless = order.name(), order.name("members")
    return Part(order, "mongodb", name, headless, mongodb_of(order).replicas, {"mongo": PORT})


def hosts_of(order: Order) -> tuple[str, ...]:
    """The members as the set's configuration names them, by ordinal."""
    return tuple(f"{host}:{PORT}" for host in members_of(order).hosts)


def wanted_of(order: Order) -> Wanted:
    """What the set should be once its pods run."""
    return Wanted(hosts_of(order), users_of(database_of(order), order.credentials))


def database_of(order: Order) -> str:
    """The database of the application: named as the service is."""
    return order.service.name


def _binding(order: Order) -> Manifest:
    """What an application needs, in the form of the service binding specification."""
    user, database, hosts = app_user(order.credentials), database_of(order), ",".join(hosts_of(order))  # fmt: skip
    password = order.credentials[key_of(user)]
    options = (
        f"replicaSet={SET}&authSource=admin&w=majority&retryWrites=true&readPreference=primary"
    )
    contents = {
        "type": "mongodb",
        "provider": "readiness",
        "host": members_of(order).domain,
        "port": str(PORT),
        "username": user,
        "password": password,
        "database": database,
        "replica-set": SET,
        "hosts": hosts,
        "uri": f"mongodb://{user}:{quote(password, safe='')}@{hosts}/{database}?{options}",
    }
    return build_secret(order.name(), contents, "servicebinding.io/mongodb")


def _headless(members: Part) -> Manifest:
    made = build_headless(members)
    for port in made["spec"]["ports"]:
        port["appProtocol"] = "mongo"
    return made


def _stateful_set(members: Part) -> Manifest:
    order = members.order
    spec = mongodb_of(order)
    template = {
        "metadata": {
            "labels": order.labels(members.label),
            "annotations": {CONFIG_HASH: hash_of(config_of(order))},
        },
        "spec": {
            "serviceAccountName": order.name(),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE,
            "securityContext": pod_security(USER),
            **spread(members),
            "initContainers": [_keyfile(order), _resident(order)],
            "containers": [_mongod(order)],
            "volumes": _volumes(order),
        },
    }
    made = build_set(members, template, build_claim(spec.storage, spec.storage_class))
    made["spec"]["minReadySeconds"] = _MIN_READY_SECONDS
    return made


def _keyfile(order: Order) -> Manifest:
    """Copies the keyfile to where it is its user's alone: a Secret's files belong to a group, which mongod refuses."""
    return {
        "name": "keyfile",
        "image": order.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["install", "-m", "0400", "/secret/keyfile", KEYFILE],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _mounted("secret"),
            _mounted("keyfile", written=True),
        ],
    }


def _resident(order: Order) -> Manifest:
    """A sidecar by its restart policy: it is there before mongod starts and until it has stopped."""
    name = {"apiVersion": "v1", "fieldPath": "metadata.name"}
    return {
        "name": "resident",
        "image": order.resident_image or order.operator_image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "args": [
            RESIDENT,
            *("--pod", "$(POD_NAME)"),
            *("--members-file", f"/config/{MEMBERS}"),
            *("--password-file", f"/password/{OPERATOR}"),
            *("--port", str(RESIDENT_PORT)),
        ],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": name}}],
        "ports": [{"name": "resident", "containerPort": RESIDENT_PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _mounted("config"),
            _mounted("password"),
            _mounted("tmp", written=True),
        ],
    }


def _mongod(order: Order) -> Manifest:
    spec = mongodb_of(order)
    tcp = {"tcpSocket": {"port": "mongo"}, "timeoutSeconds": 5}
    memory = spec.resources.limits.memory or MEMORY
    return {
        "name": "mongod",
        "image": order.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["mongod", "--config", "/config/mongod.conf"],
        "ports": [{"name": "mongo", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": {**tcp, "periodSeconds": 10, "failureThreshold": 720},
        "livenessProbe": {**tcp, "periodSeconds": 20, "failureThreshold": 6},
        "readinessProbe": {
            "httpGet": {"path": READY, "port": RESIDENT_PORT},
            "timeoutSeconds": 5,
            "periodSeconds": 5,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"httpGet": {"path": STEP_DOWN, "port": RESIDENT_PORT}}},
        "resources": resources_of(
            spec.resources, {"cpu": "250m", "memory": memory}, {"memory": MEMORY}
        ),
        "securityContext": CONTAINER_SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _mounted("config"),
            _mounted("keyfile"),
            {"name": "data", "mountPath": DATA},
            _mounted("tmp", written=True),
            {"name": "configdb", "mountPath": "/data/configdb"},
        ],
    }


def _volumes(order: Order) -> list[Manifest]:
    credentials = order.name(naming.CREDENTIALS)

    def secret(name: str, key: str) -> Manifest:
        items = [{"key": key, "path": key}]
        return {"name": name, "secret": {"secretName": credentials, "defaultMode": 0o440, "items": items}}  # fmt: skip

    config = {"name": order.name("config"), "defaultMode": 0o444}
    return [
        {"name": "config", "configMap": config},
        secret("secret", "keyfile"),
        secret("password", OPERATOR),
        {"name": "keyfile", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": "configdb", "emptyDir": {"sizeLimit": "16Mi"}},
    ]


def _mounted(name: str, *, written: bool = False) -> Manifest:
    return {"name": name, "mountPath": f"/{name}", **({} if written else {"readOnly": True})}
