"""HA: whether a workload's connection strings let it follow a failover. What they say is read, never told.

Judged from manifests: plain variables and ConfigMaps, and the binding Secrets that the operator makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from readiness.connections import Hidden, Url, hidden_of, urls_of
from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspection import parts_of
from readiness.model import Manifest, Result, Severity, Verdict
from readiness.passive import listed, on_workload
from readiness.stores import Store

_WORST: Final = (Result.FAIL, Result.UNKNOWN, Result.PASS)
_HINTS: Final = {"redis": ("redis", "cache"), "mongodb": ("mongo",), "rabbitmq": ("amqp", "rabbit")}


def judge_clients(subject: Subject, workload: Manifest) -> Verdict:
    """HA-007: of every store that it uses, a string that names more than one member."""
    found = [
        _judge_store(subject, workload, store)
        for name, store in subject.stores.items()
        if name in subject.target.uses
    ]
    return min(found, key=lambda verdict: _WORST.index(verdict.result), default=unknown(
        "NotSeen", f"{subject.where} uses no data service that the policy declares",
    ))  # fmt: skip


def _judge_store(subject: Subject, workload: Manifest, store: Store) -> Verdict:
    hidden = [h for h in hidden_of(workload) if _concerns(h, store)]
    binding = store.request.app.secret if store.provided and store.request.app else ""
    if binding and any(each.secret == binding for each in hidden):
        return passed("Bound", f"{store.name} is used as its binding says, which names every way to it")  # fmt: skip
    urls = [url for url in urls_of(workload, subject.snapshot, store.kind) if _leads_to(url, store)]
    if not urls:
        where = listed(f"Secret {each.secret}" for each in hidden)
        return unknown(
            "InSecret" if where else "NotSeen",
            f"how {subject.where} connects to {store.name} stands in {where}, which is not read" if where
            else f"no connection string of {subject.where} leads to {store.name}",
            fix=f"use the binding Secret {binding} of the operator" if binding
            else "put hosts and options, without user and password, into a variable or ConfigMap of their own",
        )  # fmt: skip
    problems = [problem for url in urls for problem in _CLIENTS[store.kind](subject, store, url)]
    return next(iter(problems), None) or passed("FollowsFailover", f"the strings for {store.name} let a client follow a failover")  # fmt: skip


def _concerns(hidden: Hidden, store: Store) -> bool:
    if store.request.app is not None and hidden.secret == store.request.app.secret:
        return True
    text = f"{hidden.where} {hidden.secret} {hidden.key}".lower()
    return any(hint in text for hint in (*_HINTS[store.kind], store.name))


def _leads_to(url: Url, store: Store) -> bool:
    """By a host that is declared; where the store is ours, by a name that begins as all of its names do."""
    ours = store.request.app.secret if store.provided and store.request.app else ""
    return any(host in store.declared or (ours and host.startswith(ours)) for host in url.hosts)


def _redis(subject: Subject, store: Store, url: Url) -> Iterator[Verdict]:
    if not store.request.sentinels:
        if not store.provided and len(url.hosts) < 2:
            yield unknown(
                "FailoverNotSeen", f"{url.where} names one host of {store.name}, and what fails it over is not declared",
                fix=f"declare spec.dataServices[{store.name}].external.redis.sentinel, or name every member",
            )  # fmt: skip
        return
    if "sentinel" not in url.scheme and len(url.hosts) < 2:
        yield _single(subject, store, url, "every Sentinel, and the name of the set", "ask the Sentinels for the primary: redis+sentinel://HOST:26379,…/GROUP")  # fmt: skip


def _mongodb(subject: Subject, store: Store, url: Url) -> Iterator[Verdict]:
    if "srv" not in url.scheme and not url.options.get("replicaset"):
        yield _single(subject, store, url, "replicaSet=NAME", "add replicaSet to the options, and name every member")  # fmt: skip
    concern = url.options.get("w", "majority")
    if concern != "majority":
        yield failed(
            "WriteConcern", f"{url.where} lets writes be acknowledged that a failover loses", expected="w=majority",
            observed=f"w={concern}", fix="set w=majority, or leave w out with a server of 5.0 or newer",
        )  # fmt: skip
    wanted = str(subject.params["readPreference"])
    if wanted and url.options.get("readpreference", "primary") != wanted:
        yield failed(
            "ReadPreference", f"{url.where} reads from other members than was decided", expected=f"readPreference={wanted}",
            observed=f"readPreference={url.options.get('readpreference', 'primary')}", fix=f"set readPreference={wanted}",
        )  # fmt: skip


def _rabbitmq(subject: Subject, store: Store, url: Url) -> Iterator[Verdict]:
    """One name is enough where it is a Service in front of several members."""
    pods = [host for host in url.hosts if parts_of(host, subject.snapshot.namespace)[0]]
    if len(url.hosts) == 1 and pods:
        yield _single(subject, store, url, "several members, or a Service in front of them", "use the Service, or name every member")  # fmt: skip


def _single(subject: Subject, store: Store, url: Url, expected: str, fix: str) -> Verdict:
    return failed(
        "SingleHost", f"{url.where} of {subject.where} leads to one member of {store.name}: it does not follow a failover",
        expected=expected, observed=f"{url.scheme}:// with {len(url.hosts)} host and no such option", fix=fix,
    )  # fmt: skip


_CLIENTS: Final = {"redis": _redis, "mongodb": _mongodb, "rabbitmq": _rabbitmq}

PLUGINS: Final = (
    Control(
        id="HA-007", title="Clients follow a failover", severity=Severity.P0, static=True, needs=("uses",),
        criterion="Visible connection strings of the stores in uses name more than one way: Sentinels, replicaSet with w=majority (and the "
        "readPreference that a parameter names), several hosts or a Service for RabbitMQ. The operator's binding Secret counts as such; what "
        "stands in another Secret is not read, and Unknown.",
        fix="use the binding Secret, or name every member", judge=on_workload(judge_clients),
        params=(Param("readPreference", "", "readPreference that strings for MongoDB must have; empty: any."),),
        checklists=("002/7.a2", "002/7.t2"),
    ),
)  # fmt: skip
