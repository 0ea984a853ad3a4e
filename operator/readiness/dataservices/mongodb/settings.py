"""What mongod.conf says: defaults, what the policy adds, and what holds the set together.

Pure. A setting that the operator has to make is refused by name, and so is one of a section that
it does not know: a mongod that stops at its configuration would take the set down one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from readiness.dataservices.mongodb.members import SET
from readiness.dataservices.order import Order, Refusal
from readiness.quantities import bytes_of

if TYPE_CHECKING:
    from readiness.api.mongodb import MongoDB

PORT: Final = 27017
MEMORY: Final = "1Gi"
LEAST_MEMORY: Final = "512Mi"
QUIESCE_SECONDS: Final = 10
KEYFILE: Final = "/keyfile/keyfile"
DATA: Final = "/data/db"
_GIB: Final = 1 << 30
_MIB: Final = 1 << 20
_SECTIONS: Final = ("storage.", "net.", "operationProfiling.", "replication.", "setParameter.", "auditLog.")  # fmt: skip
_REFUSED: Final = (
    "net.bindIp", "net.tls", "net.ssl", "net.ipv6", "net.unixDomainSocket", "security", "sharding", "systemLog", "processManagement",
    "storage.directoryPerDB", "storage.engine", "replication.enableMajorityReadConcern",
    "setParameter.enableLocalhostAuthBypass", "setParameter.enableTestCommands", "setParameter.authenticationMechanisms",
    "setParameter.transitionToAuth",
)  # fmt: skip


def settings_of(order: Order) -> dict[str, Any]:
    """Every setting by its dotted name; the policy's come before the operator's own, which win."""
    spec = mongodb_of(order)
    return {
        "storage.oplogMinRetentionHours": 48,
        "replication.oplogSizeMB": _oplog(bytes_of(spec.storage)),
        **{each.name: _scalar(each.value) for each in spec.config},
        **managed_of(order),
    }


def managed_of(order: Order) -> dict[str, Any]:
    """What nobody else may set."""
    limit = bytes_of(mongodb_of(order).resources.limits.memory or MEMORY)
    return {
        "net.port": PORT,
        "net.bindIpAll": True,
        "processManagement.fork": False,
        "replication.replSetName": SET,
        "security.authorization": "enabled",
        "security.clusterAuthMode": "keyFile",
        "security.keyFile": KEYFILE,
        "setParameter.shutdownTimeoutMillisForSignaledShutdown": QUIESCE_SECONDS * 1000,
        "storage.dbPath": DATA,
        "storage.wiredTiger.engineConfig.cacheSizeGB": max(0.25, round((limit / _GIB - 1) / 2, 2)),
    }


def config_of(order: Order) -> str:
    """mongod.conf."""
    tree: dict[str, Any] = {}
    for name, value in sorted(settings_of(order).items()):
        at = tree
        *sections, last = name.split(".")
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    return "\n".join([*_lines(tree), ""])


def problems_of(order: Order) -> tuple[Refusal, ...]:
    """What this service asks for that would lose data, could not fail over, or is not its to say."""
    spec = mongodb_of(order)
    names = [each.name for each in spec.config]
    found = [problem for name in names if (problem := _problem(name, managed_of(order), names))]
    limit = spec.resources.limits.memory or MEMORY
    if bytes_of(limit) < bytes_of(LEAST_MEMORY):
        found.append(Refusal("MemoryTooSmall", f"mongod does not hold out in {limit}: its cache alone takes 256Mi", f"set mongodb.resources.limits.memory to {LEAST_MEMORY} or more"))  # fmt: skip
    if spec.replicas < 3:
        found.append(Refusal("FewerThanThree", f"with {spec.replicas} members, losing one leaves no majority, so no primary", "set mongodb.replicas to 3 or more"))  # fmt: skip
    if spec.replicas % 2 == 0:
        found.append(Refusal("EvenMembers", f"of {spec.replicas} members one would hold data and have no vote: it survives no fault that {spec.replicas - 1} would not", "set mongodb.replicas to an odd number"))  # fmt: skip
    return tuple(found)


def mongodb_of(order: Order) -> MongoDB:
    """The part of the API object that this kind is about."""
    assert order.service.mongodb is not None
    return order.service.mongodb


def _problem(name: str, managed: Mapping[str, Any], names: list[str]) -> Refusal | None:
    if any(_overlap(name, each) for each in (*managed, *_REFUSED)):
        return Refusal("ManagedSetting", f"config[{name}] is set by the operator, because replication and access depend on it", f"remove config[{name}]")  # fmt: skip
    clash = any(_overlap(name, each) for each in names if each != name)
    if not name.startswith(_SECTIONS) or not all(name.split(".")) or clash:
        return Refusal("UnknownSetting", f"config[{name}] is no setting of mongod that may be added here", f"name one whole setting of {', '.join(s[:-1] for s in _SECTIONS)}, such as operationProfiling.slowOpThresholdMs")  # fmt: skip
    return None


def _overlap(one: str, other: str) -> bool:
    """Whether two names are the same setting, or one holds the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _oplog(storage: int) -> int:
    """Mebibytes: a twentieth of the volume as mongod itself takes, at least 990, yet never over a quarter."""
    return min(max(storage // 20, min(990 * _MIB, storage // 4)), 50 * _GIB) // _MIB


def _scalar(text: str) -> Any:
    """A number or a truth value where the text is one; everything else is text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _lines(tree: Mapping[str, Any], indent: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        else:
            found.append(f"{indent}{key}: {json.dumps(value)}")
    return found
