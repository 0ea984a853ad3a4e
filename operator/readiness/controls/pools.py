"""DAT: whether all pools of connections together fit into what a data service accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import MAX_AGE, Seen, refused, requests_of, seen_of
from readiness.model import Result, Safety, Severity, Verdict
from readiness.passive import listed
from readiness.request import Answers, Request


def ask_pools(subject: Subject) -> tuple[Request, ...]:
    """One look at each store that a pool is declared for."""
    names = [pool.store for pool in subject.target.data.pool] if subject.target.data else []
    return tuple(r for name in names for r in requests_of(subject.stores.get(name)))


def judge_pools(subject: Subject, answers: Answers) -> Verdict:
    """DAT-012: what all targets of the policy may open, against what one member accepts."""
    pools = subject.target.data.pool if subject.target.data else ()
    found = [_judge_store(subject, pool.store, answers) for pool in pools]
    order = (Result.FAIL, Result.UNKNOWN, Result.PASS)
    return min(found, key=lambda v: order.index(v.result), default=unknown("NotDeclared", "no pool is declared"))  # fmt: skip


def _judge_store(subject: Subject, name: str, answers: Answers) -> Verdict:
    store = subject.stores[name]
    seen = seen_of(store, answers)
    if isinstance(seen, Verdict):
        return seen
    if store.kind == "rabbitmq":
        return unknown("NotTold", f"{name} is a RabbitMQ, which tells no limit of connections")
    limits = _limits(seen)
    if not limits:
        return refused(seen, "connections", "CONFIG GET or the role clusterMonitor")
    return _judge_room(subject, name, limits)


def _judge_room(subject: Subject, name: str, limits: Mapping[str, tuple[int, int]]) -> Verdict:
    share = float(subject.params["share"])
    capacity, needed = min(limit for limit, _ in limits.values()), _needed(subject, name)
    if needed is None:
        return unknown("ReplicasNotSeen", f"how many pods use {name} cannot be seen", fix="declare maxReplicas in data.pool")  # fmt: skip
    if needed > share * capacity:
        return failed(
            "PoolsTooLarge", f"the pools of all targets may open more connections to {name} than it should bear",
            expected=f"{share:.0%} of {capacity} or fewer", observed=f"{needed}",
            fix="lower maxPoolSize or workers, or raise what the server accepts",
        )  # fmt: skip
    busy = [member for member, (limit, used) in limits.items() if used > share * limit]
    if busy:
        return failed(
            "NearCapacity", f"{listed(busy)} has more connections than {share:.0%} of what it accepts", expected=f"{share:.0%} or fewer",
            observed="more", fix="see who connects besides the declared pools",
        )  # fmt: skip
    return passed("PoolsFit", f"all pools together fit into {share:.0%} of what {name} accepts")


def _limits(seen: Seen) -> Mapping[str, tuple[int, int]]:
    """What each member accepts, and how many connections it has."""
    found = {}
    for name, config in seen.facts("config").items():
        if seen.store.kind == "redis" and config.get("maxclients"):
            used = (seen.facts("info").get(name) or {}).get("connected_clients", 0)
            found[name] = (int(config["maxclients"]), int(used))
    told: Mapping[str, Any] = seen.facts("connections") if seen.store.kind == "mongodb" else {}
    for name, each in told.items():
        used = int(each.get("current", 0))
        found[name] = (used + int(each.get("available", 0)), used)
    return found


def _needed(subject: Subject, store: str) -> int | None:
    """Of every target of the policy that declares a pool for it; None where one cannot be counted."""
    total = 0
    for target in subject.policy.targets:
        for pool in target.data.pool if target.data else ():
            if pool.store == store:
                spec = (subject.snapshot.workloads.get(target.name) or {}).get("spec") or {}
                replicas = pool.max_replicas or spec.get("replicas")
                if replicas is None:
                    return None
                total += int(replicas) * pool.workers * pool.max_pool_size
    return total


PLUGINS: Final = (
    Control(
        id="DAT-012", title="Pools fit the store", severity=Severity.P2, safety=Safety.BENIGN, needs=("data.pool",),
        criterion="Replicas × workers × maxPoolSize of all targets that declare a pool for a store are 80 % or less of the connections that "
        "its smallest member accepts, and so are the connections that each has now.",
        fix="lower maxPoolSize, or raise maxclients or net.maxIncomingConnections", ask=ask_pools, judge=judge_pools, max_age=MAX_AGE,
        params=(Param("share", 0.8, "Share of the capacity that may be used.", "lower"),), checklists=("003/7.3", "003/7.3a"),
    ),
)  # fmt: skip
