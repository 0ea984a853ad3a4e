"""HA: whether a Redis survives the loss of a member, by what its Sentinels and members say.

Also as a cluster. Every deviation names the servers that show it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from readiness.control import Control, Param, Subject, failed, passed, unknown
from readiness.inspecting import MAX_AGE, Seen, ask_store, on_store, reasons_of, refused
from readiness.inspection import Told
from readiness.model import Safety, Severity, Verdict
from readiness.passive import listed

MAX_LAG: Final = 10
_DOWN: Final = frozenset({"s_down", "o_down", "disconnected"})


def judge_redis(subject: Subject, seen: Seen) -> Verdict:
    """HA-001: somebody takes over, and there is somebody who can."""
    if any(info.get("cluster_enabled") == "1" for info in seen.facts("info").values()):
        return _judge_cluster(seen)
    if not subject.store or not subject.store.request.sentinels:
        return _judge_alone(seen)
    for judge in (_judge_sentinels, _judge_primary, _judge_replicas, _judge_quorum_writes):
        if (problem := judge(subject, seen)) is not None:
            return problem
    return passed(
        "HighlyAvailable",
        "the Sentinels agree on one primary and can replace it, its replicas follow, and it refuses writes without one",
    )


def _judge_alone(seen: Seen) -> Verdict:
    """A Redis of which no Sentinel is known: alone it is a single point, with replicas nobody knows who acts."""
    replicated = any(
        info.get("role") == "slave" or info.get("connected_slaves", "0") != "0"
        for info in seen.facts("info").values()
    )
    if replicated:
        return unknown(
            "FailoverNotSeen", f"{seen.store.name} replicates, and what fails it over is not declared",
            fix=f"declare spec.dataServices[{seen.store.name}].external.redis.sentinel, or have HA-001 waived with whoever runs it",
        )  # fmt: skip
    return failed(
        "SinglePoint", f"{seen.store.name} is one Redis without replicas: its loss ends everything",
        expected="a primary, two replicas and three Sentinels, or a cluster", observed="one member, no replica",
        fix=f"let the operator provide it (spec.dataServices[{seen.store.name}].redis), or run it with Sentinels",
    )  # fmt: skip


def _judge_cluster(seen: Seen) -> Verdict:
    states = {name: facts.get("cluster_state") for name, facts in seen.facts("cluster").items()}
    broken = [name for name, state in states.items() if state != "ok"]
    rows = [line.split() for text in seen.facts("nodes").values() for line in text.splitlines()]
    nodes = {row[0]: row for row in rows if len(row) > 7}
    primaries = [r for r in nodes.values() if "master" in r[2] and "fail" not in r[2] and len(r) > 8]  # fmt: skip
    followed = {row[3] for row in nodes.values() if "slave" in row[2] and "fail" not in row[2] and row[7] == "connected"}  # fmt: skip
    bare = [row[1].partition("@")[0] for row in primaries if row[0] not in followed]
    if not broken and len(primaries) >= 3 and not bare:
        return passed("HighlyAvailable", "every slot has a primary and a replica that follows it")
    return failed(
        "ClusterDegraded", f"the cluster is not whole: {listed([*(f'{n} says it is not ok' for n in broken), *(f'{n} has no replica' for n in bare)]) or 'fewer than three primaries'}",
        expected="cluster_state ok, three primaries or more, a replica of each",
        observed=f"{len(primaries)} primaries, {len(bare)} without a replica",
        fix="redis-cli --cluster check; add replicas with --cluster add-node --cluster-slave",
    )  # fmt: skip


def _judge_sentinels(subject: Subject, seen: Seen) -> Verdict | None:
    """Three or more of them, none of them down for the others, most of them of one mind."""
    found = seen.sentinels
    if not found:
        return unknown("Unreachable", f"no Sentinel of {seen.store.name} tells how it is: {reasons_of(t for t in seen.silent if t.sentinel or t.name in seen.store.request.sentinels)}")  # fmt: skip
    least = int(subject.params["sentinels"])
    known = max(len(each.facts.get("sentinels", ())) + 1 for each in found)
    if known < least:
        return failed(
            "TooFewSentinels", "with so few Sentinels the loss of one leaves nobody who may act",
            expected=f"{least} Sentinels or more", observed=f"{known}", fix="run three Sentinels on three nodes",
        )  # fmt: skip
    lost = [
        f"{each.name} holds {row.get('ip', '?')} for down"
        for each in found
        for row in each.facts.get("sentinels", ())
        if _DOWN & set(row.get("flags", "").split(","))
    ]
    named = Counter(_primary_named(each) for each in found)
    _, votes = named.most_common(1)[0]
    if 2 * votes <= known:
        return failed(
            "NoMajority", f"the Sentinels that answer are no majority of one mind: {listed(f'{t.name} names {_primary_named(t)}' for t in found)}",
            expected=f"{known // 2 + 1} of {known} name the same primary", observed=f"{votes} do",
            fix="bring the other Sentinels back: redis-cli -p 26379 sentinel sentinels GROUP",
        )  # fmt: skip
    without = [each.name for each in found if not each.facts.get("quorum")]
    if without or lost:
        words = [*(f"{name} has no quorum" for name in without), *lost]
        return failed(
            "NoQuorum" if without else "SentinelDown", f"the Sentinels are not whole: {listed(words)}",
            expected="every Sentinel is up, and SENTINEL CKQUORUM says OK",
            observed=f"{len(without)} without quorum, {len(lost)} down",
            fix="redis-cli -p 26379 sentinel ckquorum GROUP; start those that are down",
        )  # fmt: skip
    return None


def _primary_named(told: Told) -> str:
    master = told.facts.get("master") or {}
    return f"{master.get('ip', 'nobody')}:{master.get('port', '')}"


def _judge_primary(subject: Subject, seen: Seen) -> Verdict | None:
    primaries = [name for name, info in seen.facts("info").items() if info.get("role") == "master"]
    down = [t.name for t in seen.sentinels if _DOWN & set((t.facts.get("master") or {}).get("flags", "").split(","))]  # fmt: skip
    if down:
        return failed(
            "PrimaryDown", f"the primary does not answer {listed(down)}", expected="one primary that answers",
            observed="the Sentinels hold it for down", fix="see its log; a failover is under way or impossible",
        )  # fmt: skip
    if len(primaries) > 1:
        return failed(
            "SecondPrimary", f"more than one member is a primary: {listed(sorted(primaries))}",
            expected="one primary", observed=f"{len(primaries)}",
            fix="make the one that the Sentinels do not name follow: redis-cli replicaof HOST PORT",
        )  # fmt: skip
    return None


def _judge_replicas(subject: Subject, seen: Seen) -> Verdict | None:
    least = int(subject.params["replicas"])
    rows = {
        row.get("name", row.get("ip", "?")): row for t in seen.sentinels for row in t.facts.get("replicas", ())
    }  # fmt: skip
    unwell = {
        name: "is down" if _DOWN & set(row.get("flags", "").split(",")) else "does not follow"
        for name, row in rows.items()
        if _DOWN & set(row.get("flags", "").split(",")) or row.get("master-link-status") not in (None, "ok")
    }  # fmt: skip
    behind = _behind(seen)
    good = len(rows.keys() - unwell.keys() - behind)
    if good >= least:
        return None
    words = [*(f"{name} {what}" for name, what in unwell.items()), *(f"{name} lags" for name in behind)]  # fmt: skip
    return failed(
        "Lagging" if behind and not unwell else "TooFewReplicas",
        f"too few replicas could take over: {listed(sorted(words)) or 'no more are known'}",
        expected=f"{least} replicas that follow within {MAX_LAG} s", observed=f"{good}",
        fix="see the log of the replicas that do not follow; add some where there are too few",
    )  # fmt: skip


def _behind(seen: Seen) -> set[str]:
    """Replicas that the primary has not heard of for too long, as Sentinels call them."""
    found: set[str] = set()
    for info in seen.facts("info").values():
        for key, text in info.items():
            if info.get("role") == "master" and key.startswith("slave") and "ip=" in text:
                row = dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)
                if int(row.get("lag", 0)) > MAX_LAG or row.get("state") != "online":
                    found.add(f"{row['ip']}:{row.get('port', '')}")
    return found


def _judge_quorum_writes(subject: Subject, seen: Seen) -> Verdict | None:
    """Alone it must not take writes that nobody else will have."""
    primary = [t.name for t in seen.members if t.facts["info"].get("role") == "master"]
    configs = {name: config for name, config in seen.facts("config").items() if name in primary}
    if not primary:
        return unknown("PrimaryNotSeen", f"the primary of {seen.store.name} could not be asked: {reasons_of(seen.silent)}")  # fmt: skip
    if not configs:
        return refused(seen, "config", "the command CONFIG GET")
    alone = [n for n, config in configs.items() if config.get("min-replicas-to-write", "0") == "0"]
    if alone:
        return failed(
            "AcceptsAlone", f"{listed(alone)} takes writes without a replica: cut off, it acknowledges what is lost later",
            expected="min-replicas-to-write 1 or more", observed="0", fix="CONFIG SET min-replicas-to-write 1, and in its configuration",
        )  # fmt: skip
    return None


PLUGINS: Final = (
    Control(
        id="HA-001", title="Redis with automatic failover", severity=Severity.P0, safety=Safety.BENIGN, stores=("redis",),
        criterion="A majority of at least 3 Sentinels names one primary, none is down, SENTINEL CKQUORUM is OK everywhere; 2 "
        "replicas follow within 10 s; min-replicas-to-write is 1 or more. Or a cluster: every member says cluster_state ok, 3 "
        "primaries or more, each with a replica. A Redis that replicates without declared Sentinels is Unknown.",
        fix="let the operator provide it, or run it with three Sentinels and declare external.redis.sentinel",
        ask=ask_store, judge=on_store(judge_redis), max_age=MAX_AGE,
        params=(Param("replicas", 2, "Replicas that must follow.", "higher"), Param("sentinels", 3, "Sentinels that must be known.", "higher")),
        checklists=("002/7.a1", "002/7.t1", "002/7.t4"),
    ),
)  # fmt: skip
