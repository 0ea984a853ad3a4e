"""What is asked of a data service and what its servers answer: values, the same for ours and for others'.

A control asks with a `StoreRequest`, `engines/inspection` turns it into a `StoreAnswer`. Answers are
kept as the servers gave them; who understands them stands in `dataservices` and `controls`. No
value here holds a password: logins are named by their Secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from readiness.ports import ADMINISTRATORS, SENTINEL
from readiness.timeline import Problem

_DOMAINS: Final = (".svc", ".svc.cluster.local")


@dataclass(frozen=True, slots=True)
class Login:
    """A login that stands in a Secret of the policy's namespace, under `key`.

    `user` is the user's name where the Secret does not tell it under `username`.
    """

    secret: str
    user: str = ""
    key: str = "password"


@dataclass(frozen=True, slots=True)
class Way:
    """What leads into the policy's own namespace: addresses of its pods, by name.

    No address of a Service: whoever writes its EndpointSlice says where that one leads.
    """

    namespace: str
    pods: Mapping[str, str] = field(default_factory=dict)

    def address(self, host: str) -> str:
        """Where a host is, if it is a pod of the namespace, by any of its names; else nothing."""
        if host in self.pods.values():
            return host
        pod, _ = parts_of(host, self.namespace)
        return self.pods.get(pod or host, "")

    def name(self, address: str) -> str:
        """The pod at an address; nothing where there is none."""
        return next((name for name, known in self.pods.items() if known == address), "")


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A look at a data service: its servers are asked what they are, how they are set, and who may do what.

    `hosts` are its members as far as they are known, `sentinels` who names them. It is looked at with
    `login`, without one as anybody may; `app` is what applications log in with. `own`: it is of the
    operator's making. `management` is a RabbitMQ's second port, `scan` the beginning of the keys of a
    Redis that are looked at, too.
    """

    service: str
    kind: str
    way: Way = field(compare=False)
    hosts: tuple[str, ...] = ()
    port: int = 0
    tls: bool = False
    own: bool = False
    login: Login | None = None
    app: Login | None = None
    sentinels: tuple[str, ...] = ()
    sentinel_port: int = SENTINEL
    sentinel_login: Login | None = None
    group: str = ""
    management: int = ADMINISTRATORS["rabbitmq"].plain
    scan: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What one server of a data service answered, by question, in its own words.

    `refused` are questions for which the login lacks a right; `error` is a word for why it answered nothing.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    error: str = ""
    sentinel: bool = False


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What the servers of a data service answered. With a `problem` nobody was asked."""

    told: tuple[Told, ...] = ()
    problem: Problem | None = None


def parts_of(host: str, namespace: str) -> tuple[str, str]:
    """Pod and Service of a name as pods of the namespace may spell it; two empty texts for any other name."""
    stem, dot, _ = host.partition(".svc")
    labels = (stem if dot and host[len(stem) :] in _DOMAINS else host).split(".")
    if len(labels) > 1 and labels[-1] == namespace:
        labels = labels[:-1]
    elif dot or len(labels) > 2:
        return "", ""
    return ("", labels[0]) if len(labels) == 1 else (labels[0], labels[1])
