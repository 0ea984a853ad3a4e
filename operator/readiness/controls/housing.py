"""HA and HLT: how the pods of a data service stand: apart from each other, within a budget, probed.

Of a store in the policy's namespace, ours or somebody else's, pods and workloads are seen; one that
runs elsewhere is judged by what its servers answer, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from readiness.control import Control, Subject, failed, passed, unknown
from readiness.inspecting import (
    KINDS,
    MAX_AGE,
    Seen,
    ask_store,
    names_of,
    on_store,
    reasons_of,
    silence,
    where_of,
)
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.passive import listed
from readiness.request import Answers
from readiness.snapshot import Snapshot
from readiness.stores import Store
from readiness.workload import containers, is_ready, key_of, matches, scaled, template_metadata

_ZONE: Final = "topology.kubernetes.io/zone"
_IDLE: Final = frozenset({"true", "ls", "echo", "cat", "exit 0", ":"})
_SPREAD: Final = "add a podAntiAffinity or topologySpreadConstraints by kubernetes.io/hostname that is required, and nodes where there are too few"  # fmt: skip


def judge_spread(subject: Subject, _answers: Answers) -> Verdict:
    """HA-005: no node and no zone takes the majority along, and a drain takes one at a time."""
    store, snapshot = subject.store, subject.snapshot
    if store is None or not store.sets:
        return _unseen(subject)
    if "nodes" in snapshot.unreadable or not snapshot.nodes:
        why = snapshot.unreadable.get("nodes", "no node was found")
        return unknown("NodesNotVisible", f"the cluster's nodes cannot be seen: {why}")
    if len(snapshot.nodes) < 2:
        return unknown("OneNodeCluster", "the cluster has one node: nothing can be spread", fix="judge on a cluster with three nodes or more")  # fmt: skip
    problems = (
        problem
        for each in store.sets
        for problem in (*_crowded(store, each, snapshot), *_unbudgeted(each, snapshot))
    )
    return next(problems, None) or passed(
        "Spread", "no node and no zone holds the majority, and a drain takes one member at a time",
        where=where_of(store),
    )  # fmt: skip


def _unseen(subject: Subject) -> Verdict:
    name = subject.where
    if subject.store is not None and subject.store.provided:
        return unknown("NotProvided", f"no member of {name} runs yet", fix="see the condition Provisioned of the policy")  # fmt: skip
    return unknown(
        "NotVisible", f"the members of {name} are no pods of the policy's namespace: where they run cannot be seen",
        fix=f"name its Services or pods in spec.dataServices[{name}].external, or have it waived with whoever runs it",
    )  # fmt: skip


def _pods_of(store: Store, workload: Manifest) -> list[Manifest]:
    selector = (workload.get("spec") or {}).get("selector")
    return [p for p in store.pods if matches(selector, dict(p["metadata"].get("labels") or {}))]


def _crowded(store: Store, workload: Manifest, snapshot: Snapshot) -> Iterator[Verdict]:
    nodes = {p["metadata"]["name"]: (p.get("spec") or {}).get("nodeName", "") for p in _pods_of(store, workload)}  # fmt: skip
    placed = {pod: node for pod, node in nodes.items() if node}
    if not placed:
        yield unknown("NotProvided", f"no pod of {key_of(workload)} is on a node yet")
        return
    yield from _majority(workload, placed, "node")
    zones = {name: _labels(node).get(_ZONE, "") for name, node in snapshot.nodes.items()}
    if len(set(filter(None, zones.values()))) >= 3:  # of two, one always has the majority
        yield from _majority(workload, {p: zones.get(n, "") for p, n in placed.items()}, "zone")


def _majority(workload: Manifest, placed: Mapping[str, str], what: str) -> Iterator[Verdict]:
    place, count = Counter(placed.values()).most_common(1)[0]
    if place and 2 * count > len(placed):
        there = sorted(pod for pod, where in placed.items() if where == place)
        yield failed(
            f"MajorityOn{what.title()}", f"{listed(there)} of {key_of(workload)} are on one {what}: its loss takes the majority",
            expected=f"fewer than half of the members on any {what}", observed=f"{count} of {len(placed)}", fix=_SPREAD,
        )  # fmt: skip


def _labels(found: Manifest) -> Mapping[str, str]:
    return (found.get("metadata") or {}).get("labels") or {}


def _unbudgeted(workload: Manifest, snapshot: Snapshot) -> Iterator[Verdict]:
    labels = dict(template_metadata(workload).get("labels") or {})
    found = [b for b in snapshot.budgets if matches((b.get("spec") or {}).get("selector"), labels)]
    wanted = int((workload.get("spec") or {}).get("replicas") or 1)
    if len(found) != 1:
        yield failed(
            "OverlappingBudgets" if found else "NoBudget", f"{listed(names_of(found)) or 'no PodDisruptionBudget'} selects the pods of {key_of(workload)}",
            expected="exactly one PodDisruptionBudget, with maxUnavailable: 1", observed=f"{len(found)}",
            fix="apply one with maxUnavailable: 1 and the selector of the StatefulSet",
        )  # fmt: skip
        return
    spec = found[0].get("spec") or {}
    gone = _lets_go(spec, wanted)
    if gone != 1:
        rule = next((f"{k}: {spec[k]}" for k in ("maxUnavailable", "minAvailable") if k in spec), "no rule")  # fmt: skip
        yield failed(
            "BudgetTooLoose" if gone > 1 else "BudgetBlocksDrain", f"PodDisruptionBudget/{found[0]['metadata']['name']} lets {'more than one' if gone > 1 else 'no'} member of {key_of(workload)} go at a time",
            expected="one member at a time", observed=rule, fix="set spec.maxUnavailable: 1 and drop minAvailable",
        )  # fmt: skip


def _lets_go(spec: Manifest, wanted: int) -> int:
    if spec.get("maxUnavailable") is not None:
        return scaled(spec["maxUnavailable"], wanted)
    return wanted - scaled(spec.get("minAvailable", 0), wanted)


def judge_probes(subject: Subject, seen: Seen) -> Verdict:
    """HLT-006: members are asked in their own protocol, and are Ready."""
    store = seen.store
    if not store.sets:
        return _elsewhere(seen)
    blind = [key_of(each) for each in store.sets if not _is_asked(store.kind, each)]
    if blind:
        return failed(
            "NotProbed", f"{listed(blind)} has no readiness probe that speaks to the server",
            expected="an exec, httpGet or grpc probe that asks the server", observed="none, or one that only opens the port",
            fix="add a readinessProbe such as exec: redis-cli ping; for RabbitMQ a tcpSocket on its AMQP port is enough",
        )  # fmt: skip
    waiting = names_of(pod for pod in store.pods if not is_ready(pod))
    lacking = store.wanted and len(seen.members) < store.wanted and store.kind != "rabbitmq"
    if waiting or lacking:
        return failed(
            "MemberNotReady", f"not every member is Ready: {listed(waiting) or reasons_of(seen.silent) or 'some are missing'}",
            expected="every member is Ready", observed=f"{len(waiting) or 'some'} are not",
            fix="kubectl describe the pods that are named",
        )  # fmt: skip
    return passed("EveryMemberProbed", "every member is asked in its own protocol, and is Ready")


def _elsewhere(seen: Seen) -> Verdict:
    """Not our cluster's kubelets look after it: the operator's own question stands for them."""
    quiet = [told for told in seen.silent if told.error in ("Unreachable", "Loading", "NameNotFound")]  # fmt: skip
    if not quiet and any(told.error in ("EgressRefused", "TLSNotSupported") for told in seen.silent):  # fmt: skip
        return silence(seen)
    if quiet:
        return failed(
            "MemberSilent", f"not every member answers: {reasons_of(quiet)}", expected="every member answers its protocol",
            observed=f"{len(quiet)} do not", fix="see whether they run; remove names that are no members from external.hosts",
        )  # fmt: skip
    return passed("EveryMemberAnswers", "every member answers its protocol; who else probes them cannot be seen from here")  # fmt: skip


def _is_asked(kind: str, workload: Manifest) -> bool:
    probes = (c.get("readinessProbe") or {} for c in containers(workload))
    return any(_speaks(kind, probe) for probe in probes)


def _speaks(kind: str, probe: Mapping[str, Any]) -> bool:
    """RabbitMQ opens its port when it serves clients; the others open theirs long before."""
    if "exec" in probe:
        return not _is_idle(probe["exec"].get("command") or ())
    return "httpGet" in probe or "grpc" in probe or ("tcpSocket" in probe and kind == "rabbitmq")


def _is_idle(command: Iterable[str]) -> bool:
    words = [word for word in command if word not in ("sh", "bash", "/bin/sh", "/bin/bash", "-c")]
    return not words or words[0].rpartition("/")[2] in _IDLE


PLUGINS: Final = (
    Control(
        id="HA-005", title="Stores spread, with a disruption budget", severity=Severity.P0, stores=KINDS,
        criterion="Of each StatefulSet of the store no node holds the majority of members, nor a zone where the cluster has three or more, and "
        "exactly one PodDisruptionBudget selects them and lets one go at a time. Unknown where its members are no pods of the namespace.",
        fix=_SPREAD, judge=judge_spread, checklists=("002/7.a1", "002/7.t1"),
    ),
    Control(
        id="HLT-006", title="Health checks of stores", severity=Severity.P0, safety=Safety.BENIGN, stores=KINDS,
        criterion="Every workload of the store has a readiness probe that asks the server (RabbitMQ: or opens its AMQP port), and every member "
        "is Ready. Of a store that runs elsewhere, every member answers its protocol.",
        fix="add a readinessProbe that asks the server", ask=ask_store, judge=on_store(judge_probes), max_age=MAX_AGE,
        checklists=("002/7.a6",),
    ),
)  # fmt: skip
