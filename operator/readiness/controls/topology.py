"""HA: the document of a data service's topology, made from what its servers and the cluster tell, never by hand.

It stands in the report of the data service, where whoever needs it reads it:
`readiness report POLICY --target SERVICE -v`, also as markdown. It changes when the topology does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from readiness.control import Control, Subject, failed, passed
from readiness.inspecting import KINDS, MAX_AGE, Seen, ask_store, names_of, on_store
from readiness.inspection import Told
from readiness.model import Manifest, Safety, Severity, Verdict
from readiness.passive import listed
from readiness.workload import matches, template_metadata

_ZONE: Final = "topology.kubernetes.io/zone"
_NAMED: Final = 16


def judge_topology(subject: Subject, seen: Seen) -> Verdict:
    """HA-008: what runs is what is declared, and every member has its place in the document."""
    found = tuple(_members(seen))
    wanted = seen.store.wanted
    if wanted and len(found) != wanted and not seen.silent:
        return failed(
            "DiffersFromDeclaration", f"{seen.store.name} has other members than its policy declares: {listed((n for n, _ in found), _NAMED) or 'none'}",
            expected=f"{wanted} members", observed=f"{len(found)}", fix="see the condition Provisioned of the policy",
        )  # fmt: skip
    strangers = [name for name, _ in found if seen.store.kind == "mongodb" and _is_stranger(seen, name)]  # fmt: skip
    if strangers:
        return failed(
            "DiffersFromDeclaration", f"{listed(strangers)} is a member, and no declared host", expected="every member among external.mongodb.hosts",
            observed=f"{len(strangers)} are not", fix=f"add them to spec.dataServices[{seen.store.name}].external.mongodb.hosts",
        )  # fmt: skip
    return passed("Described", "; ".join(_document(subject, seen, found)))


def _document(subject: Subject, seen: Seen, found: tuple[tuple[str, str], ...]) -> Iterator[str]:
    store = seen.store
    places = {str(p["metadata"]["name"]): _place(subject, p) for p in store.pods}
    yield f"{store.name} is a {store.kind} {'of the operator' if store.provided else 'that others run'}"
    yield from (f"{role} {name}{places.get(name, '')}" for name, role in sorted(found)[:_NAMED])
    sentinels = sorted(told.name for told in seen.sentinels)
    yield from (f"Sentinel {name}{places.get(name, '')}" for name in sentinels[:_NAMED])
    voters, what = (len(sentinels), "Sentinels") if sentinels else (len(found), "members")
    yield f"{voters // 2 + 1} of {voters} {what} decide"
    budgets = sorted({name for each in store.sets for name in _budgets(subject, each)})
    yield f"budgets {listed(budgets)}" if budgets else "no budget is seen"
    app = store.request.app
    yield f"reached as Secret {app.secret} says" if store.provided and app else f"reached by {listed(store.declared)}"  # fmt: skip


def _members(seen: Seen) -> Iterator[tuple[str, str]]:
    """Every member with its role."""
    if seen.store.kind == "rabbitmq":
        nodes = next(iter(seen.facts("nodes").values()), ())
        for node in nodes:
            yield str(node["name"]).partition("@")[2].partition(".")[0], "member"
        return
    for told in seen.members:
        yield told.name, _role(told)


def _role(told: Told) -> str:
    info, status = told.facts.get("info") or {}, told.facts.get("status") or {}
    hello: Mapping[str, object] = told.facts.get("hello") or {}
    leads = info.get("role") == "master" or status.get("myState") == 1 or hello.get("isWritablePrimary")  # fmt: skip
    return "primary" if leads else "replica"


def _is_stranger(seen: Seen, name: str) -> bool:
    return name not in seen.store.declared and name not in seen.store.request.hosts


def _place(subject: Subject, pod: Manifest) -> str:
    node = str((pod.get("spec") or {}).get("nodeName", ""))
    labels = (subject.snapshot.nodes.get(node, {}).get("metadata") or {}).get("labels") or {}
    zone = f", zone {labels[_ZONE]}" if _ZONE in labels else ""
    return f" on node {node}{zone}" if node else ""


def _budgets(subject: Subject, workload: Manifest) -> list[str]:
    labels = dict(template_metadata(workload).get("labels") or {})
    return names_of(b for b in subject.snapshot.budgets if matches((b.get("spec") or {}).get("selector"), labels))  # fmt: skip


PLUGINS: Final = (
    Control(
        id="HA-008", title="Topology documented", severity=Severity.P0, safety=Safety.BENIGN, stores=KINDS,
        criterion="The document (members, roles, nodes, zones, majority, budgets, way in) is made from what runs, stands in the report of the data service, and what "
        "runs is what is declared: as many members as asked for, no member of a MongoDB that is no declared host.",
        fix="declare what runs, or run what is declared", ask=ask_store, judge=on_store(judge_topology, everybody=True), max_age=MAX_AGE,
        checklists=("002/7.a5",),
    ),
)  # fmt: skip
