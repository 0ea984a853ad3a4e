"""Who may do what: one user for each purpose, derived from the generated passwords.

ACL files hold hashes only. Each user has its current password and, while it is being replaced, the next or the one before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

from readiness.dataservices.order import NEXT, PREVIOUS, Credential, Order
from readiness.dataservices.parts import Part, build_secret
from readiness.dataservices.redis.settings import redis_of
from readiness.dataservices.tls import authority_of
from readiness.model import Manifest
from readiness.ports import SENTINEL

EXPORTER: Final = "exporter"
LOGINS: Final = "exporter.json"
"""Key of the Secret that servers read, for their exporter."""

_CLIENT: Final = "+ping +auth +hello +client -client|kill -client|list -client|pause -client|unpause -client|no-evict"
"""By what is taken away: a rule that names a subcommand which Redis 7.0 does not know keeps it from starting."""
MEMBER_USERS: Final[Mapping[str, str]] = {
    "admin": "~* &* +@all",
    "app": "~* &* +@all -@admin -@dangerous +keys +sort +sort_ro +info +role",
    "replication": "-@all +psync +replconf +ping",
    "sentinel": "allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info "
    "+client|setname +client|kill +script|kill",
    "probe": "-@all +ping +info +role",
    "keeper": "-@all +ping +info +role +client|pause +client|unpause +client|kill",
    "backup": "-@all +ping +info +psync +sync +replconf",
    # not `slowlog get`: what it tells are other people's commands
    "exporter": "-@all +ping +info +latency|latest +latency|histogram +slowlog|len",
}
SENTINEL_USERS: Final[Mapping[str, str]] = {
    "quorum": "allchannels +@all",
    "app": f"allchannels -@all {_CLIENT} +role +info +subscribe +psubscribe +unsubscribe +punsubscribe "
    "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|replicas +sentinel|slaves "
    "+sentinel|sentinels +sentinel|ckquorum +sentinel|myid",
    "exporter": "allchannels -@all +ping +info +sentinel|masters +sentinel|slaves +sentinel|sentinels "
    "+sentinel|ckquorum",
}
_RENEWING: Final = " +config|set"
"""Of the user that scripts inside a pod are: a renewed certificate is read when its setting is made again."""
CREDENTIALS: Final = tuple(Credential(user) for user in {**MEMBER_USERS, **SENTINEL_USERS})


def hash_of(password: str) -> str:
    """As ACLs hold a password."""
    return hashlib.sha256(password.encode()).hexdigest()


def hashes_of(user: str, credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Hashes of every password that a user may have now, the current one first."""
    accepted = (credentials.get(user + suffix) for suffix in ("", NEXT, PREVIOUS))
    return tuple(hash_of(each) for each in accepted if each)


def acl_of(users: Mapping[str, str], credentials: Mapping[str, str]) -> str:
    """An ACL file of these users, in which nobody is let in without a name."""
    lines = ["user default off"]
    for user, rules in users.items():
        passwords = " ".join(f"#{each}" for each in hashes_of(user, credentials))
        lines.append(f"user {user} on {passwords} {rules}")
    return "\n".join([*lines, ""])


def logins_of(order: Order, parts: Sequence[Part]) -> str:
    """With what the exporter logs in, by server: it has nothing for anybody else."""
    found = {
        f"{scheme_of(order)}://{EXPORTER}@{host}:{port}": order.credentials[EXPORTER]
        for part in parts
        for host in part.hosts
        for port in part.ports.values()
    }
    return json.dumps(found, indent=1)


def scheme_of(order: Order) -> str:
    """How an address says whether there is TLS."""
    return "rediss" if redis_of(order).tls else "redis"


def build_access(order: Order, parts: Sequence[Part]) -> Manifest:
    """What servers read: the ACL files, and with what a member follows another; and what their exporter reads."""
    given = order.credentials
    keeper = MEMBER_USERS["keeper"] + (_RENEWING if redis_of(order).tls else "")
    member = f"masteruser replication\nmasterauth {given['replication']}\n"
    return build_secret(
        order.name("access"),
        {
            "member.acl": acl_of({**MEMBER_USERS, "keeper": keeper}, given),
            "sentinel.acl": acl_of(SENTINEL_USERS, given),
            "member.conf": member,
            LOGINS: logins_of(order, parts),
        },
    )


def build_binding(order: Order, sentinels: Part, group: str) -> Manifest:
    """What an application needs, in the form of the service binding specification."""
    password = order.credentials["app"]
    nodes = ",".join(f"{host}:{SENTINEL}" for host in sentinels.hosts)
    contents = {
        "type": "redis",
        "provider": "readiness",
        "host": order.host(sentinels.name),
        "port": str(SENTINEL),
        "username": "app",
        "password": password,
        "master-name": group,
        "sentinels": nodes,
        "uri": f"{scheme_of(order)}+sentinel://app:{password}@{nodes}/{group}/0",
        **authority_of(order),
    }
    return build_secret(order.name(), contents, "servicebinding.io/redis")
