"""Throw-away stores: one-member Redis, RabbitMQ and MongoDB that clones meet in place of the real ones.

They are empty, live as long as the drill, and refuse nobody whom the real one would let in: a
refusal would be ours. Of the Secret that the policy declares only keys are named here. The start
scripts need a shell and the server's binaries, no image's own entrypoint. An encrypted connection,
a Sentinel and a replica set by name are beyond them: such an application does not boot in the
control arm.
"""

from __future__ import annotations

import math
from typing import Final

from readiness.drills.place import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    Place,
    build_metadata,
    priority_of,
    unmeshed,
)
from readiness.model import Manifest
from readiness.naming import DRILL_STORE, drill, label_value
from readiness.script import Store
from readiness.timeline import Problem

DATA: Final = "/data"
READER: Final = "readiness-drill"
"""A user of a throw-away Redis, with this password, who may read: the drill itself knows no other."""

_REDIS: Final = """
server=$(command -v redis-server || command -v valkey-server) || { echo 'no redis-server in this image' >&2; exit 127; }
password=nopass  # AUTH with a password alone is an error where the default user has none
case "$STORE_USERNAME" in ''|default) [ -z "$STORE_PASSWORD" ] || password="#$(printf %s "$STORE_PASSWORD" | sha256sum | cut -c 1-64)" ;; esac
{
  printf 'bind %s\\nprotected-mode no\\nport %s\\ndir %s\\nsave ""\\nappendonly no\\n' "${STORE_BIND:-* -::*}" "$STORE_PORT" "$HOME"
  echo "user default on $password ~* &* +@all"
  echo 'user readiness-drill on >readiness-drill ~* -@all +@read +@connection'
  case "$STORE_USERNAME" in ''|default) ;; *) printf 'user "%s" on nopass ~* &* +@all\\n' "$STORE_USERNAME" ;; esac
} > "$HOME/store.conf"
exec "$server" "$HOME/store.conf"
"""
_RABBITMQ: Final = """
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH  # before wrappers that want to be root
server=$(command -v rabbitmq-server) || { echo 'no rabbitmq-server in this image' >&2; exit 127; }
echo 'loopback_users = none' > "$HOME/rabbitmq.conf"
[ -z "$STORE_USERNAME" ] || export RABBITMQ_DEFAULT_USER="$STORE_USERNAME" RABBITMQ_DEFAULT_PASS="$STORE_PASSWORD"
[ -z "$STORE_VHOST" ] || export RABBITMQ_DEFAULT_VHOST="$STORE_VHOST"
[ -z "$STORE_BIND" ] || export RABBITMQ_NODE_IP_ADDRESS="$STORE_BIND"
export RABBITMQ_NODE_PORT="$STORE_PORT" RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_CONFIG_FILE="$HOME/rabbitmq.conf"
export RABBITMQ_MNESIA_BASE="$HOME/mnesia" RABBITMQ_LOG_BASE="$HOME/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$HOME/pid"
export RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/plugins" RABBITMQ_GENERATED_CONFIG_DIR="$HOME/config"
export RABBITMQ_SCHEMA_DIR="$HOME/schema" RABBITMQ_CONF_ENV_FILE=/dev/null
exec "$server"
"""
_MONGODB: Final = """
set -- --dbpath "$HOME/db" --wiredTigerCacheSizeGB 0.25 --nounixsocket --port "$STORE_PORT"
create='
const user = {user: process.env.STORE_USERNAME, pwd: process.env.STORE_PASSWORD, roles: [{role: "root", db: "admin"}]};
for (const name of new Set(["admin", process.env.STORE_DATABASE || "admin"])) db.getSiblingDB(name).createUser(user);'
mkdir -p "$HOME/db"
if [ -n "$STORE_USERNAME" ]; then  # not reachable from outside, so not Ready, until its user is there
  command -v mongosh > /dev/null || { echo 'no mongosh in this image: it creates the user' >&2; exit 127; }
  mongod "$@" --bind_ip 127.0.0.2 & server=$!  # where not even a gate in this pod looks
  until mongosh --quiet --norc --host 127.0.0.2 --port "$STORE_PORT" --eval 'db.hello().ok' > /dev/null 2>&1; do
    kill -0 "$server" || exit 1
    sleep 0.5
  done
  mongosh --quiet --norc --host 127.0.0.2 --port "$STORE_PORT" --eval "$create" || exit 1
  kill "$server" && wait "$server"
fi
[ -z "$STORE_BIND" ] || exec mongod "$@" --bind_ip "$STORE_BIND"
exec mongod "$@" --bind_ip_all
"""
_SCRIPTS: Final = {"redis": _REDIS, "rabbitmq": _RABBITMQ, "mongodb": _MONGODB}
_MEMORY: Final = {
    "redis": ("32Mi", "128Mi"),
    "rabbitmq": ("192Mi", "512Mi"),
    "mongodb": ("256Mi", "768Mi"),
}
_KEYS: Final = {
    "STORE_USERNAME": "username",
    "STORE_PASSWORD": "password",
    "STORE_DATABASE": "database",
    "STORE_VHOST": "virtual-host",
}
"""Of the service binding convention, all optional."""


def build_store(store: Store, image: str, place: Place) -> Manifest | Problem:
    """The pod of one throw-away store, Ready once it accepts connections.

    Its containers are a list, so that a gate may stand in front of the server.
    """
    if store.kind not in _SCRIPTS:
        return Problem("StoreUnavailable", f"there is no throw-away store of kind {store.kind}")
    if not image:
        return Problem(
            "StoreUnavailable",
            f"the operator has no image for a throw-away {store.kind}, which {store.name} needs",
            f"set the operator's image for {store.kind} (chart value drills.images.{store.kind})",
        )
    labels = {DRILL_STORE: label_value(store.name)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": unmeshed(build_metadata(place, drill(place.run, "store", store.name), labels)),
        "spec": {
            **priority_of(place),
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "activeDeadlineSeconds": math.ceil(place.deadline),
            "terminationGracePeriodSeconds": 5,
            "securityContext": POD_SECURITY,
            "containers": [_server(store, image)],
            "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}],
        },
    }


def _server(store: Store, image: str) -> Manifest:
    request, limit = _MEMORY[store.kind]
    return {
        "name": store.kind,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _SCRIPTS[store.kind]],
        "env": [
            {"name": "HOME", "value": DATA},
            {"name": "TMPDIR", "value": DATA},
            {"name": "STORE_PORT", "value": str(store.port)},
            *_credentials(store.secret),
        ],
        "ports": [{"name": "store", "containerPort": store.port}],
        "readinessProbe": {"tcpSocket": {"port": "store"}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "50m", "memory": request},
            "limits": {"cpu": "1", "memory": limit},
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "data", "mountPath": DATA}],
    }


def _credentials(secret: str) -> list[Manifest]:
    if not secret:
        return []
    return [
        {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}},
        }
        for name, key in _KEYS.items()
    ]
