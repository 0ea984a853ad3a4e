"""What would select the pods of a drill although all their labels are ours: a selector by absence, or an empty one.

A budget would count a clone among what it protects, an autoscaler its load, and a NetworkPolicy
would add to what it may reach. Whether a drill is wanted is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from readiness.control import Subject, unknown
from readiness.drills.labels import build_labels
from readiness.drills.place import Place
from readiness.model import Manifest, Verdict
from readiness.naming import DRILL, DRILL_RUNNER, labels
from readiness.script import Arm
from readiness.workload import key_of, matches

DNS_PORTS: Final = frozenset({53, 5353})
DNS_NAMESPACES: Final = frozenset({"kube-system", "openshift-dns"})
MOST: Final = 3
"""So many are named."""
_NAMESPACE: Final = {"kubernetes.io/metadata.name"}


def selected(subject: Subject) -> Verdict | None:
    """Why no clone of a subject may be made: something would take it for its own."""
    if subject.workload is None:
        return None
    owner = labels("", subject.target.name)
    clone = build_labels(subject.workload, Arm("", ()), Place("", "", "", labels=tuple(owner.items())))  # fmt: skip
    return _counted(subject, (clone, owner | {DRILL_RUNNER: ""})) or _let_out(subject, clone)


def _counted(subject: Subject, pods: Iterable[dict[str, str]]) -> Verdict | None:
    found = [
        kind
        for kind, selector in _selectors(subject)
        if any(matches(selector, each) for each in pods)
    ]
    if not found:
        return None
    return unknown(
        "ClonesSelected", f"pods of a drill would be selected by {', '.join(found[:MOST])}",
        expected="selectors that name labels which the pods have", observed="one by absence, or an empty one",
        fix="add a matchLabels of its own pods to that selector",
    )  # fmt: skip


def _selectors(subject: Subject) -> Iterator[tuple[str, Manifest | None]]:
    """Of whatever counts pods without asking to whom they belong; an autoscaler has that of its workload."""
    snapshot, workload = subject.snapshot, subject.workload or {}
    for budget in snapshot.budgets:
        yield f"PodDisruptionBudget {budget['metadata']['name']}", budget["spec"].get("selector")
    yield key_of(workload), (workload.get("spec") or {}).get("selector")
    for name, service in snapshot.services.items():
        if selector := (service.get("spec") or {}).get("selector"):
            yield f"Service {name}", {"matchLabels": selector}


def _let_out(subject: Subject, clone: dict[str, str]) -> Verdict | None:
    """Policies add up: what one for all pods allows, ours cannot take back."""
    if subject.policy.safety.unisolated:
        return None
    found = [
        each["metadata"]["name"] for each in subject.snapshot.network_policies
        if matches(each["spec"].get("podSelector"), clone)
        and any(_leads_on(rule) for rule in each["spec"].get("egress") or ())
    ]  # fmt: skip
    if not found:
        return None
    return unknown(
        "NotIsolated", f"clones would be let out to more than DNS by NetworkPolicy {', '.join(found[:MOST])}",
        expected="no egress for every pod of the namespace but to DNS", observed="more",
        fix=f"exclude drills in its podSelector: matchExpressions: [{{key: {DRILL}, operator: DoesNotExist}}]; or state spec.safety.unisolated: true",
    )  # fmt: skip


def _leads_on(rule: Manifest) -> bool:
    """Whether a rule leads to anything but DNS. One that leads everywhere is met by the clone itself, where policies hold."""
    ports, peers = rule.get("ports") or (), rule.get("to") or ()
    if not ports and not peers:
        return False
    asks = bool(ports) and all(p.get("port") in DNS_PORTS and "endPort" not in p for p in ports)
    return not asks and not (peers and all(_is_dns(peer) for peer in peers))


def _is_dns(peer: Manifest) -> bool:
    wanted = (peer.get("namespaceSelector") or {}).get("matchLabels") or {}
    return wanted.keys() == _NAMESPACE and DNS_NAMESPACES.issuperset(wanted.values())
