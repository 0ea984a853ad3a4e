"""What is asked of a data service and what its servers answer: values, the same for ours and for others'.

A control asks with a `StoreRequest`, `engines/inspection` turns it into a `StoreAnswer`. Answers are
kept as the servers gave them; who understands them stands in `dataservices` and `controls`. No
value here holds a password: logins are named by their Secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from readiness.timeline import Problem


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
    """What leads into the policy's own namespace: addresses by the names of pods and Services there."""

    namespace: str
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A look at a data service: its servers are asked what they are, how they are set, and who may do what.

    `hosts` are its members as far as they are known, `sentinels` who names them. It is looked at with
    `login`, without one as anybody may; `app` is what applications log in with. `management` is a
    RabbitMQ's second port, `scan` the beginning of the keys of a Redis that are looked at, too.
    """

    service: str
    kind: str
    way: Way = field(compare=False)
    hosts: tuple[str, ...] = ()
    port: int = 0
    tls: bool = False
    login: Login | None = None
    app: Login | None = None
    sentinels: tuple[str, ...] = ()
    sentinel_port: int = 26379
    group: str = ""
    management: int = 15672
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
