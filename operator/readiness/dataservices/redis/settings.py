"""What a member's configuration file says: defaults, what the policy adds, and last what holds the set together.

Redis takes the last line of two, so nothing that is written before the managed settings can undo them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from readiness.dataservices.order import Order, Refusal
from readiness.dataservices.tls import AUTHORITY, CERTIFICATE, KEY, VOLUME
from readiness.dataservices.vocabulary import Vocabulary
from readiness.quantities import bytes_of

if TYPE_CHECKING:
    from readiness.api.redis import Redis

MEMORY: Final = "512Mi"
DOWN_AFTER: Final = 5000
FAILOVER_TIMEOUT: Final = 30000
SHUTDOWN: Final = 10
_KNOWN: Final = Vocabulary("Redis 7.0 to 8.0", Path(__file__).with_name("settings.txt"))
_SHARE: Final = 70
"""Per cent of a member's memory for what it stores; the rest is for forks, the backlog and buffers."""

_DEFAULTS: Final = {
    "maxmemory-policy": "noeviction",
    "save": "3600 1 300 100 60 10000",
    "repl-backlog-size": "64mb",
    "repl-timeout": "60",
    "tcp-keepalive": "60",
}
_MANAGED: Final = {
    "bind": "* -::*",
    "protected-mode": "no",
    "port": "6379",
    "dir": "/data",
    "aclfile": "/secret/member.acl",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "aof-timestamp-enabled": "no",
    "stop-writes-on-bgsave-error": "yes",
    "repl-diskless-sync": "yes",
    "repl-diskless-sync-delay": "0",
    "replica-announce-port": "6379",
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "10",
    "shutdown-timeout": str(SHUTDOWN),
    "enable-debug-command": "no",
}
_REFUSED: Final = frozenset(
    [
        "include",
        "user",
        "requirepass",
        "masterauth",
        "masteruser",
        "replicaof",
        "slaveof",
        "replica-announce-ip",
        "replica-announced",
        "replica-priority",
        "maxmemory",
        "appenddirname",
        "appendfilename",
        "dbfilename",
        "daemonize",
        "pidfile",
        "logfile",
        "loadmodule",
        "rename-command",
        "cluster-enabled",
        "supervised",
        "unixsocket",
        "enable-protected-configs",
        "enable-module-command",
        "shutdown-on-sigterm",
        "shutdown-on-sigint",
    ]
)
_TLS: Final = {
    "port": "0",
    "tls-port": "6379",
    "tls-replication": "yes",
    "tls-auth-clients": "no",  # who calls says so with a password
    "tls-cert-file": f"/{VOLUME}/{CERTIFICATE}",
    "tls-key-file": f"/{VOLUME}/{KEY}",
    "tls-ca-cert-file": f"/{VOLUME}/{AUTHORITY}",
}
_FORMER: Final = ("slave-", "replica-"), ("min-slaves-", "min-replicas-")
"""Redis still understands the former names of its settings."""


def config_of(order: Order) -> str:
    """redis.conf of every member; what differs between members stands on its command line."""
    spec = redis_of(order)
    given = {each.name.lower(): each.value for each in spec.config}
    limit = spec.resources.limits.memory or MEMORY
    managed = {
        **_MANAGED,
        **(_TLS if spec.tls else {}),
        "maxmemory": str(bytes_of(limit) * _SHARE // 100),
    }
    lines = [f"{key} {value}" for key, value in {**_DEFAULTS, **given}.items()]
    lines += ["# managed: these come last, so that they hold"]
    lines += [f"{key} {value}" for key, value in managed.items()]
    return "\n".join([*lines, "include /secret/member.conf", ""])


def refused_settings(order: Order) -> tuple[Refusal, ...]:
    """What this service asks for that would lose data, could not fail over, or is not its to say."""
    spec = redis_of(order)
    found = [
        Refusal(
            "ManagedSetting",
            f"config[{each.name}] is set by the operator, because replication and failover depend on it",
            f"remove config[{each.name}]",
        )
        for each in spec.config
        if _current(each.name) in _MANAGED.keys() | _TLS.keys() | _REFUSED
    ]
    found += _KNOWN.unknown(order.service.name, (each.name.lower() for each in spec.config))
    if spec.replicas < 3:
        found.append(
            Refusal(
                "FewerThanThree",
                f"with {spec.replicas} members, losing one leaves none that a write could be copied to",
                "set redis.replicas to 3 or more",
            )
        )
    return tuple(found)


def redis_of(order: Order) -> Redis:
    """The part of the API object that this kind is about."""
    assert order.service.redis is not None
    return order.service.redis


def _current(name: str) -> str:
    found = name.lower()
    for former, current in _FORMER:
        found = current + found.removeprefix(former) if found.startswith(former) else found
    return found
